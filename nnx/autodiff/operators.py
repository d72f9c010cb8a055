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

    def add(a: Any, b: Any) -> Any:
        tape = a.tape
        if type(b) is Parameter:
            b = leaf(b, kind)
        if type(b) is kind and b.tape is tape:
            va, vb = a.value, b.value
            alike = va.shape == vb.shape and va.dtype == vb.dtype
            pull = _both if alike else lambda dy: (fit(dy, va), fit(dy, vb))
            tracked = recorded(kind, va + vb, tape, ((a.index, b.index), pull))
            if a.mask is not None or b.mask is not None:
                tracked.mask = mask_of_two(a, b, tracked.value)
            return tracked
        if type(b) is float:
            tracked = recorded(kind, a.value + b, tape, (a.index, _same))
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
            pull = _both_signs if alike else lambda dy: (fit(dy, va), fit(-dy, vb))
            tracked = recorded(kind, va - vb, tape, ((a.index, b.index), pull))
            if a.mask is not None or b.mask is not None:
                tracked.mask = mask_of_two(a, b, tracked.value)
            return tracked
        if type(b) is float:
            tracked = recorded(kind, a.value - b, tape, (a.index, _same))
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
            if va.shape == vb.shape and va.dtype == vb.dtype:
                entry = (a.index, b.index), lambda dy: (dy * vb, dy * va)
            else:
                entry = (a.index, b.index), lambda dy: (fit(dy * vb, va), fit(dy * va, vb))
            tracked = recorded(kind, va * vb, tape, entry)
            if a.mask is not None or b.mask is not None:
                tracked.mask = mask_of_two(a, b, tracked.value)
            return tracked
        if type(b) is float:
            tracked = recorded(kind, a.value * b, tape, (a.index, lambda dy: dy * b))
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
            alike = va.shape == vb.shape and va.dtype == vb.dtype
            y = va / vb

            def pull(dy: Any) -> Any:
                safe = divisor(xp, dy, vb)
                first = dy / safe
                second = first * -(y if safe is vb else va / safe)
                return (first, second) if alike else (fit(first, va), fit(second, vb))

            tracked = recorded(kind, y, tape, ((a.index, b.index), pull))
            if a.mask is not None or b.mask is not None:
                tracked.mask = mask_of_two(a, b, tracked.value)
            return tracked
        if type(b) is float and b:
            tracked = recorded(kind, a.value / b, tape, (a.index, lambda dy: dy / b))
            if a.mask is not None:
                tracked.mask = a.mask
            return tracked
        return xp.divide(a, b)

    def matmul(a: Any, b: Any) -> Any:
        if type(b) is kind and b.tape is a.tape:
            va, vb = a.value, b.value
            plain = type(va) is not kind and type(vb) is not kind
            if plain and va.ndim == vb.ndim == 2 and a.mask is None and b.mask is None:
                pull_first, pull_second = of_matrices(xp, va, vb)
                entry = ((a.index, pull_first), (b.index, pull_second)), None
                return recorded(kind, va @ vb, a.tape, entry)
        return xp.matmul(a, b)

    return {"__matmul__": matmul, "__add__": add, "__sub__": subtract, "__mul__": multiply, "__truediv__": divide}
