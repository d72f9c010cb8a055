"""Every form of data that fit, evaluate, predict and their relatives take."""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import nnx
from nnx.backends import Placement
from nnx.layers import Dense, Flatten, Input, RandomFlip, Rescaling
from nnx.random import Generator
from nnx.testing import assert_close

X = np.float32(Generator(1).normal((22, 3)))
Y = np.float32(Generator(2).normal((22, 2)))
W = np.float32(Generator(3).uniform((22,), 0.5, 2.0))


def make(seed: int = 4, **options: Any) -> nnx.Sequential:
    nnx.random.set_seed(seed)
    model = nnx.Sequential([Dense(4, "tanh", input_dim=3), Dense(2)])
    model.compile(nnx.optimizers.SGD(0.1, momentum=0.9), "mse", metrics=["mae"], **options)
    return model


def batches(size: int = 5, weights: bool = False) -> Iterator[tuple[np.ndarray, ...]]:
    for start in range(0, 22, size):
        rows = slice(start, start + size)
        yield (X[rows], Y[rows], W[rows]) if weights else (X[rows], Y[rows])


class Batches:
    """A sequence of batches, as Keras's Sequence and PyDataset are."""

    def __init__(self, weights: bool = False) -> None:
        self.items = list(batches(weights=weights))

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: int) -> tuple[np.ndarray, ...]:
        return self.items[index]


class Table:
    """Something with `__array__`, as a data frame has it."""

    def __init__(self, values: np.ndarray) -> None:
        self.values = values

    def __array__(self, dtype: Any = None, copy: Any = None) -> np.ndarray:
        return np.array(self.values, dtype=dtype)

    def __iter__(self) -> Iterator[str]:
        return iter(["column 1", "column 2"])


FORMS: dict[str, Callable[[], tuple[Any, ...]]] = {
    "arrays": lambda: (X, Y),
    "float64": lambda: (X.astype(np.float64), Y.astype(np.float64)),
    "lists": lambda: (X.tolist(), Y.tolist()),
    "tuples": lambda: (tuple(map(tuple, X.tolist())), [tuple(row) for row in Y.tolist()]),
    "list of arrays": lambda: (list(X), list(Y)),
    "tables": lambda: (Table(X), Table(Y)),
    "Fortran order": lambda: (np.asfortranarray(X), np.asfortranarray(Y)),
    "views": lambda: (np.repeat(X, 2, axis=0)[::2], np.flip(np.flip(Y).copy())),
    "big endian": lambda: (X.astype(">f4"), Y.astype(">f8")),
    "list of batches": lambda: (list(batches()),),
    "tuple of batches": lambda: (tuple(batches()),),
    "list of batches as lists": lambda: (map(list, batches()),),
    "generator": lambda: (batches(),),
    "iterator": lambda: (iter(list(batches())),),
    "sequence": lambda: (Batches(),),
    "batches of lists": lambda: (((x.tolist(), y.tolist()) for x, y in batches()),),
}


@pytest.fixture(scope="module")
def expected() -> tuple[dict[str, list[float]], np.ndarray]:
    """What one epoch in batches of 5, without shuffling, gives: history and predictions."""
    model = make()
    history = model.fit(X, Y, batch_size=5, shuffle=False, verbose=0).history
    return history, model.predict(X, verbose=0)


@pytest.mark.parametrize("form", FORMS)
def test_fit(form: str, expected: Any):
    model = make()
    history = model.fit(*FORMS[form](), batch_size=5, shuffle=False, verbose=0).history
    assert list(history) == ["loss", "mae"]
    for name in history:
        assert_close(history[name], expected[0][name], 1e-6)
    assert_close(model.predict(X, verbose=0), expected[1], length=100)


@pytest.mark.parametrize("form", FORMS)
def test_evaluate(form: str):
    model = make()
    error = model.predict(X, verbose=0) - Y
    found = model.evaluate(*FORMS[form](), batch_size=5, verbose=0)
    assert_close(found, [np.mean(error**2), np.mean(np.abs(error))], 1e-5)


@pytest.mark.parametrize("form", [form for form in FORMS if len(FORMS[form]()) == 2])
def test_single_batches(form: str):
    model, data = make(), FORMS[form]()
    error = model(X) - Y
    for method in (model.test_on_batch, model.train_on_batch):
        assert_close(method(*data), [np.mean(error**2), np.mean(np.abs(error))], 1e-5)
    assert_close(model.predict_on_batch(data[0]), model(X), length=10)


PREDICTION_FORMS: dict[str, Callable[[], Any]] = {
    **{name: (lambda form=form: form()[0]) for name, form in FORMS.items()},
    "batches without targets": lambda: [(x,) for x, _ in batches()],
    "generator of arrays": lambda: (x for x, _ in batches()),
}


@pytest.mark.parametrize("form", PREDICTION_FORMS)
def test_predict(form: str):
    model = make()
    found = model.predict(PREDICTION_FORMS[form](), batch_size=5, verbose=0)
    assert type(found) is np.ndarray
    assert found.dtype == np.float32
    assert_close(found, model(X), length=10)


def test_numbers_and_labels_of_any_dtype():
    for dtype in ("int64", "uint8", "uint16", "bool", "float16", "int8"):
        x = (np.arange(12).reshape(4, 3) % 2).astype(dtype)
        model = make()
        assert model.predict(x, verbose=0).dtype == np.float32
        assert_close(model.predict(x, verbose=0), model(x.astype(np.float32)), length=10)
        model.fit(x, x[:, :2], verbose=0)


def test_labels_as_a_column_or_a_vector():
    labels = np.arange(22) % 2
    losses = []
    for y in (labels, labels[:, None], labels.tolist(), labels.astype(np.float64), labels.astype(np.uint8)):
        model = make()
        model.compile("sgd", nnx.losses.SparseCategoricalCrossentropy(from_logits=True), metrics=["acc"])
        losses.append(model.evaluate(X, y, verbose=0))
    assert all(found == pytest.approx(losses[0], rel=1e-6) for found in losses)


def test_a_vector_of_single_features_gets_its_axis():
    model = nnx.Sequential([Dense(2, input_dim=1)])
    assert model.predict(X[:, 0], verbose=0).shape == (22, 2)
    assert_close(model.predict(X[:, 0], verbose=0), model.predict(X[:, :1], verbose=0), 0.0, 0.0)


def test_the_last_partial_batch_is_kept_and_weighs_by_its_size():
    model = make()
    seen: list[int] = []
    step = model.trainer.step.train
    model.trainer.step.train = lambda x, y, w: (seen.append(x[0].shape[0]), step(x, y, w))  # type: ignore[method-assign]
    model.fit(X, Y, batch_size=5, verbose=0)
    assert seen == [5, 5, 5, 5, 2]
    error = (make().predict(X, verbose=0) - Y) ** 2
    assert make().evaluate(X, Y, batch_size=5, verbose=0)[0] == pytest.approx(float(error.mean()), rel=1e-6)
    assert make().predict(X, batch_size=5, verbose=0).shape == (22, 2)


# How many steps


def test_a_generator_without_end_needs_steps():
    model = make()
    history = model.fit(itertools.cycle(batches()), steps_per_epoch=3, epochs=4, verbose=0)
    assert history.epoch == [0, 1, 2, 3]
    assert model.optimizer.iterations == 12
    assert history.params["steps"] == 3


def test_steps_go_on_where_the_last_epoch_stopped():
    seen: list[int] = []

    def source() -> Iterator[Any]:
        for number, batch in enumerate(batches()):
            seen.append(number)
            yield batch

    make().fit(source(), steps_per_epoch=2, epochs=2, verbose=0)
    assert seen == [0, 1, 2, 3]


@pytest.mark.parametrize("data", [(X, Y), (list(batches(5)),)], ids=["arrays", "iterable"])
@pytest.mark.parametrize(("steps", "counts"), [(4, [4, 5, 9]), (5, [5, 10, 15]), (7, [5, 10, 15])])
def test_data_end_the_epoch_that_they_end_in(data: Any, steps: int, counts: list[int]):
    model, iterations = make(), []
    counting = nnx.callbacks.LambdaCallback(on_epoch_end=lambda *_: iterations.append(model.optimizer.iterations))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        history = model.fit(
            *data, batch_size=5, shuffle=False, steps_per_epoch=steps, epochs=3, verbose=0, callbacks=[counting]
        )
    assert history.epoch == [0, 1, 2]
    assert iterations == counts
    expected = {4: "epoch 2: the data ended after 1 batches, expected 4", 7: "epoch 1: the data ended after 5 batches"}
    assert [expected[steps] in str(one.message) for one in caught] == ([] if steps == 5 else [True])


def test_evaluation_and_prediction_take_each_sample_once():
    model = make()
    assert model.predict(X, batch_size=5, steps=2, verbose=0).shape == (10, 2)
    assert model.evaluate(X, Y, batch_size=5, steps=2, verbose=0) == pytest.approx(
        model.evaluate(X[:10], Y[:10], verbose=0), rel=1e-6
    )
    with pytest.warns(UserWarning, match=r"the data ended after 5 batches, expected 9"):
        assert model.predict(X, batch_size=5, steps=9, verbose=0).shape == (22, 2)


def test_a_generator_that_ends_in_the_middle_stops_training_with_a_warning():
    model = make()
    with pytest.warns(UserWarning, match=r"ended after 1 batches, expected 4 batches for this epoch.*steps_per_epoch"):
        history = model.fit(batches(), steps_per_epoch=4, epochs=5, verbose=0)
    assert history.epoch == [0, 1]
    assert len(history.history["loss"]) == 2
    assert model.optimizer.iterations == 5


def test_a_generator_that_is_used_up_leaves_no_empty_epoch():
    model = make()
    with pytest.warns(UserWarning, match=r"ended after 0 batches, expected a batch"):
        history = model.fit(batches(), epochs=5, verbose=0, validation_data=(X, Y))
    assert history.epoch == [0]
    assert [len(values) for values in history.history.values()] == [1, 1, 1, 1]


@pytest.mark.parametrize("method", ["evaluate", "predict"])
def test_no_batch_at_all(method: str):
    model = make()
    with (
        pytest.warns(UserWarning, match="ended after 0 batches"),
        pytest.raises(ValueError, match=rf"{method} got no data: expected at least one batch"),
    ):
        getattr(model, method)(iter(()), verbose=0)


# Where data is


def test_host_and_device_data(backend: Placement):
    model = make()
    x, y, w = (backend.asarray(array) for array in (X, Y, W))
    for features in (X, x):
        for targets in (Y, y):
            model.fit(features, targets, batch_size=8, verbose=0, sample_weight=w, validation_split=0.2)
            model.train_on_batch(features, targets, sample_weight=W)
            assert isinstance(model.evaluate(features, targets, verbose=0)[0], float)
    assert type(model.predict(X, verbose=0)) is np.ndarray
    assert type(model.predict_on_batch(X)) is np.ndarray
    for outputs in (model.predict(x, verbose=0), model.predict_on_batch(x), model(x)):
        assert_close(outputs, model.predict(X, verbose=0), length=10, like=model.flat.values)


def test_inputs_declared_as_integers_come_as_they_are_and_are_computed_with_as_floats(backend: Placement):
    images = (np.arange(22 * 12) % 251).astype(np.uint8).reshape(22, 2, 2, 3)

    def trained(dtype: str | None) -> tuple[list[float], np.ndarray, np.ndarray, str]:
        nnx.random.set_seed(4)
        model = nnx.Sequential([Input((2, 2, 3), dtype=dtype), RandomFlip(), Rescaling(1 / 255), Flatten(), Dense(2)])
        model.compile("sgd", "mse")
        losses = model.fit(images, Y, batch_size=8, epochs=2, verbose=0).history["loss"]
        placed = model.trainer.pipeline.batch(images, Y)[0][0]
        return (
            losses,
            model.predict(images, verbose=0),
            nnx.to_numpy(model(backend.asarray(images), training=False)),
            str(placed.dtype),
        )

    losses, predicted, called, placed = trained("uint8")
    expected = trained(None)
    assert placed.endswith("uint8")
    assert predicted.dtype == np.float32
    assert_close(losses, expected[0], length=22)
    assert_close(predicted, expected[1], length=12)
    assert_close(called, expected[1], length=12)


@pytest.mark.parametrize("method", ["fit", "evaluate", "predict"])
def test_a_warning_of_data_points_at_the_line_that_gave_them(method: str):
    arguments = {"steps_per_epoch" if method == "fit" else "steps": 9, "verbose": 0}
    with pytest.warns(UserWarning, match="the data ended after 5 batches") as warned:
        getattr(make(), method)(batches(), **arguments)
    assert [warning.filename for warning in warned] == [__file__]
