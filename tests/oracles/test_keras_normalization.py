"""Normalisation, embeddings, masks and axes against Keras 3 on JAX: values, gradients, moving averages, two steps."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

jax = pytest.importorskip("jax", reason="the oracle JAX is not installed; pip install 'nnx-array[oracle]'")
keras = pytest.importorskip("keras", reason="the oracle Keras is not installed; pip install 'nnx-array[oracle]'")
if keras.backend.backend() != "jax":
    pytest.skip(
        f"Keras runs on {keras.backend.backend()}, and its gradients are wanted from JAX", allow_module_level=True
    )

import nnx  # noqa: E402
from nnx.layers import (  # noqa: E402
    activity_regularization,
    batch_normalization,
    dropout,
    embedding,
    masking,
    noise,
    normalization,
    reshaping,
)
from nnx.parameters import FlatParameters  # noqa: E402
from nnx.random import Generator  # noqa: E402
from nnx.testing import assert_close  # noqa: E402

RTOL = 2e-5  # relative to the largest element
MODULES = (
    reshaping,
    batch_normalization,
    embedding,
    masking,
    noise,
    dropout,
    normalization,
    activity_regularization,
)


def mine(name: str) -> Any:
    return next(getattr(module, name) for module in MODULES if hasattr(module, name))


def numbers(*shape: int, seed: int = 0) -> np.ndarray:
    return (0.5 + 1.5 * Generator(seed).normal(shape)).astype(np.float32)


def close(found: Any, expected: Any) -> None:
    expected = np.asarray(expected)
    assert_close(found, expected, rtol=RTOL, atol=RTOL * max(float(np.abs(expected).max(initial=0.0)), 1.0))


def pair(name: str, options: dict[str, Any], shape: tuple[int, ...]) -> tuple[Any, Any]:
    """The layer of nnx and that of Keras, built and with the same weights."""
    zeros = {"embeddings_initializer": "zeros"} if name == "Embedding" else {}  # quicker than random numbers
    ours, theirs = mine(name)(**options), getattr(keras.layers, name)(**options, **zeros)
    ours.build_on(nnx.get_backend(), (None, *shape[1:]))
    theirs.build((None, *shape[1:]))
    weights = [np.abs(numbers(*w.shape, seed=i)) for i, w in enumerate(theirs.weights, start=1)]
    assert [w.shape for w in ours.get_weights()] == [w.shape for w in weights]
    assert [p.name for p in ours.weights] == [w.name for w in theirs.weights]
    ours.set_weights(weights)
    theirs.set_weights(weights)
    return ours, theirs


def of_keras(layer: Any, x: np.ndarray, dy: np.ndarray, **options: Any) -> tuple[Any, Any, Any, Any]:
    """The output, the cotangent of the input, the gradients of the weights, and the other variables afterwards."""

    def weighted(weights: Any, x: Any) -> Any:
        others = [variable.value for variable in layer.non_trainable_variables]
        y, others = layer.stateless_call(weights, others, x, **options)
        return (y * dy).sum(), (y, others)

    weights = [variable.value for variable in layer.trainable_variables]
    wanted = (0, 1) if x.dtype.kind == "f" else (0,)
    (_, (y, others)), gradients = jax.jit(jax.value_and_grad(weighted, wanted, has_aux=True))(weights, x)
    return y, gradients[1] if len(wanted) == 2 else None, gradients[0], others


def compare(name: str, options: dict[str, Any], x: np.ndarray, training: bool, **call: Any) -> None:
    ours, theirs = pair(name, options, x.shape)
    y, pullback = ours.forward(x, training=training, **call)
    flat = FlatParameters(ours.trainable_weights, nnx.get_backend())
    flat.start_pass()
    dy = numbers(*y.shape, seed=20)
    dx = pullback(dy)
    flat.finish_pass()
    if hasattr(theirs, "momentum"):
        call["training"] = training
    expected_y, expected_dx, gradients, others = of_keras(theirs, x, dy, **call)
    close(y, expected_y)
    if expected_dx is None:
        assert dx is None
    else:
        close(dx, expected_dx)
    for parameter, expected in zip(ours.trainable_weights, gradients, strict=True):
        close(parameter.grad, expected)
    for parameter, expected in zip(ours.non_trainable_weights, others, strict=True):
        close(parameter.value, expected)


BATCH = [
    ({}, (6, 5)),
    ({"epsilon": 1e-5, "momentum": 0.9}, (3, 4, 5)),
    ({}, (2, 5, 4, 3)),
    ({"axis": 1}, (2, 4, 5, 3)),
    ({"axis": 2, "momentum": 0.5}, (2, 3, 4, 5)),
    ({"scale": False}, (6, 5)),
    ({"center": False}, (6, 5)),
    ({"scale": False, "center": False}, (1, 5, 2)),
    ({"trainable": False}, (6, 5)),
]


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize(("options", "shape"), BATCH, ids=str)
def test_batch_normalization(options, shape, training):
    compare("BatchNormalization", options, numbers(*shape), training)


@pytest.mark.parametrize("shape", [(3, 4, 5), (4, 5)])
def test_batch_normalization_with_a_mask(shape):
    mask = np.resize([True, False, True, True, False], shape[:-1])
    compare("BatchNormalization", {}, numbers(*shape), True, mask=mask)


OTHERS = [
    ("LayerNormalization", {}, (4, 5)),
    ("LayerNormalization", {"epsilon": 1e-6}, (2, 3, 5)),
    ("LayerNormalization", {"axis": [1, 2]}, (2, 3, 5)),
    ("LayerNormalization", {"axis": 1}, (2, 3, 5)),
    ("LayerNormalization", {"axis": (1, 3)}, (2, 3, 4, 5)),
    ("LayerNormalization", {"center": False}, (4, 5)),
    ("LayerNormalization", {"scale": False}, (4, 5)),
    ("LayerNormalization", {"scale": False, "center": False}, (4, 5)),
    ("GroupNormalization", {"groups": 2}, (3, 6)),
    ("GroupNormalization", {"groups": 3}, (2, 4, 6)),
    ("GroupNormalization", {"groups": 3}, (2, 4, 5, 6)),
    ("GroupNormalization", {"groups": 2, "axis": 1}, (2, 6, 4, 3)),
    ("GroupNormalization", {"groups": 1, "epsilon": 1e-5}, (2, 4, 6)),
    ("GroupNormalization", {"groups": -1}, (2, 4, 6)),
    ("GroupNormalization", {"groups": 2, "scale": False}, (2, 4, 6)),
    ("GroupNormalization", {"groups": 2, "center": False}, (2, 4, 6)),
    ("RMSNormalization", {}, (4, 5)),
    # not axis=1: Keras lets scale lie along the last axis, whatever its axis is
    ("RMSNormalization", {"axis": [1, 2], "epsilon": 1e-2}, (2, 3, 5)),
    ("UnitNormalization", {}, (4, 5)),
    ("UnitNormalization", {"axis": [1, 2]}, (2, 3, 5)),
    ("Permute", {"dims": (2, 1)}, (2, 3, 5)),
    ("Permute", {"dims": (3, 1, 2)}, (2, 3, 4, 5)),
    ("RepeatVector", {"n": 3}, (2, 5)),
    ("Masking", {}, (2, 3, 5)),
    ("ActivityRegularization", {"l1": 0.1}, (2, 3)),
]


@pytest.mark.parametrize(("name", "options", "shape"), OTHERS, ids=str)
def test_others(name, options, shape):
    compare(name, options, numbers(*shape), True)


@pytest.mark.filterwarnings("ignore:You passed `rms_scaling=True`")
def test_rms_scaling():
    compare("LayerNormalization", {"rms_scaling": True}, numbers(3, 5), True)
    compare("LayerNormalization", {"rms_scaling": True, "axis": [1, 2]}, numbers(3, 4, 5), True)


@pytest.mark.parametrize("mask_value", [0.0, -1.0])
def test_masking(mask_value):
    x = numbers(2, 4, 3)
    x[0, 1] = x[1, 3] = x[1, 2, 0] = mask_value
    compare("Masking", {"mask_value": mask_value}, x, False)
    ours, theirs = pair("Masking", {"mask_value": mask_value}, x.shape)
    assert np.asarray(theirs.compute_mask(x)).tolist() == ours.compute_mask(x, None).tolist()


@pytest.mark.parametrize(
    ("options", "x"),
    [
        ({"input_dim": 7, "output_dim": 3}, np.array([[0, 3, 3, 6], [1, 3, 2, 0]])),
        ({"input_dim": 7, "output_dim": 3, "mask_zero": True}, np.array([[0, 3, 3, 6], [1, 3, 2, 0]])),
        ({"input_dim": 3, "output_dim": 1}, np.array([2, 1, 2])),
        ({"input_dim": 3, "output_dim": 2}, np.array([[[2, 1], [0, 0]]])),
    ],
    ids=str,
)
def test_embedding(options, x):
    compare("Embedding", options, x.astype(np.int32), True)
    ours, theirs = pair("Embedding", options, x.shape)
    mask = ours.compute_mask(x, None)
    assert (None if mask is None else mask.tolist()) == (
        theirs.compute_mask(x) if mask is None else np.asarray(theirs.compute_mask(x)).tolist()
    )


def test_activity_regularization():
    x = numbers(4, 3)
    theirs = keras.layers.ActivityRegularization(0.1, 0.2)
    theirs(x)
    ours = activity_regularization.ActivityRegularization(0.1, 0.2)
    ours.activity_penalties = []
    ours.run(x)
    close(sum(ours.activity_penalties), np.asarray(sum(theirs.losses)))


ARGUMENTS = {
    "Embedding": {"input_dim": 3, "output_dim": 2},
    "GaussianNoise": {"stddev": 0.1},
    "GaussianDropout": {"rate": 0.1},
    "AlphaDropout": {"rate": 0.1},
    "SpatialDropout1D": {"rate": 0.1},
    "SpatialDropout2D": {"rate": 0.1},
    "Permute": {"dims": [2, 1]},
    "RepeatVector": {"n": 2},
}
NOT_HERE = {
    *("renorm", "renorm_clipping", "renorm_momentum", "synchronized", "quantization_config"),
    *("registered_name", "module", "build_config"),
}


@pytest.mark.parametrize("name", sorted({name for name, *_ in OTHERS} | set(ARGUMENTS) | {"BatchNormalization"}))
def test_arguments_and_defaults(name):
    ours = plain(mine(name)(**ARGUMENTS.get(name, {})).get_config())
    theirs = plain(getattr(keras.layers, name)(**ARGUMENTS.get(name, {})).get_config())
    missing = set(theirs) - set(ours) - NOT_HERE - {"activity_regularizer"}
    assert missing == set()
    for key in set(ours) & set(theirs) - {"dtype", "name"}:
        assert ours[key] == theirs[key], key


def plain(config: Any) -> Any:
    """Without what only Keras writes, and tuples as lists."""
    if isinstance(config, dict):
        return {key: plain(value) for key, value in config.items() if key not in NOT_HERE}
    return [plain(item) for item in config] if isinstance(config, list | tuple) else config


def test_two_steps_of_training():
    x, y = np.random.default_rng(0).integers(0, 9, (12, 4)), numbers(12, 2, seed=3)
    ours = nnx.Sequential(
        [
            embedding.Embedding(9, 5, input_length=4),
            normalization.LayerNormalization(),
            nnx.layers.Flatten(),
            batch_normalization.BatchNormalization(momentum=0.7, gamma_regularizer="l2"),
            nnx.layers.Dense(2),
        ]
    )
    theirs = keras.Sequential(
        [
            keras.Input((4,)),
            keras.layers.Embedding(9, 5, embeddings_initializer="zeros"),
            keras.layers.LayerNormalization(),
            keras.layers.Flatten(),
            keras.layers.BatchNormalization(momentum=0.7, gamma_regularizer="l2"),
            keras.layers.Dense(2, kernel_initializer="zeros"),  # quicker than random numbers
        ]
    )
    ours.set_weights([0.3 * np.abs(numbers(*w.shape, seed=i)) for i, w in enumerate(theirs.weights)])
    theirs.set_weights(ours.get_weights())
    ours.compile(nnx.optimizers.SGD(0.1), loss="mse")
    theirs.compile(keras.optimizers.SGD(0.1), loss="mse")
    for _ in range(2):
        close(np.asarray(ours.train_on_batch(x, y)), theirs.train_on_batch(x, y))
    for found, expected in zip(ours.get_weights(), theirs.weights, strict=True):
        close(found, expected.value)
    close(ours.predict(x, verbose=0), theirs.predict_on_batch(x))
