"""Results where there is room for one number."""

from __future__ import annotations

from typing import Any


def as_number(value: Any) -> float | None:
    """A number as it is; the mean of several, as in Keras's progress bar; None for a table of numbers.

    value : a result of a metric on the host: a number, or a NumPy array.
    """
    rank = len(getattr(value, "shape", ()))
    if rank > 1:
        return None
    return float(value.mean()) if rank else value
