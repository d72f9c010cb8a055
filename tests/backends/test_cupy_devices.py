"""A model on the second CUDA device, used where the first one is current: as on the first, and nothing changes that.

CuPy computes on the current device, and with an array of another one it fails, or on a GPU computes nonsense.
"""

from __future__ import annotations

import copy
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nnx
from nnx.backends import Placement, backend_of
from nnx.backends.base import find_backend
from nnx.backends.cupy_uploads import SMALLEST_BYTES
from nnx.callbacks import BackupAndRestore, EarlyStopping, LambdaCallback, ReduceLROnPlateau
from nnx.layers import (
    LSTM,
    BatchNormalization,
    Conv2D,
    Dense,
    Dropout,
    Embedding,
    Flatten,
    Input,
    MultiHeadAttention,
    Normalization,
)
from nnx.random import Generator
from nnx.testing.rows.optimizers import optimizer_cases

_problem = nnx.available_backends()["cupy"]
if _problem:
    pytest.skip(_problem, allow_module_level=True)
import cupy  # noqa: E402

if cupy.cuda.runtime.getDeviceCount() < 2:
    pytest.skip("there is no second CUDA device", allow_module_level=True)

HERE, THERE = "cuda:0", "cuda:1"
GENERATOR = Generator(3)
IMAGES = np.float32(GENERATOR.normal((24, 6, 6, 2)))
TOKENS = np.int64(GENERATOR.uniform((24, 5)) * 9)
LABELS = np.arange(24) % 3
DATA = ([IMAGES, TOKENS], LABELS)


def current() -> int:
    return int(cupy.cuda.runtime.getDevice())


@pytest.fixture(autouse=True)
def _the_first_device_is_current() -> Iterator[None]:
    """Before every test, and after it whatever it does."""
    assert current() == 0
    nnx.set_deterministic()
    yield
    nnx.set_deterministic(False)
    assert current() == 0


def network(optimizer: Any = "adam") -> nnx.Model:
    images, tokens = Input(shape=(6, 6, 2)), Input(shape=(5,), dtype="int64")
    seen = Conv2D(4, 3, activation="relu", kernel_regularizer="l2")(images)
    seen = Dropout(0.3)(Flatten()(BatchNormalization()(seen)))
    read = Embedding(9, 6, mask_zero=True)(tokens)
    read = MultiHeadAttention(2, 3)(read, read)
    read = LSTM(5, dropout=0.2)(read)
    joined = Dense(8, "tanh", bias_constraint="max_norm")(nnx.layers.Concatenate()([seen, read]))
    model = nnx.Model([images, tokens], Dense(3, "softmax")(joined))
    model.compile(optimizer, "sparse_categorical_crossentropy", metrics=["accuracy"], weighted_metrics=["ce"])
    return model


def on(device: str, make: Callable[..., Any] = network, *arguments: Any, dtype: str | None = None) -> Any:
    """What is made in a block on a device."""
    nnx.random.set_seed(7)
    with nnx.backend("cupy", device=device, dtype=dtype):
        return make(*arguments)


def perceptron(optimizer: Any = "adam", **options: Any) -> nnx.Sequential:
    model = nnx.Sequential([Dense(6, "relu", input_dim=5, kernel_regularizer="l2"), Dense(3)])
    model.compile(optimizer, "mse", metrics=["mae"], **options)
    return model


X, Y = np.float32(GENERATOR.normal((20, 5))), np.float32(GENERATOR.normal((20, 3)))


def assert_equal(found: Any, expected: Any) -> None:
    """Nested numbers and arrays; two GPUs of one kind round alike."""
    if isinstance(expected, dict):
        assert found.keys() == expected.keys()
        found, expected = list(found.values()), list(expected.values())
    if isinstance(expected, list | tuple):
        assert len(found) == len(expected)
        for pair in zip(found, expected, strict=True):
            assert_equal(*pair)
        return
    np.testing.assert_allclose(nnx.to_numpy(found), nnx.to_numpy(expected), rtol=1e-6, atol=1e-7)


def assert_is_on(model: nnx.Model, number: int) -> None:
    """All that a model has: parameters, gradients, slots."""
    arrays = [parameter.value for parameter in model.weights]
    arrays += [model.flat.values, model.flat.grads, *model.optimizer.slots.values()]
    assert {array.device.id for array in arrays} == {number}


def same_on_both(use: Callable[[str], Any]) -> Any:
    """Let something be done with each device, outside of blocks, and compare; the value of the second."""
    results = []
    for device in (HERE, THERE):
        results.append(use(device))
        assert current() == 0
    assert_equal(results[1], results[0])
    return results[1]


class TestBlock:
    def test_makes_its_device_the_current_one(self) -> None:
        with nnx.backend("cupy", device=THERE) as placement:
            assert current() == 1
            with nnx.backend("cupy", device=HERE):
                assert current() == 0
            with nnx.backend("numpy"):
                assert nnx.functional.relu(np.ones(2))[0].shape == (2,)
            assert current() == 1
            x = nnx.asarray([[-1.0, 2.0]])
            y, pullback = nnx.functional.dense(x, nnx.asarray(np.eye(2)), nnx.asarray([1.0, 1.0]))
            dx, *_ = pullback(nnx.functional.relu(y + 1.0)[0])
            assert dx.device.id == 1
            assert placement.zeros((2,)).device.id == 1
        assert current() == 0
        assert dx.get().tolist() == [[1.0, 4.0]]

    def test_restores_the_device_after_an_exception(self) -> None:
        with pytest.raises(KeyError), nnx.backend("cupy", device=THERE):
            raise KeyError

    def test_is_left_in_any_order(self) -> None:
        def inside(device: str) -> Iterator[int]:
            with nnx.backend("cupy", device=device):
                yield current()

        first, second = inside(THERE), inside(HERE)
        assert (next(first), next(second)) == (1, 0)
        first.close()
        second.close()

    def test_by_default_means_the_device_that_is_current(self) -> None:
        with cupy.cuda.Device(1), nnx.backend("cupy"):
            model = perceptron()
        model.fit(X, Y, verbose=0)
        assert_is_on(model, 1)

    def test_reaches_the_thread_of_a_loader(self) -> None:
        def doubled(x: Any, y: Any) -> Any:
            return nnx.to_numpy(nnx.asarray(x) * 2.0), y

        with nnx.backend("cupy", device=THERE):
            loader = nnx.data.DataLoader(X, Y, batch_size=20, shuffle=False, map=doubled, prefetch=2)
            [(x, _)] = list(loader)
        assert_equal(x, X * 2.0)


class TestModel:
    def test_is_trained_evaluated_and_asked(self) -> None:
        def use(device: str) -> Any:
            model = on(device)
            history = model.fit(*DATA, batch_size=7, epochs=2, validation_split=0.25, verbose=0).history
            weight = np.linspace(0.5, 1.5, 24)
            results = [
                history,
                model.evaluate(*DATA, batch_size=9, verbose=0, sample_weight=weight),
                model.predict(DATA[0], batch_size=9, verbose=0),
                model.train_on_batch(*DATA, sample_weight=weight),
                model.test_on_batch(*DATA),
                model.predict_on_batch(DATA[0]),
                model.get_weights(),
            ]
            assert_is_on(model, int(device[-1]))
            return results

        history, *_ = same_on_both(use)
        assert history["loss"][1] < history["loss"][0]

    def test_takes_batches_that_are_copied_while_it_computes(self) -> None:
        x, y = np.tile(X, (300, 3)), np.tile(Y, (300, 1))  # a batch has more than the smallest upload
        batches = [(x[start : start + 5000], y[start : start + 5000]) for start in (0, 500, 1000)]

        def use(device: str) -> Any:
            model = on(device, lambda: nnx.Sequential([Dense(3, input_dim=15)]))
            model.compile("adam", "mse")
            assert batches[0][0].nbytes > SMALLEST_BYTES
            return model.fit(batches, epochs=2, verbose=0).history

        same_on_both(use)

    def test_takes_arrays_of_its_device(self) -> None:
        def use(device: str) -> Any:
            model = on(device)
            placed = [on(device, nnx.asarray, array) for array in (IMAGES, TOKENS, LABELS)]
            model.fit(placed[:2], placed[2], batch_size=7, verbose=0)
            y = model.predict(placed[:2], batch_size=10, verbose=0)
            called = model(*placed[:2], training=True)
            assert {y.device.id, called.device.id} == {int(device[-1])}
            return y, called

        same_on_both(use)

    def test_is_saved_loaded_and_trained_on(self, tmp_path: Path) -> None:
        def use(device: str) -> Any:
            model = on(device)
            model.fit(*DATA, batch_size=7, verbose=0)
            model.save(tmp_path / "model.safetensors")
            loaded = on(device, nnx.saving.load_model, tmp_path / "model.safetensors")
            loaded.fit(*DATA, batch_size=7, verbose=0)
            model.save_weights(tmp_path / "weights.safetensors")
            model.load_weights(tmp_path / "weights.safetensors")
            model.fit(*DATA, batch_size=7, verbose=0)
            assert_is_on(loaded, int(device[-1]))
            assert_equal(loaded.get_weights(), model.get_weights())
            return loaded.get_weights()

        same_on_both(use)

    def test_goes_on_after_an_interruption(self, tmp_path: Path) -> None:
        def interrupt(batch: int, logs: Any) -> None:
            if batch == 2:
                assert logs["loss"] > 0.0
                raise KeyboardInterrupt

        def use(device: str) -> Any:
            backup = BackupAndRestore(tmp_path / device[-1], save_freq=1)
            options: dict[str, Any] = {"batch_size": 7, "epochs": 2, "verbose": 0}
            with pytest.raises(KeyboardInterrupt):
                on(device).fit(*DATA, callbacks=[backup, LambdaCallback(on_train_batch_end=interrupt)], **options)
            assert current() == 0
            model, whole = on(device), on(device)
            model.fit(*DATA, callbacks=[backup, LambdaCallback()], **options)
            whole.fit(*DATA, **options)
            assert_equal(model.get_weights(), whole.get_weights())
            return model.get_weights()

        same_on_both(use)

    def test_is_watched_by_callbacks(self) -> None:
        def use(device: str) -> Any:
            model = on(device, perceptron, "sgd")
            seen: list[float] = []
            callbacks = [
                EarlyStopping("loss", patience=1, restore_best_weights=True),
                ReduceLROnPlateau("loss", patience=1),
                LambdaCallback(on_train_batch_end=lambda batch, logs: seen.append(logs["mae"])),
            ]
            model.fit(X, Y, batch_size=6, epochs=3, callbacks=callbacks, verbose=0)
            return seen, model.get_weights()

        same_on_both(use)

    def test_two_are_trained_in_turns(self) -> None:
        here, there, alone = on(HERE), on(THERE), on(HERE)
        for _ in range(3):
            losses = [model.train_on_batch(*DATA) for model in (here, there, alone)]
            assert_equal(losses, [losses[2]] * 3)
        with nnx.backend("cupy", device=THERE):
            here.train_on_batch(*DATA)
            assert current() == 1
        there.train_on_batch(*DATA)
        assert_is_on(here, 0)
        assert_is_on(there, 1)
        assert_equal(there.get_weights(), here.get_weights())

    def test_on_the_default_device_stays_there(self) -> None:
        with nnx.backend("cupy"):
            model = perceptron()
        with cupy.cuda.Device(1):
            model.fit(X, Y, verbose=0)
            assert model.predict(nnx.to_numpy(X), verbose=0).shape == (20, 3)
            assert current() == 1
        assert_is_on(model, 0)

    def test_on_the_device_of_a_rank_stays_there_in_every_thread(self, monkeypatch: pytest.MonkeyPatch) -> None:
        backend = find_backend("cupy")
        monkeypatch.setattr(backend, "_own_device", None)  # is put back after the test

        def train() -> None:
            before = current()
            with nnx.backend("cupy"):
                model = perceptron()
            model.fit(X, Y, verbose=0)
            assert_is_on(model, 1)
            seen.append((before, current()))

        seen: list[tuple[int, int]] = []
        with cupy.cuda.Device(0):
            backend.use_device(1)
            train()
            thread = threading.Thread(target=train)
            thread.start()
            thread.join()
        assert seen == [(1, 1), (0, 0)]

    @pytest.mark.parametrize(("title", "optimizer"), optimizer_cases(), ids=lambda value: str(value)[:20])
    def test_is_trained_by_every_optimizer(self, title: str, optimizer: Callable[[], Any]) -> None:
        def use(device: str) -> Any:
            model = on(device, perceptron, optimizer())
            model.fit(X, Y, batch_size=8, verbose=0)
            assert_is_on(model, int(device[-1]))
            return model.get_weights()

        same_on_both(use)

    @pytest.mark.parametrize("dtype", ["float16", "float64"])
    def test_of_other_dtypes(self, dtype: str) -> None:
        def use(device: str) -> Any:
            options = {"clipnorm": 1.0, "weight_decay": 0.01, "use_ema": True, "gradient_accumulation_steps": 2}
            model = on(device, perceptron, nnx.optimizers.Adam(0.01, **options), dtype=dtype)
            model.fit(X, Y, batch_size=8, epochs=2, verbose=0)
            assert_is_on(model, int(device[-1]))
            return model.get_weights()

        same_on_both(use)

    def test_is_trained_by_a_loop_of_ones_own(self) -> None:
        def use(device: str) -> Any:
            model, optimizer = on(device, perceptron), nnx.optimizers.Adam(0.01)
            x, dy = on(device, nnx.asarray, X), on(device, nnx.asarray, Y)
            assert model.flat.grads.device.id == int(device[-1])
            for _ in range(2):
                y, pullback = model.forward(x, training=True)
                penalty, pullback_penalty = model.regularization()
                dx = pullback(dy)
                pullback_penalty()
                optimizer.step(model)
            optimizer.step(model)  # by gradients that are zero
            assert {array.device.id for array in (y, dx, penalty)} == {int(device[-1])}
            return y, dx, penalty, model.get_weights()

        same_on_both(use)

    def test_moves(self) -> None:
        def use(device: str) -> Any:
            model = on(HERE)
            for place in (device, HERE, device):
                model.fit(*DATA, batch_size=7, verbose=0)
                model.to("cupy", device=place)
            model.set_weights([2.0 * weight for weight in model.get_weights()])
            model.fit(*DATA, batch_size=7, verbose=0)
            assert_is_on(model, int(device[-1]))
            return model.to("numpy").predict(DATA[0], verbose=0)

        same_on_both(use)

    def test_is_copied_beside_itself(self) -> None:
        model = on(THERE)
        model.train_on_batch(*DATA)
        copied = copy.deepcopy(model)
        model.train_on_batch(*DATA)
        copied.train_on_batch(*DATA)
        assert_is_on(copied, 1)
        assert_equal(copied.get_weights(), model.get_weights())

    def test_is_built_by_its_first_data(self) -> None:
        def use(device: str) -> Any:
            model = on(device, lambda: nnx.Sequential([Normalization(), Dense(3)]))
            model.compile("adam", "mse")
            with nnx.backend("cupy", device=device):
                model.layers[0].adapt(X)
                model.fit(X, Y, verbose=0)
            model.layers[0].adapt(2.0 * X)
            model.fit(X, Y, verbose=0)
            assert_is_on(model, int(device[-1]))
            return model.get_weights()

        same_on_both(use)


class TestLayer:
    def test_is_called_where_its_input_is(self) -> None:
        def use(device: str) -> Any:
            nnx.random.set_seed(1)
            x = on(device, nnx.asarray, TOKENS)
            y = Dense(3, dtype="float32")(Embedding(9, 4)(x))
            assert y.device.id == int(device[-1])
            return y

        same_on_both(use)

    def test_may_compute_when_it_is_built(self) -> None:
        class Shift(nnx.layers.Layer):
            def build(self, input_shape: Any) -> None:
                self.shift = self.placement.asarray(np.arange(5.0)) * 2.0
                super().build(input_shape)

            def forward(self, x: Any, *, training: bool = False) -> Any:
                return x + self.shift, lambda dy: dy

        same_on_both(lambda device: Shift()(on(device, nnx.asarray, X)))

    def test_remembers_its_state(self) -> None:
        def use(device: str) -> Any:
            x = on(device, nnx.asarray, IMAGES[:, :, :, 0])
            layer = on(device, LSTM, 4)
            layer.stateful = True
            first = layer(x)
            layer.reset_states([1.0 * nnx.to_numpy(state) for state in layer.states])
            return first, layer(x), layer.states

        same_on_both(use)


class TestErrors:
    def test_of_data_leave_the_device_as_it_is(self) -> None:
        model = on(THERE)
        for call in (
            lambda: model.fit([IMAGES], LABELS, verbose=0),
            lambda: model.predict([IMAGES[:, :, :, :1], TOKENS], verbose=0),
            lambda: model.train_on_batch([IMAGES, TOKENS], LABELS + 1),
            lambda: model(cupy.ones((1, 6, 6, 2)), cupy.ones((1, 5), int)),
            lambda: model.set_weights([]),
        ):
            with pytest.raises(ValueError):
                call()
            assert current() == 0

    def test_of_data_on_another_device_name_both(self) -> None:
        model = on(THERE, perceptron)
        there = r"move the model with sequential\.to\('cupy', device='cuda:0'\)"
        with pytest.raises(ValueError, match=rf"x is on cupy \(cuda:0\), sequential is on cupy \(cuda:1\): .* {there}"):
            model.predict(cupy.asarray(X), verbose=0)

    def test_of_kernels_for_arrays_on_another_device_name_it(self) -> None:
        """Also where GPUs read each other's memory: CuPy would compute here, and not wait for what is done there."""
        with cupy.cuda.Device(1):
            x = cupy.asarray(X)
        with pytest.raises(ValueError, match=r'an array is on cuda:1, .* `with nnx\.backend\("cupy", device="cuda:1"'):
            nnx.functional.relu(x)

    def test_of_a_callback_leave_the_device_as_it_is(self) -> None:
        def fail(epoch: int, logs: Any) -> None:
            raise KeyError

        model = on(THERE)
        with pytest.raises(KeyError):
            model.fit(*DATA, callbacks=[LambdaCallback(on_epoch_end=fail)], verbose=0)
        assert current() == 0
        model.fit(*DATA, verbose=0)


def test_arrays_of_both_are_brought_to_the_host() -> None:
    strided = on(THERE, lambda: nnx.asarray(X)[::2, ::-1])
    assert_equal(strided, X[::2, ::-1])
    assert Placement(backend_of(strided), THERE).asarray(strided, "float64").device.id == 1
