"""Settings of the process as Keras 2 names them: dtypes, the backend, and what has no effect here."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from typing import Any

import numpy as np

from nnx.backends import get_backend, set_dtype
from nnx.epsilon import epsilon, set_epsilon

__all__ = [
    "backend",
    "clear_session",
    "epsilon",
    "floatx",
    "get_uid",
    "image_data_format",
    "is_float_dtype",
    "is_int_dtype",
    "name_scope",
    "result_type",
    "set_epsilon",
    "set_floatx",
    "set_image_data_format",
    "standardize_dtype",
]


def floatx() -> str:
    """Name of the floating dtype of new parameters.

    >>> floatx()
    'float32'
    """
    return get_backend().dtype


def set_floatx(value: str) -> None:
    """Another floating dtype of new parameters, for the whole process, on the backend that is chosen.

    value : "float16", "float32" or "float64". RuntimeError inside `with nnx.backend(...)`, which decides there.

    >>> set_floatx("float32")
    """
    set_dtype(value)


def standardize_dtype(dtype: Any) -> str:
    """The name of a dtype, whatever library, or Python, it is of; that of `floatx` for None.

    >>> standardize_dtype(float), standardize_dtype(np.dtype("int8"))
    ('float32', 'int8')
    """
    if dtype is None or dtype is float:
        return floatx()
    if dtype in (int, str):
        return {int: "int32", str: "string"}[dtype]
    name = getattr(dtype, "name", None) or getattr(dtype, "__name__", None) or str(dtype).rpartition(".")[2]
    if not re.fullmatch(r"bool|string|(float|u?int)(8|16|32|64)|bfloat16|complex(64|128)", str(name)):
        raise ValueError(f"not a dtype: {dtype!r}")
    return str(name)


def is_float_dtype(dtype: Any) -> bool:
    """Whether a dtype has floating numbers.

    >>> is_float_dtype("float16"), is_float_dtype("int8")
    (True, False)
    """
    return "float" in standardize_dtype(dtype)


def is_int_dtype(dtype: Any) -> bool:
    """Whether a dtype has integers.

    >>> is_int_dtype("uint8"), is_int_dtype("bool")
    (True, False)
    """
    return "int" in standardize_dtype(dtype)


def result_type(*dtypes: Any) -> str:
    """The dtype of what is computed from values of some: as of NumPy, but float32 where integers meet floating numbers.

    >>> result_type("int32", "float16"), result_type("int8", "int32"), result_type()
    ('float16', 'int32', 'float32')
    """
    names = [standardize_dtype(dtype) for dtype in dtypes] or [floatx()]
    floating = [name for name in names if is_float_dtype(name)]
    return str(np.result_type(*(floating or names)))


_uids: dict[str, int] = {}


def get_uid(prefix: str = "") -> int:
    """How often it was called with that prefix.

    >>> get_uid("mine"), get_uid("mine")
    (1, 2)
    """
    _uids[prefix] = _uids.get(prefix, 0) + 1
    return _uids[prefix]


def image_data_format() -> str:
    """Order of axes that layers of images expect if they are not told another: "channels_last".

    >>> image_data_format()
    'channels_last'
    """
    return "channels_last"


def set_image_data_format(data_format: str) -> None:
    """ValueError for anything but "channels_last": there is no such global choice in nnx.

    >>> set_image_data_format("channels_last")
    """
    if data_format != "channels_last":
        raise ValueError(
            f"nnx has no global data format, got {data_format!r}: write data_format={data_format!r} in each layer"
        )


def backend() -> str:
    """Name of the backend in use.

    >>> backend()
    'numpy'
    """
    return get_backend().name


def clear_session(free_memory: bool = True) -> None:
    """Nothing: nnx has no global graph, and models that nobody refers to are gone.

    free_memory : accepted as in Keras.

    >>> clear_session()
    """


@contextlib.contextmanager
def name_scope(name: str) -> Iterator[str]:
    """Block without effect: names of layers are those that they are given.

    >>> with name_scope("encoder") as name:
    ...     name
    'encoder'
    """
    yield name
