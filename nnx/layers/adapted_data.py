"""Data that layers adapt to: arrays, lists, and what gives batches."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np

from nnx.backends import is_array
from nnx.text.values import is_texts


def batches_for_adapting(data: Any, steps: int | None, owner: str) -> Iterator[Any]:
    """The arrays that data are made of: one, with an axis more if it has only one, or the inputs of batches.

    steps : how many batches are taken of an iterable; by default all.
    """
    if isinstance(data, str | bytes) or is_array(data) or isinstance(data, list | tuple) or hasattr(data, "dtype"):
        whole = data if is_array(data) or is_texts(data) else np.asarray(data)
        if not is_array(whole):
            whole = np.asarray(whole, dtype=object)
        yield whole[..., None] if whole.ndim == 1 else whole
        return
    if not hasattr(data, "__iter__") and not hasattr(data, "__getitem__"):
        raise TypeError(f"{owner} expects an array, a list or an iterable of batches, got {type(data).__name__}")
    batches = data if hasattr(data, "__iter__") else (data[index] for index in range(len(data)))
    for item in itertools.islice(batches, steps):
        batch = item[0] if isinstance(item, tuple) and item else item
        yield batch if is_array(batch) else np.asarray(batch, dtype=object if is_texts(batch) else None)
