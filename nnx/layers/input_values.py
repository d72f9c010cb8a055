"""Values that a layer is called on: arrays, symbols, and numbers that become arrays."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nnx.backends import Array, Placement, is_array
from nnx.graph.symbol import Symbol
from nnx.structure import leaves
from nnx.text.values import as_texts, is_texts


def is_value(given: Any) -> bool:
    """Whether an argument is an array, a symbol, or a list or dict of them."""
    return are_values(leaves(given))


def are_values(parts: Sequence[Any]) -> bool:
    """Whether parts of arguments, of which there are some, all are arrays that have axes, or symbols."""
    return len(parts) > 0 and all(isinstance(x, Symbol) or (is_array(x) and x.shape != ()) for x in parts)


def read_value(given: Any, home: Placement) -> Any:
    """An input with arrays in place of lists of numbers; a list of arrays, or of them and None, is several inputs."""
    if given is None or (isinstance(given, list | tuple) and any(part is None for part in given)):
        return given if given is None else [read_value(part, home) for part in given]
    if isinstance(given, dict):
        return {key: read_value(part, home) for key, part in given.items()}
    if is_array(given) or (isinstance(given, list | tuple) and is_value(given)):
        return given
    return as_texts(given, "x") if is_texts(given) else home.asarray(given)


def kept_dtype(x: Array) -> str | None:
    """The dtype of an input that a layer takes as it is: bools too."""
    return "bool" if str(x.dtype).endswith("bool") else None
