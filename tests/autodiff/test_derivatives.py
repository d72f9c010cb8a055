"""Derivatives of the functions of tracked arrays: each row at first and second order, against float64 differences."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from nnx import ops
from nnx.autodiff.namespace import recording_namespace
from nnx.autodiff.transforms import differentiable
from nnx.backends import array_namespace
from nnx.testing import assert_close, check_gradients, no_synchronization
from nnx.testing.rows.tracked_functions import TrackedRow, tracked_rows

ROWS = tracked_rows()


def tracked(row: TrackedRow, backend: Any) -> Callable[..., Any]:
    """The row's function as one of arrays of a backend."""
    xp = recording_namespace(backend.asarray([0.0]))
    try:
        row.function(xp, *map(backend.asarray, row.arguments))
    except Exception as error:
        if backend.name == "numpy" or (backend.name == "array-api-strict" and row.standard):
            raise
        pytest.skip(f"the library does not do this with plain arrays: {error}")
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


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_gradients_stay_on_their_device_in_their_dtype(row: TrackedRow, backend: Any) -> None:
    function, arrays = tracked(row, backend), [backend.asarray(a) for a in row.arguments]
    with no_synchronization():
        value, pullback = differentiable(function)(*arrays)
        cotangents = pullback(value * 0.0 + 1.0)
        gradient_of_squares(function, recording_namespace(arrays[0]))(*arrays)
    for cotangent, array in zip(cotangents if len(arrays) > 1 else (cotangents,), arrays, strict=True):
        assert cotangent.dtype == array.dtype
        assert cotangent.shape == array.shape
        assert array_namespace(cotangent) is array_namespace(array)


@pytest.mark.parametrize("axis", [0, 1, -1])
@pytest.mark.parametrize("several", [False, True], ids=["one of each row", "several"])
def test_what_is_taken_along_an_axis_is_where_it_was(axis: int, several: bool, backend: Any) -> None:
    random = np.random.default_rng(3)
    x, shape = random.normal(size=(3, 4, 5)).astype("float32"), [3, 4, 5]
    shape[axis] = 2 if several else 1
    indices = random.integers(-x.shape[axis], x.shape[axis], shape)
    if not several and axis == 0:
        indices = indices[:, :, :1]  # which broadcasts
    picked = np.broadcast_to(indices, shape)
    slope = random.normal(size=shape).astype("float32")
    expected = np.zeros_like(x)
    for place in np.ndindex(*shape):
        where = list(place)
        where[axis] = picked[place]
        expected[tuple(where)] += slope[place]
    found = backend.asarray(indices, "int64")
    _, pullback = differentiable(lambda x: ops.take_along_axis(x, found, axis=axis))(backend.asarray(x))
    assert_close(pullback(backend.asarray(slope)), expected)
