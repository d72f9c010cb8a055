"""What layers add to the loss: values of `add_loss`, and penalties on outputs and on weights."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from nnx import ranks
from nnx.autodiff.array import lower, on_tape
from nnx.autodiff.primitive import primitive
from nnx.autodiff.tape import open_tapes
from nnx.backends import Array
from nnx.parameters import Parameter
from nnx.precision import narrow, wide
from nnx.pullbacks import Pullback
from nnx.structure import leaves


class _Penalties(threading.local):
    """What a thread collects: a model may be evaluated in several at once.

    lists : for layers whose penalties on outputs it collects, these. scales : their cotangents, where they are not 1.
    """

    def __init__(self) -> None:
        self.lists: dict[Any, list[Array]] = {}
        self.scales: dict[Any, Any] = {}


collected = _Penalties()


def take_loss(layer: Any, value: Any, share: float) -> None:
    """Hand a loss, and the share of it that counts, to the innermost tape that collects losses; or to the layer.

    The layer has it, among its `call_losses`, where a tape says that layers keep theirs.
    """
    tapes = open_tapes()
    for tape in reversed(tapes):
        if tape.keeps_losses:
            layer.call_losses = (*layer.call_losses, value if share == 1.0 else value * share)
            return
        if tape.losses is not None:
            found = on_tape(tape, value)
            if found is not None:
                tape.losses.append((found.index, found.value, share))
            else:
                tape.losses.append((tape.watch(), lower(value), share))
            return


def penalise_output(layer: Any, y: Any) -> None:
    """Take the layer's penalty on each array that its `call` returned, divided by the batch size."""
    for part in leaves(y):
        penalty = primitive(layer.activity_regularizer.forward)(wide(part))
        take_loss(layer, penalty, ranks.share() / (part.shape[0] or 1))


def penalty_on(parameter: Parameter) -> Callable[[Array], tuple[Array, Pullback]]:
    """The penalty on a value of that parameter, with its pullback."""
    penalise = parameter.regularizer.forward

    def penalty(value: Array) -> tuple[Array, Pullback]:
        y, pullback = penalise(wide(value))
        return y, lambda dy: narrow(pullback(dy), value)

    return penalty
