"""Zeros around sequences and images, and borders taken off."""

from __future__ import annotations

import numpy as np
import pytest

from nnx.functional.padding import crop, zero_pad
from nnx.random import Generator
from nnx.testing import assert_close, check_gradients, no_synchronization

FIRST = "channels_first"
ROWS = [
    ((2, 3, 4), ((1, 1),), "channels_last"),
    ((2, 3, 4), ((0, 2),), FIRST),
    ((2, 3, 4, 1), ((1, 2), (0, 1)), "channels_last"),
    ((2, 1, 3, 4), ((0, 3), (1, 0)), FIRST),
    ((0, 3, 4, 2), ((1, 2), (0, 1)), "channels_last"),
    ((2, 3, 4, 2), ((0, 0), (0, 0)), "channels_last"),
]
each_row = pytest.mark.parametrize(("shape", "amounts", "data_format"), ROWS)


def numbers(*shape: int) -> np.ndarray:
    return Generator(0).normal(shape).astype(np.float32)


def larger(x: np.ndarray, amounts: tuple[tuple[int, int], ...], data_format: str, value: float = 0.0) -> np.ndarray:
    sides = ((0, 0), (0, 0), *amounts) if data_format == FIRST else ((0, 0), *amounts, (0, 0))
    return np.pad(x, sides, constant_values=value)


@each_row
def test_padding(backend, shape, amounts, data_format):
    x, dy = backend.asarray(numbers(*shape)), larger(numbers(*shape), amounts, data_format, 7.0)
    with no_synchronization():
        y, pullback = zero_pad(x, amounts, data_format)
        dx = pullback(backend.asarray(dy))
    assert_close(y, larger(numbers(*shape), amounts, data_format), 0.0, 0.0, like=x)
    assert_close(dx, numbers(*shape), 0.0, 0.0, like=x)


@each_row
def test_cropping(backend, shape, amounts, data_format):
    x = backend.asarray(larger(numbers(*shape), amounts, data_format, 7.0))
    with no_synchronization():
        y, pullback = crop(x, amounts, data_format)
        dx = pullback(backend.asarray(numbers(*shape)))
    assert_close(y, numbers(*shape), 0.0, 0.0, like=x)
    assert_close(dx, larger(numbers(*shape), amounts, data_format), 0.0, 0.0, like=x)


@each_row
def test_gradients(backend_float64, shape, amounts, data_format):
    x = numbers(*shape)
    check_gradients(lambda x: zero_pad(x, amounts, data_format), x, placement=backend_float64)
    x = larger(x, amounts, data_format)
    check_gradients(lambda x: crop(x, amounts, data_format), x, placement=backend_float64)


def test_padding_with_nothing_is_a_copy():
    x = numbers(2, 3, 4)
    zero_pad(x, ((0, 0),))[0][...] = 0.0
    assert_close(x, numbers(2, 3, 4), 0.0, 0.0)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda x: crop(x, ((2, 3), (0, 0))), "crop: nothing remains of an axis of size 5 without 2 and 3"),
        (lambda x: crop(x, ((0, 0), (0, 9))), "crop: nothing remains of an axis of size 6 without 0 and 9"),
        (lambda x: crop(x, ((1, 1),)), r"crop: expected \(before, after\), not negative, for each of 2 axes, got"),
        (lambda x: zero_pad(x, ((0, -1), (0, 0))), r"zero_pad: expected .*, got \(\(0, -1\), \(0, 0\)\)"),
        (lambda x: zero_pad(x, ((1, 1, 1), (0, 0))), r"zero_pad: expected \(before, after\)"),
        (lambda x: zero_pad(x[0, 0], ((1, 1),)), r"zero_pad: expected \(batch, steps, channels\), "),
        (lambda x: zero_pad(x, ((1, 1), (1, 1)), "last"), "zero_pad: data_format must be"),
        (lambda x: zero_pad(x[:, :0], ((1, 1), (1, 1))), "zero_pad: there is nothing in samples"),
    ],
)
def test_errors(call, message):
    with pytest.raises(ValueError, match=message):
        call(numbers(2, 5, 6, 3))
