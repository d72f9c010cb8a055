"""Pooling: one number for all elements of a window, or of a whole sequence, image or volume.

Inputs are (batch, steps, channels), (batch, rows, columns, channels) or (batch, depth, rows, columns, channels), with
channels behind the batch axis for data_format "channels_first".
"""

from __future__ import annotations

import functools
import math

from nnx.backends import Array, array_namespace
from nnx.functional.layout import CHANNELS_LAST, for_each_axis, from_images, sizes_of, spatial_axes, to_images
from nnx.functional.unfolding import fold, table, tiles, unfold
from nnx.functional.volumes import reduce_windows
from nnx.kernels import accelerated
from nnx.precision import narrow, wide, wide_sum
from nnx.pullbacks import Pullback
from nnx.shapes import Sizes
from nnx.windows import (
    VolumeWindows,
    Windows,
    along_axes,
    images_of,
    shares_of_windows,
    taps_of_windows,
    volumes_of,
)

__all__ = ["average_pool", "global_average_pool", "global_max_pool", "max_pool"]


def max_pool(
    x: Array, size: Sizes, strides: Sizes | None = None, padding: str = "valid", data_format: str = CHANNELS_LAST
) -> tuple[Array, Pullback]:
    """Max pooling: the largest element of each window, for each channel. Of several largest the first has the gradient.

    x : (batch, steps, c), (batch, rows, columns, c) or (batch, depth, rows, columns, c).
    size : of the windows, a number or one for each spatial axis.
    strides : how far apart the windows are; by default their size.
    padding : "valid" (default), windows lie inside the input; "same", ceil(size / stride) windows that reach over its
        border.
    data_format : "channels_last" (default) or "channels_first".

    Returns y (batch, *new sizes, c), and pullback(dy) -> dx: each element of dy where its window's largest is, added up
    where windows overlap. ValueError for windows that do not fit into the input.

    >>> import numpy as np
    >>> y, pullback = max_pool(np.asarray([[[1.0], [5.0], [2.0], [2.0]]]), 2)
    >>> y.ravel(), pullback(np.ones((1, 2, 1))).ravel()
    (array([5., 2.]), array([0., 1., 1., 0.]))
    """
    axes, images = len(x.shape), to_images(x, data_format, "max_pool")
    windows = _windows("max_pool", images, axes, size, strides, padding)
    y, pullback = reduce_windows(largest_of_windows, images, windows)
    return from_images(y, axes, data_format), lambda dy: from_images(
        pullback(to_images(dy, data_format, "max_pool")), axes, data_format
    )


def average_pool(
    x: Array, size: Sizes, strides: Sizes | None = None, padding: str = "valid", data_format: str = CHANNELS_LAST
) -> tuple[Array, Pullback]:
    """Average pooling: the mean of each window, for each channel, of what lies inside the input.

    x, size, strides, padding, data_format : as for `max_pool`.

    Returns y (batch, *new sizes, c), and pullback(dy) -> dx: each element of dy, divided by the number of elements that
    its window has inside the input, added up where windows overlap. ValueError for windows that do not fit into the
    input.

    >>> import numpy as np
    >>> y, pullback = average_pool(np.asarray([[[1.0], [5.0], [2.0]]]), 2, padding="same")
    >>> y.ravel(), pullback(np.ones((1, 2, 1))).ravel()
    (array([3., 2.]), array([0.5, 0.5, 1. ]))
    """
    axes, images = len(x.shape), to_images(x, data_format, "average_pool")
    windows = _windows("average_pool", images, axes, size, strides, padding)
    y, pullback = reduce_windows(mean_of_windows, images, windows)
    return from_images(y, axes, data_format), lambda dy: from_images(
        pullback(to_images(dy, data_format, "average_pool")), axes, data_format
    )


def global_max_pool(x: Array, data_format: str = CHANNELS_LAST, keepdims: bool = False) -> tuple[Array, Pullback]:
    """Global max pooling: the largest element of each channel (batch, c), or with spatial axes of size 1 if `keepdims`.

    x : (batch, steps, c), (batch, rows, columns, c) or (batch, depth, rows, columns, c).
    data_format : "channels_last" (default) or "channels_first".
    keepdims : by default False.

    Returns y, and pullback(dy) -> dx: dy where the largest element is, else 0. Several largest elements share it.

    >>> import numpy as np
    >>> y, pullback = global_max_pool(np.asarray([[[1.0], [5.0], [5.0]]]))
    >>> y, pullback(np.ones((1, 1))).ravel()
    (array([[5.]]), array([0. , 0.5, 0.5]))
    """
    xp = array_namespace(x)
    axes = spatial_axes(x.shape, data_format, "global_max_pool")
    largest = xp.max(x, axis=axes, keepdims=True)

    def pullback(dy: Array) -> Array:
        shares = xp.astype(x == largest, x.dtype)
        shares = narrow(shares / wide_sum(shares, axis=axes, keepdims=True), x)
        return shares * xp.reshape(dy, largest.shape)

    return largest if keepdims else xp.squeeze(largest, axis=axes), pullback


def global_average_pool(
    x: Array, data_format: str = CHANNELS_LAST, keepdims: bool = False, mask: Array | None = None
) -> tuple[Array, Pullback]:
    """Global average pooling, the mean of each channel: (batch, c), or with spatial axes of size 1 if `keepdims`.

    x : (batch, steps, c), (batch, rows, columns, c) or (batch, depth, rows, columns, c).
    data_format : "channels_last" (default) or "channels_first".
    keepdims : by default False.
    mask : boolean (batch, steps), for sequences: steps that are False do not count. The mean of no steps is 0. By
        default None.

    Returns y, and pullback(dy) -> dx: dy divided by the number of the elements that count, at each of them. ValueError
    for a mask of images.

    >>> import numpy as np
    >>> y, pullback = global_average_pool(np.asarray([[[1.0], [5.0], [0.0]]]), mask=np.asarray([[True, True, False]]))
    >>> y, pullback(np.ones((1, 1))).ravel()
    (array([[3.]]), array([0.5, 0.5, 0. ]))
    """
    xp = array_namespace(x)
    axes = spatial_axes(x.shape, data_format, "global_average_pool")
    if mask is not None:
        if len(axes) > 1:
            raise ValueError(f"global_average_pool: a mask is for sequences (batch, steps, c), got shape {x.shape}")
        return _masked_mean(x, axes[0], keepdims, mask)
    shape = tuple(x.shape)
    share = 1.0 / math.prod(shape[axis] for axis in axes)
    kept = tuple(1 if axis in axes else size for axis, size in enumerate(shape))

    def pullback(dy: Array) -> Array:
        return share_out(xp.reshape(dy, kept), share, shape)

    return xp.mean(x, axis=axes, keepdims=keepdims), pullback


@accelerated
def share_out(y: Array, share: float, shape: tuple[int, ...]) -> Array:
    """Elements times `share`, each at all of the positions that it was made from, in an array of `shape`, or a view."""
    return array_namespace(y).broadcast_to(y * share, shape)


def _masked_mean(x: Array, axis: int, keepdims: bool, mask: Array) -> tuple[Array, Pullback]:
    xp = array_namespace(x)
    counted = xp.expand_dims(mask, axis=3 - axis)
    count = wide_sum(xp.astype(counted, x.dtype), axis=axis, keepdims=True)
    share = 1.0 / xp.maximum(count, 1.0)
    mean = narrow(wide_sum(xp.where(counted, x, 0.0), axis=axis, keepdims=True) * share, x)

    def pullback(dy: Array) -> Array:
        dy = dy if keepdims else xp.expand_dims(dy, axis=axis)
        return xp.where(counted, xp.broadcast_to(narrow(dy * share, dy), x.shape), 0.0)

    return mean if keepdims else xp.squeeze(mean, axis=axis), pullback


@accelerated
def largest_of_windows(x: Array, windows: Windows) -> tuple[Array, Pullback]:
    """Largest element of each window: x (n, rows, columns, c)  ->  (n, *windows.counts, c)"""
    xp = array_namespace(x)
    n, (down, across), c = x.shape[0], windows.counts, x.shape[3]
    y = xp.max(tiles(x, windows), axis=(2, 4)) if windows.tiled else xp.max(unfold(x, windows, -math.inf), axis=2)

    def pullback(dy: Array) -> Array:
        first = xp.argmax(unfold(x, windows, -math.inf), axis=2, keepdims=True)
        chosen = table(taps_of_windows, windows, x) == first
        return fold(xp.where(chosen, xp.reshape(dy, (n, down * across, 1, c)), 0.0), windows)

    return xp.reshape(y, (n, down, across, c)), pullback


@accelerated
def mean_of_windows(x: Array, windows: Windows) -> tuple[Array, Pullback]:
    """Mean of each window, of what is inside the image: x (n, rows, columns, c)  ->  (n, *windows.counts, c)"""
    elements = wide(x)
    share: Array | float = 1.0 / windows.taps
    if windows.padded:
        share = table(shares_of_windows, windows, x, str(elements.dtype).rpartition(".")[2])
    y, pullback = sum_of_windows(elements, windows)
    y *= share
    return narrow(y, x), lambda dy: narrow(pullback(wide(dy) * share), dy)


@accelerated
def sum_of_windows(x: Array, windows: Windows) -> tuple[Array, Pullback]:
    """Sum of each window, of what is inside the image: x (n, rows, columns, c)  ->  (n, *windows.counts, c)"""
    xp = array_namespace(x)
    n, (down, across), taps, c = x.shape[0], windows.counts, windows.taps, x.shape[3]
    y = xp.sum(tiles(x, windows), axis=(2, 4)) if windows.tiled else xp.sum(unfold(x, windows), axis=2)

    def pullback(dy: Array) -> Array:
        elements = xp.reshape(dy, (n, down * across, 1, c))
        return fold(xp.broadcast_to(elements, (n, down * across, taps, c)), windows)

    return xp.reshape(y, (n, down, across, c)), pullback


def _windows(
    name: str, images: Array, axes: int, size: Sizes, strides: Sizes | None, padding: str
) -> Windows | VolumeWindows:
    if padding not in ("valid", "same"):
        raise ValueError(f"{name}: padding must be 'valid' or 'same', got {padding!r}")
    window = for_each_axis(size, axes)
    steps = window if strides is None else for_each_axis(strides, axes)
    return _trimmed_windows(name, sizes_of(images, axes), window, steps, padding)


@functools.lru_cache(maxsize=1024)
def _trimmed_windows(
    name: str, sizes: tuple[int, ...], window: tuple[int, ...], strides: tuple[int, ...], padding: str
) -> Windows | VolumeWindows:
    """`along_axes`, of windows that may be far larger than what is in them."""
    axes = [axis.trimmed for axis in along_axes(name, sizes, window, strides, padding)]
    return volumes_of(axes) if len(axes) == 3 else images_of(axes)
