"""Attention of heads for CuPy: batched GEMMs that read matrices where they lie, and one launch for masks and softmax.

The factor of the logits is that of the GEMMs, so no array is scaled. In `self_attention` the heads come first in
memory, (heads, batch, steps, size): then one batched GEMM takes a cotangent to all heads.
"""

from __future__ import annotations

import importlib
import itertools
import math
from collections.abc import Callable, Sequence
from typing import Any

from nnx.backends.base import Array
from nnx.kernels import backend_kernel
from nnx.kernels.attention_conditions import accepts_self_attention, by_heads
from nnx.kernels.cupy.affine import bias_activation
from nnx.kernels.cupy.column_statistics import SummedKernel
from nnx.kernels.cupy.cuda_kernels import CUPY, ElementwiseKernel, contiguous
from nnx.kernels.cupy.dropout import dropout as drop
from nnx.kernels.cupy.matrix_products import product, products
from nnx.kernels.cupy.row_kernels import RowKernel, has_rows
from nnx.kernels.cupy.table import KERNELS
from nnx.pullbacks import SKIP, Differentiable, Pullback, linear, zero_cotangent
from nnx.random import Draw

# A row is a target of a head; heads are counted by two numbers, the second of them below `inner`. window : 0 for none.
_MASK = (
    "const bool* allowed, long long of_outer, long long of_inner, long long of_target, long long of_source, "
    "long long inner, long long targets, bool causal, long long window"
)
_SEEN = """
    const long long head = row / targets, target = row % targets;
    if (allowed) allowed += head / inner * of_outer + head % inner * of_inner + target * of_target;
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
    batch, heads, targets, _ = q.shape
    shape = (batch, heads, targets, k.shape[2])
    queries, keys, values = (x.reshape(batch * heads, *x.shape[2:]) for x in (q, k, v))
    allowed = None if allowed is None else CUPY.xp.broadcast_to(allowed, shape)
    dropped = None if dropout is None else lambda scores: drop(scores, *dropout)
    found, scores, pull_heads = _of_heads(queries, keys, values, (allowed, heads, causal, window), dropped)

    def pullback(dy: Sequence[Any]) -> tuple[Array, Array, Array]:
        dfound, dscores = dy
        dscores = None if dscores is None else dscores.reshape(scores.shape)
        dq, dk, dv = (CUPY.xp.empty(x.shape, dtype=x.dtype, device=x.device) for x in (queries, keys, values))
        pull_heads(dfound.reshape(batch * heads, targets, -1), dscores, (dq, dk, dv))
        return dq.reshape(q.shape), dk.reshape(k.shape), dv.reshape(v.shape)

    return (found.reshape(batch, heads, targets, -1), scores.reshape(shape)), pullback


def _of_heads(
    queries: Array,
    keys: Array,
    values: Array,
    seen: tuple[Array | None, int, bool, int | None],
    dropped: Differentiable | None,
) -> tuple[Array, Array, Callable[[Array, Array | None, Sequence[Array]], None]]:
    """Attention of heads (count, targets, n), (count, sources, n) and (count, sources, m): what they found, and scores.

    seen : who may look at whom. A mask (outer, inner, targets, sources), or None, whose first two axes together count
        the heads; the size of the second; whether attention is causal; its window.
    dropped : dropout of the scores, or None.

    pullback(dfound, dscores or None, (dqueries, dkeys, dvalues)) writes into the last three.
    """
    allowed, inner, causal, window = seen
    scale = 1.0 / math.sqrt(queries.shape[-1])
    # an element of the mask is a byte
    mask = (0, 0, 0, 0, 0) if allowed is None else (allowed, *allowed.strides)
    mask = (*mask, inner, queries.shape[1], causal, window or 0)
    logits = products(queries, keys.swapaxes(1, 2), alpha=scale)
    rows = (logits.shape[0] * logits.shape[1], logits.shape[2])
    scores = CUPY.xp.empty_like(logits)
    _SCORES.launch(logits.dtype, rows, logits, scores, -3e4 if logits.dtype == "float16" else -1e30, *mask)
    weights, pullback_weights = (scores, None) if dropped is None else dropped(scores)
    found = products(weights, values)

    def pullback(dfound: Array, dscores_given: Array | None, places: Sequence[Array]) -> None:
        dqueries, dkeys, dvalues = places
        dscores = products(dfound, values.swapaxes(1, 2))
        if pullback_weights is not None:
            dscores = pullback_weights(dscores)
        if dscores_given is not None:
            dscores += dscores_given
        _SCORES_PULLBACK.launch(scores.dtype, rows, dscores, scores, *mask)
        products(dscores, keys, dqueries, scale)
        products(dscores.swapaxes(1, 2), queries, dkeys, scale)
        products(weights.swapaxes(1, 2), dfound, dvalues)

    return found, scores, pullback


_BIASED = ElementwiseKernel("biased_heads", "T z, T bias", "T y", "y = (W)z + (W)bias;")
# What the projections' pullback multiplies, side by side in one matrix each: the cotangents of queries, keys and values
# (positions, 3 m), and their kernels (features, 3 m). Summed are the columns of the former, and behind them those of
# the output's cotangent: the gradients of all biases.
_SIDE_BY_SIDE = SummedKernel(
    "side_by_side",
    "const T* heads, const T* kernels, const T* output, T* cotangents, T* joint, "
    "long long positions, long long features, long long m, long long size, long long step",
    """
    const long long together = 3 * m;
    const bool behind = column >= together;
    if (row < positions) {
        const T slope = behind ? output[row * (columns - together) + column - together]
            : heads[((int)column / (int)size * positions + row) * size + (int)column % (int)size];
        if (!behind) cotangents[row * together + column] = slope;
        total += (W)slope;
    }
    if (row < features && !behind)
        joint[row * together + column] = kernels[(int)column / (int)m * step + row * m + (int)column % (int)m];""",
)


def _accepts_self_attention(x: Array, mask: Array | None, *parameters: Array, **options: Any) -> bool:
    if not accepts_self_attention(x, mask, *parameters, **options) or not has_rows(x, *parameters):
        return False
    batch, steps, _ = x.shape
    return bool(batch * parameters[0].shape[1] * steps * steps < 2**31)


@backend_kernel(KERNELS, accepts=_accepts_self_attention)
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
    xp, each = CUPY.xp, 2 if biased else 1
    kernels, biases = parameters[::each], parameters[1::2] if biased else ()
    batch, steps, n = x.shape
    _, heads, size = kernels[0].shape
    rows, m, of_output = batch * steps, heads * size, kernels[3].shape[2:]
    features = math.prod(of_output)
    shape = (heads, batch, steps, steps)
    matrix, backwards = x.reshape(rows, n), kernels[3].reshape(heads, size, features).swapaxes(1, 2)
    stacked = _stacked(kernels[:3]).reshape(3, n, m)

    def by_sample(of_heads: Array) -> Array:
        return of_heads.reshape(shape).swapaxes(0, 1)

    def by_head(of_samples: Array) -> Array:
        return of_samples.swapaxes(0, 1).reshape(heads * batch, steps, steps)

    def dropped(scores: Array) -> tuple[Array, Pullback]:  # the mask is drawn for (batch, heads, targets, sources)
        y, pull_back = drop(by_sample(scores), *dropout)  # type: ignore[misc]
        return by_head(y), lambda dy: by_head(pull_back(by_sample(dy)))

    z = products(xp.broadcast_to(matrix, (3, rows, n)), stacked).reshape(3, rows, heads, size).transpose(0, 2, 1, 3)
    if biased:
        projected = xp.empty(z.shape, dtype=z.dtype, device=z.device)
        _BIASED(z, _stacked(biases[:3])[:, :, None, :], projected)
    else:
        projected = contiguous(z)
    if mask is not None:
        mask = xp.broadcast_to(by_heads(mask), (batch, heads, steps, steps)).swapaxes(0, 1)
    queries, keys, values = projected.reshape(3, heads * batch, steps, size)
    seen = (mask, batch, causal, window)
    found, scores, pull_heads = _of_heads(queries, keys, values, seen, None if dropout is None else dropped)
    joined = contiguous(found.reshape(heads, rows, size).swapaxes(0, 1)).reshape(rows, m)
    y = product(joined, kernels[3].reshape(m, features)).reshape(batch, steps, features)
    y, pull_end = bias_activation(y, biases[3], activate) if biased else activate(y)

    def pullback(dys: Sequence[Any], out: Sequence[Any] = ()) -> tuple[Array | None, ...]:
        dy, dscores = dys
        places = tuple(out) or (None,) * (1 + len(parameters))
        wanted, of_kernels, of_biases = places[0] is not SKIP, places[1::each], places[2::2] if biased else ()
        dy = contiguous(dy).reshape(batch, steps, features)
        dz = contiguous(pull_end(dy, (None, SKIP))[0] if biased else pull_end(dy)).reshape(rows, features)
        dkernel = _product_of_kernel(joined.T, dz, of_kernels[3], kernels[3])

        dfound = products(xp.broadcast_to(dz, (heads, rows, features)), backwards)
        dheads = xp.empty((3, heads * batch, steps, size), dtype=x.dtype, device=x.device)
        dscores = None if dscores is None else by_head(dscores)
        pull_heads(dfound.reshape(heads * batch, steps, size), dscores, dheads)

        sums = [_room(place, bias) for place, bias in zip(of_biases, biases, strict=True)]
        of_keys = None
        if biased:
            sums[1], of_keys = None, zero_cotangent(biases[1], of_biases[1])
        below, behind = n if wanted else 0, features if biased and sums[3] is not None else 0
        cotangents = xp.empty((rows, 3 * m), dtype=x.dtype, device=x.device)
        joint = xp.empty((below, 3 * m), dtype=x.dtype, device=x.device)
        given = (dheads, stacked, dz, cotangents, joint, rows, below, m, size, stacked.strides[0] // stacked.itemsize)
        _SIDE_BY_SIDE.launch(x.dtype, (max(rows, below), 3 * m + behind), given, sums, m)
        if biased:
            sums[1] = of_keys

        dx = product(cotangents, joint.T).reshape(x.shape) if wanted else None
        apart = cotangents.reshape(rows, 3, m).swapaxes(0, 1)
        dkernels = [*_each_product(matrix.T, apart, of_kernels[:3], kernels[0].shape), dkernel]
        return dx, *(itertools.chain(*zip(dkernels, sums, strict=True)) if biased else dkernels)

    return (y.reshape(batch, steps, *of_output), by_sample(scores)), pullback


def _product_of_kernel(left: Array, dz: Array, place: Any, kernel: Array) -> Array | None:
    """The cotangent left @ dz of a kernel of more axes, in its place."""
    if place is SKIP:
        return None
    made = product(left, dz, None if place is None else place.reshape(left.shape[0], dz.shape[1]))
    return made.reshape(kernel.shape)


def _room(place: Any, like: Array) -> Array | None:
    """Where a kernel can write a cotangent: nowhere for SKIP, at its place, or in a new array."""
    usable = place is not None and place is not SKIP and place.flags.c_contiguous and place.dtype == like.dtype
    return None if place is SKIP else place if usable else CUPY.xp.empty(like.shape, dtype=like.dtype)


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
