"""Tally: sums over batches that lose nothing, where float32 counts would stand still at 2**24."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any

import numpy as np

from nnx.backends import Array, array_namespace, is_array
from nnx.functional.loss_functions import add_to_sum
from nnx.kernels.numpy.losses import add_numbers_to_sum

_MOST_WAITING = 64


class RunningSum:
    """A running sum of floating arrays of one shape, as `add_to_sum` adds them up.

    NumPy's single numbers, which nobody can write into, wait to be added together with those that follow: code that
    runs on and on takes a fraction of the time.

    sums : what the `sums` of another one were, to go on from there; None (default) to begin.
    """

    __slots__ = ("_sums", "_waiting")

    def __init__(self, sums: Array | None = None) -> None:
        self._sums = sums
        self._waiting: list[tuple[Array, float]] = []

    def add(self, amount: Array, factor: float = 1.0) -> None:
        """Take in amount * factor."""
        self._waiting.append((amount, factor))
        if len(self._waiting) == _MOST_WAITING or not isinstance(amount, np.generic):
            self._catch_up()

    @property
    def sums(self) -> Array | None:
        """What `add_to_sum` returned last: (2, ...). None before anything was added."""
        self._catch_up()
        return self._sums

    @property
    def value(self) -> Any:
        """The sum, on its device. None before anything was added."""
        if self._sums is None and len(self._waiting) == 1:
            amount, factor = self._waiting[0]
            return amount * factor
        sums = self.sums
        return None if sums is None else sums[0, ...]

    def _catch_up(self) -> None:
        waiting, self._waiting = self._waiting, []
        for kind, terms in itertools.groupby(waiting, lambda term: type(term[0])):
            if issubclass(kind, np.generic):
                self._sums = add_numbers_to_sum(list(terms), self._sums)
                continue
            for amount, factor in terms:
                self._sums = add_to_sum(amount, factor, self._sums)


class Tally:
    """A running sum of numbers, or of arrays of one shape on their device: exact, or right to the last digit."""

    def __init__(self) -> None:
        self._number: float | None = None
        self._whole: Array | None = None
        self._floating = RunningSum()
        self._dtype: Any = None  # of these

    def add(self, amount: Any) -> None:
        """Take in a number of Python, an array of counts, or one of floating numbers."""
        if isinstance(amount, int) or type(amount) is float:  # NumPy's own float64 is a float of Python, and an array
            self._number = amount + (self._number or 0)
        elif self._dtype is not None and amount.dtype == self._dtype:  # as usual
            self._floating.add(amount)
        elif array_namespace(amount).isdtype(amount.dtype, "integral"):
            self._whole = amount if self._whole is None else self._whole + amount
        else:
            self._dtype = amount.dtype
            self._floating.add(amount)

    def state(self) -> dict[str, Array | float | None]:
        """What a checkpoint keeps."""
        return {"number": self._number, "whole": self._whole, "sums": self._floating.sums}

    def set_state(self, state: Mapping[str, Array | float | None]) -> None:
        """Go on from what `state` returned, with arrays on the device that the next batches are on."""
        number, whole, sums = state["number"], state["whole"], state["sums"]
        if not isinstance(number, int | float | None):
            raise TypeError(f"a running sum cannot be {number!r}")
        for value in (whole, sums):
            if not (value is None or is_array(value)):
                raise TypeError(f"a running sum cannot be {value!r}")
        self._number, self._whole = number, whole
        self._floating = RunningSum(sums)
        self._dtype = getattr(sums, "dtype", None)

    @property
    def has_only_numbers(self) -> bool:
        """Whether numbers were added, and no arrays: of a metric that has taken in batches without a row, 0."""
        return self._number is not None and self._whole is None and self._dtype is None

    def value(self) -> Array | None:
        """The sum so far: an array, of integers if there were no others; a number if there were only numbers.

        None before anything was added.
        """
        total = self._floating.value
        if self._whole is not None:
            whole = self._whole
            total = whole if total is None else total + array_namespace(total).astype(whole, total.dtype)
        if total is None or self._number is None:
            return self._number if total is None else total
        return total + self._number
