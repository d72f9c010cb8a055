"""Windows of convolutions and pooling: where they lie in their input, and which elements they hold.

Everything here is computed from shapes, on the host. Images are (batch, rows, columns, channels); a sequence is an
image with one column. Volumes (batch, depth, rows, columns, channels) have windows of images, and others along their
depth.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Sequence

import numpy as np


@dataclasses.dataclass(frozen=True, slots=True)
class Axis:
    """Windows along one axis: window o holds the positions o * stride + tap * dilation - before, for each tap.

    size : of the input; positions outside, from -before on, are padding.
    window : how many taps a window has.
    before : how much padding comes before the input.
    count : how many windows there are.
    """

    size: int
    window: int
    stride: int
    dilation: int
    before: int
    count: int

    @property
    def extent(self) -> int:
        """How many positions lie between the first and the last tap of a window, both included."""
        return (self.window - 1) * self.dilation + 1

    @property
    def after(self) -> int:
        """How much padding is needed behind the input."""
        return max(0, (self.count - 1) * self.stride + self.extent - self.before - self.size)

    @property
    def padded(self) -> bool:
        return self.before > 0 or self.after > 0

    @property
    def tiled(self) -> bool:
        """Whether the windows lie side by side, without gaps or padding; what remains at the end is in no window."""
        return self.stride == self.window and self.dilation == 1 and not self.padded

    @property
    def whole(self) -> bool:
        """Whether there is one window, which is the whole input."""
        return self.count == 1 and self.window == self.size and self.extent == self.size and not self.before

    @property
    def trimmed(self) -> Axis:
        """The same windows without the taps before the first and after the last one that lie inside the input."""
        nearest = max(0, self.before - (self.count - 1) * self.stride)
        first = min(-(-nearest // self.dilation), self.window - 1)
        last = max(first, min(self.window - 1, (self.before + self.size - 1) // self.dilation))
        return dataclasses.replace(self, window=last - first + 1, before=self.before - first * self.dilation)

    def inside(self, tap: int) -> tuple[slice, slice]:
        """The windows in which a tap lies inside the input, and the positions where it lies there."""
        start = tap * self.dilation - self.before
        first = max(0, -(start // self.stride))
        stop = max(first, min(self.count, (self.size - 1 - start) // self.stride + 1))
        begin = start + first * self.stride
        return slice(first, stop), slice(begin, begin + max(0, (stop - first - 1) * self.stride + 1), self.stride)


@dataclasses.dataclass(frozen=True, slots=True)
class Windows:
    """Windows of images, along their rows and their columns."""

    rows: Axis
    columns: Axis

    @property
    def sizes(self) -> tuple[int, int]:
        """The sizes of the images."""
        return self.rows.size, self.columns.size

    @property
    def counts(self) -> tuple[int, int]:
        """How many windows there are along the two axes: the size of the output."""
        return self.rows.count, self.columns.count

    @property
    def taps(self) -> int:
        return self.rows.window * self.columns.window

    @property
    def padded(self) -> bool:
        return self.rows.padded or self.columns.padded

    @property
    def tiled(self) -> bool:
        return self.rows.tiled and self.columns.tiled

    @property
    def single(self) -> bool:
        """Whether there is a window for every element, which holds nothing else."""
        return self.taps == 1 and self.tiled and self.counts == self.sizes

    @property
    def whole(self) -> bool:
        """Whether the whole image is the only window."""
        return self.rows.whole and self.columns.whole


@dataclasses.dataclass(frozen=True, slots=True)
class VolumeWindows:
    """Windows of volumes: along their depth, and those of the images that they are made of."""

    depth: Axis
    images: Windows

    @property
    def sizes(self) -> tuple[int, int, int]:
        """The sizes of the volumes."""
        return self.depth.size, *self.images.sizes

    @property
    def counts(self) -> tuple[int, int, int]:
        """How many windows there are along the three axes: the size of the output."""
        return self.depth.count, *self.images.counts


_ONE = Axis(1, 1, 1, 1, 0, 1)


def along_axis(size: int, window: int, stride: int, padding: str, dilation: int = 1) -> Axis:
    """Windows along an axis of that size. Where they do not fit in, `count` is not positive.

    padding : "valid", windows lie inside the input; "same", there are ceil(size / stride) of them, and the padding is
        split evenly, the larger half behind; "causal", as many, and no window holds what comes after its place.
    """
    extent = (window - 1) * dilation + 1
    if padding == "valid":
        return Axis(size, window, stride, dilation, 0, (size - extent) // stride + 1)
    count = (size - 1) // stride + 1
    if padding == "causal":
        return Axis(size, window, stride, dilation, extent - 1, count)
    return Axis(size, window, stride, dilation, max(0, (count - 1) * stride + extent - size) // 2, count)


def along_transposed_axis(
    count: int, window: int, stride: int, padding: str, output_padding: int | None = None, dilation: int = 1
) -> Axis:
    """The axis with that many windows, whose size is that of the output of a transposed convolution.

    By default it is the largest that gives so many windows ("valid") or count * stride ("same"). With output_padding
    it is (count - 1) * stride + output_padding, and the window's extent ("valid") or its remainder by 2 ("same").
    """
    extent = (window - 1) * dilation + 1
    if padding == "valid":
        more = max(0, stride - extent) if output_padding is None else output_padding
        return Axis((count - 1) * stride + extent + more, window, stride, dilation, 0, count)
    if output_padding is None:
        return Axis(count * stride, window, stride, dilation, max(0, extent - stride) // 2, count)
    before = max(0, (extent - extent % 2 - output_padding) // 2)
    return Axis((count - 1) * stride + extent % 2 + output_padding, window, stride, dilation, before, count)


def images_of(axes: Sequence[Axis]) -> Windows:
    """The windows of images from those along one axis or two."""
    return Windows(axes[0], axes[1] if len(axes) == 2 else _ONE)


def volumes_of(axes: Sequence[Axis]) -> VolumeWindows:
    """The windows of volumes from those along three axes."""
    return VolumeWindows(axes[0], images_of(axes[1:]))


def along_axes(
    name: str,
    sizes: tuple[int, ...],
    window: tuple[int, ...],
    strides: tuple[int, ...],
    padding: str,
    dilation: tuple[int, ...] | None = None,
) -> list[Axis]:
    """The windows along each axis of inputs of those sizes.

    ValueError, which starts with the name, for numbers that are no windows, and for windows that do not fit in.
    """
    steps = dilation or (1,) * len(sizes)
    for what, numbers in (("sizes of windows", window), ("strides", strides), ("dilation", steps)):
        if len(numbers) != len(sizes) or min(numbers) < 1:
            raise ValueError(f"{name}: {what} must be positive, one for each of {len(sizes)} axes, got {numbers}")
    axes = [along_axis(n, k, s, padding, d) for n, k, s, d in zip(sizes, window, strides, steps, strict=True)]
    if any(axis.count < 1 for axis in axes):
        extents = tuple(axis.extent for axis in axes)
        spread = f" (with dilation {dilation})" if extents != window else ""
        raise ValueError(
            f"{name}: a window of {_times(extents)}{spread} does not fit into an input of {_times(sizes)}; use larger "
            f"inputs, a smaller window or padding='same'"
        )
    return axes


@functools.lru_cache(maxsize=1024)
def windows_of(
    name: str,
    sizes: tuple[int, ...],
    window: tuple[int, ...],
    strides: tuple[int, ...],
    padding: str,
    dilation: tuple[int, ...] | None = None,
) -> Windows:
    """The windows of sequences or images of those sizes; `along_axes` says what it raises."""
    return images_of(along_axes(name, sizes, window, strides, padding, dilation))


@functools.lru_cache(maxsize=256)
def volume_windows_of(
    name: str,
    sizes: tuple[int, ...],
    window: tuple[int, ...],
    strides: tuple[int, ...],
    padding: str,
    dilation: tuple[int, ...] | None = None,
) -> VolumeWindows:
    """The windows of volumes of those sizes; `along_axes` says what it raises."""
    return volumes_of(along_axes(name, sizes, window, strides, padding, dilation))


def _times(sizes: Sequence[int]) -> str:
    return " x ".join(map(str, sizes))


# Index tables: which element of an image each element of its windows is, and the other way round.


def positions_of_windows(windows: Windows) -> np.ndarray:
    """For every tap of every window the position in the flattened image; the image's size stands for padding."""
    axes = (windows.rows, windows.columns)
    row, column = ((np.arange(a.count) * a.stride)[:, None] + np.arange(a.window) * a.dilation - a.before for a in axes)
    height, width = (a.size for a in axes)
    row, column = row[:, None, :, None], column[None, :, None, :]
    inside = (row >= 0) & (row < height) & (column >= 0) & (column < width)
    positions: np.ndarray = np.where(inside, row * width + column, height * width).reshape(-1)
    return positions


@functools.lru_cache(maxsize=32)
def windows_of_positions(windows: Windows) -> np.ndarray:
    """For every position of the image the elements of windows that lie there, -1 behind the last: (positions, most)."""
    (rows, row_taps), (columns, column_taps) = map(_touching, (windows.rows, windows.columns))
    window = rows[:, None, :, None] * windows.columns.count + columns[None, :, None, :]
    tap = row_taps[:, None, :, None] * windows.columns.window + column_taps[None, :, None, :]
    there = (rows >= 0)[:, None, :, None] & (columns >= 0)[None, :, None, :]
    elements: np.ndarray = np.where(there, window * windows.taps + tap, -1).reshape(len(rows) * len(columns), -1)
    return elements


def any_element(windows: Windows) -> np.ndarray:
    """`windows_of_positions`, flat, with an arbitrary element where there is none."""
    elements: np.ndarray = np.maximum(windows_of_positions(windows), 0).reshape(-1)
    return elements


def is_there(windows: Windows) -> np.ndarray:
    """Which of `any_element` count, as a column."""
    return (windows_of_positions(windows) >= 0).reshape(-1, 1)


def _touching(axis: Axis) -> tuple[np.ndarray, np.ndarray]:
    """For every position the windows that hold it, and with which of their taps; -1 where there are no more."""
    tap = np.arange(axis.window)
    offset = np.arange(axis.size)[:, None] + axis.before - tap * axis.dilation
    window = offset // axis.stride
    there = (offset % axis.stride == 0) & (window >= 0) & (window < axis.count)
    order = np.argsort(~there, axis=1, kind="stable")[:, : max(1, there.sum(axis=1).max(initial=1))]
    there, window = (np.take_along_axis(array, order, axis=1) for array in (there, window))
    return np.where(there, window, -1), order


def taps_of_windows(windows: Windows) -> np.ndarray:
    """The numbers of a window's taps, as a column."""
    return np.arange(windows.taps)[:, None]


@functools.lru_cache(maxsize=32)
def shares_of_windows(windows: Windows, dtype: str) -> np.ndarray:
    """(*counts, 1): one divided by how many elements of a window are not padding."""
    elements = positions_of_windows(windows).reshape(*windows.counts, windows.taps)
    inside = elements < windows.rows.size * windows.columns.size
    shares: np.ndarray = (1.0 / inside.sum(axis=2, keepdims=True)).astype(dtype)
    return shares
