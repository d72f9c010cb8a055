"""Models of many layers: what is done once for each layer costs as much for the last one as for the first."""

from __future__ import annotations

import functools
import pathlib
import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

import pytest

import nnx
from nnx.layers import Dense, Input, TimeDistributed
from nnx.models import clone_model, load_model


def lines_of(work: Callable[[], Any]) -> int:
    """How many lines of Python are executed, those of every turn of a loop: time that depends on no machine."""
    count = 0

    def trace(frame: FrameType, event: str, argument: Any) -> Any:
        nonlocal count
        count += event == "line"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        work()
    finally:
        sys.settrace(before)
    return count


def assert_linear(work: Callable[[int], Callable[[], Any]]) -> None:
    """Twice as many layers more are twice as many lines more, and no more than that."""
    few, some, many = (lines_of(work(number)) for number in (40, 80, 160))
    assert many - some <= 2.02 * (some - few) + 200


def listed(number: int) -> nnx.Sequential:
    return nnx.Sequential([Input((2,)), *(Dense(2) for _ in range(number))])


def added(number: int) -> nnx.Sequential:
    model = nnx.Sequential()
    model.add(Dense(2, input_shape=(2,)))
    for _ in range(number - 1):
        model.add(Dense(2))
    return model


def built_later(number: int) -> nnx.Sequential:
    model = nnx.Sequential([Dense(2, name=f"d{index}") for index in range(number)])
    model.build((None, 2))
    return model


def graph(number: int) -> nnx.Model:
    y = x = Input((2,))
    for _ in range(number):
        y = Dense(2)(y)
    return nnx.Model(x, y)


def residual(number: int) -> nnx.Model:
    y = x = Input((2,))
    for _ in range(number):
        y = y + Dense(2)(y)
    return nnx.Model(x, y)


class Stack(nnx.Model):
    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number
        self.stack = [Dense(2) for _ in range(number)]

    def call(self, x: Any) -> Any:
        for layer in self.stack:
            x = layer(x)
        return x


def subclass(number: int) -> nnx.Model:
    model = Stack(number)
    model.build((None, 2))
    return model


WAYS: dict[str, Callable[[int], nnx.Model]] = {
    "listed": listed,
    "added": added,
    "built later": built_later,
    "graph": graph,
    "residual": residual,
    "subclass": subclass,
}


def emptied(model: nnx.Sequential) -> None:
    while model.layers:
        model.pop()


@pytest.mark.parametrize("way", WAYS)
def test_building_is_linear(way: str) -> None:
    WAYS[way](2)
    assert_linear(lambda number: functools.partial(WAYS[way], number))


@pytest.mark.parametrize("way", WAYS)
def test_what_is_done_with_a_model_is_linear(way: str, tmp_path: pathlib.Path) -> None:
    file = tmp_path / "model.nnx"

    def uses(model: nnx.Model) -> None:
        model.compile("adam", "mse")
        model.train_on_batch([[0.0, 0.0]], [[0.0, 0.0]])
        model.summary(print_fn=lambda text: None)
        model.get_config()
        model.save(file)
        model.load_weights(file)
        model.set_weights(model.get_weights())
        if way != "subclass":
            load_model(file)
            clone_model(model)

    uses(WAYS[way](2))
    assert_linear(lambda number: functools.partial(uses, WAYS[way](number)))


class Averaged(nnx.optimizers.Optimizer):
    """Gradient descent with momentum, as Keras' optimizers are written: parameter by parameter."""

    def build(self, variables: Any) -> None:
        if not self.built:
            super().build(variables)
            self.averages = [self.add_variable_from_reference(one, "average") for one in variables]

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        average = self.averages[self._get_variable_index(variable)]
        self.assign(average, 0.9 * average + gradient)
        self.assign_sub(variable, learning_rate * average)


OPTIMIZERS: dict[str, Callable[[], Any]] = {
    "written as in Keras": lambda: Averaged(0.1),
    "averaged and clipped": lambda: Averaged(0.1, use_ema=True, clipnorm=1.0, weight_decay=0.1),
    "layer by layer": nnx.optimizers.Lamb,
    "matrix by matrix": nnx.optimizers.Muon,
    "factored": nnx.optimizers.Adafactor,
}


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_a_step_is_linear(optimizer: str) -> None:
    def step(number: int) -> Callable[[], Any]:
        model = nnx.Sequential([Input((2,)), *(Dense(2, kernel_constraint="non_neg") for _ in range(number))])
        model.compile(OPTIMIZERS[optimizer](), "mse")
        return lambda: model.train_on_batch([[0.0, 1.0]], [[0.0, 1.0]])

    step(2)()
    assert_linear(step)


def test_popping_is_linear() -> None:
    assert_linear(lambda number: functools.partial(emptied, listed(number)))


def test_names_after_popping() -> None:
    model = listed(3)
    assert model.pop().name == "dense_2"
    model.add(Dense(2))
    assert [layer.name for layer in model.layers] == ["dense", "dense_1", "dense_2"]
    assert model.layers[-1].kernel.path == "dense_2/kernel"


def test_names_after_a_layer_was_given_another_one() -> None:
    model = nnx.Sequential([Dense(2, input_dim=2, name="first"), Dense(2)])
    model.layers[0].name = "other"
    model.add(Dense(2, name="first"))
    assert list(model.named_weights())[::2] == ["other/kernel", "dense/kernel", "first/kernel"]
    with pytest.raises(ValueError, match="a layer named 'first' is already there"):
        model.add(Dense(2, name="first"))


def test_a_shared_parameter_keeps_the_path_in_its_first_layer() -> None:
    dense = Dense(2)
    model = nnx.Sequential([Input((3, 2)), dense, TimeDistributed(dense)])
    assert dense.kernel.path == "dense/kernel"
    model.pop()
    model.add(Dense(2))
    assert [parameter.path for parameter in model.weights] == list(model.named_weights())
    assert dense.kernel.path == "dense/kernel"


def test_a_layer_is_in_a_stack_once() -> None:
    dense = Dense(2)
    model = nnx.Sequential([Input((2,)), dense])
    with pytest.raises(ValueError, match="layer 'dense' is already in the stack"):
        model.add(dense)
    model.pop()
    model.add(dense)
    assert model.layers == [dense]
