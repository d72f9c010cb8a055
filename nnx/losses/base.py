"""Base class of losses: a function gives a value for each sample, and a reduction the number that is minimised."""

from __future__ import annotations

import functools
import inspect
import math
from collections.abc import Callable
from typing import Any, Literal, Self

import numpy as np

from nnx import ranks
from nnx.arguments import floating_dtype, python_numbers
from nnx.autodiff.array import TrackedArray, constant, lower, strip
from nnx.autodiff.namespace import kind_of
from nnx.autodiff.primitive import primitive
from nnx.autodiff.protocol import derived
from nnx.backends import Array, Namespace, array_namespace, is_array
from nnx.backends.base import refuse_masked
from nnx.functional.loss_functions import scaled_sum
from nnx.in_place import sparing
from nnx.losses.arrays import as_arrays, asarray_like, weighted_steps
from nnx.losses.targets import require_same_shape
from nnx.members import Advising
from nnx.names import name_of_class
from nnx.parameters import ComparedAttributes
from nnx.precision import narrow, wide
from nnx.pullbacks import Differentiable, Pullback, is_pair, require_fit
from nnx.registry import Configurable, Registry, serialize
from nnx.shapes import Shape, behind_batch, of_shapes
from nnx.user_warnings import warn_user

registry: Registry[Any] = Registry("loss")

CLASSES: dict[Differentiable, type[LossFunctionWrapper]] = {}
"""The class of each loss function of `nnx.functional`."""

VALUES_FUNCTIONS: dict[Differentiable, Callable[..., Array]] = {}
"""The function of `nnx.losses`, without a pullback, of each loss function of `nnx.functional`."""

Reduction = Literal["sum_over_batch_size", "sum", "mean", "mean_with_sample_weight", "none"] | None

_REDUCTIONS = ("sum_over_batch_size", "sum", "mean", "mean_with_sample_weight", "none", None)


class Loss(ComparedAttributes, Configurable, Advising):
    """Loss: what a model minimises. A subclass defines `call`, ordinary array code.

        loss = sum(weight * value) / number of values           "sum_over_batch_size", "mean"
        loss = sum(weight * value) / sum(weight)                "mean_with_sample_weight"
        loss = sum(weight * value)                              "sum"
        loss = weight * value, an array                         "none", None

    name : by default the name of the class in snake case.
    reduction : what becomes of the values of the samples, each multiplied by its weight, which is 1 by default:
        "sum_over_batch_size" or "mean" : their sum, divided by their number (not by the sum of the weights);
        "mean_with_sample_weight" : their sum, divided by the sum of the weights;
        "sum" : their sum;
        "none" or None : they stay an array.

    dtype : "float32", "float64" or "float16": the loss has it. It is computed in float64 if it is that, else in
        float32; by default in the dtype of the predictions, and at least in float32.

    ValueError for any other reduction or dtype.

    >>> from nnx import ops
    >>> class FourthPower(Loss):
    ...     def call(self, y_true, y_pred):
    ...         return ops.sum((y_pred - y_true) ** 4, axis=-1)
    >>> float(FourthPower()([[0.0, 1.0], [0.0, 0.0]], [[1.0, 3.0], [0.0, 1.0]]))
    9.0
    """

    integer_targets = False
    """Whether the targets are class labels, which stay integers on their way to the device."""

    mixes_rows = False
    """Whether the value of a sample depends on the others of its batch."""

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if "call" in vars(cls) and not cls.__module__.startswith("nnx."):
            cls.call = sparing(cls.call)  # type: ignore[method-assign]

    def __init__(
        self, name: str | None = None, reduction: Reduction = "sum_over_batch_size", dtype: str | None = None
    ) -> None:
        if reduction not in _REDUCTIONS:
            expected = ", ".join(repr(known) for known in _REDUCTIONS)
            raise ValueError(f"reduction must be one of {expected}; got {reduction!r}")
        self.name = name or name_of_class(type(self))
        self.reduction = reduction
        self.dtype = floating_dtype(f"loss {self.name!r}", dtype)

    _derives = False
    """Whether `call` was seen to return values without their pullback."""

    def call(self, y_true: Array, y_pred: Array) -> Any:
        """The value of each sample, or one of the batch; in the fast form a pair: the values, and their pullback."""
        raise NotImplementedError(f"{type(self).__name__} has to define call(y_true, y_pred)")

    def forward(
        self, y_true: Array, y_pred: Array, sample_weight: Any = None, mask: Array | None = None
    ) -> tuple[Array, Callable[..., Array]]:
        """The loss of a batch, a 0-d array on its device, and `pullback(dloss=1.0)` -> the cotangent of y_pred.

        sample_weight : a weight for each sample, (n,) or (n, 1), or for each value.
        mask : of y_pred, over its first axes: 1 for what counts, 0 for the rest, by which no mean divides.

        Of predictions in float16 the loss is computed in float32, where squares and sums have room.
        """
        if not (hasattr(y_true, "dtype") and hasattr(y_pred, "dtype")):
            y_true, y_pred = as_arrays(y_true, y_pred)
        given, other = y_pred, self.dtype is not None or getattr(y_pred.dtype, "itemsize", 4) == 2  # bytes
        if other:
            y_true, y_pred = self._to_compute_in(y_true, y_pred)
        counted = self._counted(y_true, y_pred)
        values, pullback_values = self._checked_call(y_true, y_pred)
        xp = array_namespace(values)
        if mask is not None or counted is not None:
            sample_weight = self._weights_of_counted(values, mask, counted, sample_weight)
        weight = None if sample_weight is None else fit_weights(sample_weight, values)
        loss, scale = self._reduce(xp, values, weight)

        def pullback(dloss: Array | float = 1.0) -> Array:
            if self.dtype is not None and is_array(dloss):
                dloss = narrow(dloss, values)
            dvalues = dloss * scale if weight is None else weight * (dloss * scale)
            dy = pullback_values(self._spread(xp, dvalues, values))
            if getattr(dy, "shape", None) != y_pred.shape:
                require_fit(f"loss {self.name!r}", dy, y_pred)
            return narrow(dy, given) if other else dy

        return loss if self.dtype is None else xp.astype(loss, getattr(xp, self.dtype), copy=False), pullback

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Array:
        """The loss of a batch, a 0-d array. Arguments as for `forward`; lists and numbers are converted."""
        y_true, y_pred = as_arrays(y_true, y_pred, self.dtype)
        if any(isinstance(value, TrackedArray) for value in (y_pred, y_true, sample_weight)):
            return _recorded(self.forward, y_true, y_pred, sample_weight)
        return self.forward(y_true, y_pred, sample_weight)[0]

    def _to_compute_in(self, y_true: Array, y_pred: Array) -> tuple[Array, Array]:
        """Targets and predictions in the dtype that the loss is computed in; targets that are no fractions stay."""
        xp = array_namespace(y_pred)
        y_pred = wide(y_pred) if self.dtype is None else xp.astype(y_pred, _computed_in(xp, self.dtype), copy=False)
        fractions = self.dtype is not None and xp.isdtype(y_true.dtype, "real floating")
        return narrow(y_true, y_pred) if fractions else y_true, y_pred

    @property
    def fuses_with(self) -> str | None:
        """The activation, "softmax" or "sigmoid", that `with_logits()` already contains; None if there is none."""
        return None

    @property
    def is_mean_over_rows(self) -> bool:
        """Whether the loss of a batch is the mean over its rows of what each of them adds alone."""
        return self.keeps_rows_apart and self.reduction in ("sum_over_batch_size", "mean")

    @property
    def keeps_rows_apart(self) -> bool:
        """Whether the values of a row depend on that row alone.

        Of classes and functions of one's own nobody knows: False.
        """
        return (
            type(self).__module__.startswith("nnx.") and not self.mixes_rows and behind_batch(getattr(self, "axis", -1))
        )

    def check_activation(self, activation: str | None) -> None:
        """Warn if the loss is not meant for a model that ends in this activation."""

    def with_logits(self) -> Loss:
        """The same loss as a function of what goes into the activation that it `fuses_with`: one stable formula."""
        raise ValueError(f"loss {self.name!r} has no form for logits")

    @of_shapes
    def check_targets(self, y_true: np.ndarray, output_shape: Shape) -> None:
        """Raise ValueError for targets, on the host, that cannot be meant for this loss and that shape of outputs."""

    def _counted(self, y_true: Array, y_pred: Array) -> Array | None:
        """Which values count, booleans, for a loss that leaves samples out; None where all do."""
        return None

    def _weights_of_counted(
        self, values: Array, mask: Array | None, counted: Array | None, sample_weight: Any
    ) -> Array:
        """The weights, and 0 for what the mask or the loss itself leaves out.

        For a mean over all values the others weigh total / counted, as in Keras: by one factor, of what both leave.
        """
        xp = array_namespace(values)
        counts: Any = weighted_steps(*(None if x is None else xp.astype(x, values.dtype) for x in (mask, counted)))
        weight = None if sample_weight is None else fit_weights(sample_weight, values)
        return self.weights_of_counts(counts, weight)

    def weights_of_counts(self, counts: Array, weight: Array | None) -> Array:
        """Weights times numbers, 1 for what counts; for a mean over all values these are total / counted."""
        if self.reduction in ("mean", "sum_over_batch_size"):
            xp = array_namespace(counts)
            size = math.prod(counts.shape) / ranks.share()  # of the whole batch
            counts = counts * (size / xp.maximum(ranks.total(xp.sum(counts)), 1.0))
        return weighted_steps(counts, weight)

    @property
    def takes_mask(self) -> bool:
        """Whether `forward` takes a mask; one of somebody's own may not."""
        return _takes_mask(getattr(self.forward, "__func__", self.forward))

    def _checked_call(self, y_true: Array, y_pred: Array) -> tuple[Array, Pullback]:
        """The values and their pullback, which is derived where `call` returns the values alone."""
        if not self._derives:
            result = self.call(y_true, y_pred)
            if is_pair(result):
                return result  # type: ignore[no-any-return]
        kind = kind_of(y_pred)
        targets = constant(y_true, kind) if kind.xp.refuses_others else y_true  # so that either may stand left
        values, pullback = derived(lambda y_pred: self.call(targets, y_pred), (y_pred,), {}, f"loss {self.name!r}")
        if not self._derives:
            _check_values(self.name, values, y_pred)
            fitted = isinstance(self, LossFunctionWrapper)
            if not fitted and tuple(y_pred.shape) == (*tuple(y_true.shape), 1):
                warn_user(
                    f"loss {self.name!r} gets targets of shape {tuple(y_true.shape)} and predictions of shape "
                    f"{tuple(y_pred.shape)}, whose difference has as many rows as columns: give the targets an axis, "
                    f"y[:, None], or take y_pred[:, 0]"
                )
            self._derives = True
        return values, pullback

    def _reduce(self, xp: Namespace, values: Array, weight: Array | None) -> tuple[Array, Array | float]:
        """The loss, and the factor that it put before each weighted value."""
        weighted = values if weight is None else values * weight
        if self.reduction in (None, "none"):
            return weighted, 1.0
        if self.reduction == "sum":
            return scaled_sum(weighted, 1.0), 1.0
        if weight is not None and self.reduction == "mean_with_sample_weight":
            mass = ranks.total(xp.sum(weight))
            empty = mass == 0.0
            scale = xp.where(empty, 0.0, 1.0 / xp.where(empty, 1.0, mass))
            return xp.sum(weighted) * scale, scale
        share = ranks.share() / (math.prod(weighted.shape) or 1)
        return scaled_sum(weighted, share), share

    def _spread(self, xp: Namespace, dvalues: Array | float, values: Array) -> Array | float:
        """Cotangents in the shape of the values, which is all that a loss of one's own has to handle."""
        if isinstance(dvalues, int | float):
            return xp.full_like(values, dvalues)
        if len(dvalues.shape) > len(values.shape):  # one value that was weighted in several ways
            return xp.sum(dvalues)
        return dvalues if dvalues.shape == values.shape else xp.broadcast_to(dvalues, values.shape)


class LossFunctionWrapper(Loss):
    """Loss that a function `fn(y_true, y_pred, **options)` makes.

    fn : a function of `nnx.functional`, or one's own, of ordinary array code: it returns a value for each sample, or
        one for the batch; or (values, pullback), the fast form.
    reduction, dtype : as for `Loss`.
    name : by default that of the function.
    options : keyword arguments of the function, each kept as an attribute of its name.

    >>> from nnx import functional
    >>> loss = LossFunctionWrapper(functional.huber, delta=2.0)
    >>> loss.name, loss.delta, float(loss([[0.0]], [[3.0]]))
    ('huber', 2.0, 4.0)
    """

    def __init__(
        self,
        fn: Callable[..., Any],
        reduction: Reduction = "sum_over_batch_size",
        name: str | None = None,
        dtype: str | None = None,
        **options: Any,
    ) -> None:
        super().__init__(name or getattr(fn, "__name__", None), reduction, dtype)
        self.fn = fn
        self._built_in = getattr(fn, "is_built_in", False)
        self._options = options
        for option, value in options.items():
            setattr(self, option, value)

    @property
    def keeps_rows_apart(self) -> bool:
        return self._built_in and super().keeps_rows_apart

    def call(self, y_true: Array, y_pred: Array) -> Any:
        if not self._built_in:
            y_true = of_same_rank(y_true, y_pred)
            return sparing(self.fn)(y_true, y_pred, **self._options)
        return self.fn(y_true, y_pred, **self._options)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), **serialize(self._options)}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        fn = config.get("fn")
        if isinstance(fn, str):
            found = registry.find(fn)
            config = {**config, "fn": found().fn if isinstance(found, type) else found}
        return cls(**config)

    @of_shapes
    def check_targets(self, y_true: np.ndarray, output_shape: Shape) -> None:
        if self._built_in:
            require_same_shape(self.name, y_true, output_shape)

    def _spread(self, xp: Namespace, dvalues: Array | float, values: Array) -> Array | float:
        if self._built_in and isinstance(dvalues, int | float):
            return dvalues
        return super()._spread(xp, dvalues, values)


registry.register()(LossFunctionWrapper)


def _computed_in(xp: Namespace, dtype: str) -> Any:
    return xp.float64 if dtype == "float64" else xp.float32


def of_same_rank(y_true: Any, y_pred: Any) -> Any:
    """Targets for a function of one's own, with a last axis of length one more or less as the predictions have it.

    As Keras does; a difference of (n,) and (n, 1) would be (n, n).
    """
    if not (hasattr(y_true, "shape") and hasattr(y_pred, "shape")):
        return y_true
    given, wanted = tuple(y_true.shape), tuple(y_pred.shape)
    if len(given) == len(wanted) - 1 and wanted[-1] == 1 and given == wanted[:-1]:
        return array_namespace(y_true).reshape(y_true, wanted)
    if len(given) == len(wanted) + 1 and given[-1] == 1 and given[:-1] == wanted:
        return array_namespace(y_true).reshape(y_true, wanted)
    return y_true


def _check_values(name: str, values: Array, y_pred: Array) -> None:
    """ValueError for values that are neither one for each sample, or step, nor one for the batch."""
    shape, whole = tuple(values.shape), tuple(y_pred.shape)
    if shape not in [whole[:axes] for axes in range(len(whole) + 1)]:
        raise ValueError(
            f"loss {name!r} returned values of shape {shape} for predictions of shape {whole}: expected one for each "
            f"sample, {whole[:1]}, or for each value of a sample, or one number for the batch"
        )


def loss_values(function: Differentiable, cls: type[LossFunctionWrapper]) -> Callable[..., Array]:
    """Function of a loss under Keras's name in `nnx.losses`: the value of each sample, without a pullback.

    It takes lists and numbers too, and can be given to `compile`. `.original` is the original.

    function : of `nnx.functional`.
    cls : the class that is meant where the function is given as a loss.
    """

    @functools.wraps(function)
    def values(y_true: Any, y_pred: Any, *args: Any, **options: Any) -> Array:
        y_true, y_pred = as_arrays(y_true, y_pred)
        options = python_numbers(options)
        if isinstance(y_pred, TrackedArray) or isinstance(y_true, TrackedArray):
            return _recorded(functools.partial(function, **options), y_true, y_pred, *python_numbers(args))
        return function(y_true, y_pred, *python_numbers(args), **options)[0]

    values.__module__ = cls.__module__  # where pickle finds it
    values.original = function  # type: ignore[attr-defined]
    CLASSES[function], VALUES_FUNCTIONS[function] = cls, values
    return values


def _recorded(function: Callable[..., Any], y_true: Any, y_pred: Any, *others: Any) -> Any:
    """The value of `function(y_true, y_pred, *others) -> (value, pullback to y_pred)`, where some of them are tracked.

    It is one entry of the tape, made by its kernels, where only the predictions are tracked; else it is recorded as it
    is written, since its pullback has no cotangents for targets and weights.
    """
    if not any(isinstance(strip(value), TrackedArray) for value in (y_true, *others)):
        return primitive(lambda y_pred: function(lower(y_true), y_pred, *map(lower, others)))(y_pred)
    kind = kind_of(y_pred)
    return function(constant(y_true, kind), constant(y_pred, kind), *(constant(value, kind) for value in others))[0]


@functools.lru_cache(maxsize=256)
def _takes_mask(forward: Callable[..., Any]) -> bool:
    return "mask" in inspect.signature(forward).parameters


def fit_weights(weight: Any, values: Array) -> Array:
    """Weights of samples in the dtype of the values, in a shape that multiplies the value of each sample by its weight.

    The axes of the weights are the first ones of the values; axes of length 1 may be missing or too many.
    """
    if isinstance(weight, np.ndarray) and type(weight) is not np.ndarray:
        refuse_masked(weight, "sample_weight")
    if not is_array(weight):
        weight = asarray_like(np.asarray(weight, dtype=np.float64), values)
    xp = array_namespace(values)
    weight = xp.astype(weight, values.dtype, copy=False)
    wanted, shape = tuple(values.shape), tuple(weight.shape)
    if shape == wanted or wanted == ():
        return weight
    while len(shape) > len(wanted) and shape[-1] == 1:
        shape = shape[:-1]
    shape = (*shape, *[1] * (len(wanted) - len(shape)))
    if len(shape) != len(wanted) or any(given not in (1, size) for given, size in zip(shape, wanted, strict=True)):
        of_steps = "; weights of steps, as a mask makes them too, need a value for each step: (batch, time, features)"
        raise ValueError(
            f"sample_weight must have a weight for each of {wanted[0]} samples, or for each value, shape {wanted}; "
            f"got the shape {tuple(weight.shape)}{of_steps if len(shape) > len(wanted) else ''}"
        )
    return xp.reshape(weight, shape)
