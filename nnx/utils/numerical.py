"""Preparing data: one-hot labels and unit vectors."""

from __future__ import annotations

from typing import Any

import array_api_extra as xpx
import numpy as np

from nnx.arguments import positive_integer
from nnx.backends import Array, array_namespace, backend_of, is_array, to_numpy


def to_categorical(x: Any, num_classes: int | None = None) -> Array:
    """One-hot rows for integer labels.

    x : labels from 0 to num_classes - 1, of any shape; a last axis of length 1 is dropped, as Keras does. Host data
        gives a NumPy array, an array of another backend gives an array beside it.
    num_classes : by default the largest label + 1.
    returns float32 (*x.shape, num_classes).

    Raises TypeError for what are no numbers, ValueError for labels that are negative, fractional or not below
    `num_classes`.

    >>> to_categorical([0, 2])
    array([[1., 0., 0.],
           [0., 0., 1.]], dtype=float32)
    """
    labels = _whole_numbers(to_numpy(x))
    if labels.ndim > 1 and labels.shape[-1] == 1:
        labels = labels[..., 0]
    classes = _class_count(labels, num_classes)
    categorical: np.ndarray = xpx.one_hot(labels, classes, dtype=np.dtype(np.float32), xp=array_namespace(labels))
    return backend_of(x).put_beside(x, categorical) if is_array(x) else categorical


def _whole_numbers(labels: np.ndarray) -> np.ndarray:
    if labels.dtype.kind not in "biuf":
        raise TypeError(
            f"to_categorical expects integer labels, got data of dtype {labels.dtype}; "
            f"number the classes first, for example with np.unique(labels, return_inverse=True)"
        )
    if labels.dtype.kind == "f":
        fractional = labels[~(np.isfinite(labels) & (np.floor(labels) == labels))]
        if fractional.size:
            raise ValueError(f"to_categorical expects integer labels, got {fractional[0]}")
    if labels.size and labels.min() < 0:
        raise ValueError(
            f"to_categorical expects labels from 0, got {labels.min()}; number the classes from 0, for example with "
            f"np.unique(labels, return_inverse=True)"
        )
    return labels.astype(np.int64)


def _class_count(labels: np.ndarray, num_classes: int | None) -> int:
    largest = int(labels.max()) if labels.size else -1
    if num_classes is None:
        if not labels.size:
            raise ValueError("to_categorical got no labels to infer num_classes from; pass num_classes")
        return largest + 1
    num_classes = positive_integer("num_classes", num_classes)
    if largest >= num_classes:
        raise ValueError(
            f"label {largest} does not fit num_classes={num_classes}, which allows 0 to {num_classes - 1}; "
            f"pass num_classes={largest + 1} or more"
        )
    return num_classes


def normalize(x: Any, axis: int = -1, order: float = 2) -> Array:
    """Divide by the norm along an axis, so that every vector along it has length 1; zero vectors stay zero.

    x : an array of any backend, or host data, which gives a NumPy array. Integers, and lists, become float32.
    order : of the norm: 1, 2 (Euclidean), any positive number, or infinity.
    """
    if not order > 0:
        raise ValueError(f"order must be positive, got {order!r}")
    if not is_array(x):
        x = np.asarray(x, dtype=np.float32)
    xp = array_namespace(x)
    if not xp.isdtype(x.dtype, "real floating"):
        x = xp.astype(x, xp.float32)
    norm = xp.linalg.vector_norm(x, axis=axis, keepdims=True, ord=order)
    return x / xp.where(norm > 0.0, norm, 1.0)
