"""Layers of sequences, images and volumes: what they share: options for each spatial axis, channels and sizes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

from nnx.arguments import choice, integers
from nnx.backends import Array
from nnx.functional.layout import CHANNELS_FIRST, CHANNELS_LAST, spatial_axes
from nnx.functional.masking import steps_of_windows
from nnx.layers.layer import Layer
from nnx.shapes import Shape
from nnx.windows import VolumeWindows, Windows, volume_windows_of, windows_of

_NAMES = {1: "steps", 2: "rows, columns", 3: "depth, rows, columns"}


class Spatial(Layer):
    """A layer of sequences, images or volumes. `spatial_ndim` is the number of its spatial axes: 1, 2 or 3."""

    spatial_ndim: ClassVar[int]
    data_format: str

    def set_data_format(self, data_format: str | None) -> None:
        """Take "channels_last" or "channels_first"; None for the former, ValueError for anything else."""
        known = (CHANNELS_LAST, CHANNELS_FIRST)
        self.data_format = choice(f"{self.name}: data_format", data_format or CHANNELS_LAST, known)

    def for_each_axis(self, argument: str, value: Any, least: int = 1) -> tuple[int, ...]:
        """An argument as one integer for each spatial axis; ValueError for anything else."""
        return integers(f"{self.name}: {argument}", value, self.spatial_ndim, least)

    def check_padding(self, padding: Any, *known: str) -> str:
        """One of the paddings that the layer knows; ValueError for any other."""
        return choice(f"{self.name}: padding", padding, known)

    @property
    def channel_axis(self) -> int:
        """The axis of the channels, counted from that of the batch, which is 0."""
        return 1 if self.data_format == CHANNELS_FIRST else self.spatial_ndim + 1

    def check_axes(self, input_shape: Shape) -> tuple[int, ...]:
        """The spatial axes of an input; ValueError for one that has another number of axes."""
        if len(input_shape) != self.spatial_ndim + 2:
            sizes = _NAMES[self.spatial_ndim]
            order = f"channels, {sizes}" if self.data_format == CHANNELS_FIRST else f"{sizes}, channels"
            sizes_of_sample = self.spatial_ndim + 1
            hint = f"; Reshape or an input_shape of {sizes_of_sample} sizes gives it" if len(input_shape) < 4 else ""
            raise ValueError(f"{self.name}: expected an input of shape (batch, {order}), got {input_shape}{hint}")
        return spatial_axes(input_shape, self.data_format, self.name)

    def channels_of(self, input_shape: Shape) -> int:
        """How many channels an input has; ValueError if that is not known."""
        self.check_axes(input_shape)
        channels = input_shape[self.channel_axis]
        if not channels:
            raise ValueError(f"{self.name}: the input's channels must be known and not 0, got shape {input_shape}")
        return channels

    def check_channels(self, input_shape: Shape) -> None:
        """ValueError for an input with other channels than the layer was built for."""
        self.check_axes(input_shape)
        if self.built:
            expected, given = (shape[self.channel_axis] for shape in (self.build_shape, input_shape))
            if given not in (expected, None):
                raise ValueError(
                    f"{self.name}: expected an input with {expected} channels, got {given} (shape {input_shape})"
                )

    def windows(
        self,
        sizes: Sequence[int],
        window: tuple[int, ...],
        strides: tuple[int, ...],
        padding: str,
        dilation: tuple[int, ...] | None = None,
    ) -> Windows | VolumeWindows:
        """The windows in inputs of these sizes; ValueError for those that do not fit in."""
        known = volume_windows_of if self.spatial_ndim == 3 else windows_of
        return known(self.name, tuple(sizes), window, strides, padding, dilation)

    @property
    def mask_axes(self) -> tuple[str, ...]:  # type: ignore[override]
        return ("batch", *_NAMES[self.spatial_ndim].split(", "))

    def sizes_of_mask(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        return (shape[0], *(shape[axis] for axis in self.check_axes(shape)))

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        """None, with a warning: the steps of the output are not those of the input."""
        return self.lost_mask(mask)

    def mask_of_windows(
        self,
        x: Array,
        mask: Any,
        window: tuple[int, ...],
        strides: tuple[int, ...],
        padding: str,
        dilation: tuple[int, ...] | None = None,
    ) -> Any:
        """The mask of windows along a sequence: whether one of a window's steps counts.

        Where each step has a window of its own, as with "same" padding and strides of 1, it is that of the steps.
        """
        if mask is None or len(mask.shape) != 2 or self.spatial_ndim != 1:
            return self.lost_mask(mask)
        if padding != "valid" and strides == (1,):
            return mask
        sizes = self.sizes_of_mask(tuple(x.shape))[1:]
        return steps_of_windows(mask, windows_of(self.name, sizes, window, strides, padding, dilation).rows)

    def output_shape(
        self, input_shape: Shape, resize: Callable[[Sequence[int]], Sequence[int]], channels: int | None = None
    ) -> Shape:
        """An input's shape with new sizes, and other channels if given.

        resize : new sizes from the old ones, of which the first `spatial_ndim` count. An unknown size stays unknown.
        """
        axes, shape = self.check_axes(input_shape), list(input_shape)
        known = [_ANY if size is None else size for size in (shape[axis] for axis in axes)]
        for axis, size in zip(axes, resize(known)[: self.spatial_ndim], strict=True):
            shape[axis] = None if shape[axis] is None else size
        if channels is not None:
            shape[self.channel_axis] = channels
        return tuple(shape)


_ANY = 1 << 30  # stands for a size that is not known: all windows fit in
