"""Checks of `python -m nnx selftest`: everything that computes, in two places."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

import nnx
from nnx import activations, random
from nnx.backends import Placement, to_numpy
from nnx.backends.base import Backend
from nnx.metrics import Metric
from nnx.structure import leaves, rebuild
from nnx.testing.kernel_comparison import assert_same, compare
from nnx.testing.kernel_examples import Example
from nnx.testing.kernel_rows import ROWS
from nnx.testing.rows.layer_case import LayerCase
from nnx.testing.rows.layers import LAYERS
from nnx.testing.rows.losses import LOSSES, loss_case
from nnx.testing.rows.metrics import metric_cases, metric_data
from nnx.testing.rows.optimizers import optimizer_cases
from nnx.testing.selftest_networks import TRAINED, Network

Measure = Callable[[Placement, Placement], float]
"""Computes the same in two places: the largest deviation, relative to the largest value of its array."""

Check = tuple[str, Measure, float]
"""A name, what measures the deviation, and the deviation allowed."""

EXACT = 0.0
ONE_OPERATION = (
    1e-5  # a few float32 roundings, and functions that libraries approximate to some units of the last place
)
MANY_STEPS = 2e-3  # of training curves, in which rounding differences grow


def checks(backend: Backend) -> Iterator[Check]:
    """All checks of a backend; those of its kernels compare it with itself, without them."""
    yield "random words and masks", _Both(_random_words), EXACT
    yield "masks of dropout", _Both(_dropout_masks), EXACT
    yield "shuffles and initial weights", _Both(_initial_weights), EXACT
    for name in sorted(backend.kernels):
        examples = [example for example in ROWS.get(name, ()) if example.only in (None, backend.name)]
        longest = max((example.length for example in examples), default=1)
        yield f"kernel {name}", _Kernel(name, examples), 2.0 * 16.0 * 2.0**-23 * math.sqrt(longest)  # as `assert_close`
    for rows in LAYERS.values():
        for case in rows:
            yield f"layer {case}", _Both(_Layer(case)), ONE_OPERATION
    for activation in sorted(activations.registry.objects):
        yield f"activation {activation}", _Both(_Activation(activation)), ONE_OPERATION
    for loss in LOSSES:
        yield f"loss {loss}", _Both(_LossOf(loss)), ONE_OPERATION
    for title, kind, metric in metric_cases():
        yield f"metric {title}", _Both(_ResultOf(metric, kind)), ONE_OPERATION
    dense = TRAINED["dense with dropout"]
    for title, make in optimizer_cases():
        yield f"optimiser {title}, 10 steps", _Both(_Training(dense, make, epochs=2)), MANY_STEPS
    for title, network in TRAINED.items():
        yield f"training, {title}, 3 epochs", _Both(_Training(network, nnx.optimizers.Adam, epochs=3)), MANY_STEPS


class _Both:
    """Compares what a computation gives in two places."""

    def __init__(self, compute: Callable[[Placement], list[np.ndarray]]) -> None:
        self._compute = compute

    def __call__(self, tested: Placement, host: Placement) -> float:
        pairs = zip(self._compute(tested), self._compute(host), strict=True)
        return max((deviation(mine, theirs) for mine, theirs in pairs), default=0.0)


def deviation(mine: np.ndarray, theirs: np.ndarray) -> float:
    """The largest difference, relative to the largest expected value; infinite where only one is finite."""
    if mine.shape != theirs.shape or mine.dtype != theirs.dtype:
        raise AssertionError(f"got {mine.dtype} {mine.shape}, expected {theirs.dtype} {theirs.shape}")
    found, expected = mine.astype(np.float64), theirs.astype(np.float64)
    same = (found == expected) | (np.isnan(found) & np.isnan(expected))
    scale = max(float(np.abs(expected).max(initial=0.0, where=np.isfinite(expected))), 1e-3)
    with np.errstate(invalid="ignore"):
        difference = np.where(same, 0.0, np.abs(found - expected) / scale)
    return float(np.where(np.isnan(difference), np.inf, difference).max(initial=0.0))


class _Kernel:
    """Compares a kernel with its generic form, in float32 and in two layouts; raises where they differ."""

    def __init__(self, name: str, examples: list[Example]) -> None:
        self._name = name
        self._examples = examples

    def __call__(self, tested: Placement, host: Placement) -> float:
        worst, compared = 0.0, 0

        def assert_near(mine: Any, theirs: Any, example: Example) -> None:
            nonlocal worst
            assert_same(mine, theirs, example)
            if theirs is not None:
                worst = max(worst, deviation(to_numpy(mine), to_numpy(theirs)))

        for example in self._examples:
            for layout, sizes in (("contiguous", example.sizes), ("transposed", example.sizes[-1:])):
                for n in sizes:
                    place = "float32", layout, n, None, False, tested.device
                    compared += compare(tested.backend, self._name, example, *place, assert_same=assert_near)
        if not compared:
            raise AssertionError("no example in the table that it accepts")
        return worst


def _random_words(place: Placement) -> list[np.ndarray]:
    like = place.zeros((7, 11))
    draw = random.Draw(key=0x0123456789ABCDEF0011223344556677, counter=(1 << 64) - 3, size=77)
    return [nnx.to_numpy(random.bernoulli(like, draw, 0.3)), nnx.to_numpy(random.uniform_beside(like, draw))]


def _dropout_masks(place: Placement) -> list[np.ndarray]:
    random.set_seed(6)
    with nnx.backend(place.name, device=place.device):
        layer = nnx.layers.Dropout(0.4)
        passes = [layer.forward(nnx.asarray(np.ones((64, 33))), training=True) for _ in "12"]
        kept = [(y, pullback(nnx.asarray(np.ones((64, 33))))) for y, pullback in passes]
    return [nnx.to_numpy(array) != 0.0 for both in kept for array in both]


def _initial_weights(place: Placement) -> list[np.ndarray]:
    random.set_seed(5)
    with nnx.backend(place.name, device=place.device):
        model = nnx.Sequential([nnx.layers.Dense(7, input_dim=5), nnx.layers.Dense(3, kernel_initializer="orthogonal")])
    return [*model.get_weights(), random.default().permutation(100)]


class _Layer:
    """Value, cotangent of the input and gradients of a layer."""

    def __init__(self, case: LayerCase) -> None:
        self._case = case

    def __call__(self, place: Placement) -> list[np.ndarray]:
        random.set_seed(11)
        with nnx.backend(place.name, device=place.device):
            given: Any = self._case.input()
            inputs = given if isinstance(given, list) else [given]
            dtypes = {"i": "int64", "U": "string"}
            symbols = [nnx.Input(x.shape[1:], dtype=dtypes.get(x.dtype.kind)) for x in inputs]
            model = nnx.Model(symbols, self._case.make()(symbols if isinstance(given, list) else symbols[0]))
            y, pullback = model.forward(*[x if x.dtype.kind == "U" else nnx.asarray(x) for x in inputs], training=True)
            generator = random.Generator(12)
            dxs = pullback(rebuild(y, [nnx.asarray(generator.normal(tuple(part.shape))) for part in leaves(y)]))
        gradients = [parameter.grad for parameter in model.trainable_weights]
        arrays = [nnx.to_numpy(array) for array in (*leaves(y), *leaves(dxs), *gradients)]
        return [array for array in arrays if array.dtype.kind != "U"]


class _Activation:
    """Value and cotangent of an activation."""

    def __init__(self, name: str) -> None:
        self._function = activations.resolve(name)

    def __call__(self, place: Placement) -> list[np.ndarray]:
        x = place.asarray(3.0 * random.Generator(13).normal((9, 14)))
        y, pullback = self._function(x)
        return [nnx.to_numpy(y), nnx.to_numpy(pullback(place.asarray(random.Generator(14).normal((9, 14)))))]


class _LossOf:
    """Value and gradient of a loss."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __call__(self, place: Placement) -> list[np.ndarray]:
        loss, targets, outputs = loss_case(self._name)
        value, pullback = loss.forward(place.asarray(targets), place.asarray(outputs))
        return [nnx.to_numpy(value), nnx.to_numpy(pullback())]


class _ResultOf:
    """The results of a metric after one batch, and after another one with weights."""

    def __init__(self, make: Callable[[], Metric], kind: str) -> None:
        self._make = make
        self._kind = kind

    def __call__(self, place: Placement) -> list[np.ndarray]:
        metric = self._make()
        y_true, y_pred, weight = (place.asarray(array) for array in metric_data(self._kind))
        return [nnx.to_numpy(metric(y_true, y_pred)), nnx.to_numpy(metric(y_true, y_pred, weight))]


class _Training:
    """Losses of some epochs and the predictions afterwards, from the same seed."""

    def __init__(self, network: Network, make: Callable[[], nnx.optimizers.Optimizer], epochs: int) -> None:
        self._network = network
        self._make = make
        self._epochs = epochs

    def __call__(self, place: Placement) -> list[np.ndarray]:
        random.set_seed(17)
        x, y = self._network.data(5)
        with nnx.backend(place.name, device=place.device):
            model = self._network.model(self._make())
        history = model.fit(x, y, batch_size=self._network.batch, epochs=self._epochs, verbose=0)
        return [np.asarray(history.history["loss"]), model.predict(x, verbose=0)]
