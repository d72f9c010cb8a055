"""MNIST from a folder of IDX files."""

from __future__ import annotations

import gzip
import os
import shutil
import struct
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from nnx.datasets import _idx, fashion_mnist, mnist

IMAGES, LABELS = "train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz"


@pytest.mark.parametrize("module", [mnist, fashion_mnist])
@pytest.mark.parametrize("separator", ["-", "."])
@pytest.mark.parametrize("end", ["", ".gz"])
def test_reads_every_spelling(module, separator, end, write_folder, samples, assert_samples):
    assert_samples(module.load_data(write_folder(samples, separator, end)))


def test_path_may_be_text_and_may_start_at_home(folder, assert_samples, monkeypatch):
    assert_samples(mnist.load_data(str(folder)))
    monkeypatch.setenv("HOME", str(folder.parent))
    monkeypatch.setenv("USERPROFILE", str(folder.parent))
    assert_samples(mnist.load_data("~/mnist"))


def test_content_decides_whether_a_file_is_compressed(folder, assert_samples):
    for name in (IMAGES, LABELS):
        (folder / name).write_bytes(gzip.decompress((folder / name).read_bytes()))
    assert_samples(mnist.load_data(folder))


def test_a_folder_of_the_name_of_a_file_is_passed_over(folder, assert_samples):
    os.rename(folder / IMAGES, folder / IMAGES.removesuffix(".gz"))
    (folder / IMAGES).mkdir()
    assert_samples(mnist.load_data(folder))


def replace(folder: Path, name: str, content: bytes) -> None:
    (folder / name).write_bytes(gzip.compress(content))


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        (IMAGES, b"", "magic number 00 00 08 03, got an empty file"),
        (IMAGES, b"<!DOCTYPE html>", "magic number 00 00 08 03, got 3c 21 44 4f"),
        (IMAGES, struct.pack(">HBB3I", 0, 0x0D, 3, 1, 28, 28), r"type unsigned byte \(0x08\), got float32 \(0x0d\)"),
        (IMAGES, struct.pack(">HBB3I", 0, 0x07, 3, 1, 28, 28), "magic number 00 00 08 03, got 00 00 07 03"),
        (IMAGES, struct.pack(">HBBI", 0, 8, 1, 6) + bytes(6), "expected 3 dimensions, got 1 .*swapped"),
        (IMAGES, struct.pack(">HBBI", 0, 8, 3, 6), "expected a header of 16 bytes, the file ends after 8"),
        (LABELS, struct.pack(">HBBI", 0, 8, 1, 6) + bytes(5), "promises 6 = 6 bytes of data, 5 are there"),
        (LABELS, struct.pack(">HBBI", 0, 8, 1, 6) + bytes(7), "promises 6 = 6 bytes of data, 7 are there"),
    ],
)
def test_what_is_no_idx_file_is_named(folder, name, content, message):
    replace(folder, name, content)
    with pytest.raises(ValueError, match=message) as error:
        mnist.load_data(folder)
    assert str(folder / name) in str(error.value)


def test_a_lying_header_allocates_nothing(folder):
    replace(folder, IMAGES, struct.pack(">HBB3I", 0, 8, 3, 2**32 - 1, 2**32 - 1, 28) + bytes(100))
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match=r"4294967295 x 4294967295 x 28 = .* bytes of data, 100 are there"):
            mnist.load_data(folder)
        assert tracemalloc.get_traced_memory()[1] < 10 << 20
    finally:
        tracemalloc.stop()


def test_a_small_file_takes_little_memory(folder):
    """30 MB of zeros that fit their header, beside labels that do not."""
    with gzip.open(folder / IMAGES, "wb", 1) as file:
        file.write(struct.pack(">HBB3I", 0, 8, 3, 40_000, 28, 28))
        for _ in range(40):
            file.write(bytes(1000 * 28 * 28))
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match="got 40000 images, 6 labels"):
            mnist.load_data(folder)
        assert tracemalloc.get_traced_memory()[1] < 10 << 20
    finally:
        tracemalloc.stop()


def test_one_limit_for_a_file(folder, monkeypatch):
    monkeypatch.setattr("nnx.datasets._files.MOST_BYTES", 1 << 20)
    replace(folder, IMAGES, struct.pack(">HBB3I", 0, 8, 3, 2000, 28, 28) + bytes(2000 * 28 * 28))
    with pytest.raises(ValueError, match="holds more than 1 MiB of data"):
        mnist.load_data(folder)


def test_a_file_that_is_cut_short_while_it_is_read(folder, monkeypatch):
    real = _idx.length_of_rest

    def cut(stream):
        length = real(stream)
        plain.write_bytes(plain.read_bytes()[:100])  # not before it was looked at, and only once
        monkeypatch.setattr(_idx, "length_of_rest", real)
        return length

    plain = folder / IMAGES.removesuffix(".gz")
    plain.write_bytes(gzip.decompress((folder / IMAGES).read_bytes()))
    (folder / IMAGES).unlink()
    monkeypatch.setattr(
        _idx, "length_of_rest", lambda stream: cut(stream) if stream.name == str(plain) else real(stream)
    )
    with pytest.raises(ValueError, match="became shorter while it was read"):
        mnist.load_data(folder)


@pytest.mark.parametrize("keep", [0.05, 0.5, 0.99])
def test_a_truncated_download_is_named(folder, keep):
    content = (folder / IMAGES).read_bytes()
    (folder / IMAGES).write_bytes(content[: int(len(content) * keep)])
    with pytest.raises(ValueError, match="damaged or incomplete") as error:
        mnist.load_data(folder)
    assert IMAGES in str(error.value)


def test_a_flipped_bit_fails_the_checksum_of_gzip(folder):
    content = bytearray((folder / IMAGES).read_bytes())
    content[-6] ^= 1
    (folder / IMAGES).write_bytes(content)
    with pytest.raises(ValueError, match="damaged or incomplete: CRC check failed"):
        mnist.load_data(folder)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"y_train": np.zeros(5, np.uint8)}, "got 6 images, 5 labels"),
        ({"x_test": np.zeros((3, 27, 28), np.uint8)}, r"shape \(n, 28, 28\), got uint8 \(3, 27, 28\)"),
        ({"y_test": np.array([1, 2, 10], np.uint8)}, "labels from 0 to 9, got 1 to 10"),
        ({"x_test": np.zeros((0, 28, 28), np.uint8), "y_test": np.zeros(0, np.uint8)}, "got 0 images, 0 labels"),
    ],
)
def test_files_that_do_not_fit_together(write_folder, samples, change, message):
    with pytest.raises(ValueError, match=message) as error:
        mnist.load_data(write_folder(samples | change))
    assert "-images-idx3-ubyte.gz" in str(error.value)


def test_missing_files_are_named(folder):
    (folder / LABELS).unlink()
    with pytest.raises(FileNotFoundError, match="train-labels-idx1-ubyte") as error:
        mnist.load_data(folder)
    assert str(folder) in str(error.value)


def test_a_path_that_is_not_there_says_how_to_download(tmp_path):
    with pytest.raises(FileNotFoundError, match="leave path out to download mnist"):
        mnist.load_data(tmp_path / "mnist.npz")


def test_a_single_idx_file_is_not_enough(folder):
    with pytest.raises(ValueError, match="path must be a folder with the four IDX files"):
        mnist.load_data(folder / IMAGES)


@pytest.mark.skipif("NNX_MNIST" not in os.environ, reason="NNX_MNIST does not name a folder with the files of MNIST")
def test_the_real_files():
    (x_train, y_train), (x_test, y_test) = mnist.load_data(os.environ["NNX_MNIST"])
    assert x_train.shape == (60000, 28, 28)
    assert x_test.shape == (10000, 28, 28)
    assert np.bincount(y_train).tolist() == [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    assert np.bincount(y_test).tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    assert round(float(x_train.mean()), 4) == 33.3184


def test_mutated_files_give_a_value_error_or_data(folder, mutated: Callable[..., None]):
    plain = folder / IMAGES.removesuffix(".gz")
    shutil.move(folder / IMAGES, folder / "kept")
    plain.write_bytes(gzip.decompress((folder / "kept").read_bytes()))
    mutated(plain, lambda: mnist.load_data(folder), header=32)
    plain.unlink()
    shutil.move(folder / "kept", folder / IMAGES)
    mutated(folder / IMAGES, lambda: mnist.load_data(folder))
    mutated(folder / LABELS, lambda: mnist.load_data(folder))
