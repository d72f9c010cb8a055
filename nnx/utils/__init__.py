"""Small helpers around training: one-hot labels, unit vectors, one seed for everything."""

from nnx.utils import np_utils as np_utils  # older scripts write `from ... .utils import np_utils`
from nnx.utils.numerical import normalize, to_categorical
from nnx.utils.seeding import set_random_seed

__all__ = ["normalize", "set_random_seed", "to_categorical"]
