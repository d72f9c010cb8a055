"""Guards: a cotangent that is exactly 0 stays 0, whatever the slope that it meets.

So nothing comes out of the branch that `where` did not select: 0 times infinity would be NaN. Only slopes that can be
infinite or NaN where the argument is finite need a guard: those of roots, logarithms, quotients, powers, exponentials.
"""

from __future__ import annotations

from nnx.autodiff.array import lower
from nnx.backends import Array, Namespace


def divisor(xp: Namespace, dy: Array, x: Array) -> Array:
    """x, to divide dy by: 1 where dy is 0, so that the quotient is.

    Where the quotient will be differentiated, only what would make NaN is replaced: 0 / x follows its 0 with 1 / x.
    """
    kind = xp.kind
    if type(dy) is kind or type(x) is kind:
        plain = lower(x)
        return xp.where((lower(dy) == 0) & ((plain == 0) | (plain != plain)), 1.0, x)
    return xp.where_zero(dy, 1.0, x)


def factor(xp: Namespace, dy: Array, x: Array) -> Array:
    """x, to multiply dy with: 0 where dy is 0, so that the product is; as `divisor`."""
    kind = xp.kind
    if type(dy) is kind or type(x) is kind:
        return xp.where((lower(dy) == 0) & ~xp.base.isfinite(lower(x)), 0.0, x)
    return xp.where_zero(dy, 0.0, x)
