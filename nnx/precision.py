"""Half precision: float16 is computed in float32 where sums or squares would leave its range."""

from __future__ import annotations

from nnx.backends import Array, array_namespace

__all__ = ["dtype_bytes", "narrow", "wide"]


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


def dtype_bytes(dtype: str) -> int:
    """The size of a number in bytes, from the name of its dtype.

    >>> dtype_bytes("float32")
    4
    """
    return int(dtype.lstrip("abcdefghijklmnopqrstuvwxyz")) // 8
