"""Derivatives of reductions and running sums."""

from __future__ import annotations

import math
from typing import Any

from nnx.autodiff.broadcasting import cast, reduced_axes, reopen


def sum(f, xp, x, *, axis=None, dtype=None, keepdims=False):
    y = f(x, axis=axis, dtype=dtype, keepdims=keepdims)
    return y, lambda dy: cast(xp, xp.broadcast_to(reopen(xp, dy, x, axis, keepdims), x.shape), x)


def mean(f, xp, x, *, axis=None, keepdims=False):
    y = f(x, axis=axis, keepdims=keepdims)
    count = math.prod(x.shape[i] for i in reduced_axes(x, axis)) or 1
    return y, lambda dy: xp.broadcast_to(reopen(xp, dy * (1.0 / count), x, axis, keepdims), x.shape)


def var(f, xp, x, *, axis=None, correction=0.0, keepdims=False):
    y = f(x, axis=axis, correction=correction, keepdims=keepdims)
    count = math.prod(x.shape[i] for i in reduced_axes(x, axis)) - correction

    def pull(dy):
        return reopen(xp, dy, x, axis, keepdims) * (x - xp.mean(x, axis=axis, keepdims=True)) * (2.0 / count)

    return y, pull


def std(f, xp, x, *, axis=None, correction=0.0, keepdims=False):
    y = f(x, axis=axis, correction=correction, keepdims=keepdims)
    count = math.prod(x.shape[i] for i in reduced_axes(x, axis)) - correction

    def pull(dy):
        return reopen(xp, dy / y, x, axis, keepdims) * (x - xp.mean(x, axis=axis, keepdims=True)) * (1.0 / count)

    return y, pull


def max(f, xp, x, *, axis=None, keepdims=False):
    y = f(x, axis=axis, keepdims=keepdims)

    def pull(dy):
        hit = xp.astype(x == reopen(xp, y, x, axis, keepdims), dy.dtype)
        return hit * (reopen(xp, dy, x, axis, keepdims) / xp.sum(hit, axis=axis, keepdims=True))

    return y, pull


min = max


def prod(f, xp, x, *, axis=None, dtype=None, keepdims=False):
    y = f(x, axis=axis, dtype=dtype, keepdims=keepdims)

    def pull(dy):
        axes = reduced_axes(x, axis)
        rest = [i for i in range(len(x.shape)) if i not in axes]
        order = (*rest, *axes)
        sizes = (*[x.shape[i] for i in rest], math.prod(x.shape[i] for i in axes))
        flat = xp.reshape(xp.permute_dims(x, order), sizes)
        # products of all the others, without a division: from the left times from the right
        ones = xp.ones_like(flat[..., :1])
        left = xp.cumulative_prod(xp.concat([ones, flat[..., :-1]], axis=-1), axis=-1)
        behind = xp.concat([ones, xp.flip(flat[..., 1:], axis=-1)], axis=-1)
        right = xp.flip(xp.cumulative_prod(behind, axis=-1), axis=-1)
        others = xp.reshape(left * right, tuple(x.shape[i] for i in order))
        others = xp.permute_dims(others, tuple(order.index(i) for i in range(len(order))))
        return cast(xp, others * reopen(xp, dy, x, axis, keepdims), x)

    return y, pull


def _without_initial(dy: Any, axis: int, rank: int) -> Any:
    return dy[(*[slice(None)] * (axis % rank), slice(1, None), ...)]


def cumulative_sum(f, xp, x, *, axis=None, dtype=None, include_initial=False):
    y = f(x, axis=axis, dtype=dtype, include_initial=include_initial)
    along = 0 if axis is None else axis

    def pull(dy):
        if include_initial:
            dy = _without_initial(dy, along, len(x.shape))
        return cast(xp, xp.flip(xp.cumulative_sum(xp.flip(dy, axis=along), axis=along), axis=along), x)

    return y, pull


def cumulative_prod(f, xp, x, *, axis=None, dtype=None, include_initial=False):
    y = f(x, axis=axis, dtype=dtype, include_initial=include_initial)
    along = 0 if axis is None else axis

    def pull(dy):  # of x != 0
        z = y
        if include_initial:
            dy, z = _without_initial(dy, along, len(x.shape)), _without_initial(y, along, len(x.shape))
        return cast(xp, xp.flip(xp.cumulative_sum(xp.flip(dy * z, axis=along), axis=along), axis=along) / x, x)

    return y, pull


RULES: dict[str, Any] = {
    "sum": sum,
    "mean": mean,
    "var": var,
    "std": std,
    "max": max,
    "min": min,
    "prod": prod,
    "cumulative_sum": cumulative_sum,
    "cumulative_prod": cumulative_prod,
}
