"""Epochs: the batches of a data set, one pass after another."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from nnx import ranks
from nnx.training.batches import ArrayBatches, Batch, Source
from nnx.user_warnings import warn_user


class Epochs:
    """Gives the batches of one epoch after another; an epoch may be a given number of steps.

    With `steps`, the next epoch goes on where the last one stopped. Where the source ends in the middle of an epoch, so
    does the epoch, with a warning, as in Keras; the next one begins with the source anew. A generator cannot be started
    again: then `exhausted` is set.

    done : how many batches of the epoch that is under way were given; 0 between epochs.
    name : what that epoch is called in errors and warnings.
    """

    def __init__(self, source: Source, steps: int | None, once: bool = False, name: str = "the data") -> None:
        self.exhausted = False
        self.name = name
        self.done = 0
        self._source = source
        self._limit = steps
        self._once = once
        self._warned = False
        self._current: Iterator[Batch] | None = None
        self._promised = source.steps  # for the pass that is under way, or comes next
        self._taken = 0  # batches of this pass over the source, or of all if it gives each only once
        self._streams: list[dict[str, str]] = []  # where those of the source were when that began

    @property
    def steps(self) -> int | None:
        """How many batches the next epoch has; None where that is not known."""
        return self._limit or self._source.steps

    def __iter__(self) -> Iterator[Batch]:
        while self.done != self._limit:
            following = self._next()
            if following is None:
                self._end(self.done)
                break
            self.done += 1
            yield following
        self.done = 0

    def join(self, rows: int) -> None:
        """Where the data are in place and all of them are taken, give several batches as one, of at most so many rows.

        Not where ranks share the batches.
        """
        if isinstance(self._source, ArrayBatches) and self._limit is None and ranks.group() is None:
            self._source.join(rows)

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

    def set_state(self, state: dict[str, Any], epochs: int) -> None:
        """Go on from where `state` was called: batches that were taken are taken again, and dropped.

        epochs : at most how many there were until then, with the one that was under way.

        ValueError for other data, if that was in the middle of them.
        """
        done, taken, form, here = state["done"], state["taken"], state["form"], self._form
        if not all(type(count) is int and count >= 0 for count in (done, taken)):
            raise TypeError(f"a position in the data cannot be {done!r} and {taken!r}")
        if self._limit is not None and taken > self._limit * epochs:  # a generator may never end
            raise ValueError(f"it was written after {taken} batches, more than {epochs} epochs of {self._limit} have")
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
            begun = self._current is None
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
            if begun:  # its hook for the beginning of a pass may have changed how many there are
                self._promised = self._source.steps
            if following is not None:
                self._taken += 1
                return following
            self._current = None
        return None

    def _end(self, done: int) -> None:
        """The source has no more batches: that is how an epoch ends, unless more were expected."""
        promised = self._promised
        if done and self._limit is None:
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
        warn_user(f"{self.name}: the data {text}")
