"""Regression with networks, for scikit-learn."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Self

import numpy as np

from nnx.lazy_loading import optional_import
from nnx.sklearn.estimator import ONE_EPOCH, NetworkEstimator
from nnx.sklearn.inputs import as_target_numbers
from nnx.sklearn.networks import dense_regressor

RegressorMixin: Any = optional_import("sklearn.base", "nnx.sklearn", "sklearn").RegressorMixin


class NNXRegressor(RegressorMixin, NetworkEstimator):  # type: ignore[misc]
    """Regressor of scikit-learn that trains a network, for one target or several.

    model : a function (X, y) that returns a compiled model; None for dense layers between features and targets brought
        to mean 0 and variance 1, with the arguments `units=(100,)`, `activation="relu"` and `optimizer="adam"`. y are
        the targets, (n,) or (n, outputs). The model ends in an output for each.

    The other parameters and attributes, weights of samples and errors are those of `NNXClassifier`, without those of
    classes.

    >>> import numpy as np
    >>> X = np.linspace(-1.0, 1.0, 200)[:, None]
    >>> NNXRegressor(epochs=50, random_state=0).fit(X, 1000.0 + X[:, 0] ** 2).score(X, 1000.0 + X[:, 0] ** 2) > 0.9
    True
    """

    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Train for one epoch on more samples; the first time, make the model. Arguments as for `fit`."""
        if hasattr(self, "model_"):
            return self._go_on(X, y, sample_weight)
        return self._begin(X, y, sample_weight, ONE_EPOCH)

    def predict(self, X: Any) -> np.ndarray:
        """The predictions for samples: (n,) or (n, outputs) as the targets were, in their dtype if it is floating."""
        outputs = self._outputs(X)
        return outputs.astype(self._dtype or outputs.dtype).reshape(len(outputs), *self._shape)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags

    def _default_function(self) -> Callable[..., Any]:
        return dense_regressor

    def _learn_targets(self, y: Any, classes: Any) -> None:
        targets = as_target_numbers(self, y)
        self._shape = targets.shape[1:]
        self._dtype = targets.dtype if targets.dtype.kind == "f" else None

    def _read_targets(self, y: Any) -> np.ndarray:
        targets = as_target_numbers(self, y)
        if targets.shape[1:] != self._shape:
            raise ValueError(f"y has shape {targets.shape}, expected {('n', *self._shape)}, as when the model was made")
        return targets

    def _output_counts(self) -> list[int]:
        return [*self._shape, 1][:1]

    def _needs(self) -> str:
        return f"targets of shape {('n', *self._shape)}"
