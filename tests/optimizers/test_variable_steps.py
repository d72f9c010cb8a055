"""Optimizers that are written as in Keras: `build`, `update_step`, and variables beside those that are trained."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nnx
from nnx.backends import Placement
from nnx.layers import Dense
from nnx.optimizers import SGD, Optimizer
from nnx.random import Generator
from nnx.testing import assert_close

X = Generator(1).normal((8, 3))


class Momentum(Optimizer):
    def __init__(self, learning_rate: Any = 0.1, momentum: float = 0.9, **options: Any) -> None:
        super().__init__(learning_rate=learning_rate, **options)
        self.momentum = momentum

    def build(self, variables: Any) -> None:
        if self.built:
            return
        super().build(variables)
        self.momentums = [self.add_variable_from_reference(reference_variable=one, name="m") for one in variables]

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        m = self.momentums[self._get_variable_index(variable)]
        self.assign(m, m * self.momentum - gradient * learning_rate)
        self.assign_add(variable, m)


def made(optimizer: Optimizer) -> nnx.Sequential:
    nnx.random.set_seed(2)
    model = nnx.Sequential([nnx.Input((3,)), Dense(4, "tanh"), Dense(3)])
    model.compile(optimizer, "mse")
    return model


def train(model: nnx.Sequential) -> None:
    model.fit(X, X, batch_size=4, epochs=2, shuffle=False, verbose=0)


OPTIONS: list[dict[str, Any]] = [
    {},
    {"weight_decay": 0.1, "clipnorm": 0.5, "use_ema": True},
    {"gradient_accumulation_steps": 2, "learning_rate": nnx.schedules.InverseTimeDecay(0.1, 2, 0.5)},
]


@pytest.mark.parametrize("options", OPTIONS, ids=lambda options: ", ".join(options) or "plain")
def test_it_is_the_built_in_one_with_the_same_formula(backend: Placement, options: dict[str, Any], tmp_path: Path):
    own, built_in = made(Momentum(**options)), made(SGD(**{"learning_rate": 0.1, **options}, momentum=0.9))
    for model in (own, built_in):
        train(model)
    own.save(tmp_path / "own.safetensors")
    loaded = nnx.models.load_model(tmp_path / "own.safetensors", custom_objects={"Momentum": Momentum})
    for model in (own, built_in, loaded):
        model.layers[0].trainable = False
        model.compile(model.optimizer, "mse")
        train(model)
    for one, again, other in zip(own.get_weights(), loaded.get_weights(), built_in.get_weights(), strict=True):
        assert_close(one, other, rtol=1e-5, atol=1e-6)
        np.testing.assert_array_equal(one, again)
    assert [variable.name for variable in own.optimizer.variables].count("m/dense_1/kernel") == 1


@pytest.mark.nnx_backends(skip="array-api-strict", reason="has no float16")
def test_in_float16_it_trains_copies_in_float32(backend: Placement):
    with nnx.backend(backend.name, device=backend.device, dtype="float16"):
        own, built_in = made(Momentum()), made(SGD(0.1, momentum=0.9))
        for model in (own, built_in):
            train(model)
    for one, other in zip(own.get_weights(), built_in.get_weights(), strict=True):
        assert_close(one, other, rtol=2e-3, atol=2e-3)  # an ulp of float16 near 1 is 1e-3


def test_variables_of_no_model(backend: Placement):
    variables = [nnx.Variable(backend.asarray([1.0, -1.0])), nnx.Variable(backend.asarray([[2.0]]))]
    optimizer = Momentum(0.5, momentum=0.5)
    assert not optimizer.built
    optimizer.build(variables)
    assert optimizer.built
    for _ in range(2):
        optimizer.apply_gradients(
            [(backend.asarray([1.0, 0.0]), variables[0]), (backend.asarray([[2.0]]), variables[1])]
        )
    assert_close(variables[0].value, [-0.25, -1.0])  # steps of -0.5 and -0.75
    assert_close(optimizer.momentums[1].value, [[-1.5]])


def test_mistakes():
    variable = nnx.Variable(np.zeros(2, "float32"))
    optimizer = Momentum()
    optimizer.build([variable])
    with pytest.raises(ValueError, match="'zeros', 'ones'; got 'he_normal'"):
        optimizer.add_variable_from_reference(variable, "v", initializer="he_normal")
    with pytest.raises(ValueError, match="has a variable 'm' already"):
        optimizer.add_variable_from_reference(variable, "m")
    with pytest.raises(ValueError, match=r"build\(variables\) of the optimizer did not get"):
        optimizer.add_variable_from_reference(nnx.Variable(np.zeros(3, "float32")), "v")


def test_fit_takes_an_apply_of_ones_own():
    class Signs(nnx.optimizers.SGD):
        def apply(self, grads, trainable_variables=None):
            super().apply([nnx.ops.sign(gradient) for gradient in grads], trainable_variables)

    x = np.float32(np.random.default_rng(0).normal(size=(8, 3)))
    model = nnx.Sequential([nnx.Input((3,)), nnx.layers.Dense(2)])
    model.compile(Signs(0.25), "mse")
    before = model.get_weights()
    model.fit(x, x[:, :2], epochs=2, batch_size=8, verbose=0)
    changes = [np.abs(new - old) for new, old in zip(model.get_weights(), before, strict=True)]
    assert all(np.isin(np.round(change, 5), [0.0, 0.5]).all() for change in changes)
    assert model.optimizer.iterations == 2
