"""Metrics: accuracies, running means, weights, where they live, names, configurations."""

from __future__ import annotations

import json

import numpy as np
import pytest

import nnx
from nnx import losses, metrics
from nnx.losses.base import VALUES_FUNCTIONS
from nnx.random import Generator
from nnx.testing import assert_close, no_synchronization
from nnx.testing.rows.completeness import assert_complete
from nnx.testing.rows.metrics import METRICS, OF_VALUES, complaints
from tests.metrics.test_table import NAMES

NAN = float("nan")

Y_TRUE = Generator(1).uniform((6, 3), 0.1, 0.9)
Y_PRED = Generator(2).uniform((6, 3), 0.1, 0.9)
ONE_HOT = np.eye(3)[[0, 2, 1, 1, 0, 2]]
LABELS = np.argmax(ONE_HOT, axis=-1)
WEIGHT = np.asarray([0.5, 2.0, 0.0, 1.0, 3.0, 0.25])

# class: names beside its own in snake case, what it averages (None: tested below), constructor's arguments to keep.
# Scripts rely on these; a new metric needs no row here.
CLASSES = {
    "Accuracy": ("", None, {}),
    "BinaryAccuracy": ("", None, {"threshold": 0.3}),
    "BinaryCrossentropy": ("bce BCE", losses.binary_crossentropy, {"from_logits": True, "label_smoothing": 0.1}),
    "BinaryFocalCrossentropy": ("", losses.binary_focal_crossentropy, {"gamma": 1.5, "apply_class_balancing": True}),
    "CategoricalAccuracy": ("", None, {}),
    "CategoricalCrossentropy": ("", losses.categorical_crossentropy, {"from_logits": True, "axis": 1}),
    "CategoricalFocalCrossentropy": ("", losses.categorical_focal_crossentropy, {"alpha": 0.5, "gamma": 1.0}),
    "CategoricalHinge": ("", losses.categorical_hinge, {}),
    "CosineSimilarity": ("cosine_proximity", lambda y, p: -losses.cosine_similarity(y, p), {"axis": 0}),
    "Dice": ("", losses.dice, {"axis": 1}),
    "Hinge": ("", losses.hinge, {}),
    "Huber": ("huber_loss", losses.huber, {"delta": 0.5}),
    "KLDivergence": ("kld KLD kl_divergence kullback_leibler_divergence", losses.kl_divergence, {}),
    "LogCoshError": ("logcosh log_cosh", losses.log_cosh, {}),
    "Mean": ("", None, {}),
    "MeanAbsoluteError": ("mae MAE", losses.mean_absolute_error, {}),
    "MeanAbsolutePercentageError": ("mape MAPE", losses.mean_absolute_percentage_error, {}),
    "MeanSquaredError": ("mse MSE", losses.mean_squared_error, {}),
    "MeanSquaredLogarithmicError": ("msle MSLE", losses.mean_squared_logarithmic_error, {}),
    "Poisson": ("", losses.poisson, {}),
    "RootMeanSquaredError": ("rmse", None, {}),
    "SparseCategoricalAccuracy": ("", None, {}),
    "SparseCategoricalCrossentropy": ("", losses.sparse_categorical_crossentropy, {"ignore_class": 2}),
    "SparseTopKCategoricalAccuracy": ("", None, {"k": 2}),
    "SquaredHinge": ("", losses.squared_hinge, {}),
    "Sum": ("", None, {}),
    "TopKCategoricalAccuracy": ("", None, {"k": 2}),
    "Tversky": ("", losses.tversky, {"alpha": 0.3, "beta": 0.7, "axis": -1}),
}


def _snake(name):
    return "".join("_" + letter.lower() if letter.isupper() else letter for letter in name).strip("_")


def _averaged():
    """For each metric that is the mean of a loss, the function of its values."""
    known = {name: row[1] for name, row in CLASSES.items() if row[1] is not None}
    for name, row in METRICS.items():
        function = getattr(row.examples[0][1](), "fn", None)
        if function in VALUES_FUNCTIONS.values():
            known.setdefault(name, function)
    return known


AVERAGED = _averaged()


def test_every_metric_has_a_row():
    assert_complete(complaints())
    assert set(CLASSES) | set(NAMES) <= set(METRICS) | OF_VALUES


# Accuracies, on rows of predictions


@pytest.mark.parametrize(
    ("function", "y_true", "y_pred", "expected"),
    [
        (metrics.accuracy, [1.0, 2.0, 3.0], [1.0, 0.0, 3.0], [1, 0, 1]),
        (metrics.accuracy, [[1.0, 2.0], [NAN, 3.0]], [[1.0, 2.5], [NAN, 3.0]], [[1, 0], [0, 1]]),
        (metrics.accuracy, [[1.0], [2.0]], [1.0, 3.0], [[1], [0]]),
        (metrics.binary_accuracy, [1, 1, 0, 0, 1, 0], [0.6, 0.5, 0.5, 0.6, NAN, NAN], [1, 0, 1, 0, 0, 0]),
        (metrics.binary_accuracy, [1.0, 0.0], [[0.9], [0.8]], [[1], [0]]),
        (metrics.binary_accuracy, [0.7, 1.0], [0.9, 0.9], [0, 1]),
        (metrics.categorical_accuracy, [[0, 1], [1, 0], [1, 0]], [[0.1, 0.9], [0.2, 0.8], [0.7, 0.1]], [1, 0, 1]),
        (metrics.categorical_accuracy, [[0.3, 0.7], [0.6, 0.4]], [[0.1, 0.9], [0.8, 0.2]], [1, 1]),
        (metrics.categorical_accuracy, [[1, 0], [0, 1], [1, 0]], [[0.5, 0.5], [0.5, 0.5], [NAN, 0.5]], [0, 0, 0]),
        (metrics.sparse_categorical_accuracy, [1, 0, 2, -1], [[0.1, 0.9], [0.1, 0.9], [0, 1], [0, 1]], [1, 0, 0, 0]),
        (metrics.sparse_categorical_accuracy, [[1], [0]], [[0.1, 0.9], [0.8, 0.2]], [1, 1]),
        (metrics.sparse_categorical_accuracy, [1.0, 0.0], [[0.1, 0.9], [0.8, 0.2]], [1, 1]),
        (metrics.sparse_categorical_accuracy, [0, 1, 0, 1], [[1, 1], [1, 1], [NAN, 1], [1, NAN]], [0, 0, 0, 0]),
        (metrics.sparse_categorical_accuracy, [[0, 1]], [[[0.9, 0.1], [0.8, 0.2]]], [[1, 0]]),
    ],
)
def test_what_is_right(backend, function, y_true, y_pred, expected):
    prediction = backend.asarray(np.asarray(y_pred, dtype="float64"))
    with no_synchronization():
        right = function(backend.asarray(np.asarray(y_true)), prediction)
    assert_close(right, np.asarray(expected, dtype="float32"), like=prediction)


ROWS = [[0.1, 0.4, 0.3, 0.2], [0.1, 0.4, 0.3, 0.2], [0.3, 0.3, 0.3, 0.1], [NAN, 0.4, 0.3, 0.2], [0.1, NAN, 0.3, 0.2]]


@pytest.mark.parametrize(
    ("k", "expected"), [(1, [1, 0, 1, 0, 0]), (2, [1, 1, 1, 1, 0]), (4, [1, 1, 1, 1, 0]), (9, [1, 1, 1, 1, 0])]
)
def test_what_is_among_the_first(backend, k, expected):
    labels = np.asarray([1, 2, 0, 1, 1])
    prediction = backend.asarray(np.asarray(ROWS))
    with no_synchronization():
        sparse = metrics.sparse_top_k_categorical_accuracy(backend.asarray(labels), prediction, k=k)
        dense = metrics.top_k_categorical_accuracy(backend.asarray(np.eye(4)[labels]), prediction, k=k)
    assert_close(sparse, np.asarray(expected, "float32"), like=prediction)
    assert_close(dense, np.asarray(expected, "float32"), like=prediction)


def test_labels_that_do_not_exist_are_never_among_the_first(backend):
    prediction = backend.asarray(np.asarray(ROWS[:3]))
    assert_close(
        metrics.sparse_top_k_categorical_accuracy(backend.asarray(np.asarray([-1, 4, 99])), prediction, k=4),
        np.zeros(3),
    )


def test_lists_and_default_k():
    assert_close(metrics.sparse_top_k_categorical_accuracy([0, 5], [[0, 1, 2, 3, 4, 5.0]] * 2), np.float32([0, 1]))
    assert_close(metrics.BinaryAccuracy()([1, 0], [0.9, 0.8]), np.float32(0.5))


@pytest.mark.parametrize(
    ("function", "y_true", "message"),
    [
        (
            metrics.binary_accuracy,
            np.zeros((6, 2)),
            r"'binary_accuracy' expects targets of the shape.*\(6, 3\).*\(6, 2\)",
        ),
        (metrics.categorical_accuracy, LABELS, r"class labels there is 'sparse_categorical_accuracy'"),
        (metrics.sparse_categorical_accuracy, ONE_HOT, r"expects class labels of shape \(6,\).*\(6, 3\)"),
        (metrics.top_k_categorical_accuracy, LABELS, r"class labels there is 'sparse_top_k_categorical_accuracy'"),
    ],
)
def test_shapes_that_do_not_fit(function, y_true, message):
    with pytest.raises(ValueError, match=message):
        function(y_true, Y_PRED)


def test_two_backends_are_an_error():
    torch = pytest.importorskip("torch", reason="a second library is needed; pip install torch")
    with pytest.raises(TypeError, match=r"targets are on backend 'numpy' and the predictions on 'torch'"):
        metrics.accuracy(np.zeros(2, np.float32), torch.zeros(2))


# Running values


@pytest.mark.parametrize("name", AVERAGED)
def test_losses_as_metrics(backend, name):
    function = AVERAGED[name]
    metric = getattr(metrics, name)()
    y_true = LABELS if "Sparse" in name else ONE_HOT if "Categorical" in name else Y_TRUE
    if "Hinge" in name and "Categorical" not in name:
        y_true = np.floor(Y_TRUE + 0.5)
    parts = [slice(0, 4), slice(4, 6)]
    for part in parts:
        metric.update_state(backend.asarray(y_true[part]), backend.asarray(Y_PRED[part]))
    values = [np.atleast_1d(function(y_true[part], Y_PRED[part])) for part in parts]
    assert_close(metric.result(), np.mean(np.concatenate(values)), length=60, like=backend.asarray(Y_PRED))


@pytest.mark.parametrize("weighted", [False, True])
def test_running_means(backend, weighted):
    y_true, y_pred, weight = map(backend.asarray, (Y_TRUE, Y_PRED, WEIGHT))
    metric = metrics.MeanSquaredError()
    errors = np.mean((Y_PRED - Y_TRUE) ** 2, axis=-1)
    for _ in range(2):
        with no_synchronization():
            metric.update_state(y_true[:4, ...], y_pred[:4, ...], weight[:4] if weighted else None)
            metric.update_state(y_true[4:, ...], y_pred[4:, ...], weight[4:] if weighted else None)
            result = metric.result()
        assert_close(result, np.average(errors, weights=WEIGHT if weighted else None), length=18, like=y_pred)
        metric.reset_state()
    assert_close(metric.result(), 0.0)


def test_the_count_is_on_the_host_without_weights():
    metric = metrics.MeanSquaredError()
    metric.update_state(Y_TRUE, Y_PRED)
    assert metric.count.value() == 6
    assert type(metric.count.value()) is int


def test_root_mean_squared_error(backend):
    metric = metrics.RootMeanSquaredError()
    for part in (slice(0, 4), slice(4, 6)):
        metric.update_state(*(backend.asarray(array[part]) for array in (Y_TRUE, Y_PRED)))
    assert_close(metric.result(), np.sqrt(np.mean((Y_PRED - Y_TRUE) ** 2)), length=18, like=backend.asarray(Y_PRED))
    metric.reset_state()
    assert_close(metric([[1.0], [5.0]], [1.0, 1.0]), np.float32(np.sqrt(8.0)))


def test_mean_and_sum(backend):
    values, weight = Generator(3).normal((6, 3)), WEIGHT
    mean, total = metrics.Mean(), metrics.Sum()
    for metric in (mean, total):
        with no_synchronization():
            metric.update_state(backend.asarray(values))
            metric.update_state(backend.asarray(values), backend.asarray(weight))
    rows = values.mean(axis=-1)
    assert_close(mean.result(), (rows.sum() + (rows * weight).sum()) / (6.0 + weight.sum()), length=36)
    assert_close(total.result(), values.sum() + (values * weight[:, None]).sum(), length=36)


def test_weights_of_elements(backend):
    values, weight = Generator(3).normal((6, 3)), Generator(4).uniform((6, 3))
    mean = metrics.Mean()
    mean.update_state(backend.asarray(values), backend.asarray(weight))
    mean.update_state(backend.asarray(values[:, 0]), backend.asarray(WEIGHT))
    total = (values * weight).sum() / 3.0 + (values[:, 0] * WEIGHT).sum()
    assert_close(mean.result(), total / (weight.sum() / 3.0 + WEIGHT.sum()), length=36)


def test_a_mean_of_numbers_with_a_weight_for_each_batch():
    mean = metrics.Mean()
    mean.update_state(2.0, sample_weight=30)
    mean.update_state([4.0, 6.0], sample_weight=10)
    assert_close(mean.result(), np.float32((2.0 * 30 + 5.0 * 10) / 40))
    mean.reset_state()
    mean.update_state(3.0, sample_weight=0)
    assert_close(mean.result(), np.float32(0.0))


def test_weights_that_are_all_zero_give_zero(backend):
    metric = metrics.MeanSquaredError()
    metric.update_state(*map(backend.asarray, (Y_TRUE, Y_PRED, np.zeros(6))))
    assert_close(metric.result(), 0.0)


@pytest.mark.parametrize(("dtype", "total"), [("float16", "float32"), ("float32", "float32"), ("float64", "float64")])
def test_the_dtype_of_totals(dtype, total):
    metric = metrics.CategoricalAccuracy()
    metric.update_state(ONE_HOT.astype(dtype), Y_PRED.astype(dtype))
    assert metric.result().dtype == total


def test_many_small_numbers_are_not_lost_in_float16():
    mean = metrics.Mean()
    for _ in range(100):
        mean.update_state(np.full(50, 0.1, np.float16))
    assert_close(mean.result(), np.float32(np.float16(0.1)), rtol=1e-5)


def test_a_result_before_any_batch(backend):
    metric = metrics.CategoricalAccuracy()
    assert_close(metric.result(), 0.0, like=backend.asarray(np.zeros(())))


def test_ignored_samples_of_sparse_crossentropy(backend):
    metric = metrics.SparseCategoricalCrossentropy(ignore_class=2)
    expected = losses.sparse_categorical_crossentropy(LABELS, Y_PRED) * (LABELS != 2)
    y_true, y_pred, weight = map(backend.asarray, (LABELS, Y_PRED, WEIGHT))
    assert_close(metric(y_true, y_pred), expected.mean(), length=18)
    metric.reset_state()
    counted = WEIGHT * (LABELS != 2)
    assert_close(metric(y_true, y_pred, weight), np.sum(expected * counted) / counted.sum(), length=18)
    metric.reset_state()
    assert_close(metric(y_true[:, None], y_pred, weight), np.sum(expected * counted) / counted.sum(), length=18)


# Names


@pytest.mark.parametrize(
    ("cls", "name"), [(cls, name) for cls, row in CLASSES.items() for name in [cls, _snake(cls), *row[0].split()]]
)
def test_names(cls, name):
    if name == "k_l_divergence":
        name = "kl_divergence"
    metric = metrics.resolve(name)
    assert type(metric) is getattr(metrics, cls)
    assert metric.name == name


@pytest.mark.parametrize("cls", CLASSES)
def test_configuration(cls):
    options = CLASSES[cls][2]
    metric = getattr(metrics, cls)(**options, name="mine")
    config = json.loads(json.dumps(metrics.serialize(metric)))
    again = metrics.deserialize(config)
    assert type(again) is type(metric)
    assert metrics.serialize(again) == config
    assert {name: getattr(again, name) for name in options} == options
    assert metrics.resolve(config).name == "mine"


@pytest.mark.parametrize(
    ("targets", "outputs", "accuracy", "crossentropy"),
    [
        ((None, 1), (None, 1), metrics.BinaryAccuracy, metrics.BinaryCrossentropy),
        ((None,), (None, 1), metrics.BinaryAccuracy, metrics.BinaryCrossentropy),
        ((None,), (None,), metrics.BinaryAccuracy, metrics.BinaryCrossentropy),
        ((None,), (None, 4), metrics.SparseCategoricalAccuracy, metrics.SparseCategoricalCrossentropy),
        ((32, 1), (32, 4), metrics.SparseCategoricalAccuracy, metrics.SparseCategoricalCrossentropy),
        ((None, 4), (None, 4), metrics.CategoricalAccuracy, metrics.CategoricalCrossentropy),
        ((None, 7, 4), (None, 7, 4), metrics.CategoricalAccuracy, metrics.CategoricalCrossentropy),
    ],
)
def test_names_that_depend_on_shapes(targets, outputs, accuracy, crossentropy):
    for name, cls in {"acc": accuracy, "accuracy": accuracy, "ce": crossentropy, "crossentropy": crossentropy}.items():
        metric = metrics.resolve(name, target_shape=targets, output_shape=outputs)
        assert (type(metric), metric.name) == (cls, name)


def test_accuracy_of_a_multi_label_model_is_worth_a_warning():
    loss = losses.BinaryCrossentropy()
    with pytest.warns(UserWarning, match=r"'acc' of 4 outputs.*categorical accuracy, as in Keras.*'binary_accuracy'"):
        metric = metrics.resolve("acc", loss=loss, target_shape=(None, 4), output_shape=(None, 4))
    assert type(metric) is metrics.CategoricalAccuracy
    for name in ("binary_accuracy", "crossentropy"):  # any warning here would be an error
        metrics.resolve(name, loss=loss, target_shape=(None, 4), output_shape=(None, 4))
    metrics.resolve("acc", loss=loss, target_shape=(None, 1), output_shape=(None, 1))


def test_functions_classes_and_objects():
    metric = metrics.TopKCategoricalAccuracy(k=2, name="top2")
    assert metrics.resolve(metric) is metric
    assert metric.name == "top2"
    assert type(metrics.resolve(metrics.MeanSquaredError)) is metrics.MeanSquaredError
    for function in (losses.mse, metrics.mse, nnx.functional.mean_squared_error, metrics.mean_squared_error):
        metric = metrics.resolve(function)
        assert metric.name == "mean_squared_error"
        assert_close(metric(Y_TRUE, Y_PRED), metrics.MeanSquaredError()(Y_TRUE, Y_PRED))
        again = metrics.deserialize(json.loads(json.dumps(metrics.serialize(metric))))
        assert_close(again(Y_TRUE, Y_PRED), metrics.MeanSquaredError()(Y_TRUE, Y_PRED))
    assert metrics.get(metrics.accuracy) is metrics.accuracy
    assert type(metrics.get("mse")) is metrics.MeanSquaredError
    assert metrics.get(None) is None
    assert metrics.deserialize("binary_accuracy") is metrics.binary_accuracy


def test_a_function_of_ones_own(backend):
    def worst(y_true, y_pred):
        xp = nnx.array_namespace(y_pred)
        return xp.max(xp.abs(y_pred - y_true), axis=-1)

    def close(y_true, y_pred):
        return abs(y_pred - y_true) < 0.3

    y_true, y_pred = backend.asarray(Y_TRUE), backend.asarray(Y_PRED)
    metric = metrics.resolve(worst)
    assert metric.name == "worst"
    assert_close(metric(y_true, y_pred), np.max(np.abs(Y_PRED - Y_TRUE), axis=-1).mean(), length=6, like=y_pred)
    assert_close(metrics.resolve(close)(y_true, y_pred), np.mean(np.abs(Y_PRED - Y_TRUE) < 0.3), like=y_pred)
    assert_close(metrics.resolve(lambda y_true, y_pred: 0.5)(y_true, y_pred), 0.5, like=y_pred)
    config = metrics.serialize(metric)
    assert metrics.deserialize(config, {"worst": worst}).fn is worst


def test_a_class_of_ones_own():
    class Largest(metrics.Metric):
        def __init__(self, name=None):
            super().__init__(name=name)
            self.reset_state()

        def update_state(self, y_true, y_pred, sample_weight=None):
            self.largest = max(self.largest, float(np.max(y_pred)))

        def result(self):
            return np.asarray(self.largest)

        def reset_state(self):
            self.largest = 0.0

    metric = metrics.resolve(Largest)
    assert metric.name == "largest"
    assert_close(metric(Y_TRUE, Y_PRED), Y_PRED.max())
    assert type(metrics.deserialize(metrics.serialize(metric), {"Largest": Largest})) is Largest


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: metrics.resolve("acuracy"), r"unknown metric 'acuracy': did you mean .*'Accuracy'"),
        (lambda: metrics.resolve(3), r"a metric must be a name such as 'accuracy'.*got int: 3"),
        (lambda: metrics.TopKCategoricalAccuracy(k=0), r"k must be at least 1, got 0"),
    ],
)
def test_mistakes(build, message):
    with pytest.raises((ValueError, TypeError), match=message):
        build()


@pytest.mark.parametrize(
    ("metric", "names"),
    [
        (metrics.Mean, ["total", "count"]),
        (metrics.BinaryAccuracy, ["total", "count"]),
        (metrics.AUC, ["counts"]),
        (metrics.ConfusionMatrix, ["counts"]),
    ],
)
def test_running_values_are_there_before_the_first_batch(metric, names, backend):
    metric = metric()
    batch = ([[1.0], [0.0]], [[0.9], [0.4]]) if metric.name != "mean" else ([1.0, 3.0],)
    assert [variable.name for variable in metric.variables] == names
    assert all(float(variable.numpy()) == 0.0 for variable in metric.variables)
    metric.update_state(*map(backend.asarray, batch))
    once = metric.result()
    assert any(np.any(variable.numpy() != 0.0) for variable in metric.variables)
    for variable in metric.variables:
        variable.assign(0)
    metric.update_state(*map(backend.asarray, batch))
    assert_close(metric.result(), once)


@pytest.mark.parametrize("returned", [None, "good"])
def test_what_a_function_returns_is_looked_at(returned):
    def mine(y_true, y_pred):
        return returned

    with pytest.raises(TypeError, match=f"metric 'mine' returned {type(returned).__name__}, expected an array with"):
        metrics.resolve(mine)(Y_TRUE, Y_PRED)
