"""Images: mirrored, read where a map of their pixels points to, and summed up over windows."""

from __future__ import annotations

import math
from collections.abc import Callable

from nnx.backends import Array, array_namespace, backend_of
from nnx.functional.embedding import embedding
from nnx.functional.layout import CHANNELS_FIRST, CHANNELS_LAST
from nnx.kernels import accelerated
from nnx.precision import narrow, wide
from nnx.pullbacks import Pullback

__all__ = ["affine_transform"]

INTERPOLATIONS = ("bilinear", "nearest")


def flip(x: Array, chosen: Array, axis: int) -> tuple[Array, Pullback]:
    """Reversal along an axis of those samples of x (batch, ...) that are chosen.

    chosen : bool (batch,).
    axis : of x, not that of the batch.

    Returns y, and pullback(dy) -> dx, dy reversed in the same way.

    >>> import numpy as np
    >>> y, pullback = flip(np.asarray([[1.0, 2.0], [3.0, 4.0]]), np.asarray([True, False]), axis=1)
    >>> y.tolist()
    [[2.0, 1.0], [3.0, 4.0]]
    """
    xp = array_namespace(x)
    which = xp.reshape(chosen, (-1, *(1,) * (len(x.shape) - 1)))

    def flipped(array: Array) -> Array:
        return xp.where(which, xp.flip(array, axis=axis), array)

    return flipped(x), flipped


@accelerated
def affine_transform(
    x: Array,
    transform: Array,
    interpolation: str = "bilinear",
    fill_mode: str = "constant",
    fill_value: float = 0.0,
    data_format: str = CHANNELS_LAST,
) -> tuple[Array, Pullback]:
    """Affine map of images: each pixel of the result is read where the map of its image points to.

    x : images (batch, height, width, channels), or (batch, channels, height, width) if `data_format` is
        "channels_first"; the result has the same shape. float16 is computed in float32.
    transform (batch, 6) : a0, a1, a2, b0, b1, b2. The pixel in column u and row v of the result is read from column
        a0 u + a1 v + a2 and row b0 u + b1 v + b2: the map leads from the result to the image. It is a constant.
    interpolation : between the four pixels around that place, "bilinear" (default); or the "nearest" one.
    fill_mode : what lies outside the image a b c d: k k | a b c d | k k ("constant", k is `fill_value`),
        a a | a b c d | d d ("nearest"), b a | a b c d | d c ("reflect"), c d | a b c d | a b ("wrap"). By default
        "constant".
    fill_value : by default 0.

    Returns y, and pullback(dy) -> dx: each pixel collects dy from where it was read, by the weight that it was read
    with. ValueError for an unknown interpolation or fill_mode. As `keras.ops.image.affine_transform`, whose maps have
    two numbers more.

    >>> import numpy as np
    >>> image = np.asarray([1.0, 2.0, 3.0]).reshape(1, 1, 3, 1)
    >>> half_a_pixel_right = np.asarray([[1.0, 0.0, -0.5, 0.0, 1.0, 0.0]])
    >>> y, pullback = affine_transform(image, half_a_pixel_right)
    >>> y.ravel(), pullback(np.ones((1, 1, 3, 1))).ravel()
    (array([0.5, 1.5, 2.5]), array([1. , 1. , 0.5]))
    """
    xp = array_namespace(x)
    if interpolation not in INTERPOLATIONS or fill_mode not in FILL_MODES:
        raise ValueError(
            f"affine_transform: interpolation must be one of {', '.join(INTERPOLATIONS)}, fill_mode one of "
            f"{', '.join(FILL_MODES)}, got {interpolation!r} and {fill_mode!r}"
        )
    if data_format == CHANNELS_FIRST:
        last = xp.permute_dims(x, (0, 2, 3, 1))
        y, pullback_last = affine_transform(last, transform, interpolation, fill_mode, fill_value)
        return xp.permute_dims(y, (0, 3, 1, 2)), lambda dy: xp.permute_dims(
            pullback_last(xp.permute_dims(dy, (0, 2, 3, 1))), (0, 3, 1, 2)
        )
    rows, columns = pixel_places(x)
    maps = xp.reshape(xp.astype(transform, wide(x).dtype, copy=False), (-1, 6, 1, 1))
    a0, a1, a2, b0, b1, b2 = (maps[:, index, ...] for index in range(6))
    return read_pixels(
        x, b0 * columns + b1 * rows + b2, a0 * columns + a1 * rows + a2, interpolation, fill_mode, fill_value
    )


def pixel_places(x: Array) -> tuple[Array, Array]:
    """The row (1, height, 1) and the column (width,) of each pixel of images (batch, height, width, channels).

    They are floats of the images' dtype, or float32.

    >>> import numpy as np
    >>> [place.ravel().tolist() for place in pixel_places(np.zeros((1, 2, 3, 1)))]
    [[0.0, 1.0], [0.0, 1.0, 2.0]]
    """
    xp, device, dtype = array_namespace(x), backend_of(x).device_of(x), wide(x).dtype
    rows = xp.arange(x.shape[1], dtype=dtype, device=device)
    return xp.reshape(rows, (1, -1, 1)), xp.arange(x.shape[2], dtype=dtype, device=device)


def read_pixels(
    x: Array,
    rows: Array,
    columns: Array,
    interpolation: str = "bilinear",
    fill_mode: str = "constant",
    fill_value: float = 0.0,
) -> tuple[Array, Pullback]:
    """Pixels of images, read at places between them.

    x : images (batch, height, width, channels). float16 is computed in float32.
    rows, columns : (batch, height, width), where each pixel of the result is read; constants.
    interpolation, fill_mode, fill_value : as of `affine_transform`; besides, c b | a b c d | c b ("mirror").

    Returns y, and pullback(dy) -> dx, as `affine_transform`.

    >>> import numpy as np
    >>> y, _ = read_pixels(np.asarray([1.0, 2.0]).reshape(1, 1, 2, 1), np.zeros((1, 1, 2)), np.full((1, 1, 2), 0.25))
    >>> y.ravel()
    array([1.25, 1.25])
    """
    xp = array_namespace(x)
    pixels = xp.reshape(wide(x), (-1, x.shape[-1]))
    places, weights = _readings(rows, columns, x.shape, interpolation, fill_mode)
    read, pullback_read = embedding(embeddings=pixels, x=places)  # in this order: the pixels choose the kernel
    y = xp.sum(read * weights, axis=0)
    if fill_mode == "constant" and fill_value != 0.0:
        y = y + fill_value * (1.0 - xp.sum(weights, axis=0))

    def pullback(dy: Array) -> Array:
        _, dpixels = pullback_read(xp.reshape(wide(dy), (1, *pixels.shape)) * weights)
        return narrow(xp.reshape(dpixels, x.shape), x)

    return narrow(xp.reshape(y, x.shape), x), pullback


def _readings(
    rows: Array, columns: Array, shape: tuple[int, ...], interpolation: str, fill_mode: str
) -> tuple[Array, Array]:
    """Which pixels of the batch are read for each pixel of the result, and their weights.

    Returns integers (k, pixels) that count through the batch, and weights (k, pixels, 1); k is 4 or 1.
    """
    xp, device = array_namespace(rows), backend_of(rows).device_of(rows)
    batch, height, width, _ = shape
    to_columns, column_weights = _along(columns, width, interpolation, fill_mode)
    to_rows, row_weights = _along(rows, height, interpolation, fill_mode)
    first = xp.reshape(xp.arange(batch, dtype=to_rows.dtype, device=device) * (height * width), (batch, 1, 1))
    places = (first + to_rows * width)[:, None, ...] + to_columns[None, ...]
    weights = row_weights[:, None, ...] * column_weights[None, ...]
    number = math.prod(places.shape[:2])
    return xp.reshape(places, (number, -1)), xp.reshape(weights, (number, -1, 1))


def _along(place: Array, size: int, interpolation: str, fill_mode: str) -> tuple[Array, Array]:
    """Along one axis, the indices that a place between pixels is read from, in range, and their weights: (k, ...)."""
    xp = array_namespace(place)
    if interpolation == "nearest":
        whole = xp.where(place < 0.0, xp.ceil(place - 0.5), xp.floor(place + 0.5))[None, ...]
        weight = xp.ones_like(whole)
    else:
        two = xp.arange(2, dtype=place.dtype, device=backend_of(place).device_of(place))
        whole = xp.floor(place)[None, ...] + xp.reshape(two, (2, 1, 1, 1))
        weight = 1.0 - xp.abs(place - whole)
    index = xp.astype(whole, xp.int64)
    inside = _INTO_RANGE[fill_mode](index, size)
    if fill_mode == "constant":
        weight = xp.where(inside == index, weight, 0.0)
    return inside, weight


def _nearest(index: Array, size: int) -> Array:
    xp = array_namespace(index)
    return xp.minimum(xp.maximum(index, 0), size - 1)


def _reflected(index: Array, size: int) -> Array:
    index = index % (2 * size)
    return array_namespace(index).where(index < size, index, 2 * size - 1 - index)


def _mirrored(index: Array, size: int) -> Array:
    far = max(size - 1, 1)
    index = array_namespace(index).abs((index + far) % (2 * far) - far)
    return index if size > 1 else index * 0


_INTO_RANGE: dict[str, Callable[[Array, int], Array]] = {
    "constant": _nearest,  # any will do: what is outside has the weight 0
    "nearest": _nearest,
    "reflect": _reflected,
    "wrap": lambda index, size: index % size,
    "mirror": _mirrored,
}
FILL_MODES = ("constant", "nearest", "reflect", "wrap")
"""Those of `affine_transform`."""


@accelerated
def translations(right: Array, down: Array) -> Array:
    """Affine maps (batch, 6) that move images by so many pixels, each (batch,).

    >>> import numpy as np
    >>> translations(np.asarray([1.0]), np.asarray([2.0])).tolist()
    [[1.0, 0.0, -1.0, 0.0, 1.0, -2.0]]
    """
    xp = array_namespace(right)
    one, zero = xp.ones_like(right), xp.zeros_like(right)
    return xp.stack([one, zero, -right, zero, one, -down], axis=1)


@accelerated
def rotations(angle: Array, height: int, width: int) -> Array:
    """Affine maps (batch, 6) that turn images about their middle, counter-clockwise, by angles (batch,) in radians.

    >>> import numpy as np
    >>> bool((rotations(np.asarray([0.0]), 3, 3) == [[1.0, 0.0, 0.0, 0.0, 1.0, 0.0]]).all())  # nothing is turned
    True
    """
    xp = array_namespace(angle)
    sine, cosine = xp.sin(angle), xp.cos(angle)
    u, v = 0.5 * (width - 1), 0.5 * (height - 1)
    return xp.stack([cosine, -sine, u - u * cosine + v * sine, sine, cosine, v - u * sine - v * cosine], axis=1)


@accelerated
def zooms(horizontal: Array, vertical: Array, height: int, width: int) -> Array:
    """Affine maps (batch, 6) that show so many times the width and height of images, about their middle.

    horizontal, vertical : (batch,); more than 1 makes what is seen smaller.

    >>> import numpy as np
    >>> zooms(np.asarray([2.0]), np.asarray([1.0]), 3, 3).tolist()
    [[2.0, 0.0, -1.0, 0.0, 1.0, 0.0]]
    """
    xp = array_namespace(horizontal)
    zero = xp.zeros_like(horizontal)
    u, v = 0.5 * (width - 1), 0.5 * (height - 1)
    return xp.stack([horizontal, zero, u * (1.0 - horizontal), zero, vertical, v * (1.0 - vertical)], axis=1)


@accelerated
def shears(right: Array, down: Array, sign: Array) -> Array:
    """Affine maps (batch, 6) that shear images: a pixel is read so many times its row further right, or column down.

    right, down : (batch,). sign : (batch,), what both are multiplied by.

    >>> import numpy as np
    >>> shears(np.asarray([0.5]), np.asarray([0.0]), np.asarray([-1.0])).tolist()
    [[1.0, -0.5, 0.0, -0.0, 1.0, 0.0]]
    """
    xp, right, down = array_namespace(right), sign * right, sign * down
    one, zero = xp.ones_like(right), xp.zeros_like(right)
    return xp.stack([one, right, zero, down, one, zero], axis=1)


def sum_of_neighbours(x: Array, weights: Array, axis: int) -> Array:
    """Sums of neighbours along the rows or columns of images, in array code; beyond the borders they are 0.

    x (batch, height, width, channels); weights (batch or 1, an odd number of taps); axis : 1 or 2.

    >>> import numpy as np
    >>> sum_of_neighbours(np.asarray([1.0, 2.0, 4.0]).reshape(1, 3, 1, 1), np.asarray([[1.0, 1.0, 1.0]]), 1).ravel()
    array([3., 7., 6.])
    """
    xp, taps, size = array_namespace(x), weights.shape[1], x.shape[axis]
    border = xp.zeros_like(x[:, :1, ...] if axis == 1 else x[:, :, :1, ...])
    wide_x = xp.concat([*[border] * (taps // 2), x, *[border] * (taps // 2)], axis=axis)
    total: Array = 0.0
    for tap in range(taps):
        shifted = wide_x[:, tap : tap + size, ...] if axis == 1 else wide_x[:, :, tap : tap + size, ...]
        total = shifted * weights[:, tap][:, None, None, None] + total
    return total


def inside_boxes(x: Array, tops: Array, bottoms: Array, lefts: Array, rights: Array) -> Array:
    """Which pixels of images (batch, height, width, channels) lie in the box of their image: bool, with one channel.

    tops, bottoms, lefts, rights : (batch,), rows and columns; the first ones belong to the box, the last ones do not.

    >>> import numpy as np
    >>> inside_boxes(np.zeros((1, 1, 4, 1)), *np.asarray([[0.0], [1.0], [0.5], [3.0]])).ravel()
    array([False,  True,  True, False])
    """
    rows, columns = pixel_places(x)
    tops, bottoms, lefts, rights = (edges[:, None, None] for edges in (tops, bottoms, lefts, rights))
    return ((rows >= tops) & (rows < bottoms) & (columns >= lefts) & (columns < rights))[..., None]
