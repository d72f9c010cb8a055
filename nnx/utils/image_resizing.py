"""Images of other sizes on the host, by the kernels of TensorFlow."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from nnx.arguments import choice, integers
from nnx.backends import to_numpy

_TABLE = 1024  # steps in which TensorFlow's bicubic kernel is tabulated


def smart_resize(
    x: Any,
    size: Sequence[int],
    interpolation: str = "bilinear",
    data_format: str = "channels_last",
    backend_module: Any = None,
) -> np.ndarray:
    """Images cut to the ratio of sides of a size, in their middle, and resized to it, so that nothing is distorted.

    x : (height, width, channels), or a batch of these; with "channels_first" (channels, height, width).
    size : height and width. interpolation : see `resized`. backend_module : only None: it is NumPy's work.

    Returns a NumPy array, float32. ValueError for other shapes.

    >>> smart_resize(np.arange(8.0).reshape(2, 4, 1), (1, 1))
    array([[[3.5]]], dtype=float32)
    """
    if backend_module is not None:
        raise ValueError(f"backend_module={backend_module!r}: images are resized by NumPy: leave it out")
    height, width = integers("size", size, 2)
    data_format = choice("data_format", data_format, ("channels_last", "channels_first"))
    image = to_numpy(x)
    if image.ndim not in (3, 4):
        raise ValueError(f"expected an image or a batch of images, got shape {image.shape}")
    if data_format == "channels_first":
        image = np.moveaxis(image, -3, -1)
    resized_image = resized(_cut(image, height, width), height, width, interpolation)
    return np.moveaxis(resized_image, -1, -3) if data_format == "channels_first" else resized_image


def _cut(image: np.ndarray, height: int, width: int) -> np.ndarray:
    """The middle of an image (..., height, width, channels), with the ratio of these sides."""
    rows, columns = image.shape[-3:-1]
    kept_rows = max(min(rows, int(columns * height / width)), 1)
    kept_columns = max(min(columns, int(rows * width / height)), 1)
    top, left = (rows - kept_rows) // 2, (columns - kept_columns) // 2
    return image[..., top : top + kept_rows, left : left + kept_columns, :]


def fitted(image: np.ndarray, height: int, width: int, interpolation: str) -> np.ndarray:
    """An image (height, width, channels) resized to fit into a size, with zeros around it.

    >>> fitted(np.ones((2, 4, 1)), 2, 2, "nearest")[..., 0].tolist()
    [[1.0, 1.0], [0.0, 0.0]]
    """
    sides = np.asarray(image.shape[:2], np.float32)
    rows, columns = sides / np.max(sides / np.asarray([height, width], np.float32))
    inner = resized(image, max(math.floor(rows), 1), max(math.floor(columns), 1), interpolation)
    top, left = max(math.floor((height - rows) / 2), 0), max(math.floor((width - columns) / 2), 0)
    framed = np.zeros((height, width, image.shape[2]), inner.dtype)
    framed[top : top + inner.shape[0], left : left + inner.shape[1]] = inner
    return framed


def cropped(image: np.ndarray, height: int, width: int, interpolation: str) -> np.ndarray:
    """An image (height, width, channels) of which the middle fills a size.

    >>> cropped(np.arange(4.0).reshape(2, 2, 1), 1, 2, "nearest")[..., 0].tolist()
    [[0.0, 1.0]]
    """
    return resized(_cut(image, height, width), height, width, interpolation)


def resized(image: np.ndarray, height: int, width: int, interpolation: str) -> np.ndarray:
    """Images (..., height, width, channels) of another size, float32; with "nearest" in their dtype.

    interpolation : "nearest", "bilinear", "bicubic", "area", "lanczos3", "lanczos5", "gaussian" or "mitchellcubic",
        each without antialiasing, as in `tf.image.resize`.

    >>> resized(np.asarray([[[0.0], [1.0]]]), 1, 4, "bilinear")[0, :, 0].tolist()
    [0.0, 0.25, 0.75, 1.0]
    """
    choice("interpolation", interpolation, tuple(INTERPOLATIONS))
    rows, columns = image.shape[-3:-1]
    if interpolation == "nearest":
        places = [
            np.minimum(((np.arange(new) + 0.5) * (old / new)).astype(int), old - 1)
            for new, old in ((height, rows), (width, columns))
        ]
        return np.asarray(image.take(places[0], axis=-3).take(places[1], axis=-2))
    weigh = INTERPOLATIONS[interpolation]
    by_rows, by_columns = weigh(height, rows), weigh(width, columns)
    made = np.einsum("ab,...bcd,ec->...aed", by_rows, image.astype(np.float64), by_columns, optimize=True)
    return np.asarray(made, np.float32)


Weigh = Callable[[int, int], np.ndarray]
"""How much each old pixel of a row counts for each new one: (new, old)."""


def _bilinear(new: int, old: int) -> np.ndarray:
    return _of_kernel(new, old, 1.0, lambda x: 1.0 - x)


def _of_kernel(new: int, old: int, radius: float, kernel: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """Weights by a function of the distance of pixels, up to a radius; what is outside of the image does not count."""
    scale = np.float32(1) / (np.float32(new) / np.float32(old))  # rounding says what lies at the radius
    places = np.arange(0.5, new, dtype=np.float32) * scale
    distances = np.abs(np.arange(0.5, old, dtype=np.float32) - places[:, None])
    weights = np.where(distances < radius, kernel(distances), 0.0)
    return np.asarray(weights / weights.sum(axis=1, keepdims=True))


def _lanczos(radius: int) -> Weigh:
    return lambda new, old: _of_kernel(new, old, radius, lambda x: np.sinc(x) * np.sinc(x / radius))


def _gaussian(new: int, old: int) -> np.ndarray:
    return _of_kernel(new, old, 1.5, lambda x: np.exp(-2.0 * np.square(x)))


def _mitchell(new: int, old: int) -> np.ndarray:
    def kernel(x: np.ndarray) -> np.ndarray:
        near = (7.0 / 6.0 * x - 2.0) * x * x + 8.0 / 9.0
        return np.asarray(np.where(x < 1.0, near, ((-7.0 / 18.0 * x + 2.0) * x - 10.0 / 3.0) * x + 16.0 / 9.0))

    return _of_kernel(new, old, 2.0, kernel)


def _bicubic(new: int, old: int) -> np.ndarray:
    """Keys' kernel with a = -1/2, rounded to a table."""
    places = (np.arange(new) + 0.5) * (old / new) - 0.5
    left = np.floor(places)
    steps = np.rint((places - left) * _TABLE) / _TABLE
    distances = np.abs(np.arange(old) - left[:, None] - steps[:, None])
    near = (1.5 * distances - 2.5) * np.square(distances) + 1.0
    far = ((-0.5 * distances + 2.5) * distances - 4.0) * distances + 2.0
    weights = np.where(distances < 1.0, near, np.where(distances < 2.0, far, 0.0))
    return np.asarray(weights / weights.sum(axis=1, keepdims=True))


def _area(new: int, old: int) -> np.ndarray:
    """How much of each old pixel lies in each new one."""
    scale = old / new
    starts = (np.arange(new) * scale)[:, None]
    pixels = np.arange(old)
    overlap = np.minimum(pixels + 1, starts + scale) - np.maximum(pixels, starts)
    return np.asarray(np.maximum(overlap, 0.0) / scale)


INTERPOLATIONS: dict[str, Any] = {
    "nearest": None,
    "bilinear": _bilinear,
    "bicubic": _bicubic,
    "area": _area,
    "lanczos3": _lanczos(3),
    "lanczos5": _lanczos(5),
    "gaussian": _gaussian,
    "mitchellcubic": _mitchell,
}
"""How pixels between others are found."""
