"""Every activation against its formula, its gradient against differences, and all of it on every backend."""

from __future__ import annotations

import math

import numpy as np
import pytest

import nnx
from nnx import functional
from nnx.backends.base import find_backend
from nnx.kernels import GENERIC
from nnx.testing import assert_close, check_gradients, no_synchronization
from nnx.testing.rows.activations import ACTIVATIONS, complaints
from nnx.testing.rows.completeness import assert_complete

CASES = [
    pytest.param(name, options, id="-".join([name, *(f"{key}={value}" for key, value in options.items())]))
    for name, row in ACTIVATIONS.items()
    for options in row.options
]

# away from kinks, and on both sides of all of them
POINTS = np.asarray([[-7.3, -3.6, -2.2, -1.4, -0.7], [-0.3, 0.2, 0.6, 0.8, 1.3], [1.6, 2.4, 3.7, 5.5, 6.9]])
COTANGENT = np.asarray([[0.7, -1.2, 0.4, 2.0, -0.3], [1.1, 0.9, -0.8, 0.5, -1.7], [0.2, 1.4, -0.6, 0.3, 1.0]])
EXTREME = np.asarray([[-1e4, -300.0, -30.0, -1e-4, 0.0], [1e-4, 1.0, 30.0, 300.0, 1e4], [1e4, 1e4, 1e4, 1e4, 1e4]])


def test_every_activation_has_a_row():
    assert_complete(complaints())


@pytest.mark.parametrize(("name", "options"), CASES)
def test_value_is_the_formula(backend, name, options):
    formula = ACTIVATIONS[name].formula
    x = backend.asarray(POINTS)
    y, _ = getattr(functional, name)(x, **options)
    assert_close(y, formula(POINTS, **options), rtol=5e-6, atol=1e-6, like=x)


@pytest.mark.parametrize(("name", "options"), CASES)
def test_gradient(name, options):
    for form in {getattr(functional, name), GENERIC.get(name, getattr(functional, name))}:
        check_gradients(lambda x, form=form: form(x, **options), POINTS)


@pytest.mark.parametrize(("name", "options"), CASES)
def test_backends_agree(backend, name, options):
    generic = GENERIC.get(name, getattr(functional, name))
    value, pullback = generic(POINTS, **options)
    x, dy = backend.asarray(POINTS), backend.asarray(COTANGENT)
    with no_synchronization():
        y, pullback_here = getattr(functional, name)(x, **options)
        dx = pullback_here(dy)
    assert_close(y, value, like=x)
    assert_close(dx, pullback(COTANGENT), rtol=5e-6, atol=2e-6, like=x)


@pytest.mark.parametrize(("name", "options"), CASES)
def test_extreme_inputs_are_finite_in_every_dtype(backend, name, options):
    for dtype in find_backend(backend.name).float_dtypes(backend.device):
        x = backend.asarray(EXTREME, dtype)
        y, pullback = getattr(functional, name)(x, **options)
        dx = pullback(backend.xp.ones_like(x))
        for array in (y, dx):
            assert array.dtype == x.dtype
            assert np.isfinite(nnx.to_numpy(array)).all(), (dtype, array)


@pytest.mark.parametrize("name", sorted(ACTIVATIONS))
def test_shapes_without_and_with_many_axes(name):
    for shape in ((5,), (2, 3, 4), (0, 3)):
        x = np.linspace(-3.0, 3.0, math.prod(shape), dtype=np.float32).reshape(shape)
        y, pullback = getattr(functional, name)(x)
        assert y.shape == pullback(np.ones_like(y)).shape == shape


@pytest.mark.parametrize("name", sorted(name for name, row in ACTIVATIONS.items() if row.elementwise))
def test_scalars(name):
    y, pullback = getattr(functional, name)(np.float32(0.7))
    assert_close(y, ACTIVATIONS[name].formula(np.float64(0.7)), rtol=1e-6)
    assert np.isfinite(pullback(np.float32(1.0)))


@pytest.mark.parametrize("name", ["sigmoid", "silu", "softplus", "gelu", "mish"])
def test_small_values_keep_their_digits(name):
    x = np.asarray([-30.0, -25.0, -20.0])
    limit = ACTIVATIONS["gelu"].formula(x) if name == "gelu" else np.exp(x) * (x if name in ("silu", "mish") else 1.0)
    near = np.asarray([-10.0, -8.0, -5.0])
    for function in (getattr(functional, name), GENERIC[name]):
        assert_close(function(x)[0], limit, rtol=1e-8, atol=0.0)
        assert_close(function(near.astype(np.float32))[0], function(near)[0], rtol=2e-5, atol=0.0)


def test_gradients_at_kinks_are_those_of_the_lower_side():
    zero = np.zeros(1)
    for name, expected in {"relu": 0.0, "leaky_relu": 0.2, "relu6": 0.0, "elu": 1.0, "step": 0.0}.items():
        assert getattr(functional, name)(zero)[1](np.ones(1)) == expected, name


def test_relu_passes_nan_on():
    assert np.isnan(functional.relu(np.asarray([np.nan]))[0]).all()


@pytest.mark.parametrize(("dtype", "rtol"), [("float64", 1e-15), ("float32", 1e-5)])
def test_erfc(backend, dtype, rtol):
    if dtype not in find_backend(backend.name).float_dtypes(backend.device):
        pytest.skip(f"{backend} has no {dtype}")
    x = np.linspace(-6.0, 26.0 if dtype == "float64" else 9.0, 3001).astype(dtype)
    y = functional.erfc(backend.asarray(x, dtype))
    assert_close(y, [math.erfc(value) for value in x.tolist()], rtol=rtol, atol=0.0)


def test_prelu(backend):
    x, alpha = backend.asarray(POINTS), backend.asarray([0.1, 0.2, 0.3, 0.4, 0.5])
    y, _ = functional.prelu(x, alpha)
    assert_close(y, np.where(POINTS > 0, POINTS, POINTS * [0.1, 0.2, 0.3, 0.4, 0.5]), rtol=1e-6, like=x)


def test_the_slope_of_prelu_at_zero_is_that_of_its_lower_side(backend):
    x, alpha = backend.asarray([[0.0, -0.0]]), backend.asarray([0.25, 0.5])
    dx, dalpha = functional.prelu(x, alpha)[1](backend.asarray([[1.0, 1.0]]))
    assert_close(dx, [[0.25, 0.5]], rtol=0.0, atol=0.0)
    assert_close(dalpha, [0.0, 0.0], rtol=0.0, atol=0.0)


@pytest.mark.parametrize("shape", [(5,), (1,), (3, 5)])
def test_gradient_of_prelu(shape):
    check_gradients(functional.prelu, POINTS, np.linspace(0.1, 0.9, math.prod(shape)).reshape(shape))


@pytest.mark.parametrize(("name", "options"), [("celu", {"alpha": 0.0}), ("squareplus", {"b": -1.0})])
def test_parameters_out_of_range(name, options):
    with pytest.raises(ValueError, match=f"{name}: .* must be positive, got"):
        getattr(functional, name)(POINTS, **options)
