"""Mistakes of users, each with what the message has to say. After every one of them the model still works."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import nnx
from nnx.layers import Dense
from nnx.random import Generator
from nnx.testing import assert_close

X = np.float32(Generator(1).normal((12, 4)))
LABELS = np.arange(12) % 3
ONE_HOT = np.eye(3, dtype=np.float32)[LABELS]
Model = nnx.Sequential


def make(activation: Any = "softmax", loss: Any = "sparse_categorical_crossentropy", units: int = 3) -> Model:
    nnx.random.set_seed(2)
    model = Model([Dense(5, "relu", input_dim=4), Dense(units, activation)])
    model.compile("sgd", loss)
    return model


def classifier() -> Model:
    return make()


def one_hot() -> Model:
    return make(loss="categorical_crossentropy")


def binary() -> Model:
    return make("sigmoid", "binary_crossentropy", 1)


def regression() -> Model:
    return make(None, "mse")


def fit(x: Any = X, y: Any = LABELS, **options: Any) -> Callable[[Model], Any]:
    return lambda model: model.fit(x, y, **{"verbose": 0, **options})


def predict(x: Any) -> Callable[[Model], Any]:
    return lambda model: model.predict(x, verbose=0)


Mistake = tuple[str, Callable[[], Model], Callable[[Model], Any], type[Exception], str]

COMPILE: list[Mistake] = [
    ("loss", make, lambda m: m.compile("sgd", "crossentropi"), ValueError, "unknown loss 'crossentropi': did you mean"),
    ("loss number", make, lambda m: m.compile("sgd", 3), TypeError, "loss must be a name such as 'mse'.*got int: 3"),
    ("unreduced", make, lambda m: m.compile("sgd", nnx.losses.Hinge("none")), ValueError, "reduction='none'"),
    ("optimizer", make, lambda m: m.compile("adm", "mse"), ValueError, "unknown optimizer 'adm': did you mean 'Adam'"),
    ("optimizer number", make, lambda m: m.compile(3, "mse"), ValueError, "optimizer must be a name.*got 3"),
    ("metric", make, lambda m: m.compile("sgd", "mse", metrics=["acurracy"]), ValueError, "'acurracy'.*'Accuracy'"),
    ("metric number", make, lambda m: m.compile("sgd", "mse", metrics=[3]), TypeError, "a metric must be.*got int: 3"),
    ("weights", make, lambda m: m.compile("sgd", "mse", loss_weights=[1, 2]), ValueError, "loss_weights.*got 2"),
    ("weight", make, lambda m: m.compile("sgd", "mse", loss_weights="a"), ValueError, "loss_weights.*got 'a'"),
    ("argument", make, lambda m: m.compile("sgd", losss="mse"), TypeError, "losss"),
    ("rate", make, lambda m: m.compile(nnx.optimizers.SGD(-1.0), "mse"), ValueError, "learning_rate.*got -1"),
]
TARGETS: list[Mistake] = [
    ("none", classifier, fit(y=None), ValueError, "sequential needs targets: pass y"),
    ("fewer", classifier, fit(y=LABELS[:5]), ValueError, "same number of samples, but x has 12, y has 5"),
    ("above", classifier, fit(y=LABELS + 5), ValueError, "got 5 at index 0, but the model has 3 classes.*from 0 to 2"),
    ("from 1", classifier, fit(y=LABELS + 1), ValueError, "got 3 at index 2.*seem to count from 1: use y - 1"),
    ("negative", classifier, fit(y=LABELS - 1), ValueError, "got -1 at index 0.*ignore_class"),
    ("broken", classifier, fit(y=LABELS + 0.5), ValueError, "whole numbers as class labels, got 0.5 at index 0"),
    ("one-hot", classifier, fit(y=ONE_HOT), ValueError, "expects class labels.*'categorical_crossentropy'"),
    ("labels", one_hot, fit(), ValueError, "number for each of 3 classes.*'sparse_categorical_cross.*to_categorical"),
    ("column", one_hot, fit(y=LABELS[:, None]), ValueError, "got class labels of shape .batch, 1.; use loss='sparse_"),
    ("classes", one_hot, fit(y=np.eye(4)[LABELS]), ValueError, "output, .batch, 3.; got targets of shape .batch, 4"),
    ("signs", binary, fit(y=2 * (LABELS % 2) - 1), ValueError, "targets between 0 and 1, got -1.*loss='hinge'"),
    (
        "three classes",
        binary,
        fit(y=LABELS),
        ValueError,
        "between 0 and 1, got 2 at index 2.*'sparse_categorical",
    ),
    ("two columns", binary, fit(y=ONE_HOT[:, :2]), ValueError, "output, .batch, 1.; got targets of shape .batch, 2"),
    ("vector", regression, fit(), ValueError, "'mean_squared_error' expects targets.* .batch, 3.; got .*.batch,."),
    ("text", regression, fit(y=["a"] * 12), ValueError, "^y: its rows .*not real numbers.*dtype <U1"),
    ("missing values", regression, fit(y=[None] * 12), ValueError, "^y: its rows .*not real numbers"),
]
INPUTS: list[Mistake] = [
    ("nothing", classifier, fit(x=None), ValueError, "^x is missing"),
    ("features", classifier, fit(x=X[:, :3]), ValueError, r"sequential: expected .*\(None, 4\), got \(12, 3\)"),
    ("rank", classifier, fit(x=X[..., None, None]), ValueError, r"expected .*\(None, 4\), got \(12, 4, 1, 1\)"),
    ("sample", classifier, predict(X[0]), ValueError, r"got \(4,\); for one sample, add the batch axis: x\[None\]"),
    ("empty", classifier, fit(x=X[:0], y=LABELS[:0]), ValueError, "^x is empty: expected at least one sample"),
    ("empty list", classifier, predict([]), ValueError, "^x is empty"),
    ("number", classifier, fit(x=3.0), ValueError, "^x is a single number"),
    ("ragged", classifier, fit(x=[[1, 2, 3, 4], [1, 2]], y=[0, 1]), ValueError, "^x: its rows have different lengths"),
    ("text", classifier, predict("images"), ValueError, "^x: .*not real numbers.*str"),
    ("dict", classifier, predict({"a": X}), ValueError, r"^x is a dict of \['a'\], expected the names"),
    ("complex", classifier, predict(X + 1j), ValueError, "^x: .*dtype complex64"),
    ("strings", classifier, predict(np.full((3, 4), "a")), ValueError, "^x: .*dtype <U1"),
    ("batch of four", classifier, fit(x=[(X,) * 4], y=None), ValueError, r"must give x, \(x, y\).*got tuple of 4"),
    ("batch of numbers", classifier, fit(x=iter([3]), y=None), ValueError, r"must give x, \(x, y\).*got int"),
    ("no targets", classifier, fit(x=iter([X]), y=None), ValueError, "needs targets: pass y, or an iterable"),
    ("call", classifier, lambda m: m(X[:, :2]), ValueError, r"sequential: expected .*\(None, 4\), got \(12, 2\)"),
    (
        "inner",
        classifier,
        lambda m: m.layers[1](X),
        ValueError,
        r"dense_1: expected .*\(batch, ..., 5\), got",
    ),
]
OPTIONS: list[Mistake] = [
    ("batch_size", classifier, fit(batch_size=0), ValueError, "batch_size must be a positive integer, got 0"),
    ("broken batch_size", classifier, fit(batch_size=2.5), ValueError, "batch_size must be .*got 2.5"),
    ("epochs", classifier, fit(epochs=-1), ValueError, "epochs must be a non-negative integer, got -1"),
    ("initial_epoch", classifier, fit(initial_epoch=-1), ValueError, "initial_epoch must be a non-negative .*got -1"),
    ("steps", classifier, fit(steps_per_epoch=0), ValueError, "steps_per_epoch must be a positive integer, got 0"),
    ("verbose", classifier, fit(verbose="loud"), ValueError, "verbose must be 0 .*got 'loud'"),
    ("callback", classifier, fit(callbacks=[3]), TypeError, "callbacks must be .*got 3"),
    ("class", classifier, fit(callbacks=[nnx.callbacks.History]), TypeError, "got the class History; write History"),
    ("split", classifier, fit(validation_split=1.5), ValueError, "validation_split must be between 0 and 1, got 1.5"),
    ("split text", classifier, fit(validation_split="a"), ValueError, "validation_split must be .*got 'a'"),
    ("split all", classifier, fit(validation_split=0.99), ValueError, "0.99 of 12 samples leaves one part empty"),
    ("split batches", classifier, fit([(X, LABELS)], None, validation_split=0.5), ValueError, "needs arrays x and y"),
    (
        "validation",
        classifier,
        fit(validation_data=X),
        ValueError,
        r"validation_data must .*got ndarray of 12",
    ),
    (
        "validation of one",
        classifier,
        fit(validation_data=(X,)),
        ValueError,
        "validation_data must .*got tuple of 1",
    ),
    ("validation labels", classifier, fit(validation_data=(X, LABELS + 1)), ValueError, "seem to count from 1"),
    ("frequency", classifier, fit(validation_freq=0), ValueError, "validation_freq must be .*got 0"),
    (
        "validation batch",
        classifier,
        fit(validation_batch_size=-1),
        ValueError,
        "validation_batch_size must .*got -1",
    ),
    ("weights", classifier, fit(sample_weight=np.ones(5)), ValueError, "x has 12, y has 12, sample_weight has 5"),
    ("wide weights", classifier, fit(sample_weight=ONE_HOT), ValueError, r"sample_weight must .*\(12,\).*\(12, 3\)"),
    (
        "apart",
        classifier,
        fit([(X, LABELS)], None, sample_weight=LABELS),
        ValueError,
        "sample_weight goes into",
    ),
    ("class list", classifier, fit(class_weight=[1, 2]), TypeError, "class_weight must be a dict.*got list"),
    ("class name", classifier, fit(class_weight={"cat": 2}), ValueError, "class_weight must map numbers.*'cat': 2"),
    ("argument", classifier, fit(suffle=True), TypeError, "suffle"),
    ("file", classifier, lambda m: m.load_weights("no such file"), FileNotFoundError, "no file no such file"),
    (
        "folder",
        classifier,
        lambda m: m.save("no such folder/m"),
        FileNotFoundError,
        "no folder no such folder",
    ),
]


def parameters(mistakes: list[Mistake]) -> Any:
    return pytest.mark.parametrize(
        ("build", "use", "error", "words"), [m[1:] for m in mistakes], ids=[m[0] for m in mistakes]
    )


def check(build: Callable[[], Model], use: Callable[[Model], Any], error: type[Exception], words: str) -> None:
    model = build()
    before, optimizer, objective = model.get_weights(), model.optimizer, model.objective
    with pytest.raises(error) as caught:
        use(model)
    assert re.search(words, str(caught.value), re.DOTALL), str(caught.value)
    assert "\n" not in str(caught.value)
    assert (model.optimizer, model.objective) == (optimizer, objective)
    for old, new in zip(before, model.get_weights(), strict=True):
        assert_close(new, old, 0.0, 0.0)
    good = {classifier: LABELS, one_hot: ONE_HOT, binary: LABELS % 2, regression: ONE_HOT}.get(build, LABELS)
    model.fit(X, good, verbose=0)
    assert np.isfinite(model.predict(X, verbose=0)).all()


@parameters(COMPILE)
def test_mistakes_in_compile(build: Any, use: Any, error: Any, words: str):
    check(build, use, error, words)


@parameters(TARGETS)
def test_mistakes_in_targets(build: Any, use: Any, error: Any, words: str):
    check(build, use, error, words)


@parameters(INPUTS)
def test_mistakes_in_inputs(build: Any, use: Any, error: Any, words: str):
    check(build, use, error, words)


@parameters(OPTIONS)
def test_mistakes_in_options(build: Any, use: Any, error: Any, words: str):
    check(build, use, error, words)


@pytest.mark.parametrize("method", ["evaluate", "train_on_batch", "test_on_batch"])
@pytest.mark.parametrize("y", [LABELS + 1, ONE_HOT, LABELS[:3], None])
def test_other_methods_check_their_targets_too(method: str, y: Any):
    with pytest.raises(ValueError, match=r"sparse_categorical_crossentropy|number of samples|needs targets"):
        getattr(classifier(), method)(X, y)


def test_training_needs_compile():
    model = Model([Dense(1, input_dim=4)], name="mine")
    assert not model.compiled
    assert classifier().compiled
    for use in (
        lambda: model.fit(X, X),
        lambda: model.evaluate(X, X),
        lambda: model.train_on_batch(X, X),
        lambda: model.test_on_batch(X, X),
        lambda: model.metrics_names,
    ):
        with pytest.raises(ValueError, match=r"mine must be compiled first: write mine.compile\(optimizer, loss\)"):
            use()
    model.compile("sgd")
    with pytest.raises(ValueError, match=r"mine was compiled without a loss"):
        model.fit(X, X, verbose=0)
    assert model.predict(X, verbose=0).shape == (12, 1)


def test_one_label_for_several_outputs_says_what_is_missing():
    images = np.ones((12, 2, 4))
    model = Model([Dense(3, "softmax", input_shape=(2, 4))])
    model.compile("sgd", "sparse_categorical_crossentropy")
    with pytest.raises(ValueError, match=r"shape \(batch,\); for one label a sample, end .*: Flatten\(\), pooling"):
        model.fit(images, LABELS, verbose=0)


def test_one_sample_with_a_last_axis_of_one_is_taken_for_one_sample():
    model = Model([nnx.layers.Flatten(input_shape=(3, 2, 1)), Dense(1)])
    with pytest.raises(ValueError, match=r"got \(3, 2, 1\); for one sample, add the batch axis"):
        model.predict(np.ones((3, 2, 1)), verbose=0)
    assert model.predict(np.ones((5, 3, 2)), verbose=0).shape == (5, 1)


@pytest.mark.parametrize(
    ("activation", "loss", "words"),
    [
        (None, "sparse_categorical_crossentropy", "expects probabilities.*end it in 'softmax', or .*from_logits=True"),
        (None, "binary_crossentropy", "expects probabilities.*end it in 'sigmoid', or .*from_logits=True"),
        ("softmax", nnx.losses.SparseCategoricalCrossentropy(True), "from_logits=True, but the model ends in softmax"),
        ("sigmoid", nnx.losses.BinaryCrossentropy(from_logits=True), "from_logits=True, but the model ends in sigmoid"),
    ],
)
def test_probabilities_in_place_of_logits_are_warned_of(activation: Any, loss: Any, words: str):
    model = make(activation, loss)
    with pytest.warns(UserWarning, match=words):
        model.fit(X, ONE_HOT if "binary" in model.objective.by_output[0].loss.name else LABELS, verbose=0)


def test_softmax_of_one_unit_is_warned_of():
    model = make("softmax", "categorical_crossentropy", 1)
    with pytest.warns(UserWarning, match=r"one output is always 0.*activation='sigmoid'"):
        model.fit(X, (LABELS % 2)[:, None], verbose=0)


def test_an_error_in_the_middle_of_data_names_the_batch_shape():
    model = classifier()
    with pytest.raises(ValueError, match=r"expected .*\(None, 4\), got \(12, 3\)"):
        model.fit([(X, LABELS), (X[:, :3], LABELS)], verbose=0)
    assert model.optimizer.iterations == 1
