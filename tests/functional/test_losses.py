"""Every loss function against its plain formula, its gradient against differences, and all of it on every backend."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from nnx import functional
from nnx.backends.base import find_backend
from nnx.kernels import GENERIC
from nnx.random import Generator
from nnx.testing import assert_close, check_gradients, no_synchronization

_CLASSES = 5


def _softmax(z, axis=-1):
    e = np.exp(z - z.max(axis=axis, keepdims=True))
    return e / e.sum(axis=axis, keepdims=True)


def _sigmoid(z):
    return 1.0 / (1.0 + np.exp(-z))


def _mean(values, axis=-1):
    return values.mean(axis=axis)


def _binary(t, p, from_logits=False, label_smoothing=0.0, axis=-1, focal=None):
    p = _sigmoid(p) if from_logits else p
    t = t * (1.0 - label_smoothing) + label_smoothing / 2.0
    values = -t * np.log(p) - (1.0 - t) * np.log(1.0 - p)
    return _mean(values if focal is None else focal(t, t * p + (1.0 - t) * (1.0 - p)) * values, axis)


def _binary_focal(t, p, apply_class_balancing=False, alpha=0.25, gamma=2.0, **options):
    def focal(t, q):
        return (1.0 - q) ** gamma * (t * alpha + (1.0 - t) * (1.0 - alpha) if apply_class_balancing else 1.0)

    return _binary(t, p, focal=focal, **options)


def _categorical(t, p, from_logits=False, label_smoothing=0.0, axis=-1, focal=lambda p: 1.0):
    p = _softmax(p, axis) if from_logits else p / p.sum(axis=axis, keepdims=True)
    t = t * (1.0 - label_smoothing) + label_smoothing / p.shape[axis]
    return -(focal(p) * t * np.log(p)).sum(axis=axis)


def _sparse(labels, p, from_logits=False, ignore_class=None, axis=-1):
    p = np.moveaxis(p, axis, -1)
    labels = labels.reshape(p.shape[:-1])
    values = _categorical(np.eye(p.shape[-1])[np.where(labels == ignore_class, 0, labels)], p, from_logits)
    return np.where(labels == ignore_class, 0.0, values)


def _cosine(t, p, axis=-1):
    return -(t * p).sum(axis) / np.sqrt((t * t).sum(axis) * (p * p).sum(axis))


def _hinge(t, p, power=1):
    t = 2.0 * t - 1.0 if np.isin(t, (0.0, 1.0)).all() else t
    return _mean(np.maximum(1.0 - t * p, 0.0) ** power)


def _categorical_hinge(t, p):
    return np.maximum(1.0 + ((1.0 - t) * p).max(axis=-1) - (t * p).sum(axis=-1), 0.0)


def _huber(t, p, delta=1.0):
    size = np.abs(p - t)
    return _mean(np.where(size <= delta, 0.5 * size**2, delta * size - 0.5 * delta**2))


def _tversky(t, p, alpha=0.5, beta=0.5, axis=None):
    overlap = (t * p).sum(axis)
    return 1.0 - overlap / (overlap + alpha * (t * (1 - p)).sum(axis) + beta * ((1 - t) * p).sum(axis))


@dataclasses.dataclass(frozen=True)
class Loss:
    """A row: the plain formula, what goes in, and options to call both with."""

    formula: object
    targets: str = "numbers"
    predictions: str = "numbers"
    options: tuple[dict, ...] = ({},)


_ONE_HOT = {"targets": "one_hot", "predictions": "probabilities"}
_BINARY = {"targets": "bits", "predictions": "probabilities"}

TABLE = {
    "mean_squared_error": Loss(lambda t, p: _mean((p - t) ** 2)),
    "mean_absolute_error": Loss(lambda t, p: _mean(np.abs(p - t))),
    "mean_absolute_percentage_error": Loss(lambda t, p: 100.0 * _mean(np.abs((p - t) / t)), "positive"),
    "mean_squared_logarithmic_error": Loss(
        lambda t, p: _mean((np.log(1.0 + p) - np.log(1.0 + t)) ** 2), "positive", "positive"
    ),
    "log_cosh": Loss(lambda t, p: _mean(np.log(np.cosh(p - t)))),
    "huber": Loss(_huber, options=({}, {"delta": 0.3})),
    "poisson": Loss(lambda t, p: _mean(p - t * np.log(p)), "positive", "positive"),
    "cosine_similarity": Loss(_cosine, options=({}, {"axis": 0})),
    "hinge": Loss(_hinge, "signs"),
    "squared_hinge": Loss(lambda t, p: _hinge(t, p, 2), "signs"),
    "categorical_hinge": Loss(_categorical_hinge, "one_hot"),
    "kl_divergence": Loss(lambda t, p: (t * np.log(t / p)).sum(-1), "probabilities", "probabilities"),
    "dice": Loss(
        lambda t, p, axis=None: 1.0 - 2.0 * (t * p).sum(axis) / (t.sum(axis) + p.sum(axis)),
        **_BINARY,
        options=({}, {"axis": 0}, {"axis": (0, -1)}, {"axis": -1}),
    ),
    "tversky": Loss(_tversky, **_BINARY, options=({}, {"axis": -1}, {"alpha": 0.3, "beta": 0.9, "axis": (0,)})),
    "binary_crossentropy": Loss(_binary, **_BINARY, options=({}, {"label_smoothing": 0.1}, {"axis": 0})),
    "binary_focal_crossentropy": Loss(
        _binary_focal,
        **_BINARY,
        options=({}, {"apply_class_balancing": True, "alpha": 0.4}, {"gamma": 0.5}, {"gamma": 1.0, "axis": 0}),
    ),
    "categorical_crossentropy": Loss(_categorical, **_ONE_HOT, options=({}, {"label_smoothing": 0.1}, {"axis": 0})),
    "categorical_focal_crossentropy": Loss(
        lambda t, p, alpha=0.25, gamma=2.0, **options: _categorical(
            t, p, focal=lambda q: alpha * (1.0 - q) ** gamma, **options
        ),
        **_ONE_HOT,
        options=({}, {"alpha": 0.4, "label_smoothing": 0.1}, {"gamma": 0.5}, {"gamma": 1.0, "axis": 0}),
    ),
    "sparse_categorical_crossentropy": Loss(
        _sparse, "labels", "probabilities", options=({}, {"ignore_class": 2}, {"ignore_class": -1}, {"axis": 0})
    ),
}

CASES = [(name, options) for name, row in TABLE.items() for options in row.options] + [
    (name, {**options, "from_logits": True})
    for name in TABLE
    if "crossentropy" in name
    for options in TABLE[name].options
]
CASES += [("binary_crossentropy", {"from_logits": True, "label_smoothing": 0.1, "axis": 1})]


def _data(name, options, shape=(12, _CLASSES), seed=0):
    """Targets and predictions, float64 (labels int64), away from kinks."""
    random, row = Generator(seed), TABLE[name]
    axis = options.get("axis", -1) if row.targets in ("labels", "one_hot") else -1

    def draw(kind):
        if kind == "numbers":
            return 2.0 * random.normal(shape)
        if kind == "positive":
            return random.uniform(shape, 0.2, 3.0)
        if kind == "probabilities":
            return random.uniform(shape, 0.05, 0.95)
        if kind in ("bits", "signs"):
            bits = np.floor(random.uniform(shape, 0.0, 2.0))
            return bits if kind == "bits" else 2.0 * bits - 1.0
        axes = [size for place, size in enumerate(shape) if place != axis % len(shape)]
        labels = np.floor(random.uniform(tuple(axes), 0.0, shape[axis])).astype(np.int64)
        if kind == "labels":
            if options.get("ignore_class") is not None:
                labels.reshape(-1)[::3] = options["ignore_class"]
            return labels
        return np.moveaxis(np.eye(shape[axis])[labels], -1, axis)

    predictions = draw("numbers" if options.get("from_logits") else row.predictions)
    return draw(row.targets), predictions


def _id(value):
    return "-".join(f"{key}={item}" for key, item in value.items()) if isinstance(value, dict) else None


cases = pytest.mark.parametrize(("name", "options"), CASES, ids=_id)


def test_every_loss_function_has_a_row():
    losses = {name for name in functional.__all__ if hasattr(getattr(functional, name), "is_built_in")}
    assert set(TABLE) == losses - {"ctc"}  # of sequences: test_ctc.py


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
    if row.predictions != "numbers" and not options:
        return  # made for probabilities
    y_true, _ = _data(name, options)
    signs = np.sign(Generator(2).normal((12, _CLASSES)))
    values, pullback = getattr(functional, name)(backend.asarray(y_true), backend.asarray(size * signs), **options)
    xp = backend.xp
    assert bool(xp.all(xp.isfinite(values)))
    assert bool(xp.all(xp.isfinite(pullback(1.0))))


@pytest.mark.parametrize("name", [name for name in TABLE if TABLE[name].predictions == "probabilities"])
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
