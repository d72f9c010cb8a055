"""Weights of classes: a weight for each label, of samples or of steps, whichever the model labels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from nnx.backends import to_numpy
from nnx.losses import BinaryCrossentropy, BinaryFocalCrossentropy, Hinge, Loss, SquaredHinge
from nnx.shapes import Shape

_BINARY = (BinaryCrossentropy, BinaryFocalCrossentropy)


def with_class_weights(
    ys: list[Any], weights: list[Any], class_weight: dict[int, float], loss: Loss | None, output_shapes: Sequence[Shape]
) -> np.ndarray:
    """Sample weights on the host, multiplied by those of the classes; only for one output.

    loss, output_shapes : say what the targets are: labels, or a number for each class.
    """
    if len(ys) > 1:
        raise ValueError("class_weight is for models with one output; give sample_weight for each output instead")
    of_classes = weights_of_classes(to_numpy(ys[0]), class_weight, loss, output_shapes[0])
    if weights[0] is None:
        return of_classes
    of_samples: np.ndarray = to_numpy(weights[0])
    ndim = max(of_samples.ndim, of_classes.ndim)
    of_samples, of_classes = (w.reshape(*w.shape, *(1,) * (ndim - w.ndim)) for w in (of_samples, of_classes))
    product: np.ndarray = of_samples * of_classes
    return product


def weights_of_classes(
    y: np.ndarray, class_weight: dict[int, float], loss: Loss | None, output_shape: Shape
) -> np.ndarray:
    """The weight of each label from that of its class: (n,), or (n, steps) where every step has a label.

    y : labels, or one-hot rows along the axis of the classes. output_shape : with None for the batch.

    ValueError for a class that cannot occur, and for targets that name no class, or several.
    """
    if not isinstance(class_weight, dict):
        raise TypeError(f"class_weight must be a dict of class: weight, got {type(class_weight).__name__}")
    for label, weight in class_weight.items():
        numbers = isinstance(label, int | float | np.number) and isinstance(weight, int | float | np.number)
        if not numbers or isinstance(weight, bool):
            raise ValueError(f"class_weight must map numbers of classes to numbers, got {label!r}: {weight!r}")
    labels, possible = _labels(y, loss, output_shape)
    for label in class_weight:
        if possible is not None and label not in possible and label != getattr(loss, "ignore_class", None):
            raise ValueError(
                f"class_weight has a weight for class {label!r}, which cannot occur: with an output of shape "
                f"{_text(output_shape)} and loss {getattr(loss, 'name', None)!r} classes go from {possible[0]} to "
                f"{possible[-1]}"
            )
    labels = np.round(labels)
    weights = np.ones(labels.shape, dtype=np.float32)
    for label, weight in class_weight.items():
        weights[labels == label] = weight
    return weights


def _labels(y: np.ndarray, loss: Loss | None, output_shape: Shape) -> tuple[np.ndarray, range | None]:
    """The class of each sample or step, from targets whose shape is compared with that of the output; and which classes
    there can be, None where nobody can tell."""
    binary, hinge = isinstance(loss, _BINARY), isinstance(loss, Hinge | SquaredHinge)
    axis = getattr(loss, "axis", -1)
    axis = (axis if isinstance(axis, int) else -1) % len(output_shape)
    classes = output_shape[axis] if axis else 1
    if classes != 1 and _fits(y.shape, output_shape):
        if binary:
            _check_one_class(y, axis)
        return y.argmax(axis=axis), range(y.shape[axis])
    possible = range(2) if binary else range(-1, 2) if hinge else None
    if loss is not None and loss.integer_targets and classes is not None:
        possible = range(classes)
    places = (*output_shape[:axis], *output_shape[axis + 1 :]) if axis else output_shape
    if len(y.shape) == len(output_shape) and axis and y.shape[axis] == 1:
        y = y.reshape(*y.shape[:axis], *y.shape[axis + 1 :])
    if _fits(y.shape, places):
        return y, possible
    if y.size == y.shape[0]:  # a loss of one's own, for which the axes of the output may mean anything
        return y.reshape(-1), possible
    raise ValueError(
        f"class_weight needs one label for each sample, or for each step that the output has: targets of shape "
        f"{_text(places)}, or one-hot targets of shape {_text(output_shape)}; got {_text((None, *y.shape[1:]))}"
    )


def _check_one_class(y: np.ndarray, axis: int) -> None:
    """ValueError for rows with several labels at once, of which none is that of the sample."""
    several = (y == y.max(axis=axis, keepdims=True)).sum(axis=axis) > 1
    several &= y.max(axis=axis) > 0
    if several.any():
        place = [int(index) for index in np.argwhere(several)[0]]
        raise ValueError(
            f"class_weight needs one class for each sample, and the targets at {place} have several: for labels of "
            f"their own give sample_weight, or a model with an output for each"
        )


def _fits(shape: tuple[int, ...], expected: Shape) -> bool:
    return len(shape) == len(expected) and all(
        wanted is None or size == wanted for size, wanted in zip(shape[1:], expected[1:], strict=True)
    )


def _text(shape: Shape) -> str:
    sizes = ["batch", *("any" if size is None else str(size) for size in shape[1:])]
    return f"({', '.join(sizes)}{',' if len(sizes) == 1 else ''})"
