"""MNIST: 70,000 handwritten digits (LeCun, Cortes and Burges)."""

from __future__ import annotations

import os

from nnx.datasets._download import Source
from nnx.datasets._images import load_images
from nnx.datasets._split import Pair

__all__ = ["load_data"]

SOURCE = Source(
    name="mnist",
    mirrors=(
        "https://ossci-datasets.s3.amazonaws.com/mnist/",
        "https://storage.googleapis.com/cvdf-datasets/mnist/",
    ),
    checksums={
        "train-images-idx3-ubyte.gz": "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
        "train-labels-idx1-ubyte.gz": "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
        "t10k-images-idx3-ubyte.gz": "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
        "t10k-labels-idx1-ubyte.gz": "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
    },
)


def load_data(path: str | os.PathLike[str] | None = None) -> tuple[Pair, Pair]:
    """`(x_train, y_train), (x_test, y_test)`: 60,000 and 10,000 images with the digit that each shows.

    Images are uint8 (n, 28, 28), black 0 to white 255; labels are uint8 (n,), 0 to 9.

    path : None (default) downloads the files once, with checksums, into the user's cache (11 MB; needs pooch,
        `pip install 'nnx-array[examples]'`). Else a folder with the four IDX files, gzip or plain; Keras's mnist.npz;
        or the mnist.pkl.gz of older tutorials, whose validation images are joined to the training images.

    Raises FileNotFoundError for files that are not there, OSError for a download that fails, ValueError, naming the
    file, for one that is damaged or is something else.
    """
    return load_images(SOURCE, path)
