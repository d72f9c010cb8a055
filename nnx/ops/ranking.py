"""Ranks of elements: the largest ones, and whether one is among them."""

from __future__ import annotations

import math
from typing import Any

from nnx.autodiff.array import lower
from nnx.backends import Array
from nnx.ops.operation import as_array, as_floats, is_float, namespace, operation

__all__ = ["in_top_k", "top_k"]


@operation
def top_k(x: Any, k: int, sorted: bool = True) -> tuple[Array, Array]:
    """Largest k elements along the last axis, the largest first, and their indices.

    Of equal elements the one with the lower index comes first; NaN counts as the largest. sorted : of no effect.

    >>> values, indices = top_k([1.0, 3.0, 2.0], 2)
    >>> values.tolist(), indices.tolist()
    ([3.0, 2.0], [1, 2])
    """
    array = as_array(x)
    plain = lower(array)
    xp = namespace(plain)
    if is_float(plain):
        plain = xp.where(xp.isnan(plain), math.inf, plain)
        above = xp.isnan(lower(array))
        # NaN first, then numbers: two stable sorts, the last by what counts most
        order = xp.argsort(-plain, axis=-1, stable=True)
        nan_order = xp.astype(xp.logical_not(xp.take_along_axis(above, order, axis=-1)), xp.int8)
        order = xp.take_along_axis(order, xp.argsort(nan_order, axis=-1, stable=True), axis=-1)
    else:
        order = xp.argsort(plain, axis=-1, descending=True, stable=True)
    indices = xp.astype(order[..., :k], xp.int32)
    return namespace(array).take_along_axis(array, order[..., :k], axis=-1), indices


@operation
def in_top_k(targets: Any, predictions: Any, k: int) -> Array:
    """Whether the prediction of each target class is among the k largest, or equal to one of them.

    targets : integers (batch,). predictions : (batch, classes). A target that is no class, or whose prediction is NaN,
    is not.

    >>> in_top_k([2, 0], [[0.1, 0.3, 0.6], [0.1, 0.3, 0.6]], 2)
    array([ True, False])
    """
    scores = lower(as_floats(predictions))
    xp = namespace(scores)
    labels = lower(as_array(targets, "int64", like=scores))
    inside = xp.logical_and(labels >= 0, labels < scores.shape[-1])
    score = xp.take_along_axis(scores, xp.where(inside, labels, 0)[..., None], axis=-1)
    higher = xp.count_nonzero(scores > score, axis=-1)
    known = xp.logical_and(inside, xp.logical_not(xp.isnan(score[..., 0])))
    return xp.logical_and(known, higher < k)
