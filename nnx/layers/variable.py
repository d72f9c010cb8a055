"""Variables: parameters that are made outside of layers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from nnx import initializers
from nnx.backends import get_backend, is_array
from nnx.parameters import Parameter


def Variable(  # noqa: N802, the name that Keras has for it
    initializer: Any,
    shape: Sequence[int] | None = None,
    dtype: str | None = None,
    trainable: bool = True,
    name: str | None = None,
) -> Parameter:
    """Parameter with a first value of one's own, for a loop of one's own, or in an attribute of a layer.

    initializer : the value, an array, a list or a number; or, with a shape, an initializer or its name.
    dtype : by default that of an array of integers or bools, else the floating dtype in use.
    trainable : whether training changes it.
    name : in the layer that has it in an attribute when it is built, whose weight it then is; by default "variable".

    TypeError for an initializer without a shape. Without a shape, `add_weight` of a layer does the same.

    >>> import nnx
    >>> x = nnx.Variable(3.0)
    >>> with nnx.GradientTape() as tape:
    ...     y = x * x
    >>> float(tape.gradient(y, x)), x.assign_sub(1.0).numpy().tolist()
    (6.0, 2.0)
    """
    place = get_backend()
    if isinstance(initializer, str) or (callable(initializer) and not is_array(initializer)):
        if shape is None:
            raise TypeError(
                f"Variable needs the shape that {initializer!r} is to make: write nnx.Variable({initializer!r}, "
                f"shape=(...)), or give the value itself"
            )
        kind = dtype or place.dtype
        value = place.asarray(np.array(initializers.resolve(initializer)(tuple(shape), kind), dtype=kind), kind)
    else:
        value = place.asarray(initializer, dtype or _dtype_of(initializer))
        if shape is not None:
            value = place.xp.asarray(place.xp.broadcast_to(value, tuple(shape)), copy=True)
    parameter = Parameter(place.xp.asarray(value, copy=True), name or "variable", trainable=trainable)
    parameter.is_free = True
    return parameter


def _dtype_of(value: Any) -> str | None:
    """The dtype of integers and bools in an array; None for what becomes floating."""
    kind = str(getattr(value, "dtype", "float32")).rpartition(".")[2]
    return None if kind.startswith(("float", "bfloat")) else kind
