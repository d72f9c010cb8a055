"""Compiled kernels stand in front of NumPy's where numba is there, for large arrays, and are never needed."""

from __future__ import annotations

import os
import pathlib
import subprocess
import sys
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import nnx
from nnx.backends import compiler
from nnx.backends.base import find_backend
from nnx.kernels import backend_kernel
from nnx.kernels.numba import FOR_LARGE_ARRAYS, KERNELS
from nnx.layers import BatchNormalization, Dense, Input, LayerNormalization
from nnx.pullbacks import Plus
from nnx.windows import Axis, Windows

needs_numba = pytest.mark.skipif(compiler.compiler_problem() is not None, reason=str(compiler.compiler_problem()))
SAMPLES = np.random.default_rng(8)
LARGE = SAMPLES.normal(size=(256, 512)).astype(np.float32)

TRAINING = """
import sys, time
import numpy as np, nnx
def train(units):
    nnx.random.set_seed(1)
    layers = nnx.layers.Dense(units), nnx.layers.LayerNormalization(), nnx.layers.Dense(3)
    model = nnx.Sequential([nnx.Input((8,)), *layers])
    model.compile("adam", nnx.losses.SparseCategoricalCrossentropy(from_logits=True))
    for _ in range(3):
        model.train_on_batch(np.ones((64, 8)), np.zeros(64, int))
    return np.concatenate([weight.ravel() for weight in model.get_weights()])
"""


def run(code: str, **environment: str) -> str:
    """What a new process prints."""
    found = subprocess.run(
        [sys.executable, "-c", TRAINING + code], capture_output=True, text=True, env={**os.environ, **environment}
    )
    assert found.returncode == 0, found.stderr
    return found.stdout


@pytest.fixture
def _forgetful(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What was found out about numba is forgotten before and after."""
    for function in (compiler.compiler_problem, compiler._is_usable):
        function.cache_clear()
    yield
    monkeypatch.undo()
    for function in (compiler.compiler_problem, compiler._is_usable):
        function.cache_clear()


@pytest.fixture
def disabled() -> Iterator[None]:
    nnx.config.disable_compiled_kernels()
    yield
    nnx.config.enable_compiled_kernels()


def is_compiled(name: str, *arguments: Any) -> bool:
    """Whether the compiled kernel takes these arguments."""
    accepts = FOR_LARGE_ARRAYS[name].accepts
    assert accepts is not None
    return accepts(*arguments)


class TestChoice:
    def test_both_tables_have_the_same_kernels(self) -> None:
        assert list(KERNELS) == list(FOR_LARGE_ARRAYS)
        front = find_backend("numpy").compiled_kernels
        assert all(front[name].accepts is kernel.accepts for name, kernel in FOR_LARGE_ARRAYS.items())
        assert find_backend("array-api-strict").compiled_kernels == {}

    @needs_numba
    def test_large_plain_arrays_get_them(self) -> None:
        assert is_compiled("layer_normalization", LARGE)
        assert is_compiled("layer_normalization", LARGE.astype(np.float64))

    @pytest.mark.parametrize(
        "x",
        [
            LARGE[:8],
            LARGE[:0],
            LARGE.astype(np.float16),
            LARGE.astype(">f4"),
            LARGE.T,
            LARGE[:, ::2],
            LARGE.view(np.matrix) if hasattr(np, "matrix") else LARGE[:8],
        ],
        ids=["small", "empty", "float16", "other byte order", "transposed", "strided", "a subclass"],
    )
    def test_others_go_to_the_kernels_of_numpy(self, x: Any) -> None:
        assert not is_compiled("layer_normalization", x)
        if x.size and type(x) is np.ndarray:
            y, _ = nnx.functional.layer_normalization(x)
            expected, _ = find_backend("numpy").kernels["layer_normalization"].function(x)
            assert np.array_equal(y, expected)

    @needs_numba
    @pytest.mark.parametrize("name", ["layer_normalization", "rms_normalization"])
    def test_a_cotangent_that_is_there_is_added(self, name: str) -> None:
        _, pullback = KERNELS[name].function(LARGE)
        dy, present = SAMPLES.normal(size=(2, *LARGE.shape)).astype(np.float32)
        kept = present.copy()
        (dx,) = pullback(dy, out=(Plus(present),))
        assert np.array_equal(dx, present + pullback(dy)[0])
        assert np.array_equal(present, kept)
        assert pullback.adds
        wide = present.astype(np.float64) / 3.0
        (dx,) = pullback(dy, out=(Plus(wide),))
        assert dx.dtype == np.float64
        assert np.array_equal(dx, wide + pullback(dy)[0])

    @needs_numba
    def test_the_largest_of_a_window_with_nan_is_nan(self) -> None:
        x = SAMPLES.normal(size=(4, 32, 32, 32)).astype(np.float32)
        x[0, :2, 1, :4], x[1, 3, 3, 5:] = np.nan, np.nan
        axis = Axis(32, 2, 2, 1, 0, 16)
        assert is_compiled("largest_of_windows", x, Windows(axis, axis))
        y, pullback = nnx.functional.pooling.largest_of_windows(x, Windows(axis, axis))
        expected, pull_back = find_backend("numpy").kernels["largest_of_windows"].function(x, Windows(axis, axis))
        assert np.array_equal(y, expected, equal_nan=True)
        assert np.isnan(y).sum() == 4 + 27
        assert np.array_equal(pullback(np.ones_like(y)), pull_back(np.ones_like(y)))

    def test_losses_of_logits(self) -> None:
        labels, targets = np.arange(256), np.eye(256, 512, dtype=np.float32)
        for name, y_true in (
            ("sparse_categorical_crossentropy", labels),
            ("sparse_categorical_crossentropy", labels.astype(np.uint8)[:, None]),
            ("categorical_crossentropy", targets),
            ("binary_crossentropy", targets),
        ):
            used = compiler.compiler_problem() is None
            assert is_compiled(name, y_true, LARGE, True) is used
            assert is_compiled(name, y_true.reshape(2, 128, -1), LARGE.reshape(2, 128, 512), True) is used
            assert not is_compiled(name, y_true, LARGE)
            assert not is_compiled(name, y_true, LARGE, True, 0, 0)
            assert not is_compiled(name, y_true[:8], LARGE[:8], True)
            assert not is_compiled(name, y_true[:8], LARGE, True)
            assert not is_compiled(name, y_true, LARGE.astype(np.float64), True)
        assert not is_compiled("sparse_categorical_crossentropy", labels, LARGE, True, 3)
        assert not is_compiled("sparse_categorical_crossentropy", labels.astype(np.float32), LARGE, True)

    @needs_numba
    def test_labels_of_no_class_have_no_value(self) -> None:
        labels = np.arange(256)
        labels[:2] = -1, 512
        values, pullback = nnx.functional.sparse_categorical_crossentropy(labels, LARGE, from_logits=True)
        assert np.flatnonzero(np.isnan(values)).tolist() == [0, 1]
        assert np.allclose(np.add.reduce(pullback(1.0), axis=1), [1.0] * 2 + [0.0] * 254, atol=1e-6)

    @needs_numba
    def test_rows_are_added_with_the_bits_of_numpy(self) -> None:
        rows, table = SAMPLES.integers(-20, 20, 256), LARGE[:20]
        assert is_compiled("scatter_add", LARGE, rows, 20)
        expected = find_backend("numpy").kernels["scatter_add"].function(LARGE, rows, 20)
        assert np.array_equal(nnx.functional.scatter.scatter_add(LARGE, rows, 20), expected)
        x = rows.reshape(2, 128) % 20
        assert is_compiled("embedding", x, table)
        assert not is_compiled("embedding", x[:, :8], table)
        pullbacks = (
            nnx.functional.embedding(x, table)[1],
            find_backend("numpy").kernels["embedding"].function(x, table)[1],
        )
        for dy in (LARGE, LARGE.astype(np.float64), np.asfortranarray(LARGE)):
            found, expected = (pullback(dy.reshape(2, 128, 512))[1] for pullback in pullbacks)
            assert np.array_equal(found, expected)
        for outside in (20, -21):
            rows[-1] = outside
            with pytest.raises(IndexError, match="no row"):
                nnx.functional.scatter.scatter_add(LARGE, rows, 20)

    @needs_numba
    def test_exponentials_and_logarithms_are_those_of_float32(self) -> None:
        from nnx.kernels.numba import losses

        x = -np.logspace(-10, 1.94, 10_000).astype(np.float32)
        x[:3] = 0.0, -0.0, -87.3
        exact = np.exp(x.astype(np.float64))
        found = np.asarray([losses._exponential.dispatcher(value) for value in x])
        assert np.array_equal(found, found.astype(np.float32))  # not computed in float64
        assert np.all(np.abs(found - exact) <= np.spacing(exact.astype(np.float32)))
        exact = np.log1p(found)
        found = np.asarray([losses._logarithm.dispatcher(value) for value in found.astype(np.float32)])
        assert np.all(np.abs(found - exact) <= 2 * np.spacing(exact.astype(np.float32)))
        special = [losses._exponential.dispatcher(np.float32(value)) for value in (-87.5, -1e30, -np.inf, np.nan)]
        assert np.array_equal(special, [0.0, 0.0, 0.0, np.nan], equal_nan=True)

    @needs_numba
    def test_tanh_is_that_of_float32(self) -> None:
        from nnx.kernels.numba import recurrent

        tanh = recurrent._tanh.dispatcher
        x = np.logspace(-30, 1, 10_000).astype(np.float32)
        found = np.asarray([tanh(value) for value in x])
        assert np.array_equal(found, found.astype(np.float32))  # not computed in float64
        exact = np.tanh(x.astype(np.float64))
        assert np.all(np.abs(found - exact) <= 5 * np.spacing(exact.astype(np.float32)))
        assert np.all(found <= 1.0)
        assert np.array_equal([tanh(-value) for value in x], -found)
        special = [tanh(np.float32(value)) for value in (0.0, 9.1, 1e30, np.inf, -np.inf, np.nan)]
        assert np.array_equal(special, [0.0, 1.0, 1.0, 1.0, -1.0, np.nan], equal_nan=True)

    def test_a_kernel_of_ones_own_is_the_first(self, monkeypatch: pytest.MonkeyPatch) -> None:
        backend = find_backend("numpy")
        monkeypatch.setattr(backend, "kernels", dict(backend.kernels))

        def layer_normalization(x: Any, *arguments: Any) -> str:
            return "mine"

        backend_kernel(backend.kernels)(layer_normalization)
        assert nnx.functional.layer_normalization(LARGE) == "mine"

    def test_who_disables_them_gets_those_of_numpy(self, disabled: None) -> None:
        assert not nnx.config.are_compiled_kernels_enabled()
        assert not is_compiled("layer_normalization", LARGE)

    def test_settings_of_parameters_decide_too(self) -> None:
        assert not is_compiled("layer_normalization", LARGE, np.ones(512))  # float64
        assert not is_compiled("layer_normalization", LARGE, LARGE[0, :1])
        assert not is_compiled("bias_activation", LARGE, LARGE[0, :1], nnx.functional.relu)
        assert not is_compiled("sgd", LARGE.ravel(), LARGE.ravel()[1:], 0.1)
        assert not is_compiled("sgd", LARGE, LARGE, 0.1)
        assert not is_compiled("lstm_recurrence", LARGE.reshape(4, 64, 512), LARGE[0], LARGE[0], LARGE[:128])
        z, h, kernel = np.zeros((4, 64, 512)), np.zeros((64, 128)), np.zeros((128, 512))
        assert not is_compiled("lstm_recurrence", z, h, h, kernel)  # float64
        assert not is_compiled("gru_recurrence", z[:, :, :384], h, kernel[:, :384])
        assert not is_compiled("batch_normalization", LARGE, None, None, 0)
        assert not is_compiled("batch_normalization", LARGE, LARGE[0, :1])
        assert not is_compiled("batch_normalization", LARGE, None, None, -1, 1e-3, np.ones(256, bool))


@pytest.mark.usefixtures("_forgetful")
class TestWithoutNumba:
    def test_there_is_none(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "numba", None)
        assert compiler.compiler_problem() == "numba is not installed; install it with: pip install 'nnx-array[fast]'"
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert not is_compiled("layer_normalization", LARGE)

    def test_a_broken_one_warns_once(
        self, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        for name in [name for name in sys.modules if name.partition(".")[0] == "numba"]:
            monkeypatch.delitem(sys.modules, name)
        (tmp_path / "numba.py").write_text("raise ImportError('Numba needs NumPy 2.4 or less')")
        monkeypatch.syspath_prepend(tmp_path)
        with pytest.warns(
            UserWarning, match=r"cannot be imported \(ImportError: Numba needs NumPy 2.4 or less\); repair"
        ):
            assert not is_compiled("layer_normalization", LARGE)
        assert not is_compiled("layer_normalization", LARGE)
        from nnx.__main__ import main

        assert main(["info"]) == 0
        assert "numba is installed but cannot be imported" in capsys.readouterr().out

    @needs_numba
    def test_one_that_shall_not_compile(self, monkeypatch: pytest.MonkeyPatch) -> None:
        import numba

        monkeypatch.setattr(numba.config, "DISABLE_JIT", 1)
        assert not is_compiled("layer_normalization", LARGE)
        assert compiler.compiler_problem() == "NUMBA_DISABLE_JIT is set, so that numba compiles nothing"


@needs_numba
class TestProcesses:
    def test_small_steps_do_not_import_numba(self) -> None:
        assert run("train(16); print('numba' in sys.modules)") == "False\n"

    def test_training_repeats_to_the_last_bit(self) -> None:
        code = "w = train(20_000); print('numba' in sys.modules, w.tobytes() == train(20_000).tobytes(), repr(w.sum()))"
        first, second = run(code), run(code)
        assert first.startswith("True True")
        assert first == second

    @pytest.mark.parametrize("kept", [True, False], ids=["a folder", "no folder to write to"])
    def test_what_was_compiled_is_kept(self, kept: bool, tmp_path: pathlib.Path) -> None:
        code = (
            "from nnx.kernels.numba.updates import _sgd\n"
            "_sgd(np.zeros(3), np.zeros(3), 1.0)\n"
            "stats = _sgd.dispatcher.stats\n"
            "print(sum(stats.cache_hits.values()), sum(stats.cache_misses.values()))\n"
        )
        where = (
            {"NUMBA_CACHE_DIR": str(tmp_path)} if kept else {"NUMBA_CACHE_LOCATOR_CLASSES": "UserProvidedCacheLocator"}
        )
        found = [run(code, **where) for _ in "12"]
        assert found == (["0 1\n", "1 0\n"] if kept else ["0 1\n", "0 1\n"])
        assert any(tmp_path.rglob("*.nbi")) is kept


@needs_numba
class TestPlans:
    def model(self, **options: Any) -> nnx.Model:
        nnx.random.set_seed(4)
        layers = Dense(512), LayerNormalization(), BatchNormalization(), Dense(2)
        model = nnx.Sequential([Input((4,)), *layers])
        model.compile("adam", "mse", **options)
        return model

    def train(self, model: nnx.Model, steps: int = 5) -> list[np.ndarray]:
        x, y = LARGE[:70, :4], LARGE[:70, 4:6]
        return [np.asarray(model.train_on_batch(x, y)) for _ in range(steps)] + model.get_weights()

    def test_steps_are_replayed_bit_for_bit(self) -> None:
        assert is_compiled("layer_normalization", LARGE[:70])
        replayed, plain = self.model(), self.model(jit_compile=False)
        for found, expected in zip(self.train(replayed), self.train(plain), strict=True):
            assert np.array_equal(found, expected)
        assert "are replayed" in str(replayed.trainer.step.plans)

    def test_losses_are_replayed_bit_for_bit(self) -> None:
        x, labels = LARGE[:, :4], np.arange(256) % 200
        for loss, y in (
            (nnx.losses.SparseCategoricalCrossentropy(from_logits=True), labels),
            (nnx.losses.CategoricalCrossentropy(from_logits=True), np.eye(200, dtype=np.float32)[labels]),
            (nnx.losses.BinaryCrossentropy(from_logits=True), np.eye(200, dtype=np.float32)[labels]),
            ("mse", np.eye(200, dtype=np.float32)[labels]),
        ):
            steps = []
            for options in ({}, {"jit_compile": False}):
                nnx.random.set_seed(4)
                model = nnx.Sequential([Input((4,)), Dense(200)])
                model.compile("sgd", loss, **options)
                steps.append([np.asarray(model.train_on_batch(x, y)) for _ in range(5)] + model.get_weights())
            for found, expected in zip(*steps, strict=True):
                assert np.array_equal(found, expected)

    def test_they_are_made_again_for_who_disables_the_kernels(self) -> None:
        replayed, plain = self.model(), self.model(jit_compile=False)
        for model in (replayed, plain):
            self.train(model)
        nnx.config.disable_compiled_kernels()
        try:
            for found, expected in zip(self.train(replayed), self.train(plain), strict=True):
                assert np.array_equal(found, expected)
        finally:
            nnx.config.enable_compiled_kernels()


@needs_numba
def test_hyperbolic_tangents_are_right_to_five_units_in_the_last_place():
    x = np.concatenate([np.linspace(-10, 10, 100_001), np.geomspace(1e-38, 1, 10_000)]).astype(np.float32)
    y, expected = KERNELS["tanh"].function(x)[0], np.tanh(x.astype(np.float64))
    assert np.all(np.abs(y - expected) <= 5 * np.spacing(np.abs(expected).astype(np.float32)))
    assert np.array_equal(y[np.abs(x) > 9], np.sign(x[np.abs(x) > 9]))
