"""Losses of regression: how far predicted numbers are from the true ones.

y_true and y_pred have one shape, (..., n). The values of a loss, one for each sample, have the shape (...); their
pullback gives the cotangent of y_pred (targets are constants) for an array of cotangents of the values, or for one
Python float that is the cotangent of each. Formulas and defaults are those of Keras 3.
"""

from __future__ import annotations

import math

from nnx.backends import Array, array_namespace
from nnx.functional.loss_functions import EPSILON, clip, loss_function, over_axis, sign
from nnx.kernels import accelerated
from nnx.pullbacks import Pullback

__all__ = [
    "cosine_similarity",
    "huber",
    "log_cosh",
    "mean_absolute_error",
    "mean_absolute_percentage_error",
    "mean_squared_error",
    "mean_squared_logarithmic_error",
    "poisson",
]


@loss_function
@accelerated
def mean_squared_error(y_true: Array, y_pred: Array) -> tuple[Array, Pullback]:
    """Mean squared error: mean((y_pred - y_true)**2)

    y_true, y_pred : one shape, (..., n). Targets of another dtype are converted; an axis of size 1 at the end may be
        missing in one of the two.

    Returns the values (...), one for each sample, and pullback(dvalues) -> dy_pred, with dvalues (...), or one float
    for all. `nnx.losses.mean_squared_error` returns the values alone. ValueError for shapes that do not go together.

        dy_pred = 2 * (y_pred - y_true) / n * dvalues

    >>> import numpy as np
    >>> from nnx import functional
    >>> values, pullback = functional.mean_squared_error(np.asarray([[0.0, 1.0]]), np.asarray([[1.0, 3.0]]))
    >>> values, pullback(1.0)
    (array([2.5]), array([[1., 2.]]))
    """
    xp = array_namespace(y_pred)
    error = y_pred - y_true
    count = error.shape[-1]
    return xp.sum(error * error, axis=-1) / count, lambda dvalues: error * (over_axis(dvalues) * (2.0 / count))


@loss_function
def mean_absolute_error(y_true: Array, y_pred: Array) -> tuple[Array, Pullback]:
    """Mean absolute error: mean(|y_pred - y_true|)

    y_true, y_pred : one shape, (..., n). Targets of another dtype are converted; an axis of size 1 at the end may be
        missing in one of the two.

    Returns the values (...), one for each sample, and pullback(dvalues) -> dy_pred, with dvalues (...), or one float
    for all. `nnx.losses.mean_absolute_error` returns the values alone. ValueError for shapes that do not go together.

        dy_pred = sign(y_pred - y_true) / n * dvalues

    >>> import numpy as np
    >>> from nnx import functional
    >>> values, pullback = functional.mean_absolute_error(np.asarray([[0.0, 1.0]]), np.asarray([[1.0, -2.0]]))
    >>> values, pullback(1.0)
    (array([2.]), array([[ 0.5, -0.5]]))
    """
    xp = array_namespace(y_pred)
    error = y_pred - y_true
    count = error.shape[-1]
    return xp.sum(xp.abs(error), axis=-1) / count, lambda dvalues: sign(xp, error) * (over_axis(dvalues) / count)


@loss_function
def mean_absolute_percentage_error(y_true: Array, y_pred: Array) -> tuple[Array, Pullback]:
    """Mean absolute percentage error: 100 * mean(|y_pred - y_true| / max(|y_true|, 1e-7))

    y_true, y_pred : one shape, (..., n). Targets of another dtype are converted; an axis of size 1 at the end may be
        missing in one of the two.

    Returns the values (...), one for each sample, and pullback(dvalues) -> dy_pred, with dvalues (...), or one float
    for all. `nnx.losses.mean_absolute_percentage_error` returns the values alone. ValueError for shapes that do not go
    together.

        dy_pred = 100 / n * sign(y_pred - y_true) / max(|y_true|, 1e-7) * dvalues

    >>> import numpy as np
    >>> from nnx import functional
    >>> y_true, y_pred = np.asarray([[2.0, 4.0]]), np.asarray([[3.0, 4.0]])
    >>> values, pullback = functional.mean_absolute_percentage_error(y_true, y_pred)
    >>> values, pullback(1.0)
    (array([25.]), array([[25.,  0.]]))
    """
    xp = array_namespace(y_pred)
    error = y_pred - y_true
    size = xp.maximum(xp.abs(y_true), EPSILON)
    percent = 100.0 / error.shape[-1]

    def pullback(dvalues: Array | float) -> Array:
        return sign(xp, error) / size * (over_axis(dvalues) * percent)

    return xp.sum(xp.abs(error) / size, axis=-1) * percent, pullback


@loss_function
def mean_squared_logarithmic_error(y_true: Array, y_pred: Array) -> tuple[Array, Pullback]:
    """Mean squared logarithmic error: mean((log(1 + max(y_pred, 1e-7)) - log(1 + max(y_true, 1e-7)))**2)

    y_true, y_pred : one shape, (..., n). Targets of another dtype are converted; an axis of size 1 at the end may be
        missing in one of the two.

    Returns the values (...), one for each sample, and pullback(dvalues) -> dy_pred, with dvalues (...), or one float
    for all. `nnx.losses.mean_squared_logarithmic_error` returns the values alone. ValueError for shapes that do not go
    together.

        e = log(1 + max(y_pred, 1e-7)) - log(1 + max(y_true, 1e-7))
        dy_pred = 2 * e / (1 + y_pred) / n * dvalues, 0 where y_pred < 1e-7

    >>> import numpy as np
    >>> from nnx import functional
    >>> y_true, y_pred = np.asarray([[0.0, 1.0]]), np.asarray([[1.0, 3.0]])
    >>> values, pullback = functional.mean_squared_logarithmic_error(y_true, y_pred)
    >>> values.round(4), pullback(1.0).round(4)
    (array([0.4805]), array([[0.3466, 0.1733]]))
    """
    xp = array_namespace(y_pred)
    bounded = xp.maximum(y_pred, EPSILON)
    error = xp.log1p(bounded) - xp.log1p(xp.maximum(y_true, EPSILON))
    count = error.shape[-1]

    def pullback(dvalues: Array | float) -> Array:
        slope = xp.where(bounded == y_pred, error / (1.0 + bounded), 0.0)
        return slope * (over_axis(dvalues) * (2.0 / count))

    return xp.sum(error * error, axis=-1) / count, pullback


@loss_function
def log_cosh(y_true: Array, y_pred: Array) -> tuple[Array, Pullback]:
    """Logarithm of the hyperbolic cosine: mean(log(cosh(y_pred - y_true)))

    y_true, y_pred : one shape, (..., n). Targets of another dtype are converted; an axis of size 1 at the end may be
        missing in one of the two.

    Returns the values (...), one for each sample, and pullback(dvalues) -> dy_pred, with dvalues (...), or one float
    for all. `nnx.losses.log_cosh` returns the values alone. ValueError for shapes that do not go together.

        dy_pred = tanh(y_pred - y_true) / n * dvalues

    About the square of a small error, halved, and a large one's size less log(2); nothing overflows.

    >>> import numpy as np
    >>> from nnx import functional
    >>> values, pullback = functional.log_cosh(np.asarray([[0.0, 0.0]]), np.asarray([[1.0, 1000.0]]))
    >>> values.round(4), pullback(1.0).round(4)
    (array([499.8703]), array([[0.3808, 0.5   ]]))
    """
    xp = array_namespace(y_pred)
    error = y_pred - y_true
    count = error.shape[-1]
    size = xp.abs(error)
    # log(cosh(x)) = |x| + log(1 + exp(-2|x|)) - log(2), where nothing overflows
    values = xp.sum(size + xp.log1p(xp.exp(-2.0 * size)) - math.log(2.0), axis=-1) / count
    return values, lambda dvalues: xp.tanh(error) * (over_axis(dvalues) / count)


@loss_function
def huber(y_true: Array, y_pred: Array, delta: float = 1.0) -> tuple[Array, Pullback]:
    """Huber loss: mean of e**2 / 2 where the error |e| <= delta, and of delta * |e| - delta**2 / 2 beyond

    y_true, y_pred : one shape, (..., n). Targets of another dtype are converted; an axis of size 1 at the end may be
        missing in one of the two.
    delta : where the parabola goes over into a line, by default 1.

    Returns the values (...), one for each sample, and pullback(dvalues) -> dy_pred, with dvalues (...), or one float
    for all. `nnx.losses.huber` returns the values alone. ValueError for shapes that do not go together.

        dy_pred = clip(y_pred - y_true, -delta, delta) / n * dvalues

    Huber, "Robust estimation of a location parameter", 1964.

    >>> import numpy as np
    >>> from nnx import functional
    >>> values, pullback = functional.huber(np.asarray([[0.0, 0.0]]), np.asarray([[0.5, 3.0]]))
    >>> values, pullback(1.0)
    (array([1.3125]), array([[0.25, 0.5 ]]))
    """
    xp = array_namespace(y_pred)
    error = y_pred - y_true
    count = error.shape[-1]
    slope = clip(xp, error, -delta, delta)  # the derivative; both branches are slope * (error - slope / 2)
    values = xp.sum(slope * (error - 0.5 * slope), axis=-1) / count
    return values, lambda dvalues: slope * (over_axis(dvalues) / count)


@loss_function
def poisson(y_true: Array, y_pred: Array) -> tuple[Array, Pullback]:
    """Poisson loss: mean(y_pred - y_true * log(y_pred + 1e-7)), for predicted rates of counts

    y_true, y_pred : one shape, (..., n). Targets of another dtype are converted; an axis of size 1 at the end may be
        missing in one of the two.

    Returns the values (...), one for each sample, and pullback(dvalues) -> dy_pred, with dvalues (...), or one float
    for all. `nnx.losses.poisson` returns the values alone. ValueError for shapes that do not go together.

        dy_pred = (1 - y_true / (y_pred + 1e-7)) / n * dvalues

    It is the negative log-likelihood of counts y_true, but for a constant. y_pred is positive.

    >>> import numpy as np
    >>> from nnx import functional
    >>> values, pullback = functional.poisson(np.asarray([[0.0, 3.0]]), np.asarray([[1.0, 2.0]]))
    >>> values.round(4), pullback(1.0).round(4)
    (array([0.4603]), array([[ 0.5 , -0.25]]))
    """
    xp = array_namespace(y_pred)
    rate = y_pred + EPSILON
    count = rate.shape[-1]
    values = xp.sum(y_pred - y_true * xp.log(rate), axis=-1) / count
    return values, lambda dvalues: (1.0 - y_true / rate) * (over_axis(dvalues) / count)


@loss_function
def cosine_similarity(y_true: Array, y_pred: Array, axis: int = -1) -> tuple[Array, Pullback]:
    """Cosine similarity, negated: -sum(y_true / |y_true| * y_pred / |y_pred|)

    y_true, y_pred : one shape, (..., n). Targets of another dtype are converted; an axis of size 1 at the end may be
        missing in one of the two.
    axis : along which the vectors lie, by default the last; the values are without it.

    Returns the values (...), one for each sample, and pullback(dvalues) -> dy_pred, with dvalues (...), or one float
    for all. `nnx.losses.cosine_similarity` returns the values alone. ValueError for shapes that do not go together.

        c = sum(y_true / |y_true| * y_pred / |y_pred|)
        dy_pred = (c * y_pred / |y_pred| - y_true / |y_true|) / |y_pred| * dvalues

    -1 for equal directions, 1 for opposite ones. Norms are at least 1e-7, so the similarity to a vector of zeros is 0.

    >>> import numpy as np
    >>> from nnx import functional
    >>> values, pullback = functional.cosine_similarity(np.asarray([[3.0, 4.0]]), np.asarray([[4.0, 3.0]]))
    >>> values.round(4), pullback(1.0).round(4)
    (array([-0.96]), array([[ 0.0336, -0.0448]]))
    """
    xp = array_namespace(y_pred)

    def norm(x: Array) -> Array:
        return xp.sqrt(xp.sum(x * x, axis=axis, keepdims=True))

    true_direction = y_true / xp.maximum(norm(y_true), EPSILON)
    length = norm(y_pred)
    bounded = xp.maximum(length, EPSILON)
    direction = y_pred / bounded
    cosine = xp.sum(true_direction * direction, axis=axis, keepdims=True)

    def pullback(dvalues: Array | float) -> Array:
        along = xp.where(bounded == length, direction * cosine, 0.0)  # below the bound the length is no divisor
        return (along - true_direction) / bounded * over_axis(dvalues, axis)

    return -xp.squeeze(cosine, axis=axis), pullback
