"""Backend of planned arrays: NumPy's functions and kernels, and new arrays that a plan fills again."""

from __future__ import annotations

import contextlib
import contextvars
from collections.abc import Iterator
from typing import Any

import numpy as np

from nnx.backends.base import Array, Backend, BackendKernel, find_backend
from nnx.plans.array import PlannedArray
from nnx.plans.plan import NotPlannable, Plan

_open_plan: contextvars.ContextVar[Plan | None] = contextvars.ContextVar("nnx_plan", default=None)


@contextlib.contextmanager
def noting(plan: Plan) -> Iterator[None]:
    """A block in which arrays that are created belong to a plan."""
    token = _open_plan.set(plan)
    try:
        yield
    finally:
        _open_plan.reset(token)
        plan.close()
    plan.require_plannable()


class PlannedNamespace:
    """NumPy's namespace for planned arrays: what it creates belongs to the open plan, whoever writes into it."""

    def __init__(self) -> None:
        self._xp = find_backend("numpy").xp

    def __getattr__(self, name: str) -> Any:
        return getattr(self._xp, name)

    def __dir__(self) -> list[str]:
        return dir(self._xp)

    def _filled(self, made: np.ndarray, value: Any) -> PlannedArray:
        plan = _open_plan.get()
        if plan is None:
            raise NotPlannable("an array is created outside of the plan")
        plan.take_room(made.nbytes)
        if value is not None:
            plan.note(made.fill, value)
        return PlannedArray(made, plan)

    def zeros(self, shape: Any, **options: Any) -> PlannedArray:
        return self._filled(self._xp.zeros(shape, **options), 0)

    def ones(self, shape: Any, **options: Any) -> PlannedArray:
        return self._filled(self._xp.ones(shape, **options), 1)

    def empty(self, shape: Any, **options: Any) -> PlannedArray:
        return self._filled(self._xp.empty(shape, **options), None)

    def full(self, shape: Any, fill_value: Any, **options: Any) -> PlannedArray:
        return self._filled(self._xp.full(shape, fill_value, **options), fill_value)

    def asarray(self, value: Any, *, copy: bool | None = None, **options: Any) -> Any:
        if type(value) is not PlannedArray:
            return self._xp.asarray(value, copy=copy, **options)
        dtype = options.get("dtype") or value.dtype
        return self._xp.astype(value, dtype) if copy or dtype != value.dtype else value


class PlannedBackend(Backend):
    """NumPy for arrays that note what is computed with them."""

    name = module = "numpy"
    install = "pip install numpy"

    def load(self) -> PlannedNamespace:
        return PlannedNamespace()

    @property
    def kernels(self) -> dict[str, BackendKernel]:
        return find_backend("numpy").kernels

    @property
    def compiled_kernels(self) -> dict[str, BackendKernel]:
        return find_backend("numpy").compiled_kernels

    def device_of(self, array: Array) -> str:
        return "cpu"

    def put_beside(self, like: Array, array: Any) -> Array:
        return array


PLANNED = PlannedBackend()
PlannedArray.backend = PLANNED
