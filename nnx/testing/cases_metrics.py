"""Examples of every metric, for the tests and for `python -m nnx selftest`.

A metric without a row fails the suite.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from nnx import metrics
from nnx.metrics import Metric
from nnx.random import Generator

METRICS: dict[str, list[tuple[str, Callable[[], Metric]]]] = {
    "AUC": [
        ("chances", lambda: metrics.AUC()),
        ("chances", lambda: metrics.AUC(curve="PR", multi_label=True, label_weights=[1, 2, 3, 0])),
        ("chances", lambda: metrics.AUC(thresholds=[0.3, 0.8, 0.4], summation_method="majoring")),
        ("numbers", lambda: metrics.AUC(curve="PRGAIN", from_logits=True, num_thresholds=30)),
    ],
    "Accuracy": [("classes", lambda: metrics.Accuracy())],
    "BinaryAccuracy": [("chances", lambda: metrics.BinaryAccuracy(threshold=0.4))],
    "BinaryCrossentropy": [("chances", lambda: metrics.BinaryCrossentropy())],
    "BinaryFocalCrossentropy": [("chances", lambda: metrics.BinaryFocalCrossentropy())],
    "BinaryIoU": [("chances", lambda: metrics.BinaryIoU(target_class_ids=[1]))],
    "CategoricalAccuracy": [("shares", lambda: metrics.CategoricalAccuracy())],
    "CategoricalCrossentropy": [("shares", lambda: metrics.CategoricalCrossentropy())],
    "CategoricalFocalCrossentropy": [("shares", lambda: metrics.CategoricalFocalCrossentropy())],
    "CategoricalHinge": [("shares", lambda: metrics.CategoricalHinge())],
    "ConcordanceCorrelation": [("numbers", lambda: metrics.ConcordanceCorrelation())],
    "ConfusionMatrix": [
        ("labels", lambda: metrics.ConfusionMatrix()),
        ("shares", lambda: metrics.ConfusionMatrix(ignore_class=1)),
        ("chance", lambda: metrics.ConfusionMatrix(threshold=0.4)),
    ],
    "CosineSimilarity": [("numbers", lambda: metrics.CosineSimilarity())],
    "Dice": [("chances", lambda: metrics.Dice(axis=-1))],
    "F1Score": [
        ("shares", lambda: metrics.F1Score()),
        ("chances", lambda: metrics.F1Score(average="weighted", threshold=0.5)),
    ],
    "FBetaScore": [("chances", lambda: metrics.FBetaScore(average="micro", beta=2.0, threshold=0.3))],
    "FalseNegatives": [("chances", lambda: metrics.FalseNegatives())],
    "FalsePositives": [("chances", lambda: metrics.FalsePositives(thresholds=[0.9, 0.1]))],
    "Hinge": [("chances", lambda: metrics.Hinge())],
    "Huber": [("numbers", lambda: metrics.Huber())],
    "IoU": [("labels", lambda: metrics.IoU(4, [0, 2], sparse_y_pred=False))],
    "KLDivergence": [("shares", lambda: metrics.KLDivergence())],
    "LogCoshError": [("numbers", lambda: metrics.LogCoshError())],
    "MeanAbsoluteError": [("numbers", lambda: metrics.MeanAbsoluteError())],
    "MeanAbsolutePercentageError": [("positive", lambda: metrics.MeanAbsolutePercentageError())],
    "MeanIoU": [("classes", lambda: metrics.MeanIoU(4))],
    "MeanRelativeError": [("numbers", lambda: metrics.MeanRelativeError([1.0, 0.5, 0.0, 2.0]))],
    "MeanSquaredError": [("numbers", lambda: metrics.MeanSquaredError())],
    "MeanSquaredLogarithmicError": [("positive", lambda: metrics.MeanSquaredLogarithmicError())],
    "OneHotIoU": [("shares", lambda: metrics.OneHotIoU(4, [1, 3]))],
    "OneHotMeanIoU": [("shares", lambda: metrics.OneHotMeanIoU(4, ignore_class=2))],
    "PearsonCorrelation": [("numbers", lambda: metrics.PearsonCorrelation())],
    "Poisson": [("positive", lambda: metrics.Poisson())],
    "Precision": [
        ("chances", lambda: metrics.Precision()),
        ("shares", lambda: metrics.Precision(top_k=2, class_id=1)),
    ],
    "PrecisionAtRecall": [("chances", lambda: metrics.PrecisionAtRecall(0.6))],
    "R2Score": [
        ("numbers", lambda: metrics.R2Score()),
        ("numbers", lambda: metrics.R2Score(class_aggregation=None, num_regressors=2)),
    ],
    "Recall": [("chances", lambda: metrics.Recall(thresholds=[0.0, 0.25, 0.5, 0.75, 1.0]))],
    "RecallAtPrecision": [("chances", lambda: metrics.RecallAtPrecision(0.5))],
    "RootMeanSquaredError": [("numbers", lambda: metrics.RootMeanSquaredError())],
    "SensitivityAtSpecificity": [("chances", lambda: metrics.SensitivityAtSpecificity(0.6))],
    "SparseCategoricalAccuracy": [("labels", lambda: metrics.SparseCategoricalAccuracy())],
    "SparseCategoricalCrossentropy": [("labels", lambda: metrics.SparseCategoricalCrossentropy())],
    "SparseTopKCategoricalAccuracy": [("labels", lambda: metrics.SparseTopKCategoricalAccuracy(k=2))],
    "SpecificityAtSensitivity": [("chances", lambda: metrics.SpecificityAtSensitivity(0.6, class_id=2))],
    "SquaredHinge": [("chances", lambda: metrics.SquaredHinge())],
    "TopKCategoricalAccuracy": [("shares", lambda: metrics.TopKCategoricalAccuracy(k=2))],
    "TrueNegatives": [("chances", lambda: metrics.TrueNegatives())],
    "TruePositives": [("chances", lambda: metrics.TruePositives())],
    "Tversky": [("chances", lambda: metrics.Tversky(axis=-1))],
}
"""For each metric of targets and predictions, what kind of these it is meant for, and some configurations."""


def metric_cases() -> list[tuple[str, str, Callable[[], Metric]]]:
    """All configurations of metrics: a title, the kind of targets and predictions, and how to make one."""
    return [
        (f"{name} {i}".removesuffix(" 0"), kind, make)
        for name, rows in METRICS.items()
        for i, (kind, make) in enumerate(rows)
    ]


def metric_data(kind: str, rows: int = 24, seed: int = 3) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """float64 targets and predictions of a kind, and a weight for each sample."""
    generator = Generator(seed)
    labels = generator.integers(rows).astype(np.int64) % 4
    coins = np.floor(generator.uniform((rows, 4), 0.0, 2.0))
    normal = generator.normal((rows, 4))
    shares = np.exp(normal + np.eye(4)[labels])
    shares /= shares.sum(axis=-1, keepdims=True)
    chances = 1.0 / (1.0 + np.exp(-normal - coins))
    weight = generator.uniform((rows,), 0.1, 2.0)
    y_true, y_pred = {
        "numbers": (coins + normal, normal),
        "positive": (generator.uniform((rows, 4), 0.5, 2.0), np.exp(normal)),
        "chances": (coins, chances),
        "chance": (coins[:, 0], chances[:, :1]),
        "shares": (np.eye(4)[labels], shares),
        "labels": (labels, shares),
        "classes": (labels, np.argmax(shares, axis=-1)),
    }[kind]
    return y_true, y_pred, weight
