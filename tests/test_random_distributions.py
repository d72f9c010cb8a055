"""Distributions of nnx.random: moments within bounds that follow from n, and the same numbers on every backend."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import nnx
from nnx import random
from nnx.backends import Placement, array_namespace
from nnx.random import Generator, SeedGenerator
from nnx.testing import assert_close

N = 40_000

# A distribution with the mean and the variance that it has.
DISTRIBUTIONS: dict[str, tuple[Callable[..., Any], float, float]] = {
    "normal": (lambda **options: random.normal((N,), 1.0, 2.0, **options), 1.0, 4.0),
    "uniform": (lambda **options: random.uniform((N,), -1.0, 3.0, **options), 1.0, 16.0 / 12.0),
    "truncated_normal": (lambda **options: random.truncated_normal((N,), 1.0, 2.0, **options), 1.0, 4.0 * 0.7737413),
    "gamma": (lambda **options: random.gamma((N,), 3.0, **options), 3.0, 3.0),
    "beta": (lambda **options: random.beta((N,), 1.0, 3.0, **options), 0.25, 3.0 / 80.0),
    "binomial": (lambda **options: random.binomial((N,), 10, 0.3, **options), 3.0, 2.1),
    "randint": (lambda **options: random.randint((N,), -2, 4, **options), 0.5, 35.0 / 12.0),
}
by_distribution = pytest.mark.parametrize("name", DISTRIBUTIONS)


@by_distribution
def test_moments(name: str) -> None:
    draw, mean, variance = DISTRIBUTIONS[name]
    numbers = np.asarray(draw(seed=3), np.float64)
    # a mean of n numbers is further than 6 standard deviations from the true one with a probability of 2e-9; the
    # fourth moment of each of these is below 10 variances squared
    assert abs(numbers.mean() - mean) < 6.0 * math.sqrt(variance / N)
    assert abs(numbers.var() - variance) < 6.0 * variance * math.sqrt(10.0 / N)


@by_distribution
def test_the_same_seed_gives_the_same_numbers_on_every_backend(name: str, backend: Placement) -> None:
    draw = DISTRIBUTIONS[name][0]
    found = draw(seed=5)
    assert backend.holds(found)
    with nnx.backend("numpy"):
        np.testing.assert_array_equal(nnx.to_numpy(found), draw(seed=5))


@by_distribution
def test_seeds(name: str) -> None:
    draw = DISTRIBUTIONS[name][0]
    np.testing.assert_array_equal(draw(seed=1), draw(seed=1))
    assert (draw(seed=1) != draw(seed=2)).any()
    own = SeedGenerator(1)
    first, second = draw(seed=own), draw(seed=own)
    assert (first != second).any()
    np.testing.assert_array_equal(first, draw(seed=SeedGenerator(1)))
    np.testing.assert_array_equal(first, draw(seed=Generator(1)))
    random.set_seed(4)
    first, second = draw(), draw()
    assert (first != second).any()
    random.set_seed(4)
    np.testing.assert_array_equal(draw(), first)


@by_distribution
def test_dtypes(name: str, backend_float64: Placement) -> None:
    draw = DISTRIBUTIONS[name][0]
    if name == "randint":
        assert draw(seed=1).dtype == backend_float64.xp.int32
        assert draw(seed=1, dtype="int64").dtype == backend_float64.xp.int64
    else:
        assert draw(seed=1).dtype == backend_float64.xp.float64
        assert draw(seed=1, dtype="float32").dtype == backend_float64.xp.float32


class TestEnds:
    def test_numbers_of_truncated_normal_end_at_two_standard_deviations(self) -> None:
        numbers = random.truncated_normal((N,), 1.0, 0.5, seed=1)
        assert numbers.min() >= 0.0
        assert numbers.max() <= 2.0

    @pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
    def test_uniform_numbers_never_reach_their_upper_end(self, dtype: str) -> None:
        for low, high in ((0.0, 1.0), (1.0, 2.0), (-3.0, 5.0)):
            numbers = random.uniform((N,), low, high, dtype=dtype, seed=1)
            assert str(numbers.dtype) == dtype
            assert numbers.min() >= low
            assert numbers.max() < high

    def test_integers_are_all_between(self) -> None:
        assert sorted(set(random.randint((N,), 2, 5, seed=1).tolist())) == [2, 3, 4]
        assert random.randint((0,), 0, 1).shape == (0,)

    @pytest.mark.parametrize(
        ("call", "message"),
        [
            (lambda: random.randint((2,), 3, 3), "maxval must be above minval"),
            (lambda: random.randint((2,), 0, 1 << 33), r"at most 2\*\*32"),
            (lambda: random.uniform((2,), 0, 4, dtype="int32"), "write nnx.random.randint"),
            (lambda: random.dropout(np.ones(2), 1.5), "rate must be between 0 and 1"),
            (lambda: random.categorical(np.ones(3), 2), r"logits are \(batch, classes\)"),
            (lambda: random.normal((2,), seed=-1), "seed must be a non-negative integer"),
        ],
    )
    def test_refusals(self, call: Callable[[], Any], message: str) -> None:
        with pytest.raises(ValueError, match=message):
            call()

    def test_a_shape_is_a_tuple(self) -> None:
        with pytest.raises(TypeError, match=r"write \(3,\)"):
            random.normal(3)  # type: ignore[arg-type]

    def test_other_names_say_what_there_is(self) -> None:
        with pytest.raises(AttributeError, match="as in keras"):
            random.poisson  # type: ignore[attr-defined]  # noqa: B018


class TestCategorical:
    def test_frequencies(self, backend: Placement) -> None:
        shares = np.asarray([[0.1, 0.2, 0.7], [0.6, 0.4, 0.0]], np.float32)
        with np.errstate(divide="ignore"):
            logits = backend.asarray(np.log(shares))
        found = nnx.to_numpy(random.categorical(logits, N, seed=1))
        assert found.shape == (2, N)
        assert found.dtype == np.int32
        for row, wanted in zip(found, shares, strict=True):
            counts = np.bincount(row, minlength=3) / N
            assert (np.abs(counts - wanted) <= 6.0 * np.sqrt(wanted * (1.0 - wanted) / N)).all()


class TestShuffle:
    def test_keeps_slices(self, backend: Placement) -> None:
        x = backend.asarray(np.arange(24.0).reshape(2, 12))
        y = random.shuffle(x, axis=1, seed=2)
        host = nnx.to_numpy(y)
        assert (host[0] != np.arange(12.0)).any()
        np.testing.assert_array_equal(np.sort(host[0]), np.arange(12.0))
        np.testing.assert_array_equal(host[1], host[0] + 12.0)


class TestDropout:
    def test_drops_a_share_and_keeps_the_mean(self, backend: Placement) -> None:
        y = nnx.to_numpy(random.dropout(backend.asarray(np.ones((N,))), 0.25, seed=1))
        assert set(np.unique(y)) == {np.float32(0.0), np.float32(1.0 / 0.75)}
        assert abs((y == 0.0).mean() - 0.25) < 6.0 * math.sqrt(0.25 * 0.75 / N)

    def test_shares_decisions_along_axes_of_one(self) -> None:
        y = random.dropout(np.ones((50, 4)), 0.5, noise_shape=(None, 1), seed=1)
        assert (y == y[:, :1]).all()

    def test_at_its_ends(self) -> None:
        x = np.asarray([1.0, np.inf])
        np.testing.assert_array_equal(random.dropout(x, 0.0), x)
        np.testing.assert_array_equal(random.dropout(np.ones(3), 1.0), np.zeros(3))

    def test_is_differentiated(self, backend: Placement) -> None:
        x = backend.asarray(np.arange(1.0, 9.0))
        y, pullback = nnx.differentiable(lambda x: random.dropout(x, 0.5, seed=1))(x)
        assert_close(pullback(backend.asarray(np.ones(8))), nnx.to_numpy(y) / np.arange(1.0, 9.0), rtol=1e-6)


class TestTapes:
    def test_draws_are_constants_and_their_moments_are_not(self, backend: Placement) -> None:
        """The step of a variational autoencoder: mean + stddev * noise."""
        mean, spread = backend.asarray([1.0, 2.0]), backend.asarray([0.5, 0.25])

        def sample(mean: Any, spread: Any) -> Any:
            return random.normal((2,), mean, spread, seed=1)

        y, pullback = nnx.differentiable(sample)(mean, spread)
        noise = random.normal((2,), seed=1)
        assert_close(y, mean + spread * noise, rtol=1e-6)
        dmean, dspread = pullback(backend.asarray([1.0, 1.0]))
        assert_close(dmean, [1.0, 1.0])
        assert_close(dspread, noise)

    def test_without_waiting_for_the_device(self, backend: Placement) -> None:
        x = backend.asarray(np.ones((4, 3)))
        with nnx.testing.no_synchronization():
            random.normal((4, 3))
            random.uniform((4, 3), -1.0, 1.0)
            random.randint((4, 3), 0, 7)
            random.dropout(x, 0.5)
            random.shuffle(x)
            random.categorical(x, 2)


class TestSeedGenerator:
    def test_next_gives_seeds(self) -> None:
        own = SeedGenerator(3)
        first, second = own.next(), own.next()
        assert first != second
        assert first == SeedGenerator(3).next()
        assert random.normal((2,), seed=first).shape == (2,)

    def test_without_a_seed_it_follows_the_default_stream(self) -> None:
        random.set_seed(1)
        first, second = SeedGenerator().next(), SeedGenerator().next()
        assert first != second
        random.set_seed(1)
        assert SeedGenerator().next() == first

    def test_copies_go_on_where_it_is(self) -> None:
        own = SeedGenerator(3)
        own.next()
        assert isinstance(copy.deepcopy(own), SeedGenerator)
        assert copy.deepcopy(own).next() == own.next()


def test_numbers_in_array_code_are_of_the_backend(backend: Placement) -> None:
    numbers = random.normal((3,))
    assert array_namespace(numbers) is backend.xp
