"""Pools of rows: those of arrays, some of which may be on disk, in the order of an epoch."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from nnx.data.stored_arrays import Stored
from nnx.random import Generator

BLOCK_BYTES = 1 << 20  # rows on disk are read in blocks of about this size, even where they are shuffled
POOL_BYTES = 1 << 26  # and that much of them is in memory at a time


class RowPools:
    """The rows of arrays on the host, a pool at a time, as many as are worth a read and a transfer.

    columns : arrays, `Stored` arrays, and None.
    batch_size : pools are of whole batches, but for the last.
    pool : how many rows a pool has; by default as many as fill `pool_bytes`.

    Rows in memory are shuffled freely. For rows on disk that would mean to look each of them up, which costs a hundred
    times what consecutive rows cost. So there, blocks of consecutive rows are read in random order, and the rows of all
    blocks in a pool are shuffled. Arrays that fit into one pool are shuffled as if they were in memory.
    """

    def __init__(
        self, columns: Sequence[Any], batch_size: int, pool: int | None = None, pool_bytes: float = POOL_BYTES
    ) -> None:
        given = [column for column in columns if column is not None]
        self.columns = columns
        self.rows: int = given[0].shape[0]
        # as float32 at least, which they are going to be
        row_bytes = sum(math.prod(column.shape[1:]) * max(4, column.dtype.itemsize) for column in given) or 1
        wanted = pool or int(pool_bytes // row_bytes)
        self._pool = self.rows if wanted >= self.rows else max(1, wanted // batch_size) * batch_size
        self._block = max(1, min(self._pool, BLOCK_BYTES // row_bytes))
        self._stored = [column for column in given if isinstance(column, Stored)]

    def read(self, stream: Generator | None) -> Iterator[tuple[list[Any], Generator | None]]:
        """The columns of each pool, in memory, and what is to shuffle their rows; None if they are in order.

        stream : shuffles; None keeps the order of the rows. A pass draws from it when it begins.
        """
        if self._stored:
            in_blocks = None
            if stream is not None and self._pool < self.rows:
                stream = in_blocks = stream.split()
            for ranges in self._ranges(in_blocks):
                yield [None if column is None else _gathered(column, ranges) for column in self.columns], stream
            return
        order = None if stream is None else stream.permutation(self.rows)
        for start in range(0, self.rows, self._pool):
            rows = slice(start, start + self._pool)
            if order is None:
                yield [None if column is None else column[rows] for column in self.columns], None
            else:
                yield [None if column is None else column.take(order[rows], axis=0) for column in self.columns], None

    def _ranges(self, stream: Generator | None) -> Iterator[list[tuple[int, int]]]:
        """The rows of each pool, as ranges: blocks in their order or a random one. All pools but the last are full."""
        blocks = math.ceil(self.rows / self._block)
        ranges: list[tuple[int, int]] = []
        room = self._pool
        for block in range(blocks) if stream is None else stream.permutation(blocks).tolist():
            start, stop = block * self._block, min((block + 1) * self._block, self.rows)
            while start < stop:
                end = min(stop, start + room)
                ranges.append((start, end))
                room -= end - start
                start = end
                if not room:
                    yield ranges
                    ranges, room = [], self._pool
        if ranges:
            yield ranges


def _gathered(column: Any, ranges: list[tuple[int, int]]) -> np.ndarray:
    """The rows of some ranges, one after the other."""
    gathered = np.empty((sum(stop - start for start, stop in ranges), *column.shape[1:]), column.dtype)
    filled = 0
    for start, stop in ranges:
        rows = gathered[filled : filled + stop - start]
        if isinstance(column, Stored):
            column.read_into(rows, start)
        else:
            rows[...] = column[start:stop]
        filled += stop - start
    return gathered
