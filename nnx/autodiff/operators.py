"""Operators of tracked arrays. The five that array code is full of are written out: that halves what they cost."""

from __future__ import annotations

from typing import Any

from nnx.autodiff.array import TrackedArray, recorded
from nnx.autodiff.broadcasting import sum_to
from nnx.autodiff.guards import divisor
from nnx.autodiff.products import of_matrices
from nnx.autodiff.record import leaf, mask_of_two
from nnx.parameters import Parameter

_NAMES = {
    "add": "add",
    "sub": "subtract",
    "mul": "multiply",
    "truediv": "divide",
    "pow": "pow",
    "mod": "remainder",
    "floordiv": "floor_divide",
    "matmul": "matmul",
}
_COMPARISONS = {
    "lt": "less",
    "le": "less_equal",
    "gt": "greater",
    "ge": "greater_equal",
    "eq": "equal",
    "ne": "not_equal",
}
_SIGNS = {"neg": "negative", "pos": "positive", "abs": "abs"}


def operators(kind: type[TrackedArray]) -> None:
    """Give a class of tracked arrays its operators, from the functions of its namespace."""
    xp = kind.xp

    def define(name: str, function: Any) -> None:
        function.__name__ = name
        setattr(kind, name, function)

    for name, of in _NAMES.items():
        function = getattr(xp, of)
        define(f"__{name}__", lambda a, b, function=function: function(a, b))
        define(f"__r{name}__", lambda a, b, function=function: function(b, a))
        define(f"__i{name}__", lambda a, b, function=function: a.changed_to(function(a, b)))
    for name, of in _COMPARISONS.items():
        function = getattr(xp, of)
        define(f"__{name}__", lambda a, b, function=function: function(a, b))
    for name, of in _SIGNS.items():
        function = getattr(xp, of)
        define(f"__{name}__", lambda a, function=function: function(a))
    for name in ("and", "or", "xor", "lshift", "rshift"):
        define(f"__{name}__", _undefined(name))
        define(f"__r{name}__", _undefined(name))
    define("__invert__", _undefined("invert"))
    for name, function in _fast(kind, xp).items():
        define(name, function)


def _undefined(name: str) -> Any:
    def refuse(*operands: Any) -> Any:
        raise TypeError(f"{name} is an operator of integers and bools, not of floating-point arrays")

    return refuse


def _times(dy: Any, by: Any) -> Any:
    return dy * by


def _over(dy: Any, by: Any) -> Any:
    return dy / by


def _times_each_other(dy: Any, kept: Any) -> tuple[Any, Any]:
    a, b = kept
    return dy * b, dy * a


def _same(dy: Any) -> Any:
    return dy


def _both(dy: Any) -> tuple[Any, Any]:
    return dy, dy


def _both_signs(dy: Any) -> tuple[Any, Any]:
    return dy, -dy


def _fast(kind: type[TrackedArray], xp: Any) -> dict[str, Any]:
    """+ - * / of two arrays of one tape, or of one and a number of Python, and @ of two matrices.

    Of two arrays that are alike, so is what they are combined to, and its cotangent. Everything else goes the general
    way.
    """

    def fit(dy: Any, like: Any) -> Any:
        return dy if dy.shape == like.shape and dy.dtype == like.dtype else sum_to(xp, dy, like)

    def of_sum(dy: Any, kept: Any) -> tuple[Any, Any]:
        a, b = kept
        return fit(dy, a), fit(dy, b)

    def of_difference(dy: Any, kept: Any) -> tuple[Any, Any]:
        a, b = kept
        return fit(dy, a), fit(-dy, b)

    def of_product(dy: Any, kept: Any) -> tuple[Any, Any]:
        a, b = kept
        return fit(dy * b, a), fit(dy * a, b)

    def of_quotient(dy: Any, kept: Any) -> tuple[Any, Any]:
        a, b, y = kept
        safe = divisor(xp, dy, b)
        first = dy / safe
        second = first * -(y if safe is b else a / safe)
        return (first, second) if a.shape == b.shape and a.dtype == b.dtype else (fit(first, a), fit(second, b))

    pulls_of_matrices = of_matrices(xp)

    def add(a: Any, b: Any) -> Any:
        tape = a.tape
        if type(b) is Parameter:
            b = leaf(b, kind)
        if type(b) is kind and b.tape is tape:
            va, vb = a.value, b.value
            alike = va.shape == vb.shape and va.dtype == vb.dtype
            pull, kept = (_both, None) if alike else (of_sum, (va, vb))
            tracked = recorded(kind, va + vb, tape, (a.index, b.index, pull, kept))
            if a.mask is not None or b.mask is not None:
                tracked.mask = mask_of_two(a, b, tracked.value)
            return tracked
        if type(b) is float:
            tracked = recorded(kind, a.value + b, tape, (a.index, None, _same, None))
            if a.mask is not None:
                tracked.mask = a.mask
            return tracked
        return xp.add(a, b)

    def subtract(a: Any, b: Any) -> Any:
        tape = a.tape
        if type(b) is Parameter:
            b = leaf(b, kind)
        if type(b) is kind and b.tape is tape:
            va, vb = a.value, b.value
            alike = va.shape == vb.shape and va.dtype == vb.dtype
            pull, kept = (_both_signs, None) if alike else (of_difference, (va, vb))
            tracked = recorded(kind, va - vb, tape, (a.index, b.index, pull, kept))
            if a.mask is not None or b.mask is not None:
                tracked.mask = mask_of_two(a, b, tracked.value)
            return tracked
        if type(b) is float:
            tracked = recorded(kind, a.value - b, tape, (a.index, None, _same, None))
            if a.mask is not None:
                tracked.mask = a.mask
            return tracked
        return xp.subtract(a, b)

    def multiply(a: Any, b: Any) -> Any:
        tape = a.tape
        if type(b) is Parameter:
            b = leaf(b, kind)
        if type(b) is kind and b.tape is tape:
            va, vb = a.value, b.value
            pull = _times_each_other if va.shape == vb.shape and va.dtype == vb.dtype else of_product
            tracked = recorded(kind, va * vb, tape, (a.index, b.index, pull, (va, vb)))
            if a.mask is not None or b.mask is not None:
                tracked.mask = mask_of_two(a, b, tracked.value)
            return tracked
        if type(b) is float:
            tracked = recorded(kind, a.value * b, tape, (a.index, None, _times, b))
            if a.mask is not None:
                tracked.mask = a.mask
            return tracked
        return xp.multiply(a, b)

    def divide(a: Any, b: Any) -> Any:
        tape = a.tape
        if type(b) is Parameter:
            b = leaf(b, kind)
        if type(b) is kind and b.tape is tape:
            va, vb = a.value, b.value
            y = va / vb
            tracked = recorded(kind, y, tape, (a.index, b.index, of_quotient, (va, vb, y)))
            if a.mask is not None or b.mask is not None:
                tracked.mask = mask_of_two(a, b, tracked.value)
            return tracked
        if type(b) is float and b:
            tracked = recorded(kind, a.value / b, tape, (a.index, None, _over, b))
            if a.mask is not None:
                tracked.mask = a.mask
            return tracked
        return xp.divide(a, b)

    def matmul(a: Any, b: Any) -> Any:
        if type(b) is kind and b.tape is a.tape:
            va, vb = a.value, b.value
            plain = type(va) is not kind and type(vb) is not kind
            if plain and va.ndim == vb.ndim == 2 and a.mask is None and b.mask is None:
                return recorded(kind, va @ vb, a.tape, (None, (a.index, b.index), pulls_of_matrices, (va, vb)))
        return xp.matmul(a, b)

    return {"__matmul__": matmul, "__add__": add, "__sub__": subtract, "__mul__": multiply, "__truediv__": divide}
