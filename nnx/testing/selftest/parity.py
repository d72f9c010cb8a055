"""Parity with NumPy in the selftest: everything that computes, in two places."""

from __future__ import annotations

import concurrent.futures
import contextlib
import functools
import math
import os
from collections.abc import Callable
from typing import Any

import numpy as np

import nnx
from nnx import activations, random
from nnx.backends import Placement
from nnx.backends.base import find_backend
from nnx.kernels import GENERIC
from nnx.metrics import Metric
from nnx.structure import leaves, rebuild
from nnx.testing.kernel_comparison import Outcome, assert_equal_outcomes, described, without_kernels
from nnx.testing.kernel_examples import Example, Values
from nnx.testing.kernel_rows import ROWS
from nnx.testing.rows.layer_case import LayerCase
from nnx.testing.rows.layers import LAYERS
from nnx.testing.rows.losses import LOSSES, loss_case
from nnx.testing.rows.metrics import metric_cases, metric_data
from nnx.testing.rows.optimizers import optimizer_cases
from nnx.testing.selftest.check import NotRunError, Part
from nnx.testing.selftest.machine import accelerators
from nnx.testing.selftest.networks import TRAINED, Network

Compute = Callable[[Placement], list[np.ndarray]]
"""Computes in a place, always from the same numbers, and brings the results to the host."""

Computation = tuple[str, Compute, float]
"""A name, what computes, and how much it may deviate from NumPy."""

EXACT = 0.0
ONE_OPERATION = (
    1e-5  # a few float32 roundings, and functions that libraries approximate to some units of the last place
)
MANY_STEPS = 2e-3  # of training curves, in which rounding differences grow

OTHER_WAYS = (("float32", "transposed"), ("float64", "contiguous"))
"""Dtypes and layouts in which the first example of a kernel is compared, beside all of them contiguous in float32."""

HOST = Placement(find_backend("numpy"))


def compiled(place: Placement) -> list[Part]:
    """Every kernel called in each floating dtype, and so compiled; as many at a time as there are cores.

    So is everything that is compared later, which needs kernels of CuPy; what it gives is looked at then.
    """
    tasks: dict[str, Callable[[], Any]] = {
        f"kernel {name} in {dtype}": functools.partial(call_kernel, place, name, dtype)
        for dtype in place.backend.float_dtypes(place.device)
        for name in sorted(place.backend.kernels)
    }
    for name in sorted(place.backend.kernels):
        tasks[f"kernel {name} as it is compared"] = functools.partial(_call, place, functools.partial(_compared, name))
    for computations in COMPUTATIONS.values():
        tasks |= {title: functools.partial(_call, place, compute) for title, compute, _ in computations()}
    pool = concurrent.futures.ThreadPoolExecutor(os.cpu_count())

    @functools.cache
    def started() -> dict[str, concurrent.futures.Future[Any]]:
        return {title: pool.submit(task) for title, task in tasks.items()}

    def wait(title: str) -> str:
        try:
            return str(started()[title].result() or "")
        except KeyboardInterrupt:
            pool.shutdown(wait=False, cancel_futures=True)
            raise

    return [(title, functools.partial(wait, title)) for title in tasks]


def _call(place: Placement, compute: Callable[[Placement], object]) -> None:
    with contextlib.suppress(Exception), place.computing:  # it comes again where it is compared
        compute(place)


def call_kernel(place: Placement, name: str, dtype: str) -> int:
    """Call a kernel and its pullback with each of its examples that it accepts; how many these are."""
    with place.computing:
        outcomes = [
            _outcome(place, name, example, (dtype, "contiguous", example.sizes[-1]))
            for example in _examples(place, name)
        ]
    return sum(outcome is not None for outcome in outcomes)


def _examples(place: Placement, name: str) -> list[Example]:
    return [example for example in ROWS.get(name, ()) if example.only in (None, place.name)]


def _outcome(place: Placement, name: str, example: Example, way: Way) -> Outcome | None:
    """What a kernel does with an example, as it is laid out; None if the kernel does not accept that."""
    kernel = place.backend.kernels[name]
    dtype, layout, n = way
    values = [Values(place.backend, dtype, layout, n, device=place.device) for _ in range(2)]
    if kernel.accepts is not None and not kernel.accepts(*example.make(values[0]), **example.options):
        return None
    return Outcome(kernel.function, values[1], example)


def kernels(place: Placement) -> list[Part]:
    """Every kernel beside its generic form on NumPy, mostly in float32."""
    if not place.backend.kernels:
        raise NotRunError(f"nnx has no kernels of its own for {place.name}")
    return [
        (f"kernel {name}", functools.partial(_compare_kernel, place, name)) for name in sorted(place.backend.kernels)
    ]


Way = tuple[str, str, int]
"""Dtype and layout of the arrays of an example, and its size."""


def _ways(number: int, example: Example) -> list[Way]:
    """In which ways an example is compared, the one of that number of its kernel."""
    others = [(dtype, layout, example.sizes[-1]) for dtype, layout in OTHER_WAYS if number == 0]
    return [*(("float32", "contiguous", n) for n in example.sizes), *others]


def _compared(name: str, place: Placement) -> None:
    """Compute all that `_compare_kernel` compares, up to what comes to the host."""
    for number, example in enumerate(_examples(place, name)):
        for way in _ways(number, example):
            found = _outcome(place, name, example, way)
            if found is not None:
                found.on_host()


def _compare_kernel(place: Placement, name: str) -> str:
    worst, compared = 0.0, 0

    def assert_near(mine: Any, theirs: Any, example: Example) -> None:
        nonlocal worst
        if (mine is None) != (theirs is None):
            raise AssertionError(f"got {mine}, expected {theirs}")
        if theirs is not None:
            floating = theirs.dtype.kind == "f"
            rounding = float(np.finfo(theirs.dtype).eps) if floating else EXACT
            worst = max(worst, _require(mine, theirs, 2.0 * 16.0 * rounding * math.sqrt(example.length)))

    for number, example in enumerate(_examples(place, name)):
        for way in _ways(number, example):
            found = _outcome(place, name, example, way)
            if found is not None:
                with without_kernels(HOST.backend):
                    expected = Outcome(GENERIC[name], Values(HOST.backend, *way), example)
                with described("example {}, {} {} of {}".format(number, *way)):
                    assert_equal_outcomes(found.on_host(), expected.on_host(), example, assert_near)
                compared += 1
    if not compared:
        raise AssertionError("no example in the table that it accepts")
    return f"{compared} examples, deviation {worst:.1e}"


def _layer_computations() -> list[Computation]:
    return [(f"layer {case}", _Layer(case), ONE_OPERATION) for rows in LAYERS.values() for case in rows]


def _activation_computations() -> list[Computation]:
    names = sorted(activations.registry.objects)
    return [(f"activation {name}", _Activation(name), ONE_OPERATION) for name in names]


def _loss_computations() -> list[Computation]:
    return [(f"loss {name}", _LossOf(name), ONE_OPERATION) for name in LOSSES]


def _metric_computations() -> list[Computation]:
    return [(f"metric {title}", _ResultOf(metric, kind), ONE_OPERATION) for title, kind, metric in metric_cases()]


def _training_computations() -> list[Computation]:
    dense, adam = TRAINED["dense with dropout"], nnx.optimizers.Adam
    optimisers = [
        (f"optimiser {title}", _Training(dense, make, epochs=2), MANY_STEPS) for title, make in optimizer_cases()
    ]
    networks = [
        (f"training, {title}", _Training(network, adam, epochs=3), MANY_STEPS) for title, network in TRAINED.items()
    ]
    return [*optimisers, *networks]


COMPUTATIONS: dict[str, Callable[[], list[Computation]]] = {
    "layers": _layer_computations,
    "activations": _activation_computations,
    "losses": _loss_computations,
    "metrics": _metric_computations,
    "optimisers and training": _training_computations,
}
"""What is compared with NumPy, by kind; each has a name, and a deviation that is allowed."""


def agreement(kind: str) -> Callable[[Placement], list[Part]]:
    """What makes the parts that compare all computations of a kind with NumPy."""
    return lambda place: [_beside_numpy(place, *computation) for computation in COMPUTATIONS[kind]()]


def random_numbers(place: Placement) -> list[Part]:
    """Words, masks, shuffles and initial weights: equal bit for bit."""
    exact = {
        "random words and masks": _random_words,
        "masks of dropout": _dropout_masks,
        "shuffles and initial weights": _initial_weights,
    }
    return [_beside_numpy(place, name, compute, EXACT) for name, compute in exact.items()]


def without_accelerators(place: Placement) -> list[Part]:
    """All computations where CuPy adds up by its own kernels alone."""
    if not accelerators():
        raise NotRunError("CuPy has no accelerators here, so that is what was checked")
    parts = [part for kind in COMPUTATIONS for part in agreement(kind)(place)]
    return [(name, functools.partial(_accelerated_by_nothing, part)) for name, part in parts]


def _accelerated_by_nothing(part: Callable[[], str]) -> str:
    from cupy import _core

    reductions, routines = _core.get_reduction_accelerators(), _core.get_routine_accelerators()
    _core.set_reduction_accelerators([])
    _core.set_routine_accelerators([])
    try:
        return part()
    finally:
        _core.set_reduction_accelerators(reductions)
        _core.set_routine_accelerators(routines)


def _beside_numpy(place: Placement, name: str, compute: Compute, allowed: float) -> Part:
    """Part that compares what a computation gives in a place and on the host."""
    return name, functools.partial(_compare, place, compute, allowed)


def _compare(place: Placement, compute: Compute, allowed: float) -> str:
    pairs = zip(compute(place), compute(HOST), strict=True)
    return f"deviation {max((_require(*pair, allowed) for pair in pairs), default=0.0):.1e}"


def _require(found: np.ndarray, expected: np.ndarray, allowed: float) -> float:
    """The deviation, if it is allowed; else an AssertionError."""
    worst = deviation(found, expected)
    if not worst <= allowed:
        raise AssertionError(f"deviation {worst:.1e}, but {allowed:.1e} is allowed")
    return worst


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
