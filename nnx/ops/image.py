"""Images: sizes, colours, filters, and pixels read where a map points to; the names of `keras.ops.image`.

Images are (rows, columns, channels) or (batch, rows, columns, channels); channels come before the rows for the
data_format "channels_first". Integer images stay integer: values are rounded, and computed in between as floats.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from nnx import random
from nnx.arguments import integers
from nnx.autodiff.array import lower
from nnx.backends import Array, backend_of
from nnx.functional.upsampling import KERNELS
from nnx.ops.arithmetic import clip
from nnx.ops.convolution import depthwise_conv
from nnx.ops.operation import as_array, as_floats, is_float, name_of_dtype, namespace, operation, refuse_derivative
from nnx.ops.unfolding import unfold_windows
from nnx.windows import windows_of

__all__ = [
    "affine_transform",
    "crop_images",
    "elastic_transform",
    "extract_patches",
    "extract_patches_3d",
    "gaussian_blur",
    "hsv_to_rgb",
    "map_coordinates",
    "pad_images",
    "perspective_transform",
    "resize",
    "rgb_to_grayscale",
    "rgb_to_hsv",
    "scale_and_translate",
    "sobel_edges",
    "ssim",
]

_FIRST = "channels_first"


def _batch(name: str, images: Any, data_format: str | None = None) -> tuple[Array, Callable[[Array], Array]]:
    """Images (batch, rows, columns, channels), and what gives such images back the layout that they had."""
    array = as_array(images)
    xp, rank, first = namespace(array), len(array.shape), data_format == _FIRST
    if rank not in (3, 4):
        raise ValueError(
            f"{name}: images are (rows, columns, channels) or (batch, rows, columns, channels), got shape "
            f"{tuple(array.shape)}"
        )
    if rank == 3:
        array = array[None, ...]
    if first:
        array = xp.permute_dims(array, (0, 2, 3, 1))

    def back(y: Array) -> Array:
        if first:
            y = namespace(y).permute_dims(y, (0, 3, 1, 2))
        return y[0, ...] if rank == 3 else y

    return array, back


def _rounded(y: Array, dtype: str) -> Array:
    """Floats as integers of a dtype: rounded, and cut off where they leave its range."""
    if dtype.startswith("float"):
        return as_array(y, dtype)
    xp, limits = namespace(y), np.iinfo(dtype)
    return as_array(xp.clip(xp.round(y), float(limits.min), float(limits.max)), dtype)


def _beside(like: Array, host: np.ndarray, dtype: str | None = None) -> Array:
    plain = lower(like)
    return backend_of(plain).put_beside(plain, host.astype(dtype or name_of_dtype(plain)))


@operation
def resize(
    images: Any,
    size: Sequence[int],
    interpolation: str = "bilinear",
    antialias: bool = False,
    crop_to_aspect_ratio: bool = False,
    pad_to_aspect_ratio: bool = False,
    fill_mode: str = "constant",
    fill_value: float = 0.0,
    data_format: str | None = None,
) -> Array:
    """Images of another size.

    size : (rows, columns). interpolation : "nearest", "bilinear" (default), "bicubic" (Keys's kernel, a = -1/2),
        "lanczos3" or "lanczos5", with the middles of pixels at one half.
    antialias : whether smaller images are means over more pixels.
    crop_to_aspect_ratio, pad_to_aspect_ratio : whether images first lose their borders, or get borders of
        `fill_value`, so that nothing is stretched.

    Integer images stay integer. ValueError for another interpolation.

    >>> resize([[[0.0], [2.0]]], (1, 4)).ravel()
    array([0. , 0.5, 1.5, 2. ], dtype=float32)
    """
    if interpolation != "nearest" and interpolation not in KERNELS:
        known = ", ".join(map(repr, ("nearest", *KERNELS)))
        raise ValueError(f"resize: interpolation must be one of {known}, got {interpolation!r}")
    if fill_mode != "constant":
        raise ValueError(f"resize: fill_mode must be 'constant', got {fill_mode!r}")
    if crop_to_aspect_ratio and pad_to_aspect_ratio:
        raise ValueError("resize: only one of crop_to_aspect_ratio and pad_to_aspect_ratio can be True")
    array, back = _batch("resize", images, data_format)
    target = integers("resize: size", size, 2)
    if crop_to_aspect_ratio:
        array = _cropped_to(array, target)
    elif pad_to_aspect_ratio:
        array = _padded_to(array, target, fill_value)
    if interpolation == "nearest":
        return back(_nearest(array, target))
    y = as_floats(array)
    for axis, wanted in ((2, target[1]), (1, target[0])):
        old = array.shape[axis]
        if wanted != old:
            weights = weights_of_scaling(old, wanted, wanted / old, 0.0, interpolation, antialias)
            y = _along(_beside(y, weights), y, axis)
    return back(_rounded(y, name_of_dtype(array)))


def _along(matrix: Array, x: Array, axis: int) -> Array:
    """A matrix (m, n) times every vector of n elements along an axis of x."""
    xp = namespace(x)
    moved = xp.moveaxis(x, axis, -1)
    return xp.moveaxis(xp.matmul(moved, xp.matrix_transpose(matrix)), -1, axis)


def _nearest(images: Array, target: tuple[int, ...]) -> Array:
    xp = namespace(images)
    for axis, wanted in ((1, target[0]), (2, target[1])):
        old = images.shape[axis]
        places = np.floor((np.arange(wanted) + 0.5) * old / wanted).astype("int64")
        images = xp.take(images, _beside(images, places, "int64"), axis=axis)
    return images


def _cropped_to(images: Array, target: tuple[int, ...]) -> Array:
    height, width = images.shape[1:3]
    tall = max(min(height, int(float(width * target[0]) / target[1])), 1)
    wide = max(min(width, int(float(height * target[1]) / target[0])), 1)
    top, left = (height - tall) // 2, (width - wide) // 2
    return images[:, top : top + tall, left : left + wide, :]


def _padded_to(images: Array, target: tuple[int, ...], fill_value: float) -> Array:
    height, width = images.shape[1:3]
    tall = max(height, int(float(width * target[0]) / target[1]))
    wide = max(width, int(float(height * target[1]) / target[0]))
    top, left = (tall - height) // 2, (wide - width) // 2
    return _bordered(images, ((top, top), (left, left)), fill_value)


def _bordered(images: Array, amounts: Sequence[tuple[int, int]], fill_value: float = 0.0) -> Array:
    """Images with borders of a value around rows and columns."""
    xp = namespace(images)
    for axis, (before, after) in enumerate(amounts, start=1):
        parts = []
        for amount in (before, after):
            size = tuple(amount if i == axis else n for i, n in enumerate(images.shape))
            parts.append(_beside(images, np.full(size, fill_value)))
        if before or after:
            images = xp.concat([parts[0], images, parts[1]], axis=axis)
    return images


@functools.lru_cache(maxsize=64)
def weights_of_scaling(
    old: int, new: int, scale: float, translation: float, interpolation: str, antialias: bool
) -> np.ndarray:
    """Weights of old elements in each new one, (new, old): new element i lies at (i + 1/2 - translation) / scale - 1/2.

    >>> weights_of_scaling(2, 4, 2.0, 0.0, "bilinear", False).tolist()
    [[1.0, 0.0], [0.75, 0.25], [0.25, 0.75], [0.0, 1.0]]
    """
    places = (np.arange(new) + 0.5 - translation) / scale - 0.5
    spread = max(1.0 / scale, 1.0) if antialias else 1.0
    weights = KERNELS[interpolation](np.abs(places[:, None] - np.arange(old)) / spread)
    total = weights.sum(axis=1, keepdims=True)
    weights = np.where(np.abs(total) > 1e-4, weights / np.where(total == 0.0, 1.0, total), 0.0)
    outside = (places < -0.5) | (places > old - 0.5)
    result: np.ndarray = np.where(outside[:, None], 0.0, weights)
    result.flags.writeable = False
    return result


@operation
def scale_and_translate(
    images: Any,
    output_shape: Sequence[int],
    scale: Any,
    translation: Any,
    spatial_dims: Sequence[int],
    method: str,
    antialias: bool = True,
) -> Array:
    """Array of another shape, scaled and moved along some axes.

    output_shape : of the result. scale, translation : numbers, one for each of the axes `spatial_dims`; new element i
        lies at (i + 1/2 - translation) / scale - 1/2, and is 0 where that is outside.
    method : "linear", "bilinear", "trilinear", "cubic", "bicubic", "tricubic", "lanczos3" or "lanczos5".

    >>> scale_and_translate([0.0, 2.0], (4,), [2.0], [0.0], (0,), "linear")
    array([0. , 0.5, 1.5, 2. ], dtype=float32)
    """
    array = as_floats(images)
    kinds = {"linear": "bilinear", "trilinear": "bilinear", "cubic": "bicubic", "tricubic": "bicubic"}
    kind = kinds.get(method, method)
    if kind not in KERNELS:
        raise ValueError(f"scale_and_translate: method must be one of {sorted({*kinds, *KERNELS})}, got {method!r}")
    refuse_derivative("scale_and_translate: scale or translation", [scale, translation])
    scales, moves = (np.asarray(lower(value), "float64").reshape(-1).tolist() for value in (scale, translation))
    for axis, by, move in zip(spatial_dims, scales, moves, strict=True):
        weights = weights_of_scaling(array.shape[axis], output_shape[axis], by, move, kind, antialias)
        array = _along(_beside(array, weights), array, axis)
    return array


@operation
def crop_images(
    images: Any,
    top_cropping: int | None = None,
    left_cropping: int | None = None,
    bottom_cropping: int | None = None,
    right_cropping: int | None = None,
    target_height: int | None = None,
    target_width: int | None = None,
    data_format: str | None = None,
) -> Array:
    """Images without some of their rows and columns at the border.

    Of top, bottom and target height two are given, and the third follows; so for left, right and target width.

    >>> crop_images([[[1.0], [2.0], [3.0]]], 0, 1, 0, 0).ravel()
    array([2., 3.], dtype=float32)
    """
    array, back = _batch("crop_images", images, data_format)
    height, width = array.shape[1:3]
    top, tall = _cut("crop_images", "height", height, top_cropping, bottom_cropping, target_height)
    left, wide = _cut("crop_images", "width", width, left_cropping, right_cropping, target_width)
    return back(array[:, top : top + tall, left : left + wide, :])


def _cut(name: str, what: str, size: int, before: int | None, after: int | None, target: int | None) -> tuple[int, int]:
    given = [value is not None for value in (before, after, target)]
    if sum(given) != 2:
        raise ValueError(f"{name}: give two of the croppings on both sides and target_{what}, got {sum(given)}")
    if before is None:
        before = size - (target or 0) - (after or 0)
    if target is None:
        target = size - before - (after or 0)
    if before < 0 or target < 0 or before + target > size:
        raise ValueError(f"{name}: {what} {size} does not hold {target} behind {before}")
    return before, target


@operation
def pad_images(
    images: Any,
    top_padding: int | None = None,
    left_padding: int | None = None,
    bottom_padding: int | None = None,
    right_padding: int | None = None,
    target_height: int | None = None,
    target_width: int | None = None,
    data_format: str | None = None,
) -> Array:
    """Images with rows and columns of zeros around them.

    Of top, bottom and target height two are given, and the third follows; so for left, right and target width.

    >>> pad_images([[[1.0], [2.0]]], 0, 1, 0, 0).ravel()
    array([0., 1., 2.], dtype=float32)
    """
    array, back = _batch("pad_images", images, data_format)
    height, width = array.shape[1:3]
    rows = _border("height", height, top_padding, bottom_padding, target_height)
    columns = _border("width", width, left_padding, right_padding, target_width)
    return back(_bordered(array, (rows, columns)))


def _border(what: str, size: int, before: int | None, after: int | None, target: int | None) -> tuple[int, int]:
    given = [value is not None for value in (before, after, target)]
    if sum(given) != 2:
        raise ValueError(f"pad_images: give two of the paddings on both sides and target_{what}, got {sum(given)}")
    before = (target or 0) - size - (after or 0) if before is None else before
    after = (target or 0) - size - before if after is None else after
    if before < 0 or after < 0:
        raise ValueError(f"pad_images: padding cannot be negative, got {before} and {after} around {what} {size}")
    return before, after


@operation
def rgb_to_grayscale(images: Any, data_format: str | None = None) -> Array:
    """Grey images (..., 1) of coloured ones (..., 3): 0.2989 red + 0.587 green + 0.114 blue. Integers stay integers.

    >>> rgb_to_grayscale([[[1.0, 1.0, 0.0]]]).round(4).tolist()
    [[[0.8859000205993652]]]
    """
    array, back = _batch("rgb_to_grayscale", images, data_format)
    if array.shape[-1] == 1:
        return back(array)
    y = as_floats(array)
    y = namespace(y).matmul(y, _beside(y, np.asarray([[0.2989], [0.5870], [0.1140]])))
    return back(as_array(y, name_of_dtype(array)))


@operation
def rgb_to_hsv(images: Any, data_format: str | None = None) -> Array:
    """Hue, saturation and value, each from 0 to 1, of red, green and blue. ValueError for integer images.

    >>> rgb_to_hsv([[[0.0, 0.0, 0.5]]]).round(4).ravel()
    array([0.6667, 1.    , 0.5   ], dtype=float32)
    """
    array, back = _batch("rgb_to_hsv", images, data_format)
    _check_floats("rgb_to_hsv", array)
    xp = namespace(array)
    array = xp.where(xp.abs(array) < float(xp.finfo(array.dtype).eps), 0.0, array)
    red, green, blue = (array[..., i] for i in range(3))
    value = xp.max(array, axis=-1)
    spread = value - xp.min(array, axis=-1)
    saturation = xp.where(value > 0.0, spread / xp.where(value > 0.0, value, 1.0), 0.0)
    share = 1.0 / (6.0 * xp.where(spread > 0.0, spread, 1.0))
    hue = xp.where(value == green, share * (blue - red) + 2.0 / 6.0, share * (red - green) + 4.0 / 6.0)
    hue = xp.where(value == red, share * (green - blue), hue)
    hue = xp.where(spread > 0.0, hue, 0.0) + xp.astype(hue < 0.0, array.dtype)
    return back(xp.stack([hue, saturation, value], axis=-1))


@operation
def hsv_to_rgb(images: Any, data_format: str | None = None) -> Array:
    """Red, green and blue, the inverse of `rgb_to_hsv`. ValueError for integer images.

    >>> hsv_to_rgb([[[0.5, 1.0, 1.0]]]).tolist()
    [[[0.0, 1.0, 1.0]]]
    """
    array, back = _batch("hsv_to_rgb", images, data_format)
    _check_floats("hsv_to_rgb", array)
    xp = namespace(array)
    hue, saturation, value = (array[..., i] for i in range(3))
    turn = (hue - xp.floor(hue)) * 6.0
    red = clip(xp.abs(turn - 3.0) - 1.0, 0.0, 1.0)
    green = clip(2.0 - xp.abs(turn - 2.0), 0.0, 1.0)
    blue = clip(2.0 - xp.abs(turn - 4.0), 0.0, 1.0)
    colours = [value * (1.0 - saturation + saturation * colour) for colour in (red, green, blue)]
    return back(xp.stack(colours, axis=-1))


def _check_floats(name: str, array: Array) -> None:
    if not is_float(array):
        raise ValueError(f"{name}: images are floats from 0 to 1, got {array.dtype}; divide them by 255.0")


@operation
def map_coordinates(
    inputs: Any, coordinates: Any, order: int, fill_mode: str = "constant", fill_value: float = 0.0
) -> Array:
    """Values read at places between the elements of an array.

    inputs : of r axes. coordinates : (r, ...), a place along each axis.
    order : 0, the nearest element; or 1, interpolation between neighbours.
    fill_mode : what lies outside a b c d: k k | a b c d | k k ("constant", k is `fill_value`), a a | a b c d | d d
        ("nearest"), b a | a b c d | d c ("reflect"), c b | a b c d | c b ("mirror"), c d | a b c d | a b ("wrap").

    Returns an array (...), in the dtype of the inputs; integers are rounded. ValueError for another order or fill_mode.

    >>> map_coordinates([1.0, 2.0, 4.0], [[0.5, 1.5, 7.0]], order=1)
    array([1.5, 3. , 0. ], dtype=float32)
    """
    if isinstance(coordinates, tuple | list):
        parts = [as_floats(c) for c in coordinates]
        coordinates = namespace(*parts).stack(parts)
    places, array = as_floats(coordinates), as_array(inputs)
    if places.shape[0] != len(array.shape) or len(places.shape) < 2:
        raise ValueError(
            f"map_coordinates: coordinates are ({len(array.shape)}, ...), a place along each axis of inputs "
            f"{tuple(array.shape)}, got shape {tuple(places.shape)}"
        )
    return _read(array, places, order, fill_mode, fill_value, "map_coordinates")


def _read(array: Array, places: Array, order: int, fill_mode: str, fill_value: float, name: str) -> Array:
    """Values of an array at places (r, ...) along its first r axes, with what remains of its axes behind."""
    if order not in (0, 1) or fill_mode not in _INTO_RANGE:
        raise ValueError(
            f"{name}: order must be 0 or 1, and fill_mode one of {', '.join(map(repr, _INTO_RANGE))}; got {order!r} "
            f"and {fill_mode!r}"
        )
    floats = as_floats(array)
    xp = namespace(floats, places)
    axes = places.shape[0]
    sizes, rest = floats.shape[:axes], floats.shape[axes:]
    flat = xp.reshape(floats, (math.prod(sizes), *rest))
    shape = tuple(places.shape[1:])
    total: Any = None
    along = [_neighbours(places[axis, ...], sizes[axis], order, fill_mode) for axis in range(axes)]
    for choice in itertools.product(*along):
        place, weight, valid = None, None, None
        for axis, (index, share, inside) in enumerate(choice):
            place = index if place is None else place * sizes[axis] + index
            weight = share if weight is None or share is None else weight * share
            valid = inside if valid is None or inside is None else namespace(valid).logical_and(valid, inside)
        column = (*shape, *[1] * len(rest))
        found = xp.reshape(xp.take(flat, namespace(place).reshape(place, (-1,)), axis=0), (*shape, *rest))
        if valid is not None:
            found = xp.where(namespace(valid).reshape(valid, column), found, fill_value)
        if weight is not None:
            found = found * xp.reshape(as_array(weight, name_of_dtype(found)), column)
        total = found if total is None else total + found
    if is_float(array):
        return as_array(total, name_of_dtype(array))
    return as_array(xp.sign(total) * xp.floor(xp.abs(total) + 0.5), name_of_dtype(array))


def _neighbours(place: Array, size: int, order: int, fill_mode: str) -> list[tuple[Array, Any, Any]]:
    """The elements that a place is read from: index, weight (None for 1), and whether they exist (None for yes)."""
    plain = lower(place)
    xp = namespace(plain)
    if order == 0:
        whole = [xp.sign(plain) * xp.floor(xp.abs(plain) + 0.5)]
        weights: list[Any] = [None]
    else:
        first = xp.floor(plain)
        whole, above = [first, first + 1.0], place - first
        weights = [1.0 - above, above]
    found = []
    for index, weight in zip(whole, weights, strict=True):
        number = xp.astype(index, xp.int64)
        inside = xp.logical_and(number >= 0, number < size) if fill_mode == "constant" else None
        found.append((_INTO_RANGE[fill_mode](xp, number, size), weight, inside))
    return found


def _mirrored(xp: Any, index: Array, size: int) -> Array:
    half = max(size - 1, 1)
    return xp.abs((index + half) % (2 * half) - half) if size > 1 else index * 0


def _reflected(xp: Any, index: Array, size: int) -> Array:
    index = index % (2 * size)
    return xp.where(index < size, index, 2 * size - 1 - index)


_INTO_RANGE: dict[str, Callable[[Any, Array, int], Array]] = {
    "constant": lambda xp, index, size: xp.clip(index, 0, size - 1),
    "nearest": lambda xp, index, size: xp.clip(index, 0, size - 1),
    "wrap": lambda xp, index, size: index % size,
    "mirror": _mirrored,
    "reflect": _reflected,
}
_ORDERS = {"nearest": 0, "bilinear": 1}


def _order(name: str, interpolation: str) -> int:
    if interpolation not in _ORDERS:
        raise ValueError(f"{name}: interpolation must be 'nearest' or 'bilinear', got {interpolation!r}")
    return _ORDERS[interpolation]


def _grid(like: Array, height: int, width: int) -> tuple[Array, Array]:
    """The rows (height, 1) and columns (1, width) of an image's pixels, as floats."""
    rows, columns = np.arange(height, dtype="float32")[:, None], np.arange(width, dtype="float32")[None, :]
    return _beside(like, rows), _beside(like, columns)


def _read_batch(
    images: Array, rows: Array, columns: Array, order: int, fill_mode: str, fill_value: float, name: str
) -> Array:
    """Pixels of images (batch, height, width, channels) read at rows and columns (batch, *size)."""
    xp = namespace(rows, columns)
    rows, columns = xp.broadcast_arrays(rows, columns)
    read = [
        _read(images[i, ...], xp.stack([rows[i, ...], columns[i, ...]]), order, fill_mode, fill_value, name)
        for i in range(images.shape[0])
    ]
    return namespace(*read).stack(read)


@operation
def affine_transform(
    images: Any,
    transform: Any,
    interpolation: str = "bilinear",
    fill_mode: str = "constant",
    fill_value: float = 0.0,
    data_format: str | None = None,
) -> Array:
    """Images read where an affine map of their pixels points to.

    transform : a0, a1, a2, b0, b1, b2, c0, c1, (8,) for all images or (batch, 8). The pixel in column u and row v of
        the result is read from column a0 u + a1 v + a2 and row b0 u + b1 v + b2; c0 and c1 are not used.
    interpolation : "bilinear" (default) or "nearest". fill_mode, fill_value : as of `map_coordinates`.

    >>> affine_transform([[[1.0], [2.0], [3.0]]], [1.0, 0.0, -0.5, 0.0, 1.0, 0.0, 0.0, 0.0]).ravel()
    array([0.5, 1.5, 2.5], dtype=float32)
    """
    order = _order("affine_transform", interpolation)
    array, back = _batch("affine_transform", images, data_format)
    maps = as_floats(transform)
    if len(maps.shape) not in (1, 2):
        raise ValueError(f"affine_transform: transform is (8,) or (batch, 8), got shape {tuple(maps.shape)}")
    xp = namespace(maps)
    maps = xp.broadcast_to(xp.reshape(maps, (-1, maps.shape[-1])), (array.shape[0], maps.shape[-1]))
    v, u = _grid(maps, *array.shape[1:3])
    a0, a1, a2, b0, b1, b2 = (maps[:, i][:, None, None] for i in range(6))
    rows, columns = b0 * u + b1 * v + b2, a0 * u + a1 * v + a2
    return back(_read_batch(array, rows, columns, order, fill_mode, fill_value, "affine_transform"))


@operation
def perspective_transform(
    images: Any,
    start_points: Any,
    end_points: Any,
    interpolation: str = "bilinear",
    fill_value: float = 0.0,
    data_format: str | None = None,
) -> Array:
    """Images seen in another perspective: four points of them come to lie elsewhere.

    start_points, end_points : (4, 2) for all images, or (batch, 4, 2): the columns and rows of the points before, and
        after.

    >>> corners = [[0.0, 0.0], [2.0, 0.0], [0.0, 1.0], [2.0, 1.0]]
    >>> image = [[[1.0], [2.0], [3.0]], [[4.0], [5.0], [6.0]]]
    >>> perspective_transform(image, corners, corners).round(4).ravel()
    array([1., 2., 3., 4., 5., 6.], dtype=float32)
    """
    order = _order("perspective_transform", interpolation)
    array, back = _batch("perspective_transform", images, data_format)
    start, end = as_floats(start_points), as_floats(end_points)
    if tuple(start.shape[-2:]) != (4, 2) or tuple(start.shape) != tuple(end.shape) or len(start.shape) not in (2, 3):
        raise ValueError(
            f"perspective_transform: points are (4, 2) or (batch, 4, 2), before and after, got shapes "
            f"{tuple(start.shape)} and {tuple(end.shape)}"
        )
    xp = namespace(start, end)
    start, end = (xp.broadcast_to(xp.reshape(p, (-1, 4, 2)), (array.shape[0], 4, 2)) for p in (start, end))
    (old_x, old_y), (new_x, new_y) = ((p[..., 0], p[..., 1]) for p in (start, end))
    zero, one = xp.zeros_like(new_x), xp.ones_like(new_x)
    of_x = xp.stack([new_x, new_y, one, zero, zero, zero, -old_x * new_x, -old_x * new_y], axis=-1)
    of_y = xp.stack([zero, zero, zero, new_x, new_y, one, -old_y * new_x, -old_y * new_y], axis=-1)
    right = xp.concat([old_x, old_y], axis=-1)[..., None]
    h = xp.linalg.solve(xp.concat([of_x, of_y], axis=1), right)[..., 0]
    v, u = _grid(h, *array.shape[1:3])
    a, b, c, d, e, f, g, k = (h[:, i][:, None, None] for i in range(8))
    depth = g * u + k * v + 1.0
    rows, columns = (d * u + e * v + f) / depth, (a * u + b * v + c) / depth
    return back(_read_batch(array, rows, columns, order, "constant", fill_value, "perspective_transform"))


@operation
def gaussian_blur(
    images: Any,
    kernel_size: Sequence[int] = (3, 3),
    sigma: Sequence[float] = (1.0, 1.0),
    data_format: str | None = None,
) -> Array:
    """Images blurred by a normal distribution over their pixels; outside they are 0.

    kernel_size : how many rows and columns count. sigma : the standard deviation along rows and columns.

    >>> gaussian_blur([[[0.0], [1.0], [0.0]]], (1, 3)).round(4).ravel()
    array([0.2741, 0.4519, 0.2741], dtype=float32)
    """
    array, back = _batch("gaussian_blur", images, data_format)
    down, across = (_bell(size, width) for size, width in zip(kernel_size, sigma, strict=True))
    blurred = _filtered(_filtered(as_floats(array), down[:, None], "same"), across[None, :], "same")
    return back(_rounded(blurred, name_of_dtype(array)))


def _bell(size: int, sigma: float) -> np.ndarray:
    weights: np.ndarray = np.exp(-0.5 * ((np.arange(size) - (size - 1) / 2) / sigma) ** 2)
    weights /= weights.sum()
    return weights


def _filtered(images: Array, kernel: np.ndarray, padding: str) -> Array:
    """Every channel with one filter (rows, columns)."""
    filters = np.repeat(kernel[:, :, None, None], images.shape[-1], axis=2)
    return depthwise_conv(images, _beside(images, filters), padding=padding)


@operation
def sobel_edges(images: Any, data_format: str | None = None) -> Array:
    """Changes of images downwards and to the right, by Sobel's filters: (..., 2), behind all other axes.

    >>> sobel_edges([[[[0.0], [1.0]]]])[..., 1].ravel()
    array([2., 0.], dtype=float32)
    """
    array, back = _batch("sobel_edges", images, data_format)
    down = np.outer([1.0, 2.0, 1.0], [-1.0, 0.0, 1.0]).T
    edges = [back(_filtered(as_floats(array), kernel, "same")) for kernel in (down, down.T)]
    return namespace(*edges).stack(edges, axis=-1)


@operation
def ssim(
    image1: Any,
    image2: Any,
    max_val: float = 1.0,
    filter_size: int = 11,
    filter_sigma: float = 1.5,
    k1: float = 0.01,
    k2: float = 0.03,
    data_format: str | None = None,
) -> Array:
    """Structural similarity of two images, or of each pair of two batches: 1 for equal ones.

    max_val : the largest value that they can have. filter_size, filter_sigma : of the window in which they are
    compared. k1, k2 : of the constants (k * max_val)**2.

    Wang et al., "Image quality assessment: from error visibility to structural similarity", 2004.

    >>> import numpy as np
    >>> image = np.linspace(0.0, 1.0, 16, dtype="float32").reshape(4, 4, 1)
    >>> round(float(ssim(image, image, filter_size=3)), 4)
    1.0
    """
    (a, _), (b, _) = _batch("ssim", image1, data_format), _batch("ssim", image2, data_format)
    if tuple(a.shape) != tuple(b.shape):
        raise ValueError(f"ssim: both images must have the same shape, got {tuple(a.shape)} and {tuple(b.shape)}")
    single, (a, b) = len(as_array(image1).shape) == 3, (as_floats(a), as_floats(b))
    bell = _bell(filter_size, filter_sigma)
    kernel = np.outer(bell, bell)

    def smooth(images: Array) -> Array:
        return _filtered(images, kernel, "valid")

    mean_a, mean_b = smooth(a), smooth(b)
    c1, c2 = (k1 * max_val) ** 2, (k2 * max_val) ** 2
    square_a, square_b, product = mean_a * mean_a, mean_b * mean_b, mean_a * mean_b
    variances = smooth(a * a) - square_a + smooth(b * b) - square_b
    covariance = smooth(a * b) - product
    score = (2.0 * product + c1) * (2.0 * covariance + c2) / ((square_a + square_b + c1) * (variances + c2))
    found = namespace(score).mean(score, axis=(1, 2, 3))
    return found[0] if single else found


@operation
def extract_patches(
    images: Any,
    size: int | Sequence[int],
    strides: int | Sequence[int] | None = None,
    dilation_rate: int | Sequence[int] = 1,
    padding: str = "valid",
    data_format: str | None = None,
) -> Array:
    """Patches of images, each flattened, with the channels fastest: (batch, rows, columns, size * size * channels).

    strides : by default the size. padding : "valid" or "same", with zeros around.

    >>> extract_patches([[[1.0], [2.0], [3.0], [4.0]]], (1, 2)).tolist()
    [[[1.0, 2.0], [3.0, 4.0]]]
    """
    if not isinstance(size, int) and len(size) == 3:
        return extract_patches_3d(images, size, strides, dilation_rate, padding, data_format)
    array, back = _batch("extract_patches", images, data_format)
    window = _several(size, 2)
    steps = window if not strides else _several(strides, 2)
    windows = windows_of("extract_patches", tuple(array.shape[1:3]), window, steps, padding, _several(dilation_rate, 2))
    elements = unfold_windows(array, windows)
    n, _, taps, channels = elements.shape
    return back(namespace(elements).reshape(elements, (n, *windows.counts, taps * channels)))


def _several(value: int | Sequence[int], count: int) -> tuple[int, ...]:
    return (value,) * count if isinstance(value, int) else tuple(value)


@operation
def extract_patches_3d(
    volumes: Any,
    size: int | Sequence[int],
    strides: int | Sequence[int] | None = None,
    dilation_rate: int | Sequence[int] = 1,
    padding: str = "valid",
    data_format: str | None = None,
) -> Array:
    """Patches of volumes (batch, depth, rows, columns, channels), each flattened, with the channels fastest.

    size, strides, dilation_rate, padding : as of `extract_patches`, with three axes.

    >>> import numpy as np
    >>> extract_patches_3d(np.zeros((1, 4, 4, 4, 2), "float32"), 2).shape
    (1, 2, 2, 2, 16)
    """
    array = as_array(volumes)
    xp, single, first = namespace(array), len(array.shape) == 4, data_format == _FIRST
    if len(array.shape) not in (4, 5):
        raise ValueError(
            f"extract_patches_3d: volumes are (batch, depth, rows, columns, channels), got shape {tuple(array.shape)}"
        )
    array = array[None, ...] if single else array
    array = xp.moveaxis(array, 1, -1) if first else array
    window = _several(size, 3)
    steps, spread = window if not strides else _several(strides, 3), _several(dilation_rate, 3)
    n, depth, channels = array.shape[0], array.shape[1], array.shape[4]
    # the planes of the volumes first, then the windows along the depth, of which a plane's patches are the channels
    planes = xp.reshape(array, (n * depth, *array.shape[2:]))
    across = windows_of("extract_patches_3d", tuple(planes.shape[1:3]), window[1:], steps[1:], padding, spread[1:])
    elements = xp.reshape(unfold_windows(planes, across), (n, depth, 1, -1))
    along = windows_of("extract_patches_3d", (depth, 1), (window[0], 1), (steps[0], 1), padding, (spread[0], 1))
    found = unfold_windows(elements, along)  # (n, depths, taps of the depth, rows * columns * taps * channels)
    rows, columns = across.counts
    found = xp.reshape(found, (n, along.counts[0], window[0], rows, columns, across.taps * channels))
    found = xp.permute_dims(found, (0, 1, 3, 4, 2, 5))
    found = xp.reshape(found, (*found.shape[:4], -1))
    found = xp.moveaxis(found, -1, 1) if first else found
    return found[0, ...] if single else found


@operation
def elastic_transform(
    images: Any,
    alpha: float = 20.0,
    sigma: float = 5.0,
    interpolation: str = "bilinear",
    fill_mode: str = "reflect",
    fill_value: float = 0.0,
    seed: Any = None,
    data_format: str | None = None,
) -> Array:
    """Images whose pixels have been moved by a smooth random field.

    alpha : how far. sigma : the size of the numbers that are drawn, and how smooth the field is.
    interpolation, fill_mode, fill_value : as of `affine_transform`. seed : as of `nnx.random.normal`.

    >>> import numpy as np
    >>> elastic_transform(np.ones((8, 8, 1), "float32"), seed=1).shape
    (8, 8, 1)
    """
    order = _order("elastic_transform", interpolation)
    array, back = _batch("elastic_transform", images, data_format)
    floats = as_floats(array)
    n, height, width, _ = array.shape
    size = int(6 * sigma) | 1
    field = random.normal((n, height, width, 2), stddev=sigma, dtype=name_of_dtype(floats), seed=seed)
    moves = alpha * gaussian_blur(field, (size, size), (sigma, sigma))
    v, u = _grid(moves, height, width)
    y = _read_batch(floats, v + moves[..., 1], u + moves[..., 0], order, fill_mode, fill_value, "elastic_transform")
    return back(_rounded(y, name_of_dtype(array)))
