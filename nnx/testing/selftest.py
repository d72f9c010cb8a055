"""What a user runs on a GPU workstation: does that backend compute what NumPy computes, and how fast?"""

from __future__ import annotations

import platform
import statistics
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

import nnx
from nnx import activations, random
from nnx.backends import Placement
from nnx.backends.base import find_backend, usable_backend
from nnx.metrics import Metric
from nnx.testing import cases
from nnx.testing.cases_metrics import metric_cases, metric_data
from nnx.testing.layer_tables import ALL_LAYERS

Check = tuple[str, Callable[[Placement], list[np.ndarray]], float]
"""A name, a computation in a place, and the deviation allowed, relative to the largest value."""

EXACT = 0.0
ONE_OPERATION = (
    1e-5  # a few float32 roundings, and functions that libraries approximate to some units of the last place
)
MANY_STEPS = 2e-3  # of training curves, in which rounding differences grow


def selftest(name: str, device: str | None = None) -> int:
    """Compare a backend with NumPy, print a table, and return 0 if they agree, 1 if not, 2 if it cannot be used."""
    try:
        tested = Placement(usable_backend(name), device)
    except (RuntimeError, ValueError) as error:
        print(f"selftest of {name}: {error}")
        return 2
    host = Placement(find_backend("numpy"))
    print(
        f"nnx {nnx.__version__}: {tested} {tested.backend.version()} against NumPy {np.__version__} "
        f"on {platform.platform()}"
    )
    print(f"{'check':44} {'deviation':>10} {'allowed':>10}")
    failures = []
    checks = list(_checks())
    for title, compute, allowed in checks:
        try:
            worst = _deviation(compute(tested), compute(host))
            good = worst <= allowed
            print(f"{title:44} {worst:10.1e} {allowed:10.1e}{'' if good else '  DIFFERS'}")
        except Exception as error:  # whatever it is belongs into the table, and the other rows still have to run
            good = False
            print(f"{title:44} {type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}")
        if not good:
            failures.append(title)
    print(f"\n{'one training step':44} {'NumPy':>10} {tested.name:>16}")
    for title, sizes, rows in (
        ("30-64-64-2, batch 32", (30, 64, 64, 2), 32),
        ("784-512-512-10, batch 128", (784, 512, 512, 10), 128),
    ):
        times = [_time_of_step(place, sizes, rows) for place in (host, tested)]
        print(f"{title:44} {times[0] * 1e6:7.0f} us {times[1] * 1e6:13.0f} us")
    verdict = f"; FAILED: {', '.join(failures)}" if failures else ""
    print(
        f"\nselftest of {tested} {tested.backend.version()}, nnx {nnx.__version__}: "
        f"{len(checks) - len(failures)} of {len(checks)} checks passed{verdict}"
    )
    return 1 if failures else 0


def _checks() -> Iterator[Check]:
    yield "random words and masks", _random_words, EXACT
    yield "shuffles and initial weights", _initial_weights, EXACT
    for rows in ALL_LAYERS.values():
        for case in rows:
            yield f"layer {case}", _Layer(case), ONE_OPERATION
    for activation in sorted(activations.registry.objects):
        yield f"activation {activation}", _Activation(activation), ONE_OPERATION
    for loss in cases.LOSSES:
        yield f"loss {loss}", _LossOf(loss), ONE_OPERATION
    for title, kind, metric in metric_cases():
        yield f"metric {title}", _ResultOf(metric, kind), ONE_OPERATION
    for title, make in cases.optimizer_cases():
        yield f"optimiser {title}, 10 steps", _Training(make, epochs=2), MANY_STEPS
    yield "training with dropout, 3 epochs", _Training(lambda: nnx.optimizers.Adam(0.01), epochs=3), MANY_STEPS


def _deviation(found: list[np.ndarray], expected: list[np.ndarray]) -> float:
    """The largest difference, relative to the largest expected value of its array."""
    worst = 0.0
    for mine, theirs in zip(found, expected, strict=True):
        if mine.shape != theirs.shape or mine.dtype != theirs.dtype:
            raise AssertionError(f"got {mine.dtype} {mine.shape}, expected {theirs.dtype} {theirs.shape}")
        difference = np.abs(mine.astype(np.float64) - theirs.astype(np.float64))
        scale = max(float(np.abs(theirs.astype(np.float64)).max(initial=0.0)), 1e-3)
        worst = max(worst, float(difference.max(initial=0.0)) / scale)
    return worst


def _random_words(place: Placement) -> list[np.ndarray]:
    like = place.zeros((7, 11))
    draw = random.Draw(key=0x0123456789ABCDEF0011223344556677, counter=(1 << 64) - 3, size=77)
    return [nnx.to_numpy(random.bernoulli(like, draw, 0.3)), nnx.to_numpy(random.uniform(like, draw))]


def _initial_weights(place: Placement) -> list[np.ndarray]:
    random.set_seed(5)
    with nnx.backend(place.name, device=place.device):
        model = nnx.Sequential([nnx.layers.Dense(7, input_dim=5), nnx.layers.Dense(3, kernel_initializer="orthogonal")])
    return [*model.get_weights(), random.default().permutation(100)]


class _Layer:
    """Value, cotangent of the input and gradients of a layer."""

    def __init__(self, case: cases.LayerCase) -> None:
        self._case = case

    def __call__(self, place: Placement) -> list[np.ndarray]:
        random.set_seed(11)
        with nnx.backend(place.name, device=place.device):
            given: Any = self._case.input()
            inputs = given if isinstance(given, list) else [given]
            symbols = [nnx.Input(x.shape[1:], dtype="int64" if x.dtype.kind == "i" else None) for x in inputs]
            model = nnx.Model(symbols, self._case.make()(*symbols))
            y, pullback = model.forward(*[nnx.asarray(x) for x in inputs], training=True)
            dxs = pullback(nnx.asarray(random.Generator(12).normal(tuple(y.shape))))
        gradients = [parameter.grad for parameter in model.trainable_weights]
        return [nnx.to_numpy(array) for array in (y, *(dxs if isinstance(dxs, tuple) else (dxs,)), *gradients)]


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
        loss, targets, outputs = cases.loss_case(self._name)
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

    def __init__(self, make: Callable[[], Any], epochs: int) -> None:
        self._make = make
        self._epochs = epochs

    def __call__(self, place: Placement) -> list[np.ndarray]:
        random.set_seed(17)
        generator = random.Generator(18)
        x = generator.normal((80, 6))
        y = (x[:, :1] * x[:, 1:2] > 0.0).astype(np.float64)
        with nnx.backend(place.name, device=place.device):
            model = nnx.Sequential(
                [
                    nnx.layers.Dense(16, "relu", input_dim=6),
                    nnx.layers.Dropout(0.2),
                    nnx.layers.Dense(1, "sigmoid"),
                ]
            )
        model.compile(self._make(), loss="binary_crossentropy", metrics=["accuracy"])
        history = model.fit(x, y, batch_size=16, epochs=self._epochs, verbose=0)
        return [np.asarray(history.history["loss"]), model.predict(x, verbose=0)]


def _time_of_step(place: Placement, sizes: tuple[int, ...], rows: int) -> float:
    """The median time of `train_on_batch` in seconds, loss read included."""
    with nnx.backend(place.name, device=place.device):
        hidden = [nnx.layers.Dense(units, "relu") for units in sizes[1:-1]]
        model = nnx.Sequential([nnx.Input((sizes[0],)), *hidden, nnx.layers.Dense(sizes[-1], "softmax")])
        model.compile("adam", "sparse_categorical_crossentropy")
        x = nnx.asarray(random.Generator(1).normal((rows, sizes[0])))
        y = nnx.asarray(random.Generator(2).integers(rows).astype(np.int64) % sizes[-1])
    times = []
    for _ in range(30):
        start = time.perf_counter()
        model.train_on_batch(x, y)
        times.append(time.perf_counter() - start)
    return statistics.median(times[5:])
