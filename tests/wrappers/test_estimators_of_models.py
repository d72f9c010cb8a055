"""Wrappers with the names and arguments of Keras'. What they compute is compared with it in tests/oracles."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import nnx
from nnx import Sequential
from nnx.layers import Dense
from nnx.testing import assert_close

pytest.importorskip("sklearn", reason="scikit-learn is not installed; pip install -e '.[test]' from a clone")

from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline

from nnx.wrappers import SKLearnClassifier, SKLearnRegressor, SKLearnTransformer

RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(40, 3))
LABELS = np.where(X[:, 0] > 0.0, "b", "a")
NUMBERS = X[:, 0] - X[:, 1]
SILENT = {"verbose": 0}


def compiled(outputs: int, loss: str = "mse", **options: Any) -> Sequential:
    model = Sequential([Dense(outputs, input_dim=3, **options)])
    model.compile(nnx.optimizers.SGD(0.1, momentum=0.5), loss, metrics=["mae"])
    return model


def for_rows(X: np.ndarray, y: np.ndarray, loss: str = "mse") -> Sequential:
    assert y.ndim == 2
    return compiled(y.shape[1], loss)


def test_a_classifier() -> None:
    classifier = SKLearnClassifier(for_rows, fit_kwargs={"epochs": 20, "verbose": 0})
    assert classifier.fit(X, LABELS).score(X, LABELS) > 0.9
    assert classifier.classes_.tolist() == ["a", "b"]
    assert classifier.decision_function(X).shape == (40, 2)
    assert classifier.epoch_ == len(classifier.history_.epoch) == 20
    again = classifier.fit(X, LABELS, epochs=3, sample_weight=np.ones(40))
    assert (again.epoch_, classifier.fit_kwargs) == (3, {"epochs": 20, "verbose": 0})


@pytest.mark.parametrize("y", [NUMBERS, np.stack([NUMBERS, X[:, 2]], axis=1)])
def test_a_regressor(y: np.ndarray) -> None:
    regressor = SKLearnRegressor(for_rows, fit_kwargs=SILENT).fit(X, y, epochs=40)
    assert regressor.score(X, y) > 0.9
    assert regressor.predict(X).shape == y.shape


def test_a_transformer_in_a_pipeline() -> None:
    pipeline = make_pipeline(SKLearnTransformer(compiled(2), fit_kwargs=SILENT), SKLearnRegressor(compiled_of_two))
    pipeline.fit(X, np.stack([NUMBERS, NUMBERS], axis=1), sklearnregressor__verbose=0)
    transformer = pipeline[0]
    assert_close(transformer.transform(X), transformer.model_.predict(X, verbose=0))
    assert pipeline.predict(X).shape == (40, 2)


def compiled_of_two(X: np.ndarray, y: np.ndarray) -> Sequential:
    model = Sequential([Dense(y.shape[1])])
    model.compile("sgd", "mse")
    return model


def test_a_model_is_left_as_it_is() -> None:
    model = compiled(1, kernel_initializer="zeros")
    regressor = SKLearnRegressor(model, fit_kwargs=SILENT).fit(X, NUMBERS, epochs=2)
    assert not model.get_weights()[0].any()
    assert regressor.model_.get_weights()[0].any()
    assert regressor.model_.optimizer is not model.optimizer
    assert regressor.model_.optimizer.get_config() == model.optimizer.get_config()
    assert sorted(regressor.history_.history) == ["loss", "mae"]
    first = regressor.predict(X)
    assert np.array_equal(regressor.fit(X, NUMBERS, epochs=2, shuffle=False).predict(X).shape, first.shape)


def test_warm_start_goes_on() -> None:
    model = compiled(1, kernel_initializer="zeros")
    regressor = SKLearnRegressor(model, warm_start=True, fit_kwargs={"verbose": 0, "shuffle": False})
    assert regressor.fit(X, NUMBERS).model_ is model
    made = SKLearnRegressor(for_rows, warm_start=True, fit_kwargs=SILENT).fit(X, NUMBERS)
    first = made.model_
    assert made.fit(X, NUMBERS).model_ is first
    once = regressor.fit(X, NUMBERS).predict(X)
    twice = SKLearnRegressor(compiled(1, kernel_initializer="zeros"), fit_kwargs=regressor.fit_kwargs)
    assert_close(twice.fit(X, NUMBERS, epochs=2).predict(X), once)


def test_parameters_and_copies() -> None:
    regressor = SKLearnRegressor(for_rows, model_kwargs={"loss": "mse"}, fit_kwargs=SILENT)
    assert clone(regressor).get_params() == regressor.get_params()
    search = GridSearchCV(regressor, {"model_kwargs": [{"loss": "mse"}, {"loss": "mae"}]}, cv=2).fit(X, NUMBERS)
    assert search.best_estimator_.model_.loss if hasattr(search.best_estimator_.model_, "loss") else True
    loaded = pickle.loads(pickle.dumps(search.best_estimator_))
    assert np.array_equal(loaded.predict(X), search.predict(X))


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: SKLearnRegressor(Sequential([Dense(1)])).fit(X, NUMBERS), RuntimeError, "has to be compiled"),
        (lambda: SKLearnRegressor(lambda X, y: Sequential([Dense(1)])).fit(X, NUMBERS), RuntimeError, "be compiled"),
        (lambda: SKLearnClassifier(for_rows).fit(X, np.ones(40)), ValueError, "only one class is present: 1.0"),
        (lambda: SKLearnClassifier(for_rows).fit(X, NUMBERS), ValueError, "Only binary and multiclass .*: continuous"),
        (lambda: SKLearnTransformer(for_rows).transform(X), ValueError, "not fitted yet"),
        (lambda: SKLearnTransformer(for_rows).fit(X, None), ValueError, "requires y to be passed"),
        (lambda: SKLearnRegressor(for_rows).fit(X, NUMBERS[:3]), ValueError, "inconsistent numbers of samples"),
    ],
)
def test_mistakes(call: Callable[[], Any], error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        call()
