"""Operators of tracked arrays. The four that array code is full of are written out: that halves what they cost."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from nnx.autodiff.array import TrackedArray
from nnx.autodiff.broadcasting import sum_to
from nnx.autodiff.guards import divisor
from nnx.autodiff.record import leaf, mask_of_two
from nnx.autodiff.tape import Entry
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
        define(f"__i{name}__", _undefined(name))
    define("__invert__", _undefined("invert"))
    for name, function in _fast(kind, xp).items():
        define(name, function)


def _undefined(name: str) -> Any:
    def refuse(*operands: Any) -> Any:
        raise TypeError(f"{name} is an operator of integers and bools, not of floating-point arrays")

    return refuse


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
    """+ - * / of two arrays of one tape, or of one and a number of Python.

    Of two arrays that are alike, so is what they are combined to, and its cotangent. A number beside an array of NumPy
    becomes an array, since NumPy takes twice the time for one of Python. Everything else goes the general way, and so
    does all of a library whose arrays refuse tracked ones on their right, as those of an outer tape are.

    Their last lines are those of `recorded`, without the call.
    """
    if xp.refuses_others:
        return {}
    as_array = np.asarray

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

    def add(a: Any, b: Any) -> Any:
        entry: Entry
        of_b = type(b)
        tape = a.tape
        if of_b is kind and b.tape is tape:
            va = a.value
            vb = b.value
            y = va + vb
            if va.shape == vb.shape and va.dtype == vb.dtype:
                entry = a.index, b.index, _both, None
            else:
                entry = a.index, b.index, of_sum, (va, vb)
        elif of_b is float and b:
            va = a.value
            if type(va) is np.ndarray:
                b = as_array(b, va.dtype)
            y = va + b
            entry = a.index, None, _same, None
        else:
            return add(a, leaf(b, kind)) if of_b is Parameter else xp.add(a, b)
        made = kind()
        made.value = y
        made.tape = tape
        if tape.masked:
            made.mask = mask_of_two(a, b, y)
        entries = tape.entries
        made.index = len(entries)
        entries.append(entry)
        return made

    def subtract(a: Any, b: Any) -> Any:
        entry: Entry
        of_b = type(b)
        tape = a.tape
        if of_b is kind and b.tape is tape:
            va = a.value
            vb = b.value
            y = va - vb
            if va.shape == vb.shape and va.dtype == vb.dtype:
                entry = a.index, b.index, _both_signs, None
            else:
                entry = a.index, b.index, of_difference, (va, vb)
        elif of_b is float and b:
            va = a.value
            if type(va) is np.ndarray:
                b = as_array(b, va.dtype)
            y = va - b
            entry = a.index, None, _same, None
        else:
            return subtract(a, leaf(b, kind)) if of_b is Parameter else xp.subtract(a, b)
        made = kind()
        made.value = y
        made.tape = tape
        if tape.masked:
            made.mask = mask_of_two(a, b, y)
        entries = tape.entries
        made.index = len(entries)
        entries.append(entry)
        return made

    def multiply(a: Any, b: Any) -> Any:
        entry: Entry
        of_b = type(b)
        tape = a.tape
        if of_b is kind and b.tape is tape:
            va = a.value
            vb = b.value
            y = va * vb
            if va.shape == vb.shape and va.dtype == vb.dtype:
                entry = a.index, b.index, _times_each_other, (va, vb)
            else:
                entry = a.index, b.index, of_product, (va, vb)
        elif of_b is float and b:
            va = a.value
            if type(va) is np.ndarray:
                b = as_array(b, va.dtype)
            y = va * b
            entry = a.index, None, operator.mul, b
        else:
            return multiply(a, leaf(b, kind)) if of_b is Parameter else xp.multiply(a, b)
        made = kind()
        made.value = y
        made.tape = tape
        if tape.masked:
            made.mask = mask_of_two(a, b, y)
        entries = tape.entries
        made.index = len(entries)
        entries.append(entry)
        return made

    def divide(a: Any, b: Any) -> Any:
        entry: Entry
        of_b = type(b)
        tape = a.tape
        if of_b is kind and b.tape is tape:
            va = a.value
            vb = b.value
            y = va / vb
            if va.shape == vb.shape and va.dtype == vb.dtype:
                entry = a.index, b.index, of_like_quotient, (va, vb, y)
            else:
                entry = a.index, b.index, of_quotient, (va, vb, y)
        elif of_b is float and b:
            va = a.value
            if type(va) is np.ndarray:
                b = as_array(b, va.dtype)
            y = va / b
            entry = a.index, None, operator.truediv, b
        else:
            return divide(a, leaf(b, kind)) if of_b is Parameter else xp.divide(a, b)
        made = kind()
        made.value = y
        made.tape = tape
        if tape.masked:
            made.mask = mask_of_two(a, b, y)
        entries = tape.entries
        made.index = len(entries)
        entries.append(entry)
        return made

    return {"__add__": add, "__sub__": subtract, "__mul__": multiply, "__truediv__": divide}
