"""Optimisers that are written as in Keras: one variable after the other, with variables that are made beside them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from nnx.backends import Array, array_namespace
from nnx.optimizers.slots import Slots, Starts
from nnx.parameters import Parameter

_STARTS = {"zeros": 0.0, "ones": 1.0}


class VariableSteps:
    """The variables of an `update_step`: of each trained parameter one, and those that `build` has made beside it.

    From the first step on they are views: of the arrays that are trained (float32 copies of float16 parameters), and of
    the optimiser's slots, which follow the parameters to files and other devices.
    """

    def __init__(self) -> None:
        self.known = False
        self.starts: Starts = {}
        self._parameters: list[Parameter] = []
        self._trained: list[Parameter] = []
        self._beside: list[dict[str, Parameter]] = []
        self._places: dict[Parameter, int] = {}

    def begin(self, parameters: Sequence[Parameter]) -> None:
        """Take the parameters that are trained."""
        self.known = True
        self._parameters = list(parameters)
        self._trained = [Parameter(one.value, one.name) for one in parameters]
        self._beside = [{} for _ in parameters]
        both = (self._parameters, self._trained)
        self._places = {one: index for variables in both for index, one in enumerate(variables)}

    def add(self, reference: Parameter, name: str, initializer: str) -> Parameter:
        """A variable of the shape of a parameter, which `build` got."""
        if initializer not in _STARTS:
            raise ValueError(f"initializer must be one of {', '.join(map(repr, _STARTS))}; got {initializer!r}")
        beside = self._beside[self.index(reference)]
        if name in beside:
            raise ValueError(f"{reference.path} has a variable {name!r} already: give another name=")
        self.starts = {**self.starts, name: _STARTS[initializer]}
        beside[name] = Parameter(array_namespace(reference.value).zeros_like(reference.value), name, trainable=False)
        return beside[name]

    def index(self, variable: Parameter) -> int:
        """The place of a parameter that `build` got, or of what stands for it in `update_step`."""
        index = self._places.get(variable)
        if index is None:
            raise ValueError(f"build(variables) of the optimizer did not get {variable.path}, which is to be trained")
        return index

    def run(self, update_step: Callable[..., Any], w: Array, g: Array, slots: Slots, learning_rate: float) -> None:
        """`update_step` of each parameter."""
        reshape, flat = array_namespace(w).reshape, slots.flat
        for parameter, (start, stop) in zip(flat.parameters, flat.slices, strict=True):  # type: ignore[union-attr]
            index, shape = self.index(parameter), parameter.shape
            variable = self._trained[index]
            variable.path, variable.memory = parameter.path, reshape(w[start:stop], shape)
            for name, one in self._beside[index].items():
                one.memory = reshape(slots[name][start:stop], shape)
            update_step(reshape(g[start:stop], shape), variable, learning_rate)
