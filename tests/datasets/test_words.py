"""IMDB and Reuters from .npz files with lists of words, and the numbers of words from JSON files."""

from __future__ import annotations

import json
import os
import pickle
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nnx.datasets import imdb, reuters
from tests.datasets.pickled_calls import Call

ROWS = [[5, 1, 300], [70000, 2], [3], [1, 2, 3, 4], [9, 9, 9, 9, 9]]


def objects(rows: list[Any]) -> np.ndarray:
    found = np.empty(len(rows), object)
    found[:] = rows
    return found


def write(path: Path, arrays: dict[str, Any], protocol: int = 2) -> Path:
    """An .npz file. Its pickles are of the protocol given; in NumPy's own they depend on its version."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, array in arrays.items():
            header = f"{{'descr': {array.dtype.str!r}, 'fortran_order': False, 'shape': {array.shape}, }}".ljust(117)
            data = pickle.dumps(array, protocol) if array.dtype == object else array.tobytes()
            archive.writestr(f"{name}.npy", b"\x93NUMPY\x01\x00v\x00" + header.encode() + b"\n" + data)
    return path


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Newswires in the format of Reuters."""
    return write(tmp_path / "reuters.npz", {"x": objects(ROWS), "y": np.arange(5) + 10})


def loaded(path: Path, **arguments: Any) -> dict[int, list[int]]:
    """The words of each newswire by its label."""
    (x, y), (x_test, y_test) = reuters.load_data(path, **arguments)
    assert x.dtype == x_test.dtype == object
    assert y.dtype == y_test.dtype == np.int64
    return dict(zip([*y, *y_test], [*x, *x_test], strict=True))


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({"num_words": 80000}, [[1, 8, 4, 303], [1, 70003, 5], [1, 6], [1, 4, 5, 6, 7], [1, 12, 12, 12, 12, 12]]),
        ({}, [[1, 8, 4, 303], [1, 2, 5], [1, 6], [1, 4, 5, 6, 7], [1, 12, 12, 12, 12, 12]]),  # 70003 is the largest
        ({"num_words": 8}, [[1, 2, 4, 2], [1, 2, 5], [1, 6], [1, 4, 5, 6, 7], [1, 2, 2, 2, 2, 2]]),
        ({"num_words": 8, "oov_char": None}, [[1, 4], [1, 5], [1, 6], [1, 4, 5, 6, 7], [1]]),
        ({"num_words": 13, "skip_top": 6}, [[2, 8, 2, 2], [2, 2, 2], [2, 6], [2, 2, 2, 6, 7], [2, *[12] * 5]]),
        ({"num_words": 80000, "maxlen": 4}, [None, [1, 70003, 5], [1, 6], None, None]),  # fewer than four
        ({"num_words": 80000, "start_char": None, "maxlen": 4}, [[8, 4, 303], [70003, 5], [6], None, None]),
        ({"num_words": 80000, "start_char": None, "index_from": 0}, ROWS),
        ({"num_words": 80000, "start_char": 7, "index_from": 100}, [[7, *(n + 100 for n in row)] for row in ROWS]),
    ],
)
def test_the_numbers_of_words(path: Path, arguments: dict[str, Any], expected: list[list[int] | None]):
    found = loaded(path, **arguments)
    assert found == {number + 10: row for number, row in enumerate(expected) if row is not None}
    assert all(type(word) is int for row in found.values() for word in row)


def test_order_and_division(path: Path):
    order = np.random.RandomState(113).permutation(5)
    (_, y), (_, y_test) = reuters.load_data(path, num_words=100)
    assert [*y, *y_test] == (order + 10).tolist()
    assert len(y_test) == 1
    (_, y), (_, y_test) = reuters.load_data(path, test_split=0.5, seed=7)
    assert [*y, *y_test] == (np.random.RandomState(7).permutation(5) + 10).tolist()
    assert len(y_test) == 3
    with pytest.raises(ValueError, match=r"test_split must be a fraction from 0 to below 1, got 1\.0"):
        reuters.load_data(path, test_split=1.0)
    with pytest.raises(ValueError, match=r"maxlen=2 keeps .* the shortest has 2; write maxlen=3 or more"):
        reuters.load_data(path, maxlen=2)


def test_imdb_has_two_parts_and_one_stream(tmp_path: Path):
    arrays = {"x_train": objects(ROWS), "y_train": np.arange(5), "x_test": objects(ROWS[:4]), "y_test": np.arange(4)}
    write(tmp_path / "imdb.npz", arrays)
    random = np.random.RandomState(113)
    first, second = random.permutation(5), random.permutation(4)
    for path in (tmp_path / "imdb.npz", tmp_path):
        (x, y), (x_test, y_test) = imdb.load_data(path, num_words=10, start_char=None, index_from=0)
        assert (y.tolist(), y_test.tolist()) == (first.tolist(), second.tolist())
        assert x.tolist() == [[word if word < 10 else 2 for word in ROWS[row]] for row in first]
        assert x_test.tolist() == [[word if word < 10 else 2 for word in ROWS[row]] for row in second]
    (x, _), (x_test, _) = imdb.load_data(tmp_path)
    assert max(map(max, [*x, *x_test])) == 303  # 70003, the largest of both parts, is left out
    with pytest.raises(ValueError, match=r"maxlen=2 keeps"):
        imdb.load_data(tmp_path, maxlen=2)


@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
def test_reads_every_protocol(protocol: int, tmp_path: Path):
    chance = np.random.default_rng(1)
    rows = [chance.integers(1, 1 << 17, size).tolist() for size in (1, 0, 7, 999, 1000, 1001, 30000)]
    rows.append(np.arange(5, dtype=">i8"))
    path = write(tmp_path / "reuters.npz", {"x": objects(rows), "y": np.arange(8)}, protocol)
    found = loaded(path, num_words=1 << 18, start_char=None, index_from=0)
    assert found == {number: list(row) for number, row in enumerate(rows)}
    numpys = tmp_path / "numpys.npz"
    np.savez(numpys, x=objects(rows), y=np.arange(8))
    assert found == loaded(numpys, num_words=1 << 18, start_char=None, index_from=0)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (objects([[1], Call(os.mkdir, "called")]), "refers to '.*mkdir', which arrays of numbers do not need"),
        (objects([[1], "film"]), "x has something at 1 that is no list of integers"),
        (objects([[1], [2.5]]), "instruction BINFLOAT"),
        (objects([[1], [[2]]]), "x has something at 1 that is no list of integers"),
        (objects([[1], [True]]), "x has something at 1 that is no list of integers"),
        (objects([[1], [1 << 40]]), "x has something at 1 that is no list of integers"),
        (objects([[1], np.array([1 << 40])]), "x has something at 1 that is no list of integers"),
        (objects([[1], np.ones((2, 2), int)]), "x has something at 1 that is no list of integers"),
        (objects([[1]]), r"expected an integer in y for each list in x, got int64 \(2,\) for 1 lists"),
        (np.array([[1, 2], [3, 4]], object), "an array of objects has the shape"),
        (np.array([[1, 2], [3, 4]]), "x has dtype int64, expected lists of integers"),
    ],
)
def test_other_arrays_are_refused(words: np.ndarray, message: str, tmp_path: Path):
    path = write(tmp_path / "reuters.npz", {"x": words, "y": np.arange(2)})
    with pytest.raises(ValueError, match=rf"(?s)reuters\.npz.*({message})"):
        reuters.load_data(path)


def test_labels_and_names(tmp_path: Path):
    for labels in (np.array([0.5, 1.5]), np.ones((2, 1), int)):
        path = write(tmp_path / "reuters.npz", {"x": objects([[1], [2]]), "y": labels})
        with pytest.raises(ValueError, match="expected an integer in y for each list in x, got"):
            reuters.load_data(path)
    with pytest.raises(ValueError, match="expected the arrays x_train, got x, y"):
        imdb.load_data(path)


@pytest.mark.parametrize(
    ("program", "message"),
    [
        (b"](" + b"]q\x00(" + b"K\x01" * 1000 + b"e" + b"h\x00" * 200_000 + b"e", "has the same list many times"),
        (b"]" * 600_000, "takes more than 500000 steps"),
        (bytes(3 << 20), "it holds 3 MiB of data, more than 2"),
    ],
    ids=["copies", "steps", "zeros"],
)
def test_a_small_file_takes_little_memory_and_time(program: bytes, message: str, tmp_path: Path):
    start = pickle.dumps(objects([]), 2).partition(b"]")[0]
    count = program.count(b"h\x00") + 1
    start = start.replace(b"K\x00\x85", b"J" + count.to_bytes(4, "little") + b"\x85", 2)
    path = tmp_path / "reuters.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        header = f"{{'descr': '|O', 'fortran_order': False, 'shape': ({count},), }}".ljust(117) + "\n"
        archive.writestr("x.npy", b"\x93NUMPY\x01\x00v\x00" + header.encode() + start + program + b"tb.")
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match=rf"reuters\.npz.*({message})"):
            reuters.load_data(path)
        assert tracemalloc.get_traced_memory()[1] < 2 * path.stat().st_size + 100_000_000
    finally:
        tracemalloc.stop()


def test_mutated_files_give_a_value_error_or_data(path: Path, mutated: Callable[..., None]):
    mutated(path, lambda: reuters.load_data(path))
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, member in members.items():
            archive.writestr(name, member)
    mutated(path, lambda: reuters.load_data(path), header=300)


@pytest.mark.parametrize("module", [imdb, reuters])
def test_word_index(module: Any, tmp_path: Path):
    path = tmp_path / f"{module.__name__.rpartition('.')[2]}_word_index.json"
    path.write_text(json.dumps({"the": 1, "été": 2}))
    assert module.get_word_index(path) == module.get_word_index(tmp_path) == {"the": 1, "été": 2}
    for text, message in (
        ("[1]", "expected words and their numbers"),
        ('{"a": "b"}', "expected words and their numbers"),
        ("{", "words and their numbers that can be read: Expecting"),
        ("[" * 100_000, "maximum recursion depth"),
        (" " * (5 << 20), "it is larger than 4 MiB"),
        ('{"a": ' + "1" * 5000 + "}", "Exceeds the limit"),
    ):
        path.write_text(text)
        with pytest.raises(ValueError, match=rf"{path.name} is not a JSON file .*{message}"):
            module.get_word_index(path)


def test_label_names():
    names = reuters.get_label_names()
    assert len(set(names)) == 46
    assert (names[0], names[2], names[45]) == ("cocoa", "veg-oil", "lead")
