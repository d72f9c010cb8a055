"""What every layer is: configuration, parameters, and a forward pass that returns its pullback."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

from nnx import ranks, regularizers
from nnx.arguments import check_name, dtype_name
from nnx.backends import Array, Placement
from nnx.functional import Pullback
from nnx.graph.composition import trace
from nnx.graph.program import as_masks
from nnx.layers.building import undone_if_it_fails
from nnx.layers.calls import IsCalled
from nnx.names import snake_case
from nnx.parameters import Parameter
from nnx.precision import narrow, wide
from nnx.pullbacks import LayerPullback, Skippable, call_pullback
from nnx.random import Generator
from nnx.registry import constructor_arguments, layer_registry
from nnx.shapes import Shape, as_shapes, check_shape

registry = layer_registry


class Layer(IsCalled):
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
        self.is_named = False  # by a model, for good
        check_name(name or "")
        self.name = name or snake_case(type(self).__name__)
        self._trainable = trainable
        self.dtype = dtype_name(self.name, dtype)
        self.activity_regularizer = regularizers.resolve(activity_regularizer)
        self.batch_input_shape = self._read_input_shape(batch_input_shape, legacy)
        self.built = False
        self.build_shape: Any = None
        self.random: Generator | None = None  # of a layer that draws random numbers; set when it is built
        self.activity_penalties: list[Array] | None = None  # a list while somebody collects them
        self.activity_scale = 1.0  # the cotangent of the loss that the penalties are a part of

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
        if not self._trainable:
            self.trainable = False  # of the layers inside too

    def build_on(self, placement: Placement, input_shape: Any) -> None:
        """Build the layer, if it is not built yet, with its parameters in that place. Nothing is left if that fails."""
        if self.built:
            return
        with placement.computing, undone_if_it_fails(self):
            self._placement = placement
            self.build(input_shape)
            self._trace(input_shape)
        self.built, self.build_shape = True, input_shape

    def forget_build(self, weights: list[Parameter]) -> None:
        """Be as before the layer was built. weights : those that it had before."""
        self.built, self.build_shape, self._placement, self._composition = False, None, None, None
        self.own_weights[:] = weights

    def _trace(self, input_shape: Any) -> None:
        """Make the graph of a layer that is written as `call`."""
        if not hasattr(self, "call") or self._composition is not None:
            return
        if not self._is_composed():
            raise TypeError(
                f"{type(self).__name__} has a call() of its own beside the forward() that it has or inherits, and only "
                f"one can count: derive from Layer or Model and compose the other layer, as in self.inner(x)"
            )
        self._composition = trace(self, input_shape)
        vars(self).setdefault("makes_mask", any(layer.makes_mask for layer in self.sublayers()))  # a model looks itself
        if not self._trainable:
            self.trainable = False

    def _is_composed(self) -> bool:
        return type(self).forward is Layer.forward

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
        share = ranks.share() / y.shape[0]
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

    def add_loss(self, loss: Any) -> NoReturn:
        """Keras' way of adding to the loss; a TypeError that says what to write instead."""
        raise TypeError(
            f"{self.name}: nnx has no add_loss, whose values would have no gradients. A penalty on an output is its "
            f"layer's activity_regularizer, or layers.ActivityRegularization; one on a parameter is the regularizer of "
            f"add_weight; for anything else make it an output of the model, with a loss of its own"
        )

    def compute_mask(self, x: Any, mask: Any) -> Any:
        """The output's mask from that of the input: a bool array (batch, time), False where a step does not count."""
        return mask

    def compute_output_shape(self, input_shape: Any) -> Any:
        """The output's shape for an input's, without computing; ValueError if the layer cannot take such an input.

        Of several inputs a list of shapes; for several outputs a list is returned.
        """
        if self._composition is None:
            return input_shape
        return self._composition.output_shapes(as_shapes(input_shape), self.name)

    def get_config(self) -> dict[str, Any]:
        optional = ("activity_regularizer", "batch_input_shape")
        return {key: value for key, value in super().get_config().items() if key not in optional or value is not None}
