"""The table of examples is complete, and drives what layers have in test_layers.py for the rest: parity and copies."""

import json

import numpy as np
import pytest

import nnx
from nnx.testing import assert_close, cases


def public(module, base):
    kinds = [getattr(module, name) for name in module.__all__]
    return {kind.__name__ for kind in kinds if isinstance(kind, type) and issubclass(kind, base)}


def test_everything_public_has_a_row():
    assert set(cases.OPTIMIZERS) == public(nnx.optimizers, nnx.optimizers.Optimizer) - {"Optimizer"}
    assert set(cases.INITIALIZERS) == public(nnx.initializers, nnx.initializers.Initializer) - {"Initializer"}
    losses = public(nnx.losses, nnx.losses.Loss) - {"Loss", "LossFunctionWrapper"}
    assert set(cases.LOSSES) == losses - {"CTC"}  # of sequences: tests/losses/test_ctc.py


@pytest.mark.parametrize("name", cases.LOSSES)
def test_losses_on_every_backend(backend, name):
    loss, targets, outputs = cases.loss_case(name)
    expected, pullback = loss.forward(targets, outputs)
    value, found = loss.forward(backend.asarray(targets), backend.asarray(outputs))
    assert_close(value, expected, length=24)
    assert_close(found(), pullback(), length=24)


@pytest.mark.parametrize("name", cases.INITIALIZERS)
def test_initial_weights_are_equal_on_every_backend(backend, name):
    def weights():
        nnx.random.set_seed(4)
        initializer = getattr(nnx.initializers, name)(**cases.INITIALIZERS[name])
        copy = type(initializer).from_config(json.loads(json.dumps(initializer.get_config())))
        return nnx.Sequential([nnx.layers.Dense(5, kernel_initializer=copy, input_dim=5)]).get_weights()[0]

    found = weights()
    with nnx.backend("numpy"):
        assert np.array_equal(found, weights())


@pytest.mark.parametrize("title", [title for title, _ in cases.optimizer_cases()])
def test_optimizers_go_on_after_loading_on_every_backend(backend, title, tmp_path):
    make = dict(cases.optimizer_cases())[title]

    def build():
        nnx.random.set_seed(6)
        model = nnx.Sequential([nnx.layers.Dense(4, "tanh", input_dim=3), nnx.layers.Dense(1)])
        model.compile(make(), "mse")
        return model

    generator = np.random.default_rng(0)
    x, y = generator.normal(size=(12, 3)), generator.normal(size=(12, 1))
    model = build()
    for _ in range(3):
        model.train_on_batch(x, y)
    model.save(tmp_path / "model.safetensors")
    with nnx.backend("numpy"):
        loaded = nnx.models.load_model(tmp_path / "model.safetensors")
    for _ in range(3):
        expected = model.train_on_batch(x, y)
        found = loaded.train_on_batch(x, y)
    assert_close(found, expected, rtol=1e-4)
