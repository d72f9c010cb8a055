"""Updates of an optimizer on a small buffer of NumPy: its calls, noted once and made again in each step."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from nnx.backends.compiler import are_compiled_kernels_enabled
from nnx.parameters import FlatParameters
from nnx.plans.array import PlannedArray
from nnx.plans.backend import noting
from nnx.plans.plan import NotPlannable, Plan
from nnx.structure import leaves

_LARGEST = 1 << 15  # numbers: beyond, the calls themselves take the time

Formula = Callable[..., None]
"""Changes w by g, both 1-D, with the slots and with numbers that differ from step to step."""


class ReplayedUpdates:
    """The updates of one optimizer by a formula, replayed once a step was made with all that they depend on.

    The first step with a buffer is made as ever, and so is the first one after `forget`; the second makes the plan. The
    numbers of a step are in arrays that the calls read.
    """

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """Learn that something which the formula depends on has changed."""
        self._since = object()  # a plan that another thread has begun before has the one before
        self._plan: tuple[object, UpdatePlan | None] = (self._since, None)
        self._seen: FlatParameters | None = None
        self._tried = False

    def plan(self, flat: FlatParameters, slots: Mapping[str, Any]) -> UpdatePlan | None:
        """The plan for this memory; None where there is none."""
        since, plan = self._plan
        return plan if plan is not None and since is self._since and plan.holds(flat, slots) else None

    def may_begin(self, flat: FlatParameters) -> bool:
        """Whether the step before trained this buffer and nothing has changed since. It says so once."""
        if self._plan[1] is not None or self._seen is not flat:
            self._plan, self._seen, self._tried = (self._since, None), flat, False
            return False
        tried, self._tried = self._tried, True
        return not tried

    def begin(self, formula: Formula, flat: FlatParameters, slots: Mapping[str, Any], numbers: Sequence[float]) -> bool:
        """Whether a plan was made, and so the parameters updated; if not, nothing was done."""
        since = self._since
        made = _plan_of(formula, flat, slots, numbers)
        self._plan = since, made
        return made is not None


class UpdatePlan:
    """The calls of a formula on the memory of a buffer and of slots. Making it is the first update."""

    def __init__(
        self, formula: Formula, flat: FlatParameters, slots: Mapping[str, Any], numbers: Sequence[float]
    ) -> None:
        self._values, self._grads, self._slots = flat.values, flat.grads, list(slots.values())
        self._compiled = are_compiled_kernels_enabled()
        self._numbers = [np.asarray(number, self._values.dtype) for number in numbers]
        plan = Plan()
        w, g = PlannedArray(self._values, plan), PlannedArray(self._grads, plan)
        with noting(plan):
            formula(w, g, {name: PlannedArray(slot, plan) for name, slot in slots.items()}, *self._numbers)
        read = set(map(id, leaves([list(arguments) for _, arguments in plan.calls])))
        if plan.branches or not all(id(number) in read for number in self._numbers):
            raise NotPlannable("the formula branches on values, or makes other numbers of those of the step")
        self._calls = plan.calls

    def holds(self, flat: FlatParameters, slots: Mapping[str, Any]) -> bool:
        """Whether all is where it was when the calls were noted."""
        return (
            flat.values is self._values
            and flat.grads is self._grads
            and len(slots) == len(self._slots)
            and all(map(operator.is_, slots.values(), self._slots))
            and are_compiled_kernels_enabled() is self._compiled
        )

    def run(self, numbers: Sequence[float]) -> None:
        """Make the calls again. If there are more or fewer numbers than it was made with, that changed meanwhile."""
        for memory, number in zip(self._numbers, numbers, strict=False):
            memory[()] = number
        for function, arguments in self._calls:
            function(*arguments)


def _plan_of(
    formula: Formula, flat: FlatParameters, slots: Mapping[str, Any], numbers: Sequence[float]
) -> UpdatePlan | None:
    """The plan, whose making was the update; None, with nothing changed, where there can be none."""
    if type(flat.values) is not np.ndarray or flat.values.size > _LARGEST:
        return None
    arrays = [flat.values, *slots.values()]
    before = [array.copy() for array in arrays]
    try:
        return UpdatePlan(formula, flat, slots, numbers)
    except Exception:  # of a formula that planned arrays are not made for; a real one comes up without them
        for array, value in zip(arrays, before, strict=True):
            array[...] = value
        return None
