"""Observers of a model while it computes: layer by layer, forwards and backwards."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Iterator
from typing import Any, Literal

from nnx.pullbacks import Skippable, call_pullback
from nnx.structure import leaves


@dataclasses.dataclass(frozen=True, slots=True)
class Work:
    """A computation that is about to run.

    phase : "forward" or "backward" of a layer; of the model "loss", "loss backward", "update" by the optimizer,
        "metrics", and "total", which takes the loss with its penalties.
    path : of the layer in the model, such as "encoder/dense_1"; empty for work of the model.
    owner : the layer, the objective or the optimizer.
    inputs : the arrays that go in, and what else is given; a flat list.
    """

    phase: Literal["forward", "backward", "loss", "loss backward", "update", "metrics", "total"]
    path: str
    owner: Any
    inputs: list[Any]


Observer = Callable[[Work, Callable[[], Any]], Any]
"""Called in place of every computation: `observer(work, compute)` returns what `compute()` does."""


@contextlib.contextmanager
def watch(model: Any, observer: Observer) -> Iterator[None]:
    """Inside the block the observer stands around all computations of a model, also those of layers inside layers.

    The methods of the layers are replaced for that time, so a model that nobody watches pays nothing. A pullback that
    was made inside is observed also when it is called later.
    """
    active: list[Any] = []  # the layers that are computing, the innermost last
    with contextlib.ExitStack() as replaced:
        met: set[Any] = {model}
        for path, layer in model.named_layers().items():
            if layer not in met:  # of a layer that is shared, the first path counts
                met.add(layer)
                for name in ("run", "run_masked", "preactivation"):
                    if hasattr(layer, name):
                        watched = _of_layer(observer, active, path, layer, getattr(layer, name))
                        replaced.enter_context(_replaced(layer, name, watched))
        if model.objective is not None:
            objective, optimizer = model.objective, model.optimizer
            of_model = [
                (objective, "forward", _of_loss(observer, objective)),
                (objective, "watch", _plain(observer, "metrics", objective, objective.watch)),
                (objective, "update", _plain(observer, "total", objective, objective.update)),
            ]
            if optimizer is not None:
                of_model.append((optimizer, "train", _plain(observer, "update", optimizer, optimizer.train)))
            for owner, name, watched in of_model:
                replaced.enter_context(_replaced(owner, name, watched))
        yield


@contextlib.contextmanager
def _replaced(thing: Any, name: str, method: Callable[..., Any]) -> Iterator[None]:
    """A method of one object replaced by a function, and put back."""
    before = vars(thing).get(name)
    setattr(thing, name, method)
    try:
        yield
    finally:
        if before is None:
            delattr(thing, name)
        else:
            setattr(thing, name, before)


def _of_layer(
    observer: Observer, active: list[Any], path: str, layer: Any, method: Callable[..., Any]
) -> Callable[..., Any]:
    def compute(*inputs: Any, **options: Any) -> Any:
        if active and active[-1] is layer:  # one of the three calls another
            return method(*inputs, **options)
        active.append(layer)
        try:
            work = Work("forward", path, layer, leaves(inputs))
            *values, pullback = observer(work, lambda: method(*inputs, **options))
        finally:
            active.pop()

        def pull_back(dy: Any, inputs: bool) -> Any:
            work = Work("backward", path, layer, leaves(dy))
            return observer(work, lambda: call_pullback(pullback, dy, inputs))

        return *values, Skippable(pull_back)

    return compute


def _of_loss(observer: Observer, objective: Any) -> Callable[..., Any]:
    method = objective.forward

    def compute(*inputs: Any) -> Any:
        parts, pullback = observer(Work("loss", "", objective, leaves(inputs)), lambda: method(*inputs))

        def pull_back(*dloss: Any) -> Any:
            return observer(Work("loss backward", "", objective, list(dloss)), lambda: pullback(*dloss))

        return parts, pull_back

    return compute


def _plain(observer: Observer, phase: Any, owner: Any, method: Callable[..., Any]) -> Callable[..., Any]:
    return lambda *inputs: observer(Work(phase, "", owner, list(inputs)), lambda: method(*inputs))
