"""Plan: calls of NumPy that were noted while arrays were computed, to be made again on the same memory.

Array code is run once on `PlannedArray`s, which compute as NumPy does and note each call with the memory that it reads
and writes. Replaying the calls computes the same again from what the memory of the inputs holds by then, bit for bit,
without the Python code around them and without new memory. Views need no call. At a branch, `if x > 0`, a replay looks
which way the values go now, and ends if it is another. What an array cannot note, such as `float(x)` or its way into an
ordinary array, raises `NotPlannable`: then there is no plan.

Whatever is no `PlannedArray` is a constant of the plan: the numbers of Python, and ordinary arrays, which are read
again where they lie. So a plan holds as long as no number of Python that it was made with has changed.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

import numpy as np


class NotPlannable(TypeError):  # noqa: N818, it says what is the case
    """Error of array code that cannot become a plan, with the reason."""


class Departure(Exception):  # noqa: N818, it says what is the case
    """What a replay raises where a branch of the code would now go the other way: the plan is not for these values."""


class Plan:
    """Calls of NumPy on fixed memory.

    branches : whether the code has branched on values, so that a replay may end in a `Departure`.
    draws : whether it has drawn random numbers, as replays do.
    changed : the protected arrays that it writes to, each with what it had before the plan was made.

    room : how many bytes the arrays that it makes may take together; NotPlannable beyond.

    >>> from nnx.plans.array import PlannedArray
    >>> plan = Plan()
    >>> x = PlannedArray(np.asarray([1.0, 2.0]), plan)
    >>> y = np.exp(x) - 1.0
    >>> plan.close()
    >>> x.value[...] = [0.0, 3.0]
    >>> plan.replay()
    >>> y.value
    array([ 0.        , 19.08553692])
    """

    def __init__(self, room: float = np.inf) -> None:
        self.calls: list[tuple[Callable[..., Any], tuple[Any, ...]]] = []
        self.open = True
        self.branches = self.draws = self._effects = False
        self.changed: list[tuple[np.ndarray, np.ndarray]] = []
        self._protected: list[np.ndarray] = []
        self._room = room
        self._errors = np.geterr()
        self._refusal: str | None = None  # and no error, whose frames would keep the plan

    def note(self, function: Callable[..., Any], *arguments: Any, **options: Any) -> None:
        """Note a call that writes into memory; as its warnings were handled here, they will be."""
        if not self.open:
            raise NotPlannable("the plan is made, and its arrays compute nothing more")
        function = getattr(function, "_implementation", function)  # without NumPy's look at what kind of arrays come
        if options:
            function = functools.partial(function, **options)
        errors = dict(set(np.geterr().items()) - set(self._errors.items()))
        if errors:
            function = functools.partial(_call_under, errors, function)
        self.calls.append((function, arguments))

    def refuse(self, reason: str) -> NoReturn:
        """NotPlannable, which `require_plannable` raises again, should the code have caught it."""
        self._refusal = reason
        raise NotPlannable(reason)

    def protect(self, arrays: Sequence[np.ndarray]) -> None:
        """Keep what these arrays have, as soon as the code writes to one."""
        self._protected += arrays

    def will_write(self, memory: np.ndarray) -> None:
        """Keep what is in a protected array before it is written to."""
        for index, array in enumerate(self._protected):
            if np.may_share_memory(array, memory):
                self.changed.append((array, array.copy()))
                del self._protected[index]
                return

    def note_effect(self, function: Callable[..., Any], *arguments: Any) -> None:
        """Note a call that does more than write into the memory of the plan: it is made by replays alone."""
        self._effects = True
        self.note(function, *arguments)

    def note_branch(self, value: np.ndarray) -> bool:
        """Note which way the code goes at this value, and return it."""
        if self._effects:
            self.refuse("code branches on values after something was done that cannot be taken back")
        self.branches, way = True, bool(value)
        self.note(_require, value, way)
        return way

    def take_room(self, nbytes: int) -> None:
        """Count the memory of an array that the plan makes."""
        self._room -= nbytes
        if self._room < 0:
            self.refuse("its arrays are large: to call for them takes little of the time")

    def memory_for(self, array: np.ndarray) -> np.ndarray:
        """A copy of an array that is given to the code, in memory of the plan's.

        It lies there as it did, with its gaps and directions: how NumPy adds up, and what BLAS does, depends on them.
        """
        if array.flags.forc or not array.size:
            self.take_room(array.nbytes)
            return array.copy(order="K")
        low, high = np.lib.array_utils.byte_bounds(array)
        self.take_room(high - low)
        start = array.__array_interface__["data"][0] - low
        memory = np.ndarray(array.shape, array.dtype, np.empty(high - low, np.uint8), start, array.strides)
        memory[...] = array
        return memory

    def close(self) -> None:
        """End of the noting."""
        self.open = False

    def require_plannable(self) -> None:
        """NotPlannable where something was refused, whatever the code did about that."""
        if self._refusal is not None:
            raise NotPlannable(self._refusal)

    def replay(self) -> None:
        """Make all calls again. Departure, with a part of them made, where the code would branch otherwise."""
        for function, arguments in self.calls:
            function(*arguments)


def _call_under(errors: Any, function: Callable[..., Any], *arguments: Any) -> None:
    with np.errstate(**errors):
        function(*arguments)


def _require(value: np.ndarray, way: bool) -> None:
    if bool(value) is not way:
        raise Departure
