"""assert_close: what it accepts, what it refuses, and what it says."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import nnx
from nnx.backends import Placement
from nnx.backends.base import find_backend
from nnx.testing import assert_close

EPS32 = float(np.finfo(np.float32).eps)
EPS64 = float(np.finfo(np.float64).eps)


def refused(actual: Any, expected: Any, *args: Any, **options: Any) -> str:
    with pytest.raises(AssertionError) as error:
        assert_close(actual, expected, *args, **options)
    return str(error.value)


def test_arrays_of_every_backend(backend: Placement) -> None:
    x = backend.asarray([[1.0, 2.0], [3.0, 4.0]])
    assert_close(x, [[1.0, 2.0], [3.0, 4.0]])
    assert_close([[1.0, 2.0], [3.0, 4.0]], x)
    assert_close(x, x, like=x)
    refused(x, [[1.0, 2.0], [3.0, 4.1]])


@pytest.mark.parametrize(("dtype", "eps"), [("float32", EPS32), ("float64", EPS64), ("float16", 2.0**-10)])
def test_the_default_tolerance_is_16_eps(dtype: str, eps: float) -> None:
    one = np.ones(1, dtype)
    assert_close(one, [1.0 + 31.0 * eps])  # half of it relative to the element, half to the largest one
    refused(one, [1.0 + 36.0 * eps])


def test_the_less_precise_dtype_decides() -> None:
    single, double = np.ones(1, np.float32), np.ones(1) + 31.0 * EPS32
    assert_close(single, double)
    assert_close(double, single)
    refused(single.astype(np.float64), double)


def test_tolerances_grow_with_the_length_of_the_sums() -> None:
    one = np.ones(1, np.float32)
    assert_close(one, [1.0 + 310.0 * EPS32], length=100)
    refused(one, [1.0 + 330.0 * EPS32], length=100)


def test_atol_is_relative_to_the_largest_element() -> None:
    expected = np.asarray([0.0, 1000.0], np.float32)
    assert_close(expected + np.asarray([15_000 * EPS32, 0.0], np.float32), expected)
    refused(expected + np.asarray([17_000 * EPS32, 0.0], np.float32), expected)


def test_given_tolerances() -> None:
    assert_close([1.0, 100.0], [1.0, 109.0], rtol=0.1)
    refused([1.0, 1.2], [1.0, 1.0], rtol=0.0, atol=0.1)
    assert_close([1.0, 1.09], [1.0, 1.0], rtol=0.0, atol=0.1)
    refused([1.0], [1.0 + 1e-9], 0.0, 0.0)


def test_integers_and_booleans_are_exact() -> None:
    assert_close(np.asarray([2**60]), np.asarray([2**60]))
    refused(np.asarray([2**60]), np.asarray([2**60 + 1]))  # the same float64
    refused(np.asarray([True]), np.asarray([False]))
    assert_close(np.asarray([3]), np.asarray([4]), atol=1.0)


def test_nan_and_infinity() -> None:
    special = np.asarray([np.nan, np.inf, -np.inf, 1.0])
    assert_close(special, special)
    for position, other in enumerate([1.0, 1e308, np.inf, np.nan]):
        changed = special.copy()
        changed[position] = other
        assert f"worst is [{position}]" in refused(changed, special)
        assert f"worst is [{position}]" in refused(special, changed)


@pytest.mark.parametrize("shape", [(), (0,), (3, 0), (1,), (2, 3)])
def test_every_shape(shape: tuple[int, ...]) -> None:
    assert_close(np.ones(shape), np.ones(shape))
    if 0 not in shape:
        refused(np.ones(shape), np.zeros(shape))


def test_shapes_are_not_broadcast() -> None:
    assert refused(np.ones(3), 1.0) == "shapes differ: actual (3,), expected ()"
    refused(np.ones((3, 1)), np.ones((1, 3)))


def test_the_message_names_the_worst_element() -> None:
    message = refused([[1.0, 2.0], [3.0, 4.0]], [[1.1, 2.0], [3.0, 5.0]], rtol=1e-3, atol=0.0)
    assert message == (
        "2 of 4 elements differ by more than atol 0 + rtol 0.001 * |expected|\n"
        "worst is [1, 1]: actual 4.0, expected 5.0, difference 1"
    )


def test_like_checks_the_dtype(backend: Placement) -> None:
    x = backend.asarray([1.0])
    integers = backend.asarray([1])
    assert "expected dtype" in refused(integers, x, like=x)
    assert_close(integers, x)


def test_like_checks_namespace_and_device() -> None:
    strict = find_backend("array-api-strict")
    first, second = (Placement(strict, device).asarray([1.0]) for device in ("device1", "device2"))
    assert "expected device array_api_strict.Device('device1')" in refused(second, first, like=first)
    host = np.ones(1, np.float32)
    assert refused(host, first, like=first) == "expected an array of array-api-strict, got one of numpy"
    assert refused(1.0, host, like=host) == "expected an array of numpy, got float: 1.0"
    assert_close(nnx.to_numpy(first), host, like=host)
