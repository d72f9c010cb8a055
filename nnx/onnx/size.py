"""Sizes that are open in an exported graph: the batch, the steps of a sequence.

Integer arithmetic on them is exact. Used as a number, an open size raises a TypeError that says which one it is.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import Any, NoReturn

import numpy as np

from nnx.onnx.array import RecordedArray, constant, integers, node

_LARGE = 1 << 20
"""What an open size counts as in comparisons: what is decided by a size is decided as for large data."""


@dataclasses.dataclass(frozen=True)
class OpenAxis:
    """An axis of an input whose size is not known. label : in the file, such as "batch"."""

    label: str
    input: str
    axis: int

    def __str__(self) -> str:
        return self.label

    def hint(self) -> int:
        return _LARGE

    def tensor(self) -> RecordedArray:
        source = RecordedArray((), np.int64, name=self.input)  # an input is known by its name
        return node("Shape", [source], (1,), np.int64, start=self.axis, end=self.axis + 1)  # type: ignore[no-any-return]


@dataclasses.dataclass(frozen=True)
class Quotient:
    """numerator // divisor, where it does not come out even."""

    numerator: Size
    divisor: int

    def __str__(self) -> str:
        return f"(({self.numerator}) // {self.divisor})"

    def hint(self) -> int:
        return self.numerator.hint() // self.divisor

    def tensor(self) -> RecordedArray:
        return node("Div", [self.numerator.tensor(), integers(self.divisor)], (1,), np.int64)  # type: ignore[no-any-return]


Factors = tuple[OpenAxis | Quotient, ...]


class Size:
    """A polynomial in open sizes with integer coefficients. terms : the coefficient of each product of open sizes.

    Equality is exact. In comparisons with `<` an open size counts as large. Division by an integer, and by a size of
    which this is a multiple, is exact too; as a quotient of floating numbers it is computed in the graph.
    """

    __slots__ = ("terms",)

    def __init__(self, terms: dict[Factors, int]) -> None:
        self.terms = terms

    def __repr__(self) -> str:
        return " + ".join(
            " * ".join([*([str(count)] if count != 1 or not factors else []), *map(str, factors)])
            for factors, count in self.terms.items()
        )

    def __hash__(self) -> int:
        return hash(frozenset(self.terms.items()))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Size) and self.terms == other.terms

    def hint(self) -> int:
        """The number that it counts as in comparisons."""
        return sum(count * math.prod(factor.hint() for factor in factors) for factors, count in self.terms.items())

    def __add__(self, other: Any) -> Any:
        if not isinstance(other, int | Size):
            return self.number() + other
        terms = dict(self.terms)
        for factors, count in _terms_of(other).items():
            terms[factors] = terms.get(factors, 0) + count
        return _simplified(terms)

    __radd__ = __add__

    def __neg__(self) -> Any:
        return self * -1

    def __sub__(self, other: Any) -> Any:
        return self + -other

    def __rsub__(self, other: Any) -> Any:
        return -self + other

    def __mul__(self, other: Any) -> Any:
        if not isinstance(other, int | Size):
            return self.number() * other
        terms: dict[Factors, int] = {}
        for mine, count in self.terms.items():
            for theirs, other_count in _terms_of(other).items():
                factors = tuple(sorted((*mine, *theirs), key=str))
                terms[factors] = terms.get(factors, 0) + count * other_count
        return _simplified(terms)

    __rmul__ = __mul__

    def __floordiv__(self, other: Any) -> Any:
        if isinstance(other, Size):
            return self._by_size(other)
        if not isinstance(other, int):
            raise TypeError(f"the open size {self} is divided by {other!r}, expected an integer")
        even = {factors: count // other for factors, count in self.terms.items() if count % other == 0}
        rest = {factors: count for factors, count in self.terms.items() if count % other}
        if set(rest) <= {()}:
            return _simplified(even) + rest.get((), 0) // other
        return _simplified(even) + Size({(Quotient(Size(rest), other),): 1})

    def _by_size(self, other: Size) -> Any:
        if len(other.terms) == 1:
            ((divisor, count),) = other.terms.items()
            quotient = {_without(mine, divisor): own // count for mine, own in self.terms.items() if own % count == 0}
            if None not in quotient and len(quotient) == len(self.terms):
                return _simplified(quotient)  # type: ignore[arg-type]
        raise TypeError(f"the open size {self} is divided by {other}, and not known to be a multiple of it")

    def __mod__(self, other: Any) -> Any:
        return self - (self // other) * other

    def __truediv__(self, other: Any) -> Any:
        return self.number() / other

    def __rtruediv__(self, other: Any) -> Any:
        return other / self.number()

    def __lt__(self, other: Any) -> bool:
        return bool(self.hint() < hint_of(other))

    def __le__(self, other: Any) -> bool:
        return bool(self.hint() <= hint_of(other))

    def __gt__(self, other: Any) -> bool:
        return bool(self.hint() > hint_of(other))

    def __ge__(self, other: Any) -> bool:
        return bool(self.hint() >= hint_of(other))

    def __bool__(self) -> bool:
        return True

    def _refuse(self) -> NoReturn:
        raise TypeError(
            f"the size {self} is open in the exported graph, and this computation needs it as a number: give that axis "
            f"of the input a fixed size, as in Input(shape=(10, 3))"
        )

    def __index__(self) -> int:
        self._refuse()

    def __int__(self) -> int:
        self._refuse()

    def __float__(self) -> float:
        self._refuse()

    def tensor(self) -> RecordedArray:
        """The size as a vector of one integer, computed in the graph."""
        total: RecordedArray | None = None
        for factors, count in self.terms.items():
            parts = [factor.tensor() for factor in factors]
            if count != 1 or not parts:
                parts.append(integers(count))
            term = parts[0]
            for part in parts[1:]:
                term = node("Mul", [term, part], (1,), np.int64)
            total = term if total is None else node("Add", [total, term], (1,), np.int64)
        assert total is not None
        return total

    def scalar(self) -> RecordedArray:
        """The size as an integer without axes, computed in the graph."""
        return node("Squeeze", [self.tensor(), integers(0)], (), np.int64)  # type: ignore[no-any-return]

    def number(self) -> Any:
        """The size as a floating number of the graph, which takes the dtype of what it is computed with."""
        found = RecordedArray.xp.astype(self.scalar(), np.dtype(np.float64))
        found.weak = True
        return found


def hint_of(value: Any) -> Any:
    """What a number, or an open size, counts as in comparisons."""
    return value.hint() if isinstance(value, Size) else value


def open_size(label: str, input: str, axis: int) -> Size:
    """The size of an open axis of an input."""
    return Size({(OpenAxis(label, input, axis),): 1})


def has_open(sizes: Sequence[Any]) -> bool:
    """Whether one of the sizes is open."""
    return any(isinstance(size, Size) for size in sizes)


def shape_vector(sizes: Sequence[Any]) -> RecordedArray:
    """Sizes as a vector of integers: a constant, if none is open."""
    if not has_open(sizes):
        return constant(np.asarray(sizes, np.int64).reshape(-1))
    parts = [size.tensor() if isinstance(size, Size) else integers(size) for size in sizes]
    return parts[0] if len(parts) == 1 else node("Concat", parts, (len(parts),), np.int64, axis=0)


def _terms_of(value: int | Size) -> dict[Factors, int]:
    return value.terms if isinstance(value, Size) else {(): value}


def _simplified(terms: dict[Factors, int]) -> Any:
    """A number where nothing is open any more."""
    terms = {factors: count for factors, count in terms.items() if count}
    return Size(terms) if set(terms) - {()} else terms.get((), 0)


def _without(factors: Factors, divisor: Factors) -> Factors | None:
    rest = list(factors)
    for factor in divisor:
        if factor not in rest:
            return None
        rest.remove(factor)
    return tuple(rest)
