"""The random stream: published vectors, one stream on every backend, distributions within bounds that follow from n."""

from __future__ import annotations

import contextlib
import copy
import json
import math
import subprocess
import sys
import threading

import numpy as np
import pytest

import nnx
import nnx.testing
from nnx.backends import Placement
from nnx.random import Draw, Generator, bernoulli, uniform_beside
from nnx.random.streams import host_words, words_below

# Random123's known answers for Philox4x64-10: counter, key -> output; words of 64 bits, the lowest first.
KNOWN_ANSWERS = [
    (
        "0000000000000000 0000000000000000 0000000000000000 0000000000000000",
        "0000000000000000 0000000000000000",
        "16554d9eca36314c db20fe9d672d0fdc d7e772cee186176b 7e68b68aec7ba23b",
    ),
    (
        "ffffffffffffffff ffffffffffffffff ffffffffffffffff ffffffffffffffff",
        "ffffffffffffffff ffffffffffffffff",
        "87b092c3013fe90b 438c3c67be8d0224 9cc7d7c69cd777b6 a09caebf594f0ba0",
    ),
    (
        "243f6a8885a308d3 13198a2e03707344 a4093822299f31d0 082efa98ec4e6c89",
        "452821e638d01377 be5466cf34e90c6c",
        "a528f45403e61d95 38c72dbd566e9788 a5a1610e72fd18b5 57bd43b5e52b7fe6",
    ),
]


def number(words: str) -> int:
    return sum(int(word, 16) << 64 * position for position, word in enumerate(words.split()))


def kolmogorov_bound(n: int) -> float:
    """An empirical distribution of n draws is further from the true one with a probability of 1e-9.

    Dvoretzky, Kiefer and Wolfowitz (1956), with Massart's constant: P(D > d) <= 2 exp(-2 n d**2).
    """
    return math.sqrt(math.log(2.0 / 1e-9) / (2.0 * n))


def kolmogorov_distance(values: np.ndarray, cumulative: np.ndarray) -> float:
    """The largest distance of the empirical distribution of sorted values from `cumulative` at these values."""
    n = values.size
    return float(max(np.max(np.arange(1, n + 1) / n - cumulative), np.max(cumulative - np.arange(n) / n)))


def normal_cumulative(values: np.ndarray) -> np.ndarray:
    return np.asarray([0.5 * math.erfc(-value / math.sqrt(2.0)) for value in values])


class TestPhilox:
    @pytest.mark.parametrize(("counter", "key", "output"), KNOWN_ANSWERS, ids=["zeros", "ones", "pi"])
    def test_known_answers(self, counter: str, key: str, output: str) -> None:
        words = host_words(Draw(number(key), number(counter), 8))
        assert words.dtype == np.uint32
        assert [f"{word:016x}" for word in words.view("<u8")] == output.split()
        assert int(words[0]) == int(output[8:16], 16)  # of each 64-bit word the low half comes first

    def test_is_the_stream_of_numpy(self) -> None:
        ours = host_words(Draw(key=2**100 + 7, counter=1, size=4000)).view("<u8")
        theirs = np.random.Philox(key=2**100 + 7).random_raw(2000)  # it emits block 1 first
        np.testing.assert_array_equal(ours, theirs)

    def test_a_block_does_not_depend_on_where_the_draw_begins(self) -> None:
        whole = host_words(Draw(3, 10, 64))
        for block in range(8):
            np.testing.assert_array_equal(host_words(Draw(3, 10 + block, 8)), whole[8 * block : 8 * block + 8])

    @pytest.mark.parametrize("size", [0, 1, 2, 7, 8, 9, 1001])
    def test_a_short_draw_is_the_beginning_of_a_long_one(self, size: int) -> None:
        words = host_words(Draw(3, 10, size))
        assert words.shape == (size,)
        np.testing.assert_array_equal(words, host_words(Draw(3, 10, 2000))[:size])

    def test_the_counter_wraps_around(self) -> None:
        last = 2**256 - 1
        words = host_words(Draw(5, last, 24))
        np.testing.assert_array_equal(words[:8], host_words(Draw(5, last, 8)))
        np.testing.assert_array_equal(words[8:], host_words(Draw(5, 0, 16)))

    def test_a_carry_between_the_words_of_the_counter(self) -> None:
        words = host_words(Draw(5, 2**64 - 1, 16))
        np.testing.assert_array_equal(words[8:], host_words(Draw(5, 2**64, 8)))

    def test_keys_give_unrelated_streams(self) -> None:
        first, second = host_words(Draw(0, 0, 4096)), host_words(Draw(1, 0, 4096))
        assert np.mean(first == second) < 0.01
        assert abs(np.corrcoef(first, second)[0, 1]) < 5.0 / math.sqrt(4096)


class TestGenerator:
    def test_draws_use_up_whole_blocks_one_after_the_other(self) -> None:
        generator = Generator(1)
        draws = [generator.draw(size) for size in (1, 8, 9, 0, 3)]
        assert [draw.counter for draw in draws] == [0, 1, 2, 4, 4]
        assert {draw.key for draw in draws} == {draws[0].key}

    def test_the_counter_of_a_generator_wraps_around(self) -> None:
        generator = Generator.from_state({"key": "1", "counter": f"{2**256 - 1:x}"})
        assert generator.draw(9).counter == 2**256 - 1
        assert generator.draw(8).counter == 1

    def test_a_negative_size_is_refused(self) -> None:
        generator = Generator(1)
        with pytest.raises(ValueError, match="size of a draw must not be negative, got -3"):
            generator.draw(-3)
        assert generator.draw(1).counter == 0

    def test_equal_seeds_give_equal_streams_and_others_do_not(self) -> None:
        np.testing.assert_array_equal(Generator(7).integers(100), Generator(7).integers(100))
        np.testing.assert_array_equal(Generator(7).integers(100), Generator(np.int64(7)).integers(100))
        assert not np.array_equal(Generator(7).integers(100), Generator(8).integers(100))
        assert not np.array_equal(Generator(0).integers(100), Generator(2**200).integers(100))

    @pytest.mark.parametrize("seed", [-1, 1.5, "1", None, True])
    def test_a_seed_is_a_non_negative_integer(self, seed: object) -> None:
        with pytest.raises(ValueError, match="seed must be a non-negative integer, got"):
            Generator(seed)  # type: ignore[arg-type]

    def test_the_key_is_fixed_for_ever(self) -> None:
        assert Generator(0).state() == {"key": "69ff63a74185dbc641a6d01746dac621", "counter": "0"}  # saved with models

    def test_split_streams_are_independent(self) -> None:
        parent = Generator(3)
        first, second = parent.split(), parent.split()
        streams = [generator.integers(4096) for generator in (parent, first, second, first.split())]
        for i, a in enumerate(streams):
            for b in streams[:i]:
                assert abs(np.corrcoef(a, b)[0, 1]) < 5.0 / math.sqrt(4096)
        assert np.unique(np.concatenate(streams)).size > 4 * 4096 - 10

    def test_split_is_deterministic_and_moves_the_parent_by_one_block(self) -> None:
        parent, twin = Generator(3), Generator(3)
        np.testing.assert_array_equal(parent.split().integers(8), twin.split().integers(8))
        assert parent.state()["counter"] == "1"

    def test_what_a_child_draws_does_not_move_the_parent(self) -> None:
        parent, twin = Generator(3), Generator(3)
        parent.split().integers(1000)
        twin.split()
        np.testing.assert_array_equal(parent.integers(8), twin.integers(8))

    def test_state_round_trip_through_json(self) -> None:
        generator = Generator(11).split()
        generator.normal((17,))
        state = json.loads(json.dumps(generator.state()))
        following = generator.integers(20)
        np.testing.assert_array_equal(Generator.from_state(state).integers(20), following)
        other = Generator(0)
        other.set_state(state)
        np.testing.assert_array_equal(other.integers(20), following)

    @pytest.mark.parametrize(
        "state",
        [
            {},
            {"key": "1"},
            {"key": "xyz", "counter": "0"},
            {"key": 1, "counter": 0},
            {"key": "-1", "counter": "0"},
            {"key": "1" + "0" * 32, "counter": "0"},
            {"key": "0", "counter": "1" + "0" * 64},
            None,
        ],
        ids=str,
    )
    def test_what_is_no_state_is_refused_and_changes_nothing(self, state: dict[str, str]) -> None:
        generator = Generator(1)
        before = generator.state()
        with pytest.raises(ValueError, match="not a state of a random generator"):
            generator.set_state(state)
        assert generator.state() == before

    def test_a_deep_copy_continues_on_its_own(self) -> None:
        generator = Generator(1)
        generator.integers(5)
        twin = copy.deepcopy(generator)
        np.testing.assert_array_equal(twin.integers(9), generator.integers(9))

    def test_threads_never_get_the_same_words(self) -> None:
        generator, draws = Generator(1), [[] for _ in range(8)]
        start = threading.Barrier(len(draws), timeout=10)

        def work(mine: list[Draw]) -> None:
            start.wait()
            mine += [generator.draw(8 * size) for size in range(1, 200)]

        threads = [threading.Thread(target=work, args=(mine,)) for mine in draws]
        interval = sys.getswitchinterval()
        sys.setswitchinterval(1e-6)
        try:
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        finally:
            sys.setswitchinterval(interval)
        blocks = [range(draw.counter, draw.counter + draw.size // 8) for mine in draws for draw in mine]
        used = [block for piece in blocks for block in piece]
        assert len(used) == len(set(used)) == 8 * sum(range(1, 200))


class TestDistributions:
    N = 100_000

    def test_integers(self) -> None:
        words = Generator(0).integers(self.N)
        assert words.dtype == np.uint32
        ones = np.sum([words >> np.uint32(bit) & np.uint32(1) for bit in range(32)], axis=1)
        assert np.abs(ones - self.N / 2).max() < 6.0 * math.sqrt(self.N) / 2  # each bit is a fair coin

    def test_uniform(self) -> None:
        values = Generator(0).uniform((self.N // 10, 10))
        assert values.shape == (self.N // 10, 10)
        assert values.dtype == np.float64
        assert values.min() >= 0.0
        assert values.max() < 1.0
        flat = np.sort(values.reshape(-1))
        assert kolmogorov_distance(flat, flat) < kolmogorov_bound(self.N)
        assert np.all(values * 2.0**53 % 1.0 == 0.0)

    def test_uniform_between_bounds(self) -> None:
        values = Generator(0).uniform((1000,), -3.0, 5.0)
        np.testing.assert_array_equal(values, -3.0 + 8.0 * Generator(0).uniform((1000,)))

    @pytest.mark.parametrize("size", [1, 2, 3, 100_000])
    def test_normal(self, size: int) -> None:
        values = Generator(0).normal((size,), mean=2.0, stddev=3.0)
        assert values.shape == (size,)
        standard = np.sort((values - 2.0) / 3.0)
        assert kolmogorov_distance(standard, normal_cumulative(standard)) < kolmogorov_bound(size)
        if size == self.N:  # the fourth moments tell the tails, to six standard errors
            assert abs(standard.mean()) < 6.0 / math.sqrt(size)
            assert abs(standard.var() - 1.0) < 6.0 * math.sqrt(2.0 / size)
            assert abs(np.mean(standard**4) - 3.0) < 6.0 * math.sqrt(96.0 / size)

    def test_the_two_halves_of_box_and_muller_are_uncorrelated(self) -> None:
        first, second = Generator(0).normal((2, self.N // 2))
        assert abs(np.corrcoef(first, second)[0, 1]) < 6.0 / math.sqrt(self.N // 2)
        assert abs(np.corrcoef(first**2, second**2)[0, 1]) < 6.0 / math.sqrt(self.N // 2)

    def test_truncated_normal(self) -> None:
        values = Generator(0).truncated_normal((self.N,), mean=-1.0, stddev=0.5)
        standard = np.sort((values + 1.0) / 0.5)
        assert np.abs(standard).max() <= 2.0
        below = 0.5 * math.erfc(math.sqrt(2.0))  # the mass beyond two standard deviations, on each side
        cumulative = (normal_cumulative(standard) - below) / (1.0 - 2.0 * below)
        assert kolmogorov_distance(standard, cumulative) < kolmogorov_bound(self.N)
        assert abs(standard.std() - 0.87962566103423978) < 6.0 / math.sqrt(2 * self.N)

    @pytest.mark.parametrize("shape", [(), (0,), (3, 0), (2, 3)])
    def test_shapes(self, shape: tuple[int, ...]) -> None:
        for draw in (Generator.uniform, Generator.normal, Generator.truncated_normal):
            assert draw(Generator(0), shape).shape == shape

    @pytest.mark.parametrize("size", [0, 1, 2, 1000])
    def test_a_permutation_has_every_number_once(self, size: int) -> None:
        permutation = Generator(0).permutation(size)
        assert np.issubdtype(permutation.dtype, np.integer)
        np.testing.assert_array_equal(np.sort(permutation), np.arange(size))

    def test_equal_keys_of_a_permutation_keep_their_order(self, monkeypatch: pytest.MonkeyPatch) -> None:
        keys = np.random.default_rng(0).integers(0, 5, 2000).astype("<u8")
        monkeypatch.setattr("nnx.random.streams.host_words", lambda draw: keys.view("<u4"))
        np.testing.assert_array_equal(Generator(0).permutation(2000), np.argsort(keys, kind="stable"))

    def test_permutations_are_unbiased(self) -> None:
        generator, n = Generator(0), 24_000
        orders = np.stack([generator.permutation(4) for _ in range(n)])
        _, counts = np.unique(orders @ [64, 16, 4, 1], return_counts=True)
        assert counts.size == 24  # all 4! orders
        squared = np.sum((counts - n / 24) ** 2 / (n / 24))
        assert squared < 23 + 6.0 * math.sqrt(2 * 23)  # a chi-squared number with 23 degrees of freedom


class TestOnDevices:
    """Draws are equal to the last bit on every backend."""

    SHAPE = (37, 5)
    DRAW = Draw(key=123456789, counter=2**70, size=185)

    def test_uniform(self, backend: Placement) -> None:
        like = backend.zeros(self.SHAPE)
        values = uniform_beside(like, self.DRAW)
        nnx.testing.assert_close(values, values, like=like)
        host = (host_words(self.DRAW) >> np.uint32(8)).astype(np.float64) * 2.0**-24
        np.testing.assert_array_equal(nnx.to_numpy(values), host.reshape(self.SHAPE))

    def test_uniform_in_float64(self, backend_float64: Placement) -> None:
        values = uniform_beside(backend_float64.zeros(self.SHAPE), self.DRAW)
        assert values.dtype == backend_float64.xp.float64
        host = (host_words(self.DRAW) >> np.uint32(8)).astype(np.float64) * 2.0**-24
        np.testing.assert_array_equal(nnx.to_numpy(values), host.reshape(self.SHAPE))

    @pytest.mark.parametrize("threshold", [0, 1, 2**31, 2**32 - 1, 2**32])
    def test_words_below(self, backend: Placement, threshold: int) -> None:
        like = backend.zeros(self.SHAPE)
        mask = words_below(like, self.DRAW, threshold)
        assert backend.holds(mask)
        assert mask.dtype == backend.xp.bool
        host = host_words(self.DRAW).astype(np.int64) < threshold
        np.testing.assert_array_equal(nnx.to_numpy(mask), host.reshape(self.SHAPE))

    def test_bernoulli_at_its_ends(self, backend: Placement) -> None:
        like = backend.zeros(self.SHAPE)
        assert not nnx.to_numpy(bernoulli(like, self.DRAW, 0.0)).any()
        assert nnx.to_numpy(bernoulli(like, self.DRAW, 1.0)).all()

    @pytest.mark.parametrize("probability", [0.1, 0.5, 0.999])
    def test_bernoulli(self, backend: Placement, probability: float) -> None:
        n = 20_000
        mask = nnx.to_numpy(bernoulli(backend.zeros((n,)), Generator(4).draw(n), probability))
        assert abs(mask.mean() - probability) < 6.0 * math.sqrt(probability * (1.0 - probability) / n)

    def test_nothing_is_drawn_for_an_empty_array(self, backend: Placement) -> None:
        empty = backend.zeros((0, 3))
        assert uniform_beside(empty, Draw(1, 0, 0)).shape == (0, 3)
        assert words_below(empty, Draw(1, 0, 0), 5).shape == (0, 3)

    def test_without_waiting_for_the_device(self, backend: Placement) -> None:
        like = backend.zeros(self.SHAPE)
        with nnx.testing.no_synchronization():
            uniform_beside(like, self.DRAW)
            bernoulli(like, self.DRAW, 0.3)


class TestDefault:
    def test_set_seed_starts_again(self) -> None:
        nnx.random.set_seed(5)
        first = nnx.random.default().integers(10)
        assert not np.array_equal(nnx.random.default().integers(10), first)
        nnx.random.set_seed(5)
        np.testing.assert_array_equal(nnx.random.default().integers(10), first)
        np.testing.assert_array_equal(Generator(5).integers(10), first)

    CODE = (
        "import numpy as np, nnx\n"
        "{}\n"
        "before = np.random.get_state()[2]\n"
        "print(nnx.random.default().integers(4).tolist())\n"
        "assert np.random.get_state()[2] == before, 'NumPy\\'s generator was drawn from'\n"
    )

    def run(self, statement: str) -> str:
        command = [sys.executable, "-c", self.CODE.format(statement)]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout

    def test_numpys_seed_decides_where_nnx_has_none(self) -> None:
        assert self.run("np.random.seed(9)") == self.run("np.random.seed(9)")
        assert self.run("np.random.seed(9)") != self.run("np.random.seed(10)")
        assert self.run("np.random.seed(9)") != self.run("np.random.seed(9); np.random.rand()")

    def test_without_any_seed_it_is_chance(self) -> None:
        assert self.run("") != self.run("")

    def test_set_seed_goes_before_numpys_seed(self) -> None:
        assert self.run("np.random.seed(9); nnx.random.set_seed(1)") == self.run("nnx.random.set_seed(1)")

    def test_threads_that_ask_first_get_one_stream(self, monkeypatch: pytest.MonkeyPatch) -> None:
        found = []
        both_want_it = threading.Barrier(2)

        def slow_seed() -> int:
            with contextlib.suppress(threading.BrokenBarrierError):
                both_want_it.wait(0.2)  # met only by two threads that both found no generator
            return 0

        monkeypatch.setattr(nnx.random.streams, "_default", None)
        monkeypatch.setattr(nnx.random.streams, "_numpy_seed", slow_seed)
        threads = [threading.Thread(target=lambda: found.append(nnx.random.default())) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert found[0] is found[1]
