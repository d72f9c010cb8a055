"""Integers as rows of zeros and ones."""

from __future__ import annotations

from typing import Any

from nnx.backends import Array, backend_of, get_backend
from nnx.ops.operation import as_array, namespace, operation

__all__ = ["multi_hot", "one_hot"]


@operation
def one_hot(x: Any, num_classes: int, axis: int = -1, dtype: str | None = None, sparse: bool = False) -> Array:
    """Rows with a one where an integer says, and zeros elsewhere; a row of zeros for one that is no class.

    x : integers of any shape. num_classes : the length of the new axis, which is `axis` of the result.
    dtype : a name, by default the backend's floating dtype. sparse : not available; ValueError.

    >>> one_hot([0, 2], 3)
    array([[1., 0., 0.],
           [0., 0., 1.]], dtype=float32)
    """
    if sparse:
        raise ValueError("one_hot: sparse arrays are not available; leave sparse=False")
    labels = as_array(x)
    xp = namespace(labels)
    classes = xp.arange(num_classes, dtype=labels.dtype, device=backend_of(labels).device_of(labels))
    hot = xp.astype(labels[..., None] == classes, getattr(xp, dtype or get_backend().dtype))
    return xp.moveaxis(hot, -1, axis)


@operation
def multi_hot(inputs: Any, num_classes: int, axis: int = -1, dtype: str | None = None, sparse: bool = False) -> Array:
    """One row of zeros and ones for all integers of a sample: a one where any of them says.

    inputs : integers (batch, n), or (n,) of one sample. The result is (batch, num_classes), or (num_classes,).

    >>> multi_hot([[0, 2], [1, -1]], 3)
    array([[1., 0., 1.],
           [0., 1., 0.]], dtype=float32)
    """
    labels = as_array(inputs)
    hot = one_hot(labels, num_classes, axis, dtype, sparse)
    return namespace(hot).max(hot, axis=1 if len(labels.shape) > 1 else 0)
