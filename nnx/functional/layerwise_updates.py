"""Update formulas of optimisers that need a parameter as a whole: its norm, or its rows and columns.

As in `nnx.functional.updates` each function changes `w`, here one parameter in its own shape, and its slots in place.
"""

from __future__ import annotations

from nnx.backends import Array, array_namespace
from nnx.kernels import accelerated

__all__ = ["adafactor", "lamb", "muon", "orthogonalized"]

NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)
"""The coefficients of Muon's quintic iteration, which are as steep at 0 as they can be."""


@accelerated
def lamb(
    w: Array,
    g: Array,
    m: Array,
    v: Array,
    rate: float,
    beta_1: float,
    beta_2: float,
    correction_1: float,
    correction_2: float,
    epsilon: float,
) -> None:
    """LAMB (You et al., 2019): a step of Adam with the length of the parameter.

    m += (1 - beta_1) * (g - m);  v += (1 - beta_2) * (g**2 - v)
    d = correction_1 * m / (sqrt(correction_2 * v) + epsilon), where the corrections are 1 / (1 - beta**t) at step t
    w -= rate * |w| / |d| * d, where the ratio of the norms is 1 if one of them is 0

    >>> import numpy as np
    >>> w, m, v = np.asarray([3.0, 4.0]), np.zeros(2), np.zeros(2)
    >>> lamb(w, np.asarray([1.0, 0.0]), m, v, 0.5, 0.5, 0.75, correction_1=2.0, correction_2=4.0, epsilon=1.0)
    >>> w, m, v
    (array([0.5, 4. ]), array([0.5, 0. ]), array([0.25, 0.  ]))
    """
    xp = array_namespace(w)
    m += (1.0 - beta_1) * (g - m)
    v += (1.0 - beta_2) * (g * g - v)
    d = correction_1 * m / (xp.sqrt(correction_2 * v) + epsilon)
    length, norm = xp.sqrt(xp.sum(w * w)), xp.sqrt(xp.sum(d * d))
    fine = (length > 0.0) & (norm > 0.0)
    w -= xp.where(fine, rate * length / xp.where(fine, norm, 1.0), rate) * d


@accelerated
def adafactor(
    w: Array,
    g: Array,
    rows: Array,
    columns: Array,
    rate: float,
    decay: float,
    epsilon_1: float,
    epsilon_2: float,
    clip_threshold: float,
) -> None:
    """Adafactor (Shazeer and Stern, 2018): mean squares of the gradient from those of its rows and of its columns.

    rows <- decay * rows + (1 - decay) * mean of g**2 + epsilon_1 over the last axis, columns likewise over the last but
    one; v = rows / mean(rows) * columns, and for fewer than two axes the mean square of each element itself.
    d = g / sqrt(v);  w -= rate * max(epsilon_2, rms(w)) * d / max(1, rms(d) / clip_threshold)

    rows, columns : in the shape of w, equal along the axis that their mean is over.
    """
    xp = array_namespace(w)
    square = g * g + epsilon_1
    rows *= decay
    if len(w.shape) < 2:
        rows += (1.0 - decay) * square
        v = rows
    else:
        rows += (1.0 - decay) * xp.mean(square, axis=-1, keepdims=True)
        columns *= decay
        columns += (1.0 - decay) * xp.mean(square, axis=-2, keepdims=True)
        v = rows / xp.mean(rows, axis=-2, keepdims=True) * columns
    d = g / xp.sqrt(v)
    w -= (rate * xp.maximum(_rms(w), epsilon_2)) * d / xp.maximum(_rms(d) / clip_threshold, 1.0)


def _rms(x: Array) -> Array:
    xp = array_namespace(x)
    return xp.sqrt(xp.mean(x * x))


@accelerated
def muon(
    w: Array,
    g: Array,
    m: Array,
    rate: float,
    decay: float,
    nesterov: bool,
    steps: int,
    coefficients: tuple[float, float, float],
) -> None:
    """Muon (Jordan et al., 2024) for a matrix: momentum, made almost orthogonal.

    m <- decay * m + g;  w -= rate * orthogonalized(m), or with Nesterov's look-ahead orthogonalized(g + decay * m)
    """
    m *= decay
    m += g
    w -= rate * orthogonalized(g + decay * m if nesterov else m, steps, coefficients)


@accelerated
def orthogonalized(x: Array, steps: int, coefficients: tuple[float, float, float]) -> Array:
    """A matrix with the singular vectors of x and singular values near 1, by Newton and Schulz's iteration.

    x <- a * x + (b * x x' + c * (x x')**2) x, from x / |x|; with these a, b, c the values end between 0.7 and 1.2.

    >>> import numpy as np
    >>> y = orthogonalized(np.asarray([[3.0, 0.0], [0.0, 4.0]]), 5, NEWTON_SCHULZ)
    >>> bool(y[0, 1] == 0.0 and (0.6 < y[[0, 1], [0, 1]]).all() and (y < 1.3).all())
    True
    """
    xp = array_namespace(x)
    a, b, c = coefficients
    tall = x.shape[0] > x.shape[1]
    x = xp.matrix_transpose(x) if tall else x
    x = x / (xp.sqrt(xp.sum(x * x)) + 1e-7)
    for _ in range(steps):
        square = x @ xp.matrix_transpose(x)
        x = a * x + (b * square + c * (square @ square)) @ x
    return xp.matrix_transpose(x) if tall else x
