"""Memory for intermediate results of NumPy's kernels, which is kept.

New memory of some hundred kB is mapped page by page when it is first written, and given back as soon as it is freed:
that can cost more than the computation.
"""

from __future__ import annotations

import math
import threading
from typing import Any

import numpy as np

_MOST = 1 << 23  # bytes that a thread keeps for one use
_of_thread = threading.local()


def scratch(use: str, shape: tuple[int, ...], dtype: Any) -> np.ndarray:
    """An array with whatever values: this thread's memory for that use, which the next call for it gets again."""
    dtype = np.dtype(dtype)
    nbytes = math.prod(shape) * dtype.itemsize
    if nbytes > _MOST:
        return np.empty(shape, dtype)
    kept: dict[str, np.ndarray] = _of_thread.__dict__
    if use not in kept or kept[use].nbytes < nbytes:
        kept[use] = np.empty(nbytes, np.uint8)
    memory: np.ndarray = kept[use][:nbytes].view(dtype)
    return memory.reshape(shape)
