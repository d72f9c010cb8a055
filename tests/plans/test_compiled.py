"""Compiled functions: the same results, replayed where nothing else can come out, and called where it can."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import nnx
from nnx import ops
from nnx.plans.compiled_function import FunctionPlan
from nnx.random import set_seed

VALUES = np.random.default_rng(2).normal(size=(6, 3, 4)).astype(np.float32)
CALLS: list[str] = []
RATE = 0.5


def gated(x: Any, weight: Any) -> Any:
    return {"y": ops.sigmoid(x @ weight) * 2.0, "sizes": [ops.sum(x), (x.shape[0], ops.max(weight))]}


def slope(x: Any, weight: Any) -> Any:
    return nnx.value_and_grad(lambda w: ops.mean(ops.square(ops.tanh(x @ w))), 0)(weight)


def penalty(x: Any, weight: Any) -> Any:
    """A gradient of a gradient."""
    inner = nnx.grad(lambda x, w: ops.sum(ops.tanh(x @ w)), 0)
    return nnx.grad(lambda w: ops.sum(ops.square(inner(x, w))), 0)(weight)


def taped(x: Any, weight: Any) -> Any:
    with nnx.GradientTape() as tape:
        weight = tape.watch(weight)
        loss = ops.sum(ops.exp(-(x @ weight)))
    return tape.gradient(loss, weight)


def branching(x: Any, weight: Any) -> Any:
    if ops.sum(x) > 0.0:
        return x @ weight
    return weight.T * RATE


FUNCTIONS = [gated, slope, penalty, taped, branching]


def same(found: Any, expected: Any) -> bool:
    one, other = nnx.structure.leaves(found), nnx.structure.leaves(expected)
    return len(one) == len(other) and all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize("function", FUNCTIONS)
def test_results_are_the_same_to_the_last_bit_and_stay(function: Callable[..., Any]) -> None:
    replayed = nnx.compiled(function)
    kept = []
    for values in (*VALUES, *VALUES):
        weight = np.exp(values).T.copy()
        made = replayed(values, weight)
        kept.append((made, function(values, weight)))
        assert same(made, kept[-1][1])
    assert all(same(made, expected) for made, expected in kept)  # later calls did not write over it


def test_the_code_runs_twice_for_each_form_and_other_values_are_other_forms(monkeypatch: pytest.MonkeyPatch) -> None:
    runs: list[Any] = []
    run = FunctionPlan.run
    monkeypatch.setattr(FunctionPlan, "run", lambda *arguments: runs.append(run(*arguments)) or runs[-1])
    replayed = nnx.compiled(lambda x, factor, *, offset=0.0: x * factor + offset)
    for count, values in enumerate(VALUES):
        for factor in (2.0, 3.0):
            assert same(replayed(values, factor), values * factor + 0.0)
        assert same(replayed(values[:1], 2.0, offset=1.0), values[:1] * 2.0 + 1.0)
        assert len(runs) == max(0, count - 1) * 3


def test_what_is_read_counts_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    replayed = nnx.compiled(lambda x: x * RATE)
    for rate in (0.5, 2.0, 3.0):
        monkeypatch.setitem(globals(), "RATE", rate)
        for values in VALUES:
            assert same(replayed(values), values * np.float32(rate))


def test_what_is_in_an_array_or_a_variable_counts_at_once():
    array, variable = np.ones(2, np.float32), nnx.Variable(1.0)
    replayed = nnx.compiled(lambda x: x * array[0] + variable.value * 2.0)
    for value in (1.0, 2.0, 3.0):
        array[0] = value
        variable.assign(value)
        for values in VALUES:
            assert same(replayed(values), values * np.float32(value) + np.float32(value) * 2.0)


def test_parameters_are_read_again_and_random_numbers_go_on():
    layer = nnx.layers.Dense(2, activation="tanh")
    layer.build((None, 4))

    def noisy(x: Any) -> Any:
        return x @ layer.kernel.value + nnx.random.normal((3, 2))

    results = []
    for function in (noisy, nnx.compiled(noisy)):
        nnx.random.set_seed(4)
        layer.kernel.assign(np.ones((4, 2), np.float32))
        made = []
        for values in VALUES:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                made.append(function(values))
            layer.kernel.assign(layer.kernel.value * 0.5)
        results.append(made)
    assert same(*results)


K = nnx.backend
VARIABLE = nnx.Variable(0.5)


def _set_epsilon(value: float) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that nnx's own losses keep theirs
        K.set_epsilon(value)


def _register(value: float) -> None:
    nnx.utils.get_custom_objects()["scaled by test"] = lambda x: x * value


SETTINGS: dict[str, tuple[Callable[[Any], Any], Callable[[Any], Any], Any, Any]] = {  # how it is read, how it is set
    "epsilon": (lambda x: x + K.epsilon(), _set_epsilon, 1e-7, 0.5),
    "epsilon of the configuration": (lambda x: x + nnx.config.epsilon(), _set_epsilon, 1e-7, 0.5),
    "the dtype": (lambda x: x * len(K.floatx() + "4" * (K.floatx() == "float64")), K.set_floatx, "float32", "float64"),
    "the policy": (
        lambda x: x * (1.0 if nnx.mixed_precision.dtype_policy().name == "float32" else 2.0),
        nnx.mixed_precision.set_dtype_policy,
        "float32",
        "float64",
    ),
    "the backend": (
        lambda x: x * (1.0 if nnx.get_backend().dtype == "float32" else 2.0),
        K.set_floatx,
        "float32",
        "float64",
    ),
    "the dtype of new arrays": (lambda x: ops.zeros((4,)) + x, K.set_floatx, "float32", "float64"),
    "determinism": (
        lambda x: x * (1.0 if nnx.kernels.is_deterministic() else 2.0),
        nnx.kernels.set_deterministic,
        False,
        True,
    ),
    "names": (lambda x: nnx.activations.get("scaled by test")(x), _register, 1.0, 2.0),
    "names that are looked up": (
        lambda x: nnx.utils.get_registered_object("scaled by test")(x),
        _register,
        1.0,
        2.0,
    ),
}


@pytest.mark.parametrize("name", SETTINGS)
def test_settings_of_the_process_that_are_read_count_at_once(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    function, change, first, second = SETTINGS[name]
    plans = []
    monkeypatch.setattr(FunctionPlan, "run", lambda *args, run=FunctionPlan.run: plans.append(args) or run(*args))
    replayed = nnx.compiled(function)
    try:
        for setting in (first, second, first):
            change(setting)
            replays = len(plans)
            for values in VALUES:
                assert same(replayed(values), function(values))
            assert len(plans) > replays
    finally:
        change(first)
        nnx.utils.get_custom_objects().pop("scaled by test", None)


UNSEEN: dict[str, tuple[Callable[[Any], Any], str]] = {
    "a list": (lambda x: CALLS.append("x") or x * 1.0, "changes a list"),
    "a print": (lambda x: print(end="") or x * 1.0, "calls print"),
    "a number": (lambda x: x * float(np.sum(x)), "numbers of Python"),
    "a mask": (lambda x: x[x > 0.0], "how many elements"),
    "a count of Keras": (lambda x: x * float(K.get_uid("of a test") > 0), "calls nnx.keras_backend.settings.get_uid"),
    "a seed": (lambda x: x * float(set_seed(1) is None), "calls nnx.random.streams.set_seed"),
    "a setting that it changes": (
        lambda x: x * float(K.set_epsilon(1e-7) is None),
        "calls nnx.epsilon.set_epsilon",
    ),
    "what others observe": (lambda x: x * float(not nnx.debug.is_checking()), "calls nnx.debug.finite.is_checking"),
    "a variable that it sets": (lambda x: x * VARIABLE.assign(VARIABLE.value), "assigns to a parameter"),
}


@pytest.mark.parametrize("name", UNSEEN)
def test_what_cannot_be_replayed_is_called_every_time_and_said_once(name: str) -> None:
    function, reason = UNSEEN[name]
    replayed = nnx.compiled(function)
    calls = len(CALLS)
    assert same(replayed(VALUES[0]), function(VALUES[0]))
    with pytest.warns(UserWarning, match=f"nnx.compiled: .* every time: .*{reason}"):
        replayed(VALUES[1])
    assert all(same(replayed(values), function(values)) for values in VALUES)
    assert name != "a list" or len(CALLS) == calls + 2 * len(VALUES) + 3


def test_arrays_of_every_library(backend: Any) -> None:
    replayed = nnx.compiled(gated)
    for values in VALUES:
        x, weight = backend.asarray(values), backend.asarray(np.exp(values).T.copy())
        made, expected = replayed(x, weight), gated(x, weight)
        assert type(made["y"]) is type(expected["y"])
        assert np.array_equal(nnx.backends.to_numpy(made["y"]), nnx.backends.to_numpy(expected["y"]))


def test_errors_are_those_of_the_function():
    replayed = nnx.compiled(lambda x, n: x @ n)
    for _ in range(3):
        with pytest.raises(ValueError, match="matmul"):
            replayed(VALUES[0], VALUES[0])
    assert same(replayed(VALUES[0], VALUES[0].T), VALUES[0] @ VALUES[0].T)
    assert same(nnx.compiled(lambda x, names: x * len(names))(VALUES[0], {1, 2}), VALUES[0] * 2)
