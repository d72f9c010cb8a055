"""Optional inputs beside Keras: with them and without, by every method, and in files that both read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

keras = pytest.importorskip("keras", reason="the oracle Keras is not installed; pip install 'nnx-array[oracle]'")

import nnx  # noqa: E402
from nnx.random import Generator  # noqa: E402

pytestmark = pytest.mark.filterwarnings(
    "ignore:__array__ implementation doesn't accept a copy:DeprecationWarning",
)

X, Y = Generator(1).normal((20, 3)).astype(np.float32), Generator(2).normal((20, 4)).astype(np.float32)
TARGET = Generator(3).normal((20, 1)).astype(np.float32)


def layer_of(library: Any) -> Any:
    """Keras' own example of a layer with an optional input."""

    class Optional(library.layers.Layer):  # type: ignore[misc]
        def call(self, x: Any, y: Any = None) -> Any:
            return x if y is None else x + y

        def compute_output_shape(self, x_shape: Any) -> Any:
            return x_shape

    return Optional


OF = {library: layer_of(library) for library in (nnx, keras)}


def make(library: Any, form: str) -> Any:
    x, y = library.Input((3,), name="x"), library.Input((4,), name="y", optional=True)
    hidden = OF[library](name="either")(library.layers.Dense(4, activation="tanh", name="first")(x), y)
    made = library.layers.Dense(1, name="last")(hidden)
    return library.Model([x, y] if form == "list" else {"x": x, "y": y}, made, name="model")


def given(form: str, y: Any) -> Any:
    return [X, y] if form == "list" else {"x": X, "y": y}


def alike(form: str) -> tuple[Any, Any]:
    mine, theirs = make(nnx, form), make(keras, form)
    theirs.set_weights([nnx.to_numpy(weight) for weight in mine.get_weights()])
    for model in (mine, theirs):
        model.compile(optimizer="sgd", loss="mse")
    return mine, theirs


def assert_alike(mine: Any, theirs: Any) -> None:
    np.testing.assert_allclose(np.asarray(mine), np.asarray(theirs), rtol=2e-5, atol=2e-6)


@pytest.mark.parametrize("form", ["list", "dict"])
def test_every_method(form: str):
    mine, theirs = alike(form)
    for y in (None, Y, None, None, Y):
        data = given(form, y)
        assert_alike(mine(data), theirs(data))
        assert_alike(mine.predict(data, verbose=0), theirs.predict(data, verbose=0))
        assert_alike(mine.predict_on_batch(data), theirs.predict_on_batch(data))
        assert_alike(mine.train_on_batch(data, TARGET), theirs.train_on_batch(data, TARGET))
        assert_alike(mine.evaluate(data, TARGET, verbose=0), theirs.evaluate(data, TARGET, verbose=0))
        options: Any = {"epochs": 2, "batch_size": 8, "shuffle": False, "verbose": 0}
        histories = [model.fit(data, TARGET, **options).history["loss"] for model in (mine, theirs)]
        assert_alike(*histories)
    for one, other in zip(mine.get_weights(), theirs.get_weights(), strict=True):
        assert_alike(one, other)


@pytest.mark.parametrize("form", ["list", "dict"])
def test_what_is_not_optional(form: str):
    data = [None, Y] if form == "list" else {"x": None, "y": Y}
    for model in alike(form):
        with pytest.raises(ValueError, match="not optional"):
            model(data)
        with pytest.raises(ValueError, match="not optional"):
            model.fit(data, TARGET, verbose=0)


@pytest.mark.parametrize("form", ["list", "dict"])
def test_files(form: str, tmp_path: Path):
    mine, theirs = alike(form)
    mine.save(tmp_path / "mine.keras")
    theirs.save(tmp_path / "theirs.keras")
    read = keras.models.load_model(tmp_path / "mine.keras", custom_objects={"Optional": OF[keras]})
    also = nnx.models.load_model(tmp_path / "theirs.keras", custom_objects={"Optional": OF[nnx]})
    assert [layer.optional for layer in read.layers if type(layer).__name__ == "InputLayer"] == [False, True]
    assert [layer.optional for layer in also.input_layers] == [False, True]
    for y in (None, Y):
        expected = mine.predict(given(form, y), verbose=0)
        assert_alike(read.predict(given(form, y), verbose=0), expected)
        assert_alike(also.predict(given(form, y), verbose=0), expected)
