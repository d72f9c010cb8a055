"""Every loss function against its plain formula, its gradient against differences, and all of it on every backend."""

from __future__ import annotations

import numpy as np
import pytest

from nnx import functional
from nnx.backends import to_numpy
from nnx.backends.base import find_backend
from nnx.kernels import GENERIC
from nnx.random import Generator
from nnx.testing import assert_close, check_gradients, no_synchronization
from nnx.testing.rows.completeness import assert_complete
from nnx.testing.rows.losses import LOSSES, complaints, examples, function_of

_CLASSES = 5


TABLE = {function_of(name): row for name, row in LOSSES.items()}
CASES = [(function_of(name), options) for name in LOSSES for options in examples(name)]
CASES += [("binary_crossentropy", {"from_logits": True, "label_smoothing": 0.1, "axis": 1})]


def _softmax(z, axis=-1):
    e = np.exp(z - z.max(axis=axis, keepdims=True))
    return e / e.sum(axis=axis, keepdims=True)


def _sigmoid(z):
    return 1.0 / (1.0 + np.exp(-z))


def _data(name, options, shape=(12, _CLASSES), seed=0):
    """Targets and predictions, float64 (labels int64), away from kinks."""
    return TABLE[name].draw(options, shape, seed)


def _id(value):
    return "-".join(f"{key}={item}" for key, item in value.items()) if isinstance(value, dict) else None


cases = pytest.mark.parametrize(("name", "options"), CASES, ids=_id)


def test_every_loss_function_has_a_row():
    assert_complete(complaints())


@cases
@pytest.mark.parametrize("shape", [(12, _CLASSES), (3, 4, _CLASSES)], ids=str)
def test_values_follow_the_formula(name, options, shape):
    y_true, y_pred = _data(name, options, shape)
    values, _ = getattr(functional, name)(y_true, y_pred, **options)
    assert_close(values, TABLE[name].formula(y_true, y_pred, **options), rtol=2e-6)  # 1e-7 stands in denominators


@cases
@pytest.mark.parametrize("shape", [(12, _CLASSES), (3, 4, _CLASSES)], ids=str)
def test_gradients(name, options, shape):
    y_true, y_pred = _data(name, options, shape)
    check_gradients(lambda y_pred: getattr(functional, name)(y_true, y_pred, **options), y_pred)


@cases
def test_backends_agree(backend, name, options):
    y_true, y_pred = _data(name, options)
    function = getattr(functional, name)
    expected, expected_pullback = function(y_true, y_pred, **options)
    cotangent = Generator(1).normal(expected.shape)

    prediction, target = backend.asarray(y_pred), backend.asarray(y_true)
    given = backend.asarray(cotangent)
    with no_synchronization():
        values, pullback = function(target, prediction, **options)
        gradient = pullback(given)
    assert_close(values, expected, length=4 * y_pred.size, like=prediction)
    assert_close(gradient, expected_pullback(cotangent), length=4 * y_pred.size, like=prediction)


@cases
def test_one_float_stands_for_equal_cotangents(backend, name, options):
    y_true, y_pred = _data(name, options)
    prediction = backend.asarray(y_pred)
    values, pullback = getattr(functional, name)(backend.asarray(y_true), prediction, **options)
    ones = backend.asarray(np.full(values.shape, 0.25))
    assert_close(pullback(0.25), pullback(ones), length=4, like=prediction)


@cases
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_kernels_agree_with_the_generic_form(name, options, dtype):
    if name not in GENERIC:
        return  # has no kernels
    y_true, y_pred = _data(name, options)
    if y_true.dtype.kind == "f":
        y_true = np.ascontiguousarray(y_true.T.astype(dtype)).T  # kernels meet arrays that are not contiguous
    y_pred = np.ascontiguousarray(y_pred.T.astype(dtype)).T
    values, pullback = getattr(functional, name)(y_true, y_pred, **options)
    expected, expected_pullback = GENERIC[name](y_true, y_pred, **options)
    cotangent = Generator(1).normal(expected.shape).astype(dtype)
    assert_close(values, expected, length=_CLASSES, like=y_pred)
    assert_close(pullback(cotangent), expected_pullback(cotangent), length=_CLASSES, like=y_pred)
    assert_close(pullback(0.5), expected_pullback(0.5), length=_CLASSES, like=y_pred)


@pytest.mark.parametrize("name", [name for name in TABLE if name in GENERIC])
def test_the_hot_path_has_kernels(name):
    kernel = find_backend("numpy").kernels[name]
    options = {"from_logits": True} if "crossentropy" in name else {}
    assert kernel.accepts is None or kernel.accepts(*_data(name, options), **options)


@pytest.mark.parametrize("size", [1e3, 3e4])
@pytest.mark.parametrize("name", TABLE)
def test_extreme_logits_and_errors_are_finite(backend, name, size):
    row = TABLE[name]
    options = {"from_logits": True} if "crossentropy" in name else {}
    if row.data[1] != "numbers" and not options:
        return  # made for probabilities
    y_true, _ = _data(name, options)
    signs = np.sign(Generator(2).normal((12, _CLASSES)))
    values, pullback = getattr(functional, name)(backend.asarray(y_true), backend.asarray(size * signs), **options)
    xp = backend.xp
    assert bool(xp.all(xp.isfinite(values)))
    assert bool(xp.all(xp.isfinite(pullback(1.0))))


@pytest.mark.parametrize("name", [name for name in TABLE if TABLE[name].data[1] == "probabilities"])
def test_certain_probabilities_are_clipped(backend, name):
    y_true, y_pred = _data(name, {})
    y_pred = np.eye(_CLASSES)[np.argmax(y_pred, axis=-1)]
    values, pullback = getattr(functional, name)(backend.asarray(y_true), backend.asarray(y_pred))
    xp = backend.xp
    assert bool(xp.all(xp.isfinite(values)))
    assert bool(xp.all(xp.isfinite(pullback(1.0))))


def test_where_the_clip_bites_the_gradient_is_zero():
    y_true, y_pred = np.asarray([[1.0, 0.0]]), np.asarray([[0.0, 1.0]])
    values, pullback = functional.binary_crossentropy(y_true, y_pred)
    assert_close(values, [-np.log(1e-7)], rtol=1e-8)
    assert_close(pullback(1.0), np.zeros((1, 2)))


def test_the_gradient_of_logits_is_probability_minus_target():
    y_true, logits = _data("categorical_crossentropy", {"from_logits": True})
    _, pullback = functional.categorical_crossentropy(y_true, logits, from_logits=True)
    assert_close(pullback(1.0), _softmax(logits) - y_true)
    _, pullback = functional.sparse_categorical_crossentropy(np.argmax(y_true, -1), logits, from_logits=True)
    assert_close(pullback(1.0), _softmax(logits) - y_true)
    _, pullback = functional.binary_crossentropy(y_true, logits, from_logits=True)
    assert_close(pullback(float(_CLASSES)), _sigmoid(logits) - y_true)


@pytest.mark.parametrize("shape", [(12, _CLASSES), (3, 4, _CLASSES)], ids=str)
def test_targets_that_do_not_sum_to_one_have_their_true_gradient(shape):
    y_true, logits = _data("binary_crossentropy", {"from_logits": True}, shape)
    check_gradients(lambda z: functional.categorical_crossentropy(y_true, z, from_logits=True), logits)


@pytest.mark.parametrize("gamma", [0.5, 1.0, 2.0])
@pytest.mark.parametrize("name", ["binary_focal_crossentropy", "categorical_focal_crossentropy"])
def test_focal_gradients_of_certain_predictions_are_finite(backend, name, gamma):
    y_true = backend.asarray(np.eye(3))
    for options, y_pred in (({"from_logits": True}, 1e3 * (2.0 * np.eye(3) - 1.0)), ({}, np.eye(3))):
        _, pullback = getattr(functional, name)(y_true, backend.asarray(y_pred), gamma=gamma, **options)
        assert_close(pullback(1.0), np.zeros((3, 3)), atol=1e-3)


def test_below_its_bound_a_norm_is_no_divisor():
    y_true, y_pred = np.asarray([[3.0, 4.0]]), np.asarray([[1e-9, 0.0]])
    values, pullback = functional.cosine_similarity(y_true, y_pred)
    assert_close(values, [-0.006])
    assert_close(pullback(1.0), [[-0.6e7, -0.8e7]])


def test_equal_maxima_share_the_gradient():
    _, pullback = functional.categorical_hinge(np.asarray([[0.0, 0.0, 1.0]]), np.asarray([[2.0, 2.0, 1.0]]))
    assert_close(pullback(1.0), [[0.5, 0.5, -1.0]])


def test_zero_one_labels_of_a_hinge_are_signs(backend):
    signs, y_pred = _data("hinge", {})
    for function in (functional.hinge, functional.squared_hinge):
        bits, _ = function(backend.asarray((signs + 1.0) / 2.0), backend.asarray(y_pred))
        assert_close(bits, function(signs, y_pred)[0], length=_CLASSES)


def test_integer_and_boolean_targets_are_converted(backend):
    y_true = np.asarray([[0, 1], [1, 1]])
    y_pred = backend.asarray(np.asarray([[0.2, 0.7], [0.4, 0.1]]))
    expected, _ = functional.mean_squared_error(backend.asarray(y_true.astype("float32")), y_pred)
    assert_close(functional.mean_squared_error(backend.asarray(y_true), y_pred)[0], expected, like=y_pred)
    bits = backend.asarray(y_true) == 1
    assert_close(functional.mean_squared_error(bits, y_pred)[0], expected, like=y_pred)


@pytest.mark.parametrize(
    ("true_shape", "pred_shape", "values_shape"),
    [((4,), (4, 1), (4,)), ((4, 1), (4,), (4,)), ((4, 3, 1), (4, 3), (4,)), ((4, 3), (4, 3, 1), (4,))],
)
def test_a_last_axis_of_one_may_be_missing(backend, true_shape, pred_shape, values_shape):
    y_true, y_pred = Generator(0).normal(true_shape), Generator(1).normal(pred_shape)
    values, pullback = functional.mean_squared_error(backend.asarray(y_true), backend.asarray(y_pred))
    error = y_pred.reshape(4, -1) - y_true.reshape(4, -1)
    assert_close(values, np.mean(error**2, axis=-1), length=3)
    assert values.shape == values_shape
    assert_close(pullback(1.0), (2.0 * error / error.shape[-1]).reshape(pred_shape), length=3)


def test_labels_may_have_a_last_axis_of_one(backend):
    labels, y_pred = _data("sparse_categorical_crossentropy", {})
    expected, _ = functional.sparse_categorical_crossentropy(labels, y_pred)
    for given in (labels[:, None], labels.astype("int32"), labels.astype("float32")):
        values, _ = functional.sparse_categorical_crossentropy(backend.asarray(given), backend.asarray(y_pred))
        assert_close(values, expected, length=_CLASSES)


@pytest.mark.parametrize("name", TABLE)
def test_shapes_that_do_not_fit_are_an_error(name):
    with pytest.raises(ValueError, match=rf"{name} expects .*\(7, 5\).*\(12,"):
        getattr(functional, name)(np.zeros((12, 3)), np.zeros((7, 5)))


def test_two_backends_are_an_error():
    torch = pytest.importorskip("torch", reason="a second library is needed; pip install torch")
    with pytest.raises(TypeError, match=r"targets are on backend 'numpy' and the predictions on 'torch'"):
        functional.mean_squared_error(np.zeros((2, 1), np.float32), torch.zeros((2, 1)))


@pytest.mark.parametrize("from_logits", [True, False])
@pytest.mark.parametrize("wrong", [-1, 3, -3, 7])
def test_a_label_that_is_no_class_is_nan_on_a_device(backend, from_logits, wrong):
    """It is not looked up in the row beside."""
    if backend.name == "numpy":
        pytest.skip("labels on the host are checked before")
    y_pred = np.array([[0.2, 0.3, 0.5], [0.1, 0.8, 0.1], [0.6, 0.2, 0.2]])
    function = functional.sparse_categorical_crossentropy
    for options in ({}, {"ignore_class": 2}):
        with no_synchronization():
            values, pullback = function(
                backend.asarray(np.array([0, wrong, 1])), backend.asarray(y_pred), from_logits, **options
            )
            expected, reference = function(
                backend.asarray(np.array([0, 1, 1])), backend.asarray(y_pred), from_logits, **options
            )
            slope, expected_slope = pullback(1.0), reference(1.0)
        assert np.isnan(to_numpy(values)).tolist() == [False, True, False]
        assert_close(to_numpy(values)[[0, 2]], to_numpy(expected)[[0, 2]])
        assert_close(to_numpy(slope)[[0, 2]], to_numpy(expected_slope)[[0, 2]])


@pytest.mark.parametrize("classes", [5, 700])
@pytest.mark.parametrize("name", ["categorical_crossentropy", "sparse_categorical_crossentropy", "binary_crossentropy"])
def test_a_pullback_may_be_called_again(backend, name, classes):
    y_true, y_pred = _data(name, {"from_logits": True}, (20, classes))
    _, pullback = getattr(functional, name)(backend.asarray(y_true), backend.asarray(y_pred), from_logits=True)
    first, second = pullback(1.0), pullback(2.0)
    assert_close(to_numpy(second), 2.0 * to_numpy(first))
    assert_close(to_numpy(pullback(1.0)), to_numpy(first))
