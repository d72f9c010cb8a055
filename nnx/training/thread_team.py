"""Team of threads that share steps of training: each computes the loss and the gradients of its rows of the batch.

The threads are ranks, as those of `nnx.ranks` are that are processes: losses count their share of the batch, batch
normalisation adds up over all rows, rows have their own random numbers. The first computes with the model. Each other
one has a twin, a copy of the model with the same parameters in the same memory and with gradients of its own, which
are added to those of the model at the end. States of layers are those of the model when a step begins, and the twins'
are dropped when it ends.
"""

from __future__ import annotations

import contextlib
import copy
import functools
import math
import queue
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

import numpy as np

from nnx import ranks
from nnx.backends import threads
from nnx.backends.threads import run_together, slices_of
from nnx.parameters import Freezing
from nnx.random import Generator, default
from nnx.random.streams import drawing_by
from nnx.training.model_plans import are_as_they_were, attributes_of, is_watched, twin_of
from nnx.training.objective import Objective
from nnx.training.own_attributes import OwnAttributes, own_attributes
from nnx.training.trainable import TrainableModel

R = TypeVar("R")


class ThreadTeam:
    """The threads of one model's steps, while the model stays as it is.

    model : whose steps they are. step_of : makes what computes the steps of a twin.
    """

    def __init__(self, model: TrainableModel, step_of: Callable[[TrainableModel], Any]) -> None:
        self.size = threads.num_threads()
        self._flat, self._decided = model.flat, Freezing.changes
        self._attributes = attributes_of([layer for _, layer in model.walk()])
        self._own_attributes = OwnAttributes(model)
        self._penalties = [parameter.regularizer for parameter in self._flat.parameters]
        trained = set(map(id, self._flat.parameters))
        self._states = [p for p in model.weights if id(p) not in trained]
        self._placed = [(p, p.value) for p in self._states]
        self._generators = _generators_of(model)
        self._twins = [_Twin(model, self._states, self._generators, step_of) for _ in range(self.size - 1)]

    def holds(self, model: TrainableModel) -> bool:
        """Whether the model is as it was when the twins were made."""
        return (
            self.size == threads.num_threads()
            and model.flat is self._flat
            and Freezing.changes == self._decided
            and all(parameter.value is value for parameter, value in self._placed)
            and all(p.regularizer is one for p, one in zip(self._flat.parameters, self._penalties, strict=True))
            and are_as_they_were(self._attributes)
            and self._own_attributes.are_as_they_were()
        )

    def agrees(self, model: TrainableModel, step: Any, columns: Sequence[Sequence[Any]], rows: int) -> bool | None:
        """Whether the threads together compute what one does, for a batch; None where the numbers are not finite.

        Code of somebody's own may take the mean over the rows that it gets, or draw the same numbers for the rows of
        each thread. What a layer draws for a row counts as the same here. The model is afterwards as it was before.
        """
        losses, gradients = [], []
        generators = [*self._generators, default()]
        together = functools.partial(self.differentiate, step, columns, rows)
        for compute in (together, functools.partial(step.differentiate, *columns)):
            try:
                with _as_before(model, self._states, generators), drawing_by(_same_for_each_row):
                    losses.append(float(compute(1.0)[0]))
                self._flat.finish_pass()
                gradients.append(self._flat.grads.copy())
            finally:
                self._flat.start_pass()
        (loss, expected), (found, wanted) = losses, gradients
        near = math.sqrt(float(np.finfo(wanted.dtype).eps))
        scale, apart = float(np.linalg.norm(wanted)), float(np.linalg.norm(found - wanted))
        if not math.isfinite(loss + expected + scale + apart):
            return None
        return abs(loss - expected) <= near * max(abs(expected), 1.0) and apart <= 4 * near * scale

    def differentiate(self, step: Any, columns: Sequence[Sequence[Any]], rows: int, scale: Any) -> Any:
        """What `BatchStep.differentiate` returns for a batch; the gradients are in the buffer of the model."""
        for twin in self._twins:
            twin.follow(self._states, self._generators)

        def compute(rank: int, shard: ranks.Shard) -> Any:
            who, flat = (step, self._flat) if rank == 0 else (self._twins[rank - 1].step, self._twins[rank - 1].flat)
            made = who.differentiate(*map(shard.cut, columns), scale)
            flat.finish_pass()
            return made

        made = _by_rank(compute, rows, self.size)
        run_together([functools.partial(self._add_up, part) for part in slices_of(self._flat.grads.shape[0])])
        return _whole(made)

    def _add_up(self, part: slice) -> None:
        total = self._flat.grads[part]
        for twin in self._twins:
            np.add(total, twin.flat.grads[part], out=total)


class _Twin:
    """A copy of a model that a thread computes with."""

    def __init__(
        self,
        model: TrainableModel,
        states: Sequence[Any],
        generators: Sequence[Generator],
        step_of: Callable[[TrainableModel], Any],
    ) -> None:
        self.flat = model.flat.mirrored(lambda values: values, model.placement, np.zeros_like(model.flat.grads))
        self._states = [p.like(np.array(p.value)) for p in states]
        self._generators = copy.deepcopy(list(generators))
        pairs = [(model.flat.parameters, self.flat.parameters), (states, self._states)]
        memo = {id(own): other for own, others in pairs for own, other in zip(own, others, strict=True)}
        memo |= {id(own): other for own, other in zip(generators, self._generators, strict=True)}
        twin = twin_of(model, memo)
        twin.train_in(self.flat)
        self.step = step_of(twin)

    def follow(self, states: Sequence[Any], generators: Sequence[Generator]) -> None:
        """Begin a step as the model does."""
        for mine, its in zip(self._states, states, strict=True):
            np.copyto(mine.value, its.value)
        for generator, other in zip(self._generators, generators, strict=True):
            generator.set_state(other.state())
        self.flat.start_pass()


@contextlib.contextmanager
def _as_before(model: TrainableModel, states: Sequence[Any], generators: Sequence[Generator]) -> Iterator[None]:
    """A block after which the states of layers, their attributes and random streams are as they were before."""
    attributes = [(layer, own_attributes(layer)) for _, layer in model.walk()]
    values, streams = [np.array(state.value) for state in states], [generator.state() for generator in generators]
    try:
        yield
    finally:
        for layer, before in attributes:
            for name in own_attributes(layer).keys() - before.keys():
                del vars(layer)[name]
            vars(layer).update(before)
        for state, value in zip(states, values, strict=True):
            np.copyto(state.value, value)
        for generator, stream in zip(generators, streams, strict=True):
            generator.set_state(stream)


class _Middle:
    """In place of a `Draw`: the same word again and again."""

    def __init__(self, size: int) -> None:
        self.size = size

    def words(self) -> np.ndarray:
        """The words, uint32 (size,)."""
        return np.full(self.size, 1 << 31, np.uint32)


def _same_for_each_row(generator: Generator, size: int, by_rows: bool) -> Any:
    """What rows draw does not depend on how they are divided, and all else is drawn as ever."""
    if by_rows:
        return _Middle(size)
    with drawing_by(None):
        return generator.draw(size)


class _Meeting:
    """Where threads add up arrays that each of them has.

    Each sends what it has to every other one. Queues of this kind are not left shut by an interrupt.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self._ways: list[list[queue.SimpleQueue[Any]]] = [
            [queue.SimpleQueue() for _ in range(size)] for _ in range(size)
        ]

    def add_up(self, rank: int, array: np.ndarray) -> None:
        """Replace an array by the sum of those that all bring, in the order of their ranks."""
        brought = array.copy()
        for other, way in enumerate(self._ways[rank]):
            if other != rank:
                way.put(brought)
        parts = [brought if other == rank else self._ways[other][rank].get() for other in range(self.size)]
        if any(part is None for part in parts):
            raise _OthersEndedError("another thread of this step has ended, and this one waits for it to make a sum")
        array[...] = sum(parts[1:], parts[0])

    def end(self, *ranks: int) -> None:
        """Say that some make no more sums; by default all."""
        for rank in ranks or range(self.size):
            for way in self._ways[rank]:
                way.put(None)


class _OthersEndedError(RuntimeError):
    """Error in a thread that waits for one that does not come."""


class _Thread(ranks.Group):
    """A thread as one of the ranks of a step."""

    def __init__(self, meeting: _Meeting, rank: int) -> None:
        self.rank, self.size, self._meeting = rank, meeting.size, meeting

    def all_reduce(self, array: np.ndarray) -> None:
        self._meeting.add_up(self.rank, array)


def evaluate(step: Any, columns: Sequence[Sequence[Any]], rows: int) -> Any:
    """The loss of a batch, that of each output, and what metrics look at, as `BatchStep.evaluated` returns them."""
    made = _by_rank(lambda rank, shard: step.evaluated(*map(shard.cut, columns)), rows, threads.num_threads())
    return _whole(made)


def predict(compute: Callable[[list[Any]], list[Any]], xs: Sequence[Any], rows: int) -> list[Any]:
    """The outputs for a batch, of which each thread computes those of its rows."""
    made = _by_rank(lambda rank, shard: compute(shard.cut(xs)), rows, threads.num_threads())
    return [np.concatenate(parts) for parts in zip(*made, strict=True)]


def _by_rank(compute: Callable[[int, ranks.Shard], R], rows: int, size: int) -> list[R]:
    """What each of so many ranks computes for its shard of so many rows."""
    meeting = _Meeting(size)
    errors: list[BaseException] = []

    def run(rank: int) -> Any:
        try:
            with ranks.Shard(_Thread(meeting, rank), rows) as shard:
                return compute(rank, shard)
        except BaseException as error:
            errors.append(error)
        finally:
            meeting.end(rank)

    made = run_together([functools.partial(run, rank) for rank in range(size)], meeting.end)
    if errors:
        raise next((error for error in errors if not isinstance(error, _OthersEndedError)), errors[0])
    return made


def _whole(of_threads: Sequence[Any]) -> Any:
    """The loss of the batch, of each of its outputs, and what metrics look at, from those of the threads."""
    losses, parts, watched = zip(*of_threads, strict=True)
    return _sum(losses), [_sum(of_output) for of_output in zip(*parts, strict=True)], _joined(watched)


def can_share(model: TrainableModel, rows: int) -> bool:
    """Whether threads can share a step of a model for so many rows."""
    return (
        threads.num_threads() > 1
        and ranks.group() is None
        and rows >= 2 * threads.num_threads()
        and model.placement.name == "numpy"
        and not is_watched(model)
    )


def can_share_training(model: TrainableModel, rows: int) -> bool:
    """The same of a step of training, as far as it may be otherwise in each."""
    return can_share(model, rows) and not model.flat.has_half


def keeps_nothing_of_batches(model: TrainableModel) -> bool:
    """Whether no layer keeps metrics, or the states of sequences, which are of the rows of a batch."""
    return not model.own_metrics() and not any(getattr(layer, "stateful", False) for _, layer in model.walk())


def computes_by_rows(model: TrainableModel, objective: Objective) -> bool:
    """Whether it is known that rows do not depend on each other, but where nnx adds up over the threads."""
    return model.keeps_rows_apart and losses_keep_rows_apart(objective)


def losses_keep_rows_apart(objective: Objective) -> bool:
    """The same of the losses alone."""
    return all(one.loss.keeps_rows_apart for one in objective.by_output if one.loss is not None)


def _generators_of(model: TrainableModel) -> list[Generator]:
    values = [value for _, layer in model.walk() for value in vars(layer).values()]
    return [value for value in values if isinstance(value, Generator)]


def _sum(parts: Sequence[Any]) -> Any:
    return None if parts[0] is None else sum(parts[1:], parts[0])


def _joined(watched: Sequence[Any]) -> Any:
    """What metrics look at, of the whole batch."""
    return tuple(
        [None if arrays[0] is None else np.concatenate(arrays) for arrays in zip(*of_threads, strict=True)]
        for of_threads in zip(*watched, strict=True)
    )
