"""The prices of houses in Boston in the 1970s (Harrison and Rubinfeld, 1978).

One of its measures assumes that people of different colour do not want to live together. Take it to talk about that;
to learn with, `california_housing` is as good.
"""

from __future__ import annotations

import os

from nnx.datasets._download import Source
from nnx.datasets._houses import load_houses
from nnx.datasets._split import Pair

__all__ = ["load_data"]

SOURCE = Source(
    name="boston-housing",
    mirrors=("https://storage.googleapis.com/tensorflow/tf-keras-datasets/",),
    checksums={"boston_housing.npz": "f553886a1f8d56431e820c5b82552d9d95cfcb96d1e678153f8839538947dff5"},
)


def load_data(
    path: str | os.PathLike[str] | None = None, test_split: float = 0.2, seed: int = 113
) -> tuple[Pair, Pair]:
    """`(x_train, y_train), (x_test, y_test)`: 506 districts, 13 measures each, and the median price of a house there.

    Measures are float64 (n, 13), raw; prices are float64 (n,), in thousands of dollars. The order is that of Keras with
    the same seed.

    path : None (default) downloads boston_housing.npz once, with its checksum, into the user's cache (57 kB; needs
        pooch, `pip install 'nnx-array[examples]'`). Else that file, or a folder that has it.
    test_split : the fraction of the districts that is for testing, default 0.2.
    seed : decides the order, default 113; the random stream of nnx is not touched.

    Raises FileNotFoundError for a file that is not there, OSError for a download that fails, ValueError for a
    test_split outside [0, 1), and, naming the file, for one that is damaged or is something else.
    """
    return load_houses(SOURCE, path, 13, test_split, seed)
