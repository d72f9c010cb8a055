"""Networks of the estimators that are given none: dense layers between numbers brought to mean 0 and variance 1."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import numpy as np

from nnx.layers import Dense, Flatten, Input, Normalization, Rescaling
from nnx.layers.feature_moments import Moments, blocks_of
from nnx.models import Sequential


def dense_classifier(
    X: np.ndarray,
    y: np.ndarray,
    classes: np.ndarray,
    units: Sequence[int] = (100,),
    activation: Any = "relu",
    optimizer: Any = "adam",
) -> Sequential:
    """A classifier for samples X (n, ...): hidden layers of so many units, and probabilities.

    y : numbers of classes (n,), or 0 and 1 for each label (n, labels). classes : all of them.
    """
    if y.ndim == 1 and len(classes) > 2:
        last, loss, metric = Dense(len(classes), activation="softmax"), "sparse_categorical_crossentropy", "accuracy"
    else:
        outputs = 1 if y.ndim == 1 else y.shape[1]
        last, loss, metric = Dense(outputs, activation="sigmoid"), "binary_crossentropy", "binary_accuracy"
    model = Sequential([*_hidden(X, units, activation), last])
    model.compile(copy.deepcopy(optimizer), loss, metrics=[metric])
    return model


def dense_regressor(
    X: np.ndarray,
    y: np.ndarray,
    units: Sequence[int] = (100,),
    activation: Any = "relu",
    optimizer: Any = "adam",
) -> Sequential:
    """A regressor for samples X (n, ...) and targets y (n,) or (n, outputs): hidden layers of so many units.

    The last layer brings the outputs to the means and deviations of the targets.
    """
    mean, deviation = _moments(y.reshape(len(y), -1))
    scale = Rescaling(deviation, offset=mean)
    model = Sequential([*_hidden(X, units, activation), Dense(len(mean)), scale])
    model.compile(copy.deepcopy(optimizer), "mse")
    return model


def _hidden(x: np.ndarray, units: Sequence[int], activation: Any) -> list[Any]:
    mean, deviation = _moments(x.reshape(len(x), -1))
    flat = [Flatten()] if x.ndim > 2 else []
    layers: list[Any] = [Input(shape=x.shape[1:]), *flat, Normalization(mean=mean, variance=deviation**2)]
    return [*layers, *(Dense(count, activation=activation) for count in units)]


def _moments(columns: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The mean of each column, and its standard deviation: 1 for one that is constant, so that it stays small."""
    moments = Moments([1])
    for block in blocks_of(columns):
        moments.add(block)
    deviation = np.sqrt(moments.variance)
    return moments.mean, np.where(deviation == 0.0, 1.0, deviation)
