"""The prices of houses in California in 1990 (Pace and Barry, 1997)."""

from __future__ import annotations

import os

from nnx.datasets._download import Source
from nnx.datasets._houses import load_houses
from nnx.datasets._split import Pair

__all__ = ["load_data"]

SOURCE = Source(
    name="california-housing",
    mirrors=("https://storage.googleapis.com/tensorflow/tf-keras-datasets/",),
    checksums={"california_housing.npz": "1a2e3a52e0398de6463aebe6f4a8da34fb21fbb6b934cf88c3425e766f2a1a6f"},
)
_ROWS = {"small": 600, "large": None}


def load_data(
    version: str = "large", path: str | os.PathLike[str] | None = None, test_split: float = 0.2, seed: int = 113
) -> tuple[Pair, Pair]:
    """`(x_train, y_train), (x_test, y_test)`: districts, 8 measures each, and the median price of a house there.

    Measures are (n, 8), raw, in this order: income, age of the houses, rooms and bedrooms of a household, population,
    people of a household, latitude, longitude. Prices are (n,), in dollars. Both have the dtype of the file, and the
    order is that of Keras with the same seed.

    version : "large" (default) for 20,640 districts, "small" for the first 600 of them.
    path : None (default) downloads california_housing.npz once, with its checksum, into the user's cache (0.7 MB; needs
        pooch, `pip install 'nnx-array[examples]'`). Else that file, or a folder that has it.
    test_split : the fraction of the districts that is for testing, default 0.2.
    seed : decides the order, default 113; the random stream of nnx is not touched.

    Raises FileNotFoundError for a file that is not there, OSError for a download that fails, ValueError for another
    version, for a test_split outside [0, 1), and, naming the file, for one that is damaged or is something else.
    """
    if version not in _ROWS:
        raise ValueError(f'version must be "small" or "large", got {version!r}')
    return load_houses(SOURCE, path, 8, test_split, seed, _ROWS[version])
