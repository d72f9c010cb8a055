"""Programs: a graph of layers, run forward in order and backward in reverse, with sums where a value was used twice."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Sequence
from typing import Any

from nnx.backends import Array, array_namespace
from nnx.graph.layer_dtypes import input_dtypes
from nnx.graph.layer_order import layer_order
from nnx.graph.layer_protocol import GraphLayer, reads_integers
from nnx.graph.symbol import Node, Symbol
from nnx.kernels import RECORDING
from nnx.locks import cached_property
from nnx.parameters import Parameter
from nnx.pullbacks import Ending, LayerPullback, Pullback, Skippable, call_pullback, cotangent_of, in_dtype, linear
from nnx.structure import leaves, rebuild


@dataclasses.dataclass(frozen=True, slots=True)
class Step:
    """One call of a layer: which slots it reads and writes.

    inputs : one slot, where a layer that joins equal inputs has the same one for all.
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


@dataclasses.dataclass(frozen=True, slots=True)
class EndedStep:
    """Calls that are run as one: a layer, with the addition and the activation that alone follow it as its end.

    calls : their steps in order. residual : the slot of what is added, None for no addition.
    inputs, outputs, trains, useful : as those of a `Step`.
    """

    calls: tuple[Step, ...]
    residual: int | None
    useful: bool

    @property
    def inputs(self) -> tuple[int, ...]:
        return (*self.calls[0].inputs, *([] if self.residual is None else [self.residual]))

    @property
    def outputs(self) -> tuple[int, ...]:
        return self.calls[-1].outputs

    @property
    def trains(self) -> bool:
        return self.calls[0].trains


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
            if len(set(reads)) == 1 and node.layer.joins_equal_inputs and "mask" not in node.options:
                reads = reads[:1]
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
        self._input_symbols, self._output_symbols = list(inputs), list(outputs)
        self._plan = self._with_endings(useful)

    def _slot(self, symbol: Symbol) -> int:
        return self._slots.setdefault(symbol.key, len(self._slots))

    def _with_endings(self, useful: set[int]) -> list[Step | EndedStep]:
        """The steps in their order, those that can be the end of another one with it, where the last of them stands.

        useful : the slots behind which there is a parameter.
        """
        readers: dict[int, list[Step | None]] = {slot: [None] for slot in self.outputs}
        for step in self.steps:
            for slot in (*step.inputs, *leaves(step.options)):
                readers.setdefault(slot, []).append(step)
        ended: dict[int, EndedStep] = {}
        taken: set[int] = set()

        def follower(step: Step) -> Step | None:
            found = readers.get(step.outputs[0], ())
            alone = found[0] if len(found) == 1 else None
            return alone if alone is not None and id(alone) not in taken and not alone.node.options else None

        for step in self.steps:
            if id(step) in taken or len(step.outputs) != 1 or "mask" in step.node.options:
                continue
            if not step.node.layer.takes_ending:
                continue
            calls, residual = [step], None
            after = follower(step)
            if after is not None and after.node.layer.is_sum and _is_of_one_shape(after.node):
                residual = next(slot for slot in after.inputs if slot != step.outputs[0])
                calls.append(after)
                after = follower(after)
            if after is not None and after.node.layer.plain_activation is not None:
                calls.append(after)
            if len(calls) > 1:
                taken.update(map(id, calls))
                ended[id(calls[-1])] = EndedStep(tuple(calls), residual, step.useful or residual in useful)
        return [ended.get(id(step), step) for step in self.steps if id(step) in ended or id(step) not in taken]

    @property
    def is_chain(self) -> bool:
        """Whether each call takes what the one before it has made, and only that."""
        if len(self.inputs) != 1 or len(self.layers) != len(self.nodes):
            return False
        before: tuple[int, ...] = tuple(self.inputs)
        for step in self.steps:
            if len(step.node.inputs) != 1 or step.options or step.inputs[0] not in before:
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

    @cached_property
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

        An optional input may be None, and its cotangent is None then.
        """
        values: list[Any] = [None] * len(self._slots)
        mask_of: dict[int, Any] = {}
        for slot, array in zip(self.inputs, arrays, strict=True):
            values[slot] = array
        if any(array is None for array in arrays):
            self._check_missing({slot for slot in self.inputs if values[slot] is None})
        for slot, mask in zip(self.inputs, masks, strict=False):
            if mask is not None:
                mask_of[slot] = mask
        for slot, parameter in self._parameters:
            values[slot] = parameter.value
        bare = {self.outputs[index] for index in logits}
        ran: list[tuple[Step | EndedStep, Pullback]] = []
        for step in self._plan:
            if isinstance(step, Step):
                ran.append((step, self._run_step(step, values, mask_of, training, bare)))
            elif self._can_end(step, values, mask_of, bare):
                ran.append((step, self._run_ended(step, values, training)))
            else:
                ran += [(call, self._run_step(call, values, mask_of, training, bare)) for call in step.calls]
        outputs = [values[slot] for slot in self.outputs]
        given = [values[slot] for slot in self.inputs]
        several = {slot: values[slot] for step in self.steps if len(step.outputs) > 1 for slot in step.outputs}

        def pull_back(dys: Sequence[Any], inputs: bool = True) -> list[Any]:
            dxs = self._pull_back(dys, inputs, ran, several)
            return [cotangent_of(x, dx) for x, dx in zip(given, dxs, strict=False)]

        return outputs, [mask_of.get(slot) for slot in self.outputs], pull_back

    def _check_missing(self, missing: set[int]) -> None:
        """ValueError where an input that is None, of these slots, is read by a layer that needs it, or is an output."""
        names = {slot: symbol.name for slot, symbol in zip(self.inputs, self._input_symbols, strict=True)}
        for step in self.steps:
            reads = [slot for index, slot in enumerate(step.inputs) if not step.node.layer.takes_none(index)]
            for slot in (*reads, *leaves([*step.options.values()])):
                if slot in missing:
                    raise ValueError(
                        f"{step.node.layer.name} needs the input {names[slot]!r}, which is None: an optional input is "
                        f"read by a layer of your own with call(self, x, y=None), or by a model in which it is "
                        f"optional too"
                    )
        for slot in self.outputs:
            if slot in missing:
                raise ValueError(f"the input {names[slot]!r} is None, and it is an output too: give it")

    def _run_step(
        self, step: Step, values: list[Any], mask_of: dict[int, Any], training: bool, bare: set[int]
    ) -> Pullback:
        layer: Any = step.node.layer
        pullback: Pullback
        options = self._options(step, values, training)
        arrays = [values[slot] for slot in step.inputs]
        if not self._mixed.isdisjoint(step.inputs):
            arrays = [
                layer.placement.asarray(x, layer.dtype or layer.placement.dtype)
                if slot in self._mixed and x is not None and not reads_integers(layer, position, options)
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

    @staticmethod
    def _options(step: Step, values: list[Any], training: bool) -> dict[str, Any]:
        options = {"training": training, **step.node.options}
        for name, slots in step.options.items():
            option = options[name]
            parts = zip(slots, leaves(option), strict=True)
            options[name] = rebuild(option, [part if slot is None else values[slot] for slot, part in parts])
        return options

    def _can_end(self, step: EndedStep, values: list[Any], mask_of: dict[int, Any], bare: set[int]) -> bool:
        """Whether calls are run as one: on plain arrays of one batch, without masks, and while nobody watches them."""
        arrays, (first, *others) = [values[slot] for slot in step.inputs], [call.node.layer for call in step.calls]
        return (
            step.outputs[0] not in bare
            and not self._input_dtypes
            and not any(mask_of.get(slot) is not None for slot in step.inputs)
            and not any(type(array) in RECORDING for array in arrays)
            and len({array.shape[0] for array in arrays}) == 1
            and self._mixed.isdisjoint(step.inputs)
            and not first.makes_mask
            and not any("run" in vars(layer) for layer in (first, *others))
            and first.takes_ending
            and all(layer.is_sum or layer.plain_activation is not None for layer in others)
        )

    def _run_ended(self, step: EndedStep, values: list[Any], training: bool) -> Pullback:
        first, last = step.calls[0], step.calls[-1]
        activate = last.node.layer.plain_activation or linear
        end = None if step.residual is None else Ending(values[step.residual], activate)
        arrays, options = [values[slot] for slot in first.inputs], self._options(first, values, training)
        y, pullback = first.node.layer.run_ended(end or activate, *arrays, **options)
        values[step.outputs[0]] = y
        if end is None:
            return pullback  # type: ignore[no-any-return]

        def pull_back(dy: Any, inputs: bool) -> tuple[Any, ...]:
            dx = call_pullback(pullback, dy, inputs)
            return (*(dx if len(arrays) > 1 and inputs else (dx,)), end.cotangent)

        return Skippable(pull_back)

    def _pull_back(
        self, dys: Sequence[Any], inputs: bool, ran: list[tuple[Step | EndedStep, Pullback]], several: dict[int, Any]
    ) -> list[Any]:
        cotangents: list[Any] = [None] * len(self._slots)
        for slot, dy in zip(self.outputs, dys, strict=True):
            _add(cotangents, slot, dy)
        for step, pullback in reversed(ran):
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
            present = cotangents[step.inputs[0]] if len(step.inputs) == 1 else None
            if wanted and present is not None and isinstance(pullback, LayerPullback):
                cotangents[step.inputs[0]] = pullback.added(cotangent, present)
                continue
            dx = call_pullback(pullback, cotangent, wanted)
            if wanted:
                for slot, part in zip(step.inputs, (dx,) if len(step.inputs) == 1 else dx, strict=True):
                    _add(cotangents, slot, part)
        for slot, parameter in self._parameters:
            if cotangents[slot] is not None:
                parameter.receive(cotangents[slot])
        return [cotangents[slot] for slot in self.inputs] if inputs else []


def _is_of_one_shape(node: Node) -> bool:
    """Whether a call has two inputs of one shape, of which no more than the batch is open."""
    shapes = [symbol.shape for symbol in node.inputs]
    return len(shapes) == 2 and shapes[0] == shapes[1] and len(shapes[0]) > 1 and None not in shapes[0][1:]


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
