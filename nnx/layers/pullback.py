"""The pullback of a layer: from that of a function to gradients."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from nnx.layers.parameter import Parameter
from nnx.protocol import SKIP, Pullback


class LayerPullback:
    """A layer's pullback: returns the cotangents of the inputs and sends those of parameters into their gradients.

    Called with `inputs=False` it skips the inputs' cotangents, which nobody needs for the first layer of a model.
    """

    __slots__ = ("_direct", "_pullback", "_targets")

    def __init__(self, pullback: Pullback, targets: tuple[Parameter | None, ...], direct: bool) -> None:
        self._pullback = pullback
        self._targets = targets
        self._direct = direct

    def __call__(self, dy: Any, inputs: bool = True) -> Any:
        if self._direct:
            cotangents = self._pullback(dy, out=[self._destination(target, inputs) for target in self._targets])
        else:
            cotangents = self._pullback(dy)
        of_inputs = []
        for parameter, cotangent in zip(self._targets, cotangents, strict=True):
            if parameter is None:
                of_inputs.append(cotangent)
            elif cotangent is not None:
                parameter.receive(cotangent)
        return of_inputs[0] if len(of_inputs) == 1 else tuple(of_inputs)

    @staticmethod
    def _destination(target: Parameter | None, inputs: bool) -> Any:
        """Where the pullback may write the cotangent of an argument: an array, None or SKIP."""
        if target is None:
            return None if inputs else SKIP
        backward = target.backward
        if backward is None:
            return SKIP
        return target.grad if target.pass_number != backward.number else None  # None: it has to be added


class Skippable:
    """A pullback made of others: `function(dy, inputs)`, which may skip the cotangents of the inputs."""

    __slots__ = ("_function",)

    def __init__(self, function: Callable[[Any, bool], Any]) -> None:
        self._function = function

    def __call__(self, dy: Any, inputs: bool = True) -> Any:
        return self._function(dy, inputs)


def call_pullback(pullback: Pullback, dy: Any, inputs: bool) -> Any:
    """Call a layer's pullback; without `inputs`, one of nnx's own leaves out the cotangents of its inputs."""
    if inputs or not isinstance(pullback, LayerPullback | Skippable):
        return pullback(dy)
    return pullback(dy, inputs=False)
