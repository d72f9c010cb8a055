"""Classifiers and regressors for scikit-learn: what it checks, and what its users do with them."""

from __future__ import annotations

import copy
import functools
import pickle
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import nnx
from nnx import Sequential
from nnx.backends import Placement
from nnx.layers import BatchNormalization, Dense, Dropout, Flatten
from nnx.losses import BinaryCrossentropy, CategoricalCrossentropy, SparseCategoricalCrossentropy
from nnx.testing import assert_close

pytest.importorskip("sklearn", reason="scikit-learn is not installed; pip install -e '.[test]' from a clone")

from sklearn.base import clone
from sklearn.exceptions import DataConversionWarning, NotFittedError
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import check_estimator

from nnx.sklearn import NNXClassifier, NNXRegressor

RANDOM = np.random.default_rng(1)
X = RANDOM.normal(size=(90, 3)).astype("float32")
THREE = np.asarray(["low", "middle", "high"])[np.digitize(X[:, 0], [-0.5, 0.5])]
TWO = np.where(X[:, 0] > 0.0, "yes", "no")
LABELS = (X[:, :2] > 0.0).astype(int)
NUMBERS = X @ np.float32([1.0, -2.0, 0.5])


def network(
    X: Any, y: Any, units: int = 16, outputs: int = 3, activation: Any = None, loss: Any = "mse", rate: float = 0.02
) -> Sequential:
    model = Sequential([Dense(units, activation="relu"), Dense(outputs, activation=activation)])
    model.compile(nnx.optimizers.Adam(rate), loss)
    return model


def of(**arguments: Any) -> Any:
    return {"model": network, "model_kwargs": arguments, "epochs": 20, "random_state": 0}


# What scikit-learn checks


@pytest.mark.parametrize("kind", [NNXClassifier, NNXRegressor])
def test_all_checks_of_scikit_learn_pass(kind: Callable[..., Any]) -> None:
    results = check_estimator(kind(), on_fail=None, on_skip=None)
    failed = {result["check_name"]: result["exception"] for result in results if result["status"] == "failed"}
    skipped = {result["check_name"] for result in results if result["status"] == "skipped"}
    assert len(results) > 50
    assert failed == {}
    decisions = "check_classifiers_multilabel_output_format_decision_function"  # there is predict_proba in its place
    of_pandas = {"check_sample_weights_pandas_series", "check_dataframe_column_names_consistency"}
    installed = "pandas" in sys.modules
    assert skipped <= {"check_array_api_input", decisions, *(() if installed else of_pandas)}


# Targets and losses


TARGETS: dict[str, tuple[Any, dict[str, Any]]] = {
    "one output for two classes": (TWO, {"outputs": 1, "activation": "sigmoid", "loss": "binary_crossentropy"}),
    "its logits": (TWO, {"outputs": 1, "loss": BinaryCrossentropy(from_logits=True)}),
    "its margins": (TWO, {"outputs": 1, "activation": "tanh", "loss": "hinge"}),
    "two outputs": (TWO, {"outputs": 2, "activation": "softmax", "loss": "sparse_categorical_crossentropy"}),
    "numbers of classes": (THREE, {"activation": "softmax", "loss": "sparse_categorical_crossentropy"}),
    "their logits": (THREE, {"loss": SparseCategoricalCrossentropy(from_logits=True)}),
    "rows": (THREE, {"activation": "softmax", "loss": "categorical_crossentropy"}),
    "logits of rows": (THREE, {"loss": CategoricalCrossentropy(from_logits=True)}),
    "squares": (THREE, {"activation": "softmax", "loss": "mse"}),
    "labels": (LABELS, {"outputs": 2, "activation": "sigmoid", "loss": "binary_crossentropy"}),
    "logits of labels": (LABELS, {"outputs": 2, "loss": BinaryCrossentropy(from_logits=True)}),
}


@pytest.mark.parametrize("name", TARGETS)
def test_classes_and_labels_with_the_losses_that_are_used_for_them(name: str) -> None:
    y, arguments = TARGETS[name]
    classifier = NNXClassifier(**of(**arguments)).fit(X, y)
    assert classifier.score(X, y) > 0.8
    predicted = classifier.predict(X)
    assert predicted.shape == y.shape
    assert set(np.unique(predicted)) == set(np.unique(y))
    assert classifier.classes_.tolist() == ([0, 1] if y.ndim > 1 else sorted(set(y)))
    if arguments["loss"] == "hinge":
        with pytest.raises(ValueError, match="hinge loss are no probabilities"):
            classifier.predict_proba(X)
        return
    probabilities = classifier.predict_proba(X)
    assert probabilities.min() >= 0.0
    if y.ndim > 1:
        assert np.array_equal(probabilities > 0.5, predicted)
    else:
        assert_close(probabilities.sum(axis=1), np.ones(90, "float32"))
        assert np.array_equal(classifier.classes_[probabilities.argmax(axis=1)], predicted)


@pytest.mark.parametrize("y", [NUMBERS, NUMBERS[:, None], np.stack([NUMBERS, 5e4 + 1e3 * X[:, 1]], axis=1)])
def test_targets_of_regression(y: np.ndarray) -> None:
    regressor = NNXRegressor(random_state=0, epochs=60).fit(X, y.astype("float64"))
    assert regressor.predict(X).shape == y.shape
    assert regressor.predict(X).dtype == np.float64
    assert regressor.score(X, y) > 0.95


def test_every_backend(backend: Placement) -> None:
    arguments = of(**TARGETS["numbers of classes"][1])
    there = NNXClassifier(**arguments).fit(X, THREE).predict_proba(X)
    with nnx.backend("numpy", dtype=backend.dtype):
        here = NNXClassifier(**arguments).fit(X, THREE).predict_proba(X)
    assert isinstance(there, np.ndarray)
    np.testing.assert_allclose(there, here, atol=2e-4)  # 60 steps of Adam: rounding of 6e-8 grows by each


def test_images() -> None:
    def convolutional(X: np.ndarray, y: np.ndarray, classes: np.ndarray) -> Sequential:
        assert X.shape[1:] == (4, 4, 1)
        assert y.shape == X.shape[:1]
        model = Sequential([Flatten(), Dense(len(classes), activation="softmax")])
        model.compile("adam", "sparse_categorical_crossentropy")
        return model

    images, y = RANDOM.normal(size=(20, 4, 4, 1)), np.arange(20) % 3
    for model in (convolutional, None):
        assert NNXClassifier(model, epochs=1).fit(images, y).predict_proba(images).shape == (20, 3)


# Weights


def weighted_network(X: Any, y: Any) -> Sequential:
    model = Sequential([Dense(8, activation="relu"), BatchNormalization(), Dropout(0.2), Dense(1)])
    model.compile("adam", "mse")
    return model


@pytest.mark.parametrize("model", [None, weighted_network])
def test_a_weight_is_as_good_as_repetition(model: Any) -> None:
    weights, order = np.arange(20) % 4, RANDOM.permutation(20)
    x, y = X[:20], NUMBERS[:20]
    make = functools.partial(NNXRegressor, model, epochs=5, batch_size=64, random_state=0)
    repeated = make().fit(x.repeat(weights, axis=0), y.repeat(weights)).predict(x)
    for scale in (1.0, 0.25):
        weighted = make().fit(x[order], y[order], sample_weight=(scale * weights)[order]).predict(x)
        assert np.array_equal(weighted, repeated)
    assert not np.array_equal(make().fit(x, y).predict(x), repeated)


def test_weights_of_several_batches_are_relative() -> None:
    """Steps are as long as without weights: only proportions matter, and equal weights are none."""
    make, weights = functools.partial(NNXRegressor, epochs=2, random_state=0), RANDOM.uniform(0.5, 2.0, 90)
    plain = make().fit(X, NUMBERS).predict(X)
    assert np.array_equal(make().fit(X, NUMBERS, sample_weight=np.full(90, 7.0)).predict(X), plain)
    one, other = (make().fit(X, NUMBERS, sample_weight=scale * weights).predict(X) for scale in (1.0, 1024.0))
    assert np.array_equal(one, other)
    assert not np.array_equal(one, plain)


def test_weights_of_classes() -> None:
    y, make = np.where(X[:, 0] > 1.0, "rare", "usual"), functools.partial(NNXClassifier, epochs=3, random_state=0)
    count = int((y == "rare").sum())
    balanced = {"rare": 90 / (2 * count), "usual": 90 / (2 * (90 - count))}
    given = make(class_weight="balanced").fit(X, y).predict_proba(X)
    assert np.array_equal(given, make(class_weight=balanced).fit(X, y).predict_proba(X))
    weights = np.vectorize(balanced.get)(y)
    assert np.array_equal(given, make().fit(X, y, sample_weight=weights).predict_proba(X))


# Parameters, searches, copies


def test_a_search_in_a_pipeline_with_two_processes() -> None:
    estimator = NNXClassifier(**of(**TARGETS["numbers of classes"][1]))
    grid = {"nnxclassifier__model__units": [1, 16], "nnxclassifier__epochs": [1, 20]}
    search = GridSearchCV(make_pipeline(StandardScaler(), estimator), grid, cv=2, n_jobs=2).fit(X, THREE)
    assert search.best_params_ == {"nnxclassifier__model__units": 16, "nnxclassifier__epochs": 20}
    alone = cross_val_score(make_pipeline(StandardScaler(), estimator), X, THREE, cv=2)
    assert search.best_score_ == alone.mean()  # the same numbers in every process
    assert estimator.model_kwargs == TARGETS["numbers of classes"][1]


def test_parameters_of_the_function_are_parameters_of_the_estimator() -> None:
    estimator = NNXRegressor(network, model_kwargs={"outputs": 1})
    assert {name: value for name, value in estimator.get_params().items() if name.startswith("model__")} == {
        "model__units": 16,
        "model__outputs": 1,
        "model__activation": None,
        "model__loss": "mse",
        "model__rate": 0.02,
    }
    before = estimator.model_kwargs
    assert estimator.set_params(model__units=4, epochs=1) is estimator
    assert (estimator.model_kwargs, before) == ({"outputs": 1, "units": 4}, {"outputs": 1})
    copied = clone(estimator)
    assert copied.get_params() == estimator.get_params()
    assert copied.fit(X, NUMBERS).model_.layers[0].units == 4
    assert NNXRegressor().get_params()["model__units"] == (100,)
    assert NNXRegressor(model__function).set_params(model__anything=1).fit(X, NUMBERS).model_.layers[0].units == 1
    with pytest.raises(ValueError, match=r"(?s)Invalid parameter 'model__unit' for estimator .*'model__units'"):
        estimator.set_params(model__unit=4)
    with pytest.raises(ValueError, match="Invalid parameter 'epoch' for estimator"):
        estimator.set_params(epoch=4)
    with pytest.raises(ValueError, match="Invalid parameter 'model__unit'"):
        NNXRegressor(network, model_kwargs={"unit": 4}).fit(X, NUMBERS)


def model__function(X: Any, y: Any, **options: Any) -> Sequential:
    return network(X, y, units=options["anything"], outputs=1)


@pytest.mark.parametrize("copier", [copy.deepcopy, lambda estimator: pickle.loads(pickle.dumps(estimator))])
def test_copies_predict_and_go_on_as_the_original(copier: Callable[[Any], Any]) -> None:
    classifier = NNXClassifier(epochs=2, random_state=0).fit(X, THREE)
    copied = copier(classifier)
    assert np.array_equal(copied.predict_proba(X), classifier.predict_proba(X))
    assert copied.history_ == classifier.history_
    copied.partial_fit(X, THREE)
    assert np.array_equal(copied.predict_proba(X), classifier.partial_fit(X, THREE).predict_proba(X))


def test_random_state_decides_everything_and_disturbs_nothing() -> None:
    def drawing(X: Any, y: Any) -> Any:
        return weighted_network(X, y)

    def predictions(random_state: Any) -> Any:
        return NNXRegressor(drawing, epochs=2, random_state=random_state).fit(X, NUMBERS).predict(X)

    nnx.random.set_seed(5)
    state = nnx.random.default().state()
    first = predictions(3)
    assert nnx.random.default().state() == state
    assert np.array_equal(predictions(3), first)
    assert np.array_equal(predictions(np.random.RandomState(3)), first)
    assert not np.array_equal(predictions(4), first)
    by_chance = predictions(None)
    assert not np.array_equal(predictions(None), by_chance)
    nnx.random.set_seed(5)
    assert np.array_equal(predictions(None), by_chance)


def test_arguments_of_fit() -> None:
    class Counting(nnx.callbacks.Callback):
        epochs = 0

        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            self.epochs += 1
            Counting.epochs += 1

    callback = Counting()
    classifier = NNXClassifier(epochs=3, callbacks=[callback], validation_data=(X[:10], THREE[:10], np.ones(10)))
    classifier.fit(X, THREE)
    assert (Counting.epochs, callback.epochs) == (3, 3)  # of the class: the object was copied
    assert "epochs" not in vars(callback)
    assert sorted(classifier.history_) == ["accuracy", "loss", "val_accuracy", "val_loss"]
    assert [len(values) for values in classifier.history_.values()] == [3] * 4
    split = NNXRegressor(epochs=1, validation_split=0.5, shuffle=False, batch_size=100).fit(X, NUMBERS)
    assert sorted(split.history_) == ["loss", "val_loss"]
    assert list(NNXRegressor(epochs=4, initial_epoch=2, steps_per_epoch=1).fit(X, NUMBERS).history_) == ["loss"]


# One batch after another


def test_partial_fit() -> None:
    classifier, halves = NNXClassifier(random_state=0), [slice(None, 45), slice(45, None)]
    few = np.flatnonzero(THREE != "high")[:20]
    classifier.partial_fit(X[few], THREE[few], classes=["low", "middle", "high"])
    for _ in range(30):
        for half in halves:
            classifier.partial_fit(X[half], THREE[half], sample_weight=np.ones(45))
    assert classifier.score(X, THREE) > 0.9
    assert len(classifier.history_["loss"]) == 61
    regressor = NNXRegressor(random_state=0)
    losses = [regressor.partial_fit(X, NUMBERS).history_["loss"][-1] for _ in range(30)]
    assert losses[-1] < 0.5 * losses[0]
    labels = NNXClassifier().partial_fit(X, LABELS).partial_fit(X[:5], LABELS[:5])
    assert labels.predict(X).shape == LABELS.shape


# Data frames


def test_data_frames_of_mixed_types() -> None:
    pd = pytest.importorskip("pandas", reason="pandas is not installed; pip install -e '.[test]' from a clone")
    frame = pd.DataFrame({"a": X[:, 0], "town": np.where(X[:, 1] > 0.0, "X", "Y"), "n": np.arange(90)})
    frame["whole"] = frame["n"].astype("Int64")
    numbers = pd.get_dummies(frame)  # truth values beside floats
    y = pd.Series(THREE, dtype="category")
    classifier = NNXClassifier(epochs=2, random_state=0).fit(numbers, y, sample_weight=pd.Series(np.ones(90)))
    assert classifier.feature_names_in_.tolist() == list(numbers.columns)
    plain = NNXClassifier(epochs=2, random_state=0).fit(numbers.to_numpy("float64"), THREE)
    assert np.array_equal(plain.predict_proba(numbers.to_numpy("float64")), classifier.predict_proba(numbers))
    whole = pd.Series(np.arange(90) % 3, dtype="Int64")
    assert NNXClassifier(epochs=1).fit(numbers, whole).classes_.dtype == np.int64
    with pytest.raises(ValueError, match="feature names should match"):
        classifier.predict(numbers[numbers.columns[::-1]])
    with pytest.raises(
        ValueError, match=r"X, a DataFrame, is not made of numbers: the column 'town' \(\w+\) holds texts"
    ):
        classifier.fit(frame, y)
    frame.loc[3, "whole"] = pd.NA
    with pytest.raises(
        ValueError, match=r"sample_weight, a Series.*'whole' \(Int64\) has 1 of 90 values missing: write"
    ):
        classifier.fit(numbers, y, sample_weight=frame["whole"])
    with pytest.raises(ValueError, match=r"y, a Series.*'whole' \(Int64\) has 1 of 90 values missing: write y.fillna"):
        NNXRegressor().fit(numbers, frame["whole"])
    with pytest.raises(ValueError, match="Input y contains NaN"):
        classifier.fit(numbers, frame["whole"])


# Mistakes


def fitted() -> Any:
    return NNXClassifier(epochs=1).fit(X, THREE)


def uncompiled(X: Any, y: Any) -> Sequential:
    return Sequential([Dense(1)])


BAD = np.where(X > 2.0, np.nan, X)
MISTAKES: dict[str, tuple[Callable[[], Any], type[Exception], str]] = {
    "not fitted": (lambda: NNXClassifier().predict(X), NotFittedError, "is not fitted yet"),
    "features": (lambda: fitted().predict(X[:, :2]), ValueError, "X has 2 features, but NNXClassifier is expecting 3"),
    "NaN": (lambda: NNXClassifier().fit(BAD, THREE), ValueError, "Input X contains NaN"),
    "rows": (lambda: NNXRegressor().fit(X, NUMBERS[:9]), ValueError, "inconsistent numbers of samples"),
    "no targets": (lambda: NNXRegressor().fit(X, None), ValueError, "requires y to be passed"),
    "weights": (lambda: NNXRegressor().fit(X, NUMBERS, np.ones(3)), ValueError, r"sample_weight.shape == \(3,\)"),
    "negative": (lambda: NNXRegressor().fit(X, NUMBERS, -NUMBERS), ValueError, "Negative values .* `sample_weight`"),
    "zero": (lambda: NNXRegressor().fit(X, NUMBERS, 0 * NUMBERS), ValueError, "sample_weight are zero"),
    "one class": (lambda: NNXClassifier().fit(X, ["a"] * 90), ValueError, "y has only one class, .*'a'"),
    "continuous": (lambda: NNXClassifier().fit(X, NUMBERS), ValueError, "Unknown label type: continuous"),
    "columns of classes": (
        lambda: NNXClassifier().fit(X, LABELS.cumsum(axis=1)),
        ValueError,
        "Unknown label type: y of shape",
    ),
    "no classes": (lambda: NNXClassifier().partial_fit(X, TWO), ValueError, "classes must be passed on the first call"),
    "other classes": (lambda: fitted().partial_fit(X, THREE, TWO), ValueError, "not those of the first call"),
    "a new class": (lambda: fitted().partial_fit(X, TWO), ValueError, "y has the class '(yes|no)', which is none of"),
    "other labels": (
        lambda: NNXClassifier().partial_fit(X, LABELS).partial_fit(X, 2 * LABELS),
        ValueError,
        "expected 0 and 1 for 2 labels",
    ),
    "other targets": (
        lambda: NNXRegressor().partial_fit(X, NUMBERS).partial_fit(X, LABELS),
        ValueError,
        r"y has shape \(90, 2\), expected \('n',\)",
    ),
    "outputs": (
        lambda: NNXClassifier(network, model_kwargs={"outputs": 2}).fit(X, THREE),
        ValueError,
        r"model of network has outputs of shape \(None, 2\), expected \(None, 3\) for 3 classes: end it in Dense\(3\)",
    ),
    "no function": (lambda: NNXClassifier(3).fit(X, TWO), TypeError, r"a function \(X, y\) that returns a compiled"),
    "a model": (
        lambda: NNXRegressor(network(X, 0)).fit(X, NUMBERS),
        TypeError,
        r"there is nnx.wrappers.SKLearnRegressor",
    ),
    "no model": (lambda: NNXRegressor(lambda X, y: None).fit(X, NUMBERS), TypeError, "returned None, expected a comp"),
    "uncompiled": (lambda: NNXRegressor(uncompiled).fit(X, NUMBERS), TypeError, "without an optimizer.*model.compile"),
    "class_weight": (
        lambda: NNXClassifier(class_weight={"x": 1.0}).fit(X, TWO),
        ValueError,
        "class_weight has 'x', which is none of the classes",
    ),
    "a word": (lambda: NNXClassifier(class_weight="even").fit(X, TWO), ValueError, "must be a dict .* got 'even'"),
    "of labels": (lambda: NNXClassifier(class_weight="balanced").fit(X, LABELS), ValueError, "give sample_weight"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_mistakes_are_said_as_scikit_learn_says_them(name: str) -> None:
    call, error, words = MISTAKES[name]
    with pytest.raises(error, match=words):
        call()


def test_sparse_samples_and_columns_of_labels() -> None:
    sparse = pytest.importorskip("scipy.sparse")
    with pytest.raises(TypeError, match=r"Sparse data was passed for X.*toarray"):
        NNXRegressor().fit(sparse.csr_array(X), NUMBERS)
    with pytest.warns(DataConversionWarning, match="column-vector"):
        NNXClassifier(epochs=1).fit(X, TWO[:, None])


def test_without_scikit_learn_the_error_says_what_to_install() -> None:
    code = (
        "import sys; sys.modules['sklearn'] = None\n"
        "import nnx.sklearn, nnx.wrappers\n"
        "for module, name in ((nnx.sklearn, 'NNXClassifier'), (nnx.wrappers, 'SKLearnRegressor')):\n"
        "    try: getattr(module, name)\n"
        "    except ImportError as error: print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.count("pip install 'nnx-array[sklearn]'") == 2


@pytest.mark.parametrize("texts", [["a b", "c"], [["a b"], ["c"]], np.asarray([["a"], ["b"]], dtype=object)])
def test_texts_are_told_where_to_go(texts: Any) -> None:
    with pytest.raises(ValueError, match="X are texts, and the estimator takes numbers: put a TfidfVectorizer"):
        NNXClassifier().fit(texts, [0, 1])
