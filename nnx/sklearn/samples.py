"""Samples as they are trained: without those that do not count, and where their order plays no part, each one once."""

from __future__ import annotations

import numpy as np

Columns = tuple[np.ndarray, np.ndarray, np.ndarray | None]
"""Samples, their targets and their weights; None are weights of 1."""


def counted(x: np.ndarray, y: np.ndarray, weights: np.ndarray | None) -> Columns:
    """The samples whose weight is not zero.

    >>> [column.tolist() for column in counted(np.arange(3), np.arange(3), np.asarray([2.0, 0.0, 1.0]))]
    [[0, 2], [0, 2], [2.0, 1.0]]
    """
    if weights is None or weights.all():
        return x, y, weights
    kept = weights != 0.0
    return x[kept], y[kept], weights[kept]


def merged(x: np.ndarray, y: np.ndarray, weights: np.ndarray | None) -> Columns:
    """Each sample once, with the sum of its weights, in an order that does not depend on the order that they have.

    So a batch of all samples is the same, to the last bit, whether a sample is repeated or has that weight.

    >>> [column.tolist() for column in merged(np.asarray([[2], [1], [2]]), np.asarray([0, 1, 0]), None)]
    [[[2], [1]], [0, 1], [2, 1]]
    """
    rows = np.concatenate([column.reshape(len(column), -1).astype(np.float64) for column in (x, y)], axis=1)
    rows = np.ascontiguousarray(rows + 0.0)  # no zero is negative: rows are compared by their bytes
    keys = rows.view(f"V{rows.dtype.itemsize * rows.shape[1]}")[:, 0]
    _, first, which = np.unique(keys, return_index=True, return_inverse=True)
    return x[first], y[first], np.bincount(which, weights)


def normalized(weights: np.ndarray | None) -> np.ndarray | None:
    """Weights whose mean is 1, so that steps are as long as without any; None where they are all equal.

    >>> normalized(np.asarray([1.0, 3.0])), normalized(np.asarray([2.0, 2.0]))
    (array([0.5, 1.5]), None)
    """
    if weights is None or (weights == weights[0]).all():
        return None
    scaled: np.ndarray = weights / weights.mean()
    return scaled
