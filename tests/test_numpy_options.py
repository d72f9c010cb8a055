"""Options that are numbers of NumPy do what those of Python do: they are converted when an object is made."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import nnx
from nnx import activations, constraints, initializers, layers, losses, metrics, optimizers, regularizers, schedules
from nnx.backends import Placement
from nnx.testing import assert_close
from nnx.testing.rows.initializers import INITIALIZERS
from nnx.testing.rows.layers import LAYERS
from nnx.testing.rows.losses import LOSSES
from nnx.testing.rows.metrics import METRICS
from nnx.testing.rows.optimizers import OPTIMIZERS

HALF = np.float64(0.5)


def examples() -> Iterator[tuple[str, Callable[[], Any]]]:
    for name, cases in LAYERS.items():
        if name == "Lambda":  # of which a configuration knows the name of the function alone
            continue
        yield from ((f"{name} {index}", case.make) for index, case in enumerate(cases))
    for name, row in LOSSES.items():
        for index, options in enumerate(row.options):
            yield f"{name} {index}", lambda name=name, options=options: getattr(losses, name)(**options)
    for name, row in METRICS.items():
        yield from ((f"{name} {index}", make) for index, (_, make) in enumerate(row.examples))
    for name, makers in OPTIMIZERS.items():
        yield from ((f"{name} {index}", make) for index, make in enumerate(makers))
    for name, options in INITIALIZERS.items():
        yield name, lambda name=name, options=options: getattr(initializers, name)(**options)
    yield "ExponentialDecay", lambda: schedules.ExponentialDecay(0.1, 10, 0.9)
    yield "PiecewiseConstantDecay", lambda: schedules.PiecewiseConstantDecay([1, 3], [0.1, 0.2, 0.3])
    yield "CosineDecay", lambda: schedules.CosineDecay(0.1, 10, 0.2, warmup_target=0.3, warmup_steps=2)
    yield "L1L2", lambda: regularizers.L1L2(0.1, 0.2)
    yield "MinMaxNorm", lambda: constraints.MinMaxNorm(0.1, 0.9, 0.5, 0)


def numpy_of(value: Any) -> Any:
    if isinstance(value, bool):
        return np.bool_(value)
    if isinstance(value, int | float):
        return np.int64(value) if isinstance(value, int) else np.float64(value)
    if isinstance(value, list | tuple):
        return type(value)(map(numpy_of, value))
    return {key: numpy_of(item) for key, item in value.items()} if isinstance(value, dict) else value


def scalars_in(value: Any, depth: int = 3) -> list[Any]:
    if isinstance(value, np.generic):
        return [value]
    items = value.values() if isinstance(value, dict) else value if isinstance(value, list | tuple) else ()
    return [scalar for item in items if depth for scalar in scalars_in(item, depth - 1)]


@pytest.mark.parametrize(("name", "make"), list(examples()), ids=lambda value: value if isinstance(value, str) else "")
def test_no_object_keeps_a_number_of_numpy(name: str, make: Callable[[], Any]) -> None:
    thing = make()
    again = type(thing).from_config(numpy_of(thing.get_config()))
    assert again.get_config() == thing.get_config()
    assert scalars_in({key: value for key, value in vars(again).items() if key not in ("_cuts", "_places")}) == []


@pytest.mark.parametrize(
    ("ours", "plain"),
    [
        (lambda: losses.Huber(delta=HALF), lambda: losses.Huber(delta=0.5)),
        (lambda: losses.Huber(delta=np.asarray(0.5)), lambda: losses.Huber(delta=0.5)),
        (
            lambda: losses.BinaryFocalCrossentropy(alpha=HALF, gamma=np.int64(2)),
            lambda: losses.BinaryFocalCrossentropy(alpha=0.5, gamma=2),
        ),
        (lambda: losses.Tversky(alpha=HALF, beta=HALF), lambda: losses.Tversky(alpha=0.5, beta=0.5)),
    ],
)
def test_losses_train(ours: Callable[[], Any], plain: Callable[[], Any], backend: Placement) -> None:
    x = np.random.default_rng(0).normal(size=(8, 4)).astype(np.float32)
    y = (x[:, :2] > 0).astype(np.float32)
    found = []
    for loss in (ours(), plain()):
        nnx.random.set_seed(0)
        model = nnx.Sequential([layers.Input((4,)), layers.Dense(2, "sigmoid")])
        model.compile(optimizers.SGD(np.float32(0.5)), loss)
        found.append(model.fit(x, y, verbose=0).history["loss"][0])
    assert found[0] == found[1]


@pytest.mark.parametrize(
    "make",
    [
        lambda: layers.Softmax(axis=np.int64(-1)),
        lambda: layers.LeakyReLU(HALF),
        lambda: layers.Rescaling(HALF, HALF),
        lambda: layers.Dense(2, activation=lambda x: nnx.functional.leaky_relu(x, 0.5), kernel_regularizer=None),
        lambda: layers.Lambda(lambda x, scale: (x * scale, lambda dy: dy * scale), arguments={"scale": HALF}),
    ],
)
def test_layers_keep_their_dtype(make: Callable[[], Any], backend: Placement) -> None:
    x = backend.asarray(np.ones((3, 4)), "float32")
    assert make()(x).dtype == x.dtype


@pytest.mark.parametrize(
    ("name", "options"),
    [("leaky_relu", {"negative_slope": HALF}), ("elu", {"alpha": HALF}), ("softmax", {"axis": np.int64(1)})],
)
def test_functions_of_activations_and_losses_keep_the_dtype(
    name: str, options: dict[str, Any], backend: Placement
) -> None:
    x = backend.asarray(np.ones((3, 4)), "float32")
    assert getattr(activations, name)(x, **options).dtype == x.dtype
    assert losses.huber(x, x, delta=HALF).dtype == x.dtype


def test_thresholds_may_be_an_array() -> None:
    y, p = [0.0, 1.0, 1.0], [0.2, 0.4, 0.9]
    given, expected = (metrics.Recall(thresholds=cuts) for cuts in (np.asarray([0.3, 0.5]), [0.3, 0.5]))
    assert_close(given(y, p), expected(y, p))
    assert given.get_config() == expected.get_config()


def test_a_constructor_of_ones_own_gets_numbers_of_python() -> None:
    class Scale(layers.Layer):
        def __init__(self, factor: float, **kwargs: Any) -> None:
            super().__init__(**kwargs)
            self.factor = factor

    assert type(Scale(np.float32(0.5)).factor) is float
    assert type(Scale(factor=np.int64(2)).factor) is int
    assert Scale(np.ones(2)).factor.shape == (2,)
