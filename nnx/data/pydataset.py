"""Data sets of one's own, as Keras has them: batches by their number."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

from nnx.members import Advising


class PyDataset(Advising):
    """A data set of one's own. A subclass defines `__len__`, how many batches there are, and `__getitem__`.

    It may define the property `num_batches` in place of `__len__`; where that is None, there is no end.

    A batch is x, (x, y) or (x, y, sample_weight). `on_epoch_begin` and `on_epoch_end` may be overridden too. `fit`
    shuffles the order of the batches unless `shuffle=False`.

    workers, use_multiprocessing, max_queue_size : accepted for scripts written for Keras. Batches are made one after
        another in the training process; `nnx.data.DataLoader` reads ahead.

    >>> class Squares(PyDataset):
    ...     def __len__(self):
    ...         return 2
    ...
    ...     def __getitem__(self, index):
    ...         return [[float(index)]], [[float(index**2)]]
    >>> Squares(workers=2)[1]
    ([[1.0]], [[1.0]])
    """

    def __init__(self, workers: int = 1, use_multiprocessing: bool = False, max_queue_size: int = 10) -> None:
        self.workers = workers
        self.use_multiprocessing = use_multiprocessing
        self.max_queue_size = max_queue_size

    def __len__(self) -> int:
        says_it = type(self).num_batches is not PyDataset.num_batches
        count = self.num_batches if says_it else None
        if count is not None:
            return count
        if says_it:
            raise TypeError(f"{type(self).__name__} has no length: num_batches is None")
        raise NotImplementedError(
            f"{type(self).__name__} has to define __len__(self), or the property num_batches, the number of batches"
        )

    def __getitem__(self, index: int) -> Any:
        raise NotImplementedError(f"{type(self).__name__} has to define __getitem__(self, index), a batch (x, y)")

    def __iter__(self) -> Iterator[Any]:
        """All batches once, in their order; without an end where `num_batches` is None."""
        count = self.num_batches
        return (self[index] for index in (itertools.count() if count is None else range(count)))

    @property
    def num_batches(self) -> int | None:
        """The number of batches; a subclass may say None where there is no end."""
        return len(self)

    def on_epoch_begin(self) -> None:
        """Before each pass over the batches."""

    def on_epoch_end(self) -> None:
        """After each pass over the batches."""
