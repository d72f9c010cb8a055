"""DataLoader: batches of whatever a user has, epoch after epoch."""

from __future__ import annotations

import itertools
import math
import operator
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from nnx import random as nnx_random
from nnx import ranks
from nnx.arguments import is_integer
from nnx.backends import is_array
from nnx.data.columns import BUFFERS, columns_of, count_rows, named_columns, refuse_sparse
from nnx.data.prefetcher import Prefetcher
from nnx.data.row_pools import RowPools
from nnx.data.sample_batches import as_batch, grouped, shuffled, stacked
from nnx.data.stored_arrays import is_stored
from nnx.random import Generator
from nnx.structure import leaves, rebuild

_END: Any = object()


class DataLoader:
    """Batches (x,), (x, y) or (x, y, sample_weight) on the host, for a loop or for `fit`, `evaluate` and `predict`.

    x, y, sample_weight : columns, with a row for each sample: arrays, lists of numbers, data frames, memory-mapped
        arrays and data sets of h5py or zarr (rows of these are read as they are needed); a dict, tuple or list of
        these for several inputs or outputs. Or x alone: samples x, (x, y) or (x, y, sample_weight), one by one, from a
        sequence (with `__getitem__` and `__len__`), from an iterable, or from a function that returns an iterable for
        each epoch.
    batch_size : 32 by default. None: the samples are batches already.
    shuffle : a new order for every epoch.
    buffer_size : how many samples are in memory to be shuffled. An iterable needs it; for arrays on disk it is by
        default what fills 64 MB, see `nnx.data.row_pools`; other sources are shuffled as a whole.
    map : a function of a batch, called as `map(x, y)`, that returns a batch: it reads files, say, or changes images.
        Random numbers in it come from a generator of its own: the model draws from the default one at the same time.
        Where several processes train together, each maps its rows of a batch, and as many have to come out.
    prefetch : how many batches a thread prepares ahead; it reads and maps while the model computes. 0: no thread.
    drop_last : leave out a last batch that is smaller.
    seed : of `random`, the stream that the orders come from; by default it is split from the default stream.

    Each `iter` begins a new epoch, and is all that draws from `random`. An error of the data or of `map` is raised with
    a note that names the batch. Raises ValueError where columns have different numbers of rows.

    >>> import numpy as np
    >>> loader = DataLoader(np.arange(5.0), np.arange(5), batch_size=2, map=lambda x, y: (x / 4, y))
    >>> [(x.tolist(), y.tolist()) for x, y in loader]
    [([0.0, 0.25], [0, 1]), ([0.5, 0.75], [2, 3]), ([1.0], [4])]
    """

    endless = False  # whether `iter` of a subclass goes on after an epoch: training takes one by `DataLoader.__iter__`

    def __init__(
        self,
        x: Any,
        y: Any = None,
        sample_weight: Any = None,
        *,
        batch_size: int | None = 32,
        shuffle: bool = False,
        buffer_size: int | None = None,
        map: Callable[..., Any] | None = None,
        prefetch: int = 0,
        drop_last: bool = False,
        seed: int | None = None,
    ) -> None:
        self.batch_size = None if batch_size is None else _count(batch_size, "batch_size")
        self._shuffle = shuffle
        self.buffer_size = None if buffer_size is None else _count(buffer_size, "buffer_size")
        self._map = map
        self._prefetch = _count(prefetch, "prefetch", least=0)
        self.drop_last = drop_last
        if map is not None and not callable(map):
            raise TypeError(f"map must be a function of a batch, got {type(map).__name__}")
        refuse_sparse(x, "x")
        self._source = x
        self._columns: tuple[Any, ...] | None = None
        if batch_size is not None and _is_of_columns(x):
            self._columns = _columns(x, y, sample_weight, mapped=map is not None)
        elif y is not None or sample_weight is not None:
            raise ValueError(
                f"x, a {type(x).__name__}, gives samples one by one, or batches (batch_size=None): y and sample_weight "
                f"go into them, as (x, y, sample_weight)"
            )
        elif not (callable(x) or _is_sequence(x) or isinstance(x, Iterable)):
            raise TypeError(f"x must be arrays, samples or batches, got {type(x).__name__}")
        elif shuffle and buffer_size is None and not _is_sequence(x):
            raise ValueError("an iterable is shuffled in a buffer: say with buffer_size how many samples it holds")
        self.random = nnx_random.default().split() if seed is None else Generator(seed)

    def __len__(self) -> int:
        """How many batches an epoch has. TypeError where that is not known."""
        return math.ceil(self._rows() / (self.batch_size or 1))

    def __iter__(self) -> Iterator[tuple[Any, ...]]:
        return self._ahead(batch for batch, _ in self._mapped(self._batches(shared=False)))

    def parts(self) -> Iterator[tuple[tuple[Any, ...], int | None]]:
        """A new epoch as `fit` and `evaluate` take it: of each batch the rows of this rank, and how many rows it has.

        The number is None where all rows of the batch are here: this process is alone, or they came as a batch
        (`batch_size=None`). Of sequences, and of arrays on disk, nothing else is read; an iterable is gone through by
        every rank, which stacks its own samples.

        >>> import numpy as np
        >>> list(DataLoader(np.arange(3), batch_size=2).parts())
        [((array([0, 1]),), None), ((array([2]),), None)]
        """
        return self._ahead(self._mapped(self._batches(shared=True)))

    def _ahead(self, items: Iterator[Any]) -> Iterator[Any]:
        return Prefetcher(items, self._prefetch) if self._prefetch else items

    def _batches(self, shared: bool) -> Iterator[tuple[Any, int | None]]:
        stream = self.random.split() if self._shuffle else None
        if self._columns is not None:
            return self._row_batches(stream, shared)
        if self.batch_size is None:
            return ((batch, None) for batch in self._samples(stream))
        return self._sample_batches(stream, self.batch_size, shared)

    def _row_batches(self, stream: Generator | None, shared: bool) -> Iterator[tuple[tuple[Any, ...], int | None]]:
        size, left = self.batch_size or 1, self._rows()
        for columns, order, parts in RowPools(leaves(self._columns), size, self.buffer_size).read(stream, shared):
            for start, stop, whole in parts:
                left -= size
                if left < 0 and self.drop_last:
                    return
                rows = slice(start, stop)
                batch = [column[rows] if order is None else column.take(order[rows], axis=0) for column in columns]
                yield rebuild(self._columns, batch), whole

    def _sample_batches(
        self, stream: Generator | None, size: int, shared: bool
    ) -> Iterator[tuple[tuple[Any, ...], int | None]]:
        if not _is_sequence(self._source):
            for group in grouped(self._samples(stream), size, self.drop_last):
                ((start, stop, whole),) = ranks.parts_of(len(group), len(group), shared)
                yield stacked(group[start:stop]), whole
            return
        order = self._order(stream)
        for start, stop, whole in ranks.parts_of(self._rows(), size, shared):
            yield stacked([self._source[index] for index in order[start:stop]]), whole

    def _rows(self) -> int:
        """How many rows or samples of a sequence are in the batches of an epoch."""
        rows = len(self._source) if self._columns is None else len(leaves(self._columns)[0])
        return rows // self.batch_size * self.batch_size if self.drop_last and self.batch_size else rows

    def _order(self, stream: Generator | None) -> Sequence[int]:
        """The numbers of the samples of a sequence, in the order of an epoch."""
        count = len(self._source)
        return range(count) if stream is None else stream.permutation(count).tolist()

    def _samples(self, stream: Generator | None) -> Iterable[Any]:
        source = self._source
        if _is_sequence(source):
            return (source[index] for index in self._order(stream))
        samples = source() if callable(source) else source
        return samples if stream is None else shuffled(samples, self.buffer_size or 1, stream)

    def _mapped(self, batches: Iterator[tuple[Any, int | None]]) -> Iterator[tuple[tuple[Any, ...], int | None]]:
        for number in itertools.count(1):
            try:
                batch, whole = next(batches, (_END, None))
                if batch is not _END:
                    batch = as_batch(batch) if self._map is None else as_batch(self._map(*as_batch(batch)))
            except Exception as error:
                error.add_note(f"in batch {number} of an epoch of a DataLoader, counted from 1")
                raise
            if batch is _END:
                return
            yield batch, whole


def _count(value: Any, what: str, least: int = 1) -> int:
    if not is_integer(value, least):
        raise ValueError(f"{what} must be an integer of at least {least}, got {value!r}")
    return operator.index(value)


def _is_of_columns(x: Any) -> bool:
    """Whether x is a column, or several, rather than samples of its own."""
    if isinstance(x, list | tuple):
        return not x or not isinstance(x[0], tuple | dict)
    return is_array(x) or is_stored(x) or hasattr(x, "__array__") or isinstance(x, (dict, *BUFFERS))


def _is_sequence(x: Any) -> bool:
    return hasattr(x, "__getitem__") and hasattr(x, "__len__")


def _columns(x: Any, y: Any, sample_weight: Any, mapped: bool) -> tuple[Any, ...]:
    if y is None and sample_weight is not None:
        raise ValueError("sample_weight needs targets: pass y too")
    targets = columns_of(y, "y", None, mapped)
    rows = None if targets is None or isinstance(targets, dict | tuple) else len(targets)
    columns = {
        "x": columns_of(x, "x", rows, mapped),
        "y": targets,
        "sample_weight": columns_of(sample_weight, "sample_weight", None, mapped),
    }
    given = {what: column for what, column in columns.items() if column is not None}
    count_rows({name: array for what, column in given.items() for name, array in named_columns(column, what).items()})
    return tuple(given.values())
