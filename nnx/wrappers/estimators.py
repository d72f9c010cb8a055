"""Estimators of scikit-learn around a model, or around a function that makes one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Self

import numpy as np

from nnx.callbacks import History
from nnx.lazy_loading import optional_import
from nnx.models import Model, clone_model
from nnx.sklearn.inputs import as_labels, as_samples, as_target_numbers
from nnx.utils import to_categorical

sklearn_base = optional_import("sklearn.base", "nnx.wrappers", "sklearn")
BaseEstimator: Any = sklearn_base.BaseEstimator
ClassifierMixin: Any = sklearn_base.ClassifierMixin
RegressorMixin: Any = sklearn_base.RegressorMixin
TransformerMixin: Any = sklearn_base.TransformerMixin
sklearn_multiclass = optional_import("sklearn.utils.multiclass", "nnx.wrappers", "sklearn")
sklearn_validation = optional_import("sklearn.utils.validation", "nnx.wrappers", "sklearn")


class WrappedModel(BaseEstimator):  # type: ignore[misc]
    """What the three wrappers share: the model, and its training. A subclass says what its outputs are used for."""

    def __init__(
        self,
        model: Model | Callable[..., Model],
        warm_start: bool = False,
        model_kwargs: dict[str, Any] | None = None,
        fit_kwargs: dict[str, Any] | None = None,
    ) -> None:
        self.model = model
        self.warm_start = warm_start
        self.model_kwargs = model_kwargs
        self.fit_kwargs = fit_kwargs

    def fit(self, X: Any, y: Any, **kwargs: Any) -> Self:
        """Make a model, or go on with the last one if `warm_start`, and train it.

        X : samples (n, features), or (n, ..., channels). y : targets (n,) or (n, outputs).
        kwargs : those of `nnx.Model.fit`, sample_weight among them; they take precedence over `fit_kwargs`.
        """
        samples, targets = as_samples(self, X, reset=True), self._learn_targets(y)
        sklearn_validation.check_consistent_length(samples, targets)
        model = self._chosen_model(samples, targets)
        if model.objective is None or model.optimizer is None or not model.compile_arguments["loss"]:
            raise RuntimeError(
                f"{type(self).__name__}: the model has to be compiled, with an optimizer and a loss: write "
                f"model.compile('adam', loss)"
            )
        self.history_: History = model.fit(samples, targets, **{**(self.fit_kwargs or {}), **kwargs})
        self.model_ = model
        return self

    @property
    def epoch_(self) -> int:
        """How many epochs the last training had; 0 before."""
        return len(self.history_.epoch) if hasattr(self, "history_") else 0

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.non_deterministic = True
        return tags

    def _chosen_model(self, X: np.ndarray, y: np.ndarray) -> Any:
        if self.warm_start and hasattr(self, "model_"):
            return self.model_
        if not isinstance(self.model, Model):
            return self.model(X=X, y=y, **(self.model_kwargs or {}))
        if self.warm_start or self.model.optimizer is None:
            return self.model
        return clone_model(self.model)

    def _learn_targets(self, y: Any) -> np.ndarray:
        """Targets (n, outputs) as the model is trained for them."""
        targets = as_target_numbers(self, y)
        self._shape = targets.shape[1:]
        return targets.reshape(len(targets), -1)

    def _outputs(self, X: Any) -> np.ndarray:
        """What the model says for samples as they were given, (n, outputs)."""
        sklearn_validation.check_is_fitted(self, "model_")
        outputs: np.ndarray = self.model_.predict(as_samples(self, X, reset=False), verbose=0)
        return outputs


class SKLearnClassifier(ClassifierMixin, WrappedModel):  # type: ignore[misc]
    """Classifier of scikit-learn around a model that ends in an output for each class, as `keras.wrappers` has it.

    model : a compiled model, of whose architecture each `fit` trains a new one; or a function (X, y, ...) that returns
        a compiled model. y are one-hot rows (n, classes).
    warm_start : go on with the model itself, and in later calls of `fit` with the one that was trained last.
    model_kwargs : more arguments for the function. fit_kwargs : arguments for `nnx.Model.fit`.

    model_ : the trained model. history_ : its `History`. classes_ : the labels in their order. RuntimeError for a model
    that is not compiled; ValueError for several labels of a sample and for a single class.

    >>> import numpy as np
    >>> from nnx import Sequential
    >>> from nnx.layers import Dense
    >>> def network(X, y, units):
    ...     model = Sequential([Dense(units, activation="relu"), Dense(y.shape[1], activation="softmax")])
    ...     model.compile("adam", "categorical_crossentropy")
    ...     return model
    >>> classifier = SKLearnClassifier(network, model_kwargs={"units": 8}, fit_kwargs={"verbose": 0})
    >>> X, y = np.asarray([[0.0], [1.0]] * 20), np.asarray(["no", "yes"] * 20)
    >>> classifier.fit(X, y, epochs=2).decision_function(X).shape
    (40, 2)
    """

    def predict(self, X: Any) -> np.ndarray:
        """The label with the largest output for each sample, (n,)."""
        labels: np.ndarray = self.classes_[self.decision_function(X).argmax(axis=1)]
        return labels

    def decision_function(self, X: Any) -> np.ndarray:
        """The outputs of the model, (n, classes)."""
        return self._outputs(X)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.poor_score = True
        return tags

    def _learn_targets(self, y: Any) -> np.ndarray:
        labels = as_labels(self, y)
        kind = sklearn_multiclass.type_of_target(labels, input_name="y", raise_unknown=True)
        if kind not in ("binary", "multiclass"):
            raise ValueError(f"Only binary and multiclass target types are supported. Target type: {kind}")
        self.classes_, numbers = np.unique(labels, return_inverse=True)
        if len(self.classes_) < 2:
            raise ValueError(f"Classifier can't train when only one class is present: {self.classes_.tolist()[0]!r}")
        rows: np.ndarray = to_categorical(numbers, num_classes=len(self.classes_))
        return rows


class SKLearnRegressor(RegressorMixin, WrappedModel):  # type: ignore[misc]
    """Regressor of scikit-learn around a model that ends in an output for each target, as `keras.wrappers` has it.

    Arguments and attributes are those of `SKLearnClassifier`, without classes; the function gets targets (n, outputs).

    >>> import numpy as np
    >>> from nnx import Sequential
    >>> from nnx.layers import Dense
    >>> model = Sequential([Dense(1, input_dim=1)])
    >>> model.compile("sgd", "mse")
    >>> X = np.linspace(-1.0, 1.0, 10)[:, None]
    >>> SKLearnRegressor(model, fit_kwargs={"verbose": 0}).fit(X, X[:, 0], epochs=2).predict(X).shape
    (10,)
    """

    def predict(self, X: Any) -> np.ndarray:
        """The outputs for samples: (n,) or (n, outputs) as the targets were."""
        outputs = self._outputs(X)
        return outputs.reshape(len(outputs), *self._shape)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.regressor_tags.poor_score = True
        tags.target_tags.multi_output = True
        return tags


class SKLearnTransformer(TransformerMixin, WrappedModel):  # type: ignore[misc]
    """Transformer of scikit-learn: samples become the outputs of a model, as in `keras.wrappers`.

    Arguments and attributes are those of `SKLearnRegressor`.

    >>> import numpy as np
    >>> from nnx import Sequential
    >>> from nnx.layers import Dense
    >>> model = Sequential([Dense(3, input_dim=2)])
    >>> model.compile("sgd", "mse")
    >>> SKLearnTransformer(model, fit_kwargs={"verbose": 0}).fit_transform(np.ones((4, 2)), np.ones((4, 3))).shape
    (4, 3)
    """

    def transform(self, X: Any) -> np.ndarray:
        """The outputs for samples, (n, outputs)."""
        return self._outputs(X)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = []
        return tags
