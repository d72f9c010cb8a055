"""Losses as plain functions of Keras's names: `mse(y_true, y_pred)` is the value of each sample.

The same functions with their derivatives are in `nnx.functional`. Each can be given to `compile`, as its name can.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from nnx import functional
from nnx.backends import Array
from nnx.losses.arrays import as_arrays
from nnx.pullbacks import Differentiable


def plain(function: Differentiable) -> Callable[..., Array]:
    """The loss function without its pullback; takes lists and numbers too. `.differentiable` is the original."""

    @functools.wraps(function)
    def values(y_true: Any, y_pred: Any, *args: Any, **options: Any) -> Array:
        return function(*as_arrays(y_true, y_pred), *args, **options)[0]

    values.differentiable = function  # type: ignore[attr-defined]
    return values


binary_crossentropy = bce = BCE = plain(functional.binary_crossentropy)
binary_focal_crossentropy = plain(functional.binary_focal_crossentropy)
categorical_crossentropy = plain(functional.categorical_crossentropy)
categorical_focal_crossentropy = plain(functional.categorical_focal_crossentropy)
categorical_hinge = plain(functional.categorical_hinge)
cosine_similarity = cosine_proximity = plain(functional.cosine_similarity)
ctc = plain(functional.ctc)
dice = plain(functional.dice)
hinge = plain(functional.hinge)
huber = plain(functional.huber)
kl_divergence = kullback_leibler_divergence = kld = KLD = plain(functional.kl_divergence)
log_cosh = logcosh = plain(functional.log_cosh)
mean_absolute_error = mae = MAE = plain(functional.mean_absolute_error)
mean_absolute_percentage_error = mape = MAPE = plain(functional.mean_absolute_percentage_error)
mean_squared_error = mse = MSE = plain(functional.mean_squared_error)
mean_squared_logarithmic_error = msle = MSLE = plain(functional.mean_squared_logarithmic_error)
poisson = plain(functional.poisson)
sparse_categorical_crossentropy = plain(functional.sparse_categorical_crossentropy)
squared_hinge = plain(functional.squared_hinge)
tversky = plain(functional.tversky)
