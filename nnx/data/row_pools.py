"""Pools of rows: those of arrays, some of which may be on disk, in the order of an epoch."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from nnx import ranks
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
        self._batch_size = batch_size
        self.rows: int = given[0].shape[0]
        # as float32 at least, which they are going to be
        row_bytes = sum(math.prod(column.shape[1:]) * max(4, column.dtype.itemsize) for column in given) or 1
        wanted = pool or int(pool_bytes // row_bytes)
        self._pool = self.rows if wanted >= self.rows else max(1, wanted // batch_size) * batch_size
        self._block = max(1, min(self._pool, BLOCK_BYTES // row_bytes))
        self._stored = [column for column in given if isinstance(column, Stored)]

    def read(
        self, stream: Generator | None, shared: bool = False
    ) -> Iterator[tuple[list[Any], np.ndarray | None, list[ranks.Part]]]:
        """The rows of each pool, in memory: columns, the order that they are to have, and the batches in that order.

        stream : shuffles; None keeps the order of the rows. A pass draws from it when it begins.
        shared : whether several ranks share each batch: then the rows of this rank are read, and no others.

        The order is None where the columns have it. A batch is given by where it begins and ends.
        """
        shared = shared and ranks.group() is not None
        if not self._stored:
            yield from self._in_memory(None if stream is None else stream.permutation(self.rows), shared)
            return
        in_blocks = None
        if stream is not None and self._pool < self.rows:
            stream = in_blocks = stream.split()
        for ranges in self._ranges(in_blocks):
            rows = sum(stop - start for start, stop in ranges)
            order = None if stream is None else stream.permutation(rows)
            parts = list(ranks.parts_of(rows, self._batch_size, shared))
            if not shared:
                yield [None if column is None else _gathered(column, ranges) for column in self.columns], order, parts
                continue
            places, parts = ranks.rows_of(parts, order)
            read = np.sort(places)  # as they lie on disk, so that neighbours are read together
            numbers = np.concatenate([np.arange(start, stop) for start, stop in ranges])[read]
            columns = [None if column is None else column.take(numbers, axis=0) for column in self.columns]
            yield columns, None if order is None else np.searchsorted(read, places), parts

    def _in_memory(
        self, order: np.ndarray | None, shared: bool
    ) -> Iterator[tuple[list[Any], np.ndarray | None, list[ranks.Part]]]:
        """`read` where all columns are in memory: they are cut, or rows are taken in an order."""
        for start in range(0, self.rows, self._pool):
            pool = slice(start, min(start + self._pool, self.rows))
            parts = list(ranks.parts_of(pool.stop - start, self._batch_size, shared))
            if order is None and not shared:
                yield [None if column is None else column[pool] for column in self.columns], None, parts
                continue
            rows = np.arange(start, pool.stop) if order is None else order[pool]
            if shared:
                rows, parts = ranks.rows_of(parts, rows)
            yield [None if column is None else column.take(rows, axis=0) for column in self.columns], None, parts

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
