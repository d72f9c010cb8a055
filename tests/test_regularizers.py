"""Regularizers: penalties, gradients, and every way to write one."""

from __future__ import annotations

import json

import numpy as np
import pytest

import nnx
from nnx import regularizers
from nnx.random import Generator
from nnx.registry import serialize
from nnx.testing import assert_close, check_gradients, no_synchronization

W = Generator(1).normal((4, 3))


def _mean_cosine(w):
    unit = w / np.linalg.norm(w, axis=1, keepdims=True)
    count = w.shape[0]
    return np.mean([abs(unit[i] @ unit[j]) for i in range(count) for j in range(i)])


# name: constructor arguments and the penalty of W, as often as there are cases
TABLE = {
    "L1": [({}, 0.01 * np.abs(W).sum()), ({"l1": 0.3}, 0.3 * np.abs(W).sum())],
    "L2": [({}, 0.01 * (W**2).sum()), ({"l2": 0.3}, 0.3 * (W**2).sum())],
    "L1L2": [({}, 0.0), ({"l1": 0.3, "l2": 0.2}, 0.3 * np.abs(W).sum() + 0.2 * (W**2).sum())],
    "OrthogonalRegularizer": [
        ({}, 0.01 * _mean_cosine(W)),
        ({"factor": 2.0, "mode": "columns"}, 2.0 * _mean_cosine(W.T)),
    ],
}
OF_A_FUNCTION = "FunctionRegularizer"  # the only one that needs an argument
CASES = [(name, options, penalty) for name, cases in TABLE.items() for options, penalty in cases]


def test_a_parameter_is_penalised_as_its_array(backend):
    w = nnx.Variable([3.0, -4.0])
    assert_close(regularizers.L1(0.5)(w), 3.5)
    assert_close(regularizers.l2(1.0)(w), 25.0)


def test_every_regularizer_has_a_row():
    assert {*TABLE, OF_A_FUNCTION} == set(regularizers.registry.objects)


@pytest.mark.parametrize(("name", "options", "penalty"), CASES)
def test_penalty_and_gradient(backend, name, options, penalty):
    regularizer = getattr(regularizers, name)(**options)
    w = backend.asarray(W)
    with no_synchronization():
        value, pullback = regularizer.forward(w)
        dw, scaled = pullback(), pullback(0.5)
        device_scaled = pullback(backend.asarray(np.asarray(0.5)))
    assert value.shape == ()
    assert_close(value, penalty, rtol=1e-5, atol=1e-7, like=w)
    assert_close(regularizer(w), penalty, rtol=1e-5, atol=1e-7, like=w)
    reference = regularizer.forward(W)[1]()
    assert_close(dw, reference, rtol=1e-5, like=w)
    assert_close(scaled, 0.5 * reference, rtol=1e-5, like=w)
    assert_close(device_scaled, 0.5 * reference, rtol=1e-5, like=w)


@pytest.mark.parametrize(("name", "options", "penalty"), CASES)
def test_gradient_against_differences(name, options, penalty):
    check_gradients(getattr(regularizers, name)(**options).forward, W)


@pytest.mark.parametrize("name", sorted(TABLE))
def test_zeros_are_harmless(name):
    value, pullback = getattr(regularizers, name)().forward(np.zeros((3, 2), np.float32))
    assert value == 0.0
    assert (pullback() == 0.0).all()


def test_orthogonal_of_one_row():
    value, pullback = regularizers.OrthogonalRegularizer().forward(np.ones((1, 3)))
    assert value == 0.0
    assert (pullback() == 0.0).all()


@pytest.mark.parametrize(("name", "options", "penalty"), CASES)
def test_config(name, options, penalty):
    regularizer = getattr(regularizers, name)(**options)
    again = regularizers.resolve(json.loads(json.dumps(serialize(regularizer))))
    assert type(again) is type(regularizer)
    assert again(W) == regularizer(W)


@pytest.mark.parametrize(
    ("alias", "name"),
    [("l1", "L1"), ("l2", "L2"), ("l1_l2", "L1L2"), ("L1L2", "L1L2"), ("orthogonal", "OrthogonalRegularizer")],
)
def test_names_of_keras(alias, name):
    assert type(regularizers.resolve(alias)) is getattr(regularizers, name)


def test_lower_case_classes_and_resolve():
    assert regularizers.l1_l2(l1=0.1, l2=0.2).get_config() == {"l1": 0.1, "l2": 0.2}
    assert regularizers.l2(0.5).l2 == 0.5
    assert regularizers.resolve(None) is None
    assert type(regularizers.resolve(regularizers.L1)) is regularizers.L1
    own = regularizers.l2()
    assert regularizers.resolve(own) is own


@pytest.mark.parametrize("value", [-0.1, float("inf"), float("nan"), True, "0.1"])
@pytest.mark.parametrize(
    ("name", "argument"), [("L1", "l1"), ("L2", "l2"), ("L1L2", "l2"), ("OrthogonalRegularizer", "factor")]
)
def test_factors_out_of_range(name, argument, value):
    with pytest.raises(ValueError, match=f"{argument} must be a finite number >= 0, got"):
        getattr(regularizers, name)(**{argument: value})


def test_errors():
    with pytest.raises(ValueError, match="mode must be 'rows' or 'columns', got 'row'"):
        regularizers.OrthogonalRegularizer(mode="row")
    with pytest.raises(ValueError, match=r"expected a matrix, got an array of shape \(3,\)"):
        regularizers.OrthogonalRegularizer()(np.ones(3))
    with pytest.raises(ValueError, match=r"unknown regularizer 'l3': (?:known are|did you mean)"):
        regularizers.resolve("l3")
    with pytest.raises(TypeError, match="a regularizer is None, a name such as 'l2', a function of the weights"):
        regularizers.resolve(3)
    with pytest.raises(
        ValueError, match=r"the regularizer squares returned an array of shape \(\d.*, expected one number"
    ):
        regularizers.resolve(squares).forward(np.ones((2, 3)))


def squares(w):
    return w * w


class Small(regularizers.Regularizer):
    def __call__(self, w):
        return 0.3 * nnx.array_namespace(w).sum(w * w)


def test_a_function_is_saved_by_its_name():
    penalty = regularizers.resolve(squares)
    config = json.loads(json.dumps(serialize(penalty)))
    with nnx.saving.custom_objects({"squares": squares}):
        assert regularizers.resolve(config).function is squares
    with pytest.raises(ValueError, match="unknown regularizer 'squares'"):
        regularizers.resolve(config)


@pytest.mark.parametrize("given", [lambda w: 0.3 * nnx.array_namespace(w).sum(w * w), Small(), Small])
def test_penalties_of_array_code(backend, given):
    mine, expected = regularizers.resolve(given), regularizers.L2(0.3)
    w = backend.asarray(W)
    (value, pullback), (right, pullback_right) = mine.forward(w), expected.forward(w)
    assert_close(value, right, length=W.size)
    assert_close(pullback(2.0), pullback_right(2.0), length=4)


@pytest.mark.parametrize(
    "given", [lambda w: (0.3 * (w * w).sum(), lambda dy: dy * 0.6 * w), type("Pair", (Small,), {"__call__": None})]
)
def test_penalties_with_a_pullback_of_their_own(given):
    if isinstance(given, type):
        given.__call__ = lambda self, w: (0.3 * (w * w).sum(), lambda dy: dy * 0.6 * w)
    penalty = regularizers.resolve(given)
    for _ in range(2):  # the second time it is known
        value, pullback = penalty.forward(W)
        assert_close(value, 0.3 * (W * W).sum())
        assert_close(pullback(), 0.6 * W)
        assert_close(pullback(2.0), 1.2 * W)
    model = nnx.Sequential([nnx.layers.Dense(3, use_bias=False, kernel_regularizer=given, input_dim=4)])
    model.compile(nnx.optimizers.SGD(0.5), loss=lambda y_true, y_pred: 0.0 * y_pred)
    before = model.get_weights()[0]
    model.train_on_batch(np.ones((2, 4)), np.ones((2, 3)))
    assert_close(model.get_weights()[0], 0.7 * before, length=4)


def test_a_penalty_whose_pullback_has_another_shape():
    penalty = regularizers.resolve(lambda w: ((w * w).sum(), lambda dy: dy * w[:1]))
    _, pullback = penalty.forward(W)
    with pytest.raises(
        ValueError, match=r"the regularizer <lambda>: the pullback returned .*\(1, 3\), expected \(4, 3"
    ):
        pullback()
