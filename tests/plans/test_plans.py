"""Plans: what is noted, what is replayed, and what is refused."""

from __future__ import annotations

import contextlib
import gc
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from nnx.plans.array import PlannedArray
from nnx.plans.backend import PLANNED, noting
from nnx.plans.draws import planned_draws
from nnx.plans.plan import Departure, NotPlannable, Plan
from nnx.random import Generator

VALUES = np.random.default_rng(3).normal(size=(2, 4, 5)).astype(np.float32)
ROWS = np.asarray([2, 0, 3])


def made(function: Callable[..., Any]) -> tuple[Plan, PlannedArray, Any]:
    """The plan of a function of an array (4, 5), its input and its result."""
    plan = Plan()
    x = PlannedArray(VALUES[0].copy(), plan)
    with noting(plan):
        y = function(x)
    return plan, x, y


def in_place(x: Any) -> Any:
    y = x * 1.0
    y += 1.5
    y[1:3] *= x[0]
    y[ROWS, 0] -= 1.0
    np.maximum(y, 0.0, out=y)
    np.add.at(y[:, 1], ROWS, x[0, :3])
    np.subtract.at(y.reshape(-1), ROWS, 1.0)
    return y


def _tried(function: Callable[[], Any], otherwise: Any) -> Any:
    try:
        return function()
    except Exception:
        return otherwise


def filled(x: Any) -> Any:
    xp = x.__array_namespace__()
    total = xp.zeros((5,), dtype=x.dtype)
    for row in x:
        total += row
    return total + np.zeros_like(x) + xp.full((5,), 2.0) + xp.ones((4, 5)) + np.empty_like(x) * 0.0


FUNCTIONS: dict[str, Callable[[Any], Any]] = {
    "operators": lambda x: (2.0 - x) / (1.5 + x * x) + abs(-x) // 1 + x**2 + x**0.5 * 0 + 2.0**x,
    "comparisons": lambda x: (x > 0.0) & (x != 1.0) | ~(x <= x.T.T),
    "numbers of Python": lambda x: np.multiply(np.add(x, 1), True) * 0.1,
    "whole numbers": lambda x: (x * 3.0).astype(np.int8) * 2 + ((x * 3.0).astype(np.int8) < 300),
    "means of float16": lambda x: (x.astype(np.float16) + 20000.0).mean() + x.astype(np.float16).mean(axis=0),
    "products": lambda x: np.dot(x, x.T) @ x + np.einsum("ij,kj->ik", x, x)[:, :1] + np.vecdot(x, x)[:, None],
    "reductions": lambda x: x.sum(axis=0) + np.sum(x) + np.add.reduce(x, axis=0) + x.mean() + np.max(x, axis=0),
    "reductions of all kinds": lambda x: (
        np.sum(x, 0)
        + np.sum(x, axis=-1, keepdims=True)
        + np.prod(x)
        + np.min(x, (0, 1))
        + np.all(x > 0.0, axis=0)
        + np.any(x > 1.0)
        + np.sum(x > 0.0)
        + np.sum(x, axis=0, dtype=np.float32)
        + np.max(x, initial=0.5)
    ),
    "places": lambda x: np.concatenate(
        [x.argmax(axis=1) * 3 + 1, x.argmin(axis=0), x.argmax()[None], np.argmax(x, axis=1, keepdims=True)[:, 0]]
    ),
    "taken": lambda x: np.concatenate([x.take(ROWS), x.take(ROWS, axis=0)[:, 1], x.take(ROWS, axis=1)[0]]),
    "of two rows": lambda x: np.concatenate(
        [
            np.maximum.reduce(x[:2], axis=0),
            np.minimum.reduce(x[1:3], axis=0, keepdims=True)[0],
            np.max(x.reshape(2, 2, 5), axis=0)[1],
            np.maximum.reduce(x[0, :2], axis=0)[None],
            np.copysign(1.0, np.add.reduce(x[:2] * 0.0, axis=0)),  # NumPy begins sums with 0
        ]
    ),
    "conversions": lambda x: np.concatenate(
        [x.astype(np.float32).astype(np.float64), x.astype(bool), np.floor(x).astype(np.int8)], axis=0
    ),
    "like others": lambda x: (
        np.full_like(x, 0.3) + np.full_like(x, x[0]) + np.ones_like(x, dtype=np.int8) + np.full_like(x[0], 2)
    ),
    "along an axis": lambda x: (
        np.take_along_axis(x, np.argsort(x, axis=1), axis=1)
        + np.take_along_axis(x, ROWS[None, [0, 1, 2, 0, 1]], axis=0)
        + np.take_along_axis(x, np.argmax(x, axis=-1)[:, None], axis=-1)
    ),
    "scalars": lambda x: (x.sum() * 2.0 + 1.0) * x.max(),
    "views": lambda x: np.moveaxis(x.reshape(2, 2, 5)[::-1, None].swapaxes(0, 2), 0, 1).ravel() * 2.0,
    "views of views": lambda x: np.concatenate([x[0][1:], np.flip(x[1]), np.broadcast_to(x[2, 0], (3,))]),
    "items": lambda x: x[ROWS] + x[0] + x[:, None, 1:2][0],
    "several results": lambda x: sum(np.modf(x)) + np.split(x, 2)[1][0] + np.divmod(x, 0.3)[0],
    "copies": lambda x: x.copy() + np.copy(x) + x.astype(np.float64) + np.where(x > 0.0, x, -1.0) + np.sort(x, axis=0),
    "in place": in_place,
    "created": filled,
    "windows": lambda x: np.lib.stride_tricks.sliding_window_view(x, (2, 2)).sum(axis=(-1, -2)),
    "linear algebra": lambda x: np.linalg.solve(x.T @ x + np.eye(5), x.T),
}


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.filterwarnings("ignore:invalid value")
def test_a_replay_is_the_computation_on_new_values_bit_for_bit(name: str) -> None:
    plan, x, y = made(FUNCTIONS[name])
    for values in VALUES:
        x.value[...] = values
        plan.replay()
        expected = FUNCTIONS[name](values if name != "created" else np.asarray(values))
        assert np.array_equal(y.value, expected, equal_nan=True)
        assert y.dtype == np.asarray(expected).dtype


def test_views_and_constants_are_no_calls():
    plan, _, _ = made(lambda x: x.reshape(5, 4).T[1:] + ROWS[:, None])
    assert [call[0] for call in plan.calls] == [np.add]


def test_warnings_come_as_where_the_code_ran():
    def function(x: Any) -> Any:
        with np.errstate(over="ignore"):
            y = np.exp(x)
        return y

    plan, x, _ = made(function)
    x.value[...] = 1000.0
    plan.replay()
    plan, x, _ = made(np.exp)
    x.value[...] = 1000.0
    with pytest.warns(RuntimeWarning, match="overflow"):
        plan.replay()


REFUSED: dict[str, tuple[Callable[[Any], Any], str]] = {
    "a number": (lambda x: float(x[0, 0]), "numbers of Python"),
    "a number or another": (lambda x: x * _tried(lambda: float(x[0, 0]), 2.0), "numbers of Python"),
    "an attribute or another": (lambda x: x * (2.0 if hasattr(x, "flat") else 3.0), "asks for flat"),
    "a list": (lambda x: x.tolist(), "numbers of Python"),
    "an ordinary array": (lambda x: np.asarray(x), "ordinary array"),
    "into an ordinary array": (lambda x: np.add(x, 1.0, out=np.zeros((4, 5), np.float32)), "written into an ordinary"),
    "into one in place": (lambda x: np.zeros((4, 5)).__iadd__(x), "written into an ordinary"),
    "copied into one": (lambda x: np.copyto(np.zeros((4, 5)), x), "written into an ordinary"),
    "an open size": (lambda x: np.nonzero(x), "decide the shape"),
    "an open size of where": (lambda x: np.where(x > 0.0), "decide the shape"),
    "a mask": (lambda x: x[x > 0.0], "how many elements"),
    "a mask that is written": (lambda x: x.__setitem__(x > 0.0, 0.0), "how many elements"),
    "a plain answer": (lambda x: np.allclose(x, 1.0), "follows from the values"),
    "an argument that is written": (lambda x: np.nan_to_num(x, copy=False), "memory of an argument"),
    "out by position": (lambda x: np.clip(x, 0.0, 1.0, x), "memory of an argument"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_would_leave_the_plan_is_refused(name: str) -> None:
    function, reason = REFUSED[name]
    with pytest.raises(NotPlannable, match=reason):
        made(function)


def test_a_plan_that_is_refused_goes_as_soon_as_nobody_uses_it():
    def refused() -> weakref.ref[Plan]:
        plan = Plan()
        x = PlannedArray(VALUES[0].copy(), plan)
        with contextlib.suppress(NotPlannable):
            float(x)
        return weakref.ref(plan)

    gc.collect()
    gc.disable()
    try:
        assert refused()() is None
    finally:
        gc.enable()


def test_a_branch_is_kept_and_a_replay_that_would_take_another_ends():
    plan, x, y = made(lambda x: x * 2.0 if x.sum() > 0.0 else x * 3.0)
    positive = bool(VALUES[0].sum() > 0.0)
    x.value[...] = 1.0 if positive else -1.0
    plan.replay()
    assert y.value[0, 0] == (2.0 if positive else -3.0)
    x.value[...] = -1.0 if positive else 1.0
    with pytest.raises(Departure):
        plan.replay()


def test_large_arrays_have_no_plan():
    plan = Plan(room=100)
    x = PlannedArray(np.zeros(20, np.float32), plan)
    y = x + 1.0
    with pytest.raises(NotPlannable, match="large"):
        y + 1.0


def test_nothing_is_noted_after_the_end():
    _, x, _ = made(lambda x: x + 1.0)
    with pytest.raises(NotPlannable, match="compute nothing more"):
        x + 1.0
    with pytest.raises(NotPlannable, match="outside of the plan"):
        PLANNED.xp.zeros((2,))


def test_draws_go_on_with_every_replay_and_not_before():
    plan, stream, other = Plan(), Generator(4), Generator(5)
    x = PlannedArray(np.zeros(6), plan)
    with planned_draws(plan, [stream]), noting(plan):
        y = x + stream.uniform((6,))
        with pytest.raises(NotPlannable, match="no layer has"):
            other.draw(1)
    expected = Generator(4)
    for _ in range(3):
        plan.replay()
        assert y.value.tolist() == expected.uniform((6,)).tolist()
    assert stream.state() == expected.state()
