"""The Wisconsin diagnostic breast cancer data that come with scikit-learn (Wolberg, Street and Mangasarian, 1995)."""

from __future__ import annotations

import numpy as np

from nnx.datasets._split import Pair, split
from nnx.lazy_loading import optional_import

__all__ = ["load_data"]


def load_data(test_split: float = 0.2, seed: int = 113, standardize: bool = False) -> tuple[Pair, Pair]:
    """`(x_train, y_train), (x_test, y_test)`: 569 tumours, 30 measures of cell nuclei each; nothing is downloaded.

    Measures are float32 (n, 30); labels are int64 (n,): 0 malignant, 1 benign.

    test_split : the fraction of the tumours that is for testing, default 0.2.
    seed : decides their order, default 113; the random stream of nnx is not touched.
    standardize : subtract the mean of each measure and divide by its standard deviation, both those of the training
        data, so that nothing is learnt from the test data. By default the measures are raw: their scales differ by
        more than a thousand, which trains badly.

    Raises ImportError without scikit-learn, ValueError for a test_split outside [0, 1).

    >>> (x_train, y_train), (x_test, y_test) = load_data()
    >>> x_train.shape, y_train.shape, x_test.shape
    ((455, 30), (455,), (114, 30))
    """
    bundled = optional_import("sklearn.datasets", "the data set breast_cancer").load_breast_cancer()
    (x_train, y_train), (x_test, y_test) = split(bundled.data, bundled.target.astype(np.int64), test_split, seed)
    if standardize:
        mean, deviation = x_train.mean(axis=0), x_train.std(axis=0)
        x_train, x_test = (x_train - mean) / deviation, (x_test - mean) / deviation
    return (x_train.astype(np.float32), y_train), (x_test.astype(np.float32), y_test)
