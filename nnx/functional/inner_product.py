"""Inner product of two arrays along an axis of each, sample by sample."""

from __future__ import annotations

import math
from collections.abc import Sequence

from nnx.backends import Array, array_namespace
from nnx.functional.normalization import unit_normalization
from nnx.kernels import accelerated
from nnx.precision import narrow, wide_sum
from nnx.pullbacks import Pullback

__all__ = ["dot"]

_EPSILON = 1e-7  # what Keras divides by at least


@accelerated
def dot(x: Array, y: Array, axes: int | Sequence[int], normalize: bool = False) -> tuple[Array, Pullback]:
    """Inner product along one axis of each: z[n, i..., j...] = Σ_k x[n, i..., k] * y[n, k, j...].

    x, y : (batch, ...), of one size along the axes that are summed over.
    axes : the axis of both, or one for each; not 0, the batch axis.
    normalize : give the vectors length 1 before, so that z is the cosine of the angle between them. By default False.

    Returns z, which has the other axes of x, then those of y, or (batch, 1) if there are none, and pullback(dz) ->
    (dx, dy). ValueError for axes that are not there, or of different sizes.

    >>> import numpy as np
    >>> z, pullback = dot(np.asarray([[1.0, 2.0]]), np.asarray([[3.0, 4.0]]), axes=1)
    >>> z, pullback(np.ones((1, 1)))
    (array([[11.]]), (array([[3., 4.]]), array([[1., 2.]])))
    >>> dot(np.zeros((5, 2, 3)), np.zeros((5, 3, 4)), axes=(2, 1))[0].shape
    (5, 2, 4)
    """
    xp = array_namespace(x)
    a, b = axes_of_both(x.shape, y.shape, axes)
    if normalize:
        (x, pullback_x), (y, pullback_y) = unit_normalization(x, a, _EPSILON), unit_normalization(y, b, _EPSILON)
    last, first = _moved(len(x.shape), a, len(x.shape) - 1), _moved(len(y.shape), b, 1)
    moved_x, moved_y = xp.permute_dims(x, last), xp.permute_dims(y, first)
    batch, size = x.shape[0], x.shape[a]
    rest_x, rest_y = moved_x.shape[1:-1], moved_y.shape[2:]
    rows = xp.reshape(moved_x, (batch, math.prod(rest_x), size))
    columns = xp.reshape(moved_y, (batch, size, math.prod(rest_y)))
    if rest_x or rest_y:
        z = xp.reshape(rows @ columns, (batch, *rest_x, *rest_y))
    else:
        z = narrow(wide_sum(x * y, axis=1, keepdims=True), x)  # faster than matrices of one row

    def pullback(dz: Array) -> tuple[Array, Array]:
        if rest_x or rest_y:
            dz = xp.reshape(dz, (batch, math.prod(rest_x), math.prod(rest_y)))
            dx = xp.reshape(dz @ xp.matrix_transpose(columns), moved_x.shape)
            dy = xp.reshape(xp.matrix_transpose(rows) @ dz, moved_y.shape)
            dx, dy = xp.permute_dims(dx, _inverse(last)), xp.permute_dims(dy, _inverse(first))
        else:
            dx, dy = dz * y, dz * x
        return (pullback_x(dx), pullback_y(dy)) if normalize else (dx, dy)

    return z, pullback


def axes_of_both(
    shape_x: Sequence[int | None], shape_y: Sequence[int | None], axes: int | Sequence[int]
) -> tuple[int, int]:
    """Axis of each array as a positive number; ValueError if there is none, or the batch axis is meant.

    >>> axes_of_both((None, 2, 3), (None, 3, 4), (-1, 1))
    (2, 1)
    """
    pair = (axes, axes) if isinstance(axes, int) else tuple(axes)
    if len(pair) != 2:
        raise ValueError(f"dot: axes must be one axis or two, got {axes}")
    found = []
    for axis, shape in zip(pair, (shape_x, shape_y), strict=True):
        if not -len(shape) < axis < len(shape) or axis == 0:
            raise ValueError(f"dot: {axis} in axes={axes} is not an axis of shape {tuple(shape)} behind the batch axis")
        found.append(axis % len(shape))
    a, b = found
    if shape_x[a] != shape_y[b] and None not in (shape_x[a], shape_y[b]):
        raise ValueError(
            f"dot: axis {a} of shape {tuple(shape_x)} and axis {b} of shape {tuple(shape_y)} must have one size"
        )
    return a, b


def _moved(ndim: int, source: int, target: int) -> tuple[int, ...]:
    """The permutation that moves one axis."""
    order = [axis for axis in range(ndim) if axis != source]
    order.insert(target, source)
    return tuple(order)


def _inverse(order: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(sorted(range(len(order)), key=order.__getitem__))
