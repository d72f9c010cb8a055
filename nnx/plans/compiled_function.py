"""Compiled functions: array code whose calls of NumPy are noted once and replayed."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np

from nnx.plans.array import PlannedArray, reader
from nnx.plans.backend import noting
from nnx.plans.dependencies import Dependencies
from nnx.plans.draws import planned_draws
from nnx.plans.plan import Departure, NotPlannable, Plan
from nnx.plans.replays import Replays
from nnx.structure import leaves, rebuild
from nnx.user_warnings import warn_user

F = TypeVar("F", bound=Callable[..., Any])

_ROOM = 1 << 28  # bytes of a plan's arrays


def compiled(function: F) -> F:
    """Function that replays its calls of NumPy where the numbers of Python that it reads are as they were.

    function : of arrays, and of whatever else; it returns an array, or tuples, lists and dicts of some.

    For each form of arguments, the shapes and dtypes of arrays and the values of everything else, the function is run
    twice as it is; then the calls of NumPy that it made are made again, on memory that is kept, without the Python code
    around them: same results, to the last bit, in half the time or less where arrays are small. Where it branches on
    values and these now go another way, and where a global number or an attribute of nnx's objects has another value,
    it is run again. It is called as it is, every time, where that cannot be seen, with one warning that says why: where
    it appends to a list, prints, reads the clock or an object of one's own, or makes numbers of Python from arrays. So
    it is with arrays of other libraries.

    Derivatives are computed inside: `compiled(nnx.value_and_grad(f))`.

    >>> import nnx
    >>> @nnx.compiled
    ... def length(x):
    ...     return nnx.ops.sqrt(nnx.ops.sum(x * x))
    >>> [float(length(np.asarray([3.0, y]))) for y in (4.0, 0.0, 4.0)]
    [5.0, 3.0, 5.0]
    """
    replays = Replays()

    @functools.wraps(function)
    def replayed(*args: Any, **options: Any) -> Any:
        parts = leaves([list(args), options])
        arrays = [part for part in parts if hasattr(part, "dtype")]
        places = [index for index, part in enumerate(parts) if hasattr(part, "dtype")]
        others = tuple(None if index in places else (type(part), part) for index, part in enumerate(parts))
        structure = repr(rebuild([list(args), options], range(len(parts))))

        def make(read: Dependencies) -> FunctionPlan:
            if read.problem is not None:
                raise NotPlannable(read.problem)

            def call(planned: list[Any]) -> Any:
                given = list(parts)
                for place, array in zip(places, planned, strict=True):
                    given[place] = array
                planned_args, planned_options = rebuild([list(args), options], given)
                return function(*planned_args, **planned_options)

            return FunctionPlan(arrays, call)

        def look() -> Dependencies:
            found = Dependencies()
            found.look_at(function)
            return found

        known = len(replays.reasons)
        try:
            result = replays.result(arrays, lambda: function(*args, **options), make, look, structure, others)
        except TypeError:
            if not _is_hashable(others):
                return function(*args, **options)
            raise
        if len(replays.reasons) > known == 0:
            name = getattr(function, "__qualname__", repr(function))
            warn_user(f"nnx.compiled: {name} is not replayed but called every time: {replays.reasons[0]}")
        return result

    return replayed  # type: ignore[return-value]


class FunctionPlan:
    """The plan of a function of arrays of one form.

    arrays : of the call. call : the function of planned arrays.
    """

    def __init__(self, arrays: list[np.ndarray], call: Callable[[list[Any]], Any]) -> None:
        self.plan = plan = Plan(_ROOM)
        given = [PlannedArray(plan.memory_for(array), plan) for array in arrays]
        self._memories = [array.value for array in given]
        with planned_draws(plan), noting(plan):
            self._results = reader(call(given), given)
        if plan.branches and plan.draws:
            raise NotPlannable("it branches on values and draws random numbers, which could not be put back")

    def holds(self) -> bool:
        """True: what the function reads is compared by who has the plan."""
        return True

    def run(self, arrays: Any) -> Any:
        """What the function returns; None where it branches otherwise."""
        for memory, array in zip(self._memories, arrays, strict=True):
            memory[...] = array
        try:
            self.plan.replay()
        except Departure:
            return None
        return self._results(arrays)


def _is_hashable(value: Any) -> bool:
    try:
        hash(value)
    except TypeError:
        return False
    return True
