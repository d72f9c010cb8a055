"""Checks of what metrics are given: targets and predictions that fit together, or an error that says what to give."""

from __future__ import annotations

from typing import Any

from nnx.backends import Array, Namespace, array_namespace
from nnx.functional.loss_functions import match_ndim, require_same_backend
from nnx.losses.arrays import as_arrays
from nnx.shapes import Shape

_MOST = 100_000


def has_no_rows(y: Any) -> bool:
    """Whether an array or a list is empty along its first axis: a batch of which no metric can say anything.

    >>> has_no_rows([]), has_no_rows([0.0])
    (True, False)
    """
    if isinstance(y, list | tuple):
        return len(y) == 0
    shape: Any = getattr(y, "shape", ())
    return len(shape) > 0 and shape[0] == 0


def require_count(what: str, value: int, least: int) -> None:
    """ValueError unless so many can be counted apart: at least some, and not more than a file should ask for."""
    if value < least:
        raise ValueError(f"{what} must be at least {least}, got {value}")
    if value > _MOST:
        raise ValueError(f"{what} must be at most {_MOST}, got {value}")


def as_matching_arrays(metric: str, y_true: Any, y_pred: Any) -> tuple[Namespace, Array, Array]:
    """Targets and predictions of one shape and dtype; the predictions are floating."""
    y_true, y_pred = as_arrays(y_true, y_pred)
    if type(y_true) is not type(y_pred):
        require_same_backend(y_true, y_pred)
    if y_true.shape != y_pred.shape:
        require_matching_shapes(metric, y_true.shape, y_pred.shape)
        y_true, y_pred = match_ndim(y_true, y_pred)
    xp = array_namespace(y_pred)
    return xp, xp.astype(y_true, y_pred.dtype, copy=False), y_pred


def as_labels_and_scores(metric: str, y_true: Any, y_pred: Any) -> tuple[Namespace, Array, Array]:
    """Class labels as integers of the shape (...), and predictions (..., c).

    Labels (n, 1) of predictions (1, n, c), as of one sample of n steps, make (n,) and (n, c): as in Keras, axes of
    length 1 may stand elsewhere.
    """
    y_true, y_pred = as_arrays(y_true, y_pred)
    if type(y_true) is not type(y_pred):
        require_same_backend(y_true, y_pred)
    xp, shape = array_namespace(y_pred), tuple(y_pred.shape[:-1])
    if not are_labels(y_true.shape, y_pred.shape):
        if _without_ones(y_true.shape) != _without_ones(shape):
            require_labels(metric, y_true.shape, y_pred.shape)
        shape = tuple(y_true.shape[:-1] if y_true.shape[-1:] == (1,) else y_true.shape)
        y_pred = xp.reshape(y_pred, (*shape, y_pred.shape[-1]))
    return xp, xp.reshape(xp.astype(y_true, xp.int64, copy=False), shape), y_pred


def require_matching_shapes(metric: str, target_shape: Shape, output_shape: Shape) -> None:
    """ValueError unless targets have the shape of the predictions, but for a last axis of length 1."""
    if fits(target_shape, output_shape) or _fits_but_for_last(target_shape, output_shape):
        return
    classes, hint = output_shape[-1:], ""
    if are_labels(target_shape, output_shape):
        known = ("categorical_accuracy", "top_k_categorical_accuracy")
        hint = (
            f"; for class labels there is 'sparse_{metric}'"
            if metric in known
            else f"; for class labels use y = nnx.utils.to_categorical(y, num_classes={classes[0]})"
        )
    raise ValueError(
        f"metric {metric!r} expects targets of the shape of the predictions, {shape_text(output_shape)}; the targets "
        f"given have the shape {shape_text(target_shape)}{hint}"
    )


def require_labels(metric: str, target_shape: Shape, output_shape: Shape) -> None:
    """ValueError unless targets have the shape of the predictions without their last axis, or with length 1 there."""
    if are_labels(target_shape, output_shape):
        return
    raise ValueError(
        f"metric {metric!r} expects class labels of shape {shape_text(output_shape[:-1])} for predictions of shape "
        f"{shape_text(output_shape)}; the targets given have the shape {shape_text(target_shape)}"
    )


def are_labels(target_shape: Shape, output_shape: Shape) -> bool:
    """Whether targets can be one class for each row of predictions."""
    return fits(target_shape, output_shape[:-1]) or fits(target_shape, (*output_shape[:-1], 1))


def fits(shape: Shape, expected: Shape) -> bool:
    """Whether a shape is the expected one; sizes may be None for "any"."""
    if shape == expected:  # as usual
        return True
    return len(shape) == len(expected) and all(
        size is None or wanted is None or size == wanted for size, wanted in zip(shape, expected, strict=True)
    )


def _without_ones(shape: Shape) -> Shape:
    return tuple(size for size in shape if size != 1)


def shape_text(shape: Shape) -> str:
    """A shape with its free sizes left open, as in (any, 10)."""
    sizes = ["any" if size is None else str(size) for size in shape]
    return f"({', '.join(sizes)}{',' if len(sizes) == 1 else ''})"


def _fits_but_for_last(shape: Shape, expected: Shape) -> bool:
    longer, shorter = (shape, expected) if len(shape) > len(expected) else (expected, shape)
    return longer[-1:] == (1,) and fits(longer[:-1], shorter)
