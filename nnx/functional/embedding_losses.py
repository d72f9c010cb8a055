"""Losses of embeddings: samples of one class near each other, those of others far away."""

from __future__ import annotations

import math

from nnx.backends import Array, Namespace, array_namespace, backend_of
from nnx.functional.loss_functions import mark_built_in, over_axis
from nnx.pullbacks import Pullback

__all__ = ["circle"]


@mark_built_in
def circle(
    y_true: Array,
    y_pred: Array,
    ref_labels: Array | None = None,
    ref_embeddings: Array | None = None,
    remove_diagonal: bool = True,
    gamma: float = 80.0,
    margin: float = 0.4,
) -> tuple[Array, Pullback]:
    """Circle loss: log(1 + sum(exp(gamma * a)) over samples of the class * sum(exp(gamma * b)) over the others)

    Sun et al., "Circle loss", arXiv:2002.10857, by distances d = max(1 - y_pred @ references.T, 0), as in Keras:

        a = (margin + d) * (d - margin),   b = max(1 + margin - d, 0) * (1 - margin - d)

    y_true : labels (n,) or (n, 1).
    y_pred : embeddings of length 1, (n, m).
    ref_labels, ref_embeddings : what they are compared with, (k,) and (k, m), constants; by default each other.
    remove_diagonal : whether a sample is not compared with itself, the reference in its place.
    gamma, margin : the scale, and how far apart classes are to be.

    Returns the values (n,), 0 for a sample without another of its class or of another one, and pullback(dvalues) ->
    dy_pred, with dvalues (n,), or one float for all. ValueError for shapes that do not go together.

    >>> import numpy as np
    >>> from nnx import functional
    >>> embeddings = np.asarray([[1.0, 0.0], [0.8, 0.6], [0.0, 1.0]])
    >>> values, pullback = functional.circle(np.asarray([0, 0, 1]), embeddings, gamma=2.0)
    >>> values.round(4), pullback(1.0).shape
    (array([0.4518, 0.7763, 0.    ]), (3, 2))
    """
    xp = array_namespace(y_pred)
    if len(y_pred.shape) != 2 or math.prod(y_true.shape) != y_pred.shape[0]:
        raise ValueError(
            f"circle expects labels (n,) for embeddings (n, m), got labels of shape {tuple(y_true.shape)} for "
            f"embeddings of shape {tuple(y_pred.shape)}"
        )
    references = y_pred if ref_embeddings is None else xp.astype(ref_embeddings, y_pred.dtype, copy=False)
    labels = xp.reshape(y_true, (-1, 1))
    others = xp.reshape(y_true if ref_labels is None else ref_labels, (1, -1))
    same = labels == others
    near = same
    if remove_diagonal:
        device = backend_of(y_pred).device_of(y_pred)
        rows, columns = (xp.arange(size, dtype=xp.int64, device=device) for size in same.shape)
        near = xp.logical_and(same, rows[:, None] != columns[None, :])

    similarity = xp.matmul(y_pred, xp.matrix_transpose(references))
    distance = xp.maximum(1.0 - similarity, 0.0)
    reach = xp.maximum(1.0 + margin - distance, 0.0)
    pulls, share_of_pulls = _logsumexp(xp, gamma * (margin + distance) * (distance - margin), near)
    pushes, share_of_pushes = _logsumexp(xp, gamma * reach * (1.0 - margin - distance), xp.logical_not(same))
    exponent = pulls + pushes
    values = xp.maximum(exponent, 0.0) + xp.log1p(xp.exp(-xp.abs(exponent)))

    def pullback(dvalues: Array | float) -> Array:
        sigmoid = xp.exp(xp.minimum(exponent, 0.0)) / (1.0 + xp.exp(-xp.abs(exponent)))
        slope = over_axis(dvalues) * sigmoid[:, None]
        of_pushes = xp.where(reach > 0.0, 2.0 * gamma * (distance - 1.0), 0.0)
        ddistance = slope * (share_of_pulls * (2.0 * gamma * distance) + share_of_pushes * of_pushes)
        dsimilarity = xp.where(similarity < 1.0, -ddistance, 0.0)
        dy_pred = xp.matmul(dsimilarity, references)
        if ref_embeddings is None:
            dy_pred = dy_pred + xp.matmul(xp.matrix_transpose(dsimilarity), y_pred)
        return dy_pred

    return values, pullback


def _logsumexp(xp: Namespace, x: Array, counts: Array) -> tuple[Array, Array]:
    """log(sum(exp(x))) of the entries of each row that count, -inf of none; and the share of each in the sum."""
    largest = xp.max(xp.where(counts, x, -math.inf), axis=-1, keepdims=True)
    largest = xp.where(xp.isfinite(largest), largest, 0.0)
    exponential = xp.where(counts, xp.exp(xp.where(counts, x - largest, 0.0)), 0.0)
    total = xp.sum(exponential, axis=-1, keepdims=True)
    empty = total == 0.0
    safe = xp.where(empty, 1.0, total)
    return xp.where(empty, -math.inf, xp.log(safe) + largest)[:, 0], exponential / safe
