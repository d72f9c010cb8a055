"""Up-sampling: repeated elements, and interpolations against a float64 loop over elements and neighbours."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

import nnx
from nnx.functional.upsampling import INTERPOLATIONS, upsample
from nnx.random import Generator
from nnx.testing import assert_close, check_gradients, no_synchronization

SHAPES = [
    ((2, 3, 4), (2,)),
    ((2, 3, 4, 2), (2, 3)),
    ((1, 1, 7, 1), (4, 1)),
    ((3, 5, 1, 2), (1, 2)),
    ((2, 2, 2, 3), (1, 1)),
]
SMOOTH = [name for name in INTERPOLATIONS if name != "nearest"]
each_shape = pytest.mark.parametrize(("shape", "size"), SHAPES)


def numbers(shape: tuple[int, ...]) -> np.ndarray:
    return Generator(0).normal(shape)


def sinc(x: float) -> float:
    return math.sin(math.pi * x) / (math.pi * x) if x else 1.0


def weight(interpolation: str, x: float) -> float:
    """Of a neighbour at distance x."""
    x = abs(x)
    if interpolation == "bilinear":
        return max(1.0 - x, 0.0)
    if interpolation == "bicubic":
        if x < 1.0:
            return 1.5 * x**3 - 2.5 * x**2 + 1.0
        return -0.5 * x**3 + 2.5 * x**2 - 4.0 * x + 2.0 if x < 2.0 else 0.0
    radius = int(interpolation[-1])
    return sinc(x) * sinc(x / radius) if x < radius else 0.0


def along(x: np.ndarray, axis: int, factor: int, interpolation: str) -> np.ndarray:
    slices = []
    for i in range(x.shape[axis] * factor):
        at = (i + 0.5) / factor - 0.5
        weights = [weight(interpolation, at - k) for k in range(x.shape[axis])]
        parts = [w * x.take(k, axis) for k, w in enumerate(weights)]
        slices.append(sum(parts) / sum(weights))
    return np.stack(slices, axis)


@each_shape
def test_nearest(backend, shape, size):
    x = backend.asarray(numbers(shape))
    with no_synchronization():
        y, pullback = upsample(x, size)
        dx = pullback(y)
    expected = np.float32(numbers(shape))
    for axis, factor in enumerate(size, start=1):
        expected = np.repeat(expected, factor, axis)
    assert_close(y, expected, 0.0, 0.0, like=x)
    assert_close(dx, math.prod(size) * numbers(shape), length=math.prod(size), like=x)


@pytest.mark.parametrize("interpolation", SMOOTH)
@each_shape
def test_interpolation(backend, shape, size, interpolation):
    x = backend.asarray(numbers(shape))
    with no_synchronization():
        y, pullback = upsample(x, size, interpolation)
        dx = pullback(y)
    expected = numbers(shape)
    for axis, factor in enumerate(size, start=1):
        expected = along(expected, axis, factor, interpolation)
    assert_close(y, expected, length=20, like=x)
    assert_close(dx, nnx.to_numpy(dx), like=x)


@pytest.mark.parametrize("interpolation", INTERPOLATIONS)
@each_shape
def test_gradients(backend_float64, shape, size, interpolation):
    check_gradients(lambda x: upsample(x, size, interpolation), numbers(shape), placement=backend_float64)


@pytest.mark.parametrize("interpolation", INTERPOLATIONS)
def test_a_constant_stays_constant(backend, interpolation):
    y, _ = upsample(backend.asarray(np.full((1, 3, 4, 2), 2.5)), (3, 2), interpolation)
    assert_close(y, np.full((1, 9, 8, 2), 2.5), length=10)


@pytest.mark.parametrize("interpolation", INTERPOLATIONS)
def test_float16_and_empty_batches(interpolation):
    for x in (np.float16(numbers((2, 3, 4, 5))), np.zeros((0, 3, 4, 5), np.float32)):
        y, pullback = upsample(x, (2, 3), interpolation)
        assert (y.shape, y.dtype) == ((x.shape[0], 6, 12, 5), x.dtype)
        assert (pullback(y).shape, pullback(y).dtype) == (x.shape, x.dtype)


def test_bilinear_is_a_straight_line_between_pixels():
    y, _ = upsample(np.arange(5.0).reshape(1, 5, 1), 4, "bilinear")
    assert_close(y[0, :, 0], np.clip((np.arange(20) + 0.5) / 4 - 0.5, 0.0, 4.0))


def test_the_order_of_axes_makes_no_difference():
    x = numbers((1, 3, 4, 1))
    for interpolation, (rows, columns) in itertools.product(SMOOTH, [(2, 3), (3, 1)]):
        y, _ = upsample(x, (rows, columns), interpolation)
        turned, _ = upsample(x.swapaxes(1, 2), (columns, rows), interpolation)
        assert_close(turned.swapaxes(1, 2), y, length=20)


@pytest.mark.parametrize("interpolation", INTERPOLATIONS)
def test_channels_first(backend, interpolation):
    x = numbers((2, 3, 4, 5))
    y, pullback = upsample(backend.asarray(x), (2, 3), interpolation)
    dx = pullback(y)
    first, pull_back = upsample(backend.asarray(x.transpose(0, 3, 1, 2)), (2, 3), interpolation, "channels_first")
    for found, expected in ((first, y), (pull_back(first), dx)):
        assert_close(found, nnx.to_numpy(expected).transpose(0, 3, 1, 2), 0.0, 0.0)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda x: upsample(x, 2, "area"),
            "upsample: interpolation must be one of 'nearest', 'bilinear', 'bicubic', 'lanczos3', 'lanczos5', got 'ar",
        ),
        (lambda x: upsample(x, 0), "upsample: size must be positive, one for each of 2 axes, got 0"),
        (lambda x: upsample(x, (2, 2, 2)), r"one for each of 2 axes, got \(2, 2, 2\)"),
        (lambda x: upsample(x[0], (2, 2)), r"one for each of 1 axes, got \(2, 2\)"),
        (lambda x: upsample(x[0, 0], 2), r"upsample: expected \(batch, steps, channels\), "),
        (lambda x: upsample(x, 2, data_format="first"), "upsample: data_format must be"),
        (lambda x: upsample(x[:, :0], 2), "upsample: there is nothing in samples"),
    ],
)
def test_errors(call, message):
    with pytest.raises(ValueError, match=message):
        call(numbers((2, 5, 6, 3)))
