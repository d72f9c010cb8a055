"""The range in which the values of images lie."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Self

from nnx.arguments import number
from nnx.backends import Array, array_namespace
from nnx.ops.arithmetic import clip


@dataclasses.dataclass(frozen=True)
class ValueRange:
    """The lowest and the highest value that pixels may have."""

    low: float
    high: float

    @classmethod
    def read(cls, layer: str, given: Sequence[float]) -> Self:
        """What a layer was given as `value_range`; ValueError for anything but two different numbers."""
        what = f"{layer}: value_range"
        if not isinstance(given, list | tuple) or len(given) != 2:
            raise ValueError(f"{what} must be a pair of numbers such as (0, 255), got {given!r}")
        low, high = sorted(number(what, limit) for limit in given)
        if low == high:
            raise ValueError(f"{what} must have two different numbers, got {given!r}")
        return cls(low, high)

    def limited(self, x: Array) -> Array:
        """Values in the range: those outside are its ends."""
        limited: Array = clip(x, self.low, self.high)  # the namespace's own would wait for a GPU
        return limited

    def to_zero(self, x: Array, top: float) -> Array:
        """Values of the range as those from 0 to `top`."""
        return x if (self.low, self.high) == (0.0, top) else (x - self.low) / (self.high - self.low) * top

    def to_steps(self, x: Array, last: float) -> Array:
        """Values of the range as whole numbers from 0 to `last`, rounded down.

        What is a whole number of 0 to 255 but for the rounding of the scale counts as that.
        """
        bytes_ = self.to_zero(x, 255.0)
        bytes_ = bytes_ if bytes_ is x else bytes_ + 2.0**-9
        return array_namespace(x).floor(clip(bytes_ if last == 255 else bytes_ * last / 255.0, 0.0, last))

    def from_zero(self, x: Array, top: float) -> Array:
        """Values from 0 to `top` as those of the range."""
        return x if (self.low, self.high) == (0.0, top) else x / top * (self.high - self.low) + self.low
