"""Masks of outputs, and losses: each reduction over what the mask and the loss itself leave, in one factor."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import nnx
from nnx import losses
from nnx.layers import Dense, Embedding, Input, Masking
from nnx.testing import assert_close, check_gradients, no_synchronization

WORDS = np.asarray([[1, 2, 3, 0, 0], [4, 5, 0, 0, 0], [1, 1, 2, 5, 4]])
LABELS = np.asarray([[0, 3, 2, 3, 0], [1, 3, 2, 1, 1], [3, 0, 2, 1, 3]])
COUNTS = WORDS != 0
OF_STEPS = np.asarray([[1.0, 2.0, 0.5, 3.0, 1.0], [2.0, 0.25, 1.0, 1.0, 9.0], [0.0, 1.0, 1.5, 0.5, 2.0]])
REDUCTIONS = ["sum", "sum_over_batch_size", "mean", "mean_with_sample_weight"]
WEIGHTS: dict[str, Any] = {"none": None, "samples": OF_STEPS[:, 0], "column": OF_STEPS[:, 1:2], "steps": OF_STEPS}


def expected_weights(reduction: str, counts: np.ndarray, weights: Any) -> np.ndarray:
    """What each value is multiplied by, before the sum."""
    each = 1.0 if weights is None else weights if weights.ndim > 1 else weights[:, None]
    whole = np.broadcast_to(each, counts.shape) * counts
    return whole / {"sum": 1.0, "mean_with_sample_weight": whole.sum()}.get(reduction, counts.sum())


def model_of(loss: Any, mask: bool = True, **options: Any) -> nnx.Sequential:
    nnx.random.set_seed(3)
    model = nnx.Sequential([Input((5,), dtype="int64"), Embedding(6, 3, mask_zero=mask), Dense(4, "softmax")])
    model.compile(nnx.optimizers.SGD(0.5), loss, **options)
    return model


def compare_training(model: nnx.Model, same: nnx.Model, fitting: dict[str, Any], of_same: dict[str, Any]) -> None:
    """Losses, and the weights after three steps, of which the later ones are replayed."""
    assert_close(model.evaluate(verbose=0, **fitting), same.evaluate(verbose=0, **of_same), rtol=2e-5)
    for _ in range(3):
        found, expected = (one.train_on_batch(**given) for one, given in ((model, fitting), (same, of_same)))
        assert_close(found, expected, rtol=2e-5)
    for mine, other in zip(model.get_weights(), same.get_weights(), strict=True):
        assert_close(mine, other, 1e-4, 1e-5)


@pytest.mark.parametrize("weights", WEIGHTS)
@pytest.mark.parametrize("ignored", [None, 3])
@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_it_is_the_sum_of_what_counts(reduction: str, ignored: int | None, weights: str, backend: Any) -> None:
    """Loss and training are those of a sum without a mask that has the right weights."""
    given = WEIGHTS[weights]
    counts = COUNTS & (True if ignored is None else ignored != LABELS)
    model = model_of(losses.SparseCategoricalCrossentropy(reduction=reduction, ignore_class=ignored))
    same = model_of(losses.SparseCategoricalCrossentropy(reduction="sum"), mask=False)
    columns = {"x": WORDS, "y": LABELS}
    by_hand = {**columns, "sample_weight": expected_weights(reduction, counts, given)}
    compare_training(model, same, {**columns, "sample_weight": given}, by_hand)


@pytest.mark.parametrize("ignored", [None, 3])
@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_weights_of_classes(reduction: str, ignored: int | None) -> None:
    counts = COUNTS & (True if ignored is None else ignored != LABELS)
    model = model_of(losses.SparseCategoricalCrossentropy(reduction=reduction, ignore_class=ignored))
    same = model_of(losses.SparseCategoricalCrossentropy(reduction="sum"), mask=False)
    class_weight = {0: 2.0, 1: 0.5}
    each = np.where(LABELS == 0, 2.0, np.where(LABELS == 1, 0.5, 1.0))
    by_hand = {"x": WORDS, "y": LABELS, "sample_weight": expected_weights(reduction, counts, each)}
    found = model.train_on_batch(WORDS, LABELS, class_weight=class_weight)
    assert_close(found, same.train_on_batch(**by_hand), rtol=2e-5)
    for mine, other in zip(model.get_weights(), same.get_weights(), strict=True):
        assert_close(mine, other, 1e-4, 1e-5)


def test_each_output_has_its_reduction() -> None:
    """With weights of the losses, in `fit` and in `evaluate`, over batches that have other numbers of steps."""

    def several(mask: bool, *of_outputs: Any) -> nnx.Model:
        nnx.random.set_seed(4)
        words = Input((5,), dtype="int64")
        steps = Embedding(6, 3, mask_zero=mask)(words)
        model = nnx.Model(words, [Dense(4, "softmax", name="kind")(steps), Dense(1, name="size")(steps)])
        model.compile(nnx.optimizers.SGD(0.1), list(of_outputs), loss_weights=[0.5, 2.0])
        return model

    kind, size = losses.SparseCategoricalCrossentropy, losses.MeanSquaredError
    model = several(True, kind(ignore_class=3), size(reduction="sum"))
    same = several(False, kind(reduction="sum"), size(reduction="sum"))
    targets = [LABELS, np.sin(LABELS)[..., None]]
    for rows in (slice(0, 2), slice(2, 3)):
        x, y = WORDS[rows], [target[rows] for target in targets]
        weights = [expected_weights("mean", COUNTS[rows] & (y[0] != 3), None), COUNTS[rows] * 1.0]
        compare_training(model, same, {"x": x, "y": y}, {"x": x, "y": y, "sample_weight": weights})
    found = model.evaluate(WORDS, targets, batch_size=2, verbose=0)
    batches = [model.test_on_batch(WORDS[rows], [y[rows] for y in targets]) for rows in (slice(0, 2), slice(2, 3))]
    assert_close(np.asarray(found), (2 * np.asarray(batches[0]) + np.asarray(batches[1])) / 3, rtol=1e-5)
    history = model.fit(WORDS, targets, epochs=1, batch_size=3, verbose=0, validation_data=(WORDS, targets)).history
    assert_close(history["val_size_loss"][0], model.evaluate(WORDS, targets, verbose=0)[2], rtol=1e-5)


@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_nothing_counts(reduction: str, backend: Any) -> None:
    """Neither a mask without steps, nor one whose steps all have the label that is ignored, divides by 0."""
    model = model_of(losses.SparseCategoricalCrossentropy(reduction=reduction, ignore_class=3))
    before = model.get_weights()
    for x, y in ((0 * WORDS, LABELS), (WORDS, np.where(COUNTS, 3, 0))):
        assert model.train_on_batch(x, y) == 0.0
    for mine, other in zip(model.get_weights(), before, strict=True):
        assert_close(mine, other, 0.0, 0.0)


@pytest.mark.parametrize("function", [lambda y, p: abs(y - p)[..., 0], lambda y, p: nnx.ops.mean(abs(y - p))])
def test_functions_of_ones_own(function: Any) -> None:
    """With a value for each step, and with one for the batch, which each step that counts weights as a sample does."""
    x = np.where(COUNTS, WORDS, 0.0)[..., None].astype("float32")
    y = np.cos(LABELS)[..., None].astype("float32")
    for reduction in REDUCTIONS:
        model = nnx.Sequential([Input((5, 1)), Masking(), Dense(1, kernel_initializer="ones")])
        model.compile("sgd", losses.LossFunctionWrapper(function, reduction=reduction))
        expected = (function(y, x) * expected_weights(reduction, COUNTS, None)).sum()
        assert_close(model.evaluate(x, y, verbose=0), expected, rtol=1e-5)


@pytest.mark.parametrize("weights", WEIGHTS)
@pytest.mark.parametrize("reduction", [*REDUCTIONS, None])
def test_gradients(reduction: Any, weights: str) -> None:
    logits = nnx.random.Generator(1).normal((3, 5, 4))
    for loss in (losses.SparseCategoricalCrossentropy(True, 3, reduction), losses.MeanSquaredError(reduction)):
        y = LABELS if loss.integer_targets else np.sin(logits)
        check_gradients(lambda z, loss=loss, y=y: loss.forward(y, z, WEIGHTS[weights], COUNTS), logits)


def test_nothing_waits_for_the_device(backend: Any) -> None:
    loss = losses.SparseCategoricalCrossentropy(from_logits=True, ignore_class=3)
    labels, logits = backend.asarray(LABELS), backend.asarray(nnx.random.Generator(1).normal((3, 5, 4)))
    mask, weights = backend.asarray(COUNTS, dtype="bool"), backend.asarray(OF_STEPS[:, 0])
    with no_synchronization():
        value, pullback = loss.forward(labels, logits, weights, mask)
        cotangent = pullback()
    assert_close(cotangent, pullback(1.0), like=logits)
    counts = COUNTS & (LABELS != 3)
    every = losses.SparseCategoricalCrossentropy(from_logits=True, reduction="sum")
    by_hand = every(LABELS, nnx.to_numpy(logits), expected_weights("mean", counts, OF_STEPS[:, 0]))
    assert_close(value, by_hand, rtol=1e-5)


def test_steps_of_another_shape_than_the_values() -> None:
    """A mask of steps for values of pixels in them, and weights of those: axes that are missing are the last."""
    y, p = nnx.random.Generator(1).normal((3, 5, 2, 4)), nnx.random.Generator(2).normal((3, 5, 2, 4))
    weights = nnx.random.Generator(3).uniform((3, 5, 2))
    values = ((y - p) ** 2).mean(axis=-1) * COUNTS[..., None]
    for reduction, expected in (
        ("sum", (values * weights).sum()),
        ("mean", (values * weights).sum() / COUNTS.sum() / 2),
    ):
        assert_close(losses.MeanSquaredError(reduction).forward(y, p, weights, COUNTS)[0], expected)
    with pytest.raises(ValueError, match="sample_weight must have a weight for each of 3 samples"):
        losses.MeanSquaredError().forward(y, p, np.ones(4), COUNTS)


class Own(nnx.losses.Loss):
    """With a pullback of its own, and no mask among its arguments."""

    def forward(self, y_true, y_pred, sample_weight=None):
        difference = y_pred - y_true
        weight = 1.0 if sample_weight is None else sample_weight[..., None]
        size = difference.shape[0] * difference.shape[1] * difference.shape[2]
        value = nnx.ops.sum(weight * difference * difference) / size
        return value, lambda dloss=1.0: 2.0 * dloss * weight * difference / size


def test_a_loss_with_a_forward_of_its_own_gets_the_mask_as_weights(backend):
    words, targets = np.asarray([[1, 2, 0], [3, 0, 0]]), np.ones((2, 3, 2), np.float32)
    losses = []
    for loss in (Own(), "mse"):
        nnx.random.set_seed(1)
        layers = [nnx.Input((3,), dtype="int32"), nnx.layers.Embedding(6, 3, mask_zero=True), nnx.layers.Dense(2)]
        model = nnx.Sequential(layers)
        model.compile("sgd", loss)
        losses.append([float(model.train_on_batch(words, targets)) for _ in range(3)])
    np.testing.assert_allclose(losses[0], losses[1], rtol=1e-5)
