"""Loss of connectionist temporal classification as a class. The formula is in `nnx.functional`."""

from __future__ import annotations

import numpy as np

from nnx import functional
from nnx.losses.base import LossFunctionWrapper, Reduction, loss_values, registry
from nnx.shapes import Shape

__all__ = [
    "CTC",
    "ctc",
]


@registry.register()
class CTC(LossFunctionWrapper):
    """Connectionist temporal classification, for labels in sequence whose places in the input are not known.

        value = -log(sum over paths of prod over t of softmax(y_pred[t])[path[t]])

    The paths are those that read as the labels: one class for each step, from which repetitions and then blanks are
    taken out. Graves et al., "Connectionist temporal classification: labelling unsegmented sequence data with recurrent
    neural networks", 2006.

    y_true : labels (n, length) from 1 to classes - 1, padded with 0 behind; 0 is the blank.
    y_pred : logits (n, time, classes), not normalised by softmax, for values (n,).
    reduction, name, dtype : as for `Loss`.

    Labels need a step each, and one more between two that are equal. `fit` raises ValueError for labels that need more
    steps than there are, and for others that cannot be meant.

    >>> round(float(CTC()([[1, 2]], [[[0.0, 0.0, 0.0], [0.0, 0.0, 0.0]]])), 3)  # one path of nine: log(9)
    2.197
    """

    integer_targets = True

    def __init__(
        self, reduction: Reduction = "sum_over_batch_size", name: str | None = "ctc", dtype: str | None = None
    ) -> None:
        super().__init__(functional.ctc, reduction, name, dtype)

    def check_targets(self, y_true: np.ndarray, output_shape: Shape) -> None:
        if y_true.ndim != 2 or len(output_shape) != 3:
            raise ValueError(
                f"loss {self.name!r} expects labels (batch, length) and outputs (batch, time, classes), got labels of "
                f"shape {(None, *y_true.shape[1:])} and outputs of shape {output_shape}"
            )
        time, classes = output_shape[1:]
        wrong = (y_true < 0) | (y_true != np.floor(y_true)) | (False if classes is None else y_true >= classes)
        if wrong.any():
            raise ValueError(
                f"loss {self.name!r} got the label {y_true[wrong][0]}; labels are whole numbers from 1 to "
                f"{'classes' if classes is None else classes} - 1, with 0 for the blank and behind the last one"
            )
        self._check_lengths(y_true, time)

    def _check_lengths(self, y_true: np.ndarray, time: int | None) -> None:
        length = (y_true != 0).sum(axis=1)
        gaps = (y_true[:, :-1] == 0) & (y_true[:, 1:] != 0)
        if gaps.any():
            row = np.argmax(gaps.any(axis=1))
            raise ValueError(
                f"loss {self.name!r} got 0, the blank, before a label in row {row}: {y_true[row]}; zeros may only "
                f"stand behind the last label"
            )
        needed = length + ((y_true[:, :-1] == y_true[:, 1:]) & (y_true[:, 1:] != 0)).sum(axis=1)
        if time is not None and (needed > time).any():
            row = np.argmax(needed > time)
            raise ValueError(
                f"loss {self.name!r}: the labels of row {row} need {needed[row]} time steps, one each and one more "
                f"between equal ones, but the outputs have {time}"
            )


ctc = loss_values(functional.ctc, CTC)
