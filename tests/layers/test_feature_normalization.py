"""Rescaling and Normalization: forms of constants, adapting to data, places, files and mistakes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nnx
from nnx.backends import Placement
from nnx.layers import Dense, Input, Lambda, Normalization, Rescaling
from nnx.layers.feature_moments import _BLOCK, Moments
from nnx.random import Generator
from nnx.testing import assert_close, no_synchronization

DATA = np.float32(3.0 + 2.0 * Generator(1).normal((50, 4, 3)))


def moments_of(layer: Normalization) -> list[np.ndarray]:
    """Mean, variance and count on the host."""
    return layer.get_weights()


def expected(data: np.ndarray = DATA, axis: Any = (0, 1)) -> list[np.ndarray]:
    whole = data.astype(np.float64)
    mean = whole.mean(axis=axis)
    return [mean, whole.var(axis=axis), np.asarray(whole.size // mean.size)]


class Batches:
    """A data set that is indexed, as a `keras.utils.PyDataset` is: it never says that it ends."""

    def __len__(self) -> int:
        return 5

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        return DATA[10 * index % 50 :][:10], np.zeros(10)


@pytest.mark.parametrize(
    "make",
    [
        pytest.param(lambda: DATA, id="array"),
        pytest.param(lambda: DATA.tolist(), id="list of numbers"),
        pytest.param(lambda: [DATA[:7], DATA[7:20], DATA[20:]], id="list of batches"),
        pytest.param(lambda: (DATA[i : i + 9] for i in range(0, 50, 9)), id="generator"),
        pytest.param(lambda: ((DATA[i : i + 9], i) for i in range(0, 50, 9)), id="generator of pairs"),
        pytest.param(Batches, id="indexed"),
        pytest.param(lambda: DATA[::-1], id="strided"),
        pytest.param(lambda: DATA.astype(np.float64), id="float64"),
    ],
)
def test_adapt_takes_data_in_many_forms(backend, make):
    layer = Normalization()
    layer.adapt(make())
    assert [weight.dtype for weight in moments_of(layer)] == ["float32", "float32", "int64"]
    for mine, theirs in zip(moments_of(layer), expected(), strict=True):
        assert_close(mine, theirs, rtol=1e-6)
    x = backend.asarray(DATA)
    with no_synchronization():
        y = layer(x)
    assert_close(y, (DATA - expected()[0]) / np.sqrt(expected()[1]), rtol=1e-5, like=x)


def test_one_mean_of_everything_is_for_any_shape(backend):
    layer = Normalization(input_shape=[1], axis=None)
    layer.adapt(DATA[:, 0, 0])  # a column of a table
    model = nnx.Sequential([layer, Dense(1)])
    assert model.predict(DATA[:, 0, :1], verbose=0).shape == (50, 1)
    layer.adapt(DATA)
    assert_close(layer(backend.asarray(DATA[:5])), (DATA[:5] - DATA.mean()) / DATA.std(), rtol=1e-5)


def test_adapt_to_an_array_of_the_device(backend):
    layer = Normalization()
    layer.adapt(backend.asarray(DATA))
    assert backend.holds(layer.adapt_mean.value)
    assert_close(layer.adapt_mean.value, expected()[0], rtol=1e-6)


def test_adapt_to_a_memory_map(tmp_path: Path):
    np.save(tmp_path / "data.npy", DATA)
    layer = Normalization(axis=1)
    layer.adapt(np.load(tmp_path / "data.npy", mmap_mode="r"))
    for mine, theirs in zip(moments_of(layer), expected(axis=(0, 2)), strict=True):
        assert_close(mine, theirs, rtol=1e-6)


@pytest.mark.parametrize(("axis", "over"), [(-1, (0, 1)), (None, None), ([1, 2], (0,)), ([2, 1], (0,)), ((), None)])
def test_axes(axis: Any, over: Any):
    layer = Normalization(axis=axis)
    layer.adapt(DATA)
    mean, variance, count = expected(axis=over)
    for mine, theirs in zip(moments_of(layer), (mean, variance, count), strict=True):
        assert_close(mine, theirs, rtol=1e-6)


def test_large_arrays_are_read_in_blocks():
    data = np.float32(Generator(2).normal((3 * _BLOCK // 1000 + 7, 1000)))
    moments = Moments([1])
    for start in range(0, len(data), 500):
        moments.add(data[start : start + 500])
    layer = Normalization()
    layer.adapt(data)
    assert_close(layer.adapt_mean.value, data.mean(axis=0, dtype=np.float64), rtol=0.0, atol=1e-7)
    assert_close(layer.adapt_variance.value, moments.variance, rtol=1e-6)
    assert moments_of(layer)[2] == len(data)


def test_far_from_zero_no_digits_are_lost():
    """A sum of squares in float64 would have lost all digits of this variance."""
    steps = Generator(3).normal((1000, 2))
    moments = Moments([1])
    for part in np.split(1e9 + steps, 20):
        moments.add(part)
    assert_close(moments.variance, steps.var(axis=0), rtol=1e-6)
    naive = np.square(1e9 + steps).mean(axis=0) - np.square((1e9 + steps).mean(axis=0))
    assert (np.abs(naive - 1.0) > 0.5).any()


def test_one_pass_and_a_later_call_starts_anew():
    gone = []
    layer = Normalization()
    layer.adapt(gone.append(i) or DATA[i : i + 10] for i in range(0, 50, 10))
    assert gone == [0, 10, 20, 30, 40]
    layer.adapt(2.0 * DATA[:20])
    for mine, theirs in zip(moments_of(layer), expected(2.0 * DATA[:20]), strict=True):
        assert_close(mine, theirs, rtol=1e-6)


@pytest.mark.parametrize("axis", [-1, [1, 2], None])
def test_invert_goes_back(axis: Any):
    there, back = Normalization(axis=axis), Normalization(axis=axis, invert=True)
    there.adapt(DATA)
    back.adapt(DATA)
    assert_close(back(there(DATA)), DATA, length=8)


@pytest.mark.parametrize(
    ("axis", "mean", "variance"),
    [(-1, 0.5, 4.0), (-1, [0.5, 1.0, 2.0], [4.0, 1.0, 0.25]), ([1, 2], [1.0, 2.0, 3.0], 2.0), (None, 1, 4)],
)
def test_given_moments(backend, axis: Any, mean: Any, variance: Any):
    layer = Normalization(axis, mean, variance)
    y = layer(backend.asarray(DATA))
    assert_close(y, (DATA - np.asarray(mean)) / np.sqrt(np.asarray(variance)), length=2)
    assert layer.weights == []
    copy = Normalization.from_config(json.loads(json.dumps(layer.get_config())))
    assert_close(copy(backend.asarray(DATA)), y, 0.0, 0.0)
    with pytest.raises(ValueError, match="were given, so there is nothing to adapt"):
        layer.adapt(DATA)


def test_an_adapted_layer_in_a_model(tmp_path: Path):
    layer = Normalization()
    layer.adapt(DATA[:, 0])
    model = nnx.Sequential([Input((3,)), layer, Dense(1)])
    model.compile("sgd", "mse")
    before = moments_of(layer)
    model.fit(DATA[:, 0], DATA[:, 0, :1], epochs=2, verbose=0)
    for now, then in zip(moments_of(layer), before, strict=True):
        assert_close(now, then, 0.0, 0.0)
    assert [p.path for p in model.non_trainable_weights] == [
        f"normalization/{name}" for name in ("mean", "variance", "count")
    ]
    model.save(tmp_path / "model.safetensors")
    loaded = nnx.models.load_model(tmp_path / "model.safetensors")
    assert_close(loaded.predict(DATA[:, 0], verbose=0), model.predict(DATA[:, 0], verbose=0), 0.0, 0.0)
    assert loaded.layers[0].get_weights()[2] == 50


@pytest.mark.parametrize("graph", [False, True])
def test_nothing_goes_back_to_an_adapted_layer(graph: bool):
    """Its weights are not trained, so the layers after it save the cotangents of their inputs."""
    layer = Normalization()
    layer.adapt(DATA[:, 0])
    asked = []
    watcher = Lambda(lambda x: (x, lambda dy: asked.append(dy) or dy))
    if graph:
        x = Input((3,))
        model = nnx.Model(x, Dense(1)(watcher(layer(x))))
    else:
        model = nnx.Sequential([Input((3,)), layer, watcher, Dense(1)])
    model.compile("sgd", "mse")
    model.train_on_batch(DATA[:, 0], DATA[:, 0, :1])
    assert not asked
    assert model.layers[-1].kernel.grad.any()


@pytest.mark.parametrize("make", [lambda: Rescaling([1.0, 2.0, 3.0]), lambda: Normalization(mean=1.0, variance=4.0)])
def test_constants_move_with_the_model(backend, make):
    with nnx.backend("numpy"):
        model = nnx.Sequential([Input((4, 3)), make(), Dense(1)])
    expected = model.predict(DATA, verbose=0)
    model.to(backend.name, device=backend.device)
    y = model.predict(backend.asarray(DATA), verbose=0)
    assert backend.holds(y)
    assert_close(y, expected, length=10)


def test_rescaling_takes_integers_and_is_the_same_in_training():
    pixels = np.arange(12, dtype=np.uint8).reshape(2, 2, 3)
    layer = Rescaling(1.0 / 255.0, offset=-0.5)
    assert layer(pixels).dtype == np.float32
    assert_close(layer(pixels), pixels / 255.0 - 0.5, length=2)
    assert_close(layer(pixels, training=True), layer(pixels), 0.0, 0.0)


def test_rescaling_by_constants_of_each_channel():
    layer = Rescaling(np.asarray([1.0, 2.0, 3.0]), [0.0, 1.0, 0.0])
    assert_close(layer(DATA), DATA * [1.0, 2.0, 3.0] + [0.0, 1.0, 0.0])
    with pytest.raises(ValueError, match=r"rescaling: scale of shape \(3,\) does not fit an input \(50, 3, 4\)"):
        layer(np.swapaxes(DATA, 1, 2))


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda: Rescaling("half"), ValueError, "scale must be a finite number or an array of such, got 'half'"),
        (lambda: Rescaling(1.0, np.nan), ValueError, "offset must be a finite number"),
        (lambda: Normalization(mean=1.0), ValueError, "mean and variance must be given together"),
        (lambda: Normalization(mean=0.0, variance=-1.0), ValueError, "variance must not be negative"),
        (lambda: Normalization(axis=1.5), TypeError, "axis must be an integer or a list of integers"),
        (lambda: Normalization(axis=0).adapt(DATA), ValueError, "axis 0 of an input .* is that of the batch"),
        (lambda: Normalization().adapt(DATA[:, 0, 0]), ValueError, "axis=None gives one mean of everything"),
        (lambda: Normalization(axis=3).adapt(DATA), ValueError, "known sizes along axis"),
        (lambda: Normalization(mean=[1.0, 2.0], variance=1.0)(DATA), ValueError, r"do not fit \(3,\), the sizes"),
        (lambda: Normalization().adapt(3), TypeError, "expects an array or an iterable of batches, got int"),
        (lambda: Normalization().adapt(iter([{}])), TypeError, "batches that are arrays, or .* got dict"),
        (lambda: Normalization().adapt([]), ValueError, "got no data"),
        (lambda: Normalization().adapt(DATA[:0]), ValueError, "got no data"),
        (lambda: Normalization().adapt([DATA, DATA[..., :2]]), ValueError, r"expected data of shape \(None, 4, 3\)"),
    ],
)
def test_mistakes(make: Any, error: type[Exception], words: str):
    with pytest.raises(error, match=words):
        make()


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_data_that_are_not_finite_change_nothing(bad: float):
    layer = Normalization()
    layer.adapt(DATA)
    before = moments_of(layer)
    broken = DATA.copy()
    broken[3, 1, 2] = bad
    with np.errstate(invalid="ignore"), pytest.raises(ValueError, match="values that are not finite"):
        layer.adapt([DATA, broken])
    for now, then in zip(moments_of(layer), before, strict=True):
        assert_close(now, then, 0.0, 0.0)


def test_the_moments_that_were_found_can_be_read(backend: Placement) -> None:
    layer = Normalization()
    assert layer.mean is None
    layer.adapt(np.asarray([[0.0, 7.0], [2.0, 9.0]]))
    assert_close(layer.mean, [[1.0, 8.0]])
    assert_close(layer.variance, [[1.0, 1.0]])
    assert layer.get_config()["mean"] is None  # found, not given
    again = Normalization.from_config(layer.get_config())
    again.adapt(np.zeros((3, 2)))


def test_the_moments_of_several_axes_stand_where_the_axes_are() -> None:
    layer = Normalization(axis=(1, 3))
    layer.adapt(np.random.default_rng(0).normal(size=(2, 3, 4, 5)))
    assert layer.mean.shape == (1, 3, 1, 5)
    assert Normalization(mean=1.0, variance=2.0).mean == 1.0
