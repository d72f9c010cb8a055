"""Checks of targets on the host, before they travel: for mistakes that would give a wrong loss, or a bare shape error.

Shapes of outputs begin with the batch, whose size is not looked at; other sizes may be None for "any".
"""

from __future__ import annotations

from typing import Any

import numpy as np

from nnx.shapes import Shape

_UNSIGNED = {1: np.uint8, 2: np.uint16, 4: np.uint32, 8: np.uint64}
"""By the bytes of a number."""


def require_same_shape(loss: str, y_true: np.ndarray, output_shape: Shape) -> None:
    """Check of shapes: targets must have that of the outputs, but for a last axis of length 1."""
    shape = y_true.shape
    if _fits(shape, output_shape) or _fits((*shape, 1), output_shape):
        return
    if len(shape) == len(output_shape) + 1 and shape[-1] == 1 and _fits(shape[:-1], output_shape):
        return
    raise ValueError(
        f"loss {loss!r} expects targets of the shape of the model's output, {_text(output_shape)}; "
        f"got targets of shape {_text((None, *shape[1:]))}"
    )


def require_probabilities(loss: str, y_true: np.ndarray) -> None:
    """Check of binary targets: they must lie between 0 and 1."""
    if y_true.dtype.kind == "b" or not y_true.size:
        return
    if np.minimum.reduce(y_true, axis=None) < 0 or np.maximum.reduce(y_true, axis=None) > 1:
        wrong = (y_true < 0) | (y_true > 1)
        raise ValueError(
            f"loss {loss!r} expects targets between 0 and 1, got {_first(y_true, wrong)}; labels -1 and 1 are for "
            "loss='hinge', numbers of classes for loss='sparse_categorical_crossentropy'"
        )


def require_signs(loss: str, y_true: np.ndarray) -> None:
    """Check of the targets of a hinge: they must be -1 or 1, or else 0 or 1."""
    wrong = (y_true != -1) & (y_true != 0) & (y_true != 1) & (y_true == y_true)
    if wrong.any():
        raise ValueError(f"loss {loss!r} expects the labels -1 and 1 (or 0 and 1), got {_first(y_true, wrong)}")


def require_one_hot_shape(loss: str, y_true: np.ndarray, output_shape: Shape, axis: int = -1) -> None:
    """Check of one-hot targets: a number for each class, where integer labels are the usual mistake."""
    shape, classes = y_true.shape, output_shape[axis]
    if _fits(shape, output_shape):
        return
    labels = [shape, shape[:-1]] if shape[-1:] == (1,) else [shape]
    if classes != 1 and any(_fits(candidate, _without(output_shape, axis)) for candidate in labels):
        raise ValueError(
            f"loss {loss!r} expects a number for each of {classes} classes, targets of shape {_text(output_shape)}, "
            f"but got class labels of shape {_text((None, *shape[1:]))}; use loss='sparse_categorical_crossentropy', "
            f"or y = nnx.utils.to_categorical(y, num_classes={classes})"
        )
    require_same_shape(loss, y_true, output_shape)


def require_labels(
    loss: str, y_true: np.ndarray, output_shape: Shape, axis: int = -1, ignore_class: int | None = None
) -> None:
    """Check of labels: class numbers from 0 to C - 1, one for each sample."""
    shape, classes = y_true.shape, output_shape[axis]
    usual = axis == -1 and shape[1:] == output_shape[1:-1]
    expected = () if usual else _without(output_shape, axis)
    if not usual and not _fits(shape, expected) and not (len(shape) == len(output_shape) and shape[axis] == 1):
        if _fits(shape, output_shape):
            raise ValueError(
                f"loss {loss!r} expects class labels of shape {_text(expected)}, but got one number for each class, "
                f"shape {_text(output_shape)}; use loss='categorical_crossentropy', or y = np.argmax(y, axis={axis})"
            )
        several = len(shape) == 1 or (len(shape) == 2 and shape[1] == 1)
        hint = "; for one label a sample, end the steps or pixels before the last layer: Flatten(), pooling, [:, -1]"
        raise ValueError(
            f"loss {loss!r} expects class labels of shape {_text(expected)}, for outputs of shape "
            f"{_text(output_shape)}; got targets of shape {_text((None, *shape[1:]))}"
            f"{hint if several and len(output_shape) > 2 else ''}"
        )
    if y_true.dtype.kind not in "biu":
        broken = y_true != np.floor(y_true)
        if broken.any():
            raise ValueError(
                f"loss {loss!r} expects whole numbers as class labels, got {_first(y_true, broken)}; "
                "for probabilities of classes use loss='categorical_crossentropy'"
            )
    if classes is not None and y_true.size:
        _require_range(loss, y_true, classes, ignore_class)


def _require_range(loss: str, y_true: np.ndarray, classes: int, ignore_class: int | None) -> None:
    dtype = y_true.dtype
    if dtype.kind == "i" and dtype.isnative:  # as usual
        without_signs = y_true.view(_UNSIGNED[dtype.itemsize])  # where negative numbers are the largest
        if np.maximum.reduce(without_signs, axis=None) < classes:
            return
    low, high = np.minimum.reduce(y_true, axis=None), np.maximum.reduce(y_true, axis=None)
    if low >= 0 and high < classes:
        return
    wrong = (y_true < 0) | (y_true >= classes)
    if ignore_class is not None:
        wrong &= y_true != ignore_class
        if not wrong.any():
            return
    if low == 1 and high == classes:
        advice = f"the labels seem to count from 1: use y - 1, so that they go from 0 to {classes - 1}"
    elif low < 0:
        advice = f"labels go from 0 to {classes - 1}; to leave samples out, give the loss ignore_class"
    else:
        advice = f"labels go from 0 to {classes - 1}; the last layer needs as many units as there are classes"
    raise ValueError(f"loss {loss!r} got {_first(y_true, wrong)}, but the model has {classes} classes; {advice}")


def _fits(shape: tuple[int, ...], expected: Shape) -> bool:
    """Whether a shape is the expected one, batch aside."""
    if shape[1:] == expected[1:]:
        return len(shape) == len(expected)
    return len(shape) == len(expected) and all(
        size is None or size == given for given, size in zip(shape[1:], expected[1:], strict=True)
    )


def _without(shape: Shape, axis: int) -> Shape:
    axis %= len(shape)
    return shape[:axis] + shape[axis + 1 :]


def _text(shape: Shape) -> str:
    """A shape with its batch and its free sizes left open, as in (batch, 10)."""
    sizes = ["batch", *("any" if size is None else str(size) for size in shape[1:])]
    return f"({', '.join(sizes)}{',' if len(sizes) == 1 else ''})"


def _first(y_true: np.ndarray, wrong: Any) -> str:
    """The first wrong target and where it is."""
    index = tuple(int(i) for i in np.argwhere(wrong)[0])
    value = y_true[index].item()
    return f"{value!r} at index {index[0] if len(index) == 1 else list(index)}"
