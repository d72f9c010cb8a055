"""Steps of a sequence that say nothing."""

from __future__ import annotations

from nnx.backends import Array, array_namespace
from nnx.pullbacks import Pullback

__all__ = ["mask_steps"]


def mask_steps(x: Array, mask_value: float = 0.0) -> tuple[Array, Pullback]:
    """x, with zeros in the steps all of whose features are equal to the mask value."""
    xp = array_namespace(x)
    kept = steps_to_keep(x, mask_value)[..., None]
    return xp.where(kept, x, 0.0), lambda dy: xp.where(kept, dy, 0.0)


def steps_to_keep(x: Array, mask_value: float = 0.0) -> Array:
    """Boolean (batch, time) for x (batch, time, features): whether a feature differs from the mask value."""
    return array_namespace(x).any(x != mask_value, axis=-1)
