"""Parameters, and the one contiguous buffer that a model keeps them in."""

from __future__ import annotations

import copy
import itertools
import math
import operator
import weakref
from collections.abc import Callable, Sequence
from typing import Any, Protocol, Self

import numpy as np

from nnx.backends import Array, Placement, backend_of, is_array, to_numpy
from nnx.members import without
from nnx.operators import ArrayHolder
from nnx.precision import dtype_bytes, is_half, narrow
from nnx.ranks import Shard


class Penalty(Protocol):
    """A regularizer, as a parameter knows it."""

    def forward(self, x: Array) -> tuple[Array, Callable[..., Array]]:
        """The penalty on a value, and its pullback."""


class Freezing:
    """How often `trainable` of any layer has changed: who decided by it sees at a glance whether it may have since."""

    changes = 0


class _AttributeChange:
    """The last time that an attribute of an object of `ComparedAttributes` was set, or deleted, stands for itself."""

    __slots__ = ("last",)

    def __init__(self) -> None:
        self.last = object()


ATTRIBUTE_CHANGE = _AttributeChange()  # an object: to set an attribute of a class takes Python three times as long


class ComparedAttributes:
    """Base of what has attributes that somebody compares, to see whether it still is as it was.

    If `ATTRIBUTE_CHANGE.last` is what it was, so are they all; but for what was put into `vars` of an object.
    """

    def __setattr__(self, name: str, value: Any) -> None:
        super().__setattr__(name, value)
        ATTRIBUTE_CHANGE.last = object()  # afterwards: who compares meanwhile compares again

    def __delattr__(self, name: str) -> None:
        super().__delattr__(name)
        ATTRIBUTE_CHANGE.last = object()


@without("aggregation", "eval", "handle", "overwrite_with_gradient", "read_value", "synchronization")
class Parameter(ArrayHolder):
    """An array that belongs to a layer: trained by gradients, or a state that forward passes update.

    In a `call`, and wherever derivatives are derived, it stands in expressions as it is: `x @ self.kernel`; in a
    `forward` its `value` does.

    name : the name in its layer, such as "kernel".
    path : the name in its model, such as "dense_1/kernel"; set when the model is built.
    value : the array; a view of the model's flat buffer once a model trains it. To set it then is `assign`.
    grad : the gradient, of the same shape; None before the parameter is in a flat buffer.
    trainable : whether training changes it. What counts is this and its layer's `trainable`.
    regularizer : a penalty that is added to the loss; None for none.
    constraint : what the value becomes after each step of an optimizer; None to stay as it is.
    is_free : whether `nnx.Variable` made it, and no layer has it yet.

    >>> from nnx.layers import Dense
    >>> layer = Dense(2)
    >>> layer.build((None, 3))
    >>> layer.kernel
    <Parameter kernel, shape (3, 2), float32>
    """

    __slots__ = (
        *("_constraint", "_regularizer", "backward", "grad", "is_free"),
        *("memory", "name", "pass_number", "path", "trainable"),
    )

    def __init__(
        self,
        value: Array,
        name: str,
        *,
        trainable: bool = True,
        regularizer: Penalty | None = None,
        constraint: Callable[[Array], Array] | None = None,
    ) -> None:
        self.memory = value  # the array that is its value: nnx alone puts another one in its place
        self.grad: Array | None = None
        self.name = name
        self.path = name
        self.trainable = trainable
        self._regularizer = regularizer
        self._constraint = constraint
        self.is_free = False
        self.backward: BackwardPass | None = None  # of the model that trains it
        self.pass_number = -1  # the backward pass that last wrote to `grad`

    def __repr__(self) -> str:
        return f"<Parameter {self.path}, shape {self.shape}, {self.dtype}>"

    def __deepcopy__(self, memo: dict[int, Any]) -> Parameter:
        """A parameter of its own, outside of the flat buffer, whose pieces copies would no longer share."""
        return self.like(self._copied_value())

    def _copied_value(self) -> Array:
        owner = backend_of(self.value)
        with owner.computing_on(owner.device_of(self.value)):  # else the copy would be on the current device
            return owner.xp.asarray(self.value, copy=True)

    def like(self, value: Array) -> Parameter:
        """A parameter of another value that is all else that this one is, outside of the flat buffer."""
        copied = Parameter(
            value, self.name, trainable=self.trainable, regularizer=self.regularizer, constraint=self.constraint
        )
        copied.path, copied.is_free = self.path, self.is_free
        return copied

    def _set_value(self, value: Any) -> None:
        """Where a model trains it, its array stays in the buffer, and takes the numbers; else it has another array."""
        if self.backward is None:
            self.memory = value
        else:
            self.assign(value)

    def _set_regularizer(self, regularizer: Penalty | None) -> None:
        self._regularizer = regularizer
        ATTRIBUTE_CHANGE.last = object()

    def _set_constraint(self, constraint: Callable[[Array], Array] | None) -> None:
        self._constraint = constraint
        ATTRIBUTE_CHANGE.last = object()

    # found without a call of Python
    value: Any = property(operator.attrgetter("memory"), _set_value)
    regularizer: Any = property(operator.attrgetter("_regularizer"), _set_regularizer)
    constraint: Any = property(operator.attrgetter("_constraint"), _set_constraint)

    @property
    def shape(self) -> tuple[int, ...]:
        """The sizes of the value."""
        return tuple(self.value.shape)

    @property
    def size(self) -> int:
        """How many numbers the value is made of."""
        return math.prod(self.value.shape)

    @property
    def dtype(self) -> str:
        """The dtype's name, the same on every backend."""
        return str(self.value.dtype).rpartition(".")[2]

    @property
    def nbytes(self) -> int:
        """How many bytes the value takes, without the gradient."""
        return self.size * dtype_bytes(self.dtype)

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return len(self.value.shape)

    def in_array_code(self) -> Any:
        return _in_expression(self)

    def __array__(self, *arguments: Any, **options: Any) -> Any:
        return np.asarray(to_numpy(_in_expression(self)), *arguments, **options)

    def assign(self, value: Any) -> Parameter:
        """Give it a new value, of its shape; a state then begins the next batch with it.

        >>> from nnx.layers import Dense
        >>> layer = Dense(1)
        >>> layer.build((None, 1))
        >>> layer.bias.assign([2.0]).numpy()
        array([2.], dtype=float32)
        """
        if value is None:  # of which NumPy would make NaN
            raise TypeError(f"{self.path}: expected a value of shape {self.shape}, got None")
        value = _plain(value)
        backend = backend_of(self.value)
        is_foreign = isinstance(value, np.ndarray) and not isinstance(self.value, np.ndarray)  # such as out of a file
        if is_foreign or not is_array(value):
            value = backend.put_beside(self.value, np.asarray(value, dtype=self.dtype))
        if tuple(value.shape) not in ((), self.shape):
            raise ValueError(f"{self.path} has shape {self.shape}, got a value of shape {tuple(value.shape)}")
        if self.trainable:
            leave_recorded((self,))
        with backend.computing_on(backend.device_of(self.value)):
            self.value[...] = value
        return self

    def assign_add(self, value: Any) -> Parameter:
        """Add to its value."""
        return self.assign(self.value + _plain(_value_of(value)))

    def assign_sub(self, value: Any) -> Parameter:
        """Subtract from its value."""
        return self.assign(self.value - _plain(_value_of(value)))

    def numpy(self) -> object:
        """A copy of the value on the host."""
        return to_numpy(self.value).copy()

    def receive(self, cotangent: Array) -> None:
        """Take a cotangent into the gradient: the first of a pass replaces it, further ones add to it."""
        if self.backward is None:
            return  # no model trains this parameter: nobody will ask for its gradient
        if self.pass_number == self.backward.number:
            self.grad += cotangent
            return
        if cotangent is not self.grad:
            self.grad[...] = cotangent  # type: ignore[index]
        self.pass_number = self.backward.number

    def leave(self) -> None:
        """Go out of the flat buffer, which then is no longer whole."""
        if self.backward is not None:
            self.backward.whole = False
        self.grad = self.backward = None

    def move(self) -> None:
        """Go into memory of its own, and leave its value where it was as it is."""
        self.memory = self._copied_value()
        self.leave()


_in_expression: Callable[[Parameter], Any] = operator.attrgetter("value")


def let_track(function: Callable[[Parameter], Any]) -> None:
    """Ask this function what a parameter is in an expression: what the open tapes track, in place of its value."""
    global _in_expression
    _in_expression = function


class Recorder(Protocol):
    """Who has recorded computations with values of parameters, and may still be asked for their derivatives."""

    def keeps(self, parameters: Sequence[Parameter]) -> bool:
        """Whether it needs the values of some of these as they are in memory now."""

    def let_go(self, parameters: Sequence[Parameter]) -> None:
        """Learn that these parameters are elsewhere from now on."""


recorders: weakref.WeakValueDictionary[int, Recorder] = weakref.WeakValueDictionary()
"""By their identities. A parameter that is to change in place moves first: what they have recorded stays as it was."""


def leave_recorded(parameters: Sequence[Parameter]) -> bool:
    """Let parameters that are about to change move, if a recorder keeps their values. Returns whether they did.

    >>> leave_recorded([])
    False
    """
    if not recorders:
        return False
    asked = [one for one in (reference() for reference in recorders.valuerefs()) if one and one.keeps(parameters)]
    for parameter in parameters if asked else ():
        parameter.move()
    for recorder in asked:
        recorder.let_go(parameters)
    return len(asked) > 0


def _value_of(value: Any) -> Any:
    return value.value if isinstance(value, Parameter) else value


def _plain(value: Any) -> Any:
    """A tracked array as what is in it, at the lowest level."""
    value = _value_of(value)
    while is_array(value) and backend_of(value).plain is not backend_of(value):
        value = value.value
    return value


class BackwardPass:
    """What a model's buffer and its parameters know in common.

    number : of the backward pass that gradients are gathered for.
    whole : whether all parameters still are in the buffer; another model that trains one of them takes it out.
    direct : whether a gradient has the dtype of its parameter, so that it can be computed in place.
    flat : gives the buffer, or None once it is gone: parameters that kept it alive would make a cycle.
    """

    __slots__ = ("direct", "flat", "number", "whole")

    def __init__(self, flat: Callable[[], FlatParameters | None] | None = None, direct: bool = True) -> None:
        self.number = 0
        self.whole = True
        self.direct = direct
        self.flat = flat or _gone

    def __getstate__(self) -> tuple[None, dict[str, Any]]:
        return None, {"number": self.number, "whole": self.whole, "direct": self.direct, "flat": _gone}


def _gone() -> None:
    """In place of a buffer that is not there."""


class FlatParameters:
    """The trainable parameters of a model in one contiguous array, and their gradients in another.

    Each parameter's `value` and `grad` become reshaped views of `values` and `grads`, so that an optimiser step, a norm
    or an all-reduce is one operation on one array. Gradients accumulate until `start_pass` begins a new sum.

    parameters : the parameters in their order; their values are copied into the buffer.
    slices : for each parameter, the (start, stop) of its piece.
    values, grads : the arrays (size,), for all parameters together.
    halves : of a buffer in float32, the parameters in float16 that are beside it, each with its piece: their gradients
        are float32 and in the buffer, and `gather` brings their values there.

    ValueError for parameters of several dtypes, other than float16 and float32.

    >>> from nnx import Sequential
    >>> from nnx.layers import Dense
    >>> flat = Sequential([Dense(2, input_dim=3)]).flat
    >>> flat.values.shape, flat.slices
    ((8,), [(0, 6), (6, 8)])
    """

    halves: Sequence[tuple[Parameter, slice]] = ()

    def __init__(self, parameters: list[Parameter], placement: Placement) -> None:
        self.parameters = parameters
        self.placement = placement
        dtypes = {parameter.dtype for parameter in self.parameters} or {placement.dtype}
        mixed = dtypes == {"float16", "float32"}
        if len(dtypes) > 1 and not mixed:
            listing = ", ".join(f"{p.path} is {p.dtype}" for p in self.parameters)
            raise ValueError(
                f"the trainable parameters of a model must have one dtype, or float16 and float32, but {listing}: give "
                f"these layers one dtype; a layer without parameters may have another, as in Dense(10), "
                f"Activation('softmax', dtype='float64')"
            )
        self.slices = slices_of(self.parameters)
        size, dtype = self.slices[-1][1] if self.slices else 0, "float32" if mixed else dtypes.pop()
        self.values, self.grads = placement.zeros((size,), dtype), placement.zeros((size,), dtype)
        self._backward = BackwardPass(weakref.ref(self), direct=not mixed)
        reshape = placement.xp.reshape
        for parameter, (start, stop) in zip(self.parameters, self.slices, strict=True):
            value = parameter.value
            parameter.leave()
            if mixed and parameter.dtype == "float16":
                self.halves = (*self.halves, (parameter, slice(start, stop)))
                parameter.memory = placement.xp.asarray(value, copy=True)
            else:
                parameter.memory = reshape(self.values[start:stop], parameter.shape)
                with placement.computing:
                    parameter.value[...] = value
            parameter.grad = reshape(self.grads[start:stop], parameter.shape)
            parameter.backward = self._backward
            parameter.pass_number = -1
        self.gather()

    @property
    def has_half(self) -> bool:
        """Whether there are float16 parameters."""
        return len(self.halves) > 0 or is_half(self.values)

    def gather(self) -> None:
        """Bring the values of the float16 parameters that are beside the buffer into it."""
        for parameter, place in self.halves:
            with self.placement.computing:
                self.values[place] = self.placement.xp.reshape(parameter.value, (-1,))

    def rounded(self, values: Array) -> Array:
        """Numbers (size,) as the parameters can hold them, in the dtype of the buffer."""
        made = narrow(values, self.values)
        if self.halves:
            xp = self.placement.xp
            made = xp.asarray(made, copy=True)
            for parameter, place in self.halves:
                made[place] = xp.astype(made[place], parameter.value.dtype)
        return made

    def put(self, values: Array) -> None:
        """Let the parameters have these values (size,), rounded to their dtypes."""
        self.values[...] = self.rounded(values)
        for parameter, place in self.halves:
            parameter.value[...] = self.placement.xp.reshape(self.values[place], parameter.shape)

    @property
    def whole(self) -> bool:
        """Whether this buffer still is the home of all its parameters."""
        return self._backward.whole

    @classmethod
    def of(cls, parameters: Sequence[Parameter], placement: Placement, known: FlatParameters | None = None) -> Self:
        """The buffer of exactly these parameters, in this order: the one that they are in, or else a new one.

        known : one that may be it.
        """
        backward = parameters[0].backward
        for flat in (known, backward.flat() if backward is not None else None):
            if flat is not None and flat.whole and _are_the_same(flat.parameters, parameters):
                return flat  # type: ignore[return-value]
        return cls(list(parameters), placement)

    def mirrored(
        self, mirror: Callable[[Array], Array], placement: Placement, grads: Array | None = None
    ) -> FlatParameters:
        """The same memory as arrays of another kind, with parameters of their own.

        mirror : makes such an array of one of the buffer's. placement : of these arrays.
        grads : for the gradients, in place of the buffer's.
        """
        twin = copy.copy(self)
        twin.placement, twin._backward = placement, BackwardPass(weakref.ref(twin))
        twin.values, twin.grads = mirror(self.values), mirror(self.grads) if grads is None else grads
        twin.parameters = []
        for parameter, (start, stop) in zip(self.parameters, self.slices, strict=True):
            value, grad = (
                placement.xp.reshape(buffer[start:stop], parameter.shape) for buffer in (twin.values, twin.grads)
            )
            of_twin = parameter.like(value)
            of_twin.grad, of_twin.backward = grad, twin._backward
            twin.parameters.append(of_twin)
        return twin

    def start_pass(self) -> None:
        """Forget the gradients: the next cotangent of each parameter replaces what is there."""
        self._backward.number += 1

    @property
    def reached(self) -> list[Parameter]:
        """The parameters that a cotangent has reached in this pass."""
        return [parameter for parameter in self.parameters if parameter.pass_number == self._backward.number]

    def mark_all_reached(self) -> None:
        """Say that the gradients of all parameters are there."""
        number = self._backward.number
        for parameter in self.parameters:
            parameter.pass_number = number

    def take(self, gradients: Sequence[Array]) -> None:
        """Let these be the gradients, one for each parameter, in its shape."""
        xp, dtype = self.placement.xp, self.grads.dtype
        parts = [xp.reshape(xp.astype(g, dtype, copy=False), (-1,)) for g in gradients]
        self.grads[...] = parts[0] if len(parts) == 1 else xp.concat(parts)
        self.mark_all_reached()

    def add_up(self, shard: Shard) -> None:
        """Complete the gradients, and replace them by their sum over the ranks: each has those of its shard."""
        self.finish_pass()
        if shard.is_surplus:
            self.grads[...] = 0.0
        shard.group.all_reduce(self.grads)

    def finish_pass(self) -> None:
        """Complete the gradients: zero for a parameter that no cotangent reached."""
        number = self._backward.number
        for parameter in self.parameters:
            if parameter.pass_number != number:
                with self.placement.computing:
                    parameter.grad[...] = 0.0  # type: ignore[index]
                parameter.pass_number = number


def slices_of(parameters: Sequence[Parameter]) -> list[tuple[int, int]]:
    """Where each of some parameters begins and ends in a buffer that has them one after another."""
    stops = list(itertools.accumulate(parameter.size for parameter in parameters))
    return list(zip([0, *stops], stops, strict=False))


def _are_the_same(some: Sequence[Parameter], others: Sequence[Parameter]) -> bool:
    return len(some) == len(others) and all(map(operator.is_, some, others))
