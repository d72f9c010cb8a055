"""Layer: configuration, parameters, and a forward pass that returns its pullback."""

from __future__ import annotations

import contextlib
import functools
import inspect
import types
import weakref
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from nnx import constraints, initializers, ranks, regularizers
from nnx.arguments import check_name, choice, dtype_name, is_integer
from nnx.autodiff.array import TrackedArray, lower
from nnx.autodiff.primitive import primitive
from nnx.autodiff.tape import open_tapes
from nnx.backends import Array, Placement, array_namespace, get_backend, is_array, placement_of, to_numpy
from nnx.functional import Pullback
from nnx.graph.call_program import arguments_of, composition_of_call
from nnx.graph.composition import Composition
from nnx.graph.host_call import call_on_host
from nnx.graph.layer_protocol import read_on_host
from nnx.graph.program import as_masks
from nnx.graph.recorded_call import call_on_tapes, keeping_losses
from nnx.graph.symbol import Node, Symbol, has_symbols
from nnx.layers.added_losses import collected, penalise_output, penalty_on, take_loss
from nnx.layers.building import BUILDING, marking_as_built, undone_if_it_fails
from nnx.layers.first_values import first_value
from nnx.layers.input_spec import check_inputs
from nnx.layers.input_values import are_values, is_value, kept_dtype, read_value
from nnx.layers.signatures import (
    CallSignature,
    call_signature,
    count_of_shapes,
    forward_signature,
    in_structure,
    settle_call,
)
from nnx.lazy_loading import attribute_of
from nnx.members import Advising, refuse_uncalled
from nnx.names import did_you_mean, names_apart, nearest, numbered, shortened, snake_case
from nnx.operators import ArrayHolder
from nnx.parameters import ComparedAttributes, Freezing, Parameter, leave_recorded
from nnx.precision import narrow, wide
from nnx.pullbacks import (
    Differentiable,
    LayerPullback,
    Skippable,
    call_pullback,
    fitting_inputs,
    fitting_targets,
    is_pair,
)
from nnx.random import Generator
from nnx.registry import Configurable, constructor_arguments, constructor_config, layer_registry
from nnx.shapes import Shape, as_shapes, behind_batch, check_shape, is_shape
from nnx.structure import contents, leaves, leaves_like, rebuild
from nnx.text.values import is_texts
from nnx.user_warnings import warn_user

registry = layer_registry


class Layer(ComparedAttributes, Configurable, Advising):
    """A function of arrays with parameters.

    To write one, declare parameters in `build` and compute in `call`, ordinary array code whose derivative is derived;
    or in `forward`, which returns the value with its pullback. Constructor arguments are kept as attributes of the same
    name; then saving, loading and copying need nothing more. What else a file shall have of a layer is said by
    `save_own_variables` and `load_own_variables`.

    name : unique in a model; made from the class name by default.
    trainable : whether its trainable parameters are trained. What counts is its value when the model is compiled.
    dtype : the floating dtype of its parameters, and that it computes in, whatever the dtype of the model; by default
        that of the backend context.
    autocast : whether floating inputs are converted to that dtype; False leaves them as they come.
    activity_regularizer : a penalty on the output, divided by the batch size and added to the loss.
    batch_input_shape : the shape of the input for the first layer of a Sequential, batch axis included; also written
        as `input_shape=` without the batch axis, or `input_dim=` for vectors.

    >>> import nnx
    >>> class Scale(nnx.layers.Layer):
    ...     def build(self, input_shape):
    ...         self.scale = self.add_weight(name="scale", shape=(1,), initializer="ones")
    ...         super().build(input_shape)
    ...     def call(self, x):
    ...         return x * self.scale
    >>> Scale()(nnx.asarray([[1.0, 2.0]]))
    array([[1., 2.]], dtype=float32)

    The same by hand:

    >>> class FastScale(Scale):
    ...     call = None
    ...     def forward(self, x, *, training=False):
    ...         xp = nnx.array_namespace(x)
    ...         def pullback(dy):
    ...             return dy * self.scale.value, xp.reshape(xp.sum(dy * x), (1,))
    ...         return x * self.scale.value, self.route(pullback, None, self.scale)
    >>> FastScale()(nnx.asarray([[1.0, 2.0]]))
    array([[1., 2.]], dtype=float32)
    """

    takes_integers = False
    """Whether inputs keep an integer dtype, as indices do; others are converted to the layer's dtype."""

    floats_with = ""
    """The option of a call that, if it is True, lets a layer of integers take other numbers."""

    converts_inputs = True
    """Whether it converts floating inputs to its dtype in a graph, as layers do; operations on symbols do not."""

    on_host = False
    """Whether it computes on the host, as on texts: an input that goes only to such layers stays there."""

    takes_scalars = False
    """Whether it takes a single number, or text, that is no batch."""

    made_dtype: Any = None
    """Of a layer that computes on the host: the dtype of its output."""

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

    mask_axes: tuple[str, ...] = ("batch", "time")
    """What the axes of a mask are called in errors."""

    mask_by_position = False
    """Whether a mask may also be the argument after the input, as in Keras."""

    supports_masking = False
    """Whether it takes a mask, as Keras says it; if one that is written as `call` does, its output has that mask."""

    input_spec: Any = None
    """What a layer says of its inputs: an `InputSpec`, or a list of them; see there."""

    refused: ClassVar[tuple[str, ...]] = ()
    """Arguments of its constructor that Keras has, and that have one value here, which does nothing."""

    output_dtypes: Sequence[str] | None = None
    """The dtypes of its outputs, of a layer whose outputs are not all of its own."""

    call_losses: tuple[Any, ...] = ()
    """What it added to the loss in the last call that was not a step of `fit`; see `losses`."""

    _said_lost_mask = False
    _first_inputs: Sequence[Any] = ()  # while it is built for its first call, what that gives it
    _fitting_shapes: list[Shape] | None = None  # of the inputs of the last call

    def __init__(
        self,
        *,
        name: str | None = None,
        trainable: bool = True,
        dtype: str | None = None,
        autocast: bool = True,
        activity_regularizer: Any = None,
        batch_input_shape: Sequence[int | None] | None = None,
        **legacy: Any,
    ) -> None:
        self.own_weights: list[Parameter] = []  # without those of inner layers; trainable ones first
        self.named_by_user = name is not None
        self.is_named = False  # by a model, for good
        if name is not None:
            check_name(name)
        self.name = name or snake_case(type(self).__name__)
        self._trainable = trainable
        self._placement: Placement | None = None
        self.dtype = dtype_name(self.name, dtype)
        self.autocast = bool(autocast)
        self.activity_regularizer = regularizers.resolve(activity_regularizer)
        self.batch_input_shape = self._read_input_shape(batch_input_shape, legacy)
        self.built = False
        self.build_shape: Any = None
        self.input_structure: Any = None  # of the arguments of the first call, with numbers in place of arrays
        self.random: Generator | None = None  # of a layer that draws random numbers; set when it is built
        self._first_call: weakref.ref[Node] | None = None
        self._composition: Composition | None = None  # of a layer that is written as `call`, and of a model

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if "build" in vars(cls):
            cls.build = marking_as_built(cls.build)  # type: ignore[method-assign]
        refuse_uncalled(cls)
        if cls._computes_by_forward and cls.forward is not Layer.forward:
            settle_call(cls, Layer)

    _computes_by_forward = True
    """Whether a subclass with a `call` computes by that, and no longer by the `forward` that it inherits."""

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            """Called for what is not there: of an object whose constructor was not called, that is everything."""
            if "own_weights" not in vars(self):
                kind = type(self).__name__
                raise AttributeError(f"{kind} has no {name!r}: {kind}.__init__ must begin with super().__init__()")
            return super().__getattr__(name)

    def _read_input_shape(self, batch_input_shape: Any, legacy: dict[str, Any]) -> Shape | None:
        input_shape = legacy.pop("input_shape", None)
        input_dim = legacy.pop("input_dim", None)
        if legacy:
            unknown = next(iter(legacy))
            known = (*constructor_arguments(type(self)), "input_shape", "input_dim")  # type: ignore[arg-type]
            hint = did_you_mean(nearest(unknown, known))
            raise TypeError(f"{type(self).__name__} has no argument {unknown!r}{f'; {hint}' if hint else ''}")
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
        self.build_shape = input_shape
        self.built = True
        if not self._trainable:
            self.trainable = False  # of the layers inside too

    def finish_build(self, input_shape: Any) -> None:
        """What `build` of a class of somebody's own leaves to do, where it does not call that of its base."""
        Layer.build(self, input_shape)

    def build_on(self, placement: Placement, input_shape: Any) -> None:
        """Build the layer, if it is not built yet, with its parameters in that place. Nothing is left if that fails."""
        if not self.needs_build:
            return
        with BUILDING:
            if not self.needs_build:  # another thread has done it meanwhile
                return
            self._placement = self._placement or placement
            if self.built:
                with self.placement.computing:
                    self._adopt_variables()
                    self._try_call(input_shape)
                return
            self._placement = placement
            with placement.computing, undone_if_it_fails(self):
                self.build(*self._shapes_for_build(input_shape))
                if not _is_built_by_nnx(type(self)):  # type: ignore[arg-type]
                    self._adopt_variables()
                self._try_call(input_shape)
            self.built, self.build_shape = True, input_shape

    @property
    def needs_build(self) -> bool:
        """Whether `build_on` has something to do: it also tries the `call` of a layer whose `build` somebody called."""
        return not self.built or (self._composition is None and self.is_eager and self._computes_by_call())

    def _shapes_for_build(self, input_shape: Any) -> Sequence[Any]:
        """What `build` is called with: as in Keras the shapes of as many arguments of `call` as it takes.

        A layer whose `call` has one argument, and one that is no array code, gets all that there is.
        """
        arguments = self.input_structure if self.is_eager else None
        if not isinstance(arguments, tuple) or len(arguments) < 2 or len(leaves(arguments)) != len(input_shape):
            return (input_shape,)
        shapes: tuple[Any, ...] = rebuild(arguments, input_shape)
        return shapes[: count_of_shapes(type(self).build)]

    def get_build_config(self) -> dict[str, Any] | None:
        """What `build_from_config` takes: the shape that it was built for, or those by `build`'s arguments; else None.

        >>> import nnx
        >>> layer = nnx.layers.Dense(3)
        >>> layer.build((None, 2))
        >>> layer.get_build_config()
        {'input_shape': (None, 2)}
        """
        if not self.built:
            return None
        shapes = self._shapes_for_build(self.build_shape)
        if len(shapes) == 1:
            return {"input_shape": shapes[0]}
        names = list(inspect.signature(self.build).parameters)
        return {"shapes_dict": dict(zip(names, shapes, strict=False))}

    def build_from_config(self, config: dict[str, Any] | None) -> None:
        """Build it, if it is not built yet, as `get_build_config` of a layer like it said."""
        if self.built or not config:
            return
        if "shapes_dict" in config:
            self.build(**config["shapes_dict"])
        else:
            self.build(config["input_shape"])

    def forget_build(self, weights: list[Parameter]) -> None:
        """Be as before the layer was built. weights : those that it had before."""
        self.built, self.build_shape, self._placement, self._composition = False, None, None, None
        self._fitting_shapes = None
        self.own_weights[:] = weights

    def _adopt_variables(self) -> None:
        """Let variables in attributes, which no layer has yet, be weights of this one."""
        seldom = [(name, value) for name, value in vars(self).items() if type(value) not in _WITHOUT_VARIABLES]
        for name, value in seldom:
            if name in _NOT_SEARCHED or not issubclass(type(value), Parameter | dict | list | tuple):
                continue
            for one in contents(value):
                if type(one) is Parameter and one.is_free:
                    known = [parameter.name for parameter in self.own_weights]
                    one.name, one.is_free = numbered(one.name, known), False
                    if not self.placement.holds(one.value):
                        one.memory = self.placement.asarray(to_numpy(one.value), one.dtype)
                    self._keep_weight(one)

    def _keep_weight(self, parameter: Parameter) -> None:
        """Let a parameter be a weight of this layer, in Keras' order: as they are made, but trainable ones first."""
        place = len(self.own_weights)
        while parameter.trainable and place and not self.own_weights[place - 1].trainable:
            place -= 1
        self.own_weights.insert(place, parameter)

    def _try_call(self, input_shape: Any) -> None:
        """Find out what the `call` of a layer that has one does, by running it."""
        if not self.is_eager or self._composition is not None:
            return
        if not self._computes_by_call():
            raise TypeError(
                f"{type(self).__name__} has a call() of its own beside the forward() that it has or inherits, and only "
                f"one can count: derive from Layer or Model and use the other layer, as in self.inner(x)"
            )
        self._composition = composition_of_call(self, input_shape, given=self._first_inputs)
        makes_mask = self._has_own_mask() or any(layer.makes_mask for layer in self.sublayers())
        vars(self).setdefault("makes_mask", makes_mask)  # a model looks itself
        if not self._trainable:
            self.trainable = False

    def _computes_by_call(self) -> bool:
        return type(self).forward is Layer.forward

    @property
    def _known_call(self) -> CallSignature | None:
        return call_signature(type(self))  # type: ignore[arg-type]

    @property
    def is_eager(self) -> bool:
        """Whether the layer is written as `call`, ordinary array code that is run and differentiated as it is."""
        return call_signature(type(self)) is not None  # type: ignore[arg-type]

    @property
    def takes_training(self) -> bool:
        """Whether its `call` takes `training`."""
        call = self._known_call
        return call is not None and call.takes_training

    def sublayers(self) -> Sequence[Layer]:
        """The layers that this one is made of: of one that is written as `call` those that its attributes hold."""
        if self.is_eager:
            return held_layers(self)
        return () if self._composition is None else self._composition.program.layers

    @property
    def takes_ending(self) -> bool:
        """Whether `run_ended` can be called in place of `run`, with what follows the layer in a graph."""
        return False

    def run_ended(self, end: Differentiable, *inputs: Array, **options: Any) -> tuple[Array, Pullback]:
        """As `run`, with a function at the end: one of the activations, or an `Ending`, which adds something before."""
        y, pullback = self.run(*inputs, **options)
        y, pull_end = end(y)
        return y, Skippable(lambda dy, inputs: call_pullback(pullback, pull_end(dy), inputs))

    @property
    def is_sum(self) -> bool:
        """Whether it adds its inputs, and does nothing else."""
        return False

    @property
    def plain_activation(self) -> Differentiable | None:
        """The activation of a layer that is nothing but an activation; else None."""
        return None

    @property
    def joins_equal_inputs(self) -> bool:
        """Whether `forward` takes one array where all inputs are the same value, as in self-attention."""
        return False

    @property
    def keeps_rows_apart(self) -> bool:
        """Whether at inference what comes of a row depends on that row alone, however the rows are cut into batches.

        Of layers of one's own, and of functions that one gave, nobody knows: False.
        """
        kind, given = type(self), vars(self)
        return (
            kind.__module__.startswith("nnx.")
            and not self.is_eager
            and not self.on_host  # texts get as long as the longest of their batch
            and not given.get("stateful")
            and behind_batch(given.get("axis", -1))
            and all(_is_built_in(value) for value in given.values() if callable(value))
            and all(inner.keeps_rows_apart for inner in self.sublayers())
        )

    # Parameters

    def add_weight(
        self,
        shape: Sequence[int] = (),
        initializer: Any = None,
        dtype: str | None = None,
        trainable: bool = True,
        autocast: bool = True,
        regularizer: Any = None,
        constraint: Any = None,
        aggregation: str | None = "none",
        overwrite_with_gradient: bool = False,
        name: str | None = None,
    ) -> Parameter:
        """Make a parameter of this layer. Its first value is drawn on the host, so it is the same on every backend.

        initializer : by default "glorot_uniform", and zeros where the dtype is that of integers or bools.
        dtype : by default that of the layer.
        autocast : False for float32 where the layer's dtype is float16.
        name : unique in the layer; "variable", "variable_1", ... by default.
        aggregation : None, "none", "mean", "sum" or "only_first_replica", as in Keras; a weight is the same in all
            processes. overwrite_with_gradient : False; ValueError for anything else.
        """
        if aggregation not in (None, "none"):
            choice(f"{self.name}: aggregation", aggregation, ("none", "mean", "sum", "only_first_replica"))
        if overwrite_with_gradient:
            raise ValueError(f"{self.name}: a weight is trained by its gradient: leave out overwrite_with_gradient")
        if not _is_built_by_nnx(type(self)):  # type: ignore[arg-type]
            self._adopt_variables()  # those that are in attributes by now come before this weight
        name = name or numbered("variable", [parameter.name for parameter in self.own_weights])
        check_name(name.partition("/")[0], f"a weight of {self.name}")
        if any(parameter.name == name for parameter in self.own_weights):
            raise ValueError(f"{self.name} already has a weight {name!r}; names must be unique in a layer")
        if not isinstance(shape, Iterable):
            raise TypeError(f"{self.name}: the shape of {name} must be a tuple of sizes, got {shape!r}: ({shape},)")
        if not all(is_integer(size, least=0) for size in shape):
            raise ValueError(
                f"{self.name}: a {name} of shape {shortened(str(tuple(shape)))} cannot be made: expected integers, so "
                f"look at the input_shape that build() was given, one shape with all the sizes that the layer needs"
            )
        placement = self.placement
        kind = dtype_name(self.name, dtype) or self.dtype or placement.dtype
        kind = kind if autocast or kind != "float16" else "float32"
        parameter = Parameter(
            first_value(self, name, tuple(shape), kind, initializer),
            name,
            trainable=trainable,
            regularizer=regularizers.resolve(regularizer),
            constraint=constraints.resolve(constraint),
        )
        self._keep_weight(parameter)
        return parameter

    def add_variable(
        self,
        shape: Sequence[int],
        initializer: Any,
        dtype: str | None = None,
        trainable: bool = True,
        autocast: bool = True,
        regularizer: Any = None,
        constraint: Any = None,
        name: str | None = None,
    ) -> Parameter:
        """`add_weight`, as Keras also calls it."""
        return self.add_weight(shape, initializer, dtype, trainable, autocast, regularizer, constraint, name=name)

    def set_weight_options(
        self, weight: str, initializer: Any, regularizer: Any = None, constraint: Any = None
    ) -> None:
        """Keep the options of a weight, as users give them, until `add_weight_with_options` makes it.

        They are kept as attributes of the names that the constructor's arguments have, which are part of the layer's
        configuration: for the weight "kernel" kernel_initializer, kernel_regularizer and kernel_constraint.
        """
        setattr(self, f"{weight}_initializer", initializers.resolve(initializer))
        setattr(self, f"{weight}_regularizer", regularizers.resolve(regularizer))
        setattr(self, f"{weight}_constraint", constraints.resolve(constraint))

    def add_weight_with_options(
        self, weight: str, shape: Sequence[int], *, name: str | None = None, initializer: Any = None
    ) -> Parameter:
        """`add_weight` with the options that `set_weight_options` keeps for that weight.

        name : of the parameter, if it is not called as its options are.
        initializer : in place of the one that is kept.
        """
        return self.add_weight(
            shape,
            getattr(self, f"{weight}_initializer") if initializer is None else initializer,
            name=name or weight,
            regularizer=getattr(self, f"{weight}_regularizer"),
            constraint=getattr(self, f"{weight}_constraint"),
        )

    @property
    def placement(self) -> Placement:
        """Where the parameters are: decided when the layer is built."""
        if self._placement is None:
            self._placement = get_backend()
        return self._placement

    @property
    def computing(self) -> contextlib.AbstractContextManager[Any]:
        """A block for computing where the parameters are, or will be, whatever device is current around it."""
        return (self._placement or get_backend()).computing

    @property
    def compute_dtype(self) -> str:
        """The dtype that it computes in, and that it converts floating inputs to."""
        return self.dtype or (self._placement or get_backend()).dtype

    @property
    def input_dtype(self) -> str:
        """`compute_dtype`, as Keras also calls it."""
        return self.compute_dtype

    @property
    def dtype_policy(self) -> Any:
        """The dtypes that it computes in and that its parameters are trained in, as a `DTypePolicy`."""
        dtype = self.compute_dtype
        if not dtype.startswith("float"):
            raise AttributeError(f"{self.name} has no dtype_policy, as it makes integers: {self.name}.dtype says which")
        return attribute_of("nnx.mixed_precision", "DTypePolicy")("mixed_float16" if dtype == "float16" else dtype)

    @property
    def variable_dtype(self) -> str:
        """The dtype that its parameters are trained in: float32 where it computes in float16."""
        return "float32" if self.compute_dtype == "float16" else self.compute_dtype

    def named_sublayers(self) -> list[tuple[str, Any]]:
        """The sublayers, each with a name that no other has: one that another model has named may share it with one."""
        inside = self.sublayers()
        return names_apart(inside) if inside else []

    def walk(self, path: str | None = None) -> Iterator[tuple[str, Any]]:
        """This layer and those inside it, each with its path, such as "encoder/dense_1"."""
        path = self.name if path is None else path
        yield path, self
        for name, layer in self.named_sublayers():
            yield from layer.walk(f"{path}/{name}" if path else name)

    @property
    def trainable(self) -> bool:
        """Whether its trainable parameters are trained. Setting it sets that of all layers inside, as in Keras.

        A model that is compiled goes on as was decided then, also in what `BatchNormalization` does, until it is
        compiled again.
        """
        return self._trainable

    @trainable.setter
    def trainable(self, value: bool) -> None:
        self.restore_trainable(bool(value))
        Freezing.changes += 1
        for layer in self.sublayers():
            layer.trainable = value

    def restore_trainable(self, value: bool) -> None:
        """Be trainable or not for the time being, without the layers inside, and without telling anybody."""
        self._trainable = value

    @property
    def weights(self) -> list[Parameter]:
        """All parameters: the trainable ones in the order of their creation, the others, then those of inner layers."""
        found = list(self.own_weights)
        for layer in self.sublayers():
            found += layer.weights
        return list(dict.fromkeys(found))

    @property
    def trainable_weights(self) -> list[Parameter]:
        """The parameters that training changes, those of inner layers included; none of a frozen layer."""
        if not self.trainable:
            return []
        found = [parameter for parameter in self.own_weights if parameter.trainable]
        for layer in self.sublayers():
            found += layer.trainable_weights
        return list(dict.fromkeys(found))

    @property
    def non_trainable_weights(self) -> list[Parameter]:
        """The parameters that training does not change, those of inner layers included."""
        trained = set(self.trainable_weights)
        return [parameter for parameter in self.weights if parameter not in trained]

    @property
    def variables(self) -> list[Parameter]:
        """`weights`, as Keras also calls them."""
        return self.weights

    @property
    def trainable_variables(self) -> list[Parameter]:
        """`trainable_weights`, as Keras also calls them."""
        return self.trainable_weights

    @property
    def non_trainable_variables(self) -> list[Parameter]:
        """`non_trainable_weights`, as Keras also calls them."""
        return self.non_trainable_weights

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
        leave_recorded([parameter for parameter in parameters if parameter.trainable])
        with self.computing:
            values = [self.placement.asarray(host, p.dtype) for p, host in zip(parameters, hosts, strict=True)]
            for parameter, value in zip(parameters, values, strict=True):
                parameter.value[...] = value

    # What files have of it: a subclass overrides these, and may have `save_assets` and `load_assets`

    @property
    def own_variables(self) -> list[Parameter]:
        """The weights that `save_own_variables` stores: its own, but for those that in Keras a layer inside has."""
        return self.own_weights

    @property
    def stores_itself(self) -> bool:
        """Whether the class says itself what files have in the place of its own weights."""
        kind = type(self)
        saves, loads = kind.save_own_variables, kind.load_own_variables
        return saves is not Layer.save_own_variables or loads is not Layer.load_own_variables

    def save_own_variables(self, store: Any) -> None:
        """Put what a file shall have of this layer into a dict: by default its own weights, under "0", "1", ...

        A subclass may store other arrays and numbers, under names without "/"; whole files are written by a method
        `save_assets(self, folder)`, and read by `load_assets(self, folder)`. Layers inside are saved by themselves.

        >>> import nnx
        >>> class Counting(nnx.layers.Dense):
        ...     count = 0
        ...     def save_own_variables(self, store):
        ...         super().save_own_variables(store)
        ...         store["count"] = self.count
        ...     def load_own_variables(self, store):
        ...         self.count = int(store.pop("count"))
        ...         super().load_own_variables(store)
        >>> layer, other, store = Counting(2), Counting(2), {}
        >>> layer.build((None, 3)); other.build((None, 3))
        >>> layer.count = 5
        >>> layer.save_own_variables(store)
        >>> sorted(store)
        ['0', '1', 'count']
        >>> other.load_own_variables(store)
        >>> other.count
        5
        """
        for number, parameter in enumerate(self.own_variables):
            store[str(number)] = parameter

    def load_own_variables(self, store: Any) -> None:
        """Take what `save_own_variables` has stored: a dict of arrays on the host.

        By default ValueError, before anything changes, unless there is one of the right shape for each own weight.
        """
        parameters = self.own_variables
        if len(store.keys()) != len(parameters):
            names = ", ".join(parameter.name for parameter in parameters)
            raise ValueError(
                f"{self.name} has {len(parameters)} own weights{names and f' ({names})'}, in the store are "
                f"{len(store.keys())}: {shortened(', '.join(map(str, store.keys())) or 'nothing')}"
            )
        for number, parameter in enumerate(parameters):
            if str(number) not in store:
                raise ValueError(f"{self.name}: the store has no {str(number)!r} ({parameter.name})")
            shape = tuple(np.shape(store[str(number)]))
            if shape != parameter.shape:
                raise ValueError(
                    f"{self.name}: {str(number)!r} ({parameter.name}) has shape {shape} in the store, expected "
                    f"{parameter.shape}"
                )
        for number, parameter in enumerate(parameters):
            parameter.assign(store[str(number)])

    def move(self, placement: Placement) -> None:
        """Move the layer's own parameters; a model moves itself with `to`."""
        self._placement = placement
        for parameter in self.own_weights:
            parameter.memory = placement.asarray(to_numpy(parameter.value), parameter.dtype)
            parameter.leave()

    # Calls

    def __call__(self, *inputs: Any, training: Any = None, **options: Any) -> Any:
        """The layer's value for arrays; or for symbols, as `Input` makes them, that of a graph.

        Several inputs are several arguments, a list, or a dict where the layer has names for them. Builds the layer on
        the first call, beside its input; lists of numbers are converted. Without `training` layers do what they do at
        inference, except for those that augment images: as in Keras, these do that unless it is False.
        """
        if self.is_eager:
            call: Any = call_signature(type(self))  # type: ignore[arg-type]
            inputs, training, options = call.bind(self.name, inputs, training, options)
        else:
            if len(inputs) == 1 and type(inputs[0]) is Symbol and not options:
                return self._describe(inputs, training, options)
            if not inputs and "inputs" in options:
                inputs = (options.pop("inputs"),)
            if len(inputs) > 1:
                signature = forward_signature(type(self))  # type: ignore[arg-type]
                inputs, options = signature.without_surplus(self.name, inputs, options, self.mask_by_position)
            if options:
                inputs, options = self.arrange(inputs, options)
                forward_signature(type(self)).check_options(self.name, options)  # type: ignore[arg-type]
        parts = leaves(inputs)
        if any(isinstance(part, Symbol) for part in parts) or (options and has_symbols(options)):
            return self._describe(inputs, training, options)
        if any(isinstance(part, ArrayHolder) for part in parts):  # weights, as queries are that are learned
            parts = [part.in_array_code() if isinstance(part, ArrayHolder) else part for part in parts]
            inputs = rebuild(inputs, parts)
        if self.on_host:
            several = "*" in forward_signature(type(self)).inputs  # type: ignore[arg-type]
            in_list = several and len(inputs) == 1 and isinstance(inputs[0], list | tuple)
            return call_on_host(self, inputs[0] if in_list else inputs, training)
        if not are_values(parts):
            if not parts:
                raise TypeError(f"{self.name} was called without an input")
            home = self.placement if self.built else get_backend()
            inputs = tuple(read_value(x, home) for x in inputs)
            parts = leaves(inputs)
            if any(x is None for x in parts):
                self.check_given(parts if self._composition is None else leaves(self.in_order(inputs)))
            if not self.takes_scalars and not all(x is None or x.shape for x in parts):
                raise ValueError(f"{self.name}: expected an array whose first axis is the batch, got a single number")
        if open_tapes() or any(isinstance(part, TrackedArray) for part in parts):
            return call_on_tapes(self, inputs, training, options)
        if self.needs_build:
            place = self._placement or get_backend()
            if self._placement is None and not is_texts(parts[0]):
                place = placement_of(parts[0], self.dtype or place.dtype)
            self.build_for_first_call(place, inputs, [(None, *x.shape[1:]) for x in parts])
        mask = options.pop("mask", None)
        training = None if training is None else bool(training)
        with self.placement.computing, keeping_losses(self):
            arrays = self.admit(*(parts if self._composition is None else self.in_order(inputs)))
            if mask is None:
                return self.run_without_pullback(*arrays, training=training, **options)
            call = self._known_call
            if call is not None and call.takes_mask and len(inputs) > 1:  # which is not that of one argument
                return self._composition.run(arrays, training=training, mask=mask, **options)[0]  # type: ignore[union-attr]
            return self.run_masked(arrays, self.read_mask(arrays, mask), training=training, **options)[0]

    def run_call(self, inputs: tuple[Any, ...], mask: Any, training: Any, options: dict[str, Any]) -> Any:
        """What `call` returns for arrays that the innermost tape tracks, with its mask and its penalty.

        inputs : the arguments that are arrays. mask : what they carry, a list if there are several.
        training : None where nobody says, and `call` has its own default.
        """
        call: Any = call_signature(type(self))  # type: ignore[arg-type]
        training = call.trains_by_default if training is None else training
        tape = open_tapes()[-1]
        templates, given_mask = None, "mask" in options
        if options:
            options = dict(options)
            templates = options.pop("arguments", None)  # of arrays that are not the first arguments
        if call.takes_training and (training is not None or call.requires_training):
            options = {**options, "training": bool(training)}
        if call.takes_masks:
            if mask is None and call.requires_mask and tape.calls is not None:
                mask = self._mask_to_try(inputs)
            arguments = dict(zip(call.names, inputs, strict=False)) if templates is None else templates
            options = {**call.masks_by_name(arguments, mask), **options}
            mask = options["mask"] if given_mask else mask
        if templates is not None:
            flat = leaves(inputs)
            options |= {name: rebuild(one, [flat[i] for i in leaves(one)]) for name, one in templates.items()}
            inputs = ()
        before, tape.training = tape.training, tape.training if training is None else training
        try:
            y = self.call(*inputs, **options)  # type: ignore[attr-defined]
        except Exception as error:
            if mask is None and call.takes_masks and tape.calls is not None and templates is None:  # there may be one
                given = {name: value for name, value in options.items() if not name.endswith("mask")}
                return self.run_call(inputs, self._mask_to_try(inputs), training, given)
            shapes = ", ".join(str(tuple(part.shape)) for part in leaves([list(inputs), options]) if is_array(part))
            tried = "; tried out on a small batch" if tape.calls is not None else ""
            error.add_note(f"in call() of {self.name} ({type(self).__name__}), for inputs of shapes {shapes}{tried}")
            raise
        finally:
            tape.training = before
        if isinstance(y, ArrayHolder):
            y = y.in_array_code()
        if self._has_own_mask() or (mask is not None and self.supports_masking):
            self._give_mask(y, inputs, mask)
        if self.activity_regularizer is not None:
            penalise_output(self, y)
        return y

    def _has_own_mask(self) -> bool:
        return type(self).compute_mask is not Layer.compute_mask

    def _give_mask(self, y: Any, inputs: tuple[Any, ...], mask: Any) -> None:
        """Let those outputs of `call` that do not carry a mask yet carry what `compute_mask` says."""
        bare = [(i, part) for i, part in enumerate(leaves(y)) if isinstance(part, TrackedArray) and part.mask is None]
        if not bare:
            return
        first: Any = list(inputs)
        if len(inputs) == 1 or (inputs and not self._known_call.takes_any_number):  # type: ignore[union-attr]
            first = inputs[0]
            if len(inputs) > 1 and isinstance(mask, list | tuple):
                mask = in_structure(first, mask[: len(leaves(first))])
        made = as_masks(self.compute_mask(first, mask))
        for i, part in bare:
            part.mask = lower(made[i]) if i < len(made) else None

    def _mask_to_try(self, inputs: tuple[Any, ...]) -> Array:
        """A mask for trying out what `call` does."""
        return self.placement.zeros(tuple(leaves(inputs)[0].shape[:2]), "bool")

    def arguments_of(self, values: Sequence[Any]) -> tuple[Any, ...]:
        """Values as arguments of `call`, nested as in the first call."""
        return arguments_of(self, values)

    def build_for_first_call(self, placement: Placement, inputs: tuple[Any, ...], shapes: list[Any]) -> None:
        """Build the layer in that place for arguments nested like these, of these shapes."""
        with BUILDING:
            self.input_structure, self._first_inputs = rebuild(inputs, range(len(shapes))), leaves(inputs)
            try:
                self.build_on(placement, shapes[0] if len(shapes) == 1 else shapes)
            finally:
                del self._first_inputs

    @property
    def composition(self) -> Composition | None:
        """The graph of a layer that is made of others, as a model is, once it is built."""
        return self._composition

    @property
    def connects_outputs(self) -> bool:
        """Whether it is a graph in which an output is computed from another one."""
        return self._composition is not None and not self.is_eager and self._composition.connects_outputs

    def arrange(self, inputs: tuple[Any, ...], options: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Bring inputs that were given by keyword into the positions in which `forward` or `call` expects them."""
        options = dict(options)
        known = forward_signature(type(self)).inputs  # type: ignore[arg-type]
        for name in known[len(inputs) :]:
            if not is_value(options.get(name)):
                break
            inputs = (*inputs, options.pop(name))
        return inputs, {name: value for name, value in options.items() if value is not None or name not in known}

    def in_order(self, inputs: tuple[Any, ...]) -> list[Any]:
        """The arguments of a call as one list, in the order of the layer's graph if it has one; dicts by their keys."""
        if self._composition is None:
            return leaves(inputs)
        if self.is_eager and len(leaves(inputs)) != len(leaves(self._composition.inputs)):
            return leaves(inputs)  # array code may take more or fewer than at first
        given = inputs[0] if len(inputs) == 1 else list(inputs)
        return leaves_like(self._composition.inputs, given, f"the input of {self.name}")

    def _describe(self, inputs: tuple[Any, ...], training: Any, options: dict[str, Any]) -> Any:
        """A call on symbols: a new node of a graph. Returns its symbol, or the structure of them."""
        parts = leaves(inputs)
        for symbol in parts:
            if not isinstance(symbol, Symbol):
                raise TypeError(
                    f"{self.name} was called on symbolic values and on {type(symbol).__name__} at once: arrays go "
                    f"into a graph through Input() or a layer's parameters"
                )
        eager = self.is_eager
        for name, value in (*options.items(), ("training", training)):
            if not isinstance(value, Symbol):
                continue
            if name == "training" or (not eager and name in forward_signature(type(self)).flags):  # type: ignore[arg-type]
                raise TypeError(f"{self.name}: {name} must be True or False, the same for every batch, got {value!r}")
        if training is not None:
            options = {**options, "training": bool(training)}
        if "mask" in options and options["mask"] is None:  # masks travel by themselves
            options = {name: value for name, value in options.items() if name != "mask"}
        if self.input_spec is not None:
            check_inputs(self.name, self.input_spec, [(symbol.shape, None) for symbol in parts])
        if self.needs_build:
            place = self._placement or get_backend()
            self.build_for_first_call(place, inputs, [symbol.shape for symbol in parts])
        symbols = parts if self._composition is None else self.in_order(inputs)
        for index, symbol in enumerate(symbols):
            if symbol.dtype == "string" and not self.reads_on_host(index):
                raise TypeError(
                    f"{self.name} takes numbers, and {symbol} are texts: put a layer between that makes numbers of "
                    f"them, TextVectorization, StringLookup or Hashing"
                )
        shapes = [symbol.shape for symbol in symbols]
        asked = {name: options[name] for name in self.shape_options if name in options}
        given = {name: value for name, value in options.items() if name != "training"} if eager else {}
        if given:  # they may change what comes out
            made = composition_of_call(self, shapes, given).output_shapes(shapes, self.name)
        else:
            method, given_shapes = type(self).compute_output_shape, (shapes[0] if len(shapes) == 1 else shapes,)
            if eager and len(inputs) > 1 and not _is_built_in(method):  # as in Keras, those of as many as it takes
                given_shapes = rebuild(inputs, shapes)[: count_of_shapes(method)]
            made = self.compute_output_shape(*given_shapes, **asked)
        single = is_shape(made)
        node = Node(self, tuple(symbols), options, [made] if single else list(made))
        self.remember_call(node)
        if self._composition is not None:
            return rebuild(self._composition.outputs, node.outputs)
        return node.outputs[0] if single else list(node.outputs)

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

    def _call_in_graph(self) -> Node:
        node = self._first_call() if self._first_call else None
        if node is None:
            raise AttributeError(f"{self.name} has no symbolic input and output: it is not part of a graph of layers")
        return node

    def admit(self, *inputs: Array) -> list[Array]:
        """Inputs in the layer's dtype; ValueError for those on another device or of a shape that it cannot take."""
        self.require_here(*inputs)
        if self.input_spec is not None and all(x is not None for x in inputs):
            given = [(tuple(x.shape), str(x.dtype).rpartition(".")[2]) for x in inputs]
            check_inputs(self.name, self.input_spec, given)
        if not self.is_eager:  # array code says itself what it cannot take
            shapes = self.shapes_of(inputs)
            if shapes != self._fitting_shapes:  # what fitted the last time fits again
                self.compute_output_shape(shapes[0] if len(shapes) == 1 else shapes)
                self._fitting_shapes = shapes
        if (self.takes_integers and not self.is_eager) or not self.autocast:
            return list(inputs)
        dtype = self.dtype or self.placement.dtype
        return [
            x
            if x is None or self.reads_on_host(index)
            else self.placement.asarray(x, kept_dtype(x) if self.reads_integers(index) else dtype)
            for index, x in enumerate(inputs)
        ]

    def require_here(self, *inputs: Array) -> None:
        """ValueError for inputs that are not where the layer is, and are not read on the host."""
        for index, x in enumerate(inputs):
            if x is not None and not self.placement.holds(x) and not self.reads_on_host(index):
                raise ValueError(
                    f"{self.name} is on {self.placement}, its input is not: bring the input there with nnx.asarray, or "
                    f"move the model with model.to(...)"
                )

    def check_given(self, inputs: Sequence[Any]) -> None:
        """TypeError for inputs of which some are None; of a model ValueError, except for what is optional."""
        raise TypeError(f"{self.name}: {'an input' if len(inputs) > 1 else 'its input'} is None, expected real numbers")

    def shapes_of(self, inputs: Sequence[Any]) -> list[Shape]:
        """The shapes of inputs; of one that is None, as an optional one may be, the shape that it was built for."""
        return [tuple(x.shape) if x is not None else as_shapes(self.build_shape)[i] for i, x in enumerate(inputs)]

    def takes_none(self, index: int) -> bool:
        """Whether an input may be None in a graph in which it is optional: array code looks at that itself."""
        return self.is_eager

    def reads_on_host(self, index: int) -> bool:
        """Whether an input stays on the host: all layers that read it compute there."""
        return read_on_host(self.readers(index))

    def reads_integers(self, index: int) -> bool:
        """Whether integers stay what they are in an input: the layer takes them, or one inside that reads them does."""
        return any(reader.takes_integers for reader in self.readers(index))

    def readers(self, index: int) -> list[Any]:
        """The layers that read an input: this one, or those inside it that do."""
        inside = self.composition
        return [self] if inside is None else list(inside.program.readers(index))

    # Computation

    def forward(self, *inputs: Any, **options: Any) -> tuple[Any, Pullback]:
        """The value for inputs, and the pullback: what maps the value's cotangent to those of the inputs.

        options : `training`, `mask` where `uses_mask`, and what else the layer takes.
        """
        if self._composition is None:
            raise TypeError(
                f"{type(self).__name__} defines neither call(self, x), ordinary array code, nor forward(self, x, *, "
                f"training=False), which returns (y, pullback)"
            )
        training = options.pop("training", False)
        if not self.is_eager:
            options.clear()
        y, _, pullback = self._composition.run(
            inputs, training=training, masks=as_masks(options.pop("mask", None)), **options
        )
        return y, pullback

    def run(self, *inputs: Any, **options: Any) -> tuple[Any, Pullback]:
        """`forward`, with what holds for every layer: the penalty on the output."""
        if self._composition is not None:  # `call` adds its penalty itself
            y, _, pullback = self._composition.run(inputs, masks=as_masks(options.pop("mask", None)), **options)
            return y, pullback
        made = self.forward(*inputs, **options)
        own = not type(self).forward.__module__.startswith("nnx.")
        if own and not is_pair(made):
            raise TypeError(
                f"{self.name}: forward() returned {type(made).__name__}, expected (y, pullback), where pullback(dy) "
                f"returns the cotangent of each input; a layer whose derivative is to be derived defines call() instead"
            )
        y, pullback = made
        if own:
            pullback = fitting_inputs(self.name, pullback, inputs)
        if self.activity_regularizer is None:
            return y, pullback
        penalty, pullback_penalty = self.activity_regularizer.forward(wide(y))
        share = ranks.share() / (y.shape[0] or 1)
        if self.activity_penalties is not None:
            self.activity_penalties.append(penalty * share)
        share *= self.activity_scale
        return y, Skippable(lambda dy, inputs: call_pullback(pullback, dy + narrow(pullback_penalty(share), y), inputs))

    @property
    def activity_penalties(self) -> list[Array] | None:
        """The penalties on outputs that this thread collects: a list while it does."""
        return collected.lists.get(self)

    @activity_penalties.setter
    def activity_penalties(self, penalties: list[Array] | None) -> None:
        if penalties is None:
            collected.lists.pop(self, None)
        else:
            collected.lists[self] = penalties

    @property
    def activity_scale(self) -> Any:
        """The cotangent of the loss that the penalties are a part of, in the step that this thread is at."""
        return collected.scales.get(self, 1.0)

    @activity_scale.setter
    def activity_scale(self, scale: Any) -> None:
        if isinstance(scale, float) and scale == 1.0:
            collected.scales.pop(self, None)
        else:
            collected.scales[self] = scale

    def run_without_pullback(self, *inputs: Any, **options: Any) -> Any:
        """What `run` returns without its pullback, for who only wants that."""
        return self.run(*inputs, **options)[0]

    def route(self, pullback: Pullback, *targets: Parameter | None, direct: bool = False) -> LayerPullback:
        """The layer's pullback from a function's: cotangents of parameters go into their gradients.

        targets : for each array argument of the function, the parameter it was, or None where it was an input.
        direct : the function's pullback takes `out` and writes to the gradients itself; see `nnx.functional`.
        """
        if not direct and not type(self).__module__.startswith("nnx."):
            pullback = fitting_targets(self.name, pullback, targets)
        return LayerPullback(pullback, targets, direct)

    def run_masked(self, arrays: list[Any], mask: Any, **options: Any) -> tuple[Any, Any, Pullback]:
        """`run`, and the mask of the output, for inputs of which some may have one: (y, mask, pullback)."""
        if self._composition is not None:
            given = options if self.is_eager else {"training": options["training"]}
            return self._composition.run(arrays, masks=as_masks(mask), **given)
        if mask is not None and self.uses_mask:
            options.setdefault("mask", mask)
        y, pullback = self.run(*arrays, **options)
        return y, self.compute_mask(arrays[0] if len(arrays) == 1 else arrays, mask), pullback

    def add_loss(self, loss: Any) -> None:
        """Add to the loss that is minimised, from inside a `call`: a number that depends on what is computed there.

        loss : an array without axes, of each batch; or a list of some.

        TypeError for anything else, and outside of a `call`.

        >>> import nnx
        >>> class Small(nnx.layers.Layer):
        ...     def call(self, x):
        ...         self.add_loss(0.01 * nnx.ops.mean(nnx.ops.square(x)))
        ...         return x
        """
        for value in leaves(loss):
            if isinstance(value, int | float):
                continue  # nothing depends on it
            if not is_array(value) or tuple(value.shape) != ():
                given = f"shape {tuple(value.shape)}" if is_array(value) else type(value).__name__
                raise TypeError(
                    f"{self.name}: add_loss takes a number that is computed from the batch, got {given}: take "
                    f"nnx.ops.mean or sum of it"
                )
            if not open_tapes():
                raise TypeError(f"{self.name}: add_loss is called from inside of call(), where the batch is")
            take_loss(self, value, ranks.share())

    @property
    def losses(self) -> list[Any]:
        """What is added to the loss: values of `add_loss`, and penalties on outputs and on trained parameters.

        Those of the last call, here and in the layers inside. Numbers; inside a tape, tracked ones.

        >>> import nnx
        >>> layer = nnx.layers.Dense(1, kernel_regularizer="l2", kernel_initializer="ones")
        >>> layer.build((None, 2))
        >>> [round(float(loss), 3) for loss in layer.losses]
        [0.02]
        """
        inside = dict.fromkeys(layer for _, layer in self.walk())
        added = [value for layer in inside for value in layer.call_losses]
        penalised = [p for p in self.trainable_weights if p.regularizer is not None]
        return [*added, *(primitive(penalty_on(p))(p) for p in penalised)]

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        """The output's mask from that of the input: a bool array (batch, time), False where a step does not count."""
        return mask

    def read_mask(self, inputs: Sequence[Array], mask: Any) -> Any:
        """A mask as users give it, or a list with one for each input, as boolean arrays in the layer's place.

        ValueError for one that does not have the sizes of the first axes of its input; 1 stands for any size.
        """
        if isinstance(mask, dict):
            mask = self.in_order((mask,))
        if isinstance(mask, list | tuple) and any(one is None or is_array(one) for one in mask):
            xs = [*inputs, *[inputs[-1]] * len(mask)]  # a key that is not given is the value
            return [None if one is None else self._fitted_mask(x, one) for x, one in zip(xs, mask, strict=False)]
        return self._fitted_mask(inputs[0], mask)

    def _fitted_mask(self, x: Array | None, mask: Any) -> Array:
        if x is None:
            raise ValueError(f"{self.name}: there is a mask of an input that is None: leave it out, too")
        mask = self.placement.asarray(mask, "bool")
        given, sizes = tuple(mask.shape), self.sizes_of_mask(tuple(x.shape))[: len(mask.shape)]
        if given == sizes:
            return mask
        if len(given) != len(sizes) or any(one not in (1, size) for one, size in zip(given, sizes, strict=True)):
            axes = (*self.mask_axes, "...")[: max(len(sizes), 2)]
            raise ValueError(f"{self.name}: expected a mask ({', '.join(axes)}) = {sizes}, got shape {given}")
        xp = array_namespace(mask)
        return xp.asarray(xp.broadcast_to(mask, sizes), copy=True)

    def sizes_of_mask(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """The sizes of the axes that a mask of an input of that shape has, if it has all."""
        return shape

    def lost_mask(self, mask: Any, advice: str = "") -> Any:
        """None, for the mask of an output that cannot have one. The first time a mask is lost so, a warning says it."""
        if self._said_lost_mask or all(one is None for one in leaves(mask)):
            return None
        self._said_lost_mask = True
        warn_user(
            f"{self.name} ({type(self).__name__}) gets a mask, and its output has none: in the layers after it, and in "
            f"the loss, the steps that the mask leaves out count like all others{advice and f'; {advice}'}"
        )
        return None

    def compute_output_shape(self, input_shape: Any) -> Any:
        """The output's shape for an input's, without computing; ValueError if the layer cannot take such an input.

        Of several inputs a list of shapes; for several outputs a list is returned.
        """
        if self._composition is None:
            return input_shape
        if not self.is_eager:
            return self._composition.output_shapes(as_shapes(input_shape), self.name)
        try:
            return self._composition.output_shapes(as_shapes(input_shape), self.name)
        except ValueError:  # array code may take other shapes than it was built for
            return composition_of_call(self, input_shape).output_shapes(as_shapes(input_shape), self.name)

    def compute_output_spec(self, *inputs: Any, **options: Any) -> Any:
        """The symbol that a call on a symbol returns, with its shape and dtype; it builds the layer, as a call does.

        Inputs and options are those of a call.

        >>> from nnx.layers import Dense, Input
        >>> Dense(3).compute_output_spec(Input((4,))).shape
        (None, 3)
        """
        return self(*inputs, **options)

    # Configuration and copies

    def get_config(self) -> dict[str, Any]:
        """The arguments of the constructor; those that every layer has, but name and dtype, only where they matter."""
        return self._config()

    def _config(self, without: Sequence[str] = ()) -> dict[str, Any]:
        """The configuration without some arguments, and without those of every layer that were not given."""
        config = constructor_config(self, without)
        defaults = {"activity_regularizer": None, "autocast": True, "batch_input_shape": None}
        return {key: value for key, value in config.items() if key not in defaults or value is not defaults[key]}

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_first_call": None}  # a copy of a layer is not called in that graph

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        if self.is_eager and self._composition is not None:
            self._composition.program.bind(self)


def held_layers(layer: Any) -> list[Any]:
    """The layers in a layer's attributes, and in lists, tuples and dicts there, each once, in their order."""
    found: dict[Any, None] = {}
    for name, value in vars(layer).items():
        if isinstance(value, Layer):
            found[value] = None
        elif isinstance(value, list | tuple | dict) and value and name not in _NOT_SEARCHED:
            found.update(dict.fromkeys(part for part in contents(value) if isinstance(part, Layer)))
    found.pop(layer, None)
    return list(found)


_WITHOUT_VARIABLES = frozenset({bool, int, float, str, type(None), types.FunctionType, Placement, weakref.ref})
"""Types of most attributes, in which there are no variables."""

_NOT_SEARCHED = frozenset({"own_weights", "_frozen_or_not", "input_layers", "compile_arguments"})


@functools.lru_cache(maxsize=1024)
def _is_built_by_nnx(cls: type[Layer]) -> bool:
    return _is_built_in(cls.build)


def _is_built_in(function: Any) -> bool:
    """Whether a function is one of nnx's, perhaps with some of its arguments, of which none says the axis of the batch.

    A weak reference is none.
    """
    if isinstance(function, weakref.ref):
        return True
    if not behind_batch(getattr(function, "keywords", {}).get("axis", -1)):
        return False
    return str(getattr(getattr(function, "func", function), "__module__", None)).startswith("nnx.")
