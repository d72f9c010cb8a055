"""Read thousands of damaged files: python ci/fuzz_files.py

Files that nnx reads (models, weights, checkpoints, data sets) are changed at random: bits, bytes, lengths, cuts, pieces
of other files, and, behind all checksums, what is inside of them: JSON, headers, instructions. Each has to be read, or
refused with a ValueError that names the file, in bounded time and memory, and without running or writing anything.
A model into which weights or a checkpoint could not be read has to be as it was.

The process that reads has a limit of memory, and an alarm for each file; when it dies, the file is reported and the
next one is read by another process. --keep FOLDER keeps the files that were not refused as they should. --inputs says
how many files: CI reads 5,000; 100,000, with another --seed, are for a night.

So many files of each of Keras' formats, with h5py:
python ci/fuzz_files.py --only keras keras_feature_spaces keras.h5 keras.weights.h5
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import copy
import encodings.ascii  # noqa: F401, h5py imports it at the first text of ASCII
import gzip
import io
import json
import os
import pickle
import random
import resource
import signal
import struct
import subprocess
import sys
import tarfile
import tempfile
import tracemalloc
import unicodedata  # noqa: F401, Python's parser imports it at the first name that is not ASCII, as in a header of .npy
import warnings
import zipfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

import nnx
import nnx.utils.feature_space  # imported when a layer is looked for that nobody knows
from nnx import layers
from nnx.callbacks import BackupAndRestore, LambdaCallback
from nnx.datasets import cifar10, imdb, mnist

MOST_BYTES = 1 << 30  # of address space, beside what the process has already
MOST_BYTES_FOR_A_FILE = 16 << 20  # that may be allocated while one is read; the files have some kilobytes
MOST_SECONDS = 30  # of a clock on the wall: the machine may have other things to do
MOST_LINES = 20  # about what is wrong with files of one kind

# Raw bytes


def flip(data: bytearray, chance: random.Random) -> None:
    data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)


def overwrite(data: bytearray, chance: random.Random) -> None:
    data[chance.randrange(len(data))] = chance.choice(b'\x00\xff\x80\x7f0129-.,:"[]{}enultrasf\n ')


def cut(data: bytearray, chance: random.Random) -> None:
    del data[chance.randrange(len(data)) :]


def remove(data: bytearray, chance: random.Random) -> None:
    place = chance.randrange(len(data))
    del data[place : place + chance.choice([1, 2, 4, 8, 100])]


def repeat(data: bytearray, chance: random.Random) -> None:
    start, place = chance.randrange(len(data)), chance.randrange(len(data))
    data[place:place] = data[start : start + chance.choice([1, 4, 30, 1000])]


def enlarge(data: bytearray, chance: random.Random) -> None:
    """A length, or what may be one."""
    place = chance.choice([0, 4, 8, chance.randrange(len(data))])
    number = chance.choice([0, 1, 255, 1 << 16, (1 << 31) - 1, (1 << 32) - 1, 1 << 40, (1 << 63) - 1, (1 << 64) - 1])
    form = chance.choice(["<Q", ">I", "<I", "<H"])
    piece = struct.pack(form, number % (1 << 8 * struct.calcsize(form)))
    data[place : place + len(piece)] = piece


def damage(data: bytes, chance: random.Random) -> bytes:
    changed = bytearray(data)
    for _ in range(chance.choice([1, 1, 1, 2, 3, 8])):
        if changed:
            chance.choice([flip, flip, overwrite, overwrite, cut, remove, repeat, enlarge])(changed, chance)
    return bytes(changed)


# What is inside of safetensors files

ODD = [
    *(None, True, False, -1, 0, 1, 2, 3, 7, 0.5, -0.0, 1e308, float("nan"), 10**6, 10**9, 10**12, 1 << 63, 10**400),
    *(
        "",
        "x",
        "../x",
        "a" * 10000,
        "\ud83d",
        "float64",
        "relu",
        "mse",
        "adam",
        "Dense",
        "LSTM",
        "Sequential",
        "numpy.load",
        __file__,  # there is such a file, which nothing may read
    ),
    *([], {}, [[]], [1, 2], [None], ["x"], {"x": 1}, {"class_name": "Dense", "config": {"units": 10**9}}),
    {"class_name": "Lambda", "config": {"function": "eval"}},
]


def routes(value: Any, route: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield route
    for key, inner in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        yield from routes(inner, (*route, key))


def edit(value: Any, chance: random.Random) -> Any:
    """Nested plain data with something else at one place, or with a part of itself there, or without it."""
    value = copy.deepcopy(value)
    found = list(routes(value))
    route = chance.choice(found)
    if not route:
        return chance.choice(ODD)
    owner = value
    for key in route[:-1]:
        owner = owner[key]
    action = chance.randrange(6)
    if action == 0:
        del owner[route[-1]]
    elif action == 1:
        other: Any = value
        for key in chance.choice(found):
            other = other[key]
        owner[route[-1]] = copy.deepcopy(other)
    elif action == 2 and isinstance(owner[route[-1]], int | float):
        owner[route[-1]] = owner[route[-1]] * chance.choice([-1, 2, 1000, 10**6]) + chance.choice([-1, 0, 1])
    elif action == 3 and isinstance(owner, list):
        owner *= chance.choice([2, 30])
    else:
        owner[route[-1]] = copy.deepcopy(chance.choice(ODD))
    return value


def parts(data: bytes) -> tuple[dict[str, Any], bytes]:
    """The header and the arrays of a safetensors file."""
    length = int.from_bytes(data[:8], "little")
    return json.loads(data[8 : 8 + length]), data[8 + length :]


def joined(header: Any, arrays: bytes) -> bytes:
    text = json.dumps(header, sort_keys=True).encode()
    return len(text).to_bytes(8, "little") + text + arrays


def edit_header(data: bytes, chance: random.Random) -> bytes:
    header, arrays = parts(data)
    texts = header.pop("__metadata__")
    del texts["nnx-checksum"]  # a checksum is no protection from somebody who means harm
    described = sorted(key for key, text in texts.items() if text.startswith("{"))
    for _ in range(chance.choice([1, 1, 2, 4])):
        key = chance.choice(described) if described else ""
        action = chance.randrange(12)
        if action == 0:
            header = edit(header, chance)
        elif action == 1:
            texts[chance.choice(sorted(texts))] = chance.choice(["", "{", "[" * 100000, "1" * 5000, '{"a":' * 3000])
        elif texts[key].startswith("{"):
            with contextlib.suppress(RecursionError, ValueError):  # from what was put there before
                texts[key] = json.dumps(edit(json.loads(texts[key]), chance))
    return joined({**header, "__metadata__": texts} if isinstance(header, dict) else header, arrays)


def edit_safetensors(data: bytes, chance: random.Random) -> bytes:
    return damage(data, chance) if chance.randrange(4) == 0 else edit_header(data, chance)


# What is inside of compressed files


def edit_gzip(data: bytes, chance: random.Random) -> bytes:
    if chance.randrange(4) == 0:
        return damage(data, chance)
    inner = gzip.decompress(data)
    start = damage(inner[:400], chance) if chance.randrange(2) else inner[:400]
    changed = start + inner[400:] if start != inner[:400] else damage(inner, chance)
    return gzip.compress(changed, 1, mtime=0) if chance.randrange(3) else changed


def edit_zip(data: bytes, chance: random.Random) -> bytes:
    if chance.randrange(3) == 0:
        return damage(data, chance)
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    name = chance.choice(sorted(members))
    if chance.randrange(2):
        members[name] = damage(members[name][:128], chance) + members[name][128:]
    elif chance.randrange(2):
        header = members[name][:128].decode("latin-1")
        odd = chance.choice(["(1000000000,)", "(-1, 3)", "(2, 28, 28, 99999999)", "()", "(True,)", "None", "(" * 50])
        old = header[header.index("(") : header.index(")") + 1]
        members[name] = header.replace(old, odd).ljust(128).encode("latin-1") + members[name][128:]
    else:
        members[damage(name.encode(), chance).decode("latin-1").replace("\0", "") or "x"] = members.pop(name)
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", chance.choice([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])) as archive:
        for key, member in members.items():
            archive.writestr(key, member)
    return target.getvalue()


# The targets

X = np.float32(nnx.random.Generator(1).normal((12, 4)))
LABELS = np.arange(12) % 3
SEQUENCES = X.reshape(12, 2, 2)


def dense() -> Any:
    nnx.random.set_seed(1)
    model = nnx.Sequential(
        [
            layers.Dense(5, "relu", input_dim=4, kernel_regularizer="l2", bias_constraint="max_norm"),
            layers.BatchNormalization(),
            layers.Dropout(0.3),
            nnx.Sequential([layers.Dense(4), layers.LeakyReLU()]),
            layers.Dense(3, "softmax"),
        ]
    )
    schedule = nnx.schedules.PiecewiseConstantDecay([5, 9], [0.1, 0.05, 0.01])
    model.compile(nnx.optimizers.Adam(schedule, use_ema=True), "sparse_categorical_crossentropy", metrics=["acc", "ce"])
    return model


def recurrent() -> Any:
    nnx.random.set_seed(1)
    model = nnx.Sequential(
        [
            layers.Bidirectional(layers.LSTM(3, return_sequences=True), input_shape=(2, 2)),
            layers.GRU(3, stateful=True, dropout=0.1),
            layers.Dense(3, "softmax"),
        ]
    )
    model.compile("rmsprop", "sparse_categorical_crossentropy", metrics=["acc"])
    return model


def graph() -> Any:
    nnx.random.set_seed(1)
    x = layers.Input((2, 2))
    attended = layers.MultiHeadAttention(2, 3, dropout=0.1)(x, x)
    flat = layers.Flatten()(layers.Add()([layers.LayerNormalization()(attended), x]))
    model = nnx.Model(x, layers.Dense(3, "softmax")(layers.GaussianNoise(0.1)(flat)))
    loss = nnx.losses.SparseCategoricalCrossentropy()
    model.compile(nnx.optimizers.SGD(0.1, momentum=0.9, clipnorm=1.0), loss, metrics=["acc"], weighted_metrics=["ce"])
    return model


def images() -> Any:
    nnx.random.set_seed(1)
    model = nnx.Sequential(
        [
            layers.Rescaling(0.5, input_shape=(2, 2, 1)),
            layers.RandomFlip(),
            layers.ZeroPadding2D(1),
            layers.Conv2D(3, 2, padding="same", activation="relu"),
            layers.SeparableConv2D(2, 2, use_bias=False),
            layers.UpSampling2D(2, interpolation="bilinear"),
            layers.MaxPooling2D(2),
            layers.Conv2DTranspose(2, 2, strides=2),
            layers.GlobalAveragePooling2D(),
            layers.Dense(3, "softmax"),
        ]
    )
    counts = [nnx.metrics.ConfusionMatrix(3), nnx.metrics.MeanIoU(3, sparse_y_pred=False)]
    model.compile(nnx.optimizers.Lion(0.01), "sparse_categorical_crossentropy", metrics=counts)
    return model


def words() -> Any:
    nnx.random.set_seed(1)
    model = nnx.Sequential(
        [
            layers.Embedding(7, 3, mask_zero=True, input_length=4),
            layers.Reshape((3, 4)),
            layers.Permute((2, 1)),
            layers.Flatten(),
            layers.Dense(1, "sigmoid"),
        ]
    )
    metrics = [nnx.metrics.AUC(20), nnx.metrics.PrecisionAtRecall(0.5, num_thresholds=9), "precision"]
    optimizer = nnx.optimizers.RMSprop(0.01, momentum=0.5, weight_decay=0.1, gradient_accumulation_steps=3)
    model.compile(optimizer, "binary_crossentropy", metrics=metrics)
    return model


def half() -> Any:
    nnx.random.set_seed(1)
    with nnx.backend("numpy", dtype="float16"):
        model = nnx.Sequential(
            [
                layers.Dense(4, "tanh", input_dim=4),
                layers.LayerNormalization(),
                layers.Dense(3, "softmax", dtype="float32"),
            ]
        )
    optimizer = nnx.optimizers.LossScaleOptimizer(nnx.optimizers.Adafactor(0.01), 2.0**20, 2)
    model.compile(optimizer, "sparse_categorical_crossentropy", metrics=["acc"])
    return model


@nnx.saving.register_keras_serializable("fuzzed")
class Counting(layers.Layer):
    """A layer that stores itself, and writes a file."""

    calls, words = 1, "some words"

    def build(self, input_shape: Any) -> None:
        self.scale = self.add_weight((1,), "ones", name="scale")
        super().build(input_shape)

    def call(self, x: Any) -> Any:
        return x * self.scale

    def save_own_variables(self, store: Any) -> None:
        super().save_own_variables(store)
        store["calls"] = self.calls

    def load_own_variables(self, store: Any) -> None:
        self.calls = int(store["calls"])
        self.scale.assign(store["0"])

    def save_assets(self, folder: str) -> None:
        Path(folder, "words.txt").write_text(self.words, encoding="utf-8")

    def load_assets(self, folder: str) -> None:
        self.words = Path(folder, "words.txt").read_text(encoding="utf-8")


def own() -> Any:
    nnx.random.set_seed(1)
    model = nnx.Sequential([layers.Input((4,)), Counting(), layers.Dense(3, "softmax"), Counting()])
    model.compile("adam", "sparse_categorical_crossentropy")
    return model


MODELS: dict[str, tuple[Callable[[], Any], np.ndarray, np.ndarray]] = {
    "dense": (dense, X, LABELS),
    "recurrent": (recurrent, SEQUENCES, LABELS),
    "graph": (graph, SEQUENCES, LABELS),
    "images": (images, X.reshape(12, 2, 2, 1), LABELS),
    "words": (words, np.int64(np.abs(X) * 2), np.float32(LABELS == 1)),
    "half": (half, X, LABELS),
    "own": (own, X, LABELS),
}


class Stop(BaseException):
    """The training has gone as far as it should."""


def stop_at(step: int) -> LambdaCallback:
    def act(batch: int, logs: Any = None) -> None:
        if batch >= step:
            raise Stop

    return LambdaCallback(on_train_batch_begin=act)


def train(name: str, model: Any, folder: Path, *, steps: int) -> None:
    """Some steps of an epoch of four batches, with a checkpoint after each."""
    with contextlib.suppress(Stop):
        backup = BackupAndRestore(folder, save_freq=1, delete_checkpoint=False)
        model.fit(*MODELS[name][1:], batch_size=3, verbose=0, callbacks=[stop_at(steps), backup])


def learnt(model: Any) -> Any:
    """All that training has changed in a model, without the history, which begins with every `fit`."""
    arrays, texts = nnx.saving.model_file.contents(model, {})
    return {name: array.tobytes() for name, array in arrays.items()}, texts["random"], model.optimizer.state()


class Target:
    """Files of one kind.

    seeds : good ones. mutate : changes the content of one. name : what it is called in its folder.
    """

    name = "file.safetensors"
    mutate: Callable[[bytes, random.Random], bytes] = staticmethod(edit_safetensors)

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.seeds: list[bytes] = []
        self.path = folder / self.name

    def prepare(self, number: int) -> Callable[[], Any]:
        """What to do before a file is written that is like the seed of that number; returns what reads it."""
        raise NotImplementedError

    def unharmed(self) -> bool:
        """Whether nothing has changed after a file was refused."""
        return True


class Models(Target):
    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.models = []
        for name, (make, *_) in MODELS.items():
            model = make()
            train(name, model, folder / name, steps=2)
            self.write(name, model)
            header, arrays = parts(self.path.read_bytes())
            self.seeds.append(joined(header, arrays))  # with the texts in one order
            self.models.append((name, make()))
        self.before = [learnt(model) for _, model in self.models]
        self.number = 0

    def write(self, name: str, model: Any) -> None:
        model.save(self.path)

    def prepare(self, number: int) -> Callable[[], Any]:
        return lambda: nnx.models.load_model(self.path)


class Weights(Models):
    def prepare(self, number: int) -> Callable[[], Any]:
        self.number = number
        if not self.unharmed():  # the file before this one was good
            name, _ = self.models[number]
            self.models[number] = (name, MODELS[name][0]())
        model = self.models[number][1]
        return lambda: model.load_weights(self.path, skip_mismatch=False)

    def unharmed(self) -> bool:
        return learnt(self.models[self.number][1]) == self.before[self.number]


class Checkpoints(Weights):
    name = "latest.safetensors"

    def write(self, name: str, model: Any) -> None:
        (self.folder / name / self.name).replace(self.path)

    def prepare(self, number: int) -> Callable[[], Any]:
        super().prepare(number)
        name, model = self.models[number]
        return lambda: train(name, model, self.folder, steps=0)


class DataSets(Target):
    """Data sets of six images for training and three for testing, in one file or in a folder."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        chance = np.random.default_rng(1)
        self.arrays = {
            "x_train": chance.integers(0, 256, (6, 28, 28), dtype=np.uint8),
            "y_train": np.arange(6, dtype=np.uint8),
            "x_test": chance.integers(0, 256, (3, 28, 28), dtype=np.uint8),
            "y_test": np.arange(3, dtype=np.uint8),
        }

    def prepare(self, number: int) -> Callable[[], Any]:
        return lambda: mnist.load_data(self.path)


class Idx(DataSets):
    names = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")
    mutate = staticmethod(edit_gzip)

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        for array in self.arrays.values():
            content = struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape) + array.tobytes()
            self.seeds.append(gzip.compress(content, 1, mtime=0))

    def prepare(self, number: int) -> Callable[[], Any]:
        for name, content in zip(self.names, self.seeds, strict=True):
            (self.folder / f"{name}.gz").write_bytes(content)
        self.path = self.folder / f"{self.names[number]}.gz"
        return lambda: mnist.load_data(self.folder)


class Npz(DataSets):
    name = "mnist.npz"
    mutate = staticmethod(edit_zip)

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        for save in (np.savez, np.savez_compressed):
            save(self.path, **self.arrays)
            self.seeds.append(self.path.read_bytes())


class Pickles(DataSets):
    name = "mnist.pkl.gz"
    mutate = staticmethod(edit_gzip)

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        x, y, x_test, y_test = self.arrays.values()
        fractions, fractions_test = (np.float32(images.reshape(-1, 784) / 256) for images in (x, x_test))
        pairs = ((fractions[:4], y[:4].astype(int)), (fractions[4:], y[4:].astype(int)), (fractions_test, y_test))
        for content, protocol in ((pairs, 0), (pairs, 2), (pairs, 5), (((x, y), (x_test, y_test)), 4)):
            self.seeds.append(gzip.compress(pickle.dumps(content, protocol), 1, mtime=0))


class Archives(Target):
    """CIFAR-10: pickled dicts in a tar archive."""

    name = "cifar-10-python.tar.gz"
    mutate = staticmethod(edit_gzip)

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        chance = np.random.default_rng(1)
        for protocol in (2, 5):
            target = io.BytesIO()
            with tarfile.open(fileobj=target, mode="w") as archive:
                for name in (*(f"data_batch_{number}" for number in range(1, 6)), "test_batch"):
                    data = chance.integers(0, 256, (2, 3072), dtype=np.uint8)
                    content = pickle.dumps({"data": data, "labels": [3, 7], "filenames": ["a.png", "b.png"]}, protocol)
                    member = tarfile.TarInfo(f"cifar-10-batches-py/{name}")
                    member.size = len(content)
                    archive.addfile(member, io.BytesIO(content))
            self.seeds.append(gzip.compress(target.getvalue(), 1, mtime=0))

    def prepare(self, number: int) -> Callable[[], Any]:
        return lambda: cifar10.load_data(self.path)


class Words(Target):
    """IMDB: pickled lists of words in an archive of NumPy's."""

    name = "imdb.npz"
    mutate = staticmethod(edit_zip)

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        chance = np.random.default_rng(1)
        texts = np.empty(6, object)
        texts[:] = [chance.integers(1, 70000, length).tolist() for length in range(1, 60, 10)]
        for save in (np.savez, np.savez_compressed):
            save(self.path, x_train=texts, y_train=np.arange(6), x_test=texts[:3], y_test=np.arange(3))
            self.seeds.append(self.path.read_bytes())

    def prepare(self, number: int) -> Callable[[], Any]:
        return lambda: imdb.load_data(self.path)


class WordIndex(Target):
    name = "imdb_word_index.json"
    mutate = staticmethod(lambda text, chance: damage(text, chance) if chance.randrange(2) else edit_json(text, chance))

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.seeds.append(json.dumps({f"word{number}": number for number in range(1, 40)}).encode())

    def prepare(self, number: int) -> Callable[[], Any]:
        return lambda: imdb.get_word_index(self.path)


# Files of Keras


def edit_keras(data: bytes, chance: random.Random) -> bytes:
    """A .keras file with something else in one of its parts, behind the checksums of the archive."""
    if chance.randrange(4) == 0:
        return damage(data, chance)
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    if chance.randrange(2):
        members["model.weights.h5"] = edit_hdf5(members["model.weights.h5"], chance)
    else:
        members["config.json"] = edit_json(members["config.json"], chance)
    assets = sorted(name for name in members if name.startswith("assets/"))
    if assets and chance.randrange(2):
        name = chance.choice(assets)
        places = [
            name,
            f"{name}/in",
            f"assets/{name}",
            "assets/..",
            "assets/../up",
            "assets//up",
            "assets/\0",
            "assets/.",
        ]
        members[chance.choice(places)] = damage(members[name], chance) * chance.choice([1, 1, 1000])
    if chance.randrange(20) == 0:
        del members[chance.choice(sorted(members))]
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", chance.choice([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])) as archive:
        for name, member in members.items():
            archive.writestr(name, member)
    return target.getvalue()


def edit_json(text: bytes, chance: random.Random) -> bytes:
    if chance.randrange(12) == 0:
        return chance.choice([b"", b"{", b"[" * 100000, b"1" * 5000, b'{"a":' * 3000])
    value = json.loads(text)
    for _ in range(chance.choice([1, 1, 2, 4])):
        value = edit(value, chance)
    return json.dumps(value).encode()


def edit_hdf5(data: bytes, chance: random.Random) -> bytes:
    """Most of an HDF5 file are numbers, which anything may be: changes go to what it has of structure, too."""
    if chance.randrange(3) == 0:
        return damage(data, chance)
    changed = bytearray(data)
    marks = [b"TREE", b"HEAP", b"SNOD", b"GCOL", b"\x89HDF", b"vars", b"layers", b"name"]
    for _ in range(chance.choice([1, 2, 4])):
        mark = chance.choice(marks)
        places = [place for place in range(len(changed)) if changed.startswith(mark, place)]
        if places:
            place = min(chance.choice(places) + chance.randrange(64), len(changed) - 8)
            action = chance.randrange(3)
            if action == 0:
                changed[place] ^= 1 << chance.randrange(8)
            elif action == 1:
                changed[place] = chance.choice(b"\x00\x01\x7f\x80\xff")
            else:
                number = chance.choice(
                    [0, 1, 1 << 16, (1 << 31) - 1, 1 << 40, (1 << 63) - 1, chance.randrange(len(data))]
                )
                changed[place : place + 8] = struct.pack("<Q", number)
    return bytes(changed)


class KerasModels(Models):
    name = "file.keras"
    mutate = staticmethod(edit_keras)

    def __init__(self, folder: Path) -> None:
        Target.__init__(self, folder)
        self.models = []
        for name, (make, *_) in MODELS.items():
            model = make()
            train(name, model, folder / name, steps=2)
            self.write(name, model)
            self.seeds.append(self.path.read_bytes())
            self.models.append((name, make()))
        self.before = [learnt(model) for _, model in self.models]
        self.number = 0


class FeatureSpaces(Target):
    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        space = nnx.utils.FeatureSpace(
            {"kind": "string_categorical", "age": "float_discretized", "size": "float_normalized"},
            crosses=[("kind", "age")],
            crossing_dim=5,
        )
        space.adapt({"kind": ["a", "b", "a"], "age": [1.0, 2.0, 5.0], "size": [3.0, 1.0, 2.0]})
        space.save(self.path)
        self.seeds.append(self.path.read_bytes())

    def prepare(self, number: int) -> Callable[[], Any]:
        return lambda: nnx.models.load_model(self.path)


class KerasFeatureSpaces(FeatureSpaces):
    name = "file.keras"
    mutate = staticmethod(edit_keras)


class KerasWeights(KerasModels, Weights):
    name = "file.weights.h5"
    mutate = staticmethod(edit_hdf5)

    def write(self, name: str, model: Any) -> None:
        model.save_weights(self.path)

    def prepare(self, number: int) -> Callable[[], Any]:
        return Weights.prepare(self, number)


class KerasWholeModels(KerasModels):
    name = "file.h5"
    mutate = staticmethod(edit_hdf5)

    def write(self, name: str, model: Any) -> None:
        write_legacy_file(model, self.path)


def write_legacy_file(model: Any, path: Path) -> None:
    """A whole model as Keras 2 and 3 write it to .h5."""
    import h5py

    from nnx.saving.keras_files.serialization import compile_config, model_config

    with h5py.File(path, "w") as file:
        file.attrs["keras_version"], file.attrs["backend"] = "3.15.1", "jax"
        file.attrs["model_config"] = json.dumps(model_config(model))
        training = compile_config(model) or {}
        training["optimizer_config"] = training.pop("optimizer")
        file.attrs["training_config"] = json.dumps(training)
        weights = file.create_group("model_weights")
        weights.attrs["layer_names"] = [layer.name.encode() for layer in model.layers]
        for layer in model.layers:
            group = weights.create_group(layer.name)
            parameters = [*layer.trainable_weights, *layer.non_trainable_weights]
            group.attrs["weight_names"] = [f"{layer.name}/{parameter.path}".encode() for parameter in parameters]
            for parameter in parameters:
                group[f"{layer.name}/{parameter.path}"] = parameter.numpy()


TARGETS: dict[str, type[Target]] = {
    "load_model": Models,
    "feature_spaces": FeatureSpaces,
    "load_weights": Weights,
    "BackupAndRestore": Checkpoints,
    "IDX": Idx,
    "npz": Npz,
    "pickle": Pickles,
    "CIFAR": Archives,
    "IMDB": Words,
    "words": WordIndex,
    "keras": KerasModels,
    "keras.h5": KerasWholeModels,
    "keras.weights.h5": KerasWeights,
    "keras_feature_spaces": KerasFeatureSpaces,
}
SHARES = {
    "load_model": 0.25,
    "feature_spaces": 0.05,
    "load_weights": 0.1,
    "BackupAndRestore": 0.2,
    "IDX": 0.05,
    "npz": 0.1,
    "pickle": 0.1,
    "CIFAR": 0.05,
    "IMDB": 0.05,
    "words": 0.05,
}
"""What part of the files are of one kind, by default. Those of Keras, which need h5py, are read when they are named."""

# Reading


class TooLong(BaseException):
    """The alarm."""


def watch_what_runs(folder: str) -> list[str]:
    """A list that grows with the names of what should never happen while a file in that folder is read."""
    of_assets = str(Path(tempfile.gettempdir(), "nnx-"))
    harmless_places = (
        folder,
        of_assets,
        "/proc/",
        "/sys/",
        sys.prefix,
        sys.base_prefix,
        str(Path(nnx.__file__).parent),
    )
    seen: list[str] = []
    forbidden = ("exec", "os.", "subprocess", "socket", "ctypes", "pickle", "shutil", "import", "marshal", "code.")
    harmless = ("os.listdir", "os.scandir", "os.mkdir", "os.remove", "os.rename", "os.chmod", "os.rmdir", "os.putenv")

    def note(event: str, arguments: Any) -> None:
        is_of_assets = event == "shutil.rmtree" and str(arguments[0]).startswith(of_assets)
        opens = event == "open" and isinstance(arguments[0], str) and not arguments[0].startswith(harmless_places)
        opens = opens and not (arguments[1] is None and "/" not in arguments[0])  # rmtree, beside a descriptor
        if opens or (event.startswith(forbidden) and event not in harmless and not is_of_assets):
            seen.append(f"{event} {arguments}"[:200])

    sys.addaudithook(note)
    return seen


def judge(target: Target, read: Callable[[], Any]) -> str:
    """Read the file: "read", "refused", or what is wrong."""

    def ring(*_: Any) -> None:
        raise TooLong

    signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, MOST_SECONDS)
    tracemalloc.start()
    try:
        read()
        verdict = "read"
    except ValueError as error:
        causes, cause = [], error
        while cause is not None:
            causes.append(cause)
            cause = cause.__cause__ or cause.__context__
        verdict = "refused"
        if any(isinstance(cause, MemoryError) for cause in causes):
            verdict = f"wanted too much memory: {error}"
        elif target.path.name not in str(error):
            verdict = f"does not name the file: {error}"
        elif not target.unharmed():
            verdict = f"refused, but changed the model: {error}"
    except TooLong:
        verdict = f"took more than {MOST_SECONDS} seconds"
    except BaseException as error:
        verdict = f"raised {type(error).__name__}: {error}"
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    if peak > MOST_BYTES_FOR_A_FILE:
        verdict = f"took {peak >> 20} MiB ({verdict})"
    return verdict


def work(name: str, seed: int, start: int, stop: int, keep: Path | None) -> None:
    """Read files from a number to another, and print what became of each."""
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory() as folder:
        target = TARGETS[name](Path(folder))
        for number in range(len(target.seeds)):  # good ones: that imports what has to be
            read = target.prepare(number)
            target.path.write_bytes(target.seeds[number])
            read()
        taken = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (taken + MOST_BYTES,) * 2)
        ran = watch_what_runs(folder)
        for number in range(start, stop):
            chance = random.Random(f"{seed} {name} {number}")
            origin = chance.randrange(len(target.seeds))
            content = target.mutate(target.seeds[origin], chance)
            read = target.prepare(origin)
            target.path.write_bytes(content)
            print(f"{number}\t", end="", flush=True)
            ran.clear()
            verdict = judge(target, read)
            if ran:
                verdict = f"ran {ran[0]} ({verdict})"
            if verdict == "read" and content == target.seeds[origin]:
                verdict = "unchanged"
            if keep is not None and verdict not in ("read", "refused", "unchanged"):
                (keep / f"{name}-{number}-{target.path.name}").write_bytes(content)
            print(json.dumps(verdict), flush=True)


def fuzz(name: str, seed: int, inputs: int, keep: Path | None) -> collections.Counter[str]:
    """What became of the files, each read in a process that may die."""
    verdicts: collections.Counter[str] = collections.Counter()
    done = 0
    while done < inputs:
        command = [sys.executable, __file__, "--seed", str(seed), "--work", name, str(done), str(inputs)]
        result = subprocess.run([*command, *(["--keep", str(keep)] if keep else [])], stdout=subprocess.PIPE, text=True)
        for line in result.stdout.splitlines():
            number, _, verdict = line.partition("\t")
            if not verdict:
                verdict = json.dumps(f"the process died with status {result.returncode}")
            done = int(number) + 1
            verdict = json.loads(verdict)
            if verdict not in ("read", "refused", "unchanged"):
                if verdicts["wrong"] < MOST_LINES:
                    print(f"{name} {number}: {verdict[:300]}")
                verdict = "wrong"
            verdicts[verdict] += 1
        if result.returncode and not result.stdout:
            raise RuntimeError(f"the process for {name} did not begin, its status is {result.returncode}")
    return verdicts


def main(inputs: int, seed: int, keep: Path | None, names: list[str]) -> bool:
    if keep is not None:
        keep.mkdir(parents=True, exist_ok=True)
    total: collections.Counter[str] = collections.Counter()
    print(f"{'files of':20} {'changed':>8} {'refused':>8} {'read':>8} {'unchanged':>10} {'wrong':>6}")
    with ThreadPoolExecutor(os.cpu_count()) as pool:  # of threads that wait for a process each
        found = pool.map(lambda name: fuzz(name, seed, round(inputs * SHARES.get(name, 1.0)), keep), names)
        for name, verdicts in zip(names, found, strict=True):
            total += verdicts
            print_row(name, verdicts)
    print_row("all", total)
    return not total["wrong"]


def print_row(name: str, verdicts: collections.Counter[str]) -> None:
    counts = [verdicts.total(), *(verdicts[verdict] for verdict in ("refused", "read", "unchanged", "wrong"))]
    print("{:20} {:8} {:8} {:8} {:10} {:6}".format(name, *counts), flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--inputs", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep", type=Path)
    parser.add_argument("--only", nargs="+", choices=TARGETS, default=list(SHARES))
    parser.add_argument("--work", nargs=3, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.work:
        work(arguments.work[0], arguments.seed, int(arguments.work[1]), int(arguments.work[2]), arguments.keep)
    else:
        sys.exit(not main(arguments.inputs, arguments.seed, arguments.keep, arguments.only))
