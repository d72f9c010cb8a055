"""MNIST from the mnist.pkl.gz of older tutorials."""

from __future__ import annotations

import gzip
import os
import pickle
import struct
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from nnx.datasets import mnist
from tests.datasets.pickled_calls import Call

MACHINE = b"\x80\x02"


def write(path: Path, content: bytes) -> Path:
    path.write_bytes(gzip.compress(content))
    return path


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_reads_every_protocol(protocol, tmp_path, pairs, assert_samples):
    assert_samples(mnist.load_data(write(tmp_path / "mnist.pkl.gz", pickle.dumps(pairs, protocol))))


@pytest.mark.parametrize("protocol", range(4))
def test_reads_the_names_of_numpy_before_2(protocol, tmp_path, pairs, assert_samples):
    old = pickle.dumps(pairs, protocol).replace(b"numpy._core.", b"numpy.core.")
    assert b"numpy.core.multiarray" in old
    assert_samples(mnist.load_data(write(tmp_path / "mnist.pkl.gz", old)))


@pytest.mark.parametrize("protocol", [0, 2])
def test_reads_what_python_2_wrote(protocol, tmp_path, pairs, assert_samples, python_2):
    body = b"".join(b"(" + python_2(x, protocol) + python_2(y, protocol) + b"t" for x, y in pairs)
    content = (MACHINE if protocol else b"") + b"(" + body + b"t."
    assert pickle.loads(content, encoding="latin1")[2][1].tolist() == [7, 2, 1]  # it is such a file
    assert_samples(mnist.load_data(write(tmp_path / "mnist.pkl.gz", content)))


def test_reads_pairs_of_bytes_for_training_and_testing(tmp_path, samples, assert_samples):
    pairs = [[samples["x_train"], samples["y_train"]], [samples["x_test"], samples["y_test"]]]
    path = tmp_path / "mnist.pkl"
    path.write_bytes(pickle.dumps(pairs))
    assert_samples(mnist.load_data(path))


@pytest.mark.parametrize("scale", [255, 256])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_fractions_become_the_grey_values_they_were(scale, dtype, tmp_path, samples, assert_samples):
    if scale == 256:
        samples["x_train"][0, 0, 0] = 255
    pairs = [((samples[f"x_{part}"] / scale).astype(dtype), samples[f"y_{part}"]) for part in ("train", "test")]
    assert_samples(mnist.load_data(write(tmp_path / "mnist.pkl.gz", pickle.dumps(pairs))))


def test_byte_order_and_fortran_order_count(tmp_path, pairs, assert_samples):
    other = [(np.asfortranarray(x.astype(">f4")), y.astype(">i2")) for x, y in pairs]
    assert_samples(mnist.load_data(write(tmp_path / "mnist.pkl.gz", pickle.dumps(other, protocol=4))))


@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_no_function_is_called(protocol, tmp_path, pairs):
    mark = tmp_path / "called"
    for call, name in ((Call(os.mkdir, str(mark)), "mkdir"), (Call(eval, f"open({str(mark)!r}, 'w')"), "eval")):
        content = pickle.dumps((*pairs[:2], (call, pairs[2][1])), protocol)
        with pytest.raises(ValueError, match=f"refers to '.*{name}', which arrays of numbers do not need"):
            mnist.load_data(write(tmp_path / "mnist.pkl.gz", content))
    assert not mark.exists()


def test_the_malicious_file_would_have_worked(tmp_path):
    pickle.loads(pickle.dumps(Call(os.mkdir, str(tmp_path / "called"))))
    assert (tmp_path / "called").exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (pickle.dumps(Call(np.dtype, "O")), "does more than describe arrays of numbers"),
        (
            pickle.dumps(np.array([print], dtype=object)),
            "refers to 'builtins.print', which arrays",
        ),
        (pickle.dumps([(np.array([1], dtype=object),) * 2] * 2), r"expected pairs of two arrays, \(images, labels\)"),
        (pickle.dumps(Call(np.ndarray, (2**40,), np.dtype("u1"))), "does more than describe arrays of numbers"),
        (b"c_codecs\nencode\n(X\x01\x00\x00\x00aX\x04\x00\x00\x00zliptR.", "does more than describe arrays of numbers"),
        (pickle.dumps({"x": 1}), r"expected pairs of two arrays, \(images, labels\)"),
        (pickle.dumps({1: 1}), "puts something into what is no dict of texts"),
        (pickle.dumps({1, 2}), "instruction EMPTY_SET"),
        (pickle.dumps([1, 2]), r"expected pairs of two arrays, \(images, labels\)"),
        (pickle.dumps(((1, 2),)), r"expected pairs of two arrays, \(images, labels\)"),
        (b"N" * 5000 + b".", "takes more than 1000 steps"),
        (b"0" * 10, "instruction POP"),
        (b"\xff", "byte ff is no instruction"),
        (b"K\x01", "ends too early"),
        (b"", "ends too early"),
        (b".", "takes more from the stack than is there"),
        (b"K\x01K\x02a.", "appends to what is no list"),
        (b"(K\x01e.", "appends to what is no list"),
        (b"N(0.", "instruction POP"),
        (b"N(\x85.", "takes more from the stack than is there"),
    ],
)
def test_other_pickles_are_refused(content, message, tmp_path):
    with pytest.raises(ValueError, match=message) as error:
        mnist.load_data(write(tmp_path / "mnist.pkl.gz", content))
    assert "mnist.pkl.gz is not a pickle file of NumPy arrays" in str(error.value)


@pytest.mark.parametrize(
    "content",
    [
        b"K\x01r\xff\xff\xff\x7f.",  # Python's own machine makes room for 2**31 memos
        b"\x8e" + struct.pack("<Q", 1 << 40) + b"abc.",  # a terabyte of bytes is announced
        b"\x96" + struct.pack("<Q", 1 << 40) + b"abc.",
        b"T" + struct.pack("<i", 2**31 - 1) + b"abc.",
        b"X" + struct.pack("<I", 1 << 20) + b"a" * (1 << 20) + b"q\x00" + b"c_codecs\nencode\n(h\x00U\x06latin1tR" * 90,
        b"]q\x00" + b"]q\x00(h\x00h\x00h\x00h\x00e" * 90 + b".",  # 4**90 references, if they are followed
    ],
    ids=["memo", "bytes", "bytearray", "text", "copies", "nesting"],
)
def test_memory_is_bounded_by_the_file(content, tmp_path):
    path = tmp_path / "mnist.pkl"
    path.write_bytes(content)
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match="not a pickle file of NumPy arrays"):
            mnist.load_data(path)
        assert tracemalloc.get_traced_memory()[1] < 20 << 20
    finally:
        tracemalloc.stop()


def test_a_bomb_of_zeros_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("nnx.datasets._pickle.SPARE_BYTES", 1 << 20)
    with pytest.raises(ValueError, match="more than 1 MiB of data"):
        mnist.load_data(write(tmp_path / "mnist.pkl.gz", bytes(3 << 20)))


@pytest.mark.parametrize("code", [b"\x8e", b"\x96"])
def test_a_small_file_takes_little_memory(code, tmp_path):
    """A file of some kilobytes that unfolds to much, up to the limit and beyond."""
    for size, words in ((20 << 20, "expected pairs of two arrays"), (50 << 20, "holds more than 2. MiB of data")):
        path = tmp_path / "mnist.pkl.gz"
        with gzip.open(path, "wb") as file:
            file.write(b"\x80\x05" + code + struct.pack("<Q", size))
            for _ in range(size >> 20):
                file.write(bytes(1 << 20))
            file.write(b".")
        tracemalloc.start()
        try:
            with pytest.raises(ValueError, match=words):
                mnist.load_data(path)
            assert tracemalloc.get_traced_memory()[1] < 2 * path.stat().st_size + 100_000_000
        finally:
            tracemalloc.stop()


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (np.full((4, 784), 1.5, np.float32), "values from 1.5 to 1.5, expected fractions from 0 to 1"),
        (np.full((4, 784), -0.5, np.float32), "values from -0.5 to -0.5"),
        (np.full((4, 784), np.nan, np.float32), "values from nan to nan"),
        (np.zeros((4, 783), np.float32), r"training: expected uint8 images of shape \(n, 28, 28\), got float32"),
        (np.zeros((4, 784), np.int32), "training: expected uint8 images .* got int32"),
        (np.zeros((5, 784), np.float32), "training: .* got 5 images, 4 labels"),
    ],
)
def test_other_images_are_refused(values, message, tmp_path, pairs):
    content = pickle.dumps(((values, pairs[0][1]), *pairs[1:]))
    with pytest.raises(ValueError, match=message):
        mnist.load_data(write(tmp_path / "mnist.pkl.gz", content))


def test_fractions_are_looked_at_in_pieces(tmp_path, monkeypatch, samples, assert_samples):
    monkeypatch.setattr("nnx.datasets._images._ROWS_AT_A_TIME", 2)
    for scale in (255, 256):
        samples["x_train"][:] = np.minimum(samples["x_train"], scale - 1)
        samples["x_train"][5, 3, 3] = 255 if scale == 255 else 77
        pairs = [(np.float32(samples[f"x_{part}"] / scale), samples[f"y_{part}"]) for part in ("train", "test")]
        assert_samples(mnist.load_data(write(tmp_path / "mnist.pkl.gz", pickle.dumps(pairs))))
    pairs[0][0][5, 0, 0] = np.nan
    with pytest.raises(ValueError, match="values from nan to nan"):
        mnist.load_data(write(tmp_path / "mnist.pkl.gz", pickle.dumps(pairs)))


def test_four_pairs_are_too_many(tmp_path, pairs):
    with pytest.raises(ValueError, match="holds 4 pairs of arrays, expected training, validation and test"):
        mnist.load_data(write(tmp_path / "mnist.pkl.gz", pickle.dumps((*pairs, pairs[0]))))


def test_mutated_files_give_a_value_error_or_data(pkl, tmp_path, pairs, mutated):
    mutated(pkl, lambda: mnist.load_data(pkl))
    for protocol in (0, 2, 5):
        path = tmp_path / f"mnist{protocol}.pkl"
        path.write_bytes(pickle.dumps(pairs, protocol))
        mutated(path, lambda path=path: mnist.load_data(path), header=200)
