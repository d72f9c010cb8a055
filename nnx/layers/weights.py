"""The parameters of layers, and of layers inside layers."""

from __future__ import annotations

import contextlib
import contextvars
import functools
import math
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, TypeVar, cast

import numpy as np

from nnx import regularizers
from nnx.backends import Placement, get_backend, to_numpy
from nnx.constraints import resolve as resolve_constraint
from nnx.initializers import resolve as resolve_initializer
from nnx.names import names_apart, numbered
from nnx.parameters import Parameter
from nnx.registry import Configurable

F = TypeVar("F", bound=Callable[..., Any])

_room: contextvars.ContextVar[int | None] = contextvars.ContextVar("nnx_room_for_weights", default=None)


@contextlib.contextmanager
def room_for_weights(numbers: int) -> Iterator[None]:
    """Inside the block all new weights together may have so many numbers: a file may describe a model of any size."""
    token = _room.set(numbers)
    try:
        yield
    finally:
        _room.reset(token)


def in_its_place(method: F) -> F:
    """Let a method compute where the parameters are, or will be, whatever device is current around it."""

    @functools.wraps(method)
    def there(self: HasWeights, *args: Any, **kwargs: Any) -> Any:
        with (self._placement or get_backend()).computing:
            return method(self, *args, **kwargs)

    return cast(F, there)


class HasWeights(Configurable):
    """What owns parameters, and holds others that own some."""

    name: str
    dtype: str | None
    built: bool

    def __init__(self) -> None:
        self.own_weights: list[Parameter] = []  # without those of inner layers
        self._trainable = True
        self._placement: Placement | None = None

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            """Called for what is not there: of an object whose constructor was not called, that is everything."""
            if "own_weights" not in vars(self):
                kind = type(self).__name__
                raise AttributeError(f"{kind} has no {name!r}: {kind}.__init__ must begin with super().__init__()")
            return object.__getattribute__(self, name)  # raises, also from inside a property

    def add_weight(
        self,
        shape: Sequence[int] = (),
        initializer: Any = "glorot_uniform",
        *,
        name: str | None = None,
        trainable: bool = True,
        regularizer: Any = None,
        constraint: Any = None,
        dtype: str | None = None,
    ) -> Parameter:
        """Make a parameter of this layer. Its first value is drawn on the host, so it is the same on every backend.

        name : unique in the layer; "variable", "variable_1", ... by default.
        """
        name = name or numbered("variable", [parameter.name for parameter in self.own_weights])
        if any(parameter.name == name for parameter in self.own_weights):
            raise ValueError(f"{self.name} already has a weight {name!r}; names must be unique in a layer")
        room = _room.get()
        if room is not None:
            _room.set(room - math.prod(shape))
            if math.prod(shape) > room:
                raise ValueError(
                    f"{self.name} asks for a {name} of shape {tuple(shape)}, larger than all there is for it"
                )
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

    def set_weight_options(
        self, weight: str, initializer: Any, regularizer: Any = None, constraint: Any = None
    ) -> None:
        """Keep the options of a weight, as users give them, until `add_weight_with_options` makes it.

        They are kept as attributes of the names that the constructor's arguments have, which are part of the layer's
        configuration: for the weight "kernel" kernel_initializer, kernel_regularizer and kernel_constraint.
        """
        setattr(self, f"{weight}_initializer", resolve_initializer(initializer))
        setattr(self, f"{weight}_regularizer", regularizers.resolve(regularizer))
        setattr(self, f"{weight}_constraint", resolve_constraint(constraint))

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

    def sublayers(self) -> Sequence[Any]:
        """What this one is made of."""
        return ()

    def named_sublayers(self) -> list[tuple[str, Any]]:
        """The same, each with a name that no other has: a layer that another model has named may share it with one."""
        return names_apart(self.sublayers())

    def walk(self, path: str | None = None) -> Iterator[tuple[str, Any]]:
        """This layer and those inside it, each with its path, such as "encoder/dense_1"."""
        path = self.name if path is None else path
        yield path, self
        for name, layer in self.named_sublayers():
            yield from layer.walk(f"{path}/{name}" if path else name)

    @property
    def trainable(self) -> bool:
        """Whether its trainable parameters are trained. Setting it sets that of all layers inside, as in Keras."""
        return self._trainable

    @trainable.setter
    def trainable(self, value: bool) -> None:
        self._trainable = bool(value)
        for layer in self.sublayers():
            layer.trainable = value

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

    @in_its_place
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
