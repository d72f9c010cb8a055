"""CIFAR-10 and CIFAR-100 from archives and folders."""

from __future__ import annotations

import gzip
import io
import os
import pickle
import tarfile
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nnx.datasets import cifar10, cifar100
from tests.datasets.pickled_calls import Call

FOLDER = "cifar-10-batches-py"
NAMES = [*(f"data_batch_{number}" for number in range(1, 6)), "test_batch"]
PIXELS = np.random.default_rng(1).integers(0, 256, (18, 3072), dtype=np.uint8)
LABELS = (np.arange(18) % 10).tolist()


def batch(rows: slice, **changes: Any) -> dict[bytes, Any]:
    """A batch as Python reads those of CIFAR."""
    content = {"batch_label": b"some", "labels": LABELS[rows], "data": PIXELS[rows], "filenames": [b"x.png"] * 3}
    return {key.encode(): value for key, value in (content | changes).items() if value is not None}


def batches() -> dict[str, bytes]:
    return {name: pickle.dumps(batch(slice(3 * i, 3 * i + 3)), i) for i, name in enumerate(NAMES)}  # every protocol


def tar(members: dict[str, bytes], folder: str = FOLDER, **changes: Any) -> bytes:
    """A tar archive. changes : of the attributes of its last member."""
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w") as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(f"{folder}/{name}")
            info.size = len(content)
            if name == list(members)[-1]:
                for key, value in changes.items():
                    setattr(info, key, value)
            archive.addfile(info, io.BytesIO(content))
    return target.getvalue()


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    path = tmp_path / "cifar-10-python.tar.gz"
    readme = {"readme.html": b"<p>" * 700}
    path.write_bytes(gzip.compress(tar({**readme, **dict(reversed(batches().items()))}), 1, mtime=0))
    return path


def assert_loaded(path: Path) -> None:
    (x_train, y_train), (x_test, y_test) = cifar10.load_data(path)
    images = PIXELS.reshape(18, 3, 32, 32).transpose(0, 2, 3, 1)
    for x, y, rows in ((x_train, y_train, slice(0, 15)), (x_test, y_test, slice(15, 18))):
        assert x.dtype == y.dtype == np.uint8
        assert x.flags.writeable
        assert x.flags.c_contiguous
        np.testing.assert_array_equal(x, images[rows])
        np.testing.assert_array_equal(y, np.array(LABELS[rows])[:, None])


def test_reads_archives_and_folders(archive: Path, tmp_path: Path):
    assert_loaded(archive)
    assert_loaded(tmp_path)  # the folder of the archive
    plain = tmp_path / "plain.tar"
    plain.write_bytes(gzip.decompress(archive.read_bytes()))
    assert_loaded(plain)
    with tarfile.open(archive) as opened:
        opened.extractall(tmp_path / "out", filter="data")
    assert_loaded(tmp_path / "out")
    assert_loaded(tmp_path / "out" / FOLDER)
    dotted = tmp_path / "dotted.tar"
    dotted.write_bytes(tar(batches(), f"./{FOLDER}"))
    assert_loaded(dotted)


def test_reads_what_python_2_wrote(tmp_path: Path, python_2: Callable[..., bytes]):
    def text(value: bytes) -> bytes:
        return b"U" + bytes([len(value)]) + value

    members = {}
    for i, name in enumerate(NAMES):
        rows = slice(3 * i, 3 * i + 3)
        labels = b"".join(b"K" + bytes([label]) for label in LABELS[rows])
        names = b"".join(text(b"a_%d.png" % one) + b"q" + bytes([9 + one]) for one in range(3))
        content = b"\x80\x02}q\x01(" + text(b"data") + b"q\x02" + python_2(PIXELS[rows])
        content += text(b"labels") + b"q\x03]q\x04(" + labels + b"e"
        members[name] = content + text(b"filenames") + b"q\x05]q\x06(" + names + b"eu."
        assert pickle.loads(members[name], encoding="bytes")[b"labels"] == LABELS[rows]  # it is such a file
    path = tmp_path / "cifar.tar"
    path.write_bytes(tar(members))
    assert_loaded(path)


def test_the_two_kinds_of_labels_of_cifar_100(tmp_path: Path):
    fine, coarse = [99, 0, 50], [19, 0, 7]
    content = batch(slice(0, 3), labels=None, fine_labels=fine, coarse_labels=coarse)
    path = tmp_path / "cifar-100-python.tar.gz"
    path.write_bytes(gzip.compress(tar(dict.fromkeys(("train", "test"), pickle.dumps(content)), "cifar-100-python")))
    for arguments, labels in (({}, fine), ({"label_mode": "coarse"}, coarse)):
        (x, y), (x_test, y_test) = cifar100.load_data(path=path, **arguments)
        np.testing.assert_array_equal(y, np.array(labels)[:, None])
        assert y.dtype == y_test.dtype == np.int64
        np.testing.assert_array_equal(x, PIXELS[:3].reshape(3, 3, 32, 32).transpose(0, 2, 3, 1))
        np.testing.assert_array_equal(x_test, x)
    with pytest.raises(ValueError, match='label_mode must be "fine" or "coarse", got \'both\''):
        cifar100.load_data("both", path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (batch(slice(0, 3), labels=[0, 1, 10]), "expected labels from 0 to 9, got 0 to 10"),
        (batch(slice(0, 3), labels=[0, -1, 1]), "expected labels from 0 to 9, got -1 to 1"),
        (batch(slice(0, 3), labels=[0, 1]), "as many labels, integers in a list, as images, which are 3"),
        (batch(slice(0, 3), labels=[0, 1, "2"]), "as many labels, integers in a list"),
        (batch(slice(0, 3), labels=[0, 1, 2**40]), "as many labels, integers in a list"),
        (batch(slice(0, 3), labels=None), "expected a dict with data and labels"),
        (batch(slice(0, 3), data=PIXELS[:3, :-1]), r"expected data of uint8 and shape \(n, 3072\)"),
        (batch(slice(0, 3), data=PIXELS[:3].astype(int)), r"expected data of uint8 and shape \(n, 3072\)"),
        (batch(slice(0, 3), data=PIXELS[:3].astype(object)), "an array of objects has the shape"),
        (batch(slice(0, 3), data=[1, 2, 3]), r"expected data of uint8 and shape \(n, 3072\)"),
        (batch(slice(0, 0)), "which are 0"),
        (
            batch(slice(0, 3), other=Call(os.mkdir, "called")),
            "refers to '.*mkdir', which arrays of numbers do not need",
        ),
        ([1, 2], "expected a dict with data and labels"),
    ],
)
def test_other_batches_are_refused(content: Any, message: str, tmp_path: Path):
    members = batches() | {"data_batch_2": pickle.dumps(content)}
    path = tmp_path / "cifar.tar"
    path.write_bytes(tar(members))
    with pytest.raises(ValueError, match=message) as error:
        cifar10.load_data(path)
    assert "cifar.tar is not a tar archive of CIFAR that can be read: data_batch_2: " in str(error.value)
    for name, member in members.items():
        (tmp_path / name).write_bytes(member)
    with pytest.raises(ValueError, match=message) as error:
        cifar10.load_data(tmp_path)
    assert "data_batch_2 is not a batch of CIFAR in a pickle file that can be read" in str(error.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (tar(dict(list(batches().items())[1:])), "data_batch_1 is not there"),
        (tar(batches(), "../" + FOLDER), "data_batch_1, .*, test_batch is not there"),
        (tar(batches(), "/" + FOLDER), "data_batch_1, .*, test_batch is not there"),
        (tar(batches()).replace(b"test_batch", b"data_batch", 1), "bad checksum"),
        (tar(batches(), type=tarfile.SYMTYPE, linkname="/etc/passwd"), "test_batch is not there"),
        (tar(batches(), type=tarfile.GNUTYPE_SPARSE), "test_batch is not there"),
        (tar(batches())[:-10240] + tar(batches()), "it has data_batch_1 twice"),
        (tar(batches())[: -(10240 + 4096)], "9216 bytes are announced"),
        (b"", "empty header"),
        (bytes(1024), "expected cifar-10-batches-py/data_batch_1"),
        (b"something else", "truncated header"),
    ],
)
def test_other_archives_are_refused(content: bytes, message: str, tmp_path: Path):
    path = tmp_path / "cifar.tar.gz"
    path.write_bytes(gzip.compress(content))
    with pytest.raises(ValueError, match=rf"cifar\.tar\.gz is not a tar archive of CIFAR.*({message})"):
        cifar10.load_data(path)


def lying(size: int) -> bytes:
    """A header that promises so many bytes."""
    info = tarfile.TarInfo(f"{FOLDER}/data_batch_1")
    info.size = size
    return info.tobuf(tarfile.GNU_FORMAT)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (lying(1 << 40), "it holds more than 24 MiB and twice its own size"),
        (lying(-(1 << 20)), "negative size"),
        (tar({"data_batch_1": bytes(23 << 20), "test_batch": bytes(3 << 20)}), "byte 00 is no instruction"),
        (tar({"readme": bytes(23 << 20), "more": bytes(3 << 20)}), "it holds more than 24 MiB and twice"),
        (tar({"readme": b""}) + bytes(30 << 20), "it holds more than 24 MiB of data|more than 23 MiB of data"),
        (tar({"data_batch_1": b"\x80\x02" + b"]" * 600_000}), "takes more than 500000 steps"),
    ],
    ids=["size", "negative", "data", "others", "end", "steps"],
)
def test_a_small_archive_takes_little_memory(content: bytes, message: str, tmp_path: Path):
    path = tmp_path / "cifar.tar.gz"
    path.write_bytes(gzip.compress(content, 1))
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match=message):
            cifar10.load_data(path)
        assert tracemalloc.get_traced_memory()[1] < 60 << 20
    finally:
        tracemalloc.stop()


def test_mutated_files_give_a_value_error_or_data(archive: Path, mutated: Callable[..., None]):
    mutated(archive, lambda: cifar10.load_data(archive))
    archive.write_bytes(gzip.decompress(archive.read_bytes()))
    mutated(archive, lambda: cifar10.load_data(archive), header=600)
