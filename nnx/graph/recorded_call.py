"""Calls of layers while a tape is open: in a `call`, in a step of training, in a gradient."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

from nnx.autodiff.array import TrackedArray, bared, constant, lower, recorded, track
from nnx.autodiff.namespace import is_floating, kind_of
from nnx.autodiff.record import below, leaf
from nnx.autodiff.structures import record_several
from nnx.autodiff.tape import CONSTANT, Tape, open_tapes
from nnx.backends import get_backend, is_array, placement_of
from nnx.graph.layer_protocol import reads_integers
from nnx.graph.program import as_masks
from nnx.graph.symbol import Symbol
from nnx.parameters import Parameter
from nnx.pullbacks import LayerPullback, Skippable, call_pullback
from nnx.structure import leaves, rebuild
from nnx.text.values import is_texts

_FUSIBLE = ("softmax", "sigmoid")


def call_on_tapes(layer: Any, inputs: tuple[Any, ...], training: Any, options: dict[str, Any]) -> Any:
    """The layer's value for arrays, tracked ones among them.

    A layer is one entry of the tape, made by its kernels, and sends the cotangents of its parameters to them. One that
    is written as `call` is run, so that what it computes is recorded; so is every layer that several tapes watch, or
    one inside of another, which may watch its cotangents, and one with penalties on outputs, which are recorded apart
    from the output. Of a model of which an output is computed from another one each call is an entry, so that the one
    has a gradient by the other.
    """
    tapes = open_tapes()
    if not tapes or not tapes[-1].keeps_losses or tapes[-1].in_layer:
        return _called(layer, inputs, training, options, tapes)
    _forget_losses(layer)
    tapes[-1].in_layer = True
    try:
        return _called(layer, inputs, training, options, tapes)
    finally:
        tapes[-1].in_layer = False


def keeping_losses(layer: Any) -> contextlib.AbstractContextManager[None]:
    """Block around a call without tapes: what the layers inside add to the loss is kept as their `call_losses`."""
    penalised = _forget_losses(layer)
    return _collected(penalised) if penalised else contextlib.nullcontext()


def _forget_losses(layer: Any) -> list[Any]:
    """The layers that may add to the loss, which have forgotten what they added in the last call."""
    penalised = _penalised(layer)
    for one in penalised:
        one.call_losses = ()
    return penalised


def _penalised(layer: Any) -> list[Any]:
    """The layers that may add to the loss: this one, and those inside it."""
    found = [layer] if layer.is_eager or layer.activity_regularizer is not None else []
    for inner in layer.sublayers():
        found += _penalised(inner)
    return found


@contextlib.contextmanager
def _collected(penalised: list[Any]) -> Iterator[None]:
    """The time in which penalties are collected, to be kept by the layers that have them."""
    for one in penalised:
        one.activity_penalties = []
    try:
        yield
    finally:
        for one in dict.fromkeys(penalised):
            one.call_losses, one.activity_penalties = (*one.call_losses, *one.activity_penalties), None


def _called(
    layer: Any, inputs: tuple[Any, ...], training: Any, options: dict[str, Any], tapes: tuple[Tape, ...]
) -> Any:
    if training is None:
        training = next((tape.training for tape in reversed(tapes) if tape.training is not None), None)
    parts = leaves(inputs)
    _build(layer, inputs, parts, tapes)
    mask = options.pop("mask", None)
    if mask is None:
        mask = _mask_of(parts)
    elif layer.is_eager and len(inputs) > 1:
        options["mask"] = mask
    given = parts
    with layer.placement.computing:
        if layer.is_eager:
            inputs = rebuild(inputs, [_of_its_own(part) for part in _among_tracked(layer, parts, tapes)])
            y = layer.run_call(inputs, mask, training, options)
            _note(layer, given, y, tapes)
            return y
        penalised = _penalised(layer) if tapes and tapes[-1].losses is None else []
        y = _with_masks(*_computed(layer, layer.in_order(inputs), mask, training, options, tapes, penalised))
    _note(layer, given, y, tapes)
    return y


def _computed(
    layer: Any,
    parts: list[Any],
    mask: Any,
    training: Any,
    options: dict[str, Any],
    tapes: tuple[Tape, ...],
    penalised: list[Any],
) -> tuple[Any, Any]:
    """What the layer's own code returns, recorded on the tapes that are involved, and its masks."""
    options["training"] = None if training is None else bool(training)
    parts = _admitted(layer, [bared(part) for part in parts], options, tapes)
    if mask is not None:
        mask = layer.read_mask([lower(part) for part in parts], _plain(mask))
    weights = layer.weights
    watching = [tape for tape in tapes if tape.watches_parameters] if weights else []
    involved = {tape for part in parts for tape in _tapes_of(part)}.union(watching)
    if len(involved) > 1 or (penalised and involved) or any(tape.is_inside() for tape in involved):
        with _collected(penalised if tapes and tapes[-1].keeps_losses else []):
            return _run_tracked(layer, parts, mask, options, weights)
    if involved and layer.connects_outputs:
        return _run_by_calls(layer, parts, mask, options["training"], tapes)
    return _record(layer, parts, mask, options, next(iter(involved), None), bool(weights))


def _with_masks(y: Any, masks: Any) -> Any:
    """What a layer has computed, its tracked arrays with the masks that they carry."""
    for part, mask in zip(leaves(y), masks if isinstance(masks, list | tuple) else [masks], strict=False):
        if isinstance(part, TrackedArray):
            part.mask = mask
    return y


def _run_by_calls(
    layer: Any, parts: list[Any], mask: Any, training: Any, tapes: tuple[Tape, ...]
) -> tuple[Any, list[Any]]:
    """The outputs of a model's graph, each call of which is recorded by itself, and their masks."""
    composition, kind = layer.composition, kind_of(next(part for part in parts if is_array(part)))
    keys = [symbol.key for symbol in leaves(composition.inputs)]
    values, masks = dict(zip(keys, parts, strict=True)), dict(zip(keys, as_masks(mask), strict=False))

    def value_of(part: Any) -> Any:
        if not isinstance(part, Symbol):
            return part
        return values[part.key] if part.parameter is None else leaf(part.parameter, kind)

    for node in composition.program.nodes:
        options = {"training": training, **node.options}
        for name, option in node.symbolic_options.items():
            options[name] = rebuild(option, [value_of(part) for part in leaves(option)])
        called, given = node.layer, [value_of(symbol) for symbol in node.inputs]
        own: Any = [masks.get(symbol.key) for symbol in node.inputs]
        own = own[0] if len(own) == 1 else own if any(one is not None for one in own) else None
        if "mask" in options:
            own = options["mask"] if called.is_eager and len(given) > 1 else options.pop("mask")
        during = options.pop("training")
        with called.placement.computing:
            if called.is_eager:
                y = called.run_call(tuple(map(_of_its_own, given)), own, during, options)
                made = [part.mask if isinstance(part, TrackedArray) else None for part in leaves(y)]
            else:
                y, made = _computed(called, given, own, during, options, tapes, [])
        for symbol, part in zip(node.outputs, leaves(y), strict=True):
            values[symbol.key] = part
        masks.update(zip((symbol.key for symbol in node.outputs), as_masks(made), strict=False))
    outputs = [symbol.key for symbol in leaves(composition.outputs)]
    return rebuild(composition.output_structure, [values[key] for key in outputs]), [masks.get(key) for key in outputs]


def _among_tracked(layer: Any, parts: list[Any], tapes: tuple[Tape, ...]) -> list[Any]:
    """The inputs of a layer whose parameters are tracked: constants, where the library's arrays refuse others."""
    if not any(tape.watches_parameters for tape in tapes) or not layer.weights:
        return parts
    kind = next((kind_of(part) for part in parts if is_array(part)), None)
    return parts if kind is None or not kind.xp.refuses_others else [constant(part, kind) for part in parts]


class _Base:
    """A layer that computes as its base does, by that `forward`, and not by the `call` of its own class."""

    is_eager = False
    fusible_activation = None

    def __init__(self, layer: Any, forward: Any) -> None:
        self._layer, self._forward = layer, forward

    def __getattr__(self, name: str) -> Any:
        return getattr(self._layer, name)

    def __hash__(self) -> int:
        return hash(self._layer)

    def __eq__(self, other: object) -> bool:
        return other is self or other is self._layer

    def run(self, *inputs: Any, **options: Any) -> Any:
        return self._forward(self._layer, *inputs, **options)

    def run_masked(self, arrays: list[Any], mask: Any, **options: Any) -> Any:
        if mask is not None and self._layer.uses_mask:
            options.setdefault("mask", mask)
        y, pullback = self.run(*arrays, **options)
        return y, self._layer.compute_mask(arrays[0] if len(arrays) == 1 else arrays, mask), pullback


def call_of_base(layer: Any, forward: Any, inputs: tuple[Any, ...], options: dict[str, Any]) -> Any:
    """What `super().call(x)` returns in the `call` of a class whose base has a `forward`, which this is."""
    tapes, parts = open_tapes(), leaves(inputs)
    options = dict(options)
    training, mask = options.pop("training", None), options.pop("mask", None)
    if training is None:
        training = next((tape.training for tape in reversed(tapes) if tape.training is not None), None)
    if mask is None:
        mask = _mask_of(parts)
    with layer.placement.computing:
        return _with_masks(*_computed(_Base(layer, forward), parts, mask, training, options, tapes, []))


def _of_its_own(part: Any) -> Any:
    """The same tracked array as another object: what a `call` writes into its arguments is no write into this one."""
    if not isinstance(part, TrackedArray):
        return part
    own = track(type(part), part.value, part.tape, part.index)
    own.mask = part.mask
    own.__dict__.update(part.__dict__)
    return own


def _build(layer: Any, inputs: tuple[Any, ...], parts: list[Any], tapes: tuple[Tape, ...]) -> None:
    """Build the layer if need be: where a `call` is tried out, or somebody's own loop first calls it."""
    if not layer.needs_build:
        return
    was_built = layer.built
    first = lower(next(part for part in parts if hasattr(part, "dtype")))
    layer.build_for_first_call(
        placement_of(first, layer.dtype or get_backend().dtype), inputs, [(None, *x.shape[1:]) for x in parts]
    )
    if not was_built and layer.weights and tapes and tapes[-1].training is not None and tapes[-1].calls is None:
        layer.forget_build([])
        raise RuntimeError(
            f"{layer.name} is called for the first time after the layer that uses it was built, so that nobody knows "
            f"its weights: make it in the constructor, kept in an attribute (or a list or dict of layers), and call "
            f"{layer.name}.build(input_shape) in build() if call() does not always call it"
        )


def _plain(mask: Any) -> Any:
    return rebuild(mask, [lower(part) for part in leaves(mask)]) if isinstance(mask, list | tuple) else lower(mask)


def _mask_of(parts: Sequence[Any]) -> Any:
    """The masks that the inputs carry; None where there is none."""
    masks = [part.mask if isinstance(part, TrackedArray) else None for part in parts]
    if all(mask is None for mask in masks):
        return None
    return masks[0] if len(masks) == 1 else masks


def _tapes_of(part: Any) -> list[Tape]:
    """The tapes, of all levels, on which an array is recorded."""
    found = []
    while isinstance(part, TrackedArray):
        if part.tape.level != CONSTANT:
            found.append(part.tape)
        part = part.value
    return found


def _admitted(layer: Any, parts: Sequence[Any], options: dict[str, Any], tapes: tuple[Tape, ...]) -> list[Any]:
    """The inputs in the layer's dtype; checked as those of any call where a `call` is tried out."""
    placement = layer.placement
    if (not tapes or tapes[-1].calls is not None) and not all(isinstance(part, TrackedArray) for part in parts):
        parts = [part if part is None or is_array(part) else placement.asarray(part) for part in parts]
    if not tapes or tapes[-1].calls is not None or tapes[-1].training is None:
        layer.require_here(*map(lower, parts))
        shapes = layer.shapes_of(parts)
        layer.compute_output_shape(shapes[0] if len(shapes) == 1 else shapes)
    dtype = layer.dtype or placement.dtype
    whole = [reads_integers(layer, index, options) for index in range(len(parts))]
    return [_in_dtype(layer, integers, part, dtype, tapes) for integers, part in zip(whole, parts, strict=True)]


def _in_dtype(layer: Any, integers: bool, part: Any, dtype: str, tapes: tuple[Tape, ...]) -> Any:
    if part is None or is_texts(part):
        return lower(part)
    floating = is_floating(part)
    if integers:
        if floating and tapes and tapes[-1].calls is not None:  # a `call` is tried out with zeros
            return layer.placement.asarray(lower(part) * 0.0, "int64")
        return lower(part)
    if str(part.dtype).rpartition(".")[2] == dtype:
        return part
    xp = kind_of(part).xp
    return xp.astype(part, getattr(xp, dtype))


def _record(
    layer: Any, parts: list[Any], mask: Any, options: dict[str, Any], tape: Tape | None, has_weights: bool
) -> tuple[Any, Any]:
    """The layer as one entry of the only tape that is involved: (y, mask)."""
    values = below(parts, tape) if tape else [lower(part) for part in parts]
    activated = tape is not None and tape.wants_logits and getattr(layer, "fusible_activation", None) in _FUSIBLE
    if activated:
        options["logits"] = True
    made = None
    if mask is not None or layer.makes_mask:
        y, made, pullback = layer.run_masked(values, mask, **options)
    elif activated:
        y, pullback = layer.preactivation(*values, training=options["training"])
    else:
        y, pullback = layer.run(*values, **options)
    if tape is None:
        return y, made
    if has_weights and not isinstance(pullback, LayerPullback | Skippable):
        pullback = _sending(pullback)
    tape.layers[layer] = None
    kind = next((type(part) for part in parts if isinstance(part, TrackedArray)), None) or kind_of(leaves(y)[0])
    indices = tuple(part.index if isinstance(part, TrackedArray) and part.tape is tape else None for part in parts)
    if isinstance(y, list | tuple | dict):
        several = record_several(tape, kind, leaves(y), indices, _of_leaves(pullback, y))
        return rebuild(y, several), made
    tracked = recorded(kind, y, tape, (None, indices, pullback, None))
    if activated:
        y, pullback = layer.activate(tracked.value)
        end = recorded(kind, y, tape, (None, (tracked.index,), pullback, None))
        end.logits = tracked
        return end, made
    return tracked, made


def _sending(pullback: Any) -> Skippable:
    """A pullback of somebody's own, which may send to parameters even where nobody wants the inputs' cotangents."""
    return Skippable(lambda dy, inputs: call_pullback(pullback, dy, inputs))


def _of_leaves(pullback: Any, y: Any) -> Any:
    """The pullback of a list of cotangents, from that of their structure."""
    if isinstance(pullback, LayerPullback | Skippable):
        return Skippable(lambda dys, inputs: pullback(rebuild(y, dys), inputs=inputs))
    return lambda dys: pullback(rebuild(y, dys))


def _run_tracked(
    layer: Any, parts: list[Any], mask: Any, options: dict[str, Any], weights: list[Parameter]
) -> tuple[Any, Any]:
    """The layer's own code on tracked arrays, its parameters too, so that every tape records what it computes."""
    kind = next((type(part) for part in parts if isinstance(part, TrackedArray)), None) or kind_of(parts[0])
    parts = [constant(part, kind) for part in parts]
    made = None
    with _tracked_weights(weights, kind):
        if mask is not None or layer.makes_mask:
            y, made, _ = layer.run_masked(parts, constant(mask, kind), **options)
        else:
            y, _ = layer.run(*parts, **options)
    return y, None if made is None else _plain(made)


@contextlib.contextmanager
def _tracked_weights(weights: list[Parameter], kind: type[TrackedArray]) -> Iterator[None]:
    """The time in which the values of a layer's parameters are tracked. States that are written then are kept."""
    before = [(parameter, parameter.value) for parameter in weights]
    tracked = [constant(leaf(parameter, kind), kind) for parameter in weights]
    for parameter, value in zip(weights, tracked, strict=True):
        parameter.memory = value
    try:
        yield
    finally:
        changed = [
            (old, lower(parameter.value))
            for parameter, old in before
            if not parameter.trainable and lower(parameter.value) is not lower(old)
        ]
        for parameter, old in before:
            parameter.memory = old
        for old, new in changed:
            lower(old)[...] = new


def _note(layer: Any, parts: Sequence[Any], y: Any, tapes: tuple[Tape, ...]) -> None:
    """Say which layer made the arrays; and where a `call` is tried out, what it was called on."""
    made = leaves(y)
    for part in made:
        if isinstance(part, TrackedArray):
            part.maker = layer
    if tapes and tapes[-1].calls is not None:
        tapes[-1].calls.append((layer, list(parts), made))
