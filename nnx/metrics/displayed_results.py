"""Results of metrics where there is room for one number, as in a progress bar or a plot."""

from __future__ import annotations

from typing import Any

import numpy as np


def as_number(value: Any) -> float | None:
    """A number as it is; the mean of several, as in Keras's progress bar; None for a table of numbers.

    value : a result of a metric on the host: a number, or a NumPy array.

    >>> as_number(0.5), as_number(np.asarray([1.0, 2.0])), as_number(np.eye(2))
    (0.5, 1.5, None)
    """
    ndim = np.ndim(value)
    if ndim > 1:
        return None
    return float(np.mean(value)) if ndim else value
