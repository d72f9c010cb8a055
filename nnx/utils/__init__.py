"""Small helpers around training: one-hot labels, unit vectors, one seed for everything.

`plot_model` is here too, as in Keras; see `nnx.plotting`.
"""

import importlib
from typing import Any

from nnx.utils import np_utils as np_utils  # older scripts write `from ... .utils import np_utils`
from nnx.utils.numerical import normalize, to_categorical
from nnx.utils.seeding import set_random_seed

__all__ = ["normalize", "plot_model", "set_random_seed", "to_categorical"]


def __getattr__(name: str) -> Any:
    if name == "plot_model":  # `nnx.plotting` needs this package, so it cannot be imported first
        return importlib.import_module("nnx.plotting").plot_model
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
