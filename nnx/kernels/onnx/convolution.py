"""Convolutions as nodes of ONNX, which have channels first; the Transposes around them cancel."""

from __future__ import annotations

from typing import Any

from nnx.backends.base import Array
from nnx.kernels import backend_kernel
from nnx.kernels.onnx.table import KERNELS, has_node, no_pullback
from nnx.onnx.array import made_by, node
from nnx.onnx.size import Size
from nnx.onnx.standard import FIRST_FROM_LAST, LAST_FROM_FIRST, xp
from nnx.pullbacks import Pullback
from nnx.windows import Axis, Windows


def is_sequence(images: Array) -> bool:
    """Whether images are a sequence that was given an axis for its only column."""
    made = made_by(images, "Unsqueeze")
    return made is not None and images.ndim == 4 and made.inputs[1].value.tolist() == [2]


class Channels:
    """Images (n, rows, columns, c), or sequences among them, as ONNX has them, with channels first; and back."""

    def __init__(self, images: Array, windows: Windows) -> None:
        self._sequence = is_sequence(images)
        self.axes: list[Axis] = [windows.rows] if self._sequence else [windows.rows, windows.columns]
        x = xp.squeeze(images, axis=2) if self._sequence else images
        self.first: Any = xp.permute_dims(x, FIRST_FROM_LAST[x.ndim])

    def filters(self, kernel: Array) -> Any:
        """A kernel (kh, kw, c, f) as (f, c, *window)."""
        kernel = xp.squeeze(kernel, axis=1) if self._sequence else kernel
        return xp.permute_dims(kernel, (kernel.ndim - 1, kernel.ndim - 2, *range(kernel.ndim - 2)))

    def last(self, y: Any) -> Any:
        """What a node made, as images with channels last."""
        y = xp.permute_dims(y, LAST_FROM_FIRST[y.ndim])
        return xp.expand_dims(y, axis=2) if self._sequence else y


def attributes_of(axes: list[Axis]) -> dict[str, Any]:
    """Window, strides, dilations and padding of a node, without what is its default.

    Where the padding follows from an open size, the node's own rule for "same" is that of Keras.
    """
    found: dict[str, Any] = {"kernel_shape": tuple(axis.window for axis in axes)}
    for name, values in (("strides", [a.stride for a in axes]), ("dilations", [a.dilation for a in axes])):
        if any(value != 1 for value in values):
            found[name] = tuple(values)
    before, after = [axis.before for axis in axes], [_after(axis) for axis in axes]
    if any(isinstance(amount, Size) for amount in (*before, *after)):
        return {**found, "auto_pad": "SAME_UPPER"}
    return {**found, "pads": (*before, *after)} if any((*before, *after)) else found


def _after(axis: Axis) -> Any:
    """The padding behind; 0 where windows that lie inside end before the size, which may be open."""
    amount = (axis.count - 1) * axis.stride + axis.extent - axis.before - axis.size
    if isinstance(amount, Size) and isinstance(axis.before, int) and axis.before == 0 and axis.stride > 1:
        return 0 if axis.count == (axis.size - axis.extent) // axis.stride + 1 else amount
    return max(0, amount)


@backend_kernel(KERNELS, accepts=has_node)
def correlate(x: Array, kernel: Array, windows: Windows, groups: int = 1) -> Array:
    channels = Channels(x, windows)
    filters = channels.filters(kernel)
    shape = (x.shape[0], filters.shape[0], *(axis.count for axis in channels.axes))
    group = {"group": groups} if groups > 1 else {}
    y = node("Conv", [channels.first, filters], shape, x.dtype, **attributes_of(channels.axes), **group)
    return channels.last(y)


@backend_kernel(KERNELS, accepts=has_node)
def correlate_depthwise(x: Array, kernel: Array, windows: Windows) -> tuple[Array, Pullback]:
    tall, wide, c, m = kernel.shape
    return correlate(x, xp.reshape(kernel, (tall, wide, 1, c * m)), windows, c), no_pullback


def _has_transposed_node(y: Array, kernel: Array, windows: Windows, groups: int = 1) -> bool:
    return has_node(y) and groups == 1


@backend_kernel(KERNELS, accepts=_has_transposed_node)
def correlate_transposed(y: Array, kernel: Array, windows: Windows, groups: int = 1) -> Array:
    channels = Channels(y, windows)
    axes = channels.axes
    filters = xp.permute_dims(channels.filters(kernel), (0, 1, *range(2, len(axes) + 2)))
    # what the windows reach beyond the end is cut off; what they do not reach is added
    ends = [(axis.count - 1) * axis.stride + axis.extent - axis.before - axis.size for axis in axes]
    given: dict[str, Any] = {"kernel_shape": tuple(axis.window for axis in axes)}
    given["pads"] = (*(axis.before for axis in axes), *(max(0, end) for end in ends))
    given["strides"] = tuple(axis.stride for axis in axes)
    given["dilations"] = tuple(axis.dilation for axis in axes)
    if any(end < 0 for end in ends):
        given["output_padding"] = tuple(max(0, -end) for end in ends)
    shape = (y.shape[0], filters.shape[1], *(axis.size for axis in axes))
    return channels.last(node("ConvTranspose", [channels.first, filters], shape, y.dtype, **given))
