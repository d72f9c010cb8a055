"""What every layer is: configuration, parameters, and a forward pass that returns its pullback."""

from __future__ import annotations

import difflib
import weakref
from collections.abc import Callable, Sequence
from typing import Any

from nnx import regularizers
from nnx.backends import Array, Placement, get_backend, is_array, placement_of
from nnx.functional import Pullback
from nnx.functional._normal import narrow, wide
from nnx.layers.arguments import check_name, dtype_name
from nnx.layers.parameter import Parameter
from nnx.layers.program import Composition, as_masks, trace
from nnx.layers.pullback import LayerPullback, Skippable, call_pullback
from nnx.layers.shapes import Shape, as_shapes, check_shape, is_shape, snake_case
from nnx.layers.structure import leaves
from nnx.layers.symbol import TRAINING, Node, Symbol
from nnx.layers.weights import HasWeights
from nnx.random import Generator
from nnx.registry import Registry, constructor_arguments

registry: Registry[Any] = Registry("layer")


class Layer(HasWeights):
    """A function of arrays with parameters.

    To write one, declare parameters in `build` and return the value with its pullback from `forward`. Constructor
    arguments are kept as attributes of the same name; then saving, loading and copying need nothing more.

    name : unique in a model; made from the class name by default.
    trainable : whether its trainable parameters are trained. What counts is its value when the model is compiled.
    dtype : the floating dtype of its parameters; by default that of the backend context.
    activity_regularizer : a penalty on the output, divided by the batch size and added to the loss.
    batch_input_shape : the shape of the input for the first layer of a Sequential, batch axis included; also written
        as `input_shape=` without the batch axis, or `input_dim=` for vectors.

    >>> import nnx
    >>> class Scale(nnx.layers.Layer):
    ...     def build(self, input_shape):
    ...         self.scale = self.add_weight(name="scale", shape=(1,), initializer="ones")
    ...         super().build(input_shape)
    ...     def forward(self, x, *, training=False):
    ...         xp = nnx.array_namespace(x)
    ...         def pullback(dy):
    ...             return dy * self.scale.value, xp.reshape(xp.sum(dy * x), (1,))
    ...         return x * self.scale.value, self.route(pullback, None, self.scale)
    >>> Scale()(nnx.asarray([[1.0, 2.0]]))
    array([[1., 2.]], dtype=float32)
    """

    takes_integers = False
    """Whether inputs keep an integer dtype, as indices do; others are converted to the layer's dtype."""

    check_indices: Callable[[Any], None] | None = None
    """Of a layer that takes integers: raises ValueError for host data with an index that is out of range."""

    learns = True
    """Whether parameters that it has may be trained. Before the first layer that learns nobody needs a cotangent."""

    shape_options: tuple[str, ...] = ()
    """The options of `forward` that change what it returns, and so are options of `compute_output_shape` too."""

    uses_mask = False
    """Whether `forward` takes `mask`: which steps of a sequence count."""

    makes_mask = False
    """Whether the layer makes a mask where its input has none."""

    def __init__(
        self,
        *,
        name: str | None = None,
        trainable: bool = True,
        dtype: str | None = None,
        activity_regularizer: Any = None,
        batch_input_shape: Sequence[int | None] | None = None,
        **legacy: Any,
    ) -> None:
        super().__init__()
        self.named_by_user = name is not None
        check_name(name or "")
        self.name = name or snake_case(type(self).__name__)
        self.trainable = trainable
        self.dtype = dtype_name(self.name, dtype)
        self.activity_regularizer = regularizers.resolve(activity_regularizer)
        self.batch_input_shape = self._read_input_shape(batch_input_shape, legacy)
        self.built = False
        self.build_shape: Any = None
        self.input_keys: list[str] | None = None  # of a dict of inputs
        self.random: Generator | None = None  # of a layer that draws random numbers; set when it is built
        self.activity_penalties: list[Array] | None = None  # a list while somebody collects them
        self.activity_scale = 1.0  # the cotangent of the loss that the penalties are a part of
        self._first_call: weakref.ref[Node] | None = None
        self._composition: Composition | None = None  # of a layer that is written as `call`

    def _read_input_shape(self, batch_input_shape: Any, legacy: dict[str, Any]) -> Shape | None:
        input_shape = legacy.pop("input_shape", None)
        input_dim = legacy.pop("input_dim", None)
        if legacy:
            unknown = next(iter(legacy))
            known = (*constructor_arguments(type(self)), "input_shape", "input_dim")  # type: ignore[arg-type]
            near = difflib.get_close_matches(unknown, known, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise TypeError(f"{type(self).__name__} has no argument {unknown!r}{hint}")
        if batch_input_shape is None:
            if input_dim is not None:
                input_shape = (input_dim,)
            if input_shape is None:
                return None
            batch_input_shape = (None, *([input_shape] if isinstance(input_shape, int) else input_shape))
        return check_shape(batch_input_shape, f"input shape of {type(self).__name__}")

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name}, {'built' if self.built else 'not built'}>"

    # Building

    def build(self, input_shape: Any) -> None:
        """Make the parameters for inputs of that shape. A subclass that needs some overrides this and calls it last."""
        self.built = True
        self.build_shape = input_shape

    def build_on(self, placement: Placement, input_shape: Any) -> None:
        """Build the layer, if it is not built yet, with its parameters in that place. Nothing is left if that fails."""
        if self.built:
            return
        self._placement = placement
        try:
            self.build(input_shape)
            if hasattr(self, "call") and self._composition is None:
                self._composition = trace(self, input_shape)
        except BaseException:
            self.built, self._placement = False, None
            self.own_weights.clear()
            raise
        self.built, self.build_shape = True, input_shape

    def sublayers(self) -> Sequence[Layer]:
        """The layers that this one is made of."""
        return () if self._composition is None else self._composition.program.layers

    # Computation

    def forward(self, *inputs: Any, **options: Any) -> tuple[Any, Pullback]:
        """The value for inputs, and the pullback: what maps the value's cotangent to those of the inputs.

        options : `training`, `mask` where `uses_mask`, and what else the layer takes.
        """
        if self._composition is None:
            raise TypeError(
                f"{type(self).__name__} defines neither forward(self, x, *, training=False), which returns "
                f"(y, pullback), nor call(self, x), which composes layers"
            )
        y, _, pullback = self._composition.run(inputs, training=options.get("training", False))
        return y, pullback

    def run(self, *inputs: Any, **options: Any) -> tuple[Any, Pullback]:
        """`forward`, with what holds for every layer: the penalty on the output."""
        y, pullback = self.forward(*inputs, **options)
        if self.activity_regularizer is None:
            return y, pullback
        penalty, pullback_penalty = self.activity_regularizer.forward(wide(y))
        share = 1.0 / y.shape[0]
        if self.activity_penalties is not None:
            self.activity_penalties.append(penalty * share)
        share *= self.activity_scale
        return y, Skippable(lambda dy, inputs: call_pullback(pullback, dy + narrow(pullback_penalty(share), y), inputs))

    def route(self, pullback: Pullback, *targets: Parameter | None, direct: bool = False) -> LayerPullback:
        """The layer's pullback from a function's: cotangents of parameters go into their gradients.

        targets : for each array argument of the function, the parameter it was, or None where it was an input.
        direct : the function's pullback takes `out` and writes to the gradients itself; see `nnx.functional`.
        """
        return LayerPullback(pullback, targets, direct)

    def run_masked(self, arrays: list[Any], mask: Any, **options: Any) -> tuple[Any, Any, Pullback]:
        """`run`, and the mask of the output, for inputs of which some may have one: (y, mask, pullback)."""
        if self._composition is not None:
            return self._composition.run(arrays, training=options["training"], masks=as_masks(mask))
        if mask is not None and self.uses_mask:
            options.setdefault("mask", mask)
        y, pullback = self.run(*arrays, **options)
        return y, self.compute_mask(arrays[0] if len(arrays) == 1 else arrays, mask), pullback

    def compute_mask(self, x: Any, mask: Any) -> Any:
        """The output's mask from that of the input: a bool array (batch, time), False where a step does not count."""
        return mask

    def __call__(self, *inputs: Any, training: Any = None, **options: Any) -> Any:
        """The layer's value for arrays; or for symbols, as `Input` makes them, that of a graph.

        Several inputs are several arguments or one list. Builds the layer on the first call, beside its input; lists of
        numbers are converted. Without `training` layers do what they do at inference, except for those that augment
        images: as in Keras, these do that unless it is False.
        """
        inputs, options = self.arrange(inputs, options)
        if any(isinstance(leaf, Symbol) for leaf in leaves(inputs)):
            return self._describe(leaves(inputs), training, options)
        home = self.placement if self.built else get_backend()
        arrays = _arrays(inputs, home)
        if not all(x.shape for x in arrays):
            raise ValueError(f"{self.name}: expected an array whose first axis is the batch, got a single number")
        if not self.built:
            place = placement_of(arrays[0], self.dtype or get_backend().dtype)
            shapes = [(None, *x.shape[1:]) for x in arrays]
            self.build_on(place, shapes[0] if len(shapes) == 1 else shapes)
        training = None if training is None else bool(training)
        return self.run(*self.admit(*arrays), training=training, **options)[0]

    def arrange(self, inputs: tuple[Any, ...], options: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Bring arrays that were given by keyword into the positions in which `forward` expects them."""
        return inputs, options

    def _describe(self, symbols: list[Any], training: Any, options: dict[str, Any]) -> Any:
        """A call on symbols: a new node of a graph. Returns its symbol, or a list of symbols."""
        for symbol in symbols:
            if not isinstance(symbol, Symbol):
                raise TypeError(
                    f"{self.name} was called on symbolic values and on {type(symbol).__name__} at once: arrays go "
                    f"into a graph through Input() or a layer's parameters"
                )
        if training is not None and training is not TRAINING:
            options = {**options, "training": bool(training)}
        shapes = [symbol.shape for symbol in symbols]
        shape: Any = shapes[0] if len(shapes) == 1 else shapes
        self.build_on(get_backend(), shape)
        asked = {name: options[name] for name in self.shape_options if name in options}
        made = self.compute_output_shape(shape, **asked)
        node = Node(self, tuple(symbols), options, as_shapes(made))
        if self._first_call is None or self._first_call() is None:
            self._first_call = weakref.ref(node)
        return node.outputs[0] if is_shape(made) else list(node.outputs)

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
        return [self.placement.asarray(x, self.dtype or self.placement.dtype) for x in inputs]

    def compute_output_shape(self, input_shape: Any) -> Any:
        """The output's shape for an input's, without computing; ValueError if the layer cannot take such an input.

        Of several inputs a list of shapes; for several outputs a list is returned.
        """
        if self._composition is None:
            return input_shape
        return self._composition.output_shapes(as_shapes(input_shape), self.name)

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        if config["activity_regularizer"] is None:
            del config["activity_regularizer"]
        return {key: value for key, value in config.items() if key != "batch_input_shape" or value is not None}


def _arrays(inputs: tuple[Any, ...], home: Placement) -> list[Array]:
    """The inputs as a flat list of arrays: a list of arrays is several inputs, a list of numbers is one."""
    found: list[Array] = []
    for x in inputs:
        several = isinstance(x, list | tuple | dict) and all(is_array(leaf) and leaf.shape for leaf in leaves(x))
        found += leaves(x) if several else [x if is_array(x) else home.asarray(x)]
    return found
