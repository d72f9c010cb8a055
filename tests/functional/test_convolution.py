"""Convolutions against loops, their gradients against differences, on every backend; and what kernels promise."""

from __future__ import annotations

import itertools
import tracemalloc

import numpy as np
import pytest

import nnx
from nnx.functional.convolution import conv, conv_transpose, depthwise_conv, separable_conv
from nnx.functional.unfolding import _MOST_TABLES, _TABLES, fold, table, unfold
from nnx.kernels.numpy import convolution as numpy_convolution
from nnx.pullbacks import SKIP
from nnx.random import Generator
from nnx.testing import assert_close, check_gradients, no_synchronization
from nnx.windows import along_axis, positions_of_windows, windows_of

FIRST = "channels_first"


def normal(*shape: int, seed: int = 0) -> np.ndarray:
    """float32 numbers, as float64: the same for every backend."""
    return Generator(seed).normal(shape).astype(np.float32).astype(np.float64)


def two(value):
    return (value, value) if isinstance(value, int) else tuple(value)


def padded(x, windows, strides, padding, dilation):
    """x with zeros around it, and how many windows there are, from Keras's description of its padding."""
    sides, counts = [], []
    for size, window, stride, step in zip(x.shape[1:3], windows, strides, dilation, strict=True):
        extent = (window - 1) * step + 1
        count = -(-size // stride) if padding != "valid" else (size - extent) // stride + 1
        total = max((count - 1) * stride + extent - size, 0) if padding == "same" else 0
        before = extent - 1 if padding == "causal" else total // 2
        sides.append((before, max((count - 1) * stride + extent - size - before, 0)))
        counts.append(count)
    return np.pad(x, ((0, 0), *sides, (0, 0))), counts


def looped_conv(x, kernel, bias=None, strides=1, padding="valid", dilation=1, groups=1, data_format="channels_last"):
    """One window after the other."""
    if x.ndim == 3:
        x, kernel = (x[:, None] if data_format != FIRST else x[:, :, None]), kernel[None]
        strides, dilation = (1, strides), (1, dilation)
        if padding == "causal":
            x, padding = np.pad(x, ((0, 0), (0, 0), ((kernel.shape[1] - 1) * dilation[1], 0), (0, 0))), "valid"
        y = looped_conv(x, kernel, bias, strides, padding, dilation, groups, data_format)
        return y[:, 0] if data_format != FIRST else y[:, :, 0]
    if data_format == FIRST:
        x = x.transpose(0, 2, 3, 1)
    strides, dilation = two(strides), two(dilation)
    x, (down, across) = padded(x, kernel.shape[:2], strides, padding, dilation)
    c, f = kernel.shape[2] * groups, kernel.shape[3]
    y = np.zeros((len(x), down, across, f))
    for row, column, i, j in itertools.product(*map(range, (down, across, *kernel.shape[:2]))):
        pixel = x[:, row * strides[0] + i * dilation[0], column * strides[1] + j * dilation[1]]
        for group in range(groups):
            of_x = slice(group * c // groups, (group + 1) * c // groups)
            of_y = slice(group * f // groups, (group + 1) * f // groups)
            y[:, row, column, of_y] += pixel[:, of_x] @ kernel[i, j, :, of_y]
    y = y if bias is None else y + bias
    return y.transpose(0, 3, 1, 2) if data_format == FIRST else y


def looped_transpose(x, kernel, sizes, strides, before, dilation=1):
    """Every pixel is spread over its window."""
    strides, dilation = two(strides), two(dilation)
    y = np.zeros((len(x), *sizes, kernel.shape[2]))
    for row, column, i, j in itertools.product(*map(range, (*x.shape[1:3], *kernel.shape[:2]))):
        at = row * strides[0] + i * dilation[0] - before[0], column * strides[1] + j * dilation[1] - before[1]
        if 0 <= at[0] < sizes[0] and 0 <= at[1] < sizes[1]:
            y[:, at[0], at[1]] += x[:, row, column] @ kernel[i, j].T
    return y


CONVOLUTIONS = [
    *[((2, 5, 6, 3), (3, 3, 3, 4), {}), ((2, 5, 6, 3), (3, 2, 3, 4), {"padding": "same"})],
    *[((2, 7, 6, 3), (3, 3, 3, 4), {"strides": 2}), ((2, 6, 7, 3), (2, 3, 3, 4), {"strides": (1, 3)})],
    *[((2, 7, 6, 3), (4, 3, 3, 4), {"strides": 2, "padding": "same"}), ((2, 7, 8, 3), (1, 1, 3, 4), {"strides": 3})],
    *[((2, 7, 8, 3), (2, 1, 3, 4), {"strides": (3, 2), "padding": "same"}), ((2, 5, 6, 3), (1, 1, 3, 4), {})],
    *[((2, 7, 8, 3), (2, 3, 3, 4), {"dilation": (3, 2)}), ((1, 5, 5, 3), (5, 5, 3, 4), {})],
    *[((2, 5, 6, 3), (3, 3, 3, 4), {"dilation": 2, "padding": "same"}), ((1, 3, 40, 1), (3, 3, 1, 2), {})],
    *[((2, 5, 6, 4), (3, 3, 2, 6), {"groups": 2}), ((2, 5, 6, 3), (2, 2, 1, 6), {"groups": 3, "padding": "same"})],
    *[((2, 3, 5, 6), (3, 3, 3, 4), {"data_format": FIRST}), ((1, 1, 1, 2), (3, 3, 2, 4), {"padding": "same"})],
    ((2, 4, 7, 6), (3, 3, 2, 4), {"data_format": FIRST, "groups": 2, "strides": 2, "padding": "same"}),
    *[((2, 9, 3), (3, 3, 4), {}), ((2, 9, 3), (4, 3, 4), {"padding": "same"}), ((1, 30, 1), (3, 1, 4), {})],
    *[((2, 9, 3), (3, 3, 4), {"padding": "causal"}), ((2, 9, 4), (3, 2, 4), {"groups": 2, "strides": 2})],
    *[((2, 9, 3), (2, 3, 4), {"padding": "causal", "dilation": 3}), ((2, 9, 3), (9, 3, 4), {})],
    *[((2, 9, 3), (3, 3, 4), {"padding": "causal", "strides": 2}), ((2, 3, 9), (3, 3, 4), {"data_format": FIRST})],
]
each_convolution = pytest.mark.parametrize(("shape", "window", "options"), CONVOLUTIONS)


@each_convolution
def test_conv(backend, shape, window, options):
    x, kernel, bias = normal(*shape), normal(*window, seed=1), normal(window[-1], seed=2)
    expected = looped_conv(x, kernel, bias, **options)
    dy = normal(*expected.shape, seed=3)
    arrays = [backend.asarray(array) for array in (x, kernel, bias)]
    with no_synchronization():
        y, pullback = conv(*arrays, **options)
        cotangents = pullback(backend.asarray(dy))
    assert_close(y, expected, length=int(np.prod(window[:-1])), like=arrays[0])
    exact = conv(x, kernel, bias, **options)[1](dy)  # checked against differences below
    for found, wanted, array in zip(cotangents, exact, arrays, strict=True):
        assert_close(found, wanted, length=dy.size, like=array)


@each_convolution
def test_gradients_of_conv(backend_float64, shape, window, options):
    arrays = normal(*shape), normal(*window, seed=1), normal(window[-1], seed=2)
    check_gradients(lambda x, kernel, bias: conv(x, kernel, bias, **options), *arrays, placement=backend_float64)


TRANSPOSED = [
    # x, kernel, options, sizes of y, padding before
    *[((2, 4, 5, 3), (3, 3, 4, 3), {}, (6, 7), (0, 0)), ((2, 4, 5, 3), (3, 2, 4, 3), {"strides": 2}, (9, 10), (0, 0))],
    ((2, 4, 5, 3), (2, 1, 4, 3), {"strides": (2, 3)}, (8, 15), (0, 0)),
    ((2, 4, 5, 3), (3, 4, 4, 3), {"padding": "same"}, (4, 5), (1, 1)),
    ((2, 4, 5, 3), (5, 2, 4, 3), {"padding": "same", "strides": (2, 3)}, (8, 15), (1, 0)),
    ((2, 4, 5, 3), (3, 3, 4, 3), {"strides": 3, "output_padding": (0, 2)}, (12, 17), (0, 0)),
    ((2, 4, 5, 3), (4, 3, 4, 3), {"strides": 3, "padding": "same", "output_padding": 1}, (10, 14), (1, 0)),
    ((2, 4, 5, 3), (3, 2, 4, 3), {"dilation": 2}, (8, 7), (0, 0)),
    ((2, 4, 5, 3), (3, 2, 4, 3), {"dilation": (1, 3), "padding": "same"}, (4, 5), (1, 1)),
]


@pytest.mark.parametrize(("shape", "window", "options", "sizes", "before"), TRANSPOSED)
def test_conv_transpose(backend, shape, window, options, sizes, before):
    x, kernel, bias = normal(*shape), normal(*window, seed=1), normal(window[2], seed=2)
    expected = looped_transpose(x, kernel, sizes, options.get("strides", 1), before, options.get("dilation", 1))
    arrays = [backend.asarray(array) for array in (x, kernel, bias)]
    with no_synchronization():
        y, _ = conv_transpose(*arrays, **options)
        first, pullback = conv_transpose(
            backend.xp.permute_dims(arrays[0], (0, 3, 1, 2)), *arrays[1:], **options, data_format=FIRST
        )
        dx, dkernel, dbias = pullback(first)
    assert_close(y, expected + bias, length=int(np.prod(window)), like=arrays[0])
    assert_close(first, (expected + bias).transpose(0, 3, 1, 2), length=int(np.prod(window)), like=arrays[0])
    assert [a.shape for a in (dx, dkernel, dbias)] == [(shape[0], shape[3], *shape[1:3]), window, window[2:3]]


@pytest.mark.parametrize(("shape", "window", "options"), [row[:3] for row in TRANSPOSED])
def test_gradients_of_conv_transpose(backend_float64, shape, window, options):
    arrays = normal(*shape), normal(*window, seed=1), normal(window[2], seed=2)
    check_gradients(lambda *a: conv_transpose(*a, **options), *arrays, placement=backend_float64)


def test_strides_far_larger_than_the_input(backend):
    """There is one window, and none of the strides to the next one costs anything."""
    x, kernel = normal(2, 3, 3, 1), normal(3, 3, 1, 2)
    y, pullback = conv(backend.asarray(x), backend.asarray(kernel), None, strides=10**12, padding="same")
    assert_close(y[:, 0, 0, :], np.einsum("nhwc,hwcf->nf", x, kernel), length=9)
    dx, *_ = pullback(backend.asarray(np.ones((2, 1, 1, 2))))
    assert_close(dx, np.broadcast_to(kernel.sum(axis=3), (2, 3, 3, 1)), length=2)


def test_conv_transpose_of_sequences(backend):
    x, kernel = normal(2, 5, 3), normal(3, 4, 3, seed=1)
    expected = looped_transpose(x[:, :, None], kernel[:, None], (11, 1), (2, 1), (0, 0))[:, :, 0]
    y, pullback = conv_transpose(backend.asarray(x), backend.asarray(kernel), strides=2)
    assert_close(y, expected, length=9)
    assert [cotangent.shape for cotangent in pullback(y)] == [(2, 5, 3), (3, 4, 3)]


@pytest.mark.parametrize("options", [{}, {"strides": 2, "padding": "same"}, {"padding": "same", "dilation": 2}])
@pytest.mark.parametrize(("shape", "window"), [((2, 6, 7, 3), (3, 2, 3, 2)), ((2, 8, 3), (3, 3, 1))])
def test_depthwise_and_separable(backend, backend_float64, shape, window, options):
    c, m = window[-2:]
    x, kernel, bias = normal(*shape), normal(*window, seed=1), normal(c * m, seed=2)
    mix = normal(*(1,) * (len(window) - 2), c * m, 4, seed=3)
    groups = kernel.reshape(*window[:-2], 1, c * m)  # a group for each channel
    between = looped_conv(x, groups, None, groups=c, **options)
    arrays = [backend.asarray(array) for array in (x, kernel, bias)]
    with no_synchronization():
        y, pullback = depthwise_conv(*arrays, **options)
        z, _ = separable_conv(arrays[0], arrays[1], backend.asarray(mix), **options)
        dx, dkernel, dbias = pullback(y)
    assert_close(y, between + bias, length=6, like=arrays[0])
    assert_close(z, between @ mix.reshape(c * m, 4), length=50, like=arrays[0])
    assert [a.shape for a in (dx, dkernel, dbias)] == [shape, window, (c * m,)]
    place = backend_float64
    check_gradients(lambda *a: depthwise_conv(*a, **options), x, kernel, bias, placement=place)
    check_gradients(lambda *a: separable_conv(*a, **options), x, kernel, mix, normal(4), placement=place)


def test_depthwise_allows_strides_with_dilation_as_keras_does():
    x, kernel = normal(2, 9, 9, 3), normal(2, 2, 3, 1, seed=1)
    options = {"strides": 2, "dilation": 2, "padding": "same"}
    expected = looped_conv(x, kernel.reshape(2, 2, 1, 3), groups=3, **options)
    assert_close(depthwise_conv(x, kernel, **options)[0], expected)


FUNCTIONS = {
    "conv": (lambda *a: conv(*a, padding="same"), [(2, 5, 6, 3), (3, 3, 3, 4), (4,)]),
    "conv of sequences": (lambda *a: conv(*a, padding="causal"), [(2, 5, 3), (3, 3, 4), (4,)]),
    "conv of groups": (lambda *a: conv(*a, groups=2), [(2, 5, 6, 4), (3, 3, 2, 4), (4,)]),
    "conv of pixels": (conv, [(2, 5, 6, 3), (1, 1, 3, 4), (4,)]),
    "conv_transpose": (lambda *a: conv_transpose(*a, strides=2), [(2, 5, 6, 3), (3, 3, 4, 3), (4,)]),
    "depthwise_conv": (depthwise_conv, [(2, 5, 6, 3), (3, 3, 3, 2), (6,)]),
    "depthwise_conv of sequences": (depthwise_conv, [(2, 5, 3), (3, 3, 2), (6,)]),
    "separable_conv": (separable_conv, [(2, 5, 6, 3), (3, 3, 3, 2), (1, 1, 6, 4), (4,)]),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_pullback_writes_where_it_is_told_and_skips_what_is_not_wanted(backend, name):
    function, shapes = FUNCTIONS[name]
    arrays = [backend.asarray(normal(*shape, seed=i)) for i, shape in enumerate(shapes)]
    y, pullback = function(*arrays)
    expected = pullback(y)
    places = [None, *(backend.asarray(np.full(shape, 7.0)) for shape in shapes[1:])]
    for place, found, cotangent in zip(places, pullback(y, out=places), expected, strict=True):
        assert_close(found, cotangent, rtol=0.0, atol=0.0)
        if found is place:
            assert_close(place, cotangent, rtol=0.0, atol=0.0)
    for skipped in range(len(shapes)):
        found = pullback(y, out=[SKIP if i == skipped else None for i in range(len(shapes))])
        assert [cotangent is None for cotangent in found] == [i == skipped for i in range(len(shapes))]
    assert pullback(y, out=[SKIP] * len(shapes)) == (None,) * len(shapes)


@pytest.mark.parametrize(("shape", "window"), [((2, 5, 6, 3), (3, 3, 3, 4)), ((2, 5, 3), (3, 3, 4))])
def test_numpy_writes_the_gradient_of_the_kernel_in_place(shape, window):
    x, kernel, place = normal(*shape), normal(*window), np.full(window, 7.0)
    _, pullback = conv(x, kernel)
    y = conv(x, kernel)[0]
    found = pullback(y, out=(SKIP, place))[1]
    assert found is place
    assert_close(place, pullback(y)[1])
    wide = np.full((*window[:-1], 9), 7.0)
    assert_close(pullback(y, out=(SKIP, wide[..., :4]))[1], place)  # not contiguous


@pytest.mark.parametrize("name", FUNCTIONS)
def test_no_images(backend, name):
    function, shapes = FUNCTIONS[name]
    shapes = [(0, *shapes[0][1:]), *shapes[1:]]
    y, pullback = function(*(backend.asarray(normal(*shape)) for shape in shapes))
    cotangents = pullback(y)
    assert y.shape[0] == 0
    for cotangent, shape in zip(cotangents, shapes, strict=True):
        assert_close(cotangent, np.zeros(shape))


def test_float16():
    x, kernel, bias = (normal(*shape).astype(np.float16) for shape in ((2, 5, 6, 3), (3, 3, 3, 4), (4,)))
    y, pullback = conv(x, kernel, bias)
    assert_close(y, looped_conv(*(a.astype(np.float64) for a in (x, kernel, bias))), length=27)
    assert {cotangent.dtype for cotangent in pullback(y)} == {np.dtype(np.float16)}


IMAGES = [row for row in CONVOLUTIONS if len(row[0]) == 4]


class TestBlocks:
    """NumPy's kernels give the same for blocks of any size."""

    @pytest.mark.parametrize("size", [1, 700, 3000])
    @pytest.mark.parametrize(("shape", "window", "options"), IMAGES)
    def test_of_conv(self, monkeypatch, shape, window, options, size):
        x, kernel, bias = normal(*shape), normal(*window, seed=1), normal(window[-1], seed=2)
        y, pullback = conv(x, kernel, bias, **options)
        dy = normal(*y.shape, seed=3)
        expected = [y, *pullback(dy)]
        monkeypatch.setattr(numpy_convolution, "_BLOCK", size)
        y, pullback = conv(x, kernel, bias, **options)
        for found, wanted in zip([y, *pullback(dy)], expected, strict=True):
            assert_close(found, wanted, length=100)

    @pytest.mark.parametrize(("images", "rows", "size"), [(7, 5, 10), (7, 5, 300), (1, 1, 1), (3, 100, 1), (0, 5, 9)])
    def test_cover_every_row_once(self, monkeypatch, images, rows, size):
        monkeypatch.setattr(numpy_convolution, "_BLOCK", 100)
        seen = np.zeros((images, rows), int)
        for block in numpy_convolution.blocks(images, rows, size):
            seen[block] += 1
            assert seen[block].size * size <= 100 or seen[block].shape[0] == 1
        assert (seen == 1).all()

    def test_memory_does_not_grow_with_the_windows(self):
        x, kernel = np.zeros((64, 24, 24, 8), np.float32), np.zeros((7, 7, 8, 8), np.float32)
        y, pullback = conv(x, kernel, padding="same")
        columns = 49 * x.nbytes
        tracemalloc.start()
        try:
            conv(x, kernel, padding="same")
            pullback(y)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        assert peak < 3 * x.nbytes + 4 * numpy_convolution._BLOCK < columns / 4

    def test_the_gradient_of_the_input_is_not_computed_when_it_is_not_wanted(self, monkeypatch):
        x, kernel = normal(2, 5, 6, 3), normal(3, 3, 3, 4)
        y, pullback = conv(x, kernel)
        monkeypatch.setattr(numpy_convolution, "_spread", None)
        pullback(y, out=(SKIP, None))
        with pytest.raises(TypeError):
            pullback(y)


AXES = [
    (size, window, stride, padding, dilation)
    for size, window, stride, padding, dilation in itertools.product(
        (1, 2, 5, 6), (1, 2, 3), (1, 2, 3), ("valid", "same", "causal"), (1, 2)
    )
    if padding != "valid" or size >= (window - 1) * dilation + 1
]


class TestWindows:
    @pytest.mark.parametrize("arguments", AXES)
    def test_taps_lie_where_the_table_says(self, arguments):
        axis = along_axis(*arguments)
        for tap in range(axis.window):
            windows, positions = axis.inside(tap)
            pairs = list(zip(range(axis.count)[windows], range(axis.size)[positions], strict=True))
            all_places = [(o, o * axis.stride + tap * axis.dilation - axis.before) for o in range(axis.count)]
            assert pairs == [(o, place) for o, place in all_places if 0 <= place < axis.size]
        last = (axis.count - 1) * axis.stride + axis.extent
        assert last <= axis.before + axis.size + axis.after
        assert axis.padded == (axis.before + axis.after > 0)

    @pytest.mark.parametrize(
        ("sizes", "window", "strides", "padding"),
        [((5, 6), (3, 2), (2, 1), "same"), ((6, 6), (2, 3), (2, 3), "valid"), ((7, 5), (2, 2), (3, 3), "valid")],
    )
    def test_fold_is_the_adjoint_of_unfold(self, backend, sizes, window, strides, padding):
        windows = windows_of("test", sizes, window, strides, padding)
        x = normal(2, *sizes, 3)
        elements = unfold(backend.asarray(x), windows)
        other = normal(*elements.shape, seed=1)
        back = nnx.to_numpy(fold(backend.asarray(other), windows))
        assert_close(np.sum(nnx.to_numpy(elements) * other), np.sum(x * back), rtol=1e-5)

    def test_tables_are_kept_on_the_device_but_not_without_limit(self, backend):
        like = backend.asarray(np.zeros(1))
        windows = windows_of("test", (5, 6), (3, 2), (1, 1), "same")
        assert table(positions_of_windows, windows, like) is table(positions_of_windows, windows, like)
        for size in range(_MOST_TABLES + 3):
            table(positions_of_windows, windows_of("test", (2, 3 + size), (1, 1), (1, 1), "same"), like)
        assert len(_TABLES) <= _MOST_TABLES


X, KERNEL = np.ones((2, 5, 6, 3)), np.ones((3, 3, 3, 4))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: conv(np.ones((2, 5)), KERNEL), r"conv: expected \(batch, steps, channels\), .* got shape \(2, 5\)"),
        (lambda: conv(X, KERNEL, data_format="NHWC"), r"conv: data_format must be 'channels_last' or .*'NHWC'"),
        (lambda: conv(X, KERNEL[0]), r"conv: a kernel has one axis for each spatial axis .*got shape \(3, 3, 4\)"),
        (lambda: conv(X, KERNEL[:, :, :2]), r"conv: a kernel of shape .* goes with 2 channels; x has 3 channels"),
        (lambda: conv(X, KERNEL[:, :, :1, :], groups=3), r"goes with 3 channels, and its filters cannot be split"),
        (lambda: conv(X, KERNEL, padding="full"), r"conv: padding must be one of 'valid', 'same' here, got 'full'"),
        (lambda: conv(X, KERNEL, padding="causal"), r"conv: padding must be one of 'valid', 'same' here, got 'causal'"),
        (lambda: conv(X, KERNEL, strides=2, dilation=(1, 2)), r"conv: strides 2 and dilation \(1, 2\) cannot both"),
        (
            lambda: conv(X, np.ones((6, 3, 3, 4))),
            r"conv: a window of 6 x 3 does not fit into an input of 5 x 6; use larger inputs, a smaller window or padd",
        ),
        (lambda: conv(X, KERNEL, dilation=3), r"window of 7 x 7 \(with dilation \(3, 3\)\) does not fit"),
        (lambda: conv_transpose(X, KERNEL), r"conv_transpose: a kernel of shape .* goes with 4 channels; x has 3"),
        (
            lambda: conv_transpose(X, np.ones((3, 3, 4, 3)), padding="causal"),
            r"conv_transpose: padding must be one of 'valid', 'same'",
        ),
        (lambda: depthwise_conv(X, KERNEL[:, :, :2]), r"depthwise_conv: .* goes with 2 channels; x has 3 channels"),
    ],
)
def test_errors(call, message):
    with pytest.raises(ValueError, match=message):
        call()
