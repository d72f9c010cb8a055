"""Compositions: the graph of a layer that is made of others, from structures of arrays to structures of arrays."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any

from nnx.backends import backend
from nnx.graph.program import Program
from nnx.graph.symbol import Symbol
from nnx.graph.traced_arguments import MASK, TRAINING
from nnx.names import name_layers
from nnx.pullbacks import Pullback, Skippable
from nnx.shapes import Shape, as_shapes
from nnx.structure import leaves, rebuild


class Composition:
    """A program as what a layer or model computes: structures of arrays in and out.

    inputs, outputs : symbols, or nested lists, tuples and dicts of them. A list of one output is, when it runs, that
        output, as in Keras.
    """

    def __init__(self, inputs: Any, outputs: Any, owner: str) -> None:
        self.inputs = inputs
        self.outputs = outputs
        self.program = Program(leaves(inputs), leaves(outputs), owner)

    def run(self, inputs: Any, *, training: bool, masks: Sequence[Any] = ()) -> tuple[Any, Any, Pullback]:
        """The outputs in their structure, their masks, and the pullback of cotangents in that structure.

        The masks are a list, or one mask of one output.
        """
        outputs, made, pullback = self.program.run(leaves(inputs), training=training, masks=masks)

        def pull_back(dy: Any, inputs: bool) -> Any:
            dxs = pullback(leaves(dy), inputs=inputs)
            return None if not inputs else dxs[0] if len(dxs) == 1 else tuple(dxs)

        return rebuild(self.output_structure, outputs), made[0] if len(made) == 1 else made, Skippable(pull_back)

    @property
    def output_structure(self) -> Any:
        """The structure of what `run` returns."""
        alone = isinstance(self.outputs, list | tuple) and len(self.outputs) == 1
        return self.outputs[0] if alone else self.outputs

    def output_shapes(self, shapes: list[Shape], owner: str) -> Any:
        """The shape of the output, or a list of those of several, for shapes of inputs that fit."""
        symbols = leaves(self.inputs)
        if len(shapes) != len(symbols):
            raise ValueError(f"{owner}: expected {len(symbols)} inputs, got {len(shapes)}")
        for symbol, shape in zip(symbols, shapes, strict=True):
            pairs = list(zip(symbol.shape, shape, strict=False))
            if len(shape) != len(symbol.shape) or any(e != g for e, g in pairs if e is not None and g is not None):
                hint = "; for sizes that vary, build it with None" if len(shape) == len(symbol.shape) else ""
                raise ValueError(f"{owner}: expected an input of shape {symbol.shape}, got {tuple(shape)}{hint}")
        batch = shapes[0][0]
        made = [(batch if s.shape[0] is None else s.shape[0], *s.shape[1:]) for s in leaves(self.outputs)]
        return made if len(made) > 1 or isinstance(self.outputs, dict) else made[0]


def trace(layer: Any, input_shape: Any) -> Composition:
    """Call a layer's `call` once on symbols of these shapes, and keep the graph that it describes."""
    symbols = [Symbol(shape) for shape in as_shapes(input_shape)]
    parameters = inspect.signature(layer.call).parameters
    flags = {name: flag for name, flag in (("training", TRAINING), ("mask", MASK)) if name in parameters}
    arguments = _arguments(layer.input_structure, symbols, [p for n, p in parameters.items() if n not in flags])
    place = layer.placement
    with backend(place.name, device=place.device, dtype=layer.dtype or place.dtype):
        outputs = layer.call(*arguments, **flags)
    for leaf in leaves(outputs):
        if not isinstance(leaf, Symbol):
            raise TypeError(
                f"{layer.name}: call() has to return what layers and operators made of its inputs, got "
                f"{type(leaf).__name__}; for anything else define forward(self, x, *, training=False) -> (y, pullback)"
            )
    composition = Composition(arguments[0] if len(arguments) == 1 else arguments, outputs, layer.name)
    name_layers(composition.program.layers, layer.name, unique=False)  # attributes tell them apart, as in Keras
    return composition


def _arguments(structure: Any, symbols: list[Symbol], parameters: list[inspect.Parameter]) -> list[Any]:
    """The symbols as arguments of a `call`: nested as in the layer's first call; a list for one argument, or for many.

    structure : of the arguments, as `IsCalled.input_structure`; None where only shapes are known.
    """
    arguments: list[Any] = [symbols if len(symbols) > 1 else symbols[0]]
    if structure is not None and len(leaves(structure)) == len(symbols):
        arguments = list(rebuild(structure, symbols))
    required = [p for p in parameters if p.default is p.empty and p.kind is p.POSITIONAL_OR_KEYWORD]
    several = len(required) > 1 or any(p.kind is p.VAR_POSITIONAL for p in parameters)
    return (
        list(arguments[0]) if several and len(arguments) == 1 and isinstance(arguments[0], list | tuple) else arguments
    )
