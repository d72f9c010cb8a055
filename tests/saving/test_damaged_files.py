"""Files that are foreign, cut off, changed or of another model; and writing that is interrupted."""

from __future__ import annotations

import copy
import gzip
import json
import os
import pickle
import re
import subprocess
import sys
import tracemalloc
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import save_file

import nnx
from nnx import file_targets
from nnx.layers import Dense, Dropout, Lambda
from nnx.random import Generator
from nnx.saving import files
from nnx.testing import assert_close

X = np.float32(Generator(1).normal((12, 3)))
Y = np.float32(Generator(2).normal((12, 2)))


def make(optimizer: Any = "adam", units: int = 4) -> nnx.Sequential:
    nnx.random.set_seed(3)
    model = nnx.Sequential([Dense(units, "tanh", input_dim=3, kernel_regularizer="l2"), Dropout(0.2), Dense(2)])
    model.compile(optimizer, "mse", metrics=["mae"])
    model.fit(X, Y, verbose=0)
    return model


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A model file, as bytes."""
    path = tmp_path_factory.mktemp("saved") / "model.safetensors"
    make(nnx.optimizers.Adam(nnx.schedules.ExponentialDecay(0.1, 10, 0.9))).save(path)
    return path.read_bytes()


@pytest.fixture
def unchecked(saved: bytes, path: Path) -> bytes:
    """The same file without its checksum, as another program may write it."""
    arrays, metadata = read(saved, path)
    save_file(arrays, path, metadata)
    return path.read_bytes()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "model.safetensors"


def load_or_refuse(path: Path) -> bool:
    """Whether a file loads; any error but ValueError fails the test."""
    model = nnx.Sequential([Dense(4, input_dim=3), Dropout(0.2), Dense(2)])
    before = model.get_weights()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            model.load_weights(path)
        except ValueError:
            for old, new in zip(before, model.get_weights(), strict=True):
                assert_close(new, old, 0.0, 0.0)
        try:
            nnx.models.load_model(path)
        except ValueError:
            return False
    return True


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the limits of processes are those of Linux")
def test_a_selection_of_the_fuzzing():
    """A part of what ci/fuzz_files.py does by default, in processes with little memory and an alarm."""
    command = [
        sys.executable,
        str(Path(__file__).parents[2] / "ci" / "fuzz_files.py"),
        "--inputs",
        "300",
        "--seed",
        "7",
    ]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr
    assert re.search(r"^all +300 +2\d\d .* 0$", result.stdout, re.MULTILINE), result.stdout


def test_a_description_of_a_model_that_is_too_large(saved: bytes, path: Path):
    arrays, metadata = read(saved, path)
    description = json.loads(metadata["model"])
    tracemalloc.start()
    try:
        for units, words in (
            (10**9, "dense asks for a kernel of shape .*, larger than all there is for it"),
            (10, "not fit"),
        ):
            description["config"]["layers"][0]["config"]["units"] = units
            save_file(arrays, path, {**metadata, "model": json.dumps(description)})
            with pytest.raises(ValueError, match=words):
                nnx.models.load_model(path)
        assert tracemalloc.get_traced_memory()[1] < 10 << 20
    finally:
        tracemalloc.stop()


# Foreign files


FOREIGN: dict[str, tuple[Callable[[Path], Any], str]] = {
    "pickle": (lambda p: p.write_bytes(pickle.dumps({"a": np.ones(3)})), "a pickle, which nnx does not read"),
    "gzip": (lambda p: p.write_bytes(gzip.compress(b"a" * 100)), "compressed with gzip"),
    "empty": (lambda p: p.write_bytes(b""), "empty, truncated or not a safetensors file"),
    "text": (lambda p: p.write_text("epoch,loss\n0,1.5\n" * 9), "empty, truncated or not a safetensors file"),
    "zeros": (lambda p: p.write_bytes(bytes(1000)), "empty, truncated or not a safetensors file"),
    "shards": (
        lambda p: p.write_text('{\n    "metadata": {"total_size": 32768}, "weight_map": {}\n}'),
        r"a text of JSON; weights in several files, \.weights\.json, are not read: save them in one, \.weights\.h5",
    ),
    "array": (lambda p: p.write_bytes(b"\x93NUMPY" + bytes(99)), "empty, truncated or not a safetensors file"),
}


@pytest.mark.parametrize("kind", FOREIGN)
def test_foreign_files(kind: str, path: Path):
    write, words = FOREIGN[kind]
    write(path)
    model = make()
    before = model.get_weights()
    for load in (nnx.models.load_model, model.load_weights):
        with pytest.raises(ValueError, match=rf"(?s)cannot read .*model.safetensors: it is {words}"):
            load(path)
    for old, new in zip(before, model.get_weights(), strict=True):
        assert_close(new, old, 0.0, 0.0)


def test_no_file_or_a_folder(tmp_path: Path):
    for load in (nnx.models.load_model, make().load_weights):
        with pytest.raises(FileNotFoundError, match="there is no file"):
            load(tmp_path / "nothing")
        with pytest.raises(IsADirectoryError, match="it is a folder"):
            load(tmp_path)
    with pytest.raises(IsADirectoryError, match="it is a folder"):
        make().save(tmp_path)
    (tmp_path / "saved_model.pb").touch()
    with pytest.raises(
        IsADirectoryError, match="it is a SavedModel of TensorFlow, which nnx does not read; load it there"
    ):
        nnx.models.load_model(tmp_path)


def test_a_safetensors_file_of_something_else(path: Path):
    save_file({"weight": np.ones((2, 3), np.float32)}, path)
    with pytest.raises(ValueError, match="is not a model saved by nnx: it has only weights"):
        nnx.models.load_model(path)
    with pytest.raises(ValueError, match=r"dense/kernel of shape \(3, 4\) is not in the file.*weight is in the file"):
        make().load_weights(path)


def test_a_truncated_file(saved: bytes, path: Path):
    lengths = [*range(40), *range(40, len(saved), max(1, len(saved) // 60)), len(saved) - 1]
    for length in lengths:
        path.write_bytes(saved[:length])
        with pytest.raises(ValueError, match=r"cannot read .*empty, truncated or not a safetensors file"):
            nnx.models.load_model(path)
        assert not load_or_refuse(path)
    path.write_bytes(saved + b"\0")
    assert not load_or_refuse(path)
    path.write_bytes(saved)
    assert load_or_refuse(path)


def test_the_length_of_a_header_is_no_pickle(path: Path):
    """Both may begin with the byte 80."""
    path.write_bytes(bytes([0x80, 4]) + bytes(6) + b"{" * 500)
    with pytest.raises(ValueError, match="it is empty, truncated or not a safetensors file"):
        nnx.models.load_model(path)


def test_random_mutations(unchecked: bytes, path: Path):
    """Each changed file loads or is refused with a ValueError."""
    generator = Generator(4)
    header = int.from_bytes(unchecked[:8], "little") + 8
    refused = 0
    for round_number in range(300):
        data = bytearray(unchecked)
        limit = len(data) if round_number % 5 == 0 else header  # most of them in the description
        for _ in range(1 + round_number % 3):
            position, value, action = (int(word) for word in generator.integers(3))
            position %= limit
            if action % 4 == 0:
                del data[position : position + value % 9]
            elif action % 4 == 1:
                data[position:position] = bytes([value % 128])
            elif action % 4 == 2:
                data[position] = b'0123456789-.,:"[]{}enultrasf'[value % 28]
            else:
                data[position] = value % 256
        path.write_bytes(bytes(data))
        refused += not load_or_refuse(path)
    assert 100 < refused < 300  # both happen


def test_bits_that_changed_are_noticed(saved: bytes, path: Path):
    """In the parameters, where nothing else would tell, and in the description."""
    for position in [*range(10, len(saved), len(saved) // 200), len(saved) - 1]:
        data = bytearray(saved)
        data[position] ^= 1 << position % 8
        path.write_bytes(data)
        if load_or_refuse(path):
            assert b'"nnx-checksum"' not in data  # the bit was in its name
    path.write_bytes(saved[:-1] + bytes([saved[-1] ^ 1]))
    for load in (nnx.models.load_model, make().load_weights):
        with pytest.raises(
            ValueError, match=r"it is damaged, what is in it is not what was written \(wrong checksum\)"
        ):
            load(path)


# A damaged description


def read(data: bytes, path: Path) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """The arrays and the texts of a file, without its checksum."""
    path.write_bytes(data)
    with safe_open(path, framework="numpy") as file:
        texts = {key: text for key, text in file.metadata().items() if key != "nnx-checksum"}
        return {name: file.get_tensor(name) for name in file.keys()}, texts  # noqa: SIM118


def places(value: Any, route: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The way to every value in JSON data."""
    yield route
    for key, inner in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        yield from places(inner, (*route, key))


def replaced(value: Any, route: tuple[Any, ...], new: Any) -> Any:
    if not route:
        return new
    result = copy.copy(value)
    result[route[0]] = replaced(value[route[0]], route[1:], new)
    return result


@pytest.mark.parametrize("part", ["model", "random", "training"])
def test_wrong_types_in_the_description(saved: bytes, path: Path, part: str):
    arrays, metadata = read(saved, path)
    description = json.loads(metadata[part])
    refused = tried = 0
    for route in places(description):
        for wrong in (None, 3, -1, 2.5, 10**400, "x", [], ["x"], {}, {"x": 1}, True):
            damaged = json.dumps(replaced(description, route, wrong))
            save_file(arrays, path, {**metadata, part: damaged})
            refused += not load_or_refuse(path)
            tried += 1
    assert tried / 4 < refused < tried


@pytest.mark.parametrize(
    ("part", "route"),
    [
        ("model", ()),
        ("model", ("class_name",)),
        ("model", ("config",)),
        ("model", ("config", "layers")),
        ("model", ("config", "layers", 0)),
        ("model", ("config", "layers", 0, "class_name")),
        ("model", ("config", "layers", 0, "config", "units")),
        ("model", ("config", "layers", 1, "config", "rate")),
        ("random", ("",)),
        ("random", ("dropout", "counter")),
        ("training", ("optimizer",)),
        ("training", ("optimizer", "config", "beta_1")),
        ("training", ("optimizer_state",)),
        ("training", ("optimizer_state", "steps")),
        ("training", ("compile", "loss")),
        ("training", ("trained",)),
        ("training", ("history",)),
        ("training", ("history", "loss")),
        ("training", ("epoch",)),
    ],
)
def test_wrong_types_that_nothing_can_be_made_of(saved: bytes, path: Path, part: str, route: tuple[Any, ...]):
    arrays, metadata = read(saved, path)
    description = json.loads(metadata[part])
    for wrong in ("x", -1.5, ["x"], {"x": [[]]}, [[]], {"x": {}}):
        save_file(arrays, path, {**metadata, part: json.dumps(replaced(description, route, wrong))})
        with pytest.raises(ValueError, match=r"cannot load .*model.safetensors: "):
            nnx.models.load_model(path)


@pytest.mark.parametrize("part", ["model", "random", "training", "format"])
def test_parts_of_the_description_that_are_missing_or_no_json(saved: bytes, path: Path, part: str):
    arrays, metadata = read(saved, path)
    for text in ("", "{", "nonsense", "[" * 100000, "\ud83d".encode("utf-8", "replace").decode()):
        save_file(arrays, path, {**metadata, part: text})
        with pytest.raises(ValueError, match=r"description of the model is damaged|not a model saved by nnx"):
            nnx.models.load_model(path)
    save_file(arrays, path, {key: value for key, value in metadata.items() if key != part})
    assert load_or_refuse(path) == (part == "training")


def test_arrays_that_are_missing_or_of_another_shape(saved: bytes, path: Path):
    arrays, metadata = read(saved, path)
    for name, array in arrays.items():
        for changed in ({}, {name: array[:1]}, {name: array[None]}, {name: array, f"{name}2": array}):
            save_file({**{k: v for k, v in arrays.items() if k != name}, **changed}, path, metadata)
            with pytest.raises(ValueError, match=r"does not fit"):
                nnx.models.load_model(path)


def test_the_model_is_left_alone_when_weights_do_not_fit(path: Path):
    make(units=5).save(path)
    model = make()
    before, steps = model.get_weights(), model.optimizer.iterations
    with pytest.raises(ValueError, match=r"sequential: dense/kernel has shape \(3, 4\), in the file \(3, 5\)"):
        model.load_weights(path)
    for old, new in zip(before, model.get_weights(), strict=True):
        assert_close(new, old, 0.0, 0.0)
    assert model.optimizer.iterations == steps
    model.fit(X, Y, verbose=0)


# Writing


@pytest.mark.parametrize("error", [OSError("the disk is full"), KeyboardInterrupt(), MemoryError()])
@pytest.mark.parametrize(
    "moment", [(files, "_header"), (file_targets, "_take_over"), (file_targets, "_flush"), (os, "replace")]
)
def test_an_interrupted_save_leaves_the_old_file(
    path: Path, monkeypatch: pytest.MonkeyPatch, moment: tuple[Any, str], error: BaseException
):
    make().save(path)
    old = path.read_bytes()
    model = make("sgd")

    def fail(*args: Any, **kwargs: Any) -> None:
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(*moment, fail)
        for save in (model.save, model.save_weights):
            with pytest.raises(type(error)):
                save(path)
    assert path.read_bytes() == old
    assert [file.name for file in path.parent.iterdir()] == [path.name]
    model.save(path)
    assert path.read_bytes() != old


def test_overwriting_can_be_refused(path: Path):
    model = make()
    model.save(path, overwrite=False)
    old = path.read_bytes()
    model.fit(X, Y, verbose=0)
    for save in (model.save, model.save_weights):
        with pytest.raises(FileExistsError, match=r"model.safetensors already exists; pass overwrite=True"):
            save(path, overwrite=False)
    assert path.read_bytes() == old
    model.save(path)
    assert path.read_bytes() != old


def test_what_cannot_be_saved_is_refused_before_anything_is_written(path: Path):
    make().save(path)
    old = path.read_bytes()
    anonymous = nnx.Sequential([Lambda(lambda x: (x, lambda dy: dy), input_shape=(3,)), Dense(2)])
    with_loss = nnx.Sequential([Dense(2, input_dim=3)])
    with_loss.compile("sgd", lambda y_true, y_pred: (y_pred[:, 0], lambda d: y_pred * 0.0))
    with_metric = nnx.Sequential([Dense(2, input_dim=3)])
    with_metric.compile("sgd", "mse", metrics=[lambda y_true, y_pred: y_pred[:, 0]])
    for model in (anonymous, with_loss, with_metric):
        with pytest.raises(TypeError, match=r"<lambda>.* cannot be saved in a configuration; give it a name"):
            model.save(path)
        model.save_weights(path.parent / "weights")  # which needs no names
    assert path.read_bytes() == old
    assert sorted(file.name for file in path.parent.iterdir()) == [path.name, "weights"]


@pytest.mark.skipif(os.name != "posix", reason="permissions as on POSIX")
def test_files_are_as_readable_as_others(path: Path):
    before = os.umask(0o027)
    try:
        make().save(path)
    finally:
        os.umask(before)
    assert path.stat().st_mode & 0o777 == 0o640


def test_a_layer_in_the_place_of_a_model(saved: bytes, path: Path):
    arrays, metadata = read(saved, path)
    description = json.dumps({"class_name": "Dense", "config": {"units": 4}})
    save_file(arrays, path, {**metadata, "model": description})
    with pytest.raises(ValueError, match="it is a Dense, not a model"):
        nnx.models.load_model(path)
