"""NumPy kernel of the way back of a reduction: a copy takes a third of a product with ones, or of `broadcast_to`."""

from __future__ import annotations

import numpy as np

from nnx.backends import Array
from nnx.kernels import backend_kernel
from nnx.kernels.numpy.table import KERNELS


@backend_kernel(KERNELS)
def spread(dy: Array, x: Array) -> Array:
    made = np.empty_like(x)
    made[...] = dy
    return made if made.ndim else made[()]
