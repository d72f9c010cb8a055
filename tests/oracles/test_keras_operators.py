"""Functions of `ops` in files of Keras: how they are written down, read by Keras, and read by nnx."""

from __future__ import annotations

import importlib
import inspect
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

os.environ.setdefault("KERAS_BACKEND", "jax")
keras = pytest.importorskip("keras", reason="Keras is not installed: pip install 'nnx-array[oracle]'")
pytest.importorskip("h5py", reason="h5py is not installed: pip install 'nnx-array[keras-files]'")

import nnx  # noqa: E402
from nnx.ops.operation import OPERATIONS  # noqa: E402
from nnx.saving.keras_files.operators import class_of_operation, names_in_call  # noqa: E402
from nnx.testing import assert_close  # noqa: E402

X = np.random.default_rng(1).normal(size=(3, 4, 6)).astype("float32")

UNARY = "exp tanh sin sqrt log1p rsqrt erf relu relu6 silu softplus square sign floor logical_not reciprocal"
REDUCTIONS = "mean sum max min prod std var amax logsumexp any median ptp"
BINARY = "add subtract multiply divide maximum minimum arctan2 greater not_equal mod power logaddexp"


def results(ops: Any, x: Any) -> list[Any]:
    """Operations of all kinds. Those that give integers or bools go on to others, as they do in a model."""
    positive = ops.abs(x) + 0.5
    found = [ops.cast(getattr(ops, name)(positive), "float32") for name in UNARY.split()]
    found += [ops.cast(getattr(ops, name)(x, axis=(1, 2), keepdims=True), "float32") for name in REDUCTIONS.split()]
    constant = np.linspace(-1, 1, 6).astype("float32")
    for name in BINARY.split():
        binary = getattr(ops, name)
        found += [ops.cast(binary(positive, one), "float32") for one in (constant, 2.0, ops.cos(x))]
    found += [ops.cast(ops.less_equal(0.1, x), "float32"), ops.power(2.0, x), ops.true_divide(1, positive)]
    found += [ops.softmax(x, axis=1), ops.log_softmax(x), ops.leaky_relu(x, negative_slope=0.3), ops.gelu(x, False)]
    found += [ops.elu(x, alpha=0.4), ops.glu(x), ops.one_hot(ops.argmax(x, axis=-1), 6), ops.top_k(x, 2)[0]]
    found += [
        ops.reshape(x, (-1, 6, 4)),
        ops.transpose(x, (0, 2, 1)),
        ops.expand_dims(x, (1, 2)),
        ops.tile(x, (1, 2, 1)),
    ]
    found += [ops.pad(x, ((0, 0), (1, 0), (0, 2)), constant_values=3.0), ops.pad(x, 1, mode="reflect")]
    found += [ops.roll(x, 1, axis=1), ops.flip(x, axis=(1, 2)), ops.repeat(x, 2, axis=1), ops.swapaxes(x, 1, 2)]
    found += [ops.tile(x, (1, 2, 1))]
    found += [ops.concatenate([x, positive], axis=-1), ops.stack([x, positive], axis=1), ops.hstack([x, x])]
    found += [*ops.split(x, 2, axis=-1), *ops.split(x, (1, 3), axis=1), *ops.unstack(x, axis=1)[:2]]
    found += [ops.take(x, np.array([0, 2]), axis=1), ops.take_along_axis(x, ops.argsort(x, axis=1), axis=1)]
    found += [ops.einsum("bij,bkj->bik", x, positive), ops.matmul(x, ops.transpose(x, (0, 2, 1))), ops.dot(x, constant)]
    found += [ops.tensordot(x, np.ones((4, 6), "float32"), axes=((1, 2), (0, 1))), ops.norm(x)]
    found += [ops.where(x > 0, x, 0.0), ops.clip(x, -0.5, 0.5), ops.round(x, decimals=1), ops.cumsum(x, axis=1)]
    found += [
        ops.average(x, axis=2, weights=np.abs(constant)),
        ops.quantile(x, 0.3),
        *ops.moments(x, axes=(1,)),
    ]
    found += [ops.full_like(x, 2.0), ops.cast(ops.isclose(x, x + 1e-9), "float32"), ops.linspace(x, positive, 3)]
    found += [ops.layer_normalization(x, axis=-1), ops.rms_normalization(x), ops.normalize(x, axis=1)]
    found += [ops.conv(x, np.ones((2, 6, 3), "float32"), padding="same"), ops.max_pool(x, 2, strides=2)]
    found += [ops.image.resize(x[..., None], (5, 3)), ops.slice(x, (0, 1, 0), (3, 2, 2)), x[..., None, 1:5:2]]
    return found


def graph(library: Any) -> Any:
    x = library.Input(batch_shape=(3, 4, 6), name="x")
    return library.Model(x, results(library.ops, x))


def assert_equal_results(found: list[Any], expected: list[Any]) -> None:
    assert len(found) == len(expected) > 100
    for position, (mine, theirs) in enumerate(zip(found, expected, strict=True)):
        theirs = np.asarray(theirs)
        assert np.asarray(mine).shape == theirs.shape, position
        assert_close(np.asarray(mine, "float32"), theirs.astype("float32"), 2e-5, 2e-5)


@pytest.mark.filterwarnings("ignore:.*structure of `inputs` doesn't match:UserWarning")
def test_what_nnx_writes_keras_reads(tmp_path: Path):
    ours = graph(nnx)
    ours.save(tmp_path / "m.keras")
    theirs = keras.saving.load_model(tmp_path / "m.keras")
    expected = ours.predict(X, batch_size=3, verbose=0)
    assert_equal_results(theirs(X), expected)
    assert_equal_results(nnx.models.load_model(tmp_path / "m.keras").predict(X, batch_size=3, verbose=0), expected)


def test_what_keras_writes_nnx_reads(tmp_path: Path):
    theirs = graph(keras)
    theirs.save(tmp_path / "m.keras")
    ours = nnx.models.load_model(tmp_path / "m.keras")
    assert_equal_results(ours.predict(X, batch_size=3, verbose=0), theirs(X))


def test_every_operation_has_its_class():
    """Where it is, what belongs to its call and what to its configuration; those without a class are refused."""
    wrong, without = [], []
    for function in OPERATIONS:
        try:
            module, name = class_of_operation(function)
        except ValueError:
            without.append(function)
            continue
        found = getattr(importlib.import_module(module), name, None)
        if found is None or not issubclass(found, keras.Operation):
            wrong.append(f"{function}: {module} has no class {name}")
            continue
        call, config = ([*inspect.signature(part).parameters][1:] for part in (found.call, found.__init__))
        known = set(inspect.signature(OPERATIONS[function]).parameters) | {"name", "rms_scaling", "kwargs"}
        if function not in ("einsum", "meshgrid") and (names_in_call(function) != call or not known.issuperset(config)):
            wrong.append(f"{function}: {name} is called with {call} and configured with {config}")
    assert wrong == []
    assert set(without) == {
        *("allclose", "bartlett", "blackman", "empty", "extract_patches_3d", "eye", "full", "hamming", "hanning"),
        *("identity", "kaiser", "ones", "tri", "zeros"),
    }
