"""Random numbers, and parameters of them, by the names of Keras 2's backend; see `nnx.random`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nnx import ops, random
from nnx.backends import Array
from nnx.keras_backend.settings import floatx
from nnx.keras_backend.values import variable
from nnx.parameters import Parameter

__all__ = [
    "random_bernoulli",
    "random_binomial",
    "random_normal",
    "random_normal_variable",
    "random_uniform",
    "random_uniform_variable",
    "truncated_normal",
]


def random_normal(
    shape: Sequence[int], mean: Any = 0.0, stddev: Any = 1.0, dtype: str | None = None, seed: int | None = None
) -> Array:
    """Random numbers of a normal distribution; see `nnx.random.normal`.

    >>> random_normal((2, 3)).shape
    (2, 3)
    """
    return random.normal(shape, mean, stddev, dtype, seed)


def random_uniform(
    shape: Sequence[int], minval: Any = 0.0, maxval: Any = 1.0, dtype: str | None = None, seed: int | None = None
) -> Array:
    """Random numbers from [minval, maxval); see `nnx.random.uniform`.

    >>> random_uniform((2, 3)).shape
    (2, 3)
    """
    return random.uniform(shape, minval, maxval, dtype, seed)


def truncated_normal(
    shape: Sequence[int], mean: Any = 0.0, stddev: Any = 1.0, dtype: str | None = None, seed: int | None = None
) -> Array:
    """Random numbers of a normal distribution within two standard deviations; see `nnx.random.truncated_normal`.

    >>> truncated_normal((2, 3)).shape
    (2, 3)
    """
    return random.truncated_normal(shape, mean, stddev, dtype, seed)


def random_bernoulli(shape: Sequence[int], p: float = 0.0, dtype: str | None = None, seed: int | None = None) -> Array:
    """Zeros, and ones with the probability p.

    >>> random_bernoulli((3,), p=1.0).tolist()
    [1.0, 1.0, 1.0]
    """
    return ops.cast(random.uniform(shape, seed=seed) < p, dtype or floatx())


random_binomial = random_bernoulli


def random_normal_variable(
    shape: Sequence[int],
    mean: float,
    scale: float,
    dtype: str | None = None,
    name: str | None = None,
    seed: int | None = None,
) -> Parameter:
    """Parameter of random numbers of a normal distribution.

    >>> random_normal_variable((2, 3), 0.0, 1.0).shape
    (2, 3)
    """
    return variable(random.normal(shape, mean, scale, dtype, seed), dtype, name)


def random_uniform_variable(
    shape: Sequence[int],
    low: float,
    high: float,
    dtype: str | None = None,
    name: str | None = None,
    seed: int | None = None,
) -> Parameter:
    """Parameter of random numbers from [low, high).

    >>> random_uniform_variable((2, 3), 0.0, 1.0).shape
    (2, 3)
    """
    return variable(random.uniform(shape, low, high, dtype, seed), dtype, name)
