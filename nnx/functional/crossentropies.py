"""Cross-entropies, of probabilities and of logits.

The values of a loss have the shape of y_pred without `axis`; their pullback gives the cotangent of y_pred (targets are
constants) for an array of cotangents of the values, or for one Python float that is the cotangent of each.

Formulas and defaults are those of Keras 3: probabilities are clipped to [1e-7, 1 - 1e-7], and where the clip bites the
gradient is zero. The forms of logits have no clip: they are finite, with their exact gradient, for logits of any size.
"""

from __future__ import annotations

import math

import array_api_extra as xpx

from nnx.backends import Array, Namespace, array_namespace, backend_of
from nnx.functional.loss_functions import EPSILON, clip, loss_function, mark_built_in, over_axis, require_same_backend
from nnx.kernels import accelerated
from nnx.pullbacks import Pullback

__all__ = [
    "binary_crossentropy",
    "binary_focal_crossentropy",
    "categorical_crossentropy",
    "categorical_focal_crossentropy",
    "categorical_generalized_cross_entropy",
    "sparse_categorical_crossentropy",
]


@loss_function
@accelerated
def binary_crossentropy(
    y_true: Array, y_pred: Array, from_logits: bool = False, label_smoothing: float = 0.0, axis: int = -1
) -> tuple[Array, Pullback]:
    """Binary cross-entropy: mean(-y_true * log(y_pred) - (1 - y_true) * log(1 - y_pred))

    y_true : (..., n), the labels 0 and 1, or numbers between them.
    y_pred : (..., n), probabilities of the label 1, clipped to [1e-7, 1 - 1e-7].
    from_logits : y_pred = sigmoid of the given logits, without a clip. By default False.
    label_smoothing : s turns the targets into y_true * (1 - s) + s / 2. By default 0.
    axis : that the mean is over, by default the last.

    Returns the values, of the shape of y_pred without `axis`, and pullback(dvalues) -> dy_pred, with dvalues of the
    values' shape, or one float for all. `nnx.losses.binary_crossentropy` returns the values alone. ValueError for
    shapes that do not go together.

        dy_pred = (y_pred - y_true) / (y_pred * (1 - y_pred)) / n * dvalues, 0 where the clip bites
        for logits: (sigmoid(y_pred) - y_true) / n * dvalues

    >>> import numpy as np
    >>> from nnx import functional
    >>> values, pullback = functional.binary_crossentropy(np.asarray([[0.0, 1.0]]), np.asarray([[0.5, 0.25]]))
    >>> values.round(4), pullback(1.0).round(4)
    (array([1.0397]), array([[ 1., -2.]]))
    >>> y_true, y_pred = np.asarray([[0.0, 1.0]]), np.asarray([[0.0, 1000.0]])
    >>> values, pullback = functional.binary_crossentropy(y_true, y_pred, from_logits=True)
    >>> values.round(4), pullback(1.0).round(4)
    (array([0.3466]), array([[0.25, 0.  ]]))
    """
    xp = array_namespace(y_pred)
    target = _smoothed(y_true, label_smoothing, 2)
    scale = 1.0 / y_pred.shape[axis]
    if from_logits:
        entropy, decay = _binary_from_logits(xp, target, y_pred)

        def pullback(dvalues: Array | float) -> Array:
            probability = xp.where(y_pred >= 0.0, 1.0, decay) / (1.0 + decay)
            return (probability - target) * (over_axis(dvalues, axis) * scale)
    else:
        clipped = clip(xp, y_pred, EPSILON, 1.0 - EPSILON)
        entropy = -(target * xp.log(clipped) + (1.0 - target) * xp.log(1.0 - clipped))

        def pullback(dvalues: Array | float) -> Array:
            slope = xp.where(clipped == y_pred, (clipped - target) / (clipped * (1.0 - clipped)), 0.0)
            return slope * (over_axis(dvalues, axis) * scale)

    return xp.sum(entropy, axis=axis) * scale, pullback


@loss_function
def binary_focal_crossentropy(
    y_true: Array,
    y_pred: Array,
    apply_class_balancing: bool = False,
    alpha: float = 0.25,
    gamma: float = 2.0,
    from_logits: bool = False,
    label_smoothing: float = 0.0,
    axis: int = -1,
) -> tuple[Array, Pullback]:
    """Binary focal cross-entropy: mean((1 - q)**gamma * binary cross-entropy), q the probability of the true label

    y_true : (..., n), the labels 0 and 1, or numbers between them.
    y_pred : (..., n), probabilities of the label 1, clipped to [1e-7, 1 - 1e-7].
    apply_class_balancing : multiply by alpha where y_true is 1, and by 1 - alpha where it is 0. By default False.
    alpha : of class balancing, by default 0.25.
    gamma : how much less counts what is already right, by default 2; with 0 this is the binary cross-entropy.
    from_logits : y_pred = sigmoid of the given logits, without a clip. By default False.
    label_smoothing : s turns the targets into y_true * (1 - s) + s / 2. By default 0.
    axis : that the mean is over, by default the last.

    Returns the values, of the shape of y_pred without `axis`, and pullback(dvalues) -> dy_pred, with dvalues of the
    values' shape, or one float for all. `nnx.losses.binary_focal_crossentropy` returns the values alone. ValueError for
    shapes that do not go together.

        d = 1 - q = y_true * (1 - y_pred) + (1 - y_true) * y_pred
        e, de = the binary cross-entropy of an element, and its gradient
        dy_pred = (d**gamma * de + gamma * d**(gamma - 1) * (1 - 2 * y_true) * e) / n * dvalues * class weight
        for logits: times the gradient of the sigmoid, y_pred * (1 - y_pred)

    Lin et al., "Focal loss for dense object detection", arXiv:1708.02002.

    >>> import numpy as np
    >>> from nnx import functional
    >>> values, pullback = functional.binary_focal_crossentropy(np.asarray([[0.0, 1.0]]), np.asarray([[0.5, 0.25]]))
    >>> values.round(4), pullback(1.0).round(4)
    (array([0.4765]), array([[ 0.5966, -2.1647]]))
    """
    xp = array_namespace(y_pred)
    target = _smoothed(y_true, label_smoothing, 2)
    scale = 1.0 / y_pred.shape[axis]
    if from_logits:
        entropy, decay = _binary_from_logits(xp, target, y_pred)
        probability = xp.where(y_pred >= 0.0, 1.0, decay) / (1.0 + decay)
        complement = xp.where(y_pred >= 0.0, decay, 1.0) / (1.0 + decay)
    else:
        probability, complement = y_pred, 1.0 - y_pred
        clipped = clip(xp, y_pred, EPSILON, 1.0 - EPSILON)
        entropy = -(target * xp.log(clipped) + (1.0 - target) * xp.log(1.0 - clipped))
    doubt = target * complement + (1.0 - target) * probability  # 1 - q
    weight: Array | float = 1.0
    if apply_class_balancing:
        weight = target * alpha + (1.0 - target) * (1.0 - alpha)

    def pullback(dvalues: Array | float) -> Array:
        ddoubt = _power_slope(xp, doubt, gamma) * (1.0 - 2.0 * target) * entropy
        if from_logits:
            slope = doubt**gamma * (probability - target) + ddoubt * probability * complement
        else:
            dentropy = xp.where(clipped == y_pred, (clipped - target) / (clipped * (1.0 - clipped)), 0.0)
            slope = doubt**gamma * dentropy + ddoubt
        return weight * slope * (over_axis(dvalues, axis) * scale)

    return xp.sum(weight * doubt**gamma * entropy, axis=axis) * scale, pullback


@loss_function
@accelerated
def categorical_crossentropy(
    y_true: Array, y_pred: Array, from_logits: bool = False, label_smoothing: float = 0.0, axis: int = -1
) -> tuple[Array, Pullback]:
    """Categorical cross-entropy: -sum(y_true * log(y_pred / sum(y_pred)))

    y_true : (..., C), the probability of each of the C classes, 1 for the true one and 0 for others.
    y_pred : (..., C), probabilities, which are divided by their sum and clipped to [1e-7, 1 - 1e-7].
    from_logits : y_pred = softmax of the given logits, without a clip. By default False.
    label_smoothing : s turns the targets into y_true * (1 - s) + s / C. By default 0.
    axis : of the classes, by default the last.

    Returns the values, of the shape of y_pred without `axis`, and pullback(dvalues) -> dy_pred, with dvalues of the
    values' shape, or one float for all. `nnx.losses.categorical_crossentropy` returns the values alone. ValueError for
    shapes that do not go together.

        p = y_pred / sum(y_pred);  s = -y_true / p * dvalues, 0 where the clip bites
        dy_pred = (s - sum(s * p)) / sum(y_pred)
        for logits: (softmax(y_pred) * sum(y_true) - y_true) * dvalues

    >>> import numpy as np
    >>> from nnx import functional
    >>> values, pullback = functional.categorical_crossentropy(np.asarray([[0.0, 1.0]]), np.asarray([[0.25, 0.75]]))
    >>> values.round(4), pullback(1.0).round(4)
    (array([0.2877]), array([[ 1.    , -0.3333]]))
    >>> y_true, y_pred = np.asarray([[0.0, 1.0]]), np.asarray([[0.0, 0.0]])
    >>> values, pullback = functional.categorical_crossentropy(y_true, y_pred, from_logits=True)
    >>> values.round(4), pullback(1.0).round(4)
    (array([0.6931]), array([[ 0.5, -0.5]]))
    """
    xp = array_namespace(y_pred)
    target = _smoothed(y_true, label_smoothing, y_pred.shape[axis])
    if from_logits:
        shifted, exponential, total = _softmax_parts(xp, y_pred, axis)

        def pullback(dvalues: Array | float) -> Array:
            mass = xp.sum(target, axis=axis, keepdims=True)  # 1 for a distribution, but targets may be anything
            return (exponential * (mass / total) - target) * over_axis(dvalues, axis)

        return -xp.sum(target * (shifted - xp.log(total)), axis=axis), pullback

    probability, clipped, total = _normalised(xp, y_pred, axis)

    def pullback_of_probability(dvalues: Array | float) -> Array:
        slope = xp.where(clipped == probability, -target / clipped, 0.0) * over_axis(dvalues, axis)
        return (slope - xp.sum(slope * probability, axis=axis, keepdims=True)) / total

    return -xp.sum(target * xp.log(clipped), axis=axis), pullback_of_probability


@loss_function
def categorical_focal_crossentropy(
    y_true: Array,
    y_pred: Array,
    alpha: float = 0.25,
    gamma: float = 2.0,
    from_logits: bool = False,
    label_smoothing: float = 0.0,
    axis: int = -1,
) -> tuple[Array, Pullback]:
    """Categorical focal cross-entropy: -sum(alpha * (1 - p)**gamma * y_true * log(p)), p = y_pred / sum(y_pred)

    y_true : (..., C), the probability of each of the C classes, 1 for the true one and 0 for others.
    y_pred : (..., C), probabilities, which are divided by their sum and clipped to [1e-7, 1 - 1e-7].
    alpha : a factor, by default 0.25.
    gamma : how much less counts what is already right, by default 2.
    from_logits : p = softmax of the given logits, without a clip. By default False.
    label_smoothing : s turns the targets into y_true * (1 - s) + s / C. By default 0.
    axis : of the classes, by default the last.

    Returns the values, of the shape of y_pred without `axis`, and pullback(dvalues) -> dy_pred, with dvalues of the
    values' shape, or one float for all. `nnx.losses.categorical_focal_crossentropy` returns the values alone.
    ValueError for shapes that do not go together.

        s = alpha * y_true * (gamma * (1 - p)**(gamma - 1) * log(p) - (1 - p)**gamma / p) * dvalues
        dy_pred = (s - sum(s * p)) / sum(y_pred), with s = 0 where the clip bites
        for logits: p * (s - sum(s * p))

    Lin et al., "Focal loss for dense object detection", arXiv:1708.02002, for several classes.

    >>> import numpy as np
    >>> from nnx import functional
    >>> y_true, y_pred = np.asarray([[0.0, 1.0]]), np.asarray([[0.25, 0.75]])
    >>> values, pullback = functional.categorical_focal_crossentropy(y_true, y_pred)
    >>> values.round(4), pullback(1.0).round(4)
    (array([0.0045]), array([[ 0.0426, -0.0142]]))
    """
    xp = array_namespace(y_pred)
    target = _smoothed(y_true, label_smoothing, y_pred.shape[axis])
    if from_logits:
        shifted, exponential, total = _softmax_parts(xp, y_pred, axis)
        logarithm = shifted - xp.log(total)
        probability = exponential / total
        doubt = -xp.expm1(logarithm)  # 1 - p
    else:
        unclipped, probability, total = _normalised(xp, y_pred, axis)
        logarithm = xp.log(probability)
        doubt = 1.0 - probability
    weighted = alpha * target

    def pullback(dvalues: Array | float) -> Array:
        slope = weighted * (probability * _power_slope(xp, doubt, gamma) * logarithm - doubt**gamma)  # by log(p)
        slope = slope * over_axis(dvalues, axis)
        if from_logits:
            return slope - probability * xp.sum(slope, axis=axis, keepdims=True)
        slope = xp.where(unclipped == probability, slope / probability, 0.0)
        return (slope - xp.sum(slope * unclipped, axis=axis, keepdims=True)) / total

    return -xp.sum(weighted * doubt**gamma * logarithm, axis=axis), pullback


@mark_built_in
def categorical_generalized_cross_entropy(y_true: Array, y_pred: Array, q: float = 0.5) -> tuple[Array, Pullback]:
    """Generalised cross-entropy of integer labels, which some may be wrong: (1 - y_pred[label]**q) / q

    Zhang and Sabuncu, arXiv:1805.07836.

    y_true : labels from 0 to C - 1, of the shape of y_pred without the last axis, or with one of size 1 in its place.
    y_pred : probabilities (..., C).
    q : from (0, 1): near 0 it is the cross-entropy, near 1 the absolute error.

    Returns the values (...), and pullback(dvalues) -> dy_pred, with dvalues (...), or one float for all. A label that
    is no class has the value NaN. ValueError for shapes that do not go together.

        dy_pred = -max(y_pred, 1e-7)**(q - 1) * dvalues at the label, 0 elsewhere

    >>> import numpy as np
    >>> from nnx import functional
    >>> loss = functional.categorical_generalized_cross_entropy
    >>> values, pullback = loss(np.asarray([1]), np.asarray([[0.75, 0.25]]))
    >>> values, pullback(1.0)
    (array([1.]), array([[ 0., -2.]]))
    """
    require_same_backend(y_true, y_pred)
    xp, shape = array_namespace(y_pred), tuple(y_pred.shape[:-1])
    if tuple(y_true.shape) not in (shape, (*shape, 1)):
        raise ValueError(
            f"categorical_generalized_cross_entropy expects labels of shape {shape} for predictions of shape "
            f"{tuple(y_pred.shape)}; the labels given have the shape {tuple(y_true.shape)}"
        )
    labels = xp.reshape(xp.astype(y_true, xp.int64, copy=False), (*shape, 1))
    classes = xp.arange(y_pred.shape[-1], dtype=xp.int64, device=backend_of(y_pred).device_of(y_pred))
    meant = labels == classes
    probability = xp.sum(xp.where(meant, y_pred, 0.0), axis=-1)
    values = xp.where(xp.any(meant, axis=-1), (1.0 - probability**q) / q, math.nan)

    def pullback(dvalues: Array | float) -> Array:
        slope = -(xp.maximum(probability, EPSILON) ** (q - 1.0))
        return xp.where(meant, slope[..., None], 0.0) * over_axis(dvalues)

    return values, pullback


@mark_built_in
@accelerated
def sparse_categorical_crossentropy(
    y_true: Array, y_pred: Array, from_logits: bool = False, ignore_class: int | None = None, axis: int = -1
) -> tuple[Array, Pullback]:
    """Categorical cross-entropy of integer labels: -log(y_pred[label] / sum(y_pred))

    y_true : labels from 0 to C - 1, of the shape of y_pred without `axis`, which may also be there with length 1. They
        are not checked here, where that would wait for the device; `nnx.losses` does it on the host.
    y_pred : (..., C), probabilities, which are divided by their sum and clipped to [1e-7, 1 - 1e-7].
    from_logits : y_pred = softmax of the given logits, without a clip. By default False.
    ignore_class : samples with this label have the value 0 and the gradient 0. By default None.
    axis : of the classes, by default the last.

    Returns the values, of the shape of y_pred without `axis`, and pullback(dvalues) -> dy_pred, with dvalues of the
    values' shape, or one float for all. `nnx.losses.sparse_categorical_crossentropy` returns the values alone.
    ValueError for shapes that do not go together.

        p = y_pred[label] / sum(y_pred)
        dy_pred = (1 - 1 / p at the label, 1 elsewhere) / sum(y_pred) * dvalues, 0 where the clip bites
        for logits: (softmax(y_pred) - 1 at the label, softmax(y_pred) elsewhere) * dvalues

    >>> import numpy as np
    >>> from nnx import functional
    >>> values, pullback = functional.sparse_categorical_crossentropy(np.asarray([1]), np.asarray([[0.25, 0.75]]))
    >>> values.round(4), pullback(1.0).round(4)
    (array([0.2877]), array([[ 1.    , -0.3333]]))
    """
    require_same_backend(y_true, y_pred)
    xp = array_namespace(y_pred)
    if axis not in (-1, len(y_pred.shape) - 1):
        if len(y_true.shape) == len(y_pred.shape):
            y_true = xp.moveaxis(y_true, axis, -1)
        y_pred = xp.moveaxis(y_pred, axis, -1)
        values, pullback_of_last = sparse_categorical_crossentropy(y_true, y_pred, from_logits, ignore_class)
        return values, lambda dvalues: xp.moveaxis(pullback_of_last(dvalues), -1, axis)

    shape = y_pred.shape[:-1]
    if y_true.shape not in (shape, (*shape, 1)):
        raise ValueError(
            f"sparse_categorical_crossentropy expects labels of shape {tuple(shape)} for predictions of shape "
            f"{tuple(y_pred.shape)}; the labels given have the shape {tuple(y_true.shape)}"
        )
    rows, classes = math.prod(shape), y_pred.shape[-1]
    device = backend_of(y_pred).device_of(y_pred)
    flat = xp.reshape(y_pred, (rows, classes))
    labels = xp.reshape(xp.astype(y_true, xp.int64, copy=False), (rows,))
    if ignore_class is not None:
        counts = labels != ignore_class
        labels = xp.where(counts, labels, 0)
    inside = xp.logical_and(labels >= 0, labels < classes)  # of labels on a device nobody has looked at that
    labels = xp.where(inside, labels, 0)
    place = xp.arange(rows, dtype=xp.int64, device=device) * classes + labels

    if from_logits:
        shifted, exponential, total = _softmax_parts(xp, flat, -1)
        values = xp.log(total[:, 0]) - xp.take(xp.reshape(shifted, (-1,)), place)
    else:
        total = xp.sum(flat, axis=-1)
        probability = xp.take(xp.reshape(flat, (-1,)), place) / total
        clipped = clip(xp, probability, EPSILON, 1.0 - EPSILON)
        values = -xp.log(clipped)
    values = xp.where(inside, values, math.nan)
    if ignore_class is not None:
        values = xp.where(counts, values, 0.0)

    def pullback(dvalues: Array | float) -> Array:
        one_hot = xpx.one_hot(labels, classes, dtype=flat.dtype, xp=xp)
        one_hot = xp.where(inside[:, None], one_hot, 0.0)
        cotangent = dvalues if isinstance(dvalues, int | float) else xp.reshape(dvalues, (rows,))
        if ignore_class is not None:
            cotangent = cotangent * xp.astype(counts, flat.dtype)
        if from_logits:
            slope = (exponential / total - one_hot) * over_axis(cotangent)
        else:
            cotangent = xp.where(clipped == probability, cotangent / (clipped * total), 0.0)
            slope = (probability[:, None] - one_hot) * cotangent[:, None]
        return xp.reshape(slope, y_pred.shape)

    return xp.reshape(values, shape), pullback


def _smoothed(y_true: Array, smoothing: float, classes: int) -> Array:
    return y_true * (1.0 - smoothing) + smoothing / classes if smoothing else y_true


def _binary_from_logits(xp: Namespace, target: Array, logits: Array) -> tuple[Array, Array]:
    """Binary cross-entropy of each logit, and exp(-|logit|), at most 1, from which its sigmoid is built."""
    decay = xp.exp(-xp.abs(logits))
    return xp.maximum(logits, 0.0) - logits * target + xp.log1p(decay), decay


def _softmax_parts(xp: Namespace, logits: Array, axis: int) -> tuple[Array, Array, Array]:
    """logits - max, its exponential, and the sum of that: softmax is the second over the third."""
    shifted = logits - xp.max(logits, axis=axis, keepdims=True)
    exponential = xp.exp(shifted)
    return shifted, exponential, xp.sum(exponential, axis=axis, keepdims=True)


def _normalised(xp: Namespace, y_pred: Array, axis: int) -> tuple[Array, Array, Array]:
    """Probabilities that sum to 1, the same clipped, and the sum they were divided by."""
    total = xp.sum(y_pred, axis=axis, keepdims=True)
    probability = y_pred / total
    return probability, clip(xp, probability, EPSILON, 1.0 - EPSILON), total


def _power_slope(xp: Namespace, base: Array, exponent: float) -> Array:
    """The derivative of base**exponent, base >= 0; finite at 0 also for exponents below 1."""
    if exponent < 1.0:
        base = xp.maximum(base, EPSILON)
    return exponent * base ** (exponent - 1.0)
