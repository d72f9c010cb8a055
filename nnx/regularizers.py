"""Penalties on the size or the direction of weights, added to the loss. Formulas and defaults are those of Keras 3."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from nnx.arguments import is_number
from nnx.autodiff.protocol import derived
from nnx.backends import Array, array_namespace
from nnx.functional import Pullback
from nnx.lazy_loading import other_names
from nnx.members import Advising
from nnx.operators import Operand
from nnx.parameters import ComparedAttributes
from nnx.pullbacks import is_pair, require_fits
from nnx.registry import Configurable, Registry
from nnx.registry import custom_objects as custom_names
from nnx.registry import serialize as plain_data

__all__ = [
    "L1",
    "L1L2",
    "L2",
    "FunctionRegularizer",
    "OrthogonalRegularizer",
    "Regularizer",
    "deserialize",
    "get",
    "l1",
    "l1_l2",
    "l2",
    "orthogonal_regularizer",
    "registry",
    "resolve",
    "serialize",
]

registry: Registry[Any] = Registry("regularizer")

_EPSILON = 1e-7


class Regularizer(ComparedAttributes, Configurable, Advising):
    """A penalty on an array. A subclass defines `__call__`, ordinary array code; or `forward`, the fast form.

    >>> import numpy as np
    >>> from nnx import ops
    >>> class Sum(Regularizer):
    ...     def __call__(self, w):
    ...         return ops.sum(w)
    >>> float(Sum()(np.asarray([1.0, 2.0])))
    3.0
    """

    def forward(self, w: Array) -> tuple[Array, Pullback]:
        """The penalty, a 0-d array, and its pullback: `pullback(dpenalty=1.0)` is the cotangent of w."""
        if type(self).__call__ is Regularizer.__call__:
            name = type(self).__name__
            raise TypeError(f"{name} defines neither __call__(self, w) nor forward(self, w) -> (penalty, pullback)")
        return self._with_pullback(self, w, type(self).__name__)

    _derives = False
    """Whether array code was seen to return the penalty without a pullback."""

    def _with_pullback(self, penalty: Any, w: Array, name: str) -> tuple[Array, Pullback]:
        """The penalty of array code, and its pullback: its own, or a derived one. ValueError for one that is no number.

        penalty : the code. name : for errors.
        """
        what = f"the regularizer {name}"
        made: Any = None if self._derives else penalty(w)
        self._derives = not is_pair(made)
        value, pullback = derived(penalty, (w,), {}, what) if self._derives else made
        if tuple(getattr(value, "shape", ())) != ():
            raise ValueError(
                f"{what} returned an array of shape {tuple(value.shape)}, expected one number: take nnx.ops.sum or "
                f"mean of it"
            )
        if self._derives:
            return value, pullback
        return value, lambda dpenalty=1.0: require_fits(what, pullback(dpenalty), (w,))[0]

    def __call__(self, w: Any) -> Array:
        """The penalty on an array, or on a parameter."""
        return self.forward(w.in_array_code() if isinstance(w, Operand) else w)[0]


@registry.register()
class FunctionRegularizer(Regularizer):
    """A penalty that a function of one's own computes from the weights.

    function : of an array, ordinary array code; returns one number, or (number, pullback).

    >>> import numpy as np
    >>> from nnx import ops
    >>> float(FunctionRegularizer(lambda w: 0.5 * ops.sum(ops.abs(w)))(np.asarray([1.0, -3.0])))
    2.0
    """

    def __init__(self, function: Any) -> None:
        self.function = registry.find(function) if isinstance(function, str) else function

    def forward(self, w: Array) -> tuple[Array, Pullback]:
        return self._with_pullback(self.function, w, getattr(self.function, "__name__", "function"))


@registry.register()
class L1(Regularizer):
    """Sum of absolute values of the weights: l1 * sum(|w|)

    l1 : the factor, not negative; None for 0.01.

    >>> import numpy as np
    >>> float(L1(0.5)(np.asarray([1.0, -3.0])))
    2.0
    """

    def __init__(self, l1: float | None = 0.01) -> None:
        self.l1 = _factor(0.01 if l1 is None else l1, "l1")

    def forward(self, w: Array) -> tuple[Array, Pullback]:
        xp = array_namespace(w)
        size = xp.abs(w)
        return self.l1 * xp.sum(size), lambda dpenalty=1.0: (self.l1 * dpenalty) * _sign(w, size)


@registry.register()
class L2(Regularizer):
    """Sum of squares of the weights: l2 * sum(w**2)

    l2 : the factor, not negative; None for 0.01.

    >>> import numpy as np
    >>> float(L2(0.5)(np.asarray([1.0, -3.0])))
    5.0
    """

    def __init__(self, l2: float | None = 0.01) -> None:
        self.l2 = _factor(0.01 if l2 is None else l2, "l2")

    def forward(self, w: Array) -> tuple[Array, Pullback]:
        penalty = self.l2 * array_namespace(w).sum(w * w)
        return penalty, lambda dpenalty=1.0: (2.0 * self.l2 * dpenalty) * w


@registry.register()
class L1L2(Regularizer):
    """Sums of absolute values and of squares of the weights: l1 * sum(|w|) + l2 * sum(w**2)

    l1, l2 : the factors, not negative; None for 0.

    >>> import numpy as np
    >>> float(L1L2(0.5, 0.5)(np.asarray([1.0, -3.0])))
    7.0
    """

    def __init__(self, l1: float | None = 0.0, l2: float | None = 0.0) -> None:
        self.l1 = _factor(l1 or 0.0, "l1")
        self.l2 = _factor(l2 or 0.0, "l2")

    def forward(self, w: Array) -> tuple[Array, Pullback]:
        xp = array_namespace(w)
        size = xp.abs(w)

        def pullback(dpenalty: Any = 1.0) -> Array:
            return (self.l1 * dpenalty) * _sign(w, size) + (2.0 * self.l2 * dpenalty) * w

        return self.l1 * xp.sum(size) + self.l2 * xp.sum(w * w), pullback


@registry.register("orthogonal")
class OrthogonalRegularizer(Regularizer):
    """Mean of |cosine| over all pairs of rows, or columns, of a matrix, times a factor.

        factor * mean(|u_i . u_j|), i < j, for rows u of length 1

    factor : not negative.
    mode : "rows" or "columns", what is to be orthogonal.

    >>> import numpy as np
    >>> round(float(OrthogonalRegularizer(1.0)(np.asarray([[1.0, 0.0], [3.0, 4.0]]))), 6)
    0.6

    ValueError for an unknown mode, and for an array that is no matrix.
    """

    def __init__(self, factor: float = 0.01, mode: str = "rows") -> None:
        self.factor = _factor(factor, "factor")
        if mode not in ("rows", "columns"):
            raise ValueError(f"OrthogonalRegularizer: mode must be 'rows' or 'columns', got {mode!r}")
        self.mode = mode

    def forward(self, w: Array) -> tuple[Array, Pullback]:
        if len(w.shape) != 2:
            raise ValueError(f"OrthogonalRegularizer: expected a matrix, got an array of shape {tuple(w.shape)}")
        xp = array_namespace(w)
        vectors = w if self.mode == "rows" else xp.matrix_transpose(w)
        norms = xp.sqrt(xp.sum(vectors * vectors, axis=1, keepdims=True))
        size = xp.maximum(norms, _EPSILON)
        unit = vectors / size
        cosines = xp.tril(unit @ xp.matrix_transpose(unit), k=-1)  # each pair once
        pairs = max(vectors.shape[0] * (vectors.shape[0] - 1) // 2, 1)
        magnitudes = xp.abs(cosines)

        def pullback(dpenalty: Any = 1.0) -> Array:
            signs = _sign(cosines, magnitudes)
            dunit = (signs + xp.matrix_transpose(signs)) @ unit
            radial = unit * xp.sum(unit * dunit, axis=1, keepdims=True) * xp.astype(norms > _EPSILON, w.dtype)
            dvectors = (self.factor / pairs * dpenalty) * (dunit - radial) / size
            return dvectors if self.mode == "rows" else xp.matrix_transpose(dvectors)

        return self.factor / pairs * xp.sum(magnitudes), pullback


def resolve(identifier: Any) -> Any:
    """A regularizer from a name, a class, a configuration or a regularizer; None stays None.

    >>> resolve("l2").l2
    0.01
    """
    regularizer = None if identifier is None else registry.resolve(identifier)
    if regularizer is None or hasattr(regularizer, "forward"):
        return regularizer
    if not callable(regularizer):
        raise TypeError(
            f"a regularizer is None, a name such as 'l2', a function of the weights that returns one number, or an "
            f"object of nnx.regularizers, got {identifier!r}"
        )
    return FunctionRegularizer(regularizer)


get = resolve


def serialize(regularizer: Any) -> Any:
    """A regularizer as plain data that fits into JSON: its class and configuration; the name of a function.

    >>> serialize(L2(0.5))["class_name"]
    'L2'
    """
    return plain_data(regularizer)


def deserialize(config: Any, custom_objects: Mapping[str, Any] | None = None) -> Any:
    """The regularizer that `serialize` described, or that is meant by anything else that `get` takes.

    custom_objects : classes and functions of one's own, by name.

    >>> type(deserialize(serialize(L2(0.5)))).__name__
    'L2'
    """
    with custom_names(custom_objects):
        return resolve(config)


def _sign(w: Array, size: Array) -> Array:
    """-1, 0 or 1 by the sign of w, whose absolute values are `size`."""
    return w / array_namespace(w).where(size > 0.0, size, 1.0)


def _factor(value: Any, name: str) -> float:
    if not is_number(value) or not 0.0 <= value < math.inf:
        raise ValueError(f"regularizer: {name} must be a finite number >= 0, got {value!r}")
    return float(value)


# The names that Keras has beside those of the classes

l1 = L1
l2 = L2
l1_l2 = L1L2
orthogonal_regularizer = OrthogonalRegularizer

if not TYPE_CHECKING:
    __getattr__ = other_names(__name__)
