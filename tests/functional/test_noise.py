"""Noise: its distribution, the same numbers on every backend, its derivatives; and masks and axes."""

from __future__ import annotations

import math

import numpy as np
import pytest

import nnx
from nnx.functional.axes import permute, repeat_vector
from nnx.functional.masking import mask_steps, steps_to_keep
from nnx.functional.noise import alpha_dropout, gaussian_dropout, gaussian_noise, normal, words_for_normals
from nnx.random import Draw, Generator, host_words
from nnx.testing import assert_close, check_gradients, no_synchronization


def draw(size: int) -> Draw:
    return Generator(3).draw(words_for_normals(size))


def normals(shape: tuple[int, ...]) -> np.ndarray:
    """Box and Muller in float64, pair by pair."""
    size = math.prod(shape)
    words = host_words(draw(size)) >> 8
    half = len(words) // 2
    values = np.empty((2, half))
    for i in range(half):
        radius = math.sqrt(-2.0 * math.log(1.0 - words[i] / 2**24))
        angle = 2.0 * math.pi * words[half + i] / 2**24
        values[:, i] = radius * math.cos(angle), radius * math.sin(angle)
    return values.reshape(-1)[:size].reshape(shape)


@pytest.mark.parametrize("shape", [(4, 6), (3, 5, 1), (1, 1), (0, 3)])
def test_normal_numbers(backend, shape):
    like = backend.zeros(shape)
    with no_synchronization():
        values = normal(like, draw(math.prod(shape)))
    assert_close(values, normals(shape), rtol=2e-5, atol=2e-6, like=like)


def test_distribution_of_normal_numbers():
    values = normal(np.zeros(200_000), draw(200_000))
    assert abs(values.mean()) < 0.01
    assert abs(values.var() - 1.0) < 0.015
    assert abs((values**3).mean()) < 0.03
    assert abs((values**4).mean() - 3.0) < 0.1
    assert abs(np.corrcoef(values[:100_000], values[100_000:])[0, 1]) < 0.015
    assert np.abs(values).max() < 5.8
    assert_close([(values < q).mean() for q in (-1.0, 0.0, 2.0)], [0.158655, 0.5, 0.977250], rtol=0.0, atol=0.005)


def test_extreme_words_give_finite_numbers():
    assert np.isfinite(normal(np.zeros(1_000_001, np.float32), draw(1_000_001))).all()
    values = normal(np.zeros(1001, np.float16), draw(1001))
    assert values.dtype == np.float16
    assert np.isfinite(values).all()


def test_a_draw_of_the_wrong_size():
    with pytest.raises(ValueError, match="normal: 5 numbers need a draw of 6 words, got 5"):
        normal(np.zeros(5), Generator(0).draw(5))


def test_gaussian_noise(backend, backend_float64):
    x = Generator(1).normal((4, 5))
    with no_synchronization():
        y, pullback = gaussian_noise(backend.asarray(x), 0.3, draw(20))
        dx = pullback(y)
    assert_close(y, x + 0.3 * normals((4, 5)), rtol=2e-5, atol=2e-6, like=backend.asarray(x))
    assert_close(dx, nnx.to_numpy(y), 0.0, 0.0)
    check_gradients(lambda x: gaussian_noise(x, 0.3, draw(20)), x, placement=backend_float64)


def test_gaussian_dropout(backend, backend_float64):
    x = Generator(1).normal((4, 5))
    with no_synchronization():
        y, pullback = gaussian_dropout(backend.asarray(x), 0.2, draw(20))
        dx = pullback(backend.asarray(np.ones((4, 5))))
    factor = 1.0 + 0.5 * normals((4, 5))
    assert_close(y, x * factor, rtol=2e-5, atol=2e-6, like=backend.asarray(x))
    assert_close(dx, factor, rtol=2e-5, atol=2e-6, like=backend.asarray(x))
    check_gradients(lambda x: gaussian_dropout(x, 0.2, draw(20)), x, placement=backend_float64)


@pytest.mark.parametrize("noise_shape", [None, (4, 1), (None, 1)])
@pytest.mark.parametrize("rate", [0.0, 0.3, 0.9])
def test_alpha_dropout(backend, backend_float64, rate, noise_shape):
    """As Klambauer et al. define it: a * (x * kept + alpha' * (1 - kept)) + b."""
    x, words = Generator(1).normal((4, 5)), Generator(3).draw(20 if noise_shape is None else 4)
    with no_synchronization():
        y, pullback = alpha_dropout(backend.asarray(x), rate, words, noise_shape)
        dx = pullback(backend.asarray(np.ones((4, 5))))
    kept = (host_words(words).reshape((4, -1)) >= round(rate * 2**32)) * np.ones((4, 5))
    saturation = -1.6732632423543772 * 1.0507009873554805
    a = ((1.0 - rate) * (1.0 + rate * saturation**2)) ** -0.5
    b = -a * saturation * rate
    assert_close(y, a * (x * kept + saturation * (1.0 - kept)) + b, length=10, like=backend.asarray(x))
    assert_close(dx, a * kept, like=backend.asarray(x))
    check_gradients(lambda x: alpha_dropout(x, rate, words, noise_shape), x, placement=backend_float64)


def test_alpha_dropout_keeps_mean_and_variance():
    x = Generator(1).normal((100_000,))
    y, _ = alpha_dropout(x, 0.4, Generator(3).draw(100_000))
    assert abs(y.mean()) < 0.02
    assert abs(y.var() - 1.0) < 0.03


@pytest.mark.parametrize("axes", [(0, 2, 1), (1, 2, 0), (0, 1, 2)])
def test_permute(backend, backend_float64, axes):
    x = Generator(1).normal((2, 3, 4))
    y, _ = permute(backend.asarray(x), axes)
    assert_close(y, np.transpose(x, axes).astype(np.float32), 0.0, 0.0, like=backend.asarray(x))
    check_gradients(lambda x: permute(x, axes), x, placement=backend_float64)


@pytest.mark.parametrize("n", [1, 3])
def test_repeat_vector(backend, backend_float64, n):
    x = Generator(1).normal((2, 4))
    y, _ = repeat_vector(backend.asarray(x), n)
    assert_close(y, np.stack([x.astype(np.float32)] * n, axis=1), 0.0, 0.0, like=backend.asarray(x))
    check_gradients(lambda x: repeat_vector(x, n), x, placement=backend_float64)


@pytest.mark.parametrize("mask_value", [0.0, -1.5, 0.1])
def test_mask_steps(backend, mask_value):
    x = Generator(1).normal((2, 4, 3))
    x[0, 1] = x[1, 3] = mask_value
    x[0, 2, :2] = mask_value  # not all of its features
    kept = np.ones((2, 4), bool)
    kept[0, 1] = kept[1, 3] = False
    placed = backend.asarray(x)
    with no_synchronization():
        y, pullback = mask_steps(placed, mask_value)
        dx = pullback(backend.asarray(np.full((2, 4, 3), 2.0)))
        found = steps_to_keep(placed, mask_value)
    assert (nnx.to_numpy(found) == kept).all()
    assert_close(y, np.where(kept[..., None], x.astype(np.float32), 0.0), 0.0, 0.0, like=placed)
    assert_close(dx, np.where(kept[..., None], 2.0, np.zeros(3)), like=placed)


def test_gradient_of_mask_steps(backend_float64):
    check_gradients(lambda x: mask_steps(x), Generator(1).normal((2, 4, 3)), placement=backend_float64)
