"""Layers of several inputs against Keras 3 on JAX: values, gradients, shapes and masks."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

jax = pytest.importorskip("jax", reason="the oracle JAX is not installed; pip install 'nnx-array[oracle]'")
keras = pytest.importorskip("keras", reason="the oracle Keras is not installed; pip install 'nnx-array[oracle]'")
if keras.backend.backend() != "jax":
    pytest.skip(
        f"Keras runs on {keras.backend.backend()}, and its gradients are wanted from JAX", allow_module_level=True
    )

import nnx  # noqa: E402
from nnx.layers import merging  # noqa: E402
from nnx.random import Generator  # noqa: E402
from nnx.testing import assert_close  # noqa: E402

RTOL = 2e-5  # relative to the largest element


def arrays(shapes: list[tuple[int, ...]]) -> list[np.ndarray]:
    generator = Generator(0)
    return [generator.normal(shape).astype(np.float32) for shape in shapes]


def close(found: Any, expected: Any) -> None:
    expected = np.asarray(expected)
    assert_close(found, expected, rtol=RTOL, atol=RTOL * max(float(np.abs(expected).max(initial=0.0)), 1.0))


def with_masks(inputs: Any, masks: Any) -> Any:
    """Attach masks, as Keras's layers do."""
    for x, mask in zip(inputs, masks or (), strict=False):
        if mask is not None:
            keras.src.backend.set_keras_mask(x, mask)
    return inputs


def compare(name: str, options: dict[str, Any], inputs: list[np.ndarray], masks: Any = None) -> None:
    ours, theirs = getattr(merging, name)(**options), getattr(keras.layers, name)(**options)
    shapes = [(None, *x.shape[1:]) for x in inputs]
    ours.build_on(nnx.get_backend(), shapes if len(shapes) > 1 else shapes[0])
    y, pullback = ours.forward(*inputs, **({"mask": masks} if masks and ours.uses_mask else {}))
    dy = Generator(1).normal(y.shape).astype(np.float32)

    def call(*inputs: Any) -> Any:
        return theirs(with_masks([keras.ops.add(x, 0.0) for x in inputs], masks))

    def value_and_cotangents(*inputs: Any) -> Any:
        expected, vjp = jax.vjp(call, *inputs)
        return expected, vjp(dy)

    expected, cotangents = jax.jit(value_and_cotangents)(*inputs)
    close(y, expected)
    dx = pullback(dy)
    for found, wanted in zip(dx if len(inputs) > 1 else (dx,), cotangents, strict=True):
        close(found, wanted)
    assert ours.compute_output_shape(shapes) == theirs.compute_output_shape(shapes)
    if masks:
        output = theirs(with_masks([jax.numpy.asarray(x) for x in inputs], masks))
        mask, expected = ours.compute_mask(inputs, masks), keras.src.backend.get_keras_mask(output)
        if mask is None:  # or a mask that leaves nothing out
            assert expected is None or np.asarray(expected).all()
        else:
            assert mask.tolist() == np.asarray(expected).tolist()


SHAPES = [
    [(4, 5), (4, 5)],
    [(2, 3, 4), (2, 3, 4), (2, 3, 4)],
    [(4, 5)],
    [(2, 3, 1), (2, 1, 4)],
    [(2, 4), (2, 3, 5, 4)],
    [(2, 1), (2, 3)],
]
KINDS = ["Add", "Multiply", "Average", "Maximum", "Minimum"]


@pytest.mark.parametrize("shapes", SHAPES, ids=str)
@pytest.mark.parametrize("name", KINDS)
def test_elementwise(name, shapes):
    compare(name, {}, arrays(shapes))


@pytest.mark.parametrize("shapes", [SHAPES[0], SHAPES[3], SHAPES[4]], ids=str)
def test_subtract(shapes):
    compare("Subtract", {}, arrays(shapes))


@pytest.mark.parametrize("name", ["Maximum", "Minimum"])
def test_equal_inputs_share_the_cotangent(name):
    inputs = [
        np.float32([[1.0, 0.0, 2.0, 0.0]]),
        np.float32([[1.0, 3.0, -2.0, 0.0]]),
        np.float32([[1.0, 3.0, 2.0, 0.0]]),
    ]
    compare(name, {}, inputs)


PATTERNS = [(True, True, True), (True, False, True), (False, True, True), (True, True, False), (False, False, True)]


@pytest.mark.parametrize("pattern", PATTERNS, ids=str)
@pytest.mark.parametrize("name", KINDS)
def test_elementwise_with_masks(name, pattern):
    every = np.array(list(itertools.product([True, False], repeat=3))).T.reshape(3, 2, 4)
    masks = [mask if given else None for mask, given in zip(every, pattern, strict=True)]
    compare(name, {}, arrays([(2, 4, 3)] * 3), masks)


@pytest.mark.parametrize(
    ("shapes", "axis"),
    [
        ([(4, 5), (4, 3)], -1),
        ([(4, 5)], 1),
        ([(2, 3, 4), (2, 1, 4), (2, 2, 4)], 1),
        ([(2, 5, 1, 4), (2, 5, 2, 4)], -2),
    ],
    ids=str,
)
def test_concatenate(shapes, axis):
    compare("Concatenate", {"axis": axis}, arrays(shapes))


@pytest.mark.parametrize("given", [(True, True), (True, False), (False, True)])
@pytest.mark.parametrize("axis", [-1, 1])
def test_concatenate_with_masks(axis, given):
    every = [np.array([[True, True, False], [True, False, False]]), np.array([[True, False, False], [False] * 3])]
    masks = [mask if here else None for mask, here in zip(every, given, strict=True)]
    compare("Concatenate", {"axis": axis}, arrays([(2, 3, 4), (2, 3, 4)]), masks)


@pytest.mark.parametrize("normalize", [False, True])
@pytest.mark.parametrize(
    ("shapes", "axes"),
    [
        ([(4, 5), (4, 5)], 1),
        ([(4, 5), (4, 5)], -1),
        ([(2, 3, 5), (2, 4, 3)], (1, 2)),
        ([(2, 3, 5), (2, 4, 5)], -1),
        ([(2, 3), (2, 4, 3)], (1, 2)),
        ([(2, 3, 4), (2, 3)], (1, 1)),
        ([(2, 3, 5, 2), (2, 4, 3, 5)], (2, 3)),
    ],
    ids=str,
)
def test_dot(shapes, axes, normalize):
    compare("Dot", {"axes": axes, "normalize": normalize}, arrays(shapes))


def test_functions():
    a, b = arrays([(2, 3), (2, 3)])
    for name in ("add", "subtract", "multiply", "average", "maximum", "minimum", "concatenate", "dot"):
        close(getattr(merging, name)([a, b]), getattr(keras.layers, name)([a, b]))
