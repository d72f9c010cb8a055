"""Metrics: running values over batches, in arrays that stay on the device until somebody reads the result."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, Self

import numpy as np

from nnx.arguments import dtype_name, floating_dtype
from nnx.autodiff.array import TrackedArray
from nnx.autodiff.transforms import stop_gradient
from nnx.backends import Array, Namespace, Placement, array_namespace, asarray, get_backend, is_array, to_numpy
from nnx.backends.base import FLOAT_DTYPES
from nnx.in_place import sparing
from nnx.losses.arrays import asarray_like
from nnx.losses.base import Loss, fit_weights, of_same_rank
from nnx.losses.lookup import of_function
from nnx.members import Advising, refuse_uncalled
from nnx.metrics.tally import Tally
from nnx.metrics.targets import has_no_rows
from nnx.metrics.variable import RunningValue, Variable, value_of
from nnx.names import name_of_class
from nnx.registry import Configurable, Registry, serialize
from nnx.shapes import Shape, behind_batch, of_shapes
from nnx.user_warnings import warn_user

registry: Registry[Any] = Registry("metric")
functions: Registry[Callable[..., Array]] = Registry("metric function")


def of_plain_values(update_state: Callable[..., None]) -> Callable[..., None]:
    """The method, which inside of a tape gets the plain values: nothing is differentiated through a metric.

    Of a metric of dtype float64 it gets floating values in float64.
    """

    if not update_state.__module__.startswith("nnx."):
        update_state = sparing(update_state)

    @functools.wraps(update_state)
    def update(self: Any, *args: Any, **options: Any) -> None:
        if any(isinstance(value, TrackedArray | list | tuple | dict) for value in (*args, *options.values())):
            args, options = stop_gradient(args), stop_gradient(options)
        if len(args) == 3 and args[2] is None:
            args = args[:2]  # a metric of one's own may take no weights
        if self.dtype == "float64":
            args = tuple(map(_in_float64, args))
            options = {name: _in_float64(value) for name, value in options.items()}
        update_state(self, *args, **options)

    return update


def in_own_dtype(result: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """The method, whose value has the metric's dtype, if it has one; as it is where a subclass calls it."""

    @functools.wraps(result)
    def get(self: Any) -> Any:
        value = result(self)
        if self.dtype not in FLOAT_DTYPES or type(self).result is not get or not is_array(value):
            return value
        xp = array_namespace(value)
        return xp.astype(value, getattr(xp, self.dtype), copy=False)

    return get


def _in_float64(value: Any) -> Any:
    if is_array(value):
        return array_namespace(value).astype(value, array_namespace(value).float64) if _is_floating(value) else value
    if value is None or np.asarray(value).dtype.kind != "f":
        return value
    return asarray(np.asarray(value), "float64")


def _is_floating(value: Any) -> bool:
    return is_array(value) and bool(array_namespace(value).isdtype(value.dtype, "real floating"))


class Metric(Configurable, Advising):
    """Metric: a running value. A subclass defines `update_state`, `result` and `reset_state`.

    dtype : "float32", "float64" or "float16", of the result and of the variables that `add_weight` makes; by default
        that of the backend, and at least float32. Values are added up in float64 if it is that, and in float32, or in
        what comes, else. ValueError for any other, which only a
        class of one's own may have, for its variables.
    name : its key in the history; by default the name of the class in snake case.
    direction : "max" if more is better, "min" if less is, None where nobody can tell. Of the class, or of the object.
    running : the attributes that `reset_state` sets: arrays, numbers, or objects with `state` and `set_state`. A class
        whose running values all come from `add_weight`, as in Keras, needs neither this nor a `reset_state`.

    >>> import numpy as np
    >>> class TooLow(Metric):
    ...     running = ("count",)
    ...
    ...     def __init__(self, name=None):
    ...         super().__init__(name=name)
    ...         self.reset_state()
    ...
    ...     def reset_state(self):
    ...         self.count = 0
    ...
    ...     def update_state(self, y_true, y_pred, sample_weight=None):
    ...         self.count = self.count + (y_pred < y_true).sum()
    ...
    ...     def result(self):
    ...         return self.count
    >>> metric = TooLow()
    >>> metric.update_state(np.asarray([1.0, 2.0]), np.asarray([0.5, 2.5]))
    >>> metric.name, int(metric.result())
    ('too_low', 1)
    """

    direction: Literal["max", "min"] | None = None
    running: tuple[str, ...] = ()

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if "update_state" in vars(cls):
            cls.update_state = of_plain_values(cls.update_state)  # type: ignore[method-assign]
        if "result" in vars(cls):
            cls.result = in_own_dtype(cls.result)  # type: ignore[assignment, method-assign]
        refuse_uncalled(cls)

    def __init__(self, dtype: str | None = None, name: str | None = None) -> None:
        self.name = name or name_of_class(type(self))
        own = type(self).__module__.startswith("nnx.")
        self.dtype = (floating_dtype if own else dtype_name)(f"metric {self.name!r}", dtype)
        self._own_variables: list[Variable] = []

    @property
    def variables(self) -> list[Variable | RunningValue]:
        """The running values: what `add_weight` made, and the sums of a class that keeps its own.

        >>> [variable.name for variable in Mean().variables]
        ['total', 'count']
        """
        kept = [name for name in self.running if not name.startswith("_") or name == "_tally"]
        return [*self._own_variables, *(RunningValue(self, name) for name in kept)]

    def update_state(self, *args: Any, **kwargs: Any) -> None:
        """Take a batch in: (y_true, y_pred, sample_weight=None).

        Of an output with a mask, the mask as numbers, (batch, time), comes as the weights, or multiplied with them.
        """
        raise NotImplementedError(f"{type(self).__name__} has to define update_state")

    def result(self) -> Array:
        """The value over all batches since the last reset, an array on the device, mostly 0-d. Does not wait for it."""
        raise NotImplementedError(f"{type(self).__name__} has to define result")

    def reset_state(self) -> None:
        """Forget all batches: variables become zero, as in Keras."""
        if not self._own_variables:
            raise NotImplementedError(f"{type(self).__name__} has to define reset_state")
        for variable in self._own_variables:
            variable.assign(0)

    def add_weight(
        self,
        shape: Sequence[int] = (),
        initializer: Any = "zeros",
        dtype: str | None = None,
        name: str | None = None,
    ) -> Variable:
        """A running value in an array on the device, for `assign` and `assign_add`; see `Variable`.

        >>> class Batches(Metric):
        ...     def __init__(self, name="batches", **kwargs):
        ...         super().__init__(name=name, **kwargs)
        ...         self.count = self.add_weight(name="count")
        ...
        ...     def update_state(self, y_true, y_pred, sample_weight=None):
        ...         self.count.assign_add(1)
        ...
        ...     def result(self):
        ...         return self.count.value
        >>> float(Batches()([1.0], [2.0]))
        1.0
        """
        name, taken = name or "variable", {variable.name for variable in self._own_variables}
        name = next(n for n in (name, *(f"{name}_{number}" for number in range(1, len(taken) + 1))) if n not in taken)
        variable = Variable(name, tuple(shape), initializer, dtype or self.dtype)
        self._own_variables.append(variable)
        return variable

    def add_variable(
        self, shape: Sequence[int], initializer: Any = "zeros", dtype: str | None = None, name: str | None = None
    ) -> Variable:
        """`add_weight`, as Keras also calls it."""
        return self.add_weight(shape, initializer, dtype, name)

    @of_shapes
    def check_targets(self, y_true: np.ndarray, output_shape: Shape) -> None:
        """Raise ValueError for targets, on the host, that cannot be meant for this metric and that shape of outputs.

        A model asks before it learns from them.
        """

    def question_targets(self, y_true: np.ndarray) -> None:
        """Warn of targets, on the host, of which the metric can say nothing. A model asks once, of the first ones."""

    def state(self) -> dict[str, Any]:
        """The running values, for a checkpoint in the middle of an epoch.

        TypeError for a class that has a `reset_state` of its own and does not say what is `running`.
        """
        resetting, saying = (
            next(c for c in type(self).__mro__ if name in vars(c)) for name in ("reset_state", "running")
        )
        if resetting is not saying and issubclass(resetting, saying) and not self._own_variables:
            raise TypeError(
                f"metric {self.name!r} cannot be saved in the middle of an epoch, nor be that of several ranks: "
                f"{resetting.__name__} has to say which attributes its reset_state sets, as in "
                f"running = ('total', 'count')"
            )
        values = {name: getattr(self, name) for name in self.running}
        values |= {variable.name: variable for variable in self._own_variables}
        return {name: value.state() if hasattr(value, "state") else value for name, value in values.items()}

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state` returned, with arrays on the device that the next batches are on."""
        for name in self.running:
            value = state[name]
            if hasattr(getattr(self, name), "set_state"):
                getattr(self, name).set_state(value)
            elif value is None or isinstance(value, int | float | str) or is_array(value):
                setattr(self, name, value)
            else:
                raise TypeError(f"metric {self.name!r} cannot have {value!r} as its {name}")
        for variable in self._own_variables:
            variable.set_state(state[variable.name])

    @property
    def adds_up_rows(self) -> bool:
        """Whether the result is the same however the rows are cut into batches.

        Of classes and functions of one's own nobody knows: False.
        """
        return type(self).__module__.startswith("nnx.") and behind_batch(getattr(self, "axis", -1))

    def undefined(self) -> Array:
        """NaN, the result of a mean or quotient that has taken in batches, and not a single row."""
        return get_backend().asarray(math.nan)

    def move(self, placement: Placement) -> None:
        """Bring the variables to the place of a model."""
        for variable in self._own_variables:
            variable.move(placement)

    def together(self, states: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """The running values of several ranks that took in a part of every batch each, from their states on the host.

        By default the sums; a class whose running values are not sums has to override it.
        """
        merged: dict[str, Any] = added(states)
        return merged

    def __call__(self, *args: Any, **kwargs: Any) -> Array:
        """Take a batch in, and return the value so far."""
        self.update_state(*args, **kwargs)
        return value_of(self.result())


def on_host(state: Any) -> Any:
    """Nested values with their arrays as NumPy arrays."""
    if isinstance(state, Mapping):
        return {name: on_host(value) for name, value in state.items()}
    if isinstance(state, list | tuple):
        return [on_host(value) for value in state]
    return to_numpy(state) if is_array(state) else state


def added(states: Sequence[Any]) -> Any:
    """Sums of equally nested numbers and NumPy arrays; what is None in one counts for nothing."""
    found = [state for state in states if state is not None]
    first = found[0] if found else None
    if isinstance(first, Mapping):
        return {name: added([state[name] for state in found]) for name in first}
    if isinstance(first, list):
        return [added(values) for values in zip(*found, strict=True)]
    if first is None or isinstance(first, str):
        return first
    total = sum(found[1:], start=first)
    return np.asarray(total) if any(is_array(value) for value in found) else total


class Total(Metric):
    """Total on the device: what sums and means have in common."""

    running: tuple[str, ...] = ("total",)

    def __init__(self, name: str | None = None, dtype: str | None = None) -> None:
        super().__init__(dtype, name)
        self.reset_state()

    def reset_state(self) -> None:
        self.total = Tally()  # begins beside the first values, in their dtype, and at least in float32
        self._dtype: Any = None

    def result(self) -> Array:
        total = self.total.value()
        return get_backend().zeros(()) if total is None else total

    def _prepared(self, values: Any) -> tuple[Namespace, Array]:
        """Values as an array of the dtype in which they are added up."""
        if not hasattr(values, "dtype"):
            values = asarray(values)
        xp = array_namespace(values)
        if self._dtype is None:
            wide = xp.isdtype(values.dtype, "real floating") and values.dtype != getattr(xp, "float16", None)
            self._dtype = values.dtype if wide else xp.float32
        return xp, values if values.dtype == self._dtype else xp.astype(values, self._dtype)


class Sum(Total):
    """Sum of all values, each times its weight.

        result = sum(weight * value)

    >>> total = Sum()
    >>> float(total([1.0, 3.0, 5.0], sample_weight=[1.0, 1.0, 0.0]))
    4.0
    """

    def __init__(self, name: str | None = "sum", dtype: str | None = None) -> None:
        super().__init__(name, dtype)

    def update_state(self, values: Any, sample_weight: Any = None) -> None:
        xp, values = self._prepared(values)
        if sample_weight is not None:
            values = values * fit_weights(sample_weight, values)
        self.total.add(xp.sum(values))


class MeanOfSamples(Total):
    """Mean over samples, from a total and the weight that it stands for: what means have in common."""

    running = ("total", "count")

    def reset_state(self) -> None:
        super().reset_state()
        self.count = Tally()  # on the device only if there are weights

    def accumulate(self, values: Any, sample_weight: Any = None) -> None:
        """Take in values (n, ...) as n values, their means over the other axes; weights as for a loss."""
        if has_no_rows(values):
            self.count.add(0)
            return
        xp, values = self._prepared(values)
        size = math.prod(values.shape)
        if sample_weight is None:
            rows = values.shape[0] if values.shape else 1
            self.total.add(xp.sum(values) if rows == size else xp.sum(values) * (rows / max(size, 1)))
            self.count.add(rows)
        elif isinstance(sample_weight, int | float) or getattr(sample_weight, "shape", None) == ():
            self.total.add(xp.sum(values) / max(size, 1) * sample_weight)  # one weight for the whole batch
            self.count.add(sample_weight)
        else:
            weight = fit_weights(sample_weight, values)
            weighted = values * weight
            rows = weighted.shape[0]
            self.total.add(xp.sum(weighted) * (rows / max(math.prod(weighted.shape), 1)))
            self.count.add(xp.sum(weight) * (rows / max(math.prod(weight.shape), 1)))

    def result(self) -> Array:
        if self.count.has_only_numbers and self.total.value() is None:
            return self.undefined()
        total, count = super().result(), self.count.value()
        if count is None or isinstance(count, int | float):
            return total / (count or 1)
        xp = array_namespace(total)
        empty = count == 0.0
        return xp.where(empty, 0.0, total / xp.where(empty, 1.0, count))


class Mean(MeanOfSamples):
    """Mean of all values, each times its weight, divided by the sum of the weights.

        result = sum(weight * value) / sum(weight)

    Values of shape (n, ...) count as n: their mean over the other axes is taken first, as in Keras.

    >>> mean = Mean()
    >>> float(mean([1.0, 3.0, 5.0], sample_weight=[1.0, 1.0, 0.0]))
    2.0
    """

    def __init__(self, name: str | None = "mean", dtype: str | None = None) -> None:
        super().__init__(name, dtype)

    def update_state(self, values: Any, sample_weight: Any = None) -> None:
        self.accumulate(values, sample_weight)


class MeanMetricWrapper(MeanOfSamples):
    """Mean of what a function `fn(y_true, y_pred, **options)` gives for each sample.

        result = sum(weight * fn(y_true, y_pred)) / sum(weight)

    fn : a function of `nnx.metrics` or `nnx.losses`, or one's own. Of a pair of values and pullback, the values count.
    name : by default that of the function.
    options : keyword arguments of the function, each kept as an attribute of its name.

    >>> from nnx.losses import huber
    >>> metric = MeanMetricWrapper(huber, delta=2.0)
    >>> metric.name, metric.delta, float(metric([[0.0], [0.0]], [[3.0], [0.0]]))
    ('huber', 2.0, 2.0)
    """

    def __init__(
        self, fn: Callable[..., Any], name: str | None = None, dtype: str | None = None, **options: Any
    ) -> None:
        super().__init__(name or getattr(fn, "__name__", None), dtype)
        self.fn = fn
        if hasattr(fn, "original"):  # a loss
            self.direction = "min"
        self._options = options
        self._warned = False
        for option, value in options.items():
            setattr(self, option, value)

    @property
    def adds_up_rows(self) -> bool:
        loss = of_function(self.fn, self._options)
        own = str(getattr(self.fn, "__module__", None)).startswith("nnx.") and not isinstance(self.fn, Loss)
        return super().adds_up_rows and own and (loss is None or loss.is_mean_over_rows)

    def check_targets(self, y_true: np.ndarray, output_shape: Shape) -> None:
        """What the loss says of them, where the function is a loss of `nnx.losses`, or an object."""
        loss = self.fn if isinstance(self.fn, Loss) else of_function(self.fn, self._options)
        if loss is not None:
            try:
                loss.check_targets(y_true, output_shape)
            except ValueError as error:
                raise ValueError(f"metric {self.name!r}: {error}") from None

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        if has_no_rows(y_pred):
            self.count.add(0)
            return
        fn = self.fn
        if not hasattr(fn, "original"):  # a function of one's own
            y_true, fn = of_same_rank(y_true, y_pred), sparing(fn)
        values = fn(y_true, y_pred, **self._options)
        if type(values) is tuple:
            values = values[0]
        if values is None or isinstance(values, str):
            raise TypeError(
                f"metric {self.name!r} returned {type(values).__name__}, expected an array with a value for each "
                f"sample, or one number for the batch"
            )
        if not hasattr(values, "dtype") and hasattr(y_pred, "dtype"):
            values = asarray_like(values, y_pred)
        if sample_weight is not None and not self._takes(sample_weight, values):
            sample_weight = None
        self.accumulate(values, sample_weight)

    def _takes(self, weight: Any, values: Any) -> bool:
        """Whether a function of one's own has values for such weights; a warning if steps are weighted in vain."""
        of_steps = any(size > 1 for size in getattr(weight, "shape", ())[1:])
        built_in = type(self) is not MeanMetricWrapper or hasattr(self.fn, "original")
        if built_in or not of_steps or len(values.shape) > 1:
            return True
        if not self._warned:
            self._warned = True
            warn_user(
                f"metric {self.name!r} gives {'a value for each sample' if values.shape else 'one value for a batch'}, "
                f"so weights of steps {tuple(weight.shape)}, as a mask makes them, cannot change it: all steps count. "
                f"Return a value for each step: reduce the last axis alone, as in mean(..., axis=-1)"
            )
        return False

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), **serialize(self._options)}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        if isinstance(config.get("fn"), str):
            config = {**config, "fn": functions.find(config["fn"])}
        return cls(**config)


for _cls in (Sum, Mean, MeanMetricWrapper):
    registry.register()(_cls)
