"""Changes of a single image on the host: turned, moved, sheared, zoomed, shifted in colour, brightened."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from nnx import random as nnx_random
from nnx.arguments import choice, number
from nnx.backends import to_numpy
from nnx.lazy_loading import optional_import
from nnx.utils.images import array_to_img, img_to_array

__all__ = [
    "apply_affine_transform",
    "apply_brightness_shift",
    "apply_channel_shift",
    "random_brightness",
    "random_channel_shift",
    "random_rotation",
    "random_shear",
    "random_shift",
    "random_zoom",
]

FILL_MODES = ("constant", "nearest", "reflect", "wrap")
_ROUNDING = 1e-9  # of a pixel: what a turn by 180 degrees puts on the edge is not outside


def apply_affine_transform(
    x: Any,
    theta: float = 0,
    tx: float = 0,
    ty: float = 0,
    shear: float = 0,
    zx: float = 1,
    zy: float = 1,
    row_axis: int = 1,
    col_axis: int = 2,
    channel_axis: int = 0,
    fill_mode: str = "nearest",
    cval: float = 0.0,
    order: int = 1,
) -> np.ndarray:
    """An image that is turned, moved, sheared and zoomed around its middle, on the host.

    x : (channels, height, width), or with other axes as row_axis, col_axis and channel_axis say; the latter is the
        first or the last one.
    theta, shear : angles in degrees. tx, ty : by how many pixels what is seen lies to the right, and further down.
    zx, zy : to the sides, and up and down; 2 shows twice as much.
    fill_mode : what is outside: "constant", which is cval; "nearest", the pixel at the edge; "reflect", abcd|dcba; or
        "wrap", in which the last pixel is the first one too, abcd|bcd, as in SciPy.
    order : 0 takes the nearest pixel, 1 is bilinear. ValueError for others, which are splines, and for other axes.

    The result has the shape and the dtype of x; integers are rounded.

    >>> apply_affine_transform(np.arange(4.0).reshape(1, 2, 2), tx=1)
    array([[[1., 1.],
            [3., 3.]]])
    """
    image = to_numpy(x)
    if image.ndim != 3 or sorted((row_axis, col_axis, channel_axis)) != [0, 1, 2] or channel_axis == 1:
        raise ValueError(
            f"expected an image of three axes, of which the first or the last one is channel_axis, got shape "
            f"{image.shape} with row_axis={row_axis}, col_axis={col_axis}, channel_axis={channel_axis}"
        )
    choice("fill_mode", fill_mode, FILL_MODES)
    interpolation("order (interpolation_order)", order)
    if (theta, tx, ty, shear, zx, zy) == (0, 0, 0, 0, 1, 1):
        return image
    axes = (row_axis, col_axis, channel_axis)
    planes = np.moveaxis(image, axes, (0, 1, 2)).astype(np.float64)
    rows, columns = planes.shape[:2]
    matrix, offset = _inverse_map(theta, tx, ty, shear, zx, zy, np.asarray([columns, rows]) / 2 - 0.5)
    y, x = np.ogrid[:rows, :columns]
    x_place, y_place = (y * matrix[axis, 1] + x * matrix[axis, 0] + offset[axis] for axis in (0, 1))
    moved = _picked(planes, [y_place, x_place], fill_mode, cval, order)
    return np.moveaxis(_as_dtype(moved, image.dtype), (0, 1, 2), axes)


def interpolation(what: str, order: Any) -> int:
    """The order of an interpolation; ValueError for splines, and anything else that is not there."""
    if order not in (0, 1):
        raise ValueError(f"{what} must be 0, the nearest pixel, or 1, bilinear, got {order!r}")
    return int(order)


def _inverse_map(
    theta: float, tx: float, ty: float, shear: float, zx: float, zy: float, middle: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Matrix (2, 2) and offset (2,) from the pixels (x, y) of the result to those of an image."""
    turn, slant = np.deg2rad(theta), np.deg2rad(shear)
    matrix = np.asarray([[np.cos(turn), -np.sin(turn), 0.0], [np.sin(turn), np.cos(turn), 0.0], [0.0, 0.0, 1.0]])
    matrix = matrix @ np.asarray([[1.0, 0.0, tx], [0.0, 1.0, ty], [0.0, 0.0, 1.0]])
    matrix = matrix @ np.asarray([[1.0, -np.sin(slant), 0.0], [0.0, np.cos(slant), 0.0], [0.0, 0.0, 1.0]])
    matrix = matrix @ np.diag([zx, zy, 1.0])
    return matrix[:2, :2], matrix[:2, 2] + middle - matrix[:2, :2] @ middle


def _picked(planes: np.ndarray, places: list[np.ndarray], fill_mode: str, cval: float, order: int) -> np.ndarray:
    """The values of an image (height, width, channels) at places between its pixels."""
    sizes = planes.shape[:2]
    outside = np.zeros(np.broadcast_shapes(places[0].shape, places[1].shape), bool)
    if fill_mode == "constant":
        for place, size in zip(places, sizes, strict=True):
            outside |= (place < -_ROUNDING) | (place > size - 1 + _ROUNDING)
    places = [_inside(place, size, fill_mode) for place, size in zip(places, sizes, strict=True)]
    if order == 0:
        row, column = (_pixels(np.floor(place + 0.5), size) for place, size in zip(places, sizes, strict=True))
        picked = planes[row, column]
    else:
        lower = [np.floor(place) for place in places]
        below, right = ((place - floor)[..., None] for place, floor in zip(places, lower, strict=True))
        row, column = (_pixels(floor, size) for floor, size in zip(lower, sizes, strict=True))
        next_row, next_column = (_pixels(floor + 1, size) for floor, size in zip(lower, sizes, strict=True))
        upper = planes[row, column] * (1.0 - right) + planes[row, next_column] * right
        under = planes[next_row, column] * (1.0 - right) + planes[next_row, next_column] * right
        picked = upper * (1.0 - below) + under * below
    picked[outside] = cval
    return np.asarray(picked)


def _inside(place: np.ndarray, size: int, fill_mode: str) -> np.ndarray:
    """Places along an axis as places of an image: from the middle of its first pixel to that of its last one.

    With "reflect" half a pixel more on both sides, which shows the pixel at the edge.
    """
    if fill_mode == "reflect":
        place = np.mod(place + 0.5, 2 * size)
        return np.asarray(np.minimum(place, 2 * size - place) - 0.5)
    if fill_mode == "wrap" and size > 1:
        return np.where((place < 0) | (place > size - 1), np.mod(place, size - 1), place)
    return np.asarray(np.clip(place, 0, size - 1))


def _pixels(numbers: np.ndarray, size: int) -> np.ndarray:
    return np.asarray(np.clip(numbers, 0, size - 1), np.intp)


def _as_dtype(values: np.ndarray, dtype: np.dtype[Any]) -> np.ndarray:
    if dtype.kind in "iu":
        limits = np.iinfo(dtype)
        values = np.clip(np.trunc(values + np.copysign(0.5, values)), limits.min, limits.max)
    return np.asarray(values, dtype)


def apply_channel_shift(x: Any, intensity: float, channel_axis: int = 0) -> np.ndarray:
    """An image with a number added to all channels, cut off at its own least and largest number.

    >>> apply_channel_shift(np.asarray([[[0.0, 1.0, 3.0]]]), 1.0)
    array([[[1., 2., 3.]]])
    """
    image = to_numpy(x)
    return np.asarray(np.clip(image + intensity, image.min(), image.max()))


def apply_brightness_shift(x: Any, brightness: float, scale: bool = True) -> np.ndarray:
    """An image (height, width, channels) whose colours are multiplied by a number, as bytes, by Pillow.

    brightness : 0 is black, 1 changes nothing. scale : whether its least number becomes 0 and its largest 255 before;
        else that is so for numbers outside of 0 to 255 alone, and is taken back.

    float32. ImportError without Pillow.
    """
    enhance = optional_import("PIL.ImageEnhance", "apply_brightness_shift", "images")
    image = to_numpy(x)
    least, largest = image.min(), image.max()
    outside = bool(least < 0 or largest > 255)
    changed = img_to_array(enhance.Brightness(array_to_img(image, scale=outside or scale)).enhance(brightness))
    return changed / 255 * (largest - least) + least if outside and not scale else changed


# By chance


def limits(what: str, value: Any) -> tuple[float, float]:
    """The two numbers that a number is drawn between; ValueError for anything else.

    >>> limits("zoom_range", [0.5, 1])
    (0.5, 1.0)
    """
    if not isinstance(value, list | tuple) or len(value) != 2:
        raise ValueError(f"{what} must be two numbers, got {value!r}")
    return number(what, value[0]), number(what, value[1])


def _between(low: float, high: float) -> float:
    return float(nnx_random.default().uniform((), low, high))


def random_rotation(
    x: Any,
    rg: float,
    row_axis: int = 1,
    col_axis: int = 2,
    channel_axis: int = 0,
    fill_mode: str = "nearest",
    cval: float = 0.0,
    interpolation_order: int = 1,
) -> np.ndarray:
    """An image turned by up to `rg` degrees; see `apply_affine_transform`."""
    axes = (row_axis, col_axis, channel_axis)
    return apply_affine_transform(x, _between(-rg, rg), 0, 0, 0, 1, 1, *axes, fill_mode, cval, interpolation_order)


def random_shift(
    x: Any,
    wrg: float,
    hrg: float,
    row_axis: int = 1,
    col_axis: int = 2,
    channel_axis: int = 0,
    fill_mode: str = "nearest",
    cval: float = 0.0,
    interpolation_order: int = 1,
) -> np.ndarray:
    """An image moved by up to `wrg` of its width and `hrg` of its height; see `apply_affine_transform`."""
    axes = (row_axis, col_axis, channel_axis)
    tx, ty = _between(-hrg, hrg) * x.shape[row_axis], _between(-wrg, wrg) * x.shape[col_axis]
    return apply_affine_transform(x, 0, tx, ty, 0, 1, 1, *axes, fill_mode, cval, interpolation_order)


def random_shear(
    x: Any,
    intensity: float,
    row_axis: int = 1,
    col_axis: int = 2,
    channel_axis: int = 0,
    fill_mode: str = "nearest",
    cval: float = 0.0,
    interpolation_order: int = 1,
) -> np.ndarray:
    """An image sheared by up to `intensity` degrees; see `apply_affine_transform`."""
    axes, shear = (row_axis, col_axis, channel_axis), _between(-intensity, intensity)
    return apply_affine_transform(x, 0, 0, 0, shear, 1, 1, *axes, fill_mode, cval, interpolation_order)


def random_zoom(
    x: Any,
    zoom_range: Sequence[float],
    row_axis: int = 1,
    col_axis: int = 2,
    channel_axis: int = 0,
    fill_mode: str = "nearest",
    cval: float = 0.0,
    interpolation_order: int = 1,
) -> np.ndarray:
    """An image zoomed along rows and columns, by two numbers from a range; see `apply_affine_transform`."""
    axes, (low, high) = (row_axis, col_axis, channel_axis), limits("zoom_range", zoom_range)
    zx, zy = _between(low, high), _between(low, high)
    return apply_affine_transform(x, 0, 0, 0, 0, zx, zy, *axes, fill_mode, cval, interpolation_order)


def random_channel_shift(x: Any, intensity_range: float, channel_axis: int = 0) -> np.ndarray:
    """`apply_channel_shift` by a number from -intensity_range to intensity_range."""
    return apply_channel_shift(x, _between(-intensity_range, intensity_range), channel_axis)


def random_brightness(x: Any, brightness_range: Sequence[float], scale: bool = True) -> np.ndarray:
    """`apply_brightness_shift` by a number from a range."""
    low, high = limits("brightness_range", brightness_range)
    return apply_brightness_shift(x, _between(low, high), scale)
