"""Functions that move or repeat axes."""

from __future__ import annotations

from collections.abc import Sequence

from nnx.backends import Array, array_namespace
from nnx.precision import narrow, wide_sum
from nnx.pullbacks import Pullback

__all__ = ["permute", "repeat_vector"]


def permute(x: Array, axes: Sequence[int]) -> tuple[Array, Pullback]:
    """Permutation of axes: axis i of the result is axis axes[i] of x

    x : of any shape.
    axes : each of its axes once, not negative, the batch axis included.

    Returns y, and pullback(dy) -> dx, dy with its axes moved back.

    >>> import numpy as np
    >>> y, pullback = permute(np.zeros((2, 3, 4)), (0, 2, 1))
    >>> y.shape, pullback(y).shape
    ((2, 4, 3), (2, 3, 4))
    """
    xp = array_namespace(x)
    order = tuple(axes)
    back = tuple(sorted(range(len(order)), key=order.__getitem__))
    return xp.permute_dims(x, order), lambda dy: xp.permute_dims(dy, back)


def repeat_vector(x: Array, n: int) -> tuple[Array, Pullback]:
    """Repetition along a new axis: x (batch, features) -> y (batch, n, features), with x in each of the n steps

    Returns y, and pullback(dy) -> dx, the sum of dy over the steps.

    >>> import numpy as np
    >>> y, pullback = repeat_vector(np.asarray([[1.0, 2.0]]), 3)
    >>> y.tolist(), pullback(y).tolist()
    ([[[1.0, 2.0], [1.0, 2.0], [1.0, 2.0]]], [[3.0, 6.0]])
    """
    xp = array_namespace(x)
    return xp.repeat(x[:, None, :], n, axis=1), lambda dy: narrow(wide_sum(dy, axis=1), dy)
