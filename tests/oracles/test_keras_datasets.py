"""Data sets as Keras reads them from the same files: the same rows in the same order, with the same dtypes."""

from __future__ import annotations

import importlib
import json
import os
import pickle
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

os.environ.setdefault("KERAS_BACKEND", "jax")
pytest.importorskip("keras", reason="Keras is not installed: pip install 'nnx-array[oracle]'")

from keras.src.datasets import cifar as keras_cifar

from nnx import datasets

CHANCE = np.random.default_rng(4)


def ragged(count: int) -> np.ndarray:
    found = np.empty(count, object)
    found[:] = [CHANCE.integers(1, 900, size).tolist() for size in CHANCE.integers(1, 40, count)]
    return found


def images(count: int, **labels: int) -> bytes:
    made = {key.encode(): CHANCE.integers(0, classes, count).tolist() for key, classes in labels.items()}
    return pickle.dumps({b"data": CHANCE.integers(0, 256, (count, 3072), dtype=np.uint8), **made}, 3)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Small files of all data sets, in the formats of Keras."""
    folder = tmp_path_factory.mktemp("datasets")
    labels = {f"y_{part}": CHANCE.integers(0, 2, size) for part, size in (("train", 30), ("test", 20))}
    np.savez(folder / "imdb.npz", x_train=ragged(30), x_test=ragged(20), **labels)
    np.savez(folder / "reuters.npz", x=ragged(50), y=CHANCE.integers(0, 46, 50))
    for name, rows, measures in (("boston_housing", 23, 13), ("california_housing", 700, 8)):
        np.savez(folder / f"{name}.npz", x=CHANCE.normal(size=(rows, measures)), y=CHANCE.normal(size=rows))
    for name in ("imdb", "reuters"):
        (folder / f"{name}_word_index.json").write_text(json.dumps({"the": 1, "of": 2}))
    batches = folder / "cifar-100-python"
    batches.mkdir()
    for name, count in (("train", 6), ("test", 4)):
        (batches / name).write_bytes(images(count, fine_labels=100, coarse_labels=20))
    with tarfile.open(folder / "cifar-100-python.tar.gz", "w:gz") as archive:
        archive.add(batches, batches.name)
    for name in (*(f"data_batch_{number}" for number in range(1, 6)), "test_batch"):
        (folder / name).write_bytes(images(3, labels=10))
    return folder


def assert_equal(found: Any, expected: Any) -> None:
    for mine, theirs in zip(found, expected, strict=True):
        for array, other in zip(mine, theirs, strict=True):
            assert (array.dtype, array.shape) == (other.dtype, other.shape)
            assert array.tolist() == other.tolist()


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        *(
            (name, arguments)
            for name in ("imdb", "reuters")
            for arguments in (
                {},
                {"num_words": 100, "seed": 7},
                {"num_words": 100, "skip_top": 20, "oov_char": None},
                {"maxlen": 20, "start_char": None},
                {"start_char": None, "index_from": 0, "oov_char": 0},
                {"num_words": 500, "skip_top": 4, "maxlen": 30, "start_char": 5, "index_from": 10},
            )
        ),
        ("reuters", {"test_split": 0.37}),
        *(("boston_housing", arguments) for arguments in ({}, {"test_split": 0.33, "seed": 1}, {"test_split": 0.0})),
        *(("california_housing", {"version": version, "seed": 5}) for version in ("small", "large")),
        ("california_housing", {"test_split": 0.7}),
        *(("cifar100", {"label_mode": mode}) for mode in ("fine", "coarse")),
    ],
)
def test_rows_are_those_of_keras(name: str, arguments: dict[str, Any], folder: Path, monkeypatch: pytest.MonkeyPatch):
    theirs = importlib.import_module(f"keras.src.datasets.{name}")
    file = folder if name == "cifar100" else folder / f"{name}.npz"
    monkeypatch.setattr(theirs, "get_file", lambda *_, **__: str(file))  # which would compare a checksum
    expected = theirs.load_data(**arguments)
    assert_equal(getattr(datasets, name).load_data(path=file, **arguments), expected)
    if name == "cifar100":
        archive = folder / "cifar-100-python.tar.gz"
        assert_equal(datasets.cifar100.load_data(path=archive, **arguments), expected)


def test_batches_of_cifar_10(folder: Path):
    """Of `load_data`, only the reading of a batch: Keras takes batches of 10,000 images alone."""
    parts = [keras_cifar.load_batch(folder / f"data_batch_{number}") for number in range(1, 6)]
    x, y = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    (x_train, y_train), (x_test, y_test) = datasets.cifar10.load_data(folder)
    np.testing.assert_array_equal(x_train, x.transpose(0, 2, 3, 1))
    np.testing.assert_array_equal(y_train[:, 0], y)
    x, y = keras_cifar.load_batch(folder / "test_batch")
    np.testing.assert_array_equal(x_test, x.transpose(0, 2, 3, 1))
    np.testing.assert_array_equal(y_test[:, 0], y)


@pytest.mark.parametrize("name", ["imdb", "reuters"])
def test_word_index_and_label_names(name: str, folder: Path, monkeypatch: pytest.MonkeyPatch):
    theirs, ours = importlib.import_module(f"keras.src.datasets.{name}"), getattr(datasets, name)
    file = folder / f"{name}_word_index.json"
    monkeypatch.setattr(theirs, "get_file", lambda *_, **__: str(file))
    assert ours.get_word_index(file) == theirs.get_word_index()
    if name == "reuters":
        assert ours.get_label_names() == theirs.get_label_names()


def test_files_are_those_of_keras():
    """Their checksums, in the source of Keras."""
    for name in ("boston_housing", "california_housing", "cifar10", "cifar100", "imdb", "reuters"):
        text = Path(importlib.import_module(f"keras.src.datasets.{name}").__file__).read_text()
        for source in (getattr(datasets, name).SOURCE, getattr(getattr(datasets, name), "WORD_INDEX", None)):
            for file, checksum in source.checksums.items() if source else ():
                assert file in text
                assert checksum.removeprefix("md5:") in text
