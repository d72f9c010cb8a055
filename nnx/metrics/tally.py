"""Tally: sums over batches that lose nothing, where float32 counts would stand still at 2**24."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nnx.backends import Array, array_namespace, is_array
from nnx.functional.loss_functions import add_to_sum


class Tally:
    """A running sum of numbers, or of arrays of one shape on their device: exact, or right to the last digit."""

    def __init__(self) -> None:
        self._number: float | None = None
        self._whole: Array | None = None
        self._sums: Array | None = None  # see `add_to_sum`

    def add(self, amount: Any) -> None:
        """Take in a number of Python, an array of counts, or one of floating numbers."""
        if isinstance(amount, int) or type(amount) is float:  # NumPy's own float64 is a float of Python, and an array
            self._number = amount + (self._number or 0)
        elif self._sums is not None and amount.dtype == self._sums.dtype:  # as usual
            self._sums = add_to_sum(amount, 1.0, self._sums)
        elif array_namespace(amount).isdtype(amount.dtype, "integral"):
            self._whole = amount if self._whole is None else self._whole + amount
        else:
            self._sums = add_to_sum(amount, 1.0, self._sums)

    def state(self) -> dict[str, Array | float | None]:
        """What a checkpoint keeps."""
        return {"number": self._number, "whole": self._whole, "sums": self._sums}

    def set_state(self, state: Mapping[str, Array | float | None]) -> None:
        """Go on from what `state` returned, with arrays on the device that the next batches are on."""
        number, whole, sums = state["number"], state["whole"], state["sums"]
        if not isinstance(number, int | float | None):
            raise TypeError(f"a running sum cannot be {number!r}")
        for value in (whole, sums):
            if not (value is None or is_array(value)):
                raise TypeError(f"a running sum cannot be {value!r}")
        self._number, self._whole, self._sums = number, whole, sums

    @property
    def has_only_numbers(self) -> bool:
        """Whether numbers were added, and no arrays: of a metric that has taken in batches without a row, 0."""
        return self._number is not None and self._whole is None and self._sums is None

    def value(self) -> Array | None:
        """The sum so far: an array, of integers if there were no others; a number if there were only numbers.

        None before anything was added.
        """
        total = None if self._sums is None else self._sums[0, ...]
        if self._whole is not None:
            whole = self._whole
            total = whole if total is None else total + array_namespace(total).astype(whole, total.dtype)
        if total is None or self._number is None:
            return self._number if total is None else total
        return total + self._number
