"""Saving and loading: the same model on every backend, and training that goes on as if it had not stopped."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import load_file

import nnx
from nnx.backends import Placement
from nnx.layers import Dense, Dropout, LeakyReLU
from nnx.random import Generator
from nnx.saving.files import read_file, write_file
from nnx.testing import assert_close
from nnx.testing.rows.optimizers import optimizer_cases

X = np.float32(Generator(1).normal((30, 4)))
LABELS = np.arange(30) % 3


def make(optimizer: Any = "adam", **options: Any) -> nnx.Sequential:
    nnx.random.set_seed(5)
    model = nnx.Sequential(
        [
            Dense(6, "tanh", input_dim=4, kernel_regularizer="l2", bias_constraint="max_norm"),
            Dropout(0.3),
            nnx.Sequential([Dense(5, activity_regularizer="l1"), LeakyReLU(0.1), Dropout(0.1, seed=4)], name="inner"),
            Dense(3, "softmax"),
        ]
    )
    model.compile(optimizer, "sparse_categorical_crossentropy", metrics=["acc"], **options)
    return model


def fit(model: nnx.Sequential, **options: Any) -> dict[str, list[float]]:
    history = model.fit(X, LABELS, batch_size=7, validation_split=0.2, verbose=0, **options).history
    return dict(history)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "model.safetensors"


def others(backend: Placement) -> list[tuple[str, str | None]]:
    found = [("numpy", None), ("array-api-strict", "device1"), ("torch", None)]
    return [place for place in found if nnx.available_backends()[place[0]] is None and place[0] != backend.name]


# Round trips


def test_saved_here_loaded_there(backend: Placement, path: Path):
    model = make(nnx.optimizers.Adam(0.01, amsgrad=True))
    fit(model, epochs=2)
    model.save(path)
    expected, state = model.predict(X, verbose=0), model.optimizer.state_arrays(model.flat)
    copies = []
    for name, device in [(backend.name, backend.device), *others(backend)]:
        with nnx.backend(name, device=device) as place:
            copy = nnx.models.load_model(path)
            assert place.holds(copy.flat.values)
        assert_close(copy.predict(X, verbose=0), expected, length=50)
        for old, new in zip(model.get_weights(), copy.get_weights(), strict=True):
            assert_close(new, old, 0.0, 0.0)
        for key, array in copy.optimizer.state_arrays(copy.flat).items():
            assert_close(array, state[key], 0.0, 0.0)
        assert copy.optimizer.iterations == model.optimizer.iterations
        copies.append(copy)
    expected_history = fit(model, epochs=2)
    for copy in copies:  # and training goes on the same way, masks and shuffles included
        history = fit(copy, epochs=2)
        for key, values in expected_history.items():
            assert_close(history[key], values, 1e-3)


def test_the_file_is_readable_by_safetensors_alone(backend: Placement, path: Path):
    model = make("sgd")
    model.add(Dense(2))
    model.compile(nnx.optimizers.SGD(momentum=0.9), "mse")
    model.fit(X, X[:, :2], verbose=0)
    model.save(path)
    arrays = load_file(path)
    assert sorted(name for name in arrays if not name.startswith("optimizer.")) == [
        "dense/bias",
        "dense/kernel",
        "dense_1/bias",
        "dense_1/kernel",
        "dense_2/bias",
        "dense_2/kernel",
        "inner/dense/bias",
        "inner/dense/kernel",
    ]
    assert arrays["optimizer.momentum/inner/dense/kernel"].shape == (6, 5)
    assert_close(arrays["dense_2/kernel"], model.get_weights()[-2], 0.0, 0.0)
    assert {array.dtype.name for array in arrays.values()} == {"float32"}
    with safe_open(path, framework="numpy") as file:
        metadata = file.metadata()
    config = json.loads(metadata["model"])
    assert config["class_name"] == "Sequential"
    assert config["config"] == json.loads(json.dumps(model.get_config()))


def test_load_gives_everything_back(path: Path):
    model = make(
        nnx.optimizers.SGD(nnx.schedules.CosineDecay(0.1, 50), momentum=0.5, clipnorm=1.0),
        loss_weights=0.5,
        weighted_metrics=["ce"],
    )
    history = fit(model, epochs=3)
    model.layers[0].trainable = False
    model.save(path)
    copy = nnx.models.load_model(path)
    assert copy.name == model.name
    assert copy.to_json() == model.to_json()
    assert copy.optimizer.get_config() == model.optimizer.get_config()
    assert copy.optimizer.learning_rate == model.optimizer.learning_rate
    assert copy.history.history == history
    assert copy.history.epoch == [0, 1, 2]
    assert not copy.layers[0].trainable
    assert copy.evaluate(X, LABELS, verbose=0) == model.evaluate(X, LABELS, verbose=0)
    assert copy.metrics_names == model.metrics_names == ["loss", "acc", "ce"]


def test_a_history_that_cannot_be_saved(path: Path):
    model = make("sgd")
    note = nnx.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: logs.update(note={1, 2}))
    fit(model, callbacks=[note])
    with pytest.raises(TypeError, match="the history has what cannot be saved, which a callback has put there"):
        model.save(path)
    assert not path.exists()


def test_without_compile(path: Path):
    model = make()
    fit(model)
    model.save(path)
    copy = nnx.models.load_model(path, compile=False)
    assert copy.optimizer is None
    with pytest.raises(ValueError, match="must be compiled first"):
        copy.fit(X, LABELS, verbose=0)
    copy.compile("sgd", "sparse_categorical_crossentropy")
    fit(copy)


def test_a_model_that_was_never_compiled(path: Path):
    model = nnx.Sequential([Dense(2, input_dim=4)])
    model.save(path)
    copy = nnx.models.load_model(path)
    assert copy.optimizer is None
    assert_close(copy.predict(X, verbose=0), model.predict(X, verbose=0), 0.0, 0.0)


@pytest.mark.parametrize("dtype", ["float64", "float16"])
def test_other_dtypes(path: Path, dtype: str):
    with nnx.backend("numpy", dtype=dtype):
        model = nnx.Sequential([Dense(2, input_dim=4)])
        model.compile(nnx.optimizers.SGD(momentum=0.9), "mse")
        model.fit(X, X[:, :2], verbose=0)
        model.save(path)
        copy = nnx.models.load_model(path)
    dtypes = {name.startswith("optimizer."): array.dtype.name for name, array in load_file(path).items()}
    assert dtypes == {False: dtype, True: "float32" if dtype == "float16" else dtype}
    assert_close(copy.flat.values, model.flat.values, 0.0, 0.0, like=model.flat.values)


def test_forms_of_the_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    model = make()
    monkeypatch.chdir(tmp_path)
    for path in (tmp_path / "a", str(tmp_path / "b"), "c", Path("d")):
        model.save(path)
        nnx.models.load_model(path)
        nnx.models.save_model(model, path)
        nnx.saving.load_model(path)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["a", "b", "c", "d"]
    for name in ("model.h5", "model.hdf5", "model.weights.h5"):
        with pytest.warns(
            UserWarning, match=rf"{name} is a safetensors file, which nnx reads and Keras does not: call it"
        ):
            model.save(tmp_path / name)
        nnx.models.load_model(tmp_path / name)


def test_a_name_of_keras_without_h5py(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    model = make()
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    for name, save in (("model.keras", model.save), ("x.weights.h5", model.save_weights)):
        with pytest.warns(UserWarning, match=r"Keras does not: pip install 'nnx-array\[keras-files\]', or call it"):
            save(tmp_path / name)
    assert (nnx.models.load_model(tmp_path / "model.keras").get_weights()[0] == model.get_weights()[0]).all()
    model.load_weights(tmp_path / "x.weights.h5")


# Training goes on as if it had not stopped


@pytest.mark.parametrize(("title", "optimizer"), optimizer_cases(), ids=lambda value: str(value)[:20])
def test_training_goes_on_to_the_last_bit(path: Path, title: str, optimizer: Callable[[], Any]):
    whole, first = make(optimizer()), make(optimizer())
    averages = whole.optimizer.use_ema  # they replace the weights at the end of every fit
    history = [fit(whole, epochs=2), fit(whole, epochs=4, initial_epoch=2)] if averages else [fit(whole, epochs=4)]
    fit(first, epochs=2)
    first.save(path)
    nnx.random.set_seed(99)  # another process: its default stream is elsewhere
    nnx.random.default().uniform((7,))
    second = nnx.models.load_model(path)
    halves = [first.history.history, fit(second, epochs=4, initial_epoch=2)]
    assert second.history.epoch == [2, 3]
    for key in halves[0]:
        joined = [value for part in history for value in part[key]]
        assert halves[0][key] + halves[1][key] == joined
    assert_close(second.flat.values, whole.flat.values, 0.0, 0.0)
    assert second.optimizer.iterations == whole.optimizer.iterations


def test_in_the_middle_of_accumulating_gradients(path: Path):
    def steps(model: nnx.Sequential, count: int) -> None:
        for _ in range(count):
            model.train_on_batch(X, LABELS)

    whole, first = (make(nnx.optimizers.Adam(0.1, gradient_accumulation_steps=3)) for _ in range(2))
    steps(whole, 6)
    steps(first, 4)
    first.save(path)
    second = nnx.models.load_model(path)
    steps(second, 2)
    assert_close(second.flat.values, whole.flat.values, 0.0, 0.0)


def test_a_learning_rate_that_was_changed(path: Path):
    model = make("adam")
    model.optimizer.learning_rate = 0.25
    model.save(path)
    assert nnx.models.load_model(path).optimizer.learning_rate == 0.25


def test_random_streams_are_saved_one_by_one(path: Path):
    model = make()
    fit(model)
    model.save(path)
    copy = nnx.models.load_model(path)
    for layer, same in zip(model.walk(), copy.walk(), strict=True):
        assert layer[0] == same[0]
        if layer[1].random is not None:
            assert layer[1].random.state() == same[1].random.state()
            assert layer[1].random is not same[1].random


# Weights alone


def test_weights_go_from_one_model_to_another(backend: Placement, path: Path):
    model, other = make(), make()
    fit(model)
    for save in (model.save_weights, model.save):
        save(path)
        other.set_weights([weight + 1.0 for weight in other.get_weights()])
        other.load_weights(path)
        for mine, theirs in zip(model.get_weights(), other.get_weights(), strict=True):
            assert_close(theirs, mine, 0.0, 0.0)
    assert other.optimizer.iterations == 0
    model.save_weights(path)
    with pytest.raises(ValueError, match="it has only weights: build the model and call load_weights"):
        nnx.models.load_model(path)


def test_a_format_of_a_later_version_is_named(path: Path):
    make().save(path)
    arrays, metadata = read_file(path)
    write_file(path, arrays, {**metadata, "format": "nnx-model-9"})
    with pytest.raises(ValueError, match="its format 'nnx-model-9' is not known to this version"):
        nnx.models.load_model(path)


def test_skip_mismatch(path: Path):
    model = nnx.Sequential([Dense(3, input_dim=4), Dense(2), Dense(1)])
    model.save_weights(path)
    other = nnx.Sequential([Dense(3, input_dim=4), Dense(5), Dense(1, name="last")])
    before = other.get_weights()
    with pytest.raises(ValueError, match=r"dense_1/kernel has shape \(3, 5\), in the file \(3, 2\).*last/kernel"):
        other.load_weights(path)
    for old, new in zip(before, other.get_weights(), strict=True):
        assert_close(new, old, 0.0, 0.0)
    with pytest.warns(UserWarning, match=r"dense_2/kernel is in the file, the model has no such parameter"):
        other.load_weights(path, skip_mismatch=True)
    assert_close(other.get_weights()[0], model.get_weights()[0], 0.0, 0.0)
    assert_close(other.get_weights()[2], before[2], 0.0, 0.0)


def test_the_dtype_is_kept(tmp_path: Path):
    with nnx.backend("numpy", dtype="float64"):
        model = nnx.Sequential([Dense(2, input_dim=3)])
    model.save(tmp_path / "model.safetensors")
    loaded = nnx.models.load_model(tmp_path / "model.safetensors")
    assert loaded.placement.dtype == "float64"
    assert [weight.dtype for weight in loaded.get_weights()] == [np.float64] * 2
