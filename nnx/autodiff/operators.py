"""Operators of tracked arrays. The five that array code is full of are written out: that halves what they cost."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from nnx.autodiff.array import TrackedArray, recorded
from nnx.autodiff.broadcasting import sum_to
from nnx.autodiff.elementwise import ARGUMENT, NOTHING, VALUE
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
        first, second = of_like_quotient(dy, kept)
        return fit(first, kept[0]), fit(second, kept[1])

    def of_like_quotient(dy: Any, kept: Any) -> tuple[Any, Any]:
        a, b, y = kept
        safe = divisor(xp, dy, b)
        first = dy / safe
        return first, first * -(y if safe is b else a / safe)

    pulls_of_matrices = of_matrices(xp)

    def matmul(a: Any, b: Any) -> Any:
        if type(b) is kind and b.tape is a.tape:
            va, vb = a.value, b.value
            plain = type(va) is not kind and type(vb) is not kind
            if plain and va.ndim == vb.ndim == 2 and a.mask is None and b.mask is None:
                return recorded(kind, va @ vb, a.tape, (None, (a.index, b.index), pulls_of_matrices, (va, vb)))
        return xp.matmul(a, b)

    return {
        "__matmul__": matmul,
        "__add__": _operator(xp, operator.add, _both, of_sum, _same, NOTHING),
        "__sub__": _operator(xp, operator.sub, _both_signs, of_difference, _same, NOTHING),
        "__mul__": _operator(xp, operator.mul, _times_each_other, of_product, _times, ARGUMENT),
        "__truediv__": _operator(xp, operator.truediv, of_like_quotient, of_quotient, _over, VALUE),
    }


def _operator(xp: Any, compute: Any, of_like: Any, of_two: Any, of_number: Any, keeps: str) -> Any:
    """One of the four. of_like, of_two, of_number : its pulls for arrays that are alike, for others, and for a number.

    keeps : whether the pulls are given nothing where they can do without, the arguments, or the value too.
    """
    kind = xp.kind
    as_array = np.asarray
    general = getattr(xp, _NAMES[compute.__name__])
    keeps_value, keeps_arguments = keeps == VALUE, keeps != NOTHING

    def function(a: Any, b: Any) -> Any:
        of_b, tape = type(b), a.tape
        if of_b is kind and b.tape is tape:
            va, vb = a.value, b.value
            y = compute(va, vb)
            if va.shape == vb.shape and va.dtype == vb.dtype:
                kept = ((va, vb, y) if keeps_value else (va, vb)) if keeps_arguments else None
                entry = a.index, b.index, of_like, kept
            else:
                entry = a.index, b.index, of_two, (va, vb, y) if keeps_value else (va, vb)
            mask = None if a.mask is None and b.mask is None else mask_of_two(a, b, y)
        elif of_b is float and b:
            va, mask = a.value, a.mask
            if type(va) is np.ndarray:
                b = as_array(b, va.dtype)  # with a number of Python NumPy takes twice the time
            y = compute(va, b)
            entry = a.index, None, of_number, b if keeps_arguments else None
        else:
            return function(a, leaf(b, kind)) if of_b is Parameter else general(a, b)
        made = kind()  # as `recorded`, without the call
        made.value = y
        made.tape = tape
        made.mask = mask
        entries = tape.entries
        made.index = len(entries)
        entries.append(entry)
        return made

    return function
