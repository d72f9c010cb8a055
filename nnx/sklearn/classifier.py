"""Classification with networks, for scikit-learn."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Self

import numpy as np

from nnx.activations import sigmoid, softmax
from nnx.backends import to_numpy
from nnx.lazy_loading import optional_import
from nnx.losses import CategoricalHinge, Hinge, Loss, SquaredHinge
from nnx.sklearn.estimator import ONE_EPOCH, NetworkEstimator
from nnx.sklearn.inputs import as_labels
from nnx.sklearn.networks import dense_classifier
from nnx.utils import to_categorical

ClassifierMixin: Any = optional_import("sklearn.base", "nnx.sklearn", "sklearn").ClassifierMixin
sklearn_multiclass = optional_import("sklearn.utils.multiclass", "nnx.sklearn", "sklearn")


class NNXClassifier(ClassifierMixin, NetworkEstimator):  # type: ignore[misc]
    """Classifier of scikit-learn that trains a network: for two classes, several, or several labels for a sample.

    model : a function (X, y) that returns a compiled model; None for dense layers between features brought to mean 0
        and variance 1, with the arguments `units=(100,)`, `activation="relu"` and `optimizer="adam"`. y are numbers of
        classes from 0 on, (n,), or 0 and 1 for each label, (n, labels). A function with an argument `classes` gets all
        of them, as `classes_` has them. The model ends in an output for each class, or in one for the second of two
        classes, or in one for each label; its loss may take labels, one-hot rows or logits.
    model_kwargs : more arguments for the function, a dict. Each is a parameter `model__NAME` too: for `set_params` and
        for searches, as in `GridSearchCV(estimator, {"model__units": [(8,), (32,)]})`.
    epochs, batch_size, verbose, callbacks, validation_split, validation_data, shuffle, initial_epoch, steps_per_epoch,
    validation_steps, validation_batch_size, validation_freq : as for `nnx.Model.fit`, but 100 epochs and no progress
        bar by default. Each training has copies of the callbacks. validation_data has labels as y has them.
    class_weight : a dict of class: weight; or "balanced", so that all classes of the data count the same.
    random_state : an integer, or a `RandomState` of NumPy, that initial weights, shuffles and dropout come from; None
        for the default stream of nnx.

    classes_ : the classes in their order. model_ : the model. history_ : a list of values for each name, as `fit` of a
    model has it. n_features_in_, feature_names_in_ : what samples look like.

    A sample of weight 2 counts as two that are equal: only the proportions of weights matter, and samples of weight 0
    are left out. Where all samples fit in one batch, repeated or not, the results are equal to the last bit, and do not
    depend on the order of the samples; with several batches, an epoch of repeated samples has more of these.

    What is wrong with data raises what scikit-learn raises; columns of a data frame that are no numbers are named.

    >>> from sklearn.datasets import load_iris
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> from nnx import Sequential
    >>> from nnx.layers import Dense
    >>> def network(X, y, classes, units=16):
    ...     model = Sequential([Dense(units, activation="relu"), Dense(len(classes), activation="softmax")])
    ...     model.compile("adam", "sparse_categorical_crossentropy")
    ...     return model
    >>> X, y = load_iris(return_X_y=True)
    >>> pipeline = make_pipeline(StandardScaler(), NNXClassifier(network, epochs=30, random_state=0))
    >>> pipeline.fit(X, y).score(X, y) > 0.8
    True
    """

    offered = ("classes",)

    def __init__(
        self,
        model: Callable[..., Any] | None = None,
        *,
        model_kwargs: dict[str, Any] | None = None,
        epochs: int = 100,
        batch_size: int | None = 32,
        verbose: int | str = 0,
        callbacks: Any = None,
        validation_split: float = 0.0,
        validation_data: Any = None,
        shuffle: bool = True,
        class_weight: Any = None,
        initial_epoch: int = 0,
        steps_per_epoch: int | None = None,
        validation_steps: int | None = None,
        validation_batch_size: int | None = None,
        validation_freq: Any = 1,
        random_state: Any = None,
    ) -> None:
        super().__init__(
            model,
            model_kwargs=model_kwargs,
            epochs=epochs,
            batch_size=batch_size,
            verbose=verbose,
            callbacks=callbacks,
            validation_split=validation_split,
            validation_data=validation_data,
            shuffle=shuffle,
            initial_epoch=initial_epoch,
            steps_per_epoch=steps_per_epoch,
            validation_steps=validation_steps,
            validation_batch_size=validation_batch_size,
            validation_freq=validation_freq,
            random_state=random_state,
        )
        self.class_weight = class_weight

    def partial_fit(self, X: Any, y: Any, classes: Any = None, sample_weight: Any = None) -> Self:
        """Train for one epoch on more samples; the first time, make the model. Arguments as for `fit`.

        classes : all that there will be, needed the first time, but where y has a column for each label.
        """
        if not hasattr(self, "model_"):
            if classes is None and np.ndim(y) < 2:
                raise ValueError("classes must be passed on the first call to partial_fit: all that there will be")
            return self._begin(X, y, sample_weight, ONE_EPOCH, classes)
        if classes is not None and not np.array_equal(np.unique(classes), self.classes_):
            raise ValueError(
                f"classes={classes!r} are not those of the first call to partial_fit, {self.classes_.tolist()}"
            )
        return self._go_on(X, y, sample_weight)

    def predict(self, X: Any) -> np.ndarray:
        """The most probable class of each sample, (n,); or 0 and 1 for each label, (n, labels)."""
        outputs = self._outputs(X)
        if outputs.shape[1] > 1 and not self._is_of_labels:
            chosen = outputs.argmax(axis=1)
        else:
            chosen = (outputs > (0.0 if self._takes_logits() or self._takes_margins() else 0.5)).astype(np.int64)
        return chosen if self._is_of_labels else self.classes_[chosen.reshape(-1)]  # type: ignore[no-any-return]

    def predict_proba(self, X: Any) -> np.ndarray:
        """The probability of each class, (n, classes) in the order of `classes_`; or of each label, (n, labels).

        They are the outputs of the model, or the sigmoid or softmax of these where its loss takes logits. ValueError
        for a hinge loss, whose outputs are no probabilities.
        """
        outputs = self._outputs(X)
        if self._takes_margins():
            raise ValueError(
                "the outputs of a model with a hinge loss are no probabilities: compile it with 'binary_crossentropy'"
            )
        one_for_each = outputs.shape[1] == 1 or self._is_of_labels
        if self._takes_logits():
            outputs = to_numpy(sigmoid(outputs) if one_for_each else softmax(outputs))
        return np.concatenate([1.0 - outputs, outputs], axis=1) if outputs.shape[1] < len(self.classes_) else outputs

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags

    def _default_function(self) -> Callable[..., Any]:
        return dense_classifier

    def _learn_targets(self, y: Any, classes: Any) -> None:
        labels = as_labels(self, y)
        sklearn_multiclass.check_classification_targets(labels)
        self._is_of_labels = sklearn_multiclass.type_of_target(labels) == "multilabel-indicator"
        if self._is_of_labels:
            self.classes_ = np.arange(labels.shape[1])
            return
        if labels.ndim > 1:
            raise ValueError(
                f"Unknown label type: y of shape {labels.shape} has several classes in a column; expected (n,) for a "
                f"class of each sample, or columns of 0 and 1 for several labels of each"
            )
        self.classes_ = np.unique(labels if classes is None else classes)
        if len(self.classes_) < 2:
            raise ValueError(f"expected at least two classes, but y has only one class, {self.classes_.tolist()[0]!r}")

    def _read_targets(self, y: Any) -> np.ndarray:
        labels = as_labels(self, y)
        if self._is_of_labels:
            if labels.shape[1:] != self.classes_.shape or not np.isin(labels, (0, 1)).all():
                raise ValueError(
                    f"y of shape {labels.shape}: expected 0 and 1 for {len(self.classes_)} labels of a sample"
                )
            return labels
        known = np.isin(labels, self.classes_)
        if not known.all():
            raise ValueError(
                f"y has the class {labels[~known].tolist()[0]!r}, which is none of {self.classes_.tolist()}"
            )
        return np.searchsorted(self.classes_, labels)

    def _weigh(self, targets: np.ndarray, weights: np.ndarray | None) -> np.ndarray | None:
        if self.class_weight is None:
            return weights
        count = len(self.classes_)
        if self._is_of_labels:
            raise ValueError("class_weight is for one class of a sample, not for several labels: give sample_weight")
        if isinstance(self.class_weight, Mapping):
            strange = [label for label in self.class_weight if label not in self.classes_]
            if strange:
                raise ValueError(
                    f"class_weight has {strange[0]!r}, which is none of the classes {self.classes_.tolist()}"
                )
            factors = np.asarray([self.class_weight.get(label, 1.0) for label in self.classes_.tolist()])
        elif self.class_weight == "balanced":
            sums = np.bincount(targets, weights, minlength=count)
            factors = sums.sum() / (count * np.where(sums, sums, 1.0))
        else:
            raise ValueError(
                f"class_weight must be a dict of class: weight, 'balanced' or None, got {self.class_weight!r}"
            )
        of_samples: np.ndarray = factors[targets]
        return of_samples if weights is None else weights * of_samples

    def _targets(self, y: np.ndarray) -> np.ndarray:
        shape, loss = (None, *self.model_.output_shape[1:]), self._loss()
        if loss is None or self._is_of_labels or shape[-1] == 1:
            return y
        try:
            loss.check_targets(y, shape)
        except ValueError:  # it takes a number for each class
            y = to_categorical(y, num_classes=len(self.classes_))
        return y

    def _output_counts(self) -> list[int]:
        count = len(self.classes_)
        return [1, 2] if count == 2 and not self._is_of_labels else [count]

    def _needs(self) -> str:
        return f"{len(self.classes_)} {'labels of a sample' if self._is_of_labels else 'classes'}"

    def _loss(self) -> Loss | None:
        names = self.model_.output_names or [self.model_.name]
        return self.model_.require_compiled().of(names).by_output[0].loss

    def _takes_logits(self) -> bool:
        return bool(getattr(self._loss(), "from_logits", False))

    def _takes_margins(self) -> bool:
        return isinstance(self._loss(), Hinge | SquaredHinge | CategoricalHinge)
