"""From what users have to batches in the place of the model."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence, Sized
from typing import Any

import numpy as np

from nnx.backends import Array, Placement, array_namespace, backend_of, is_array
from nnx.random import Generator

Batch = tuple[Any, Any, Any]
"""x, y and sample weights of one batch; y and weights may be None."""


def as_host_or_array(value: Any, what: str) -> Any:
    """Lists, numbers, data frames and the like as NumPy arrays; arrays of any backend as they are."""
    if is_array(value) and not isinstance(value, np.ndarray):
        return value
    if value is None:
        raise ValueError(f"{what} is missing: expected an array, a list, or an iterable of batches")
    try:
        host = np.asarray(value)
    except ValueError:  # what NumPy says does not name the argument
        host = np.empty((), dtype=object)
    if host.dtype.kind not in "fbiu":
        raise ValueError(
            f"{what}: its rows have different lengths or are not real numbers; expected an array of numbers, got "
            f"{type(value).__name__} of dtype {host.dtype}"
        )
    return host


def place(value: Any, placement: Placement, dtype: str | None, what: str, model_name: str) -> Array:
    """An array in the model's place: host data are brought there, arrays of another device raise."""
    if not is_array(value) or backend_of(value).name == "numpy":
        return placement.asarray(value, dtype)
    if not placement.holds(value):
        raise ValueError(
            f"{what} is on {backend_of(value).name} ({backend_of(value).device_of(value)}), {model_name} is on "
            f"{placement}: bring the data to the host with nnx.to_numpy, or move the model with "
            f"{model_name}.to({backend_of(value).name!r})"
        )
    return placement.asarray(value, dtype)


def count_rows(named: dict[str, Any]) -> int:
    """The common length of arrays; ValueError if they differ or are empty."""
    lengths = {name: value.shape[0] if value.ndim else None for name, value in named.items() if value is not None}
    for name, length in lengths.items():
        if length is None:
            raise ValueError(f"{name} is a single number; expected an array whose first axis counts the samples")
        if length == 0:
            raise ValueError(f"{name} is empty: expected at least one sample")
    if len(set(lengths.values())) > 1:
        listing = ", ".join(f"{name} has {length}" for name, length in lengths.items())
        raise ValueError(f"the arrays must have the same number of samples, but {listing}")
    return next(iter(lengths.values()))  # type: ignore[return-value]


class ArrayBatches:
    """Batches of arrays that are already in place. The last batch may be smaller.

    generator : shuffles the samples anew for every epoch; None keeps their order.
    """

    def __init__(self, arrays: Sequence[Array | None], batch_size: int, generator: Generator | None) -> None:
        self.arrays = arrays
        self.rows: int = arrays[0].shape[0]  # type: ignore[union-attr]
        self.batch_size = batch_size
        self.steps: int | None = len(self)
        self._generator = generator

    def __iter__(self) -> Iterator[Batch]:
        if self._generator is None:
            for start, stop in self._ranges():
                yield tuple(a if a is None else a[start:stop, ...] for a in self.arrays)  # type: ignore[misc]
            return
        first = self.arrays[0]
        # one transfer an epoch: the batches' indices are slices of an array on the device
        order = backend_of(first).put_beside(first, self._generator.permutation(self.rows))
        take = array_namespace(first).take
        for start, stop in self._ranges():
            rows = order[start:stop]
            yield tuple(a if a is None else take(a, rows, axis=0) for a in self.arrays)  # type: ignore[misc]

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


def split_validation(arrays: Sequence[Any], fraction: float) -> tuple[list[Any], list[Any]]:
    """The first part for training, the last for validation, as Keras splits: before shuffling."""
    if not isinstance(fraction, int | float | np.number) or not 0.0 < fraction < 1.0:
        raise ValueError(f"validation_split must be between 0 and 1, got {fraction!r}")
    rows = arrays[0].shape[0]
    split = math.floor(rows * (1.0 - fraction))
    if split == 0 or split == rows:
        raise ValueError(f"validation_split={fraction} of {rows} samples leaves one part empty")
    return (
        [a if a is None else a[:split, ...] for a in arrays],
        [a if a is None else a[split:, ...] for a in arrays],
    )


def weights_of_classes(y: Any, class_weight: dict[int, float]) -> np.ndarray:
    """The weight of each sample from that of its class; y are labels or one-hot rows on the host."""
    if not isinstance(class_weight, dict):
        raise TypeError(f"class_weight must be a dict of class: weight, got {type(class_weight).__name__}")
    labels = np.asarray(y)
    if labels.ndim > 1 and labels.shape[-1] > 1:
        labels = labels.argmax(axis=-1)
    labels = labels.reshape(labels.shape[0], -1)
    if labels.shape[1] != 1:
        raise ValueError("class_weight needs one label for each sample")
    labels = np.round(labels[:, 0])
    weights = np.ones(labels.shape, dtype=np.float32)
    for label, weight in class_weight.items():
        if isinstance(label, str) or isinstance(weight, bool) or not isinstance(weight, int | float | np.number):
            raise ValueError(f"class_weight must map numbers of classes to numbers, got {label!r}: {weight!r}")
        weights[labels == label] = weight
    return weights


def positive(value: Any, what: str, default: Any, least: int = 1) -> Any:
    """An argument that counts something, or its default; ValueError if it is not an integer of at least `least`."""
    if value is None:
        return default
    if isinstance(value, bool) or not hasattr(value, "__index__") or value.__index__() < least:
        raise ValueError(f"{what} must be {'a positive' if least else 'a non-negative'} integer, got {value!r}")
    return value.__index__()
