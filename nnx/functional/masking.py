"""Masking of padded time steps."""

from __future__ import annotations

from nnx.backends import Array, array_namespace
from nnx.pullbacks import Pullback

__all__ = ["mask_steps"]


def mask_steps(x: Array, mask_value: float = 0.0) -> tuple[Array, Pullback]:
    """Masking of padded time steps: x, with zeros in the steps all of whose features are equal to the mask value

    x : (batch, time, features).
    mask_value : by default 0.

    Returns y of x's shape, and pullback(dy) -> dx, dy with zeros in the same steps.

    >>> import numpy as np
    >>> y, pullback = mask_steps(np.asarray([[[1.0, -1.0], [-1.0, -1.0]]]), mask_value=-1.0)
    >>> y.tolist(), pullback(np.ones((1, 2, 2))).tolist()
    ([[[1.0, -1.0], [0.0, 0.0]]], [[[1.0, 1.0], [0.0, 0.0]]])
    """
    xp = array_namespace(x)
    kept = steps_to_keep(x, mask_value)[..., None]
    return xp.where(kept, x, 0.0), lambda dy: xp.where(kept, dy, 0.0)


def steps_to_keep(x: Array, mask_value: float = 0.0) -> Array:
    """Mask (batch, time) of x (batch, time, features), boolean: whether a feature differs from the mask value.

    >>> import numpy as np
    >>> steps_to_keep(np.asarray([[[1.0, 0.0], [0.0, 0.0]]])).tolist()
    [[True, False]]
    """
    return array_namespace(x).any(x != mask_value, axis=-1)
