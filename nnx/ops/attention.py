"""Attention: means of values, weighted by how well their keys fit a query."""

from __future__ import annotations

import math
from typing import Any

from nnx import functional
from nnx.autodiff.array import lower
from nnx.autodiff.primitive import primitive
from nnx.backends import Array, backend_of
from nnx.ops.operation import as_array, as_floats, name_of_dtype, namespace, operation, promote

__all__ = ["dot_product_attention"]

_LARGE = 0.7  # of the largest number, what a masked logit gets: a row without any key averages evenly
_softmax = primitive(functional.softmax)


@operation
def dot_product_attention(
    query: Any,
    key: Any,
    value: Any,
    bias: Any = None,
    mask: Any = None,
    scale: float | None = None,
    is_causal: bool = False,
    flash_attention: bool | None = None,
    attn_logits_soft_cap: float | None = None,
) -> Array:
    """Scaled dot-product attention: softmax(query @ key.T * scale + bias) @ value, for each head.

    query : (batch, targets, heads, n). key, value : (batch, sources, heads, n) and (batch, sources, heads, m); with
        fewer heads, each is shared by a group of the query's.
    bias, mask : what can be broadcast to (batch, heads, targets, sources), of four axes or of two; a source where the
        mask is False does not count, unless there is no other.
    scale : by default 1 / sqrt(n). is_causal : a target sees no later source.
    flash_attention : accepted, and of no effect.
    attn_logits_soft_cap : logits become logits / (1 + |logits| / cap). By default None.

    Returns (batch, targets, heads, m). ValueError for inputs of other ranks.

    >>> import numpy as np
    >>> value = np.asarray([1.0, 3.0], "float32").reshape(1, 2, 1, 1)
    >>> dot_product_attention(np.zeros((1, 1, 1, 2), "float32"), np.zeros((1, 2, 1, 2), "float32"), value).tolist()
    [[[[2.0]]]]
    """
    q, k, v = promote(as_floats(query), as_floats(key), as_floats(value))
    shapes = [tuple(a.shape) for a in (q, k, v)]
    if any(len(shape) != 4 for shape in shapes):
        raise ValueError(f"dot_product_attention: inputs are (batch, length, heads, size), got shapes {shapes}")
    xp, heads = namespace(q, k, v), q.shape[2]
    if heads % k.shape[2]:
        raise ValueError(f"dot_product_attention: {heads} query heads cannot share {k.shape[2]} key heads evenly")
    if k.shape[2] != heads:
        k, v = (xp.repeat(a, heads // k.shape[2], axis=2) for a in (k, v))
    q, k, v = (xp.permute_dims(a, (0, 2, 1, 3)) for a in (q, k, v))
    logits = xp.matmul(q, xp.matrix_transpose(k)) * (1.0 / math.sqrt(q.shape[-1]) if scale is None else scale)
    if bias is not None:
        logits = logits + _of_logits("bias", as_array(bias, name_of_dtype(logits), like=logits))
    if attn_logits_soft_cap is not None:
        logits = logits / (1.0 + xp.abs(logits) / attn_logits_soft_cap)
    allowed = None if mask is None else _of_logits("mask", lower(as_array(mask, "bool", like=logits)))
    if is_causal:
        device = backend_of(lower(logits)).device_of(lower(logits))
        targets, sources = logits.shape[-2:]
        past = xp.arange(sources, device=device)[None, :] <= xp.arange(targets, device=device)[:, None]
        allowed = past if allowed is None else xp.logical_and(allowed, past)
    if allowed is not None:
        logits = xp.where(allowed, logits, -_LARGE * xp.finfo(logits.dtype).max)
    return xp.permute_dims(xp.matmul(_softmax(logits), v), (0, 2, 1, 3))


def _of_logits(name: str, array: Array) -> Array:
    if len(array.shape) not in (2, 4):
        raise ValueError(
            f"dot_product_attention: {name} is (batch, heads, targets, sources), any of which may be 1, or (targets, "
            f"sources), got shape {tuple(array.shape)}; for one a sample write {name}[:, None]"
        )
    return array
