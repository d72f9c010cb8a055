"""Small helpers around training: one-hot labels, unit vectors, one seed for everything.

`plot_model` is here too, as in Keras; see `nnx.plotting`.
"""

from nnx.on_demand import on_demand
from nnx.utils import np_utils as np_utils  # older scripts write `from ... .utils import np_utils`
from nnx.utils.numerical import normalize, to_categorical
from nnx.utils.seeding import set_random_seed

__all__ = ["normalize", "plot_model", "set_random_seed", "to_categorical"]

__getattr__ = on_demand(__name__, {"plot_model": "nnx.plotting"})
