"""The format of files: equal bytes, every dtype, files that change while they are read, and what loading costs."""

from __future__ import annotations

import gc
import hashlib
import json
import os
import subprocess
import sys
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

import nnx
from nnx.backends import Placement
from nnx.descriptions import check_objects, parsed
from nnx.layers import Dense, Dropout, Layer
from nnx.random import Generator
from nnx.saving import files
from nnx.saving.files import read_file, write_file
from nnx.saving.packing import pack
from nnx.testing import assert_close

X = np.float32(Generator(1).normal((12, 3)))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "file.safetensors"


def make(**options: Any) -> nnx.Sequential:
    nnx.random.set_seed(3)
    model = nnx.Sequential([Dense(4, "tanh", input_dim=3, **options), Dropout(0.2), Dense(2)])
    model.compile(nnx.optimizers.Adam(0.01), "mse", metrics=["mae"])
    return model


def write_raw(path: Path, header: Any, data: bytes = b"") -> None:
    """A safetensors file, byte by byte."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + data)


# Bytes


def test_a_model_that_has_not_changed_gives_equal_bytes(backend: Placement, path: Path):
    model = make()
    model.fit(backend.asarray(X), backend.asarray(X[:, :2]), verbose=0)
    for save in (model.save, model.save_weights):
        contents = set()
        for _ in range(3):
            save(path)
            contents.add(path.read_bytes())
        assert len(contents) == 1
    model.save(path)
    first = path.read_bytes()
    nnx.models.load_model(path).save(path)
    assert path.read_bytes() == first


def test_other_processes_write_equal_bytes(tmp_path: Path):
    code = (
        "import sys, nnx; nnx.random.set_seed(3); model = nnx.Sequential([nnx.layers.Dense(4, input_dim=3), "
        "nnx.layers.Dropout(0.2)]); model.compile('adam', 'mse', metrics=['mae']); model.save(sys.argv[1])"
    )
    contents = set()
    for seed in ("1", "2"):
        file = tmp_path / seed
        subprocess.run([sys.executable, "-c", code, str(file)], check=True, env={**os.environ, "PYTHONHASHSEED": seed})
        contents.add(file.read_bytes())
    assert len(contents) == 1


EVERY_DTYPE = ["bool", *(f"{kind}int{bits}" for kind in ("", "u") for bits in (8, 16, 32, 64))]
EVERY_DTYPE += ["float16", "float32", "float64"]


def test_every_dtype_and_shape_is_that_of_safetensors(path: Path):
    arrays = {
        **{
            f"odd {dtype}": np.arange(7).reshape(7, 1).astype(dtype) for dtype in [*EVERY_DTYPE, "float64", "complex64"]
        },
        "none": np.zeros((0, 3), np.float32),
        "number": np.float64(2.5)[()].reshape(()),
        "fortran": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        "big": np.arange(3, dtype=">f8"),
        "k\u00f6ln": np.ones(1),
    }
    write_file(path, arrays, {"text": "gr\u00fc\u00df \U0001f600"})
    ours, texts = read_file(path)
    assert texts == {"text": "gr\u00fc\u00df \U0001f600"}
    theirs = load_file(path)
    assert ours.keys() == theirs.keys() == arrays.keys()
    for name, array in arrays.items():
        assert ours[name].dtype == theirs[name].dtype == array.dtype.newbyteorder("=")
        assert ours[name].shape == theirs[name].shape == array.shape
        assert np.array_equal(ours[name], array)
        assert np.array_equal(theirs[name], array)
        assert ours[name].flags.writeable
        assert ours[name].flags.aligned
    save_file({name: np.ascontiguousarray(array) for name, array in ours.items()}, path)
    for name, array in read_file(path)[0].items():
        assert np.array_equal(array, np.ascontiguousarray(arrays[name]))


def test_what_the_format_does_not_have(path: Path):
    with pytest.raises(TypeError, match="x is of dtype complex128, which a safetensors file cannot have"):
        write_file(path, {"x": np.zeros(2, complex)}, {})
    assert not path.exists()


def test_bfloat16_is_read_as_float32(path: Path):
    values = np.float32([[1.0, -2.5], [3e38, 1e-40], [np.inf, 0.0]])
    upper = (values.view(np.uint32) >> 16).astype("<u2")
    write_raw(path, {"w": {"dtype": "BF16", "shape": [3, 2], "data_offsets": [0, 12]}}, upper.tobytes())
    (array,) = read_file(path)[0].values()
    assert array.dtype == np.float32
    assert array.tolist() == (values.view(np.uint32) & 0xFFFF0000).view(np.float32).tolist()
    write_raw(
        path,
        {
            "dense/kernel": {"dtype": "BF16", "shape": [3, 2], "data_offsets": [0, 12]},
            "dense/bias": {"dtype": "F16", "shape": [2], "data_offsets": [12, 16]},
        },
        upper.tobytes() + bytes(4),
    )
    model = nnx.Sequential([Dense(2, input_dim=3)])
    model.load_weights(path)
    assert_close(model.get_weights()[0], array, 0.0, 0.0)


@pytest.mark.parametrize("dtype", ["F8_E4M3", "F8_E5M2", "F8_E8M0", "F6_E2M3", "F6_E3M2", "F4", "X9"])
def test_other_kinds_of_numbers_are_named(dtype: str, path: Path):
    write_raw(path, {"w": {"dtype": dtype, "shape": [4], "data_offsets": [0, 4]}}, bytes(4))
    with pytest.raises(ValueError, match=rf"w is in {dtype}, which nnx does not read: convert it to F32") as caught:
        nnx.models.load_model(path)
    assert str(path) in str(caught.value)


ENTRY = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}


@pytest.mark.parametrize(
    "header",
    [
        [],
        {"w": None},
        {"w": {**ENTRY, "shape": [3]}},
        {"w": {**ENTRY, "shape": [-2]}},
        {"w": {**ENTRY, "shape": [True, 2]}},
        {"w": {**ENTRY, "shape": [2.0]}},
        {"w": {**ENTRY, "shape": [2, 10**30, 0], "data_offsets": [0, 0]}},
        {"w": {**ENTRY, "shape": [1] * 99 + [2]}},
        {"w": {**ENTRY, "shape": [2**40] * 400_000 + [2]}},  # whose product takes hours
        {"w": {**ENTRY, "data_offsets": [0]}},
        {"w": {**ENTRY, "data_offsets": [8, 0]}},
        {"w": {**ENTRY, "data_offsets": [8, 16]}},
        {"w": {**ENTRY, "dtype": ["F32"]}},
        {"w": ENTRY, "v": ENTRY},
        {"w": ENTRY, "__metadata__": {"a": 1}},
        {"w": ENTRY, "__metadata__": []},
        {"w": {"dtype": "F32", "shape": [2**40], "data_offsets": [0, 2**42]}},
        b"\xff\xfe{\x00}\x00",
    ],
)
def test_headers_that_say_something_else(header: Any, path: Path):
    write_raw(path, header, bytes(8))
    with pytest.raises(ValueError, match=r"file.safetensors: it is empty, truncated or not a safetensors file"):
        read_file(path)
    write_raw(path, {"w": ENTRY}, bytes(8))
    assert read_file(path)[0]["w"].tolist() == [0.0, 0.0]


# Files that change while they are read


def test_a_file_that_is_cut_short_while_it_is_read(path: Path, monkeypatch: pytest.MonkeyPatch):
    """As by a copy over it, which begins with an empty file."""
    model = make()
    model.save(path)
    content, before = path.read_bytes(), model.get_weights()
    for size in (0, len(content) // 2, len(content) - 1):

        def cut(text: str, size: int = size) -> Any:
            os.truncate(path, size)
            return parsed(text)

        for load in (nnx.models.load_model, model.load_weights):
            path.write_bytes(content)
            with monkeypatch.context() as patch:
                patch.setattr(files, "parsed", cut)
                with pytest.raises(ValueError, match=r"file.safetensors: .*it became shorter while it was read"):
                    load(path)
    for old, new in zip(before, model.get_weights(), strict=True):
        assert_close(new, old, 0.0, 0.0)


def test_a_file_that_is_written_to_while_it_is_read(path: Path, monkeypatch: pytest.MonkeyPatch):
    """Also one without a checksum."""
    arrays = {"dense/kernel": np.zeros((3, 2), np.float32), "dense/bias": np.zeros(2, np.float32)}
    save_file(arrays, path)
    content, real = path.read_bytes(), files._filled

    def filled(file: Any, array: np.ndarray) -> np.ndarray:
        found = real(file, array)
        path.write_bytes(content[:-1] + b"\x01")
        os.utime(path, (1.0, 1.0))  # clocks of file systems may be coarse
        return found

    monkeypatch.setattr(files, "_filled", filled)
    with pytest.raises(ValueError, match=r"file.safetensors: it was written to while it was read; read it again"):
        nnx.Sequential([Dense(2, input_dim=3)]).load_weights(path)


def test_a_file_that_is_replaced_while_it_is_read(path: Path, monkeypatch: pytest.MonkeyPatch):
    """The old one is read to its end."""
    make().save(path)
    expected, other = read_file(path), path.with_name("other")
    make().save(other)

    def replace(text: str) -> Any:
        if other.exists():
            os.replace(other, path)
        return parsed(text)

    monkeypatch.setattr(files, "parsed", replace)
    assert read_file(path)[1] == expected[1]
    assert not other.exists()


# Nothing is drawn, and little is asked for


class Costly(nnx.initializers.Initializer):
    calls = 0

    def draw(self, shape: tuple[int, ...], generator: Generator) -> np.ndarray:
        Costly.calls += 1
        return generator.normal(shape)


def test_loading_draws_no_initial_weights(backend: Placement, path: Path):
    nnx.random.set_seed(1)
    model = nnx.Sequential([Dense(4, kernel_initializer=Costly(), input_dim=3), nnx.layers.BatchNormalization()])
    model.compile("adam", "mse")
    model.fit(backend.asarray(X), backend.asarray(np.ones((12, 4), np.float32)), verbose=0)
    model.save(path)
    calls, state = Costly.calls, nnx.random.default().state()
    copy = nnx.models.load_model(path, custom_objects={"Costly": Costly})
    assert Costly.calls == calls > 0
    assert nnx.random.default().state() == state
    for old, new in zip(model.get_weights(), copy.get_weights(), strict=True):
        assert_close(new, old, 0.0, 0.0)


@pytest.mark.parametrize("compiled", [False, True])
def test_loading_takes_twice_the_memory_of_the_file(path: Path, compiled: bool):
    """The figure for 77 MB is 160 MB: once for what is read, once for the model; gradients are not touched."""
    model = nnx.Sequential([Dense(1000, kernel_initializer="orthogonal", input_dim=500)])
    if compiled:
        model.compile("sgd", "mse")
    model.save(path)
    size = path.stat().st_size
    gradients = size if compiled else 0
    del model
    gc.collect()
    tracemalloc.start()
    try:
        loaded = nnx.models.load_model(path)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert loaded.built
    assert peak < 2 * size + gradients + (1 << 19)


def test_a_file_of_many_weights_is_in_memory_once(path: Path):
    model = nnx.Sequential([nnx.Input((300,)), *(Dense(300, kernel_initializer="zeros") for _ in range(20))])
    model.compile("sgd", "mse")
    model.save(path)
    size = path.stat().st_size
    tracemalloc.start()
    try:
        model = nnx.models.load_model(path, compile=False)
        before = tracemalloc.get_traced_memory()[0]
        tracemalloc.reset_peak()
        model.load_weights(path)
        assert tracemalloc.get_traced_memory()[1] < before + 1.1 * size
    finally:
        tracemalloc.stop()


def test_a_layer_that_no_machine_has_memory_for():
    tracemalloc.start()
    try:
        for layer, shape in (
            (Dense(10**12, name="wide"), r"kernel of shape \(3, 1000000000000\)"),
            (nnx.layers.Embedding(10**12, 8, name="wide", input_length=3), r"embeddings of shape \(1000000000000, 8\)"),
        ):
            with pytest.raises(MemoryError, match=rf"wide: a {shape} takes .* GiB, and this machine has"):
                nnx.Sequential([nnx.Input((3,)), layer])
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()


LONG = 1_000_000
DESCRIPTIONS = {
    "lists": "[" + "[]," * LONG + "0]",
    "dicts": "[" + "{}," * LONG + "0]",
    "pairs": "[" + '{"":0},' * LONG + "0]",
    "texts": "[" + '"ab",' * LONG + "0]",
    "layers": json.dumps({"class_name": "Sequential", "config": {"layers": [{"class_name": "ReLU"}] * 20_000}}),
    "a long name": json.dumps({"class_name": "y" * LONG, "config": {}}),
    "a wide name": json.dumps({"class_name": "y" * LONG + "\U0001f600", "config": {}}),
    "a long layer": json.dumps({"class_name": "Dense", "config": {"units": 2, "name": "y" * LONG}}),
    "a long argument": json.dumps({"class_name": "Dense", "config": {"units": "y" * LONG}}),
    "digits": "1" * LONG,
    "depth": "[" * LONG,
}


@pytest.mark.parametrize("name", DESCRIPTIONS)
@pytest.mark.parametrize("part", ["model", "training", "header"])
def test_a_small_file_asks_for_little_memory(name: str, part: str, path: Path):
    model = make()
    model.save(path)
    arrays, texts = read_file(path)
    if part == "header":
        write_raw(path, DESCRIPTIONS[name].encode())
    elif part == "training":
        training = json.loads(texts["training"])
        loss = DESCRIPTIONS[name]
        texts["training"] = json.dumps({**training, "compile": "HERE"}).replace('"HERE"', f'{{"loss": {loss}}}')
        write_file(path, arrays, texts)
    else:
        write_file(path, arrays, {**texts, "model": DESCRIPTIONS[name]})
    size = path.stat().st_size
    gc.collect()
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match=r"file\.safetensors") as caught:
            nnx.models.load_model(path)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 2 * size + 100_000_000
    assert len(str(caught.value)) < 3000


def test_a_long_training_has_a_long_history(path: Path):
    model = make()
    model.save(path)
    arrays, texts = read_file(path)
    losses = [0.123456789012345 + number for number in range(100_000)]
    training = {**json.loads(texts["training"]), "history": {"loss": losses}, "epoch": list(range(100_000))}
    write_file(path, arrays, {**texts, "training": json.dumps(training)})
    assert nnx.models.load_model(path).history.history["loss"] == losses


def test_descriptions_that_are_nested_too_deeply():
    for text in ("[" * 10**5, '{"class_name": ' * 10**5):
        with pytest.raises(ValueError, match=r"a description of .* characters is nested too deeply"):
            nnx.models.model_from_json(text)


def test_a_model_of_many_layers_can_be_loaded(path: Path):
    x = y = nnx.Input((1,))
    dense = Dense(1)
    for _ in range(100):
        y = dense(y)
    model = nnx.Model(x, y)
    model.save(path)
    assert len(nnx.models.load_model(path).get_weights()) == 2
    layer = json.loads(read_file(path)[1]["model"])["config"]["layers"][0]
    check_objects({"class_name": "Functional", "config": {"layers": [layer] * 5500, "calls": [{"layer": 0}] * 5500}})


def test_descriptions_that_are_large_but_not_too_large():
    layer = {"class_name": "Dense", "config": {"units": 3, "kernel_initializer": {"class_name": "Zeros", "config": {}}}}
    model = {"class_name": "Sequential", "config": {"layers": [layer] * 5000}}
    check_objects(model)
    assert parsed(json.dumps(model)) == model
    check_objects({"history": [0.5] * 10**6})
    called = {"layers": [layer] * 5000, "calls": [{"layer": 0, "inputs": [[0, 0]], "options": {}}] * 5000}
    with pytest.raises(ValueError, match="describes about 35000 layers, losses and the like, more than 34999"):
        check_objects(called, -5_001_000)
    check_objects(called)
    check_objects({"metrics": ["mse"] * 10**5}, 60_000_000)
    with pytest.raises(ValueError, match=r"describes about .* layers, losses and the like, more than"):
        check_objects({"metrics": ["mse"] * 10**5})


# All or none


def test_weights_of_another_kind_of_numbers_change_nothing(backend: Placement, path: Path):
    model = nnx.Sequential([Dense(2, input_dim=3), Dense(2), Dense(2)])
    arrays = {name: np.ones(p.shape, np.float32) for name, p in model.named_weights().items()}
    before = model.get_weights()
    save_file({**arrays, "dense_2/kernel": np.ones((2, 2), np.complex64)}, path)
    with pytest.raises(ValueError, match=r"file.safetensors .*dense_2/kernel is float32, in the file complex64"):
        model.load_weights(path)
    for old, new in zip(before, model.get_weights(), strict=True):
        assert_close(new, old, 0.0, 0.0)
    with pytest.warns(UserWarning, match="in the file complex64"):
        model.load_weights(path, skip_mismatch=True)
    assert_close(model.get_weights()[-2], before[-2], 0.0, 0.0)
    assert_close(model.get_weights()[0], arrays["dense/kernel"], 0.0, 0.0)


@pytest.mark.parametrize("dtype", ["float16", "float32"])
def test_numbers_that_would_become_infinite_change_nothing(dtype: str, path: Path):
    with nnx.backend("numpy", dtype=dtype):
        model = nnx.Sequential([Dense(2, input_dim=3), Dense(2)])
    before = model.get_weights()
    largest = float(np.finfo(dtype).max)
    arrays = {name: np.ones(p.shape, np.float64) for name, p in model.named_weights().items()}
    save_file({**arrays, "dense_1/bias": np.full(2, 2.0 * largest)}, path)
    with pytest.raises(ValueError, match=rf"dense_1/bias is {dtype}, in the file are numbers too large for it"):
        model.load_weights(path)
    for old, new in zip(before, model.get_weights(), strict=True):
        assert_close(new, old, 0.0, 0.0)
    with pytest.warns(UserWarning, match="numbers too large for it"):
        model.load_weights(path, skip_mismatch=True)
    assert_close(model.get_weights()[-1], before[-1], 0.0, 0.0)
    save_file({**arrays, "dense_1/bias": np.asarray([np.inf, largest])}, path)
    model.load_weights(path)
    assert model.get_weights()[-1].tolist() == [np.inf, largest]


def test_set_weights_is_all_or_none(backend: Placement):
    model = nnx.Sequential([Dense(2, input_dim=3), Dense(2)])
    before = model.get_weights()
    wrong = [*(weight + 1.0 for weight in before[:-1]), np.ones(2, np.complex64)]
    with pytest.raises(TypeError, match="expected real numbers"):
        model.set_weights(wrong)
    for old, new in zip(before, model.get_weights(), strict=True):
        assert_close(new, old, 0.0, 0.0)


def test_errors_of_ones_own_classes_name_the_file(path: Path):
    class Broken(Dense):
        def build(self, input_shape: Any) -> None:
            if broken:
                raise RuntimeError("broken")
            super().build(input_shape)

    broken = False
    nnx.Sequential([Broken(2, input_dim=3)]).save(path)
    broken = True
    with pytest.raises(RuntimeError, match="broken") as caught:
        nnx.models.load_model(path, custom_objects={"Broken": Broken})
    assert caught.value.__notes__ == [f"while {path} was loaded"]


def test_weights_of_every_kind_of_real_numbers_are_read(path: Path):
    model = nnx.Sequential([Dense(2, input_dim=3)])
    for dtype in EVERY_DTYPE:
        save_file({"dense/kernel": np.ones((3, 2), dtype), "dense/bias": np.zeros(2, dtype)}, path)
        model.load_weights(path)
        assert_close(model.get_weights()[0], np.ones((3, 2), np.float32), 0.0, 0.0)
        assert model.get_weights()[0].dtype == np.float32


# Names that mean something else in a file


@pytest.mark.parametrize("name", ["optimizer.momentum", "optimizer.", "run.0", "__metadata__"])
def test_names_that_name_other_things_in_files(name: str, path: Path):
    with pytest.raises(ValueError, match=rf"name of a layer must not begin with '.*', .* got '{name}'"):
        Dense(2, name=name)
    with pytest.raises(ValueError, match="name of a layer must not begin with"):
        nnx.Sequential(name=name)
    renamed = nnx.Sequential([Dense(2, input_dim=3)])
    renamed.layers[0].name = name
    for save in (renamed.save, renamed.save_weights):
        with pytest.raises(ValueError, match="name of a layer must not begin with"):
            save(path)
    assert not path.exists()

    class Own(Layer):
        def build(self, input_shape: Any) -> None:
            self.add_weight((2,), "zeros", name=name)
            super().build(input_shape)

    with pytest.raises(ValueError, match="name of a weight of own must not begin with"):
        Own().build((None, 2))
    for fine in ("optimizer", "block1.conv", "running.mean", "optimizers.x"):
        assert Dense(2, name=fine).name == fine


def test_names_that_cannot_be_written():
    with pytest.raises(ValueError, match=r"name of a layer must be text that can be written \(UTF-8\), got '\\ud83d'"):
        Dense(2, name="\ud83d")
    assert Dense(2, name="K\u00f6ln \U0001f600").name.startswith("K")


def test_two_weights_of_one_path():
    class Own(nnx.Model):
        def __init__(self) -> None:
            super().__init__()
            self.inner = Dense(2, name="inner")

        def build(self, input_shape: Any) -> None:
            self.own = self.add_weight((2,), "zeros", name="inner/kernel")
            super().build(input_shape)

        def call(self, x: Any) -> Any:
            return self.inner(x) + self.own

    model = Own()
    model.build((None, 3))
    with pytest.raises(ValueError, match="two weights have the path 'inner/kernel': give one of them another name"):
        model.named_weights()


def test_states_with_the_keys_of_the_file():
    for key in ("array of the file", "number of the file"):
        with pytest.raises(TypeError, match=rf"state\['a'\] has a key .*{key}"):
            pack({"a": {key: "x"}}, "run.", "state")


def test_the_checksum_of_earlier_versions(tmp_path: Path):
    """SHA-256 of all texts, and of names, dtypes, shapes and values, in the order of the names."""
    path, values, texts = tmp_path / "old.safetensors", np.asarray([1.0, 2.0], np.float32), {"format": "any"}
    digest = hashlib.sha256(json.dumps(sorted(texts.items())).encode())
    digest.update(json.dumps(["a", "float32", [2]]).encode() + values.tobytes())
    save_file({"a": values}, path, {**texts, "nnx-checksum": digest.hexdigest()})
    arrays, found = read_file(path)
    assert (arrays["a"].tolist(), found) == ([1.0, 2.0], texts)
    path.write_bytes(path.read_bytes()[:-1] + b"\x41")
    with pytest.raises(ValueError, match="wrong checksum"):
        read_file(path)
