"""Sums, means, extremes along axes; sorting and searching."""

from __future__ import annotations

from typing import Any

import numpy as np

from nnx.onnx.array import RecordedArray, constant, integers, made_by, node, nodes
from nnx.onnx.size import shape_vector
from nnx.onnx.standard import as_recorded, positive_axes, standard, xp


def _reduced(operator: str, x: RecordedArray, axis: Any, keepdims: bool) -> Any:
    axes = positive_axes(x, axis)
    turned = made_by(x, "Transpose")
    if turned is not None:  # the same of what was transposed, if the axes that are left are in order
        order = turned.attributes["perm"]
        left = [order[i] for i in range(x.ndim) if i not in axes]
        if keepdims or left == sorted(left):
            inner = _reduced(operator, turned.inputs[0], tuple(order[i] for i in axes), keepdims)
            return xp.permute_dims(inner, order) if keepdims else inner
    kept = [1 if i in axes else size for i, size in enumerate(x.shape)]
    shape = kept if keepdims else [size for i, size in enumerate(x.shape) if i not in axes]
    return node(operator, [x, integers(*axes)], shape, x.dtype, keepdims=int(keepdims)) if axes else x


def _summed(name: str, operator: str) -> None:
    def function(x: Any, /, *, axis: Any = None, dtype: Any = None, keepdims: bool = False) -> Any:
        if dtype is None and x.dtype.kind in "bui":
            dtype = np.uint64 if x.dtype.kind == "u" else np.int64  # as in NumPy
        return _reduced(operator, x if dtype is None else xp.astype(x, dtype), axis, keepdims)

    function.__name__ = name
    standard(function)


def _extreme(name: str, operator: str) -> None:
    def function(x: Any, /, *, axis: Any = None, keepdims: bool = False) -> Any:
        return _reduced(operator, x, axis, keepdims)

    function.__name__ = name
    standard(function)


_summed("sum", "ReduceSum")
_summed("prod", "ReduceProd")
_extreme("max", "ReduceMax")
_extreme("min", "ReduceMin")
_extreme("mean", "ReduceMean")


@standard
def any(x: Any, /, *, axis: Any = None, keepdims: bool = False) -> Any:
    counted = xp.astype(xp.astype(x, np.bool_), np.int32)
    return xp.astype(xp.max(counted, axis=axis, keepdims=keepdims), np.bool_)


@standard
def all(x: Any, /, *, axis: Any = None, keepdims: bool = False) -> Any:
    counted = xp.astype(xp.astype(x, np.bool_), np.int32)
    return xp.astype(xp.min(counted, axis=axis, keepdims=keepdims), np.bool_)


@standard
def count_nonzero(x: Any, /, *, axis: Any = None, keepdims: bool = False) -> Any:
    return xp.sum(xp.astype(xp.not_equal(x, 0), np.int64), axis=axis, keepdims=keepdims)


@standard
def var(x: Any, /, *, axis: Any = None, correction: float = 0.0, keepdims: bool = False) -> Any:
    apart = x - xp.mean(x, axis=axis, keepdims=True)
    squares = xp.mean(apart * apart, axis=axis, keepdims=keepdims)
    if not correction:
        return squares
    count: Any = 1
    for one in positive_axes(x, axis):
        count = count * x.shape[one]
    return squares * (count / (count - correction))


@standard
def std(x: Any, /, *, axis: Any = None, correction: float = 0.0, keepdims: bool = False) -> Any:
    return xp.sqrt(xp.var(x, axis=axis, correction=correction, keepdims=keepdims))


def _place_of(name: str, operator: str) -> None:
    def function(x: Any, /, *, axis: int | None = None, keepdims: bool = False) -> Any:
        if axis is None:
            return xp.reshape(getattr(xp, name)(xp.reshape(x, (-1,)), axis=0), (1,) * x.ndim if keepdims else ())
        (axis,) = positive_axes(x, axis)
        shape = [1 if i == axis else size for i, size in enumerate(x.shape)]
        found = node(operator, [x], shape, np.int64, axis=axis)
        return found if keepdims else xp.squeeze(found, axis=axis)

    function.__name__ = name
    standard(function)


_place_of("argmax", "ArgMax")
_place_of("argmin", "ArgMin")


@standard
def cumulative_sum(x: Any, /, *, axis: int | None = None, dtype: Any = None, include_initial: bool = False) -> Any:
    (axis,) = positive_axes(x, axis)
    if dtype is None and x.dtype.kind in "bui":
        dtype = np.int64
    x = x if dtype is None else xp.astype(x, dtype)
    sums = node("CumSum", [x, constant(axis, dtype=np.int64)], x.shape, x.dtype)
    if not include_initial:
        return sums
    first = tuple(1 if i == axis else size for i, size in enumerate(x.shape))
    return xp.concat([xp.zeros(first, dtype=x.dtype), sums], axis=axis)


def _in_order(x: RecordedArray, axis: int, descending: bool) -> list[RecordedArray]:
    (axis,) = positive_axes(x, axis)
    results = [(x.shape, x.dtype), (x.shape, np.int64)]
    return nodes("TopK", [x, shape_vector([x.shape[axis]])], results, axis=axis, largest=int(descending), sorted=1)


@standard
def sort(x: Any, /, *, axis: int = -1, descending: bool = False, stable: bool = True) -> Any:
    return _in_order(x, axis, descending)[0]


@standard
def argsort(x: Any, /, *, axis: int = -1, descending: bool = False, stable: bool = True) -> Any:
    return _in_order(x, axis, descending)[1]


@standard
def searchsorted(x1: Any, x2: Any, /, *, side: str = "left", sorter: Any = None) -> Any:
    x1, x2 = as_recorded(x1), as_recorded(x2)
    x1 = x1 if sorter is None else xp.take(x1, sorter, axis=0)
    values = xp.expand_dims(x2, axis=x2.ndim)
    before = xp.less(x1, values) if side == "left" else xp.less_equal(x1, values)
    return xp.sum(xp.astype(before, np.int64), axis=-1)
