"""Batches, of arrays and of iterables, epoch after epoch."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterable, Iterator, Sized
from typing import Any

from nnx.backends import Array, array_namespace, backend_of, is_array
from nnx.random import Generator

Batch = tuple[list[Any], list[Any], list[Any]]
"""Inputs, targets and sample weights of one batch: for each input, and each output; targets and weights may be None."""


class ArrayBatches:
    """Batches of arrays that are already in place. The last batch may be smaller.

    columns : lists of inputs, targets and weights; an entry may be None.
    generator : shuffles the samples anew for every epoch; None keeps their order.
    """

    def __init__(self, columns: Batch, batch_size: int, generator: Generator | None) -> None:
        self.columns = columns
        self.rows: int = columns[0][0].shape[0]
        self.batch_size = batch_size
        self.steps: int | None = len(self)
        self._generator = generator

    def __iter__(self) -> Iterator[Batch]:
        if self._generator is None:
            for start, stop in self._ranges():
                yield self._pick(lambda a, start=start, stop=stop: a[start:stop, ...])  # type: ignore[misc]
            return
        first = self.columns[0][0]
        # one transfer an epoch: the batches' indices are slices of an array on the device
        order = backend_of(first).put_beside(first, self._generator.permutation(self.rows))
        take = array_namespace(first).take
        for start, stop in self._ranges():
            rows = order[start:stop]
            yield self._pick(lambda a, rows=rows: take(a, rows, axis=0))  # type: ignore[misc]

    def _pick(self, rows_of: Callable[[Array], Array]) -> Batch:
        xs, ys, weights = self.columns
        return (
            [rows_of(x) for x in xs],
            [None if y is None else rows_of(y) for y in ys],
            [None if weight is None else rows_of(weight) for weight in weights],
        )

    def __len__(self) -> int:
        return math.ceil(self.rows / self.batch_size)

    def _ranges(self) -> Iterator[tuple[int, int]]:
        for start in range(0, self.rows, self.batch_size):
            yield start, min(start + self.batch_size, self.rows)


class IterableBatches:
    """Batches from an iterable, or from a sequence of batches with `__getitem__` and `__len__`.

    convert : checks a batch and brings it into place.
    """

    def __init__(self, source: Iterable[Any], convert: Callable[..., Batch]) -> None:
        self._source = source
        self._convert = convert
        self.steps: int | None = len(source) if isinstance(source, Sized) else None

    def __iter__(self) -> Iterator[Batch]:
        for item in self._items():
            batch = (item,) if is_array(item) else item
            if not isinstance(batch, tuple | list) or not 1 <= len(batch) <= 3:
                raise ValueError(
                    f"an iterable of batches must give x, (x, y) or (x, y, sample_weight), got {type(item).__name__}"
                    f"{f' of {len(item)}' if isinstance(item, Sized) else ''}"
                )
            yield self._convert(*batch)

    def _items(self) -> Iterator[Any]:
        if hasattr(self._source, "__iter__"):
            return iter(self._source)
        return (self._source[index] for index in range(len(self._source)))  # type: ignore[index, arg-type]


class Epochs:
    """Gives the batches of one epoch after another; an epoch may be a given number of steps.

    With `steps`, the next epoch goes on where the last one stopped, and a source that ends is started again, unless
    each sample is wanted once. A generator cannot be started again: then `exhausted` is set, with a warning.
    """

    def __init__(self, source: ArrayBatches | IterableBatches, steps: int | None, once: bool = False) -> None:
        self.steps = steps or source.steps
        self.exhausted = False
        self._source = source
        self._limit = steps
        self._once = once
        self._current: Iterator[Batch] | None = None

    def __iter__(self) -> Iterator[Batch]:
        if self._limit is None:
            done = 0
            for batch in self._source:
                done += 1
                yield batch
            if done == 0:
                self._end(0)
            else:
                self.steps = done
            return
        for done in range(self._limit):
            following = self._next()
            if following is None:
                self._end(done)
                return
            yield following

    def restart(self) -> None:
        """Begin the next epoch with the first batch, where the source can give it again."""
        self._current = None

    def _next(self) -> Batch | None:
        for _ in range(1 if self._once else 2):
            if self._current is None:
                self._current = iter(self._source)
            following = next(self._current, None)
            if following is not None:
                return following
            self._current = None
        return None

    def _end(self, done: int) -> None:
        self.exhausted = True
        expected = f"{self._limit} batches for this epoch" if self._limit else "a batch"
        warnings.warn(
            f"the data ended after {done} batches, expected {expected}. A generator must give as many batches as all "
            f"epochs need: steps_per_epoch * epochs",
            stacklevel=4,
        )
