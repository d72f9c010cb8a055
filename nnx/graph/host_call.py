"""Calls of layers that compute on the host, where texts are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from nnx.autodiff.array import lower
from nnx.autodiff.tape import open_tapes
from nnx.backends import get_backend, is_array
from nnx.shapes import Shape, as_shapes
from nnx.text.values import as_texts, is_texts


def call_on_host(layer: Any, inputs: Sequence[Any], training: Any) -> Any:
    """The value of a layer for texts, lists or arrays: in the layer's place, which is the current backend at first.

    Where the `call` that uses it is tried out, on numbers that stand for anything, its value are zeros.
    """
    arrays = tuple(_read(x) for x in inputs)
    shapes: list[Shape] = [(None, *x.shape[1:]) if x.shape else () for x in arrays]
    if layer.needs_build:
        layer.build_for_first_call(get_backend(), arrays, shapes)
    tapes = open_tapes()
    with layer.placement.computing:
        if not tapes or tapes[-1].calls is None:
            return layer.run(*map(lower, arrays), training=bool(training))[0]
        sizes = [tuple(x.shape) for x in arrays]
        made = as_shapes(layer.compute_output_shape(sizes[0] if len(sizes) == 1 else sizes))
        length = 8 + sizes[0][0]  # another one for another batch, so that it is known to vary
        filled = [tuple(length if n is None else n for n in shape) for shape in made]
        y = [layer.placement.zeros(shape, layer.made_dtype) for shape in filled]
        tapes[-1].calls.append((layer, list(arrays), y))
        return y[0] if len(y) == 1 else y


def _read(value: Any) -> Any:
    return value if is_array(value) else as_texts(value, "x") if is_texts(value) else np.asarray(value)
