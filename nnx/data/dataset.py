"""Data sets as functions with Keras' names return them: loaders with the methods that scripts call on them."""

from __future__ import annotations

import copy
import dataclasses
import itertools
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Self

import numpy as np

from nnx.arguments import non_negative_integer, positive_integer
from nnx.backends import is_array
from nnx.data.loader import DataLoader
from nnx.data.sample_batches import as_batch
from nnx.random import Generator
from nnx.structure import leaves, rebuild

AUTOTUNE = -1
"""A number that nnx chooses, for `Dataset.prefetch`; what scripts take from `tf.data`."""


class Dataset(DataLoader):
    """A loader that gives x itself where there is nothing else; with batch_size=None it gives samples.

    class_names : the names of the classes, in the order of their numbers; None where there are none.
    file_paths : the files that it reads, in the order in which it does so if it does not shuffle.

    Its methods are those of `tf.data` that scripts for Keras use. Each returns a data set, and leaves this one.

    >>> import numpy as np
    >>> list(Dataset(np.arange(3), batch_size=2).map(lambda x: 10 * x).prefetch(AUTOTUNE))
    [array([ 0, 10]), array([20])]
    """

    class_names: list[str] | None = None
    file_paths: list[str] | None = None

    @staticmethod
    def from_tensor_slices(tensors: Any, name: str | None = None) -> Dataset:
        """The rows of arrays as samples, in the structure that is given: an array, a dict, or a tuple such as (x, y).

        >>> import numpy as np
        >>> data = Dataset.from_tensor_slices(({"age": [30, 40, 50]}, np.arange(3)))
        >>> next(iter(data.batch(2)))
        ({'age': array([30, 40])}, array([0, 1]))
        """
        return Dataset(_Rows(_as_columns(tensors)), batch_size=None)

    def __iter__(self) -> Iterator[Any]:
        return self._epoch()

    def _epoch(self) -> Iterator[Any]:
        return (batch[0] if len(batch) == 1 else batch for batch in super().__iter__())

    def map(
        self, map_func: Callable[..., Any], num_parallel_calls: int | None = None, deterministic: bool | None = None
    ) -> Dataset:
        """Each batch, or sample, as a function returns it, called with (x), (x, y) or (x, y, sample_weight).

        num_parallel_calls, deterministic : have no effect: one thread maps, in order, ahead with `prefetch`.
        """
        before, made = self._map, self._copied()
        made._map = map_func if before is None else lambda *batch: map_func(*as_batch(before(*batch)))
        return made

    def prefetch(self, buffer_size: int, name: str | None = None) -> Dataset:
        """The same, of which a thread prepares up to `buffer_size` batches ahead; AUTOTUNE is two."""
        made = self._copied()
        made._prefetch = 2 if buffer_size == AUTOTUNE else non_negative_integer("buffer_size", buffer_size)
        return made

    def shuffle(
        self, buffer_size: int, seed: int | None = None, reshuffle_each_iteration: bool = True, name: str | None = None
    ) -> Dataset:
        """The batches, or samples, in random order, a new one each time, through a buffer of `buffer_size` of them.

        seed : by default the orders come from the stream of this data set. reshuffle_each_iteration : only True.
        """
        if reshuffle_each_iteration is not True:
            raise ValueError("each pass has a new order: for one that stays, shuffle the arrays or files themselves")
        size = positive_integer("buffer_size", buffer_size)
        made = self._of(_Part(self), batch_size=None, shuffle=True, buffer_size=size)
        made.random = self.random if seed is None else Generator(seed)
        return made

    def batch(self, batch_size: int, drop_remainder: bool = False) -> Dataset:
        """Batches of the samples of this data set, which has batch_size=None."""
        return self._of(_Part(self), batch_size=batch_size, drop_last=drop_remainder)

    def take(self, count: int, name: str | None = None) -> Dataset:
        """The first `count` batches, or samples; -1 is all."""
        stop = None if count == -1 else non_negative_integer("count", count)
        return self._of(_Part(self, 0, stop), batch_size=None)

    def skip(self, count: int, name: str | None = None) -> Dataset:
        """What comes after the first `count` batches, or samples."""
        return self._of(_Part(self, non_negative_integer("count", count)), batch_size=None)

    def cache(self) -> Dataset:
        """The same, kept in memory after the first pass: in the order, and with the numbers, of that one."""
        return self._of(_Kept(self), batch_size=None)

    def _copied(self) -> Self:
        return copy.copy(self)

    def _of(self, source: Iterable[Any], **options: Any) -> Dataset:
        """A data set of the batches or samples of another one, which draws from the same stream."""
        made = Dataset(source, **options, seed=0)
        made.random = self.random
        made.class_names, made.file_paths = self.class_names, self.file_paths
        return made


def _as_columns(tensors: Any) -> Any:
    """Lists, tables and columns of tables as arrays, in their structure."""
    if isinstance(tensors, dict):
        return {name: _as_columns(column) for name, column in tensors.items()}
    if isinstance(tensors, tuple):
        return tuple(map(_as_columns, tensors))
    return tensors if is_array(tensors) else np.asarray(tensors)


@dataclasses.dataclass
class _Rows:
    """The rows of arrays that are as long as each other."""

    columns: Any

    def __post_init__(self) -> None:
        sizes = [column.shape[0] if column.shape else None for column in leaves(self.columns)]
        if not sizes or None in sizes or len(set(sizes)) > 1:
            raise ValueError(f"from_tensor_slices takes arrays with as many rows each, got {sizes} rows")

    def __len__(self) -> int:
        return int(leaves(self.columns)[0].shape[0])

    def __getitem__(self, index: int) -> Any:
        return rebuild(self.columns, [column[index, ...] for column in leaves(self.columns)])


@dataclasses.dataclass
class _Part:
    """Some items of each epoch of a data set."""

    source: Dataset
    start: int = 0
    stop: int | None = None

    def __len__(self) -> int:
        return len(range(len(self.source))[self.start : self.stop])

    def __iter__(self) -> Iterator[Any]:
        return itertools.islice(self.source._epoch(), self.start, self.stop)


class _Kept:
    """The items of an epoch of a data set, read once.

    What they draw depends on the stream as it is now, so a process that goes on from a checkpoint reads the same ones.
    """

    def __init__(self, source: Dataset) -> None:
        self._source = copy.copy(source)
        self._begin = source.random.split().state()
        self._items: list[Any] | None = None

    def __len__(self) -> int:
        return len(self._source)

    def __iter__(self) -> Iterator[Any]:
        if self._items is not None:
            yield from self._items
            return
        items = []
        self._source.random = Generator.from_state(self._begin)
        for item in self._source._epoch():
            items.append(item)
            yield item
        self._items = items
