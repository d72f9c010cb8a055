"""Normalisations: against loops in float64, their derivatives, masks, small dtypes and numbers far from zero."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

import nnx
from nnx.functional.batch_normalization import batch_normalization, batch_normalization_inference
from nnx.functional.normalization import (
    deviation_normalization,
    group_normalization,
    layer_normalization,
    rms_normalization,
    unit_normalization,
)
from nnx.kernels.numpy import batch_normalization as numpy_batch_normalization
from nnx.kernels.numpy import normalization as numpy_normalization
from nnx.pullbacks import SKIP
from nnx.random import Generator
from nnx.testing import assert_close, check_gradients, no_synchronization

assert numpy_batch_normalization
assert numpy_normalization  # NumPy's kernels register themselves: they are what is tested there

SHAPES = [((6, 3), -1), ((2, 5, 3), -1), ((2, 3, 4, 5), 1), ((2, 3, 4, 5), -2), ((1, 4), -1), ((5, 1), 1)]
PARAMETERS = list(itertools.product([True, False], repeat=2))


def numbers(*shape: int, seed: int = 0) -> np.ndarray:
    return Generator(seed).normal(shape)


def affine(size: int | tuple[int, ...], scale: bool, center: bool) -> list[np.ndarray | None]:
    """gamma and beta."""
    shape = (size,) if isinstance(size, int) else size
    return [1.0 + 0.5 * numbers(*shape, seed=1) if scale else None, numbers(*shape, seed=2) if center else None]


def on(backend: nnx.backends.Placement, *arrays: np.ndarray | None) -> list:
    return [None if array is None else backend.asarray(array) for array in arrays]


def present(*arrays: np.ndarray | None) -> list[np.ndarray]:
    return [array for array in arrays if array is not None]


def over_sets(x: np.ndarray, groups: np.ndarray, normalize) -> np.ndarray:
    """Apply a function of a vector to all elements that bear one number in `groups`, set by set."""
    y = np.empty_like(x)
    for group in np.unique(groups):
        y[groups == group] = normalize(x[groups == group])
    return y


def standard(values: np.ndarray, epsilon: float = 1e-3) -> np.ndarray:
    mean = sum(values) / len(values)
    variance = sum((value - mean) ** 2 for value in values) / len(values)
    return np.array([(value - mean) / (variance + epsilon) ** 0.5 for value in values])


def along(parameter: np.ndarray, x: np.ndarray, axis: int) -> np.ndarray:
    return np.moveaxis(np.broadcast_to(parameter, np.moveaxis(x, axis, -1).shape), -1, axis)


class TestBatchNormalization:
    @pytest.mark.parametrize(("scale", "center"), PARAMETERS)
    @pytest.mark.parametrize(("shape", "axis"), SHAPES)
    def test_value(self, backend, shape, axis, scale, center):
        x, (gamma, beta) = numbers(*shape), affine(shape[axis], scale, center)
        with no_synchronization():
            (y, mean, variance), _ = batch_normalization(*on(backend, x, gamma, beta), axis=axis)
        expected = over_sets(x, along(np.arange(shape[axis]), x, axis), standard)
        expected = expected * along(1.0 if gamma is None else gamma, x, axis)
        expected = expected + along(0.0 if beta is None else beta, x, axis)
        others = tuple(i for i in range(len(shape)) if i != axis % len(shape))
        assert_close(y, expected, length=400, like=backend.asarray(x))
        assert_close(mean, x.mean(axis=others), rtol=1e-5, atol=1e-6, like=y)
        assert_close(variance, x.var(axis=others), rtol=1e-5, atol=1e-6, like=y)

    @pytest.mark.parametrize(("scale", "center"), PARAMETERS)
    @pytest.mark.parametrize(("shape", "axis"), SHAPES)
    def test_gradients(self, backend_float64, shape, axis, scale, center):
        gamma, beta = affine(shape[axis], scale, center)

        def function(x, *parameters):
            given = list(parameters)
            return first(batch_normalization(x, *[given.pop(0) if p else None for p in (scale, center)], axis=axis))

        check_gradients(function, numbers(*shape), *present(gamma, beta), placement=backend_float64)

    def test_gradients_of_the_generic_form(self):
        check_gradients(
            lambda *arrays: first(nnx.kernels.GENERIC["batch_normalization"](*arrays)),
            numbers(2, 5, 3),
            *affine(3, True, True),
        )

    @pytest.mark.parametrize("mask_rank", [1, 2, 3])
    def test_mask_leaves_positions_out(self, backend, mask_rank):
        x, (gamma, beta) = numbers(3, 4, 2, 5), affine(5, True, True)
        mask = np.resize([True, False, True, True, False], (3, 4, 2)[:mask_rank])
        placed = backend.asarray(mask, "bool")
        with no_synchronization():
            (y, mean, variance), _ = batch_normalization(*on(backend, x, gamma, beta), mask=placed)
        kept = x[np.broadcast_to(mask[(..., *(None,) * (3 - mask_rank))], (3, 4, 2))]
        expected = (x - kept.mean(0)) / np.sqrt(kept.var(0) + 1e-3) * gamma + beta
        assert_close(y, expected, length=100)
        assert_close(mean, kept.mean(0), rtol=1e-5, atol=1e-6)
        assert_close(variance, kept.var(0), rtol=1e-5, atol=1e-6)

    @pytest.mark.parametrize("axis", [-1, 1])
    def test_gradients_with_mask(self, backend_float64, axis):
        mask = backend_float64.asarray(np.array([[1, 1, 0], [1, 0, 0]]), "bool")
        gamma, beta = affine(4 if axis == -1 else 3, True, True)
        check_gradients(
            lambda *arrays: first(batch_normalization(*arrays, axis=axis, mask=mask)),
            *(numbers(2, 3, 4), gamma, beta),
            placement=backend_float64,
        )

    def test_mask_of_nothing(self, backend):
        x = backend.asarray(numbers(3, 4))
        (y, mean, variance), pullback = batch_normalization(x, mask=backend.asarray(np.zeros(3), "bool"))
        assert_close(mean, np.zeros(4), 0.0, 0.0)
        assert_close(variance, np.zeros(4), 0.0, 0.0)
        assert_close(y, numbers(3, 4) / 1e-3**0.5, length=10)
        assert_close(pullback(x)[0], numbers(3, 4) / 1e-3**0.5, length=10)

    def test_mask_of_wrong_shape(self):
        with pytest.raises(ValueError, match=r"sizes of the first axes of x, whose shape is \(3, 4\); got \(4,\)"):
            batch_normalization(numbers(3, 4), mask=np.ones(4, dtype=bool))

    def test_images_as_large_as_in_practice(self):
        """So large that NumPy's kernel works on folded rows and in blocks."""
        x, dy = np.float32(numbers(20, 24, 23, 18)), np.float32(numbers(20, 24, 23, 18, seed=3))
        gamma, beta = (np.float32(p) for p in affine(18, True, True))
        (y, _, _), pullback = batch_normalization(x, gamma, beta)
        dx, dgamma, dbeta = pullback(dy)
        wide, flat_dy = x.astype(np.float64).reshape(-1, 18), dy.astype(np.float64).reshape(-1, 18)
        r = 1.0 / np.sqrt(wide.var(0) + 1e-3)
        normal = (wide - wide.mean(0)) * r
        assert_close(y.reshape(-1, 18), normal * gamma + beta, rtol=1e-5, atol=1e-5)
        assert_close(dbeta, flat_dy.sum(0), rtol=1e-5, atol=1e-2)
        assert_close(dgamma, (flat_dy * normal).sum(0), rtol=1e-5, atol=1e-2)
        expected = gamma * r * (flat_dy - flat_dy.mean(0) - normal * (flat_dy * normal).mean(0))
        assert_close(dx.reshape(-1, 18), expected, rtol=1e-5, atol=1e-5)

    def test_features_far_from_zero(self, backend):
        """The mean is taken off before squares are summed: mean(x**2) - mean(x)**2 would have no digit left."""
        x = np.float32(1e4 + numbers(64, 3))
        (y, _, variance), _ = batch_normalization(backend.asarray(x))
        assert_close(variance, x.astype(np.float64).var(0), rtol=1e-4)
        assert_close(y, (x - x.astype(np.float64).mean(0)) / np.sqrt(x.astype(np.float64).var(0) + 1e-3), 0.0, 3e-3)

    def test_float16_does_not_overflow(self):
        x = np.float16(300.0 * numbers(40, 3))
        (y, _, _), pullback = batch_normalization(x, np.ones(3, np.float16), np.zeros(3, np.float16))
        dx, dgamma, dbeta = pullback(np.ones((40, 3), np.float16))
        assert {a.dtype for a in (y, dx, dgamma, dbeta)} == {np.dtype(np.float16)}
        wide = x.astype(np.float64)
        assert_close(y, (wide - wide.mean(0)) / wide.std(0), rtol=2e-3, atol=2e-3)
        assert_close(dbeta, np.full(3, 40.0))

    def test_empty_batch(self, backend):
        x = backend.zeros((0, 3))
        (y, mean, _), pullback = batch_normalization(x, *on(backend, *affine(3, True, True)))
        assert (y.shape, mean.shape) == ((0, 3), (3,))
        assert_close(pullback(x)[2], np.zeros(3))

    def test_axis_that_is_not_there(self):
        with pytest.raises(ValueError, match=r"axis must name different axes of shape \(2, 3\), got 2"):
            nnx.kernels.GENERIC["batch_normalization"](numbers(2, 3), axis=2)


def first(result):
    """A function of one value from one of several: the pullback is that of the first."""
    (y, *_), pullback = result
    return y, pullback


class TestInference:
    @pytest.mark.parametrize(("scale", "center"), PARAMETERS)
    @pytest.mark.parametrize(("shape", "axis"), SHAPES)
    def test_value_and_gradients(self, backend_float64, shape, axis, scale, center):
        features = shape[axis]
        mean, variance = numbers(features, seed=4), np.exp(numbers(features, seed=5))
        gamma, beta = affine(features, scale, center)
        place = backend_float64

        def function(x, *parameters):
            given = list(parameters)
            gamma, beta = (given.pop(0) if p else None for p in (scale, center))
            return batch_normalization_inference(x, *on(place, mean, variance), gamma, beta, axis, 1e-2)

        x = numbers(*shape)
        with no_synchronization():
            y, _ = function(*on(place, x, *present(gamma, beta)))
        expected = (x - along(mean, x, axis)) / np.sqrt(along(variance, x, axis) + 1e-2)
        expected = expected * along(1.0 if gamma is None else gamma, x, axis)
        assert_close(y, expected + along(0.0 if beta is None else beta, x, axis), length=10)
        check_gradients(function, x, *present(gamma, beta), placement=place)

    def test_on_every_backend(self, backend):
        x, mean, variance, gamma, beta = numbers(5, 3), *np.abs(numbers(4, 3, seed=1)) + 0.1
        with no_synchronization():
            y, pullback = batch_normalization_inference(*on(backend, x, mean, variance, gamma, beta))
            dx, dgamma, dbeta = pullback(y)
        expected = gamma * (x - mean) / np.sqrt(variance + 1e-3) + beta
        assert_close(y, expected, length=10, like=backend.asarray(x))
        assert_close(dx, expected * gamma / np.sqrt(variance + 1e-3), length=20, like=y)
        assert_close(dgamma, (expected * (x - mean)).sum(0) / np.sqrt(variance + 1e-3), length=50, like=y)
        assert_close(dbeta, expected.sum(0), length=50, like=y)


LAYER_SHAPES = [((4, 5), -1), ((2, 3, 5), -1), ((2, 3, 5), (1, 2)), ((2, 3, 5), 1), ((2, 3, 4, 5), (3, 1)), ((3, 1), 1)]


def sets_without(x: np.ndarray, axis: int | tuple[int, ...]) -> np.ndarray:
    """The number of the set that each element belongs to, where sets run along the axes."""
    axes = {i % x.ndim for i in ((axis,) if isinstance(axis, int) else axis)}
    rest = tuple(size for i, size in enumerate(x.shape) if i not in axes)
    ids = np.arange(np.prod(rest)).reshape([1 if i in axes else size for i, size in enumerate(x.shape)])
    return np.broadcast_to(ids, x.shape)


def broadcast(parameter: np.ndarray | None, x: np.ndarray, axis: int | tuple[int, ...], default: float) -> np.ndarray:
    axes = {i % x.ndim for i in ((axis,) if isinstance(axis, int) else axis)}
    shape = [size if i in axes else 1 for i, size in enumerate(x.shape)]
    return np.broadcast_to(np.full(1, default) if parameter is None else parameter.reshape(shape), x.shape)


def sizes(shape: tuple[int, ...], axis: int | tuple[int, ...]) -> tuple[int, ...]:
    axes = sorted({i % len(shape) for i in ((axis,) if isinstance(axis, int) else axis)})
    return tuple(shape[i] for i in axes)


def rms(values: np.ndarray, epsilon: float = 1e-6) -> np.ndarray:
    return values / np.sqrt(sum(value * value for value in values) / len(values) + epsilon)


def by_deviation(values: np.ndarray) -> np.ndarray:
    return values / np.sqrt(values.var() + 1e-3)


class TestLayerNormalization:
    @pytest.mark.parametrize(("scale", "center"), PARAMETERS)
    @pytest.mark.parametrize(("shape", "axis"), LAYER_SHAPES)
    def test_value(self, backend, shape, axis, scale, center):
        x, (gamma, beta) = numbers(*shape), affine(sizes(shape, axis), scale, center)
        with no_synchronization():
            y, pullback = layer_normalization(*on(backend, x, gamma, beta), axis=axis)
            cotangents = pullback(y)
        expected = over_sets(x, sets_without(x, axis), standard)
        expected = expected * broadcast(gamma, x, axis, 1.0) + broadcast(beta, x, axis, 0.0)
        assert_close(y, expected, length=200, like=backend.asarray(x))
        assert len(cotangents) == 1 + scale + center
        for cotangent in cotangents:
            assert_close(cotangent, nnx.to_numpy(cotangent), like=y)

    @pytest.mark.parametrize(("scale", "center"), PARAMETERS)
    @pytest.mark.parametrize(("shape", "axis"), LAYER_SHAPES)
    def test_gradients(self, backend_float64, shape, axis, scale, center):
        def function(x, *parameters):
            given = list(parameters)
            return layer_normalization(x, *[given.pop(0) if p else None for p in (scale, center)], axis, 0.1)

        parameters = present(*affine(sizes(shape, axis), scale, center))
        check_gradients(function, numbers(*shape), *parameters, placement=backend_float64)

    def test_gradients_of_the_generic_form(self):
        check_gradients(nnx.kernels.GENERIC["layer_normalization"], numbers(4, 5), *affine(5, True, True))

    def test_rows_as_many_as_in_practice(self):
        x, dy = np.float32(5.0 + numbers(300, 60)), np.float32(numbers(300, 60, seed=3))
        gamma, beta = (np.float32(p) for p in affine(60, True, True))
        y, pullback = layer_normalization(x, gamma, beta)
        wide = x.astype(np.float64)
        r = 1.0 / np.sqrt(wide.var(1, keepdims=True) + 1e-3)
        normal, dnormal = (wide - wide.mean(1, keepdims=True)) * r, dy.astype(np.float64) * gamma
        dx, dgamma, dbeta = pullback(dy)
        assert_close(y, normal * gamma + beta, rtol=1e-5, atol=1e-5)
        products = (dnormal * normal).mean(1, keepdims=True)
        assert_close(dx, r * (dnormal - dnormal.mean(1, keepdims=True) - normal * products), rtol=1e-5, atol=1e-5)
        assert_close(dgamma, (dy * normal).sum(0), rtol=1e-5, atol=1e-3)
        assert_close(dbeta, dy.astype(np.float64).sum(0), rtol=1e-5, atol=1e-3)

    def test_float16_does_not_overflow(self):
        x = np.float16(300.0 * numbers(3, 40))
        y, pullback = layer_normalization(x)
        assert_close(y, (x - x.mean(1, keepdims=True, dtype=float)) / x.std(1, keepdims=True, dtype=float), 2e-3, 2e-3)
        assert pullback(y)[0].dtype == np.float16

    @pytest.mark.parametrize("axis", [2, (0, 0), (1, -1)])
    def test_wrong_axis(self, axis):
        with pytest.raises(ValueError, match="axis must name different axes"):
            layer_normalization(numbers(2, 3), axis=axis)


class TestOthers:
    @pytest.mark.parametrize("scale", [True, False])
    @pytest.mark.parametrize(("shape", "axis"), LAYER_SHAPES)
    @pytest.mark.parametrize(
        ("function", "of_vector"), [(rms_normalization, rms), (deviation_normalization, by_deviation)]
    )
    def test_rms_and_deviation(self, backend, shape, axis, scale, function, of_vector):
        x, (gamma, _) = numbers(*shape), affine(sizes(shape, axis), scale, False)
        with no_synchronization():
            y, pullback = function(*on(backend, x, gamma), axis=axis)
            cotangents = pullback(y)
        expected = over_sets(x, sets_without(x, axis), of_vector) * broadcast(gamma, x, axis, 1.0)
        assert_close(y, expected, length=200, like=backend.asarray(x))
        assert len(cotangents) == 1 + scale

    @pytest.mark.parametrize("scale", [True, False])
    @pytest.mark.parametrize(("shape", "axis"), LAYER_SHAPES)
    @pytest.mark.parametrize("function", [rms_normalization, deviation_normalization])
    def test_gradients_of_rms_and_deviation(self, backend_float64, shape, axis, scale, function):
        check_gradients(
            lambda x, *gamma: function(x, *(gamma or (None,)), axis, 0.1),
            *(numbers(*shape), *present(*affine(sizes(shape, axis), scale, False))),
            placement=backend_float64,
        )

    @pytest.mark.parametrize(("shape", "axis"), LAYER_SHAPES)
    def test_unit(self, backend, shape, axis):
        x = numbers(*shape)
        with no_synchronization():
            y, _ = unit_normalization(backend.asarray(x), axis)
        expected = over_sets(x, sets_without(x, axis), lambda values: values / np.sqrt(sum(values**2)))
        assert_close(y, expected, length=10, like=backend.asarray(x))

    @pytest.mark.parametrize(("shape", "axis"), LAYER_SHAPES[:-1])
    def test_gradient_of_unit(self, backend_float64, shape, axis):
        check_gradients(lambda x: unit_normalization(x, axis), numbers(*shape), placement=backend_float64)

    def test_unit_of_zero(self, backend):
        x = backend.zeros((2, 3))
        y, pullback = unit_normalization(x, epsilon=1e-3)
        assert_close(y, np.zeros((2, 3)))
        assert_close(pullback(backend.asarray(np.ones((2, 3)))), np.full((2, 3), 1e3))


GROUPS = [
    ((3, 6), -1, 2),
    ((2, 4, 6), -1, 3),
    ((2, 6, 4), 1, 2),
    ((2, 3, 5, 4), -1, 1),
    ((2, 3, 4), 2, 4),
    ((1, 2), 1, 2),
]


class TestGroupNormalization:
    @pytest.mark.parametrize(("scale", "center"), PARAMETERS)
    @pytest.mark.parametrize(("shape", "axis", "groups"), GROUPS)
    def test_value(self, backend, shape, axis, groups, scale, center):
        x, (gamma, beta) = numbers(*shape), affine(shape[axis], scale, center)
        with no_synchronization():
            y, pullback = group_normalization(*on(backend, x, gamma, beta), groups, axis)
            cotangents = pullback(y)
        of_feature = np.arange(shape[axis]) // (shape[axis] // groups)
        of_sample = np.arange(shape[0]).reshape(-1, *(1,) * (len(shape) - 1))
        expected = over_sets(x, along(of_feature, x, axis) + groups * of_sample, standard)
        expected = expected * along(1.0 if gamma is None else gamma, x, axis)
        assert_close(y, expected + along(0.0 if beta is None else beta, x, axis), length=200, like=backend.asarray(x))
        assert len(cotangents) == 1 + scale + center

    @pytest.mark.parametrize(("scale", "center"), PARAMETERS)
    @pytest.mark.parametrize(("shape", "axis", "groups"), GROUPS[:-1])
    def test_gradients(self, backend_float64, shape, axis, groups, scale, center):
        def function(x, *parameters):
            given = list(parameters)
            gamma, beta = (given.pop(0) if p else None for p in (scale, center))
            return group_normalization(x, gamma, beta, groups, axis, 0.1)

        parameters = present(*affine(shape[axis], scale, center))
        check_gradients(function, numbers(*shape), *parameters, placement=backend_float64)

    def test_gradients_of_the_generic_form(self):
        check_gradients(
            lambda *arrays: nnx.kernels.GENERIC["group_normalization"](*arrays, 2),
            *(numbers(2, 3, 4), *affine(4, True, True)),
        )


@pytest.mark.parametrize(
    "function",
    [
        lambda x, gamma, beta: first(batch_normalization(x, gamma, beta)),
        lambda x, gamma, beta: batch_normalization_inference(x, gamma * 0.0, gamma * gamma, gamma, beta),
        lambda x, gamma, beta: layer_normalization(x, gamma, beta),
        lambda x, gamma, beta: group_normalization(x, gamma, beta, 2),
    ],
    ids=["batch", "inference", "layer", "group"],
)
def test_what_is_not_wanted_is_not_returned_and_what_is_goes_where_it_may(backend, function):
    x, gamma, beta = on(backend, numbers(5, 4), *affine(4, True, True))
    _, pullback = function(x, gamma, beta)
    dy = backend.asarray(numbers(5, 4, seed=9))
    whole = [nnx.to_numpy(cotangent).copy() for cotangent in pullback(dy)]
    for skipped in range(3):
        places = [SKIP if i == skipped else backend.zeros(whole[i].shape) if i else None for i in range(3)]
        found = pullback(dy, out=tuple(places))
        assert [cotangent is None for cotangent in found] == [i == skipped for i in range(3)]
        for mine, theirs in zip(found, whole, strict=True):
            if mine is not None:
                assert_close(mine, theirs)


LARGE = {
    "layer": lambda x, gamma, beta: layer_normalization(x, gamma, beta),
    "layer, over two axes": lambda x, gamma, beta: layer_normalization(x, axis=(0, 1)),
    "layer, not the last axis": lambda x, gamma, beta: layer_normalization(x, axis=1),
    "group": lambda x, gamma, beta: group_normalization(x, gamma, beta, groups=2),
    "group, first axis": lambda x, gamma, beta: group_normalization(x, groups=3, axis=1),
    "rms": lambda x, gamma, beta: rms_normalization(x, gamma),
    "rms, not the last axis": lambda x, gamma, beta: rms_normalization(x, axis=1),
    "deviation": lambda x, gamma, beta: deviation_normalization(x, gamma),
    "unit": lambda x, gamma, beta: unit_normalization(x),
}


@pytest.mark.parametrize("name", LARGE)
def test_values_whose_squares_leave_the_range(backend, name):
    """What does not depend on the size of x is the same for a large one; its cotangent is smaller by as much."""
    function = LARGE[name]
    size = 2.0**100  # some 1e30
    plain, dy = numbers(4, 6, 8), numbers(4, 6, 8, seed=3)
    gamma, beta = (backend.asarray(a) for a in affine(8, True, True))
    found = []
    for x in (plain * 1e6, plain * 1e6 * size, np.concat([plain[:2] * 1e6, plain[2:] * 1e6 * size])):
        y, pullback = function(backend.asarray(x), gamma, beta)
        cotangents = pullback(backend.asarray(dy))
        dx, *others = cotangents if isinstance(cotangents, tuple | list) else (cotangents,)
        found.append([nnx.to_numpy(a).astype("float64") for a in (y, dx, *others)])
    small, large, mixed = found
    assert_close(large[0], small[0], rtol=1e-4, atol=1e-5)
    assert_close(large[1] * size, small[1], rtol=1e-3, atol=1e-11)
    for mine, theirs in zip(large[2:], small[2:], strict=True):
        assert_close(mine, theirs, rtol=1e-4, atol=1e-4)
    if "two axes" not in name:
        assert_close(mixed[0], small[0], rtol=1e-4, atol=1e-5)
        assert_close(mixed[1], np.concat([small[1][:2], large[1][2:]]), rtol=1e-3, atol=1e-11)


@pytest.mark.parametrize("name", [name for name in LARGE if name != "deviation"])  # there y is the mean / sqrt(epsilon)
def test_large_values_that_are_all_the_same(backend, name):
    x = backend.asarray(np.full((4, 6, 8), 2.0**100))
    y, pullback = LARGE[name](x, *(backend.asarray(a) for a in affine(8, True, True)))
    cotangents = pullback(x * 2.0**-100)
    for array in (y, *(cotangents if isinstance(cotangents, tuple | list) else (cotangents,))):
        assert np.isfinite(nnx.to_numpy(array)).all()
