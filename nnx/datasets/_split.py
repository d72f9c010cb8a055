"""A fixed division into training and test data."""

from __future__ import annotations

import numpy as np

from nnx.random import Generator

Pair = tuple[np.ndarray, np.ndarray]


def split(x: np.ndarray, y: np.ndarray, test_split: float, seed: int) -> tuple[Pair, Pair]:
    """Shuffle the rows in an order that only the seed decides, then part them: `(x_train, y_train), (x_test, y_test)`.

    test_split : the fraction of the rows that is for testing, from 0 to below 1.
    """
    check_test_split(test_split)
    order = Generator(seed).permutation(len(x))
    train, test = np.split(order, [max(1, int(len(x) * (1.0 - test_split)))])
    return (x[train], y[train]), (x[test], y[test])


def check_test_split(test_split: float) -> None:
    """ValueError for what is no fraction of rows."""
    if not 0.0 <= test_split < 1.0:
        raise ValueError(f"test_split must be a fraction from 0 to below 1, got {test_split!r}")
