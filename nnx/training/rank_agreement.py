"""Agreement of several ranks at the beginning of the same training or evaluation."""

from __future__ import annotations

from typing import Any

from nnx import ranks
from nnx.backends import to_numpy
from nnx.callbacks import CallbackList
from nnx.training.epochs import Epochs


def begin(model: Any, listeners: CallbackList, batches: Epochs, **others: Any) -> None:
    """Give all ranks the weights of rank 0, after a look at whether they are about to do the same.

    others : what has to be equal as well, by the name that it has in errors.

    Every rank has to call it; a process that is alone has nothing to do. ValueError, on all ranks, where one has other
    callbacks, batches or random numbers than rank 0: they would wait for each other for ever.
    """
    group = ranks.group()
    if group is None:
        return
    layers = [layer for _, layer in model.walk()]
    streams = [stream for stream in (model.random, *(layer.random for layer in layers)) if stream is not None]
    plan = {
        "callbacks": [type(callback).__name__ for callback in listeners.callbacks],
        "batches": batches.steps,
        "weights": [parameter.shape for parameter in model.weights],
        "optimizer steps": None if model.optimizer is None else model.optimizer.iterations,
        "random numbers": [*(stream.state() for stream in streams), *batches.states()],
        **others,
    }
    plans = group.gather(plan)
    for rank, other in enumerate(plans):
        for what, expected in plans[0].items():
            if other[what] != expected:
                raise ValueError(
                    f"rank {rank} has other {what} than rank 0: {other[what]}, not {expected}. Every rank has to run "
                    f"the same script with all of the data; by themselves they share the batches, and only rank 0 "
                    f"writes and prints"
                )
    if model.objective.outputs:
        model.objective.state()  # raises for metrics that cannot be those of several ranks
    for parameter in model.weights:
        host = group.broadcast(to_numpy(parameter.value) if ranks.is_main() else None)
        if not ranks.is_main():
            parameter.value[...] = model.placement.asarray(host, parameter.dtype)
