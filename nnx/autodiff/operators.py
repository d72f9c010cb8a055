"""Operators of tracked arrays. The five that array code is full of are written out: that halves what they cost."""

from __future__ import annotations

from typing import Any

from nnx.autodiff.array import TrackedArray
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


def _both(dy: Any) -> tuple[Any, Any]:
    return dy, dy


def _both_signs(dy: Any) -> tuple[Any, Any]:
    return dy, -dy


def _fast(kind: type[TrackedArray], xp: Any) -> dict[str, Any]:
    """+ - * / of two arrays of one tape, or of one and a number of Python, and @ of two matrices.

    Everything else goes the general way.
    """

    def alike(a: Any, b: Any) -> Any:
        return a.shape == b.shape and a.dtype == b.dtype  # then so is what they are combined to, and its cotangent

    def fit(dy: Any, like: Any) -> Any:
        return dy if alike(dy, like) else sum_to(xp, dy, like)

    def add(a: Any, b: Any) -> Any:
        tape = a.tape
        if type(b) is Parameter:
            b = leaf(b, kind)
        if type(b) is kind and b.tape is tape:
            va, vb = a.value, b.value
            entries = tape.entries
            tracked = kind(va + vb, tape, len(entries))
            entries.append(((a.index, b.index), _both if alike(va, vb) else lambda dy: (fit(dy, va), fit(dy, vb))))
            if a.mask is not None or b.mask is not None:
                tracked.mask = mask_of_two(a, b, tracked.value)
            return tracked
        if type(b) is float:
            entries = tape.entries
            tracked = kind(a.value + b, tape, len(entries))
            entries.append((a.index, lambda dy: dy))
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
            entries = tape.entries
            tracked = kind(va - vb, tape, len(entries))
            pull = _both_signs if alike(va, vb) else lambda dy: (fit(dy, va), fit(-dy, vb))
            entries.append(((a.index, b.index), pull))
            if a.mask is not None or b.mask is not None:
                tracked.mask = mask_of_two(a, b, tracked.value)
            return tracked
        if type(b) is float:
            entries = tape.entries
            tracked = kind(a.value - b, tape, len(entries))
            entries.append((a.index, lambda dy: dy))
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
            entries = tape.entries
            tracked = kind(va * vb, tape, len(entries))
            if alike(va, vb):
                entries.append(((a.index, b.index), lambda dy: (dy * vb, dy * va)))
            else:
                entries.append(((a.index, b.index), lambda dy: (fit(dy * vb, va), fit(dy * va, vb))))
            if a.mask is not None or b.mask is not None:
                tracked.mask = mask_of_two(a, b, tracked.value)
            return tracked
        if type(b) is float:
            entries = tape.entries
            tracked = kind(a.value * b, tape, len(entries))
            entries.append((a.index, lambda dy: dy * b))
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

            def pull(dy: Any) -> Any:
                safe = divisor(xp, dy, vb)
                first = dy / safe
                return fit(first, va), fit(first * (-va / safe), vb)

            entries = tape.entries
            tracked = kind(va / vb, tape, len(entries))
            entries.append(((a.index, b.index), pull))
            if a.mask is not None or b.mask is not None:
                tracked.mask = mask_of_two(a, b, tracked.value)
            return tracked
        if type(b) is float and b:
            entries = tape.entries
            tracked = kind(a.value / b, tape, len(entries))
            entries.append((a.index, lambda dy: dy / b))
            if a.mask is not None:
                tracked.mask = a.mask
            return tracked
        return xp.divide(a, b)

    def matmul(a: Any, b: Any) -> Any:
        if type(b) is kind and b.tape is a.tape:
            va, vb = a.value, b.value
            plain = type(va) is not kind and type(vb) is not kind
            if plain and len(va.shape) == 2 and len(vb.shape) == 2 and a.mask is None and b.mask is None:
                entries = a.tape.entries
                tracked = kind(va @ vb, a.tape, len(entries))
                pull_first, pull_second = of_matrices(xp, va, vb)
                entries.append((((a.index, pull_first), (b.index, pull_second)), None))
                return tracked
        return xp.matmul(a, b)

    return {"__matmul__": matmul, "__add__": add, "__sub__": subtract, "__mul__": multiply, "__truediv__": divide}
