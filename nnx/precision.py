"""Half precision: float16 is computed in float32 where sums or squares would leave its range."""

from __future__ import annotations

from nnx.backends import Array, array_namespace

__all__ = ["dtype_bytes", "is_half", "narrow", "wide", "wide_sum"]


def wide(x: Array) -> Array:
    """float16 as float32, because sums of squares leave its range; other dtypes as they are.

    >>> import numpy as np
    >>> wide(np.zeros(2, "float16")).dtype, wide(np.zeros(2, "float64")).dtype
    (dtype('float32'), dtype('float64'))
    """
    xp = array_namespace(x)
    return xp.astype(x, xp.float32) if xp.finfo(x.dtype).bits == 16 else x


def narrow(x: Array, like: Array) -> Array:
    """Conversion back to the dtype of `like`, of what `wide` may have converted.

    >>> import numpy as np
    >>> half = np.asarray([2.0], "float16")
    >>> narrow(wide(half) * 3.0, half)
    array([6.], dtype=float16)
    """
    return array_namespace(x).astype(x, like.dtype, copy=False)


def wide_sum(x: Array, axis: int | tuple[int, ...] | None = None, keepdims: bool = False) -> Array:
    """Sum, which is float32 for float16: there 2048 + 1 is 2048, and what is divided afterwards may leave its range.

    axis : one or several; None for all.
    """
    xp = array_namespace(x)
    half = x.dtype == getattr(xp, "float16", None)
    return xp.sum(x, axis=axis, keepdims=keepdims, dtype=xp.float32 if half else None)


def is_half(values: Array) -> bool:
    """Whether an array is float16.

    >>> import numpy as np
    >>> is_half(np.zeros(2, "float16"))
    True
    """
    return bool(values.dtype == getattr(array_namespace(values), "float16", None))


def dtype_bytes(dtype: str) -> int:
    """The size of a number in bytes, from the name of its dtype.

    >>> dtype_bytes("float32")
    4
    """
    return int(dtype.lstrip("abcdefghijklmnopqrstuvwxyz") or 8) // 8  # a bool is a byte
