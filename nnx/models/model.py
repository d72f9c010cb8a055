"""Models: graphs of layers, or subclasses with `call`, that have a trainer."""

from __future__ import annotations

import contextlib
import inspect
import itertools
import json
import math
import weakref
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Any, Self, cast

import numpy as np

from nnx import debug, saving
from nnx.arguments import with_hints
from nnx.autodiff.gradient_tape import GradientTape
from nnx.autodiff.tape import open_tapes
from nnx.autodiff.transforms import stop_gradient
from nnx.backends import Array, array_namespace, backend, get_backend, is_array
from nnx.callbacks import History
from nnx.graph.composition import Composition, keys_of_symbols
from nnx.graph.symbol import Node, Symbol
from nnx.layers.activation import Activated
from nnx.layers.building import undone_if_it_fails
from nnx.layers.input import InputLayer, input_layer_of
from nnx.layers.input_values import is_value
from nnx.layers.layer import Layer, held_layers, registry
from nnx.lazy_loading import attribute_of
from nnx.metrics import Mean, Metric
from nnx.metrics.variable import value_of
from nnx.models.configuration import argument_from_config, graph_config, graph_from_config, losses_from_config
from nnx.models.summary import (
    SummaryRow,
    print_summary,
    rows_of_graph,
    rows_of_stack,
    summary_html,
    totals_of,
)
from nnx.names import name_layers, names_apart, numbered
from nnx.optimizers import Optimizer
from nnx.parameters import FlatParameters, Freezing, Parameter
from nnx.precision import wide
from nnx.pullbacks import Pullback, Skippable, call_pullback
from nnx.registry import constructor_config, serialize
from nnx.shapes import Shape, as_shapes, check_shapes, fit_axes
from nnx.structure import contents, leaves, rebuild
from nnx.training.objective import Objective
from nnx.training.ports import InputReading, Ports
from nnx.training.trainable import TrainableModel
from nnx.training.trainer import Trainer
from nnx.training.training_run import TrainingRun
from nnx.user_warnings import warn_user
from nnx.utils.step_data import unpack_x_y_sample_weight


class NotReadyError(AttributeError, ValueError):
    """Error of what a model has only once it is built, or compiled: `hasattr` says no.

    >>> from nnx.models import Sequential
    >>> hasattr(Sequential(), "input_shape")
    False
    """


@registry.register("Functional")
class Model(Layer):
    """A graph of layers, from symbolic inputs to symbolic outputs; or a subclass with `call`.

    inputs, outputs : what `Input` and layers called on it returned: one symbol, or lists and dicts of them. The inputs
        may also be values in the middle of another model's graph, and the outputs any values that depend on them: so a
        part of a model is a model, which shares its layers.
    name : "functional" by default for a graph; for a subclass the name of the class.
    trainable : whether its parameters are trained.

    optimizer, loss, history, stop_training, stop_evaluating, stop_predicting : as Keras names them. A callback sets one
        of the last three to True to end `fit`, `evaluate` or `predict` after the batch that is under way.
    objective : the losses and metrics that `compile` was given.
    random : the stream that shuffles come from; split from the default stream at `compile`.
    decided_at : the count of `Freezing` when it was last seen that `trainable` is as it was when that was decided.
    training_run : what `fit` is doing, for callbacks; None at other times. trainer : what trains the model.

    >>> from nnx.layers import Dense, Input, add
    >>> x = Input(shape=(8,))
    >>> hidden = Dense(8, activation="relu")(x)
    >>> model = Model(x, Dense(1)(add([x, hidden])))
    >>> model.count_params()
    81

    A subclass makes its layers in the constructor and uses them in `call`, ordinary array code:

    >>> class Residual(Model):
    ...     def __init__(self, units):
    ...         super().__init__()
    ...         self.units = units
    ...         self.hidden = Dense(units, activation="relu")
    ...     def call(self, x):
    ...         return x + self.hidden(x)
    >>> model = Residual(8)
    >>> model.build((None, 8))
    >>> model.count_params()
    72
    """

    uses_mask = True
    _computes_by_forward = False
    loss: Any = None

    def __init__(
        self, inputs: Any = None, outputs: Any = None, name: str | None = None, trainable: bool = True, **kwargs: Any
    ) -> None:
        super().__init__(name=name, trainable=trainable, **kwargs)
        is_graph = inputs is not None or outputs is not None
        if type(self) is Model and is_graph and name is None:
            self.name = "functional"
        self.optimizer: Optimizer | None = None
        self.objective: Objective | None = None
        self.compile_arguments: dict[str, Any] | None = None
        self.history: History | None = None
        self.stop_training = self.stop_evaluating = self.stop_predicting = False
        self.training_run: TrainingRun | None = None
        self.trainer = self._new_trainer()
        self.input_layers: list[InputLayer] = []
        self._flat: FlatParameters | None = None
        self._trained: list[Parameter] | None = None
        self._frozen_or_not: dict[Layer, bool] = {}  # `trainable` of the layers, when `_trained` was decided
        self._warned_of_freezing = False
        self.decided_at = -1
        self._ports: Ports | None = None
        self._mean_loss: Mean | None = None  # of `train_step` and `test_step`
        if is_graph:
            self._connect(inputs, outputs)

    def _new_trainer(self) -> Trainer:
        model: TrainableModel = self
        return Trainer(cast("Callable[[], TrainableModel]", weakref.ref(model)))

    def _connect(self, inputs: Any, outputs: Any) -> None:
        for what, structure in (("inputs", inputs), ("outputs", outputs)):
            for leaf in leaves(structure):
                if not isinstance(leaf, Symbol):
                    hint = "; call the layer on its input" if isinstance(leaf, Layer) else ""
                    given = f"an array of shape {tuple(leaf.shape)}" if is_array(leaf) else repr(leaf)
                    raise TypeError(
                        f"{self.name}: {what} must be what Input() and layers called on it return, got {given}{hint}"
                    )
        if hasattr(self, "call"):
            raise TypeError(f"{self.name} has inputs and outputs and a call() too: give it either of them")
        self._composition = Composition(inputs, outputs, self.name)
        if type(self) is Model:
            self.shown_as = "Functional"
        for symbol in leaves(inputs):
            self.input_layers.append(input_layer_of(symbol))
        name_layers(self.layers, self.name)
        placed = [layer for layer in self._composition.program.layers if layer.weights or layer.own_weights]
        self._placement = placed[0].placement if placed else get_backend()
        shapes = [symbol.shape for symbol in leaves(inputs)]
        super().build(shapes[0] if len(shapes) == 1 else shapes)
        self.tell_paths()

    def build(self, input_shape: Any = None) -> None:
        """Build the layers of a subclass for inputs of that shape, batch axis included, or of these shapes."""
        if input_shape is None:
            self.settle()
            if self.built:
                return
        with undone_if_it_fails(self):
            if self._composition is None:
                input_shape = check_shapes(input_shape, f"input_shape of {self.name}")
            self._try_call(input_shape)
            super().build(input_shape)
        self.tell_paths()

    def finish_build(self, input_shape: Any) -> None:
        Model.build(self, input_shape)

    # The graph

    def sublayers(self) -> Sequence[Layer]:
        """The layers inside; of a model that is neither a graph nor has a `call`, those that its attributes hold."""
        return held_layers(self) if self._composition is None else super().sublayers()

    def settle(self) -> None:
        """Of a model that only holds others: be where they are, and built once they all are."""
        inside = self.sublayers()
        if self._placement is None:
            built = next((layer for layer in inside if layer.built and layer.weights), None)
            self._placement = None if built is None else built.placement
        only_holds = self._composition is None and not hasattr(self, "call")
        if only_holds and not self.built and inside and all(layer.built for layer in inside):
            self.built = True
            self.named_weights()  # parameters learn their paths

    def _calls(self) -> list[Node]:
        """All calls of layers in the graph, those of the inputs first."""
        if self._composition is None:
            return []
        return [*(symbol.node for symbol in self.inputs if symbol.node), *self._composition.program.nodes]

    @property
    def layers(self) -> list[Layer]:
        """The layers, those of the inputs too, in Keras' order: see `nnx.graph.layer_order`."""
        if self._composition is None:
            return list(self.sublayers()) or [
                layer for layer in leaves([*vars(self).values()]) if isinstance(layer, Layer)
            ]
        listed = self._composition.program.listed
        return [*(layer for layer in self.input_layers if layer not in listed), *listed]

    @property
    def inputs(self) -> list[Symbol]:
        """The symbols that the graph begins with."""
        return leaves(self._graph().inputs)

    @property
    def outputs(self) -> list[Symbol]:
        """The symbols that the graph ends in."""
        return leaves(self._graph().outputs)

    @property
    def input(self) -> Any:
        """The input symbol, or the structure of them."""
        return self._graph().inputs

    @property
    def output(self) -> Any:
        """The output symbol, or the structure of them."""
        return self._graph().outputs

    def _graph(self) -> Composition:
        self.require_built("graph")
        composition = self.composition
        if composition is None:
            raise NotReadyError(
                f"{self.name} has neither a call() nor inputs and outputs, so nobody knows what it returns: define "
                f"call(self, x), or for evaluate and predict test_step and predict_step"
            )
        return composition

    def in_order(self, inputs: tuple[Any, ...]) -> list[Any]:
        composition = self._composition
        if composition is None or not isinstance(inputs[0], dict) or isinstance(composition.inputs, dict):
            return super().in_order(inputs)
        names, given = self.input_names or [], inputs[0]
        if set(given) != set(names):
            raise ValueError(
                f"the input of {self.name} is a dict of {sorted(map(str, given))}, expected {sorted(map(str, names))}"
            )
        return [given[name] for name in names]

    @property
    def input_names(self) -> list[str] | None:
        """The names of the inputs; None while they are not known."""
        if self._composition is None:
            return None
        names = {layer: name for name, layer in names_apart(self.layers)}
        layers = [names[layer] for layer in self.input_layers]
        return keys_of_symbols(self._composition.inputs) or layers or [f"input_{i}" for i in range(len(self.inputs))]

    @property
    def output_names(self) -> list[str] | None:
        """The names of the outputs; None while they are not known."""
        if self._composition is None:
            return None
        names = {layer: name for name, layer in names_apart(self.layers)}
        taken: list[str] = []
        for symbol in self.outputs:
            name = names.get(symbol.node.layer, symbol.node.layer.name) if symbol.node else "output"
            taken.append(numbered(name, taken))
        return keys_of_symbols(self._composition.outputs) or taken

    @property
    def input_shape(self) -> Any:
        """The shape of the input, or a list of those of several."""
        self.require_built("input_shape")
        if self.build_shape is None:  # a model that only holds others has no input of its own
            self._graph()
        return self.build_shape

    @property
    def output_shape(self) -> Any:
        """The shape of the output, or a list of those of several."""
        return self.compute_output_shape(self.input_shape)

    def compute_output_shape(self, input_shape: Any) -> Any:
        if not self.input_layers:
            return super().compute_output_shape(input_shape)
        shapes = self._fit_axes(as_shapes(input_shape))
        return super().compute_output_shape(shapes[0] if len(shapes) == 1 else shapes)

    def _fit_axes(self, shapes: list[Shape]) -> list[Shape]:
        """Shapes of inputs with a last axis of length one more or less, where a graph of layers expects them so."""
        known = self.build_shape
        if len(shapes) == 1 and isinstance(known, tuple) and len(known) == len(shapes[0]):
            return shapes  # as usual
        expected = as_shapes(known) if self.built and not hasattr(self, "call") else []
        return list(map(fit_axes, shapes, expected)) if len(expected) == len(shapes) else shapes

    @property
    def input_shapes(self) -> list[Shape]:
        """The shapes of the inputs, in their order."""
        return as_shapes(self.input_shape)

    def get_layer(self, name: str | None = None, index: int | None = None) -> Layer:
        """The layer of that name, or at that index."""
        if (name is None) == (index is None):
            raise ValueError("get_layer takes either a name or an index")
        if index is not None:
            if not -len(self.layers) <= index < len(self.layers):
                raise ValueError(f"{self.name} has {len(self.layers)} layers, there is none at index {index}")
            return self.layers[index]
        layers = dict(names_apart(self.layers))
        if name not in layers:
            raise ValueError(f"{self.name} has no layer {name!r}; it has {', '.join(layers)}")
        return layers[name]  # type: ignore[no-any-return]

    def named_sublayers(self) -> list[tuple[str, Layer]]:
        inside = set(self.sublayers())
        return [(name, layer) for name, layer in names_apart(self.layers) if layer in inside]

    def named_layers(self) -> dict[str, Layer]:
        """This model under "", and every layer inside it under its path, such as "encoder/dense_1"."""
        return dict(self.walk(""))

    def tell_paths(self) -> dict[Parameter, str]:
        """Tell the parameters their paths in this model, such as "dense_1/kernel"; a shared one has its first."""
        found: dict[Parameter, str] = {}
        for path, layer in self.named_layers().items():
            for parameter in layer.own_weights:
                found.setdefault(parameter, f"{path}/{parameter.name}".lstrip("/"))
        for parameter, path in found.items():
            parameter.path = path
        return found

    def named_weights(self) -> dict[str, Parameter]:
        """Every parameter under its path; ValueError for a path that two have."""
        found = self.tell_paths()
        named = {path: parameter for parameter, path in found.items()}
        if len(named) < len(found):
            twice = next(path for parameter, path in found.items() if named[path] is not parameter)
            raise ValueError(f"{self.name}: two weights have the path {twice!r}: give one of them another name")
        return named

    # Inputs and outputs

    @property
    def ports(self) -> Ports:
        """Inputs and outputs as training sees them, looked up once."""
        if self._ports is None:
            self._ports = Ports(
                self.input_names or ["x"],
                self.input_shapes,
                self.input_readings,
                self.output_names or ["y"],
                [index for index, layer in enumerate(self.input_layers) if layer.optional],
            )
        return self._ports

    @property
    def input_readings(self) -> list[InputReading]:
        """For each input, what it is converted to and which layers take integers from it."""
        readings = []
        program = self._graph().program
        for index, layer in itertools.zip_longest(range(len(self.inputs)), self.input_layers):
            dtype = layer.dtype if layer else None
            readings.append(InputReading.of(dtype, program.readers(index), program.feeds_integers(index)))
        return readings

    def check_given(self, inputs: Sequence[Any]) -> None:
        if self._composition is None:
            super().check_given(inputs)
        self.ports.check_given(inputs, self.name)

    def takes_none(self, index: int) -> bool:
        return self.is_eager or index in self.ports.optional

    def reads_integers(self, index: int) -> bool:
        return index in self.ports.kept

    def reads_on_host(self, index: int) -> bool:
        return self.ports.readings[index].on_host

    @property
    def input_template(self) -> Any:
        """How the inputs are nested in lists, tuples and dicts; None where that is not known."""
        return None if self._composition is None else self._composition.inputs

    @property
    def output_structure(self) -> Any:
        """The structure of the output: any leaf for one array, or a list, tuple or dict of leaves."""
        return self._graph().output_structure

    @property
    def keeps_rows_apart(self) -> bool:
        return super().keeps_rows_apart and not any(node.options.get("training") for node in self._calls())

    @property
    def widest_row(self) -> int | None:
        """How many numbers the largest of the values has that layers pass on, for one row; None where that is open."""
        widths: list[int | None] = [layer.widest_row for layer in self.sublayers() if isinstance(layer, Model)]
        for node in self._calls():
            for symbol in (*node.inputs, *node.outputs):
                sizes = [size for size in symbol.shape[1:] if size is not None]
                widths.append(math.prod(sizes) if len(sizes) == len(symbol.shape) - 1 > 0 else None)
        return None if None in widths else max([width for width in widths if width is not None], default=None)

    # Where the parameters are

    @property
    def flat(self) -> FlatParameters:
        """The buffer of trainable parameters and gradients; made, or made again, when something has changed."""
        trained = self.choose_trained() if self._trained is None else self._trained
        flat = self._flat
        if flat is None or not flat.whole or flat.parameters is not trained:
            self.tell_paths()  # another model may have told others
            flat = self._flat = FlatParameters(trained, self.placement)
        return flat

    def train_in(self, flat: FlatParameters) -> None:
        """Let the parameters of this buffer, which the model has, be those that are trained."""
        self._flat, self._trained, self.decided_at = flat, flat.parameters, Freezing.changes

    def choose_trained(self) -> list[Parameter]:
        """Decide which parameters are trained: those that are trainable now."""
        self.require_built("flat")
        trained = self.trainable_weights
        if self._flat is not None and self._flat.parameters == trained:
            trained = self._flat.parameters
        self._trained = trained
        self._frozen_or_not = {layer: layer.trainable for layer in self._layers_inside()}
        self.decided_at, self._warned_of_freezing = Freezing.changes, False
        return trained

    def _layers_inside(self) -> list[Layer]:
        """All layers inside, at any depth; without the model, which would keep itself alive."""
        return [layer for layer in _with_those_inside(self) if layer is not self]

    @contextlib.contextmanager
    def as_decided(self) -> Iterator[None]:
        """The time in which every layer is trainable or not as was decided, for those that look at it themselves."""
        differing = self._frozen_since()
        if not differing:
            self.decided_at = Freezing.changes
        for layer in differing:
            layer.restore_trainable(not layer.trainable)
        try:
            yield
        finally:
            for layer in differing:
                layer.restore_trainable(not layer.trainable)

    def _frozen_since(self) -> list[Layer]:
        """The layers that were frozen, or no longer are, since it was decided what is trained."""
        return [layer for layer, trainable in self._frozen_or_not.items() if layer.trainable != trainable]

    def _warn_of_freezing(self) -> None:
        """Warn, once, if `trainable` was set after `compile` where it makes a difference."""
        if self._trained is None or self.decided_at == Freezing.changes or self._warned_of_freezing:
            return
        differing = self._frozen_since()
        names = [path for path, layer in self.named_layers().items() if layer in differing and layer.own_weights]
        if names:
            self._warned_of_freezing = True
            warn_user(
                f"{self.name}: trainable of {', '.join(names)} was changed after compile, which decides what is "
                f"trained. It goes on as it was then; for the change to count, write {self.name}.compile(...) again "
                f"before fit"
            )

    def restore_trained(self, paths: list[str]) -> None:
        """Train the parameters of these paths, whatever is frozen now: what was decided when the model was compiled."""
        named = self.named_weights()
        if len(set(paths)) != len(paths) or not set(paths) <= set(named):
            raise ValueError(f"{self.name} cannot train {paths}; it has {', '.join(named)}")
        self._trained = [named[path] for path in paths]
        trained = set(self._trained)
        for layer in self._layers_inside():
            own = [parameter in trained for parameter in layer.own_weights if parameter.trainable]
            self._frozen_or_not[layer] = any(own) if own else layer.trainable
        self.decided_at = -1

    def to(self, name: str, *, device: str | None = None) -> Self:
        """Move the model to another backend or device, in place, with the running values of its metrics.

        Training goes on there as it would have here.

        >>> import nnx
        >>> model = nnx.Sequential([nnx.layers.Dense(1, input_dim=2)])
        >>> model.to("numpy").placement.name
        'numpy'
        """
        self.require_built("to")
        with backend(name, device=device, dtype=self.placement.dtype) as placement:
            for _, layer in self.walk():
                layer.move(placement)
        for metric in self.metrics:
            metric.move(self.placement)
        self._flat = None
        return self

    # Computation

    def _computes_by_call(self) -> bool:
        return type(self).forward is Model.forward

    def chain(
        self, arrays: Sequence[Array], *, training: bool, logits: Collection[int] = (), masks: Sequence[Any] = ()
    ) -> tuple[list[Array], list[Any], Pullback]:
        """The layers one after another, on lists of arrays.

        logits : the outputs that are taken before their last activation.

        Returns the outputs, their masks, and the pullback of a list of cotangents to that of the inputs, which
        `inputs=False` leaves out.
        """
        made: tuple[list[Array], list[Any], Pullback] = self._graph().program.run(
            arrays, training=training, logits=logits, masks=masks
        )
        return made

    @property
    def fusible_activations(self) -> list[str | None]:
        """For each output, the name of its last activation if it is "softmax", "sigmoid" or "linear", else None."""
        return [getattr(self._last_layer(index), "fusible_activation", None) for index in range(len(self.outputs))]

    @property
    def fusible_activation(self) -> str | None:
        """The same for a model with one output."""
        names = self.fusible_activations
        return names[0] if len(names) == 1 else None

    def _last_layer(self, index: int) -> Any:
        """The layer that makes an output and has an activation at its end, if nothing else reads that output."""
        layer = self._graph().program.last_layer(index)
        return layer if isinstance(layer, Activated | Model) else None

    def activate(self, z: Array, output: int = 0) -> tuple[Array, Pullback]:
        """The last activation of an output, for its logits."""
        return self._last_layer(output).activate(z)  # type: ignore[no-any-return]

    def preactivation(self, *inputs: Any, training: bool = False) -> tuple[Any, Pullback]:
        """The output before the last activation (the logits) and its pullback."""
        return self._structured(inputs, training, (0,), ())

    def propagate(self, *inputs: Any, training: bool = False, mask: Any = None) -> tuple[Any, Pullback]:
        """The output in its structure, and the pullback, which takes `inputs=False` to skip the inputs' cotangents."""
        return self._structured(inputs, training, (), () if mask is None else leaves(mask))

    def _structured(
        self, inputs: Sequence[Any], training: bool, logits: Collection[int], masks: Sequence[Any]
    ) -> tuple[Any, Pullback]:
        y, _, pullback = self._masked_and_structured(inputs, training, logits, masks)
        return y, pullback

    def run_masked(
        self, arrays: list[Any], mask: Any, *, logits: bool = False, **options: Any
    ) -> tuple[Any, Any, Pullback]:
        y, masks, pullback = self._masked_and_structured(
            arrays, options["training"], (0,) if logits else (), () if mask is None else leaves(mask)
        )
        return y, masks[0] if len(masks) == 1 else masks, pullback

    def _masked_and_structured(
        self, inputs: Sequence[Any], training: bool, logits: Collection[int], masks: Sequence[Any]
    ) -> tuple[Any, list[Any], Pullback]:
        given = leaves(inputs)
        shapes = self.shapes_of(given)
        fitted = self._fit_axes(shapes)
        arrays = given if fitted == shapes else list(map(_reshaped, given, fitted))
        outputs, made, pullback = self.chain(arrays, training=training, logits=logits, masks=masks)

        def pull_back(dy: Any, inputs: bool) -> Any:
            dxs = pullback(leaves(dy), inputs=inputs)
            if inputs and fitted != shapes:
                dxs = list(map(_reshaped, dxs, shapes))
            return None if not inputs else dxs[0] if len(dxs) == 1 else tuple(dxs)

        return rebuild(self.output_structure, outputs), made, Skippable(pull_back)

    @property
    def makes_mask(self) -> bool:  # type: ignore[override]
        return any(layer.makes_mask for layer in self.sublayers())

    def forward(self, *inputs: Any, training: bool = False, mask: Any = None) -> tuple[Any, Pullback]:
        """The output and its pullback, for a training loop of one's own. Several inputs as when it is called.

        `pullback(dy)` returns the cotangent of the input and adds the gradients of the parameters to what has been
        gathered since the last `optimizer.step(model)`.
        """
        computing = self.placement.computing
        with computing, debug.checks(self):
            if any(part is None for part in leaves(inputs)):
                self.check_given(leaves(self.in_order(inputs)))
            whole = is_value([part for part in leaves(inputs) if part is not None])
            inputs = tuple(self.admit(*(self.in_order(inputs) if whole else inputs)))
            mask = None if mask is None else self.read_mask(inputs, mask)
            self._trained = None  # a layer may have been frozen since the last call
            _ = self.flat  # the gradients need a place before the pullback is called
            y, pullback = self.propagate(*inputs, training=training, mask=mask)

        def pull_back(dy: Any, inputs: bool) -> Any:
            with computing:
                return call_pullback(pullback, dy, inputs)

        return y, Skippable(pull_back)

    def run(self, *inputs: Any, **options: Any) -> tuple[Any, Pullback]:
        return self.propagate(*inputs, **options)

    def __call__(self, *inputs: Any, training: Any = None, **options: Any) -> Any:
        if len(inputs) == 1 and type(inputs[0]) is np.ndarray and not options and not open_tapes():
            made = self.trainer.step.calls.known_result(inputs, training)
            if made is not None:  # a call like one before, whose input was fine
                return made
        return super().__call__(*inputs, training=training, **options)

    def run_without_pullback(self, *inputs: Any, **options: Any) -> Any:
        if len(options) > 1:
            return super().run_without_pullback(*inputs, **options)
        return self.trainer.step.call(inputs, options["training"])

    def regularization(self) -> tuple[Array, Callable[..., None]]:
        """The sum of the penalties on the trained parameters, and a pullback that adds their gradients.

        The pullback takes the cotangent of the sum, 1 by default.

        >>> import nnx
        >>> model = nnx.Sequential([nnx.layers.Dense(1, kernel_regularizer="l2", input_dim=2)])
        >>> penalty, pullback = model.regularization()
        >>> pullback()
        """
        penalised = [parameter for parameter in self.flat.parameters if parameter.regularizer is not None]
        computing = self.placement.computing
        with computing:
            terms = [(p, *p.regularizer.forward(wide(p.value))) for p in penalised]
            total = self.placement.zeros((), "float32" if self.placement.dtype == "float16" else None)
            for _, penalty, _ in terms:
                total = total + penalty

        def pullback(dpenalty: float = 1.0) -> None:
            with computing:
                for parameter, _, pullback_term in terms:
                    parameter.receive(pullback_term(dpenalty))

        return total, pullback

    # Training

    @with_hints
    def compile(
        self,
        optimizer: Any = "rmsprop",
        loss: Any = None,
        loss_weights: Any = None,
        metrics: Any = None,
        weighted_metrics: Any = None,
        run_eagerly: bool = False,
        steps_per_execution: int = 1,
        jit_compile: bool | str = "auto",
        auto_scale_loss: bool = True,
    ) -> None:
        """Say how to train. Which layers are trainable is decided here.

        optimizer : a name or an object of `nnx.optimizers`; None for a model that is only evaluated.
        loss : a name, function or object of `nnx.losses`; None to minimise only what layers add.
        loss_weights : a factor for the loss.
        metrics, weighted_metrics : names or objects of `nnx.metrics`; only the latter use sample weights.
        jit_compile : whether small steps are replayed on NumPy: their calls of NumPy are noted once, and made again
            without the Python code around them, with the same results. "auto" (default): where nnx's own code computes,
            and what you wrote if all that it reads can be compared before each replay, so that a changed number counts
            at once. True: whatever it reads; numbers that cannot be compared then stay as they were when a shape first
            came, as in Keras. False: never.
        run_eagerly : True is jit_compile=False. steps_per_execution, auto_scale_loss : accepted for scripts written for
            Keras; in float16 the loss is always scaled, by the optimizer.

        Raises ValueError, with the names that come nearest, for an unknown one.
        """
        jit_compile = not run_eagerly and _jit_compile(jit_compile)
        self.trainer.compile(optimizer, loss, loss_weights, metrics, weighted_metrics, jit_compile)

    def get_compile_config(self) -> dict[str, Any]:
        """The arguments of `compile` as plain data, which `compile_from_config` takes; empty for a model not compiled.

        A class whose `compile` takes other arguments defines both: files have what its `get_compile_config` returns.

        TypeError for an anonymous function.

        >>> import nnx
        >>> model = nnx.Sequential([nnx.layers.Dense(1, input_dim=2)])
        >>> model.compile(nnx.optimizers.SGD(0.5), "mse")
        >>> other = nnx.models.clone_model(model)
        >>> other.compile_from_config(model.get_compile_config())
        >>> other.optimizer.learning_rate, other.loss
        (0.5, 'mse')
        """
        if self.compile_arguments is None:
            return {}
        return {"optimizer": serialize(self.optimizer), **serialize(self.compile_arguments)}

    def compile_from_config(self, config: dict[str, Any]) -> None:
        """Compile with what `get_compile_config` returned; the optimizer and the metrics are new ones.

        Of a class whose `compile` takes other arguments nothing is compiled, with a warning: it has to define it.
        """
        if not config:
            return
        if self.overrides("compile"):
            warn_user(
                f"{self.name} is not compiled: {type(self).__name__} has a compile() of its own, so call it, or define "
                f"get_compile_config(self) and compile_from_config(self, config) too"
            )
            return
        self.compile(**{**config, "loss": losses_from_config(config.get("loss"))})

    @property
    def jit_compile(self) -> bool | str:
        """What `compile` was told; it may be set afterwards."""
        return "auto" if self.compile_arguments is None else self.compile_arguments["jit_compile"]

    @jit_compile.setter
    def jit_compile(self, value: bool | str) -> None:
        self.require_compiled()
        self.compile_arguments = {**(self.compile_arguments or {}), "jit_compile": _jit_compile(value)}
        self.trainer.forget()

    @property
    def run_eagerly(self) -> bool:
        """Whether `jit_compile` is False; it may be set."""
        return self.jit_compile is False

    @run_eagerly.setter
    def run_eagerly(self, value: bool) -> None:
        self.jit_compile = not value and "auto"

    @property
    def metrics_names(self) -> list[str]:
        """The names of what evaluate returns."""
        return self.require_compiled().names

    @with_hints
    def fit(
        self,
        x: Any = None,
        y: Any = None,
        batch_size: int | None = None,
        epochs: int = 1,
        verbose: int | str = "auto",
        callbacks: Any = None,
        validation_split: float = 0.0,
        validation_data: Any = None,
        shuffle: bool = True,
        class_weight: dict[int, float] | None = None,
        sample_weight: Any = None,
        initial_epoch: int = 0,
        steps_per_epoch: int | None = None,
        validation_steps: int | None = None,
        validation_batch_size: int | None = None,
        validation_freq: int | Sequence[int] = 1,
    ) -> History:
        """Train for some epochs.

        x, y : samples and targets: arrays, lists, data frames; memory-mapped arrays and data sets of h5py or zarr,
            which are read as they are needed, see `nnx.data.row_pools`; for several inputs or outputs, lists or dicts
            of these. Or x alone: batches (x, y) or (x, y, weights) from a loader (of nnx or PyTorch), a sequence as
            Keras has it, a generator or another iterable.
        batch_size : 32 by default.
        epochs, initial_epoch : train from initial_epoch up to epochs, counted from 0.
        verbose : 0 silent, 1 or "auto" a progress bar, 2 a line for each epoch.
        callbacks : a list of `nnx.callbacks.Callback`.
        validation_split : the last part of the arrays that is used for validation only, before any shuffling.
        validation_data : (x, y), (x, y, weights), or an iterable of batches.
        shuffle : whether arrays, and the batches of a sequence, are shuffled for every epoch.
        class_weight : a factor for the loss of each class. sample_weight : one for each sample.
        steps_per_epoch, validation_steps : how many batches make an epoch, or a validation.
        validation_batch_size : by default the batch size.
        validation_freq : validate after every so many epochs, or after those in the list, counted from 1.

        Returns the history; its `history` has a list of values for each name. It is also kept as `model.history`: when
        training is interrupted, by Ctrl-C or by an error, that has all completed epochs, and the model is usable.
        An error of a batch names it. RuntimeError while another thread trains the model; evaluations and predictions
        may run beside it, of weights in the midst of a step.
        """
        self._warn_of_freezing()
        return self.trainer.fit(
            x,
            y,
            batch_size=batch_size,
            epochs=epochs,
            verbose=verbose,
            callbacks=callbacks,
            validation_split=validation_split,
            validation_data=validation_data,
            shuffle=shuffle,
            class_weight=class_weight,
            sample_weight=sample_weight,
            initial_epoch=initial_epoch,
            steps_per_epoch=steps_per_epoch,
            validation_steps=validation_steps,
            validation_batch_size=validation_batch_size,
            validation_freq=validation_freq,
        )

    @with_hints
    def evaluate(
        self,
        x: Any = None,
        y: Any = None,
        batch_size: int | None = None,
        verbose: int | str = "auto",
        sample_weight: Any = None,
        steps: int | None = None,
        callbacks: Any = None,
        return_dict: bool = False,
    ) -> Any:
        """The loss, or [loss, *metrics], or a dict of them by name, over a data set. Arguments as for `fit`.

        With `verbose=0` several batches of arrays go through the model as one, some thousand narrow rows, where no
        result depends on it and no callback is told of batches: last digits may differ from those of a batch at a time.

        Several threads may evaluate and predict at once: each has running values of its own.
        """
        return self.trainer.evaluate(
            x,
            y,
            batch_size=batch_size,
            verbose=verbose,
            sample_weight=sample_weight,
            steps=steps,
            callbacks=callbacks,
            return_dict=return_dict,
        )

    @with_hints
    def predict(
        self,
        x: Any,
        batch_size: int | None = None,
        verbose: int | str = "auto",
        steps: int | None = None,
        callbacks: Any = None,
    ) -> Any:
        """The outputs for all samples, on the host for host data, else on the device of x.

        x : an array, list or iterable of batches.

        With `verbose=0` several batches of an array go through the model as one, as in `evaluate`.

        Several threads may predict at once.
        """
        return self.trainer.predict(x, batch_size=batch_size, verbose=verbose, steps=steps, callbacks=callbacks)

    def train_on_batch(
        self,
        x: Any,
        y: Any = None,
        sample_weight: Any = None,
        class_weight: dict[int, float] | None = None,
        return_dict: bool = False,
    ) -> Any:
        """One step of training; the loss, or [loss, *metrics], or a dict, of this batch before the step.

        Of several threads one waits for the other; RuntimeError while `fit` runs in another one.
        """
        return self.trainer.for_training.train_on_batch(x, y, sample_weight, class_weight, return_dict)

    def test_on_batch(self, x: Any, y: Any = None, sample_weight: Any = None, return_dict: bool = False) -> Any:
        """The loss, or [loss, *metrics], or a dict, of one batch. Several threads may call it at once."""
        return self.trainer.for_testing.test_on_batch(x, y, sample_weight, return_dict)

    def predict_on_batch(self, x: Any) -> Any:
        """The output for one batch, on the host for host data, else on the device of x.

        Several threads may call it at once.
        """
        return self.trainer.for_predicting.predict_on_batch(x)

    def reset_metrics(self) -> None:
        """Forget the running loss and metrics. `train_on_batch` and `test_on_batch` do so before each batch."""
        self.require_compiled().reset()
        for metric in self.metrics:
            metric.reset_state()

    # Steps of one's own: a subclass overrides these, or defines what they call

    @property
    def metrics(self) -> list[Metric]:
        """The metrics that an epoch begins anew: the loss and what `compile` was given, then those in attributes.

        Those in attributes of layers are among them, not those of models inside.

        A subclass may override it.

        >>> import nnx
        >>> class Mine(nnx.Model):
        ...     def __init__(self):
        ...         super().__init__()
        ...         self.distance = nnx.metrics.Mean("distance")
        >>> [metric.name for metric in Mine().metrics]
        ['distance']
        """
        compiled = [] if self.objective is None else [metric for _, metric in self.objective.metrics]
        return list(dict.fromkeys([*self._loss_metric(), *compiled, *self.own_metrics()]))

    @property
    def metrics_variables(self) -> list[Any]:
        """The running values of all metrics."""
        return [variable for metric in self.metrics for variable in metric.variables]

    def _loss_metric(self) -> list[Metric]:
        has_loss = self.compile_arguments is not None and self.compile_arguments["loss"] is not None
        own = has_loss and self.overrides("train_step", "test_step")
        return [self._running_loss()] if own else [] if self._mean_loss is None else [self._mean_loss]

    def own_metrics(self) -> list[Metric]:
        """The metrics in attributes, of the model and of the layers inside, which are not those of models inside."""
        held = dict.fromkeys(layer for _, layer in self.walk() if layer is self or not isinstance(layer, Model))
        values = [value for layer in held for name, value in vars(layer).items() if name not in _NO_METRICS]
        return list(dict.fromkeys(part for part in contents(values) if isinstance(part, Metric)))

    def overrides(self, *methods: str) -> bool:
        """Whether the class defines one of these methods itself, such as "train_step"."""
        kind = type(self)
        return any(getattr(kind, method) is not getattr(Model, method) for method in methods)

    def train_step(self, data: Any) -> dict[str, Any]:
        """One step of training, which a subclass may define: `fit` and `train_on_batch` call it.

        data : what was given to `fit`, a batch of it, in the model's place: x, (x, y) or (x, y, sample_weight), see
            `nnx.utils.unpack_x_y_sample_weight`; of an iterable whatever it gives.

        Returns numbers by their names, for the progress bar, callbacks and the history. What is an array stays on the
        device until somebody reads it.

        >>> import numpy as np
        >>> import nnx
        >>> class Own(nnx.Model):
        ...     def __init__(self):
        ...         super().__init__()
        ...         self.dense = nnx.layers.Dense(1)
        ...     def call(self, x):
        ...         return self.dense(x)
        ...     def train_step(self, data):
        ...         x, y = data
        ...         with nnx.GradientTape() as tape:
        ...             loss = self.compute_loss(y=y, y_pred=self(x, training=True))
        ...         gradients = tape.gradient(loss, self.trainable_variables)
        ...         self.optimizer.apply(gradients, self.trainable_variables)
        ...         return {"loss": loss}
        >>> model = Own()
        >>> model.compile("sgd", "mse")
        >>> history = model.fit(np.ones((4, 2)), np.ones((4, 1)), epochs=2, verbose=0)
        >>> sorted(history.history)
        ['loss']
        """
        x, y, sample_weight = unpack_x_y_sample_weight(data)
        with GradientTape() as tape:
            y_pred = self(x, training=True)
            loss = self._checked_loss(x, y, y_pred, sample_weight, training=True)
        self._running_loss().update_state(loss, sample_weight=_rows(x))
        optimizer = self.optimizer
        if optimizer is None:
            raise ValueError(f"{self.name} was compiled without an optimizer: write compile('adam', ...)")
        if self.trainable_weights:
            scale = optimizer.scale_loss(self.flat)
            tape.backward(loss, self, scale)
            optimizer.step(self)
        return self.compute_metrics(x, y, stop_gradient(y_pred), sample_weight)

    def test_step(self, data: Any) -> dict[str, Any]:
        """One step of evaluation, which a subclass may define: `evaluate`, validation and `test_on_batch` call it.

        data, and what is returned, are as for `train_step`.
        """
        x, y, sample_weight = unpack_x_y_sample_weight(data)
        y_pred = self(x, training=False)
        loss = self._checked_loss(x, y, y_pred, sample_weight, training=False)
        self._running_loss().update_state(loss, sample_weight=_rows(x))
        return self.compute_metrics(x, y, y_pred, sample_weight)

    def predict_step(self, data: Any) -> Any:
        """The outputs for one batch, which a subclass may define: `predict` and `predict_on_batch` call it.

        data : x, or (x,). Returns an array, or a structure of some, whose first axis are the samples.
        """
        x, _, _ = unpack_x_y_sample_weight(data)
        return self(x, training=False)

    def compute_loss(
        self, x: Any = None, y: Any = None, y_pred: Any = None, sample_weight: Any = None, training: bool = True
    ) -> Any:
        """The number that is minimised: the loss that `compile` was given, and `losses`. A subclass may define it.

        x, y, sample_weight : the batch. y_pred : what the model returned for it, tracked inside of a tape.

        ValueError for a model that was compiled without a loss and adds none.

        >>> import nnx
        >>> model = nnx.Sequential([nnx.layers.Dense(1, input_dim=1)])
        >>> model.compile("sgd", "mse")
        >>> float(model.compute_loss(y=nnx.asarray([[1.0]]), y_pred=nnx.asarray([[3.0]])))
        4.0
        """
        loss = None if y_pred is None or y is None else self._objective_of(y_pred).loss_of(y, y_pred, sample_weight)
        for added in self.losses:
            loss = added if loss is None else loss + added
        if loss is None:
            raise ValueError(
                f"{self.name} was compiled without a loss, and its layers add none: write compile(optimizer, "
                f"loss='mse'), call self.add_loss(...) in call(), or define compute_loss(self, x, y, y_pred, "
                f"sample_weight)"
            )
        return loss

    def compute_metrics(self, x: Any, y: Any, y_pred: Any, sample_weight: Any = None) -> dict[str, Any]:
        """Take a batch into the metrics, and return their results by their names. A subclass may define it.

        >>> import nnx
        >>> model = nnx.Sequential([nnx.layers.Dense(1, input_dim=1)])
        >>> model.compile("sgd", "mse", metrics=["mae"])
        >>> results = model.compute_metrics(None, nnx.asarray([[1.0]]), nnx.asarray([[3.0]]))
        >>> float(results["mae"])
        2.0
        """
        if y is not None and y_pred is not None:
            self._objective_of(y_pred).update_metrics(y, y_pred, sample_weight)
        return self.get_metrics_result()

    def get_metrics_result(self) -> dict[str, Any]:
        """The results of all `metrics` by their names; arrays, which nobody has waited for.

        >>> import nnx
        >>> model = nnx.Sequential([nnx.layers.Dense(1, input_dim=1)])
        >>> model.compile("sgd", "mse")
        >>> model.get_metrics_result()
        {}
        """
        named = {metric: name for name, metric in self.objective.metrics} if self.objective is not None else {}
        found: dict[str, Any] = {}
        for metric in self.metrics:
            result = value_of(metric.result())
            found.update(result if isinstance(result, dict) else {named.get(metric, metric.name): result})
        return found

    def in_order_of_metrics(self, logs: dict[str, Any]) -> dict[str, Any]:
        """Logs in the order of the metrics that they are of, then the others in that of their names, as in Keras."""
        first = [name for name in self.get_metrics_result() if name in logs]
        return {name: logs[name] for name in [*first, *sorted(set(logs) - set(first))]}

    def _objective_of(self, y_pred: Any) -> Objective:
        objective = self.require_compiled()
        names = self.output_names
        return objective if names is None else objective.of(names)

    def _checked_loss(self, x: Any, y: Any, y_pred: Any, sample_weight: Any, training: bool) -> Any:
        takes_training = "training" in inspect.signature(self.compute_loss).parameters
        options = {"training": training} if takes_training else {}
        loss = self.compute_loss(x=x, y=y, y_pred=y_pred, sample_weight=sample_weight, **options)
        if not is_array(loss) or tuple(loss.shape) != ():
            given = f"an array of shape {tuple(loss.shape)}" if is_array(loss) else type(loss).__name__
            raise ValueError(
                f"{self.name}: compute_loss() has to return one number that depends on y_pred, got {given}: take "
                f"nnx.ops.mean or sum of it"
            )
        return loss

    def _running_loss(self) -> Mean:
        if self._mean_loss is None:
            self._mean_loss = Mean("loss")
        return self._mean_loss

    @property
    def compiled(self) -> bool:
        """Whether `compile` was called."""
        return self.objective is not None

    def require_compiled(self) -> Objective:
        """The objective; NotReadyError before `compile`."""
        if self.objective is None:
            raise NotReadyError(f"{self.name} must be compiled first: write {self.name}.compile(optimizer, loss)")
        return self.objective

    def restore_history(self, history: dict[str, list[float]], epochs: list[int]) -> None:
        """Take over the history of an earlier training."""
        self.history = History()
        self.history.set_model(self)
        self.history.history, self.history.epoch = history, epochs

    def forget_training(self) -> None:
        """Take back what `compile` and the first batch decided from the layers."""
        self._trained = self._ports = None
        self.trainer.forget()

    # Files

    def save(self, filepath: Any, overwrite: bool = True, zipped: bool | None = None) -> None:
        """Write the whole model to one file; see `nnx.saving.save_model`."""
        saving.save_model(self, filepath, overwrite, zipped)

    def save_weights(self, filepath: Any, overwrite: bool = True, max_shard_size: float | None = None) -> None:
        """Write the parameters to a file; see `nnx.saving.save_weights`."""
        saving.save_weights(self, filepath, overwrite, max_shard_size)

    def load_weights(self, filepath: Any, skip_mismatch: bool = False) -> None:
        """Read parameters from a file; see `nnx.saving.load_weights`.

        No other thread may use the model meanwhile: for new weights under way, load another model.
        """
        saving.load_weights(self, filepath, skip_mismatch)

    def export(
        self,
        filepath: Any,
        format: str = "onnx",
        verbose: bool | None = None,
        input_signature: Any = None,
        *,
        opset_version: int = 20,
    ) -> None:
        """Write the forward pass to a file that other programs run, without nnx: ONNX, as at inference.

        filepath : a name that ends in .onnx. The file is replaced as a whole.
        format : "onnx", the only one here.
        verbose : whether to print the names, shapes and dtypes of inputs and outputs; by default not.
        input_signature : None; the shapes of the inputs are those that the model was built for.
        opset_version : of ONNX' operators, from 18 to 21, by default 20, which runtimes since 2023 know.

        The file has the names of the model's inputs and outputs. Sizes that were None stay open: the batch, the steps
        of a sequence. Inputs of indices are int64, others of the model's dtype. Layers of one's own are exported too,
        as ordinary array code. The model is as before. Needs the extra nnx-array[onnx].

        ValueError for another format, opset, name or signature and for a model that is not built or larger than 2 GiB,
        TypeError that names the layer for what a graph cannot do: to decide by values, to have shapes that depend on
        values, to use an open size as a number, to remember. OSError for what cannot be written, ImportError without
        the package onnx.

        >>> import nnx
        >>> model = nnx.Sequential([nnx.layers.Dense(1, input_dim=2)])
        >>> model.export("model.onnx", format="tf_saved_model")
        Traceback (most recent call last):
        ValueError: sequential: format 'tf_saved_model' is not one of nnx, which exports "onnx"
        """
        if format != "onnx":
            raise ValueError(f'{self.name}: format {format!r} is not one of nnx, which exports "onnx"')
        if input_signature is not None:
            raise ValueError(
                f"{self.name}: input_signature must be None: the shapes are those of the model's inputs, as in "
                f"Input(shape=(10, 3)), where None is a size that stays open"
            )
        self.require_built("forward pass to export")
        self._graph()
        attribute_of("nnx.onnx.export", "export_onnx")(self, filepath, opset_version, bool(verbose))

    # Configuration

    def get_config(self) -> dict[str, Any]:
        """The graph; of a subclass with a constructor of its own, the arguments of that."""
        if self.input_layers and type(self).__init__ is Model.__init__:
            return graph_config(self._graph(), self)
        return constructor_config(self, without=("inputs", "outputs"))

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        if "calls" not in config:
            return cls(**{name: argument_from_config(value) for name, value in config.items()})
        inputs, outputs = graph_from_config(config)
        return cls(inputs, outputs, name=config["name"], trainable=config["trainable"])

    def to_json(self, **options: Any) -> str:
        """The architecture, without the parameters, as text. options : those of `json.dumps`.

        >>> import json, nnx
        >>> text = nnx.Sequential([nnx.layers.Dense(1, input_dim=2)]).to_json()
        >>> nnx.Sequential.from_config(json.loads(text)["config"]).count_params()
        3
        """
        return json.dumps({"class_name": type(self).__name__, "config": self.get_config()}, **options)

    def __getstate__(self) -> dict[str, Any]:
        # a copy gathers its own parameters, is not in training, and has its own trainer
        return {**super().__getstate__(), "_flat": None, "training_run": None, "trainer": None, "decided_at": -1}

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        self.trainer = self._new_trainer()
        for node in self._calls():
            node.layer.remember_call(node)

    # Summary

    def summary(
        self,
        line_length: int | None = None,
        positions: list[float] | None = None,
        print_fn: Callable[[str], None] | None = None,
        expand_nested: bool = False,
        show_trainable: bool = False,
    ) -> None:
        """Print the table of layers with their output shapes and parameters.

        line_length : width of the table.
        positions : relative or absolute ends of the columns.
        print_fn : called with the text instead of print.
        expand_nested : show the layers of inner models too.
        show_trainable : add a column that says whether a layer is trained.
        """
        print_summary(
            self,
            line_length=line_length,
            positions=positions,
            print_fn=print_fn,
            expand_nested=expand_nested,
            show_trainable=show_trainable,
        )

    def _repr_html_(self) -> str:
        return summary_html(self.name, self.summary_rows(False), totals_of(self))

    @property
    def is_graph(self) -> bool:
        """Whether the summary has to say what each layer is connected to."""
        return self._composition is not None and not self._composition.program.is_chain

    def summary_rows(self, expand_nested: bool) -> list[SummaryRow]:
        """A row for each layer. expand_nested : and for those of models inside, below that of the model."""
        if self._composition is None:
            return rows_of_stack(self, expand_nested)
        return rows_of_graph(self, self._composition.program, expand_nested)

    # Old names

    def fit_generator(self, generator: Any, steps_per_epoch: int | None = None, epochs: int = 1, **kwargs: Any) -> Any:
        """`fit` takes generators."""
        _warn_of_old_form("fit_generator(generator, ...)", "fit(generator, ...)")
        return self.fit(generator, steps_per_epoch=steps_per_epoch, epochs=epochs, **kwargs)

    def evaluate_generator(self, generator: Any, steps: int | None = None, **kwargs: Any) -> Any:
        """`evaluate` takes generators."""
        _warn_of_old_form("evaluate_generator(generator, ...)", "evaluate(generator, ...)")
        return self.evaluate(generator, steps=steps, **kwargs)

    def predict_generator(self, generator: Any, steps: int | None = None, **kwargs: Any) -> Any:
        """`predict` takes generators."""
        _warn_of_old_form("predict_generator(generator, ...)", "predict(generator, ...)")
        return self.predict(generator, steps=steps, **kwargs)

    def predict_classes(self, x: Any, batch_size: int | None = None, verbose: Any = 0) -> np.ndarray:
        """The class of each sample: the largest output, or for a single output whether it is above 0.5."""
        if self.output_shape[-1] == 1:
            _warn_of_old_form("predict_classes(x)", "(predict(x) > 0.5).astype('int32')")
            return np.asarray(self.predict(x, batch_size=batch_size, verbose=verbose) > 0.5).astype("int32")
        _warn_of_old_form("predict_classes(x)", "predict(x).argmax(axis=-1)")
        outputs: np.ndarray = np.asarray(self.predict(x, batch_size=batch_size, verbose=verbose))
        classes: np.ndarray = outputs.argmax(axis=-1)
        return classes

    def predict_proba(self, x: Any, batch_size: int | None = None, verbose: Any = 0) -> Any:
        """`predict` gives probabilities where the model ends in softmax or sigmoid."""
        _warn_of_old_form("predict_proba(x)", "predict(x)")
        return self.predict(x, batch_size=batch_size, verbose=verbose)

    def reset_states(self) -> None:
        """Recurrent layers that are stateful forget what they remember."""
        _warn_of_old_form("model.reset_states()", "layer.reset_states() for each stateful layer")
        for _, layer in self.walk():
            if getattr(layer, "stateful", False):
                layer.reset_states()

    def require_built(self, what: str) -> None:
        """NotReadyError, with the ways to build a model, if it is not built and therefore has no such thing."""
        if not self.built:
            self.settle()
        if not self.built:
            raise NotReadyError(
                f"{self.name} is not built, so it has no {what}: give the first layer an input_shape, start with "
                f"Input(shape=...), call build(input_shape), or fit it to data"
            )


_NO_METRICS = frozenset(
    {"compile_arguments", "objective", "own_weights", "_frozen_or_not", "_mean_loss", "training_run"}
)


def _jit_compile(value: Any) -> bool | str:
    if value not in (True, False, "auto"):
        raise ValueError(f"jit_compile must be True, False or 'auto', got {value!r}")
    return value  # type: ignore[no-any-return]


def _with_those_inside(layer: Layer) -> list[Layer]:
    found = [layer]
    for inner in layer.sublayers():
        found += _with_those_inside(inner)
    return found


def _rows(x: Any) -> int:
    """How many samples a batch has."""
    return next((int(part.shape[0]) for part in leaves(x) if is_array(part) and part.shape), 1)


def _reshaped(x: Any, shape: Shape) -> Any:
    return None if x is None else array_namespace(x).reshape(x, shape)


def _warn_of_old_form(old: str, today: str) -> None:
    warn_user(f"{old} is an old form; write {today}", DeprecationWarning)
