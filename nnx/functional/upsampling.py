"""Up-sampling of sequences, images and volumes: elements repeated, or values interpolated between them.

Inputs are (batch, steps, channels), (batch, rows, columns, channels) or (batch, depth, rows, columns, channels), with
channels behind the batch axis for data_format "channels_first".
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence

import numpy as np

from nnx.backends import Array, array_namespace
from nnx.functional.layout import CHANNELS_LAST, for_each_axis, from_images, to_images
from nnx.functional.pooling import sum_of_windows
from nnx.functional.unfolding import table
from nnx.kernels import accelerated
from nnx.pullbacks import Pullback
from nnx.windows import windows_of

__all__ = ["upsample"]


def upsample(
    x: Array, size: int | Sequence[int], interpolation: str = "nearest", data_format: str = CHANNELS_LAST
) -> tuple[Array, Pullback]:
    """Up-sampling of x, with every spatial axis made `size` times as long.

    x : (batch, steps, channels), (batch, rows, columns, channels) or (batch, depth, rows, columns, channels).
    size : a factor, or one for each spatial axis.
    interpolation : "nearest" (default) repeats elements, and is all that there is for volumes. "bilinear", "bicubic"
        (Keys's kernel with a = -1/2), "lanczos3" and "lanczos5" sum up the elements nearby, with weights by their
        distance: new element i lies at (i + 1/2) / size - 1/2 among the old ones. Where some are missing, at the
        border, the weights of the others are scaled to the sum 1; "bilinear" then repeats the outermost element.
    data_format : "channels_last" (default) or "channels_first".

    Returns y, and pullback(dy) -> dx: each element collects dy from where it was read, by the weight that it was read
    with. ValueError for another interpolation or size.

    Keys, "Cubic convolution interpolation for digital image processing", 1981.

    >>> import numpy as np
    >>> y, pullback = upsample(np.asarray([[[1.0], [3.0]]]), 2)
    >>> y.ravel(), pullback(np.ones((1, 4, 1))).ravel()
    (array([1., 1., 3., 3.]), array([2., 2.]))
    >>> upsample(np.asarray([[[1.0], [3.0]]]), 2, interpolation="bilinear")[0].ravel()
    array([1. , 1.5, 2.5, 3. ])
    """
    if interpolation not in INTERPOLATIONS:
        known = ", ".join(map(repr, INTERPOLATIONS))
        raise ValueError(f"upsample: interpolation must be one of {known}, got {interpolation!r}")
    axes, images = len(x.shape), to_images(x, data_format, "upsample")
    factors = for_each_axis(size, axes)
    if len(factors) != axes - 2 or min(factors) < 1:
        raise ValueError(f"upsample: size must be positive, one for each of {axes - 2} axes, got {size}")
    if axes == 5:
        if interpolation != "nearest":
            raise ValueError(f"upsample: volumes have interpolation='nearest' alone, got {interpolation!r}")
        y, pullback = _repeated_volumes(images, factors)
    elif interpolation == "nearest":
        y, pullback = _repeated(images, (*factors, 1)[:2])
    else:
        y, pullback = interpolated(images, (*factors, 1)[:2], interpolation)
    return from_images(y, axes, data_format), lambda dy: from_images(
        pullback(to_images(dy, data_format, "upsample")), axes, data_format
    )


def _repeated_volumes(x: Array, factors: Sequence[int]) -> tuple[Array, Pullback]:
    """`_repeated` within the images of volumes, then along their depth."""
    xp = array_namespace(x)
    n, depth, height, width, c = x.shape
    planes, pullback_planes = _repeated(xp.reshape(x, (n * depth, height, width, c)), factors[1:])
    shape = (n, depth * factors[0], height * factors[1], width * factors[2], c)
    y, pullback_depth = _repeated(xp.reshape(planes, (n, depth, shape[2] * shape[3], c)), (factors[0], 1))

    def pullback(dy: Array) -> Array:
        dplanes = pullback_depth(xp.reshape(dy, y.shape))
        return xp.reshape(pullback_planes(xp.reshape(dplanes, planes.shape)), x.shape)

    return xp.reshape(y, shape), pullback


def _repeated(x: Array, factors: Sequence[int]) -> tuple[Array, Pullback]:
    """Every element in all places of a window; the adjoint sums up the windows."""
    xp = array_namespace(x)
    (n, height, width, c), (down, across) = x.shape, factors
    several = xp.broadcast_to(x[:, :, None, :, None, :], (n, height, down, width, across, c))
    shape = (n, height * down, width * across, c)
    windows = windows_of("upsample", shape[1:3], (down, across), (down, across), "valid")
    return xp.reshape(several, shape), lambda dy: sum_of_windows(dy, windows)[0]


@accelerated
def interpolated(x: Array, factors: Sequence[int], interpolation: str) -> tuple[Array, Pullback]:
    """A matrix of weights for each axis; the adjoint applies their transposes."""
    xp = array_namespace(x)
    dtype = f"float{xp.finfo(x.dtype).bits}"
    matrices = {
        axis: table(weights_of_interpolation, (x.shape[axis], factor), x, interpolation, dtype)
        for axis, factor in enumerate(factors, start=1)
        if factor > 1
    }
    y = x
    for axis, matrix in reversed(matrices.items()):  # the columns first, while there are few rows
        y = _along(matrix, y, axis)

    def pullback(dy: Array) -> Array:
        for axis, matrix in matrices.items():
            dy = _along(xp.matrix_transpose(matrix), dy, axis)
        return dy

    return y, pullback


def _along(matrix: Array, x: Array, axis: int) -> Array:
    """A matrix (m, n) times every vector of n elements along an axis that is not the last."""
    xp = array_namespace(x)
    before, after = x.shape[:axis], x.shape[axis + 1 :]
    y = matrix @ xp.reshape(x, (math.prod(before), x.shape[axis], math.prod(after)))
    return xp.reshape(y, (*before, matrix.shape[0], *after))


def weights_of_interpolation(sizes: tuple[int, int], interpolation: str, dtype: str) -> np.ndarray:
    """Weights of the old elements in each new one, (length * factor, length), for sizes (length, factor).

    >>> weights_of_interpolation((2, 2), "bilinear", "float64").tolist()
    [[1.0, 0.0], [0.75, 0.25], [0.25, 0.75], [0.0, 1.0]]
    """
    length, factor = sizes
    places = (np.arange(length * factor) + 0.5) / factor - 0.5
    weights = KERNELS[interpolation](np.abs(places[:, None] - np.arange(length)))
    shares: np.ndarray = (weights / np.sum(weights, axis=1, keepdims=True)).astype(dtype)
    return shares


def _linear(distance: np.ndarray) -> np.ndarray:
    return np.maximum(1.0 - distance, 0.0)


def _cubic(distance: np.ndarray) -> np.ndarray:
    near = (1.5 * distance - 2.5) * distance**2 + 1.0
    far = ((2.5 - 0.5 * distance) * distance - 4.0) * distance + 2.0
    return np.where(distance < 1.0, near, np.where(distance < 2.0, far, 0.0))


def _lanczos(distance: np.ndarray, radius: int) -> np.ndarray:
    return np.where(distance < radius, np.sinc(distance) * np.sinc(distance / radius), 0.0)


KERNELS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "bilinear": _linear,
    "bicubic": _cubic,
    "lanczos3": functools.partial(_lanczos, radius=3),
    "lanczos5": functools.partial(_lanczos, radius=5),
}
"""The weight of a value by its distance."""

INTERPOLATIONS = ("nearest", *KERNELS)
