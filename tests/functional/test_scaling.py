"""Rescaling and standardising: values against NumPy in float64, gradients, extremes."""

from __future__ import annotations

import numpy as np
import pytest

from nnx.functional.standardization import rescale, standardize
from nnx.random import Generator
from nnx.testing import assert_close, check_gradients

X = np.float32(Generator(1).normal((4, 3, 2)))
SCALE = np.float32([[2.0], [0.5], [-1.0]])
MEAN, VARIANCE = np.float32([0.5, -1.0]), np.float32([4.0, 0.25])


def test_rescale(backend):
    scale, offset = backend.asarray(SCALE), backend.asarray(MEAN)
    y, pullback = rescale(backend.asarray(X), scale, offset)
    assert_close(y, X * SCALE + MEAN, like=scale)
    assert_close(pullback(backend.asarray(X)), X * SCALE, like=scale)


def test_gradient_of_rescale(backend_float64):
    check_gradients(lambda x: rescale(x, backend_float64.asarray(SCALE), 0.3), X, placement=backend_float64)


@pytest.mark.parametrize("invert", [False, True])
def test_standardize(backend, invert):
    placed = backend.asarray(X)
    y, _ = standardize(placed, backend.asarray(MEAN), backend.asarray(VARIANCE), invert=invert)
    deviation = np.sqrt(VARIANCE)
    assert_close(y, X * deviation + MEAN if invert else (X - MEAN) / deviation, like=placed)


@pytest.mark.parametrize("invert", [False, True])
@pytest.mark.parametrize(("axis", "shape"), [(-1, (2,)), ([1, 2], (3, 2)), ([], ()), ([0, -1], (4, 2))])
def test_gradient_of_standardize(backend_float64, axis, shape, invert):
    generator = Generator(2)
    mean, variance = (backend_float64.asarray(a) for a in (generator.normal(shape), generator.uniform(shape, 0.5, 2.0)))
    check_gradients(lambda x: standardize(x, mean, variance, axis, invert), X, placement=backend_float64)


def test_there_and_back(backend):
    mean, variance = backend.asarray(MEAN), backend.asarray(VARIANCE)
    normal, _ = standardize(backend.asarray(X), mean, variance)
    assert_close(standardize(normal, mean, variance, invert=True)[0], X, length=4)


def test_what_never_changes_is_divided_by_little(backend):
    mean, variance = backend.asarray([1.0]), backend.asarray([0.0])
    y, pullback = standardize(backend.asarray([[1.0], [1.5]]), mean, variance)
    assert_close(y, [[0.0], [0.5e7]])
    assert_close(pullback(backend.asarray([[1.0], [0.0]])), [[1e7], [0.0]])


def test_float16_is_computed_in_float32():
    x, mean, variance = np.float16([[300.0]]), np.float16([100.0]), np.float16([6e-8])
    y, _ = standardize(x * np.float16(2.0), mean, variance, invert=True)
    assert y.dtype == np.float16
    assert_close(y, [[600.0 * np.sqrt(np.float64(variance[0])) + 100.0]], rtol=1e-3)
