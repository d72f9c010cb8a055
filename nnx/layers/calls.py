"""How layers are called: on arrays, which gives a value, or on symbols, which describes a graph."""

from __future__ import annotations

import functools
import inspect
import weakref
from typing import TYPE_CHECKING, Any

from nnx.backends import Array, Placement, get_backend, is_array, placement_of
from nnx.functional import Pullback
from nnx.graph.flags import MASK, TRAINING
from nnx.graph.symbol import Node, Symbol
from nnx.layers.weights import HasWeights
from nnx.shapes import as_shapes, is_shape
from nnx.structure import leaves, leaves_like, rebuild

if TYPE_CHECKING:
    from collections.abc import Callable

    from nnx.graph.composition import Composition


class IsCalled(HasWeights):
    """The part of a layer that takes what it is called on apart, and hands it to `run` or to a graph."""

    takes_integers: bool
    shape_options: tuple[str, ...]
    build_on: Callable[[Placement, Any], None]
    run: Callable[..., tuple[Any, Pullback]]
    run_masked: Callable[..., tuple[Any, Any, Pullback]]
    compute_output_shape: Callable[..., Any]

    def __init__(self) -> None:
        super().__init__()
        self.input_structure: Any = None  # of the arguments of the first call, with numbers in place of arrays
        self._first_call: weakref.ref[Node] | None = None
        self._composition: Composition | None = None  # of a layer that is written as `call`, and of a model

    def __call__(self, *inputs: Any, training: Any = None, **options: Any) -> Any:
        """The layer's value for arrays; or for symbols, as `Input` makes them, that of a graph.

        Several inputs are several arguments, a list, or a dict where the layer has names for them. Builds the layer on
        the first call, beside its input; lists of numbers are converted. Without `training` layers do what they do at
        inference, except for those that augment images: as in Keras, these do that unless it is False.
        """
        if options:
            inputs, options = self.arrange(inputs, options)
            self._check_options(options)
        parts = leaves(inputs)
        if any(isinstance(part, Symbol) for part in parts):
            return self._describe(inputs, training, options)
        if not is_value(inputs):
            if not parts:
                raise TypeError(f"{self.name} was called without an input")
            home = self.placement if self.built else get_backend()
            inputs = tuple(_read(x, home) for x in inputs)
            parts = leaves(inputs)
            if not all(x.shape for x in parts):
                raise ValueError(f"{self.name}: expected an array whose first axis is the batch, got a single number")
        if not self.built:
            place = placement_of(parts[0], self.dtype or get_backend().dtype)
            self.build_for_first_call(place, inputs, [(None, *x.shape[1:]) for x in parts])
        mask = options.pop("mask", None)
        training = None if training is None else bool(training)
        with self.placement.computing:
            arrays = self.admit(*(parts if self._composition is None else self.in_order(inputs)))
            if mask is None:
                return self.run(*arrays, training=training, **options)[0]
            return self.run_masked(arrays, mask, training=training, **options)[0]

    def build_for_first_call(self, placement: Placement, inputs: tuple[Any, ...], shapes: list[Any]) -> None:
        """Build the layer in that place for arguments nested like these, of these shapes."""
        self.input_structure = rebuild(inputs, range(len(shapes)))
        self.build_on(placement, shapes[0] if len(shapes) == 1 else shapes)

    @property
    def composition(self) -> Composition | None:
        """The graph of a layer that is made of others, as a model is, once it is built."""
        return self._composition

    def arrange(self, inputs: tuple[Any, ...], options: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Bring inputs that were given by keyword into the positions in which `forward` or `call` expects them."""
        options = dict(options)
        for name in _signature(type(self))[0][len(inputs) :]:  # type: ignore[arg-type]
            if not is_value(options.get(name)):
                break
            inputs = (*inputs, options.pop(name))
        return inputs, options

    def in_order(self, inputs: tuple[Any, ...]) -> list[Any]:
        """The arguments of a call as one list, in the order of the layer's graph if it has one; dicts by their keys."""
        if self._composition is None:
            return leaves(inputs)
        given = inputs[0] if len(inputs) == 1 else list(inputs)
        return leaves_like(self._composition.inputs, given, f"the input of {self.name}")

    def _check_options(self, options: dict[str, Any]) -> None:
        """TypeError for options that the layer does not take, now, and not when a graph is run."""
        positional, known, composes = _signature(type(self))  # type: ignore[arg-type]
        for name in options:
            if name in known or "*" in known or name == "mask":
                continue
            if composes and name in positional:
                raise TypeError(
                    f"{self.name}: call() is traced once, so {name!r} cannot have a value of its own in every call: an "
                    f"array is given right after those before it, anything else to the constructor"
                )
            raise TypeError(f"{self.name} takes no {name!r} when it is called; it takes {_listing(positional, known)}")

    def _describe(self, inputs: tuple[Any, ...], training: Any, options: dict[str, Any]) -> Any:
        """A call on symbols: a new node of a graph. Returns its symbol, or the structure of them."""
        for symbol in leaves(inputs):
            if not isinstance(symbol, Symbol):
                raise TypeError(
                    f"{self.name} was called on symbolic values and on {type(symbol).__name__} at once: arrays go "
                    f"into a graph through Input() or a layer's parameters"
                )
        if training is not None and training is not TRAINING:
            options = {**options, "training": bool(training)}
        if options.get("mask") is None or options["mask"] is MASK:  # masks travel by themselves
            options = {name: value for name, value in options.items() if name != "mask"}
        if not self.built:
            self.build_for_first_call(get_backend(), inputs, [symbol.shape for symbol in leaves(inputs)])
        symbols = self.in_order(inputs)
        shapes = [symbol.shape for symbol in symbols]
        asked = {name: options[name] for name in self.shape_options if name in options}
        made = self.compute_output_shape(shapes[0] if len(shapes) == 1 else shapes, **asked)
        node = Node(self, tuple(symbols), options, as_shapes(made))  # type: ignore[arg-type]
        self.remember_call(node)
        if self._composition is not None:
            return rebuild(self._composition.outputs, node.outputs)
        return node.outputs[0] if is_shape(made) else list(node.outputs)

    def remember_call(self, node: Node) -> None:
        """Take a call in a graph as the first one, unless there is one."""
        if self._first_call is None or self._first_call() is None:
            self._first_call = weakref.ref(node)

    @property
    def output(self) -> Any:
        """What the layer's first call in a graph returned: the symbol, or a list of symbols."""
        outputs = self._call_in_graph().outputs
        return outputs[0] if len(outputs) == 1 else list(outputs)

    @property
    def input(self) -> Any:
        """What the layer was called on, the first time in a graph: the symbol, or a list of symbols."""
        inputs = self._call_in_graph().inputs
        return inputs[0] if len(inputs) == 1 else list(inputs)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_first_call": None}  # a copy of a layer is not called in that graph

    def _call_in_graph(self) -> Node:
        node = self._first_call() if self._first_call else None
        if node is None:
            raise AttributeError(f"{self.name} has no symbolic input and output: it is not part of a graph of layers")
        return node

    def admit(self, *inputs: Array) -> list[Array]:
        """Inputs in the layer's dtype; ValueError for those on another device or of a shape that it cannot take."""
        for x in inputs:
            if not self.placement.holds(x):
                raise ValueError(
                    f"{self.name} is on {self.placement}, its input is not: bring the input there with nnx.asarray, or "
                    f"move the model with model.to(...)"
                )
        shapes = [tuple(x.shape) for x in inputs]
        self.compute_output_shape(shapes[0] if len(shapes) == 1 else shapes)
        if self.takes_integers:
            return list(inputs)
        dtype = self.dtype or self.placement.dtype
        return [
            self.placement.asarray(x, None if self.reads_integers(index) else dtype) for index, x in enumerate(inputs)
        ]

    def reads_integers(self, index: int) -> bool:
        """Whether integers stay what they are in an input: the layer takes them, or one inside that reads them does."""
        inside = self._composition
        readers = (self,) if inside is None else inside.program.readers(index)
        return any(reader.takes_integers for reader in readers)


@functools.cache
def _signature(cls: type[Any]) -> tuple[tuple[str, ...], frozenset[str], bool]:
    """The positional arguments of a layer's `call` or `forward`, its options, and whether it is written as `call`.

    Of a `forward(..., **options)` the options are "*", for any.
    """
    composes = hasattr(cls, "call")
    parameters = list(inspect.signature(cls.call if composes else cls.forward).parameters.values())[1:]
    named = [p for p in parameters if p.name not in ("training", "mask")]
    positional = [p.name for p in named if p.kind is p.POSITIONAL_OR_KEYWORD]
    options = [] if composes else [p.name for p in named if p.kind is p.KEYWORD_ONLY]
    anything = [] if composes else ["*" for p in named if p.kind is p.VAR_KEYWORD]
    return tuple(positional), frozenset([*options, *anything]), composes


def _listing(positional: tuple[str, ...], options: frozenset[str]) -> str:
    return ", ".join([*(positional or ("its inputs",)), "training", *sorted(options)])


def is_value(given: Any) -> bool:
    """Whether an argument is an array, a symbol, or a list or dict of them."""
    parts = leaves(given)
    return len(parts) > 0 and all(isinstance(x, Symbol) or (is_array(x) and x.shape != ()) for x in parts)


def _read(given: Any, home: Placement) -> Any:
    """An input with arrays in place of lists of numbers; a list of arrays is several inputs."""
    if isinstance(given, dict):
        return {key: _read(part, home) for key, part in given.items()}
    if is_array(given) or (isinstance(given, list | tuple) and is_value(given)):
        return given
    return home.asarray(given)
