"""Layers in more than one model: adversarial pairs, nested models, freezing between trainings."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nnx
from nnx.backends import Placement
from nnx.layers import BatchNormalization, Dense, Dropout
from nnx.random import Generator
from nnx.testing import assert_close

NOISE = np.float32(Generator(1).normal((16, 2)))
REAL = np.float32(Generator(2).normal((16, 3)) + 2.0)
ONES, ZEROS = np.ones((16, 1), np.float32), np.zeros((16, 1), np.float32)


def changed(model: nnx.Sequential, before: list[np.ndarray]) -> list[bool]:
    return [bool((old != new).any()) for old, new in zip(before, model.get_weights(), strict=True)]


def pair(optimizer: Any) -> tuple[nnx.Sequential, nnx.Sequential]:
    nnx.random.set_seed(6)
    generator = nnx.Sequential([Dense(4, "tanh", input_dim=2), Dense(3)], name="generator")
    discriminator = nnx.Sequential([Dense(4, "tanh", input_dim=3), Dense(1, "sigmoid")], name="discriminator")
    return generator, discriminator


def adversarial() -> tuple[nnx.Sequential, nnx.Sequential, nnx.Sequential]:
    """As every tutorial writes it: the discriminator is frozen in the combined model, and trained by itself."""
    generator, discriminator = pair("adam")
    discriminator.compile(nnx.optimizers.Adam(0.01), "binary_crossentropy", metrics=["acc"])
    discriminator.trainable = False
    combined = nnx.Sequential([generator, discriminator], name="combined")
    combined.compile(nnx.optimizers.Adam(0.01), "binary_crossentropy")
    return generator, discriminator, combined


def test_an_adversarial_pair_trains_in_turns(backend: Placement):
    generator, discriminator, combined = adversarial()
    for _ in range(3):
        fake = generator.predict(NOISE, verbose=0)
        before = [generator.get_weights(), discriminator.get_weights()]
        discriminator.train_on_batch(np.concat([REAL, fake]), np.concat([ONES, ZEROS]))
        assert changed(generator, before[0]) == [False] * 4
        assert changed(discriminator, before[1]) == [True] * 4
        before = [generator.get_weights(), discriminator.get_weights()]
        combined.train_on_batch(NOISE, ONES)
        assert changed(generator, before[0]) == [True] * 4
        assert changed(discriminator, before[1]) == [False] * 4
    assert (discriminator.optimizer.iterations, combined.optimizer.iterations) == (3, 3)


def test_each_half_of_the_pair_trains_as_if_alone():
    """Against two models that share nothing and hand weights and cotangents over by hand."""
    generator, discriminator, combined = adversarial()
    lone_generator, lone_discriminator = pair("adam")
    lone_discriminator.compile(nnx.optimizers.Adam(0.01), "binary_crossentropy")
    loss, optimizer = nnx.losses.BinaryCrossentropy(), nnx.optimizers.Adam(0.01)
    for _ in range(4):
        fake = generator.predict(NOISE, verbose=0)
        discriminator.train_on_batch(np.concat([REAL, fake]), np.concat([ONES, ZEROS]))
        combined.train_on_batch(NOISE, ONES)
        combined.train_on_batch(NOISE, ONES)  # twice: what it leaves in the discriminator must not count

        fake = lone_generator.predict(NOISE, verbose=0)
        lone_discriminator.train_on_batch(np.concat([REAL, fake]), np.concat([ONES, ZEROS]))
        for _ in range(2):
            fake, pullback_generator = lone_generator.forward(NOISE, training=True)
            judged, pullback_discriminator = lone_discriminator.forward(fake, training=True)
            _, pullback_loss = loss.forward(ONES, judged)
            pullback_generator(pullback_discriminator(pullback_loss()))
            optimizer.step(lone_generator)
    for mine, theirs in [(generator, lone_generator), (discriminator, lone_discriminator)]:
        for found, expected in zip(mine.get_weights(), theirs.get_weights(), strict=True):
            assert_close(found, expected, 1e-4, 1e-5)


def autoencoder() -> tuple[nnx.Sequential, nnx.Sequential, nnx.Sequential]:
    nnx.random.set_seed(7)
    encoder = nnx.Sequential([Dense(2, "tanh", input_dim=3)], name="encoder")
    decoder = nnx.Sequential([Dense(3, input_dim=2)], name="decoder")
    return encoder, decoder, nnx.Sequential([encoder, decoder], name="autoencoder")


@pytest.mark.parametrize(
    "optimizer", [lambda: nnx.optimizers.SGD(0.1, momentum=0.9), lambda: nnx.optimizers.Adam(0.05)]
)
def test_two_models_that_both_train_the_same_layer(backend: Placement, optimizer: Any):
    """In turns; each optimiser keeps its own state. Compared with one model that is given the other's weights."""
    encoder, _, whole = autoencoder()
    copy_encoder, _, copy_whole = autoencoder()
    copy_of_encoder = nnx.Sequential([Dense(2, "tanh", input_dim=3)])
    for model in (encoder, whole, copy_whole, copy_of_encoder):
        model.compile(optimizer(), "mse")
    for _ in range(4):
        losses = [whole.train_on_batch(REAL, REAL), encoder.train_on_batch(REAL, REAL[:, :2])]
        expected = [copy_whole.train_on_batch(REAL, REAL)]
        copy_of_encoder.set_weights(copy_encoder.get_weights())
        expected.append(copy_of_encoder.train_on_batch(REAL, REAL[:, :2]))
        copy_encoder.set_weights(copy_of_encoder.get_weights())
        assert losses == pytest.approx(expected, rel=1e-5)
    for found, wanted in zip(whole.get_weights(), copy_whole.get_weights(), strict=True):
        assert_close(found, wanted, 1e-4)


def test_parts_of_a_model_follow_its_training_and_its_moves():
    encoder, decoder, whole = autoencoder()
    whole.compile("adam", "mse")
    whole.fit(REAL, REAL, epochs=3, verbose=0)
    parts = decoder.predict(encoder.predict(REAL, verbose=0), verbose=0)
    assert_close(parts, whole.predict(REAL, verbose=0), length=10)
    whole.to("array-api-strict", device="device1")
    assert encoder.placement == decoder.placement == whole.placement
    assert_close(encoder.predict(REAL, verbose=0).shape, (16, 2))
    encoder.compile("sgd", "mse")
    encoder.fit(REAL, REAL[:, :2], verbose=0)
    whole.fit(REAL, REAL, verbose=0)


def test_nested_models_equal_the_flat_one():
    def layers() -> list[nnx.layers.Layer]:
        nnx.random.set_seed(9)
        return [Dense(5, "tanh"), Dropout(0.2), Dense(4, "relu"), Dense(3, "softmax")]

    first, dropout, second, last = layers()
    nested = nnx.Sequential([nnx.Sequential([first, nnx.Sequential([dropout])]), nnx.Sequential([second, last])])
    nested.build((None, 3))
    flat = nnx.Sequential(layers())
    flat.build((None, 3))
    labels = np.arange(16) % 3
    for model in (nested, flat):
        nnx.random.set_seed(10)
        model.compile("adam", "sparse_categorical_crossentropy", metrics=["acc"])
    histories = [model.fit(REAL, labels, epochs=3, batch_size=5, verbose=0).history for model in (nested, flat)]
    assert histories[0] == histories[1]
    assert nested.objective.takes_logits
    assert nested.count_params() == flat.count_params()
    assert [p.path for p in nested.weights][:2] == ["sequential/dense/kernel", "sequential/dense/bias"]
    assert [p.path for p in nested.weights][-1] == "sequential_1/dense_1/bias"


# Freezing


def test_freezing_counts_from_compile_on():
    model = nnx.Sequential([Dense(3, input_dim=3, name="first"), Dense(3)])
    model.compile(nnx.optimizers.Adam(0.1), "mse")
    model.layers[0].trainable = False
    before = model.get_weights()
    with pytest.warns(UserWarning, match=r"trainable of first was changed after compile.* write .*compile\(") as caught:
        model.fit(REAL, REAL, verbose=0)
    assert caught[0].filename == __file__
    assert changed(model, before) == [True] * 4  # compiled before
    model.fit(REAL, REAL, verbose=0)  # said once
    model.compile(model.optimizer, "mse")
    before = model.get_weights()
    model.fit(REAL, REAL, verbose=0)
    assert changed(model, before) == [False, False, True, True]
    model.layers[0].trainable = True
    model.compile(model.optimizer, "mse")
    before = model.get_weights()
    model.fit(REAL, REAL, verbose=0)
    assert changed(model, before) == [True] * 4


def normalized(options: dict[str, Any]) -> nnx.Sequential:
    nnx.random.set_seed(7)
    layers = [Dense(4, input_dim=3), BatchNormalization(**options), Dense(3)]
    model = nnx.Sequential(layers)
    model.compile(nnx.optimizers.SGD(0.1), "mse")
    return model


@pytest.mark.parametrize("options", [{}, {"scale": False, "center": False}])
@pytest.mark.parametrize("first", [True, False])
def test_freezing_after_compile_counts_for_nothing_or_for_everything(backend: Placement, options: Any, first: bool):
    """Statistics of batch normalisation too: either all is as if nobody had touched `trainable`, or all is frozen."""
    model, twin = normalized(options), normalized(options)
    for one in (model, twin):
        one.layers[1].trainable = first
        one.compile(nnx.optimizers.SGD(0.1), "mse")
    model.layers[1].trainable = not first
    for _ in range(3):
        for one in (model, twin):
            one.train_on_batch(REAL, REAL)
    for mine, theirs in zip(model.get_weights(), twin.get_weights(), strict=True):
        assert_close(mine, theirs, 0.0, 0.0)
    moved = model.layers[1].get_weights()[-1]
    assert bool((moved != 1.0).any()) is first
    assert model.layers[1].trainable is not first
    model.compile(nnx.optimizers.SGD(0.1), "mse")
    model.train_on_batch(REAL, REAL)
    assert bool((model.layers[1].get_weights()[-1] != moved).any()) is not first


def test_a_discriminator_with_batch_normalization_trains_whole_and_is_frozen_whole(backend: Placement):
    nnx.random.set_seed(6)
    generator = nnx.Sequential([Dense(4, "tanh", input_dim=2), Dense(3)], name="generator")
    layers = [Dense(4, "tanh", input_dim=3), BatchNormalization(), Dense(1, "sigmoid")]
    discriminator = nnx.Sequential(layers, name="discriminator")
    discriminator.compile(nnx.optimizers.Adam(0.01), "binary_crossentropy")
    discriminator.trainable = False
    combined = nnx.Sequential([generator, discriminator], name="combined")
    combined.compile(nnx.optimizers.Adam(0.01), "binary_crossentropy")
    for _ in range(3):
        before = discriminator.get_weights()
        discriminator.train_on_batch(REAL, ONES)
        assert changed(discriminator, before) == [True] * 8
        before = discriminator.get_weights()
        combined.train_on_batch(NOISE, ONES)
        assert changed(discriminator, before) == [False] * 8
        assert not any(layer.trainable for layer in layers)


def test_freezing_after_compile_is_still_nothing_after_loading(tmp_path: Path):
    model = normalized({})
    model.layers[1].trainable = False
    model.save(tmp_path / "frozen")
    copies = [nnx.models.load_model(tmp_path / "frozen"), copy.deepcopy(model)]
    model.train_on_batch(REAL, REAL)
    for one in copies:
        one.train_on_batch(REAL, REAL)
        for mine, theirs in zip(one.get_weights(), model.get_weights(), strict=True):
            assert_close(mine, theirs, 0.0, 0.0)


def test_the_optimizer_keeps_its_state_over_freezing():
    """A frozen layer's momentum waits for it; that of the others goes on."""
    model = nnx.Sequential([Dense(3, input_dim=3), Dense(3)])
    model.compile(nnx.optimizers.SGD(0.1, momentum=0.9), "mse")
    model.fit(REAL, REAL, verbose=0)
    state = {name: array.copy() for name, array in model.optimizer.state_arrays(model.flat).items()}
    assert all(array.any() for array in state.values())
    model.layers[0].trainable = False
    model.compile(model.optimizer, "mse")
    model.fit(REAL, REAL, verbose=0)
    assert list(model.optimizer.state_arrays(model.flat)) == ["momentum/dense_1/kernel", "momentum/dense_1/bias"]
    model.layers[0].trainable = True
    model.compile(model.optimizer, "mse")
    assert_close(model.optimizer.state_arrays(model.flat)["momentum/dense/kernel"], state["momentum/dense/kernel"])


def test_a_frozen_model_still_evaluates_and_reports_its_loss():
    model = nnx.Sequential([Dense(3, input_dim=3)], trainable=False)
    model.compile("adam", "mse")
    before = model.get_weights()
    history = model.fit(REAL, REAL, epochs=2, verbose=0).history["loss"]
    assert history[0] == pytest.approx(history[1], rel=1e-6)
    assert changed(model, before) == [False, False]


def test_one_optimizer_for_two_models_is_warned_of():
    optimizer = nnx.optimizers.Adam(0.1)
    models = [nnx.Sequential([Dense(1, input_dim=3)]) for _ in range(2)]
    for model in models:
        model.compile(optimizer, "mse")
    models[0].train_on_batch(REAL, ONES)
    with pytest.warns(UserWarning, match="trains other parameters than before.*optimizer of its own"):
        models[1].train_on_batch(REAL, ONES)
