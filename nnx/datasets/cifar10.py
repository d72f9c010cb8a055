"""CIFAR-10: 60,000 small colour images of animals and vehicles (Krizhevsky, 2009)."""

from __future__ import annotations

import os

import numpy as np

from nnx.datasets._cifar import joined, load_batches
from nnx.datasets._download import Source
from nnx.datasets._split import Pair

__all__ = ["load_data"]

CLASS_NAMES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
"""What the labels 0 to 9 mean."""

SOURCE = Source(
    name="cifar-10",
    mirrors=("https://www.cs.toronto.edu/~kriz/",),
    checksums={"cifar-10-python.tar.gz": "6d958be074577803d12ecdefd02955f39262c83c16fe9348329d7fe0b5c001ce"},
)
_NAMES = (*(f"data_batch_{number}" for number in range(1, 6)), "test_batch")


def load_data(path: str | os.PathLike[str] | None = None) -> tuple[Pair, Pair]:
    """`(x_train, y_train), (x_test, y_test)`: 50,000 and 10,000 images with the kind of thing that each shows.

    Images are uint8 (n, 32, 32, 3), red, green and blue from 0 to 255; labels are uint8 (n, 1), 0 to 9: see
    `CLASS_NAMES`.

    path : None (default) downloads the archive once, with its checksum, into the user's cache (170 MB; needs pooch,
        `pip install 'nnx-array[examples]'`). Else that archive, a folder that has it, or the folder that unpacking it
        makes. It is read as it is, by a reader that runs nothing.

    Raises FileNotFoundError for files that are not there, OSError for a download that fails, ValueError, naming the
    file, for one that is damaged or is something else.
    """
    *batches, (x_test, y_test) = load_batches(SOURCE, path, "cifar-10-batches-py", _NAMES, "labels", len(CLASS_NAMES))
    x_train, y_train = joined(batches)
    return (
        (x_train, y_train.astype(np.uint8).reshape(-1, 1)),
        (np.ascontiguousarray(x_test), y_test.astype(np.uint8).reshape(-1, 1)),
    )
