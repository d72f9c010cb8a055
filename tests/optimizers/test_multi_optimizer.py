"""Several optimizers for one model: each trains what is its own, as it would alone; saved, and gone on with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nnx
from nnx.backends import to_numpy
from nnx.optimizers import SGD, Adam, MultiOptimizer, OptimizerMap
from nnx.parameters import FlatParameters
from nnx.testing import assert_close, no_synchronization

X = np.float32([[1, 2], [3, 4], [-1, 0], [2, -2]])
Y = np.float32([[1], [0], [2], [-1]])


def adam() -> Adam:
    return Adam(0.05, global_clipnorm=0.1, weight_decay=0.1, gradient_accumulation_steps=2)


def sgd() -> SGD:
    return SGD(0.1, momentum=0.9, use_ema=True)


def choose(parameter: Any) -> nnx.optimizers.Optimizer:
    """A function for a MultiOptimizer: each bias has an optimizer of its own."""
    return adam() if parameter.name == "bias" else sgd()


def by_path() -> MultiOptimizer:
    return MultiOptimizer(OptimizerMap(sgd(), {"scale/.*": adam(), "dense/bias": sgd(), "first/bias": adam()}))


def test_each_parameter_is_trained_as_by_its_optimizer_alone(backend, make_flat):
    """Adam has the first and the last of three parameters, which are apart in the buffer."""
    other = adam()
    several = MultiOptimizer(OptimizerMap(sgd(), {"dense/kernel": other, "scale/.*": other}))
    whole, twin = make_flat(backend), make_flat(backend)
    kernel, bias, gamma = twin.parameters
    pairs = [(adam(), FlatParameters([kernel, gamma], backend)), (sgd(), FlatParameters([bias], backend))]
    for step in range(4):
        gradients = np.arange(9.0) - step
        with no_synchronization():
            whole.grads[...] = backend.asarray(gradients)
            several.train(whole)
        for optimizer, flat in pairs:
            places = [*range(6), 8] if len(flat.parameters) == 2 else [6, 7]
            flat.grads[...] = backend.asarray(gradients[places])
            optimizer.train(flat)
    for optimizer, flat in pairs:
        optimizer.finalize(flat)
    several.finalize(whole)
    for mine, alone in zip(whole.parameters, (kernel, bias, gamma), strict=True):
        assert_close(mine.value, alone.value, rtol=1e-6)
    assert [one.iterations for one in (several, *several.optimizers)] == [4, 2, 4]
    assert whole.values.dtype == whole.grads.dtype


def model_of(optimizer: Any) -> nnx.Model:
    x = nnx.Input((2,))
    start = nnx.initializers.GlorotUniform(seed=1)
    y = nnx.layers.Dense(1, name="last")(nnx.layers.Dense(3, "tanh", kernel_initializer=start, name="first")(x))
    model = nnx.Model(x, y)
    model.compile(optimizer, "mse")
    return model


@pytest.mark.parametrize("chosen", ["by path", "by a function"])
def test_training_goes_on_from_a_file(chosen, backend, tmp_path: Path):
    nnx.random.set_seed(3)
    model = model_of(by_path() if chosen == "by path" else MultiOptimizer(choose, name="several"))
    model.fit(X, Y, epochs=3, batch_size=2, shuffle=False, verbose=0)
    model.save(tmp_path / "m.safetensors")
    again = nnx.models.load_model(tmp_path / "m.safetensors", custom_objects={"choose": choose})
    assert again.optimizer.get_config() == model.optimizer.get_config()
    again.optimizer.state_arrays(again.flat)
    for one in (model, again):
        one.fit(X, Y, epochs=2, batch_size=2, shuffle=False, verbose=0)
    for mine, other in zip(model.get_weights(), again.get_weights(), strict=True):
        assert_close(mine, other, rtol=0.0)
    assert len(again.optimizer.optimizers) == len(model.optimizer.optimizers)


def test_a_frozen_layer_keeps_what_its_optimizer_remembers(backend):
    model = model_of(by_path())
    model.fit(X, Y, epochs=1, verbose=0)
    kept = to_numpy(model.optimizer.state_arrays(model.flat)["3_momentum/first/kernel"])
    model.get_layer("first").trainable = False
    model.compile(model.optimizer, "mse")
    model.fit(X, Y, epochs=1, verbose=0)
    model.get_layer("first").trainable = True
    model.compile(model.optimizer, "mse")
    assert_close(model.optimizer.state_arrays(model.flat)["3_momentum/first/kernel"], kept, rtol=0.0)


@pytest.mark.nnx_backends(only="numpy", reason="float16 is a matter of the model's dtype")
def test_in_float16_a_step_without_finite_gradients_changes_nothing(backend):
    with nnx.backend("numpy", dtype="float16"):
        model = model_of(by_path())
        for _ in range(2):
            model.train_on_batch(X, Y)
        before, scale = [weight.copy() for weight in model.get_weights()], float(model.optimizer.loss_scale.value)
        slots = {key: to_numpy(one).copy() for key, one in model.optimizer.state_arrays(model.flat).items()}
        model.train_on_batch(np.full((4, 2), 3e4), Y)
        assert float(model.optimizer.loss_scale.value) == scale / 2
        for old, new in zip(before, model.get_weights(), strict=True):
            np.testing.assert_array_equal(old, new)
        for key, view in model.optimizer.state_arrays(model.flat).items():
            np.testing.assert_array_equal(to_numpy(view), slots[key], err_msg=key)


def test_what_is_not_meant(tmp_path: Path):
    optimizer = by_path()
    with pytest.raises(AttributeError, match="read or set that of one of its `optimizers`"):
        optimizer.learning_rate = 0.1
    assert not hasattr(optimizer, "learning_rate")
    with pytest.raises(TypeError, match="expected an optimizer, other than a MultiOptimizer, got MultiOptimizer"):
        OptimizerMap(optimizer)
    with pytest.raises(TypeError, match="an OptimizerMap or a function, got dict"):
        MultiOptimizer({"dense": SGD()})
    twice = OptimizerMap(SGD(), {".*kernel": Adam(), "dense/.*": Adam()})
    with pytest.raises(ValueError, match=r"dense/kernel has several optimizers, by the keys '.\*kernel', 'dense/.\*'"):
        twice["dense/kernel"]
    with pytest.raises(ValueError, match=r"has the key 'dense/\.\*' already"):
        twice["dense/.*"] = SGD()
    model = model_of(optimizer)
    with pytest.raises(TypeError, match=r"save to a file \.safetensors"):
        model.save(tmp_path / "m.keras")
    model.fit(X, Y, epochs=1, verbose=0)
    arrays = dict(optimizer.state_arrays(model.flat))
    arrays.pop("3_momentum/first/kernel")
    with pytest.raises(ValueError, match="does not fit the optimizer sgd: 'momentum/first/kernel' is missing"):
        optimizer.load_state_arrays(model.flat, arrays)
