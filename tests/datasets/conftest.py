"""Small data sets in every kind of file that the loaders read."""

from __future__ import annotations

import gzip
import pickle
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

Arrays = dict[str, np.ndarray]


@pytest.fixture
def samples() -> Arrays:
    """Six images for training, three for testing, with every grey value and labels 0 to 9."""
    random = np.random.default_rng(1)
    return {
        "x_train": random.integers(0, 256, (6, 28, 28), dtype=np.uint8),
        "y_train": np.array([5, 0, 4, 1, 9, 2], dtype=np.uint8),
        "x_test": random.integers(0, 256, (3, 28, 28), dtype=np.uint8),
        "y_test": np.array([7, 2, 1], dtype=np.uint8),
    }


@pytest.fixture
def idx() -> Callable[[np.ndarray], bytes]:
    """The bytes of an IDX file with a uint8 array."""

    def encode(array: np.ndarray) -> bytes:
        return struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape) + array.tobytes()

    return encode


@pytest.fixture
def write_folder(tmp_path: Path, idx: Callable[[np.ndarray], bytes]) -> Callable[..., Path]:
    """Write a folder with the four IDX files, `separator` and `end` as in train-images[-]idx3-ubyte[.gz]."""

    def write(samples: Arrays, separator: str = "-", end: str = ".gz") -> Path:
        folder = tmp_path / "mnist"
        folder.mkdir()
        for name, array in samples.items():
            stem = ("train" if "train" in name else "t10k") + ("-images" if name[0] == "x" else "-labels")
            content = idx(array)
            path = folder / f"{stem}{separator}idx{array.ndim}-ubyte{end}"
            path.write_bytes(gzip.compress(content, mtime=0) if end else content)
        return folder

    return write


@pytest.fixture
def folder(write_folder: Callable[..., Path], samples: Arrays) -> Path:
    return write_folder(samples)


@pytest.fixture
def npz(tmp_path: Path, samples: Arrays) -> Path:
    path = tmp_path / "mnist.npz"
    np.savez_compressed(path, **samples)
    return path


@pytest.fixture
def pairs(samples: Arrays) -> tuple[tuple[np.ndarray, np.ndarray], ...]:
    """Training, validation and test pairs as in the older mnist.pkl.gz: rows of fractions, int64 labels."""
    x = (samples["x_train"].reshape(6, 784) / np.float32(256)).astype(np.float32)
    x_test = (samples["x_test"].reshape(3, 784) / np.float32(256)).astype(np.float32)
    y, y_test = samples["y_train"].astype(np.int64), samples["y_test"].astype(np.int64)
    return (x[:4], y[:4]), (x[4:], y[4:]), (x_test, y_test)


@pytest.fixture
def pkl(tmp_path: Path, pairs: tuple[tuple[np.ndarray, np.ndarray], ...]) -> Path:
    path = tmp_path / "mnist.pkl.gz"
    path.write_bytes(gzip.compress(pickle.dumps(pairs, protocol=2), mtime=0))
    return path


@pytest.fixture
def python_2() -> Callable[..., bytes]:
    """An array as cPickle of Python 2 and NumPy 1 wrote it: its bytes are text."""

    def encode(array: np.ndarray, protocol: int = 2) -> bytes:
        byte_order, code = array.dtype.str[:1].encode(), array.dtype.str[1:].encode()
        shape = b"(" + b"".join(b"J" + struct.pack("<i", size) for size in array.shape) + b"t"
        raw = b"T" + struct.pack("<i", array.nbytes) + array.tobytes()
        if protocol == 0:
            raw = b"S" + repr(array.tobytes())[1:].encode() + b"\n"
        return (
            b"cnumpy.core.multiarray\n_reconstruct\np1\n(cnumpy\nndarray\np2\n(I0\ntS'b'\ntR"
            b"(I1\n" + shape + b"cnumpy\ndtype\n(S'" + code + b"'\nI0\nI1\ntR"
            b"(I3\nS'" + byte_order + b"'\nNNNI-1\nI-1\nI0\ntbI00\n" + raw + b"tb"
        )

    return encode


@pytest.fixture
def assert_samples(samples: Arrays) -> Callable[..., None]:
    """Assert that what `load_data` returned are the samples, with Keras's shapes and dtypes, free to be written to."""

    def check(loaded: tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]) -> None:
        (x_train, y_train), (x_test, y_test) = loaded
        for name, array in (("x_train", x_train), ("y_train", y_train), ("x_test", x_test), ("y_test", y_test)):
            assert array.dtype == np.uint8
            assert array.flags.writeable
            np.testing.assert_array_equal(array, samples[name])

    return check


@pytest.fixture
def mutated() -> Callable[..., None]:
    """Damage a file in 300 ways; each time, loading has to succeed or to raise ValueError."""

    def check(path: Path, load: Callable[[], object], header: int = 0) -> None:
        random, original = np.random.default_rng(len(path.name)), path.read_bytes()
        messages = []
        for _ in range(300):
            content = bytearray(original)
            for _ in range(random.integers(1, 4)):
                damage(content, random, header)
            path.write_bytes(content)
            try:
                load()
            except ValueError as error:
                messages.append(str(error))
        path.write_bytes(original)
        assert len(messages) > 30  # the damage was damage
        assert [message for message in messages if path.name not in message] == []

    return check


def damage(content: bytearray, random: np.random.Generator, header: int) -> None:
    """Change, cut out, insert or cut off bytes; half of the time within the first `header` bytes, if that is given."""
    end = header if header and random.integers(2) else len(content)
    place, length = int(random.integers(min(end, len(content)) + 1)), int(random.integers(1, 9))
    match random.integers(4):
        case 0:
            content[place : place + 1] = random.bytes(1)
        case 1:
            del content[place : place + length]
        case 2:
            content[place:place] = random.bytes(length)
        case 3:
            del content[max(place, 1) :]
