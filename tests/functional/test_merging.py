"""Merging several arrays: values and cotangents with broadcasting and masks, against loops in float64."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

import nnx
from nnx.functional import merging
from nnx.functional.inner_product import axes_of_both, dot
from nnx.random import Generator
from nnx.testing import assert_close, check_gradients, no_synchronization

VALUES = {
    "add": lambda *xs: sum(xs),
    "multiply": lambda *xs: np.prod(np.stack(xs), axis=0),
    "average": lambda *xs: sum(xs) / len(xs),
    "maximum": lambda *xs: np.max(np.stack(xs), axis=0),
    "minimum": lambda *xs: np.min(np.stack(xs), axis=0),
}
SHAPES = [
    [(4, 5), (4, 5)],
    [(4, 5)],
    [(2, 3, 4), (2, 3, 4), (2, 3, 4), (2, 3, 4)],
    [(2, 3, 1), (2, 1, 4)],
    [(2, 4), (2, 3, 5, 4), (2, 1, 4)],
    [(2, 1), (2, 3)],
]
each = pytest.mark.parametrize("name", VALUES)


def arrays(shapes: list[tuple[int, ...]], seed: int = 0) -> list[np.ndarray]:
    generator = Generator(seed)
    return [generator.normal(shape) for shape in shapes]


def broadcast(inputs: list[np.ndarray]) -> list[np.ndarray]:
    """All of one shape, with new axes after that of the batch."""
    rank = max(x.ndim for x in inputs)
    return list(np.broadcast_arrays(*[x.reshape(x.shape[0], *(1,) * (rank - x.ndim), *x.shape[1:]) for x in inputs]))


@each
@pytest.mark.parametrize("shapes", SHAPES, ids=str)
def test_value(backend, name, shapes):
    inputs = arrays(shapes)
    placed = [backend.asarray(x) for x in inputs]
    with no_synchronization():
        y, pullback = getattr(merging, name)(*placed)
        cotangents = pullback(y)
    assert_close(y, VALUES[name](*broadcast(inputs)), length=4, like=placed[0])
    for x, dx in zip(placed, (cotangents,) if len(placed) == 1 else cotangents, strict=True):
        assert_close(dx, nnx.to_numpy(dx), like=x)
        assert dx.shape == x.shape


@each
@pytest.mark.parametrize("shapes", SHAPES, ids=str)
def test_gradients(backend_float64, name, shapes):
    check_gradients(getattr(merging, name), *arrays(shapes), placement=backend_float64)


def test_subtract(backend, backend_float64):
    a, b = arrays([(2, 3, 4), (2, 4)])
    y, pullback = merging.subtract(backend.asarray(a), backend.asarray(b))
    assert_close(y, a - b[:, None, :], like=backend.asarray(a))
    da, db = pullback(y)
    assert_close(da, a - b[:, None, :], length=3)
    assert_close(db, -(a - b[:, None, :]).sum(1), length=10)
    check_gradients(merging.subtract, a, b, placement=backend_float64)


@pytest.mark.parametrize(
    ("shapes", "axis"),
    [
        ([(4, 5), (4, 3)], -1),
        ([(4, 5)], 1),
        ([(2, 3, 4), (2, 1, 4), (2, 2, 4)], 1),
        ([(2, 5, 1, 4), (2, 5, 2, 4)], -2),
        ([(2, 3), (2, 0)], 1),
    ],
    ids=str,
)
def test_concatenate(backend, backend_float64, shapes, axis):
    inputs = arrays(shapes)
    placed = [backend.asarray(x) for x in inputs]
    y, pullback = merging.concatenate(*placed, axis=axis)
    assert_close(y, np.concatenate(inputs, axis=axis).astype(np.float32), 0.0, 0.0, like=placed[0])
    cotangents = pullback(y)
    for x, dx in zip(inputs, (cotangents,) if len(inputs) == 1 else cotangents, strict=True):
        assert_close(dx, x.astype(np.float32), 0.0, 0.0, like=placed[0])
    check_gradients(lambda *xs: merging.concatenate(*xs, axis=axis), *inputs, placement=backend_float64)


@pytest.mark.parametrize("function", [merging.maximum, merging.minimum])
def test_equal_inputs_share_the_cotangent(backend, function):
    a, b = backend.asarray([[1.0, 0.0, 2.0]]), backend.asarray([[1.0, 0.0, 2.0]])
    _, pullback = function(a, b)
    da, db = pullback(backend.asarray([[2.0, 4.0, 6.0]]))
    assert_close(da, [[1.0, 2.0, 3.0]])
    assert_close(db, [[1.0, 2.0, 3.0]])


@pytest.mark.parametrize("function", [merging.maximum, merging.minimum])
@pytest.mark.parametrize("position", range(3))
def test_nan_is_not_lost(function, position):
    inputs = [np.zeros((1, 1)), np.ones((1, 1)), np.full((1, 1), -1.0)]
    inputs[position] = np.full((1, 1), np.nan)
    assert np.isnan(function(*inputs)[0]).all()


def masks_for(name: str, pattern: tuple[str, ...]) -> list[np.ndarray | None]:
    """Masks (2, 6) that come in every combination of the inputs; None where the pattern says so."""
    every = np.array(list(itertools.product([True, False], repeat=3)) + [(True,) * 3] * 4).T.reshape(3, 2, 6)
    return [every[i] if kind == "mask" else None for i, kind in enumerate(pattern)]


def merged_with_masks(name: str, xs: list[np.ndarray], masks: list[np.ndarray | None]) -> np.ndarray:
    """Element by element: what is left out does not take part."""
    y = np.empty_like(xs[0])
    for place in np.ndindex(y.shape):
        part = [x[place] for x, mask in zip(xs, masks, strict=True) if mask is None or mask[place[:2]]]
        if name == "multiply":
            y[place] = np.prod(part) if part else 0.0
        else:
            y[place] = (max(part) if name == "maximum" else min(part)) if part else xs[0][place]
    return y


PATTERNS = [("mask",) * 3, ("mask", "none", "mask"), ("none", "mask", "mask"), ("mask", "mask", "none")]


@pytest.mark.parametrize("pattern", PATTERNS, ids="-".join)
@pytest.mark.parametrize("name", ["multiply", "maximum", "minimum"])
def test_masks(backend, backend_float64, name, pattern):
    xs, masks = arrays([(2, 6, 2)] * 3), masks_for(name, pattern)

    def function(place):
        placed = [None if mask is None else place.asarray(mask, "bool") for mask in masks]
        return lambda *xs: getattr(merging, name)(*xs, masks=placed)

    with no_synchronization():
        y, _ = function(backend)(*[backend.asarray(x) for x in xs])
    assert_close(y, merged_with_masks(name, xs, masks), length=3, like=backend.asarray(xs[0]))
    check_gradients(function(backend_float64), *xs, placement=backend_float64)


def test_mask_of_an_input_of_fewer_axes(backend):
    """A mask belongs to the first axes of its input, wherever these come to lie."""
    vectors, images = arrays([(2, 3), (2, 4, 5, 3)])
    mask = np.array([[True, False, True], [False, True, True]])
    y, _ = merging.multiply(
        backend.asarray(vectors), backend.asarray(images), masks=[backend.asarray(mask, "bool"), None]
    )
    assert_close(y, np.where(mask, vectors, 1.0)[:, None, None, :] * images)


DOTS = [
    ((4, 5), (4, 5), 1),
    ((4, 5), (4, 5), (-1, 1)),
    ((2, 3, 5), (2, 4, 3), (1, 2)),
    ((2, 3, 5), (2, 4, 5), -1),
    ((2, 3), (2, 4, 3), (1, 2)),
    ((2, 3, 4), (2, 3), (1, 1)),
    ((2, 3, 5, 2), (2, 4, 3, 5), (2, 3)),
    ((2, 3, 5), (2, 3, 5), (1, 1)),
]


def dot_by_loops(x: np.ndarray, y: np.ndarray, a: int, b: int, normalize: bool) -> np.ndarray:
    x, y = np.moveaxis(x, a, -1), np.moveaxis(y, b, -1)
    z = np.empty((x.shape[0], *x.shape[1:-1], *y.shape[1:-1]))
    for n in range(x.shape[0]):
        for i in np.ndindex(x.shape[1:-1]):
            for j in np.ndindex(y.shape[1:-1]):
                u, v = x[(n, *i)], y[(n, *j)]
                length = np.sqrt(sum(u * u)) * np.sqrt(sum(v * v)) if normalize else 1.0
                z[(n, *i, *j)] = sum(u * v) / length
    return z if z.ndim > 1 else z[:, None]


@pytest.mark.parametrize("normalize", [False, True])
@pytest.mark.parametrize(("shape_x", "shape_y", "axes"), DOTS, ids=str)
def test_dot(backend, backend_float64, shape_x, shape_y, axes, normalize):
    x, y = arrays([shape_x, shape_y])
    with no_synchronization():
        z, pullback = dot(backend.asarray(x), backend.asarray(y), axes, normalize)
        pullback(z)
    expected = dot_by_loops(x, y, *axes_of_both(shape_x, shape_y, axes), normalize)
    assert_close(z, expected, length=20, like=backend.asarray(x))
    check_gradients(lambda x, y: dot(x, y, axes, normalize), x, y, placement=backend_float64)


@pytest.mark.parametrize(
    ("shapes", "axes", "message"),
    [
        (((2, 3), (2, 3)), 0, "0 in axes=0 is not an axis of shape .* behind the batch axis"),
        (((2, 3), (2, 3)), (1, 2), "2 in axes=.* is not an axis"),
        (((2, 3), (2, 4)), 1, "must have one size"),
        (((2, 3), (2, 3)), (1, 1, 1), "axes must be one axis or two"),
    ],
)
def test_dot_with_wrong_axes(shapes, axes, message):
    with pytest.raises(ValueError, match=message):
        dot(*arrays(list(shapes)), axes)
