"""Reshaping: functions that change the shape and nothing else."""

from __future__ import annotations

import math

from nnx.backends import Array, array_namespace
from nnx.pullbacks import Pullback

__all__ = ["flatten", "reshape"]


def reshape(x: Array, shape: tuple[int, ...]) -> tuple[Array, Pullback]:
    """Elements in the same order in another shape (batch axis included; one size may be -1)."""
    xp = array_namespace(x)
    return xp.reshape(x, shape), lambda dy: xp.reshape(dy, x.shape)


def flatten(x: Array) -> tuple[Array, Pullback]:
    """Flattening of all axes but the first: x (batch, a, b, ...)  ->  y (batch, a * b * ...)"""
    return reshape(x, (x.shape[0], math.prod(x.shape[1:])))
