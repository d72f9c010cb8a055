"""`python -m nnx selftest`: what it compares, and that it finds what is wrong."""

from __future__ import annotations

import dataclasses
import platform
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import nnx
from nnx.__main__ import main
from nnx.backends import Placement
from nnx.backends.base import Backend, find_backend
from nnx.testing import selftest, selftest_checks, selftest_networks
from nnx.testing.selftest_checks import EXACT, MANY_STEPS, checks, deviation

HOST = Placement(find_backend("numpy"))


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Few steps are timed, and not with all networks."""
    monkeypatch.setattr(selftest_networks, "SECONDS", 0.0)
    first = next(iter(selftest.TIMED))
    monkeypatch.setattr(selftest, "TIMED", {first: selftest.TIMED[first]})


@pytest.fixture
def only(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Let the selftest do nothing but the checks whose names begin so."""

    def choose(*beginnings: str) -> None:
        chosen = lambda backend: (check for check in checks(backend) if check[0].startswith(beginnings))  # noqa: E731
        monkeypatch.setattr(selftest, "checks", chosen)

    return choose


class TestChecks:
    def test_every_kernel_of_a_backend_is_compared(self) -> None:
        for name in ("numpy", "cupy"):
            backend = find_backend(name)
            titles = [title for title, _, _ in checks(backend)]
            assert backend.kernels
            assert {f"kernel {kernel}" for kernel in backend.kernels} <= set(titles)
            assert len(set(titles)) == len(titles)

    def test_masks_are_exact_and_curves_nearly(self) -> None:
        allowed = {title: allowed for title, _, allowed in checks(HOST.backend)}
        assert allowed["masks of dropout"] == allowed["random words and masks"] == EXACT == 0.0
        assert {allowed[f"training, {name}, 3 epochs"] for name in selftest_networks.TRAINED} == {MANY_STEPS}

    def test_agree(self, backend: Placement) -> None:
        passed = 0
        for title, measure, allowed in checks(backend.backend):
            if title.startswith(("masks", "random", "training", "kernel adam", "kernel dense", "optimiser Adam,")):
                assert measure(dataclasses.replace(backend, dtype="float32"), HOST) <= allowed, title
                passed += 1
        assert passed >= 6

    @pytest.mark.parametrize("name", selftest_networks.TRAINED)
    def test_trained_networks_learn(self, name: str) -> None:
        network = selftest_networks.TRAINED[name]
        nnx.random.set_seed(1)
        x, y = network.data(1)
        with nnx.backend("numpy"):
            model = network.model(nnx.optimizers.Adam(0.02))
        first, *_, last = (model.train_on_batch(x, y)[0] for _ in range(25))
        assert last < 0.9 * first

    def test_timed_networks_are_what_their_names_say(self) -> None:
        with nnx.backend("numpy"):
            parameters = [n.model(nnx.optimizers.SGD()).count_params() for n in selftest_networks.TIMED.values()]
        assert parameters == [6274, 669_706, 61_706, 4 * 64 * (28 + 64 + 1) + 650]


class TestDeviation:
    def test_is_relative_to_the_largest_value(self) -> None:
        assert deviation(np.asarray([1.0, 102.0]), np.asarray([2.0, 100.0])) == 0.02

    def test_of_nothing_is_zero(self) -> None:
        assert deviation(np.ones((0, 3)), np.ones((0, 3))) == 0.0
        assert deviation(np.asarray([np.nan, np.inf, 1.0]), np.asarray([np.nan, np.inf, 1.0])) == 0.0

    @pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf])
    def test_of_what_is_not_finite_is_infinite(self, wrong: float) -> None:
        assert deviation(np.asarray([wrong, 1.0]), np.asarray([1.0, 1.0])) == np.inf
        assert deviation(np.asarray([1.0, 1.0]), np.asarray([wrong, 1.0])) == np.inf

    def test_needs_one_shape_and_dtype(self) -> None:
        with pytest.raises(AssertionError, match=r"got float64 \(2,\), expected float32 \(2,\)"):
            deviation(np.ones(2), np.ones(2, np.float32))


@pytest.mark.usefixtures("quick")
class TestSelftest:
    def test_ends_with_a_line_for_a_bug_report(self, capsys: Any, only: Callable[..., None]) -> None:
        only("masks", "random", "loss H", "kernel relu")
        assert selftest.selftest("numpy") == 0
        *table, last = capsys.readouterr().out.splitlines()
        assert sum(" 0.0e+00 " in line for line in table) >= 4
        assert any(line.startswith("30-64-64-2, batch 32") and line.endswith("median of 3 steps") for line in table)
        for part in (np.__version__, nnx.__version__, platform.python_version(), HOST.backend.hardware(None)):
            assert part in last
        assert last.startswith("selftest of numpy ")
        assert ": 5 of 5 checks passed in " in last

    def test_a_wrong_kernel_is_found(
        self, capsys: Any, only: Callable[..., None], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        owner: Backend = HOST.backend
        right = owner.kernels["relu"]

        def relu(x: Any) -> Any:
            y, pullback = right.function(x)
            return y * np.float32(1.001), pullback

        monkeypatch.setattr(owner, "kernels", owner.kernels | {"relu": dataclasses.replace(right, function=relu)})
        only("kernel relu", "kernel sigmoid")
        assert selftest.selftest("numpy") == 1
        output = capsys.readouterr().out
        assert "\nkernel relu  " in output
        assert "AssertionError: the value: " in output
        assert ": 1 of 2 checks passed in " in output
        assert output.endswith("; FAILED: kernel relu\n")

    def test_a_kernel_without_an_example_fails(
        self, capsys: Any, only: Callable[..., None], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        owner = HOST.backend
        never = dataclasses.replace(owner.kernels["relu"], accepts=lambda *_: False)
        monkeypatch.setattr(owner, "kernels", {"relu": never, "unknown": never})
        only("kernel")
        assert selftest.selftest("numpy") == 1
        assert capsys.readouterr().out.endswith("; FAILED: kernel relu, kernel unknown\n")

    def test_a_result_that_differs_is_found(
        self, capsys: Any, only: Callable[..., None], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        values = iter([1.0, 1.0 + 1e-3])
        once = selftest_checks._Both(lambda place: [np.asarray([next(values)])])
        monkeypatch.setattr(selftest, "checks", lambda backend: [("drifting", once, 1e-5)])
        assert selftest.selftest("numpy") == 1
        assert "1.0e-03    1.0e-05  DIFFERS\n" in capsys.readouterr().out

    def test_what_cannot_be_used_is_said(self, capsys: Any) -> None:
        assert main(["selftest", "--backend", "nympy"]) == 2
        assert "selftest of nympy: unknown backend 'nympy'" in capsys.readouterr().out
        assert selftest.selftest("numpy", "cuda:7") == 2
        assert "has no device 'cuda:7'" in capsys.readouterr().out


def test_info_names_the_hardware(capsys: Any, backend: Placement) -> None:
    words = backend.backend.hardware(backend.device)
    assert len(words) > 2
    assert main(["info"]) == 0
    assert f"; {backend.backend.hardware(None)}\n" in capsys.readouterr().out
