"""Confusion matrices."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from nnx.backends import to_numpy
from nnx.plotting._figure import FAINT, INK, LETTER, SMALL, PathLike, finished, frame, new_axes, new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_RIGHT, _WRONG = (0.12, 0.37, 0.55), (0.78, 0.33, 0.24)  # red, green, blue
_MANY = 20  # classes from which the cells become smaller


def confusion_matrix(
    y_true: Any, y_pred: Any, labels: Sequence[Any] | None = None, path: PathLike | None = None
) -> Figure:
    """How often each class was taken for each: rows are the true classes, columns the predicted ones.

    y_true, y_pred : integer classes (n,) or (n, 1), one-hot rows or probabilities (n, classes), or the probabilities
        (n,) or (n, 1) of a binary classifier, which count as class 1 above 0.5.
    labels : the names of the classes; by default their numbers.
    path : where to write the picture; by default nowhere.

    The diagonal is blue, mistakes are red; the shade says the share of the row's class.

    >>> figure = confusion_matrix([0, 1, 1, 2], [0, 1, 2, 2], labels=["a", "b", "c"])
    """
    true, predicted = _classes(y_true, "y_true"), _classes(y_pred, "y_pred")
    if len(true) != len(predicted) or not len(true):
        raise ValueError(f"expected a prediction for each true class, got {len(predicted)} for {len(true)}")
    count = max(_class_count(y_true, true), _class_count(y_pred, predicted))
    names = [str(name) for name in (range(count) if labels is None else labels)]
    if len(names) < count:
        raise ValueError(f"labels must name all {count} classes, got {len(names)} names")
    table = np.zeros((len(names), len(names)), dtype=np.int64)
    np.add.at(table, (true, predicted), 1)

    cell = min(0.9, max(0.46, 2.0 / len(names))) if len(names) <= _MANY else 0.28
    longest = max(map(len, names)) * LETTER
    slanted = longest > 0.9 * cell
    left, below, size = 0.5 + longest, 0.6 + (0.75 * longest if slanted else 0.0), cell * len(names)
    right = int(np.trace(table))
    title = f"{right / len(true):.1%} correct, {right:,} of {len(true):,}"
    figure = new_figure(left + max(size, 1.35 * LETTER * len(title)) + 0.2, below + size + 0.4)
    _draw_table(new_axes(figure, left, below, size, size), table, names, slanted)
    figure.axes[0].set_title(title, loc="left", fontsize=10, fontweight="bold", color=INK)
    return finished(figure, path)


def _classes(values: Any, name: str) -> np.ndarray:
    array = to_numpy(values)
    if array.dtype.kind not in "biuf":
        raise TypeError(f"{name} must be numbered classes or probabilities, got data of dtype {array.dtype}")
    if array.ndim == 2 and array.shape[1] > 1:
        return np.asarray(array.argmax(axis=1))
    if array.ndim != 1 and array.shape[1:] != (1,):
        raise ValueError(f"{name} must have the shape (n,), (n, 1) or (n, classes), got {array.shape}")
    array = array.reshape(-1)
    if array.dtype.kind == "f" and not (array == np.floor(array)).all():
        if not ((array >= 0) & (array <= 1)).all():
            raise ValueError(f"{name} must be numbered classes, or probabilities from 0 to 1, got {array[:5]}, ...")
        array = array > 0.5
    if array.size and array.min() < 0:
        raise ValueError(f"{name} must be classes numbered from 0, got {array.min()}")
    return array.astype(np.int64)


def _class_count(values: Any, classes: np.ndarray) -> int:
    shape = np.shape(values)
    return shape[1] if len(shape) == 2 and shape[1] > 1 else int(classes.max()) + 1


def _draw_table(axes: Axes, table: np.ndarray, names: list[str], slanted: bool) -> None:
    count = len(names)
    share = table / np.maximum(table.sum(axis=1, keepdims=True), 1)
    shade = 0.85 * np.sqrt(share)  # the square root lets a few mistakes be seen
    colour = np.where(np.eye(count, dtype=bool)[..., None], _RIGHT, _WRONG)
    axes.imshow(1.0 - shade[..., None] * (1.0 - colour), interpolation="nearest")
    frame(axes)
    for edge in range(1, count):
        axes.axhline(edge - 0.5, color="white", linewidth=1.0)
        axes.axvline(edge - 0.5, color="white", linewidth=1.0)
    small = SMALL if count <= _MANY else 6.0
    for row, column in np.argwhere(table > 0):
        number = str(table[row, column])
        axes.text(
            column,
            row,
            number,
            ha="center",
            va="center",
            fontsize=small - max(0, len(number) - 4),
            color="white" if shade[row, column] > 0.6 else INK,
        )
    axes.set_xticks(range(count), names, fontsize=small, color=INK)
    axes.set_yticks(range(count), names, fontsize=small, color=INK)
    if slanted:
        for name in axes.get_xticklabels():
            name.set(rotation=40, ha="right", rotation_mode="anchor")
    axes.tick_params(length=0, pad=3)
    axes.set_xlabel("predicted", fontsize=9, color=FAINT)
    axes.set_ylabel("true", fontsize=9, color=FAINT)
