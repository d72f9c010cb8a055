"""Standardisation: features brought to another range by numbers that are given."""

from __future__ import annotations

from nnx.backends import Array, array_namespace
from nnx.functional.normalization_axes import Axis, along, axes_of
from nnx.precision import narrow, wide
from nnx.pullbacks import Pullback

__all__ = ["rescale", "standardize"]

_LEAST_DEVIATION = 1e-7  # what a feature that never changes is divided by, as in Keras


def rescale(x: Array, scale: float | Array, offset: float | Array = 0.0) -> tuple[Array, Pullback]:
    """Rescaling: y = x * scale + offset

    x : floating, of any shape. float16 is computed in float32.
    scale, offset : constants: numbers, or arrays that broadcast against x, of its dtype or float32 for float16. The
        offset is by default 0.

    Returns y of the shape and dtype of x, and pullback(dy) -> dx = dy * scale.

    >>> import numpy as np
    >>> y, pullback = rescale(np.asarray([0.0, 255.0]), 2 / 255, -1.0)
    >>> y, pullback(np.ones(2)).round(4)
    (array([-1.,  1.]), array([0.0078, 0.0078]))
    """
    return narrow(wide(x) * scale + offset, x), lambda dy: narrow(wide(dy) * scale, x)


def standardize(
    x: Array, mean: Array, variance: Array, axis: Axis = -1, invert: bool = False
) -> tuple[Array, Pullback]:
    """Standardisation: y = (x - mean) / sqrt(variance), or with `invert` y = x * sqrt(variance) + mean

    x : floating, of any shape. float16 is computed in float32.
    mean, variance : constants, with the sizes of x along `axis`, which may be several axes or none. A root below 1e-7
        counts as 1e-7.
    axis : one axis or several, by default the last.
    invert : by default False.

    Returns y of the shape and dtype of x, and pullback(dy) -> dx = dy / sqrt(variance), or dy * sqrt(variance).
    ValueError for axes that x does not have.

    >>> import numpy as np
    >>> y, pullback = standardize(np.asarray([[1.0, 8.0]]), np.asarray([3.0, 2.0]), np.asarray([4.0, 9.0]))
    >>> y, pullback(np.ones((1, 2))).round(4)
    (array([[-1.,  2.]]), array([[0.5   , 0.3333]]))
    """
    xp = array_namespace(x)
    axes = axes_of(x.shape, axis)
    mean = along(mean, x, axes)
    deviation = xp.maximum(xp.sqrt(along(variance, x, axes)), _LEAST_DEVIATION)
    if invert:
        return narrow(wide(x) * deviation + mean, x), lambda dy: narrow(wide(dy) * deviation, x)
    return narrow((wide(x) - mean) / deviation, x), lambda dy: narrow(wide(dy) / deviation, x)
