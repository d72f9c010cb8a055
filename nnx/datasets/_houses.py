"""Tables of houses with their prices: what the data sets of Boston and California share."""

from __future__ import annotations

import os

import numpy as np

from nnx.datasets._download import Source, file_of
from nnx.datasets._npz import read_npz
from nnx.datasets._split import Pair, check_test_split


def load_houses(
    source: Source,
    path: str | os.PathLike[str] | None,
    measures: int,
    test_split: float,
    seed: int,
    first: int | None = None,
) -> tuple[Pair, Pair]:
    """`(x_train, y_train), (x_test, y_test)`, in the order that Keras gives them.

    measures : how many columns there must be. first : how many of the rows to take; None for all.
    """
    check_test_split(test_split)
    path = file_of(source, path)
    x, y = read_npz(path, ("x", "y"))
    if x.shape[1:] != (measures,) or y.shape != x.shape[:1] or not x.shape[0]:
        raise ValueError(
            f"{path}: expected x of shape (n, {measures}) and y of shape (n,), got {x.shape} and {y.shape}"
        )
    measured, prices = x.read()[:first], y.read()[:first]
    order = np.random.RandomState(seed).permutation(len(measured))
    train, test = np.split(order, [int(len(order) * (1 - test_split))])
    return (measured[train], prices[train]), (measured[test], prices[test])
