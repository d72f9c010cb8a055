"""Normalisation as nodes of ONNX, and batch normalisation as one factor and one shift."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from nnx.backends.base import Array
from nnx.kernels import backend_kernel
from nnx.kernels.onnx.table import KERNELS, has_node, no_pullback
from nnx.onnx.array import RecordedArray, constant, made_by, node
from nnx.onnx.size import has_open
from nnx.onnx.standard import xp
from nnx.pullbacks import Pullback

Axis = int | Sequence[int]


def _has_known_moments(x: Array, *parameters: Any, **options: Any) -> bool:
    given = [value for value in (*parameters, *options.values()) if isinstance(value, RecordedArray)]
    return all(value.value is not None for value in given)


@backend_kernel(KERNELS, accepts=_has_known_moments)
def batch_normalization_inference(
    x: Any,
    mean: Array,
    variance: Array,
    gamma: Array | None = None,
    beta: Array | None = None,
    axis: int = -1,
    epsilon: float = 1e-3,
) -> tuple[Array, Pullback]:
    axis %= x.ndim
    factor = (1.0 if gamma is None else gamma.value) / np.sqrt(variance.value.astype(np.float64) + epsilon)
    shift = (0.0 if beta is None else beta.value) - mean.value * factor
    turned = made_by(x, "Transpose")
    if has_node(x) and turned is not None and turned.attributes["perm"][axis] == 1:
        images = turned.inputs[0]
        of_features = [constant(values.astype(x.dtype)) for values in (factor, shift)]
        fixed = [constant(np.full(factor.shape, value, x.dtype)) for value in (0.0, 1.0)]
        y = node("BatchNormalization", [images, *of_features, *fixed], images.shape, x.dtype, epsilon=0.0)
        return xp.permute_dims(y, turned.attributes["perm"]), no_pullback
    along = (-1, *(1,) * (x.ndim - axis - 1))
    y = x * constant(factor.astype(x.dtype).reshape(along))
    return y + constant(shift.astype(x.dtype).reshape(along)), no_pullback


def _last_axes(x: Array, axis: Axis) -> int:
    """How many axes there are, if they are the last ones and of known sizes; else 0."""
    axes = sorted(one % x.ndim for one in ((axis,) if isinstance(axis, int) else axis))
    last = axes == list(range(x.ndim - len(axes), x.ndim))
    return len(axes) if last and not has_open(x.shape[axes[0] :]) else 0


def _has_layer_node(x: Array, gamma: Any = None, beta: Any = None, axis: Axis = -1, epsilon: float = 1e-3) -> bool:
    return has_node(x) and _last_axes(x, axis) > 0


@backend_kernel(KERNELS, accepts=_has_layer_node)
def layer_normalization(
    x: Any, gamma: Array | None = None, beta: Array | None = None, axis: Axis = -1, epsilon: float = 1e-3
) -> tuple[Array, Pullback]:
    count = _last_axes(x, axis)
    shape = x.shape[x.ndim - count :]
    scale = constant(np.ones(shape, x.dtype)) if gamma is None else xp.reshape(gamma, shape)
    shift = None if beta is None else xp.reshape(beta, shape)
    y = node("LayerNormalization", [x, scale, shift], x.shape, x.dtype, axis=-count, epsilon=float(epsilon))
    return y, no_pullback


@backend_kernel(KERNELS, accepts=has_node)
def group_normalization(
    x: Any,
    gamma: Array | None = None,
    beta: Array | None = None,
    groups: int = 32,
    axis: int = -1,
    epsilon: float = 1e-3,
) -> tuple[Array, Pullback]:
    # GroupNormalization changed its meaning from opset 18 to 21; groups are instances of channels in a row
    images = xp.moveaxis(x, axis, 1)
    size = math.prod(images.shape[1:]) // groups
    rows = xp.reshape(images, (images.shape[0], groups, size))
    fixed = [constant(np.full(groups, value, x.dtype)) for value in (1.0, 0.0)]
    rows = node("InstanceNormalization", [rows, *fixed], rows.shape, x.dtype, epsilon=float(epsilon))
    y, along = xp.reshape(rows, images.shape), (-1, *(1,) * (x.ndim - 2))
    y = y if gamma is None else y * xp.reshape(gamma, along)
    y = y if beta is None else y + xp.reshape(beta, along)
    return xp.moveaxis(y, 1, axis), no_pullback
