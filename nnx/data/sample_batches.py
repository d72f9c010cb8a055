"""Samples that come one by one: shuffled through a buffer, and stacked to batches."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from nnx.backends import to_numpy
from nnx.random import Generator

_DRAWS = 1024  # random numbers are drawn by so many at a time


def as_batch(item: Any) -> tuple[Any, ...]:
    """A batch as (x,), (x, y) or (x, y, sample_weight): a tuple or list of those, or x alone."""
    return tuple(item) if isinstance(item, tuple | list) else (item,)


def shuffled(items: Iterable[Any], size: int, stream: Generator) -> Iterator[Any]:
    """The items in random order: each time a random one of the next `size` that have not come yet."""
    source = iter(items)
    held = list(itertools.islice(source, size))
    while True:
        # the upper half of word * size is uniform below size, but for less than size / 2**32
        for slot in (stream.integers(_DRAWS).astype(np.uint64) * np.uint64(len(held)) >> np.uint64(32)).tolist():
            try:
                following = next(source)
            except StopIteration:
                for index in stream.permutation(len(held)).tolist():
                    yield held[index]
                return
            yield held[slot]
            held[slot] = following


def grouped(samples: Iterable[Any], size: int, drop_last: bool) -> Iterator[list[Any]]:
    """Lists of `size` samples; the last may be shorter."""
    source = iter(samples)
    while group := list(itertools.islice(source, size)):
        if len(group) == size or not drop_last:
            yield group


def stacked(samples: Sequence[Any]) -> Any:
    """Samples as one structure of arrays: tuples and dicts stay what they are, anything else becomes an array.

    Raises ValueError, with the number of the sample, where one is of another structure or shape than the first.
    """
    try:
        return _stacked(samples)
    except (KeyError, TypeError, ValueError):
        forms = [_form(sample) for sample in samples]
        number = next((number for number, form in enumerate(forms) if form != forms[0]), None)
        if number is None:
            raise
        raise ValueError(
            f"sample {number} of the batch, counted from 0, has the shape {forms[number]}, the first has {forms[0]}"
        ) from None


def _stacked(samples: Sequence[Any]) -> Any:
    first = samples[0]
    if isinstance(first, dict):
        return {name: _stacked([sample[name] for sample in samples]) for name in first}
    if isinstance(first, tuple):
        return tuple(_stacked(column) for column in zip(*samples, strict=True))
    return np.stack([to_numpy(sample) for sample in samples])


def _form(sample: Any) -> str:
    if isinstance(sample, dict):
        return f"{{{', '.join(f'{name}: {_form(item)}' for name, item in sample.items())}}}"
    if isinstance(sample, tuple):
        return f"({', '.join(map(_form, sample))})"
    return str(to_numpy(sample).shape)
