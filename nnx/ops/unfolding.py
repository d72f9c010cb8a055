"""Windows of images laid out as columns or channels, and back: unfold, fold, depth to space and its inverse."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from nnx.autodiff.primitive import primitive
from nnx.backends import Array
from nnx.functional import unfolding
from nnx.ops.operation import as_array, namespace, operation
from nnx.windows import Windows, windows_of

__all__ = ["depth_to_space", "fold", "space_to_depth", "unfold"]

Pair = int | tuple[int, int]


def _unfolded(x: Array, windows: Windows) -> tuple[Array, Callable[[Array], Array]]:
    return unfolding.unfold(x, windows), lambda dy: fold_windows(dy, windows)


def _folded(elements: Array, windows: Windows) -> tuple[Array, Callable[[Array], Array]]:
    return unfolding.fold(elements, windows), lambda dy: unfold_windows(dy, windows)


unfold_windows, fold_windows = primitive(_unfolded), primitive(_folded)
"""The functions of `nnx.functional.unfolding`, each with the other as its derivative."""


def _two(value: Pair) -> tuple[int, int]:
    return (value, value) if isinstance(value, int) else (value[0], value[1])


@operation
def unfold(x: Any, kernel_size: Pair, dilation: Pair = 1, padding: Pair = 0, stride: Pair = 1) -> Array:
    """Windows of images as columns: x (batch, channels, rows, columns) -> (batch, channels * window, windows).

    padding : zeros on both sides of each axis.

    >>> import numpy as np
    >>> unfold(np.arange(4.0).reshape(1, 1, 2, 2), (2, 1)).tolist()
    [[[0.0, 1.0], [2.0, 3.0]]]
    """
    images = as_array(x)
    xp, (top, left) = namespace(images), _two(padding)
    images = _zeros_around(xp.permute_dims(images, (0, 2, 3, 1)), top, left)
    n, height, width, channels = images.shape
    windows = windows_of("unfold", (height, width), _two(kernel_size), _two(stride), "valid", _two(dilation))
    elements = unfold_windows(images, windows)  # (n, windows, taps, channels)
    count = windows.counts[0] * windows.counts[1]
    return xp.reshape(xp.permute_dims(elements, (0, 3, 2, 1)), (n, channels * windows.taps, count))


@operation
def fold(
    x: Any, output_size: Pair, kernel_size: Pair, dilation: Pair = 1, padding: Pair = 0, stride: Pair = 1
) -> Array:
    """Images of columns, the adjoint of `unfold`: elements that lie at one place are added up.

    x : (batch, channels * window, windows). output_size : (rows, columns) of the images (batch, channels, ...).

    >>> import numpy as np
    >>> fold(np.ones((1, 2, 2)), (3, 1), (2, 1)).ravel()
    array([1., 2., 1.])
    """
    columns = as_array(x)
    xp, (top, left), (height, width) = namespace(columns), _two(padding), _two(output_size)
    sizes = (height + 2 * top, width + 2 * left)
    windows = windows_of("fold", sizes, _two(kernel_size), _two(stride), "valid", _two(dilation))
    n, rows, count = columns.shape
    if rows % windows.taps or count != windows.counts[0] * windows.counts[1]:
        raise ValueError(
            f"fold: x is (batch, channels * {windows.taps}, {windows.counts[0] * windows.counts[1]}) for images of "
            f"{height} x {width}, got shape {tuple(columns.shape)}"
        )
    elements = xp.permute_dims(xp.reshape(columns, (n, rows // windows.taps, windows.taps, count)), (0, 3, 2, 1))
    images = fold_windows(elements, windows)[:, top : top + height, left : left + width, :]
    return xp.permute_dims(images, (0, 3, 1, 2))


def _zeros_around(images: Array, top: int, left: int) -> Array:
    """Images (n, rows, columns, c) with zeros on both sides of rows and columns."""
    xp = namespace(images)
    for axis, amount in ((1, top), (2, left)):
        if amount:
            size = tuple(amount if i == axis else n for i, n in enumerate(images.shape))
            border = xp.broadcast_to(xp.zeros_like(images[:1, :1, :1, :1]), size)
            images = xp.concat([border, images, border], axis=axis)
    return images


@operation
def depth_to_space(x: Any, block_size: int, data_format: str = "channels_last") -> Array:
    """Channels laid out as blocks: (n, rows, columns, c * b * b) -> (n, rows * b, columns * b, c).

    >>> depth_to_space([[[[1.0, 2.0, 3.0, 4.0]]]], 2).tolist()
    [[[[1.0], [2.0]], [[3.0], [4.0]]]]
    """
    images, b = as_array(x), block_size
    xp = namespace(images)
    if data_format == "channels_last":
        n, height, width, channels = images.shape
        c = _divided("depth_to_space", channels, b * b)
        blocks = xp.permute_dims(xp.reshape(images, (n, height, width, b, b, c)), (0, 1, 3, 2, 4, 5))
        return xp.reshape(blocks, (n, height * b, width * b, c))
    n, channels, height, width = images.shape
    c = _divided("depth_to_space", channels, b * b)
    blocks = xp.permute_dims(xp.reshape(images, (n, c, b, b, height, width)), (0, 1, 4, 2, 5, 3))
    return xp.reshape(blocks, (n, c, height * b, width * b))


@operation
def space_to_depth(x: Any, block_size: int, data_format: str = "channels_last") -> Array:
    """Blocks laid out as channels, the inverse of `depth_to_space`.

    >>> space_to_depth([[[[1.0], [2.0]], [[3.0], [4.0]]]], 2).tolist()
    [[[[1.0, 2.0, 3.0, 4.0]]]]
    """
    images, b = as_array(x), block_size
    xp = namespace(images)
    if data_format == "channels_last":
        n, height, width, c = images.shape
        down, across = (_divided("space_to_depth", size, b) for size in (height, width))
        blocks = xp.permute_dims(xp.reshape(images, (n, down, b, across, b, c)), (0, 1, 3, 2, 4, 5))
        return xp.reshape(blocks, (n, down, across, c * b * b))
    n, c, height, width = images.shape
    down, across = (_divided("space_to_depth", size, b) for size in (height, width))
    blocks = xp.permute_dims(xp.reshape(images, (n, c, down, b, across, b)), (0, 1, 3, 5, 2, 4))
    return xp.reshape(blocks, (n, c * b * b, down, across))


def _divided(name: str, size: int, by: int) -> int:
    if size % by:
        raise ValueError(f"{name}: {size} cannot be divided by {by}")
    return size // by
