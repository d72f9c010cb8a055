"""What MNIST and Fashion-MNIST share: ten classes of 28 x 28 grey images, in one of three kinds of file."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from nnx.datasets._download import Source, place_of
from nnx.datasets._files import Unread
from nnx.datasets._idx import read_idx
from nnx.datasets._npz import read_npz
from nnx.datasets._pickle import read_pickle
from nnx.datasets._split import Pair

SIZE = 28
CLASSES = 10
_ROWS_AT_A_TIME = 1000


def load_images(source: Source, path: str | os.PathLike[str] | None) -> tuple[Pair, Pair]:
    """`(x_train, y_train), (x_test, y_test)`: uint8 images (n, 28, 28) and uint8 labels (n,).

    path : a folder, an .npz or a .pkl.gz file, as the `load_data` of the data set describes them; None downloads.
    """
    place = place_of(source, path)
    if place.is_dir():
        return _from_folder(place)
    if place.suffix == ".npz":
        return _from_npz(place)
    if ".pkl" in place.suffixes or ".pickle" in place.suffixes:
        return _from_pickle(place)
    raise ValueError(
        f"path must be a folder with the four IDX files ({', '.join(source.checksums)}), an .npz file or a .pkl.gz "
        f"file, got {place}"
    )


def _from_folder(folder: Path) -> tuple[Pair, Pair]:
    names = [(_find(folder, f"{part}-images", 3), _find(folder, f"{part}-labels", 1)) for part in ("train", "t10k")]
    train, test = _loaded(
        *[(read_idx(images, 3), read_idx(labels, 1), f"{images} with {labels.name}") for images, labels in names]
    )
    return train, test


def _find(folder: Path, stem: str, dimensions: int) -> Path:
    names = [f"{stem}{mark}idx{dimensions}-ubyte{end}" for mark in "-." for end in (".gz", "")]
    for name in names:
        if (folder / name).is_file():
            return folder / name
    raise FileNotFoundError(f"the folder {folder} has none of the files {', '.join(names)}")


def _from_npz(path: Path) -> tuple[Pair, Pair]:
    x_train, y_train, x_test, y_test = read_npz(path, ("x_train", "y_train", "x_test", "y_test"))
    train, test = _loaded((x_train, y_train, f"{path}, training"), (x_test, y_test, f"{path}, test"))
    return train, test


def _from_pickle(path: Path) -> tuple[Pair, Pair]:
    """Pairs for training, validation (joined to training) and testing, or only for training and testing."""
    pairs = read_pickle(path)
    if len(pairs) not in (2, 3):
        raise ValueError(f"{path} holds {len(pairs)} pairs of arrays, expected training, validation and test")
    parts = ["training", "test"] if len(pairs) == 2 else ["training", "validation", "test"]
    *train, test = _loaded(
        *[
            (_in_memory(_as_bytes(images, path)), _in_memory(labels), f"{path}, {part}")
            for part, (images, labels) in zip(parts, pairs, strict=True)
        ]
    )
    images, labels = (np.concatenate(arrays) for arrays in zip(*train, strict=True))
    return (images, labels), test


def _in_memory(array: np.ndarray) -> Unread:
    return Unread(array.shape, array.dtype, lambda: array)


def _as_bytes(images: np.ndarray, path: Path) -> np.ndarray:
    """Grey values 0 to 255 as uint8 (n, 28, 28), from rows of 784 pixels, from fractions in [0, 1], or from both."""
    if images.ndim == 2 and images.shape[1] == SIZE * SIZE:
        images = images.reshape(-1, SIZE, SIZE)
    if images.dtype.kind != "f" or images.shape[1:] != (SIZE, SIZE) or not len(images):
        return images
    blocks = [slice(start, start + _ROWS_AT_A_TIME) for start in range(0, len(images), _ROWS_AT_A_TIME)]
    low = np.min([images[rows].min() for rows in blocks])
    high = np.max([images[rows].max() for rows in blocks])
    if not 0.0 <= low <= high <= 1.0:  # false for NaN, too
        raise ValueError(f"{path} holds images with values from {low} to {high}, expected fractions from 0 to 1")
    # The file of the Theano tutorials has grey / 256, others have grey / 255; 256ths are exact in binary.
    of_256 = high < 1.0 and all((images[rows] * 256.0 == np.rint(images[rows] * 256.0)).all() for rows in blocks)
    grey = np.empty(images.shape, np.uint8)
    for rows in blocks:
        grey[rows] = np.rint(images[rows] * (256.0 if of_256 else 255.0))
    return grey


def _loaded(*pairs: tuple[Unread, Unread, str]) -> list[Pair]:
    """Images and labels. All that may be wrong with one is found before the images of any are read."""
    labels = [_labels(*pair) for pair in pairs]
    # what comes from a pickle file is read-only
    return [
        (np.require(images.read(), requirements=("C", "W")), np.require(one, np.uint8, ("C", "W")))
        for (images, _, _), one in zip(pairs, labels, strict=True)
    ]


def _labels(images: Unread, labels: Unread, where: str) -> np.ndarray:
    if images.shape[1:] != (SIZE, SIZE) or images.dtype != np.uint8:
        raise ValueError(f"{where}: expected uint8 images of shape (n, 28, 28), got {images.dtype} {images.shape}")
    if len(labels.shape) != 1 or labels.dtype.kind not in "iu":
        raise ValueError(f"{where}: expected integer labels of shape (n,), got {labels.dtype} {labels.shape}")
    if images.shape[0] != labels.shape[0] or not labels.shape[0]:
        counts = f"{images.shape[0]} images, {labels.shape[0]} labels"
        raise ValueError(f"{where}: expected a label for each image, got {counts}")
    found = labels.read()
    if found.min() < 0 or found.max() >= CLASSES:
        raise ValueError(f"{where}: expected labels from 0 to 9, got {found.min()} to {found.max()}")
    return found
