"""Nested plain data with arrays in it, as JSON beside arrays with names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from nnx.backends import is_array, to_numpy

_ARRAY, _SCALAR = "array of the file", "number of the file"
_DTYPES = {
    "bool",
    *(f"{kind}{bits}" for kind in ("int", "uint") for bits in (8, 16, 32, 64)),
    *("float16", "float32", "float64"),
}


def pack(value: Any, prefix: str, what: str) -> tuple[Any, dict[str, np.ndarray]]:
    """Data without arrays, which fit into JSON, and the arrays of any backend that were in them, by name.

    prefix : what the names begin with.
    what : what the data are, for error messages.

    TypeError for anything but numbers, texts, None, arrays of numbers, and lists and dicts of these with text as keys.
    """
    arrays: dict[str, np.ndarray] = {}
    return _pack(value, prefix, what, arrays), arrays


def _pack(value: Any, prefix: str, what: str, arrays: dict[str, np.ndarray]) -> Any:
    if value is None or type(value) in (bool, int, float, str):
        return value
    if isinstance(value, Mapping):
        if not all(isinstance(key, str) for key in value):
            raise TypeError(f"{what} has keys that are not text, which cannot be saved: {list(value)[:5]}")
        if value.keys() & {_ARRAY, _SCALAR}:
            raise TypeError(f"{what} has a key {_ARRAY!r} or {_SCALAR!r}, which stands for arrays in files")
        return {key: _pack(item, prefix, f"{what}[{key!r}]", arrays) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_pack(item, prefix, f"{what}[{index}]", arrays) for index, item in enumerate(value)]
    if is_array(value):
        array = to_numpy(value)
        if array.dtype.name in _DTYPES:
            name = f"{prefix}{len(arrays)}"
            arrays[name] = array.astype(array.dtype.newbyteorder("="), copy=False)
            return {_SCALAR if isinstance(value, np.generic) else _ARRAY: name}
    raise TypeError(
        f"{what} is {value!r} of type {type(value).__name__}, which cannot be saved: expected numbers, texts, None, "
        f"arrays of numbers, or lists and dicts of these"
    )


def unpack(value: Any, arrays: Mapping[str, np.ndarray]) -> Any:
    """What `pack` was given; arrays of other backends are on the host, tuples are lists."""
    if isinstance(value, list):
        return [unpack(item, arrays) for item in value]
    if not isinstance(value, dict):
        return value
    if value.keys() == {_ARRAY}:
        return np.array(arrays[value[_ARRAY]])  # not a view of the file
    if value.keys() == {_SCALAR}:
        return arrays[value[_SCALAR]][()]
    return {key: unpack(item, arrays) for key, item in value.items()}
