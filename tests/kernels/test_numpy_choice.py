"""NumPy's choice between two arrays: the bits of `np.where`, for every kind of number and of argument."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from nnx.kernels.numpy import choice


def numbers(shape: tuple[int, ...], dtype: str, seed: int) -> np.ndarray:
    """Numbers of all kinds: NaN with a sign and without, both infinities and zeros, subnormal ones."""
    generator = np.random.default_rng(seed)
    special = np.asarray([np.nan, -np.nan, np.inf, -np.inf, 0.0, -0.0, 1e-40, -1.5], dtype)
    return np.where(
        generator.random(shape) < 0.5, generator.normal(size=shape), generator.choice(special, shape)
    ).astype(dtype)


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize("shape", [(8191,), (8192,), (3, 90, 100), (2, 32769), (0,), (200, 64)])
def test_choice_has_the_bits_of_numpys(shape: tuple[int, ...], dtype: str) -> None:
    condition = np.random.default_rng(0).random(shape) < 0.5
    a, b = numbers(shape, dtype, 1), numbers(shape, dtype, 2)
    pairs: list[tuple[Any, Any]] = [(a, b), (a, 0.0), (0.0, b), (a, 0), (a, -0.0), (1.0, b), (a, a.dtype.type(0.0))]
    for first, second in pairs:
        made, expected = choice.where(condition, first, second), np.where(condition, first, second)
        assert made.dtype == expected.dtype
        assert made.shape == expected.shape
        assert made.tobytes() == expected.tobytes()


def test_choice_of_arrays_that_lie_elsewhere_or_broadcast() -> None:
    a, b = numbers((100, 200), "float32", 1), numbers((100, 200), "float32", 2)
    condition = a > b
    cases: list[tuple[Any, Any, Any]] = [
        (condition.T, a.T, b.T),
        (condition[::2], a[::2], b[::2]),
        (condition, a[:1], b),
        (condition, a, b[:, :1]),
        (condition[:1], a, b),
        (condition, a, b.astype("float64")),
        (condition.astype("int64"), a, b),
        (condition, condition.astype("int64"), b),
        (condition, 0, 0.0),
        (condition, a, b.astype("complex64")),
    ]
    for given in cases:
        made, expected = choice.where(*given), np.where(*given)
        assert made.dtype == expected.dtype
        np.testing.assert_array_equal(made, expected)


def test_the_result_is_new_memory() -> None:
    a = numbers((200, 64), "float32", 1)
    made = choice.where(np.ones(a.shape, bool), a, 0.0)
    assert not np.shares_memory(made, a)
