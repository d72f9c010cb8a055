"""Memory of NumPy's kernels that is used again: `empty` for large results, `scratch` for intermediate ones.

The C library returns memory to the system, also what a step of training frees and the next one allocates again: what
is at the end of its heap and, at first, all arrays of 128 kB or more. New memory is mapped page by page when it is
first written. Measured on a virtual machine: 5 us for 4 kB, a sixth of a step of a convolutional network, a quarter of
one of an LSTM. For intermediate results of some hundred kB that can cost more than the computation.
"""

from __future__ import annotations

import math
import threading

import numpy as np

_LEAST, _LARGEST = 1 << 17, 1 << 26  # bytes of an array for which it is worth it
_MOST = 1 << 28  # bytes that are kept for arrays to come
_MOST_SCRATCH = 1 << 23  # bytes that a thread keeps for one use
_of_thread = threading.local()

# No lock: a signal's handler, the garbage collector or a fork may come in anywhere, and must not wait. Each step below
# is one operation of a dict or a list, which threads cannot divide, and what is lost between two of them is only freed.
_free: dict[int, list[_Block]] = {}
"""By size; the sizes, and the blocks of each, that came back last are at the end."""


class _Block(np.ndarray):
    """Memory; a type of its own, beyond which NumPy does not look for what owns the memory of an array."""

    __slots__ = ()


class _Loan(np.ndarray):
    """A block on loan to the arrays that lie in it: each of them keeps this alive."""

    __slots__ = ()  # nothing that refers to it can be found by the garbage collector, so it is finalised when unused

    def __del__(self) -> None:
        if isinstance(self.base, _Block):  # else it is a view of a loan
            _take_back(self.base)


def empty(like: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """An array of the dtype and kind of another one, with whatever values.

    The memory of a large one comes back when no array uses it any more.
    """
    dtype = like.dtype
    nbytes = math.prod(shape) * dtype.itemsize
    if not _LEAST <= nbytes <= _LARGEST or type(like) is not np.ndarray:
        return np.empty_like(like, order="C", shape=shape)
    try:
        block = _free[nbytes].pop()
    except LookupError:
        block = np.ndarray.__new__(_Block, (nbytes,), np.uint8)
    return np.ndarray(shape, dtype, np.ndarray.__new__(_Loan, (nbytes,), np.uint8, block))


def empty_as(like: np.ndarray) -> np.ndarray:
    """The same in the shape and the order of the other array."""
    if like.nbytes >= _LEAST and like.flags.c_contiguous:
        return empty(like, like.shape)
    return np.empty_like(like)


def zeros(like: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """An array of zeros of the dtype and kind of another one."""
    return np.zeros_like(like, order="C", shape=shape)


def _take_back(block: _Block) -> None:
    """Keep a block, and forget those that came back first of what is too much."""
    blocks = _free.pop(block.nbytes, [])
    blocks.append(block)
    _free[block.nbytes] = blocks
    kept = _free.copy()
    if sum([size * len(blocks) for size, blocks in kept.items()]) <= _MOST:
        return
    room = _MOST
    for size, blocks in reversed(kept.items()):
        del blocks[: max(0, len(blocks) - room // size)]
        room -= size * len(blocks)
        if not blocks:
            _free.pop(size, None)


def scratch(use: str, like: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """An array of the dtype and kind of another one, with whatever values.

    It is this thread's memory for that use, which the next call for it gets again.
    """
    nbytes = math.prod(shape) * like.dtype.itemsize
    if nbytes > _MOST_SCRATCH or type(like) is not np.ndarray:
        return np.empty_like(like, order="C", shape=shape)
    kept: dict[str, np.ndarray] = _of_thread.__dict__
    if use not in kept or kept[use].nbytes < nbytes:
        kept[use] = np.empty(nbytes, np.uint8)
    memory: np.ndarray = kept[use][:nbytes].view(like.dtype)
    return memory.reshape(shape)
