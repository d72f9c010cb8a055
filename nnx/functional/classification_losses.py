"""Losses of classification and segmentation that are no cross-entropies: margins, divergence, overlap.

y_true and y_pred have one shape, (..., n). The values of a loss, one for each sample, have the shape (...); their
pullback gives the cotangent of y_pred (targets are constants) for an array of cotangents of the values, or for one
Python float that is the cotangent of each. Formulas and defaults are those of Keras 3.
"""

from __future__ import annotations

from nnx.backends import Array, Namespace, array_namespace
from nnx.functional.loss_functions import EPSILON, clip, loss_function, over_axis
from nnx.pullbacks import Pullback

__all__ = ["categorical_hinge", "dice", "hinge", "kl_divergence", "squared_hinge", "tversky"]

Axes = int | tuple[int, ...] | None


def _signed(xp: Namespace, y_true: Array) -> Array:
    """Labels 0 and 1 as -1 and 1; others (when not all are 0 or 1) as they are. Nothing is read from the device."""
    binary = xp.all((y_true == 0.0) | (y_true == 1.0))
    return xp.where(binary, 2.0 * y_true - 1.0, y_true)


@loss_function
def hinge(y_true: Array, y_pred: Array) -> tuple[Array, Pullback]:
    """Hinge: mean(max(1 - y_true * y_pred, 0)), labels -1 and 1

    y_true, y_pred : one shape, (..., n). Targets of another dtype are converted; an axis of size 1 at the end may be
        missing in one of the two.

    Returns the values (...), one for each sample, and pullback(dvalues) -> dy_pred, with dvalues (...), or one float
    for all. `nnx.losses.hinge` returns the values alone. ValueError for shapes that do not go together.

        dy_pred = -y_true / n * dvalues where y_true * y_pred < 1, else 0

    Labels 0 and 1, where there are no others in y_true, are taken for -1 and 1.

    >>> import numpy as np
    >>> from nnx import functional
    >>> values, pullback = functional.hinge(np.asarray([[1.0, -1.0]]), np.asarray([[0.5, -2.0]]))
    >>> values, pullback(1.0)
    (array([0.25]), array([[-0.5,  0. ]]))
    """
    xp = array_namespace(y_pred)
    y_true = _signed(xp, y_true)
    margin = 1.0 - y_true * y_pred
    count = margin.shape[-1]

    def pullback(dvalues: Array | float) -> Array:
        return xp.where(margin > 0.0, -y_true, 0.0) * (over_axis(dvalues) / count)

    return xp.sum(xp.maximum(margin, 0.0), axis=-1) / count, pullback


@loss_function
def squared_hinge(y_true: Array, y_pred: Array) -> tuple[Array, Pullback]:
    """Squared hinge: mean(max(1 - y_true * y_pred, 0)**2), labels -1 and 1

    y_true, y_pred : one shape, (..., n). Targets of another dtype are converted; an axis of size 1 at the end may be
        missing in one of the two.

    Returns the values (...), one for each sample, and pullback(dvalues) -> dy_pred, with dvalues (...), or one float
    for all. `nnx.losses.squared_hinge` returns the values alone. ValueError for shapes that do not go together.

        dy_pred = -2 * y_true * max(1 - y_true * y_pred, 0) / n * dvalues

    Labels 0 and 1, where there are no others in y_true, are taken for -1 and 1.

    >>> import numpy as np
    >>> from nnx import functional
    >>> values, pullback = functional.squared_hinge(np.asarray([[1.0, -1.0]]), np.asarray([[0.5, -2.0]]))
    >>> values, pullback(1.0)
    (array([0.125]), array([[-0.5,  0. ]]))
    """
    xp = array_namespace(y_pred)
    y_true = _signed(xp, y_true)
    margin = xp.maximum(1.0 - y_true * y_pred, 0.0)
    count = margin.shape[-1]

    def pullback(dvalues: Array | float) -> Array:
        return margin * y_true * (over_axis(dvalues) * (-2.0 / count))

    return xp.sum(margin * margin, axis=-1) / count, pullback


@loss_function
def categorical_hinge(y_true: Array, y_pred: Array) -> tuple[Array, Pullback]:
    """Categorical hinge: max(1 + max((1 - y_true) * y_pred) - sum(y_true * y_pred), 0), one-hot labels

    y_true, y_pred : one shape, (..., n). Targets of another dtype are converted; an axis of size 1 at the end may be
        missing in one of the two.

    Returns the values (...), one for each sample, and pullback(dvalues) -> dy_pred, with dvalues (...), or one float
    for all. `nnx.losses.categorical_hinge` returns the values alone. ValueError for shapes that do not go together.

        h = 1 for the largest of the other classes (equal ones share it), else 0
        dy_pred = (h - y_true) * dvalues where the value is positive, else 0

    >>> import numpy as np
    >>> from nnx import functional
    >>> values, pullback = functional.categorical_hinge(np.asarray([[0.0, 1.0, 0.0]]), np.asarray([[0.5, 1.0, 0.25]]))
    >>> values, pullback(1.0)
    (array([0.5]), array([[ 1., -1.,  0.]]))
    """
    xp = array_namespace(y_pred)
    others = (1.0 - y_true) * y_pred
    highest = xp.max(others, axis=-1, keepdims=True)
    margin = highest[..., 0] - xp.sum(y_true * y_pred, axis=-1) + 1.0

    def pullback(dvalues: Array | float) -> Array:
        at_top = xp.astype(others == highest, others.dtype)
        at_top = at_top / xp.sum(at_top, axis=-1, keepdims=True)  # equal maxima share the cotangent
        slope = at_top * (1.0 - y_true) - y_true
        return xp.where(margin[..., None] > 0.0, slope, 0.0) * over_axis(dvalues)

    return xp.maximum(margin, 0.0), pullback


@loss_function
def kl_divergence(y_true: Array, y_pred: Array) -> tuple[Array, Pullback]:
    """Kullback-Leibler divergence: sum(y_true * log(y_true / y_pred)), both clipped to [1e-7, 1]

    y_true, y_pred : one shape, (..., n). Targets of another dtype are converted; an axis of size 1 at the end may be
        missing in one of the two.

    Returns the values (...), one for each sample, and pullback(dvalues) -> dy_pred, with dvalues (...), or one float
    for all. `nnx.losses.kl_divergence` returns the values alone. ValueError for shapes that do not go together.

        dy_pred = -y_true / y_pred * dvalues, 0 where the clip bites

    Kullback and Leibler, "On information and sufficiency", 1951.

    >>> import numpy as np
    >>> from nnx import functional
    >>> values, pullback = functional.kl_divergence(np.asarray([[0.5, 0.5]]), np.asarray([[0.25, 0.75]]))
    >>> values.round(4), pullback(1.0).round(4)
    (array([0.1438]), array([[-2.    , -0.6667]]))
    """
    xp = array_namespace(y_pred)
    y_true = clip(xp, y_true, EPSILON, 1.0)
    clipped = clip(xp, y_pred, EPSILON, 1.0)

    def pullback(dvalues: Array | float) -> Array:
        return xp.where(clipped == y_pred, -y_true / clipped, 0.0) * over_axis(dvalues)

    return xp.sum(y_true * xp.log(y_true / clipped), axis=-1), pullback


@loss_function
def dice(y_true: Array, y_pred: Array, axis: Axes = None) -> tuple[Array, Pullback]:
    """Dice loss: 1 - 2 * sum(y_true * y_pred) / (sum(y_true) + sum(y_pred) + 1e-7)

    y_true, y_pred : one shape, any: a mask of 0 and 1, and the probabilities of 1.
    axis : an axis, or several, that the sums are over; None (default) for all.

    Returns the values, in the shape that the sums leave, by default (), and pullback(dvalues) -> dy_pred, with dvalues
    of the values' shape, or one float for all. `nnx.losses.dice` returns the values alone. ValueError for shapes that
    do not go together.

        o, t = sum(y_true * y_pred), sum(y_true) + sum(y_pred) + 1e-7
        dy_pred = 2 / t * (o / t - y_true) * dvalues

    0 for equal masks, 1 for those that do not overlap.

    >>> import numpy as np
    >>> from nnx import functional
    >>> values, pullback = functional.dice(np.asarray([1.0, 1.0, 0.0]), np.asarray([1.0, 0.0, 0.0]))
    >>> round(float(values), 4), pullback(1.0).round(4)
    (0.3333, array([-0.4444, -0.4444,  0.2222]))
    """
    xp = array_namespace(y_pred)
    axes = _axes(axis, y_pred)
    overlap = xp.sum(y_true * y_pred, axis=axes, keepdims=True)
    total = xp.sum(y_true, axis=axes, keepdims=True) + xp.sum(y_pred, axis=axes, keepdims=True) + EPSILON

    def pullback(dvalues: Array | float) -> Array:
        return (overlap / total - y_true) * (2.0 / total) * _over_axes(dvalues, overlap)

    return xp.squeeze(1.0 - 2.0 * overlap / total, axis=axes), pullback


@loss_function
def tversky(
    y_true: Array, y_pred: Array, alpha: float = 0.5, beta: float = 0.5, axis: Axes = None
) -> tuple[Array, Pullback]:
    """Tversky loss: 1 - o / (o + alpha * sum(y_true * (1 - y_pred)) + beta * sum((1 - y_true) * y_pred) + 1e-7)

    y_true, y_pred : one shape, any: a mask of 0 and 1, and the probabilities of 1.
    alpha, beta : the weights of what is missed and of what is there by mistake, by default 0.5: the Dice loss.
    axis : an axis, or several, that the sums are over; None (default) for all.

    Returns the values, in the shape that the sums leave, by default (), and pullback(dvalues) -> dy_pred, with dvalues
    of the values' shape, or one float for all. `nnx.losses.tversky` returns the values alone. ValueError for shapes
    that do not go together.

        t = o + alpha * sum(y_true * (1 - y_pred)) + beta * sum((1 - y_true) * y_pred) + 1e-7
        dy_pred = (o / t * ((1 - alpha) * y_true + beta * (1 - y_true)) - y_true) / t * dvalues

    In both, o = sum(y_true * y_pred), the overlap.

    Salehi et al., arXiv:1706.05721.

    >>> import numpy as np
    >>> from nnx import functional
    >>> values, pullback = functional.tversky(np.asarray([1.0, 1.0, 0.0]), np.asarray([1.0, 0.0, 0.0]), 0.25, 0.75)
    >>> round(float(values), 4), pullback(1.0).round(4)
    (0.2, array([-0.32, -0.32,  0.48]))
    """
    xp = array_namespace(y_pred)
    axes = _axes(axis, y_pred)
    overlap = xp.sum(y_true * y_pred, axis=axes, keepdims=True)
    missed = xp.sum(y_true * (1.0 - y_pred), axis=axes, keepdims=True)
    invented = xp.sum((1.0 - y_true) * y_pred, axis=axes, keepdims=True)
    total = overlap + alpha * missed + beta * invented + EPSILON

    def pullback(dvalues: Array | float) -> Array:
        dtotal = (1.0 - alpha) * y_true + beta * (1.0 - y_true)
        return (overlap / total * dtotal - y_true) / total * _over_axes(dvalues, overlap)

    return xp.squeeze(1.0 - overlap / total, axis=axes), pullback


def _axes(axis: Axes, array: Array) -> tuple[int, ...]:
    if axis is None:
        return tuple(range(len(array.shape)))
    return (axis,) if isinstance(axis, int) else tuple(axis)


def _over_axes(dvalues: Array | float, reduced: Array) -> Array | float:
    """Cotangents of values in the shape of the reduced array that kept its axes."""
    if isinstance(dvalues, int | float):
        return dvalues
    return array_namespace(dvalues).reshape(dvalues, reduced.shape)
