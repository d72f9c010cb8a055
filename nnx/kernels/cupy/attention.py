"""Attention of heads for CuPy: batched GEMMs that read matrices where they lie, and one launch for masks and softmax.

The factor of the logits is that of the GEMMs, so no array is scaled.
"""

from __future__ import annotations

import importlib
import itertools
import math
from collections.abc import Sequence
from typing import Any

from nnx.backends.base import Array
from nnx.kernels import backend_kernel
from nnx.kernels.cupy.cuda_kernels import CUPY, ElementwiseKernel
from nnx.kernels.cupy.dropout import dropout as drop
from nnx.kernels.cupy.matrix_products import ones, products
from nnx.kernels.cupy.row_kernels import RowKernel, has_rows
from nnx.kernels.cupy.table import KERNELS
from nnx.pullbacks import SKIP, Pullback
from nnx.random import Draw

# A row is a target of a head. window : 0 for none.
_MASK = (
    "const bool* allowed, long long of_batch, long long of_head, long long of_target, long long of_source, "
    "long long heads, long long targets, bool causal, long long window"
)
_SEEN = """
    const long long head = row / targets, target = row % targets;
    if (allowed) allowed += head / heads * of_batch + head % heads * of_head + target * of_target;
    auto seen = [&](int i) {
        return !(allowed && !allowed[i * of_source]) && !(causal && i > target)
            && !(window && (i <= target - window || i >= target + window));
    };
"""
_SCORES = RowKernel(
    "attention_scores",
    f"const T* x, T* y, double hidden, {_MASK}",
    f"""{_SEEN}
    x += row * n; y += row * n;
    auto logit = [&](int i) {{ return seen(i) ? (W)x[i] : (W)hidden; }};
    W largest = team_max(n, logit);
    W total = team_sum(n, [&](int i) {{ return exp(logit(i) - largest); }});
    team_each(n, [&](int i) {{ y[i] = exp(logit(i) - largest) / total; }});""",
)
_SCORES_PULLBACK = RowKernel(
    "attention_scores_pullback",
    f"T* dy, const T* y, {_MASK}",
    f"""{_SEEN}
    dy += row * n; y += row * n;
    W mean = team_sum(n, [&](int i) {{ return (W)dy[i] * (W)y[i]; }});
    team_each(n, [&](int i) {{ dy[i] = seen(i) ? (W)y[i] * ((W)dy[i] - mean) : (W)0; }});""",
)


def _accepts(
    q: Array,
    k: Array,
    v: Array,
    allowed: Array | None = None,
    causal: bool = False,
    window: int | None = None,
    dropout: tuple[float, Draw] | None = None,
) -> bool:
    scores = math.prod(q.shape[:3]) * k.shape[2]
    drawn = dropout is None or (0.0 <= dropout[0] <= 1.0 and dropout[1].size == scores)
    return drawn and has_rows(q, k, v) and k.size > 0 and v.size > 0 and scores < 2**31


@backend_kernel(KERNELS, accepts=_accepts)
def attend(
    q: Array,
    k: Array,
    v: Array,
    allowed: Array | None = None,
    causal: bool = False,
    window: int | None = None,
    dropout: tuple[float, Draw] | None = None,
) -> tuple[tuple[Array, Array], Pullback]:
    xp, scale = CUPY.xp, 1.0 / math.sqrt(q.shape[-1])
    batch, heads, targets, _ = q.shape
    shape = (batch, heads, targets, k.shape[2])
    rows = (math.prod(shape[:3]), shape[3])
    queries, keys, values = (x.reshape(batch * heads, *x.shape[2:]) for x in (q, k, v))
    mask: tuple[Any, ...] = (0, 0, 0, 0, 0)
    if allowed is not None:
        allowed = xp.broadcast_to(allowed, shape)
        mask = (allowed, *allowed.strides)  # an element is a byte
    mask = (*mask, heads, targets, causal, window or 0)
    logits = products(queries, keys.swapaxes(1, 2), alpha=scale)
    scores = xp.empty_like(logits)
    _SCORES.launch(q.dtype, rows, logits, scores, -3e4 if q.dtype == "float16" else -1e30, *mask)
    weights, pullback_weights = (scores, None) if dropout is None else drop(scores, *dropout)
    found = products(weights, values)

    def pullback(dy: Sequence[Any]) -> tuple[Array, Array, Array]:
        dfound, dscores_given = dy
        dfound = dfound.reshape(found.shape)
        dscores = products(dfound, values.swapaxes(1, 2))
        if pullback_weights is not None:
            dscores = pullback_weights(dscores)
        if dscores_given is not None:
            dscores += dscores_given.reshape(dscores.shape)
        _SCORES_PULLBACK.launch(q.dtype, rows, dscores, scores, *mask)
        dq, dk, dv = _together(queries, keys, values)
        products(dscores, keys, dq, scale)
        products(dscores.swapaxes(1, 2), queries, dk, scale)
        products(weights.swapaxes(1, 2), dfound, dv)
        return dq.reshape(q.shape), dk.reshape(k.shape), dv.reshape(v.shape)

    return (found.reshape(batch, heads, targets, -1), scores.reshape(shape)), pullback


def _together(*like: Array) -> list[Array]:
    """An empty array like each of these, one after another in memory where they have one shape."""
    if len({x.shape for x in like}) == 1:
        return list(CUPY.xp.empty((len(like), *like[0].shape), dtype=like[0].dtype, device=like[0].device))
    return [CUPY.xp.empty(x.shape, dtype=x.dtype, device=x.device) for x in like]


_BIASED = ElementwiseKernel("biased_heads", "T z, T bias", "T y", "y = (W)z + (W)bias;")


def _accepts_projections(x: Array, *parameters: Array, biased: bool = True) -> bool:
    kernels = parameters[:: 2 if biased else 1]
    alike = len({kernel.shape for kernel in kernels}) == 1 and len(kernels) <= 3
    return alike and x.ndim == 3 and has_rows(x, *parameters) and kernels[0].size > 0


@backend_kernel(KERNELS, accepts=_accepts_projections)
def project_heads(x: Array, *parameters: Array, biased: bool = True) -> tuple[tuple[Array, ...], Pullback]:
    xp, each = CUPY.xp, 2 if biased else 1
    batch, steps, n = x.shape
    _, heads, size = parameters[0].shape
    count, rows, m = len(parameters) // each, batch * steps, heads * size
    matrix = x.reshape(rows, n)
    kernels = _stacked(parameters[::each]).reshape(count, n, m)
    z = products(xp.broadcast_to(matrix, (count, rows, n)), kernels)
    z = z.reshape(count, batch, steps, heads, size).transpose(0, 1, 3, 2, 4)  # the order in which `attend` wants them
    if biased:
        y = xp.empty(z.shape, dtype=z.dtype, device=z.device)
        _BIASED(z, _stacked(parameters[1::2])[:, None, :, None, :], y)
    else:
        y = xp.ascontiguousarray(z)

    def pullback(dys: Sequence[Array], out: Sequence[Any] = ()) -> tuple[Array | None, ...]:
        places = tuple(out)[: 1 + len(parameters)] or (None,) * (1 + len(parameters))
        dz = xp.empty((count, batch, steps, heads, size), dtype=x.dtype, device=x.device)
        dz[...] = _stacked([dy.transpose(0, 2, 1, 3) for dy in dys]).transpose(0, 1, 3, 2, 4)
        dz = dz.reshape(count, rows, m)
        dx = None
        if places[0] is not SKIP:
            dx = products(dz[:1], kernels[:1].swapaxes(1, 2))
            for index in range(1, count):
                products(dz[index : index + 1], kernels[index : index + 1].swapaxes(1, 2), dx, beta=1.0)
            dx = dx.reshape(x.shape)
        found: list[Any] = [None] * len(parameters)
        found[::each] = _each_product(matrix.T, dz, places[1::each], parameters[0].shape)
        if biased:
            found[1::2] = _each_product(ones(rows, x), dz, places[2::2], parameters[1].shape)
        return dx, *found

    return tuple(y[index].transpose(0, 2, 1, 3) for index in range(count)), pullback


def _each_product(left: Array, dz: Array, places: Sequence[Any], shape: tuple[int, ...]) -> list[Array | None]:
    """left @ dz of each projection, of that shape, but for those whose place is SKIP: three at most, so that the others
    have one step between them."""
    results: list[Array | None] = [None] * len(places)
    wanted = [index for index, place in enumerate(places) if place is not SKIP]
    if wanted:
        step = max(1, (wanted[-1] - wanted[0]) // max(1, len(wanted) - 1))
        chosen = dz[wanted[0] : wanted[-1] + 1 : step]
        given = [places[index] for index in wanted]
        room = None if any(place is None for place in given) else _side_by_side(given)
        flat = None if room is None else room.reshape(len(wanted), left.shape[0], dz.shape[2])
        made = products(CUPY.xp.broadcast_to(left, (len(wanted), *left.shape)), chosen, flat)
        for position, index in enumerate(wanted):
            results[index] = made[position].reshape(shape) if room is None else places[index]
    return results


def _stacked(arrays: Sequence[Array]) -> Array:
    """Arrays of one shape as one array, which is a view where they lie one step apart, as in a model's flat buffer."""
    view = _side_by_side(arrays)
    return CUPY.xp.stack(arrays) if view is None else view


def _side_by_side(arrays: Sequence[Array]) -> Array | None:
    """A view of arrays of one shape that are contiguous and lie one step apart; else None.

    It keeps the memory of the first one only: somebody else has to hold the others.
    """
    first = arrays[0]
    steps = {after.data.ptr - before.data.ptr for before, after in itertools.pairwise(arrays)} or {first.nbytes}
    alike = all(x.flags.c_contiguous and x.dtype == first.dtype for x in arrays)
    step = steps.pop()
    if steps or not alike or step < first.nbytes or step % first.itemsize:
        return None
    strided = importlib.import_module("cupy").lib.stride_tricks.as_strided
    return strided(first, (len(arrays), *first.shape), (step, *first.strides))
