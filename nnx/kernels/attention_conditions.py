"""Conditions under which the kernels of self-attention apply, and what its masks are, for every backend."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from nnx.backends.base import Array, array_namespace, backend_of


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


def allowed_sources(
    allowed: Array | None, like: Array, targets: int, sources: int, causal: bool, window: int | None
) -> Array | None:
    """Which sources a target may look at, (..., targets, sources): of those allowed, the near ones; None for all.

    causal : whether those after the target are too far. window : and those so many steps away, before it and after it.
    """
    if not causal and window is None:
        return allowed
    xp, device = array_namespace(like), backend_of(like).device_of(like)
    target = xp.arange(targets, dtype=xp.int64, device=device)[:, None]
    source = xp.arange(sources, dtype=xp.int64, device=device)[None, :]
    near = source <= (target if causal or window is None else target + (window - 1))
    if window is not None:
        near = xp.logical_and(near, source > target - window)
    return near if allowed is None else xp.logical_and(allowed, near)
