"""One seed for every source of random numbers."""

from __future__ import annotations

import operator
import random

import numpy as np

from nnx.arguments import is_integer
from nnx.random import set_seed


def set_random_seed(seed: int) -> None:
    """Seed Python's `random`, NumPy's global generator and the random stream of nnx. Call it before building a model.

    seed : an integer from 0 to 2**32 - 1, the range of NumPy's global generator; else ValueError.
    """
    if not is_integer(seed, 0) or operator.index(seed) >= 1 << 32:
        raise ValueError(f"seed must be an integer from 0 to 2**32 - 1, got {seed!r}")
    seed = operator.index(seed)
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002, scripts draw from it
    set_seed(seed)
