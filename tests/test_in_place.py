"""Functions of users that write into arrays, as `x += 1` does: the arrays of others stay what they are."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import pytest

import nnx
from nnx import ops
from nnx.backends import Placement, to_numpy
from nnx.in_place import sparing, writes_in_place
from nnx.layers import Activation, Dense, Input, Lambda
from nnx.testing import assert_close


def shifted(x: Any) -> Any:
    x += 1.0
    return x


def set_first(x: Any) -> Any:
    x[0] = 5.0
    return x


class Callable:
    def __call__(self, x: Any) -> Any:
        x *= 2.0
        return x


@pytest.mark.parametrize(
    ("function", "writes"),
    [
        (shifted, True),
        (set_first, True),
        (functools.partial(shifted), True),
        (Callable(), True),
        (lambda x: [shifted(y) for y in x], False),
        (lambda x: x + 1.0, False),
        (len, False),
        (3, False),
    ],
)
def test_what_writes_is_known_from_its_code(function: Any, writes: bool):
    assert writes_in_place(function) is writes
    if not writes:
        assert sparing(function) is function


def test_a_function_inside_counts():
    def outer(x: Any) -> Any:
        def inner(y: Any) -> Any:
            y -= 1.0
            return y

        return inner(x)

    assert writes_in_place(outer)


@pytest.mark.parametrize("layer", [lambda: Lambda(shifted), lambda: Activation(shifted)], ids=["Lambda", "Activation"])
def test_layers_of_functions_that_write(layer: Any, backend: Placement):
    with nnx.backend(backend.name, device=backend.device):
        model = nnx.Sequential([Input((2,)), layer()])
        x = nnx.asarray(np.zeros((3, 2), "float32"))
        for _ in range(2):
            assert_close(model(x), np.ones((3, 2)))
            assert_close(model.predict(x, verbose=0), np.ones((3, 2)))
    assert not to_numpy(x).any()


def test_losses_and_metrics_that_write():
    def loss(y_true: Any, y_pred: Any) -> Any:
        y_true -= 1.0
        return ops.mean((y_true - y_pred) ** 2, axis=-1)

    class OwnLoss(nnx.losses.Loss):
        def call(self, y_true: Any, y_pred: Any) -> Any:
            return self.mean_of(y_true, y_pred)

        def mean_of(self, y_true: Any, y_pred: Any) -> Any:
            return loss(y_true + 0.0, y_pred)

    class WritingLoss(nnx.losses.Loss):
        def call(self, y_true: Any, y_pred: Any) -> Any:
            y_true -= 1.0
            return ops.mean((y_true - y_pred) ** 2, axis=-1)

    class Level(nnx.metrics.Metric):
        def __init__(self, **options: Any) -> None:
            super().__init__(**options)
            self.sum = self.add_weight(name="sum")

        def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
            y_true += 1.0
            y_pred *= 0.0
            self.sum.assign_add(ops.sum(y_true) + ops.sum(y_pred))

        def result(self) -> Any:
            return self.sum.value

    x, y = np.ones((4, 2), "float32"), np.full((4, 1), 3.0, "float32")
    expected = None
    for one in (lambda a, b: ops.mean((a - 1.0 - b) ** 2, axis=-1), loss, OwnLoss(), WritingLoss()):
        model = nnx.Sequential([Input((2,)), Dense(1, kernel_initializer="ones")])
        model.compile("sgd", one, metrics=[Level(name="level"), "mae", loss])
        history = model.fit(x, y, epochs=2, shuffle=False, verbose=0).history
        found = [*history["loss"], *history["mae"], *history["level"]]
        expected = expected or found
        assert_close(found, expected)
        assert (y == 3.0).all()
    assert found[-1] == 16.0


def test_own_steps_that_write():
    class Own(nnx.Model):
        def __init__(self) -> None:
            super().__init__()
            self.dense = Dense(1)

        def call(self, x: Any) -> Any:
            return self.dense(x)

        def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
            y -= 1.0
            return ops.mean((y - y_pred) ** 2)

    x, y = np.ones((4, 2), "float32"), np.full((4, 1), 3.0, "float32")
    model = Own()
    model.compile("sgd")
    model.fit(x, y, epochs=2, batch_size=2, shuffle=False, verbose=0)
    model.evaluate(x, y, verbose=0)
    assert (y == 3.0).all()


def test_loops_of_functions_that_write():
    def step(carry: Any, x: Any) -> Any:
        carry += x
        x *= 0.0
        return carry, carry

    start, xs = np.zeros(2, "float32"), np.ones((3, 2), "float32")
    last, all_of_them = ops.scan(step, start, xs)
    assert_close(all_of_them[:, 0], [1.0, 2.0, 3.0])
    assert_close(last, [3.0, 3.0])
    assert_close(ops.fori_loop(0, 3, lambda i, x: shifted(x), start + 0.0), [3.0, 3.0])

    def body(i: int, x: Any) -> Any:
        x += 1.0
        return x

    assert_close(ops.fori_loop(0, 3, body, start), [3.0, 3.0])
    assert_close(ops.map(shifted, xs), 2.0 * xs)
    assert not start.any()
    assert xs.all()


def test_converted_arrays_are_own_ones():
    given = np.ones(3, "float32")
    for one in (ops.convert_to_tensor(given), ops.cast(given, "float32")):
        one += 1.0
    assert given.tolist() == [1.0, 1.0, 1.0]
    layer = Dense(2)
    layer.build((None, 2))
    before = ops.convert_to_tensor(layer.kernel)
    layer.kernel.assign(np.zeros((2, 2)))
    assert to_numpy(before).any()
