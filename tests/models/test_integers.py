"""Integers as inputs: layers that take them get them as they are, the others as floats, however a model is called."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import nnx
from nnx.backends import Placement
from nnx.layers import Dense, Embedding, Flatten, Input, Layer, Reshape, concatenate
from nnx.testing import assert_close

WORDS = np.array([[4999, 2049], [3001, 7], [2050, 4097]])  # float16 has none of the odd ones above 2048
Y = np.ones((3, 1), np.float32)


class Vectors(Layer):
    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.embedding = Embedding(5000, 3)

    def call(self, x: Any) -> Any:
        return self.embedding(x)


def stack(dtype: str | None) -> nnx.Model:
    return nnx.Sequential([Input((2,), dtype=dtype), Embedding(5000, 3), Flatten()])


def nested(dtype: str | None) -> nnx.Model:
    return nnx.Sequential([Input((2,), dtype=dtype), nnx.Sequential([Vectors(), Flatten()])])


def behind(dtype: str | None) -> nnx.Model:
    return nnx.Sequential([Input((2,), dtype=dtype), Reshape((2,)), Embedding(5000, 3), Flatten()])


def columns(dtype: str | None) -> nnx.Model:
    x = Input((2,), dtype=dtype)
    return nnx.Model(x, concatenate([Embedding(5000, 3)(x[:, 0]), Embedding(5000, 3)(x[:, 1])]))


def results(model: nnx.Model, x: np.ndarray, place: Placement) -> list[np.ndarray]:
    """What a model says when it is called in one way or another."""
    there = place.asarray(x)
    calls: list[Callable[[], Any]] = [
        lambda: model.predict(x, verbose=0),
        lambda: model.predict_on_batch(there),
        lambda: model(there),
        lambda: model.forward(there)[0],
    ]
    return [nnx.to_numpy(call()) for call in calls]


@pytest.mark.parametrize("make", [stack, nested, behind, columns])
def test_indices_are_exact_in_float16(make: Callable[[str | None], nnx.Model]) -> None:
    with nnx.backend("numpy", dtype="float16") as place:
        model = make("int32")
        tables = [layer.embeddings.numpy() for _, layer in model.walk() if isinstance(layer, Embedding)]
        expected = np.concatenate([tables[i % len(tables)][WORDS[:, i]] for i in range(2)], axis=1)
        for found in results(model, WORDS, place):
            assert found.tolist() == expected.tolist()


@pytest.mark.parametrize("make", [stack, nested])
@pytest.mark.parametrize("dtype", [None, "int32", "int64"])
def test_embedded_indices(backend: Placement, make: Callable[[str | None], nnx.Model], dtype: str | None) -> None:
    model = make(dtype)
    (table,) = model.get_weights()
    for found in results(model, WORDS, backend):
        assert_close(found, table[WORDS].reshape(3, 6), 0.0, 0.0)


@pytest.mark.parametrize("dtype", [None, "uint8", "int32", "int64"])
@pytest.mark.parametrize("inside", [False, True], ids=["graph", "layer"])
def test_one_input_for_layers_that_take_integers_and_others(
    backend: Placement, dtype: str | None, inside: bool
) -> None:
    class Both(Layer):
        def __init__(self) -> None:
            super().__init__()
            self.embedding, self.dense = Embedding(200, 3), Dense(3, "tanh")

        def call(self, x: Any) -> Any:
            return concatenate([Flatten()(self.embedding(x)), self.dense(x)])

    x = Input((2,), dtype=dtype)
    layer = Both()
    embedding, dense = layer.embedding, layer.dense
    features = layer(x) if inside else layer.call(x)
    model = nnx.Model(x, Dense(1)(features))
    model.compile("sgd", "mse")
    values = WORDS % 200
    left = embedding.embeddings.numpy()[values].reshape(3, 6)
    right = np.tanh(values @ dense.kernel.numpy() + dense.bias.numpy())
    last = model.layers[-1]
    expected = np.concatenate([left, right], axis=1) @ last.kernel.numpy() + last.bias.numpy()
    for found in results(model, values, backend):
        assert found.dtype == np.float32
        assert_close(found, expected, length=200)
    before = model.get_weights()
    assert model.train_on_batch(values, Y) == pytest.approx(np.mean((expected - 1.0) ** 2), rel=1e-4)
    assert not any(np.array_equal(old, new) for old, new in zip(before, model.get_weights(), strict=True))


@pytest.mark.parametrize("dtype", ["float64", "float16", "bool", "int64", "uint8"])
def test_layers_compute_in_the_dtype_of_the_model_whatever_the_input_is_declared_as(dtype: str) -> None:
    model = nnx.Sequential([Input((2,), dtype=dtype), Dense(2)])
    model.compile("sgd", "mse")
    x = np.array([[0, 1], [1, 1], [1, 0]])
    expected = x @ model.get_weights()[0]
    for found in results(model, x, model.placement):
        assert found.dtype == np.float32
        assert_close(found, expected, length=2)
    assert np.isfinite(model.train_on_batch(x, np.ones((3, 2))))


def test_two_inputs_of_which_one_is_read_as_integers(backend: Placement) -> None:
    image, word = Input((2, 2), dtype="uint8", name="image"), Input((1,), dtype="int32", name="word")
    embedding, dense = Embedding(5000, 2), Dense(2)
    model = nnx.Model([image, word], concatenate([dense(Flatten()(image)), Flatten()(embedding(word))]))
    images, words = np.arange(12).reshape(3, 2, 2), WORDS[:, :1]
    left = images.reshape(3, 4) @ dense.kernel.numpy()
    expected = np.concatenate([left, embedding.embeddings.numpy()[words[:, 0]]], axis=1)
    there = [backend.asarray(images), backend.asarray(words)]
    for found in (
        model.predict({"image": images, "word": words}, verbose=0),
        model.predict_on_batch(there),
        model(there),
        model.forward(there)[0],
    ):
        assert_close(found, expected, length=50)


def test_a_loss_of_floats_gets_floats_with_every_batch() -> None:
    """Also where a batch has the form of the one before, whose inputs could be taken as they were."""
    seen: list[str] = []

    def loss(y_true: Any, y_pred: Any) -> Any:
        seen.append(str(y_true.dtype))
        return (y_pred - y_true) ** 2

    model = nnx.Sequential([Input((2,)), Dense(1)])
    model.compile("sgd", loss)
    seen.clear()
    for _ in range(3):
        model.train_on_batch(np.ones((3, 2), np.float32), np.ones((3, 1), np.int64))
    assert set(seen) == {"float32"}
