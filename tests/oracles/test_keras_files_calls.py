"""Calls in files of Keras against Keras 3: what is given by name, and above all `training`."""

from __future__ import annotations

import inspect
import json
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

keras = pytest.importorskip("keras", reason="Keras is not installed: pip install 'nnx-array[oracle]'")
pytest.importorskip("h5py", reason="h5py is not installed: pip install 'nnx-array[keras-files]'")

import nnx  # noqa: E402
from nnx.random import Generator  # noqa: E402
from nnx.saving.keras_files.training_flag import read_flag  # noqa: E402
from nnx.testing import assert_close  # noqa: E402

pytestmark = pytest.mark.filterwarnings(
    "ignore:__array__ implementation doesn't accept a copy:DeprecationWarning",
    "ignore:.*does not have a `build:UserWarning",
)

X = np.float32(Generator(1).normal((8, 6)))
Y = np.float32(Generator(2).normal((8, 2)))
Build = Callable[[Any, Any], Any]  # of a library, on the symbol of an input (6,)


def base(lib: Any) -> Any:
    parts = [lib.layers.Dense(4), lib.layers.BatchNormalization(), lib.layers.Dropout(0.5)]
    return lib.Sequential([lib.Input((6,)), *parts], name="base")


def graph(lib: Any) -> Any:
    x = lib.Input((6,))
    return lib.Model(x, lib.layers.BatchNormalization(name="inside")(x, training=False), name="graph")


def sequence(lib: Any, x: Any) -> Any:
    return lib.layers.Reshape((3, 2))(x)


SAID: dict[str, tuple[Build, dict[str, Any]]] = {
    "stack": (lambda lib, x: base(lib)(x, training=False), {"base": [{"training": False}]}),
    "graph": (lambda lib, x: graph(lib)(x), {"graph": [{}]}),
    "stack in a stack": (
        lambda lib, x: lib.Sequential([lib.Input((6,)), base(lib)], name="outer")(x, training=False),
        {"outer": [{"training": False}]},
    ),
    "normalization": (
        lambda lib, x: lib.layers.BatchNormalization(name="one")(x, training=False),
        {"one": [{"training": False}]},
    ),
    "shared": (
        lambda lib, x: (lambda one: one(one(x), training=False))(lib.layers.BatchNormalization(name="one")),
        {"one": [{}, {"training": False}]},
    ),
    "wrapper": (
        lambda lib, x: lib.layers.TimeDistributed(lib.layers.Dropout(0.5), name="one")(
            sequence(lib, x), training=False
        ),
        {"one": [{"training": False}]},
    ),
    "both directions": (
        lambda lib, x: lib.layers.Bidirectional(lib.layers.LSTM(3, dropout=0.5), name="one")(
            sequence(lib, x), training=False
        ),
        {"one": [{"training": False}]},
    ),
    "attention": (
        lambda lib, x: (lambda s: lib.layers.MultiHeadAttention(2, 3, dropout=0.5, name="one")(
            s, s, training=False, use_causal_mask=True
        ))(sequence(lib, x)),
        {"one": [{"training": False, "use_causal_mask": True}]},
    ),
}  # fmt: skip

NOT_SAID: dict[str, Build] = {
    "dropout": lambda lib, x: lib.layers.Dropout(0.5)(x),
    "noise": lambda lib, x: lib.layers.GaussianNoise(0.5)(x),
    "lstm": lambda lib, x: lib.layers.LSTM(3, dropout=0.5)(sequence(lib, x)),
    "cells": lambda lib, x: lib.layers.RNN(lib.layers.GRUCell(3, dropout=0.5))(sequence(lib, x)),
    "attention": lambda lib, x: lib.layers.Attention(dropout=0.5)([sequence(lib, x)] * 2),
    "images": lambda lib, x: lib.layers.RandomFlip()(lib.layers.Reshape((3, 2, 1))(x)),
    "spectrum": lambda lib, x: lib.layers.SpectralNormalization(lib.layers.Dense(3))(x),
    "stack": lambda lib, x: base(lib)(x),
}


def model_of(lib: Any, build: Build) -> Any:
    x = lib.Input((6,))
    model = lib.Model(x, lib.layers.Dense(2)(lib.layers.Flatten()(build(lib, x))))
    generator = Generator(3)
    model.set_weights([np.float32(generator.uniform(w.shape, 0.2, 1.0)) for w in model.get_weights()])
    return model


def written(path: Path) -> dict[str, list[dict[str, Any]]]:
    """What a file says by name in the calls of the layers, without what says nothing."""
    config = json.loads(zipfile.ZipFile(path).read("config.json"))["config"]
    return {layer["name"]: [_said(call["kwargs"]) for call in layer["inbound_nodes"]] for layer in config["layers"]}


def _said(options: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in options.items() if value is not None}


def calls(model: Any) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = {}
    for node in model.composition.program.nodes:
        found.setdefault(node.layer.name, []).append(dict(node.options))
    return found


def assert_equal_predictions(one: Any, other: Any) -> None:
    assert_close(np.asarray(one.predict(X, verbose=0)), np.asarray(other.predict(X, verbose=0)), 2e-5, 2e-5)


def saved(model: Any, path: Path) -> Path:
    """A file of a model of nnx, with a warning where Keras 3 trains it otherwise."""
    with pytest.warns(UserWarning, match="Keras 3 gives it the training of the whole model"):
        model.save(path)
    return path


@pytest.mark.parametrize("name", SAID)
def test_training_in_a_call_is_read(name: str, tmp_path: Path):
    build, said = SAID[name]
    theirs = model_of(keras, build)
    theirs.save(tmp_path / "m.keras")
    ours = nnx.models.load_model(tmp_path / "m.keras")
    assert {one: calls(ours)[one] for one in said} == said
    assert_equal_predictions(ours, theirs)
    if name == "graph":
        inner = next(layer for layer in ours.layers if layer.name == "graph")
        assert calls(inner)["inside"] == [{"training": False}]


@pytest.mark.parametrize("name", SAID)
def test_training_in_a_call_is_written(name: str, tmp_path: Path):
    build, said = SAID[name]
    ours = model_of(nnx, build)
    path = saved(ours, tmp_path / "m.keras")
    assert {one: written(path)[one] for one in said} == said
    theirs = keras.saving.load_model(path)
    assert_equal_predictions(ours, theirs)
    theirs.save(tmp_path / "theirs.keras")
    assert {one: written(tmp_path / "theirs.keras")[one] for one in said} == said
    for file in ("m.keras", "theirs.keras"):
        again = nnx.models.load_model(tmp_path / file)
        assert {one: calls(again)[one] for one in said} == said
        assert_equal_predictions(again, ours)


@pytest.mark.parametrize("name", ["stack", "graph", "normalization"])
def test_what_is_read_trains_like_the_same_script_in_nnx(name: str, tmp_path: Path):
    """At inference, as Keras documents it. Keras 3 itself trains the layer; where it is frozen, both do the same."""
    theirs = model_of(keras, SAID[name][0])
    theirs.save(tmp_path / "m.keras")
    ours, script = nnx.models.load_model(tmp_path / "m.keras"), model_of(nnx, SAID[name][0])
    for model in (ours, script):
        model.compile(nnx.optimizers.SGD(0.01), "mse")
    losses = [
        model.fit(X, Y, batch_size=4, epochs=3, shuffle=False, verbose=0).history["loss"] for model in (ours, script)
    ]
    assert_close(np.asarray(losses[0]), np.asarray(losses[1]), 1e-5, 1e-5)
    moved = [one for one in ours.non_trainable_weights if "moving" in one.path]
    kept = [np.asarray(one) for one in theirs.non_trainable_weights if "moving" in one.path]
    assert moved
    for weight, before in zip(moved, kept, strict=True):
        assert_close(weight.numpy(), before, 0.0, 0.0)


def fine_tuned(lib: Any, frozen: bool) -> Any:
    """A head on a base that is called with training=False."""
    x = lib.Input((6,))
    parts = [lib.layers.Dense(4, "tanh"), lib.layers.BatchNormalization()]
    inner = lib.Sequential([lib.Input((6,)), *parts], name="base")
    inner.trainable = not frozen
    model = lib.Model(x, lib.layers.Dense(2)(inner(x, training=False)))
    generator = Generator(4)
    model.set_weights([np.float32(generator.uniform(w.shape, 0.2, 1.0)) for w in model.get_weights()])
    model.compile(lib.optimizers.Adam(0.01), "mse")
    return model


def losses(model: Any) -> np.ndarray:
    return np.asarray(model.fit(X, Y, batch_size=4, epochs=3, shuffle=False, verbose=0).history["loss"])


@pytest.mark.filterwarnings("ignore:Skipping variable loading for optimizer")
@pytest.mark.parametrize("writes", ["nnx", "keras"])
def test_a_frozen_base_is_trained_with_the_same_losses(writes: str, tmp_path: Path):
    here, there = (nnx, keras) if writes == "nnx" else (keras, nnx)
    model = fine_tuned(here, frozen=True)
    model.save(tmp_path / "m.keras")
    back = there.models.load_model(tmp_path / "m.keras")
    assert_close(losses(back), losses(model), 1e-5, 1e-5)
    assert_equal_predictions(back, model)


def test_keras_trains_a_base_that_is_called_at_inference(tmp_path: Path):
    """Where this fails, Keras does what it documents: then nnx and Keras do the same, and no warning is due."""
    theirs = fine_tuned(keras, frozen=False)
    before = np.asarray(theirs.get_layer("base").layers[1].moving_mean)
    losses(theirs)
    assert np.abs(np.asarray(theirs.get_layer("base").layers[1].moving_mean) - before).min() > 0.0
    ours = fine_tuned(nnx, frozen=False)
    losses(ours)
    assert_close(ours.get_layer("base").layers[1].moving_mean.numpy(), before, 0.0, 0.0)


@pytest.mark.parametrize("name", NOT_SAID)
def test_what_keras_writes_by_itself_says_nothing(name: str, tmp_path: Path):
    """Keras writes `training=False` into the call of every Dropout, which drops in training nevertheless."""
    build = NOT_SAID[name]
    model_of(keras, build).save(tmp_path / "m.keras")
    ours = nnx.models.load_model(tmp_path / "m.keras")
    assert not any(options for found in calls(ours).values() for options in found)
    ours.save(tmp_path / "ours.keras")
    assert not any(options for found in written(tmp_path / "ours.keras").values() for options in found)
    assert_equal_predictions(ours, keras.saving.load_model(tmp_path / "ours.keras"))


@pytest.mark.parametrize(
    "build",
    [
        lambda lib, x: lib.layers.Dropout(0.5, name="one")(x, training=True),
        lambda lib, x: lib.layers.LSTM(3, dropout=0.5, name="one")(sequence(lib, x), training=True),
        lambda lib, x: base(lib)(x, training=True),
    ],
)
def test_dropout_that_always_drops_goes_both_ways(build: Build, tmp_path: Path):
    model_of(keras, build).save(tmp_path / "theirs.keras")
    ours = nnx.models.load_model(tmp_path / "theirs.keras")
    saved(ours, tmp_path / "ours.keras")
    for model in (ours, nnx.models.load_model(tmp_path / "ours.keras")):
        assert np.ptp([model.predict(X, verbose=0) for _ in range(4)], axis=0).max() > 0.0
    back = keras.saving.load_model(tmp_path / "ours.keras")
    assert np.ptp([np.asarray(back([X])) for _ in range(4)], axis=0).max() > 0.0
    assert np.ptp([back.predict(X, verbose=0) for _ in range(4)], axis=0).max() == 0.0, "Keras keeps it in predict now"


BOTH = sorted(
    name
    for name in nnx.layers.__all__
    if inspect.isclass(kind := getattr(nnx.layers, name))
    and issubclass(kind, nnx.layers.Layer)
    and hasattr(keras.layers, name)
    and kind is not nnx.layers.Layer
)


def test_the_training_that_keras_calls_layers_with():
    wrong = []
    for name in BOTH:
        parameter = inspect.signature(getattr(keras.layers, name).call).parameters.get("training")
        expected = None if parameter is None else parameter.default
        kind = getattr(nnx.layers, name)
        layer = kind.__new__(kind)
        found = [value for value in (True, False) if read_flag(layer, value) is None]
        if found != ([] if expected is None else [expected]):
            wrong.append(f"{name}: {found}, in Keras {expected}")
    assert not wrong, "\n".join(wrong)
    assert len(BOTH) > 100


# Layers of one's own


def scaled(lib: Any) -> Any:
    class Scaled(lib.layers.Layer):
        def call(self, x: Any, factor: float = 1.0, extra: Any = None, twice: bool = False, pair: Any = (0, 1)) -> Any:
            y = x * factor + pair[1]
            y = y if extra is None else y - extra
            return y + y if twice else y

        def compute_output_shape(self, input_shape: Any, *more: Any, **options: Any) -> Any:
            return input_shape

    return Scaled


@pytest.mark.parametrize(
    "options",
    [{"factor": 3.0}, {"twice": True}, {"extra": True}, {"extra": True, "factor": 0.5, "twice": True, "pair": [1, 2]}],
    ids=["number", "flag", "array", "all"],
)
@pytest.mark.parametrize("writes", ["nnx", "keras"])
def test_options_of_calls_go_both_ways(options: dict[str, Any], writes: str, tmp_path: Path):
    here, there = (nnx, keras) if writes == "nnx" else (keras, nnx)
    kind = scaled(here)

    def build(lib: Any, x: Any) -> Any:
        given = {**options, "extra": lib.layers.Dense(6)(x)} if "extra" in options else options
        return kind(name="one")(x, **given)

    model = model_of(here, build)
    model.save(tmp_path / "m.keras")
    assert written(tmp_path / "m.keras")["one"][0].keys() == options.keys()
    for lib in (here, there):
        back = lib.models.load_model(tmp_path / "m.keras", custom_objects={"Scaled": scaled(lib)})
        assert_equal_predictions(back, model)


def test_masks_given_to_calls_go_both_ways(tmp_path: Path):
    def build(lib: Any) -> Any:
        x, mask = lib.Input((3, 2)), lib.Input((3,), dtype="bool")
        y = lib.layers.LSTM(3, return_sequences=True)(x, mask=mask)
        return lib.Model([x, mask], lib.layers.GlobalAveragePooling1D()(y, mask=mask))

    data = [X.reshape(8, 3, 2), np.arange(24).reshape(8, 3) % 4 > 0]
    for here, there in ((nnx, keras), (keras, nnx)):
        model = build(here)
        model.save(tmp_path / "m.keras")
        back = there.models.load_model(tmp_path / "m.keras")
        assert_close(np.asarray(back.predict(data, verbose=0)), np.asarray(model.predict(data, verbose=0)), 2e-5, 2e-5)


def decoder(lib: Any, masked: bool) -> Any:
    words, spoken = lib.Input((4,), dtype="int32"), lib.Input((4,), dtype="int32")
    _, *states = lib.layers.LSTM(3, return_state=True)(lib.layers.Embedding(9, 2, mask_zero=masked)(words))
    embedded = lib.layers.Embedding(9, 2, mask_zero=masked)(spoken)
    steps = lib.layers.LSTM(3, return_sequences=True, name="decoder")(embedded, initial_state=states)
    return lib.Model([words, spoken], lib.layers.Dense(2)(steps))


@pytest.mark.parametrize("writes", ["nnx", "keras"])
def test_a_mask_beside_a_state_is_said_to_differ(writes: str, tmp_path: Path):
    """Keras 3 does not use it; with sequences of full length, or without a mask, the predictions are equal."""
    one, other = (nnx, keras) if writes == "nnx" else (keras, nnx)
    words = np.asarray([[1, 2, 0, 0], [3, 4, 5, 0]], np.int32)
    for masked in (False, True):
        made = decoder(one, masked)
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            made.save(tmp_path / "model.keras")
            read = other.models.load_model(tmp_path / "model.keras")
        messages = [str(each.message) for each in said]
        about_masks = [one for one in messages if "initial_state= on a sequence with a mask" in one]
        assert len(about_masks) == masked, about_masks
        assert all(message.startswith("decoder is called") for message in about_masks)
        full = np.maximum(words, 1)
        assert_close(np.asarray(read.predict([full] * 2, verbose=0)), made.predict([full] * 2, verbose=0), length=9)
        found, expected = (np.asarray(model.predict([words] * 2, verbose=0)) for model in (read, made))
        assert np.allclose(found, expected, atol=1e-6) != masked, "Keras uses the mask now"
