"""Data that raise, end early or change: the error names the batch, and nothing is lost."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import nnx
from nnx.data import DataLoader
from nnx.layers import Dense
from nnx.random import Generator

X = np.float32(Generator(1).normal((8, 3)))
LABELS = np.arange(8) % 3
GOOD = (X, LABELS)


def make() -> nnx.Sequential:
    model = nnx.Sequential([Dense(4, "tanh", input_dim=3), Dense(3, "softmax")])
    model.compile("sgd", "sparse_categorical_crossentropy")
    return model


def several() -> nnx.Model:
    a, b = nnx.Input((3,), name="a"), nnx.Input((3,), name="b")
    model = nnx.Model([a, b], nnx.layers.Add()([Dense(3)(a), Dense(3)(b)]))
    model.compile("sgd", "mse")
    return model


def source(*batches: Any) -> Callable[[], Iterator[Any]]:
    """A function that gives these batches, and raises those that are errors."""

    def give() -> Iterator[Any]:
        for batch in batches:
            if isinstance(batch, BaseException):
                raise batch
            yield batch

    return give


class Lists:
    """A sequence that gives fewer batches than it says."""

    def __len__(self) -> int:
        return 5

    def __iter__(self) -> Iterator[Any]:
        return iter([GOOD, GOOD])


def text_of(error: BaseException) -> str:
    return "\n".join([str(error), *getattr(error, "__notes__", [])])


def check_usable(model: nnx.Model, steps: int) -> None:
    assert model.optimizer.iterations == steps
    losses = model.fit(X, LABELS, epochs=5, verbose=0).history["loss"]
    assert losses[-1] < losses[0]


CHANGES: dict[str, tuple[Any, str]] = {
    "features": ((X[:, :2], LABELS), r"expected an input of shape \(None, 3\), got \(8, 2\)"),
    "rank": ((X[:, :, None, None], LABELS), r"expected an input of shape \(None, 3\), got \(8, 3, 1, 1\)"),
    "rows": ((X, LABELS[:5]), "x has 8, y has 5"),
    "targets": ((X, np.eye(3)[LABELS]), r"expects class labels of shape .*shape \(batch, 3\)"),
    "label": ((X, LABELS + 1), "got 3 at index 2"),
    "no targets": ((X,), r"expected \(x, y\), as in the first batch, got tuple of 1"),
    "weights": ((X, LABELS, LABELS), r"expected \(x, y\), as in the first batch, got tuple of 3"),
    "four": ((X, LABELS, LABELS, X), r"must give x, \(x, y\) or \(x, y, sample_weight\), got tuple of 4"),
    "empty": ((X[:0], LABELS[:0]), "x is empty"),
    "objects": ((X.astype(object), LABELS), "of dtype object"),
    "text": ((np.full((8, 3), "a"), LABELS), "not real numbers"),
    "ragged": (([[1.0], [1.0, 2.0]], LABELS[:2]), "its rows have different lengths"),
    "a number": (3, "got int"),
    "a dict": ({"x": X, "y": LABELS}, r"expected \(x, y\), as in the first batch, got dict of 2"),
    "None": (None, "got NoneType"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_batches_that_change(change: str):
    batch, words = CHANGES[change]
    model = make()
    data = source(GOOD, GOOD, GOOD, batch)()
    with pytest.raises(ValueError, match=rf"^batch 2 of epoch 2: .*{words}"):
        model.fit(data, steps_per_epoch=2, epochs=3, verbose=0)
    assert model.history.epoch == [0]
    assert len(model.history.history["loss"]) == 1
    check_usable(model, 3)


def test_the_number_of_inputs():
    model = several()
    for batch in (([X], X), ([X, X, X], X), ({"a": X}, X), (X, X)):
        with pytest.raises(ValueError, match=r"^batch 2 of epoch 1: x .*(a, b|\['a', 'b'\])"):
            model.fit([([X, X], X), batch], verbose=0)
    model.fit([([X, X], X), ([X, X], X)], verbose=0)


def test_batches_may_differ_in_what_models_leave_open():
    model = nnx.Sequential([nnx.Input((None, 3)), Dense(3), nnx.layers.GlobalAveragePooling1D()])
    model.compile("sgd", "mse")
    sizes = [(2, 5), (7, 1), (1, 9)]
    model.fit([(np.ones((rows, steps, 3)), np.ones((rows, 3))) for rows, steps in sizes], verbose=0)
    assert model.optimizer.iterations == 3


class OwnError(Exception):
    def __init__(self, number: int, path: str) -> None:
        super().__init__(number, path)


@pytest.mark.parametrize(
    "error",
    [ValueError("broken"), TypeError("broken"), OSError(5, "broken"), OwnError(3, "broken"), KeyError("broken")],
)
@pytest.mark.parametrize("prefetch", [None, 0, 2])
def test_a_source_that_raises(error: Exception, prefetch: int | None):
    give = source(GOOD, GOOD, error)
    data = give() if prefetch is None else DataLoader(give, batch_size=None, prefetch=prefetch)
    model = make()
    with pytest.raises(type(error)) as caught:
        model.fit(data, verbose=0)
    text = text_of(caught.value)
    assert "broken" in text
    assert "batch 3 of epoch 1" in text
    assert error in (caught.value, caught.value.__cause__)
    check_usable(model, 2)


def test_the_thread_of_a_loader_ends_with_the_training():
    def names() -> list[str]:
        return [thread.name for thread in threading.enumerate()]

    endless = DataLoader(lambda: iter(lambda: GOOD, None), batch_size=None, prefetch=2)
    model = make()
    model.fit(endless, steps_per_epoch=3, epochs=2, verbose=0)
    assert "nnx.data" not in names()
    stop = nnx.callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: setattr(model, "stop_training", True))
    model.fit(endless, epochs=2, verbose=0, callbacks=[stop])
    assert "nnx.data" not in names()
    model.predict(endless, steps=2, verbose=0)
    assert "nnx.data" not in names()


def test_validation_evaluation_and_prediction_name_the_batch():
    model, bad = make(), [GOOD, (X[:, :2], LABELS)]
    with pytest.raises(ValueError, match=r"^batch 2 of the validation after epoch 1: .*\(8, 2\)"):
        model.fit(X, LABELS, validation_data=iter(bad), verbose=0)
    with pytest.raises(ValueError, match=r"^batch 2 of evaluate: .*\(8, 2\)"):
        model.evaluate(bad, verbose=0)
    with pytest.raises(ValueError, match=r"^batch 2 of predict: .*\(8, 2\)"):
        model.predict(bad, verbose=0)
    with pytest.raises(ZeroDivisionError) as caught:
        model.predict(source(GOOD, ZeroDivisionError())(), verbose=0)
    assert caught.value.__notes__ == ["in batch 2 of predict, counted from 1"]


# Ends


def test_a_source_that_ends_early_says_where():
    model = make()
    data = source(GOOD, GOOD, GOOD)()
    with pytest.warns(UserWarning, match="epoch 2: the data ended after 1 batches, expected 2 batches for this epoch"):
        history = model.fit(data, steps_per_epoch=2, epochs=4, verbose=0)
    assert history.epoch == [0, 1]
    check_usable(model, 3)


def test_fewer_batches_than_a_length_that_was_promised():
    model = make()
    with pytest.warns(
        UserWarning, match=r"epoch 1: the data ended after 2 batches, expected 5, which is their len\(\)"
    ):
        model.fit(Lists(), verbose=0)
    check_usable(model, 2)


@pytest.mark.parametrize("empty", [[], (), iter(()), DataLoader(iter(()))])
def test_no_data_at_all(empty: Any):
    model = make()
    if isinstance(empty, list | tuple):
        with pytest.raises(ValueError, match=r"x is empty|needs targets"):
            model.fit(empty, verbose=0)
    else:
        with (
            pytest.warns(UserWarning, match="ended after 0 batches"),
            pytest.raises(ValueError, match="fit got no data"),
        ):
            model.fit(empty, epochs=3, verbose=0)
    assert not (model.history and model.history.epoch)
    check_usable(model, 0)


def test_targets_beside_an_iterable():
    for x in (iter([GOOD]), DataLoader(X, LABELS), map(list, [GOOD])):
        with pytest.raises(ValueError, match=r"y goes into the batches, as \(x, y, sample_weight\)"):
            make().fit(x, LABELS)
    with pytest.raises(ValueError, match="sample_weight goes into the batches"):
        make().fit(DataLoader(X, LABELS), sample_weight=LABELS)
    with pytest.raises(ValueError, match=r"y is a single number.*nnx\.data\.DataLoader"):
        make().fit(list(zip(X, LABELS, strict=True)))
