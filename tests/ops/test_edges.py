"""Operations where it matters: derivatives at ties and edges, dtypes that meet, and what is refused or not there."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import nnx
from nnx import ops
from nnx.backends import Placement, to_numpy
from nnx.testing import assert_close

NAN, INF = math.nan, math.inf
THIRD = 1.0 / 3.0

# The gradient of the sum of the result, for the first argument.
GRADIENTS: dict[str, tuple[Callable[..., Any], list[float], list[float]]] = {
    "median of three equal ones": (ops.median, [2.0, 2.0, 2.0, 4.0], [THIRD, THIRD, THIRD, 0.0]),
    "median between two": (ops.median, [1.0, 2.0, 3.0, 4.0], [0.0, 0.5, 0.5, 0.0]),
    "quantile": (lambda x: ops.quantile(x, [0.25, 1.0]), [4.0, 0.0, 2.0], [1.0, 0.5, 0.5]),
    "nanmedian": (ops.nanmedian, [1.0, NAN, 3.0, 9.0], [0.0, 0.0, 1.0, 0.0]),
    "max of equal ones": (ops.max, [2.0, 2.0, 1.0], [0.5, 0.5, 0.0]),
    "amin of equal ones": (ops.amin, [1.0, 2.0, 1.0], [0.5, 0.0, 0.5]),
    "ptp": (ops.ptp, [1.0, 2.0, 2.0], [-1.0, 0.5, 0.5]),
    "maximum of equal ones": (lambda x: ops.maximum(x, 1.0), [1.0, 2.0, 0.0], [0.5, 1.0, 0.0]),
    "fmax of equal ones": (lambda x: ops.fmax(x, 1.0), [1.0, 2.0, 0.0], [0.5, 1.0, 0.0]),
    "fmin beside NaN": (lambda x: ops.fmin(x, [NAN, 1.0, NAN]), [5.0, 2.0, -1.0], [1.0, 0.0, 1.0]),
    "clip on its bounds": (lambda x: ops.clip(x, 0.0, 1.0), [-1.0, 0.0, 0.5, 1.0, 2.0], [0.0, 1.0, 1.0, 1.0, 0.0]),
    "clip between arrays": (lambda x: ops.clip(x, [0.0, 0.0], 1.0), [0.0, 2.0], [1.0, 0.0]),
    "abs": (ops.abs, [-2.0, 0.0, 3.0], [-1.0, 0.0, 1.0]),
    "std of equal ones": (ops.std, [2.0, 2.0], [0.0, 0.0]),
    "nanstd of equal ones": (ops.nanstd, [2.0, NAN, 2.0], [0.0, 0.0, 0.0]),
    "nansum": (ops.nansum, [2.0, NAN], [1.0, 0.0]),
    "nanmean": (ops.nanmean, [2.0, NAN, 4.0], [0.5, 0.0, 0.5]),
    "nanmax": (ops.nanmax, [2.0, NAN, 2.0], [0.5, 0.0, 0.5]),
    "nan_to_num": (ops.nan_to_num, [1.0, NAN, INF, -INF], [1.0, 0.0, 0.0, 0.0]),
    "what was not chosen": (lambda x: ops.where(x > 0, ops.log(x), 0.0 * x), [0.0, 2.0], [0.0, 0.5]),
    "select": (lambda x: ops.select([x > 1, x > 0], [x * 2, x * 3], 0.0), [2.0, 0.5, -1.0], [2.0, 3.0, 0.0]),
    "cbrt": (ops.cbrt, [0.0, 8.0], [INF, 1.0 / 12.0]),
    "sinc": (ops.sinc, [0.0, 1.0], [0.0, -1.0]),
    "sort of equal ones, by index": (lambda x: ops.sort(x) * ops.arange(3.0), [1.0, 1.0, 0.0], [1.0, 2.0, 0.0]),
    "take twice": (lambda x: ops.take(x, [0, 0, -1]), [1.0, 2.0], [2.0, 1.0]),
    "get_item twice": (lambda x: ops.get_item(x, [0, 0, -1]), [1.0, 2.0], [2.0, 1.0]),
    "prod with a zero": (ops.prod, [2.0, 0.0, 3.0], [0.0, 6.0, 0.0]),
    "fmod": (lambda x: ops.fmod(x, 2.0), [3.0, -3.0, 0.0], [1.0, 1.0, 1.0]),
    "divide_no_nan": (lambda x: ops.divide_no_nan(x, [0.0, 2.0]), [1.0, 1.0], [0.0, 0.5]),
    "norm 2 of zeros": (lambda x: ops.norm(ops.diag(x), ord=2, axis=(0, 1)), [0.0, 0.0], [0.0, 0.0]),
    "norm 2 of ties": (lambda x: ops.norm(ops.diag(x), ord=2, axis=(0, 1)), [2.0, 2.0], [0.5, 0.5]),
    "norm nuc of zeros": (lambda x: ops.norm(ops.diag(x), ord="nuc", axis=(0, 1)), [0.0, 3.0], [0.0, 1.0]),
    "edges of a histogram": (lambda x: ops.histogram(x, bins=2)[1], [1.0, 4.0, 2.0], [1.5, 1.5, 0.0]),
    "unique": (lambda x: ops.unique(x) * ops.unique(x), [2.0, 1.0, 2.0], [4.0, 2.0, 0.0]),
    "unique, too few": (lambda x: ops.unique(x, size=4), [2.0, 1.0, 2.0], [1.0, 3.0, 0.0]),
    "unique, too few, filled": (lambda x: ops.unique(x, size=4, fill_value=7.0), [2.0, 1.0, 2.0], [1.0, 1.0, 0.0]),
    "unique, too many": (lambda x: ops.unique(x, size=1, return_counts=True)[0], [2.0, 1.0, 3.0], [0.0, 1.0, 0.0]),
    "unique rows": (
        lambda x: ops.unique(ops.reshape(x, (2, 2)), axis=0)[0],
        [3.0, 1.0, 2.0, 5.0],
        [0.0, 0.0, 1.0, 1.0],
    ),
    "window of a transform": (
        lambda x: ops.stft([1.0, 2.0, 3.0, 4.0], 2, 2, 2, window=x, center=False)[0][:, 0],
        [1.0, 1.0],
        [4.0, 6.0],
    ),
    "isclose has none": (lambda x: x + ops.cast(ops.isclose(x, 1.0), "float32"), [1.0, 2.0], [1.0, 1.0]),
}


@pytest.mark.parametrize("case", GRADIENTS)
def test_gradients_at_ties_and_edges(case: str, backend: Placement) -> None:
    function, x, expected = GRADIENTS[case]
    with np.errstate(all="ignore"):
        found = nnx.grad(lambda x: ops.sum(function(x)))(backend.asarray(x))
    assert_close(found, np.asarray(expected, "float32"))


@pytest.mark.parametrize(
    ("function", "x", "expected"),
    [
        (ops.sinc, [0.0], [-(math.pi**2) / 3.0]),
        (ops.cbrt, [8.0], [-2.0 / 9.0 / 32.0]),
        (ops.i0, [0.0], [0.5]),
        (lambda x: ops.slogdet(ops.diag(x))[1], [2.0, 4.0], [-0.25, -1.0 / 16.0]),
        (lambda x: ops.median(x * x), [1.0, 2.0, 3.0], [0.0, 2.0, 0.0]),
        (lambda x: ops.einsum("i,i,i->", x, x, x), [1.0, 2.0], [6.0, 12.0]),
    ],
)
def test_second_derivatives(
    function: Callable[..., Any], x: list[float], expected: list[float], backend_float64: Placement
) -> None:
    slope = nnx.grad(lambda x: ops.sum(function(x)))
    found = nnx.grad(lambda x: ops.sum(slope(x)))(backend_float64.asarray(x))
    assert_close(found, np.asarray(expected), rtol=1e-9)


def test_logarithms_of_determinants_beyond_the_dtype(backend: Placement) -> None:
    """The determinant is 200**40; with a derivative the value is the same."""
    x = backend.asarray(200.0 * np.eye(40, dtype="float32"))
    for function in (ops.logdet, lambda x: ops.slogdet(x)[1]):
        value, gradient = nnx.value_and_grad(function)(x)
        assert_close(value, function(x))
        assert_close(value, np.float32(40.0 * math.log(200.0)))
        assert_close(gradient, np.eye(40, dtype="float32") / 200.0)


def test_singular_matrices_have_no_slope_of_the_logarithm(backend: Placement) -> None:
    x = backend.asarray(np.ones((2, 2), "float32"))
    for function in (ops.logdet, lambda x: ops.slogdet(x)[1]):
        with np.errstate(all="ignore"):
            value, gradient = nnx.value_and_grad(function)(x)
        assert float(value) == -INF
        assert np.isnan(to_numpy(gradient)).all()


def test_float64_stays_and_numbers_follow() -> None:
    x = np.asarray([1.0, 2.0])
    assert to_numpy(ops.add(x, [0.1, 0.2])).tolist() == [1.0 + 0.1, 2.0 + 0.2]
    assert ops.multiply(x, 0.1).dtype == np.float64
    assert ops.exp(np.float64(1.0)).dtype == np.float64
    assert ops.quantile(x, 0.1).dtype == np.float64


def test_a_number_of_numpy_follows_an_array() -> None:
    x = np.ones(2, "float32")
    assert ops.multiply(x, np.sqrt(2.0)).dtype == np.float32
    assert ops.where(x > 0, x, np.float64(0.5)).dtype == np.float32
    assert ops.add(np.ones(2, "float16"), np.float32(1.0)).dtype == np.float16


def test_numbers_go_to_where_the_arrays_are(backend: Placement) -> None:
    x = backend.asarray([1.0, 2.0])
    with nnx.backend("numpy"):
        for found in (ops.add(x, [1.0, 1.0]), ops.where(x > 1, 1.0, 0.0), ops.take(x, [1]), ops.pad(x, 1)):
            assert backend.holds(found)


def test_constants_beside_tracked_arrays_in_any_order(backend: Placement) -> None:
    x, y = backend.asarray([1.0, 2.0]), backend.asarray([3.0, 4.0])
    for function in (ops.add, ops.subtract, ops.multiply, ops.divide, ops.power, ops.maximum, ops.hypot):
        first = nnx.grad(lambda z, f=function: ops.sum(f(z, y)))(x)
        second = nnx.grad(lambda z, f=function: ops.sum(f(x, z)))(y)
        both = nnx.grad(lambda a, b, f=function: ops.sum(f(a, b)), argnums=(0, 1))(x, y)
        assert_close(first, both[0])
        assert_close(second, both[1])


def test_vectorize(backend: Placement) -> None:
    x = backend.asarray([[1.0, 2.0], [3.0, 4.0]])
    assert_close(ops.vectorize(lambda a, b: a * b + 1.0)(x, 2.0), [[3.0, 5.0], [7.0, 9.0]])
    inner = ops.vectorize(lambda a, b: ops.sum(a * b), signature="(n),(n)->()")
    assert_close(inner(x, [1.0, 10.0]), [21.0, 43.0])
    scaled = ops.vectorize(lambda a, factor: a * factor, excluded={"factor"})
    assert_close(scaled(x, factor=3.0), [[3.0, 6.0], [9.0, 12.0]])
    assert_close(nnx.grad(lambda z: ops.sum(ops.vectorize(lambda a: a * a)(z)))(x), 2.0 * to_numpy(x))
    with pytest.raises(ValueError, match="signature"):
        ops.vectorize(len, signature="n")(x)


def test_lists_may_have_arrays_in_them(backend: Placement) -> None:
    x = backend.asarray([1.0, 2.0])
    assert_close(ops.multiply([x, x], 2.0), [[2.0, 4.0], [2.0, 4.0]])
    assert_close(nnx.grad(lambda z: ops.sum(ops.square([z, 3.0 * z])))(x), [20.0, 40.0])


def test_copies_are_new(backend: Placement) -> None:
    x = backend.asarray([1.0, 2.0])
    for made in (ops.copy(x), ops.array(x)):
        made[0] = 9.0
    assert_close(x, [1.0, 2.0])


@pytest.mark.parametrize(
    ("name", "args", "options", "message"),
    [
        ("bincount", ([-1],), {}, "must not be negative"),
        ("bincount", ([1],), {"sparse": True}, "sparse"),
        ("bincount", ([0.5],), {}, "integers"),
        ("concatenate", ([],), {}, "at least one"),
        ("swapaxes", ([1.0], 0, 1), {}, "axis 1 is out of range"),
        ("expand_dims", ([1.0], (0, 0)), {}, "twice"),
        ("quantile", ([1.0], 1.5), {}, "between 0 and 1"),
        ("percentile", ([1.0], 101), {}, "between 0 and 100"),
        ("median", (np.zeros((0,)),), {}, "no elements"),
        ("histogram", ([1.0],), {"bins": 0}, "positive"),
        ("correlate", ([[1.0]], [1.0]), {}, "two vectors"),
        ("correlate", ([1.0], [1.0], "best"), {}, "mode"),
        ("searchsorted", ([1.0], 1.0, "middle"), {}, "side"),
        ("einsum", ("ij,j->i", [[1.0]]), {}, "names 2 operands"),
        ("meshgrid", ([1.0],), {"indexing": "ji"}, "indexing"),
        ("linspace", (0.0, 1.0, -1), {}, "num"),
        ("zeros", (2, "float31"), {}, "dtype"),
        ("select", ([[True]], []), {}, "1 conditions, but 0 choices"),
        ("hanning", (-1,), {}, "number of points"),
        ("exp", ("abc",), {}, "expected an array"),
        ("add", ([1.0], object()), {}, "expected an array"),
        ("diff", ([1.0],), {"n": -1}, "negative"),
        ("vander", ([[1.0]],), {}, "one axis"),
        ("diag", ([[[1.0]]],), {}, "one axis or two"),
    ],
)
def test_errors_say_what_is_wrong(name: str, args: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises((ValueError, TypeError), match=message):
        getattr(ops, name)(*args, **options)


def test_names_that_are_not_there_say_what_to_write() -> None:
    with pytest.raises(AttributeError, match="rearrange"):
        _ = ops.rearrange
    with pytest.raises(AttributeError, match="did you mean 'transpose'"):
        _ = ops.transposed
    assert ops.numpy.exp is ops.exp
    assert ops.nn.exp is ops.exp


def test_a_view_of_bytes_has_no_derivative() -> None:
    with pytest.raises(NotImplementedError, match="stop_gradient"):
        nnx.grad(lambda x: ops.sum(ops.view(x, "float64")))(np.ones(2, "float32"))


@pytest.mark.parametrize(
    "function",
    [
        lambda q: ops.quantile([1.0, 2.0], q),
        lambda q: ops.nanpercentile([1.0, 2.0], [q, 0.5]),
        lambda q: ops.istft(([[1.0, 2.0]], [[0.0, 0.0]]), 2, 2, 2, window=ops.stack([q, q]), center=False),
        lambda q: ops.image.scale_and_translate([0.0, 2.0], (4,), [q], [0.0], (0,), "linear"),
    ],
)
def test_arguments_without_a_derivative_are_no_silent_constants(function: Callable[..., Any]) -> None:
    with pytest.raises(NotImplementedError, match=r"has no derivative: write nnx\.stop_gradient"):
        nnx.grad(lambda q: ops.sum(function(q)))(np.asarray(0.5))


def test_texts_are_no_arrays():
    with pytest.raises(TypeError, match=r"got list: .*; texts go into a model as they are"):
        ops.convert_to_tensor(["a"])
