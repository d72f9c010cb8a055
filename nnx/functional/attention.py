"""Attention: means of values, weighted by how well their keys fit a query."""

from __future__ import annotations

import functools
import math
import operator
from collections.abc import Sequence
from typing import Any

from nnx.backends import Array, Namespace, array_namespace
from nnx.functional.activations import softmax
from nnx.functional.affine import project
from nnx.functional.dropout import dropout as drop
from nnx.functional.masking import keep
from nnx.functional.matrix_products import matrix_products
from nnx.kernels import accelerated, alike
from nnx.kernels.attention_conditions import allowed_sources
from nnx.pullbacks import SKIP, Differentiable, Pullback, linear, zero_cotangent
from nnx.random import Draw

__all__ = ["dot_product_attention"]


def dot_product_attention(
    query: Array,
    key: Array,
    value: Array,
    mask: Array | None = None,
    *,
    axes: Sequence[int] | None = None,
    causal: bool = False,
    window: int | None = None,
    dropout: tuple[float, Draw] | None = None,
) -> tuple[tuple[Array, Array], Pullback]:
    """Scaled dot-product attention: dropout(softmax(query @ key.T / sqrt(n))) @ value, for each head

    query : (batch, targets, heads, n).
    key, value : (batch, sources, heads, n) and (batch, sources, heads, m).
    mask : bool, true where a target may look at a source; (batch, [heads,] targets, sources), or what can be broadcast
        to that. The others get a large negative logit: score 0, unless a target may look at no source, when all scores
        are equal.
    axes : for inputs of more axes, (batch, ..., heads, n): which of those between are attended over, by default all.
        The others belong to the batch. Scores are (batch, others..., heads, targets..., sources...), as is the mask.
    causal : a target may only look at sources up to its own position. By default False.
    window : a target may only look at sources less than so many positions away. By default None, all.
    dropout : a rate, and the draw of a mask of the scores' size. By default None.

    Returns (output, scores), output (batch, targets, heads, m) and scores (batch, heads, targets, sources), before
    dropout, and pullback((doutput, dscores)) -> (dquery, dkey, dvalue); doutput or dscores may be None for zero.
    ValueError for a mask whose axes do not fit.

    Vaswani et al., "Attention is all you need", 2017, arXiv:1706.03762.

    >>> import numpy as np
    >>> query, key = np.zeros((1, 1, 1, 2)), np.zeros((1, 2, 1, 2))
    >>> value = np.asarray([1.0, 3.0]).reshape(1, 2, 1, 1)
    >>> (output, scores), pullback = dot_product_attention(query, key, value)
    >>> output.tolist(), scores.tolist()
    ([[[[2.0]]]], [[[[0.5, 0.5]]]])
    >>> dquery, dkey, dvalue = pullback((np.ones((1, 1, 1, 1)), None))
    >>> dvalue.ravel()
    array([0.5, 0.5])
    """
    query, key, value = alike(query, key, value)
    xp = array_namespace(query)
    axes = tuple(range(1, len(query.shape) - 2)) if axes is None else tuple(axes)
    fold = _Folding(xp, query, axes)
    q, k, v = fold.queries(query), fold.sources(key), fold.sources(value)
    (found, scores), pullback_heads = attend(q, k, v, fold.mask(mask, key.shape), causal, window, dropout)

    def pullback(dy: Sequence[Array | None]) -> tuple[Array, Array, Array]:
        doutput, dscores = dy
        cotangents = pullback_heads(
            (
                xp.zeros_like(found) if doutput is None else fold.queries(doutput),
                None if dscores is None else xp.reshape(dscores, scores.shape),
            )
        )
        dquery, dkey, dvalue = (fold.back(d, x.shape) for d, x in zip(cotangents, (query, key, value), strict=True))
        return dquery, dkey, dvalue

    output = fold.back(found, (*query.shape[:-1], value.shape[-1]))
    return (output, xp.reshape(scores, fold.scores_shape(key.shape))), pullback


def project_heads(x: Array, *parameters: Array, biased: bool = True) -> tuple[tuple[Array, ...], Pullback]:
    """Several projections of one array to heads, as of self-attention: y = x @ kernel + bias for each

    x (..., n).
    parameters : for each projection a kernel (n, heads, size) and, if `biased`, a bias (heads, size).

    Returns a y (..., heads, size) for each projection, and pullback(dys) -> (dx, and a cotangent for each parameter).

    >>> import numpy as np
    >>> x, kernels = np.asarray([[1.0, 2.0]]), [np.ones((2, 1, 1)), np.full((2, 1, 1), 3.0)]
    >>> ys, pullback = project_heads(x, *kernels, biased=False)
    >>> [y.tolist() for y in ys], pullback(ys)[0].tolist()
    ([[[[3.0]]], [[[9.0]]]], [[30.0, 30.0]])
    """
    each = 2 if biased else 1
    made = [project(x, *parameters[start : start + each]) for start in range(0, len(parameters), each)]

    def pullback(dys: Sequence[Array], out: Sequence[Any] = ()) -> tuple[Array | None, ...]:
        places = out or (None,) * (1 + len(parameters))
        dxs, cotangents = [], []
        for index, (dy, (_, pullback_one)) in enumerate(zip(dys, made, strict=True)):
            start = 1 + each * index
            dx, *found = pullback_one(dy, out=(places[0], *places[start : start + each]))
            dxs.append(dx)
            cotangents += found
        return None if places[0] is SKIP else functools.reduce(operator.add, reversed(dxs)), *cotangents

    return tuple(y for y, _ in made), pullback


@accelerated
def self_attention(
    x: Array,
    mask: Array | None,
    *parameters: Array,
    biased: bool = True,
    axes: Sequence[int] | None = None,
    causal: bool = False,
    window: int | None = None,
    dropout: tuple[float, Draw] | None = None,
    activate: Differentiable = linear,
) -> tuple[tuple[Array, Array], Pullback]:
    """Attention of an array to itself, between projections: `project_heads`, `dot_product_attention`, and `project`.

    x (batch, ..., n).
    parameters : for queries, keys, values and the output a kernel and, if `biased`, a bias. Kernels (n, heads, size),
        for the output (heads, size, of the output's axes...).
    mask (or None), axes, causal, window, dropout : as for `dot_product_attention`.
    activate : as for `dense`, what ends the output's projection.

    Returns (y, scores), y (batch, ..., of the output's axes...), and pullback((dy, dscores)) -> (dx, and a cotangent
    for each parameter); dscores may be None for zero. The cotangent of the keys' bias is 0, not what rounding leaves of
    it: such a bias adds one number to all logits of a target, which softmax does not see.

    >>> import numpy as np
    >>> x, kernels = np.asarray([[[1.0], [3.0]]]), [np.zeros((1, 1, 1)), np.zeros((1, 1, 1)), *np.ones((2, 1, 1, 1))]
    >>> (y, scores), pullback = self_attention(x, None, *kernels, biased=False)
    >>> y.tolist(), scores.tolist()
    ([[[2.0], [2.0]]], [[[[0.5, 0.5], [0.5, 0.5]]]])
    >>> pullback((y, None))[0].tolist()
    [[[2.0], [2.0]]]
    """
    each = 2 if biased else 1
    first, last = parameters[:-each], parameters[-each:]
    (q, k, v), pullback_projections = project_heads(x, *first, biased=biased)
    (heads, scores), pullback_heads = dot_product_attention(
        q, k, v, mask, axes=axes, causal=causal, window=window, dropout=dropout
    )
    y, pullback_output = project(heads, last[0], last[1] if biased else None, 2, activate)

    def pullback(dys: Sequence[Any], out: Sequence[Any] = ()) -> tuple[Array | None, ...]:
        places = list(out) or [None] * (1 + len(parameters))
        place = places[4]
        if biased:
            places[4] = SKIP
        dheads, *of_last = pullback_output(dys[0], out=(None, *places[-each:]))
        dx, *of_first = pullback_projections(pullback_heads((dheads, dys[1])), out=places[:-each])
        cotangents = [dx, *of_first, *of_last]
        if biased:
            cotangents[4] = zero_cotangent(parameters[3], place)
        return tuple(cotangents)

    return (y, scores), pullback


@accelerated
def attend(
    q: Array,
    k: Array,
    v: Array,
    allowed: Array | None = None,
    causal: bool = False,
    window: int | None = None,
    dropout: tuple[float, Draw] | None = None,
) -> tuple[tuple[Array, Array], Pullback]:
    """Attention of each head for itself, in the form in which it is computed; see `dot_product_attention`.

    q (batch, heads, targets, n), k (batch, heads, sources, n), v (batch, heads, sources, m).
    allowed : bool, broadcasts against the scores (batch, heads, targets, sources); None for all.

    Returns (found, scores), found (batch, heads, targets, m), and pullback((dfound, dscores)) -> (dq, dk, dv); dscores
    may be None for zero.

    >>> import numpy as np
    >>> q, k, v = np.zeros((1, 1, 1, 2)), np.zeros((1, 1, 2, 2)), np.asarray([1.0, 3.0]).reshape(1, 1, 2, 1)
    >>> (found, scores), pullback = attend(q, k, v)
    >>> found.tolist(), scores.tolist()
    ([[[[2.0]]]], [[[[0.5, 0.5]]]])
    """
    xp = array_namespace(q)
    allowed = allowed_sources(allowed, q, q.shape[2], k.shape[2], causal, window)
    scale = 1.0 / math.sqrt(q.shape[-1])
    q = q * scale
    logits = matrix_products(q, xp.matrix_transpose(k))
    if allowed is not None:
        logits = keep(logits, allowed)
    scores, pullback_scores = softmax(logits)
    weights, pullback_weights = (scores, None) if dropout is None else drop(scores, *dropout)
    found = matrix_products(weights, v)

    def pullback(dy: Sequence[Array | None]) -> tuple[Array, Array, Array]:
        dfound, dscores_given = dy
        dv = matrix_products(xp.matrix_transpose(weights), dfound)
        dscores = matrix_products(dfound, xp.matrix_transpose(v))
        if pullback_weights is not None:
            dscores = pullback_weights(dscores)
        if dscores_given is not None:
            dscores = dscores + dscores_given
        dlogits = pullback_scores(dscores)
        if allowed is not None:
            dlogits = xp.where(allowed, dlogits, 0.0)
        dk = matrix_products(xp.matrix_transpose(dlogits), q)
        return matrix_products(dlogits, k) * scale, dk, dv

    return (found, scores), pullback


class _Folding:
    """Between (batch, ..., heads, n) and (batch * others, heads, positions, n), the form that is computed with."""

    def __init__(self, xp: Namespace, query: Array, axes: tuple[int, ...]) -> None:
        ndim = len(query.shape)
        self._xp, self._axes, self._shape = xp, axes, tuple(query.shape)
        self._others = tuple(axis for axis in range(1, ndim - 2) if axis not in axes)
        self._order = (0, *self._others, ndim - 2, *axes, ndim - 1)
        self._groups = math.prod(self._sizes(self._shape, (0, *self._others)))

    @staticmethod
    def _sizes(shape: Sequence[int], axes: Sequence[int]) -> tuple[int, ...]:
        return tuple(shape[axis] for axis in axes)

    def sources(self, x: Array) -> Array:
        moved = self._xp.permute_dims(x, self._order)
        positions = math.prod(self._sizes(x.shape, self._axes))
        return self._xp.reshape(moved, (self._groups, x.shape[-2], positions, x.shape[-1]))

    queries = sources

    def back(self, y: Array, shape: Sequence[int]) -> Array:
        """The inverse, to an array of that shape."""
        moved = self._xp.reshape(y, self._sizes(shape, self._order))
        inverse = tuple(self._order.index(axis) for axis in range(len(self._order)))
        return self._xp.permute_dims(moved, inverse)

    def scores_shape(self, key_shape: Sequence[int]) -> tuple[int, ...]:
        """(batch, others..., heads, targets..., sources...)"""
        positions = (*self._sizes(self._shape, self._axes), *self._sizes(key_shape, self._axes))
        return (*self._sizes(self._shape, (0, *self._others)), self._shape[-2], *positions)

    def mask(self, mask: Array | None, key_shape: Sequence[int]) -> Array | None:
        """A mask whose missing axes are those before the targets, broadcastable to the folded scores."""
        if mask is None:
            return None
        full = self.scores_shape(key_shape)
        before = len(mask.shape) - 2 * len(self._axes)
        missing = len(full) - len(mask.shape)
        whole = (*full[:before], *full[before + missing :])
        if before < 0 or missing < 0 or any(s not in (1, f) for s, f in zip(mask.shape, whole, strict=True)):
            raise ValueError(
                f"the mask of attention scores of shape {full} cannot have the shape {tuple(mask.shape)}; expected is "
                f"(batch, targets, sources), or (batch, heads, targets, sources)"
            )
        mask = self._xp.reshape(mask, (*mask.shape[:before], *[1] * missing, *mask.shape[before:]))
        if len(full) == 4:
            return mask
        heads = len(self._others) + 1
        mask = self._xp.broadcast_to(mask, (*full[:heads], mask.shape[heads], *full[heads + 1 :]))
        split = heads + 1 + len(self._axes)
        return self._xp.reshape(
            mask, (self._groups, mask.shape[heads], math.prod(full[heads + 1 : split]), math.prod(full[split:]))
        )
