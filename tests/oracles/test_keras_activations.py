"""Activations, initializers, regularizers and constraints against Keras 3 on JAX."""

from __future__ import annotations

import math

import numpy as np
import pytest

jax = pytest.importorskip("jax", reason="the oracle JAX is not installed; pip install 'nnx-array[oracle]'")
keras = pytest.importorskip("keras", reason="the oracle Keras is not installed; pip install 'nnx-array[oracle]'")
if keras.backend.backend() != "jax":
    pytest.skip(
        f"Keras runs on {keras.backend.backend()}, and its gradients are wanted from JAX", allow_module_level=True
    )

from nnx import activations, constraints, functional, initializers, regularizers  # noqa: E402
from nnx.random import Generator  # noqa: E402
from nnx.testing import assert_close  # noqa: E402
from nnx.testing.rows.activations import ACTIVATIONS  # noqa: E402
from nnx.testing.rows.completeness import assert_complete, keras_complaints  # noqa: E402

RTOL = 2e-5
# no point is exactly on a kink, where each library has its own gradient
X = np.concatenate([np.linspace(-12.1, 12.3, 97), [-1e4, -100.0, 100.0, 1e4, 0.1]]).astype(np.float32).reshape(17, 6)
DY = Generator(0).normal(X.shape).astype(np.float32)

CASES = [
    pytest.param(name, options, id="-".join([name, *map(str, options.values())]))
    for name, row in sorted(ACTIVATIONS.items())
    for options in row.keras_options
]


@pytest.mark.parametrize(("name", "options"), CASES)
def test_activation_and_gradient(name, options):
    x = np.clip(X, *map(np.float32, ACTIVATIONS[name].keras_range))
    value, pullback = getattr(functional, name)(x, **options)
    expected, vjp = jax.vjp(lambda x: getattr(keras.activations, name)(x, **options), x)
    (gradient,) = vjp(DY)
    assert_close(value, np.asarray(expected), rtol=RTOL, atol=RTOL)
    assert_close(pullback(DY), np.asarray(gradient), rtol=RTOL, atol=RTOL)


def test_every_activation_of_both_is_compared():
    compared = {
        name: bool(row.keras) for name, row in ACTIVATIONS.items() if name != "sparsemax"
    }  # wrong in Keras 3.15
    assert_complete(keras_complaints("nnx/testing/rows/activations.py", keras.activations, compared))


def test_every_name_of_keras_is_known():
    names = {name for name in dir(keras.activations) if name.islower() and not name.startswith("_")}
    for name in names - {"serialize", "deserialize", "get", "glu"}:  # glu halves an axis
        assert activations.serialize(activations.get(name)) == keras.activations.serialize(keras.activations.get(name))


SHAPE = (400, 300)


@pytest.mark.parametrize(
    "name",
    [
        *("GlorotUniform", "GlorotNormal", "HeUniform", "HeNormal", "LecunUniform", "LecunNormal", "RandomNormal"),
        *("RandomUniform", "TruncatedNormal", "VarianceScaling", "Orthogonal", "Zeros", "Ones", "Constant"),
    ],
)
@pytest.mark.parametrize("shape", [SHAPE, (3, 4, 50, 100)])
def test_initializer(name, shape):
    ours = getattr(initializers, name)()(shape, "float32", Generator(1))
    theirs = np.asarray(getattr(keras.initializers, name)()(shape, "float32"))
    spread = theirs.std()
    assert abs(ours.mean() - theirs.mean()) <= 8.0 * spread / math.sqrt(ours.size)
    assert_close(ours.std(), spread, rtol=0.02)
    if name not in ("RandomNormal", "Orthogonal"):  # these have no limit
        assert_close(np.abs(ours).max(), np.abs(theirs).max(), rtol=0.005)


def test_initializer_names_and_configurations():
    names = {name for name in dir(keras.initializers) if name[0].isalpha()}
    for name in names - {"get", "serialize", "deserialize", "STFT", "STFTInitializer", "stft", "Initializer"}:
        cls = getattr(keras.initializers, name)
        ours = initializers.resolve(name)
        assert type(ours).__name__ == cls.__name__
        if cls is not keras.initializers.Identity:  # Keras forgets its gain
            assert set(cls().get_config()) == set(ours.get_config()), name
    assert_close(initializers.Identity(2.0)((3, 5)), np.asarray(keras.initializers.Identity(2.0)((3, 5))))


@pytest.mark.parametrize(
    ("name", "options"),
    [
        *[
            ("L1", {}),
            ("L1", {"l1": 0.3}),
            ("L2", {}),
            ("L2", {"l2": 0.3}),
            ("L1L2", {}),
            ("L1L2", {"l1": 0.3, "l2": 0.2}),
        ],
        *[("OrthogonalRegularizer", {}), ("OrthogonalRegularizer", {"factor": 0.5, "mode": "columns"})],
    ],
)
def test_regularizer(name, options):
    w = Generator(2).normal((5, 4)).astype(np.float32)
    penalty, pullback = getattr(regularizers, name)(**options).forward(w)
    expected, gradient = jax.value_and_grad(getattr(keras.regularizers, name)(**options))(w)
    assert_close(penalty, np.asarray(expected), rtol=RTOL)
    assert_close(pullback(), np.asarray(gradient), rtol=RTOL)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        *[
            ("NonNeg", {}),
            ("UnitNorm", {}),
            ("UnitNorm", {"axis": [0, 1]}),
            ("MaxNorm", {}),
            ("MaxNorm", {"max_value": 1.5}),
        ],
        *[("MinMaxNorm", {}), ("MinMaxNorm", {"min_value": 2.0, "max_value": 3.0, "rate": 0.4, "axis": 1})],
    ],
)
def test_constraint(name, options):
    w = Generator(2).normal((5, 4)).astype(np.float32)
    ours = getattr(constraints, name)(**options)
    theirs = getattr(keras.constraints, name)(**options)
    assert_close(ours(w), np.asarray(theirs(w)), rtol=RTOL, atol=0.0)
    assert ours.get_config() == theirs.get_config()
