"""Derivatives of the functions of tracked arrays: each row at first and second order, against float64 differences."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from nnx.autodiff.namespace import recording_namespace
from nnx.autodiff.transforms import differentiable
from nnx.testing import check_gradients
from nnx.testing.rows.tracked_functions import TrackedRow, tracked_rows

ROWS = tracked_rows()


def tracked(row: TrackedRow, backend: Any) -> Callable[..., Any]:
    """The row's function as one of arrays of a backend."""
    xp = recording_namespace(backend.asarray([0.0]))
    if not row.standard and backend.name == "array-api-strict":
        pytest.skip("the standard does not have it")
    return lambda *arrays: row.function(xp, *arrays)


def gradient_of_squares(function: Callable[..., Any], xp: Any) -> Callable[..., Any]:
    """A number made of all components of the gradient of sum(function**2) / 2, with its pullback."""

    def loss(*arrays: Any) -> Any:
        y = function(*arrays)
        return xp.sum(y * y) * 0.5

    def total(*arrays: Any) -> Any:
        value, pullback = differentiable(loss)(*arrays)
        gradients = pullback(value * 0.0 + 1.0)
        gradients = gradients if isinstance(gradients, tuple) else (gradients,)
        return sum((xp.sum(g * g) * (1.0 + number) for number, g in enumerate(gradients)), 0.0 * value)

    return differentiable(total)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_first_derivative(row: TrackedRow, backend_float64: Any) -> None:
    check_gradients(differentiable(tracked(row, backend_float64)), *row.arguments, placement=backend_float64)


@pytest.mark.parametrize("row", [row for row in ROWS if row.second], ids=lambda row: row.name)
def test_second_derivative(row: TrackedRow, backend_float64: Any) -> None:
    function, xp = tracked(row, backend_float64), recording_namespace(backend_float64.asarray([0.0]))
    # The differences are of a gradient, which has lost some digits itself.
    check_gradients(gradient_of_squares(function, xp), *row.arguments, rtol=1e-5, placement=backend_float64)
