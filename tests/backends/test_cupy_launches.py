"""What training asks of a GPU, counted where CuPy runs on the CPU: launches, copies, allocations; and the same numbers.

Matrix products are counted apart from launches.
"""

from __future__ import annotations

import io
import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import nnx
from nnx import ops
from nnx.backends import Array, to_numpy
from nnx.callbacks import ProgbarLogger
from nnx.layers import (
    Activation,
    Add,
    BatchNormalization,
    Conv2D,
    Dense,
    Dropout,
    Embedding,
    Flatten,
    GlobalAveragePooling1D,
    GlobalAveragePooling2D,
    Input,
    Layer,
    LayerNormalization,
    Masking,
    MaxPooling2D,
    MultiHeadAttention,
    RandomBrightness,
    RandomContrast,
    RandomFlip,
    RandomRotation,
    RandomShear,
    RandomTranslation,
    RandomZoom,
    ReLU,
)
from nnx.pullbacks import Pullback
from nnx.testing import assert_close

HOW = "run `PYTHONPATH=ci/cupy_on_cpu python -m pytest -p cupy_on_cpu.plugin`"
cupy_on_cpu = pytest.importorskip("cupy_on_cpu", reason=f"CuPy on the CPU is not on the path: {HOW}")
if not cupy_on_cpu.is_active():
    pytest.skip(f"CuPy does not run on the CPU: {HOW}", allow_module_level=True)


def perceptron() -> nnx.Model:
    return nnx.Sequential([Dense(512, "relu", input_dim=784), Dense(512, "relu"), Dense(10, "softmax")])


def lenet() -> nnx.Model:
    return nnx.Sequential(
        [
            Conv2D(6, 5, padding="same", activation="relu", input_shape=(28, 28, 1)),
            MaxPooling2D(2),
            Conv2D(16, 5, activation="relu"),
            MaxPooling2D(2),
            Flatten(),
            Dense(120, "relu"),
            Dense(84, "relu"),
            Dense(10, "softmax"),
        ]
    )


def transformer() -> nnx.Model:
    x = tokens = Input(shape=(16, 64))
    for _ in range(2):
        x = LayerNormalization()(x + MultiHeadAttention(num_heads=4, key_dim=16)(x, x))
        x = LayerNormalization()(x + Dense(64)(Dense(128, "relu")(x)))
    return nnx.Model(tokens, Dense(10, "softmax")(Flatten()(x)))


def pre_normalised_transformer() -> nnx.Model:
    x = tokens = Input(shape=(16,), dtype="int32")
    x = Embedding(50, 32)(x)
    for _ in range(2):
        normal = LayerNormalization()(x)
        x = Add()([x, MultiHeadAttention(num_heads=4, key_dim=8)(normal, normal)])
        x = Add()([x, Dense(32)(Dense(64, "relu")(LayerNormalization()(x)))])
    return nnx.Model(tokens, Dense(10, "softmax")(GlobalAveragePooling1D()(x)))


def masked_transformer() -> nnx.Model:
    """Attention with dropout, a mask for each sequence, and a causal one."""
    x = Input(shape=(10, 8))
    seen = Masking()(x)
    seen = Add()([seen, MultiHeadAttention(2, 4, dropout=0.2)(seen, seen, use_causal_mask=True)])
    seen = Add()([seen, Dense(8)(Dense(16, "gelu")(LayerNormalization()(seen)))])
    return nnx.Model(x, Dense(4, "softmax")(GlobalAveragePooling1D()(seen)))


def residual() -> nnx.Model:
    """The three ResNet blocks of `ci/benchmarks`, the second and third of which halve the image."""

    def normalised(x: Any, filters: int, stride: int = 1) -> Any:
        return BatchNormalization()(Conv2D(filters, 3, stride, "same", use_bias=False)(x))

    x = start = Input((16, 16, 3))
    x = Activation("relu")(normalised(x, 16))
    for filters, stride in ((16, 1), (32, 2), (64, 2)):
        short = x if stride == 1 else Conv2D(filters, 1, stride, use_bias=False)(x)
        body = normalised(ReLU()(normalised(x, filters, stride)), filters)
        x = Activation("relu")(Add()([body, short]))
    return nnx.Model(start, Dense(10, "softmax")(GlobalAveragePooling2D()(x)))


def small_perceptron() -> nnx.Model:
    return nnx.Sequential([Dense(8, "relu", input_dim=4), Dense(3, "softmax")])


def small_convolution() -> nnx.Model:
    return nnx.Sequential(
        [
            Conv2D(8, 3, activation="relu", input_shape=(10, 10, 2)),
            BatchNormalization(),
            MaxPooling2D(2),
            Dropout(0.25),
            Flatten(),
            Dense(32, "relu"),
            Dropout(0.5),
            Dense(4, "softmax"),
        ]
    )


class Recorder(Layer):
    """Hands its input on, and keeps a copy of it on the host."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.seen: list[np.ndarray] = []

    def forward(self, x: Array, *, training: bool = False) -> tuple[Array, Pullback]:
        self.seen.append(to_numpy(x).copy())
        return x, lambda dy: dy


def compiled(
    make: Callable[[], nnx.Model], backend: str, loss: Any = "sparse_categorical_crossentropy", **options: Any
) -> nnx.Model:
    nnx.random.set_seed(5)
    with nnx.backend(backend):
        model = make()
    model.compile("adam", loss, **options)
    return model


def count_step(make: Callable[[], nnx.Model], loss: Any = "sparse_categorical_crossentropy") -> Any:
    """What one training step asks of the device, after two that build, compile, and fill the pool of memory."""
    model = compiled(make, "cupy", loss)
    x = np.random.default_rng(0).uniform(0.0, 50.0, (16, *model.input_shape[1:])).astype(np.float32)
    with nnx.backend("cupy") as place:
        batch = model.trainer.pipeline.batch(place.asarray(x), place.asarray(np.arange(16) % 4))
    for _ in range(2):
        model.trainer.step.train(*batch)
    with cupy_on_cpu.count() as counts:
        model.trainer.step.train(*batch)
    return counts


class TestStep:
    @pytest.mark.parametrize(
        ("make", "launches", "products"),
        [
            (perceptron, 10, 9),
            (lenet, 25, 15),
            (transformer, 39, 41),
            (pre_normalised_transformer, 40, 42),
            (residual, 72, 30),
            (small_convolution, 23, 9),
        ],
    )
    def test_counts(self, make: Callable[[], nnx.Model], launches: int, products: int) -> None:
        counts = count_step(make)
        assert counts.launches <= launches, sorted(counts.kernel_names)
        assert counts.gemms <= products
        assert (counts.device_to_host, counts.host_to_device) == (0, 0)
        assert (counts.synchronizations, counts.allocations) == (0, 0)

    def test_layers_reach_the_kernels(self) -> None:
        names = [*count_step(small_convolution).kernel_names, *count_step(transformer).kernel_names]
        kernels = (
            "dropout",
            "moments",
            "normalize_columns",
            "normalization",
            "products_and_sums",
            "attention_scores",
            "side_by_side",
            "relu_pullback_and_sums",
            "scaled_sum",
            "adam",
        )
        assert {f"nnx_{kernel}" for kernel in kernels} <= set(names)
        assert names.count("nnx_dropout") == 4  # two layers, forward and backward


class OwnGate(Layer):
    """Array code: x * sigmoid(x * weight)."""

    def build(self, input_shape: Any) -> None:
        self.weight = self.add_weight((input_shape[-1],), "ones", name="weight")
        Layer.build(self, input_shape)

    def call(self, x: Any) -> Any:
        return x * ops.sigmoid(x * self.weight)


class OwnGateByHand(Layer):
    """The same with its pullback."""

    build = OwnGate.build

    def forward(self, x: Array, *, training: bool = False) -> tuple[Array, Pullback]:
        weight, xp = self.weight.value, nnx.array_namespace(x)
        opened, pullback_opened = nnx.functional.sigmoid(x * weight)

        def pullback(dy: Array) -> Any:
            dz = pullback_opened(dy * x)
            return dy * opened + dz * weight, xp.sum(dz * x, axis=0)

        return x * opened, self.route(pullback, None, self.weight)


def own_crossentropy(y_true: Any, y_pred: Any) -> Any:
    p = ops.take_along_axis(y_pred, ops.cast(y_true[:, None], "int32"), axis=-1)[:, 0]
    return -ops.log(ops.clip(p, 1e-7, 1.0))


def gated(gate: type[Layer]) -> Callable[[], nnx.Model]:
    return lambda: nnx.Sequential([Dense(64, "relu", input_dim=64), gate(), Dense(4, "softmax")])


class TestArrayCode:
    """Layers and losses of one's own."""

    def test_a_gate_launches_what_it_launches_by_hand(self) -> None:
        mine, by_hand = (count_step(gated(gate)) for gate in (OwnGate, OwnGateByHand))
        assert mine.launches <= by_hand.launches, (sorted(mine.kernel_names), sorted(by_hand.kernel_names))
        assert mine.gemms == by_hand.gemms
        assert mine.allocations == by_hand.allocations

    @pytest.mark.parametrize("loss", ["sparse_categorical_crossentropy", own_crossentropy])
    def test_nothing_goes_to_the_host_or_comes_from_it(self, loss: Any) -> None:
        counts = count_step(gated(OwnGate), loss)
        assert (counts.device_to_host, counts.host_to_device, counts.synchronizations) == (0, 0, 0)


class TestAugmentation:
    @pytest.mark.parametrize(
        ("layer", "most"),
        [
            (RandomFlip(), 4),
            (RandomTranslation(0.1, 0.1), 10),
            (RandomRotation(0.1), 6),
            (RandomZoom(0.1, 0.2), 10),
            (RandomShear(0.1, 0.1), 11),
            (RandomContrast(0.2), 9),
            (RandomBrightness(0.2), 7),
        ],
        ids=lambda value: getattr(value, "name", None),
    )
    def test_counts(self, layer: Layer, most: int) -> None:
        with nnx.backend("cupy") as place:
            x = place.asarray(np.random.default_rng(0).random((4, 8, 8, 3)).astype(np.float32))
            for _ in range(2):
                layer(x, training=True)
            with cupy_on_cpu.count() as counts:
                layer(x, training=True)
        assert counts.launches <= most, sorted(counts.kernel_names)
        assert (counts.device_to_host, counts.host_to_device) == (0, 0)
        assert (counts.synchronizations, counts.allocations) == (0, 0)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class TestFit:
    @pytest.mark.parametrize("stream", [io.StringIO, Terminal], ids=["pipe", "terminal"])
    def test_the_host_reads_only_what_the_progress_bar_shows(self, stream: type[io.StringIO]) -> None:
        model = compiled(small_perceptron, "cupy", metrics=["accuracy"])
        x, y = np.random.default_rng(0).normal(size=(400, 4)).astype(np.float32), np.arange(400) % 3
        model.fit(x, y, batch_size=4, verbose=0)
        seconds = itertools.count()
        output = stream()
        bar = ProgbarLogger(stream=output, clock=lambda: next(seconds) * 2e-3)  # the hundred batches take 0.2 s
        with cupy_on_cpu.count() as counts:
            model.fit(x, y, batch_size=4, verbose=1, callbacks=[bar])
        assert "100/100" in output.getvalue()
        assert counts.device_to_host <= 5
        assert counts.synchronizations <= counts.device_to_host
        assert counts.allocations == 0


class TestSameNumbers:
    """The same seed on NumPy and on CuPy."""

    @pytest.mark.parametrize(("make", "epochs"), [(small_convolution, 3), (masked_transformer, 12)])
    def test_training_curves(self, make: Callable[[], nnx.Model], epochs: int) -> None:
        random = np.random.default_rng(0)
        y = random.integers(4, size=96)
        if make is small_convolution:
            x = random.normal(size=(96, 10, 10, 2)) + np.eye(4)[y].repeat(50, axis=1).reshape(96, 10, 10, 2)
        else:
            x = random.normal(size=(96, 10, 8)) + 2.0 * np.eye(8)[y][:, None]
            x[::3, 7:] = 0.0  # padding
        curves = []
        for backend in ("numpy", "cupy"):
            model = compiled(make, backend, metrics=["accuracy"])
            curves.append(model.fit(x, y, batch_size=16, epochs=epochs, validation_split=0.25, verbose=0).history)
        assert curves[0].keys() == curves[1].keys() == {"loss", "accuracy", "val_loss", "val_accuracy"}
        assert curves[0]["loss"][-1] < 0.8 * curves[0]["loss"][0]  # something was learnt
        for name, values in curves[0].items():
            assert_close(curves[1][name], values, rtol=0.0, atol=2e-3)

    def test_random_numbers_are_equal_bit_for_bit(self) -> None:
        x = np.arange(1.0, 65.0, dtype=np.float32).reshape(16, 4)
        weights, batches = [], []
        for backend in ("numpy", "cupy"):
            before, behind = Recorder(), Recorder()
            model = compiled(
                lambda: nnx.Sequential([Input((4,)), before, Dropout(0.4), behind, Dense(3, "softmax")]),  # noqa: B023
                backend,
            )
            weights.append(model.get_weights())
            model.fit(x, np.arange(16) % 3, batch_size=5, epochs=2, verbose=0)
            batches.append([*before.seen, *behind.seen])
        assert len(batches[0]) == len(batches[1]) == 2 * 2 * 4
        assert not np.array_equal(batches[0][0], x[:5])  # shuffled
        assert np.any(batches[0][-1] == 0.0)  # dropped
        for mine, theirs in zip(weights[1] + batches[1], weights[0] + batches[0], strict=True):
            assert np.array_equal(mine, theirs)
