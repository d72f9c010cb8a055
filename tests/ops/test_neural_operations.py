"""Operations of neural networks, linear algebra, segments, control flow and images, on backends, tapes and symbols."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import nnx
from nnx import ops
from nnx.backends import Placement, backend_of, is_array
from nnx.random import Generator
from nnx.testing import assert_close
from tests.oracles import neural_operation_cases as cases
from tests.oracles.neural_operation_cases import f, i, row, u
from tests.oracles.operation_cases import Case

ON_HOST = ("complex", "float16")  # dtypes that not every backend has

CASES = [pytest.param(case, id=f"{case.name}-{n}") for n, case in enumerate(cases.ROWS) if case.name != "cond"]


def find(name: str) -> Any:
    found: Any = ops
    for part in name.split("."):
        found = getattr(found, part)
    return found


def told(value: Any, backend: Placement) -> Any:
    """Functions of `ops` are asked for what they return; arrays come to the backend."""
    if inspect.isfunction(value):
        return value(ops)
    if isinstance(value, tuple) and any(isinstance(part, np.ndarray) for part in value):
        return tuple(told(part, backend) for part in value)
    if isinstance(value, np.ndarray | np.float32):
        return backend.asarray(value, value.dtype.name)
    return value


def call(case: Case, backend: Placement) -> Any:
    options = {name: told(value, backend) for name, value in case.options.items()}
    return find(case.name)(*[told(value, backend) for value in case.args], **options)


def parts(value: Any) -> list[Any]:
    return [part for one in value for part in parts(one)] if isinstance(value, list | tuple) else [value]


def needs_other_dtypes(case: Case) -> bool:
    given = [value.dtype.name for value in parts(case.args) if isinstance(value, np.ndarray)]
    wanted = [value for value in (*case.args, *case.options.values()) if isinstance(value, str)]
    return case.name in ("view_as_complex", "view_as_real", "polar") or any(
        name.startswith(ON_HOST) for name in (*given, *wanted)
    )


@pytest.mark.parametrize("case", CASES)
def test_is_the_same_on_every_backend(case: Case, backend: Placement) -> None:
    if needs_other_dtypes(case):
        pytest.skip("the standard's lower limit has neither float16 nor complex numbers of every library")
    found = parts(call(case, backend))
    with nnx.backend("numpy"):
        expected = parts(call(case, nnx.get_backend()))
    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        if not is_array(other):
            assert one == other
            continue
        if case.name != "convert_to_numpy":
            assert backend.holds(one)
        host = nnx.to_numpy(one)
        assert host.dtype == other.dtype
        # both add up float32 numbers, in an order of their own
        finite = np.abs(other[np.isfinite(other)]) if other.dtype.kind == "f" else np.zeros(1)
        assert_close(host, other, rtol=3e-5, atol=3e-5 * max(1.0, float(finite.max(initial=0.0))))


class TestDerivatives:
    """Against differences along a random direction, in float64; random numbers lie on no kink."""

    CASES = (
        *[row(name, f(3, 4)) for name in (*cases.POINTWISE, "erf", "erfc")],
        *[case for case in cases.ACTIVATIONS if case.name in ("glu", "softmax", "log_softmax")],
        row("sparsemax", f(3, 4)),
        row("rsqrt", u(3, 4)),
        row("erfinv", u(3, 4)),
        row("threshold", f(3, 4), 0.5, -7.0),
        *cases.CONVOLUTIONS,
        *[case for case in cases.LOSSES if case.name != "ctc_decode" and not isinstance(case.args[0], list)],
        *[case for case in cases.NORMALIZATIONS if isinstance(case.args[0], np.ndarray)][:3],
        *cases.NORMALIZATIONS[4:16],
        *cases.ATTENTIONS,
        *[case for case in cases.LINALG if case.name in ("det", "logdet", "inv", "solve", "solve_triangular")],
        *[row("norm", f(4), ord=o) for o in (1, 2, 3, math.inf)],
        *[row("norm", f(3, 4), ord=o) for o in (None, 1, math.inf, "fro")],
        row("cholesky_inverse", np.tril(cases.spd(3))),
        row("cdist", f(4, 3), f(5, 3, seed=1)),
        *[
            case
            for case in cases.MATH
            if case.name.startswith(("segment", "fft", "ifft", "rfft", "irfft", "stft", "istft"))
        ],
        row("logsumexp", f(3, 4), axis=0),
        row("logsumexp", f(3, 4, 2), axis=(0, 2), keepdims=True),
        row("top_k", f(3, 6), 2),
        row("extract_sequences", f(2, 10), 4, 2),
        *[
            case
            for case in cases.CORE
            if case.name in ("slice", "slice_update", "unstack", "scatter", "scatter_update")
        ],
        *[case for case in cases.CORE if case.name in ("map", "scan", "associative_scan", "fori_loop")],
        *[case for case in cases.IMAGES if case.name not in ("image.map_coordinates", "image.affine_transform")],
        row("image.map_coordinates", f(4, 5), cases.PLACES + np.float32(0.0137), 1, fill_mode="reflect"),
        row("image.affine_transform", cases.RGB, cases.MAPS + np.float32(0.0137)),
    )
    ROWS = tuple(
        case
        for case in CASES
        if any(isinstance(x, np.ndarray) and x.dtype.kind == "f" and x.any() for x in parts(case.args))
    )
    IDS = tuple(f"{case.name}-{n}" for n, case in enumerate(ROWS))

    @staticmethod
    def as_number(case: Case) -> tuple[Callable[..., Any], list[np.ndarray]]:
        """The case as a function from its floating arrays to one number, and those arrays, in float64."""

        def is_floating(value: Any) -> bool:
            return isinstance(value, np.ndarray) and value.dtype.kind == "f"

        args = [value(ops) if inspect.isfunction(value) else value for value in case.args]
        leaves = [part.astype(np.float64) for part in parts(args) if is_floating(part)]

        def number(*floats: Any) -> Any:
            left = list(floats)

            def put(value: Any) -> Any:
                if isinstance(value, list | tuple):
                    return type(value)(put(part) for part in value)
                if is_floating(value):
                    return left.pop(0)
                return nnx.asarray(value, value.dtype.name) if isinstance(value, np.ndarray) else value

            found = [y for y in parts(find(case.name)(*map(put, args), **case.options)) if "float" in str(y.dtype)]
            weights = [nnx.asarray(Generator(3).normal(tuple(y.shape))) for y in found]
            return sum(ops.sum(ops.where(ops.isfinite(y), y * w, 0.0)) for y, w in zip(found, weights, strict=True))

        return number, leaves

    @staticmethod
    def check(number: Callable[..., Any], points: list[np.ndarray]) -> None:
        gradients = nnx.grad(number, argnums=tuple(range(len(points))))(*points)
        directions = [Generator(7 + n).normal(x.shape) for n, x in enumerate(points)]
        step = 1e-6
        ahead, behind = (
            float(number(*[x + side * step * d for x, d in zip(points, directions, strict=True)])) for side in (1, -1)
        )
        slope = sum(float(np.sum(g * d)) for g, d in zip(gradients, directions, strict=True))
        # differences of numbers with 16 digits over 2e-6 have 9 digits of the values, and err by the step's square
        assert math.isclose(slope, (ahead - behind) / (2 * step), rel_tol=1e-5, abs_tol=1e-6 * max(1.0, abs(ahead)))

    @pytest.mark.parametrize("case", ROWS, ids=IDS)
    def test_first(self, case: Case) -> None:
        with nnx.backend("numpy", dtype="float64"):
            self.check(*self.as_number(case))

    @pytest.mark.parametrize("case", ROWS, ids=IDS)
    def test_second(self, case: Case) -> None:
        if case.name in ("hard_tanh", "threshold"):
            pytest.skip("its derivative is constant between steps, and has no derivative to be wrong")
        with nnx.backend("numpy", dtype="float64"):
            number, points = self.as_number(case)
            wanted = tuple(range(len(points)))
            directions = [Generator(17 + n).normal(x.shape) for n, x in enumerate(points)]

            def slope(*floats: Any) -> Any:
                gradients = nnx.grad(number, argnums=wanted)(*floats)
                return sum(ops.sum(g * d) for g, d in zip(gradients, directions, strict=True))

            self.check(slope, points)

    ONE_EACH = tuple({case.name: case for case in reversed(ROWS)}.values())

    @pytest.mark.parametrize("case", ONE_EACH, ids=lambda case: case.name)
    def test_are_the_same_on_every_backend(self, case: Case, backend: Placement) -> None:
        number, points = self.as_number(case)
        points = [x.astype(np.float32) for x in points]
        assert points
        wanted = tuple(range(len(points)))
        with nnx.backend("numpy"):
            expected = nnx.grad(number, argnums=wanted)(*points)
        found = nnx.grad(number, argnums=wanted)(*[backend.asarray(x, "float32") for x in points])
        for one, other in zip(found, expected, strict=True):
            assert backend_of(one) is backend.backend
            largest = max(1.0, float(np.abs(other).max(initial=0.0)))
            assert_close(nnx.to_numpy(one), other, rtol=1e-4, atol=1e-4 * largest)


class TestSymbols:
    ROWS = (
        row("softmax", f(4, 3)),
        row("gelu", f(4, 3), approximate=False),
        row("glu", f(2, 4)),
        row("conv", f(2, 7, 3), f(3, 3, 4), padding="same"),
        row("max_pool", f(2, 6, 6, 3), 2),
        row("layer_normalization", f(4, 3)),
        row("normalize", f(4, 3)),
        row("moments", f(4, 3, 2), [1, 2]),
        row("norm", f(4, 3), axis=-1),
        row("top_k", f(4, 5), 2),
        row("logsumexp", f(4, 5), axis=-1),
        row("rfft", f(4, 8)),
        row("unstack", f(4, 3), axis=1),
        row("cast", f(4, 3), "int32"),
        row("image.resize", u(2, 4, 4, 3), (8, 8)),
        row("image.rgb_to_grayscale", u(2, 4, 4, 3)),
        row("space_to_depth", u(2, 4, 4, 3), 2),
        row("unfold", f(2, 3, 6, 7), 2),
    )

    @pytest.mark.parametrize("case", ROWS, ids=str)
    def test_are_operations_of_a_graph(self, case: Case) -> None:
        x, *others = case.args
        symbol = nnx.Input(x.shape[1:])
        model = nnx.Model(symbol, find(case.name)(symbol, *others, **case.options))
        expected = parts(find(case.name)(x, *others, **case.options))
        for one, other in zip(parts(model.predict(x, verbose=0)), expected, strict=True):
            assert_close(one, other, rtol=1e-5, atol=1e-5)


class TestMeanings:
    """What Keras does not promise, or does otherwise on JAX."""

    def test_vectors_of_eigh_and_svd_make_the_matrix_again(self, backend: Placement) -> None:
        matrix = backend.asarray(cases.spd(4))
        values, vectors = ops.eigh(matrix)
        assert_close(vectors @ (values[:, None] * backend.xp.matrix_transpose(vectors)), matrix, rtol=1e-4, atol=1e-4)
        wide = backend.asarray(f(3, 5))
        left, size, right = ops.svd(wide, full_matrices=False)
        assert_close(left @ (size[:, None] * right), wide, rtol=1e-4, atol=1e-5)
        assert ops.svd(wide)[2].shape == (5, 5)

    @pytest.mark.parametrize(("mode", "size"), [("reduced", 3), ("complete", 5)])
    def test_factors_of_qr_make_the_matrix_again(self, backend: Placement, mode: str, size: int) -> None:
        tall = backend.asarray(f(5, 3))
        q, r = ops.qr(tall, mode=mode)
        assert q.shape == (5, size)
        assert_close(q @ r, tall, rtol=1e-4, atol=1e-5)
        assert_close(backend.xp.matrix_transpose(q) @ q, np.eye(size), rtol=1e-5, atol=1e-5)

    def test_vectors_of_eig(self) -> None:
        matrix = f(4, 4)
        values, vectors = ops.eig(matrix)
        assert values.dtype == np.complex64
        np.testing.assert_allclose(matrix @ vectors, vectors * values, atol=1e-5)

    def test_istft_is_the_inverse_of_stft(self, backend: Placement) -> None:
        x = backend.asarray(f(2, 64))
        for window in ("hann", "hamming", None):
            back = ops.istft(ops.stft(x, 16, 4, 16, window=window), 16, 4, 16, window=window)
            assert_close(back, x, rtol=1e-4, atol=1e-5)

    def test_blur_is_along_both_axes(self) -> None:
        point = np.zeros((1, 5, 5, 1), np.float32)
        point[0, 2, 2, 0] = 1.0
        blurred = ops.image.gaussian_blur(point)[0, ..., 0]
        np.testing.assert_allclose(blurred, blurred.T)
        assert blurred[1, 2] > 0.0

    def test_sparsemax_projects_onto_the_simplex(self) -> None:
        np.testing.assert_array_equal(ops.sparsemax([4.0, 4.0]), [0.5, 0.5])

    def test_segments_without_a_number_are_counted(self) -> None:
        np.testing.assert_array_equal(ops.segment_sum([1.0, 2.0], [0, 2]), [1.0, 0.0, 2.0])

    def test_pooling_without_strides_takes_the_size_of_the_windows(self) -> None:
        assert ops.max_pool(f(1, 6, 2), 3).shape == (1, 2, 2)

    def test_a_masked_row_of_attention_averages_evenly(self) -> None:
        y = ops.dot_product_attention(cases.Q, cases.K, cases.V, mask=np.zeros((4, 5), bool))
        np.testing.assert_allclose(
            y, np.broadcast_to(cases.V.mean(axis=1, keepdims=True), y.shape), rtol=1e-5, atol=1e-6
        )

    def test_the_last_update_of_a_place_wins_and_gets_the_derivative(self) -> None:
        updates = np.asarray([1.0, 2.0, 3.0])
        y, pullback = nnx.differentiable(lambda u: ops.scatter_update(np.zeros(2), [[0], [1], [0]], u))(updates)
        np.testing.assert_array_equal(y, [3.0, 2.0])
        np.testing.assert_array_equal(pullback(np.ones(2)), [0.0, 1.0, 1.0])

    def test_equal_elements_of_a_segment_share_the_derivative(self) -> None:
        x = np.asarray([2.0, 2.0, 1.0])
        np.testing.assert_array_equal(nnx.grad(lambda x: ops.sum(ops.segment_max(x, [0, 0, 0], 1)))(x), [0.5, 0.5, 0.0])

    def test_the_logarithm_of_a_sum_of_nothing_shares_the_derivative(self) -> None:
        gradient = nnx.grad(lambda x: ops.logsumexp(x))(np.asarray([-np.inf, -np.inf]))
        np.testing.assert_array_equal(gradient, [0.5, 0.5])
        np.testing.assert_array_equal(nnx.grad(lambda x: ops.logsumexp(x))(np.asarray([np.inf, 1.0])), [1.0, 0.0])

    def test_a_target_is_differentiated_too(self) -> None:
        y, p = np.asarray([[0.3, 0.7]]), np.asarray([[0.4, 0.6]])
        gradient = nnx.grad(lambda y: ops.sum(ops.categorical_crossentropy(y, p)))(y)
        np.testing.assert_allclose(gradient, -np.log(p))
        gradient = nnx.grad(lambda y: ops.sum(ops.binary_crossentropy(y, p)))(y)
        np.testing.assert_allclose(gradient, np.log(1.0 - p) - np.log(p))

    def test_float64_stays(self) -> None:
        for name in ("gelu", "softmax", "erf", "norm", "logsumexp"):
            assert find(name)(np.ones(3)).dtype == np.float64


class TestRefusals:
    @pytest.mark.parametrize(
        ("name", "args", "message"),
        [
            ("glu", (f(3),), "axis 0 is split in half, but its length is 3"),
            ("binary_crossentropy", (f(3), f(4)), "must have the same shape"),
            ("one_hot", (i(3), 4, -1, None, True), "sparse arrays are not available"),
            ("norm", (f(2, 3, 4), 2), "over one axis or two, got 3"),
            ("norm", (f(3, 4), 3), "ord of matrices is 1, -1, 2"),
            ("norm", (f(3), "fro"), "ord='fro' is of matrices"),
            ("qr", (f(3, 3), "full"), "mode must be 'reduced' or 'complete'"),
            ("normalize", (f(3), -1, 0.5), "order must be an integer from 1"),
            ("scatter_update", (f(3), [[0]], [1.0], "mean"), "reduction must be None, 'add'"),
            ("segment_sum", (f(3), [0, 1]), "one integer for each row of data"),
            ("slice", (f(3), [0], [4]), "does not fit into"),
            ("slice", (f(3, 3), [0], [2]), "for each of 2 axes"),
            ("unstack", (f(3), 2), "has the length 3, not num=2"),
            ("fft", (f(3),), "x is a pair of arrays"),
            ("stft", (f(30), 8, 4, 4), "fft_length must be at least sequence_length"),
            ("stft", (f(30), 8, 0, 8), "sequence_stride must be a positive integer, got 0"),
            ("dot_product_attention", (f(2, 3), f(2, 3), f(2, 3)), r"inputs are \(batch, length, heads, size\)"),
            ("image.rgb_to_hsv", (i(2, 2, 3),), "divide them by 255.0"),
            ("image.resize", (f(4, 4, 1), (2, 2), "area"), "interpolation must be one of"),
            ("image.resize", (f(4, 4, 1), (0, 2)), "resize: size must be a positive integer"),
            ("image.crop_images", (f(4, 4, 1), 1), "give two of"),
            ("image.pad_images", (f(4, 4, 1), 1, 0, 0, 0, 9), "give two of"),
            ("image.map_coordinates", (f(4, 4), f(3, 5), 1), "coordinates are"),
            ("image.map_coordinates", (f(4, 4), f(2, 5), 3), "order must be 0 or 1"),
            ("space_to_depth", (f(1, 3, 4, 1), 2), "3 cannot be divided by 2"),
            ("ctc_decode", (f(1, 3, 4), [3], "best"), "strategy must be 'greedy' or 'beam_search'"),
        ],
    )
    def test_says_what_is_wrong(self, name: str, args: tuple[Any, ...], message: str) -> None:
        with pytest.raises(ValueError, match=message):
            find(name)(*args)

    @pytest.mark.parametrize("name", ["lu_factor", "eig", "view_as_complex"])
    def test_says_where_there_is_no_derivative(self, name: str) -> None:
        with pytest.raises(NotImplementedError, match="no derivative in nnx"):
            nnx.differentiable(find(name))(np.ones((2, 2)))


@pytest.mark.parametrize(
    "call",
    [
        lambda x: ops.glu(x, axis=2),
        lambda x: ops.norm(x, axis=2),
        lambda x: ops.unstack(x, axis=-3),
        lambda x: ops.logsumexp(x, axis=2),
        lambda x: ops.softmax(x, axis=(0, 2)),
        lambda x: ops.prod(x, axis=(2,)),
        lambda x: ops.batch_normalization(x, [0.0], [1.0], axis=2),
        lambda x: ops.associative_scan(lambda a, b: a + b, x, axis=2),
    ],
)
def test_an_axis_that_is_not_there(call: Any) -> None:
    with pytest.raises(ValueError, match=r"axis -?\d is out of range for an array with 2 axes"):
        call(np.ones((2, 4), "float32"))


class TestControlFlow:
    def test_derivatives_go_through_loops(self, backend: Placement) -> None:
        x = backend.asarray([1.0, 2.0])
        gradient = nnx.grad(lambda x: ops.sum(ops.fori_loop(0, 3, lambda n, y: y * x, x)))(x)
        assert_close(gradient, [4.0, 32.0])
        gradient = nnx.grad(lambda x: ops.scan(lambda c, v: (c * v, None), 1.0, x)[0])(x)
        assert_close(gradient, [2.0, 1.0])

    def test_structures_are_taken_apart(self) -> None:
        total, made = ops.scan(
            lambda c, x: (c + x["a"], {"sum": c + x["b"]}), 0.0, {"a": np.ones(3), "b": np.arange(3.0)}
        )
        assert float(total) == 3.0
        np.testing.assert_array_equal(made["sum"], [0.0, 2.0, 4.0])
        np.testing.assert_array_equal(ops.map(lambda x: x[0] + x[1], (np.ones(2), np.arange(2.0))), [1.0, 2.0])
        first, second = ops.associative_scan(lambda a, b: (a[0] + b[0], a[1] * b[1]), (np.ones(3), 2.0 * np.ones(3)))
        np.testing.assert_array_equal(first, [1.0, 2.0, 3.0])
        np.testing.assert_array_equal(second, [2.0, 4.0, 8.0])

    def test_loops_without_steps(self) -> None:
        assert ops.scan(lambda c, x: (c, x), 5, np.ones((0, 2))) == (5, None)
        assert ops.while_loop(lambda n: False, lambda n: n + 1, 3) == 3
        with pytest.raises(ValueError, match="first axes of one length"):
            ops.scan(lambda c, x: (c, x), 0, (np.ones(2), np.ones(3)))
