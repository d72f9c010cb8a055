"""The hand-written pullback of every function of nnx.functional is the derivative of its value."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
import pytest

from nnx import functional
from nnx.autodiff.array import constant
from nnx.autodiff.backend import Recorded
from nnx.autodiff.transforms import differentiable
from nnx.backends import to_numpy
from nnx.testing import assert_close
from nnx.testing.rows.functions import Constant, function_rows

ROWS = function_rows()
CASES = [(name, number) for name, examples in ROWS.items() for number in range(len(examples))]


def returns_a_pullback(function: Any) -> bool:
    return callable(function) and "Pullback" in str(getattr(function, "__annotations__", {}).get("return", ""))


def test_every_function_has_a_row() -> None:
    names = {name for name, function in vars(functional).items() if returns_a_pullback(function)}
    missing = sorted(names - set(ROWS))
    assert not missing, f"nnx/testing/rows/functions.py: add an example of {', '.join(missing)}"


# Its pullback takes the cotangent of the first of its values; the others are statistics.
OF_FIRST_VALUE = ("batch_normalization",)


@pytest.mark.parametrize(("name", "number"), CASES, ids=str)
def test_pullback_is_the_derived_one(
    name: str, number: int, backend_float64: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments, options = ROWS[name][number]
    hand = getattr(functional, name)
    given = [_placed(a, backend_float64) for a in arguments]
    floats = [i for i, a in enumerate(arguments) if isinstance(a, np.ndarray) and a.dtype.kind == "f"]

    def value(*xs: Any) -> Any:
        merged = [constant(a, type(xs[0])) for a in given]
        for position, x in zip(floats, xs, strict=True):
            merged[position] = x
        y = inspect.unwrap(hand)(*merged, **options)[0]
        return y[0] if name in OF_FIRST_VALUE else y

    y, pullback = hand(*given, **options)
    y = y[0] if name in OF_FIRST_VALUE else y
    random = np.random.default_rng(1)
    dys = [backend_float64.asarray(random.normal(size=tuple(part.shape))) for part in _parts(y)]
    dy = tuple(dys) if isinstance(y, tuple) else dys[0]
    cotangents = _parts(pullback(dy))
    # Below, no function that this one is made of is an entry with a pullback of its own.
    monkeypatch.setattr(Recorded, "get", lambda self, name: None)
    again, derived = differentiable(value)(*(given[position] for position in floats))
    for one, other in zip(_parts(again), _parts(y), strict=True):
        assert_close(one, to_numpy(other), rtol=1e-9, atol=1e-12)
    expected = dict(zip(floats, _parts(derived(dy)), strict=True))
    places = [i for i, a in enumerate(arguments) if isinstance(a, np.ndarray) or a is None]
    if len(places) != len(cotangents):  # some leave out what was not given
        places = [i for i, a in enumerate(arguments) if isinstance(a, np.ndarray)]
    for position, cotangent in zip(places, cotangents, strict=False):
        if cotangent is not None:
            assert_close(cotangent, to_numpy(expected.pop(position)), rtol=1e-8, atol=1e-10)
    assert not expected, f"the pullback has no cotangent of arguments {sorted(expected)}"


def _placed(value: Any, backend: Any) -> Any:
    value = value.array if isinstance(value, Constant) else value
    if not isinstance(value, np.ndarray):
        return value
    return backend.asarray(value) if value.dtype.kind == "f" else backend.asarray(value, str(value.dtype))


def _parts(y: Any) -> tuple[Any, ...]:
    return y if isinstance(y, tuple) else (y,)


@pytest.mark.parametrize(("name", "number"), CASES, ids=str)
def test_an_argument_alone_has_its_derivative(name: str, number: int, backend_float64: Any) -> None:
    """Whichever argument is tracked, and the others plain arrays."""
    arguments, options = ROWS[name][number]
    function = getattr(functional, name)
    given = [_placed(a, backend_float64) for a in arguments]
    floats = [i for i, a in enumerate(arguments) if isinstance(a, np.ndarray) and a.dtype.kind == "f"]

    def value_at(*places: int) -> Any:
        def value(*xs: Any) -> Any:
            tracked = dict(zip(places, xs, strict=True))
            y = function(*(tracked.get(i, a) for i, a in enumerate(given)), **options)[0]
            return y[0] if name in OF_FIRST_VALUE else y

        return value

    y, derived = differentiable(value_at(*floats))(*(given[i] for i in floats))
    random = np.random.default_rng(1)
    dys = tuple(backend_float64.asarray(random.normal(size=tuple(part.shape))) for part in _parts(y))
    dy = dys if isinstance(y, tuple) else dys[0]
    for position, expected in zip(floats, _parts(derived(dy)), strict=True):
        alone, derived_alone = differentiable(value_at(position))(given[position])
        for one, other in zip(_parts(alone), _parts(y), strict=True):
            assert_close(one, to_numpy(other), rtol=1e-9, atol=1e-12)
        assert_close(derived_alone(dy), to_numpy(expected), rtol=1e-8, atol=1e-10)
