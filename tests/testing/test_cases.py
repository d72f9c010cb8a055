"""The table of examples is complete, and drives what layers have in test_layers.py for the rest: parity and copies."""

import json

import numpy as np
import pytest

import nnx
from nnx.testing import assert_close
from nnx.testing.rows import initializers, losses, optimizers
from nnx.testing.rows.completeness import assert_complete


def test_everything_public_has_a_row():
    assert_complete(optimizers.complaints())
    assert_complete(initializers.complaints())
    assert_complete(losses.complaints())


@pytest.mark.parametrize("name", losses.LOSSES)
def test_losses_on_every_backend(backend, name):
    loss, targets, outputs = losses.loss_case(name)
    expected, pullback = loss.forward(targets, outputs)
    value, found = loss.forward(backend.asarray(targets), backend.asarray(outputs))
    assert_close(value, expected, length=24)
    assert_close(found(), pullback(), length=24)


@pytest.mark.parametrize("name", initializers.INITIALIZERS)
def test_initial_weights_are_equal_on_every_backend(backend, name):
    def weights():
        nnx.random.set_seed(4)
        initializer = getattr(nnx.initializers, name)(**initializers.INITIALIZERS[name])
        copy = type(initializer).from_config(json.loads(json.dumps(initializer.get_config())))
        kernel = {"kernel_initializer": copy}
        of_waves = nnx.layers.Conv1D(5, 3, input_shape=(3, 1), **kernel)
        layer = of_waves if name == "STFT" else nnx.layers.Dense(5, input_dim=5, **kernel)
        return nnx.Sequential([layer]).get_weights()[0]

    found = weights()
    with nnx.backend("numpy"):
        assert np.array_equal(found, weights())


@pytest.mark.parametrize("title", [title for title, _ in optimizers.optimizer_cases()])
def test_optimizers_go_on_after_loading_on_every_backend(backend, title, tmp_path):
    make = dict(optimizers.optimizer_cases())[title]

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
