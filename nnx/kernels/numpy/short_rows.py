"""Rows of a few numbers, as of classes, which NumPy reduces one by one, slowly.

As columns of a copy, all of them are compared at once: the maxima of (1024, 10) take a seventh of the time, of (32, 2)
two thirds. Maxima and counts are the same in any order; sums are up to seven numbers, which NumPy adds one by one.
"""

from __future__ import annotations

from nnx.backends.base import Array

_MOST, _MOST_TO_SUM, _LEAST_ROWS = 16, 7, 16


def in_long_runs(x: Array, axis: int) -> tuple[Array, int]:
    """An array and the axis to reduce: those given, or for a matrix with short rows its transpose in memory, and 0."""
    return (x.T.copy(), 0) if _has_short_rows(x, axis, _MOST) else (x, axis)


def is_summed_in_order(x: Array, axis: int) -> bool:
    """Whether a matrix has rows so short that their sums are those of the columns of its transpose, to the last bit."""
    return _has_short_rows(x, axis, _MOST_TO_SUM)


def _has_short_rows(x: Array, axis: int, most: int) -> bool:
    """Whether x is a matrix with enough rows of at most so many numbers, and the axis is along them."""
    return x.ndim == 2 and axis in (-1, 1) and x.shape[1] <= most and x.shape[0] >= _LEAST_ROWS
