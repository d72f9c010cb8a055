"""Batches of a data set: of arrays in place, of arrays too large for that, and of iterables."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterable, Iterator, Sequence, Sized
from typing import Any, Protocol

import numpy as np

from nnx import ranks
from nnx.backends import array_namespace, backend_of, to_numpy
from nnx.data.loader import DataLoader
from nnx.data.pydataset import PyDataset
from nnx.data.row_pools import RowPools
from nnx.data.sample_batches import as_batch
from nnx.data.stored_arrays import Stored
from nnx.random import Generator
from nnx.structure import first_given, rebuild

Columns = tuple[list[Any], list[Any], list[Any]]
"""Inputs, targets and sample weights: for each input, and each output; optional inputs, targets and weights may be
None."""

Batch = Columns | tuple[list[Any], list[Any], list[Any], int]
"""The columns of one batch; where ranks share it, and these are the rows of this one, also how many rows it has."""

GATHERED_BYTES = 1 << 19  # rows of shuffled inputs that are picked at once, to be cut into batches: what caches hold

_FORMS = {1: "x", 2: "(x, y)", 3: "(x, y, sample_weight)"}


class Source(Protocol):
    """What gives the batches of one pass over a data set with each `iter`.

    steps : how many there are in the next pass; None where that is not known.
    once : whether it gives each batch only once.
    streams : what is drawn from when a pass begins.
    form : what makes its batches the same ones as those of another.
    """

    once: bool

    @property
    def steps(self) -> int | None: ...

    @property
    def streams(self) -> list[Generator]: ...

    @property
    def form(self) -> dict[str, Any]: ...

    def __iter__(self) -> Iterator[Batch]: ...


class ArrayBatches:
    """Batches of arrays that are already in place. The last batch may be smaller.

    columns : lists of inputs, targets and weights; an entry may be None.
    generator : shuffles the samples anew for every epoch; None keeps their order.
    shared : whether several ranks share each batch.
    """

    once = False

    def __init__(self, columns: Columns, batch_size: int, generator: Generator | None, shared: bool) -> None:
        self.columns = columns
        self.rows: int = first_given([*columns[0], *columns[1]]).shape[0]
        self.batch_size = batch_size
        self.steps: int | None = len(self)
        self._generator = generator
        self._shared = shared

    @property
    def streams(self) -> list[Generator]:
        """What is drawn from when a pass begins."""
        return [] if self._generator is None else [self._generator]

    @property
    def form(self) -> dict[str, Any]:
        """What makes the batches the same ones as those of other arrays."""
        return {"samples": self.rows, "batch_size": self.batch_size, "shuffle": self._generator is not None}

    def join(self, rows: int) -> None:
        """Give several batches as one, of at most so many rows, unless a batch alone has more."""
        self.batch_size *= max(1, rows // self.batch_size)
        self.steps = len(self)

    def __iter__(self) -> Iterator[Batch]:
        order, parts = None, list(ranks.parts_of(self.rows, self.batch_size, self._shared))
        if self._generator is not None:
            order = self._generator.permutation(self.rows)
            if parts[0][2] is not None:
                order, parts = ranks.rows_of(parts, order)
        return cut(self.columns, order, parts)

    def __len__(self) -> int:
        return math.ceil(self.rows / self.batch_size)


def cut(columns: Columns, order: np.ndarray | None, parts: Sequence[ranks.Part]) -> Iterator[Batch]:
    """Batches of columns that are in place, of their rows in an order; None is the order that they have."""
    if order is None:
        yield from _slices(columns, parts, 0)
        return
    first = first_given([*columns[0], *columns[1]])
    # one transfer an epoch: the indices are slices of an array on the device; texts are taken on the host
    arrays = {backend_of(a): a for column in columns for a in column if a is not None}
    of_backend = {backend: (array_namespace(a).take, backend.put_beside(a, order)) for backend, a in arrays.items()}
    row_bytes = 4 * math.prod(first.shape[1:]) or 4
    together = max(1, GATHERED_BYTES // (row_bytes * (parts[0][1] - parts[0][0])))
    for number in range(0, len(parts), together):
        some = parts[number : number + together]
        rows = slice(some[0][0], some[-1][1])

        def taken(a: Any, rows: slice = rows) -> Any:
            if a is None:
                return None
            take, indices = of_backend[backend_of(a)]
            return take(a, indices[rows], axis=0)

        xs, ys, weights = ([taken(a) for a in column] for column in columns)
        yield from _slices((xs, ys, weights), some, some[0][0])


def _slices(columns: Columns, parts: Sequence[ranks.Part], before: int) -> Iterator[Batch]:
    """The batches of columns that begin with so many rows left out."""
    xs, ys, weights = columns
    for start, stop, whole in parts:
        rows = slice(start - before, stop - before)
        batch = (
            [None if x is None else x[rows, ...] for x in xs],
            [None if y is None else y[rows, ...] for y in ys],
            [None if weight is None else weight[rows, ...] for weight in weights],
        )
        yield batch if whole is None else (*batch, whole)


class PooledBatches:
    """Batches of arrays on the host that are brought into place in pools, see `nnx.data.row_pools`.

    columns : lists of inputs, targets and weights: arrays, `Stored` arrays and None. What is on a device comes back.
    prepare : checks rows and brings them into place.
    pool_bytes : how much may be in place at a time.
    shared : whether several ranks share each batch; then each reads its own rows.
    """

    once = False

    def __init__(
        self,
        columns: Columns,
        prepare: Callable[..., Columns],
        batch_size: int,
        generator: Generator | None,
        pool_bytes: float,
        shared: bool,
    ) -> None:
        self.batch_size = batch_size
        self._structure = columns
        self._prepare = prepare
        self._generator = generator
        self._shared = shared
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
        for columns, order, parts in self._pools.read(self._generator, self._shared):
            pool: Columns = rebuild(self._structure, columns)
            try:
                placed = self._prepare(*pool)
            except ValueError:  # of one of the batches: those before it are good, and the error is to name it
                for xs, ys, weights, *whole in cut(pool, order, parts):
                    yield (*self._prepare(xs, ys, weights), *whole)  # type: ignore[misc]
                raise
            del columns, pool  # while the next pool is read, there is one in place and not two
            yield from cut(placed, order, parts)
            del placed


class IterableBatches:
    """Batches from an iterable, or from a sequence of batches with `__getitem__` and `__len__`.

    convert : checks a batch and brings it into place.
    generator : shuffles the batches of a sequence that is not a list or tuple, as Keras does; None keeps their order.
    once : whether the source gives each batch only once, as generators do.
    shared : whether several ranks share each batch: then a `DataLoader` makes the rows of this one. Other sources give
        whole batches, which are cut later.

    Where the source has the methods `on_epoch_begin` and `on_epoch_end` of Keras, they are called around a pass.
    """

    def __init__(
        self,
        source: Iterable[Any],
        convert: Callable[..., Columns],
        generator: Generator | None = None,
        shared: bool = False,
    ) -> None:
        if isinstance(source, PyDataset) and source.num_batches is None:
            source = iter(source)
        self._endless = isinstance(source, DataLoader) and source.endless
        own_way = getattr(type(source), "__iter__", None) is not DataLoader.__iter__ and not self._endless
        self._shared = shared and not own_way and ranks.group() is not None
        self._source: Any = source
        self._convert = convert
        self.once = isinstance(source, Iterator) and not self._endless
        in_its_order = self._endless or isinstance(source, list | tuple)
        has_order = self.steps is not None and hasattr(source, "__getitem__") and not in_its_order
        self._generator = generator if has_order else None

    @property
    def steps(self) -> int | None:
        """How many there are now: a source may grow or shrink between passes."""
        with contextlib.suppress(TypeError):  # loaders have a length, even where it is not known
            return len(self._source)
        return None

    @property
    def streams(self) -> list[Generator]:
        own = getattr(self._source, "random", None)  # of what shuffles by itself
        return [stream for stream in (own, self._generator) if isinstance(stream, Generator)]

    @property
    def form(self) -> dict[str, Any]:
        return {"batches": self.steps}

    def __iter__(self) -> Iterator[Batch]:
        self._tell("on_epoch_begin")
        parts = 0
        for item, rows in self._items():
            batch = as_batch(item)
            if len(batch) not in _FORMS or not hasattr(item, "__len__"):
                raise ValueError(f"an iterable must give x, (x, y) or (x, y, sample_weight), got {_text(item)}")
            if parts and len(batch) != parts:
                raise ValueError(f"expected {_FORMS[parts]}, as in the first batch, got {_text(item)}")
            parts = len(batch)
            columns = self._convert(*batch)
            yield columns if rows is None else (*columns, _checked(columns, rows))
        self._tell("on_epoch_end")

    def _items(self) -> Iterator[tuple[Any, int | None]]:
        if self._shared:
            items: Iterator[tuple[Any, int | None]] = self._source.parts()
            return items
        if self._endless:
            return ((item, None) for item in DataLoader.__iter__(self._source))
        if self._generator is None and hasattr(self._source, "__iter__"):
            return ((item, None) for item in self._source)
        steps = self.steps or 0
        order = range(steps) if self._generator is None else self._generator.permutation(steps)
        return ((self._source[int(index)], None) for index in order)

    def _tell(self, hook: str) -> None:
        getattr(self._source, hook, lambda: None)()


class StructuredBatches:
    """Batches of arrays in the structure that a step gets them in.

    source : gives the arrays of each batch as an input and targets. structure : of them, the input first.
    """

    def __init__(self, source: Any, structure: Any) -> None:
        self._source, self._structure = source, structure
        self.once: bool = source.once

    @property
    def steps(self) -> int | None:
        """How many there are in the next pass."""
        return self._source.steps  # type: ignore[no-any-return]

    @property
    def streams(self) -> list[Any]:
        """What is drawn from when a pass begins."""
        return self._source.streams  # type: ignore[no-any-return]

    @property
    def form(self) -> dict[str, Any]:
        """What makes the batches the same ones as those of other data."""
        return self._source.form  # type: ignore[no-any-return]

    def __iter__(self) -> Iterator[Any]:
        for first, others, _ in self._source:
            yield (rebuild(self._structure, [*first, *others]),)


class GivenBatches(IterableBatches):
    """Batches from an iterable as it gives them, whatever their structure. convert : brings one into place."""

    def __iter__(self) -> Iterator[Any]:
        self._tell("on_epoch_begin")
        for item, _ in self._items():
            yield (self._convert(item),)
        self._tell("on_epoch_end")


def _checked(columns: Columns, whole: int) -> int:
    """The number of rows of a whole batch; ValueError unless this rank's part of it has come."""
    found = first_given(columns[0]).shape[0]
    shard = ranks.shard_of(whole)
    if isinstance(shard, ranks.Shard) and shard.rows != found:
        raise ValueError(
            f"this rank has {shard.rows} of the {whole} rows of a batch, and the map of the DataLoader made {found} of "
            f"them: where several processes share batches it has to return as many rows as it gets. Let x give whole "
            f"batches, with batch_size=None, or change their number in a generator around the DataLoader"
        )
    return whole


def _text(item: Any) -> str:
    """What was given as a batch, for errors."""
    return f"{type(item).__name__}{f' of {len(item)}' if isinstance(item, Sized) else ''}"
