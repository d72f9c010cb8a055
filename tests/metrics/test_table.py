"""The table of metrics is complete; every row gives the same on every backend, and comes back from a file."""

import json

import numpy as np
import pytest

import nnx
from nnx import metrics
from nnx.backends import backend_of, to_numpy
from nnx.testing import assert_close, no_synchronization
from nnx.testing.rows.completeness import assert_complete
from nnx.testing.rows.metrics import METRICS, complaints, metric_cases, metric_data

CASES = {title: (kind, make) for title, kind, make in metric_cases()}


def test_every_public_metric_has_a_row():
    assert_complete(complaints())


# class: its name in results, other names for it in `compile`, arguments without which there is none.
# Scripts rely on these; a new metric needs no row here.
NAMES = {
    "AUC": ("auc", "auc", ""),
    "BinaryIoU": ("binary_io_u", "binary_iou", ""),
    "ConcordanceCorrelation": ("concordance_correlation", "", ""),
    "ConfusionMatrix": ("confusion_matrix", "", ""),
    "F1Score": ("f1_score", "F1score", ""),
    "FBetaScore": ("fbeta_score", "f_beta_score", ""),
    "FalseNegatives": ("false_negatives", "", ""),
    "FalsePositives": ("false_positives", "", ""),
    "IoU": ("io_u", "iou", "num_classes and target_class_ids"),
    "MeanIoU": ("mean_io_u", "mean_iou", "num_classes"),
    "MeanRelativeError": ("mean_relative_error", "", "normalizer"),
    "OneHotIoU": ("one_hot_io_u", "one_hot_iou", "num_classes and target_class_ids"),
    "OneHotMeanIoU": ("one_hot_mean_io_u", "one_hot_mean_iou", "num_classes"),
    "PearsonCorrelation": ("pearson_correlation", "", ""),
    "Precision": ("precision", "", ""),
    "PrecisionAtRecall": ("precision_at_recall", "", "recall"),
    "R2Score": ("r2_score", "", ""),
    "Recall": ("recall", "", ""),
    "RecallAtPrecision": ("recall_at_precision", "", "precision"),
    "SensitivityAtSpecificity": ("sensitivity_at_specificity", "", "specificity"),
    "SpecificityAtSensitivity": ("specificity_at_sensitivity", "", "sensitivity"),
    "TrueNegatives": ("true_negatives", "", ""),
    "TruePositives": ("true_positives", "", ""),
}


@pytest.mark.parametrize("cls", NAMES)
def test_names(cls):
    own, others, needed = NAMES[cls]
    assert METRICS[cls].examples[0][1]().name == own
    for name in (cls, own, *others.split()):
        if needed:
            with pytest.raises(ValueError, match=f"metric {cls} needs {needed}: give an object, metrics.{cls}"):
                metrics.resolve(name)
        else:
            metric = metrics.resolve(name)
            assert (type(metric), metric.name) == (getattr(metrics, cls), name)


def run(make, kind, asarray, weighted):
    """The result over batches of different sizes, after a reset."""
    metric, (y_true, y_pred, weight) = make(), metric_data(kind)
    arrays = [[asarray(part) for part in np.split(array, [10])] for array in (y_true, y_pred, weight)]
    with no_synchronization():
        metric.update_state(arrays[0][0], arrays[1][0])
        metric.reset_state()
        for target, prediction, weights in zip(*arrays, strict=True):
            metric.update_state(target, prediction, weights if weighted else None)
        return metric.result()


COUNTS = (
    metrics.ConfusionMatrix,
    *(metrics.TruePositives, metrics.TrueNegatives, metrics.FalsePositives, metrics.FalseNegatives),
)


@pytest.mark.parametrize("weighted", [False, True], ids=["", "weighted"])
@pytest.mark.parametrize("title", CASES)
def test_batches_without_rows(backend, title, weighted):
    """Means and quotients of no rows are NaN, counts are 0; and beside other batches they change nothing."""
    kind, make = CASES[title]
    y_true, y_pred, weight = map(backend.asarray, metric_data(kind))
    metric, other = make(), make()

    def take_in_nothing():
        metric.update_state(y_true[:0, ...], y_pred[:0, ...], weight[:0, ...] if weighted else None)

    with backend_of(y_pred).computing_on(backend_of(y_pred).device_of(y_pred)), no_synchronization():
        take_in_nothing()
        take_in_nothing()
        found = metric.result()
        metric.set_state(metric.state())
        metric.update_state(y_true, y_pred)
        take_in_nothing()
        other.update_state(y_true, y_pred)
    found = nnx.to_numpy(found)
    assert (found == 0.0).all() if isinstance(metric, COUNTS) else np.isnan(found).all()
    assert_close(metric.result(), nnx.to_numpy(other.result()), rtol=0.0, atol=0.0)
    metric.reset_state()
    assert not np.isnan(nnx.to_numpy(metric.result())).any()  # before the first batch it is as in Keras


@pytest.mark.parametrize(
    "empty", [[], np.zeros(0), np.zeros((0, 1)), np.zeros((0, 3))], ids=["list", "0", "0x1", "0x3"]
)
@pytest.mark.parametrize("title", [title for title, (_, make) in CASES.items() if not isinstance(make(), COUNTS)])
def test_nothing_in_any_form(title, empty):
    assert np.isnan(float(CASES[title][1]()(empty, empty)))


def test_the_mean_of_nothing_and_the_sum():
    assert np.isnan(float(metrics.Mean()([])))
    assert float(metrics.Sum()([])) == 0.0


@pytest.mark.parametrize("weighted", [False, True], ids=["", "weighted"])
@pytest.mark.parametrize("title", CASES)
def test_the_same_on_every_backend(backend, title, weighted):
    kind, make = CASES[title]
    found = run(make, kind, backend.asarray, weighted)
    with nnx.backend("numpy", dtype="float64"):
        expected = run(make, kind, np.asarray, weighted)
    whole = np.asarray(expected).dtype.kind == "i"
    assert_close(found, np.asarray(expected), length=200, like=None if whole else backend.zeros(()))
    assert not whole or np.array_equal(nnx.to_numpy(found), expected)


@pytest.mark.parametrize("title", CASES)
def test_rows_that_are_added_up(title):
    """A metric says so where the result of batches is that of all rows at once."""
    kind, make = CASES[title]
    y_true, y_pred, weight = metric_data(kind)
    whole = make()
    whole.update_state(y_true, y_pred, weight)
    if whole.adds_up_rows:
        assert_close(run(make, kind, np.asarray, True), np.asarray(whole.result(), np.float64), length=200)
    else:
        assert title.split()[0] in ("Dice", "Tversky") or whole.axis != -1


@pytest.mark.parametrize("title", CASES)
def test_weights_of_one_change_nothing(title):
    kind, make = CASES[title]
    y_true, y_pred, _ = metric_data(kind)
    assert_close(make()(y_true, y_pred, np.ones(24)), np.asarray(make()(y_true, y_pred), np.float64), length=200)


@pytest.mark.parametrize("title", [title for title in CASES if title != "R2Score 1"])  # it counts samples, as in Keras
def test_weights_count_like_copies(title):
    kind, make = CASES[title]
    y_true, y_pred, _ = metric_data(kind)
    times = np.arange(24) % 3
    copies = [np.repeat(array, times, axis=0) for array in (y_true, y_pred)]
    assert_close(make()(y_true, y_pred, times), np.asarray(make()(*copies), np.float64), length=400)


@pytest.mark.parametrize("title", CASES)
def test_before_any_batch(backend, title):
    result = nnx.to_numpy(CASES[title][1]().result())
    assert np.all(result == 0.0) or title == "AUC 3"  # without any positive the gain of precision is 1 by definition


@pytest.mark.parametrize("title", CASES)
def test_configurations(title):
    _, make = CASES[title]
    metric = make()
    config = json.loads(json.dumps(metrics.serialize(metric)))
    again = metrics.deserialize(config)
    assert type(again) is type(metric)
    assert again.get_config() == metric.get_config()
    assert config["config"]["name"] == metric.name


@pytest.mark.parametrize("title", [title for title, (kind, _) in CASES.items() if kind != "classes"])
def test_in_a_compiled_model_that_was_saved(title, tmp_path):
    kind, make = CASES[title]
    y_true, y_pred, _ = metric_data(kind)
    model = nnx.Sequential([nnx.Input(y_pred.shape[1:]), nnx.layers.Activation("linear")])
    loss = nnx.losses.SparseCategoricalCrossentropy(from_logits=True) if kind == "labels" else "mse"
    model.compile("sgd", loss, metrics=[make()])
    results = model.evaluate(y_pred, y_true, batch_size=10, verbose=0)
    expected = make()(y_true, y_pred.astype(np.float32))
    assert_close(np.asarray(results[1]), np.asarray(expected, np.float64), rtol=1e-5, atol=1e-6)
    model.save(tmp_path / "model.safetensors")
    again = nnx.models.load_model(tmp_path / "model.safetensors").evaluate(y_pred, y_true, batch_size=10, verbose=0)
    assert np.array_equal(again[1], results[1])


def _floating(xp):
    return [dtype for dtype in ("float16", "float32", "float64") if hasattr(xp, dtype)]


def test_dtype(backend_float64):
    """Values are added up in float64 where that is asked for; the result has the dtype, which comes back by a file."""
    for title, (kind, make) in CASES.items():
        batch = [backend_float64.asarray(array, None) for array in metric_data(kind)[:2]]
        for dtype in _floating(backend_float64.xp):
            plain = make()
            metric = type(plain).from_config({**json.loads(json.dumps(plain.get_config())), "dtype": dtype})
            assert metric.get_config()["dtype"] == metric.dtype == dtype
            result = metric(*batch)
            assert str(result.dtype).endswith(dtype), title
            assert_close(
                to_numpy(result), np.asarray(to_numpy(plain(*batch)), dtype), 2e-3 if dtype == "float16" else 2e-6
            )


def test_sums_in_float64(backend_float64):
    values = backend_float64.asarray([1.0, 1e-9], "float64")
    assert float(metrics.Sum(dtype="float64")(values)) == 1.0 + 1e-9 == float(metrics.Sum("s", "float64")([1.0, 1e-9]))
    assert float(metrics.Sum(dtype="float32")(values)) == 1.0
    for cls in (metrics.Mean, metrics.AUC, metrics.MeanSquaredError):
        with pytest.raises(ValueError, match="dtype must be 'float16', 'float32' or 'float64', got 'int32'"):
            cls(dtype="int32")
        with pytest.raises(ValueError, match=r"dtype must be one of .* got 'loss'"):
            nnx.Metric("loss")
