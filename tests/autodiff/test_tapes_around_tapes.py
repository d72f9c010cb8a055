"""Derivatives of derivatives, where one tape records what another one does not, and where one of them is used up."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

import nnx
from nnx import functional, layers, ops
from nnx.autodiff.array import TrackedArray, constant
from nnx.backends import to_numpy
from nnx.structure import leaves
from nnx.testing import assert_close
from nnx.testing.rows.functions import Constant, function_rows

ROWS = function_rows()
CASES = [(name, number) for name, examples in ROWS.items() for number in range(len(examples))]


def directional(function: Callable[..., Any], point: Sequence[np.ndarray], along: Sequence[np.ndarray]) -> float:
    """The derivative along a direction, of a function of arrays on the host, from differences."""

    def at(step: float) -> float:
        return float(to_numpy(function(*(x + step * d for x, d in zip(point, along, strict=True)))))

    step = 1e-5
    return (8.0 * (at(step) - at(-step)) - (at(2.0 * step) - at(-2.0 * step))) / (12.0 * step)


def subsets(places: list[int]) -> list[tuple[int, ...]]:
    """Each alone, and all."""
    return [(place,) for place in places] + ([tuple(places)] if len(places) > 1 else [])


@pytest.mark.parametrize(("name", "number"), CASES, ids=str)
def test_arguments_of_which_one_tape_watches_some_and_another_one_others(
    name: str, number: int, backend_float64: Any
) -> None:
    arguments, options = ROWS[name][number]
    function = getattr(functional, name)
    random = np.random.default_rng(3)
    host = [a.array if isinstance(a, Constant) else a for a in arguments]
    places = [i for i, a in enumerate(arguments) if isinstance(a, np.ndarray) and a.dtype.kind == "f"]

    def put(a: Any) -> Any:
        return backend_float64.asarray(a, str(a.dtype)) if isinstance(a, np.ndarray) else a

    options = {key: put(value) for key, value in options.items()}
    weights = [put(random.normal(size=host[i].shape)) if i in places else None for i in range(len(host))]
    along = [random.normal(size=host[i].shape) if i in places else None for i in range(len(host))]

    def total(values: list[Any]) -> Any:
        kind = next((type(value) for value in values if isinstance(value, TrackedArray)), None)
        y = function(*(values if kind is None else [constant(value, kind) for value in values]), **options)[0]
        return sum(ops.sum(part * part + part) for part in leaves(y))

    def slopes(values: list[Any], inner: tuple[int, ...]) -> Any:
        """A number made of the gradient with respect to the arguments of these places."""

        def of(*xs: Any) -> Any:
            return total([xs[inner.index(i)] if i in inner else value for i, value in enumerate(values)])

        found = nnx.grad(of, argnums=range(len(inner)))(*(values[i] for i in inner))
        return sum(ops.sum(g * g * weights[i] + g) for g, i in zip(found, inner, strict=True))

    for inner in subsets(places):
        for outer in subsets(places):

            def of_slopes(*xs: Any, inner: Any = inner, outer: Any = outer) -> Any:
                return slopes([xs[outer.index(i)] if i in outer else put(value) for i, value in enumerate(host)], inner)

            found = nnx.grad(of_slopes, argnums=range(len(outer)))(*(put(host[i]) for i in outer))
            actual = sum(float(np.sum(to_numpy(g) * along[i])) for g, i in zip(found, outer, strict=True))
            point, direction = [host[i] for i in outer], [along[i] for i in outer]
            expected = directional(lambda *xs, f=of_slopes: f(*map(put, xs)), point, direction)
            assert abs(actual - expected) <= 1e-5 * (1.0 + abs(expected)), (inner, outer)


PENALISED: dict[str, Callable[[], Any]] = {
    "Softmax": lambda: layers.Softmax(),
    "tanh": lambda: layers.Activation("tanh"),
    "a function": lambda: nnx.activations.tanh,
    "ops": lambda: ops.softmax,
    "a loss": lambda: lambda x: nnx.losses.MeanSquaredError()(ops.zeros_like(x), x) * x,
    "LayerNormalization": lambda: layers.LayerNormalization(center=False, scale=False),
    "AveragePooling1D": lambda: layers.AveragePooling1D(2),
    "MaxPooling1D": lambda: layers.MaxPooling1D(2),
    "Dropout": lambda: layers.Dropout(0.5),
    "Sequential": lambda: nnx.Sequential([layers.Softmax(), layers.Activation("tanh")]),
    "frozen": lambda: layers.Dense(4, activation="softmax", trainable=False),
    "own": lambda: Squashed(),
}


class Squashed(layers.Layer):
    def call(self, x: Any) -> Any:
        return ops.softmax(x) + nnx.activations.tanh(x)


@pytest.mark.parametrize("name", PENALISED)
def test_penalty_on_the_gradient_through_what_has_no_parameters(name: str, backend_float64: Any) -> None:
    """Only the inner tape records the layer, and its cotangent comes from one whose kernel the outer tape watches."""
    random = np.random.default_rng(1)
    x = backend_float64.asarray(random.normal(size=(2, 6, 4)))
    first, last = PENALISED[name](), layers.Dense(3, activation="tanh")
    last(first(x))
    kernel = to_numpy(last.kernel.value).copy()
    along = random.normal(size=kernel.shape)

    def penalty() -> Any:
        slope = nnx.grad(lambda z: ops.sum(last(first(z)) ** 2))(x)
        return ops.sum(slope * slope)

    with nnx.GradientTape() as tape:
        loss = penalty()
    actual = float(np.sum(to_numpy(tape.gradient(loss, last.kernel)) * along))

    def at(value: np.ndarray) -> Any:
        last.kernel.assign(backend_float64.asarray(value))
        return penalty()

    expected = directional(at, [kernel], [along])
    assert abs(actual - expected) <= 1e-6 * (1.0 + abs(expected))


def test_cotangent_that_is_a_constant_among_tracked_arrays() -> None:
    """The value is tracked by the outer tape, of which the function knows nothing."""
    x, w = np.asarray([0.3, -0.7]), np.asarray([2.0, 5.0])

    def slope(w: Any) -> Any:
        return ops.sum(nnx.grad(lambda z: ops.sum(nnx.activations.softmax(z) ** 2) + ops.sum(w))(x) ** 2 * w)

    inner = nnx.grad(lambda z: ops.sum(nnx.activations.softmax(z) ** 2))(x)
    assert_close(nnx.grad(slope)(w), inner**2)


def _written(a: Any, b: Any) -> Any:
    a = a * 1.0
    a[0, ...] = b[0, ...]
    return a**3


def _added(a: Any, b: Any) -> Any:
    a = a * 1.0
    a += b
    return a**2


MEETINGS: dict[str, Callable[[Any, Any], Any]] = {
    "+": lambda du, u: (u + du) ** 2,
    "-": lambda du, u: (du - u) ** 2,
    "*": lambda du, u: u * du,
    "/": lambda du, u: u / (du**2 + 1.0),
    "**": lambda du, u: (du**2 + 1.0) ** u,
    "@": lambda du, u: u @ ops.transpose(du),
    "of the used up tape": lambda du, u: u * u,
    "a number": lambda du, u: ops.sum(u**2) + ops.sum(du),
    "concatenate": lambda du, u: ops.concatenate([du, u]) ** 2,
    "where": lambda du, u: ops.where(du > 0, du, u) ** 2,
    "tensordot": lambda du, u: ops.tensordot(u, ops.transpose(du), 1) ** 2,
    "clip": lambda du, u: ops.clip(u, du - 0.1, du + 0.1) ** 2,
    "x[key] = ": _written,
    "+=": _added,
    "functional": lambda du, u: functional.dense(u, ops.reshape(du, (3, 5)))[0] ** 2,
    "custom_gradient": lambda du, u: nnx.custom_gradient(lambda a, b: (a * b, lambda dy: (dy * b, dy * a)))(u, du),
    "layer of two": lambda du, u: layers.Multiply()([u, du]) ** 2,
    "layer": lambda du, u: layers.Activation("tanh")(u) * du,
    "grad": lambda du, u: nnx.grad(lambda s: ops.sum((u * s) ** 2))(ops.sum(du)),
    "loss": lambda du, u: nnx.losses.MeanSquaredError()(ops.zeros_like(u), u) + ops.sum(du),
}


@pytest.mark.parametrize("persistent", [False, True])
@pytest.mark.parametrize("name", MEETINGS)
def test_arrays_of_an_inner_tape_are_of_the_outer_one_once_it_is_closed(
    name: str, persistent: bool, backend_float64: Any
) -> None:
    x = backend_float64.asarray(np.random.default_rng(0).normal(size=(5, 3)))
    model = nnx.Sequential([layers.Dense(3, activation="tanh", input_dim=3, kernel_initializer="orthogonal")])
    model(x)

    def loss_of(du: Any, u: Any) -> Any:
        return ops.sum(MEETINGS[name](du, u))

    with nnx.GradientTape() as outer:
        with nnx.GradientTape(persistent) as inner:
            z = inner.watch(x)
            u = model(z)
            square = ops.sum(u**2)
        loss = loss_of(inner.gradient(square, z), u)
    found = outer.gradient(loss, model.trainable_variables)
    with nnx.GradientTape() as tape:
        loss = loss_of(nnx.grad(lambda z: ops.sum(model(z) ** 2))(x), model(x))
    for actual, expected in zip(found, tape.gradient(loss, model.trainable_variables), strict=True):
        assert_close(actual, to_numpy(expected), rtol=1e-9)


def test_function_that_returns_an_array_of_a_tape_of_its_own() -> None:
    def square(x: Any) -> Any:
        with nnx.GradientTape() as tape:
            z = tape.watch(x)
            y = ops.sum(z * z)
        tape.gradient(y, z)
        return y

    x = np.asarray([1.0, -2.0])
    assert_close(nnx.grad(square)(x), 2.0 * x)
    assert_close(np.asarray(nnx.jvp(square, (x,), (x,))[1]), np.asarray(10.0))


def test_target_of_an_open_inner_tape_is_none_of_the_outer_one() -> None:
    with nnx.GradientTape() as outer:
        x = outer.watch(np.asarray(3.0))
        with nnx.GradientTape() as inner:
            y = inner.watch(x) ** 2
            with pytest.raises(ValueError, match="was not recorded"):
                outer.gradient(y, x)


RANKS = [((3,), (3,)), ((3,), (3, 4)), ((2, 3), (3,)), ((2, 3), (3, 4)), ((5, 2, 3), (3, 4)), ((1, 2, 3), (5, 3, 4))]
WATCHED = [(0,), (1,), (0, 1)]


@pytest.mark.parametrize("outer", WATCHED)
@pytest.mark.parametrize("inner", WATCHED)
@pytest.mark.parametrize("shapes", RANKS, ids=str)
def test_products_of_matrices_of_two_tapes(
    shapes: Any, inner: tuple[int, ...], outer: tuple[int, ...], backend_float64: Any
) -> None:
    random = np.random.default_rng(0)
    host = [random.normal(size=shape) for shape in shapes]
    along = [random.normal(size=shape) for shape in shapes]

    def slopes(values: Sequence[Any]) -> Any:
        def of(*xs: Any) -> Any:
            a, b = (xs[inner.index(i)] if i in inner else values[i] for i in (0, 1))
            return ops.sum(ops.matmul(a, b) ** 3)

        found = nnx.grad(of, argnums=range(len(inner)))(*(values[i] for i in inner))
        return sum(ops.sum(g * g) for g in found)

    def of_slopes(*xs: Any) -> Any:
        return slopes([xs[outer.index(i)] if i in outer else backend_float64.asarray(host[i]) for i in (0, 1)])

    found = nnx.grad(of_slopes, argnums=range(len(outer)))(*(backend_float64.asarray(host[i]) for i in outer))
    actual = sum(float(np.sum(to_numpy(g) * along[i])) for g, i in zip(found, outer, strict=True))
    expected = directional(
        lambda *xs: of_slopes(*map(backend_float64.asarray, xs)), [host[i] for i in outer], [along[i] for i in outer]
    )
    assert abs(actual - expected) <= 1e-6 * (1.0 + abs(expected))
