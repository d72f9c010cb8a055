"""Pooling against loops over windows: values, where gradients go, borders, NaN, masks and errors."""

from __future__ import annotations

import itertools
import weakref

import numpy as np
import pytest

import nnx
from nnx.functional.masking import steps_of_windows
from nnx.functional.pooling import (
    average_pool,
    global_average_pool,
    global_max_pool,
    largest_of_windows,
    max_pool,
    sum_of_windows,
)
from nnx.kernels import GENERIC
from nnx.kernels.numpy import (
    pooling as numpy_pooling,  # NumPy's kernels register themselves: they are what is tested there
)
from nnx.random import Generator
from nnx.testing import assert_close, check_gradients, no_synchronization
from nnx.windows import along_axis, windows_of

FIRST = "channels_first"


def normal(*shape: int, seed: int = 0) -> np.ndarray:
    """float32 numbers, as float64: the same for every backend."""
    return Generator(seed).normal(shape).astype(np.float32).astype(np.float64)


def after_relu(*shape: int, seed: int = 0) -> np.ndarray:
    """Numbers of which many are equal: zeros, and steps of a half."""
    return np.maximum(np.round(2.0 * normal(*shape, seed=seed)) / 2.0, 0.0)


def windows_along(size: int, window: int, stride: int, padding: str) -> list[list[int]]:
    """The positions that each window holds, from Keras's description of its padding."""
    count = -(-size // stride) if padding == "same" else (size - window) // stride + 1
    before = max((count - 1) * stride + window - size, 0) // 2 if padding == "same" else 0
    starts = [index * stride - before for index in range(count)]
    return [[position for position in range(start, start + window) if 0 <= position < size] for start in starts]


def looped(kind, x, dy, size, strides=None, padding="valid", data_format="channels_last"):
    """The value, and the cotangent of x, one window after the other. dy: a function of the shape of the value."""
    if data_format == FIRST:
        last = np.moveaxis(x, 1, -1)
        turned = lambda shape: np.moveaxis(dy((shape[0], shape[-1], *shape[1:-1])), 1, -1)  # noqa: E731
        return tuple(np.moveaxis(array, -1, 1) for array in looped(kind, last, turned, size, strides, padding))
    axes = x.ndim - 2
    sizes, steps = ((value,) * axes if isinstance(value, int) else value for value in (size, strides or size))
    along = [windows_along(*row, padding) for row in zip(x.shape[1:-1], sizes, steps, strict=True)]
    shape = (len(x), *map(len, along), x.shape[-1])
    y, dx, dy = np.zeros(shape), np.zeros_like(x), dy(shape)
    for sample, *place, channel in itertools.product(*map(range, shape)):
        index = (sample, *place, channel)
        held = [(sample, *at, channel) for at in itertools.product(*(a[i] for a, i in zip(along, place, strict=True)))]
        values = [x[at] for at in held]
        if kind == "max":
            y[index] = max(values)
            dx[held[int(np.argmax(values))]] += dy[index]  # argmax is the first
        else:
            y[index] = sum(values) / len(values)
            for at in held:
                dx[at] += dy[index] / len(values)
    return y, dx


POOLS = [
    *[((2, 6, 8, 3), {"size": 2}), ((2, 7, 9, 3), {"size": 2}), ((2, 7, 8, 3), {"size": (3, 2)})],
    *[((1, 7, 7, 2), {"size": 3, "strides": 2}), ((2, 5, 6, 1), {"size": (2, 3), "strides": 1})],
    *[((2, 7, 6, 2), {"size": 3, "strides": 2, "padding": "same"}), ((2, 5, 5, 3), {"size": 2, "padding": "same"})],
    *[((1, 5, 6, 2), {"size": 3, "strides": 1, "padding": "same"}), ((2, 3, 2, 2), {"size": 5, "padding": "same"})],
    *[((2, 7, 8, 2), {"size": 2, "strides": 3}), ((2, 7, 8, 2), {"size": 2, "strides": (3, 4), "padding": "same"})],
    *[((1, 1, 1, 1), {"size": 1}), ((2, 4, 5, 3), {"size": 1, "strides": 2}), ((2, 4, 5, 3), {"size": (4, 5)})],
    *[((2, 3, 6, 7), {"size": 2, "data_format": FIRST}), ((2, 9, 3), {"size": 2}), ((1, 3, 1), {"size": 3})],
    ((2, 2, 7, 6), {"size": 3, "strides": 2, "padding": "same", "data_format": FIRST}),
    *[((2, 9, 3), {"size": 3, "strides": 2, "padding": "same"}), ((2, 3, 9), {"size": 4, "data_format": FIRST})],
]
each_pool = pytest.mark.parametrize(("shape", "options"), POOLS, ids=str)
each_kind = pytest.mark.parametrize(("kind", "function"), [("max", max_pool), ("mean", average_pool)])


@each_kind
@each_pool
@pytest.mark.parametrize("numbers", [normal, after_relu])
def test_value_and_gradient(backend, shape, options, kind, function, numbers):
    x = numbers(*shape)
    expected, dx = looped(kind, x, lambda shape: normal(*shape, seed=1), **options)
    placed = backend.asarray(x)
    with no_synchronization():
        y, pullback = function(placed, **options)
        found = pullback(backend.asarray(normal(*expected.shape, seed=1)))
    assert_close(y, expected, length=25, like=placed)
    assert_close(found, dx, length=25, like=placed)


@each_kind
@each_pool
def test_gradients(backend_float64, shape, options, kind, function):
    check_gradients(lambda x: function(x, **options), normal(*shape), placement=backend_float64)


@pytest.mark.parametrize("strides", [2, 1])
def test_the_first_of_equal_maxima_gets_the_gradient(backend, strides):
    y, pullback = max_pool(backend.asarray(np.zeros((1, 4, 4, 1))), 2, strides)
    dx = nnx.to_numpy(pullback(backend.asarray(np.ones(y.shape))))[0, :, :, 0]
    expected = np.zeros((4, 4))
    expected[:3:strides, :3:strides] = 1.0
    assert dx.tolist() == expected.tolist()


def test_the_first_maximum_is_that_of_the_upper_row(backend):
    x = backend.asarray(np.array([[0.0, 5.0], [5.0, 0.0]]).reshape(1, 2, 2, 1))
    _, pullback = max_pool(x, 2)
    assert nnx.to_numpy(pullback(backend.asarray(np.ones((1, 1, 1, 1)))))[0, :, :, 0].tolist() == [[0, 1], [0, 0]]


@each_kind
@pytest.mark.parametrize(("strides", "padding"), [(2, "valid"), (1, "same"), (3, "same")])
def test_nan_stays_in_its_windows(backend, kind, function, strides, padding):
    x = normal(2, 6, 7, 2)
    clean, dx = looped(kind, x, np.ones, 2, strides, padding)
    poisoned = x.copy()
    poisoned[0, 3, 4, 1] = np.nan
    with np.errstate(invalid="ignore"):
        y, pullback = function(backend.asarray(poisoned), 2, strides, padding)
        found = pullback(backend.asarray(np.ones(y.shape)))
    y, found = nnx.to_numpy(y), nnx.to_numpy(found)
    touched, _ = looped("mean", np.isnan(poisoned).astype(float), np.ones, 2, strides, padding)
    assert (np.isnan(y) == (touched > 0.0)).all()
    assert_close(y[touched == 0.0], np.float32(clean[touched == 0.0]), length=4)
    apart = np.ones(x.shape, bool)
    apart[0, 1:6, 2:7, 1] = False  # what shares a window with it
    assert_close(found[apart], dx[apart], length=4)


@each_kind
@pytest.mark.parametrize("padding", ["valid", "same"])
def test_infinities(backend, kind, function, padding):
    x = np.full((1, 5, 5, 1), -np.inf)
    x[0, 4, 4, 0] = np.inf
    y = nnx.to_numpy(function(backend.asarray(x), 2, 2, padding)[0])[0, :, :, 0]
    expected = np.full(y.shape, -np.inf)
    if padding == "same":
        expected[2, 2] = np.inf
    assert y.tolist() == expected.tolist()


@each_kind
@pytest.mark.parametrize("options", [{"size": 2}, {"size": 3, "strides": 2, "padding": "same"}])
def test_empty_batches_and_float16(backend, kind, function, options):
    y, pullback = function(backend.zeros((0, 5, 6, 3)), **options)
    assert pullback(y).shape == (0, 5, 6, 3)
    x = np.float16(after_relu(2, 5, 6, 3))
    y, pullback = function(x, **options)
    expected, dx = looped(kind, x.astype(float), np.ones, **options)
    assert (y.dtype, pullback(y).dtype) == (np.float16, np.float16)
    assert_close(y, expected, length=9)
    assert_close(pullback(np.ones_like(y)), dx, length=9)


@each_kind
@pytest.mark.parametrize(("size", "strides", "padding"), [(2, 2, "valid"), (3, 2, "same")])
def test_more_images_than_numpy_takes_at_a_time(kind, function, size, strides, padding):
    x = np.float32(after_relu(24, 20, 21, 64))
    assert x.nbytes > numpy_pooling._BLOCK
    y, pullback = function(x, size, strides, padding)
    dx = pullback(np.float32(normal(*y.shape, seed=1)))
    for start in range(0, 24, 8):  # each of them in one block
        part = slice(start, start + 8)
        expected, pull_back = function(x[part], size, strides, padding)
        assert_close(y[part], expected, 0.0, 0.0)
        assert_close(dx[part], pull_back(np.float32(normal(*y.shape, seed=1))[part]), 0.0, 0.0)


@pytest.mark.parametrize("function", [largest_of_windows, sum_of_windows])
@pytest.mark.parametrize(("strides", "padding"), [(2, "valid"), (1, "same")])
def test_gradients_of_the_generic_form(function, strides, padding):
    windows = windows_of("test", (5, 6), (2, 2), (strides, strides), padding)
    check_gradients(lambda x: GENERIC[function.__name__](x, windows), normal(2, 5, 6, 2))


@pytest.mark.parametrize("dilation", [1, 2, 3])
@pytest.mark.parametrize("padding", ["same", "causal", "valid"])
def test_trimmed_windows_hold_the_same_elements(padding, dilation):
    for size, window, stride in itertools.product(range(1, 8), range(1, 14), range(1, 5)):
        axis = along_axis(size, window, stride, padding, dilation)
        if axis.count < 1:
            continue

        def held(axis):
            reaches = [axis.inside(tap) for tap in range(axis.window)]
            return [pair for pair in reaches if pair[0].start < pair[0].stop]

        trimmed = axis.trimmed
        assert held(trimmed) == held(axis)
        assert trimmed.window <= max(window, 1)
        assert trimmed.extent <= (axis.count - 1) * stride + size or trimmed.window == 1


@pytest.mark.parametrize(("pool", "expected"), [(max_pool, [3.0] * 3), (average_pool, [2.0] * 3)])
def test_windows_far_larger_than_the_input(backend, pool, expected):
    y, pullback = pool(backend.asarray([[[1.0], [2.0], [3.0]]]), 10**12, 1, "same")
    assert_close(y[0, :, 0], expected)
    assert_close(pullback(backend.asarray(np.ones((1, 3, 1))))[0, :, 0], [0, 0, 3] if pool is max_pool else [1.0] * 3)


def test_masks_of_windows_far_larger_than_the_input(backend):
    mask = backend.asarray([[False, True, False], [False] * 3], "bool")
    found = steps_of_windows(mask, along_axis(3, 10**12, 2, "same"))
    assert nnx.to_numpy(found).tolist() == [[True, True], [False, False]]


def test_the_mean_does_not_keep_its_input():
    for function in (lambda x: average_pool(x, 2), global_average_pool):
        x = np.ones((2, 4, 4, 3), np.float32)
        alive = weakref.ref(x)
        _, pullback = function(x)
        del x
        assert alive() is None
        assert pullback(np.ones((2, 2, 2, 3) if function is not global_average_pool else (2, 3))).shape == (2, 4, 4, 3)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda x: max_pool(x, 6),
            r"max_pool: a window of 6 x 6 does not fit into an input of 5 x 6; use larger inputs",
        ),
        (lambda x: average_pool(x, (2, 7)), "average_pool: a window of 2 x 7 does not fit into an input of 5 x 6"),
        (lambda x: max_pool(x[:, 0], 7), "max_pool: a window of 7 does not fit into an input of 6"),
        (
            lambda x: max_pool(x, 0),
            r"max_pool: sizes of windows must be positive, .* 2 axes, got \(0, 0\)",
        ),
        (lambda x: max_pool(x, (2, 2, 2)), r"one for each of 2 axes, got \(2, 2, 2\)"),
        (lambda x: average_pool(x, 2, (1, -1)), r"average_pool: strides must be positive, .*, got \(1, -1\)"),
        (lambda x: max_pool(x, 2, padding="causal"), "max_pool: padding must be 'valid' or 'same', got 'causal'"),
        (lambda x: max_pool(x, 2, data_format="first"), "data_format must be 'channels_last' or 'channels_first'"),
        (lambda x: max_pool(x[0, 0], 2), r"max_pool: expected \(batch, steps, channels\), .*, got shape \(6, 3\)"),
        (
            lambda x: max_pool(x[:, :0], 2, padding="same"),
            r"nothing in samples of shape \(0, 6, 3\)",
        ),
        (lambda x: global_max_pool(x[:, :0]), "global_max_pool: there is nothing in samples"),
        (lambda x: global_average_pool(x, mask=x[..., 0] > 0), "global_average_pool: a mask is for sequences"),
    ],
)
def test_errors(call, message):
    with pytest.raises(ValueError, match=message):
        call(normal(2, 5, 6, 3))


GLOBAL = [((2, 5, 3), "channels_last"), ((2, 3, 5), FIRST), ((2, 4, 5, 3), "channels_last"), ((1, 3, 4, 5), FIRST)]
each_global = pytest.mark.parametrize(("shape", "data_format"), GLOBAL)


@each_global
@pytest.mark.parametrize("keepdims", [True, False])
@pytest.mark.parametrize(("function", "reduce"), [(global_max_pool, np.max), (global_average_pool, np.mean)])
def test_global_pooling(backend, shape, data_format, keepdims, function, reduce):
    x = backend.asarray(normal(*shape))
    axes = tuple(range(2, x.ndim)) if data_format == FIRST else tuple(range(1, x.ndim - 1))
    with no_synchronization():
        y, pullback = function(x, data_format, keepdims)
        dx = pullback(y)
    assert_close(y, reduce(normal(*shape), axis=axes, keepdims=keepdims), length=20, like=x)
    assert_close(dx, nnx.to_numpy(dx), like=x)


@each_global
@pytest.mark.parametrize("keepdims", [True, False])
@pytest.mark.parametrize("function", [global_max_pool, global_average_pool])
def test_gradients_of_global_pooling(backend_float64, shape, data_format, keepdims, function):
    check_gradients(lambda x: function(x, data_format, keepdims), normal(*shape), placement=backend_float64)


def test_equal_global_maxima_share_the_gradient(backend):
    x = backend.asarray(np.array([[1.0, 3.0, 3.0, 0.0], [2.0, 2.0, 2.0, 2.0]])[..., None])
    _, pullback = global_max_pool(x)
    dx = nnx.to_numpy(pullback(backend.asarray(np.array([[1.0], [2.0]]))))
    assert dx[..., 0].tolist() == [[0.0, 0.5, 0.5, 0.0], [0.5, 0.5, 0.5, 0.5]]


@pytest.mark.parametrize("keepdims", [True, False])
@pytest.mark.parametrize("data_format", ["channels_last", FIRST])
def test_mean_of_the_steps_that_count(backend, data_format, keepdims):
    x, mask = normal(3, 4, 2), np.array([[1, 1, 0, 1], [0, 0, 1, 0], [0, 0, 0, 0]], bool)
    poisoned = np.where(mask[..., None], x, np.nan)  # what does not count is not looked at
    expected = [x[0, [0, 1, 3]].mean(0), x[1, 2], np.zeros(2)]
    given = backend.asarray(poisoned.swapaxes(1, 2) if data_format == FIRST else poisoned)
    with no_synchronization():
        y, pullback = global_average_pool(given, data_format, keepdims, backend.asarray(mask, "bool"))
        dx = pullback(y)
    y, dx = nnx.to_numpy(y), nnx.to_numpy(dx)
    assert y.shape == ((3, 2) if not keepdims else (3, 2, 1) if data_format == FIRST else (3, 1, 2))
    assert_close(y.reshape(3, 2), np.array(expected), length=4)
    dx = dx.swapaxes(1, 2) if data_format == FIRST else dx
    assert_close(dx, mask[..., None] * np.array(expected)[:, None] / np.array([3, 1, 1])[:, None, None], length=4)


def test_gradients_with_a_mask(backend_float64):
    mask = backend_float64.asarray(np.array([[1, 1, 0, 1], [0, 0, 1, 0]]), "bool")
    check_gradients(lambda x: global_average_pool(x, mask=mask), normal(2, 4, 3), placement=backend_float64)
