"""Small number of the process that tutorials add before they divide; `nnx.backend` and `nnx.config` hand it out."""

from __future__ import annotations

import math

from nnx.arguments import is_number
from nnx.user_warnings import warn_user

__all__ = ["EPSILON", "epsilon", "set_epsilon"]

EPSILON = 1e-7
_epsilon = EPSILON


def epsilon() -> float:
    """Small number that tutorials add before they divide or take a logarithm: 1e-7 unless `set_epsilon` was called.

    >>> epsilon()
    1e-07
    """
    return _epsilon


def set_epsilon(value: float) -> None:
    """Another number for `epsilon()`, above 0. Losses, metrics and layers of nnx keep theirs, which a warning says.

    >>> set_epsilon(1e-7)
    """
    global _epsilon
    if not is_number(value) or not 0.0 < float(value) < math.inf:
        raise ValueError(f"epsilon must be a positive number, got {value!r}")
    _epsilon = float(value)
    if _epsilon != EPSILON:
        warn_user("K.set_epsilon changes what K.epsilon() returns; losses, metrics and layers of nnx keep their 1e-7")
