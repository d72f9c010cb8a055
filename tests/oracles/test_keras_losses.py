"""Losses and metrics against Keras 3 on JAX: values, gradients, reductions, weights, running means."""

from __future__ import annotations

import numpy as np
import pytest

jax = pytest.importorskip("jax", reason="the oracle JAX is not installed; pip install 'nnx-array[oracle]'")
keras = pytest.importorskip("keras", reason="the oracle Keras is not installed; pip install 'nnx-array[oracle]'")
if keras.backend.backend() != "jax":
    pytest.skip(
        f"Keras runs on {keras.backend.backend()}, and its gradients are wanted from JAX", allow_module_level=True
    )

from nnx import losses, metrics  # noqa: E402
from nnx.random import Generator  # noqa: E402
from nnx.testing import assert_close  # noqa: E402
from nnx.testing.rows import metrics as metric_rows  # noqa: E402
from nnx.testing.rows.completeness import assert_complete, keras_complaints  # noqa: E402
from nnx.testing.rows.example_data import draw  # noqa: E402
from nnx.testing.rows.losses import LOSSES  # noqa: E402

RTOL, ATOL = 2e-5, 2e-6
N, CLASSES = 12, 5

EXAMPLES = {name: row.keras_examples for name, row in LOSSES.items() if row.keras}

METRICS = {
    name: [(example.data, example.options) for example in row.keras if isinstance(example.data, tuple)]
    for name, row in metric_rows.METRICS.items()
}


def _flat(table):
    return [pytest.param(name, *row, id=f"{name}-{row[0]}-{row[1]}") for name, rows in table.items() for row in rows]


def _data(kinds, seed=0, shape=(N, CLASSES)):
    return [array if array.dtype.kind == "i" else array.astype(np.float32) for array in draw(*kinds, shape, seed)]


def _check(ours, theirs, y_true, y_pred, sample_weight=None):
    """Compare the loss and its gradient."""
    loss, pullback = ours.forward(y_true, y_pred, sample_weight)
    expected, gradient = jax.value_and_grad(lambda p: theirs(y_true, p, sample_weight=sample_weight))(y_pred)
    assert_close(loss, np.asarray(expected), rtol=RTOL, atol=ATOL, like=y_pred)
    assert_close(pullback(), np.asarray(gradient), rtol=RTOL, atol=ATOL, like=y_pred)


def test_every_loss_class_of_both_has_a_row():
    missing = {"Loss", "CTC", "Circle"}  # compared in tests/losses/test_ctc.py, test_keras_recurrent.py, and below
    compared = {name: name in EXAMPLES for name in LOSSES}
    assert_complete(keras_complaints("nnx/testing/rows/losses.py", keras.losses, compared))
    assert {name for name in dir(keras.losses) if name[0].isupper()} - missing <= set(EXAMPLES)


@pytest.mark.parametrize("options", [{}, {"gamma": 8.0, "margin": 0.25, "remove_diagonal": False}])
def test_circle(options):
    y_pred = Generator(4).normal((N, CLASSES)).astype(np.float32)
    y_pred /= np.linalg.norm(y_pred, axis=-1, keepdims=True)
    y_true = np.asarray([0, 1, 2, 0, 1, 2, 0, 0, 1, 1, 2, 0])
    _check(losses.Circle(**options), keras.losses.Circle(**options), y_true, y_pred)
    refs = {"ref_labels": y_true[3:7], "ref_embeddings": y_pred[3:7][::-1], "remove_diagonal": False}
    given = [np.asarray(f(y_true, y_pred, **refs)) for f in (losses.circle, keras.losses.circle)]
    assert_close(*given, rtol=RTOL, atol=ATOL)


def test_every_metric_of_both_has_a_row():
    compared = {name: bool(row.keras) for name, row in metric_rows.METRICS.items()}
    assert_complete(keras_complaints("nnx/testing/rows/metrics.py", keras.metrics, compared))


REDUCTIONS = [
    *(("sum_over_batch_size", weights) for weights in ("none", "samples", "column", "zeros")),
    *(("sum", "samples"), ("mean", "samples")),
    *(("mean_with_sample_weight", weights) for weights in ("none", "samples", "zeros")),
]


@pytest.mark.parametrize(("reduction", "weights"), REDUCTIONS)
@pytest.mark.parametrize(("name", "kinds", "options"), _flat(EXAMPLES))
def test_losses(name, kinds, options, reduction, weights):
    if weights != "none" and name in ("Dice", "Tversky") and options.get("axis") is None:
        return  # one value for the batch has no weights of samples
    y_true, y_pred = _data(kinds)
    values = getattr(losses, name)(**options, reduction=None)(y_true, y_pred)
    weight = Generator(7).uniform(values.shape, 0.1, 3.0).astype(np.float32)
    weight = {"none": None, "samples": weight, "column": weight[..., None], "zeros": np.zeros_like(weight)}[weights]
    ours = getattr(losses, name)(**options, reduction=reduction)
    _check(ours, getattr(keras.losses, name)(**options, reduction=reduction), y_true, y_pred, weight)


@pytest.mark.parametrize(("name", "kinds", "options"), _flat(EXAMPLES))
def test_loss_values_without_reduction(name, kinds, options):
    y_true, y_pred = _data(kinds)
    for reduction in ("none", None):
        ours = getattr(losses, name)(**options, reduction=reduction)(y_true, y_pred)
        theirs = getattr(keras.losses, name)(**options, reduction=reduction)(y_true, y_pred)
        assert_close(ours, np.asarray(theirs), rtol=RTOL, atol=ATOL, like=y_pred)


@pytest.mark.parametrize(("name", "kinds", "options"), _flat(EXAMPLES))
def test_losses_of_sequences(name, kinds, options):
    y_true, y_pred = _data(kinds, shape=(4, 3, CLASSES))
    _check(getattr(losses, name)(**options), getattr(keras.losses, name)(**options), y_true, y_pred)


@pytest.mark.parametrize("name", [name for name in losses.__all__ if hasattr(keras.losses, name) and name.islower()])
def test_loss_functions(name):
    if name in ("get", "serialize", "deserialize", "ctc", "circle"):
        return
    cls = type(losses.resolve(name)).__name__
    for kinds, options in EXAMPLES[cls]:
        y_true, y_pred = _data(kinds)
        ours = getattr(losses, name)(y_true, y_pred, **options)
        given = {"q": 0.5, **options} if name == "categorical_generalized_cross_entropy" else options  # no default
        theirs = getattr(keras.losses, name)(y_true, y_pred, **given)
        assert_close(ours, np.asarray(theirs), rtol=RTOL, atol=ATOL, like=y_pred)


def test_every_loss_function_of_keras_is_there():
    assert {name for name in dir(keras.losses) if name[0].islower()} <= set(losses.__all__)


@pytest.mark.parametrize("name", EXAMPLES)
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
    y_true, y_pred = _data(("numbers", "numbers"), shape=(4, 3, CLASSES))
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
