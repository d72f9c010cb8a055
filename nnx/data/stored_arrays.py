"""Arrays on disk, larger than memory perhaps, of which rows are read when they are needed."""

from __future__ import annotations

import itertools
import mmap
from typing import Any

import numpy as np

from nnx.structure import leaves, rebuild


class Stored:
    """Some consecutive rows of an array on disk. Making it, and slicing it, reads nothing.

    source : a memory-mapped array of NumPy (`np.load(..., mmap_mode="r")`), or what looks like a data set of h5py or
        zarr: it has `shape`, `dtype` and `chunks`, and slices of it are arrays.
    start, stop : which rows; by default all.
    """

    def __init__(self, source: Any, start: int = 0, stop: int | None = None) -> None:
        rows = source.shape[0] if source.shape else 0
        self._source = source
        self._start = start
        self.shape: tuple[int, ...] = (
            ((rows if stop is None else stop) - start, *source.shape[1:]) if source.shape else ()
        )
        self.ndim = len(self.shape)
        self.dtype = np.dtype(source.dtype)
        # NumPy's own slices of a plain array are faster than those of a memory map
        self._array = np.asarray(source) if isinstance(source, np.memmap) else source

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: Any) -> Stored:
        """`stored[start:stop]` or `stored[start:stop, ...]`: other rows, still on disk."""
        chosen = rows[0] if isinstance(rows, tuple) else rows
        start, stop, _ = chosen.indices(len(self))
        return Stored(self._source, self._start + start, self._start + max(start, stop))

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        rows = np.empty(self.shape, self.dtype)
        self.read_into(rows, 0)
        return rows.astype(dtype or self.dtype, copy=False)

    def read_into(self, rows: np.ndarray, start: int) -> None:
        """Fill an array with the rows from `start` on."""
        first = self._start + start
        rows[...] = self._array[first : first + len(rows)]
        self._release()

    def take(self, rows: np.ndarray, axis: int = 0) -> np.ndarray:
        """Some rows, by their numbers, as of an array in memory. No others are read; neighbours are read together."""
        rows = rows + self._start
        if isinstance(self._array, np.ndarray):
            found: np.ndarray = self._array[rows]
        else:
            found = np.empty((len(rows), *self.shape[1:]), self.dtype)
            gaps = (np.flatnonzero(np.diff(rows) != 1) + 1).tolist()
            for start, stop in itertools.pairwise((0, *gaps, len(rows))):
                first = int(rows[start])
                found[start:stop] = self._array[first : first + stop - start]
        self._release()
        return found

    def _release(self) -> None:
        """Tell the system that the pages of a memory map that were read need not stay in the memory of this process.

        It would count them as used, and keep many around each that is looked at. They can be read again at any time; a
        map in which changes are private (mode "c") keeps its pages, for there the changes would be lost.
        """
        advice = getattr(mmap, "MADV_DONTNEED", None)  # not on Windows, which takes pages back by itself
        if advice is None or not isinstance(self._source, np.memmap) or self._source.mode == "c":
            return
        owner: Any = self._source
        while isinstance(owner, np.ndarray):
            owner = owner.base
        if isinstance(owner, mmap.mmap):
            owner.madvise(advice)


def is_stored(value: Any) -> bool:
    """Whether a value is an array on disk, as `Stored` takes it."""
    if isinstance(value, np.memmap):
        return True
    return not isinstance(value, np.ndarray) and all(hasattr(value, name) for name in ("chunks", "shape", "dtype"))


def with_stored(value: Any) -> Any:
    """The same array, or nested lists, tuples and dicts of arrays, in which those on disk are `Stored`."""
    if _is_of_numbers(value):
        return value
    return rebuild(value, [Stored(leaf) if is_stored(leaf) else leaf for leaf in leaves(value)])


def has_stored(value: Any) -> bool:
    """Whether what `with_stored` returned has an array on disk in it."""
    return not _is_of_numbers(value) and any(isinstance(leaf, Stored) for leaf in leaves(value))


def _is_of_numbers(value: Any) -> bool:
    """Whether lists are an array written out, of which it would take long to look at all numbers."""
    while isinstance(value, list | tuple) and value:
        value = value[0]
    return isinstance(value, int | float | str | np.generic)
