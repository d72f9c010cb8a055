"""MNIST from Keras's mnist.npz."""

from __future__ import annotations

import tracemalloc
import zipfile

import numpy as np
import pytest

from nnx.datasets import fashion_mnist, mnist


@pytest.mark.parametrize("module", [mnist, fashion_mnist])
def test_reads_what_keras_wrote(module, npz, assert_samples):
    assert_samples(module.load_data(npz))


def test_reads_fortran_order_and_other_integers(tmp_path, samples, assert_samples):
    path = tmp_path / "mnist.npz"
    labels = {name: samples[name].astype(">i4") for name in ("y_train", "y_test")}
    np.savez(path, **samples | labels | {"x_train": np.asfortranarray(samples["x_train"])})
    assert_samples(mnist.load_data(path))


def test_missing_arrays_are_named(tmp_path, samples):
    path = tmp_path / "mnist.npz"
    np.savez(path, images=samples["x_train"], labels=samples["y_train"])
    with pytest.raises(ValueError, match="expected the arrays x_train, y_train, x_test, y_test, got images, labels"):
        mnist.load_data(path)


def test_objects_are_refused(tmp_path, samples):
    path = tmp_path / "mnist.npz"
    np.savez(path, **samples | {"y_train": np.array([print] * 6, dtype=object)})
    with pytest.raises(ValueError, match="y_train has dtype object, expected numbers"):
        mnist.load_data(path)


def test_other_images_are_refused(tmp_path, samples):
    path = tmp_path / "mnist.npz"
    np.savez(path, **samples | {"x_test": samples["x_test"] / 255})
    with pytest.raises(ValueError, match=r"test: expected uint8 images of shape \(n, 28, 28\), got float64"):
        mnist.load_data(path)


@pytest.mark.parametrize("shape", ["(2000000000, 28, 28)", "(-6, 28, 28)", "(6, 28, 27)"])
def test_a_lying_header_allocates_nothing(npz, samples, shape):
    header = f"{{'descr': '|u1', 'fortran_order': False, 'shape': {shape}, }}".ljust(117) + "\n"
    content = b"\x93NUMPY\x01\x00v\x00" + header.encode() + samples["x_train"].tobytes()
    with zipfile.ZipFile(npz) as archive:
        members = {name: archive.read(name) for name in archive.namelist()} | {"x_train.npy": content}
    with zipfile.ZipFile(npz, "w") as archive:
        for name, member in members.items():
            archive.writestr(name, member)
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match=r"header of x_train promises shape .* its data have 4704 bytes"):
            mnist.load_data(npz)
        assert tracemalloc.get_traced_memory()[1] < 10 << 20
    finally:
        tracemalloc.stop()


def unfolding(path, shapes: dict[str, tuple[int, ...]]) -> None:
    """An archive of zeros, which is small."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, shape in shapes.items():
            header = f"{{'descr': '|u1', 'fortran_order': False, 'shape': {shape}, }}".ljust(117) + "\n"
            with archive.open(f"{name}.npy", "w", force_zip64=True) as file:
                file.write(b"\x93NUMPY\x01\x00v\x00" + header.encode())
                size = int(np.prod(shape))
                for start in range(0, size, 1 << 20):
                    file.write(bytes(min(1 << 20, size - start)))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"y_train": (40_001,)}, "got 40000 images, 40001 labels"),
        ({"x_test": (9, 27, 28)}, r"test: expected uint8 images of shape \(n, 28, 28\)"),
        ({"y_test": (9, 1)}, r"test: expected integer labels of shape \(n,\)"),
    ],
)
def test_a_small_archive_takes_little_memory(tmp_path, changes, message):
    path = tmp_path / "mnist.npz"
    shapes = {"x_train": (40_000, 28, 28), "y_train": (40_000,), "x_test": (9, 28, 28), "y_test": (9,)}
    unfolding(path, {**shapes, **changes})
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match=message):
            mnist.load_data(path)
        assert tracemalloc.get_traced_memory()[1] < 10 << 20
    finally:
        tracemalloc.stop()


def test_one_limit_for_all_of_an_archive(tmp_path, monkeypatch):
    monkeypatch.setattr("nnx.datasets._files.MOST_BYTES", 5 << 19)
    path = tmp_path / "mnist.npz"
    shapes = {"x_train": (2000, 28, 28), "y_train": (2000,), "x_test": (2000, 28, 28), "y_test": (2000,)}
    unfolding(path, shapes)
    assert path.stat().st_size < 10_000
    with pytest.raises(ValueError, match=r"mnist.npz .*: it holds 2 MiB of data, more than 2"):
        mnist.load_data(path)
    unfolding(path, {**shapes, "x_test": (1000, 28, 28), "y_test": (1000,)})
    assert len(mnist.load_data(path)[0][0]) == 2000


def test_compression_that_numpy_does_not_have(tmp_path, samples):
    path = tmp_path / "mnist.npz"
    np.savez(path, **samples)
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_BZIP2) as archive:
        for name, member in members.items():
            archive.writestr(name, member)
    with pytest.raises(ValueError, match="compressed in another way than NumPy does it"):
        mnist.load_data(path)


def test_a_truncated_file_is_named(npz):
    npz.write_bytes(npz.read_bytes()[:-100])
    with pytest.raises(ValueError, match=r"mnist\.npz is not an \.npz file of NumPy, or is damaged or incomplete"):
        mnist.load_data(npz)


def test_mutated_files_give_a_value_error_or_data(npz, samples, mutated):
    mutated(npz, lambda: mnist.load_data(npz))
    np.savez(npz, **samples)
    mutated(npz, lambda: mnist.load_data(npz), header=300)
