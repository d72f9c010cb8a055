"""Variables: the running values of a metric that is written as in Keras, with `add_weight`."""

from __future__ import annotations

from typing import Any

from nnx.autodiff.array import lower
from nnx.backends import Array, Placement, array_namespace, get_backend, is_array, to_numpy
from nnx.initializers import resolve as resolve_initializer
from nnx.operators import ArrayHolder


class Variable(ArrayHolder):
    """Variable of a metric: an array that `assign`, `assign_add` and `assign_sub` replace.

    In array code, operators and functions of nnx.ops, it is its array.

    name : of the variable, in the metric.
    value : the array, on the device that the metric's model is on.
    """

    def __init__(self, name: str, shape: tuple[int, ...], initializer: Any, dtype: str | None) -> None:
        self.name = name
        here = get_backend()
        self._dtype = dtype or ("float32" if here.dtype == "float16" else here.dtype)
        self.value: Array = here.asarray(resolve_initializer(initializer)(shape, self._dtype), self._dtype)

    def __repr__(self) -> str:
        return f"<Variable {self.name}, shape {self.shape}, {self._dtype}>"

    @property
    def shape(self) -> tuple[int, ...]:
        """The lengths of the array's axes."""
        return tuple(self.value.shape)

    @property
    def dtype(self) -> str:
        """The dtype's name, the same on every backend."""
        return self._dtype

    def in_array_code(self) -> Array:
        return self.value

    def assign(self, value: Any) -> Array:
        """Take a value of the same shape, or one number for all; returns the new value."""
        xp, new = array_namespace(self.value), lower(value_of(value))
        if not is_array(new):
            new = xp.asarray(new, dtype=self.value.dtype, device=self.value.device)
        elif new.dtype != self.value.dtype:
            new = xp.astype(new, self.value.dtype)
        if tuple(new.shape) not in ((), self.shape):
            raise ValueError(f"variable {self.name!r} has the shape {self.shape}, got a value of {tuple(new.shape)}")
        self.value = new if tuple(new.shape) == self.shape else xp.full_like(self.value, 0.0) + new
        return self.value

    def assign_add(self, value: Any) -> Array:
        """Add a value; returns the sum."""
        return self.assign(self + value)

    def assign_sub(self, value: Any) -> Array:
        """Take a value away; returns the difference."""
        return self.assign(self - value)

    def numpy(self) -> object:
        """A copy of the value on the host."""
        return to_numpy(self.value).copy()

    def move(self, placement: Placement) -> None:
        """Bring the value to another place."""
        self.value = placement.asarray(to_numpy(self.value), self._dtype)

    def state(self) -> Array:
        """The value, for a checkpoint."""
        return self.value

    def set_state(self, state: Any) -> None:
        """Go on from what `state` returned."""
        if not is_array(state):
            raise TypeError(f"variable {self.name!r} cannot be {state!r}")
        self.assign(state)


class RunningValue:
    """Running value of a metric that keeps it in an attribute, as `Metric.variables` lists it.

    name : of the attribute; "counts" for sums over classes and thresholds, whose shape the first batch decides.
    """

    def __init__(self, metric: Any, attribute: str) -> None:
        self.name = "counts" if attribute == "_tally" else attribute
        self._metric = metric
        self._attribute = attribute

    def __repr__(self) -> str:
        return f"<RunningValue {self.name}, shape {self.shape}>"

    @property
    def value(self) -> Array:
        """The value so far, an array; 0 before the first batch."""
        kept = getattr(self._metric, self._attribute)
        kept = kept.value() if hasattr(kept, "value") and not is_array(kept) else kept
        return kept if is_array(kept) else get_backend().asarray((kept or 0) * 1.0)

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(self.value.shape)

    def assign(self, value: Any) -> Array:
        """Take an array, or a number; returns the new value."""
        old, new = self.value, value_of(value)
        if not is_array(new):
            new = array_namespace(old).full_like(old, new)
        kept = getattr(self._metric, self._attribute)
        if hasattr(kept, "add") and not is_array(kept):  # a tally, which starts anew; some arrays have an `add` too
            sums = type(kept)()
            sums.add(new)
            new = sums
        setattr(self._metric, self._attribute, new)
        return self.value

    def numpy(self) -> object:
        """A copy of the value on the host."""
        return to_numpy(self.value).copy()


def value_of(value: Any) -> Any:
    """The array of a variable; anything else as it is."""
    return value.value if isinstance(value, Variable | RunningValue) else value
