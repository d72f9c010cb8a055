"""Tracked arrays of functions that return several arrays."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from nnx.autodiff.array import TrackedArray, recorded
from nnx.autodiff.tape import Tape
from nnx.pullbacks import LayerPullback, Skippable


class Parts:
    """The cotangents of several arrays that one entry of a tape returned: None for those that nobody used."""

    __slots__ = ("parts",)

    def __init__(self, parts: list[Any]) -> None:
        self.parts = parts

    def __add__(self, other: Parts) -> Parts:
        return Parts(
            [b if a is None else a if b is None else a + b for a, b in zip(self.parts, other.parts, strict=True)]
        )


def record_several(
    tape: Tape,
    kind: type[TrackedArray],
    values: Sequence[Any],
    indices: tuple[int | None, ...],
    pullback: Callable[..., Any],
) -> list[TrackedArray]:
    """Arrays that one function returned, as tracked ones.

    indices : of the function's arguments. pullback : of a list of cotangents, to those of the arguments.
    """
    zeros = kind.xp.base.zeros_like
    whole = tape.add((None, indices, _of_parts(pullback, values, zeros), None))
    count = len(values)

    def pick(position: int) -> Callable[[Any], Parts]:
        return lambda dy: Parts([dy if i == position else None for i in range(count)])

    return [recorded(kind, value, tape, (whole, None, pick(i), None)) for i, value in enumerate(values)]


def _of_parts(pullback: Callable[..., Any], values: Sequence[Any], zeros: Callable[[Any], Any]) -> Callable[..., Any]:
    def complete(dy: Parts) -> list[Any]:
        return [zeros(value) if part is None else part for part, value in zip(dy.parts, values, strict=True)]

    if isinstance(pullback, LayerPullback | Skippable):
        return Skippable(lambda dy, inputs: pullback(complete(dy), inputs=inputs))
    return lambda dy: pullback(complete(dy))
