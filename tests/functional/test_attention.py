"""Attention: against loops over heads and positions, by differences, and on every backend."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

import nnx
from nnx.backends import Placement
from nnx.backends.base import find_backend
from nnx.functional.attention import dot_product_attention, self_attention
from nnx.random import Generator, host_words
from nnx.testing import assert_close, check_gradients, no_synchronization

BATCH, TARGETS, SOURCES, HEADS, N, M = 2, 3, 5, 2, 4, 3
MASK = Generator(9).uniform((BATCH, TARGETS, SOURCES)) < 0.6
MASK[..., 1] = True

# inputs: the axes between batch and heads of the query, and of the keys; the axes attended over
SHAPES: dict[str, tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...] | None]] = {
    "sequences": ((TARGETS,), (SOURCES,), None),
    "images": ((2, 3), (3, 2), None),
    "rows": ((2, 3), (2, 5), (2,)),
    "columns": ((2, 3), (4, 3), (1,)),
    "one position": ((1,), (1,), None),
}


def arguments(name: str = "sequences") -> list[np.ndarray]:
    targets, sources, _ = SHAPES[name]
    shapes = [(BATCH, *targets, HEADS, N), (BATCH, *sources, HEADS, N), (BATCH, *sources, HEADS, M)]
    return [Generator(i).normal(shape) for i, shape in enumerate(shapes)]


def by_loops(
    query: np.ndarray, key: np.ndarray, value: np.ndarray, allowed: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """For sequences: allowed (batch, heads, targets, sources)."""
    output, scores = np.zeros((*query.shape[:-1], value.shape[-1])), np.zeros(allowed.shape)
    for b, h, t in itertools.product(*map(range, allowed.shape[:3])):
        logits = np.asarray([query[b, t, h] @ key[b, s, h] for s in range(key.shape[1])]) / np.sqrt(query.shape[-1])
        weights = np.exp(logits) * allowed[b, h, t]
        if not allowed[b, h, t].any():
            weights = np.ones(len(weights))
        scores[b, h, t] = weights / weights.sum()
        output[b, t, h] = sum(scores[b, h, t, s] * value[b, s, h] for s in range(key.shape[1]))
    return output, scores


FULL = (BATCH, HEADS, TARGETS, SOURCES)
NEAR = np.subtract.outer(np.arange(TARGETS), np.arange(SOURCES))  # target - source
RULES: dict[str, tuple[Any, dict[str, Any], np.ndarray]] = {
    # the mask given, options, and who may look at whom
    "everybody": (None, {}, np.ones(FULL, bool)),
    "mask": (MASK, {}, MASK[:, None]),
    "mask of heads": (np.stack([MASK, ~MASK], axis=1), {}, np.stack([MASK, ~MASK], axis=1)),
    "mask of all samples": (MASK[0], {}, MASK[0][None, None]),
    "mask of sources": (MASK[:, :1], {}, MASK[:, None, :1]),
    "nobody": (np.zeros((BATCH, TARGETS, SOURCES), bool), {}, np.zeros(FULL, bool)),
    "causal": (None, {"causal": True}, NEAR >= 0),
    "causal mask": (MASK, {"causal": True}, MASK[:, None] & (NEAR >= 0)),
    "window": (None, {"window": 2}, abs(NEAR) < 2),
    "causal window": (MASK, {"causal": True, "window": 2}, MASK[:, None] & (NEAR >= 0) & (NEAR < 2)),
}


@pytest.mark.parametrize("rule", RULES)
def test_values_are_those_of_loops(backend: Placement, rule: str) -> None:
    mask, options, allowed = RULES[rule]
    host = arguments()
    arrays = [backend.asarray(array) for array in host]
    given = None if mask is None else backend.asarray(mask, "bool")
    with no_synchronization():
        (output, scores), pullback = dot_product_attention(*arrays, given, **options)
        dy = [backend.asarray(Generator(5 + i).normal(tuple(y.shape))) for i, y in enumerate((output, scores))]
        cotangents = pullback(dy)
    expected, expected_scores = by_loops(*host, np.broadcast_to(allowed, FULL))
    assert_close(output, expected, length=50, like=arrays[0])
    assert_close(scores, expected_scores, length=50, like=arrays[0])
    _, reference = dot_product_attention(*host, mask, **options)
    wanted = reference([Generator(5 + i).normal(tuple(y.shape)) for i, y in enumerate((output, scores))])
    for mine, theirs in zip(cotangents, wanted, strict=True):
        assert_close(mine, theirs, length=50, like=arrays[0])


@pytest.mark.parametrize("rule", RULES)
def test_gradients(rule: str) -> None:
    mask, options, _ = RULES[rule]
    check_gradients(lambda q, k, v: dot_product_attention(q, k, v, mask, **options), *arguments())


@pytest.mark.parametrize("name", SHAPES)
def test_gradients_over_other_axes(name: str) -> None:
    axes = SHAPES[name][2]
    (_, scores), _ = dot_product_attention(*arguments(name), axes=axes)
    count = 1 if axes else len(SHAPES[name][0])
    mask = Generator(3).uniform((BATCH, *scores.shape[-2 * count :])) < 0.7
    drop = (0.3, Generator(4).draw(scores.size))
    check_gradients(lambda q, k, v: dot_product_attention(q, k, v, axes=axes), *arguments(name))
    check_gradients(
        lambda q, k, v: dot_product_attention(q, k, v, mask, axes=axes, dropout=drop, causal=True), *arguments(name)
    )


def test_axes_that_are_not_attended_over_are_like_the_batch(backend: Placement) -> None:
    query, key, value = (backend.asarray(array) for array in arguments("rows"))
    mask = Generator(3).uniform((BATCH, 3, 5)) < 0.7
    (output, scores), _ = dot_product_attention(query, key, value, backend.asarray(mask, "bool"), axes=(2,))
    assert tuple(scores.shape) == (BATCH, 2, HEADS, 3, 5)
    for row in range(2):
        (expected, expected_scores), _ = dot_product_attention(
            query[:, row, ...], key[:, row, ...], value[:, row, ...], backend.asarray(mask, "bool")
        )
        assert_close(output[:, row, ...], expected, length=20)
        assert_close(scores[:, row, ...], expected_scores, length=20)


def test_all_axes_are_one_sequence() -> None:
    arrays = arguments("images")
    (output, scores), _ = dot_product_attention(*arrays)
    flat = [array.reshape(BATCH, 6, HEADS, -1) for array in arrays]
    (expected, expected_scores), _ = dot_product_attention(*flat)
    assert scores.shape == (BATCH, HEADS, 2, 3, 3, 2)
    assert_close(output.reshape(expected.shape), expected)
    assert_close(scores.reshape(expected_scores.shape), expected_scores)


def test_dropout_is_of_the_scores_that_weigh_values(backend: Placement) -> None:
    arrays = [backend.asarray(array) for array in arguments()]
    draw = Generator(3).draw(BATCH * HEADS * TARGETS * SOURCES)
    (output, scores), _ = dot_product_attention(*arrays, dropout=(0.4, draw))
    (_, undropped), _ = dot_product_attention(*arrays)
    assert_close(scores, undropped, 0.0, 0.0)
    kept = (host_words(draw).astype(np.int64) >= round(0.4 * 2**32)).reshape(FULL) / 0.6
    weights = nnx.to_numpy(scores) * kept
    assert_close(output, np.einsum("bhts,bshm->bthm", weights, arguments()[2]), rtol=1e-5, like=arrays[0])


def test_missing_cotangents_are_zero() -> None:
    (output, scores), pullback = dot_product_attention(*arguments(), MASK)
    zeros = (np.zeros_like(output), np.zeros_like(scores))
    for chosen, y in enumerate((output, scores)):
        full = [np.ones_like(y) if i == chosen else zero for i, zero in enumerate(zeros)]
        some = [array if i == chosen else None for i, array in enumerate(full)]
        for mine, theirs in zip(pullback(some), pullback(full), strict=True):
            assert_close(mine, theirs)


def test_large_logits_and_masks_stay_finite_in_every_dtype(backend: Placement) -> None:
    for dtype in find_backend(backend.name).float_dtypes(backend.device):
        query, key, value = (backend.asarray(30.0 * array, dtype) for array in arguments())
        (output, scores), pullback = dot_product_attention(
            query, key, value, backend.asarray(MASK, "bool"), causal=True
        )
        cotangents = pullback((backend.xp.ones_like(output), None))
        for array in (output, scores, *cotangents):
            assert array.dtype == query.dtype
            assert np.isfinite(nnx.to_numpy(array)).all()


def test_a_mask_of_another_rank() -> None:
    for shape in ((SOURCES,), (1, BATCH, HEADS, TARGETS, SOURCES)):
        with pytest.raises(ValueError, match=r"scores of shape \(2, 2, 3, 5\) cannot have the shape"):
            dot_product_attention(*arguments(), np.ones(shape, bool))


def test_a_mask_of_another_rank_for_self_attention(backend: Placement) -> None:
    x, *kernels = (backend.xp.ones(shape) for shape in ((2, 3, 4), *[(4, 2, 5)] * 3, (2, 5, 4)))
    for shape in ((), (3,), (1, 2, 2, 3, 3)):
        with pytest.raises(ValueError, match=r"scores of shape \(2, 2, 3, 3\) cannot have the shape"):
            self_attention(x, backend.asarray(np.ones(shape, bool), "bool"), *kernels, biased=False)
