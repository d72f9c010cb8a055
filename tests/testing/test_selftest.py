"""`python -m nnx selftest`: what it does, that it finds what is wrong, and that it says what it did not do."""

from __future__ import annotations

import dataclasses
import platform
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nnx
from nnx.__main__ import main
from nnx.backends import Placement
from nnx.backends.base import Backend, find_backend
from nnx.testing.selftest import (
    bandwidth,
    large_arrays,
    machine,
    networks,
    parity,
    repeats,
    runner,
    sanitizer,
    speed,
    streams,
)
from nnx.testing.selftest.check import Check, NotRunError, Part
from nnx.testing.selftest.checks import CHECKS
from nnx.testing.selftest.parity import EXACT, HOST, deviation

REPORT = "nnx-selftest-numpy.txt"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Reports go where the test may write."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def only(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Let the selftest do nothing but these checks: parts by the name of the check, or a reason not to run."""

    def choose(**parts: Any) -> None:
        def make(name: str) -> Check:
            def planned(place: Placement) -> list[Part]:
                if isinstance(parts[name], str):
                    raise NotRunError(parts[name])
                return list(parts[name])

            return Check(name, planned, 5.0, 2.0, shown=name == "table")

        monkeypatch.setattr(runner, "CHECKS", [make(name) for name in parts])

    return choose


def good() -> str:
    return "3 of them"


def bad() -> str:
    raise ValueError("it differs, and why is a long story " + "that goes on and on " * 30)


def absent() -> str:
    raise NotRunError("there is no such thing")


def without_cufft() -> str:
    raise ImportError("cupy_on_cpu does not emulate cuFFT")


def without_a_library() -> str:
    raise ImportError("libcufft.so.11: cannot open shared object file")


class TestRunner:
    def test_says_what_it_does_and_found(self, only: Callable[..., None], capsys: Any) -> None:
        only(table=[("size", good)], quiet=[("a", good), ("b", good)], gone="there is no card")
        assert runner.selftest("numpy") == 0
        lines = capsys.readouterr().out.splitlines()
        assert lines[1] == "2 of 3 checks can run here, in about 4 s; the report is"
        assert lines[2] == REPORT
        assert "    size: 3 of them" in lines
        assert not any("a: 3 of them" in line for line in lines)
        assert f"{'gone':40} not run  there is no card" in lines
        assert lines[-1].startswith("PASSED: numpy, 2 checks passed, 1 not run, in ")
        assert max(map(len, lines)) < 80

    def test_the_report_has_what_a_bug_report_needs(self, only: Callable[..., None], folder: Path, capsys: Any) -> None:
        only(quiet=[("a", good), ("b", bad), ("c", absent), ("d", good)], other=[("e", good)])
        assert runner.selftest("numpy", report="mine.txt") == 1
        printed = capsys.readouterr().out
        report = (folder / "mine.txt").read_text()
        for text in (np.__version__, nnx.__version__, platform.python_version(), platform.platform()):
            assert text in report
        for part in ("a: 3 of them", "c: not run, there is no such thing", "d: 3 of them", "e: 3 of them"):
            assert f"    {part}\n" in report
            assert f"    {part}\n" not in printed
        assert "    b: FAILED\n        Traceback (most recent call last):\n" in report
        assert "in bad\n" in report
        assert f"{'quiet':40} FAILED   1 of 4 parts" in printed
        assert "    b: ValueError: it differs, and why is" in printed
        assert "1 not run: c: there is no such thing" in printed
        last = printed.splitlines()[-1]
        assert "\nFAILED: quiet\n" in printed
        assert last.startswith("FAILED: numpy, 1 check passed, 1 failed, in ")
        assert report.endswith(f"{last}\n")
        assert max(map(len, printed.splitlines())) < 80

    def test_a_check_of_which_no_part_can_run_has_not_passed(self, only: Callable[..., None], capsys: Any) -> None:
        only(some=[("a", absent), ("b", absent)])
        assert runner.selftest("numpy") == 2
        printed = capsys.readouterr().out
        assert f"{'some':40} not run  " in printed
        assert "2 not run, as a: there is no such thing" in printed
        assert "NOTHING RAN: numpy, 1 not run, in " in printed

    def test_what_an_emulation_lacks_does_not_run_and_what_a_machine_lacks_fails(
        self, only: Callable[..., None], capsys: Any
    ) -> None:
        only(some=[("a", without_cufft), ("b", good)])
        assert runner.selftest("numpy") == 0
        assert "1 not run: a: cupy_on_cpu does not emulate cuFFT" in capsys.readouterr().out
        only(some=[("a", without_a_library), ("b", good)])
        assert runner.selftest("numpy") == 1

    def test_nothing_runs_on_a_device_that_is_lost(
        self, only: Callable[..., None], capsys: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(runner.Run, "_answers", lambda run: False)
        only(first=[("a", bad), ("b", good)], second=[("c", good)])
        assert runner.selftest("numpy") == 1
        printed = capsys.readouterr().out
        assert "b: 3 of them" not in Path(REPORT).read_text()
        assert f"{'second':40} not run  the device answers no more, since first: a\n" in printed
        assert "FAILED: first\nFAILED: numpy, 1 failed, 1 not run" in printed

    def test_is_never_silent(self, only: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> None:
        said, heard = list[str](), threading.Event()

        def show(output: runner.Output, text: str) -> None:
            said.append(text)
            if sum(line.endswith(" s  slow, 2 of 2: b") for line in said) >= 3:
                heard.set()

        def wait() -> str:
            assert heard.wait(30.0)
            return ""

        monkeypatch.setattr(runner, "SILENCE", 0.01)
        monkeypatch.setattr(runner.Output, "show", show)
        only(slow=[("a", good), ("b", wait)])
        assert runner.selftest("numpy") == 0

    def test_can_be_interrupted(self, only: Callable[..., None], capsys: Any) -> None:
        def stop() -> str:
            raise KeyboardInterrupt

        only(first=[("a", stop)], second=[("b", good)])
        assert runner.selftest("numpy") == 130
        assert "\nSTOPPED: in first, 1 of 1: a\nSTOPPED: numpy, in 0 s\n" in capsys.readouterr().out

    def test_what_cannot_be_used_is_said(self, capsys: Any, folder: Path) -> None:
        assert main(["selftest", "--backend", "nympy"]) == 2
        assert "selftest of nympy: unknown backend 'nympy'" in capsys.readouterr().out
        assert runner.selftest("numpy", "cuda:7") == 2
        assert "has no device 'cuda:7'" in capsys.readouterr().out
        assert main(["selftest", "--backend", "numpy", "--report", str(folder / "no" / "such.txt")]) == 2
        assert "there is no folder" in capsys.readouterr().out


class TestChecks:
    def test_every_kernel_of_a_backend_is_compared(self) -> None:
        for name in ("numpy", "cupy"):
            backend = find_backend(name)
            place = dataclasses.replace(HOST)
            object.__setattr__(place, "backend", backend)  # no device is asked for
            titles = [title for title, _ in parity.kernels(place)]
            assert titles == [f"kernel {kernel}" for kernel in sorted(backend.kernels)]
            assert len(titles) > 20

    def test_what_is_about_cuda_says_so_elsewhere(self) -> None:
        refused = []
        for check in CHECKS:
            try:
                check.planned(HOST)
            except NotRunError as error:
                refused.append((check.name, str(error)))
        assert {reason for _, reason in refused} == {"it is about CUDA"}
        assert len(refused) == len(CHECKS) - 11

    def test_agree(self, backend: Placement) -> None:
        place = dataclasses.replace(backend, dtype="float32")
        every = [
            *parity.random_numbers(place),
            *parity.agreement("optimisers and training")(place)[-3:],
            *machine.versions(place),
        ]
        every += machine.product_and_sum(place)[:3]
        if place.backend.kernels:
            every += [
                part for part in parity.kernels(place) if part[0] in ("kernel adam", "kernel dense", "kernel relu")
            ]
        for title, part in every:
            with place.computing:
                assert isinstance(part(), str), title

    @pytest.mark.parametrize("name", networks.TRAINED)
    def test_trained_networks_learn(self, name: str) -> None:
        network = networks.TRAINED[name]
        nnx.random.set_seed(1)
        x, y = network.data(1)
        with nnx.backend("numpy"):
            model = network.model(nnx.optimizers.Adam(0.02))
        first, *_, last = (model.train_on_batch(x, y) for _ in range(25))
        assert last < 0.9 * first

    def test_timed_networks_are_what_their_names_say(self) -> None:
        with nnx.backend("numpy"):
            parameters = [n.model(nnx.optimizers.SGD()).count_params() for n in networks.TIMED.values()]
        assert parameters == [6274, 669_706, 61_706, 4 * 64 * (28 + 64 + 1) + 650]

    def test_pytorch_has_the_same_networks(self) -> None:
        torch = pytest.importorskip("torch", reason="PyTorch is not installed")
        sizes = [
            sum(p.numel() for layer in n.in_torch(torch) for p in layer.parameters()) for n in networks.TIMED.values()
        ]
        assert sizes == [6274, 669_706, 61_706, 4 * 64 * (28 + 64 + 2) + 650]  # PyTorch has two biases in an LSTM

    def test_speed(self, backend: Placement, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(speed, "MOST_STEPS", 1)
        monkeypatch.setattr(speed, "WARM_UP", 0)
        parts = dict(speed.speed(backend))
        assert parts["30-64-64-2, batch 32"]().endswith(" steps per second")
        if backend.name == "torch":
            for network in networks.TIMED:
                assert parts[f"{network}, PyTorch"]().endswith(" steps per second")

    def test_what_pytorch_lacks_is_said(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "torch", None)
        for title, part in speed.speed(HOST)[1::2]:
            assert title.endswith(", PyTorch")
            with pytest.raises(NotRunError, match="PyTorch is not there"):
                part()


class TestParity:
    def test_a_wrong_kernel_is_found(self, monkeypatch: pytest.MonkeyPatch) -> None:
        owner: Backend = HOST.backend
        right = owner.kernels["relu"]

        def relu(x: Any) -> Any:
            y, pullback = right.function(x)
            return y * x.dtype.type(1.001), pullback

        monkeypatch.setattr(owner, "kernels", owner.kernels | {"relu": dataclasses.replace(right, function=relu)})
        parts = dict(parity.kernels(HOST))
        with pytest.raises(
            AssertionError,
            match=r"example 0, float32 contiguous of 1: the value: deviation 1\.\de-03, but 3\.8e-06 is allowed",
        ):
            parts["kernel relu"]()
        assert parts["kernel sigmoid"]().startswith("18 examples, deviation ")

    def test_a_kernel_without_an_example_fails(self, monkeypatch: pytest.MonkeyPatch) -> None:
        owner = HOST.backend
        never = dataclasses.replace(owner.kernels["relu"], accepts=lambda *_: False)
        monkeypatch.setattr(owner, "kernels", {"relu": never, "unknown": never})
        for _, part in parity.kernels(HOST):
            with pytest.raises(AssertionError, match="no example in the table that it accepts"):
                part()

    def test_a_result_that_differs_is_found(self) -> None:
        values = iter([1.0, 1.0 + 1e-3])
        _, part = parity._beside_numpy(HOST, "drifting", lambda place: [np.asarray([next(values)])], 1e-5)
        with pytest.raises(AssertionError, match=r"deviation 1\.0e-03, but 1\.0e-05 is allowed"):
            part()

    def test_kernels_are_called_in_every_dtype(self, monkeypatch: pytest.MonkeyPatch) -> None:
        owner = HOST.backend
        monkeypatch.setattr(owner, "kernels", {name: owner.kernels[name] for name in ("adam", "relu")})
        monkeypatch.setattr(parity, "COMPUTATIONS", {"losses": parity.COMPUTATIONS["losses"]})
        found = {title: part() for title, part in parity.compiled(HOST)}
        called = {f"kernel adam in {dtype}": "2" for dtype in ("float16", "float32", "float64")}
        assert {title: text for title, text in found.items() if "adam" in title} == {
            **called,
            "kernel adam as it is compared": "",
        }
        assert set(dict(parity.agreement("losses")(HOST))) < set(found)

    @pytest.mark.parametrize(
        ("found", "expected", "worst"),
        [
            ([1.0, 102.0], [2.0, 100.0], 0.02),  # relative to the largest
            ([np.nan, np.inf, 1.0], [np.nan, np.inf, 1.0], EXACT),
            ([np.nan, 1.0], [1.0, 1.0], np.inf),
            ([-np.inf, 1.0], [1.0, 1.0], np.inf),
            ([1.0, 1.0], [np.inf, 1.0], np.inf),
            ([], [], EXACT),
        ],
    )
    def test_deviation(self, found: list[float], expected: list[float], worst: float) -> None:
        assert deviation(np.asarray(found), np.asarray(expected)) == worst

    def test_deviation_needs_one_shape_and_dtype(self) -> None:
        with pytest.raises(AssertionError, match=r"got float64 \(2,\), expected float32 \(2,\)"):
            deviation(np.ones(2), np.ones(2, np.float32))


class TestRepeats:
    def test_all_are_equal(self, backend: Placement, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(repeats, "TIMES", 2)
        monkeypatch.setattr(repeats, "LARGEST", 64)
        parts = repeats.repeats(dataclasses.replace(backend, dtype="float32"))
        assert len(parts) == 2 * len(repeats.CASES)
        for _, part in parts[::2]:
            assert part() in ("64 rows, equal bit for bit", "32 rows, equal bit for bit")

    def test_a_result_that_changes_is_found(self, monkeypatch: pytest.MonkeyPatch) -> None:
        last_digits = iter(range(1000))
        changing = lambda place, n: [np.ones(3, np.float32) + np.float32(next(last_digits) % 2 * 2.0**-23)]  # noqa: E731
        monkeypatch.setattr(repeats, "LARGEST", 32)
        for name, words in (
            ("dense", "32 rows: the results of 100 times are not equal bit for bit"),
            ("embedding", ""),
        ):
            monkeypatch.setattr(repeats, "CASES", {name: changing})
            (_, free), (_, deterministic) = repeats.repeats(HOST)
            with pytest.raises(AssertionError, match="not equal bit for bit"):
                deterministic()
            if words:
                with pytest.raises(AssertionError, match=words):
                    free()
            else:
                assert "equal up to rounding" in free()
        assert not nnx.is_deterministic()


class TestCuda:
    """What is about CUDA alone: here as far as it goes without one."""

    def test_large_arrays(self, backend: Placement, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(type(backend.backend), "free_bytes", lambda *_: 1024.0)
        with pytest.raises(NotRunError, match=r"they need 12\.01 GB, and 1\.00 KB are free"):
            large_arrays.large_arrays(backend)
        monkeypatch.undo()
        monkeypatch.setattr(large_arrays, "SIZE", 1 << 14)
        monkeypatch.setattr(large_arrays, "NEEDED", 0)
        if "float16" in backend.backend.float_dtypes(backend.device):
            for title, part in large_arrays.large_arrays(backend):
                assert part() == "", title

    @pytest.mark.nnx_backends(only="cupy", reason="is about CUDA")
    def test_streams_and_bandwidth(self, backend: Placement, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(streams, "STEPS", 2)
        monkeypatch.setattr(streams, "IMAGES", streams.IMAGES[: 2 * streams.ROWS])
        monkeypatch.setattr(bandwidth, "LARGEST", 1 << 14)
        parts = [*streams.two_streams(backend), *streams.read_ahead(backend), *bandwidth.bandwidth(backend)]
        found = {title: part() for title, part in parts}
        assert found["copy"].endswith(" GB/s of 16,384 numbers")
        assert found["Adam"].endswith("% of a copy")

    @pytest.mark.nnx_backends(only="cupy", reason="is about CUDA")
    def test_of_the_second_device(self, backend: Placement, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
        if len(backend.backend.devices()) < 2:
            pytest.skip("there is no second CUDA device")
        some = Check("some", lambda place: [*machine.versions(place), *parity.agreement("layers")(place)[::16]], 5.0)
        monkeypatch.setattr(runner, "CHECKS", [some, Check("devices", streams.two_devices, 1.0)])
        assert runner.selftest("cupy", "cuda:1") == 0
        assert "PASSED: cupy (cuda:1), 2 checks passed, in " in capsys.readouterr().out.splitlines()[-1]

    def test_a_second_device_is_needed(self) -> None:
        with pytest.raises(NotRunError, match="there is one device, cpu"):
            streams.two_devices(HOST)

    def test_the_sanitizer(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("PATH", str(folder))
        with pytest.raises(NotRunError, match="compute-sanitizer is not on the PATH"):
            sanitizer.sanitizer(HOST)
        tool = folder / "compute-sanitizer"
        tool.write_text('#!/bin/sh\necho "$@"\ncase $2 in racecheck) exit 9;; initcheck) exec /bin/sleep 5;; esac\n')
        tool.chmod(0o755)
        monkeypatch.setattr(sanitizer, "SECONDS", 0.3)
        parts = dict(sanitizer.sanitizer(HOST))
        assert list(parts) == ["memcheck", "racecheck", "initcheck", "synccheck"]
        own = f"--error-exitcode 9 {sys.executable} -m nnx.testing.selftest.sanitizer"
        assert parts["memcheck"]() == f"--tool memcheck {own}"
        with pytest.raises(AssertionError, match=r"exit status 9 of .*--tool racecheck"):
            parts["racecheck"]()
        with pytest.raises(NotRunError, match=r"not done after 0 s; run it alone: .*--tool initcheck"):
            parts["initcheck"]()


def test_info_names_the_hardware(capsys: Any, backend: Placement) -> None:
    words = backend.backend.hardware(backend.device)
    assert len(words) > 2
    assert main(["info"]) == 0
    assert f"; {backend.backend.hardware(None)}\n" in capsys.readouterr().out
