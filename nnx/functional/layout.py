"""Layout of sequences, images and volumes in memory, and numbers given for one axis or for all.

Inside, a sequence is an image (batch, rows, columns, channels) with one column: the windows of a long sequence can then
be taken a few rows at a time, as those of a large image. Volumes are (batch, depth, rows, columns, channels).
"""

from __future__ import annotations

from collections.abc import Sequence

from nnx.backends import Array, array_namespace

__all__ = ["for_each_axis", "from_images", "sizes_of", "spatial_axes", "to_images"]

CHANNELS_LAST, CHANNELS_FIRST = "channels_last", "channels_first"


def spatial_axes(shape: Sequence[int | None], data_format: str, name: str) -> tuple[int, ...]:
    """Axes between those of batch and channels, of a shape of three to five sizes.

    ValueError, which starts with the name, for another number of axes, another data format, or an axis of size 0.

    >>> spatial_axes((None, 28, 28, 3), "channels_last", "conv"), spatial_axes((None, 3, 50), "channels_first", "conv")
    ((1, 2), (2,))
    """
    if data_format not in (CHANNELS_LAST, CHANNELS_FIRST):
        raise ValueError(f"{name}: data_format must be {CHANNELS_LAST!r} or {CHANNELS_FIRST!r}, got {data_format!r}")
    axes = len(shape)
    if not 3 <= axes <= 5:
        raise ValueError(
            f"{name}: expected (batch, steps, channels), (batch, rows, columns, channels) or (batch, depth, rows, "
            f"columns, channels), got shape {tuple(shape)}"
        )
    spatial = tuple(range(2, axes)) if data_format == CHANNELS_FIRST else tuple(range(1, axes - 1))
    if any(shape[axis] == 0 for axis in spatial):
        raise ValueError(f"{name}: there is nothing in samples of shape {tuple(shape[1:])}")
    return spatial


def to_images(x: Array, data_format: str, name: str) -> Array:
    """Images (batch, rows, columns, c) of x, (batch, steps, c) or images, with c last or behind the batch; or volumes.

    >>> import numpy as np
    >>> to_images(np.zeros((2, 50, 3)), "channels_last", "conv").shape
    (2, 50, 1, 3)
    """
    xp = array_namespace(x)
    spatial = spatial_axes(x.shape, data_format, name)
    if data_format == CHANNELS_FIRST:
        x = xp.permute_dims(x, (0, *spatial, 1))
    return xp.expand_dims(x, axis=2) if len(spatial) == 1 else x


def from_images(y: Array, axes: int, data_format: str) -> Array:
    """Inverse of `to_images`, for an array with that many axes.

    >>> import numpy as np
    >>> from_images(np.zeros((2, 50, 1, 3)), 3, "channels_first").shape
    (2, 3, 50)
    """
    xp = array_namespace(y)
    if axes == 3:
        y = xp.squeeze(y, axis=2)
    if data_format == CHANNELS_FIRST:
        y = xp.permute_dims(y, (0, axes - 1, *range(1, axes - 1)))
    return y


def sizes_of(images: Array, axes: int) -> tuple[int, ...]:
    """Sizes of the axes along which windows lie, of what was an array with that many axes."""
    return tuple(images.shape[1 : axes - 1])


def for_each_axis(value: int | Sequence[int], axes: int) -> tuple[int, ...]:
    """Numbers, one for each axis along which windows lie, of an array with that many axes.

    >>> for_each_axis(2, 4), for_each_axis([2, 3], 4), for_each_axis(2, 3)
    ((2, 2), (2, 3), (2,))
    """
    return (value,) * (axes - 2) if isinstance(value, int) else tuple(value)
