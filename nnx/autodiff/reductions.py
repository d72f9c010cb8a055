"""Derivatives of reductions and of running sums and products."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Final

import numpy as np

from nnx.autodiff.broadcasting import cast, ones, reduced_axes, reopen, sum_dtype, zeros
from nnx.autodiff.rule import Function, Pull
from nnx.backends import Array, Namespace

Axes = int | tuple[int, ...] | None
Result = tuple[Array, Pull]


def _check_dtype(xp: Namespace, name: str, dtype: Any) -> None:
    if dtype is not None and not xp.isdtype(dtype, "real floating"):
        raise TypeError(
            f"{name}: a tracked array has no derivative as {dtype}; leave dtype= away, or take nnx.stop_gradient(x)"
        )


def _sum(
    f: Function, xp: Namespace, x: Array, *, axis: Axes = None, dtype: Any = None, keepdims: bool = False
) -> Result:
    _check_dtype(xp, "sum", dtype)
    y = f(x, axis=axis, dtype=dtype, keepdims=keepdims)
    return y, lambda dy: _spread(xp, dy, x, axis, keepdims)


def sum_of(base: Any) -> Function:
    """The sum of a library. What NumPy does around that of an array takes more time than the sum of a small one."""
    reduce: Any = np.add.reduce

    def total(x: Any, /, *, axis: Axes = None, dtype: Any = None, keepdims: bool = False) -> Any:
        if type(x) is np.ndarray:
            return reduce(x, axis, dtype, None, keepdims)
        return base.sum(x, axis=axis, dtype=dtype, keepdims=keepdims)

    return total


def _spread(xp: Namespace, dy: Array, x: Array, axis: Axes, keepdims: bool) -> Array:
    """The result of a reduction in the shape and dtype of x."""
    if axis is not None:
        dy = reopen(xp, dy, x, axis, keepdims)
    return xp.spread(dy, x) if type(dy) is not xp.kind else cast(xp, dy * ones(xp, x), x)


def _mean(f: Function, xp: Namespace, x: Array, *, axis: Axes = None, keepdims: bool = False) -> Result:
    y = f(x, axis=axis, keepdims=keepdims)
    count = math.prod(x.shape[i] for i in reduced_axes(x, axis)) or 1
    return y, lambda dy: _spread(xp, dy * (1.0 / count), x, axis, keepdims)


def _var(
    f: Function, xp: Namespace, x: Array, *, axis: Axes = None, correction: float = 0.0, keepdims: bool = False
) -> Result:
    y = f(x, axis=axis, correction=correction, keepdims=keepdims)
    scale = 2.0 * _reciprocal(x, axis, correction)

    def pull(dy: Array) -> Array:
        return reopen(xp, dy, x, axis, keepdims) * (x - xp.mean(x, axis=axis, keepdims=True)) * scale

    return y, pull


def _std(
    f: Function, xp: Namespace, x: Array, *, axis: Axes = None, correction: float = 0.0, keepdims: bool = False
) -> Result:
    y = f(x, axis=axis, correction=correction, keepdims=keepdims)
    scale = _reciprocal(x, axis, correction)

    def pull(dy: Array) -> Array:
        even = xp.logical_not(y > 0)  # 0, or NaN where there are too few elements
        slope = xp.where(even, 0.0, dy) / xp.where(even, 1.0, y)
        return reopen(xp, slope, x, axis, keepdims) * (x - xp.mean(x, axis=axis, keepdims=True)) * scale

    return y, pull


def _reciprocal(x: Array, axis: Axes, correction: float) -> float:
    """1 / (how many elements a variance is of), 0 where there are too few."""
    count = math.prod(x.shape[i] for i in reduced_axes(x, axis)) - correction
    return 1.0 / count if count > 0 else 0.0


def _extremum(f: Function, xp: Namespace, x: Array, *, axis: Axes = None, keepdims: bool = False) -> Result:
    """Of a maximum or minimum: all elements that are equal to it have equal shares; else those that are NaN."""
    y = f(x, axis=axis, keepdims=keepdims)

    def pull(dy: Array) -> Array:
        hit = xp.logical_or(x == reopen(xp, y, x, axis, keepdims), x != x)
        count = xp.sum(xp.astype(hit, sum_dtype(xp, dy)), axis=axis, keepdims=True)
        return xp.where(hit, reopen(xp, dy, x, axis, keepdims) / cast(xp, count, dy), 0.0)

    return y, pull


def _prod(
    f: Function, xp: Namespace, x: Array, *, axis: Axes = None, dtype: Any = None, keepdims: bool = False
) -> Result:
    """Of each element the product of all others: of those before it and those behind, without a division."""
    _check_dtype(xp, "prod", dtype)
    y = f(x, axis=axis, dtype=dtype, keepdims=keepdims)

    def pull(dy: Array) -> Array:
        axes = reduced_axes(x, axis)
        rest = [i for i in range(len(x.shape)) if i not in axes]
        order = (*rest, *axes)
        flat = xp.reshape(xp.permute_dims(x, order), (*[x.shape[i] for i in rest], math.prod(x.shape[i] for i in axes)))
        before = _product_before(xp, flat)
        behind = xp.flip(_product_before(xp, xp.flip(flat, axis=-1)), axis=-1)
        others = xp.reshape(before * behind, tuple(x.shape[i] for i in order))
        others = xp.permute_dims(others, tuple(order.index(i) for i in range(len(order))))
        return cast(xp, others * reopen(xp, dy, x, axis, keepdims), x)

    return y, pull


def _product_before(xp: Namespace, x: Array) -> Array:
    """For each element along the last axis the product of those before it."""
    if not x.shape[-1]:
        return x
    return xp.cumulative_prod(xp.concat([ones(xp, x[..., :1]), x[..., :-1]], axis=-1), axis=-1)


def _cumulative_sum(
    f: Function,
    xp: Namespace,
    x: Array,
    *,
    axis: int | None = None,
    dtype: Any = None,
    include_initial: bool = False,
) -> Result:
    _check_dtype(xp, "cumulative_sum", dtype)
    y = f(x, axis=axis, dtype=dtype, include_initial=include_initial)
    along = 0 if axis is None else axis

    def pull(dy: Array) -> Array:
        if include_initial:
            dy = _without_first(dy, along, len(x.shape))
        sums = xp.cumulative_sum(xp.flip(dy, axis=along), axis=along, dtype=sum_dtype(xp, dy))
        return cast(xp, xp.flip(sums, axis=along), x)

    return y, pull


def _cumulative_prod(
    f: Function,
    xp: Namespace,
    x: Array,
    *,
    axis: int | None = None,
    dtype: Any = None,
    include_initial: bool = False,
) -> Result:
    """Of each element the product before it times s, where s[i] = dy[i] + x[i + 1] s[i + 1]: no division.

    The recurrence takes log2(n) steps, each of which looks twice as far ahead (Hillis and Steele, 1986).
    """
    _check_dtype(xp, "cumulative_prod", dtype)
    y = f(x, axis=axis, dtype=dtype, include_initial=include_initial)
    along, rank = (0 if axis is None else axis % len(x.shape)), len(x.shape)

    def pull(dy: Array) -> Array:
        if 0 in x.shape:
            return zeros(xp, x)
        if include_initial:
            dy = _without_first(dy, along, rank)
        last, sums = xp.moveaxis(x, along, -1), xp.moveaxis(dy, along, -1)
        products, step = _ahead(xp, last, 1), 1
        while step < last.shape[-1]:
            sums = sums + products * _ahead(xp, sums, step)
            products, step = products * _ahead(xp, products, step), 2 * step
        return cast(xp, xp.moveaxis(_product_before(xp, last) * sums, -1, along), x)

    return y, pull


def _ahead(xp: Namespace, x: Array, step: int) -> Array:
    """For each element along the last axis the one `step` places behind it, 0 behind the last."""
    return xp.concat([x[..., step:], zeros(xp, x[..., :step])], axis=-1)


def _without_first(dy: Array, axis: int, rank: int) -> Array:
    return dy[(*[slice(None)] * (axis % rank), slice(1, None), ...)]


RULES: Final[dict[str, Callable[..., Result]]] = {
    "cumulative_prod": _cumulative_prod,
    "cumulative_sum": _cumulative_sum,
    "max": _extremum,
    "mean": _mean,
    "min": _extremum,
    "prod": _prod,
    "std": _std,
    "sum": _sum,
    "var": _var,
}
"""By the name in the standard."""
