"""Bounds on gradients. Norms stay 0-d arrays on the device; nothing is changed in place."""

from __future__ import annotations

from collections.abc import Sequence

from nnx.backends import Array, array_namespace


def clip_by_value(g: Array, limit: float) -> Array:
    """Every element moved into [-limit, limit]."""
    xp = array_namespace(g)
    return xp.minimum(xp.maximum(g, -limit), limit)


def clip_by_norm(g: Array, limit: float) -> Array:
    """The array scaled down so that its Euclidean norm is at most `limit`."""
    xp = array_namespace(g)
    return g * (limit / xp.maximum(xp.sqrt(xp.sum(g * g)), limit))


def clip_each_by_norm(g: Array, slices: Sequence[tuple[int, int]], limit: float) -> Array:
    """Every piece of a 1-D array scaled down by itself so that its norm is at most `limit`."""
    return array_namespace(g).concat([clip_by_norm(g[start:stop], limit) for start, stop in slices])
