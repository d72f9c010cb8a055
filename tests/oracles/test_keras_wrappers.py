"""Wrappers for scikit-learn against those of Keras: what they give a function, how they train, what they return."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

os.environ.setdefault("KERAS_BACKEND", "jax")
jax = pytest.importorskip("jax", reason="the oracle JAX is not installed; pip install -e '.[oracle]' from a clone")
keras = pytest.importorskip("keras", reason="Keras is not installed; pip install -e '.[oracle]' from a clone")
pytest.importorskip("keras.wrappers", reason="this Keras has no wrappers; Keras 3.8 and later have them")
pytest.importorskip("sklearn", reason="scikit-learn is not installed; pip install -e '.[test]' from a clone")

from nnx import Sequential, optimizers, wrappers  # noqa: E402
from nnx.layers import Dense  # noqa: E402

RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(12, 3))
NUMBERS = X @ np.asarray([1.0, -2.0, 0.5])
LABELS = np.asarray(["b", "c", "a"])[np.digitize(X[:, 0], [-0.5, 0.5])]
START = RANDOM.normal(size=(3, 3)).astype("float32")
FIT = {"epochs": 2, "batch_size": 6, "shuffle": False, "verbose": 0}


@pytest.fixture(autouse=True, scope="module")
def compiled_in_a_hurry() -> Iterator[None]:
    jax.config.update("jax_disable_most_optimizations", True)
    yield
    jax.config.update("jax_disable_most_optimizations", False)


def function(library: str, seen: list[Any]) -> Any:
    """A function that makes a model with given weights, and keeps what it was given."""

    def make(X: np.ndarray, y: np.ndarray, loss: str) -> Any:  # noqa: N803, as Keras calls it
        seen.append((X.shape, str(X.dtype), np.asarray(y, "float64").tolist()))
        activation = "softmax" if "cross" in loss else None
        start = [START[:, : y.shape[1]], np.zeros(y.shape[1], "float32")]
        if library == "nnx":
            model: Any = Sequential([Dense(y.shape[1], activation=activation, input_dim=3)])
            model.compile(optimizers.SGD(0.1), loss)
        else:
            model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(y.shape[1], activation=activation)])
            model.compile(keras.optimizers.SGD(0.1), loss, run_eagerly=True)
        model.set_weights(start)
        return model

    return make


@pytest.mark.parametrize(
    ("kind", "y", "loss", "methods"),
    [
        ("SKLearnClassifier", LABELS, "categorical_crossentropy", ("predict", "decision_function")),
        ("SKLearnRegressor", NUMBERS, "mse", ("predict",)),
        ("SKLearnTransformer", NUMBERS, "mse", ("transform",)),
    ],
)
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_they_train_and_predict_alike(kind: str, y: np.ndarray, loss: str, methods: tuple[str, ...]) -> None:
    ours, theirs = [], []
    made = [
        getattr(package, kind)(function(library, seen), model_kwargs={"loss": loss}, fit_kwargs=dict(FIT))
        for package, library, seen in ((wrappers, "nnx", ours), (keras.wrappers, "keras", theirs))
    ]
    for estimator in made:
        estimator.fit(X, y, sample_weight=np.linspace(0.5, 1.5, 12))
    assert ours == theirs
    assert set(made[0].get_params()) == set(made[1].get_params())
    for method in methods:
        one, other = (getattr(estimator, method)(X) for estimator in made)
        assert one.shape == other.shape
        assert one.dtype == other.dtype
        if one.dtype.kind == "f":
            np.testing.assert_allclose(one, other, rtol=2e-5, atol=2e-6)
        else:
            assert one.tolist() == other.tolist()
    np.testing.assert_allclose(made[0].history_.history["loss"], made[1].history_.history["loss"], rtol=2e-5)
