"""Handwritten digits of 8 x 8 pixels that come with scikit-learn (Alpaydin and Kaynak, 1998)."""

from __future__ import annotations

import numpy as np

from nnx.datasets._split import Pair, split
from nnx.lazy_loading import optional_import

__all__ = ["load_data"]


def load_data(test_split: float = 0.2, seed: int = 113) -> tuple[Pair, Pair]:
    """`(x_train, y_train), (x_test, y_test)`: 1,797 images with the digit that each shows; nothing is downloaded.

    Images are float32 (n, 8, 8), paper 0 to ink 1; labels are int64 (n,), 0 to 9.

    test_split : the fraction of the images that is for testing, default 0.2.
    seed : decides the order of the images, default 113; the random stream of nnx is not touched.

    Raises ImportError without scikit-learn, ValueError for a test_split outside [0, 1).

    >>> (x_train, y_train), (x_test, y_test) = load_data()
    >>> x_train.shape, y_train.shape, x_test.shape
    ((1437, 8, 8), (1437,), (360, 8, 8))
    """
    bundled = optional_import("sklearn.datasets", "the data set digits").load_digits()
    images = (bundled.images / 16.0).astype(np.float32)  # 16 is their darkest value
    return split(images, bundled.target.astype(np.int64), test_split, seed)
