"""Back from a broadcast shape and from a reduced one, and arrays like others: what many derivatives share."""

from __future__ import annotations

from typing import Any

from nnx.autodiff.array import lower
from nnx.backends import Array, Namespace


def sum_to(xp: Namespace, dy: Array, like: Array) -> Array:
    """A cotangent summed to the shape of `like`, and in its dtype. float16 is added up in float32."""
    shape, wanted = dy.shape, like.shape
    if shape != wanted:
        extra = len(shape) - len(wanted)
        axes = (*range(extra), *(i + extra for i, n in enumerate(wanted) if n == 1 and shape[i + extra] != 1))
        if axes:
            dy = xp.sum(dy, axis=axes, dtype=sum_dtype(xp, dy))
        if dy.shape != wanted:
            dy = xp.reshape(dy, wanted)
    return cast(xp, dy, like)


def sum_dtype(xp: Namespace, x: Array) -> Any:
    """The dtype in which x is added up: float32 for float16, else its own."""
    return xp.float32 if x.dtype == getattr(xp, "float16", None) else x.dtype


def cast(xp: Namespace, dy: Array, like: Array) -> Array:
    """A cotangent in the dtype of `like`."""
    return dy if dy.dtype == like.dtype else xp.astype(dy, like.dtype)


def reduced_axes(x: Array, axis: int | tuple[int, ...] | None) -> tuple[int, ...]:
    """The axes of a reduction, none negative."""
    rank = len(x.shape)
    if axis is None:
        return tuple(range(rank))
    return tuple(a % rank for a in ((axis,) if isinstance(axis, int) else axis))


def reopen(xp: Namespace, dy: Array, x: Array, axis: int | tuple[int, ...] | None, keepdims: bool) -> Array:
    """The result of a reduction of x in the rank of x."""
    if keepdims or len(dy.shape) == len(x.shape):
        return dy
    axes = reduced_axes(x, axis)
    return xp.reshape(dy, tuple(1 if i in axes else n for i, n in enumerate(x.shape)))


def zeros(xp: Namespace, like: Array) -> Array:
    """Plain zeros like an array."""
    return xp.base.zeros_like(lower(like))


def ones(xp: Namespace, like: Array) -> Array:
    """Plain ones like an array."""
    return xp.base.ones_like(lower(like))


def as_array(xp: Namespace, value: Any, like: Array) -> Array:
    """A number of Python as an array like another one; an array as it is."""
    if hasattr(value, "dtype"):
        return value
    return xp.base.asarray(value, dtype=like.dtype, device=xp.device_of(like))
