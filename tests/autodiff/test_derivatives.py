"""Derivatives of the functions of tracked arrays: each row at first and second order, against float64 differences."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from nnx import ops
from nnx.autodiff import binary, elementwise, reductions
from nnx.autodiff.namespace import recording_namespace
from nnx.autodiff.transforms import differentiable
from nnx.backends import array_namespace, to_numpy
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


BY_ELEMENTS = sorted({**elementwise.RULES, **elementwise.RULES_BEYOND})
OF_TWO = sorted({*binary.RULES, *binary.RULES_BEYOND} - {"nextafter"})
PAIRS = [
    ((), ()),
    ((), (2, 3)),
    ((2, 3), ()),
    ((2, 1), (1, 3)),
    ((3,), (2, 3)),
    ((0,), ()),
    ((0, 1), (1, 3)),
    ((0,), (1,)),
]


def examples(name: str) -> Iterator[tuple[Callable[..., Any], list[np.ndarray]]]:
    """A function at points of no axes, of no elements, and of shapes that meet: (namespace, *arrays) -> array."""
    random = np.random.default_rng(0)
    low, high = {"acosh": (1.5, 2.5)}.get(name, (0.1, 0.6))

    def at(xp: Any, *arrays: Any, **options: Any) -> Any:
        return getattr(xp, name)(*arrays, **options)

    no_elements = [] if name in ("mean", "var", "std", "max", "min") else [((0, 3),)]  # these have no value there
    for shapes in PAIRS if name in OF_TWO else [((),), ((1, 2),), *no_elements]:
        yield at, [random.uniform(low, high, shape) for shape in shapes]
    if name in reductions.RULES:
        for shape, axis in (((0, 3), 1), ((2, 0, 3), 0), ((1, 3), 0), ((2, 3), -1)):
            yield functools.partial(at, axis=axis), [random.uniform(low, high, shape)]


@pytest.mark.filterwarnings("ignore:.*degrees of freedom is <= 0")  # PyTorch, of an array without elements
@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize("name", [*BY_ELEMENTS, *OF_TWO, "sum", "prod", "max", "min", "mean", "var", "std"])
def test_derivatives_of_all_shapes(name: str, order: int, backend_float64: Any) -> None:
    xp, tried = recording_namespace(backend_float64.asarray([0.0])), 0
    for function, hosts in examples(name):
        arrays = [backend_float64.asarray(host) for host in hosts]
        try:
            value = function(xp, *arrays)
        except (AttributeError, ValueError, IndexError, RuntimeError):
            continue  # the library does not do this with plain arrays
        tried += 1
        made = functools.partial(function, xp)
        if order == 2:
            made = gradient_of_squares(made, xp)
        else:
            made = differentiable(made)
        if 0 not in value.shape and all(host.size for host in hosts):
            check_gradients(made, *hosts, rtol=1e-6 if order == 1 else 1e-5, placement=backend_float64)
            continue
        y, pullback = made(*arrays)
        cotangents = pullback(y * 0.0 + 1.0)
        for array, cotangent in zip(arrays, cotangents if len(arrays) > 1 else (cotangents,), strict=True):
            assert (cotangent.shape, cotangent.dtype) == (array.shape, array.dtype)
            assert np.isfinite(to_numpy(cotangent)).all()
    assert tried > 1 or not hasattr(xp, name)


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
