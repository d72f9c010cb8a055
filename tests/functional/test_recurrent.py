"""simple_rnn, lstm and gru: against loops over single samples, by differences, on every backend, and their kernels."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import nnx
import nnx.kernels.numpy.recurrent
from nnx.backends import Placement
from nnx.backends.base import find_backend
from nnx.backends.compiler import compiler_problem
from nnx.functional import relu, tanh
from nnx.functional.gru import gru
from nnx.functional.lstm import lstm
from nnx.functional.recurrent import simple_rnn
from nnx.kernels import GENERIC
from nnx.kernels.numba import KERNELS as COMPILED
from nnx.pullbacks import SKIP
from nnx.random import Generator, host_words
from nnx.testing import assert_close, check_gradients, no_synchronization

WITH_NUMBA = pytest.mark.skipif(compiler_problem() is not None, reason=str(compiler_problem()))
BATCH, TIME, N, UNITS = 3, 5, 4, 6
MASK = np.asarray([[1, 1, 1, 1, 1], [0, 1, 0, 1, 1], [1, 1, 1, 0, 0]], bool)


def _sigmoid(x: np.ndarray) -> np.ndarray:
    return 1.0 / (1.0 + np.exp(-x))


def _gate(matrix: np.ndarray, gate: int) -> np.ndarray:
    return matrix[..., gate * UNITS : (gate + 1) * UNITS]


# One step of one sample, straight from the formulas: mx and mh are the factors of dropout of each gate.


def _simple_rnn_step(x, states, kernel, recurrent, bias, mx, mh):
    (h,) = states
    return (np.tanh((x * mx[0]) @ kernel + (h * mh[0]) @ recurrent + bias),)


def _lstm_step(x, states, kernel, recurrent, bias, mx, mh):
    h, c = states
    z = [(x * mx[g]) @ _gate(kernel, g) + (h * mh[g]) @ _gate(recurrent, g) + _gate(bias, g) for g in range(4)]
    c = _sigmoid(z[1]) * c + _sigmoid(z[0]) * np.tanh(z[2])
    return _sigmoid(z[3]) * np.tanh(c), c


def _gru_step(x, states, kernel, recurrent, bias, mx, mh):
    (h,) = states
    of_x = [(x * mx[g]) @ _gate(kernel, g) + _gate(bias[0], g) for g in range(3)]
    of_h = [(h * mh[g]) @ _gate(recurrent, g) + _gate(bias[1], g) for g in range(3)]
    z, r = _sigmoid(of_x[0] + of_h[0]), _sigmoid(of_x[1] + of_h[1])
    return (z * h + (1 - z) * np.tanh(of_x[2] + r * of_h[2]),)


def _gru_before_step(x, states, kernel, recurrent, bias, mx, mh):
    (h,) = states
    of_x = [(x * mx[g]) @ _gate(kernel, g) + _gate(bias, g) for g in range(3)]
    z, r = (_sigmoid(of_x[g] + (h * mh[g]) @ _gate(recurrent, g)) for g in range(2))
    return (z * h + (1 - z) * np.tanh(of_x[2] + (r * h * mh[2]) @ _gate(recurrent, 2)),)


FUNCTIONS: dict[str, tuple[Callable[..., Any], int, int, Callable[..., Any], dict[str, Any]]] = {
    # the function, its gates and states, the formula, options
    "simple_rnn": (simple_rnn, 1, 1, _simple_rnn_step, {}),
    "lstm": (lstm, 4, 2, _lstm_step, {}),
    "gru": (gru, 3, 1, _gru_step, {}),
    "gru reset before": (gru, 3, 1, _gru_before_step, {"reset_after": False}),
}
each_function = pytest.mark.parametrize("name", FUNCTIONS)
WAYS = [
    (mask, backwards, drop) for mask in (None, MASK) for backwards in (False, True) for drop in ("", "x", "h", "xh")
]
each_way = pytest.mark.parametrize(("mask", "backwards", "drop"), WAYS)


def arguments(name: str, bias: bool = True, batch: int = BATCH, time: int = TIME) -> list[np.ndarray]:
    """x, states, kernel, recurrent kernel, bias; float64"""
    _, gates, states, _, options = FUNCTIONS[name]
    size = gates * UNITS
    shapes: list[tuple[int, ...]] = [(batch, time, N), *[(batch, UNITS)] * states, (N, size), (UNITS, size)]
    if bias:
        shapes.append((2, size) if name == "gru" and "reset_after" not in options else (size,))
    return [0.7 * Generator(i).normal(shape) for i, shape in enumerate(shapes)]


def call_options(name: str, mask: Any, backwards: bool, drop: str) -> dict[str, Any]:
    gates = FUNCTIONS[name][1]
    options: dict[str, Any] = {"mask": mask, "go_backwards": backwards}
    if "x" in drop:
        options["dropout"] = (0.3, Generator(7).draw((gates if "h" in drop else 1) * BATCH * N))
    if "h" in drop:
        options["recurrent_dropout"] = (0.4, Generator(8).draw(gates * BATCH * UNITS))
    return options


def factor(options: dict[str, Any], which: str, gates: int, size: int) -> np.ndarray:
    """What dropout multiplies by, (gates, batch, size)."""
    if which not in options:
        return np.ones((gates, BATCH, size))
    rate, draw = options[which]
    kept = host_words(draw).astype(np.int64) >= round(rate * 2**32)
    return np.broadcast_to(kept.reshape(-1, BATCH, size) / (1.0 - rate), (gates, BATCH, size))


def by_loops(name: str, arrays: list[np.ndarray], options: dict[str, Any]) -> list[np.ndarray]:
    """The sequence and the last states, sample by sample and step by step."""
    _, gates, count, step, _ = FUNCTIONS[name]
    x, first, parameters = arrays[0], arrays[1 : 1 + count], arrays[1 + count :]
    mx, mh = factor(options, "dropout", gates, N), factor(options, "recurrent_dropout", gates, UNITS)
    sequence = np.zeros((BATCH, x.shape[1], UNITS))
    last = [np.zeros((BATCH, UNITS)) for _ in range(count)]
    for b in range(BATCH):
        states = tuple(state[b] for state in first)
        order = range(x.shape[1] - 1, -1, -1) if options["go_backwards"] else range(x.shape[1])
        for position, t in enumerate(order):
            if options["mask"] is None or options["mask"][b, t]:
                states = step(x[b, t], states, *parameters, mx[:, b], mh[:, b])
            sequence[b, position] = states[0]
        for i, state in enumerate(states):
            last[i][b] = state
    return [sequence, *last]


def of(name: str, **options: Any) -> Callable[..., Any]:
    return lambda *arrays: FUNCTIONS[name][0](*arrays, **{**FUNCTIONS[name][4], **options})


@each_function
@each_way
def test_values_are_those_of_loops(backend: Placement, name: str, mask: Any, backwards: bool, drop: str) -> None:
    host, options = arguments(name), call_options(name, mask, backwards, drop)
    arrays = [backend.asarray(array) for array in host]
    given = {**options, "mask": None if mask is None else backend.asarray(mask, "bool")}
    with no_synchronization():
        values, pullback = of(name, **given)(*arrays)
        cotangents = [backend.asarray(Generator(20 + i).normal(tuple(y.shape))) for i, y in enumerate(values)]
        found = pullback(tuple(cotangents))
    for y, expected in zip(values, by_loops(name, host, options), strict=True):
        assert_close(y, expected, length=100, like=arrays[0])
    _, reference = of(name, **options)(*host)  # of float64, which the next test compares with differences
    expected = reference(tuple(Generator(20 + i).normal(tuple(y.shape)) for i, y in enumerate(values)))
    for dx, wanted in zip(found, expected, strict=True):
        assert_close(dx, wanted, length=100, like=arrays[0])


@pytest.fixture(params=["kernel", "generic"])
def form(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "generic":
        backend = find_backend("numpy")
        rest = {name: kernel for name, kernel in backend.kernels.items() if "recurrence" not in name}
        monkeypatch.setattr(backend, "kernels", rest)
    return str(request.param)


@each_function
@each_way
def test_gradients(form: str, name: str, mask: Any, backwards: bool, drop: str) -> None:
    for bias in (True, False):
        check_gradients(of(name, **call_options(name, mask, backwards, drop)), *arguments(name, bias))


@each_function
@pytest.mark.parametrize("activation", ["hard_sigmoid", "softplus"])
def test_gradients_with_other_activations(name: str, activation: str) -> None:
    functions = {"activation": getattr(nnx.functional, activation)}
    if name != "simple_rnn":
        functions["recurrent_activation"] = tanh
    check_gradients(of(name, **call_options(name, MASK, False, ""), **functions), *arguments(name))


def test_other_activations_are_used() -> None:
    x, h, kernel, recurrent, bias = (np.abs(array) for array in arguments("simple_rnn"))
    (sequence, last), _ = simple_rnn(x, h, kernel, recurrent, bias, activation=relu)
    for t in range(TIME):
        h = x[:, t] @ kernel + h @ recurrent + bias
        assert_close(sequence[:, t], h)
    assert_close(last, h)


@each_function
def test_without_states_they_are_zero(form: str, name: str) -> None:
    states = FUNCTIONS[name][2]
    x, *rest = arguments(name)
    parameters = rest[states:]
    options = call_options(name, MASK, False, "")
    values, pullback = of(name, **options)(x, *[None] * states, *parameters)
    expected, reference = of(name, **options)(x, *[np.zeros((BATCH, UNITS))] * states, *parameters)
    dy = tuple(np.ones(y.shape) for y in values)
    cotangents, wanted = pullback(dy), reference(dy)
    assert cotangents[1 : 1 + states] == (None,) * states
    for mine, theirs in zip(
        (*values, cotangents[0], *cotangents[1 + states :]), (*expected, wanted[0], *wanted[1 + states :]), strict=True
    ):
        assert_close(mine, theirs)


@each_function
def test_missing_cotangents_are_zero(form: str, name: str) -> None:
    arrays = arguments(name)
    values, pullback = of(name, **call_options(name, MASK, True, ""))(*arrays)
    for chosen in range(len(values)):
        some = tuple(np.ones(y.shape) if i == chosen else None for i, y in enumerate(values))
        zeros = tuple(np.zeros(y.shape) if dy is None else dy for y, dy in zip(values, some, strict=True))
        for mine, theirs in zip(pullback(some), pullback(zeros), strict=True):
            assert_close(mine, theirs)


@each_function
@pytest.mark.parametrize("drop", ["", "xh"])
def test_what_is_skipped_is_none_and_the_rest_is_the_same(form: str, name: str, drop: str) -> None:
    arrays = arguments(name)
    values, pullback = of(name, **call_options(name, None, False, drop))(*arrays)
    dy = tuple(np.ones(y.shape) for y in values)
    expected = pullback(dy)
    buffers = [np.full(array.shape, 7.0) for array in arrays]
    for mine, theirs in zip(pullback(dy, out=buffers), expected, strict=True):
        assert_close(mine, theirs)
    for skipped in range(len(arrays)):
        found = pullback(dy, out=[SKIP if i == skipped else None for i in range(len(arrays))])
        assert found[skipped] is None
        for i in set(range(len(arrays))) - {skipped}:
            assert_close(found[i], expected[i])


def test_kernels_write_the_gradients_of_kernels_in_place() -> None:
    for name in ("simple_rnn", "lstm", "gru"):
        arrays = arguments(name)
        values, pullback = of(name)(*arrays)
        out = [None if array.ndim == 3 else np.empty(array.shape) for array in arrays]
        found = pullback(tuple(np.ones(y.shape) for y in values), out=out)
        recurrent = len(arrays) - 2
        assert found[recurrent] is out[recurrent]


@each_function
def test_two_halves_are_the_whole(name: str) -> None:
    x, *rest = arguments(name)
    states = FUNCTIONS[name][2]
    first, parameters = rest[:states], rest[states:]
    (sequence, *last), _ = of(name)(x, *first, *parameters)
    (before, *between), _ = of(name)(x[:, :2], *first, *parameters)
    (after, *end), _ = of(name)(x[:, 2:], *between, *parameters)
    assert_close(np.concatenate([before, after], axis=1), sequence)
    for mine, theirs in zip(end, last, strict=True):
        assert_close(mine, theirs)


@each_function
def test_a_mask_behind_the_end_equals_a_shorter_sequence(name: str) -> None:
    arrays = arguments(name)
    mask = np.zeros((BATCH, TIME), bool)
    mask[:, :3] = True
    run = of(name)
    (sequence, *last), _ = of(name, mask=mask)(*arrays)
    (short, *short_last), _ = run(arrays[0][:, :3], *arrays[1:])
    assert_close(sequence, np.concatenate([short, short[:, -1:], short[:, -1:]], axis=1))
    for mine, theirs in zip(last, short_last, strict=True):
        assert_close(mine, theirs)


@each_function
def test_a_sequence_needs_a_step(name: str) -> None:
    with pytest.raises(ValueError, match="at least one time step, got a sequence of length 0"):
        of(name)(*arguments(name, time=0))


@each_function
def test_one_sample_of_one_step_and_no_samples(form: str, name: str) -> None:
    for batch in (0, 1):
        arrays = arguments(name, batch=batch, time=1)
        values, pullback = of(name)(*arrays)
        assert values[0].shape == (batch, 1, UNITS)
        for dx, array in zip(pullback(tuple(np.ones(y.shape) for y in values)), arrays, strict=True):
            assert dx.shape == array.shape


# Kernels against their generic twins


def recurrence_arguments(name: str, dtype: str, layout: str, batch: int) -> list[np.ndarray]:
    gates = {"simple_rnn_recurrence": 1, "lstm_recurrence": 4, "gru_recurrence": 3}[name]
    shapes = [(TIME, batch, gates * UNITS), (batch, UNITS), (UNITS, gates * UNITS)]
    if name == "lstm_recurrence":
        shapes.insert(1, (batch, UNITS))
    if name == "gru_recurrence":
        shapes.append((gates * UNITS,))
    arrays = [Generator(i).normal(shape).astype(dtype) for i, shape in enumerate(shapes)]
    if layout == "transposed":
        return [np.array(array.T, order="C").T for array in arrays]
    return [np.repeat(array, 2, axis=-1)[..., ::2] if layout == "strided" else array for array in arrays]


@pytest.mark.parametrize("name", ["simple_rnn_recurrence", "lstm_recurrence", "gru_recurrence"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("layout", ["contiguous", "transposed", "strided"])
@pytest.mark.parametrize("masked", [False, True])
def test_kernels_equal_their_generic_twins(name: str, dtype: str, layout: str, masked: bool) -> None:
    kernel = find_backend("numpy").kernels[name]
    for batch in (0, 1, BATCH):
        arrays = recurrence_arguments(name, dtype, layout, batch)
        before = [array.copy() for array in arrays]
        options = {"mask": MASK.T[:, :batch, None]} if masked else {}
        assert kernel.accepts is not None
        assert kernel.accepts(*arrays, **options)
        values, pullback = kernel.function(*arrays, **options)
        expected, reference = GENERIC[name](*arrays, **options)
        dy = tuple(np.asfortranarray(Generator(9 + i).normal(y.shape).astype(dtype)) for i, y in enumerate(values))
        for mine, theirs in zip((*values, *pullback(dy)), (*expected, *reference(dy)), strict=True):
            assert_close(mine, theirs, length=100, like=theirs)
        for array, original in zip(arrays, before, strict=True):
            assert np.array_equal(array, original)


@pytest.mark.parametrize("compiled", [False, pytest.param(True, marks=WITH_NUMBA)])
def test_cotangents_of_long_sequences_are_zero_before_they_are_subnormal(compiled: bool) -> None:
    for name in ("simple_rnn_recurrence", "lstm_recurrence", "gru_recurrence"):
        kernel = (COMPILED if compiled else find_backend("numpy").kernels).get(name)
        if kernel is None:
            continue  # NumPy's is used in its place
        z, *states, recurrent = recurrence_arguments(name, "float32", "contiguous", BATCH)[: 4 if "lstm" in name else 3]
        values, pullback = kernel.function(np.tile(z, (80, 1, 1)), *states, 0.3 * recurrent)
        dz = np.abs(pullback((np.zeros_like(values[0]), *map(np.ones_like, values[1:])))[0])
        assert np.all(dz[-1] > 0.0)
        assert np.all(dz[0] == 0.0)
        subnormal = (dz > 0.0) & (dz < np.finfo(np.float32).smallest_normal)
        assert np.count_nonzero(subnormal) < 10  # without that there are hundreds


def test_kernels_leave_the_unusual_to_the_generic_form() -> None:
    kernels = find_backend("numpy").kernels
    for name in ("simple_rnn_recurrence", "lstm_recurrence", "gru_recurrence"):
        arrays = recurrence_arguments(name, "float32", "contiguous", 2)
        accepts: Any = kernels[name].accepts
        assert accepts(*arrays, activation=tanh)
        assert not accepts(*arrays, activation=relu)
        assert not accepts(*arrays, factor=np.ones((4, 2, UNITS)))
        assert not accepts(arrays[0].astype("float64"), *arrays[1:])
        if name != "simple_rnn_recurrence":
            assert not accepts(*arrays, recurrent_activation=tanh)


def test_kernels_keep_nan_where_it_belongs() -> None:
    for name in ("simple_rnn_recurrence", "lstm_recurrence", "gru_recurrence"):
        arrays = recurrence_arguments(name, "float32", "contiguous", BATCH)
        arrays[0][2, 1, 0] = np.nan
        arrays[0][3, 0, 1] = np.inf
        (sequence, *_), _ = find_backend("numpy").kernels[name].function(*arrays)
        (expected, *_), _ = GENERIC[name](*arrays)
        assert np.array_equal(np.isnan(sequence), np.isnan(expected))
        assert np.isnan(sequence[2:, 1]).any()
        assert not np.isnan(sequence[:, [0, 2]]).any()
