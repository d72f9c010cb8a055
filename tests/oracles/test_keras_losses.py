"""Losses and metrics against Keras 3 on JAX: values, gradients, reductions, weights, running means."""

from __future__ import annotations

import os

import numpy as np
import pytest

os.environ.setdefault("KERAS_BACKEND", "jax")
jax = pytest.importorskip("jax", reason="the oracle JAX is not installed; pip install 'nnx[oracle]'")
keras = pytest.importorskip("keras", reason="the oracle Keras is not installed; pip install 'nnx[oracle]'")
if keras.backend.backend() != "jax":
    pytest.skip(
        f"Keras runs on {keras.backend.backend()}, and its gradients are wanted from JAX", allow_module_level=True
    )

from nnx import losses, metrics  # noqa: E402
from nnx.metrics.base import MeanOfSamples  # noqa: E402
from nnx.random import Generator  # noqa: E402
from nnx.testing import assert_close  # noqa: E402

RTOL, ATOL = 2e-5, 2e-6
N, CLASSES = 12, 5

ONE_HOT = ("one_hot", "probabilities")
LOGITS = ("one_hot", "numbers")
LABELS = ("labels", "probabilities")
LABEL_LOGITS = ("labels", "numbers")
BITS = ("bits", "probabilities")
BIT_LOGITS = ("bits", "numbers")
NUMBERS = ("numbers", "numbers")
POSITIVE = ("positive", "positive")

# class: (what goes in, options), ...
LOSSES = {
    "MeanSquaredError": [(NUMBERS, {})],
    "MeanAbsoluteError": [(NUMBERS, {})],
    "MeanAbsolutePercentageError": [(POSITIVE, {})],
    "MeanSquaredLogarithmicError": [(POSITIVE, {})],
    "LogCosh": [(NUMBERS, {})],
    "Huber": [(NUMBERS, {}), (NUMBERS, {"delta": 0.3})],
    "Poisson": [(POSITIVE, {})],
    "CosineSimilarity": [(NUMBERS, {}), (NUMBERS, {"axis": 0})],
    "Hinge": [(("signs", "numbers"), {}), (BIT_LOGITS, {})],
    "SquaredHinge": [(("signs", "numbers"), {}), (BIT_LOGITS, {})],
    "CategoricalHinge": [(LOGITS, {})],
    "KLDivergence": [(("probabilities", "probabilities"), {})],
    "Dice": [(BITS, {}), (BITS, {"axis": (0,)}), (BITS, {"axis": -1})],
    "Tversky": [(BITS, {}), (BITS, {"alpha": 0.3, "beta": 0.9, "axis": -1})],
    "BinaryCrossentropy": [
        *((BITS, {}), (BITS, {"label_smoothing": 0.1}), (BITS, {"axis": 0}), (BIT_LOGITS, {"from_logits": True})),
        (BIT_LOGITS, {"from_logits": True, "label_smoothing": 0.2}),
    ],
    "BinaryFocalCrossentropy": [
        *((BITS, {}), (BITS, {"apply_class_balancing": True, "alpha": 0.4}), (BITS, {"gamma": 1.5})),
        (BIT_LOGITS, {"from_logits": True, "label_smoothing": 0.1, "apply_class_balancing": True}),
    ],
    "CategoricalCrossentropy": [
        *((ONE_HOT, {}), (ONE_HOT, {"label_smoothing": 0.1}), (LOGITS, {"from_logits": True})),
        (LOGITS, {"from_logits": True, "label_smoothing": 0.2}),
    ],
    "CategoricalFocalCrossentropy": [
        *((ONE_HOT, {}), (ONE_HOT, {"alpha": 0.5, "gamma": 1.5, "label_smoothing": 0.1})),
        (LOGITS, {"from_logits": True}),
    ],
    "SparseCategoricalCrossentropy": [
        *((LABELS, {}), (LABEL_LOGITS, {"from_logits": True}), (LABELS, {"ignore_class": 2})),
        (LABEL_LOGITS, {"from_logits": True, "ignore_class": 2}),
    ],
}

METRICS = {
    **{name: rows for name, rows in LOSSES.items() if hasattr(keras.metrics, name)},
    "LogCoshError": LOSSES["LogCosh"],
    "RootMeanSquaredError": [(NUMBERS, {})],
    "BinaryCrossentropy": [row for row in LOSSES["BinaryCrossentropy"] if "axis" not in row[1]],
    "Accuracy": [(("labels", "labels"), {})],
    "BinaryAccuracy": [(BITS, {}), (BITS, {"threshold": 0.3})],
    "CategoricalAccuracy": [(ONE_HOT, {})],
    "SparseCategoricalAccuracy": [(LABELS, {})],
    "TopKCategoricalAccuracy": [(ONE_HOT, {"k": 2}), (ONE_HOT, {})],
    "SparseTopKCategoricalAccuracy": [(LABELS, {"k": 3}), (LABELS, {})],
}


def _flat(table):
    return [pytest.param(name, *row, id=f"{name}-{row[0]}-{row[1]}") for name, rows in table.items() for row in rows]


def _data(kinds, seed=0, shape=(N, CLASSES)):
    random = Generator(seed)

    def draw(kind):
        labels = np.floor(random.uniform(shape[:-1], 0.0, shape[-1])).astype(np.int64)
        return {
            "numbers": lambda: 2.0 * random.normal(shape),
            "positive": lambda: random.uniform(shape, 0.2, 3.0),
            "probabilities": lambda: random.uniform(shape, 0.05, 0.95),
            "bits": lambda: np.floor(random.uniform(shape, 0.0, 2.0)),
            "signs": lambda: 2.0 * np.floor(random.uniform(shape, 0.0, 2.0)) - 1.0,
            "one_hot": lambda: np.eye(shape[-1])[labels],
            "labels": lambda: labels,
        }[kind]()

    return [array if array.dtype.kind == "i" else array.astype(np.float32) for array in map(draw, kinds)]


def _check(ours, theirs, y_true, y_pred, sample_weight=None):
    """Compare the loss and its gradient."""
    loss, pullback = ours.forward(y_true, y_pred, sample_weight)
    expected, gradient = jax.value_and_grad(lambda p: theirs(y_true, p, sample_weight=sample_weight))(y_pred)
    assert_close(loss, np.asarray(expected), rtol=RTOL, atol=ATOL, like=y_pred)
    assert_close(pullback(), np.asarray(gradient), rtol=RTOL, atol=ATOL, like=y_pred)


def test_every_loss_class_of_both_has_a_row():
    missing = {"Circle", "CategoricalGeneralizedCrossEntropy", "Loss"}  # not in nnx
    missing |= {"CTC"}  # compared in tests/losses/test_ctc.py and test_keras_recurrent.py
    assert set(LOSSES) == {name for name in dir(keras.losses) if name[0].isupper()} - missing
    assert set(LOSSES) == set(losses.registry.objects) - {"LossFunctionWrapper", "CTC"}


def test_every_metric_of_both_has_a_row():
    only_here = {"Dice", "Huber", "Tversky", "BinaryFocalCrossentropy", "CategoricalFocalCrossentropy"}
    means = {name for name, cls in metrics.registry.objects.items() if issubclass(cls, MeanOfSamples)}
    elsewhere = {"PearsonCorrelation", "ConcordanceCorrelation", "MeanRelativeError"}  # test_keras_metrics.py
    assert set(METRICS) == means - only_here - elsewhere - {"Mean", "MeanMetricWrapper"}


REDUCTIONS = [
    *(("sum_over_batch_size", weights) for weights in ("none", "samples", "column", "zeros")),
    *(("sum", "samples"), ("mean", "samples")),
    *(("mean_with_sample_weight", weights) for weights in ("none", "samples", "zeros")),
]


@pytest.mark.parametrize(("reduction", "weights"), REDUCTIONS)
@pytest.mark.parametrize(("name", "kinds", "options"), _flat(LOSSES))
def test_losses(name, kinds, options, reduction, weights):
    if weights != "none" and name in ("Dice", "Tversky") and options.get("axis") is None:
        return  # one value for the batch has no weights of samples
    y_true, y_pred = _data(kinds)
    values = getattr(losses, name)(**options, reduction=None)(y_true, y_pred)
    weight = Generator(7).uniform(values.shape, 0.1, 3.0).astype(np.float32)
    weight = {"none": None, "samples": weight, "column": weight[..., None], "zeros": np.zeros_like(weight)}[weights]
    ours = getattr(losses, name)(**options, reduction=reduction)
    _check(ours, getattr(keras.losses, name)(**options, reduction=reduction), y_true, y_pred, weight)


@pytest.mark.parametrize(("name", "kinds", "options"), _flat(LOSSES))
def test_loss_values_without_reduction(name, kinds, options):
    y_true, y_pred = _data(kinds)
    for reduction in ("none", None):
        ours = getattr(losses, name)(**options, reduction=reduction)(y_true, y_pred)
        theirs = getattr(keras.losses, name)(**options, reduction=reduction)(y_true, y_pred)
        assert_close(ours, np.asarray(theirs), rtol=RTOL, atol=ATOL, like=y_pred)


@pytest.mark.parametrize(("name", "kinds", "options"), _flat(LOSSES))
def test_losses_of_sequences(name, kinds, options):
    y_true, y_pred = _data(kinds, shape=(4, 3, CLASSES))
    _check(getattr(losses, name)(**options), getattr(keras.losses, name)(**options), y_true, y_pred)


@pytest.mark.parametrize("name", [name for name in losses.__all__ if hasattr(keras.losses, name) and name.islower()])
def test_loss_functions(name):
    if name in ("get", "serialize", "deserialize", "ctc"):
        return
    cls = type(losses.resolve(name)).__name__
    for kinds, options in LOSSES[cls]:
        y_true, y_pred = _data(kinds)
        ours = getattr(losses, name)(y_true, y_pred, **options)
        theirs = getattr(keras.losses, name)(y_true, y_pred, **options)
        assert_close(ours, np.asarray(theirs), rtol=RTOL, atol=ATOL, like=y_pred)


def test_every_loss_function_of_keras_is_there():
    missing = {"ctc", "circle", "categorical_generalized_cross_entropy"}  # not in nnx yet
    assert {name for name in dir(keras.losses) if name[0].islower()} - missing <= set(losses.__all__)


@pytest.mark.parametrize("name", LOSSES)
def test_loss_configurations(name):
    theirs = getattr(keras.losses, name)().get_config()
    ours = getattr(losses, name)().get_config()
    assert {key: ours[key] for key in theirs} == theirs


@pytest.mark.parametrize(
    ("true_shape", "pred_shape"), [((6,), (6, 1)), ((6, 1), (6,)), ((6, 3, 1), (6, 3)), ((6, 3), (6, 3, 1))]
)
@pytest.mark.parametrize("name", ["MeanSquaredError", "BinaryCrossentropy", "Hinge", "Poisson"])
def test_a_last_axis_of_one_may_be_missing(name, true_shape, pred_shape):
    y_true = np.floor(Generator(0).uniform(true_shape, 0.0, 2.0)).astype(np.float32)
    y_pred = Generator(1).uniform(pred_shape, 0.1, 0.9).astype(np.float32)
    for reduction in ("sum_over_batch_size", "sum"):
        _check(
            getattr(losses, name)(reduction=reduction),
            getattr(keras.losses, name)(reduction=reduction),
            y_true,
            y_pred,
        )
    weight = Generator(2).uniform((6, 1), 0.1, 3.0).astype(np.float32)
    _check(getattr(losses, name)(), getattr(keras.losses, name)(), y_true, y_pred, weight[:, 0])
    _check(getattr(losses, name)(), getattr(keras.losses, name)(), y_true, y_pred, weight)


@pytest.mark.parametrize("reduction", ["sum_over_batch_size", "mean_with_sample_weight"])
@pytest.mark.parametrize("shape", [(4, 3), (4, 1)], ids=str)
def test_weights_of_steps(reduction, shape):
    y_true, y_pred = _data(NUMBERS, shape=(4, 3, CLASSES))
    weight = Generator(2).uniform(shape, 0.1, 3.0).astype(np.float32)
    ours = losses.MeanSquaredError(reduction=reduction)
    _check(ours, keras.losses.MeanSquaredError(reduction=reduction), y_true, y_pred, weight)


@pytest.mark.parametrize("weights", ["none", "samples", "column"])
@pytest.mark.parametrize(("name", "kinds", "options"), _flat(METRICS))
def test_metrics_over_batches(name, kinds, options, weights):
    if weights != "none" and options.get("axis") == 0:
        return  # the values are of classes, and have no weights of samples
    ours, theirs = getattr(metrics, name)(**options), getattr(keras.metrics, name)(**options)
    assert ours.name == theirs.name
    for _ in range(2):
        for seed, rows in enumerate((12, 12, 5)):
            y_true, y_pred = (array[:rows] for array in _data(kinds, seed))
            weight = Generator(seed).uniform((rows, 1), 0.0, 2.0).astype(np.float32)
            weight = {"none": None, "samples": weight[:, 0], "column": weight}[weights]
            if weights == "column" and name in ("RootMeanSquaredError", "Accuracy", "BinaryAccuracy"):
                weight = np.tile(weight, (1, *y_pred.shape[1:]))  # a weight for each element
            ours.update_state(y_true, y_pred, weight)
            theirs.update_state(y_true, y_pred, weight)
            assert_close(ours.result(), np.asarray(theirs.result()), rtol=RTOL, atol=ATOL)
        ours.reset_state()
        theirs.reset_state()


@pytest.mark.parametrize("shape", [(6,), (6, 3), (6, 3, 2)], ids=str)
@pytest.mark.parametrize("weighted", [None, (6,), (6, 1), (6, 3)], ids=str)
@pytest.mark.parametrize("name", ["Mean", "Sum"])
def test_reductions_of_values(name, weighted, shape):
    if weighted == (6, 3) and shape == (6,):
        return  # more weights than values
    ours, theirs = getattr(metrics, name)(), getattr(keras.metrics, name)()
    for seed in range(2):
        values = Generator(seed).normal(shape).astype(np.float32)
        weight = None if weighted is None else Generator(9 + seed).uniform(weighted, 0.1, 2.0).astype(np.float32)
        ours.update_state(values, weight)
        theirs.update_state(values, weight)
    assert_close(ours.result(), np.asarray(theirs.result()), rtol=RTOL, atol=ATOL)


@pytest.mark.parametrize(
    ("targets", "outputs"), [((8, 1), (8, 1)), ((8,), (8, 1)), ((8,), (8, 3)), ((8, 1), (8, 3)), ((8, 3), (8, 3))]
)
def test_accuracy_is_resolved_by_shapes(targets, outputs):
    from keras.src.trainers.compile_utils import get_metric

    for name in ("acc", "accuracy", "Accuracy"):
        theirs = get_metric(name, np.zeros(targets), np.zeros(outputs))
        ours = metrics.resolve(name, target_shape=targets, output_shape=(None, *outputs[1:]))
        assert (type(ours).__name__, ours.name) == (type(theirs).__name__, theirs.name)
