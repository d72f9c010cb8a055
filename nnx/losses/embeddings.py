"""Losses of embeddings as classes. Formulas: `nnx.functional`."""

from __future__ import annotations

import numpy as np

from nnx import functional
from nnx.arguments import non_negative_number
from nnx.backends import Array, array_namespace
from nnx.losses.base import LossFunctionWrapper, Reduction, loss_values, registry
from nnx.shapes import Shape

__all__ = ["Circle", "circle"]


@registry.register()
class Circle(LossFunctionWrapper):
    """Circle loss: embeddings of one class near each other, those of other classes far away, in each batch.

        value = log(1 + sum(exp(gamma * a)) over samples of the class * sum(exp(gamma * b)) over the others)
        a = (margin + d) * (d - margin),   b = max(1 + margin - d, 0) * (1 - margin - d),   d = 1 - y_pred @ y_pred.T

    Sun et al., "Circle loss", arXiv:2002.10857.

    y_true : labels, whole numbers (n,) or (n, 1).
    y_pred : embeddings of length 1, (n, m), as of a last layer `UnitNormalization()`, for values (n,). A sample without
        another one of its class, or of another class, has the value 0, and does not count in a mean.
    gamma : the scale. margin : how far apart classes are to be.
    remove_diagonal : whether a sample is not compared with itself.
    reduction, name, dtype : as for `Loss`.

    >>> round(float(Circle(gamma=2.0)([0, 0, 1], [[1.0, 0.0], [0.8, 0.6], [0.0, 1.0]])), 4)
    0.6141
    """

    integer_targets = True
    mixes_rows = True

    def __init__(
        self,
        gamma: float = 80.0,
        margin: float = 0.4,
        remove_diagonal: bool = True,
        reduction: Reduction = "sum_over_batch_size",
        name: str | None = "circle",
        dtype: str | None = None,
    ) -> None:
        options = {
            "gamma": float(non_negative_number("gamma", gamma, zero=False)),
            "margin": float(non_negative_number("margin", margin)),
            "remove_diagonal": bool(remove_diagonal),
        }
        super().__init__(functional.circle, reduction, name, dtype, **options)

    def _counted(self, y_true: Array, y_pred: Array) -> Array | None:
        xp = array_namespace(y_pred)
        labels = xp.reshape(y_true, (-1, 1))
        of_class = xp.sum(xp.astype(labels == xp.matrix_transpose(labels), xp.int64), axis=-1)
        others = 1 if self._options["remove_diagonal"] else 0
        return xp.logical_and(of_class > others, of_class < of_class.shape[0])

    def check_targets(self, y_true: np.ndarray, output_shape: Shape) -> None:
        if len(output_shape) != 2 or y_true.shape[1:] not in ((), (1,)) or (y_true != np.floor(y_true)).any():
            raise ValueError(
                f"loss {self.name!r} expects a label, a whole number, for each embedding (n, m), got targets of shape "
                f"{(None, *y_true.shape[1:])} for outputs of shape {output_shape}"
            )


circle = loss_values(functional.circle, Circle)
