"""Replays: the plans of a computation for the forms of arrays that come, made when a form comes again."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol

import numpy as np

from nnx.backends.compiler import are_compiled_kernels_enabled
from nnx.locks import lock
from nnx.plans.dependencies import Dependencies
from nnx.plans.plan import NotPlannable, Plan

_MOST_FORMS = 16  # each keeps memory
_MOST_PLANS = 4  # of one form, before it is given up


class Replay(Protocol):
    """A computation that was planned."""

    plan: Plan

    def holds(self) -> bool:
        """Whether the computation still is what was noted, as far as it knows."""

    def run(self, arrays: Sequence[Any]) -> Any:
        """The result for arrays of the same form; None where it has to be computed as ever for their values."""


class Replays:
    """The plans of one computation, one for each form of its arrays: shapes, dtypes, and which are there.

    The first arrays of a form are computed with as ever, which prepares what only first ones do; the second make the
    plan. So do the second after a change. One thread at a time replays; others compute as ever meanwhile.
    """

    def __init__(self) -> None:
        self._forms: dict[Any, _Form] = {}
        self._lock = lock()

    def forget(self) -> None:
        """Drop all plans."""
        self._forms.clear()

    def result(
        self,
        arrays: Sequence[Any],
        compute: Callable[[], Any],
        make: Callable[[Dependencies], Replay],
        look: Callable[[], Dependencies | None],
        *key: Any,
    ) -> Any:
        """The result for arrays, replayed where there is a plan.

        arrays : any of them may be None. compute : the computation as ever.
        make : makes its plan, from what it was seen to depend on, or raises what becomes the reason why there is none.
        look : what looks at the next computation; None if nothing can look now.
        key : what else is the same wherever a plan is right.
        """
        known = _key_of(arrays, key)
        if known is None or not self._lock.acquire(blocking=False):
            return compute()
        try:
            form = self._forms.get(known)
            if form is None:
                if len(self._forms) == _MOST_FORMS:
                    return compute()
                form = self._forms[known] = _Form()
            elif form.reason is not None:
                return compute()
            elif form.replay is not None and form.holds():
                made = form.replay.run(arrays)
                return compute() if made is None else made
            seen = None if sys.getprofile() is not None else look()
            if seen is None:
                return compute()
            if form.read is not None and form.replay is None:
                form.make(make)
                return compute()
            with form.looking(seen):
                return compute()
        finally:
            self._lock.release()

    def known_result(self, arrays: Sequence[Any], *key: Any) -> Any:
        """The result for arrays, as `result`; None where there is no plan."""
        form = self._forms.get(_key_of(arrays, key))
        if form is None or form.replay is None or not self._lock.acquire(blocking=False):
            return None
        try:
            return form.replay.run(arrays) if form.replay is not None and form.holds() else None
        finally:
            self._lock.release()

    def is_refused(self, arrays: Sequence[Any], *key: Any) -> bool:
        """Whether it was found that arrays of this form have no plan."""
        form = self._forms.get(_key_of(arrays, key))
        return form is not None and form.reason is not None

    @property
    def reasons(self) -> list[str]:
        """Why there is no plan, for the forms that have none."""
        return [form.reason for form in self._forms.values() if form.reason is not None]

    def __str__(self) -> str:
        """For each form whether it is replayed, and if not, why."""
        return "; ".join(dict.fromkeys(str(form) for form in self._forms.values() if form.replay or form.reason))


def _key_of(arrays: Sequence[Any], key: tuple[Any, ...]) -> tuple[Any, ...] | None:
    """What is the same for all arrays of a form; None for what is no plain array."""
    known = [*key, are_compiled_kernels_enabled()]
    for array in arrays:
        if type(array) is np.ndarray:
            known += array.shape, array.dtype, array.strides
        elif array is None:
            known.append(None)
        else:
            return None
    return tuple(known)


class _Form:
    """A form of arrays: its plan, or the reason why there is none.

    read : what the computation was seen to depend on, as it is now; None if nobody has looked.
    """

    def __init__(self) -> None:
        self.replay: Replay | None = None
        self.reason: str | None = None
        self.read: Dependencies | None = None
        self._made = 0

    @contextlib.contextmanager
    def looking(self, seen: Dependencies) -> Iterator[None]:
        """A block that is looked at."""
        self.replay = self.read = None
        with seen.looking():
            yield
        self.read = seen

    def holds(self) -> bool:
        """Whether the plan still is right."""
        return self.replay is not None and self.replay.holds() and (self.read is None or self.read.holds())

    def make(self, make: Callable[[Dependencies], Replay]) -> None:
        """Make the plan, or keep the reason why there is none."""
        try:
            if self._made == _MOST_PLANS:
                raise NotPlannable("attributes of layers, or ways that the code branches, change again and again")
            self.replay = make(self.read)  # type: ignore[arg-type]
            self._made += 1
        except Exception as error:  # of code that planned arrays are not made for; a real one comes up without them
            self.reason = str(error)

    def __str__(self) -> str:
        if self.replay is not None:
            return f"batches are replayed from a plan of {len(self.replay.plan.calls)} calls"
        return f"batches are not replayed: {self.reason}"
