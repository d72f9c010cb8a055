"""Operations on every backend: equal values, dtypes that follow their arguments, and true derivatives."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import nnx
from nnx import ops
from nnx.backends import Placement, backend_of, is_array, to_numpy
from nnx.testing import assert_close, check_gradients
from tests.oracles.operation_cases import ROWS, Case

CALLED = [case for case in ROWS if case.raises is None]

# Shapes that depend on data, which array-api-strict refuses here, and so would a compiler.
BY_DATA = {"nonzero"}

# No derivative: constant between jumps, or not one of real numbers.
CONSTANT = {
    *("floor", "ceil", "round", "trunc", "sign", "floor_divide", "heaviside", "nextafter", "histogram"),
    *("full", "full_like", "zeros_like", "ones_like", "empty_like", "imag", "angle", "view", "array"),
}


def depends_on_data(case: Case) -> bool:
    masked = any(isinstance(part, np.ndarray) and part.dtype == bool for part in case.args[1:2])
    return (
        case.name in BY_DATA
        or (case.name == "where" and len(case.args) == 1)
        or (case.name == "get_item" and masked)
        or (case.name == "repeat" and not isinstance(case.args[1], int))
    )


def moved(value: Any, backend: Placement) -> Any:
    """Arrays in the arguments as those of a backend."""
    if isinstance(value, list | tuple):
        return type(value)(moved(part, backend) for part in value)
    return backend.asarray(value, value.dtype.name) if isinstance(value, np.ndarray | np.generic) else value


def compare(found: Any, expected: Any, backend: Placement) -> None:
    if isinstance(expected, list | tuple):
        assert len(found) == len(expected)
        for one, other in zip(found, expected, strict=True):
            compare(one, other, backend)
    elif not is_array(expected):
        assert found == expected
    else:
        assert backend_of(found) is backend.backend
        host, wanted = to_numpy(found), to_numpy(expected)
        assert host.dtype.kind.replace("u", "i") == wanted.dtype.kind.replace("u", "i")
        if wanted.dtype.kind == "f":
            assert host.dtype == wanted.dtype
            finite = np.abs(wanted[np.isfinite(wanted)])
            rtol = 64.0 * float(np.finfo(wanted.dtype).eps)
            assert_close(host, wanted, rtol=rtol, atol=rtol * max(float(finite.max(initial=0.0)), 1.0))
        else:
            np.testing.assert_array_equal(host, wanted)


@pytest.mark.parametrize("case", CALLED, ids=str)
def test_equals_numpy(case: Case, backend: Placement) -> None:
    if depends_on_data(case) and backend.name == "array-api-strict":
        pytest.skip("the shape of the result depends on data")
    if any(getattr(part, "dtype", None) == np.float64 for part in case.args) and "no_float64" in str(backend):
        pytest.skip("the device has no float64")
    if "float16" in str(case) and backend.name == "array-api-strict":
        pytest.skip("array-api-strict has no float16")
    if case.name == "view" and backend.name == "array-api-strict":
        pytest.skip("array-api-strict has no view of bytes")
    with np.errstate(all="ignore"):
        found = getattr(ops, case.name)(*moved(case.args, backend), **moved_options(case, backend))
        with nnx.backend("numpy"):
            expected = getattr(ops, case.name)(*case.args, **case.options)
    if not case.only_shapes:
        compare(found, expected, backend)


def moved_options(case: Case, backend: Placement) -> dict[str, Any]:
    return {name: moved(value, backend) for name, value in case.options.items()}


def float_places(case: Case) -> list[int]:
    """Which arguments are floating arrays without what is no number."""
    return [
        place
        for place, value in enumerate(case.args)
        if isinstance(value, np.ndarray) and value.dtype == np.float32 and np.isfinite(value).all() and value.size
    ]


def is_float_result(case: Case) -> bool:
    with np.errstate(all="ignore"):
        made = getattr(ops, case.name)(*case.args, **case.options)
    parts = made if isinstance(made, list | tuple) else [made]
    return all(is_array(part) and part.dtype.kind == "f" and np.isfinite(part).all() for part in parts)


def differentiated(case: Case) -> bool:
    if case.name == "corrcoef" and case.args[0].ndim == 1:
        return False  # it is 1
    return case.name not in CONSTANT and not case.only_shapes and bool(float_places(case)) and is_float_result(case)


DIFFERENTIATED = [case for case in CALLED if differentiated(case)]
FIRST = list({case.name: case for case in reversed(DIFFERENTIATED)}.values())


def check(case: Case, placement: Placement) -> None:
    places = float_places(case)
    options = moved_options(case, placement)
    options.pop("dtype", None)

    def function(*arrays: Any) -> Any:
        args = list(moved(case.args, placement))
        for place, array in zip(places, arrays, strict=True):
            args[place] = array
        made = getattr(ops, case.name)(*args, **options)
        return tuple(made) if isinstance(made, list) else made

    points = [away_from_kinks(case.args[place], place) for place in places]
    check_gradients(nnx.differentiable(function), *points, placement=placement)


def away_from_kinks(x: np.ndarray, place: int) -> np.ndarray:
    """Elements that are neither 0 nor equal to others."""
    return x + 0.01 * np.cos(np.arange(x.size) + 0.3 + place).reshape(x.shape)


@pytest.mark.parametrize("case", DIFFERENTIATED, ids=str)
def test_derivative_equals_differences(case: Case) -> None:
    with nnx.backend("numpy", dtype="float64") as placement:
        check(case, placement)


@pytest.mark.parametrize("case", FIRST, ids=str)
def test_derivative_on_every_backend(case: Case, backend_float64: Placement) -> None:
    check(case, backend_float64)
