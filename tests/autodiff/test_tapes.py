"""Tapes: how long they live, which thread they are in, and which of several a derivative belongs to."""

from __future__ import annotations

import concurrent.futures
import gc
import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from nnx.autodiff.namespace import recording_namespace
from nnx.autodiff.tape import Tape, open_tapes
from nnx.autodiff.transforms import differentiable, grad, stop_gradient, value_and_grad
from nnx.backends import to_numpy
from nnx.testing import assert_close


@pytest.fixture
def without_collector() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def live_tapes() -> int:
    return sum(type(thing) is Tape for thing in gc.get_objects())


def mixed(x: Any) -> Any:
    """A number made of functions of every form of entry."""
    xp = recording_namespace(x)
    h = xp.tanh(x @ x.T) / (1.0 + xp.exp(x)) + xp.where(x > 0, x, 0.5)
    h[0, :] = xp.max(h, axis=0)
    u, s, _ = xp.linalg.svd(h, full_matrices=False)
    joined = xp.concat([h, xp.sort(h) ** 2, xp.clip(h, -1.0, 1.0)[1:, ...]])
    return xp.sum(joined) + xp.sum(u * s) + xp.sum(xp.take_along_axis(h, xp.argsort(h), axis=-1))


@pytest.mark.usefixtures("without_collector")
def test_a_tape_dies_with_its_arrays() -> None:
    x = np.random.default_rng(0).normal(size=(3, 3))
    before = live_tapes()
    for _ in range(3):
        value_and_grad(mixed)(x)
        differentiable(mixed)(x)  # a pullback that nobody calls
        grad(lambda z: (grad(mixed)(z) ** 2).sum() if isinstance(z, np.ndarray) else _norm(grad(mixed)(z)))(x)
    assert live_tapes() == before


def _norm(g: Any) -> Any:
    return recording_namespace(g).sum(g * g)


@pytest.mark.usefixtures("without_collector")
def test_a_tape_dies_when_its_function_raises() -> None:
    def broken(x: Any) -> Any:
        raise KeyError(str((x * x).shape))

    before = live_tapes()
    for _ in range(3):
        with pytest.raises(KeyError):
            grad(broken)(np.ones(3))
    assert live_tapes() <= before + 1  # pytest keeps the last exception
    assert open_tapes() == ()


def test_threads_have_tapes_of_their_own() -> None:
    barrier = threading.Barrier(4)

    def derivative(number: float) -> Any:
        def function(x: Any) -> Any:
            barrier.wait()  # all four tapes are open now
            assert len(open_tapes()) == 1
            y = x * x * number
            barrier.wait()
            return y[0]

        return grad(function)(np.asarray([3.0]))

    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        found = list(pool.map(derivative, [1.0, 2.0, 3.0, 4.0]))
    assert [float(g[0]) for g in found] == [6.0, 12.0, 18.0, 24.0]


def test_a_derivative_inside_of_another_one_does_not_mix_them_up(backend: Any) -> None:
    """d/dx x d/dy (x + y) at y = 1 is 1: the inner derivative must not see the outer perturbation."""

    def outer(x: Any) -> Any:
        inner = grad(lambda y: (x + y)[0])
        return (x * inner(backend.asarray([1.0])))[0]

    assert_close(grad(outer)(backend.asarray([1.0])), [1.0])


def test_closures_over_three_levels(backend: Any) -> None:
    """d3/dx3 of x**2 y**3 z with y = z = x is found level by level: 2 x * 3 y**2 * 1."""
    x = backend.asarray([2.0])

    def third(x: Any) -> Any:
        def second(y: Any) -> Any:
            return grad(lambda z: (x**2 * y**3 * z)[0])(backend.asarray([5.0]))[0]

        return grad(second)(backend.asarray([3.0]))[0]

    assert_close(grad(third)(x), [2.0 * 2.0 * 3.0 * 9.0])


def test_fourth_derivative(backend: Any) -> None:
    def derivative(function: Any) -> Any:
        return lambda x: grad(lambda z: recording_namespace(z).sum(function(z)))(x)

    function = lambda x: x**5  # noqa: E731
    for _ in range(4):
        function = derivative(function)
    assert_close(function(backend.asarray([2.0, 1.0])), [240.0, 120.0])


def test_stopped_gradients_are_constants_of_every_level(backend: Any) -> None:
    x = backend.asarray([3.0])
    once = grad(lambda x: (x * stop_gradient(x))[0])
    assert_close(once(x), [3.0])
    assert_close(grad(lambda x: (once(x) * 1.0)[0] + 0.0 * x[0])(x), [0.0])


def test_cotangents_may_be_differentiated(backend: Any) -> None:
    """A pullback is a function of its cotangent too, also where that is 0."""

    def along(dy: Any) -> Any:
        _, pullback = differentiable(lambda x: recording_namespace(x).log(x))(backend.asarray([4.0]))
        return pullback(dy)[0]

    assert_close(grad(along)(backend.asarray([0.0])), [0.25])


def test_what_a_function_does_not_depend_on_has_a_gradient_of_zeros(backend: Any) -> None:
    _, pullback = differentiable(lambda a, b: a * 2.0)(backend.asarray([1.0]), backend.asarray([1.0, 2.0]))
    da, db = pullback(backend.asarray([1.0]))
    assert to_numpy(da).tolist() == [2.0]
    assert to_numpy(db).tolist() == [0.0, 0.0]
    assert type(db) is type(backend.asarray([1.0]))
