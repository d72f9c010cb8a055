"""Losses of outputs with a mask against Keras 3 on JAX: reductions, classes that are ignored, weights, two outputs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

keras = pytest.importorskip("keras", reason="Keras is not installed: pip install 'nnx-array[oracle]'")

import nnx  # noqa: E402
from nnx.random import Generator  # noqa: E402
from nnx.testing import assert_close  # noqa: E402

# Keras's variables do not know NumPy 2's `copy` yet
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy:DeprecationWarning")

WORDS = np.asarray([[1, 2, 3, 0, 0], [4, 5, 0, 0, 0], [1, 1, 2, 5, 4]])
LABELS = np.asarray([[0, 1, 2, 3, 0], [1, 3, 2, 1, 1], [3, 0, 2, 1, 3]])
OF_STEPS = np.float32(Generator(1).uniform((3, 5), 0.2, 2.0))
REDUCTIONS = ["sum", "sum_over_batch_size", "mean", "mean_with_sample_weight"]


def pair(make: Callable[[Any], Any]) -> tuple[Any, Any]:
    """The same model in both libraries."""
    ours, theirs = make(nnx), make(keras)
    generator = Generator(8)
    weights = [np.float32(generator.normal(np.shape(w))) for w in ours.get_weights()]
    for model in (ours, theirs):
        model.set_weights(weights)
    return ours, theirs


def compare(make: Callable[[Any], Any], y: Any, sample_weight: Any) -> None:
    """What `evaluate` gives, and the weights after two steps."""
    ours, theirs = pair(make)
    given = {"x": WORDS, "y": y, "sample_weight": sample_weight}
    found, expected = (model.evaluate(verbose=0, **given) for model in (ours, theirs))
    assert found == pytest.approx(expected, rel=2e-5)
    for _ in range(2):
        for model in (ours, theirs):
            model.train_on_batch(**given)
    for mine, other in zip(ours.get_weights(), theirs.get_weights(), strict=True):
        assert_close(mine, other, 1e-4, 2e-5)


@pytest.mark.parametrize("weights", [None, OF_STEPS], ids=["plain", "weighted"])
@pytest.mark.parametrize("ignored", [None, 3])
@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_one_output(reduction: str, ignored: int | None, weights: Any) -> None:
    def make(library: Any) -> Any:
        lib = library.layers
        layers = [library.Input((5,), dtype="int32"), lib.Embedding(6, 3, mask_zero=True), lib.Dense(4, "softmax")]
        model = library.Sequential(layers)
        loss = library.losses.SparseCategoricalCrossentropy(reduction=reduction, ignore_class=ignored)
        model.compile(library.optimizers.SGD(0.1), loss)
        return model

    compare(make, LABELS, weights)


@pytest.mark.parametrize("ignored", [None, 3])
@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_two_outputs(reduction: str, ignored: int | None) -> None:
    def make(library: Any) -> Any:
        words = library.Input((5,), dtype="int32")
        steps = library.layers.Embedding(6, 3, mask_zero=True)(words)
        ends = [library.layers.Dense(4, "softmax", name="kind"), library.layers.Dense(2, name="size")]
        model = library.Model(words, [end(steps) for end in ends])
        kind = library.losses.SparseCategoricalCrossentropy(ignore_class=ignored)
        losses = [kind, library.losses.MeanSquaredError(reduction=reduction)]
        model.compile(library.optimizers.SGD(0.1), losses, loss_weights=[2.0, 0.25])
        return model

    targets = [LABELS, np.float32(Generator(2).normal((3, 5, 2)))]
    compare(make, targets, [OF_STEPS, OF_STEPS[::-1].copy()])
