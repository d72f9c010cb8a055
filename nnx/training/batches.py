"""Batches, of arrays and of iterables, epoch after epoch."""

from __future__ import annotations

import contextlib
import math
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence, Sized
from typing import Any, Protocol

from nnx.backends import array_namespace, backend_of
from nnx.data.sample_batches import as_batch
from nnx.random import Generator

Batch = tuple[list[Any], list[Any], list[Any]]
"""Inputs, targets and sample weights of one batch: for each input, and each output; targets and weights may be None."""

GATHERED_BYTES = 1 << 19  # rows of shuffled inputs that are picked at once, to be cut into batches: what caches hold

_FORMS = {1: "x", 2: "(x, y)", 3: "(x, y, sample_weight)"}


class ArrayBatches:
    """Batches of arrays that are already in place. The last batch may be smaller.

    columns : lists of inputs, targets and weights; an entry may be None.
    generator : shuffles the samples anew for every epoch; None keeps their order.
    """

    once = False

    def __init__(self, columns: Batch, batch_size: int, generator: Generator | None) -> None:
        self.columns = columns
        self.rows: int = columns[0][0].shape[0]
        self.batch_size = batch_size
        self.steps: int | None = len(self)
        self._generator = generator

    @property
    def streams(self) -> list[Generator]:
        """What is drawn from when a pass begins."""
        return [] if self._generator is None else [self._generator]

    @property
    def form(self) -> dict[str, Any]:
        """What makes the batches the same ones as those of other arrays."""
        return {"samples": self.rows, "batch_size": self.batch_size, "shuffle": self._generator is not None}

    def __iter__(self) -> Iterator[Batch]:
        if self._generator is None:
            yield from self._cut(self.columns, self.rows)
            return
        first = self.columns[0][0]
        # one transfer an epoch: the indices are slices of an array on the device
        order = backend_of(first).put_beside(first, self._generator.permutation(self.rows))
        take = array_namespace(first).take
        row_bytes = 4 * math.prod(first.shape[1:]) or 4
        together = max(1, GATHERED_BYTES // (row_bytes * self.batch_size)) * self.batch_size
        for start in range(0, self.rows, together):
            chosen = order[start : min(start + together, self.rows)]
            columns = [[None if a is None else take(a, chosen, axis=0) for a in column] for column in self.columns]
            yield from self._cut(columns, chosen.shape[0])

    def _cut(self, columns: Sequence[list[Any]], rows: int) -> Iterator[Batch]:
        xs, ys, weights = columns
        for start in range(0, rows, self.batch_size):
            stop = min(start + self.batch_size, rows)
            yield (
                [x[start:stop, ...] for x in xs],
                [None if y is None else y[start:stop, ...] for y in ys],
                [None if weight is None else weight[start:stop, ...] for weight in weights],
            )

    def __len__(self) -> int:
        return math.ceil(self.rows / self.batch_size)


class IterableBatches:
    """Batches from an iterable, or from a sequence of batches with `__getitem__` and `__len__`.

    convert : checks a batch and brings it into place.
    generator : shuffles the batches of a sequence that is not a list or tuple, as Keras does; None keeps their order.
    once : whether the source gives each batch only once, as generators do.

    Where the source has the methods `on_epoch_begin` and `on_epoch_end` of Keras, they are called around a pass.
    """

    def __init__(
        self, source: Iterable[Any], convert: Callable[..., Batch], generator: Generator | None = None
    ) -> None:
        self._source: Any = source
        self._convert = convert
        self.steps: int | None = None
        with contextlib.suppress(TypeError):  # loaders have a length, even where it is not known
            self.steps = len(source)  # type: ignore[arg-type]
        self.once = isinstance(source, Iterator)
        has_order = self.steps is not None and hasattr(source, "__getitem__") and not isinstance(source, list | tuple)
        self._generator = generator if has_order else None

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
        for item in self._items():
            batch = as_batch(item)
            if len(batch) not in _FORMS or not hasattr(item, "__len__"):
                raise ValueError(f"an iterable must give x, (x, y) or (x, y, sample_weight), got {_text(item)}")
            if parts and len(batch) != parts:
                raise ValueError(f"expected {_FORMS[parts]}, as in the first batch, got {_text(item)}")
            parts = len(batch)
            yield self._convert(*batch)
        self._tell("on_epoch_end")

    def _items(self) -> Iterator[Any]:
        if self._generator is None and hasattr(self._source, "__iter__"):
            return iter(self._source)
        order = range(self.steps or 0) if self._generator is None else self._generator.permutation(self.steps or 0)
        return (self._source[int(index)] for index in order)

    def _tell(self, hook: str) -> None:
        getattr(self._source, hook, lambda: None)()


class Source(Protocol):
    """What gives the batches of one pass over a data set with each `iter`.

    steps : how many there are; None where that is not known.
    once : whether it gives each batch only once.
    streams : what is drawn from when a pass begins.
    form : what makes its batches the same ones as those of another.
    """

    steps: int | None
    once: bool

    @property
    def streams(self) -> list[Generator]: ...

    @property
    def form(self) -> dict[str, Any]: ...

    def __iter__(self) -> Iterator[Batch]: ...


class Epochs:
    """Gives the batches of one epoch after another; an epoch may be a given number of steps.

    With `steps`, the next epoch goes on where the last one stopped. Where the source ends in the middle of an epoch, so
    does the epoch, with a warning, as in Keras; the next one begins with the source anew. A generator cannot be started
    again: then `exhausted` is set.

    done : how many batches of the epoch that is under way were given; 0 between epochs.
    name : what that epoch is called in errors and warnings.
    """

    def __init__(self, source: Source, steps: int | None, once: bool = False, name: str = "the data") -> None:
        self.steps = steps or source.steps
        self.exhausted = False
        self.name = name
        self.done = 0
        self._source = source
        self._limit = steps
        self._once = once
        self._warned = False
        self._current: Iterator[Batch] | None = None
        self._taken = 0  # batches of this pass over the source, or of all if it gives each only once
        self._streams: list[dict[str, str]] = []  # where those of the source were when that began

    def __iter__(self) -> Iterator[Batch]:
        while self.done != self._limit:
            following = self._next()
            if following is None:
                self._end(self.done)
                break
            self.done += 1
            yield following
        self.done = 0

    def restart(self) -> None:
        """Begin the next epoch with the first batch, where the source can give it again."""
        self.done = 0
        self._current = None

    def state(self) -> dict[str, Any]:
        """Where in the epoch and in the data this is; fits into JSON."""
        begins_anew = self._current is None or (self._once and self.done == 0)
        taken = 0 if begins_anew and not self._source.once else self._taken
        return {
            "done": self.done,
            "taken": taken,
            "streams": self._streams if taken else self.states(),
            "form": self._form,
        }

    def set_state(self, state: dict[str, Any]) -> None:
        """Go on from where `state` was called: batches that were taken are taken again, and dropped.

        ValueError for other data, if that was in the middle of them.
        """
        done, taken, form, here = state["done"], state["taken"], state["form"], self._form
        if not all(type(count) is int and count >= 0 for count in (done, taken)):
            raise TypeError(f"a position in the data cannot be {done!r} and {taken!r}")
        if taken and form != here:
            differing = [name for name in here if here[name] != form.get(name)] or ["their form"]
            listing = ", ".join(f"{name} {form.get(name)}, now {here.get(name)}" for name in differing)
            raise ValueError(f"it was written in the middle of other data: then they had {listing}")
        for stream, begun in zip(self._source.streams, state["streams"], strict=False):  # other data may have others
            stream.set_state(begun)
        for _ in range(taken):
            if self._next() is None:
                break
        if self._taken != taken:
            raise ValueError(f"it was written after {taken} batches of data that now are fewer")
        self.done = done

    def states(self) -> list[dict[str, str]]:
        """Where the streams are that the data are drawn from."""
        return [stream.state() for stream in self._source.streams]

    @property
    def _form(self) -> dict[str, Any]:
        """What the data have in common with others in which a position means the same."""
        return {**self._source.form, "steps_per_epoch": self._limit}

    def _next(self) -> Batch | None:
        begins = self._limit is not None and not self._once and self.done == 0  # the last epoch took all that there was
        for _ in range(2 if begins else 1):
            if self._current is None:
                if not (self._taken and self._source.once):
                    self._taken, self._streams = 0, self.states()
                self._current = iter(self._source)
            try:
                following = next(self._current, None)
            except Exception as error:
                self._current = None
                where = f"batch {self.done + 1} of {self.name}"
                if type(error) in (ValueError, TypeError):  # most of ours; others may have more to them than a text
                    raise type(error)(f"{where}: {error}") from error
                error.add_note(f"in {where}, counted from 1")
                raise
            if following is not None:
                self._taken += 1
                return following
            self._current = None
        return None

    def _end(self, done: int) -> None:
        """The source has no more batches: that is how an epoch ends, unless more were expected."""
        promised = self._source.steps
        if done and self._limit is None:
            self.steps = done
            if promised is not None and done < promised:
                self._warn(f"ended after {done} batches, expected {promised}, which is their len()")
            return
        expected = f"{self._limit} batches for this epoch" if self._limit else "a batch"
        if done and not self._source.once:
            if not self._warned:  # there may be many such epochs
                self._warn(
                    f"ended after {done} batches, expected {expected}; without a number of steps it has them all"
                )
            self._warned = True
            return
        self.exhausted = True
        self._warn(
            f"ended after {done} batches, expected {expected}. A generator must give as many batches as all epochs "
            f"need: steps_per_epoch * epochs"
        )

    def _warn(self, text: str) -> None:
        level, frame = 1, sys._getframe()  # up to the first frame that is not nnx's: the line of the user
        while frame.f_back is not None and frame.f_globals.get("__name__", "").startswith("nnx."):
            level, frame = level + 1, frame.f_back
        warnings.warn(f"{self.name}: the data {text}", stacklevel=level)


def _text(item: Any) -> str:
    """What was given as a batch, for errors."""
    return f"{type(item).__name__}{f' of {len(item)}' if isinstance(item, Sized) else ''}"
