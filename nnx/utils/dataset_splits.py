"""Data sets in two parts."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import numpy as np

from nnx.arguments import is_integer
from nnx.backends import is_array, to_numpy
from nnx.data.columns import count_rows
from nnx.data.dataset import Dataset
from nnx.data.sample_batches import as_batch, stacked


def split_dataset(
    dataset: Any,
    left_size: float | None = None,
    right_size: float | None = None,
    shuffle: bool = False,
    seed: int | None = None,
    preferred_backend: str | None = None,
) -> tuple[Dataset, Dataset]:
    """The first samples and the last ones of a data set, as two.

    dataset : an array, a list or tuple of arrays with a sample in each row, or a loader, whose batches are taken apart.
    left_size, right_size : how many samples, or which fraction of them; by default what the other leaves.
    shuffle, seed : whether samples are shuffled before; by Python's `random`, so that a seed gives Keras' order.
    preferred_backend : only None: there is one kind of data set.

    Each part gives its samples one by one, or, of a loader, in batches of its size. TypeError for data of another kind,
    ValueError for sizes that leave a part empty or are too large together.

    >>> import numpy as np
    >>> left, right = split_dataset(np.arange(5), left_size=0.6)
    >>> [int(x) for x in left], [int(x) for x in right]
    ([0, 1, 2], [3, 4])
    """
    if preferred_backend is not None:
        raise ValueError(f"preferred_backend={preferred_backend!r}: nnx has one kind of data set: leave it out")
    samples, batch_size = _samples_of(dataset)
    if shuffle:
        generator = random.Random(seed)
        generator.shuffle(samples)
    left, right = _sizes(left_size, right_size, len(samples))
    parts = samples[:left], samples[-right:]
    if batch_size is None:
        return Dataset(parts[0], batch_size=None), Dataset(parts[1], batch_size=None)
    columns = [as_batch(stacked(part)) for part in parts]
    return Dataset(*columns[0], batch_size=batch_size), Dataset(*columns[1], batch_size=batch_size)


def _samples_of(dataset: Any) -> tuple[list[Any], int | None]:
    """The samples, and the size of batches of a loader."""
    if is_array(dataset):
        return list(to_numpy(dataset)), None
    if isinstance(dataset, list | tuple):
        if not dataset or not all(map(is_array, dataset)):
            raise ValueError(f"dataset: a {type(dataset).__name__} must be one of arrays, and not empty")
        columns = [to_numpy(column) for column in dataset]
        count_rows({f"dataset[{index}]": column for index, column in enumerate(columns)})
        return list(zip(*columns, strict=True)), None
    if not hasattr(dataset, "__iter__"):
        raise TypeError(f"dataset must be an array, arrays in a list, or a loader, got {type(dataset).__name__}")
    size = getattr(dataset, "batch_size", None)
    if size is None and hasattr(dataset, "parts"):
        return list(dataset), None
    rows = [row for batch in dataset for row in zip(*map(to_numpy, as_batch(batch)), strict=True)]
    return [row[0] if len(row) == 1 else row for row in rows], size or 32


def _sizes(left: float | None, right: float | None, total: int) -> tuple[int, int]:
    if left is None and right is None:
        raise ValueError("left_size or right_size is needed")
    counts = [_count(what, size, total) for what, size in (("left_size", left), ("right_size", right))]
    if isinstance(left, float) and isinstance(right, float) and left + right > 1:
        raise ValueError(f"left_size + right_size must not be more than 1, got {left} + {right}")
    known: Sequence[Any] = [
        total - (counts[1 - side] or 0) if count is None else count for side, count in enumerate(counts)
    ]
    if sum(known) > total or 0 in known:
        raise ValueError(
            f"of {total} samples left_size={left!r} and right_size={right!r} make {known[0]} and {known[1]}: expected "
            f"at least one in each part, and no more than {total} together"
        )
    return known[0], known[1]


def _count(what: str, size: Any, total: int) -> int | None:
    if size is None:
        return None
    if is_integer(size) and 0 < size.__index__() < total:
        return size.__index__()
    if isinstance(size, float | np.floating) and 0 < size < 1:
        return round(float(size) * total)
    raise ValueError(f"{what} must be an integer from 1 to {total - 1} or a fraction between 0 and 1, got {size!r}")
