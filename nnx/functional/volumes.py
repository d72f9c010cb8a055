"""Windows of volumes (n, depth, rows, columns, c), in terms of those of images: the depth is taken into the channels.

What a window of a correlation holds along the depth are further channels of an image, so one correlation of images,
with all of its kernels, computes that of volumes; images are handed on as they are. Reductions of windows are done
within the images first, then along the depth.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from nnx.backends import Array, array_namespace, backend_of
from nnx.functional import correlation
from nnx.pullbacks import Pullback
from nnx.windows import Axis, VolumeWindows, Windows

__all__ = ["correlate", "correlate_kernel", "correlate_transposed", "reduce_windows"]


def correlate(x: Array, kernel: Array, windows: Windows | VolumeWindows, groups: int = 1) -> Array:
    """`nnx.functional.correlation.correlate` of images, or of volumes x with a kernel (kd, kh, kw, c / groups, f)."""
    if isinstance(windows, Windows):
        return correlation.correlate(x, kernel, windows, groups)
    y = correlation.correlate(_images(x, windows.depth, groups), _filters(kernel), windows.images, groups)
    return _unfolded(y, windows.depth.count)


def correlate_transposed(y: Array, kernel: Array, windows: Windows | VolumeWindows, groups: int = 1) -> Array:
    """Adjoint of `correlate` in its images or volumes."""
    if isinstance(windows, Windows):
        return correlation.correlate_transposed(y, kernel, windows, groups)
    images = correlation.correlate_transposed(_folded(y), _filters(kernel), windows.images, groups)
    return _volumes(images, windows.depth, groups)


def correlate_kernel(x: Array, y: Array, windows: Windows | VolumeWindows, groups: int = 1, out: Any = None) -> Array:
    """Adjoint of `correlate` in its kernel. out : an array for the result, which may be ignored."""
    if isinstance(windows, Windows):
        return correlation.correlate_kernel(x, y, windows, groups, out)
    filters = correlation.correlate_kernel(_images(x, windows.depth, groups), _folded(y), windows.images, groups)
    xp = array_namespace(filters)
    tall, wide, deep, f = filters.shape
    split = xp.reshape(filters, (tall, wide, windows.depth.window, deep // windows.depth.window, f))
    return xp.permute_dims(split, (2, 0, 1, 3, 4))


def reduce_windows(
    function: Callable[[Array, Windows], tuple[Array, Pullback]], x: Array, windows: Windows | VolumeWindows
) -> tuple[Array, Pullback]:
    """A reduction of windows of images or volumes, by a function of images that may take one axis after the other."""
    if isinstance(windows, Windows):
        return function(x, windows)
    xp, depth, shape = array_namespace(x), windows.depth, x.shape
    planes, pullback_planes = function(_folded(x), windows.images)
    across = planes.shape[1] * planes.shape[2]
    rows = xp.reshape(planes, (shape[0], depth.size, across, shape[-1]))
    y, pullback_depth = function(rows, Windows(depth, Axis(across, 1, 1, 1, 0, across)))

    def pullback(dy: Array) -> Array:
        drows = pullback_depth(xp.reshape(dy, y.shape))
        return xp.reshape(pullback_planes(xp.reshape(drows, planes.shape)), shape)

    return xp.reshape(y, (shape[0], *windows.counts, shape[-1])), pullback


def _folded(volumes: Array) -> Array:
    """All images of volumes: (n, depth, rows, columns, c) -> (n * depth, rows, columns, c)"""
    return array_namespace(volumes).reshape(volumes, (-1, *volumes.shape[2:]))


def _unfolded(images: Array, depth: int) -> Array:
    return array_namespace(images).reshape(images, (-1, depth, *images.shape[1:]))


def _filters(kernel: Array) -> Array:
    """A kernel of volumes as one of images: (kd, kh, kw, c, f) -> (kh, kw, kd * c, f)"""
    xp = array_namespace(kernel)
    deep, tall, wide, c, f = kernel.shape
    return xp.reshape(xp.permute_dims(kernel, (1, 2, 0, 3, 4)), (tall, wide, deep * c, f))


def _images(x: Array, depth: Axis, groups: int) -> Array:
    """Volumes as images, one for each window along the depth, whose channels are those of its taps, by groups."""
    xp = array_namespace(x)
    n, _, height, width, c = x.shape
    if depth.window > 1 or depth.stride > 1 or depth.padded:
        shape = (n, depth.count, height, width, groups, depth.window, c // groups)
        taken = xp.zeros(shape, dtype=x.dtype, device=backend_of(x).device_of(x))
        for tap in range(depth.window):
            there, here = depth.inside(tap)
            part = x[:, here, ...]
            taken[:, there, :, :, :, tap, :] = xp.reshape(part, (*part.shape[:-1], groups, c // groups))
        x = taken
    return xp.reshape(x, (n * depth.count, height, width, depth.window * c))


def _volumes(images: Array, depth: Axis, groups: int) -> Array:
    """Adjoint of `_images`: sums over the windows that hold an image."""
    xp = array_namespace(images)
    _, height, width, deep = images.shape
    c = deep // depth.window
    taken = xp.reshape(images, (-1, depth.count, height, width, groups, depth.window, c // groups))
    n = taken.shape[0]
    x = xp.zeros((n, depth.size, height, width, c), dtype=images.dtype, device=backend_of(images).device_of(images))
    for tap in range(depth.window):
        there, here = depth.inside(tap)
        part = taken[:, there, :, :, :, tap, :]
        x[:, here, ...] = x[:, here, ...] + xp.reshape(part, (*part.shape[:4], c))
    return x
