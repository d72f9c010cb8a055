"""Batches of data sets that are too large for memory, or for the device."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

from nnx.backends import to_numpy
from nnx.data.row_pools import RowPools
from nnx.data.stored_arrays import Stored
from nnx.random import Generator
from nnx.structure import rebuild
from nnx.training.batches import ArrayBatches, Batch


class PooledBatches:
    """Batches of arrays on the host that are brought into place in pools, see `nnx.data.row_pools`.

    columns : lists of inputs, targets and weights: arrays, `Stored` arrays and None. What is on a device comes back.
    prepare : checks rows and brings them into place.
    pool_bytes : how much may be in place at a time.
    """

    once = False

    def __init__(
        self,
        columns: Batch,
        prepare: Callable[..., Batch],
        batch_size: int,
        generator: Generator | None,
        pool_bytes: float,
    ) -> None:
        self.batch_size = batch_size
        self._structure = columns
        self._prepare = prepare
        self._generator = generator
        host = [a if a is None or isinstance(a, Stored) else to_numpy(a) for column in columns for a in column]
        self._pools = RowPools(host, batch_size, pool_bytes=pool_bytes)
        self.steps: int | None = math.ceil(self._pools.rows / batch_size)

    @property
    def streams(self) -> list[Generator]:
        return [] if self._generator is None else [self._generator]

    @property
    def form(self) -> dict[str, Any]:
        return {"samples": self._pools.rows, "batch_size": self.batch_size, "shuffle": self._generator is not None}

    def __iter__(self) -> Iterator[Batch]:
        for columns, stream in self._pools.read(self._generator):
            pool: Batch = rebuild(self._structure, columns)
            try:
                placed = self._prepare(*pool)
            except ValueError:  # of one of the batches: those before it are good, and the error is to name it
                for batch in ArrayBatches(pool, self.batch_size, stream):
                    yield self._prepare(*batch)
                raise
            del columns, pool  # while the next pool is read, there is one in place and not two
            yield from ArrayBatches(placed, self.batch_size, stream)
            del placed
