"""Convolutions, in the sense of the field: cross-correlations with a learned kernel.

Sequences (batch, steps, channels), images (batch, rows, columns, channels) and volumes (batch, depth, rows, columns,
channels); the kernel has as many spatial axes.
Common arguments, each a number or one for each spatial axis:

strides : how far apart windows are.
padding : "valid", windows lie inside the input; "same", ceil(size / stride) windows, with zeros around the input, the
    larger half right and below; "causal", for sequences: as many, and no output depends on later steps.
dilation : how far apart the taps of a window are; not above 1 together with strides.
data_format : "channels_last", or "channels_first" where channels come before the spatial axes.
activate : an activation function, which y is the value of.

All raise a ValueError for shapes that do not go together and for windows that do not fit into the input.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nnx.backends import Array, array_namespace
from nnx.functional.affine import bias_activation
from nnx.functional.depthwise import correlate_depthwise
from nnx.functional.layout import CHANNELS_LAST, for_each_axis, from_images, sizes_of, to_images
from nnx.functional.volumes import correlate, correlate_kernel, correlate_transposed
from nnx.pullbacks import SKIP, Differentiable, Pullback, linear
from nnx.shapes import Sizes
from nnx.windows import (
    VolumeWindows,
    Windows,
    along_transposed_axis,
    images_of,
    volume_windows_of,
    volumes_of,
    windows_of,
)

__all__ = ["conv", "conv_transpose", "depthwise_conv", "separable_conv"]


def conv(
    x: Array,
    kernel: Array,
    bias: Array | None = None,
    strides: Sizes = 1,
    padding: str = "valid",
    dilation: Sizes = 1,
    groups: int = 1,
    data_format: str = CHANNELS_LAST,
    activate: Differentiable = linear,
) -> tuple[Array, Pullback]:
    """Convolution over one to three axes: y[n, p, f] = Σ x[n, p * stride + t * dilation, c] * kernel[t, c, f] + bias[f]

    The sum is over the taps t of the window and the channels c; in images p and t have two axes, in volumes three.
    Padding moves the windows to the left, and above.

    x : (batch, *sizes, c), or (batch, c, *sizes) for "channels_first".
    kernel : (*window, c / groups, f).
    bias : (f,), or None (default).
    strides, padding, dilation : see the module; by default 1, "valid" and 1.
    groups : channels and filters are split into so many groups; a filter sees the channels of its own group. By
        default 1.
    data_format : "channels_last" (default) or "channels_first".
    activate : an activation function, by default `linear`.

    Returns y (batch, *new sizes, f), and pullback(dy) -> (dx, dkernel, dbias), or (dx, dkernel) without a bias. New
    sizes are floor((size - extent) / stride) + 1 for "valid", with the extent (window - 1) * dilation + 1, and
    ceil(size / stride) else. ValueError for shapes that do not go together.

    >>> import numpy as np
    >>> x, kernel = np.asarray([[[1.0], [2.0], [4.0]]]), np.asarray([[[1.0]], [[10.0]]])
    >>> y, pullback = conv(x, kernel)
    >>> y.ravel()
    array([21., 42.])
    >>> dx, dkernel = pullback(np.ones((1, 2, 1)))
    >>> dx.ravel(), dkernel.ravel()
    (array([ 1., 11., 10.]), array([3., 6.]))
    """
    axes, images = len(x.shape), to_images(x, data_format, "conv")
    filters = _kernel_of_images(kernel, axes, "conv")
    _check_channels("conv", x, images.shape[-1], kernel, filters.shape[-2] * groups, filters.shape[-1] % groups == 0)
    windows = _windows("conv", images, filters, axes, strides, padding, dilation)
    y, pull_end = _end(correlate(images, filters, windows, groups), bias, activate, axes, data_format)

    def pullback(dy: Array, out: Sequence[Any] = (None, None, None)) -> tuple[Array | None, ...]:
        dz, *dbias = pull_end(dy, out)
        dx = dkernel = None
        if out[0] is not SKIP:
            dx = from_images(correlate_transposed(dz, filters, windows, groups), axes, data_format)
        if out[1] is not SKIP:
            dkernel = _of_kernel(images, dz, windows, groups, axes, out[1])
        return dx, dkernel, *dbias

    return y, pullback


def conv_transpose(
    x: Array,
    kernel: Array,
    bias: Array | None = None,
    strides: Sizes = 1,
    padding: str = "valid",
    output_padding: Sizes | None = None,
    dilation: Sizes = 1,
    data_format: str = CHANNELS_LAST,
    activate: Differentiable = linear,
) -> tuple[Array, Pullback]:
    """Transposed convolution: the adjoint of `conv` with the same kernel, and a bias.

    Every element of x is multiplied by the kernel, and the products are added up where its window lies in y.

    x : (batch, *sizes, c), or (batch, c, *sizes) for "channels_first".
    kernel : (*window, f, c).
    bias : (f,), or None (default).
    strides, padding, dilation : see the module; by default 1, "valid" and 1. There is no "causal" padding.
    output_padding : what to add to the smallest new size, below the stride. By default new sizes are size * stride for
        padding "same", and size * stride + max(0, extent of the window - stride) for "valid".
    data_format : "channels_last" (default) or "channels_first".
    activate : an activation function, by default `linear`.

    Returns y (batch, *new sizes, f), and pullback(dy) -> (dx, dkernel, dbias), or (dx, dkernel) without a bias.
    ValueError for shapes that do not go together.

    Dumoulin and Visin, "A guide to convolution arithmetic for deep learning", 2016, arXiv:1603.07285.

    >>> import numpy as np
    >>> x, kernel = np.asarray([[[1.0], [2.0]]]), np.asarray([[[1.0]], [[10.0]]])
    >>> conv_transpose(x, kernel)[0].ravel()
    array([ 1., 12., 20.])
    >>> conv_transpose(x, kernel, strides=2)[0].ravel()
    array([ 1., 10.,  2., 20.])
    """
    axes, images = len(x.shape), to_images(x, data_format, "conv_transpose")
    filters = _kernel_of_images(kernel, axes, "conv_transpose")
    _check_channels("conv_transpose", x, images.shape[-1], kernel, filters.shape[-1])
    windows = transposed_windows(sizes_of(images, axes), kernel.shape[:-2], strides, padding, output_padding, dilation)
    y, pull_end = _end(correlate_transposed(images, filters, windows), bias, activate, axes, data_format)

    def pullback(dy: Array, out: Sequence[Any] = (None, None, None)) -> tuple[Array | None, ...]:
        dz, *dbias = pull_end(dy, out)
        dx = dkernel = None
        if out[0] is not SKIP:
            dx = from_images(correlate(dz, filters, windows), axes, data_format)
        if out[1] is not SKIP:
            dkernel = _of_kernel(dz, images, windows, 1, axes, out[1])
        return dx, dkernel, *dbias

    return y, pullback


def depthwise_conv(
    x: Array,
    kernel: Array,
    bias: Array | None = None,
    strides: Sizes = 1,
    padding: str = "valid",
    dilation: Sizes = 1,
    data_format: str = CHANNELS_LAST,
    activate: Differentiable = linear,
) -> tuple[Array, Pullback]:
    """Convolution of every channel with its own filters.

    x : (batch, *sizes, c), or (batch, c, *sizes) for "channels_first".
    kernel : (*window, c, m).
    bias : (c * m,), or None (default).
    strides, padding, dilation : see the module; by default 1, "valid" and 1. Both may be above 1 here.
    data_format : "channels_last" (default) or "channels_first".
    activate : an activation function, by default `linear`.

    Returns y (batch, *new sizes, c * m), in which channel i gives the features i * m to i * m + m - 1, and
    pullback(dy) -> (dx, dkernel, dbias), or (dx, dkernel) without a bias. ValueError for shapes that do not go
    together.

    >>> import numpy as np
    >>> x, kernel = np.asarray([[[1.0, 5.0], [2.0, 6.0]]]), np.asarray([[[1.0], [0.0]], [[10.0], [1.0]]])
    >>> y, pullback = depthwise_conv(x, kernel)
    >>> y.tolist()
    [[[21.0, 6.0]]]
    """
    axes, images = len(x.shape), to_images(x, data_format, "depthwise_conv")
    if axes == 5:
        raise ValueError(f"depthwise_conv: expected sequences or images, got volumes of shape {tuple(x.shape)}")
    filters = _kernel_of_images(kernel, axes, "depthwise_conv")
    _check_channels("depthwise_conv", x, images.shape[3], kernel, filters.shape[2])
    windows = _windows("depthwise_conv", images, filters, axes, strides, padding, dilation, exclusive=False)
    z, pullback_images = correlate_depthwise(images, filters, windows)
    y, pull_end = _end(z, bias, activate, axes, data_format)

    def pullback(dy: Array, out: Sequence[Any] = (None, None, None)) -> tuple[Array | None, ...]:
        dz, *dbias = pull_end(dy, out)
        place = out[1] if out[1] is None or out[1] is SKIP else _kernel_of_images(out[1], axes, "out")
        dx, dkernel = pullback_images(dz, (out[0], place))
        dx = None if dx is None else from_images(dx, axes, data_format)
        return dx, _to_kernel(dkernel, place, out[1], axes), *dbias

    return y, pullback


def separable_conv(
    x: Array,
    depthwise_kernel: Array,
    pointwise_kernel: Array,
    bias: Array | None = None,
    strides: Sizes = 1,
    padding: str = "valid",
    dilation: Sizes = 1,
    data_format: str = CHANNELS_LAST,
    activate: Differentiable = linear,
) -> tuple[Array, Pullback]:
    """Separable convolution: every channel with its own filters, then windows of one element that mix the results.

    x : (batch, *sizes, c), or (batch, c, *sizes) for "channels_first".
    depthwise_kernel : (*window, c, m), as of `depthwise_conv`.
    pointwise_kernel : (*ones, c * m, f), as of `conv` with a window of one element.
    bias : (f,), or None (default).
    strides, padding, dilation : of the first of the two; see the module. By default 1, "valid" and 1.
    data_format : "channels_last" (default) or "channels_first".
    activate : an activation function, by default `linear`; it comes last.

    Returns y (batch, *new sizes, f), and pullback(dy) -> (dx, ddepthwise_kernel, dpointwise_kernel, dbias), or without
    dbias if there is no bias. ValueError for shapes that do not go together.

    Chollet, "Xception", 2016, arXiv:1610.02357.

    >>> import numpy as np
    >>> x, depthwise = np.asarray([[[1.0, 5.0], [2.0, 6.0]]]), np.asarray([[[1.0], [0.0]], [[10.0], [1.0]]])
    >>> y, pullback = separable_conv(x, depthwise, np.ones((1, 2, 1)))
    >>> y.tolist()
    [[[27.0]]]
    >>> [cotangent.shape for cotangent in pullback(y)]
    [(1, 2, 2), (2, 2, 1), (1, 2, 1)]
    """
    between, pull_depthwise = depthwise_conv(
        x, depthwise_kernel, None, strides, padding, dilation, data_format=data_format
    )
    y, pull_pointwise = conv(between, pointwise_kernel, bias, data_format=data_format, activate=activate)

    def pullback(dy: Array, out: Sequence[Any] = (None, None, None, None)) -> tuple[Array | None, ...]:
        below = not (out[0] is SKIP and out[1] is SKIP)
        dbetween, *of_pointwise = pull_pointwise(dy, (None if below else SKIP, *out[2:]))
        dx, ddepthwise_kernel = pull_depthwise(dbetween, out[:2]) if below else (None, None)
        return dx, ddepthwise_kernel, *of_pointwise

    return y, pullback


def _end(
    images: Array, bias: Array | None, activate: Differentiable, axes: int, data_format: str
) -> tuple[Array, Pullback]:
    """Bias and activation of images that came out of a correlation, and may be overwritten, as the caller wants them.

    pullback(dy, out) -> (dimages, dbias), or (dimages,) without a bias; `out` is that of a convolution
    """
    last = data_format == CHANNELS_LAST
    if last:
        y, pull_end = bias_activation(from_images(images, axes, data_format), bias, activate)
    else:  # the activation belongs to the layout that the caller sees
        z, pull_end = bias_activation(images, bias, linear)
        y, pull_activation = activate(from_images(z, axes, data_format))

    def pullback(dy: Array, out: Sequence[Any]) -> tuple[Array | None, ...]:
        if last:
            dz, *dbias = pull_end(dy, (None, *out[2:]))
            return to_images(dz, data_format, "conv"), *dbias
        dz, *dbias = pull_end(to_images(pull_activation(dy), data_format, "conv"), (None, *out[2:]))
        return dz, *dbias

    return y, pullback


def transposed_windows(
    sizes: Sequence[int],
    window: Sequence[int],
    strides: Sizes,
    padding: str,
    output_padding: Sizes | None = None,
    dilation: Sizes = 1,
) -> Windows | VolumeWindows:
    """The windows of a transposed convolution, whose numbers are the sizes of its input."""
    axes = len(sizes) + 2
    _check_steps("conv_transpose", strides, dilation, padding, ("valid", "same"))
    more = (None,) * len(sizes) if output_padding is None else for_each_axis(output_padding, axes)
    values = zip(sizes, window, for_each_axis(strides, axes), more, for_each_axis(dilation, axes), strict=True)
    along = [along_transposed_axis(n, k, s, padding, extra, step) for n, k, s, extra, step in values]
    return volumes_of(along) if axes == 5 else images_of(along)


def _windows(
    name: str,
    images: Array,
    filters: Array,
    axes: int,
    strides: Sizes,
    padding: str,
    dilation: Sizes,
    exclusive: bool = True,
) -> Any:
    known = ("valid", "same", "causal") if axes == 3 else ("valid", "same")
    _check_steps(name, strides, dilation if exclusive else 1, padding, known)
    steps = for_each_axis(strides, axes), padding, for_each_axis(dilation, axes)
    known_windows = volume_windows_of if axes == 5 else windows_of
    return known_windows(name, sizes_of(images, axes), tuple(filters.shape[: axes - 2]), *steps)


def _check_steps(name: str, strides: Sizes, dilation: Sizes, padding: str, known: Sequence[str]) -> None:
    if padding not in known:
        raise ValueError(f"{name}: padding must be one of {', '.join(map(repr, known))} here, got {padding!r}")
    largest = [value if isinstance(value, int) else max(value) for value in (strides, dilation)]
    if min(largest) > 1:
        raise ValueError(f"{name}: strides {strides} and dilation {dilation} cannot both be above 1")


def _check_channels(name: str, x: Array, channels: int, kernel: Array, expected: int, divisible: bool = True) -> None:
    if channels != expected or not divisible:
        raise ValueError(
            f"{name}: a kernel of shape {tuple(kernel.shape)} goes with {expected} channels"
            f"{'' if divisible else ', and its filters cannot be split into the groups'}; x has {channels} channels, "
            f"shape {tuple(x.shape)}"
        )


def _kernel_of_images(kernel: Array, axes: int, name: str) -> Array:
    """A kernel as one of images, by a view."""
    if len(kernel.shape) != axes:
        raise ValueError(
            f"{name}: a kernel has one axis for each spatial axis of x and two for channels and filters: {axes}; got "
            f"shape {tuple(kernel.shape)}"
        )
    return array_namespace(kernel).expand_dims(kernel, axis=1) if axes == 3 else kernel


def _of_kernel(images: Array, y: Array, windows: Windows | VolumeWindows, groups: int, axes: int, out: Any) -> Array:
    """The cotangent of a kernel, in `out` if it could be written there."""
    place = None if out is None else _kernel_of_images(out, axes, "out")
    return _to_kernel(correlate_kernel(images, y, windows, groups, place), place, out, axes)


def _to_kernel(found: Array | None, place: Any, out: Any, axes: int) -> Array | None:
    """The inverse of `_kernel_of_images`, which knows the array that it came from."""
    if found is None or found is place:
        return None if found is None else out
    return array_namespace(found).squeeze(found, axis=1) if axes == 3 else found
