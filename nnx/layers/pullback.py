"""The pullback of a layer: from that of a function to gradients."""

from __future__ import annotations

import functools
import inspect
from types import CodeType
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


def call_pullback(pullback: Pullback, dy: Any, inputs: bool) -> Any:
    """Call a layer's pullback; without `inputs`, one that can do so leaves out the cotangents of its inputs."""
    if inputs:
        return pullback(dy)
    if type(pullback) is LayerPullback or _takes_inputs(pullback):
        return pullback(dy, inputs=False)
    return pullback(dy)


def _takes_inputs(pullback: Pullback) -> bool:
    """Whether a pullback has the argument `inputs`; one that was written by hand may not."""
    code = getattr(pullback, "__code__", None)
    return "inputs" in inspect.signature(pullback).parameters if code is None else _has_inputs(code)


@functools.lru_cache(maxsize=256)
def _has_inputs(code: CodeType) -> bool:
    return "inputs" in code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
