"""Files in Keras' formats that nnx writes: what is in them, what they are read as, and what is refused."""

from __future__ import annotations

import contextlib
import io
import json
import re
import struct
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nnx
from nnx import layers
from nnx.layers import Dense, Input
from nnx.models import load_model
from nnx.random import Generator
from nnx.saving.files import write_file
from nnx.saving.keras_files import hdf5
from nnx.saving.model_file import contents, describe
from nnx.testing import assert_close

h5py = pytest.importorskip("h5py", reason="h5py is not installed: pip install 'nnx-array[keras-files]'")

X = np.float32(Generator(1).normal((12, 4)))
Y = np.float32(Generator(2).normal((12, 2)))


def make(optimizer: Any = "adam") -> nnx.Sequential:
    nnx.random.set_seed(3)
    model = nnx.Sequential([Input((4,)), Dense(3, "tanh", name="first"), layers.BatchNormalization(), Dense(2)])
    model.compile(optimizer, "mse", metrics=["mae"])
    model.fit(X, Y, batch_size=4, epochs=2, verbose=0)
    return model


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "m.keras"


@pytest.fixture
def saved(path: Path) -> Path:
    """A .keras file."""
    make().save(path)
    return path


def members(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def pack(path: Path, parts: dict[str, bytes]) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        for name, part in parts.items():
            archive.writestr(name, part)


def change_config(path: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    """Change the description in a .keras file."""
    parts = members(path)
    config = json.loads(parts["config.json"])
    change(config)
    pack(path, {**parts, "config.json": json.dumps(config).encode()})


def change_weights(path: Path, change: Callable[[Any], Any]) -> None:
    """Change the weights in a .keras file, or those in a file of HDF5."""
    data = members(path)["model.weights.h5"] if path.suffix == ".keras" else path.read_bytes()
    target = io.BytesIO(data)
    with h5py.File(target, "r+") as file:
        change(file)
    if path.suffix == ".keras":
        pack(path, {**members(path), "model.weights.h5": target.getvalue()})
    else:
        path.write_bytes(target.getvalue())


def write_legacy(model: Any, path: Path) -> None:
    """A whole model as Keras 2 and 3 write it to .h5."""
    model.save(path.with_name("of_legacy.keras"))
    config = json.loads(members(path.with_name("of_legacy.keras"))["config.json"])
    with h5py.File(path, "w") as file:
        training = config.pop("compile_config")
        training["optimizer_config"] = training.pop("optimizer")
        file.attrs["model_config"], file.attrs["training_config"] = json.dumps(config), json.dumps(training)
        weights = file.create_group("model_weights")
        weights.attrs["layer_names"] = [layer.name.encode() for layer in model.layers]
        for layer in model.layers:
            group = weights.create_group(layer.name)
            parameters = [*layer.trainable_weights, *layer.non_trainable_weights]
            group.attrs["weight_names"] = [f"{layer.name}/{parameter.name}:0".encode() for parameter in parameters]
            for parameter in parameters:
                group[f"{layer.name}/{parameter.name}:0"] = parameter.numpy()


def assert_same(one: Any, other: Any) -> None:
    for mine, expected in zip(one.get_weights(), other.get_weights(), strict=True):
        assert_close(mine, expected, 0.0, 0.0)


# What is written


def test_a_keras_file_has_three_parts(saved: Path):
    with zipfile.ZipFile(saved) as archive:
        assert archive.namelist() == ["metadata.json", "config.json", "model.weights.h5"]
        assert {info.compress_type for info in archive.infolist()} == {zipfile.ZIP_STORED}
        assert archive.testzip() is None
    config = json.loads(members(saved)["config.json"])
    assert [layer["class_name"] for layer in config["config"]["layers"]] == [
        *("InputLayer", "Dense", "BatchNormalization", "Dense"),
    ]
    with h5py.File(io.BytesIO(members(saved)["model.weights.h5"])) as file:
        assert file["layers/dense/vars/0"].shape == (4, 3)
        assert file["layers/dense_1/vars/1"].shape == (2,)
        assert [file["layers/batch_normalization/vars"][str(i)].shape for i in range(4)] == [(3,)] * 4
        assert file["layers/dense/vars"].attrs["name"] == "first"
        assert file["optimizer/vars/0"][()] == 6
        assert len(file["optimizer/vars"]) == 2 + 2 * 6


def test_nothing_is_written_that_keras_3_0_refuses(path: Path):
    """Keys that later versions brought are only written with values that they brought."""
    nnx.random.set_seed(1)
    x = Input((5, 4))
    y = layers.MultiHeadAttention(2, 3)(x, x)
    y = layers.GroupQueryAttention(3, 2, 1)(y, y)
    y = layers.Bidirectional(layers.LSTM(3, return_sequences=True))(y)
    model = nnx.Model(x, layers.GRU(2)(layers.LayerNormalization()(y)))
    model.compile("sgd", nnx.losses.Huber(0.5), metrics=[nnx.metrics.MeanAbsoluteError()])
    model.save(path)
    text = members(path)["config.json"].decode()
    attention = json.loads(text)["config"]["layers"][2]["config"]
    assert "head_dim" in attention
    assert "seed" not in attention
    assert "dtype" not in json.loads(text)["compile_config"]["loss"]["config"]
    for key in ("use_gate", "sliding_window", "flash_attention", "zero_output_for_mask", "rms_scaling", "optional"):
        assert f'"{key}"' not in text
    assert '"OrthogonalInitializer"' in text
    assert '"Orthogonal"' not in text


@pytest.mark.parametrize("name", ["m.keras", "m.safetensors"])
def test_a_loss_keeps_its_dtype(name: str, tmp_path: Path):
    """Keras 3.15 forgets it."""
    model = nnx.Sequential([Input((1,)), Dense(1, kernel_initializer="ones")])
    model.compile("sgd", nnx.losses.MeanAbsoluteError(dtype="float16"))
    model.save(tmp_path / name)
    loss = nnx.models.load_model(tmp_path / name).train_on_batch([[1.0003]], [[0.0]])
    assert loss == 1.0  # float16 has nothing between 1 and 1.001


def test_names_say_what_is_written(tmp_path: Path):
    model = make()
    for save, name in ((model.save, "m.h5"), (model.save, "m.weights.h5"), (model.save_weights, "m.keras")):
        with pytest.warns(UserWarning, match=r"Keras does not: call it \.keras for a model, \.weights\.h5 for weights"):
            save(tmp_path / name)
        assert (tmp_path / name).read_bytes()[8:9] == b"{"  # safetensors
    model.save(tmp_path / "m.keras")
    with pytest.raises(FileExistsError):
        model.save(tmp_path / "m.keras", overwrite=False)


def test_equal_models_are_equal_bytes(tmp_path: Path):
    for name in ("a", "b"):
        model = make()
        model.save(tmp_path / f"{name}.keras")
        model.save_weights(tmp_path / f"{name}.weights.h5")
    assert (tmp_path / "a.keras").read_bytes() == (tmp_path / "b.keras").read_bytes()
    assert (tmp_path / "a.weights.h5").read_bytes() == (tmp_path / "b.weights.h5").read_bytes()


def test_an_error_leaves_the_old_file(saved: Path, monkeypatch: pytest.MonkeyPatch):
    old = saved.read_bytes()
    anonymous = nnx.Sequential([Input((4,)), layers.Lambda(lambda x: (x, lambda dy: dy)), Dense(2)])
    with pytest.raises(TypeError, match="lambda"):
        anonymous.save(saved)

    def fail(*_: Any) -> None:
        raise OSError("the disk is full")

    monkeypatch.setattr(zipfile.ZipFile, "writestr", fail)
    with pytest.raises(OSError, match="the disk is full"):
        make().save(saved)
    assert saved.read_bytes() == old
    assert [file.name for file in saved.parent.iterdir()] == [saved.name]


def test_without_h5py(saved: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "h5py", None)
    model, old = make(), saved.read_bytes()
    for act in (load_model, model.load_weights):
        with pytest.raises(ImportError, match=r"m\.keras: pip install 'nnx-array\[keras-files\]'"):
            act(saved)
    assert saved.read_bytes() == old
    for save, name in ((model.save, "n.keras"), (model.save_weights, "n.weights.h5")):
        with pytest.warns(UserWarning, match=rf"{name} is a safetensors file.*pip install 'nnx-array\[keras-files\]'"):
            save(saved.parent / name)


# What is read


@pytest.mark.parametrize(
    "optimizer",
    [
        lambda: nnx.optimizers.SGD(0.1, momentum=0.9),
        lambda: nnx.optimizers.Adam(0.01, amsgrad=True, use_ema=True),
        lambda: nnx.optimizers.Nadam(0.01),
        lambda: nnx.optimizers.RMSprop(0.01, momentum=0.5, centered=True),
        lambda: nnx.optimizers.Adafactor(0.01),
        lambda: nnx.optimizers.Muon(0.01),
        lambda: nnx.optimizers.Adam(nnx.schedules.ExponentialDecay(0.1, 4, 0.5)),
        lambda: nnx.optimizers.Adam(0.01, gradient_accumulation_steps=4),
        lambda: nnx.optimizers.RMSprop(0.01, decay=0.1),
    ],
    ids=["SGD", "Adam", "Nadam", "RMSprop", "Adafactor", "Muon", "schedule", "accumulation", "decay"],
)
def test_training_goes_on_as_it_would_have(path: Path, optimizer: Any, backend: Any):
    model = make(optimizer())
    model.save(path)
    again = load_model(path)
    assert_same(again, model)
    assert again.optimizer.iterations == model.optimizer.iterations
    for one in (model, again):
        one.train_on_batch(X, Y)
        one.train_on_batch(X, Y)
    for mine, expected in zip(again.get_weights(), model.get_weights(), strict=True):
        assert_close(mine, expected, 0.0, 1e-6)


@pytest.mark.parametrize(
    "optimizer",
    [
        lambda: nnx.optimizers.SGD(0.1),
        lambda: nnx.optimizers.Adam(0.01, use_ema=True),
        lambda: nnx.optimizers.Nadam(0.01),
        lambda: nnx.optimizers.Muon(0.01),
        lambda: nnx.optimizers.Adafactor(0.01),
        lambda: nnx.optimizers.Adam(0.01, loss_scale_factor=64.0),
        lambda: nnx.optimizers.LossScaleOptimizer("adam", 2.0**40, 3),
    ],
    ids=["SGD", "Adam", "Nadam", "Muon", "Adafactor", "fixed scale", "scale that moves"],
)
def test_training_in_float16_goes_on(path: Path, optimizer: Any):
    """With the same float32 copies and scale of the loss: to the last bit."""
    with nnx.backend("numpy", dtype="float16"):
        model = make(optimizer())
        model.save(path)
    loaded = load_model(path)
    for one in (loaded, model):
        one.fit(X, Y, batch_size=4, epochs=3, verbose=0, shuffle=False)
    state, expected = loaded.optimizer.state(), model.optimizer.state()
    assert tuple(state.pop("loss_scale")) == tuple(expected.pop("loss_scale"))
    assert state == expected
    slots, wanted = (one.optimizer.state_arrays(one.flat) for one in (loaded, model))
    assert set(slots) == set(wanted)
    for name in slots:
        assert_close(slots[name], wanted[name], 0.0, 0.0)


def test_float16_is_mixed_precision_in_a_file(path: Path):
    """Weights are float32 in it, and those of an optimizer are inside of one that scales the loss."""
    with nnx.backend("numpy", dtype="float16"):
        nnx.random.set_seed(3)
        model = nnx.Sequential([Input((4,)), Dense(3), Dense(2, dtype="float32")])
        model.compile(nnx.optimizers.LossScaleOptimizer("adam", 2.0**40, 3), "mse")
        model.fit(X, Y, batch_size=4, verbose=0)
    model.save(path)
    config = json.loads(members(path)["config.json"])
    assert [layer["config"]["dtype"] for layer in config["config"]["layers"]] == ["float32", "mixed_float16", "float32"]
    scaling = config["compile_config"]["optimizer"]
    assert scaling["class_name"] == "LossScaleOptimizer"
    assert scaling["config"]["dynamic_growth_steps"] == 3
    assert scaling["config"]["inner_optimizer"]["class_name"] == "Adam"
    with h5py.File(io.BytesIO(members(path)["model.weights.h5"])) as file:
        master = model.optimizer.state_arrays(model.flat)["master/dense/kernel"]
        assert_close(file["layers/dense/vars/0"][()], master, 0.0, 0.0)
        assert len(file["optimizer/inner_optimizer/vars"]) == 2 + 2 * 4
        assert len(file["optimizer/vars"]) == 4 + 2 + 2 * 4
        assert (file["optimizer/vars/2"][()], file["optimizer/vars/3"][()]) == (0, 2.0**37)
    model.set_weights([weight * 0 + 1 for weight in model.get_weights()])  # the copies are not what is trained now
    model.save_weights(path.with_suffix(".weights.h5"))
    with h5py.File(path.with_suffix(".weights.h5")) as file:
        assert file["layers/dense/vars/0"].dtype == np.float32
        assert_close(file["layers/dense/vars/0"][()], np.ones((4, 3)), 0.0, 0.0)
    with nnx.backend("numpy", dtype="float16"):
        model.compile(nnx.optimizers.Adam(loss_scale_factor=8.0), "mse")
    model.save(path)
    compiled = json.loads(members(path)["config.json"])["compile_config"]
    assert compiled["optimizer"]["class_name"] == "Adam"
    assert compiled["auto_scale_loss"] is False


def test_without_compiling(saved: Path):
    model = load_model(saved, compile=False)
    assert model.optimizer is None
    assert_same(model, make())


def test_a_folder_with_an_unpacked_file(saved: Path, tmp_path: Path):
    folder = tmp_path / "unpacked"
    folder.mkdir()
    for name, part in members(saved).items():
        (folder / name).write_bytes(part)
    assert_same(load_model(folder), make())


def test_compressed_members_are_read(saved: Path):
    parts = members(saved)
    with zipfile.ZipFile(saved, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, part in parts.items():
            archive.writestr(name, part)
    assert_same(load_model(saved), make())


def test_names_do_not_matter_for_reading(saved: Path, tmp_path: Path):
    saved.rename(tmp_path / "m.safetensors")
    assert_same(load_model(tmp_path / "m.safetensors"), make())


@pytest.mark.parametrize("name", ["m.keras", "m.h5", "m.weights.h5"])
def test_files_of_earlier_versions_of_nnx(tmp_path: Path, name: str):
    """They were safetensors under any name."""
    model = make()
    write_file(tmp_path / name, *contents(model, describe(model)))
    assert_same(load_model(tmp_path / name), model)
    other = make("sgd")
    other.load_weights(tmp_path / name)
    assert_same(other, model)


def test_weights_of_all_formats(tmp_path: Path):
    model = make()
    model.save(tmp_path / "m.keras")
    model.save_weights(tmp_path / "m.weights.h5")
    write_legacy(model, tmp_path / "m.h5")
    for name in ("m.keras", "m.weights.h5", "m.h5"):
        other = make("sgd")
        other.set_weights([weight * 0 for weight in other.get_weights()])
        other.load_weights(tmp_path / name)
        assert_same(other, model)
    assert_same(load_model(tmp_path / "m.h5"), model)
    with pytest.raises(ValueError, match="it has only weights: build the model and call load_weights"):
        load_model(tmp_path / "m.weights.h5")


def scaled(x: Any) -> Any:
    return x * 2.0


@nnx.saving.register_keras_serializable("own")
class Shifted(layers.Layer):
    def __init__(self, by: float, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.by = by

    def build(self, input_shape: Any) -> None:
        self.shift = self.add_weight(shape=(input_shape[-1],), initializer="ones", name="shift")
        super().build(input_shape)

    def call(self, x: Any) -> Any:
        return x + self.shift * self.by


class Block(nnx.Model):
    def __init__(self, units: int) -> None:
        super().__init__()
        self.units = units
        self.inner = Dense(units, "tanh")
        self.blocks = [Dense(units), Dense(units)]
        self.cells = [[Dense(units)], {"a": (Dense(units),)}]
        self._hidden = Dense(units)
        self.outer = Dense(units)  # after "layers", in the order of the alphabet

    def call(self, x: Any) -> Any:
        y = self.inner(x)
        for block in (*self.blocks, self.cells[0][0], self.cells[1]["a"][0], self._hidden):
            y = block(y)
        return self.outer(y)


def test_layers_of_ones_own(path: Path):
    model = nnx.Sequential([Input((4,)), Shifted(0.5), layers.Lambda(scaled, name="twice"), Dense(2)])
    model.save(path)
    with pytest.raises(ValueError, match=r"layer 'twice' has Python code, .*custom_objects=\{'twice': function\}"):
        load_model(path)
    again = load_model(path, custom_objects={"twice": scaled})
    assert_same(again, model)
    assert_close(again.predict(X, verbose=0), model.predict(X, verbose=0), 0.0, 0.0)
    again = load_model(path, custom_objects={"scaled": scaled})
    assert_close(again.predict(X, verbose=0), model.predict(X, verbose=0), 0.0, 0.0)


def test_a_model_of_ones_own(path: Path):
    nnx.random.set_seed(2)
    model = Block(3)
    model.build((None, 4))
    model.save(path)
    with h5py.File(io.BytesIO(members(path)["model.weights.h5"])) as file:
        assert file["inner/vars/0"].shape == (4, 3)
        assert file["blocks/dense_1/vars/0"].shape == (3, 3)
        assert {"container", "container_1"} == set(file["cells"])
        assert len(file["cells/container_1/container/dense/vars"]) == 2
        assert {name for name, group in file["layers"].items() if len(group["vars"])} == {"dense_5", "dense_6"}
    with pytest.raises(ValueError, match=r"unknown layer 'Block' \(Block\); one of your own goes into custom_objects="):
        load_model(path)
    again = load_model(path, custom_objects={"Block": Block})
    assert_close(again.predict(X, verbose=0), model.predict(X, verbose=0), 0.0, 0.0)


# What is refused


def first(config: dict[str, Any]) -> dict[str, Any]:
    """The first Dense of the file."""
    return config["config"]["layers"][1]  # type: ignore[no-any-return]


CODE = {"class_name": "__lambda__", "config": {"value": "4wAAAAAAAAAA"}}
REFUSED: dict[str, tuple[Callable[[dict[str, Any]], Any], str]] = {
    "unknown": (
        lambda c: first(c).update(class_name="Nowhere", module="own", registered_name="own>Nowhere"),
        r"unknown layer 'Nowhere' \(own>Nowhere\); one of your own goes into custom_objects=\{'Nowhere': \.\.\.\}",
    ),
    "of Keras alone": (lambda c: first(c).update(class_name="JaxLayer"), r"nnx has no JaxLayer \(layer 'first'\)"),
    "lambda": (
        lambda c: first(c).update(class_name="Lambda", config={"name": "mine", "function": CODE}),
        r"layer 'mine' has Python code, which nnx does not run; pass custom_objects=\{'mine': function\}",
    ),
    "lambda of Keras 2": (
        lambda c: first(c).update(class_name="Lambda", config={"name": "mine", "function": ["4wEA\n", None, None]}),
        r"layer 'mine' has Python code, which nnx does not run",
    ),
    "code in an argument": (
        lambda c: first(c)["config"].update(kernel_initializer=CODE),
        "Dense 'first' has Python code, which nnx does not run",
    ),
    "lambda as activation": (
        lambda c: first(c)["config"].update(activation={"value": ["4wEA\n", None, None]}),
        "activation of Dense 'first' has Python code, which nnx does not run; give it a name, and pass custom_objects=",
    ),
    "no activation": (
        lambda c: first(c)["config"].update(activation={"x": 1}),
        "activation of Dense 'first': not the configuration of an activation: ",
    ),
    "function": (
        lambda c: first(c)["config"].update(
            activation={"module": "os", "class_name": "function", "config": "system", "registered_name": "function"}
        ),
        r"names the function 'system'; .*pass custom_objects=\{'system': the_function\}",
    ),
    "unknown key": (
        lambda c: first(c)["config"].update(lora_rank=4),
        "first: lora_rank=4: nnx has no adapters of low rank",
    ),
    "quantised": (
        lambda c: first(c)["config"].update(
            dtype={"class_name": "QuantizedDTypePolicy", "config": {"name": "int8_from_float32"}}
        ),
        r"Dense 'first' is quantised \(int8_from_float32\)",
    ),
    "another file": (
        lambda c: first(c).update(class_name="StringLookup", config={"name": "words", "vocabulary": __file__}),
        r"words: '.*test_keras_files\.py' would be read, and what is loaded may have no other file read",
    ),
    "mixed": (lambda c: first(c)["config"].update(dtype="mixed_bfloat16"), "Dense 'first' has dtype mixed_bfloat16"),
    "shape": (
        lambda c: first(c)["config"].update(units=5),
        r"layers/dense/vars/0 \(first kernel\) has shape \(4, 3\), expected \(4, 5\)",
    ),
    "large": (lambda c: first(c)["config"].update(units=10**9), "larger than all there is for it"),
    "fewer layers": (
        lambda c: c["config"]["layers"].pop(),
        r"layers/dense_1/vars/0 is in the file, the model has no such weight",
    ),
    "more layers": (
        lambda c: c["config"]["layers"].append(
            {"module": "keras.layers", "class_name": "Dense", "config": {"units": 2, "name": "last"}}
        ),
        r"layers/dense_2/vars/0 \(last kernel\) of shape \(2, 2\) is not in the file",
    ),
    "quantised by configuration": (
        lambda c: first(c)["config"].update(quantization_config={"class_name": "Int8QuantizationConfig", "config": {}}),
        r"Dense 'first' is quantised \(Int8QuantizationConfig\), which nnx does not have",
    ),
    "loss": (
        lambda c: c["compile_config"].update(loss="mean_wrong"),
        r"unknown loss 'mean_wrong': .*; one of your own goes into custom_objects=\{name: object\}",
    ),
    "optimizer": (
        lambda c: c["compile_config"]["optimizer"].update(class_name="Wrong"),
        r"the optimizer: unknown optimizer 'Wrong'.*custom_objects=\{'Wrong'",
    ),
    "a scale of the loss": (
        lambda c: c["compile_config"].update(
            optimizer={"class_name": "LossScaleOptimizer", "config": {"inner_optimizer": "adam", "dynamic": False}}
        ),
        "the optimizer has dynamic=False, which nnx does not have; it has loss_scale_factor",
    ),
    "another optimizer": (
        lambda c: c["compile_config"]["optimizer"].update(class_name="SGD", config={}),
        "the state of the optimizer SGD does not fit: it has 14 arrays, expected 2",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_descriptions_that_are_refused(saved: Path, case: str):
    change, words = REFUSED[case]
    change_config(saved, change)
    with pytest.raises(ValueError, match=rf"(?s)cannot load .*m\.keras: .*{words}"):
        load_model(saved)


def test_names_that_contradict_the_model(tmp_path: Path):
    def pair(*names: str) -> nnx.Sequential:
        return nnx.Sequential([Input((3,)), *(Dense(3, name=name) for name in names)], name="pair")

    pair("enc", "dec").save_weights(tmp_path / "x.weights.h5")
    words = (
        r"does not fit pair: 'dec' is layers/dense_1 in the file and layers/dense in the model; 'enc' is layers/dense "
    )
    with pytest.raises(ValueError, match=words):
        pair("dec", "enc").load_weights(tmp_path / "x.weights.h5")
    pair("one", "two").load_weights(tmp_path / "x.weights.h5")  # names that say nothing: by their places
    compiled = pair("enc", "dec")
    compiled.compile("sgd", "mse")
    write_legacy(compiled, tmp_path / "x.h5")
    turned = pair("dec", "enc")
    turned.load_weights(tmp_path / "x.h5")  # there names say which is which
    assert_close(turned.get_layer("enc").get_weights()[0], compiled.get_layer("enc").get_weights()[0], 0.0, 0.0)
    with pytest.raises(ValueError, match="its layers are in another order than those of the model: 'enc' is where"):
        pair("third", "enc").load_weights(tmp_path / "x.h5")


def test_nothing_changes_where_weights_do_not_fit(tmp_path: Path):
    make().save_weights(tmp_path / "x.weights.h5")
    model = nnx.Sequential([Input((4,)), Dense(3), layers.BatchNormalization(), Dense(3)])
    before = model.get_weights()
    with pytest.raises(ValueError, match=r"layers/dense_1/vars/0 \(dense_1 kernel\) has shape \(3, 2\), expected"):
        model.load_weights(tmp_path / "x.weights.h5")
    for mine, expected in zip(model.get_weights(), before, strict=True):
        assert_close(mine, expected, 0.0, 0.0)
    with pytest.warns(UserWarning, match="dense_1 kernel"):
        model.load_weights(tmp_path / "x.weights.h5", skip_mismatch=True)
    assert_close(model.get_weights()[0], make().get_weights()[0], 0.0, 0.0)


# Damage, and what would lead out of the file


def external(file: Any) -> None:
    del file["layers/dense/vars/0"]
    file["layers/dense/vars/0"] = h5py.ExternalLink("/etc/passwd", "/x")


def soft(file: Any) -> None:
    del file["layers/dense/vars/0"]
    file["layers/dense/vars/0"] = h5py.SoftLink("/layers/dense_1/vars/0")


def circle(file: Any) -> None:
    file["layers/dense/again"] = file["layers"]


def elsewhere(file: Any) -> None:
    del file["layers/dense/vars/0"]
    file.create_dataset("layers/dense/vars/0", (4, 3), "f4", external=[("/etc/passwd", 0, 48)])


def virtual(file: Any) -> None:
    del file["layers/dense/vars/0"]
    layout = h5py.VirtualLayout((4, 3), "f4")
    layout[:] = h5py.VirtualSource("/etc/passwd", "x", (4, 3))
    file.create_virtual_dataset("layers/dense/vars/0", layout)


def huge(file: Any) -> None:
    del file["layers/dense/vars/0"]
    file.create_dataset("layers/dense/vars/0", (1 << 20, 1 << 20), "f8", chunks=(1, 1))


def text(file: Any) -> None:
    del file["layers/dense/vars/0"]
    file["layers/dense/vars/0"] = "text"


LINKS: dict[Callable[[Any], None], str] = {
    external: "has a link to somewhere else, which nnx does not follow",
    soft: "has a link to somewhere else, which nnx does not follow",
    circle: "a group in it is inside of itself",
    elsewhere: "layers/dense/vars/0 is kept in another file",
    virtual: "layers/dense/vars/0 is kept in another file",
    huge: "is far larger than what the file has of it",
    text: "expected numbers",
}


@pytest.mark.parametrize("change", LINKS, ids=lambda change: change.__name__)
def test_what_leads_out_of_the_file(saved: Path, change: Callable[[Any], None]):
    change_weights(saved, change)
    model = make("sgd")
    model.save_weights(saved.parent / "m.weights.h5")
    change_weights(saved.parent / "m.weights.h5", change)
    for read, file in ((load_model, saved), (model.load_weights, saved.parent / "m.weights.h5")):
        with pytest.raises(ValueError, match=f"cannot load .*: it .*{re.escape(LINKS[change])}"):
            read(file)


def test_truncated_files(saved: Path):
    data = saved.read_bytes()
    for length in (4, 100, len(data) // 3, len(data) // 2, len(data) - 1):
        saved.write_bytes(data[:length])
        with pytest.raises(ValueError, match=r"cannot load .*m\.keras: it is truncated or damaged \(zip: "):
            load_model(saved)
    model = make("sgd")
    weights = saved.parent / "m.weights.h5"
    model.save_weights(weights)
    data = weights.read_bytes()
    for length in (8, 100, len(data) // 2, len(data) - 1):
        weights.write_bytes(data[:length])
        with pytest.raises(ValueError, match=r"cannot load .*m\.weights\.h5: it is truncated or damaged \(HDF5: "):
            model.load_weights(weights)


# What the checks of heaps and attributes read is made here by itself; it is no HDF5 file.


def heap(*pieces: tuple[int, int, int]) -> io.BytesIO:
    """A heap of texts: number, length, and bytes that are taken, of each piece."""
    data = b"".join(struct.pack("<HHIQ", number, 0, 0, length).ljust(taken, b"\0") for number, length, taken in pieces)
    return io.BytesIO(struct.pack("<8sQ", b"GCOL\1\0\0\0", 16 + len(data)) + data)


def test_heaps_are_followed_piece_by_piece():
    def check(*pieces: tuple[int, int, int], without: int = 0) -> dict[int, int]:
        source = heap(*pieces)
        return hdf5._checked_global_heap(source, 0, len(source.getvalue()) - without)

    assert check((1, 5, 24), (2, 16, 32), (0, 32, 32)) == {1: 5, 2: 16, 0: 32}
    with pytest.raises(hdf5.DamagedError, match="a heap is cut short"):
        check((1, 5, 24), without=1)
    with pytest.raises(hdf5.DamagedError, match="a heap has something of a wrong size"):
        check((1, 500, 24))


@pytest.mark.parametrize(
    ("kind", "text", "words"),
    [
        (1, (5, 4096, 1), None),
        (1, (5, 4096, 2), "not where it should be"),
        (1, (5, 8192, 1), "not where it should be"),
        (1, (6, 4096, 1), "not where it should be"),
        (3, (5, 4096, 1), "neither a text nor a list"),
    ],
    ids=["good", "another text", "another heap", "another length", "another kind"],
)
def test_attributes_are_in_their_heaps(kind: int, text: tuple[int, int, int], words: str | None):
    dtype, space = struct.pack("<BBBBIII", 0x19, kind, 0, 0, 16, 0, 1).ljust(24, b"\0"), bytes(8)
    message = struct.pack("<BxHHH", 1, 5, len(dtype), len(space)) + b"name\0".ljust(8, b"\0") + dtype + space
    message += struct.pack("<IQI", *text)
    header = struct.pack("<BxHII4x", 1, 1, 1, len(message) + 8) + struct.pack("<HH4x", 12, len(message))
    with contextlib.nullcontext() if words is None else pytest.raises(hdf5.DamagedError, match=words):
        hdf5._check_attributes(io.BytesIO(header + message), 0, {4096: {1: 5, 2: 7}})


def test_a_changed_bit_is_noticed(saved: Path):
    data = saved.read_bytes()
    for place in range(200, len(data), 397):
        changed = bytearray(data)
        changed[place] ^= 1
        saved.write_bytes(changed)
        with pytest.raises(ValueError, match=r"cannot load .*m\.keras: "):
            load_model(saved)


def test_archives_that_are_something_else(saved: Path):
    parts = members(saved)
    pack(saved, {"a": b"b"})
    with pytest.raises(ValueError, match=r"it is a zip archive without config\.json, so no \.keras file"):
        load_model(saved)
    pack(saved, parts)
    with zipfile.ZipFile(saved, "a") as archive, pytest.warns(UserWarning, match="Duplicate name"):
        archive.writestr("config.json", b"{}")
    with pytest.raises(ValueError, match="it has a part twice"):
        load_model(saved)
    with zipfile.ZipFile(saved, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("config.json", b" " * (65 << 20))
        archive.writestr("model.weights.h5", parts["model.weights.h5"])
    with pytest.raises(ValueError, match=r"has a config\.json of 68157440 bytes, more than"):
        load_model(saved)


def test_compressed_texts_are_not_far_larger_than_the_file(saved: Path):
    """Each vocabulary alone would be small enough."""
    padding = np.random.default_rng(1).bytes(1 << 17)
    parts = {f"assets/layers/string_lookup_{number}/vocabulary.txt": b"a\n" * (1 << 20) for number in range(5)}
    with zipfile.ZipFile(saved, "a", zipfile.ZIP_DEFLATED) as archive:
        for name, part in {"padding": padding, **parts}.items():
            archive.writestr(name, part)
    with pytest.raises(ValueError, match=r"assets of 10485760 bytes, more than \d{7}$"):
        load_model(saved)


# Graphs


def test_a_graph_of_everything(path: Path):
    """Several inputs and outputs, shared layers, operators, an inner model, states, options of calls."""
    nnx.random.set_seed(4)
    x, s = Input((4,), name="x"), Input((5, 3), name="s")
    inner_x = Input((3,))
    inner = nnx.Model(inner_x, Dense(3, name="deep")(inner_x), name="inner")
    shared = Dense(3, "tanh", name="shared")
    a, b = shared(x), shared(x * 2.0 - 1.0)
    y = -inner(a) + 1.0 / 2.0 * b
    sequence, h, c = layers.LSTM(3, return_sequences=True, return_state=True)(s)
    attended = layers.MultiHeadAttention(2, 2)(sequence, s, use_causal_mask=True)
    last = layers.LSTM(3)(attended, initial_state=[h, c])
    joined = layers.Concatenate()([y[:, 1:], last, sequence[:, -1, :], (a @ Dense(3)(y)[..., None])[:, 0]])
    model = nnx.Model([x, s], {"one": Dense(2, name="one")(joined), "two": Dense(1, name="two")(last)})
    model.compile("nadam", {"one": "mse", "two": nnx.losses.Huber(0.5)}, metrics={"one": ["mae"]})
    data = [X, np.float32(Generator(3).normal((12, 5, 3)))]
    targets = {"one": Y, "two": Y[:, :1]}
    model.train_on_batch(data, targets)
    model.save(path)
    again = load_model(path)
    for one in (model, again):
        one.train_on_batch(data, targets)
    assert model.metrics_names == again.metrics_names
    for mine, expected in zip(again.get_weights(), model.get_weights(), strict=True):
        assert_close(mine, expected, 0.0, 1e-6)
    found, expected = again.predict(data, verbose=0), model.predict(data, verbose=0)
    assert list(found) == list(expected)
    for output in found:
        assert_close(found[output], expected[output], 0.0, 1e-5)


def test_functions_of_ops_in_a_graph(path: Path):
    """What belongs to a call, what to the configuration, arrays, slices, results in several parts; and Keras' names."""
    x = Input((4,), name="x")
    y = nnx.ops.pad(nnx.ops.exp(x), ((0, 0), (1, 1)), constant_values=2.0)
    first, _ = nnx.ops.split(y[..., 1:5], 2, axis=-1)
    z = nnx.ops.einsum("bi,bj->bij", first, nnx.ops.add(x, np.float32([1, 2, 3, 4])))
    parts = [nnx.ops.mean(z, axis=(1, 2)), nnx.ops.average(y, axis=1, weights=np.arange(6.0)), Dense(2)(z)]
    parts += [nnx.ops.rms_normalization(nnx.ops.cast(x > 0.0, "float32")), nnx.ops.where(x > 0.5, x, 1.0)]
    model = nnx.Model(x, parts)
    model.save(path)
    for one, other in zip(load_model(path).predict(X, verbose=0), model.predict(X, verbose=0), strict=True):
        assert_close(one, other, 0.0, 0.0)
    described = {layer["name"]: layer for layer in json.loads(members(path)["config.json"])["config"]["layers"]}
    assert described["pad"]["module"] == "keras.src.ops.numpy"
    assert described["pad"]["config"] == {"name": "pad", "pad_width": [[0, 0], [1, 1]]}
    assert described["pad"]["inbound_nodes"][0]["args"][1:] == [2.0]
    assert described["rms_normalization"]["class_name"] == "RMSNorm"
    assert described["cast"]["config"] == {"name": "cast", "dtype": "float32"}
    with h5py.File(io.BytesIO(members(path)["model.weights.h5"])) as file:
        assert list(file["layers"]) == ["dense", "input_layer"]


@pytest.mark.parametrize(
    ("function", "words"),
    [
        (lambda x: nnx.ops.norm(x, axis=(1, 2)), r"ops.norm with axis=\[1, 2\] cannot be in a file of Keras"),
        (lambda x: nnx.ops.quantile(x, 0.5, axis=1), "ops.quantile with axis=1 cannot be in a file of Keras"),
        (lambda x: nnx.ops.allclose(x, x), "ops.allclose cannot be in a file of Keras, which has no class for it"),
        (lambda x: layers.Dropout(0.5)(x, training=False), "training=False, which in a file of Keras cannot be told"),
    ],
)
def test_functions_that_keras_does_not_read(path: Path, function: Callable[[Any], Any], words: str):
    x = Input((4, 3))
    with pytest.raises(ValueError, match=words):
        nnx.Model(x, function(x)).save(path)
    assert not path.exists()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda calls: calls["args"][0]["config"].update(keras_history=["b", 0, 0]), "the graph has a circle"),
        (lambda calls: calls["args"][0]["config"].update(keras_history=["nobody", 0, 0]), "uses call 0 of 'nobody'"),
        (lambda calls: calls["args"][0]["config"].update(keras_history=["x", 0, 7]), "uses output 7 of call 0 of 'x'"),
        (lambda calls: calls.update(args=[]), "'a' is called on nothing"),
        (lambda calls: calls["kwargs"].update(training="no"), "a is called with training='no', expected true or false"),
        (
            lambda calls: calls["kwargs"].update(width=3),
            "the call of 'a' in the graph cannot be made: a takes no 'width'",
        ),
    ],
)
def test_graphs_that_are_none(path: Path, change: Callable[[Any], None], words: str):
    x = Input((4,), name="x")
    nnx.Model(x, Dense(2, name="b")(Dense(2, name="a")(x))).save(path)
    change_config(path, lambda config: change(config["config"]["layers"][1]["inbound_nodes"][0]))
    with pytest.raises(ValueError, match=rf"cannot load .*m\.keras: .*{words}"):
        load_model(path)


def flagged(x: Any) -> Any:
    return layers.BatchNormalization(name="one")(layers.Dense(3)(x), training=False)


def test_training_in_a_call_is_kept(path: Path):
    x = Input((4,))
    model = nnx.Model(x, Dense(2)(flagged(x)))
    model.compile("sgd", "mse")
    with pytest.warns(
        UserWarning, match="one is called with training=False. The file says so, and nnx does so, but Keras 3"
    ):
        model.save(path)
    again = load_model(path)
    for one in (model, again):
        one.fit(X, Y, epochs=2, shuffle=False, verbose=0)
    for mine, expected in zip(again.get_weights(), model.get_weights(), strict=True):
        assert_close(mine, expected, 0.0, 0.0)
    assert_close(again.get_layer("one").moving_mean.numpy(), np.zeros(3), 0.0, 0.0)


def test_training_in_a_call_of_a_frozen_layer_is_no_news_to_keras(path: Path):
    x = Input((4,))
    model = nnx.Model(x, Dense(2)(flagged(x)))
    model.get_layer("one").trainable = False
    model.save(path)
    assert load_model(path).composition.program.nodes[1].options == {"training": False}


def test_training_in_a_call_as_keras_2_writes_it(path: Path):
    """There stands only what somebody said: a Dropout that is called with training=False is one that never drops."""
    x = Input((4,), name="x")
    nnx.Model(x, layers.Dropout(0.5, name="one")(x)).save(path)
    for said in ({}, {"training": False}, {"training": 1}, {"training": None}):
        node = [["x", 0, 0, said]]
        change_config(path, lambda config, node=node: config["config"]["layers"][1].update(inbound_nodes=[node]))
        (found,) = load_model(path).composition.program.nodes
        assert found.options == ({} if said.get("training") is None else {"training": bool(said["training"])})


def test_training_that_keras_writes_at_every_call_says_nothing(path: Path):
    x = Input((4,))
    nnx.Model(x, layers.Dropout(0.5)(x)).save(path)
    for said, kept in (({"training": False}, {}), ({"training": True}, {"training": True}), ({"training": None}, {})):
        change_config(
            path, lambda config, said=said: config["config"]["layers"][1]["inbound_nodes"][0].update(kwargs=said)
        )
        (found,) = load_model(path).composition.program.nodes
        assert found.options == kept


def test_training_in_a_call_that_makes_no_difference_is_not_written(path: Path):
    x = Input((4,))
    nnx.Model(x, Dense(2, name="one")(layers.LayerNormalization()(x, training=True), training=False)).save(path)
    described = json.loads(members(path)["config.json"])["config"]["layers"]
    assert all(call["kwargs"] == {} for layer in described for call in layer["inbound_nodes"])


ACTIVATIONS: dict[str, Callable[[], Any]] = {
    "LeakyReLU": lambda: layers.LeakyReLU(0.4),
    "ELU": lambda: layers.ELU(0.3),
    "ReLU": lambda: layers.ReLU(max_value=0.5, negative_slope=0.1, threshold=0.2),
    "Softmax": lambda: layers.Softmax(),
    "Activation": lambda: layers.Activation(layers.LeakyReLU(0.4)),
    "a name": lambda: layers.Activation("tanh"),
}


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_a_layer_as_an_activation(path: Path, name: str):
    make = ACTIVATIONS[name]
    inner = [Dense(5, activation=make()), layers.Reshape((5, 1)), layers.GRU(3, make(), recurrent_activation=make())]
    model = nnx.Sequential([Input((4,)), *inner, layers.Activation(make())])
    model.save(path)
    again = load_model(path)
    assert_close(again.predict(X, verbose=0), model.predict(X, verbose=0), 0.0, 0.0)
    kind, config = type(make()), make().get_config()
    for found in (again.layers[0].activation, again.layers[2].recurrent_activation, again.layers[3].activation):
        assert type(found) is kind
        assert {**found.get_config(), "name": config["name"]} == config
    described = json.loads(members(path)["config.json"])["config"]["layers"][1]["config"]["activation"]
    assert (described["module"], described["class_name"]) == ("keras.layers", kind.__name__)


def test_a_layer_of_ones_own_as_an_activation(path: Path):
    class Steep(layers.LeakyReLU):
        pass

    model = nnx.Sequential([Input((4,)), Dense(3, activation=Steep(0.7))])
    model.save(path)
    again = load_model(path, custom_objects={"Steep": Steep})
    assert_close(again.predict(X, verbose=0), model.predict(X, verbose=0), 0.0, 0.0)
    with pytest.raises(ValueError, match="unknown layer 'Steep'"):
        load_model(path)


@pytest.mark.parametrize(
    ("activation", "words"),
    [
        (
            {"class_name": "Dropout", "config": {"rate": 0.5}},
            "activation of Dense 'first' is a Dropout, which nnx does not",
        ),
        ({"class_name": "PReLU", "config": {}}, "activation of Dense 'first' is a PReLU, which nnx does not take"),
        ({"class_name": "LeakyReLU", "config": {"width": 3}}, "LeakyReLU '' has width=3, which nnx does not have"),
        ({"class_name": "leaky_relu", "config": {"negative_slope": 0.4}}, "unknown layer 'leaky_relu'"),
        (
            {"class_name": "ReLU", "config": {"activity_regularizer": {"class_name": "L2", "config": {}}}},
            "activation of Dense 'first' has an activity_regularizer, which nnx does not count there",
        ),
    ],
)
def test_activations_that_nnx_does_not_have(saved: Path, activation: dict[str, Any], words: str):
    change_config(saved, lambda config: config["config"]["layers"][1]["config"].update(activation=activation))
    with pytest.raises(ValueError, match=rf"cannot load .*m\.keras: .*{words}"):
        load_model(saved)


def test_arguments_of_a_function_are_not_dropped(saved: Path):
    function = {"module": "keras.metrics", "class_name": "mean_squared_error", "config": {"axis": 3}}
    metric = {"class_name": "MeanMetricWrapper", "config": {"name": "mse", "fn": function}}
    change_config(saved, lambda config: config["compile_config"].update(metrics=[metric]))
    with pytest.raises(ValueError, match="mean_squared_error of a metric has axis=3, which nnx does not have"):
        load_model(saved)


def test_a_feature_space_of_keras():
    """The file was written by Keras 3.15.1 on TensorFlow, and so were the numbers of the first row."""
    space = nnx.models.load_model(Path(__file__).parent / "feature_space-3.15.1.keras")
    assert isinstance(space, nnx.utils.FeatureSpace)
    row = {"kind": "a", "size": 1.0, "num": 7, "plain": 1.0, "disc": 1.0, "h": "x"}
    expected = np.zeros(24, np.float32)
    expected[[0, 4, 13, 16, 17, 20]], expected[18] = 1.0, -1.0690449476242065
    assert_close(space(row), expected)
    assert list(space.preprocessors) == ["size", "disc", "plain", "kind", "num", "h"]
    model = nnx.Model(space.get_inputs(), nnx.layers.Dense(1)(space.get_encoded_features()))
    assert model.predict({name: np.asarray([value]) for name, value in row.items()}, verbose=0).shape == (1, 1)
