"""What every layer is: configuration, parameters, and a forward pass that returns its pullback."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from nnx import regularizers
from nnx.backends import Array, Placement, get_backend, is_array, placement_of, to_numpy
from nnx.constraints import resolve as resolve_constraint
from nnx.functional import Pullback
from nnx.initializers import resolve as resolve_initializer
from nnx.layers.arguments import check_name, dtype_name
from nnx.layers.parameter import Parameter
from nnx.layers.pullback import LayerPullback, call_pullback
from nnx.layers.shapes import Shape, check_shape, snake_case
from nnx.random import Generator
from nnx.registry import Configurable, Registry, constructor_arguments

registry: Registry[Any] = Registry("layer")


class Layer(Configurable):
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
        self.named_by_user = name is not None
        check_name(name or "")
        self.name = name or snake_case(type(self).__name__)
        self.trainable = trainable
        self.dtype = dtype_name(self.name, dtype)
        self.activity_regularizer = regularizers.resolve(activity_regularizer)
        self.batch_input_shape = self._read_input_shape(batch_input_shape, legacy)
        self.built = False
        self.build_shape: Any = None
        self.random: Generator | None = None  # of a layer that draws random numbers; set when it is built
        self.activity_penalties: list[Array] | None = None  # a list while somebody collects them
        self.activity_scale = 1.0  # the cotangent of the loss that the penalties are a part of
        self.own_weights: list[Parameter] = []  # without those of inner layers
        self._placement: Placement | None = None

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

    # Parameters

    def build(self, input_shape: Shape) -> None:
        """Make the parameters for inputs of that shape. A subclass that needs some overrides this and calls it last."""
        self.built = True
        self.build_shape = input_shape

    def build_on(self, placement: Placement, input_shape: Shape) -> None:
        """Build the layer, if it is not built yet, with its parameters in that place."""
        if not self.built:
            self._placement = placement
            self.build(input_shape)
            self.built, self.build_shape = True, input_shape

    def add_weight(
        self,
        shape: Sequence[int],
        initializer: Any = "glorot_uniform",
        *,
        name: str,
        trainable: bool = True,
        regularizer: Any = None,
        constraint: Any = None,
        dtype: str | None = None,
    ) -> Parameter:
        """Make a parameter of this layer. Its first value is drawn on the host, so it is the same on every backend."""
        if any(parameter.name == name for parameter in self.own_weights):
            raise ValueError(f"{self.name} already has a weight {name!r}; names must be unique in a layer")
        placement = self.placement
        kind = dtype or self.dtype or placement.dtype
        initial = resolve_initializer(initializer)(tuple(shape), kind)
        parameter = Parameter(
            placement.asarray(np.array(initial, dtype=kind), kind),
            name,
            trainable=trainable,
            regularizer=regularizers.resolve(regularizer),
            constraint=resolve_constraint(constraint),
        )
        self.own_weights.append(parameter)
        return parameter

    @property
    def placement(self) -> Placement:
        """Where the parameters are: decided when the layer is built."""
        if self._placement is None:
            self._placement = get_backend()
        return self._placement

    def sublayers(self) -> Sequence[Layer]:
        """The layers that this one is made of."""
        return ()

    def walk(self, prefix: str = "") -> Iterator[tuple[str, Layer]]:
        """This layer and those inside it, each with its path."""
        path = f"{prefix}{self.name}"
        yield path, self
        for layer in self.sublayers():
            yield from layer.walk(f"{path}/")

    @property
    def weights(self) -> list[Parameter]:
        """All parameters, in the order of their creation, those of inner layers included."""
        found = list(self.own_weights)
        for layer in self.sublayers():
            found += layer.weights
        return list(dict.fromkeys(found))

    @property
    def trainable_weights(self) -> list[Parameter]:
        if not self.trainable:
            return []
        found = [parameter for parameter in self.own_weights if parameter.trainable]
        for layer in self.sublayers():
            found += layer.trainable_weights
        return list(dict.fromkeys(found))

    @property
    def non_trainable_weights(self) -> list[Parameter]:
        trained = set(self.trainable_weights)
        return [parameter for parameter in self.weights if parameter not in trained]

    def count_params(self) -> int:
        """How many numbers the parameters are made of. ValueError before the layer is built."""
        if not self.built:
            raise ValueError(f"{self.name} has no parameters to count before it is built: give it an input shape first")
        return sum(parameter.size for parameter in self.weights)

    def get_weights(self) -> list[np.ndarray]:
        """Copies of all parameters on the host."""
        return [to_numpy(parameter.value).copy() for parameter in self.weights]

    def set_weights(self, weights: Sequence[Any]) -> None:
        """Give all parameters new values, in the order of `get_weights`. Nothing changes if one does not fit."""
        parameters = self.weights
        if len(weights) != len(parameters):
            raise ValueError(
                f"{self.name} has {len(parameters)} weights, "
                f"{', '.join(f'{p.path} {p.shape}' for p in parameters) or 'none'}; got {len(weights)}"
            )
        hosts = [to_numpy(weight) for weight in weights]
        for parameter, host in zip(parameters, hosts, strict=True):
            if host.shape != parameter.shape:
                raise ValueError(
                    f"weight {parameter.path} of {self.name} has shape {parameter.shape}, got {host.shape}"
                )
        for parameter, host in zip(parameters, hosts, strict=True):
            parameter.value[...] = self.placement.asarray(host, parameter.dtype)

    def move(self, placement: Placement) -> None:
        """Move the layer's own parameters; a model moves itself with `to`."""
        self._placement = placement
        for parameter in self.own_weights:
            parameter.value = placement.asarray(to_numpy(parameter.value), parameter.dtype)
            parameter.leave()

    # Computation

    def forward(self, *inputs: Any, **options: Any) -> tuple[Any, Pullback]:
        """The value for inputs, and the pullback: what maps the value's cotangent to those of the inputs."""
        raise TypeError(f"{type(self).__name__} does not define forward(self, x, *, training=False) -> (y, pullback)")

    def run(self, *inputs: Any, **options: Any) -> tuple[Any, Pullback]:
        """`forward`, with what holds for every layer: the penalty on the output."""
        y, pullback = self.forward(*inputs, **options)
        if self.activity_regularizer is None:
            return y, pullback
        penalty, pullback_penalty = self.activity_regularizer.forward(y)
        share = 1.0 / y.shape[0]
        if self.activity_penalties is not None:
            self.activity_penalties.append(penalty * share)
        share *= self.activity_scale
        return y, lambda dy, inputs=True: call_pullback(pullback, dy + pullback_penalty(share), inputs)

    def route(self, pullback: Pullback, *targets: Parameter | None, direct: bool = False) -> LayerPullback:
        """The layer's pullback from a function's: cotangents of parameters go into their gradients.

        targets : for each array argument of the function, the parameter it was, or None where it was an input.
        direct : the function's pullback takes `out` and writes to the gradients itself; see `nnx.functional`.
        """
        return LayerPullback(pullback, targets, direct)

    def __call__(self, *inputs: Any, training: bool = False, **options: Any) -> Any:
        """The layer's value for arrays. Builds it on the first call, beside its input; lists are converted."""
        home = self.placement if self.built else get_backend()
        arrays = [x if is_array(x) else home.asarray(x) for x in inputs]
        if not all(x.shape for x in arrays):
            raise ValueError(f"{self.name}: expected an array whose first axis is the batch, got a single number")
        if not self.built:
            place = placement_of(arrays[0], self.dtype or get_backend().dtype)
            shapes = [(None, *x.shape[1:]) for x in arrays]
            self.build_on(place, shapes[0] if len(shapes) == 1 else shapes)  # type: ignore[arg-type]
        return self.run(*self.admit(*arrays), training=training, **options)[0]

    def admit(self, *inputs: Array) -> list[Array]:
        """Inputs in the layer's dtype; ValueError for those on another device or of a shape that it cannot take."""
        for x in inputs:
            if not self.placement.holds(x):
                raise ValueError(
                    f"{self.name} is on {self.placement}, its input is not: bring the input there with nnx.asarray, or "
                    f"move the model with model.to(...)"
                )
        self.compute_output_shape(tuple(inputs[0].shape))
        if self.takes_integers:
            return list(inputs)
        return [self.placement.asarray(x, self.dtype or self.placement.dtype) for x in inputs]

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """The output's shape for an input's, without computing; ValueError if the layer cannot take such an input."""
        return input_shape

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        if config["activity_regularizer"] is None:
            del config["activity_regularizer"]
        return {key: value for key, value in config.items() if key != "batch_input_shape" or value is not None}
