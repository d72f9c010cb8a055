"""CIFAR-100: 60,000 small colour images of a hundred kinds of things (Krizhevsky, 2009)."""

from __future__ import annotations

import os

import numpy as np

from nnx.datasets._cifar import load_batches
from nnx.datasets._download import Source
from nnx.datasets._split import Pair

__all__ = ["load_data"]

SOURCE = Source(
    name="cifar-100",
    mirrors=("https://www.cs.toronto.edu/~kriz/",),
    checksums={"cifar-100-python.tar.gz": "85cd44d02ba6437773c5bbd22e183051d648de2e7d6b014e1ef29b855ba677a7"},
)
_CLASSES = {"fine": 100, "coarse": 20}


def load_data(label_mode: str = "fine", path: str | os.PathLike[str] | None = None) -> tuple[Pair, Pair]:
    """`(x_train, y_train), (x_test, y_test)`: 50,000 and 10,000 images with the kind of thing that each shows.

    Images are uint8 (n, 32, 32, 3), red, green and blue from 0 to 255; labels are int64 (n, 1).

    label_mode : "fine" (default) for labels 0 to 99, "coarse" for the 20 groups that they form, 0 to 19.
    path : None (default) downloads the archive once, with its checksum, into the user's cache (169 MB; needs pooch,
        `pip install 'nnx-array[examples]'`). Else that archive, a folder that has it, or the folder that unpacking it
        makes. It is read as it is, by a reader that runs nothing.

    Raises FileNotFoundError for files that are not there, OSError for a download that fails, ValueError for another
    label_mode, and, naming the file, for one that is damaged or is something else.
    """
    if label_mode not in _CLASSES:
        raise ValueError(f'label_mode must be "fine" or "coarse", got {label_mode!r}')
    train, test = load_batches(
        SOURCE, path, "cifar-100-python", ("train", "test"), f"{label_mode}_labels", _CLASSES[label_mode]
    )
    return _as_keras(train), _as_keras(test)


def _as_keras(batch: Pair) -> Pair:
    images, labels = batch
    return np.ascontiguousarray(images), labels.astype(np.int64).reshape(-1, 1)
