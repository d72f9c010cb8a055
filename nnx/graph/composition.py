"""Compositions: the graph of a layer that is made of others, from structures of arrays to structures of arrays."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any, Self

from nnx.graph.program import Program
from nnx.graph.symbol import Symbol
from nnx.locks import cached_property
from nnx.pullbacks import Pullback, Skippable
from nnx.shapes import Shape
from nnx.structure import leaves, ordered_keys, rebuild


class Composition:
    """A program as what a layer or model computes: structures of arrays in and out.

    program : that computes it; by default that of the graph between the symbols.
    inputs, outputs : symbols, or nested lists, tuples and dicts of them. A list of one output is, when it runs, that
        output, as in Keras.
    """

    def __init__(self, inputs: Any, outputs: Any, owner: str, program: Any = None) -> None:
        self.inputs = inputs
        self.outputs = outputs
        self.program: Any = Program(leaves(inputs), leaves(outputs), owner) if program is None else program

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        """A copy whose calls are copied in their order: from the last one on, each inside the next, Python gives up."""
        for node in getattr(self.program, "nodes", ()):
            copy.deepcopy(node, memo)
        twin = memo[id(self)] = object.__new__(type(self))
        vars(twin).update(copy.deepcopy(vars(self), memo))
        return twin

    def run(
        self, inputs: Any, *, training: bool, masks: Sequence[Any] = (), **options: Any
    ) -> tuple[Any, Any, Pullback]:
        """The outputs in their structure, their masks, and the pullback of cotangents in that structure.

        The masks are a list, or one mask of one output.
        """
        given = inputs if self.is_plain else leaves(inputs)
        outputs, made, pullback = self.program.run(given, training=training, masks=masks, **options)
        if self.is_plain:
            return outputs[0], made[0], Skippable(lambda dy, inputs: _first(pullback([dy], inputs=inputs)))

        def pull_back(dy: Any, inputs: bool) -> Any:
            dxs = pullback(leaves(dy), inputs=inputs)
            return None if not inputs else dxs[0] if len(dxs) == 1 else tuple(dxs)

        return rebuild(self.output_structure, outputs), made[0] if len(made) == 1 else made, Skippable(pull_back)

    @cached_property
    def is_plain(self) -> bool:
        """Whether it makes one array of one."""
        return isinstance(self.inputs, Symbol) and isinstance(self.outputs, Symbol)

    @cached_property
    def connects_outputs(self) -> bool:
        """Whether an output is computed from another one, or may be by a model inside."""
        given = {symbol.key for symbol in leaves(self.outputs)}
        behind = set(given)  # what is computed from outputs, and these
        for node in getattr(self.program, "nodes", ()) if len(given) > 1 else ():
            made = {symbol.key for symbol in node.outputs}
            is_behind = not behind.isdisjoint(symbol.key for symbol in node.reads)
            is_inside = len(made) > 1 and not made.isdisjoint(given) and node.layer.connects_outputs
            if (is_behind and not made.isdisjoint(given)) or (is_inside and len(made & given) > 1):
                return True
            if is_behind or is_inside:
                behind |= made
        return False

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
        made = [(batch, *s.shape[1:]) if s.shape and s.shape[0] is None else s.shape for s in leaves(self.outputs)]
        return made if len(made) > 1 or isinstance(self.outputs, dict) else made[0]


def keys_of_symbols(structure: Any) -> list[str] | None:
    """The keys of a dict of symbols, which name them, in the order of `leaves`; None for any other structure."""
    flat = isinstance(structure, dict) and all(isinstance(part, Symbol) for part in structure.values())
    return ordered_keys(structure) if flat else None


def _first(cotangents: Sequence[Any]) -> Any:
    """The cotangent of the only input; None where it was left out."""
    return cotangents[0] if cotangents else None
