"""oneDNN's kernels stand in front of NumPy's where it is there, for large arrays of float32, and are never needed."""

from __future__ import annotations

import os
import pathlib
import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import nnx
from nnx.backends import onednn
from nnx.backends.base import find_backend
from nnx.kernels.numpy import convolution as of_numpy
from nnx.kernels.numpy.matrix_products import product
from nnx.kernels.onednn import FOR_LARGE_ARRAYS, KERNELS
from nnx.testing import assert_close
from nnx.windows import windows_of

needs_onednn = pytest.mark.skipif(onednn.onednn_problem() is not None, reason=str(onednn.onednn_problem()))
SAMPLES = np.random.default_rng(8)
WINDOWS = windows_of("conv", (16, 16), (3, 3), (1, 1), "same")


def numbers(*shape: int) -> np.ndarray:
    return SAMPLES.normal(size=shape).astype(np.float32)


X, KERNEL = numbers(8, 16, 16, 16), numbers(3, 3, 16, 32)


def is_taken(name: str, *arguments: Any) -> bool:
    accepts = FOR_LARGE_ARRAYS[name].accepts
    assert accepts is not None
    return accepts(*arguments)


def run(code: str, **environment: str) -> str:
    """What a new process prints."""
    found = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env={**os.environ, **environment}, timeout=300
    )
    assert found.returncode == 0, found.stderr
    return found.stdout


@pytest.fixture
def disabled() -> Iterator[None]:
    nnx.config.disable_compiled_kernels()
    yield
    nnx.config.enable_compiled_kernels()


@pytest.fixture
def _forgetful(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What was found out about the library is forgotten before and after."""
    for function in (onednn._find, onednn._library):
        function.cache_clear()
    yield
    monkeypatch.undo()
    for function in (onednn._find, onednn._library):
        function.cache_clear()


class TestChoice:
    def test_they_stand_in_front_of_numpys(self) -> None:
        assert list(KERNELS) == list(FOR_LARGE_ARRAYS)
        front = find_backend("numpy").compiled_kernels
        assert all(front[name].accepts is kernel.accepts for name, kernel in FOR_LARGE_ARRAYS.items())

    @needs_onednn
    def test_large_arrays_of_float32_get_them(self, disabled: None) -> None:
        assert not is_taken("correlate", X, KERNEL, WINDOWS)
        nnx.config.enable_compiled_kernels()
        assert is_taken("correlate", X, KERNEL, WINDOWS)
        assert is_taken("correlate_kernel", X, numbers(8, 16, 16, 32), WINDOWS)
        assert is_taken("correlate_transposed", numbers(8, 16, 16, 32), KERNEL, WINDOWS)

    @pytest.mark.parametrize(
        ("x", "kernel"),
        [
            (X[:1, :, :, :1], KERNEL[:, :, :1, :1]),
            (X[:0], KERNEL),
            (X.astype(np.float64), KERNEL.astype(np.float64)),
            (X.astype(np.float16), KERNEL.astype(np.float16)),
            (X.astype(">f4"), KERNEL),
            (X.view(np.memmap), KERNEL),
        ],
        ids=["small", "empty", "float64", "float16", "other byte order", "a subclass"],
    )
    def test_others_go_to_the_kernels_of_numpy(self, x: Any, kernel: Any) -> None:
        assert not is_taken("correlate", x, kernel, WINDOWS)

    @pytest.mark.parametrize(
        ("name", "arguments"),
        [
            ("correlate", (X[..., :8], KERNEL)),
            ("correlate", (X, KERNEL[:2])),
            ("correlate_transposed", (numbers(8, 15, 16, 32), KERNEL)),
            ("correlate_kernel", (X, numbers(7, 16, 16, 32))),
        ],
    )
    def test_shapes_that_do_not_fit_go_to_the_kernels_of_numpy(self, name: str, arguments: Any) -> None:
        assert not is_taken(name, *arguments, WINDOWS)

    @pytest.mark.parametrize("strides", [(2, 2), (1, 2), (3, 1)])
    @pytest.mark.parametrize("groups", [1, 16])
    def test_strides_between_single_elements_go_to_the_kernels_of_numpy(
        self, strides: tuple[int, int], groups: int
    ) -> None:
        windows, kernel = windows_of("conv", (16, 16), (1, 1), strides, "same"), numbers(1, 1, 16 // groups, 32)
        y = numbers(8, *windows.counts, 32)
        assert KERNELS["correlate"].accepts is not None
        assert not KERNELS["correlate"].accepts(X, kernel, windows, groups)
        assert not KERNELS["correlate_transposed"].accepts(y, kernel, windows, groups)  # type: ignore[misc]
        assert not KERNELS["correlate_kernel"].accepts(X, y, windows, groups)  # type: ignore[misc]

    def test_small_products_do_not_load_the_library(self) -> None:
        code = (
            "import numpy as np, nnx\nfrom nnx.backends import onednn\n"
            "model = nnx.Sequential([nnx.Input((8,)), nnx.layers.Dense(4)])\n"
            "model.compile('adam', 'mse')\nmodel.fit(np.ones((64, 8)), np.ones((64, 4)), verbose=0)\n"
            "print(onednn._find.cache_info().currsize)"
        )
        assert run(code) == "0\n"


@needs_onednn
class TestConvolutions:
    @pytest.mark.parametrize("seed", range(40))
    def test_equal_those_of_numpy_in_any_geometry(self, seed: int) -> None:
        random = np.random.default_rng(seed)
        sizes = tuple(int(n) for n in random.integers(1, 20, 2))
        window = tuple(int(random.integers(1, 1 + min(5, size))) for size in sizes)
        steps, gaps = (tuple(int(n) for n in random.integers(1, 4, 2)) for _ in range(2))
        windows = windows_of("conv", sizes, window, steps, str(random.choice(["same", "causal"])), gaps)
        groups = int(random.choice([1, 1, 2, 3]))
        c, f = (int(n) * groups for n in random.integers(1, 20, 2))
        x = random.normal(size=(int(random.integers(1, 5)), *sizes, c)).astype(np.float32)
        kernel = random.normal(size=(*window, c // groups, f)).astype(np.float32)
        y = of_numpy.correlate(x, kernel, windows, groups)
        dy = random.normal(size=y.shape).astype(np.float32)
        for name, arguments in {
            "correlate": (x, kernel),
            "correlate_transposed": (dy, kernel),
            "correlate_kernel": (x, dy),
        }.items():
            accepts, expected = KERNELS[name].accepts, getattr(of_numpy, name)(*arguments, windows, groups)
            assert accepts is not None
            assert accepts(*arguments, windows, groups) is (windows.taps > 1 or max(steps) == 1)
            length = max(windows.taps * max(c, f), x.shape[0] * y.shape[1] * y.shape[2])
            if accepts(*arguments, windows, groups):
                assert_close(KERNELS[name].function(*arguments, windows, groups), expected, length=length)

    def test_depthwise_ones(self) -> None:
        kernel, windows = numbers(3, 3, 16, 2), windows_of("conv", (16, 16), (3, 3), (2, 2), "same")
        accepts, name = KERNELS["correlate_depthwise"].accepts, "correlate_depthwise"
        assert accepts is not None
        assert accepts(X, kernel, windows)
        (y, pullback), (expected, pull_expected) = (
            table[name].function(X, kernel, windows) for table in (KERNELS, find_backend("numpy").kernels)
        )
        assert_close(y, expected, length=9)
        for dy in (numbers(*y.shape), numbers(*y.shape).astype(np.float64)):
            for found, wanted in zip(pullback(dy), pull_expected(dy.astype(np.float32)), strict=True):
                assert found.dtype == np.float32
                assert_close(found, wanted, length=8 * 64)

    def test_views_are_read_and_written_to(self) -> None:
        x, dy = X.transpose(0, 2, 1, 3), np.broadcast_to(numbers(8, 1, 1, 32), (8, 16, 16, 32))
        buffer = np.zeros(KERNEL.size + 1, np.float32)
        out = buffer[1:].reshape(KERNEL.shape)  # as gradients lie in the buffer of an optimizer
        found = KERNELS["correlate_kernel"].function(x, dy, WINDOWS, 1, out=out)
        assert found is out
        assert buffer[0] == 0.0
        assert_close(found, of_numpy.correlate_kernel(x, dy, WINDOWS), length=8 * 256)
        unfit = np.zeros((*KERNEL.shape[:3], 64), np.float32)[..., ::2]
        found = KERNELS["correlate_kernel"].function(x, dy, WINDOWS, 1, out=unfit)
        assert found is not unfit
        fixed = KERNEL.copy()
        fixed.flags.writeable = False
        assert_close(
            KERNELS["correlate"].function(x, fixed, WINDOWS), of_numpy.correlate(x, KERNEL, WINDOWS), length=144
        )

    def test_threads_have_their_own(self) -> None:
        expected, found = KERNELS["correlate"].function(X, KERNEL, WINDOWS), []

        def convolve() -> None:
            for _ in range(50):
                found.append(np.array_equal(KERNELS["correlate"].function(X, KERNEL, WINDOWS), expected))

        threads = [threading.Thread(target=convolve) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert found == [True] * 400

    @pytest.fixture
    def _few(self, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
        """Room for three convolutions."""
        monkeypatch.setattr(onednn, "_MOST", 3)
        kept = onednn._thread.convolutions
        before = dict(kept)
        kept.clear()
        yield
        kept.clear()
        kept.update(before)

    @pytest.mark.usefixtures("_few")
    def test_shapes_that_are_too_many_go_to_the_kernels_of_numpy(self, monkeypatch: pytest.MonkeyPatch) -> None:
        accepts = KERNELS["correlate"].accepts
        assert accepts is not None
        for _ in range(2):
            assert [n for n in range(1, 9) if accepts(X[:n], KERNEL, WINDOWS)] == [1, 2, 3]
        monkeypatch.setattr(onednn, "_LONG", 10)
        for _ in range(6):
            assert accepts(X[:2], KERNEL, WINDOWS)
            assert accepts(X[:3], KERNEL, WINDOWS)
        assert accepts(X[:4], KERNEL, WINDOWS)  # in the place of the first, which nobody has used for long
        assert not accepts(X[:1], KERNEL, WINDOWS)

    @pytest.mark.usefixtures("_few")
    def test_one_that_is_needed_takes_the_place_of_another(self) -> None:
        for n in range(1, 9):
            y = KERNELS["correlate"].function(X[:n], KERNEL, WINDOWS)
            assert_close(y, of_numpy.correlate(X[:n], KERNEL, WINDOWS), length=144)
        assert len(onednn._thread.convolutions) == 3


@needs_onednn
class TestProducts:
    def test_rows_and_columns_that_are_contiguous(self, monkeypatch: pytest.MonkeyPatch) -> None:
        seen = []
        multiply = onednn.multiply._function
        monkeypatch.setattr(onednn, "has_wide_vectors", lambda: True)
        monkeypatch.setattr(onednn.multiply, "_function", lambda *arrays: (seen.append(1), multiply(*arrays)))
        a, b = numbers(150, 160), numbers(160, 170)
        wide = numbers(160, 400)
        forms = [
            (a, b),
            (a.T.copy().T, b),
            (a, b.T.copy().T),
            (a, wide[:, 7:177]),
            (a.T.copy().T, wide.T.copy().T[:, :170]),
        ]
        for one, other in forms:
            expected = np.dot(one, other)
            assert_close(product(one, other), expected, length=160)
            for out in (
                np.zeros((150, 170), np.float32),
                np.zeros((170, 150), np.float32).T,
                np.zeros((150, 200), np.float32)[:, 9:179],
            ):
                onednn.multiply(out, one, other)
                assert_close(out, expected, length=160)
        assert len(seen) == len(forms) * 4

    def test_shapes_that_do_not_fit_are_errors(self) -> None:
        with pytest.raises(ValueError, match="shapes"):
            product(numbers(150, 160), numbers(170, 180))
        with pytest.raises(ValueError, match="output array"):
            product(numbers(150, 160), numbers(160, 170), np.zeros((150, 160), np.float32))

    @pytest.mark.parametrize(
        ("a", "b"),
        [
            (numbers(150, 320)[:, ::2], numbers(160, 170)),
            (np.broadcast_to(numbers(1, 160), (150, 160)), numbers(160, 170)),
            (numbers(150, 160).astype(np.float64), numbers(160, 170)),
            (numbers(4, 1000), numbers(1000, 1000)),
        ],
        ids=["strided", "broadcast", "float64", "of few rows"],
    )
    def test_others_are_those_of_blas(self, a: Any, b: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(onednn, "multiply", None)
        assert np.array_equal(product(a, b), np.dot(a, b))

    def test_without_wide_vectors_they_are_those_of_many_rows(self, monkeypatch: pytest.MonkeyPatch) -> None:
        seen = []
        monkeypatch.setattr(onednn, "multiply", lambda *arrays: seen.append(1))
        monkeypatch.setattr(onednn, "has_wide_vectors", lambda: False)
        product(numbers(1600, 50), numbers(50, 60))
        product(numbers(200, 150), numbers(150, 160))
        assert len(seen) == 1
        monkeypatch.setattr(onednn, "has_wide_vectors", lambda: True)
        product(numbers(200, 150), numbers(150, 160))
        assert len(seen) == 2


TRAINING = """
import numpy as np, nnx
def train(threads=1):
    nnx.random.set_seed(1)
    nnx.config.set_num_threads(threads)
    convolution, flat = nnx.layers.Conv2D(16, 3, activation="relu"), nnx.layers.Flatten()
    model = nnx.Sequential([nnx.Input((12, 12, 8)), convolution, flat, nnx.layers.Dense(64), nnx.layers.Dense(3)])
    model.compile("adam", nnx.losses.SparseCategoricalCrossentropy(from_logits=True))
    x = np.random.default_rng(0).normal(size=(512, 12, 12, 8)).astype(np.float32)
    for _ in range(4):
        model.train_on_batch(x, np.arange(512) % 3)
    return np.concatenate([weight.ravel() for weight in model.get_weights()])
"""


@needs_onednn
class TestTraining:
    def test_it_repeats_bit_for_bit(self) -> None:
        code = TRAINING + "w = train(); print(w.tobytes() == train().tobytes(), repr(w.sum()))"
        assert run(code).startswith("True")
        assert run(code) == run(code)

    def test_it_differs_from_numpys_in_rounding_alone(self) -> None:
        code = TRAINING + (
            "w = train(); nnx.config.disable_compiled_kernels(); v = train()\n"
            "print(w.tobytes() == v.tobytes(), np.max(np.abs(w - v)) < 1e-4)"
        )
        assert run(code) == "False True\n"

    @pytest.mark.parametrize("cores", ["1", "2"])
    def test_threads_that_share_a_step_have_one_core_each(self, cores: str) -> None:
        code = TRAINING + (
            "from nnx.backends import onednn\nfrom nnx.backends.threads import are_sharing\n"
            "seen, adapt = set(), onednn._Thread.adapt\n"
            "def adapt_and_note(self):\n    seen.add((are_sharing(), adapt(self)))\n    return adapt(self)\n"
            "onednn._Thread.adapt = adapt_and_note\nw = train()\nprint(*seen)\n"
            "seen.clear()\nv = train(2)\nprint([count for sharing, count in seen if sharing])\n"
            "seen.clear()\ntrain()\nprint(*seen, np.max(np.abs(w - v)) < 1e-4)"
        )
        assert run(code, OMP_NUM_THREADS=cores) == f"(False, {cores})\n[1]\n(False, {cores}) True\n"

    @pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are not forked on this system")
    def test_a_child_of_a_process_goes_on(self) -> None:
        code = TRAINING + (
            "import os, sys\nw = train()\nsys.stdout.flush()\nchild = os.fork()\n"
            "if child == 0:\n    os._exit(0 if np.max(np.abs(w - train())) < 1e-4 else 1)\n"
            "print(os.waitpid(child, 0)[1], w.tobytes() == train().tobytes())"
        )
        assert run(code, OMP_NUM_THREADS="2") == "0 True\n"


class TestLibrary:
    @pytest.mark.usefixtures("_forgetful")
    def test_without_it_numpy_computes(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(onednn, "_PACKAGES", ("onednn-of-nobody",))
        assert onednn.onednn_problem() == (
            "oneDNN is not installed; on Linux on x86-64 it comes with: pip install 'nnx-array[fast]'"
        )
        assert not onednn.is_onednn_used()
        a, b = numbers(150, 160), numbers(160, 170)
        assert np.array_equal(product(a, b), np.dot(a, b))

    @pytest.mark.usefixtures("_forgetful")
    def test_one_that_cannot_be_loaded_is_named(self, monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path) -> None:
        broken = tmp_path / "libdnnl.so.3"
        broken.write_text("no library")
        monkeypatch.setattr(onednn, "_paths", lambda: iter([str(broken)]))
        assert str(onednn.onednn_problem()).startswith("oneDNN is there but cannot be loaded (")
        assert not onednn.is_onednn_used()

    @needs_onednn
    def test_its_version_is_told(self) -> None:
        shown = run("import sys, nnx.__main__ as m; m.info()")
        assert f"oneDNN {onednn.onednn_version()}" in shown
        assert onednn.onednn_version().startswith("3.2.")

    @needs_onednn
    def test_what_it_refuses_is_an_error(self) -> None:
        with pytest.raises(ValueError, match="oneDNN refused the call, with status 2"):
            onednn.Convolution("forward", (1, 4, 4, 1), (1, 9, 9, 1, 1), (1, 4, 4, 1), (1, 1), (0, 0), (0, 0), (0, 0))
