"""Merging of several arrays into one: sums, products, extrema and concatenation.

The element-wise functions broadcast as Keras does: an array of fewer axes gets new ones, of size 1, after the batch
axis; then sizes of 1 are repeated. Cotangents are summed over what was repeated. As everywhere, the pullback returns
one array for one argument, else a tuple.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable, Sequence
from typing import Any

from nnx.backends import Array, array_namespace
from nnx.functional.arithmetic import sum_to
from nnx.kernels import accelerated
from nnx.precision import narrow, wide
from nnx.pullbacks import Pullback

__all__ = ["add", "average", "concatenate", "maximum", "minimum", "multiply", "subtract"]

Masks = Sequence[Array | None] | None
"""For each input a boolean array of the sizes of its first axes, such as (batch, time), or None."""


@accelerated
def add(*inputs: Array) -> tuple[Array, Pullback]:
    """Sum of all inputs: y = inputs[0] + inputs[1] + ...

    inputs : (batch, ...), of shapes that broadcast as Keras's; see the module.

    Returns y, and pullback(dy) -> a cotangent for each input: dy, summed over what was repeated.

    >>> import numpy as np
    >>> from nnx import functional
    >>> y, pullback = functional.add(np.asarray([[1.0, 2.0]]), np.asarray([[10.0]]))
    >>> y, pullback(np.ones((1, 2)))
    (array([[11., 12.]]), (array([[1., 1.]]), array([[2.]])))
    """
    aligned = align(inputs)
    return functools.reduce(operator.add, aligned), lambda dy: _cotangents([dy] * len(inputs), aligned, inputs)


@accelerated
def subtract(a: Array, b: Array) -> tuple[Array, Pullback]:
    """Difference of two inputs: a - b

    a, b : (batch, ...), of shapes that broadcast as Keras's; see the module.

    Returns y, and pullback(dy) -> (da, db): dy and -dy, summed over what was repeated.

    >>> import numpy as np
    >>> from nnx import functional
    >>> y, pullback = functional.subtract(np.asarray([[1.0, 2.0]]), np.asarray([[3.0, 0.0]]))
    >>> y, pullback(np.ones((1, 2)))
    (array([[-2.,  2.]]), (array([[1., 1.]]), array([[-1., -1.]])))
    """
    first, second = align((a, b))
    return first - second, lambda dy: _cotangents([dy, -dy], (first, second), (a, b))


@accelerated
def average(*inputs: Array) -> tuple[Array, Pullback]:
    """Mean of all inputs: y = (inputs[0] + inputs[1] + ...) / (how many there are)

    inputs : (batch, ...), of shapes that broadcast as Keras's; see the module.

    Returns y, and pullback(dy) -> a cotangent for each input: dy / (how many there are), summed over what was repeated.

    >>> import numpy as np
    >>> from nnx import functional
    >>> y, pullback = functional.average(np.asarray([[1.0, 2.0]]), np.asarray([[3.0, 0.0]]))
    >>> y, pullback(np.ones((1, 2)))
    (array([[2., 1.]]), (array([[0.5, 0.5]]), array([[0.5, 0.5]])))
    """
    total, pullback = add(*map(wide, inputs))
    share = 1.0 / len(inputs)
    return narrow(total * share, inputs[0]), lambda dy: pullback(dy * share)


@accelerated
def multiply(*inputs: Array, masks: Masks = None) -> tuple[Array, Pullback]:
    """Product of all inputs: y = inputs[0] * inputs[1] * ...

    inputs : (batch, ...), of shapes that broadcast as Keras's; see the module.
    masks : an input counts as 1 where its mask is False; where all inputs have masks and all are False, y is 0. By
        default None; else for each input None, or a boolean array of the sizes of its first axes.

    Returns y, and pullback(dy) -> a cotangent for each input: dy times the product of the others, summed over what was
    repeated, and 0 where a mask is False.

    >>> import numpy as np
    >>> from nnx import functional
    >>> y, pullback = functional.multiply(np.asarray([[1.0, 2.0]]), np.asarray([[3.0, 0.0]]))
    >>> y, pullback(np.ones((1, 2)))
    (array([[3., 0.]]), (array([[3., 0.]]), array([[1., 2.]])))
    """
    xp = array_namespace(inputs[0])
    aligned, kept = align(inputs), align_masks(masks, inputs)
    factors = [x if mask is None else xp.where(mask, x, 1.0) for x, mask in zip(aligned, kept, strict=True)]
    before = [factors[0]]  # products of the factors up to each one
    for factor in factors[1:]:
        before.append(before[-1] * factor)
    seen = None if any(mask is None for mask in kept) else functools.reduce(xp.logical_or, kept)
    y = before[-1] if seen is None else xp.where(seen, before[-1], 0.0)

    def pullback(dy: Array) -> Any:
        cotangents: list[Array] = []
        after = dy if seen is None else xp.where(seen, dy, 0.0)  # times the product of the factors behind
        for position in range(len(factors) - 1, -1, -1):
            cotangent = after * before[position - 1] if position else after
            mask = kept[position]
            cotangents.append(cotangent if mask is None else xp.where(mask, cotangent, 0.0))
            after = after * factors[position]
        return _cotangents(cotangents[::-1], aligned, inputs)

    return y, pullback


@accelerated
def maximum(*inputs: Array, masks: Masks = None) -> tuple[Array, Pullback]:
    """Maximum of all inputs, element by element: y = max(inputs[0], inputs[1], ...)

    inputs : (batch, ...), of shapes that broadcast as Keras's; see the module.
    masks : an input does not take part where its mask is False; where none does, y is the first. By default None; else
        for each input None, or a boolean array of the sizes of its first axes.

    Returns y, and pullback(dy) -> a cotangent for each input: dy where it is the largest, else 0. Of two that are equal
    each gets half of the cotangent.

    >>> import numpy as np
    >>> from nnx import functional
    >>> y, pullback = functional.maximum(np.asarray([[1.0, 2.0]]), np.asarray([[3.0, 2.0]]))
    >>> y, pullback(np.ones((1, 2)))
    (array([[3., 2.]]), (array([[0. , 0.5]]), array([[1. , 0.5]])))
    """
    return _extremum(inputs, masks, array_namespace(inputs[0]).maximum, operator.gt)


@accelerated
def minimum(*inputs: Array, masks: Masks = None) -> tuple[Array, Pullback]:
    """Minimum of all inputs, element by element: y = min(inputs[0], inputs[1], ...)

    inputs, masks : as for `maximum`.

    Returns y, and pullback(dy) -> a cotangent for each input: dy where it is the smallest, else 0; equal inputs share
    it as in `maximum`.

    >>> import numpy as np
    >>> from nnx import functional
    >>> y, pullback = functional.minimum(np.asarray([[1.0, 2.0]]), np.asarray([[3.0, 0.0]]))
    >>> y, pullback(np.ones((1, 2)))
    (array([[1., 0.]]), (array([[1., 0.]]), array([[0., 1.]])))
    """
    return _extremum(inputs, masks, array_namespace(inputs[0]).minimum, operator.lt)


@accelerated
def concatenate(*inputs: Array, axis: int = -1) -> tuple[Array, Pullback]:
    """Concatenation of the inputs along an axis; all other sizes are equal.

    inputs : of as many axes each.
    axis : by default the last.

    Returns y, and pullback(dy) -> a cotangent for each input: its part of dy.

    >>> import numpy as np
    >>> from nnx import functional
    >>> y, pullback = functional.concatenate(np.asarray([[1.0, 2.0]]), np.asarray([[3.0]]))
    >>> y, pullback(y)
    (array([[1., 2., 3.]]), (array([[1., 2.]]), array([[3.]])))
    """
    xp = array_namespace(inputs[0])
    axis %= len(inputs[0].shape)
    ahead = (slice(None),) * axis

    def pullback(dy: Array) -> Any:
        start, parts = 0, []
        for x in inputs:
            parts.append(dy[(*ahead, slice(start, start + x.shape[axis]), ...)])
            start += x.shape[axis]
        return parts[0] if len(parts) == 1 else tuple(parts)

    return xp.concat(inputs, axis=axis), pullback


def _extremum(
    inputs: Sequence[Array],
    masks: Masks,
    better: Callable[[Array, Array], Array],
    is_better: Callable[[Array, Array], Array],
) -> tuple[Array, Pullback]:
    """The best of the inputs, found from the first to the last; the pullback goes the same way back."""
    xp = array_namespace(inputs[0])
    aligned, kept = align(inputs), align_masks(masks, inputs)
    best, seen = aligned[0], kept[0]
    shares: list[Array] = []  # the part of the cotangent that goes to the best so far, when another input is added
    for x, mask in zip(aligned[1:], kept[1:], strict=True):
        share = xp.astype(is_better(best, x), x.dtype) + 0.5 * xp.astype(best == x, x.dtype)
        found = better(best, x)
        if seen is not None:
            share, found = xp.where(seen, share, 0.0), xp.where(seen, found, x)
        if mask is not None:
            share, found = xp.where(mask, share, 1.0), xp.where(mask, found, best)
        shares.append(share)
        best, seen = found, None if seen is None or mask is None else xp.logical_or(seen, mask)

    def pullback(dy: Array) -> Any:
        cotangents: list[Array] = []
        for share in reversed(shares):
            cotangents.append(dy * (1.0 - share))
            dy = dy * share
        return _cotangents([dy, *reversed(cotangents)], aligned, inputs)

    return best, pullback


def align(inputs: Sequence[Array]) -> list[Array]:
    """Inputs with as many axes as the one that has most: new ones, of size 1, come after the batch axis."""
    ndim = max(len(x.shape) for x in inputs)
    return [_expand(x, ndim - len(x.shape)) for x in inputs]


def align_masks(masks: Masks, inputs: Sequence[Array]) -> list[Array | None]:
    """Masks in shapes that broadcast against the aligned inputs."""
    ndim = max(len(x.shape) for x in inputs)
    aligned: list[Array | None] = []
    for x, mask in zip(inputs, masks or [None] * len(inputs), strict=True):
        if mask is not None:
            xp = array_namespace(mask)
            mask = xp.reshape(mask, (*mask.shape, *(1,) * (len(x.shape) - len(mask.shape))))
            mask = _expand(mask, ndim - len(x.shape))
        aligned.append(mask)
    return aligned


def _expand(x: Array, axes: int) -> Array:
    return array_namespace(x).reshape(x, (x.shape[0], *(1,) * axes, *x.shape[1:])) if axes else x


def _cotangents(cotangents: Sequence[Array], aligned: Sequence[Array], inputs: Sequence[Array]) -> Any:
    """The cotangents of broadcast arrays, in the shapes of the inputs."""
    found = tuple(
        array_namespace(x).reshape(sum_to(cotangent, full), x.shape)
        for cotangent, full, x in zip(cotangents, aligned, inputs, strict=True)
    )
    return found[0] if len(found) == 1 else found
