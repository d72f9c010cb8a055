"""Cross-entropies as classes. The formulas are in `nnx.functional`.

Given to `compile` for a model that ends in softmax or sigmoid, they are computed from the logits, in one stable form.
"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from nnx import functional
from nnx.backends import Array, array_namespace
from nnx.losses.base import Loss, LossFunctionWrapper, Reduction, loss_values, registry
from nnx.losses.targets import require_labels, require_one_hot_shape, require_probabilities
from nnx.pullbacks import Differentiable
from nnx.shapes import Shape
from nnx.user_warnings import warn_user

__all__ = [
    "BCE",
    "BinaryCrossentropy",
    "BinaryFocalCrossentropy",
    "CategoricalCrossentropy",
    "CategoricalFocalCrossentropy",
    "CategoricalGeneralizedCrossEntropy",
    "SparseCategoricalCrossentropy",
    "bce",
    "binary_crossentropy",
    "binary_focal_crossentropy",
    "categorical_crossentropy",
    "categorical_focal_crossentropy",
    "categorical_generalized_cross_entropy",
    "sparse_categorical_crossentropy",
]


class _Crossentropy(LossFunctionWrapper):
    """What cross-entropies share: a form for logits."""

    from_logits: bool
    axis: int
    _activation: ClassVar[str]

    def __init__(
        self, fn: Differentiable, reduction: Reduction, name: str | None, dtype: str | None, **options: Any
    ) -> None:
        smoothing = options.get("label_smoothing", 0.0)
        if not 0.0 <= smoothing <= 1.0:
            raise ValueError(f"label_smoothing must be between 0 and 1, got {smoothing!r}")
        super().__init__(fn, reduction, name, dtype, **options)

    @property
    def fuses_with(self) -> str | None:
        other_axis = self._activation == "softmax" and self.axis != -1
        return None if self.from_logits or other_axis else self._activation

    def check_activation(self, activation: str | None) -> None:
        if self.from_logits and activation in ("softmax", "sigmoid"):
            warn_user(
                f"loss {self.name!r} has from_logits=True, but the model ends in {activation}, so that it gives "
                f"probabilities: leave out one of the two"
            )
        elif not self.from_logits and activation == "linear":
            warn_user(
                f"loss {self.name!r} expects probabilities, but the model ends without an activation: end it in "
                f"{self._activation!r}, or give the loss from_logits=True"
            )

    def with_logits(self) -> Loss:
        return type(self).from_config({**self.get_config(), "from_logits": True})


@registry.register("bce")
class BinaryCrossentropy(_Crossentropy):
    """Binary cross-entropy, for labels that are right or wrong each by itself.

        value = mean(-y_true * log(p) - (1 - y_true) * log(1 - p))
        p = y_pred, clipped to [1e-7, 1 - 1e-7], or sigmoid(y_pred), without a clip, from logits

    The mean is over `axis`.

    y_true : between 0 and 1, of the shape of y_pred; ValueError for other shapes, and in `fit` for other numbers.
    y_pred : probabilities, or logits, (n, ..., m), for values (n, ...).
    from_logits : whether y_pred are logits and not probabilities.
    label_smoothing : s turns the targets into y_true * (1 - s) + s / 2; from 0 to 1, else ValueError.
    axis : over which the mean is; by default the last.
    reduction, name, dtype : as for `Loss`.

    >>> round(float(BinaryCrossentropy()([[1, 0]], [[0.8, 0.4]])), 3)
    0.367
    """

    _activation = "sigmoid"

    def __init__(
        self,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        axis: int = -1,
        reduction: Reduction = "sum_over_batch_size",
        name: str | None = "binary_crossentropy",
        dtype: str | None = None,
    ) -> None:
        super().__init__(
            functional.binary_crossentropy,
            reduction,
            name,
            dtype,
            from_logits=from_logits,
            label_smoothing=label_smoothing,
            axis=axis,
        )

    def check_targets(self, y_true: np.ndarray, output_shape: Shape) -> None:
        super().check_targets(y_true, output_shape)
        require_probabilities(self.name, y_true)


binary_crossentropy = bce = BCE = loss_values(functional.binary_crossentropy, BinaryCrossentropy)


@registry.register()
class BinaryFocalCrossentropy(_Crossentropy):
    """Binary focal cross-entropy, in which labels that are predicted well count less.

        value = mean(weight * (1 - q)**gamma * (-y_true * log(p) - (1 - y_true) * log(1 - p)))
        q = y_true * p + (1 - y_true) * (1 - p), the probability of the true label
        weight = alpha * y_true + (1 - alpha) * (1 - y_true) if apply_class_balancing, else 1

    p is y_pred, or sigmoid(y_pred) from logits; in logarithms it is clipped as for `BinaryCrossentropy`. Lin et al.,
    "Focal loss for dense object detection", arXiv:1708.02002.

    apply_class_balancing : whether to weight the labels 1 by alpha, and 0 by 1 - alpha.
    alpha : that weight, from 0 to 1.
    gamma : from 0, which is the cross-entropy itself; 2 in the paper.
    y_true, y_pred, from_logits, label_smoothing, axis : as for `BinaryCrossentropy`.
    reduction, name, dtype : as for `Loss`.

    >>> round(float(BinaryFocalCrossentropy()([[1, 0]], [[0.8, 0.4]])), 3)
    0.045
    """

    _activation = "sigmoid"

    def __init__(
        self,
        apply_class_balancing: bool = False,
        alpha: float = 0.25,
        gamma: float = 2.0,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        axis: int = -1,
        reduction: Reduction = "sum_over_batch_size",
        name: str | None = "binary_focal_crossentropy",
        dtype: str | None = None,
    ) -> None:
        super().__init__(
            functional.binary_focal_crossentropy,
            reduction,
            name,
            dtype,
            apply_class_balancing=apply_class_balancing,
            alpha=alpha,
            gamma=gamma,
            from_logits=from_logits,
            label_smoothing=label_smoothing,
            axis=axis,
        )

    def check_targets(self, y_true: np.ndarray, output_shape: Shape) -> None:
        super().check_targets(y_true, output_shape)
        require_probabilities(self.name, y_true)


binary_focal_crossentropy = loss_values(functional.binary_focal_crossentropy, BinaryFocalCrossentropy)


@registry.register()
class CategoricalCrossentropy(_Crossentropy):
    """Categorical cross-entropy, for one-hot targets or probabilities of classes.

        value = -sum(y_true * log(p))
        p = y_pred / sum(y_pred), clipped to [1e-7, 1 - 1e-7], or softmax(y_pred), without a clip, from logits

    Sums are over the classes along `axis`.

    y_true : one-hot, or probabilities of the classes, of the shape of y_pred. ValueError for other shapes, such as that
        of numbers of classes, for which there is `SparseCategoricalCrossentropy`.
    y_pred : probabilities, or logits, (n, ..., classes), for values (n, ...).
    from_logits : whether y_pred are logits and not probabilities.
    label_smoothing : s turns the targets into y_true * (1 - s) + s / C, for C classes; from 0 to 1, else ValueError.
    axis : of the classes; by default the last.
    reduction, name, dtype : as for `Loss`.

    >>> round(float(CategoricalCrossentropy()([[0, 1, 0]], [[0.1, 0.7, 0.2]])), 3)
    0.357
    """

    _activation = "softmax"

    def __init__(
        self,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        axis: int = -1,
        reduction: Reduction = "sum_over_batch_size",
        name: str | None = "categorical_crossentropy",
        dtype: str | None = None,
    ) -> None:
        super().__init__(
            functional.categorical_crossentropy,
            reduction,
            name,
            dtype,
            from_logits=from_logits,
            label_smoothing=label_smoothing,
            axis=axis,
        )

    def check_targets(self, y_true: np.ndarray, output_shape: Shape) -> None:
        require_one_hot_shape(self.name, y_true, output_shape, self.axis)
        _warn_of_single_class(self.name, output_shape[self.axis])


categorical_crossentropy = loss_values(functional.categorical_crossentropy, CategoricalCrossentropy)


@registry.register()
class CategoricalFocalCrossentropy(_Crossentropy):
    """Categorical focal cross-entropy, in which classes that are predicted well count less.

        value = -sum(alpha * (1 - p)**gamma * y_true * log(p))
        p = y_pred / sum(y_pred), clipped to [1e-7, 1 - 1e-7], or softmax(y_pred), without a clip, from logits

    Lin et al., "Focal loss for dense object detection", arXiv:1708.02002, for several classes.

    alpha : one factor for all classes.
    gamma : from 0; 2 in the paper.
    y_true, y_pred, from_logits, label_smoothing, axis : as for `CategoricalCrossentropy`.
    reduction, name, dtype : as for `Loss`.

    >>> round(float(CategoricalFocalCrossentropy()([[0, 1, 0]], [[0.1, 0.7, 0.2]])), 3)
    0.008
    """

    _activation = "softmax"

    def __init__(
        self,
        alpha: float = 0.25,
        gamma: float = 2.0,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        axis: int = -1,
        reduction: Reduction = "sum_over_batch_size",
        name: str | None = "categorical_focal_crossentropy",
        dtype: str | None = None,
    ) -> None:
        super().__init__(
            functional.categorical_focal_crossentropy,
            reduction,
            name,
            dtype,
            alpha=alpha,
            gamma=gamma,
            from_logits=from_logits,
            label_smoothing=label_smoothing,
            axis=axis,
        )

    def check_targets(self, y_true: np.ndarray, output_shape: Shape) -> None:
        require_one_hot_shape(self.name, y_true, output_shape, self.axis)
        _warn_of_single_class(self.name, output_shape[self.axis])


categorical_focal_crossentropy = loss_values(functional.categorical_focal_crossentropy, CategoricalFocalCrossentropy)


@registry.register()
class SparseCategoricalCrossentropy(_Crossentropy):
    """Categorical cross-entropy of integer labels in place of one-hot targets.

        value = -log(p[y_true])
        p = y_pred / sum(y_pred), clipped to [1e-7, 1 - 1e-7], or softmax(y_pred), without a clip, from logits

    y_true : labels from 0 to C - 1, of the shape of y_pred without `axis`, which may also be there with length 1.
        ValueError for other shapes, and in `fit` for labels that do not exist.
    y_pred : probabilities, or logits, (n, ..., classes), for values (n, ...).
    from_logits : whether y_pred are logits and not probabilities.
    ignore_class : samples with this label do not count, neither in the sum nor in the number that a mean divides by.
    reduction, name, dtype : as for `Loss`.
    axis : of the classes; by default the last.

    >>> round(float(SparseCategoricalCrossentropy()([1], [[0.1, 0.7, 0.2]])), 3)
    0.357
    >>> round(float(SparseCategoricalCrossentropy(ignore_class=-1)([1, -1], [[0.1, 0.7, 0.2], [0.8, 0.1, 0.1]])), 3)
    0.357
    """

    _activation = "softmax"
    integer_targets = True
    ignore_class: int | None

    def __init__(
        self,
        from_logits: bool = False,
        ignore_class: int | None = None,
        reduction: Reduction = "sum_over_batch_size",
        axis: int = -1,
        name: str | None = "sparse_categorical_crossentropy",
        dtype: str | None = None,
    ) -> None:
        super().__init__(
            functional.sparse_categorical_crossentropy,
            reduction,
            name,
            dtype,
            from_logits=from_logits,
            ignore_class=ignore_class,
            axis=axis,
        )

    @property
    def is_mean_over_rows(self) -> bool:
        return self.ignore_class is None and super().is_mean_over_rows

    def _counted(self, y_true: Array, y_pred: Array) -> Array | None:
        if self.ignore_class is None:
            return None
        shape = list(y_pred.shape)
        del shape[self.axis]
        counted: Array = array_namespace(y_pred).reshape(y_true, tuple(shape)) != self.ignore_class
        return counted

    def check_targets(self, y_true: np.ndarray, output_shape: Shape) -> None:
        require_labels(self.name, y_true, output_shape, self.axis, self.ignore_class)


sparse_categorical_crossentropy = loss_values(functional.sparse_categorical_crossentropy, SparseCategoricalCrossentropy)


@registry.register()
class CategoricalGeneralizedCrossEntropy(LossFunctionWrapper):
    """Generalised cross-entropy, for integer labels of which some may be wrong.

        value = (1 - y_pred[y_true]**q) / q

    Zhang and Sabuncu, arXiv:1805.07836.

    y_true : labels from 0 to C - 1, (n, ...) or (n, ..., 1). ValueError for other shapes, and in `fit` for labels that
        do not exist.
    y_pred : probabilities (n, ..., classes), for values (n, ...).
    q : from (0, 1), else ValueError: near 0 it is the cross-entropy, near 1 the absolute error.
    reduction, name, dtype : as for `Loss`.

    >>> float(CategoricalGeneralizedCrossEntropy()([1], [[0.75, 0.25]]))
    1.0
    """

    integer_targets = True

    def __init__(
        self,
        q: float = 0.5,
        reduction: Reduction = "sum_over_batch_size",
        name: str | None = "categorical_generalized_cross_entropy",
        dtype: str | None = None,
    ) -> None:
        if not 0.0 < q < 1.0:
            raise ValueError(f"q must be greater than 0 and less than 1, got {q!r}")
        super().__init__(functional.categorical_generalized_cross_entropy, reduction, name, dtype, q=q)

    def check_targets(self, y_true: np.ndarray, output_shape: Shape) -> None:
        require_labels(self.name, y_true, output_shape)


categorical_generalized_cross_entropy = loss_values(
    functional.categorical_generalized_cross_entropy, CategoricalGeneralizedCrossEntropy
)


def _warn_of_single_class(loss: str, classes: int | None) -> None:
    if classes == 1:
        warn_user(
            f"loss {loss!r} of one output is always 0 and learns nothing; for two classes in one unit use "
            "activation='sigmoid' with loss='binary_crossentropy'",
            UserWarning,
        )
