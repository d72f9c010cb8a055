"""Constraints: projections, and every way to write one."""

from __future__ import annotations

import json

import numpy as np
import pytest

import nnx
from nnx import constraints
from nnx.random import Generator
from nnx.registry import serialize
from nnx.testing import assert_close, no_synchronization

W = 3.0 * Generator(1).normal((4, 3))


def _norm(w, axis=0):
    return np.sqrt((w**2).sum(axis=axis, keepdims=True))


# name: constructor arguments and the projection of W, as often as there are cases
TABLE = {
    "NonNeg": [({}, np.maximum(W, 0.0))],
    "UnitNorm": [({}, W / _norm(W)), ({"axis": [0, 1]}, W / _norm(W, (0, 1))), ({"axis": None}, W / _norm(W, None))],
    "MaxNorm": [
        ({}, W * np.minimum(_norm(W), 2.0) / _norm(W)),
        ({"max_value": 6.0, "axis": 1}, W * np.minimum(_norm(W, 1), 6.0) / _norm(W, 1)),
    ],
    "MinMaxNorm": [
        ({}, W * np.minimum(_norm(W), 1.0) / _norm(W)),
        (
            {"min_value": 4.0, "max_value": 6.0, "rate": 0.3, "axis": 1},
            W * (0.3 * np.clip(_norm(W, 1), 4.0, 6.0) + 0.7 * _norm(W, 1)) / _norm(W, 1),
        ),
    ],
}
CASES = [(name, options, projected) for name, cases in TABLE.items() for options, projected in cases]


def test_every_constraint_has_a_row():
    assert set(TABLE) == set(constraints.registry.objects)


@pytest.mark.parametrize(("name", "options", "projected"), CASES)
def test_projection(backend, name, options, projected):
    w = backend.asarray(W)
    with no_synchronization():
        result = getattr(constraints, name)(**options)(w)
    assert_close(result, projected, rtol=1e-5, like=w)
    assert_close(w, backend.asarray(W), rtol=0.0, atol=0.0)


@pytest.mark.parametrize("name", sorted(TABLE))
def test_zeros_are_harmless(name):
    assert (getattr(constraints, name)()(np.zeros((3, 2), np.float32)) == 0.0).all()


@pytest.mark.parametrize(("name", "options", "projected"), CASES)
def test_config(name, options, projected):
    constraint = getattr(constraints, name)(**options)
    again = constraints.resolve(json.loads(json.dumps(serialize(constraint))))
    assert type(again) is type(constraint)
    assert (again(W) == constraint(W)).all()


@pytest.mark.parametrize(
    ("alias", "name"),
    [
        *[("max_norm", "MaxNorm"), ("maxnorm", "MaxNorm"), ("non_neg", "NonNeg"), ("nonneg", "NonNeg")],
        *[("unit_norm", "UnitNorm"), ("unitnorm", "UnitNorm"), ("min_max_norm", "MinMaxNorm")],
    ],
)
def test_names_of_keras(alias, name):
    assert type(constraints.resolve(alias)) is getattr(constraints, alias) is getattr(constraints, name)


def test_resolve():
    def halve(w):
        return w * 0.5

    assert constraints.resolve(None) is None
    assert constraints.resolve(halve) is halve
    assert type(constraints.resolve(constraints.MaxNorm)) is constraints.MaxNorm
    with pytest.raises(ValueError, match="unknown constraint 'max_nrm': did you mean 'MaxNorm'"):
        constraints.resolve("max_nrm")
    with pytest.raises(TypeError, match="a constraint is None, a name such as 'max_norm', or a function"):
        constraints.resolve(3)


def test_bounds():
    with pytest.raises(ValueError, match="max_value must not be negative, got -1"):
        constraints.MaxNorm(-1)
    with pytest.raises(ValueError, match="expected 0 <= min_value <= max_value, got 2"):
        constraints.MinMaxNorm(2.0, 1.0)


@pytest.mark.parametrize(
    ("constraint", "error", "says"),
    [
        (lambda w: None, TypeError, "the constraint of dense/kernel returned NoneType, expected an array"),
        (lambda w: w[:1], ValueError, r"the constraint of dense/kernel returned .*\(1, 2\), expected .*\(3, 2\)"),
    ],
)
def test_what_a_constraint_returns_is_looked_at(constraint, error, says):
    model = nnx.Sequential([nnx.layers.Dense(2, kernel_constraint=constraint, input_dim=3)])
    model.compile("sgd", "mse")
    with pytest.raises(error, match=says):
        model.train_on_batch(np.ones((4, 3)), np.ones((4, 2)))
