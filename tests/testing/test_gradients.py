"""check_gradients: right pullbacks pass, every kind of wrong one is found, and kinks are told from errors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import nnx
from nnx.backends import Placement, array_namespace
from nnx.backends.base import find_backend
from nnx.testing import check_gradients

RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(4, 5))
W = RANDOM.normal(size=(5, 3))


def found(function: Callable[..., Any], *arrays: Any, **options: Any) -> str:
    with pytest.raises(AssertionError) as error:
        check_gradients(function, *arrays, **options)
    return str(error.value)


def square(x: Any) -> Any:
    return x * x, lambda dy: 2.0 * x * dy


def product(x: Any, w: Any) -> Any:
    xp = array_namespace(x)
    return x @ w, lambda dy: (dy @ xp.matrix_transpose(w), xp.matrix_transpose(x) @ dy)


def relu(x: Any) -> Any:
    xp = array_namespace(x)
    return xp.maximum(x, 0.0), lambda dy: xp.where(x > 0.0, dy, 0.0)


def step(x: Any) -> Any:
    xp = array_namespace(x)
    return xp.astype(x > 0.0, x.dtype), lambda dy: xp.zeros_like(x)


def total(x: Any) -> Any:
    xp = array_namespace(x)
    return xp.sum(x * x), lambda dy: 2.0 * x * dy


def wave(x: Any) -> Any:
    xp = array_namespace(x)
    return xp.sin(40.0 * x), lambda dy: 40.0 * xp.cos(40.0 * x) * dy


def logarithm(x: Any) -> Any:
    xp = array_namespace(x)
    return xp.log(x), lambda dy: dy / x


class TestRight:
    @pytest.mark.parametrize("function", [square, relu, step, total, wave])
    def test_functions_of_one_array(self, function: Callable[..., Any], backend_float64: Placement) -> None:
        check_gradients(function, X, placement=backend_float64)

    def test_several_arrays(self, backend_float64: Placement) -> None:
        check_gradients(product, X, W, placement=backend_float64)

    def test_a_float32_placement_is_computed_in_float64(self) -> None:
        check_gradients(product, X.astype(np.float32), W.tolist(), placement=nnx.get_backend())

    def test_ten_digits(self) -> None:
        for function in (square, wave, logarithm):
            check_gradients(function, np.abs(X) + 0.1, rtol=1e-10)

    @pytest.mark.parametrize("scale", [1e-6, 1e-3, 1e4])
    def test_arguments_of_any_size(self, scale: float) -> None:
        check_gradients(square, scale * X)
        check_gradients(relu, scale * X)

    def test_close_to_the_end_of_the_domain(self) -> None:
        check_gradients(logarithm, [1e-4, 1.0, 2.0])

    def test_large_arrays_with_many_kinks(self) -> None:
        check_gradients(relu, np.random.default_rng(1).normal(size=20_000))

    @pytest.mark.parametrize("shape", [(), (0,), (1,), (3, 0)])
    def test_small_shapes(self, shape: tuple[int, ...]) -> None:
        check_gradients(square, np.ones(shape))

    def test_tuples(self) -> None:
        def parts(x: Any, w: Any) -> Any:
            def pullback(cotangents: Any) -> Any:
                da, db = cotangents
                return da * w + 2.0 * x * np.sum(db), da * x

            return (x * w, np.sum(x * x)), pullback

        check_gradients(parts, X, X + 1.0)

    def test_arguments_without_derivative(self) -> None:
        check_gradients(
            lambda x, shift: (x * x + 0.0 * shift, lambda dy: (2.0 * x * dy, None)), X, X, not_differentiable=[1]
        )

    def test_is_deterministic_and_leaves_the_default_stream_alone(self) -> None:
        seen: list[list[np.ndarray]] = [[], []]
        before = nnx.random.default().state()
        for points in seen:
            check_gradients(lambda x, points=points: (points.append(x.copy()), square(x))[1], X)
        np.testing.assert_array_equal(seen[0], seen[1])
        assert nnx.random.default().state() == before


class TestWrong:
    def test_a_wrong_factor(self, backend_float64: Placement) -> None:
        message = found(lambda x: (x * x, lambda dy: x * dy), X, placement=backend_float64)
        assert message.startswith("argument 0 (x): the pullback gives ")
        assert "along a random direction, differences of values give" in message

    def test_the_argument_is_named(self) -> None:
        def function(x: Any, kernel: Any) -> Any:
            return x @ kernel, lambda dy: (dy @ kernel.T, x.T @ dy * 1.00001)

        assert found(function, X, W).startswith("argument 1 (kernel): the pullback gives")

    def test_one_wrong_element_among_thousands(self) -> None:
        def function(x: Any) -> Any:
            def pullback(dy: Any) -> Any:
                dx = 2.0 * x * dy
                dx[17] *= 1.01
                return dx

            return x * x, pullback

        assert "the pullback gives" in found(function, np.ones(5000))

    def test_zero(self) -> None:
        assert "the pullback gives 0" in found(lambda x: (x * x, lambda dy: 0.0 * dy), X)

    def test_a_derivative_of_a_constant(self) -> None:
        assert "differences of values give 0;" in found(lambda x: (0.0 * x, lambda dy: dy), X)

    def test_the_wrong_side_of_a_relu(self) -> None:
        assert "the pullback gives" in found(lambda x: (np.maximum(x, 0.0), lambda dy: np.where(x < 0.0, dy, 0.0)), X)

    def test_not_linear(self) -> None:
        for pullback in (lambda x, dy: 2.0 * x * np.abs(dy), lambda x, dy: 2.0 * x * dy + 1.0):
            message = found(lambda x, pullback=pullback: (x * x, lambda dy: pullback(x, dy)), X)
            assert message.startswith("argument 0 (x): the pullback is not linear")

    def test_a_pullback_that_works_once(self) -> None:
        def function(x: Any) -> Any:
            kept = 2.0 * x

            def pullback(dy: Any) -> Any:
                nonlocal kept
                kept, result = kept * 0.5, kept * dy
                return result

            return x * x, pullback

        assert "not linear" in found(function, X)

    def test_a_modified_cotangent(self) -> None:
        def function(x: Any) -> Any:
            def pullback(dy: Any) -> Any:
                dy *= 2.0 * x
                return dy

            return x * x, pullback

        assert found(function, X) == "the pullback modified the cotangent that it was given"

    def test_a_modified_argument(self) -> None:
        def function(x: Any) -> Any:
            y = x * x
            slope = 2.0 * x
            x += 1.0
            return y, lambda dy: slope * dy

        assert found(function, X) == "argument 0 (x): the function or its pullback modified the argument"

    @pytest.mark.parametrize(
        ("cotangent", "message"),
        [
            (lambda dy: dy[:, :2], r"argument 0 (x): expected a cotangent of shape (4, 5), got (4, 2)"),
            (
                lambda dy: dy.astype(np.float32),
                "the cotangent is of the wrong kind: expected dtype float64, got float32",
            ),
            (lambda dy: dy.tolist(), "the cotangent is of the wrong kind: expected an array of numpy, got list"),
            (lambda dy: dy * np.nan, "argument 0 (x): the cotangent is not finite"),
            (lambda dy: None, "argument 0 (x): expected as cotangent an array; got None"),
            (lambda dy: (dy, dy), "the pullback returned 2 cotangents for 1 arguments"),
        ],
    )
    def test_a_cotangent_of_the_wrong_kind(self, cotangent: Callable[..., Any], message: str) -> None:
        assert message in found(lambda x: (1.0 * x, cotangent), X)

    def test_a_value_of_the_wrong_kind(self) -> None:
        message = found(lambda x: (x.astype(np.float32), lambda dy: dy), X)
        assert message == "the function's value is of the wrong kind: expected dtype float64, got float32"

    def test_a_cotangent_where_there_should_be_none(self) -> None:
        message = found(product, X, W, not_differentiable=[1])
        assert message.startswith("argument 1 (w): expected as cotangent None, because it is not differentiable; got")

    def test_a_random_function(self) -> None:
        def function(x: Any) -> Any:
            noise = nnx.random.default().normal(x.shape)
            return x * noise, lambda dy: dy * noise

        assert "two values for one argument" in found(function, X)

    def test_values_that_are_not_finite(self) -> None:
        assert "value is not finite" in found(lambda x: (x * np.inf, lambda dy: dy), X)


class TestKinks:
    def test_at_a_kink_no_direction_helps(self) -> None:
        assert "each of 8 random directions crosses a kink" in found(relu, [0.0, 1.0, -1.0])

    def test_at_a_jump(self) -> None:
        assert "crosses a kink" in found(step, [0.0, 1.0])

    def test_a_kink_beside_the_point_is_avoided(self) -> None:
        check_gradients(relu, [2e-5, 1.0, -1.0])  # inside of the first steps, outside of the last ones

    def test_another_direction_is_tried(self) -> None:
        calls = []

        def absolute(x: Any) -> Any:  # a kink along most directions from here, but not where x[0] hardly moves
            calls.append(x)
            return np.abs(x), lambda dy: np.sign(x) * dy

        check_gradients(absolute, [1e-6, 1.0], seed=1)
        assert len(calls) > 3 + 12  # one direction takes twelve values at most

    def test_a_placement_without_float64(self) -> None:
        placement = Placement(find_backend("array-api-strict"), "no_float64")
        with pytest.raises(ValueError, match="has no float64"):
            check_gradients(square, X, placement=placement)
