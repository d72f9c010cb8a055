"""Pullbacks: the derivative that comes with a value, and how a layer sends it into the gradients of its parameters."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np

from nnx.backends import Array, array_namespace
from nnx.parameters import Parameter
from nnx.precision import narrow

Pullback = Callable[..., Any]
"""Maps the cotangent of a function's value to the cotangents of its array arguments."""

Differentiable = Callable[..., tuple[Array, Pullback]]
"""A function that returns its value and its pullback."""


class _Skip:
    def __repr__(self) -> str:
        return "SKIP"


SKIP: Final = _Skip()
"""In the `out` of a pullback: this cotangent is not needed."""


class Plus:
    """In the `out` of a pullback that `adds`: this cotangent is wanted together with one that is there already.

    >>> Plus(1.0).present
    1.0
    """

    __slots__ = ("present",)

    def __init__(self, present: Array) -> None:
        self.present = present


def adds(pullback: Pullback) -> Pullback:
    """A pullback that takes a `Plus` as the first of its `out`, and returns the sum with what is in it.

    >>> adds(lambda dy, out: (dy + out[0].present,))(1.0, out=[Plus(2.0)])
    (3.0,)
    """
    pullback.adds = True  # type: ignore[attr-defined]
    return pullback


def zero_cotangent(like: Array, place: Any) -> Array | None:
    """The cotangent of an array that nothing depends on: zeros, in its place in `out` if it has one; None for SKIP.

    >>> import numpy as np
    >>> zero_cotangent(np.ones(2), None), zero_cotangent(np.ones(2), SKIP)
    (array([0., 0.]), None)
    """
    if place is SKIP:
        return None
    if place is None:
        return array_namespace(like).zeros_like(like)
    place[...] = 0.0
    return place


def cotangent_of(x: Array | None, dx: Array | None) -> Array | None:
    """The cotangent of an input: zeros where nothing depends on it, which dx=None says; None for one that is None.

    >>> import numpy as np
    >>> cotangent_of(np.ones(2), None), cotangent_of(None, None)
    (array([0., 0.]), None)
    """
    return dx if dx is not None or x is None else zero_cotangent(x, None)


def linear(x: Array) -> tuple[Array, Pullback]:
    """Linear activation, which changes nothing: y = x

    x : of any shape.

    Returns x itself, and pullback(dy) -> dx = dy. `nnx.activations.linear` returns x alone.

    >>> import numpy as np
    >>> from nnx import functional
    >>> y, pullback = functional.linear(np.asarray([-1.0, 2.0]))
    >>> y, pullback(np.ones(2))
    (array([-1.,  2.]), array([1., 1.]))
    """
    return x, lambda dy: dy


def followed_by(activate: Differentiable, y: Array, pullback: Pullback) -> tuple[Array, Pullback]:
    """A function that takes `out` in its pullback, and an activation after it.

    >>> import numpy as np
    >>> from nnx.functional import relu
    >>> y, pullback = followed_by(relu, np.asarray([-1.0, 2.0]), lambda dy, out: (dy,))
    >>> y, pullback(np.ones(2))
    (array([0., 2.]), (array([0., 1.]),))
    """
    if activate is linear:
        return y, pullback
    y, pull_activation = activate(y)

    def pull_back(dy: Array, out: tuple[Any, ...] = (None, None, None)) -> Any:
        return pullback(pull_activation(dy), out=out)

    return y, pull_back


class Ending:
    """The end of a layer in a graph, as far as it is made of what follows: y = activate(z + residual)

    residual : what is added to z; of z's shape.
    activate : an activation function.
    cotangent : that of the residual, once the pullback has run.

    It is called as an activation of z. A kernel that does the same in a better way calls `hand_over` in its pullback.

    >>> import numpy as np
    >>> from nnx.functional import relu
    >>> end = Ending(np.asarray([1.0, -3.0]), relu)
    >>> y, pullback = end(np.ones(2))
    >>> y, pullback(np.ones(2)), end.cotangent
    (array([2., 0.]), array([1., 0.]), array([1., 0.]))
    """

    __slots__ = ("activate", "cotangent", "residual")

    def __init__(self, residual: Array, activate: Differentiable) -> None:
        self.residual, self.activate, self.cotangent = residual, activate, None

    def __call__(self, z: Array) -> tuple[Array, Pullback]:
        y, pull_activation = self.activate(z + self.residual)
        return y, lambda dy: self.hand_over(pull_activation(dy))

    def hand_over(self, dz: Array) -> Array:
        """Keep the cotangent of z, which is that of the residual too, and return it."""
        self.cotangent = dz
        return dz


def is_pair(made: Any) -> bool:
    """Whether a function returned its value and its pullback.

    >>> is_pair((1.0, lambda dy: dy)), is_pair((1.0, 2.0))
    (True, False)
    """
    return type(made) is tuple and len(made) == 2 and callable(made[1])


def values_only(function: Differentiable) -> Callable[..., Array]:
    """The same function without its pullback, for those who only want numbers; `.original` is the original.

    function : returns (y, pullback).

    Returns a function of the same arguments that returns y.

    >>> import numpy as np
    >>> from nnx import functional
    >>> pool = functional.values_only(functional.max_pool)
    >>> pool(np.asarray([[[1.0], [5.0], [2.0], [3.0]]]), 2).ravel()
    array([5., 3.])
    >>> pool.original is functional.max_pool
    True
    """

    @functools.wraps(function)
    def values(*args: Any, **kwargs: Any) -> Array:
        return function(*args, **kwargs)[0]

    values.original = function  # type: ignore[attr-defined]
    return values


def original_of(function: Any) -> Any:
    """The original of what `values_only` or its like for losses made; any other function as it is.

    >>> original_of(values_only(linear)) is linear, original_of(linear) is linear
    (True, True)
    """
    original = getattr(function, "original", None)
    # `functools.wraps` gives the attribute also to what somebody writes around the function.
    return function if original is None or function.__wrapped__ is not original else original


def require_fit(what: str, cotangent: Any, value: Any) -> Any:
    """The cotangent of a value that a pullback of somebody's own returned; ValueError where it has another shape.

    what : whose pullback it is, for the error.

    >>> require_fit("mine", None, 1.0)  # no cotangent is none
    """
    given, expected = (tuple(getattr(one, "shape", ())) for one in (cotangent, value))
    if cotangent is not None and given != expected:
        raise ValueError(
            f"{what}: the pullback returned a cotangent of shape {given}, expected {expected}, the shape of what the "
            f"function was given"
        )
    return cotangent


def require_fits(what: str, cotangents: Any, arrays: Sequence[Any]) -> tuple[Any, ...]:
    """The cotangents of arrays, one for each, that a pullback of somebody's own returned; ValueError for others.

    what : whose pullback it is, for the error.

    >>> require_fits("mine", 2.0, [1.0]), require_fits("mine", [2.0, None], [1.0, 1.0])
    ((2.0,), (2.0, None))
    """
    parts = tuple(cotangents) if isinstance(cotangents, tuple | list) else (cotangents,)
    if len(parts) != len(arrays):
        given = f"{len(parts)} cotangents" if isinstance(cotangents, tuple | list) else type(cotangents).__name__
        wanted = "one, an array" if len(arrays) == 1 else f"a tuple of {len(arrays)}, one for each array"
        raise ValueError(f"{what}: the pullback returned {given}, expected {wanted} that the function was given")
    for value, cotangent in zip(arrays, parts, strict=True):
        require_fit(what, cotangent, value)
    return parts


class LayerPullback:
    """A layer's pullback: returns the cotangents of the inputs and sends those of parameters into their gradients.

    Called with `inputs=False` it skips the inputs' cotangents, which nobody needs for the first layer of a model: None
    stands in their place.

    pullback : that of a function, which returns a cotangent for each of its array arguments.
    targets : for each array argument of the function, the parameter it was, or None where it was an input.
    direct : the function's pullback takes `out` and writes to the gradients itself; see `nnx.functional`.

    `Layer.route` makes one. It returns the cotangent of one input, or a tuple for several. The gradients are those that
    a model has given to its parameters; those of a layer without a model, as here, are not computed.

    >>> import numpy as np
    >>> import nnx
    >>> layer = nnx.layers.Dense(2, kernel_initializer="ones")
    >>> layer.build((None, 3))
    >>> y, pullback = layer.forward(np.ones((1, 3), "float32"))
    >>> type(pullback).__name__, pullback(np.ones((1, 2), "float32"))
    ('LayerPullback', array([[2., 2., 2.]], dtype=float32))
    """

    __slots__ = ("_direct", "_pullback", "_targets")

    def __init__(self, pullback: Pullback, targets: tuple[Parameter | None, ...], direct: bool) -> None:
        self._pullback = pullback
        self._targets = targets
        self._direct = direct

    def added(self, dy: Any, present: Array) -> Array:
        """The cotangent of the only input, and one of it that is there already: their sum."""
        if not getattr(self._pullback, "adds", False):
            dx = self(dy)
            return present if dx is None else present + dx
        return self(dy, Plus(present))

    def __call__(self, dy: Any, inputs: bool | Plus = True) -> Any:
        if self._direct:
            cotangents = self._pullback(dy, out=[self._destination(target, inputs) for target in self._targets])
        else:
            cotangents = self._pullback(dy)
        of_inputs = []
        for parameter, cotangent in zip(self._targets, cotangents, strict=True):
            if parameter is None:
                of_inputs.append(cotangent)
            elif cotangent is not None:
                parameter.receive(cotangent)
        return of_inputs[0] if len(of_inputs) == 1 else tuple(of_inputs)

    @staticmethod
    def _destination(target: Parameter | None, inputs: bool | Plus) -> Any:
        """Where the pullback may write the cotangent of an argument: an array, None, SKIP, or a `Plus`."""
        if target is None:
            return inputs if isinstance(inputs, Plus) else None if inputs else SKIP
        backward = target.backward
        if backward is None:
            return SKIP
        fresh = target.pass_number != backward.number
        return target.grad if fresh and backward.direct else None  # None: it has to be added, or converted


class Skippable:
    """A pullback made of others: `function(dy, inputs)`, which may skip the cotangents of the inputs."""

    __slots__ = ("_function",)

    def __init__(self, function: Callable[[Any, bool], Any]) -> None:
        self._function = function

    def __call__(self, dy: Any, inputs: bool = True) -> Any:
        return self._function(dy, inputs)


def call_pullback(pullback: Pullback, dy: Any, inputs: bool) -> Any:
    """Call of a layer's pullback; without `inputs`, one of nnx's own leaves out the cotangents of its inputs.

    >>> call_pullback(lambda dy: 2.0 * dy, 3.0, inputs=False)  # somebody else's computes them all the same
    6.0
    """
    if inputs or not isinstance(pullback, LayerPullback | Skippable):
        return pullback(dy)
    return pullback(dy, inputs=False)


def fitting_inputs(what: str, pullback: Pullback, inputs: Sequence[Array]) -> Skippable:
    """A layer's pullback of somebody's own, whose cotangents of inputs are checked; ValueError for what does not fit.

    what : the layer's name, for the error.

    >>> import numpy as np
    >>> fitting_inputs("mine", lambda dy: 2.0 * dy, [np.ones(2)])(np.ones(2))
    array([2., 2.])
    """

    def pull_back(dy: Any, wanted: bool) -> Any:
        dxs = call_pullback(pullback, dy, wanted)
        if not wanted:
            return dxs
        dxs = require_fits(what, dxs, inputs)
        if len(dxs) == 1 and dxs[0] is None and array_namespace(inputs[0]).isdtype(inputs[0].dtype, "real floating"):
            raise ValueError(f"{what}: the pullback returned None, expected the cotangent of the input, an array")
        return dxs[0] if len(dxs) == 1 else dxs

    return Skippable(pull_back)


def fitting_targets(what: str, pullback: Pullback, targets: Sequence[Parameter | None]) -> Pullback:
    """A pullback of somebody's own; ValueError where it returns a cotangent of another shape than its parameter has.

    what : the layer's name, for the error.
    targets : as `LayerPullback` takes them.

    >>> fitting_targets("mine", lambda dy: (2.0 * dy,), [None])(1.0)
    (2.0,)
    """

    def checked(dy: Any) -> Any:
        cotangents = pullback(dy)
        if not isinstance(cotangents, tuple | list) or len(cotangents) != len(targets):
            given = f"{len(cotangents)}" if isinstance(cotangents, tuple | list) else type(cotangents).__name__
            raise ValueError(
                f"{what}: the pullback returned {given}, expected a tuple of {len(targets)} cotangents, one for each "
                f"target of route()"
            )
        for target, cotangent in zip(targets, cotangents, strict=True):
            if target is not None and cotangent is not None and tuple(cotangent.shape) != target.shape:
                raise ValueError(
                    f"{what}: the pullback returned a cotangent of shape {tuple(cotangent.shape)} for its weight "
                    f"{target.name}, expected {target.shape}, the shape of the weight"
                )
        return cotangents

    return checked


def in_dtype(
    arrays: Sequence[Any], dtype: str | None, keeps: Callable[[int], bool]
) -> tuple[list[Any], Callable[[Pullback], Pullback]]:
    """Arrays as a layer with a dtype of its own takes them, and what makes of its pullback one of what was given.

    dtype : what floating arrays are converted to; None to leave them as they are.
    keeps : whether the input of that number stays as it is, whatever its dtype.

    >>> import numpy as np
    >>> (x,), back = in_dtype([np.ones(2, "float16")], "float32", lambda index: False)
    >>> x.dtype, back(lambda dy: 3.0 * dy)(x).dtype
    (dtype('float32'), dtype('float16'))
    """
    taken = []
    for index, x in enumerate(arrays):
        if dtype is not None and x is not None and not keeps(index):
            xp = array_namespace(x)
            x = xp.astype(x, getattr(xp, dtype), copy=False) if xp.isdtype(x.dtype, "real floating") else x
        taken.append(x)

    def back(pullback: Pullback) -> Pullback:
        def pull_back(dy: Any, inputs: bool) -> Any:
            dxs = call_pullback(pullback, dy, inputs)
            if not inputs:
                return dxs
            several = isinstance(dxs, tuple | list)
            pairs = zip(dxs if several else [dxs], arrays, strict=True)
            with np.errstate(over="ignore"):  # the optimizer looks at the gradients
                narrowed = [dx if dx is None else narrow(dx, x) for dx, x in pairs]
            return tuple(narrowed) if several else narrowed[0]

        return Skippable(pull_back)

    return taken, back
