"""Metrics that are more than the mean of a loss against Keras 3: batch after batch, the same results."""

from __future__ import annotations

import os

import numpy as np
import pytest

os.environ.setdefault("KERAS_BACKEND", "jax")
pytest.importorskip("jax", reason="the oracle JAX is not installed; pip install 'nnx[oracle]'")
keras = pytest.importorskip("keras", reason="the oracle Keras is not installed; pip install 'nnx[oracle]'")

import nnx  # noqa: E402
from nnx import metrics  # noqa: E402
from nnx.metrics.base import MeanMetricWrapper  # noqa: E402
from nnx.random import Generator  # noqa: E402
from nnx.testing import assert_close  # noqa: E402

RTOL, ATOL = 2e-5, 2e-6
ROWS = (40, 40, 17)

MISSING = ("none",)
SAMPLES = ("none", "samples")
ALL = ("none", "samples", "elements")

# class, what goes in, options, weights
CASES = [
    *((name, "vector", {}, ALL) for name in ("TruePositives", "FalsePositives", "TrueNegatives", "FalseNegatives")),
    *((name, "vector", {"thresholds": 0.2}, MISSING) for name in ("TruePositives", "FalseNegatives")),
    *((name, "labels", {"thresholds": [0.7, 0.2]}, ALL) for name in ("TruePositives", "TrueNegatives")),
    ("FalsePositives", "labels", {"thresholds": [0.0, 0.25, 0.5, 0.75, 1.0]}, ALL),
    ("FalseNegatives", "tenths", {"thresholds": [0.0, 0.25, 0.5, 0.75, 1.0]}, ALL),
    ("TrueNegatives", "steps", {"thresholds": [0.1, 0.4]}, MISSING),
    ("Precision", "vector", {}, ALL),
    ("Precision", "column", {}, ALL),
    ("Precision", "vector and column", {}, MISSING),
    ("Precision", "column and vector", {}, MISSING),
    ("Precision", "steps", {}, MISSING),
    ("Precision", "tenths", {"thresholds": 0.5}, MISSING),
    ("Precision", "labels", {"thresholds": [0.2, 0.9, 0.5]}, ALL),
    ("Precision", "labels", {"class_id": 2}, SAMPLES),
    ("Precision", "labels", {"top_k": 2}, ALL),
    ("Precision", "tenths of labels", {"top_k": 2}, MISSING),
    ("Precision", "labels", {"top_k": 3, "class_id": 1, "thresholds": 0.4}, SAMPLES),
    ("Precision", "logits", {"thresholds": 0}, ALL),
    ("Recall", "vector", {}, ALL),
    ("Recall", "labels", {"thresholds": [0.2, 0.9, 0.5]}, ALL),
    ("Recall", "labels", {"class_id": 0, "thresholds": 0.3}, SAMPLES),
    ("Recall", "one-hot", {"top_k": 2}, ALL),
    ("Recall", "nothing", {}, MISSING),
    ("SensitivityAtSpecificity", "vector", {"specificity": 0.4}, ALL),
    ("SensitivityAtSpecificity", "labels", {"specificity": 0.7, "num_thresholds": 11, "class_id": 1}, SAMPLES),
    ("SensitivityAtSpecificity", "tenths", {"specificity": 0.6, "num_thresholds": 1}, MISSING),
    ("SpecificityAtSensitivity", "vector", {"sensitivity": 0.5}, ALL),
    ("SpecificityAtSensitivity", "tenths", {"sensitivity": 0.8, "num_thresholds": 11}, MISSING),
    ("PrecisionAtRecall", "vector", {"recall": 0.6}, ALL),
    ("PrecisionAtRecall", "labels", {"recall": 0.3, "class_id": 3}, SAMPLES),
    ("RecallAtPrecision", "vector", {"precision": 0.5}, ALL),
    ("RecallAtPrecision", "column", {"precision": 1.0, "num_thresholds": 50}, MISSING),
    ("AUC", "vector", {}, ALL),
    ("AUC", "column", {}, ALL),
    ("AUC", "vector and column", {"num_thresholds": 20}, MISSING),
    ("AUC", "tenths", {"num_thresholds": 11}, ALL),
    ("AUC", "tenths", {"num_thresholds": 11, "curve": "PR"}, ALL),
    ("AUC", "logits", {"from_logits": True}, ALL),
    ("AUC", "beyond", {}, MISSING),
    ("AUC", "nothing", {"curve": "PR"}, MISSING),
    ("AUC", "labels", {"curve": "PR"}, ALL),
    ("AUC", "labels", {"label_weights": [1.0, 0.5, 0.0, 2.0]}, ALL),
    ("AUC", "labels", {"multi_label": True}, SAMPLES),
    ("AUC", "labels", {"multi_label": True, "num_labels": 4, "curve": "PR"}, SAMPLES),
    ("AUC", "labels", {"multi_label": True, "label_weights": [1.0, 0.5, 0.0, 2.0]}, SAMPLES),
    ("AUC", "labels", {"multi_label": True, "thresholds": [0.3, 0.1, 0.8]}, MISSING),
    *(
        ("AUC", "vector", {"curve": curve, "summation_method": method, "num_thresholds": 30}, SAMPLES)
        for curve in ("ROC", "PR", "PRGAIN")
        for method in ("interpolation", "minoring", "majoring")
    ),
    ("AUC", "tenths", {"thresholds": [0.1, 0.5, 0.45, 0.9]}, ALL),
    ("AUC", "vector", {"thresholds": [0.25, 0.5, 0.75], "curve": "PR"}, ALL),
    ("F1Score", "one-hot", {}, SAMPLES),
    ("F1Score", "labels", {"threshold": 0.5}, SAMPLES),
    *(("F1Score", "one-hot", {"average": average}, SAMPLES) for average in ("micro", "macro", "weighted")),
    *(("F1Score", "labels", {"average": kind, "threshold": 0.4}, SAMPLES) for kind in ("micro", "macro", "weighted")),
    ("F1Score", "tenths of labels", {}, MISSING),
    ("FBetaScore", "one-hot", {"beta": 2.0}, SAMPLES),
    ("FBetaScore", "labels", {"beta": 0.5, "threshold": 0.5, "average": "weighted"}, SAMPLES),
    ("R2Score", "numbers", {}, ALL),
    ("R2Score", "numbers", {"class_aggregation": None}, ALL),
    ("R2Score", "numbers", {"class_aggregation": "variance_weighted_average"}, ALL),
    ("R2Score", "column of numbers", {"num_regressors": 3}, SAMPLES),
    ("R2Score", "numbers", {"num_regressors": 2, "class_aggregation": None}, MISSING),
    ("PearsonCorrelation", "numbers", {}, SAMPLES),
    ("PearsonCorrelation", "column of numbers", {"axis": 0}, MISSING),
    ("PearsonCorrelation", "tables of numbers", {"axis": (1, 2)}, SAMPLES),
    ("ConcordanceCorrelation", "numbers", {}, SAMPLES),
    ("ConcordanceCorrelation", "numbers", {"axis": 0}, MISSING),
    ("MeanIoU", "classes", {"num_classes": 4}, SAMPLES),
    ("MeanIoU", "maps", {"num_classes": 4, "sparse_y_pred": False}, MISSING),
    ("MeanIoU", "maps", {"num_classes": 4, "sparse_y_pred": False, "ignore_class": 2}, MISSING),
    ("MeanIoU", "classes", {"num_classes": 3}, SAMPLES),  # class 3 does not exist
    ("MeanIoU", "classes", {"num_classes": 9}, SAMPLES),
    ("IoU", "classes", {"num_classes": 4, "target_class_ids": [0, 3]}, SAMPLES),
    ("BinaryIoU", "vector", {}, SAMPLES),
    ("BinaryIoU", "tenths", {"target_class_ids": [1], "threshold": 0.3}, SAMPLES),
    ("OneHotIoU", "one-hot", {"num_classes": 4, "target_class_ids": [0, 2]}, SAMPLES),
    ("OneHotMeanIoU", "one-hot", {"num_classes": 4}, SAMPLES),
    ("OneHotMeanIoU", "one-hot and classes", {"num_classes": 4, "sparse_y_pred": True, "ignore_class": 1}, SAMPLES),
]

IDS = [f"{name} of {kind}, {', '.join(f'{k}={v}' for k, v in options.items())}" for name, kind, options, _ in CASES]


def draw(kind, seed, rows):
    """float32 or integer targets and predictions."""
    random = Generator(seed)
    shape = {"vector": (rows,), "column": (rows, 1), "steps": (rows, 3, 4), "tables": (rows, 3, 4)}
    words = kind.split(" of ")
    first = words[0] if len(words) == 1 or words[0] != "tenths" else words[1]
    size = shape.get(first, (rows,) if first in ("tenths", "logits", "beyond", "nothing", "classes") else (rows, 4))
    bits = np.floor(random.uniform(size, 0.0, 2.0))
    chance = np.clip(0.3 * bits + random.uniform(size, 0.0, 0.8), 0.0, 1.0)
    labels = np.floor(random.uniform((rows,), 0.0, 4.0)).astype(np.int64)
    shares = random.uniform((rows, 4), 0.0, 1.0) + 0.4 * np.eye(4)[labels]
    if kind == "vector and column":
        y_true, y_pred = bits[:, 0], chance[:, :1]
    elif kind == "column and vector":
        y_true, y_pred = bits[:, :1], chance[:, 0]
    elif kind.startswith("tenths"):
        y_true, y_pred = bits, np.round(chance * 10.0) / 10.0
    elif kind == "logits":
        y_true, y_pred = bits, 3.0 * (chance - 0.5)
    elif kind == "beyond":
        y_true, y_pred = bits, 2.0 * chance - 0.5
    elif kind == "nothing":
        y_true, y_pred = 0.0 * bits, chance
    elif kind == "one-hot":
        y_true, y_pred = np.eye(4)[labels], shares
    elif kind == "one-hot and classes":
        return np.eye(4, dtype=np.float32)[labels], np.argmax(shares, axis=-1)
    elif kind.endswith("numbers"):
        y_true = 5.0 + 2.0 * random.normal(size)
        y_pred = y_true + random.normal(size)
    elif kind == "classes":
        return labels, np.argmax(shares, axis=-1)
    elif kind == "maps":
        labels = np.floor(random.uniform((rows, 2, 3), 0.0, 4.0)).astype(np.int64)
        shares = (random.uniform((rows, 2, 3, 4), 0.0, 1.0) + 0.4 * np.eye(4)[labels]).astype(np.float32)
        return labels, shares
    else:
        y_true, y_pred = bits, chance
    return y_true.astype(np.float32), y_pred.astype(np.float32)


def weights(kind, y_pred, seed):
    shape = {"samples": y_pred.shape[:1], "elements": y_pred.shape}.get(kind)
    return None if shape is None else Generator(seed).uniform(shape, 0.1, 2.0).astype(np.float32)


def test_enough_is_compared():
    assert len(CASES) >= 75


def test_every_metric_of_both_has_a_row():
    here = {name for name, cls in metrics.registry.objects.items() if not issubclass(cls, MeanMetricWrapper)}
    here |= {"PearsonCorrelation", "ConcordanceCorrelation"}
    in_losses = {"Mean", "Sum", "RootMeanSquaredError"}  # and all that are means: test_keras_losses.py
    assert {name for name, _, _, _ in CASES} == here - in_losses - {"ConfusionMatrix", "MeanRelativeError"}


def test_every_name_of_keras_is_there():
    assert {name for name in dir(keras.metrics) if not name.startswith("_")} <= set(metrics.__all__)


@pytest.mark.filterwarnings("ignore:Explicitly requested dtype:UserWarning")  # Keras's casts to int64 on JAX
@pytest.mark.parametrize(("name", "kind", "options", "weighted"), CASES, ids=IDS)
def test_results_after_every_batch(name, kind, options, weighted):
    for weight in weighted:
        more = {"dtype": "float32"} if weight != "none" and "IoU" in name else {}  # else Keras cuts weights off
        ours, theirs = getattr(metrics, name)(**options), getattr(keras.metrics, name)(**options, **more)
        for batch, rows in enumerate(ROWS):
            y_true, y_pred = draw(kind, batch, rows)
            sample_weight = weights(weight, y_pred, batch)
            ours.update_state(y_true, y_pred, sample_weight)
            theirs.update_state(y_true, y_pred, sample_weight)
            assert_close(ours.result(), np.asarray(theirs.result()).astype(np.float32), rtol=RTOL, atol=ATOL)


@pytest.mark.parametrize(("name", "kind", "options", "weighted"), CASES, ids=IDS)
def test_configurations(name, kind, options, weighted):
    theirs = getattr(keras.metrics, name)(**options).get_config()
    ours = getattr(metrics, name)(**options)
    config = ours.get_config()
    plain = {key: list(value) if isinstance(value, tuple) else value for key, value in theirs.items()}
    if plain.get("label_weights") is not None:
        plain["label_weights"] = np.asarray(plain["label_weights"]).tolist()
    numbered = plain["name"].rstrip("0123456789").rstrip("_")
    assert config["name"] in (plain["name"], numbered)
    for key in set(plain) - {"name", "dtype", "thresholds"}:
        assert config[key] == plain[key], key
    assert np.array_equal(config.get("thresholds"), plain.get("thresholds"))
    assert type(metrics.deserialize(metrics.serialize(ours))) is type(ours)


def test_the_attributes_of_auc():
    for options in ({}, {"thresholds": [0.2, 0.7]}, {"multi_label": True}):
        ours, theirs = metrics.AUC(**options), keras.metrics.AUC(**options)
        y_true, y_pred = draw("labels", 3, 50)
        ours.update_state(y_true, y_pred)
        theirs.update_state(y_true, y_pred)
        assert np.allclose(ours.thresholds, theirs.thresholds)
        for name in ("true_positives", "false_positives", "true_negatives", "false_negatives"):
            assert np.array_equal(getattr(ours, name), np.asarray(getattr(theirs, name))), name


def test_in_the_history_of_fit():
    names = ["f1_score", "precision", "AUC", "Recall", "top_k_categorical_accuracy", "true_negatives"]
    x, y = Generator(1).normal((60, 4)).astype(np.float32), np.eye(3, dtype=np.float32)[np.arange(60) % 3]
    kernel = Generator(2).normal((4, 3)).astype(np.float32)
    results = []
    for library in (keras, nnx):
        model = library.Sequential([library.Input((4,)), library.layers.Dense(3, "softmax", use_bias=False)])
        model.compile(library.optimizers.SGD(0.1), "categorical_crossentropy", metrics=names)
        model.set_weights([kernel])
        history = model.fit(x, y, epochs=2, batch_size=20, shuffle=False, verbose=0, validation_data=(x, y)).history
        results.append((history, model.evaluate(x, y, verbose=0)))
    (theirs, expected), (ours, found) = results
    assert len(found) == len(expected) == 7
    assert sorted(theirs) == sorted(ours)
    for key in theirs:
        assert_close(np.asarray(ours[key]), np.asarray(theirs[key]), rtol=1e-4, atol=1e-5)
    for mine, reference in zip(found, expected, strict=True):
        assert_close(np.asarray(mine), np.asarray(reference), rtol=1e-4, atol=1e-5)
