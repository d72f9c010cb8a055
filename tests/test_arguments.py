"""Checks of arguments: what each takes, what it returns, and what it says of anything else."""

from __future__ import annotations

import fractions
import math
from typing import Any

import numpy as np
import pytest

from nnx import arguments


@pytest.mark.parametrize("value", [3, np.int64(3), np.uint8(3)])
def test_integers_become_pythons(value: Any):
    assert [arguments.is_integer(value, least) for least in (-1, 3, 4)] == [True, True, False]
    for check in (arguments.positive_integer, arguments.non_negative_integer):
        found = check("n", value)
        assert (found, type(found)) == (3, int)


@pytest.mark.parametrize("value", [True, 3.0, np.float32(3), "3", None, [3]])
def test_what_is_no_integer(value: Any):
    assert not arguments.is_integer(value)
    with pytest.raises(ValueError, match=r"^dense: units must be a positive integer, got "):
        arguments.positive_integer("dense: units", value)
    with pytest.raises(ValueError, match=r"^seed must be a non-negative integer, got "):
        arguments.non_negative_integer("seed", value)


def test_the_least_integers():
    assert arguments.positive_integer("n", 1) == 1
    assert arguments.non_negative_integer("n", 0) == 0
    with pytest.raises(ValueError, match=r"^n must be a positive integer, got 0$"):
        arguments.positive_integer("n", 0)
    with pytest.raises(ValueError, match=r"^n must be a non-negative integer, got -1$"):
        arguments.non_negative_integer("n", -1)


def test_several_integers():
    assert arguments.integers("strides", 2, 2) == (2, 2)
    assert arguments.integers("strides", np.asarray([1, 2]), 2) == (1, 2)
    assert arguments.integers("padding", [0, 2], 2, least=0) == (0, 2)
    for value in ([0, 1], [1], [1, 2, 3], "12", 1.5, [True, 1]):
        with pytest.raises(ValueError, match=r"^strides must be a positive integer, or 2 of them, got "):
            arguments.integers("strides", value, 2)
    with pytest.raises(ValueError, match=r"^padding must be a non-negative integer, got -1$"):
        arguments.integers("padding", -1, 1, least=0)


@pytest.mark.parametrize("value", [0.5, np.float32(0.5), np.float64(0.5), fractions.Fraction(1, 2)])
def test_numbers_become_pythons(value: Any):
    assert arguments.is_number(value)
    for found in (
        arguments.number("x", value),
        arguments.non_negative_number("x", value),
        arguments.fraction("x", 0.5),
    ):
        assert (found, type(found)) == (0.5, float)


@pytest.mark.parametrize("value", [True, "0.5", None, np.asarray([0.5]), 1j])
def test_what_is_no_number(value: Any):
    assert not arguments.is_number(value)
    with pytest.raises(ValueError, match=r"^dropout: rate must be a number from 0 to 1, got "):
        arguments.number("dropout: rate", value, least=0.0, most=1.0)
    with pytest.raises(TypeError, match=r"^decay must be a number, got "):
        arguments.non_negative_number("decay", value)


def test_the_ranges_of_numbers():
    assert arguments.number("alpha", -3) == -3.0
    with pytest.raises(ValueError, match=r"^epsilon must be a number, not negative, got -1$"):
        arguments.number("epsilon", -1, least=0.0)
    with pytest.raises(ValueError, match=r"^alpha must be a number, got nan$"):
        arguments.number("alpha", math.nan)
    found = arguments.non_negative_number("steps", np.int32(10))
    assert (found, type(found)) == (10, int)
    for value in (-1.0, math.inf, math.nan):
        with pytest.raises(ValueError, match=r"^decay must be at least 0 and finite, got "):
            arguments.non_negative_number("decay", value)
    with pytest.raises(ValueError, match=r"^steps must be greater than 0 and finite, got 0$"):
        arguments.non_negative_number("steps", 0, zero=False)
    assert arguments.fraction("momentum", 1, with_one=True) == 1.0
    with pytest.raises(ValueError, match=r"^momentum must be at least 0 and at most 1, got 1.5$"):
        arguments.fraction("momentum", 1.5, with_one=True)
    with pytest.raises(ValueError, match=r"^beta must be at least 0 and below 1, got 1.0$"):
        arguments.fraction("beta", 1.0)


def test_finite_numbers():
    assert arguments.finite_numbers("scale", np.float32(0.5)) == 0.5
    array: Any = arguments.finite_numbers("scale", [1, 2])
    assert (array.dtype, array.tolist()) == (np.float64, [1.0, 2.0])
    for value in (math.nan, [1.0, math.inf], "1", [True]):
        with pytest.raises(ValueError, match=r"^scale must be a finite number or an array of such, got "):
            arguments.finite_numbers("scale", value)


def test_words():
    assert arguments.choice("padding", "Same", ("valid", "same")) == "same"
    for value in ("full", None, 1):
        with pytest.raises(ValueError, match=r"^padding must be one of 'valid', 'same', got "):
            arguments.choice("padding", value, ("valid", "same"))
