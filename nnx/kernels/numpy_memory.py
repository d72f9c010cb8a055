"""Memory for the large results of NumPy's kernels, which comes back when no array uses it any more.

The C library returns memory at the end of its heap to the system, also what a step of training frees and the next one
allocates again; and new memory is mapped page by page when it is first written. Measured on a virtual machine: 5 us for
4 kB, a sixth of a step of a convolutional network.
"""

from __future__ import annotations

import collections
import math
import threading
from typing import Any

import numpy as np

_LEAST, _LARGEST = 1 << 20, 1 << 26  # bytes of an array for which it is worth it
_MOST = 1 << 28  # bytes that are kept for arrays to come

_lock = threading.Lock()
_returned: collections.deque[bytearray] = collections.deque()
_free: dict[int, list[bytearray]] = {}  # by size; those that came back last are at the end
_kept = 0


class _Loan(np.ndarray):
    """Memory on loan to the arrays that lie in it: each of them keeps this alive."""

    def __del__(self) -> None:
        if isinstance(self.base, bytearray):  # else it is a view of a loan
            _returned.append(self.base)
            if _lock.acquire(blocking=False):  # whoever has it may be interrupted by this very call
                try:
                    _sort_in()
                finally:
                    _lock.release()


def empty(shape: tuple[int, ...], dtype: Any) -> np.ndarray:
    """An array with whatever values, as `np.empty`."""
    dtype = np.dtype(dtype)
    nbytes = math.prod(shape) * dtype.itemsize
    if not _LEAST <= nbytes <= _LARGEST:
        return np.empty(shape, dtype)
    # An array takes as its base what owns the memory; only a loan that has no array below it stays in between.
    return np.ndarray(shape, dtype, np.ndarray.__new__(_Loan, (nbytes,), np.uint8, _borrow(nbytes)))


def _borrow(nbytes: int) -> bytearray:
    global _kept
    with _lock:
        _sort_in()
        if _free.get(nbytes):
            _kept -= nbytes
            return _free[nbytes].pop()
    return bytearray(nbytes)


def _sort_in() -> None:
    """Take back what was returned, and forget the oldest of what is too much. Needs the lock."""
    global _kept
    while _returned:
        memory = _returned.popleft()
        blocks = _free.pop(len(memory), [])
        _free[len(memory)] = [*blocks, memory]
        _kept += len(memory)
    while _kept > _MOST:
        size = next(iter(_free))
        if _free[size]:
            _free[size].pop()
            _kept -= size
        else:
            del _free[size]
