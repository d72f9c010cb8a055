"""Conditions under which the kernels of self-attention apply, and masks as they take them, for every backend."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from nnx.backends.base import Array


def accepts_self_attention(
    x: Array,
    mask: Array | None,
    *parameters: Array,
    biased: bool = True,
    axes: Sequence[int] | None = None,
    dropout: Any = None,
    **options: Any,
) -> bool:
    """Whether it is over the steps of sequences, with heads of one size, and mask and dropout are of its scores."""
    kernels = parameters[:: 2 if biased else 1]
    if x.ndim != 3 or (axes is not None and tuple(axes) != (1,)) or not all(array.size for array in parameters):
        return False
    batch, steps, _ = x.shape
    scores = batch, kernels[0].shape[1], steps, steps
    allowed = scores if mask is None else by_heads(mask).shape
    fits = all(size in (1, full) for size, full in zip(reversed(allowed), reversed(scores), strict=False))
    drawn = dropout is None or (0.0 <= dropout[0] <= 1.0 and dropout[1].size == math.prod(scores))
    return drawn and fits and len(allowed) in (2, 4) and len({kernel.shape for kernel in kernels[:3]}) == 1


def by_heads(mask: Array) -> Array:
    """A mask with an axis for the heads, if it has one for the samples."""
    return mask[:, None] if mask.ndim == 3 else mask
