"""Functions of each element, and of two that are broadcast together."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from nnx.onnx.array import RecordedArray, constant, made_by
from nnx.onnx.standard import ELEMENT_TYPES, as_recorded, elementwise, host, promoted, standard, xp

_BOOL = np.dtype(bool)


def _of_one(name: str, operator: str, dtype: Any = None) -> None:
    def function(x: Any, /) -> Any:
        return elementwise(operator, as_recorded(x), dtype=dtype)

    function.__name__ = name
    standard(function)


_OF_ONE = {
    "abs": "Abs",
    "ceil": "Ceil",
    "exp": "Exp",
    "floor": "Floor",
    "log": "Log",
    "negative": "Neg",
    "sign": "Sign",
    "sqrt": "Sqrt",
    "tanh": "Tanh",
    "reciprocal": "Reciprocal",
    "round": "Round",
    "sin": "Sin",
    "cos": "Cos",
    "tan": "Tan",
    "asin": "Asin",
    "acos": "Acos",
    "atan": "Atan",
    "sinh": "Sinh",
    "cosh": "Cosh",
    "asinh": "Asinh",
    "acosh": "Acosh",
    "atanh": "Atanh",
}
for _name, _operator in _OF_ONE.items():
    _of_one(_name, _operator)
for _name, _operator in {"logical_not": "Not", "isnan": "IsNaN", "isinf": "IsInf"}.items():
    _of_one(_name, _operator, _BOOL)

_NEUTRAL = {"add": 0, "subtract": 0, "multiply": 1, "divide": 1, "pow": 1}


def _of_two(name: str, operator: str, dtype: Any = None) -> Callable[[Any, Any], Any]:
    def function(a: Any, b: Any, /) -> Any:
        a, b = promoted(a, b)
        kept = _kept_by_neutral(name, a, b)
        return elementwise(operator, a, b, dtype=dtype) if kept is None else kept

    function.__name__ = name
    return standard(function)


def _kept_by_neutral(name: str, a: RecordedArray, b: RecordedArray) -> RecordedArray | None:
    """The operand that an operation leaves as it is, because the other one is 0, or 1."""
    for x, other in ((a, b), (b, a)) if name in ("add", "multiply") else ((a, b),):
        value = other.value
        if value is not None and value.size == 1 and other.ndim <= x.ndim and value.item() == _NEUTRAL.get(name):
            return x
    return None


_OF_TWO = {"add": "Add", "subtract": "Sub", "multiply": "Mul", "pow": "Pow", "maximum": "Max"}
_COMPARED = {
    "less": "Less",
    "less_equal": "LessOrEqual",
    "greater": "Greater",
    "greater_equal": "GreaterOrEqual",
    "equal": "Equal",
    "logical_and": "And",
    "logical_or": "Or",
    "logical_xor": "Xor",
}
for _name, _operator in _OF_TWO.items():
    _of_two(_name, _operator)
for _name, _operator in _COMPARED.items():
    _of_two(_name, _operator, _BOOL)
_smaller, _quotient = _of_two("minimum", "Min"), _of_two("divide", "Div")


@standard
def minimum(a: Any, b: Any, /) -> Any:
    x, high = promoted(a, b)
    inner = made_by(x, "Max")
    if inner is not None and _is_number(high):  # a number below and a number above are one node
        y, low = inner.inputs
        if y is not None and low is not None and _is_number(low):
            return elementwise("Clip", y, constant(low.value.reshape(())), constant(high.value.reshape(())))
    return _smaller(x, high)


def _is_number(x: RecordedArray) -> bool:
    return x.value is not None and x.value.size == 1 and x.dtype.kind == "f"


@standard
def divide(a: Any, b: Any, /) -> Any:
    a, b = promoted(a, b)
    if a.dtype.kind != "f":  # as in NumPy
        a, b = astype(a, np.float64), astype(b, np.float64)
    return _quotient(a, b)


@standard
def not_equal(a: Any, b: Any, /) -> Any:
    return xp.logical_not(xp.equal(a, b))


@standard
def positive(x: Any, /) -> Any:
    return x


conj = real = positive
xp.conj, xp.real = conj, real


@standard
def remainder(a: Any, b: Any, /) -> Any:
    a, b = promoted(a, b)
    if a.dtype.kind != "f":
        return elementwise("Mod", a, b)
    return a - xp.floor(a / b) * b


@standard
def floor_divide(a: Any, b: Any, /) -> Any:
    a, b = promoted(a, b)
    if a.dtype.kind != "f":  # the node rounds towards zero
        return elementwise("Div", a - elementwise("Mod", a, b), b)
    return xp.floor(a / b)


@standard
def square(x: Any, /) -> Any:
    return x * x


@standard
def expm1(x: Any, /) -> Any:
    return xp.tanh(0.5 * x) * (xp.exp(x) + 1.0)  # exp(x) - 1, with all digits near 0


@standard
def log1p(x: Any, /) -> Any:
    return xp.log(1.0 + x)


@standard
def log2(x: Any, /) -> Any:
    return xp.log(x) * (1.0 / math.log(2.0))


@standard
def log10(x: Any, /) -> Any:
    return xp.log(x) * (1.0 / math.log(10.0))


@standard
def logaddexp(a: Any, b: Any, /) -> Any:
    a, b = promoted(a, b)
    high = xp.maximum(a, b)
    apart = xp.where(xp.equal(a, b), 0.0, xp.abs(a - b))  # of equal infinities too
    return high + log1p(xp.exp(-apart))


@standard
def hypot(a: Any, b: Any, /) -> Any:
    return xp.sqrt(a * a + b * b)


@standard
def atan2(a: Any, b: Any, /) -> Any:
    a, b = promoted(a, b)
    right = xp.atan(xp.abs(a) / xp.abs(b))
    upper = xp.where(xp.less(b, 0.0), math.pi - right, right)
    upper = xp.where(xp.logical_and(xp.equal(a, 0.0), xp.equal(b, 0.0)), 0.0, upper)
    return xp.where(xp.less(a, 0.0), -upper, upper)


@standard
def trunc(x: Any, /) -> Any:
    return x if x.dtype.kind != "f" else xp.sign(x) * xp.floor(xp.abs(x))


@standard
def isfinite(x: Any, /) -> Any:
    return xp.logical_not(xp.logical_or(xp.isnan(x), xp.isinf(x)))


@standard
def signbit(x: Any, /) -> Any:
    return xp.less(x, 0.0)


def _bitwise(name: str, logical: str) -> None:
    def function(*operands: Any) -> Any:
        if any(x.dtype != _BOOL for x in map(as_recorded, operands)):
            raise TypeError(f"{name} of integers is not exported to ONNX; of bools it is")
        return getattr(xp, logical)(*operands)

    function.__name__ = name
    standard(function)


for _name in ("and", "or", "xor"):
    _bitwise(f"bitwise_{_name}", f"logical_{_name}")
_bitwise("bitwise_invert", "logical_not")


@standard
def clip(x: Any, /, min: Any = None, max: Any = None) -> Any:
    x = x if min is None else xp.maximum(x, min)
    return x if max is None else xp.minimum(x, max)


@standard
def where(condition: Any, a: Any, b: Any, /) -> Any:
    if not isinstance(a, RecordedArray) and not isinstance(b, RecordedArray):
        a = as_recorded(a, as_recorded(b))
    a, b = promoted(a, b)
    return elementwise("Where", as_recorded(condition), a, b, dtype=a.dtype)


@standard
def astype(x: Any, dtype: Any, /, *, copy: bool = True) -> Any:
    dtype = np.dtype(dtype)
    if x.dtype == dtype:
        return x
    if dtype.name not in ELEMENT_TYPES:
        raise TypeError(f"arrays of {dtype} are not exported to ONNX")
    made = elementwise("Cast", x, dtype=dtype, to=ELEMENT_TYPES[dtype.name])
    made.weak = False
    return made


def result_type(*values: Any) -> Any:
    return host().result_type(*[x.dtype if isinstance(x, RecordedArray) else x for x in values])


xp.result_type = result_type
