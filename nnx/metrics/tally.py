"""Tally: sums over batches that lose nothing, where float32 counts would stand still at 2**24."""

from __future__ import annotations

from collections.abc import Mapping

from nnx.backends import Array, array_namespace, is_array


class Tally:
    """A running sum of arrays of one shape, on their device: of integers exact, of floating numbers compensated."""

    def __init__(self) -> None:
        self._whole: Array | None = None
        self._total: Array | None = None
        self._lost: Array | float = 0.0  # what rounding took off the total, negated

    def add(self, amount: Array) -> None:
        """Take in an array of counts, or one of sums of weights."""
        xp = array_namespace(amount)
        if xp.isdtype(amount.dtype, "integral"):
            self._whole = amount if self._whole is None else self._whole + amount
        elif self._total is None:
            self._total = amount
        else:  # the sum of two numbers and its exact rounding error (Knuth, TAOCP 2, section 4.2.2)
            total = self._total + amount
            share = total - self._total
            self._lost = self._lost + ((self._total - (total - share)) + (amount - share))
            self._total = total

    def state(self) -> dict[str, Array | float | None]:
        """What a checkpoint keeps."""
        return {"whole": self._whole, "total": self._total, "lost": self._lost}

    def set_state(self, state: Mapping[str, Array | float | None]) -> None:
        """Go on from what `state` returned, with arrays on the device that the next batches are on."""
        for value in state.values():
            if not (is_array(value) or value is None or isinstance(value, int | float)):
                raise TypeError(f"a running sum cannot be {value!r}")
        self._whole, self._total, self._lost = state["whole"], state["total"], state["lost"]

    def value(self) -> Array | None:
        """The sum so far: integers, if there were no others; None before anything was added."""
        if self._total is None:
            return self._whole
        total = self._total + self._lost
        if self._whole is None:
            return total
        return total + array_namespace(total).astype(self._whole, total.dtype)
