"""Examples of layers: those of several inputs."""

from __future__ import annotations

from nnx.layers import Layer
from nnx.layers.merging import Add, Average, Concatenate, Dot, Maximum, Minimum, Multiply, Subtract
from nnx.testing.rows.layer_case import LayerRows

LAYERS = LayerRows()
_layer = LAYERS.several_inputs

_ELEMENTWISE: tuple[type[Layer], ...] = (Add, Multiply, Average, Maximum, Minimum)

for _kind in _ELEMENTWISE:
    _layer(_kind.__name__, _kind, (4, 5), (4, 5))
    _layer(f"{_kind.__name__} of three", _kind, (2, 3, 4), (2, 3, 4), (2, 3, 4))
    _layer(f"{_kind.__name__} of one", _kind, (4, 5))
    _layer(f"{_kind.__name__} of a column", _kind, (2, 3, 4), (2, 3, 1), (2, 1, 4))
    _layer(f"{_kind.__name__} of a vector and images", _kind, (2, 4), (2, 3, 5, 4))
_layer("Subtract", lambda: Subtract(), (4, 5), (4, 5))
_layer("Subtract of a column", lambda: Subtract(), (2, 1, 4), (2, 3, 1))
_layer("Subtract of a vector", lambda: Subtract(), (2, 3, 4), (2, 4))
_layer("Concatenate", lambda: Concatenate(), (4, 5), (4, 3))
_layer("Concatenate of three", lambda: Concatenate(), (2, 3, 1), (2, 3, 2), (2, 3, 4))
_layer("Concatenate of sequences", lambda: Concatenate(axis=1), (2, 3, 4), (2, 1, 4))
_layer("Concatenate of an axis inside", lambda: Concatenate(axis=-2), (2, 5, 3, 4), (2, 5, 2, 4))
_layer("Concatenate of one", lambda: Concatenate(), (2, 3))
_layer("Dot", lambda: Dot(axes=1), (4, 5), (4, 5))
_layer("Dot normalised", lambda: Dot(axes=-1, normalize=True), (4, 5), (4, 5))
_layer("Dot of matrices", lambda: Dot(axes=(1, 2)), (2, 3, 5), (2, 4, 3))
_layer("Dot of matrices, normalised", lambda: Dot(axes=(2, 1), normalize=True), (2, 3, 5), (2, 5, 4))
_layer("Dot of a vector and a matrix", lambda: Dot(axes=(1, 2)), (2, 3), (2, 4, 3))
_layer("Dot of a matrix and a vector", lambda: Dot(axes=(1, 1)), (2, 3, 4), (2, 3))
_layer("Dot of many axes", lambda: Dot(axes=(2, -1)), (2, 3, 5, 2), (2, 4, 3, 5))
