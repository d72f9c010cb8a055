"""Padding and cropping of sequences, images and volumes: zeros around them, or their borders taken off.

Inputs are (batch, steps, channels), (batch, rows, columns, channels) or (batch, depth, rows, columns, channels), with
channels behind the batch axis for data_format "channels_first". Amounts are given for each spatial axis.
"""

from __future__ import annotations

from collections.abc import Sequence

from nnx.backends import Array, array_namespace, backend_of
from nnx.functional.layout import CHANNELS_LAST, spatial_axes
from nnx.pullbacks import Pullback

__all__ = ["crop", "zero_pad"]

Amounts = Sequence[Sequence[int]]
"""Before and after, for each spatial axis."""


def zero_pad(x: Array, padding: Amounts, data_format: str = CHANNELS_LAST) -> tuple[Array, Pullback]:
    """Zero padding: x with zeros around it.

    x : (batch, steps, channels), (batch, rows, columns, channels) or (batch, depth, rows, columns, channels).
    padding : how many zeros come before and after, for each spatial axis: ((1, 2),) or ((1, 2), (3, 4)).
    data_format : "channels_last" (default) or "channels_first".

    Returns y, longer by before + after along each spatial axis, and pullback(dy) -> dx, what dy has inside. ValueError
    for amounts that are negative or not two for each axis.

    >>> import numpy as np
    >>> y, pullback = zero_pad(np.ones((1, 2, 1)), ((1, 2),))
    >>> y.ravel(), pullback(y).shape
    (array([0., 1., 1., 0., 0.]), (1, 2, 1))
    """
    inside, shape = _inside(x, padding, data_format, "zero_pad", outer=True)
    return _surrounded(x, inside, shape), lambda dy: dy[inside]


def crop(x: Array, cropping: Amounts, data_format: str = CHANNELS_LAST) -> tuple[Array, Pullback]:
    """Cropping: x without what is at its border.

    x : (batch, steps, channels), (batch, rows, columns, channels) or (batch, depth, rows, columns, channels).
    cropping : how much to leave out before and after, for each spatial axis: ((1, 2),) or ((1, 2), (3, 4)).
    data_format : "channels_last" (default) or "channels_first".

    Returns y, shorter by before + after along each spatial axis, and pullback(dy) -> dx, dy with zeros around it.
    ValueError for amounts that are negative or not two for each axis, and if nothing would remain.

    >>> import numpy as np
    >>> y, pullback = crop(np.asarray([[[1.0], [2.0], [3.0], [4.0]]]), ((1, 2),))
    >>> y.ravel(), pullback(y).ravel()
    (array([2.]), array([0., 2., 0., 0.]))
    """
    inside, _ = _inside(x, cropping, data_format, "crop", outer=False)
    return x[inside], lambda dy: _surrounded(dy, inside, tuple(x.shape))


def _surrounded(x: Array, inside: tuple[slice, ...], shape: tuple[int, ...]) -> Array:
    xp = array_namespace(x)
    y = xp.zeros(shape, dtype=x.dtype, device=backend_of(x).device_of(x))
    y[inside] = x
    return y


def _inside(
    x: Array, amounts: Amounts, data_format: str, name: str, outer: bool
) -> tuple[tuple[slice, ...], tuple[int, ...]]:
    """Where the smaller array lies in the larger one, and the shape of the result."""
    axes = spatial_axes(x.shape, data_format, name)
    if len(amounts) != len(axes) or any(len(pair) != 2 or min(pair) < 0 for pair in amounts):
        raise ValueError(
            f"{name}: expected (before, after), not negative, for each of {len(axes)} axes, got {tuple(amounts)}"
        )
    inside, shape = [slice(None)] * len(x.shape), list(x.shape)
    for axis, (before, after) in zip(axes, amounts, strict=True):
        size = shape[axis]
        shape[axis] = size + before + after if outer else size - before - after
        inside[axis] = slice(before, before + size if outer else size - after)
        if shape[axis] < 1:
            raise ValueError(f"{name}: nothing remains of an axis of size {size} without {before} and {after}")
    return tuple(inside), tuple(shape)
