"""Metrics: what is watched while a model learns, as classes and as plain functions.

A metric is given to `compile` as a name ("accuracy", "mse"), a function (`mean_squared_error`, or one's own of y_true
and y_pred that gives a value for each sample) or an object (`TopKCategoricalAccuracy(k=3)`).

An object takes in batch after batch, `update_state(y_true, y_pred, sample_weight=None)`, until `reset_state`, and has
one `result` over all of them. Targets have the shape of the predictions unless something else is said; a last axis of
length 1 may be missing in either. Formulas and defaults are those of Keras 3.

>>> metric = BinaryAccuracy()
>>> metric.update_state([1, 0, 1, 1], [0.9, 0.2, 0.4, 0.8])
>>> float(metric.result())
0.75
"""

from typing import TYPE_CHECKING

from nnx.lazy_loading import other_names
from nnx.losses import (
    BCE,
    KLD,
    MAE,
    MAPE,
    MSE,
    MSLE,
    bce,
    binary_crossentropy,
    binary_focal_crossentropy,
    categorical_crossentropy,
    categorical_focal_crossentropy,
    categorical_hinge,
    dice,
    hinge,
    huber,
    kl_divergence,
    kld,
    kullback_leibler_divergence,
    log_cosh,
    logcosh,
    mae,
    mape,
    mean_absolute_error,
    mean_absolute_percentage_error,
    mean_squared_error,
    mean_squared_logarithmic_error,
    mse,
    msle,
    poisson,
    sparse_categorical_crossentropy,
    squared_hinge,
    tversky,
)
from nnx.metrics import (
    auc,
    confusion,
    correlation,
    f_score,
    iou,
    losses_as_metrics,
    operating_points,
    precision_recall,
    regression,
)
from nnx.metrics.accuracy import (
    Accuracy,
    BinaryAccuracy,
    CategoricalAccuracy,
    SparseCategoricalAccuracy,
    SparseTopKCategoricalAccuracy,
    TopKCategoricalAccuracy,
    accuracy,
    binary_accuracy,
    categorical_accuracy,
    sparse_categorical_accuracy,
    sparse_top_k_categorical_accuracy,
    top_k_categorical_accuracy,
)
from nnx.metrics.auc import *
from nnx.metrics.base import Mean, MeanMetricWrapper, Metric, Sum, registry
from nnx.metrics.confusion import *
from nnx.metrics.correlation import *
from nnx.metrics.f_score import *
from nnx.metrics.iou import *
from nnx.metrics.lookup import depends_on_shapes, deserialize, get, resolve, serialize
from nnx.metrics.losses_as_metrics import *
from nnx.metrics.operating_points import *
from nnx.metrics.precision_recall import *
from nnx.metrics.regression import *

# A file says in its own __all__ what is exported. One whose name is also that of a function cannot be named below.
__all__ = [
    "Accuracy",
    "BCE",
    "BinaryAccuracy",
    "CategoricalAccuracy",
    "KLD",
    "MAE",
    "MAPE",
    "MSE",
    "MSLE",
    "Mean",
    "MeanMetricWrapper",
    "Metric",
    "SparseCategoricalAccuracy",
    "SparseTopKCategoricalAccuracy",
    "Sum",
    "TopKCategoricalAccuracy",
    "accuracy",
    "bce",
    "binary_accuracy",
    "binary_crossentropy",
    "binary_focal_crossentropy",
    "categorical_accuracy",
    "categorical_crossentropy",
    "categorical_focal_crossentropy",
    "categorical_hinge",
    "depends_on_shapes",
    "deserialize",
    "dice",
    "get",
    "hinge",
    "huber",
    "kl_divergence",
    "kld",
    "kullback_leibler_divergence",
    "log_cosh",
    "logcosh",
    "mae",
    "mape",
    "mean_absolute_error",
    "mean_absolute_percentage_error",
    "mean_squared_error",
    "mean_squared_logarithmic_error",
    "mse",
    "msle",
    "poisson",
    "registry",
    "resolve",
    "serialize",
    "sparse_categorical_accuracy",
    "sparse_categorical_crossentropy",
    "sparse_top_k_categorical_accuracy",
    "squared_hinge",
    "top_k_categorical_accuracy",
    "tversky",
    *auc.__all__,
    *confusion.__all__,
    *correlation.__all__,
    *f_score.__all__,
    *iou.__all__,
    *losses_as_metrics.__all__,
    *operating_points.__all__,
    *precision_recall.__all__,
    *regression.__all__,
]

if not TYPE_CHECKING:
    __getattr__ = other_names(__name__)
