"""First values of weights: what an initializer draws; zeros where a file has the values."""

from __future__ import annotations

import contextlib
import contextvars
import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from nnx import initializers
from nnx.backends import Array
from nnx.backends.memory import bytes_of_machine, free_bytes
from nnx.precision import dtype_bytes

_MANY_BYTES = 1 << 28  # below, nobody asks how much memory the machine has

_room: contextvars.ContextVar[int | None] = contextvars.ContextVar("nnx_room_for_weights", default=None)


@contextlib.contextmanager
def room_for_weights(numbers: int) -> Iterator[None]:
    """Inside the block new weights are zeros, and all together have at most so many numbers.

    For a model that a file describes, which may be of any size, and whose weights the file has.
    """
    token = _room.set(numbers)
    try:
        yield
    finally:
        _room.reset(token)


def first_value(layer: Any, name: str, shape: tuple[int, ...], dtype: str, initializer: Any) -> Array:
    """What the initializer draws for a weight of a layer; zeros in `room_for_weights`.

    initializer : None for "glorot_uniform", and zeros where the dtype is that of integers or bools.

    ValueError where there is no room for it, MemoryError where the machine has less memory than it takes.
    """
    room, needed = _room.get(), math.prod(shape) * dtype_bytes(dtype)
    if room is not None and not layer.stores_itself:  # which may have other values in the file, or none
        _room.set(room - math.prod(shape))
        if math.prod(shape) > room:
            raise ValueError(f"{layer.name} asks for a {name} of shape {shape}, larger than all there is for it")
        return layer.placement.zeros(shape, dtype)
    if needed > _MANY_BYTES:
        whole, free = bytes_of_machine(), free_bytes()
        if needed > min(whole, free):
            taken = f", of which {free / 2**30:.1f} GiB are free" if free < whole else ""
            raise MemoryError(
                f"{layer.name}: a {name} of shape {shape} takes {needed / 2**30:.1f} GiB, and this machine has "
                f"{whole / 2**30:.1f} GiB{taken}"
            )
    if initializer is None:
        initializer = "glorot_uniform" if np.dtype(dtype).kind == "f" else "zeros"
    initial = initializers.resolve(initializer)(shape, dtype)
    return layer.placement.asarray(np.array(initial, dtype=dtype, order="C"), dtype)
