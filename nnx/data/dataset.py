"""Data sets as functions with Keras' names return them: loaders whose batches of inputs alone are no tuples."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from nnx.data.loader import DataLoader


class Dataset(DataLoader):
    """A loader that gives x itself where there is nothing else; with batch_size=None it gives samples.

    class_names : the names of the classes, in the order of their numbers; None where there are none.
    file_paths : the files that it reads, in the order in which it does so if it does not shuffle.

    >>> import numpy as np
    >>> list(Dataset(np.arange(3), batch_size=2))
    [array([0, 1]), array([2])]
    """

    class_names: list[str] | None = None
    file_paths: list[str] | None = None

    def __iter__(self) -> Iterator[Any]:
        return (batch[0] if len(batch) == 1 else batch for batch in super().__iter__())
