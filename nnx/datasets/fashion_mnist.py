"""Fashion-MNIST: 70,000 pictures of clothing, in the format of MNIST (Xiao, Rasul and Vollgraf, 2017)."""

from __future__ import annotations

import os

from nnx.datasets._download import Source
from nnx.datasets._images import load_images
from nnx.datasets._split import Pair

__all__ = ["load_data"]

CLASS_NAMES = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)
"""What the labels 0 to 9 mean."""

SOURCE = Source(
    name="fashion-mnist",
    mirrors=(
        "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",  # has no https; the checksums protect it
        "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
    ),
    checksums={
        "train-images-idx3-ubyte.gz": "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
        "train-labels-idx1-ubyte.gz": "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
        "t10k-images-idx3-ubyte.gz": "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
        "t10k-labels-idx1-ubyte.gz": "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
    },
)


def load_data(path: str | os.PathLike[str] | None = None) -> tuple[Pair, Pair]:
    """`(x_train, y_train), (x_test, y_test)`: 60,000 and 10,000 images with the kind of clothing that each shows.

    Images are uint8 (n, 28, 28), black 0 to white 255; labels are uint8 (n,), 0 to 9: see `CLASS_NAMES`.

    path : None (default) downloads the files once, with checksums, into the user's cache (31 MB; needs pooch,
        `pip install 'nnx-array[examples]'`). Else a folder with the four IDX files, gzip or plain, or an .npz or
        .pkl.gz file laid out like those of MNIST.

    Raises FileNotFoundError for files that are not there, OSError for a download that fails, ValueError, naming the
    file, for one that is damaged or is something else.
    """
    return load_images(SOURCE, path)
