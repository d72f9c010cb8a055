"""Rows of the metrics: examples, and what is compared with Keras.

A new metric is a class in a file of `nnx/metrics`, which its `__all__` names, and a row here; a new file has a line in
`nnx/metrics/__init__.py`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from nnx import metrics
from nnx.metrics import Metric
from nnx.random import Generator
from nnx.testing.rows.completeness import file_of, public_classes, row_complaints
from nnx.testing.rows.losses import BITS, LABELS, LOSSES, NUMBERS, ONE_HOT

WITHOUT = ("none",)
SAMPLES = ("none", "samples")
ALL = ("none", "samples", "elements")


@dataclasses.dataclass(frozen=True)
class KerasExample:
    """A comparison with Keras over several batches.

    data : a kind of `example_data.draw_metric`; or for means of losses and their like the kinds of targets and of
        predictions of `example_data.draw`, without weights and with two forms of them.
    options : arguments for the constructors of ours and of Keras's.
    weights : without any, a weight for each sample, a weight for each element.
    """

    data: str | tuple[str, str]
    options: dict[str, Any] = dataclasses.field(default_factory=dict)
    weights: tuple[str, ...] = WITHOUT


@dataclasses.dataclass(frozen=True)
class MetricRow:
    """A metric.

    examples : kinds of data of `metric_data`, and configurations.
    keras : what is compared with Keras; nothing where Keras has no such metric.
    """

    examples: Sequence[tuple[str, Callable[[], Metric]]]
    keras: Sequence[KerasExample] = ()


def _means(data: tuple[str, str], **options: Any) -> KerasExample:
    return KerasExample(data, options)


def _as_loss(name: str) -> tuple[KerasExample, ...]:
    return tuple(KerasExample(data, options) for data, options in LOSSES[name].keras_examples)


METRICS: dict[str, MetricRow] = {
    "AUC": MetricRow(
        [
            ("chances", lambda: metrics.AUC()),
            ("chances", lambda: metrics.AUC(curve="PR", multi_label=True, label_weights=[1, 2, 3, 0])),
            ("chances", lambda: metrics.AUC(thresholds=[0.3, 0.8, 0.4], summation_method="majoring")),
            ("numbers", lambda: metrics.AUC(curve="PRGAIN", from_logits=True, num_thresholds=30)),
        ],
        keras=(
            KerasExample("vector", {}, ALL),
            KerasExample("column", {}, ALL),
            KerasExample("vector and column", {"num_thresholds": 20}, WITHOUT),
            KerasExample("tenths", {"num_thresholds": 11}, ALL),
            KerasExample("tenths", {"num_thresholds": 11, "curve": "PR"}, ALL),
            KerasExample("logits", {"from_logits": True}, ALL),
            KerasExample("beyond", {}, WITHOUT),
            KerasExample("nothing", {"curve": "PR"}, WITHOUT),
            KerasExample("labels", {"curve": "PR"}, ALL),
            KerasExample("labels", {"label_weights": [1.0, 0.5, 0.0, 2.0]}, ALL),
            KerasExample("labels", {"multi_label": True}, SAMPLES),
            KerasExample("labels", {"multi_label": True, "num_labels": 4, "curve": "PR"}, SAMPLES),
            KerasExample("labels", {"multi_label": True, "label_weights": [1.0, 0.5, 0.0, 2.0]}, SAMPLES),
            KerasExample("labels", {"multi_label": True, "thresholds": [0.3, 0.1, 0.8]}, WITHOUT),
            KerasExample(
                "vector", {"curve": "ROC", "summation_method": "interpolation", "num_thresholds": 30}, SAMPLES
            ),
            KerasExample("vector", {"curve": "ROC", "summation_method": "minoring", "num_thresholds": 30}, SAMPLES),
            KerasExample("vector", {"curve": "ROC", "summation_method": "majoring", "num_thresholds": 30}, SAMPLES),
            KerasExample("vector", {"curve": "PR", "summation_method": "interpolation", "num_thresholds": 30}, SAMPLES),
            KerasExample("vector", {"curve": "PR", "summation_method": "minoring", "num_thresholds": 30}, SAMPLES),
            KerasExample("vector", {"curve": "PR", "summation_method": "majoring", "num_thresholds": 30}, SAMPLES),
            KerasExample(
                "vector", {"curve": "PRGAIN", "summation_method": "interpolation", "num_thresholds": 30}, SAMPLES
            ),
            KerasExample("vector", {"curve": "PRGAIN", "summation_method": "minoring", "num_thresholds": 30}, SAMPLES),
            KerasExample("vector", {"curve": "PRGAIN", "summation_method": "majoring", "num_thresholds": 30}, SAMPLES),
            KerasExample("tenths", {"thresholds": [0.1, 0.5, 0.45, 0.9]}, ALL),
            KerasExample("vector", {"thresholds": [0.25, 0.5, 0.75], "curve": "PR"}, ALL),
        ),
    ),
    "Accuracy": MetricRow([("classes", lambda: metrics.Accuracy())], keras=(_means(("labels", "labels")),)),
    "BinaryAccuracy": MetricRow(
        [("chances", lambda: metrics.BinaryAccuracy(threshold=0.4))], keras=(_means(BITS), _means(BITS, threshold=0.3))
    ),
    "BinaryCrossentropy": MetricRow(
        [("chances", lambda: metrics.BinaryCrossentropy())],
        keras=tuple(example for example in _as_loss("BinaryCrossentropy") if "axis" not in example.options),
    ),
    "BinaryFocalCrossentropy": MetricRow([("chances", lambda: metrics.BinaryFocalCrossentropy())]),
    "BinaryIoU": MetricRow(
        [("chances", lambda: metrics.BinaryIoU(target_class_ids=[1]))],
        keras=(
            KerasExample("vector", {}, SAMPLES),
            KerasExample("tenths", {"target_class_ids": [1], "threshold": 0.3}, SAMPLES),
        ),
    ),
    "CategoricalAccuracy": MetricRow([("shares", lambda: metrics.CategoricalAccuracy())], keras=(_means(ONE_HOT),)),
    "CategoricalCrossentropy": MetricRow(
        [("shares", lambda: metrics.CategoricalCrossentropy())], keras=_as_loss("CategoricalCrossentropy")
    ),
    "CategoricalFocalCrossentropy": MetricRow([("shares", lambda: metrics.CategoricalFocalCrossentropy())]),
    "CategoricalHinge": MetricRow([("shares", lambda: metrics.CategoricalHinge())], keras=_as_loss("CategoricalHinge")),
    "ConcordanceCorrelation": MetricRow(
        [("numbers", lambda: metrics.ConcordanceCorrelation())],
        keras=(
            KerasExample("numbers", {}, SAMPLES),
            KerasExample("numbers", {"axis": 0}, WITHOUT),
        ),
    ),
    "ConfusionMatrix": MetricRow(
        [
            ("labels", lambda: metrics.ConfusionMatrix()),
            ("shares", lambda: metrics.ConfusionMatrix(ignore_class=1)),
            ("chance", lambda: metrics.ConfusionMatrix(threshold=0.4)),
        ]
    ),
    "CosineSimilarity": MetricRow(
        [("numbers", lambda: metrics.CosineSimilarity())], keras=_as_loss("CosineSimilarity")
    ),
    "Dice": MetricRow([("chances", lambda: metrics.Dice(axis=-1))]),
    "F1Score": MetricRow(
        [
            ("shares", lambda: metrics.F1Score()),
            ("chances", lambda: metrics.F1Score(average="weighted", threshold=0.5)),
        ],
        keras=(
            KerasExample("one-hot", {}, SAMPLES),
            KerasExample("labels", {"threshold": 0.5}, SAMPLES),
            KerasExample("one-hot", {"average": "micro"}, SAMPLES),
            KerasExample("one-hot", {"average": "macro"}, SAMPLES),
            KerasExample("one-hot", {"average": "weighted"}, SAMPLES),
            KerasExample("labels", {"average": "micro", "threshold": 0.4}, SAMPLES),
            KerasExample("labels", {"average": "macro", "threshold": 0.4}, SAMPLES),
            KerasExample("labels", {"average": "weighted", "threshold": 0.4}, SAMPLES),
            KerasExample("tenths of labels", {}, WITHOUT),
        ),
    ),
    "FBetaScore": MetricRow(
        [("chances", lambda: metrics.FBetaScore(average="micro", beta=2.0, threshold=0.3))],
        keras=(
            KerasExample("one-hot", {"beta": 2.0}, SAMPLES),
            KerasExample("labels", {"beta": 0.5, "threshold": 0.5, "average": "weighted"}, SAMPLES),
        ),
    ),
    "FalseNegatives": MetricRow(
        [("chances", lambda: metrics.FalseNegatives())],
        keras=(
            KerasExample("vector", {}, ALL),
            KerasExample("vector", {"thresholds": 0.2}, WITHOUT),
            KerasExample("tenths", {"thresholds": [0.0, 0.25, 0.5, 0.75, 1.0]}, ALL),
        ),
    ),
    "FalsePositives": MetricRow(
        [("chances", lambda: metrics.FalsePositives(thresholds=[0.9, 0.1]))],
        keras=(
            KerasExample("vector", {}, ALL),
            KerasExample("labels", {"thresholds": [0.0, 0.25, 0.5, 0.75, 1.0]}, ALL),
        ),
    ),
    "Hinge": MetricRow([("chances", lambda: metrics.Hinge())], keras=_as_loss("Hinge")),
    "Huber": MetricRow([("numbers", lambda: metrics.Huber())]),
    "IoU": MetricRow(
        [("labels", lambda: metrics.IoU(4, [0, 2], sparse_y_pred=False))],
        keras=(KerasExample("classes", {"num_classes": 4, "target_class_ids": [0, 3]}, SAMPLES),),
    ),
    "KLDivergence": MetricRow([("shares", lambda: metrics.KLDivergence())], keras=_as_loss("KLDivergence")),
    "LogCoshError": MetricRow([("numbers", lambda: metrics.LogCoshError())], keras=_as_loss("LogCosh")),
    "MeanAbsoluteError": MetricRow(
        [("numbers", lambda: metrics.MeanAbsoluteError())], keras=_as_loss("MeanAbsoluteError")
    ),
    "MeanAbsolutePercentageError": MetricRow(
        [("positive", lambda: metrics.MeanAbsolutePercentageError())], keras=_as_loss("MeanAbsolutePercentageError")
    ),
    "MeanIoU": MetricRow(
        [("classes", lambda: metrics.MeanIoU(4))],
        keras=(
            KerasExample("classes", {"num_classes": 4}, SAMPLES),
            KerasExample("maps", {"num_classes": 4, "sparse_y_pred": False}, WITHOUT),
            KerasExample("maps", {"num_classes": 4, "sparse_y_pred": False, "ignore_class": 2}, WITHOUT),
            KerasExample("classes", {"num_classes": 3}, SAMPLES),  # class 3 does not exist
            KerasExample("classes", {"num_classes": 9}, SAMPLES),
        ),
    ),
    "MeanRelativeError": MetricRow([("numbers", lambda: metrics.MeanRelativeError([1.0, 0.5, 0.0, 2.0]))]),
    "MeanSquaredError": MetricRow(
        [("numbers", lambda: metrics.MeanSquaredError())], keras=_as_loss("MeanSquaredError")
    ),
    "MeanSquaredLogarithmicError": MetricRow(
        [("positive", lambda: metrics.MeanSquaredLogarithmicError())], keras=_as_loss("MeanSquaredLogarithmicError")
    ),
    "OneHotIoU": MetricRow(
        [("shares", lambda: metrics.OneHotIoU(4, [1, 3]))],
        keras=(KerasExample("one-hot", {"num_classes": 4, "target_class_ids": [0, 2]}, SAMPLES),),
    ),
    "OneHotMeanIoU": MetricRow(
        [("shares", lambda: metrics.OneHotMeanIoU(4, ignore_class=2))],
        keras=(
            KerasExample("one-hot", {"num_classes": 4}, SAMPLES),
            KerasExample("one-hot and classes", {"num_classes": 4, "sparse_y_pred": True, "ignore_class": 1}, SAMPLES),
        ),
    ),
    "PearsonCorrelation": MetricRow(
        [("numbers", lambda: metrics.PearsonCorrelation())],
        keras=(
            KerasExample("numbers", {}, SAMPLES),
            KerasExample("column of numbers", {"axis": 0}, WITHOUT),
            KerasExample("tables of numbers", {"axis": (1, 2)}, SAMPLES),
        ),
    ),
    "Poisson": MetricRow([("positive", lambda: metrics.Poisson())], keras=_as_loss("Poisson")),
    "Precision": MetricRow(
        [("chances", lambda: metrics.Precision()), ("shares", lambda: metrics.Precision(top_k=2, class_id=1))],
        keras=(
            KerasExample("vector", {}, ALL),
            KerasExample("column", {}, ALL),
            KerasExample("vector and column", {}, WITHOUT),
            KerasExample("column and vector", {}, WITHOUT),
            KerasExample("steps", {}, WITHOUT),
            KerasExample("tenths", {"thresholds": 0.5}, WITHOUT),
            KerasExample("labels", {"thresholds": [0.2, 0.9, 0.5]}, ALL),
            KerasExample("labels", {"class_id": 2}, SAMPLES),
            KerasExample("labels", {"top_k": 2}, ALL),
            KerasExample("tenths of labels", {"top_k": 2}, WITHOUT),
            KerasExample("labels", {"top_k": 3, "class_id": 1, "thresholds": 0.4}, SAMPLES),
            KerasExample("logits", {"thresholds": 0}, ALL),
        ),
    ),
    "PrecisionAtRecall": MetricRow(
        [("chances", lambda: metrics.PrecisionAtRecall(0.6))],
        keras=(
            KerasExample("vector", {"recall": 0.6}, ALL),
            KerasExample("labels", {"recall": 0.3, "class_id": 3}, SAMPLES),
        ),
    ),
    "R2Score": MetricRow(
        [
            ("numbers", lambda: metrics.R2Score()),
            ("numbers", lambda: metrics.R2Score(class_aggregation=None, num_regressors=2)),
        ],
        keras=(
            KerasExample("numbers", {}, ALL),
            KerasExample("numbers", {"class_aggregation": None}, ALL),
            KerasExample("numbers", {"class_aggregation": "variance_weighted_average"}, ALL),
            KerasExample("column of numbers", {"num_regressors": 3}, SAMPLES),
            KerasExample("numbers", {"num_regressors": 2, "class_aggregation": None}, WITHOUT),
        ),
    ),
    "Recall": MetricRow(
        [("chances", lambda: metrics.Recall(thresholds=[0.0, 0.25, 0.5, 0.75, 1.0]))],
        keras=(
            KerasExample("vector", {}, ALL),
            KerasExample("labels", {"thresholds": [0.2, 0.9, 0.5]}, ALL),
            KerasExample("labels", {"class_id": 0, "thresholds": 0.3}, SAMPLES),
            KerasExample("one-hot", {"top_k": 2}, ALL),
            KerasExample("nothing", {}, WITHOUT),
        ),
    ),
    "RecallAtPrecision": MetricRow(
        [("chances", lambda: metrics.RecallAtPrecision(0.5))],
        keras=(
            KerasExample("vector", {"precision": 0.5}, ALL),
            KerasExample("column", {"precision": 1.0, "num_thresholds": 50}, WITHOUT),
        ),
    ),
    "RootMeanSquaredError": MetricRow([("numbers", lambda: metrics.RootMeanSquaredError())], keras=(_means(NUMBERS),)),
    "SensitivityAtSpecificity": MetricRow(
        [("chances", lambda: metrics.SensitivityAtSpecificity(0.6))],
        keras=(
            KerasExample("vector", {"specificity": 0.4}, ALL),
            KerasExample("labels", {"specificity": 0.7, "num_thresholds": 11, "class_id": 1}, SAMPLES),
            KerasExample("tenths", {"specificity": 0.6, "num_thresholds": 1}, WITHOUT),
        ),
    ),
    "SparseCategoricalAccuracy": MetricRow(
        [("labels", lambda: metrics.SparseCategoricalAccuracy())], keras=(_means(LABELS),)
    ),
    "SparseCategoricalCrossentropy": MetricRow(
        [("labels", lambda: metrics.SparseCategoricalCrossentropy())], keras=_as_loss("SparseCategoricalCrossentropy")
    ),
    "SparseTopKCategoricalAccuracy": MetricRow(
        [("labels", lambda: metrics.SparseTopKCategoricalAccuracy(k=2))], keras=(_means(LABELS, k=3), _means(LABELS))
    ),
    "SpecificityAtSensitivity": MetricRow(
        [("chances", lambda: metrics.SpecificityAtSensitivity(0.6, class_id=2))],
        keras=(
            KerasExample("vector", {"sensitivity": 0.5}, ALL),
            KerasExample("tenths", {"sensitivity": 0.8, "num_thresholds": 11}, WITHOUT),
        ),
    ),
    "SquaredHinge": MetricRow([("chances", lambda: metrics.SquaredHinge())], keras=_as_loss("SquaredHinge")),
    "TopKCategoricalAccuracy": MetricRow(
        [("shares", lambda: metrics.TopKCategoricalAccuracy(k=2))], keras=(_means(ONE_HOT, k=2), _means(ONE_HOT))
    ),
    "TrueNegatives": MetricRow(
        [("chances", lambda: metrics.TrueNegatives())],
        keras=(
            KerasExample("vector", {}, ALL),
            KerasExample("labels", {"thresholds": [0.7, 0.2]}, ALL),
            KerasExample("steps", {"thresholds": [0.1, 0.4]}, WITHOUT),
        ),
    ),
    "TruePositives": MetricRow(
        [("chances", lambda: metrics.TruePositives())],
        keras=(
            KerasExample("vector", {}, ALL),
            KerasExample("vector", {"thresholds": 0.2}, WITHOUT),
            KerasExample("labels", {"thresholds": [0.7, 0.2]}, ALL),
        ),
    ),
    "Tversky": MetricRow([("chances", lambda: metrics.Tversky(axis=-1))]),
}
"""For each metric of targets and predictions, by the name of its class."""

OF_VALUES = frozenset({"Mean", "MeanMetricWrapper", "Sum"})
"""Metrics of something other than targets and predictions, which have tests of their own."""


def metric_cases() -> list[tuple[str, str, Callable[[], Metric]]]:
    """All configurations of metrics: a title, the kind of targets and predictions, and how to make one."""
    return [
        (f"{name} {i}".removesuffix(" 0"), kind, make)
        for name, row in METRICS.items()
        for i, (kind, make) in enumerate(row.examples)
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


def complaints() -> list[str]:
    """What is missing for a metric, a sentence each: the file, and the line to add to it."""
    public, registered = public_classes(metrics, Metric), metrics.registry.objects
    found = [
        f"{file_of(cls)}: add {name!r} to __all__" for name, cls in registered.items() if name not in metrics.__all__
    ]
    found += [
        f"{file_of(getattr(metrics, name))}: put @registry.register() above the class {name}"
        for name in sorted(public - set(registered))
    ]
    wrong = [
        f"nnx/testing/rows/metrics.py: an example of {name!r} makes a {type(make()).__name__}"
        for name, row in METRICS.items()
        for _, make in row.examples
        if type(make()).__name__ != name
    ]
    line = '"{name}": MetricRow([("numbers", lambda: metrics.{name}())]),'
    return [
        *found,
        *row_complaints("nnx/testing/rows/metrics.py", METRICS, (public | set(registered)) - OF_VALUES, line),
        *wrong,
    ]
