"""Programs of layers that are written as `call`: it is run as it is, on tracked arrays, for every batch."""

from __future__ import annotations

import contextlib
import functools
import inspect
import weakref
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Any

import numpy as np

from nnx.autodiff.array import TrackedArray, on_tape, track
from nnx.autodiff.namespace import is_floating, kind_of
from nnx.autodiff.tape import Tape, next_level, open_tapes, recording, set_open_tapes
from nnx.backends import Array, array_namespace, backend, is_array
from nnx.backends.context import create_as_before, create_at
from nnx.graph.composition import Composition
from nnx.graph.symbol import Node, Symbol
from nnx.graph.trial import beside, common_sizes, first_that_fits, sizes_for
from nnx.locks import cached_property
from nnx.names import name_layers
from nnx.parameters import Parameter
from nnx.pullbacks import Pullback, cotangent_of
from nnx.random import Generator
from nnx.shapes import Shape, as_shapes
from nnx.structure import contents, leaves, rebuild
from nnx.user_warnings import warn_user


class CallProgram:
    """What a layer's `call` does, as models see it: a program, of which only the layers are known beforehand.

    layer : that has the `call`. nodes : the calls of its layers that were seen when it was tried out, each connected to
        what it depends on. layers : the layers that it keeps, in the order of its attributes.
    makers : for each output the layer that returned it, None where it is what array code made of others.
    sources : for each output the symbols that it depends on.
    """

    def __init__(self, layer: Any, nodes: Sequence[Node], makers: list[Any], sources: list[list[Symbol]]) -> None:
        self.bind(layer)
        self.layers: list[Any] = list(layer.sublayers())
        self.listed = self.layers
        self.nodes = list(nodes)
        self.makers, self._sources = makers, sources
        self._readers: list[list[tuple[Any, int]]] = []
        self.is_chain = True

    def bind(self, layer: Any) -> None:
        """Be the program of that layer, and do not keep it alive."""
        self._layer: Callable[[], Any] = weakref.ref(layer)

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in {**self.__dict__, "_layer": None}.items() if name != "_takes_one"}

    def note_readers(self, readers: list[list[tuple[Any, int]]]) -> None:
        """For each input the layers that read it, and as which of their inputs."""
        self._readers = readers

    def readers(self, index: int) -> list[Any]:
        """The layers that read an input, those inside layers that are made of others; the layer itself, if it does."""
        layer = self._layer()
        if vars(layer).get("takes_integers"):
            return [layer]
        known = self._readers[index] if index < len(self._readers) else ()
        return [reader for one, position in known for reader in one.readers(position)]

    def feeds_integers(self, index: int) -> bool:
        """Whether an input reaches a layer that takes integers."""
        return any(one.takes_integers for layer in self.layers for _, one in layer.walk())

    def last_layer(self, output: int) -> Any:
        """The layer that makes an output; None if array code does."""
        return self.makers[output]

    def sources(self, output: int) -> list[Symbol]:
        """The symbols that an output depends on."""
        return self._sources[output]

    def run(
        self,
        arrays: Sequence[Array],
        *,
        training: bool | None,
        logits: Collection[int] = (),
        masks: Sequence[Any] = (),
        **options: Any,
    ) -> tuple[list[Array], list[Any], Pullback]:
        """The outputs, their masks, and the pullback: a list of cotangents of outputs to that of the inputs.

        logits : which outputs are taken before their last activation. masks : of the inputs; none by default.
        """
        layer, outer = self._layer(), open_tapes()
        tape = Tape(
            next_level(), watches_parameters=True, training=training or False, wants_logits=bool(logits), losses=[]
        )
        slots, values = [], []
        for x in arrays:
            slot = tape.watch() if x is not None and is_floating(x) else None
            slots.append(slot)
            values.append(x if slot is None else track(kind_of(x), x, tape, slot))
        given = self._give_masks(values, masks) if masks else None
        set_open_tapes((tape,))
        before = create_at(layer.placement)
        try:
            if (self._takes_one and len(values) == 1) or "arguments" in options:
                y = layer.run_call(tuple(values), given, training, options)
            else:
                y = layer.run_call(layer.arguments_of(values), given, training, options)
        finally:
            set_open_tapes(outer)
            create_as_before(before)
        del values
        made = [y] if isinstance(y, TrackedArray) else leaves(y)
        for output in logits:
            made[output] = self._logits(made[output], layer)
        indices, outputs, found = [], [], []
        for one in made:
            if one is None:
                raise ValueError(f"{layer.name}: call() returned None, expected an array as when the layer was built")
            tracked = isinstance(one, TrackedArray)
            found.append(one.mask if tracked else None)
            here = on_tape(tape, one)
            indices.append(None if here is None else here.index)
            outputs.append(one if here is None else here.value)
        losses, scale = tape.losses or (), layer.activity_scale
        if losses and layer.activity_penalties is not None:
            layer.activity_penalties += [value * share for _, value, share in losses]

        def pull_back(dys: Sequence[Any], inputs: bool = True) -> list[Any]:
            pairs = zip(indices, dys, strict=True)
            seeds = [(index, dy) for index, dy in pairs if index is not None and dy is not None]
            for index, value, share in losses:
                seeds.append((index, array_namespace(value).ones_like(value) * share * scale))
            leaf = [(parameter, index) for parameter, index in tape.leaves.values() if parameter.backward is not None]
            wanted = [index for _, index in leaf]
            if inputs:
                wanted += [slot for slot in slots if slot is not None]
            cotangents = tape.pull(seeds, wanted)
            for (parameter, _), cotangent in zip(leaf, cotangents, strict=False):
                if cotangent is not None:
                    parameter.receive(cotangent)
            if not inputs:
                return []
            dxs = iter(cotangents[len(leaf) :])
            pulled = [None if slot is None else next(dxs) for slot in slots]
            return [cotangent_of(x, dx) for x, dx in zip(arrays, pulled, strict=True)]

        return outputs, found, pull_back

    @cached_property
    def _takes_one(self) -> bool:
        """Whether `call` gets its only array as it is."""
        layer, marker = self._layer(), object()
        arguments = layer.arguments_of([marker])
        return len(arguments) == 1 and arguments[0] is marker

    def _give_masks(self, values: Sequence[Any], masks: Sequence[Any]) -> Any:
        """Let tracked inputs carry their masks. Returns the mask of one input, a list of those of several, or None."""
        for value, mask in zip(values, masks, strict=False):
            if isinstance(value, TrackedArray):
                value.mask = mask
        if all(mask is None for mask in masks):
            return None
        return masks[0] if len(masks) == 1 else list(masks)

    def _logits(self, output: Any, layer: Any) -> Any:
        if not isinstance(output, TrackedArray) or output.logits is None:
            raise ValueError(
                f"{layer.name}: the loss takes what comes before the last softmax or sigmoid, because call() ended in "
                f"one when the model was built, and now it does not: end it in the same layer whatever happens before"
            )
        return output.logits


def composition_of_call(
    layer: Any, input_shape: Any, options: dict[str, Any] | None = None, given: Sequence[Any] = ()
) -> Composition:
    """What a layer's `call` does for inputs of these shapes, found by running it.

    It runs for batches of two and of three, at inference: sizes that differ are None. An input is integers where a
    layer reads it so, or where `call` works with integers and not with floats. Where it works with neither, as it may
    where the first axes are not all those of one batch, it runs for what it is called with. Layers that only training
    calls are built by another run.

    options : what else `call` is given, by name. given : the arrays or symbols that it is called with, if known.
    """
    shapes, options = as_shapes(input_shape), options or {}
    weights = [name for name, value in vars(layer).items() if type(value) is Parameter]
    dtypes = [_kind_of_numbers(x) for x in given]
    as_given = False
    try:
        first, length = first_that_fits(shapes, lambda n: _try_out_with_integers(layer, shapes, n, options, dtypes))
    except (IndexError, TypeError, ValueError) as error:
        if not any(is_array(x) for x in given):
            raise
        try:
            first, length = _try_out(layer, [tuple(x.shape) for x in given], 0, 0, options, dtypes), 0
        except Exception:
            raise error from None
        as_given, layer.takes_integers = True, "int64" in dtypes
    known = None not in {n for shape in shapes for n in shape}
    second = first
    if not known and not as_given:
        second = beside(length, lambda length: _try_out(layer, shapes, 3, length, options, first.integers))
    if any(not one.built for one in layer.sublayers()) and layer.takes_training:
        with contextlib.suppress(Exception):  # training may need what is not there yet, such as an optimizer
            _try_out(layer, shapes, 2, length, options, first.integers, training=True)
    _check_kept_arrays(layer, weights)
    made = [common_sizes(one, other) for one, other in zip(first.shapes, second.shapes, strict=True)]
    if as_given:
        made = [(None, *shape[1:]) if shape else shape for shape in made]
    return _composition(layer, shapes, first, made)


class _Trial:
    """What was seen when a `call` was tried out."""

    def __init__(self, tape: Tape, inputs: list[Any], outputs: Any, integers: bool | list[str]) -> None:
        self.tape, self.inputs, self.outputs, self.integers = tape, inputs, outputs, integers
        self.shapes = [tuple(part.shape) for part in leaves(outputs)]


def _kind_of_numbers(x: Any) -> str:
    """What an array, or a symbol, is of when a `call` is tried out: "int64" or "float"."""
    return "int64" if "int" in str(getattr(x, "dtype", None)) else "float"


def _try_out_with_integers(
    layer: Any, shapes: list[Shape], length: int, options: dict[str, Any], dtypes: list[str]
) -> _Trial:
    """A trial with floats; else with integers where they are given, as `dtypes` says, else with integers alone."""
    refused: list[Exception] = []
    for integers in (False, dtypes if len(dtypes) == len(shapes) and "int64" in dtypes else None, True):
        if integers is None:
            continue
        try:
            trial = _try_out(layer, shapes, 2, length, options, integers)
        except Exception as error:
            if not refused and not isinstance(error, IndexError | TypeError | ValueError):
                raise
            refused.append(error)
            continue
        if integers:
            layer.takes_integers = True
        return trial
    raise refused[0]


def _try_out(
    layer: Any,
    shapes: Sequence[Shape],
    batch: int,
    length: int,
    options: dict[str, Any],
    integers: bool | list[str],
    training: bool = False,
) -> _Trial:
    place = layer.placement
    floating = layer.dtype or place.dtype
    if isinstance(integers, bool):
        dtypes = ["int64" if integers else floating] * len(shapes)
    else:
        dtypes = [floating if dtype == "float" else dtype for dtype in integers]
    tape = Tape(next_level(), watches_parameters=True, training=training, calls=[], losses=[])
    with backend(place.name, device=place.device, dtype=floating), np.errstate(all="ignore"):
        sizes = sizes_for(shapes, batch, length)
        inputs = []
        for size, dtype in zip(sizes, dtypes, strict=True):
            x = place.zeros(size, dtype)
            inputs.append(x if dtype == "int64" else track(kind_of(x), x + 1, tape, tape.watch()))
        with recording(tape), _states_kept(layer):
            given = tuple(inputs) if "arguments" in options else layer.arguments_of(inputs)
            outputs = layer.run_call(given, None, training, options)
    for part in leaves(outputs):
        if not hasattr(part, "dtype"):
            raise TypeError(
                f"{layer.name}: call() has to return an array, or a list, tuple or dict of arrays, got "
                f"{type(part).__name__}"
            )
    return _Trial(tape, inputs, outputs, integers)


@contextlib.contextmanager
def _states_kept(layer: Any) -> Iterator[None]:
    """The time in which what layers remember may change, their streams and metrics too; then it is as before."""
    before = [(p, array_namespace(p.value).asarray(p.value, copy=True)) for p in layer.non_trainable_weights]
    kept = {id(value): value for _, one in layer.walk() for value in contents(vars(one))}
    streams = [(one, one.state()) for one in kept.values() if isinstance(one, Generator)]
    metrics = [(one, _running_of(one)) for one in kept.values() if hasattr(one, "update_state")]
    try:
        yield
    finally:
        for parameter, value in before:
            parameter.value[...] = value
        for generator, state in streams:
            generator.set_state(state)
        for metric, running in metrics:
            if running is None:
                metric.reset_state()
            else:
                metric.set_state(running)


def _running_of(metric: Any) -> Any:
    """What a metric has seen; None for one of somebody's own that does not say it."""
    try:
        return metric.state()
    except TypeError:
        return None


def _composition(layer: Any, shapes: list[Shape], trial: _Trial, made: list[Shape]) -> Composition:
    inside = list(layer.sublayers())
    _check_made_layers(layer, trial, inside)
    name_layers(inside, layer.name, unique=False)  # attributes tell them apart, as in Keras
    symbols = [Symbol(shape) for shape in shapes]
    places = [_place(x, trial.tape) for x in trial.inputs]
    sources: dict[Any, list[Symbol]] = {place: [symbol] for place, symbol in zip(places, symbols, strict=True)}
    nodes: list[Node] = []
    readers: list[list[tuple[Any, int]]] = [[] for _ in symbols]
    calls = [call for call in trial.tape.calls or () if call[0] in inside]
    by_place: dict[Any, list[Any]] = {}
    for call in calls:
        for position, part in enumerate(call[1]):
            for index, place in enumerate(places):
                if _place(part, trial.tape) == place:
                    readers[index].append((call[0], position))
        for part in call[2]:
            if _place(part, trial.tape) not in map(functools.partial(_place, tape=trial.tape), call[1]):
                by_place.setdefault(_place(part, trial.tape), call)
    done: dict[int, Node] = {}

    def node_of(call: Any) -> Node:
        if id(call) not in done:
            reads = [
                Symbol(_with_batch(_shape_then(part)), source.node, source.index) if source.node else source
                for part in call[1]
                for source in sources.get(_place(part, trial.tape), [])
            ]
            done[id(call)] = node = Node(
                call[0], tuple(reads), {}, [_with_batch(_shape_then(part)) for part in call[2]]
            )
            nodes.append(node)
            call[0].remember_call(node)
        return done[id(call)]

    for place, entry in enumerate(trial.tape.entries):
        if place in by_place:
            call = by_place[place]
            index = [_place(part, trial.tape) for part in call[2]].index(place)
            sources[place] = [node_of(call).outputs[index]]
        elif entry is not None:
            found: dict[Any, Symbol] = {}
            for below in _sources_of(entry):
                found.update({symbol.key: symbol for symbol in sources.get(below, ())})
            sources[place] = list(found.values())
    outputs: list[Symbol] = []
    makers: list[Any] = []
    behind: list[list[Symbol]] = []
    for part, shape in zip(leaves(trial.outputs), made, strict=True):
        own = sources.get(_place(part, trial.tape), [])
        made_by = _place(part, trial.tape) in by_place
        outputs.append(Symbol(shape, own[0].node, own[0].index) if made_by else Symbol(shape))
        makers.append(part.maker if isinstance(part, TrackedArray) and made_by else None)
        behind.append(own)
    program = CallProgram(layer, nodes, makers, behind)
    program.note_readers(readers)
    program.is_chain = _is_chain(nodes)
    _warn_of_unused_weights(layer, trial)
    return Composition(
        _structure(layer.arguments_of(symbols)), rebuild(trial.outputs, outputs), layer.name, program=program
    )


def _structure(arguments: tuple[Any, ...]) -> Any:
    return arguments[0] if len(arguments) == 1 else list(arguments)


def _with_batch(shape: Sequence[int]) -> Shape:
    return (None, *shape[1:])


def _shape_then(part: Any) -> Sequence[int]:
    """The shape of an array at a call, also where an operator such as += has changed it since."""
    lost = getattr(part, "lost", None)
    return (part if lost is None else lost[1]).shape  # type: ignore[no-any-return]


def _place(part: Any, tape: Tape) -> Any:
    """Where an array is recorded; for one that is not, which it is."""
    return part.index if isinstance(part, TrackedArray) and part.tape is tape else ("plain", id(part))


def _sources_of(entry: Any) -> list[int]:
    first, second = entry[:2]
    return [index for index in (second if first is None else (first, second)) if index is not None]


def _is_chain(nodes: Sequence[Node]) -> bool:
    before: Any = None
    for node in nodes:
        if before is not None and [symbol.node for symbol in node.inputs] != [before]:
            return False
        before = node
    return len({node.layer for node in nodes}) == len(nodes)


def _check_kept_arrays(layer: Any, weights: Sequence[str]) -> None:
    """TypeError for a tracked array in an attribute, which belongs to one batch, and for one in place of a weight.

    weights : the attributes that were weights before.
    """
    for name, value in vars(layer).items():
        if isinstance(value, TrackedArray) or (name in weights and is_array(value)):
            raise TypeError(
                f"{layer.name}: call() keeps an array of the batch in self.{name}, where the next batch would find it: "
                f"a weight is changed by self.{name}.assign(...), anything else is kept as nnx.stop_gradient(...)"
            )


def _check_made_layers(layer: Any, trial: _Trial, inside: list[Any]) -> None:
    """TypeError for a layer with weights that nobody keeps: every batch would be computed by a new one."""
    known = {one for kept in inside for _, one in kept.walk()}
    for one, _, _ in trial.tape.calls or ():
        if one.own_weights and one not in known and one is not layer:
            raise TypeError(
                f"{layer.name}: call() uses {one.name}, a {type(one).__name__} with weights that is no attribute of "
                f"{layer.name}, so each batch would make a new one: make it in __init__ or build, as in "
                f"self.{one.name} = {type(one).__name__}(...)"
            )


def _warn_of_unused_weights(layer: Any, trial: _Trial) -> None:
    if hasattr(layer, "overrides") and layer.overrides("train_step", "compute_loss"):  # which may use them
        return
    if layer in trial.tape.layers:  # by the code of its base
        return
    used = trial.tape.leaves
    unused = [p.name for p in layer.own_weights if p.trainable and id(p) not in used]
    if unused:
        warn_user(
            f"{layer.name}: the output of call() does not depend on its weight {', '.join(unused)}, which will not be "
            f"trained; in call() a weight stands for itself, as in x * self.{unused[0]}, without .value"
        )


def arguments_of(layer: Any, values: Sequence[Any]) -> tuple[Any, ...]:
    """Values as arguments of a `call`: nested as in the layer's first call; a list for one argument, or for many."""
    structure = layer.input_structure
    arguments: Any = (list(values) if len(values) > 1 else values[0],)
    if structure is not None and len(leaves(structure)) == len(values):
        arguments = rebuild(structure, values)
    if len(arguments) == 1 and isinstance(arguments[0], list | tuple) and _takes_several(type(layer)):  # type: ignore[arg-type]
        return tuple(arguments[0])
    return tuple(arguments)


@functools.cache
def _takes_several(cls: Any) -> bool:
    parameters = [p for n, p in inspect.signature(cls.call).parameters.items() if n not in ("self", "training", "mask")]
    required = [p for p in parameters if p.default is p.empty and p.kind is p.POSITIONAL_OR_KEYWORD]
    return len(required) > 1 or any(p.kind is p.VAR_POSITIONAL for p in parameters)
