"""Half precision: float16 is computed in float32 where sums or squares would leave its range."""

from __future__ import annotations

from nnx.backends import Array, array_namespace

__all__ = ["dtype_bytes", "narrow", "wide"]


def wide(x: Array) -> Array:
    """float16 as float32, because sums of squares leave its range; other dtypes as they are."""
    xp = array_namespace(x)
    return xp.astype(x, xp.float32) if xp.finfo(x.dtype).bits == 16 else x


def narrow(x: Array, like: Array) -> Array:
    """Back to the dtype of `like`."""
    return array_namespace(x).astype(x, like.dtype, copy=False)


def dtype_bytes(dtype: str) -> int:
    """The size of a number in bytes, from the name of its dtype.

    >>> dtype_bytes("float32")
    4
    """
    return int(dtype.lstrip("abcdefghijklmnopqrstuvwxyz") or 8) // 8  # a bool is a byte
