"""What is refused: writes that a tape would not see, functions without a rule, arguments without a derivative."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from nnx import ops
from nnx.autodiff.gradient_tape import GradientTape
from nnx.autodiff.namespace import recording_namespace
from nnx.autodiff.transforms import custom_gradient, differentiable, grad, stop_gradient, value_and_grad
from nnx.backends import to_numpy
from nnx.testing import assert_close


def tracked(function: Any, *arrays: Any) -> Any:
    return differentiable(function)(*(arrays or (np.asarray([1.0, 2.0]),)))


WRITES: dict[str, Any] = {
    "out=": lambda x: np.add(x, 1.0, out=x),
    "out= of a plain array": lambda x: np.add(x, 1.0, out=np.zeros(2)),
    "out= of a reduction": lambda x: np.sum(x, out=np.zeros(())),
    "+= on a plain array": lambda x: np.zeros(2).__iadd__(x),
    "add.at": lambda x: np.add.at(x, [0], 1.0),
    "copyto": lambda x: np.copyto(x, 1.0),
    "copyto a plain array": lambda x: np.copyto(np.zeros(2), x),
    "put": lambda x: np.put(x, [0], 1.0),
    "putmask": lambda x: np.putmask(x, [True, False], 1.0),
    "place": lambda x: np.place(x, [True, False], [1.0]),
    "put_along_axis": lambda x: np.put_along_axis(x, np.asarray([0]), 1.0, 0),
}


@pytest.mark.parametrize("name", WRITES)
def test_in_place_write_says_what_to_write(name: str) -> None:
    with pytest.raises(TypeError, match=r"would write into an array.*write .*new value"):
        tracked(WRITES[name])


def test_an_operator_that_writes_makes_a_plain_array_a_new_one() -> None:
    kept = []

    def total(x: Any) -> Any:
        z = ops.zeros((2,), "float32")
        kept.append(z)
        z += x
        z *= x
        return z

    y, pullback = differentiable(total)(np.asarray([2.0, 3.0], "float32"))
    assert (y.tolist(), y.dtype) == ([4.0, 9.0], "float32")
    assert pullback(np.ones(2, "float32")).tolist() == [4.0, 6.0]
    assert not kept[0].any()  # as of a tracked one: nothing is written into arrays


def test_an_operator_does_not_make_integers_floats() -> None:
    def total(x: Any) -> Any:
        z = np.zeros(2, "int64")
        z += x
        return z

    with pytest.raises(TypeError, match=r"make an array of float64 of one of int64: write z = z \+ x"):
        tracked(total)


def test_a_plain_array_takes_no_tracked_value() -> None:
    def write_element(x: Any) -> Any:
        z = np.zeros(2)
        z[0] = x[0]
        return z

    def write_all(x: Any) -> Any:
        z = np.zeros(2)
        z[:] = x
        return z

    with pytest.raises(ValueError) as raised:  # which is NumPy's, and has ours as its cause
        tracked(write_element)
    assert "would lose the derivative in silence: make z with zeros_like" in str(raised.value.__cause__)
    with pytest.raises(TypeError, match="does not become one of NumPy"):
        tracked(write_all)
    values = {}
    tracked(lambda x: values.setdefault("first", float(stop_gradient(x[0]))) * x)
    assert values == {"first": 1.0}


@pytest.mark.parametrize("dtype", ["int64", "bool", "complex128"])
def test_arrays_that_are_not_floating_take_no_tracked_value(dtype: str) -> None:
    def write(x: Any, key: Any) -> Any:
        z = recording_namespace(x).zeros((2,), dtype=getattr(np, dtype))
        z[key] = x[key]
        return z

    with pytest.raises((TypeError, ValueError)) as raised:  # some are NumPy's, and have ours as their cause
        tracked(lambda x: write(x, 0))
    message = str(raised.value.__cause__ or raised.value)
    assert "would lose the derivative in silence: make z with zeros_like" in message
    assert "of a floating dtype" in message
    with pytest.raises(TypeError, match="does not become one of NumPy"):
        tracked(lambda x: write(x, slice(None)))


def test_arrays_that_are_not_floating_take_no_tracked_value_on_any_backend(backend: Any) -> None:
    x = backend.asarray([1.0, 2.0])
    xp = recording_namespace(x)

    def write(x: Any) -> Any:
        z = xp.zeros((2,), dtype=xp.int32, device=xp.device_of(x))
        z[0] = x[0]
        return z

    with pytest.raises((TypeError, ValueError)):
        differentiable(write)(x)


def test_writing_makes_a_new_value(backend: Any) -> None:
    x = backend.asarray([1.0, 2.0])

    def write(x: Any) -> Any:
        before = x * 1.0
        after = before * 1.0
        after[0] = 5.0
        return before + after

    y, pullback = differentiable(write)(x)
    assert to_numpy(y).tolist() == [6.0, 4.0]
    assert to_numpy(pullback(backend.asarray([1.0, 1.0]))).tolist() == [1.0, 2.0]
    assert to_numpy(x).tolist() == [1.0, 2.0]


COMPLEX = np.asarray([1.0j, 2.0])

REFUSED: dict[str, tuple[Any, str]] = {
    "fft.rfftn": (lambda xp, x: xp.fft.rfftn(x), "its values are complex"),
    "fft.fft": (lambda xp, x: xp.fft.fft(x), "its values are complex"),
    "numpy's fft": (lambda xp, x: np.fft.rfft(x), "its values are complex"),
    "linalg.eig": (lambda xp, x: xp.linalg.eig(xp.eye(2) * x), "its values are complex"),
    "astype to complex": (lambda xp, x: xp.astype(x, xp.complex64), "of real numbers"),
    "a complex number": (lambda xp, x: x * 1j, "of real numbers and do not meet those of complex"),
    "a complex array": (lambda xp, x: COMPLEX + x, "of real numbers and do not meet those of complex128"),
    "a complex number of NumPy": (lambda xp, x: xp.pow(x, COMPLEX[0]), "do not meet those of complex"),
    "where a complex array is": (lambda xp, x: xp.where(x > 1.0, x, COMPLEX), "do not meet those of complex128"),
    "beside a complex array": (lambda xp, x: xp.concat([x, COMPLEX]), "do not meet those of complex128"),
    "a product with complex arrays": (lambda xp, x: x @ COMPLEX, "do not meet those of complex128"),
    "a product with a complex matrix": (lambda xp, x: x[:, None] @ COMPLEX[None, :], "do not meet those of complex128"),
    "linspace": (lambda xp, x: xp.linspace(x[0], x[1], 3), "linspace has no derivative"),
    "numpy's interp": (lambda xp, x: np.interp(x, [0.0, 1.0], [0.0, 1.0]), "interp has no derivative"),
    "sum as integers": (lambda xp, x: xp.sum(x, dtype=xp.int64), "no derivative as"),
    "prod as integers": (lambda xp, x: xp.prod(x, dtype=xp.int64), "no derivative as"),
    "svd, all vectors": (lambda xp, x: xp.linalg.svd(x[:, None])[0], "full_matrices=False"),
    "qr, complete": (lambda xp, x: xp.linalg.qr(x[:, None], mode="complete")[0], "reduced"),
    "matrix_norm": (lambda xp, x: xp.linalg.matrix_norm(x[:, None], ord=3), "ord must be"),
    "a method of NumPy": (lambda xp, x: x.flatten(), r"has no 'flatten'.*as in nnx.ops.flatten\(x\)"),
    "a function of NumPy": (lambda xp, x: x.exp(), r"has no 'exp'.*as in nnx.ops.exp\(x\)"),
    "and": (lambda xp, x: x & x, "operator of integers and bools"),
    "and in place": (lambda xp, x: x.__iand__(x), "operator of integers and bools"),
    "trace as integers": (lambda xp, x: xp.linalg.trace(x[:, None], dtype=xp.int64), "no derivative as"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_has_no_derivative_says_so(name: str) -> None:
    function, message = REFUSED[name]
    xp = recording_namespace(np.ones(1))

    def value_and_pullback() -> None:
        y, pullback = tracked(lambda x: function(xp, x))
        pullback(np.ones(y.shape))

    with pytest.raises((TypeError, NotImplementedError, ValueError, AttributeError), match=message):
        value_and_pullback()


@pytest.mark.parametrize("argument", [np.asarray([1, 2]), np.asarray([True]), np.asarray([1j]), [1.0], 1.0])
def test_a_gradient_is_of_floating_arrays(argument: Any) -> None:
    with pytest.raises(TypeError, match="argument 0: a gradient is of"):
        grad(lambda x: x)(argument)


def test_a_pullback_takes_a_cotangent_for_each_value() -> None:
    _, pullback = differentiable(lambda x: (x, x * 2.0))(np.ones(2))
    with pytest.raises(ValueError, match="returned 2 arrays, got 3 cotangents"):
        pullback((np.ones(2),) * 3)


def test_a_gradient_is_of_a_number() -> None:
    with pytest.raises(ValueError, match=r"of one number, but the function returned \(2,\)"):
        grad(lambda x: x)(np.ones(2))


@pytest.mark.parametrize("function", [ops.argmax, lambda x: ops.any(x > 0), lambda x: ops.cast(ops.sum(x), "int32")])
def test_a_gradient_is_of_a_floating_number(function: Any) -> None:
    for transformed in (grad, value_and_grad):
        with pytest.raises(TypeError, match="a gradient is of a floating number, but the function returned one of"):
            transformed(function)(np.ones(2))


@pytest.mark.parametrize(
    ("pullback", "says"),
    [
        (lambda dy: dy[:1], r"a cotangent of shape \(1, 3\), expected \(2, 3\)"),
        (lambda dy: 1.0, r"a cotangent of shape \(\), expected \(2, 3\)"),
        (lambda dy: (dy, dy), "2 cotangents, expected one"),
    ],
)
def test_a_custom_gradient_has_the_shape_of_its_array(pullback: Any, says: str) -> None:
    @custom_gradient
    def doubled(x: Any) -> Any:
        return 2.0 * x, pullback

    with pytest.raises(ValueError, match=f"the custom gradient of doubled: the pullback returned {says}"):
        grad(lambda x: ops.sum(doubled(x)))(np.ones((2, 3)))


def test_a_custom_gradient_that_forgets_its_pullback() -> None:
    forgets = custom_gradient(lambda x: 2.0 * x)
    for rows in (2, 3):  # an array of two rows is no pair
        with pytest.raises(TypeError, match=r"returned ndarray, expected \(y, pullback\)"):
            grad(lambda x: ops.sum(forgets(x)))(np.ones((rows, 3)))


def test_a_custom_gradient_of_several_arrays_may_be_a_list(backend: Any) -> None:
    product = custom_gradient(lambda a, b: [a * b, lambda dy: [dy * b, None]])
    x = backend.asarray([1.0, 2.0])
    found = grad(lambda a, b: ops.sum(product(a, b)), argnums=(0, 1))(x, 3.0 * x)
    assert [to_numpy(one).tolist() for one in found] == [[3.0, 6.0], [0.0, 0.0]]


def through_a_part(x: Any) -> Any:
    z = x * 1.0
    row = z[0]
    row += 1.0
    return ops.sum(z * z)


def through_a_reshaped_one(x: Any) -> Any:
    z = x * 1.0
    flat = ops.reshape(z, (4,))
    flat[0] = 9.0
    return ops.sum(z * z)


def under_another_name(x: Any) -> Any:
    z = x * 1.0
    y = z
    y *= 2.0
    return ops.sum(z * z)


def in_a_loop(x: Any) -> Any:
    z = x * 1.0
    for row in z:
        row -= 1.0
    return ops.sum(z)


@pytest.mark.parametrize("function", [through_a_part, through_a_reshaped_one, under_another_name, in_a_loop])
def test_writes_that_numpy_sees_elsewhere_are_no_silent_difference(function: Any) -> None:
    x = np.asarray([[1.0, 2.0], [3.0, 4.0]])
    with pytest.raises(TypeError, match=r"changed by an operator such as \+= .*Write y = y \+ x"):
        grad(function)(x)


USES_OF_LOST: dict[str, Any] = {
    "a function": ops.exp,
    "an operator": lambda y: 2.0 - y,
    "a product": lambda y: y @ y,
    "NumPy": np.exp,
    "a reduction": lambda y: recording_namespace(y).sum(y),
    "with others": lambda y: ops.concatenate([np.ones((1, 2)), y]),
    "its shape": lambda y: y.shape,
    "its dtype": lambda y: y.dtype,
    "an element": lambda y: y[0],
    "its number": float,
    "its truth": bool,
    "a constant": stop_gradient,
    "what is returned": lambda y: y,
}


@pytest.mark.parametrize("name", USES_OF_LOST)
def test_no_use_of_an_array_that_was_changed_under_another_name(name: str) -> None:
    def function(x: Any) -> Any:
        z = x * 1.0
        y = z
        z += 1.0
        return USES_OF_LOST[name](y)

    with pytest.raises(TypeError, match=r"changed by an operator such as \+= .*Write y = y \+ x"):
        tracked(function, np.ones((2, 2)))


def a_part_in_its_place(x: Any) -> Any:
    z = x * 1.0
    z[0, ...] += 10.0
    z[1, 0] *= z[0, 1]
    return ops.sum(z * z)


def the_only_name(x: Any) -> Any:
    z = x * 1.0
    z += 1.0
    z[:, 0] = 3.0
    return ops.sum(z * z)


def a_number(x: Any) -> Any:
    first = total = ops.sum(x)
    total += ops.sum(x * x)
    return first * total


@pytest.mark.parametrize("function", [a_part_in_its_place, the_only_name, a_number])
def test_writes_that_mean_the_same(function: Any, backend: Any) -> None:
    x = np.asarray([[1.0, 2.0], [3.0, 4.0]])
    value, found = value_and_grad(function)(backend.asarray(x))
    assert_close(value, function(x.copy()))
    for place in np.ndindex(2, 2):
        move = np.zeros((2, 2))
        move[place] = 1e-6
        assert_close(found[place], (function(x + move) - function(x - move)) / 2e-6, rtol=1e-5)


def test_what_is_written_into_an_argument_has_no_derivative() -> None:
    def write(x: Any) -> Any:
        x[0] = 7.0
        return ops.sum(x * x)

    x = np.asarray([1.0, 2.0])
    value, found = value_and_grad(write)(x)
    assert (value, found.tolist(), x.tolist()) == (53.0, [0.0, 4.0], [1.0, 2.0])


def test_a_narrow_array_stays_narrow() -> None:
    def widen(x: Any) -> Any:
        x += np.ones(2)
        return x

    y, pullback = differentiable(widen)(np.ones(2, "float32"))
    assert y.dtype == pullback(y).dtype == np.float32


@pytest.mark.parametrize(
    "function", [lambda x: x * float(x), lambda x: x * int(x), lambda x: x * math.exp(x)], ids=["float", "int", "math"]
)
def test_numbers_of_tracked_arrays_are_said_to_be_constants(function: Any) -> None:
    with pytest.warns(UserWarning, match=r"\(x\) of a tracked array is a constant"):
        grad(function)(np.asarray(2.0))
    tape = GradientTape()
    with tape:
        y = tape.watch(np.asarray(2.0)) ** 2
        assert f"{y:.1f}" == "4.0"
    assert float(y) == 4.0  # nothing is recorded any more
