"""Programs: a graph of layers, run forward in order and backward in reverse, with sums where a value was used twice."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Collection, Sequence
from typing import Any

from nnx.backends import Array, array_namespace
from nnx.graph.layer_dtypes import input_dtypes
from nnx.graph.layer_order import layer_order
from nnx.graph.layer_protocol import GraphLayer, reads_integers
from nnx.graph.symbol import Node, Symbol
from nnx.parameters import Parameter
from nnx.pullbacks import Pullback, call_pullback, in_dtype
from nnx.structure import leaves, rebuild


@dataclasses.dataclass(frozen=True, slots=True)
class Step:
    """One call of a layer: which slots it reads and writes.

    options : for each option with symbols in it their slots, and None for what else is in it.
    trains : whether the layer has parameters to train.
    useful : whether a cotangent of its inputs reaches a parameter.
    """

    node: Node
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    options: dict[str, list[int | None]]
    trains: bool
    useful: bool


class Program:
    """A graph from symbols to symbols, put in order once and then run on arrays.

    layers : each once, in Keras' order; see `nnx.graph.layer_order`.

    ValueError if an output depends on an input that is not given.
    """

    def __init__(self, inputs: Sequence[Symbol], outputs: Sequence[Symbol], owner: str) -> None:
        self.nodes = _in_order(inputs, outputs, owner)
        called = {node.layer for node in self.nodes}
        self.listed: list[Any] = layer_order(inputs, outputs, self.nodes)  # with the layers of the inputs
        self.layers: list[Any] = [layer for layer in self.listed if layer in called]
        self._input_dtypes = input_dtypes(self.layers, owner)
        self._slots: dict[Any, int] = {}
        self._parameters: list[tuple[int, Parameter]] = []
        useful: set[int] = set()  # slots behind which there is a parameter
        self.inputs = [self._slot(symbol) for symbol in inputs]
        self.steps: list[Step] = []
        for node in self.nodes:
            for symbol in node.inputs:
                if symbol.parameter is not None and symbol.key not in self._slots:
                    self._parameters.append((self._slot(symbol), symbol.parameter))
                    useful.add(self._slots[symbol.key])
            reads = tuple(self._slot(symbol) for symbol in node.inputs)
            writes = tuple(self._slot(symbol) for symbol in node.outputs)
            options = {
                name: [self._slot(part) if isinstance(part, Symbol) else None for part in leaves(option)]
                for name, option in node.symbolic_options.items()
            }
            below = any(slot in useful for slot in reads)
            trains = node.layer.learns and bool(node.layer.weights)
            if trains or below:
                useful.update(writes)
            self.steps.append(Step(node, reads, writes, options, trains, below))
        self.outputs = [self._slot(symbol) for symbol in outputs]
        self._output_symbols = list(outputs)

    def _slot(self, symbol: Symbol) -> int:
        return self._slots.setdefault(symbol.key, len(self._slots))

    @property
    def is_chain(self) -> bool:
        """Whether each call takes what the one before it has made, and only that."""
        if len(self.inputs) != 1 or len(self.layers) != len(self.nodes):
            return False
        before: tuple[int, ...] = tuple(self.inputs)
        for step in self.steps:
            if len(step.inputs) != 1 or step.options or step.inputs[0] not in before:
                return False
            before = step.outputs
        return True

    def readers(self, index: int) -> list[GraphLayer]:
        """The layers that read an input, those inside layers that are made of others."""
        found: list[GraphLayer] = []
        for step in self.steps:
            for position, slot in enumerate(step.inputs):
                layer = step.node.layer
                if slot == self.inputs[index] and not step.node.options.get(layer.floats_with):
                    found += layer.readers(position)
        return found

    def feeds_integers(self, index: int) -> bool:
        """Whether an input reaches, at last, a layer that takes integers."""
        reached = {self.inputs[index]}
        for step in self.steps:
            if not reached.isdisjoint(step.inputs):
                reached.update(step.outputs)
                if any(layer.takes_integers for _, layer in step.node.layer.walk()):
                    return True
        return False

    @functools.cached_property
    def _mixed(self) -> frozenset[int]:
        """The slots of inputs that some layers read as integers, and others as floats."""
        readings: dict[int, set[bool]] = {slot: set() for slot in self.inputs}
        for step in self.steps:
            for position, slot in enumerate(step.inputs):
                if slot in readings:
                    readings[slot].add(reads_integers(step.node.layer, position, step.node.options))
        return frozenset(slot for slot, found in readings.items() if len(found) > 1)

    def last_step(self, output: int) -> Step | None:
        """The step that makes an output, if nothing else reads it."""
        slot = self.outputs[output]
        if self.outputs.count(slot) > 1 or any(slot in (*step.inputs, *leaves(step.options)) for step in self.steps):
            return None
        return next((step for step in self.steps if step.outputs == (slot,)), None)

    def last_layer(self, output: int) -> Any:
        """The layer that makes an output, if nothing else reads it."""
        step = self.last_step(output)
        return step.node.layer if step else None

    def sources(self, output: int) -> list[Symbol]:
        """The symbols that an output is: one."""
        return [self._output_symbols[output]]

    def run(
        self, arrays: Sequence[Array], *, training: bool, logits: Collection[int] = (), masks: Sequence[Any] = ()
    ) -> tuple[list[Array], list[Any], Pullback]:
        """The outputs, their masks, and the pullback: a list of cotangents of outputs to that of the inputs.

        logits : which outputs are taken before their last activation.
        masks : of the inputs; none by default.
        """
        values: list[Any] = [None] * len(self._slots)
        mask_of: dict[int, Any] = {}
        for slot, array in zip(self.inputs, arrays, strict=True):
            values[slot] = array
        for slot, mask in zip(self.inputs, masks, strict=False):
            if mask is not None:
                mask_of[slot] = mask
        for slot, parameter in self._parameters:
            values[slot] = parameter.value
        bare = {self.outputs[index] for index in logits}
        pullbacks = [self._run_step(step, values, mask_of, training, bare) for step in self.steps]
        outputs = [values[slot] for slot in self.outputs]
        given = [values[slot] for slot in self.inputs]
        several = {slot: values[slot] for step in self.steps if len(step.outputs) > 1 for slot in step.outputs}

        def pull_back(dys: Sequence[Any], inputs: bool = True) -> list[Any]:
            dxs = self._pull_back(dys, inputs, pullbacks, several)
            return [array_namespace(x).zeros_like(x) if dx is None else dx for x, dx in zip(given, dxs, strict=False)]

        return outputs, [mask_of.get(slot) for slot in self.outputs], pull_back

    def _run_step(
        self, step: Step, values: list[Any], mask_of: dict[int, Any], training: bool, bare: set[int]
    ) -> Pullback:
        layer: Any = step.node.layer
        pullback: Pullback
        options = {"training": training, **step.node.options}
        for name, slots in step.options.items():
            option = options[name]
            parts = zip(slots, leaves(option), strict=True)
            options[name] = rebuild(option, [part if slot is None else values[slot] for slot, part in parts])
        arrays = [values[slot] for slot in step.inputs]
        if not self._mixed.isdisjoint(step.inputs):
            arrays = [
                layer.placement.asarray(x, layer.dtype or layer.placement.dtype)
                if slot in self._mixed and not reads_integers(layer, position, options)
                else x
                for position, (slot, x) in enumerate(zip(step.inputs, arrays, strict=True))
            ]
        back = None
        if self._input_dtypes:
            arrays, back = in_dtype(
                arrays,
                self._input_dtypes[layer],
                lambda index: reads_integers(layer, index, options) or layer.reads_on_host(index),
            )
        found = [mask_of.get(slot) for slot in step.inputs] if mask_of else []
        made: Any = None
        if "mask" in options:
            found = [layer.read_mask(arrays, options.pop("mask"))]
        if step.outputs[0] in bare:
            options = {"training": options["training"], "logits": True}
        if layer.makes_mask or any(mask is not None for mask in found):
            y, made, pullback = layer.run_masked(arrays, found[0] if len(found) == 1 else found or None, **options)
        elif "logits" in options:
            y, pullback = layer.preactivation(*arrays, training=options["training"])
        else:
            y, pullback = layer.run(*arrays, **options)
        for slot, part in zip(step.outputs, leaves(y), strict=True):
            values[slot] = part
        for slot, mask in zip(step.outputs, as_masks(made), strict=False):
            if mask is not None:
                mask_of[slot] = mask
        return pullback if back is None else back(pullback)

    def _pull_back(
        self, dys: Sequence[Any], inputs: bool, pullbacks: list[Pullback], several: dict[int, Any]
    ) -> list[Any]:
        cotangents: list[Any] = [None] * len(self._slots)
        for slot, dy in zip(self.outputs, dys, strict=True):
            _add(cotangents, slot, dy)
        for step, pullback in zip(reversed(self.steps), reversed(pullbacks), strict=True):
            wanted = inputs or step.useful
            parts = [cotangents[slot] for slot in step.outputs]
            if not (wanted or step.trains) or all(part is None for part in parts):
                continue
            cotangent: Any = parts[0]
            if len(parts) > 1:
                cotangent = tuple(
                    array_namespace(several[slot]).zeros_like(several[slot]) if part is None else part
                    for slot, part in zip(step.outputs, parts, strict=True)
                )
            dx = call_pullback(pullback, cotangent, wanted)
            if wanted:
                for slot, part in zip(step.inputs, (dx,) if len(step.inputs) == 1 else dx, strict=True):
                    _add(cotangents, slot, part)
        for slot, parameter in self._parameters:
            if cotangents[slot] is not None:
                parameter.receive(cotangents[slot])
        return [cotangents[slot] for slot in self.inputs] if inputs else []


def _add(cotangents: list[Any], slot: int, cotangent: Any) -> None:
    if cotangent is not None:
        present = cotangents[slot]
        cotangents[slot] = cotangent if present is None else present + cotangent


def _in_order(inputs: Sequence[Symbol], outputs: Sequence[Symbol], owner: str) -> list[Node]:
    """The calls that the outputs depend on, each after those that it depends on itself."""
    given = {symbol.key for symbol in inputs}
    done: dict[Node, None] = {}
    stack: list[tuple[Symbol, bool]] = [(symbol, False) for symbol in reversed(outputs)]
    while stack:
        symbol, expanded = stack.pop()
        node = symbol.node
        if symbol.key in given or node is None or node in done:
            continue
        if expanded:
            done[node] = None
            continue
        if not node.inputs:
            given_names = [symbol.node.layer.name for symbol in inputs if symbol.node]
            another = ": it is another one of that name" if node.layer.name in given_names else ""
            raise ValueError(
                f"{owner}: its outputs depend on the input {node.layer.name!r}, which is not among its inputs "
                f"({', '.join(given_names)}){another}"
            )
        stack.append((symbol, True))
        stack.extend((below, False) for below in reversed(node.reads))
    return list(done)


def as_masks(mask: Any) -> Sequence[Any]:
    """The masks of inputs as a list; empty if there is none."""
    return () if mask is None else mask if isinstance(mask, list | tuple) else [mask]
