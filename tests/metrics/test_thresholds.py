"""What is counted at thresholds, and what is made of the counts: against plain NumPy, and scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest

import nnx
from nnx import metrics
from nnx.metrics.thresholds import evenly_spaced
from nnx.random import Generator
from nnx.testing import assert_close, no_synchronization

NAN = float("nan")


def draw(rows=60, seed=1, columns=None):
    random = Generator(seed)
    shape = (rows,) if columns is None else (rows, columns)
    y_true = np.floor(random.uniform(shape, 0.0, 2.0))
    return y_true, np.clip(0.3 * y_true + random.uniform(shape, 0.0, 0.8), 0.0, 1.0).astype(np.float32)


def reference(y_true, y_pred, thresholds, weight=None):
    """tp, fp, tn, fn at each threshold, one comparison after the other."""
    weight = np.broadcast_to(np.asarray(1.0 if weight is None else weight), y_true.shape)
    above = [y_pred > np.float32(cut) for cut in thresholds]
    pairs = [(y_true != 0, True), (y_true == 0, True), (y_true == 0, False), (y_true != 0, False)]
    return np.asarray([[weight[kind & (up == positive)].sum() for up in above] for kind, positive in pairs])


THRESHOLDS = [[0.5], [0.7, 0.2], [0.0, 0.25, 0.5, 0.75, 1.0], [0.3, 0.9, 0.1, 0.3]]


@pytest.mark.parametrize("thresholds", THRESHOLDS, ids=str)
@pytest.mark.parametrize("weighted", [False, True])
def test_counts(backend, thresholds, weighted):
    y_true, y_pred = draw(columns=3)
    weight = Generator(5).uniform((60, 3), 0.1, 2.0) if weighted else None
    expected = reference(y_true, y_pred, thresholds, weight)
    names = ("TruePositives", "FalsePositives", "TrueNegatives", "FalseNegatives")
    for name, numbers in zip(names, expected, strict=True):
        metric = getattr(metrics, name)(thresholds=thresholds)
        for part in (slice(0, 50), slice(50, 60)):
            given = None if weight is None else backend.asarray(weight[part])
            with no_synchronization():
                metric.update_state(backend.asarray(y_true[part]), backend.asarray(y_pred[part]), given)
                result = metric.result()
        assert_close(result, numbers if len(thresholds) > 1 else numbers[0], length=200)
        assert np.asarray(nnx.to_numpy(result)).dtype.kind == ("f" if weighted else "i")


@pytest.mark.parametrize("thresholds", THRESHOLDS, ids=str)
def test_precision_and_recall(backend, thresholds):
    y_true, y_pred = draw()
    tp, fp, _, fn = reference(y_true, y_pred, thresholds)
    with np.errstate(invalid="ignore"):
        expected = {"Precision": np.nan_to_num(tp / (tp + fp)), "Recall": tp / (tp + fn)}
    for name, numbers in expected.items():
        metric = getattr(metrics, name)(thresholds=thresholds)
        with no_synchronization():
            result = metric(backend.asarray(y_true), backend.asarray(y_pred))
        assert_close(result, numbers if len(thresholds) > 1 else numbers[0], like=backend.zeros(()))


def test_against_scikit_learn():
    sklearn = pytest.importorskip("sklearn.metrics", reason="scikit-learn is missing; pip install 'nnx-array[test]'")
    y_true, y_pred = draw(500)
    assert_close(metrics.Precision()(y_true, y_pred), sklearn.precision_score(y_true, y_pred > 0.5), rtol=1e-6)
    assert_close(metrics.Recall()(y_true, y_pred), sklearn.recall_score(y_true, y_pred > 0.5), rtol=1e-6)
    cuts = np.unique(y_pred).astype(np.float64)  # with a threshold at each prediction the area is exact
    weight = Generator(3).uniform((500,), 0.1, 2.0)
    for sample_weight in (None, weight):
        area = metrics.AUC(thresholds=cuts)(y_true, y_pred, sample_weight)
        assert_close(area, sklearn.roc_auc_score(y_true, y_pred, sample_weight=sample_weight), rtol=1e-5)
        bounds = [
            float(metrics.AUC(thresholds=cuts, curve="PR", summation_method=method)(y_true, y_pred, sample_weight))
            for method in ("minoring", "majoring")
        ]
        area = sklearn.average_precision_score(y_true, y_pred, sample_weight=sample_weight)
        assert bounds[0] - 1e-5 <= area <= bounds[1] + 1e-5


def test_the_points_of_a_curve(backend):
    sklearn = pytest.importorskip("sklearn.metrics", reason="scikit-learn is missing; pip install 'nnx-array[test]'")
    y_true, y_pred = draw(80)
    cuts = np.unique(y_pred).astype(np.float64)
    roc = metrics.AUC(thresholds=cuts)
    roc.update_state(backend.asarray(y_true), backend.asarray(y_pred))
    x, y, thresholds = roc.points()
    expected_x, expected_y, _ = sklearn.roc_curve(y_true, y_pred, drop_intermediate=False)
    assert_close(x[:-1], expected_x[::-1], rtol=1e-6)  # above the last threshold is nothing, as above the last but one
    assert_close(y[:-1], expected_y[::-1], rtol=1e-6)
    assert_close(thresholds[1:-1], cuts)
    pr = metrics.AUC(thresholds=cuts, curve="PR")
    pr.update_state(backend.asarray(y_true), backend.asarray(y_pred))
    recall, precision, _ = pr.points()
    expected_y, expected_x, _ = sklearn.precision_recall_curve(y_true, y_pred)
    assert_close(recall[:-1], expected_x, rtol=1e-6)
    assert_close(precision[:-1], expected_y, rtol=1e-6)
    assert all(type(part) is np.ndarray for part in (x, y, thresholds, recall, precision))


@pytest.mark.parametrize("curve", ["ROC", "PR", "prgain"])
def test_labels_of_their_own(backend, curve):
    y_true, y_pred = draw(columns=3)
    metric = metrics.AUC(curve=curve, multi_label=True, label_weights=[1, 2, 5])
    with no_synchronization():
        result = metric(backend.asarray(y_true), backend.asarray(y_pred))
    alone = [float(metrics.AUC(curve=curve)(y_true[:, i], y_pred[:, i])) for i in range(3)]
    assert_close(result, np.average(alone, weights=[1, 2, 5]), rtol=1e-5, like=backend.zeros(()))
    assert tuple(metric.true_positives.shape) == (200, 3)
    assert metric.points()[0].shape == (200, 3)


def test_weights_of_labels(backend):
    y_true, y_pred = draw(columns=3)
    weights = [0.5, 0.0, 2.0]
    metric = metrics.AUC(label_weights=weights)
    expected = metrics.AUC()(y_true, y_pred, np.tile(weights, (60, 1)))
    assert_close(metric(backend.asarray(y_true), backend.asarray(y_pred)), np.asarray(expected), rtol=1e-5)


def test_logits(backend):
    y_true, logits = draw()
    logits = 4.0 * logits - 2.0
    expected = metrics.AUC()(y_true, 1.0 / (1.0 + np.exp(-logits)))
    found = metrics.AUC(from_logits=True)(backend.asarray(y_true), backend.asarray(logits))
    assert_close(found, np.asarray(expected), rtol=1e-4)
    assert_close(metrics.AUC(from_logits=True)([0, 1], [-3, 5]), np.float32(1.0))


# Which predictions count


@pytest.mark.parametrize("k", [1, 2, 3, 9])
def test_the_k_largest(backend, k):
    y_true, y_pred = draw(columns=4)
    y_pred[::3] = np.round(y_pred[::3], 1)  # some are equal: then the first count
    chosen = np.zeros(y_pred.shape, bool)
    for row, order in enumerate(np.argsort(-y_pred, axis=-1, kind="stable")):
        chosen[row, order[:k]] = True
    precision, recall = metrics.Precision(top_k=k), metrics.Recall(top_k=k)
    with no_synchronization():
        results = [metric(backend.asarray(y_true), backend.asarray(y_pred)) for metric in (precision, recall)]
    assert_close(results[0], (y_true * chosen).sum() / chosen.sum(), rtol=1e-6)
    assert_close(results[1], (y_true * chosen).sum() / y_true.sum(), rtol=1e-6)


def test_one_class(backend):
    y_true, y_pred = draw(columns=4)
    weight = Generator(2).uniform((60,), 0.1, 2.0)
    metric = metrics.Precision(class_id=2, thresholds=[0.4, 0.6])
    with no_synchronization():
        result = metric(backend.asarray(y_true), backend.asarray(y_pred), backend.asarray(weight))
    tp, fp, _, _ = reference(y_true[:, 2], y_pred[:, 2], [0.4, 0.6], weight)
    assert_close(result, tp / (tp + fp), length=60)


def test_shapes(backend):
    y_true, y_pred = draw()
    expected = metrics.Precision()(y_true, y_pred)
    weight = Generator(2).uniform((60,), 0.1, 2.0)
    weighted = metrics.Precision()(y_true, y_pred, weight)
    for true_shape in ((60,), (60, 1)):
        for pred_shape in ((60,), (60, 1)):
            true, predicted = (
                backend.asarray(np.reshape(y, shape)) for y, shape in ((y_true, true_shape), (y_pred, pred_shape))
            )
            assert_close(metrics.Precision()(true, predicted), np.asarray(expected))
            for weight_shape in ((60,), (60, 1)):
                given = backend.asarray(np.reshape(weight, weight_shape))
                assert_close(metrics.Precision()(true, predicted, given), np.asarray(weighted), rtol=1e-6)
    y_true, y_pred = (np.reshape(y, (5, 4, 3)) for y in (y_true, y_pred))
    assert_close(metrics.Precision()(backend.asarray(y_true), backend.asarray(y_pred)), np.asarray(expected))
    steps = np.repeat(weight[:20], 3)  # a weight for each step of each sequence
    expected = metrics.Precision()(y_true.reshape(-1), y_pred.reshape(-1), steps)
    given = backend.asarray(weight[:20].reshape(5, 4))
    found = metrics.Precision()(backend.asarray(y_true), backend.asarray(y_pred), given)
    assert_close(found, np.asarray(expected), rtol=1e-6)


def test_what_is_no_number_is_above_no_threshold(backend):
    y_pred = backend.asarray([NAN, 0.9, NAN, 0.9])
    for thresholds in (0.5, [0.3, 0.5], [0.0, 0.5, 1.0]):
        metric = metrics.TruePositives(thresholds=thresholds)
        assert np.max(nnx.to_numpy(metric(backend.asarray([1.0, 1.0, 0.0, 0.0]), y_pred))) == 1
    assert_close(metrics.AUC()(backend.asarray([1.0, 1.0, 0.0, 0.0]), y_pred), np.float32(0.5))


def test_float16_is_compared_in_float32():
    y_true, y_pred = draw(400)
    half = y_pred.astype(np.float16)
    result = metrics.AUC()(y_true.astype(np.float16), half)
    assert result.dtype == np.float32
    assert_close(result, np.asarray(metrics.AUC()(y_true, half.astype(np.float32))))


def test_a_batch_of_nothing(backend):
    metric = metrics.AUC()
    metric.update_state(backend.asarray([0.0, 1.0]), backend.asarray([0.1, 0.9]))
    metric.update_state(backend.zeros((0,)), backend.zeros((0,)))
    assert_close(metric.result(), np.float32(1.0))


def test_even_thresholds_need_no_search():
    assert evenly_spaced(np.asarray([0.0, 0.5, 1.0]))
    assert evenly_spaced(np.asarray(metrics.AUC().thresholds))
    assert not evenly_spaced(np.asarray([0.1, 0.5, 1.0]))
    assert not evenly_spaced(np.asarray([0.0, 1.0]))
    y_true, y_pred = draw(1000)
    metric = metrics.AUC(num_thresholds=50)
    metric.update_state(y_true, y_pred)
    assert np.array_equal(np.stack(metric.confusion()), reference(y_true, y_pred, metric.thresholds))


# The best of one rate


@pytest.mark.parametrize("bound", [0.0, 0.3, 0.8, 1.0])
def test_operating_points(backend, bound):
    y_true, y_pred = draw(100)
    cuts = np.arange(50) / 49
    tp, fp, tn, fn = reference(y_true, y_pred, cuts)
    with np.errstate(invalid="ignore"):
        rates = {
            "sensitivity": tp / (tp + fn),
            "specificity": tn / (tn + fp),
            "precision": np.nan_to_num(tp / (tp + fp)),
            "recall": tp / (tp + fn),
        }
    for cls, wanted, bounded in [
        (metrics.SensitivityAtSpecificity, "sensitivity", "specificity"),
        (metrics.SpecificityAtSensitivity, "specificity", "sensitivity"),
        (metrics.PrecisionAtRecall, "precision", "recall"),
        (metrics.RecallAtPrecision, "recall", "precision"),
    ]:
        metric = cls(bound, num_thresholds=50)
        with no_synchronization():
            result = metric(backend.asarray(y_true), backend.asarray(y_pred))
        feasible = rates[bounded][rates[bounded] >= bound]
        assert_close(result, max(rates[wanted][rates[bounded] >= bound], default=0.0), like=backend.zeros(()))
        assert len(feasible) or float(result) == 0.0


# Mistakes


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: metrics.Recall(thresholds=[0.5, None]), r"thresholds must be numbers from 0 to 1, got \[None\]"),
        (lambda: metrics.Precision(thresholds=1.5), r"thresholds must be numbers from 0 to 1, got \[1.5\]"),
        (lambda: metrics.Recall(thresholds=[0.2, -1.0]), r"numbers from 0 to 1, got \[-1.0\]"),
        (lambda: metrics.TruePositives(thresholds=[]), r"numbers from 0 to 1, got \[\]"),
        (lambda: metrics.Precision(top_k=0), "top_k must be at least 1, got 0"),
        (lambda: metrics.Precision(class_id=-1), "class_id must be the number of a class, from 0, got -1"),
        (lambda: metrics.AUC(num_thresholds=1), "num_thresholds must be at least 2, got 1"),
        (lambda: metrics.AUC(curve="roc2"), "curve must be one of 'ROC', 'PR', 'PRGAIN'; got 'roc2'"),
        (lambda: metrics.AUC(summation_method="sum"), "summation_method must be one of 'interpolation'"),
        (lambda: metrics.AUC(num_labels=3), "num_labels goes with multi_label=True"),
        (lambda: metrics.PrecisionAtRecall(1.5), "recall must be from 0 to 1, got 1.5"),
        (lambda: metrics.PrecisionAtRecall(0.5, num_thresholds=0), "num_thresholds must be at least 1, got 0"),
    ],
)
def test_mistakes_in_arguments(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize(
    ("metric", "y_true", "y_pred", "message"),
    [
        (
            metrics.Precision(),
            [0, 1],
            [[0.1, 0.9, 0.3]] * 2,
            r"'precision' expects targets of .*\(2, 3\).*\(2,\)",
        ),
        (metrics.Precision(), [0, 1], [[0.1, 0.9, 0.3]] * 2, r"y = nnx.utils.to_categorical\(y, num_classes=3\)"),
        (
            metrics.AUC(),
            [[0, 1]],
            [[0.1, 0.9, 0.3]],
            r"'auc' expects targets of the shape of .*, \(1, 3\)",
        ),
        (metrics.Recall(class_id=3), [[0, 1]], [[0.1, 0.9]], r"looks at class_id=3, which .* \(1, 2\) do not have"),
        (metrics.Recall(class_id=0), [0, 1], [0.1, 0.9], r"looks at class_id=0, which .* \(2,\) do not have"),
        (metrics.AUC(multi_label=True), [0, 1], [0.1, 0.9], r"multi_label=True expects predictions \(n, labels\)"),
        (metrics.AUC(multi_label=True, num_labels=3), [[0, 1]], [[0.1, 0.9]], "has num_labels=3, got predictions of 2"),
        (metrics.AUC(label_weights=[1, 2, 3]), [[0, 1]], [[0.1, 0.9]], "label_weights for 3 labels, got predictions"),
        (metrics.AUC(), [[0, 1]], [[0.1, 0.9]], r"sample_weight must have a weight for each of 1 samples"),
    ],
)
def test_mistakes_in_data(metric, y_true, y_pred, message):
    weight = [1.0, 2.0, 3.0] if "sample_weight" in message else None
    with pytest.raises(ValueError, match=message):
        metric.update_state(y_true, y_pred, weight)


def test_thresholds_of_an_area_may_stand_in_place_of_their_number() -> None:
    area = metrics.AUC(num_thresholds=None, thresholds=[0.5, 0.3])
    assert area.num_thresholds == 4
    assert area.get_config()["thresholds"] == [0.3, 0.5]
    with pytest.raises(ValueError, match="num_thresholds"):
        metrics.AUC(num_thresholds=None)
