"""Images under affine maps: against a reference that visits pixel after pixel, gradients, directions."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

import nnx
from nnx.functional.images import FILL_MODES, INTERPOLATIONS, affine_transform, flip, rotations, translations, zooms
from nnx.random import Generator
from nnx.testing import assert_close, check_gradients, no_synchronization

each_mode = pytest.mark.parametrize("fill_mode", FILL_MODES)
each_interpolation = pytest.mark.parametrize("interpolation", INTERPOLATIONS)

FILL = 0.7


def pictures(*shape: int) -> np.ndarray:
    return np.float32(Generator(1).normal(shape))


def maps(batch: int, reach: float = 4.0) -> np.ndarray:
    """Maps of all kinds, which also lead far outside."""
    return np.float32(Generator(2).normal((batch, 6)) * [1.0, 1.0, reach, 1.0, 1.0, reach])


def outside(index: int, size: int, fill_mode: str) -> int | None:
    """The index inside for one outside, by walking there."""
    if fill_mode == "constant":
        return index if 0 <= index < size else None
    line = list(range(size))
    if fill_mode == "nearest":
        return line[min(max(index, 0), size - 1)]
    period = line if fill_mode == "wrap" else line + line[::-1]
    return period[index % len(period)]


def reference(x: np.ndarray, transform: np.ndarray, interpolation: str, fill_mode: str) -> np.ndarray:
    """In float64, pixel after pixel."""
    batch, height, width, channels = x.shape
    y = np.zeros(x.shape)
    for n, v, u in itertools.product(range(batch), range(height), range(width)):
        a0, a1, a2, b0, b1, b2 = map(float, transform[n])
        column, row = a0 * u + a1 * v + a2, b0 * u + b1 * v + b2
        if interpolation == "nearest":
            corners = [(math.floor(row + 0.5), math.floor(column + 0.5), 1.0)]
        else:
            top, left = math.floor(row), math.floor(column)
            corners = [
                (top + i, left + j, (1.0 - abs(row - top - i)) * (1.0 - abs(column - left - j)))
                for i, j in itertools.product((0, 1), (0, 1))
            ]
        for i, j, weight in corners:
            i, j = outside(i, height, fill_mode), outside(j, width, fill_mode)
            y[n, v, u] += weight * (np.full(channels, FILL) if i is None or j is None else x[n, i, j])
    return y


@each_mode
@each_interpolation
def test_each_pixel_is_read_where_the_map_points_to(backend, interpolation, fill_mode):
    x, transform = pictures(4, 5, 6, 2), maps(4)
    placed = backend.asarray(x)
    with no_synchronization():
        y, pullback = affine_transform(placed, backend.asarray(transform), interpolation, fill_mode, FILL)
        dx = pullback(y)
    # the places have errors of some units in the last of their up to 20 pixels, and the weights have these too
    assert_close(y, reference(x, transform, interpolation, fill_mode), rtol=0.0, atol=3e-5, like=placed)
    assert_close(dx, in_float64(x, transform, interpolation, fill_mode)[1], rtol=0.0, atol=1e-4, like=placed)


def in_float64(x: np.ndarray, transform: np.ndarray, *options: str) -> tuple[np.ndarray, np.ndarray]:
    """The value y on NumPy, and what the pullback, which `test_gradient` checks, makes of it."""
    y, pullback = affine_transform(x.astype(np.float64), transform.astype(np.float64), *options, FILL)
    return y, pullback(y)


@each_mode
@each_interpolation
def test_gradient(backend_float64, interpolation, fill_mode):
    transform = backend_float64.asarray(maps(3))
    check_gradients(
        lambda x: affine_transform(x, transform, interpolation, fill_mode, FILL),
        pictures(3, 4, 5, 2),
        placement=backend_float64,
    )


def test_gradient_of_many_pixels(backend_float64):
    """More than a one-hot matrix is made for."""
    transform = rotations(backend_float64.asarray([0.3, -1.2]), 20, 24)
    check_gradients(
        lambda x: affine_transform(x, transform, fill_mode="reflect"), pictures(2, 20, 24, 1), placement=backend_float64
    )


def test_gradient_of_many_pixels_in_float32(backend):
    x, transform = pictures(8, 28, 28, 1), np.float32([[1.0, 0.1, -1.3, 0.2, 0.8, 0.4]] * 8)
    y, expected = in_float64(x, transform, "bilinear", "reflect")
    _, pullback = affine_transform(backend.asarray(x), backend.asarray(transform), fill_mode="reflect")
    assert_close(pullback(backend.asarray(y)), expected, rtol=0.0, atol=1e-4)


@each_mode
def test_places_far_outside_stay_in_range(backend, fill_mode):
    x = pictures(2, 3, 4, 1)
    transform = np.float32([[1.0, 0.0, 4e6, 0.0, 1.0, -3e6], [1.0, 0.0, -4e6 + 1, 0.0, 1.0, 3e6 + 3]])
    y, _ = affine_transform(backend.asarray(x), backend.asarray(transform), fill_mode=fill_mode, fill_value=FILL)
    assert_close(y, reference(x, transform, "bilinear", fill_mode), 1e-6, 1e-6)


def test_channels_first_is_the_same_with_other_axes(backend):
    x, transform = pictures(3, 4, 5, 2), backend.asarray(maps(3))
    y, pullback = affine_transform(backend.asarray(x), transform, fill_mode="wrap")
    first = backend.asarray(np.ascontiguousarray(np.moveaxis(x, -1, 1)))
    z, pullback_first = affine_transform(first, transform, fill_mode="wrap", data_format="channels_first")
    assert_close(z, np.moveaxis(nnx.to_numpy(y), -1, 1), 0.0, 0.0)
    assert_close(pullback_first(z), np.moveaxis(nnx.to_numpy(pullback(y)), -1, 1), 1e-6, 1e-6)


def test_float16_is_computed_in_float32():
    x, transform = pictures(2, 40, 40, 1).astype(np.float16), rotations(np.float32([0.4, 1.0]), 40, 40)
    y, pullback = affine_transform(x, transform)
    wide, pullback_wide = affine_transform(x.astype(np.float32), transform)
    assert y.dtype == pullback(y).dtype == np.float16
    assert_close(y, wide, rtol=1e-3, atol=1e-3)
    assert_close(pullback(y), pullback_wide(wide), rtol=2e-3, atol=2e-3)


def test_a_translation_by_whole_pixels_moves_them(backend):
    x = pictures(2, 5, 6, 1)
    right, down = backend.asarray([2.0, -1.0]), backend.asarray([1.0, -3.0])
    y, _ = affine_transform(backend.asarray(x), translations(right, down), fill_mode="wrap")
    assert_close(y, [np.roll(x[0], (1, 2), (0, 1)), np.roll(x[1], (-3, -1), (0, 1))], 1e-6, 1e-6)


def test_a_quarter_turn_is_counter_clockwise(backend):
    x = pictures(2, 6, 6, 2)
    quarter = math.pi / 2
    y, _ = affine_transform(backend.asarray(x), rotations(backend.asarray([quarter, -quarter]), 6, 6))
    assert_close(y, [np.rot90(x[0]), np.rot90(x[1], -1)], 1e-5, 1e-5)


def test_a_turn_of_a_wide_picture_is_about_its_middle(backend):
    x = pictures(1, 3, 7, 1)
    y, _ = affine_transform(backend.asarray(x), rotations(backend.asarray([math.pi]), 3, 7))
    assert_close(y, x[:, ::-1, ::-1], 1e-5, 1e-5)


def test_zooms_show_more_or_less(backend):
    x = np.zeros((2, 9, 9, 1), np.float32)
    x[:, 2:7, 2:7] = 1.0  # a square of 5 pixels in the middle
    wide, high = backend.asarray([1.5, 0.5]), backend.asarray([1.0, 0.5])
    y, _ = affine_transform(backend.asarray(x), zooms(wide, high, 9, 9), "nearest")
    square = nnx.to_numpy(y)[..., 0]
    assert [int(square[0].sum(axis).max()) for axis in (0, 1)] == [5, 3]  # as high as before, 5 / 1.5 wide
    assert square[1].min() == 1.0  # half of each side shown: all of it is the square


def test_flips_of_some(backend):
    x, chosen = pictures(3, 2, 4, 2), np.asarray([True, False, True])
    placed = backend.asarray(x)
    with no_synchronization():
        y, pullback = flip(placed, backend.asarray(chosen, "bool"), 2)
        back = pullback(y)
    assert_close(y, [x[0, :, ::-1], x[1], x[2, :, ::-1]], 0.0, 0.0, like=placed)
    assert_close(back, x, 0.0, 0.0)


def test_gradient_of_flips(backend_float64):
    chosen = backend_float64.asarray(np.asarray([True, False]), "bool")
    check_gradients(lambda x: flip(x, chosen, 1), pictures(2, 3, 4, 1), placement=backend_float64)


def test_unknown_modes_are_named():
    with pytest.raises(ValueError, match="fill_mode one of constant, nearest, reflect, wrap, got 'bilinear' and 'mir"):
        affine_transform(pictures(1, 2, 2, 1), maps(1), fill_mode="mirror")
