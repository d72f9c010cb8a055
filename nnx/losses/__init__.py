"""Losses: what a model minimises, as classes and as plain functions.

A loss is given to `compile` as a name ("mse", "mean_squared_error", "MeanSquaredError"), a function (`mse`) or an
object (`MeanSquaredError(reduction="sum")`). One's own is a function `(y_true, y_pred) -> (values, pullback)`, or a
subclass of `Loss` with such a method `call`.

A loss has a value for each sample, and makes one number of them: by default their mean over the batch, see `Loss`.
Functions stop at the values. Where a formula says `mean` without more, it is over the last axis: predictions
(n, ..., m) have values (n, ...). Targets have the shape of the predictions unless something else is said; a last axis
of length 1 may be missing in either, as in targets (n,) for predictions (n, 1). Formulas and defaults are those of
Keras 3.

>>> mse([[0.0, 1.0]], [[1.0, 1.0]])
array([0.5], dtype=float32)
>>> loss, pullback = MeanSquaredError().forward([[0.0, 1.0]], [[1.0, 1.0]])
>>> pullback()
array([[1., 0.]], dtype=float32)
"""

from typing import TYPE_CHECKING

from nnx.lazy_loading import other_names
from nnx.losses import classification, crossentropies, embeddings, regression
from nnx.losses.base import Loss, LossFunctionWrapper, registry
from nnx.losses.classification import *
from nnx.losses.crossentropies import *
from nnx.losses.ctc import CTC, ctc
from nnx.losses.embeddings import *
from nnx.losses.lookup import deserialize, get, resolve, serialize
from nnx.losses.regression import *

# A file says in its own __all__ what is exported. One whose name is also that of a function cannot be named below.
__all__ = [
    "CTC",
    "Loss",
    "LossFunctionWrapper",
    "ctc",
    "deserialize",
    "get",
    "registry",
    "resolve",
    "serialize",
    *classification.__all__,
    *embeddings.__all__,
    *crossentropies.__all__,
    *regression.__all__,
]

if not TYPE_CHECKING:
    __getattr__ = other_names(__name__)
