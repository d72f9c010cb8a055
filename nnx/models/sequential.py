"""Sequential: a stack of layers."""

from __future__ import annotations

import functools
from collections.abc import Collection, Sequence
from typing import Any, Self

from nnx.backends import Array, Placement
from nnx.functional import Pullback
from nnx.graph.composition import Composition
from nnx.graph.layer_dtypes import input_dtypes
from nnx.graph.symbol import Node, Symbol
from nnx.layers.activation import Activated
from nnx.layers.building import undone_if_it_fails
from nnx.layers.input import InputLayer
from nnx.layers.layer import Layer, registry
from nnx.locks import cached_property
from nnx.models.configuration import build_layers, layer_configs
from nnx.models.model import Model
from nnx.names import DistinctNames, name_layer, names_apart
from nnx.parameters import Parameter
from nnx.pullbacks import call_pullback, in_dtype
from nnx.registry import constructor_config
from nnx.shapes import Shape, check_shape
from nnx.structure import leaves
from nnx.training.ports import InputReading


@registry.register()
class Sequential(Model):
    """Layers that are applied one after another.

    layers : the layers, or Input as the first; more can be added with `add`.
    trainable : whether its parameters are trained.
    name : "sequential" by default.

    It is built, in the backend context of that moment, as soon as the shape of its input is known: from `Input`, the
    first layer's `input_shape`, `build`, or the first data. After data, later ones may have other sizes, such as longer
    sequences or larger images, where the layers take them.

    >>> from nnx.layers import Dense, Input
    >>> model = Sequential([Input(shape=(4,)), Dense(3, activation="relu"), Dense(1)])
    >>> model.count_params()
    19
    """

    def __init__(
        self, layers: Sequence[Layer | Symbol] | None = None, trainable: bool = True, name: str | None = None
    ) -> None:
        super().__init__(name=name, trainable=trainable)
        self._layers: list[Layer] = []
        self._input: InputLayer | None = None
        self._is_open = False  # to other sizes than those of the shape that it was built for
        self._symbols: list[Symbol] = []  # the input, and what each layer makes of the one before
        self._names = DistinctNames()  # of the layers
        self._paths: dict[Parameter, str] = {}  # of the parameters
        if isinstance(layers, Layer):
            raise TypeError("Sequential expects a list of layers, got one layer; write Sequential([layer])")
        for layer in layers or ():
            self.add(layer)

    def sublayers(self) -> Sequence[Layer]:
        return self._layers

    def settle(self) -> None:
        """Nothing: its layers are built together, with it."""

    @property
    def layers(self) -> list[Layer]:
        """The layers from the bottom to the top, without the input."""
        return list(self._layers)

    @property
    def input_layer(self) -> InputLayer | None:
        """The Input that the stack was given, if it was given one."""
        return self._input

    def add(self, layer: Layer | Symbol) -> None:
        """Put a layer on top of the stack."""
        if isinstance(layer, Symbol) and layer.node is not None and isinstance(layer.node.layer, InputLayer):
            layer = layer.node.layer
        if not isinstance(layer, Layer):
            hint = "; write its parentheses" if isinstance(layer, type) and issubclass(layer, Layer) else ""
            raise TypeError(f"{self.name}: expected a layer, got {layer!r}{hint}")
        if isinstance(layer, InputLayer):
            if self._layers or self._input:
                raise ValueError(f"{self.name}: Input must be the first layer, and there can be only one")
            self._input = layer
            return
        if layer.is_named and layer in self._layers:  # a layer that is not named yet is in no stack
            raise ValueError(f"{self.name}: layer {layer.name!r} is already in the stack")
        other = self._names.layers.get(layer.name)
        if other is not None and other.name != layer.name:  # somebody has given it another name
            self._names = DistinctNames(self._layers)
        name_layer(layer, self._names, self.name)
        shape = self._next_input_shape(layer)
        self._share_place(layer)
        symbols = [] if shape is None else self._describe_layers([layer], shape)
        self._layers.append(layer)
        self._symbols += symbols
        name = self._names.take(layer)
        if not self.trainable:
            layer.trainable = False
        if self.built:
            self._tell_paths(name, layer)
        elif shape is not None:
            self._finish_build(shape)
        self._forget()

    def pop(self) -> Layer:
        """Take the last layer away, and return it."""
        if not self._layers:
            raise ValueError(f"{self.name} has no layer to pop")
        layer, name = self._layers.pop(), self._names.drop_last()
        if self.built:
            self._symbols.pop()
            for parameter in layer.weights:
                if self._paths.get(parameter, "").startswith(f"{name}/"):  # else it belongs to a layer below too
                    del self._paths[parameter]
        if not self._layers:
            self.built, self._symbols = False, []
        self._forget()
        return layer

    def _share_place(self, layer: Layer) -> None:
        """A layer that is built already brings its place along, or has to be in that of the stack."""
        if not layer.built or not layer.weights:
            return
        if self._placement is None:
            self._placement = layer.placement
        elif not self._placement.holds(layer.weights[0].value):
            raise ValueError(
                f"{self.name} is on {self._placement}, layer {layer.name!r} was built on {layer.placement}: build both "
                f"in one backend, or move a model with .to({self._placement.name!r}) before it is added"
            )

    def _next_input_shape(self, layer: Layer) -> Shape | None:
        """The shape of a new layer's input, as far as it is known."""
        if self._layers:
            return self._symbols[-1].shape if self.built else None
        if self._input is not None:
            return self._input.batch_input_shape
        if layer.batch_input_shape is not None:
            return layer.batch_input_shape
        return layer.build_shape if layer.built else None

    def build_on(self, placement: Placement, input_shape: Any) -> None:
        if not self.built:  # by data, or inside of another model: other sizes may come, if the layers take them
            self._is_open = self._next_input_shape(self._layers[0]) is None if self._layers else False
        super().build_on(placement, input_shape)

    def build(self, input_shape: Any = None) -> None:
        """Make the parameters of all layers.

        input_shape : with the batch axis, such as (None, 784); may be left out if a layer knows it.
        """
        if self.built:
            return
        if input_shape is None:
            input_shape = self._next_input_shape(self._layers[0]) if self._layers else None
            if input_shape is None:
                raise ValueError(f"{self.name}: give build the shape of the input, such as build((None, 784))")
        shape: Shape = check_shape(input_shape, f"input_shape of {self.name}")
        if not self._layers:
            raise ValueError(f"{self.name} has no layers: add some before it is built")
        with undone_if_it_fails(self):
            self._symbols = self._describe_layers(self._layers, shape)
            self._finish_build(shape)

    def _describe_layers(self, layers: Sequence[Layer], shape: Shape) -> list[Symbol]:
        """Build layers in a row, and call them on the last symbol. Returns their symbols, an input first if need be."""
        made = self._symbols[-1:] or [(self._input or InputLayer(batch_input_shape=(None, *shape[1:]))).symbol()]
        for layer in layers:
            layer.build_on(self.placement, made[-1].shape)
            (symbol, *others) = leaves(layer(made[-1]))
            if others:
                raise ValueError(
                    f"{self.name}: {layer.name} returns several outputs, which a stack cannot take: use Model(...)"
                )
            made.append(symbol)
        return made[1:] if self._symbols else made

    def forget_build(self, weights: list[Parameter]) -> None:
        super().forget_build(weights)
        self._symbols = []

    def _calls(self) -> list[Node]:
        return [symbol.node for symbol in self._symbols if symbol.node]

    @property
    def composition(self) -> Composition | None:
        return self._as_graph if self.built else None

    @cached_property
    def _as_graph(self) -> Composition:
        self.require_built("graph")
        return Composition(self._symbols[0], self._symbols[-1], self.name)

    def _computes_by_call(self) -> bool:
        return False

    def _finish_build(self, input_shape: Shape) -> None:
        for name, layer in self._names.layers.items():
            self._tell_paths(name, layer)
        self._forget()
        super().build((None, *input_shape[1:]) if self._input is None else input_shape)

    def _tell_paths(self, name: str, layer: Layer) -> None:
        """Tell the parameters of a layer their paths; one that is shared has that in the first layer."""
        for path, inner in layer.walk(name):
            for parameter in inner.own_weights:
                parameter.path = self._paths.setdefault(parameter, f"{path}/{parameter.name}")

    @property
    def output_shape(self) -> Any:
        """The shape of the output, with None for the batch, and for sizes that follow those of the input."""
        if not (self.built and self._is_open):
            return super().output_shape
        try:
            return self.compute_output_shape((None,) * len(self.build_shape))
        except ValueError:  # a layer that has to know a size
            return super().output_shape

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        if self.built:
            (input_shape,) = self._fit_axes([input_shape])
            self._check_shape(input_shape)
        for layer in self._layers:
            input_shape = layer.compute_output_shape(input_shape)
        return input_shape

    def _check_shape(self, shape: Shape) -> None:
        expected: Shape = self.build_shape
        fits = len(shape) == len(expected) and all(
            self._is_open or e is None or g is None or e == g for e, g in zip(expected, shape, strict=True)
        )
        if not fits:
            sample = shape == expected[1:]
            hint = f"; for one sample, add the batch axis: x[None] of shape (1, {', '.join(map(str, shape))})"
            raise ValueError(f"{self.name}: expected an input of shape {expected}, got {shape}{hint if sample else ''}")

    # Computation

    @property
    def input_names(self) -> list[str]:
        return ["x"] if self._input is None else [self._input.name]

    @property
    def output_names(self) -> list[str]:
        return [self._layers[-1].name if self._layers else self.name]

    @property
    def output_structure(self) -> Any:
        return None

    @property
    def input_readings(self) -> list[InputReading]:
        if not self._layers:
            self.require_built("input_readings")
        first = self._layers[0]
        dtype = self._input.dtype if self._input else None
        if dtype is None and isinstance(first, Model):
            dtype = first.input_readings[0].dtype
        readers = [first] if first.composition is None else first.composition.program.readers(0)
        return [InputReading.of(dtype, readers, any(layer.takes_integers for _, layer in self.walk()))]

    @property
    def fusible_activations(self) -> list[str | None]:
        last = self._layers[-1] if self._layers else None
        return [last.fusible_activation if isinstance(last, Activated | Model) else None]

    def activate(self, z: Array, output: int = 0) -> tuple[Array, Pullback]:
        return self._layers[-1].activate(z)  # type: ignore[attr-defined, no-any-return]

    def chain(
        self, arrays: Sequence[Array], *, training: bool, logits: Collection[int] = (), masks: Sequence[Any] = ()
    ) -> tuple[list[Array], list[Any], Pullback]:
        x, mask = arrays[0], masks[0] if masks else None
        pullbacks: list[Pullback] = []
        last, dtypes = self._layers[-1], self._input_dtypes
        for layer in self._layers:
            bare = logits and layer is last
            if dtypes:
                (x,), back = in_dtype([x], dtypes[layer], functools.partial(_keeps, layer))
            if mask is not None or layer.makes_mask:
                x, mask, pullback = layer.run_masked([x], mask, training=training, **({"logits": True} if bare else {}))
            elif bare:
                x, pullback = layer.preactivation(x, training=training)  # type: ignore[attr-defined]
            else:
                x, pullback = layer.run(x, training=training)
            pullbacks.append(back(pullback) if dtypes else pullback)

        def pull_back(dys: Sequence[Array], inputs: bool = True) -> list[Array]:
            dy = dys[0]
            first = 0 if inputs else self._first_with_weights
            for pullback in reversed(pullbacks[first + 1 :]):
                dy = pullback(dy)
            if first == len(pullbacks):
                return []
            dx = call_pullback(pullbacks[first], dy, inputs)
            return [dx] if inputs else []

        return [x], [mask], pull_back

    @cached_property
    def _input_dtypes(self) -> dict[Any, str | None]:
        return input_dtypes(self._layers, self.name)

    @cached_property
    def _first_with_weights(self) -> int:
        """The index of the first layer with parameters to train: before it nobody needs a cotangent."""
        learning = (index for index, layer in enumerate(self._layers) if layer.learns and layer.weights)
        return next(learning, len(self._layers))

    def _forget(self) -> None:
        """Take back what was derived from the layers."""
        for derived in ("_first_with_weights", "_input_dtypes", "_as_graph", "_fitting_shapes"):
            self.__dict__.pop(derived, None)
        self.forget_training()

    def get_config(self) -> dict[str, Any]:
        """The layers; of a subclass with a constructor of its own, the arguments of that."""
        if type(self).__init__ is not Sequential.__init__:
            return constructor_config(self, without=("layers",))
        return {
            "name": self.name,
            "trainable": self.trainable,
            "layers": layer_configs(names_apart([*([self._input] if self._input else []), *self._layers])),
            "build_input_shape": list(self.build_shape) if self.built else None,
            **({"is_open": True} if self.built and self._is_open else {}),
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        if "layers" not in config:
            return cls(**config)
        model = cls(build_layers(config["layers"]), trainable=config.get("trainable", True), name=config.get("name"))
        if config.get("build_input_shape") and not model.built:
            model.build(tuple(config["build_input_shape"]))
            model._is_open = bool(config.get("is_open"))
        return model


def _keeps(layer: Layer, index: int) -> bool:
    """Whether a layer takes an input as it is: integers, or what stays on the host."""
    return layer.reads_integers(index) or layer.reads_on_host(index)
