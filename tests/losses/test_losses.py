"""Losses as objects: reductions, weights, names, configurations, checks of targets, losses of one's own."""

from __future__ import annotations

import functools
import json
import pickle
import warnings

import numpy as np
import pytest

import nnx
from nnx import functional, losses
from nnx.random import Generator
from nnx.registry import custom_objects
from nnx.testing import assert_close, check_gradients, no_synchronization
from nnx.testing.rows.completeness import assert_complete
from nnx.testing.rows.losses import LOSSES, arguments, complaints, loss_case

# Names that scripts use. A new loss needs no row here: its class and its functions in nnx.losses are its names.
ALIASES = {
    "BinaryCrossentropy": "bce BCE binary_crossentropy",
    "BinaryFocalCrossentropy": "binary_focal_crossentropy",
    "CategoricalCrossentropy": "categorical_crossentropy",
    "CategoricalFocalCrossentropy": "categorical_focal_crossentropy",
    "CategoricalHinge": "categorical_hinge",
    "CosineSimilarity": "cosine_similarity cosine_proximity",
    "Dice": "dice",
    "Hinge": "hinge",
    "Huber": "huber huber_loss",
    "KLDivergence": "kld KLD kl_divergence kullback_leibler_divergence",
    "LogCosh": "logcosh log_cosh",
    "MeanAbsoluteError": "mae MAE mean_absolute_error",
    "MeanAbsolutePercentageError": "mape MAPE mean_absolute_percentage_error",
    "MeanSquaredError": "mse MSE mean_squared_error",
    "MeanSquaredLogarithmicError": "msle MSLE mean_squared_logarithmic_error",
    "Poisson": "poisson",
    "SparseCategoricalCrossentropy": "sparse_categorical_crossentropy",
    "SquaredHinge": "squared_hinge",
    "Tversky": "tversky",
}


def functions_of(cls):
    """The names in nnx.losses of the function of a class."""
    fn = getattr(losses, cls)().fn
    return [name for name in losses.__all__ if getattr(getattr(losses, name), "original", None) is fn]


NAMES = {cls: list(dict.fromkeys([cls, *functions_of(cls), *ALIASES.get(cls, "").split()])) for cls in LOSSES}

Y_TRUE = Generator(1).normal((6, 3))
Y_PRED = Generator(2).normal((6, 3))
WEIGHT = np.asarray([0.5, 2.0, 0.0, 1.0, 3.0, 0.25])
VALUES = np.mean((Y_PRED - Y_TRUE) ** 2, axis=-1)


def test_every_loss_has_its_rows():
    assert_complete(complaints())
    assert set(ALIASES) <= set(LOSSES)


@pytest.mark.parametrize(
    ("reduction", "plain", "weighted"),
    [
        ("sum_over_batch_size", VALUES.mean(), (VALUES * WEIGHT).mean()),
        ("mean", VALUES.mean(), (VALUES * WEIGHT).mean()),
        ("sum", VALUES.sum(), (VALUES * WEIGHT).sum()),
        ("mean_with_sample_weight", VALUES.mean(), (VALUES * WEIGHT).sum() / WEIGHT.sum()),
        ("none", VALUES, VALUES * WEIGHT),
        (None, VALUES, VALUES * WEIGHT),
    ],
)
def test_reductions(backend, reduction, plain, weighted):
    loss = losses.MeanSquaredError(reduction=reduction)
    y_true, y_pred = backend.asarray(Y_TRUE), backend.asarray(Y_PRED)
    weight = backend.asarray(WEIGHT)
    with no_synchronization():
        results = loss(y_true, y_pred), loss(y_true, y_pred, weight), loss(y_true, y_pred, weight[:, None])
    assert_close(results[0], plain, length=18, like=y_pred)
    for result in results[1:]:
        assert_close(result, weighted, length=18, like=y_pred)


@pytest.mark.parametrize("weight", [None, WEIGHT, WEIGHT[:, None], np.ones(()), np.zeros(6)], ids=str)
@pytest.mark.parametrize("reduction", ["sum_over_batch_size", "sum", "mean_with_sample_weight", None])
@pytest.mark.parametrize("loss", [losses.MeanSquaredError, losses.Dice, functools.partial(losses.Dice, axis=-1)])
def test_gradients_through_reductions_and_weights(loss, reduction, weight):
    check_gradients(lambda y_pred: loss(reduction=reduction).forward(np.abs(Y_TRUE), y_pred, weight), np.abs(Y_PRED))


def test_the_cotangent_of_the_loss_scales_the_gradient(backend):
    for weight in (None, backend.asarray(WEIGHT)):
        _, pullback = losses.MeanSquaredError().forward(backend.asarray(Y_TRUE), backend.asarray(Y_PRED), weight)
        expected = pullback()
        assert_close(pullback(2.0), nnx.to_numpy(expected) * 2.0, like=expected)
        assert_close(pullback(backend.asarray(np.asarray(2.0))), nnx.to_numpy(expected) * 2.0, like=expected)


def test_weights_of_the_steps_of_sequences(backend):
    y_true, y_pred = Generator(1).normal((4, 3, 2)), Generator(2).normal((4, 3, 2))
    values = np.mean((y_pred - y_true) ** 2, axis=-1)
    for shape in ((4, 3), (4, 1), (4,)):
        weight = Generator(3).uniform(shape, 0.0, 2.0)
        loss = losses.MeanSquaredError()(*map(backend.asarray, (y_true, y_pred, weight)))
        assert_close(loss, np.mean(values * (weight if weight.ndim == 2 else weight[:, None])), length=24)


def test_one_value_for_the_batch_is_weighted_by_each_weight(backend):
    y_true, y_pred = np.abs(Y_TRUE), np.abs(Y_PRED)
    value = losses.dice(y_true, y_pred)
    loss = losses.Dice()(*map(backend.asarray, (y_true, y_pred, WEIGHT)))
    assert_close(loss, value * WEIGHT.mean(), length=18)


def test_weights_that_do_not_fit_are_an_error():
    with pytest.raises(
        ValueError, match=r"sample_weight must have a weight for each of 6 samples.*got the shape \(5,\)"
    ):
        losses.MeanSquaredError()(Y_TRUE, Y_PRED, WEIGHT[:5])


def test_weights_that_are_all_zero_give_zero(backend):
    loss = losses.MeanSquaredError(reduction="mean_with_sample_weight")
    value, pullback = loss.forward(backend.asarray(Y_TRUE), backend.asarray(Y_PRED), backend.asarray(np.zeros(6)))
    assert_close(value, 0.0)
    assert_close(pullback(), np.zeros((6, 3)))


def test_ignored_samples_do_not_count(backend):
    labels, logits = np.asarray([0, -1, 2, -1, 1, 1]), Generator(0).normal((6, 3))
    counted = labels != -1
    y_true, y_pred = backend.asarray(labels), backend.asarray(logits)
    for reduction in ("sum_over_batch_size", "sum", "mean_with_sample_weight"):
        everything = losses.SparseCategoricalCrossentropy(from_logits=True, reduction=reduction)
        expected = everything(labels[counted], logits[counted])
        loss = losses.SparseCategoricalCrossentropy(from_logits=True, ignore_class=-1, reduction=reduction)
        value, pullback = loss.forward(y_true, y_pred)
        assert_close(value, expected, length=6, like=y_pred)
        assert_close(nnx.to_numpy(pullback())[~counted], np.zeros((2, 3)))
    check_gradients(lambda z: loss.forward(labels, z, WEIGHT), logits)
    nothing = backend.asarray(np.full(6, -1))
    assert_close(losses.SparseCategoricalCrossentropy(ignore_class=-1)(nothing, y_pred), 0.0)


@pytest.mark.parametrize("case", [(name, options) for name, row in LOSSES.items() for options in row.options], ids=str)
def test_losses_that_are_means_over_rows(case):
    """They say so where the loss of a batch follows from those of its parts, and only there."""
    name, options = case
    loss = getattr(losses, name)(**options)
    if not loss.is_mean_over_rows:
        assert name in ("Circle", "Dice", "Tversky") or options.keys() & {"axis", "ignore_class"}
        return
    y_true, y_pred = LOSSES[name].draw(options, (6, 5, 3))
    parts = [float(loss(y_true[rows], y_pred[rows])) for rows in (slice(0, 4), slice(4, 6))]
    assert float(loss(y_true, y_pred)) == pytest.approx((4 * parts[0] + 2 * parts[1]) / 6, rel=1e-6)


def test_lists_and_numbers():
    assert_close(losses.mse([[0, 1], [1, 1]], [[1, 1], [1, 3]]), np.asarray([0.5, 2.0], np.float32))
    assert_close(losses.MeanSquaredError()([[0.0], [1.0]], [[1], [3]], [1.0, 0.5]), np.float32(1.5))


@pytest.mark.parametrize(("cls", "alias"), [(cls, alias) for cls, names in NAMES.items() for alias in names])
def test_names(cls, alias):
    loss = losses.resolve(alias)
    assert type(loss) is getattr(losses, cls)
    assert loss.get_config() == getattr(losses, cls)().get_config()


@pytest.mark.parametrize("cls", LOSSES)
def test_functions_classes_and_objects(cls):
    kind = getattr(losses, cls)
    loss = kind()
    plain = losses.get(NAMES[cls][-1])
    assert plain in [getattr(losses, name) for name in functions_of(cls)]
    assert plain.original is loss.fn is getattr(functional, plain.__name__)
    assert losses.resolve(loss) is loss
    for identifier in (kind, plain, plain.original, losses.serialize(loss)):
        assert type(losses.resolve(identifier)) is kind


@pytest.mark.parametrize("cls", LOSSES)
def test_functions_and_what_is_made_of_them_can_be_pickled(cls):
    for name in functions_of(cls):
        function = getattr(losses, name)
        assert pickle.loads(pickle.dumps(function)) is function
        if name in ("categorical_generalized_cross_entropy", "circle"):  # which are no metrics, as in Keras
            continue
        metric = nnx.metrics.get(name)
        assert pickle.loads(pickle.dumps(metric)).get_config() == metric.get_config()


@pytest.mark.parametrize("cls", LOSSES)
def test_configuration(cls):
    loss = getattr(losses, cls)(**arguments(cls), reduction="sum", name="mine")
    config = json.loads(json.dumps(losses.serialize(loss)))
    again = losses.deserialize(config)
    assert type(again) is type(loss)
    assert losses.serialize(again) == config
    for option, value in {**arguments(cls), "reduction": "sum", "name": "mine"}.items():
        assert getattr(again, option) == (list(value) if isinstance(value, tuple) else value)


@pytest.mark.parametrize(
    ("loss", "activation"),
    [
        (losses.BinaryCrossentropy(label_smoothing=0.1), "sigmoid"),
        (losses.BinaryFocalCrossentropy(gamma=1.5, apply_class_balancing=True), "sigmoid"),
        (losses.CategoricalCrossentropy(label_smoothing=0.1), "softmax"),
        (losses.CategoricalFocalCrossentropy(alpha=0.5), "softmax"),
        (losses.SparseCategoricalCrossentropy(ignore_class=2), "softmax"),
    ],
)
def test_fusion_with_an_activation(backend, loss, activation):
    assert loss.fuses_with == activation
    fused = loss.with_logits()
    assert fused.fuses_with is None
    assert fused.get_config() == {**loss.get_config(), "from_logits": True}
    logits = backend.asarray(Y_PRED)
    y_true = np.argmax(Y_TRUE, axis=-1) if loss.integer_targets else np.eye(3)[np.argmax(Y_TRUE, axis=-1)]
    probabilities, _ = getattr(functional, activation)(logits)
    expected = loss(backend.asarray(y_true), probabilities)
    assert_close(fused(backend.asarray(y_true), logits), expected, length=100, like=logits)


def test_what_does_not_fuse():
    assert losses.MeanSquaredError().fuses_with is None
    assert losses.CategoricalCrossentropy(axis=1).fuses_with is None
    with pytest.raises(ValueError, match="'mean_squared_error' has no form for logits"):
        losses.MeanSquaredError().with_logits()


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (
            lambda: losses.resolve("mean_square_error"),
            r"unknown loss 'mean_square_error': did you mean .*MeanSquaredError",
        ),
        (lambda: losses.resolve(3), r"loss must be a name such as 'mse'.*got int: 3"),
        (lambda: losses.MeanSquaredError(reduction="avg"), r"reduction must be one of .*'sum'.*; got 'avg'"),
        (lambda: losses.BinaryCrossentropy(label_smoothing=2), r"label_smoothing must be between 0 and 1, got 2"),
    ],
)
def test_mistakes(build, message):
    with pytest.raises((ValueError, TypeError), match=message):
        build()


# Targets, and the shape of the outputs that they do not fit


WRONG_TARGETS = [
    (
        "mse",
        np.zeros((8, 2)),
        (None, 3),
        r"'mean_squared_error' expects targets of the shape.*\(batch, 3\); got.*\(batch, 2\)",
    ),
    ("mse", np.zeros(8), (None, 3), r"got targets of shape \(batch,\)"),
    ("huber", np.zeros((8, 3, 1)), (None, 4, 1), r"\(batch, 4, 1\); got targets of shape \(batch, 3, 1\)"),
    (
        "bce",
        np.asarray([0, 1, 2, 1]),
        (None, 1),
        r"between 0 and 1, got 2 at index 2; .*sparse_categorical_crossentropy",
    ),
    (
        "bce",
        np.asarray([[0.0], [-1.0]]),
        (None, 1),
        r"got -1.0 at index \[1, 0\]; labels -1 and 1 are for loss='hinge'",
    ),
    ("binary_focal_crossentropy", np.asarray([1.5]), (None, 1), r"between 0 and 1, got 1.5 at index 0"),
    ("hinge", np.asarray([-1, 1, 2]), (None, 1), r"expects the labels -1 and 1 \(or 0 and 1\), got 2 at index 2"),
    ("squared_hinge", np.asarray([0.5]), (None, 1), r"expects the labels -1 and 1 \(or 0 and 1\), got 0.5 at index 0"),
    (
        "categorical_crossentropy",
        np.asarray([0, 2, 1]),
        (None, 3),
        r"class labels of shape \(batch,\); use loss='sparse_categorical_crossentropy', or y = "
        r"nnx.utils.to_categorical\(y, num_classes=3\)",
    ),
    (
        "categorical_crossentropy",
        np.asarray([[0], [2]]),
        (None, 3),
        r"class labels of shape \(batch, 1\); use loss='sp",
    ),
    ("categorical_crossentropy", np.eye(4), (None, 3), r"\(batch, 3\); got targets of shape \(batch, 4\)"),
    ("kld", np.asarray([0, 1]), (None, 3), r"use loss='sparse_categorical_crossentropy'"),
    ("categorical_hinge", np.asarray([0, 1]), (None, 3), r"use loss='sparse_categorical_crossentropy'"),
    (
        "sparse_categorical_crossentropy",
        np.eye(3),
        (None, 3),
        r"one number for each class, shape \(batch, 3\); use loss='categorical_crossentropy', or y = np.argmax\(y, ax",
    ),
    ("sparse_categorical_crossentropy", np.asarray([0.0, 1.5]), (None, 3), r"whole numbers.*got 1.5 at index 1"),
    (
        "sparse_categorical_crossentropy",
        np.asarray([0, 7, 1]),
        (None, 3),
        r"got 7 at index 1, but the model has 3 classes",
    ),
    ("sparse_categorical_crossentropy", np.asarray([1, 2, 3]), (None, 3), r"got 3 at index 2.*count from 1: use y - 1"),
    (
        "sparse_categorical_crossentropy",
        np.asarray([0, -1]),
        (None, 3),
        r"got -1 at index 1.*give the loss ignore_class",
    ),
    ("sparse_categorical_crossentropy", np.zeros((4, 2), int), (None, 3), r"labels of shape \(batch,\).*\(batch, 2\)"),
    ("sparse_categorical_crossentropy", np.asarray([[0, 1], [2, 5]]), (None, 2, 4), r"got 5 at index \[1, 1\]"),
]


@pytest.mark.parametrize(("name", "y_true", "output_shape", "message"), WRONG_TARGETS)
def test_targets_that_cannot_be_meant(name, y_true, output_shape, message):
    loss = losses.resolve(name)
    with pytest.raises(ValueError, match=message):
        loss.check_targets(y_true, output_shape)
    with pytest.raises(ValueError, match=message):
        loss.check_targets(y_true, (len(y_true), *output_shape[1:]))


@pytest.mark.parametrize(
    ("name", "y_true", "output_shape"),
    [
        ("mse", np.zeros((8, 3)), (None, 3)),
        ("mse", np.zeros(8), (None, 1)),
        ("mse", np.zeros((8, 1)), (None,)),
        ("mse", np.zeros((8, 7, 3)), (None, None, 3)),
        ("bce", np.asarray([True, False]), (None, 1)),
        ("bce", np.asarray([0.0, np.nan, 1.0]), (None, 1)),
        ("hinge", np.asarray([-1, 0, 1, 1]), (None, 1)),
        ("hinge", np.asarray([-1.0, np.nan]), (None, 1)),
        ("categorical_crossentropy", np.eye(3), (None, 3)),
        ("sparse_categorical_crossentropy", np.asarray([0, 2, 1]), (None, 3)),
        ("sparse_categorical_crossentropy", np.asarray([[0], [2]], np.uint8), (None, 3)),
        ("sparse_categorical_crossentropy", np.asarray([0.0, 2.0]), (None, 3)),
        ("sparse_categorical_crossentropy", np.zeros((4, 6), int), (None, None, 3)),
        ("sparse_categorical_crossentropy", np.zeros(0, int), (None, 3)),
        (losses.SparseCategoricalCrossentropy(ignore_class=255), np.asarray([0, 255, 2]), (None, 3)),
        (losses.SparseCategoricalCrossentropy(axis=1), np.zeros((4, 6), int), (None, 3, 6)),
        (lambda y_true, y_pred: None, np.asarray([[3, 4, 5]]), (None, 2)),
    ],
    ids=lambda value: value if isinstance(value, str) else None,  # numbers, in place of what has no name
)
def test_targets_that_are_right(name, y_true, output_shape):
    losses.resolve(name).check_targets(y_true, output_shape)


def test_one_output_for_categorical_crossentropy_is_worth_a_warning():
    with pytest.warns(UserWarning, match="is always 0 and learns nothing.*binary_crossentropy"):
        losses.CategoricalCrossentropy().check_targets(np.ones((4, 1)), (None, 1))


# Losses of one's own


def squared_error(y_true, y_pred):
    error = y_pred - y_true

    def pullback(dvalues):
        return 2.0 * error * dvalues[:, None]

    return (error**2).sum(-1), pullback


class CubedError(losses.Loss):
    def __init__(self, factor=1.0, **kwargs):
        super().__init__(**kwargs)
        self.factor = factor

    def call(self, y_true, y_pred):
        error = y_pred - y_true
        return self.factor * (error**3).sum(-1), lambda dvalues: 3.0 * self.factor * error**2 * dvalues[:, None]


def test_a_function_of_ones_own():
    loss = losses.resolve(squared_error)
    assert loss.name == "squared_error"
    assert_close(loss(Y_TRUE, Y_PRED), 3.0 * VALUES.mean(), length=18)
    for weight in (None, WEIGHT):
        check_gradients(lambda y_pred, weight=weight: loss.forward(Y_TRUE, y_pred, weight), Y_PRED)
    config = losses.serialize(loss)
    assert losses.deserialize(config, {"squared_error": squared_error}).fn is squared_error
    with custom_objects({"squared_error": squared_error}):
        assert losses.resolve("squared_error").fn is squared_error


def test_a_class_of_ones_own():
    loss = losses.resolve(CubedError(2.0, reduction="sum"))
    assert loss.name == "cubed_error"
    assert_close(loss(Y_TRUE, Y_PRED), 2.0 * np.sum((Y_PRED - Y_TRUE) ** 3), length=18)
    check_gradients(lambda y_pred: loss.forward(Y_TRUE, y_pred, WEIGHT), Y_PRED)
    again = losses.deserialize(losses.serialize(loss), {"CubedError": CubedError})
    assert (again.factor, again.reduction) == (2.0, "sum")


def test_a_built_in_function_with_options():
    loss = losses.LossFunctionWrapper(functional.huber, delta=0.5, name="half")
    again = losses.deserialize(losses.serialize(loss))
    assert (again.fn, again.delta, again.name) == (functional.huber, 0.5, "half")
    assert_close(again(Y_TRUE, Y_PRED), losses.Huber(0.5)(Y_TRUE, Y_PRED))


def keras_style(y_true, y_pred):
    return (y_pred - y_true) ** 2


def of_the_batch(y_true, y_pred):
    return nnx.array_namespace(y_pred).mean((y_pred - y_true) ** 2)


class OfSamples(losses.Loss):
    def call(self, y_true, y_pred):
        return nnx.array_namespace(y_pred).mean((y_pred - y_true) ** 2, axis=-1)


@pytest.mark.parametrize("loss", [keras_style, of_the_batch, OfSamples()])
@pytest.mark.parametrize("weights", [None, np.arange(1.0, 1.0 + len(Y_PRED))])
def test_a_loss_of_array_code_has_its_derivative(backend, loss, weights):
    mine, built_in = losses.resolve(loss), losses.MeanSquaredError()
    y_true, y_pred = backend.asarray(Y_TRUE), backend.asarray(Y_PRED)
    if loss is of_the_batch and weights is not None:
        weights = 2.0 * np.ones(len(Y_PRED))
    given = None if weights is None else backend.asarray(weights)
    for _ in range(2):
        value, pullback = mine.forward(y_true, y_pred, given)
        expected, pullback_expected = built_in.forward(y_true, y_pred, given)
        assert_close(value, expected, length=Y_PRED.size)
        assert_close(pullback(), pullback_expected(), length=10)


@pytest.mark.parametrize(("y_shape", "p_shape"), [((6,), (6, 1)), ((6, 1), (6,)), ((2, 3), (2, 3, 1))])
def test_functions_of_ones_own_get_targets_of_the_rank_of_predictions(y_shape, p_shape):
    y, p = np.arange(6.0).reshape(y_shape), np.ones(p_shape)
    expected = np.mean((p.ravel() - y.ravel()) ** 2)
    assert_close(losses.resolve(of_the_batch)(y, p), expected)
    metric = nnx.metrics.MeanMetricWrapper(keras_style)
    metric.update_state(y, p)
    assert_close(metric.result(), expected)
    if len(p_shape) > len(y_shape):
        with pytest.warns(UserWarning, match=r"loss 'of_samples' gets targets of shape .*, y\[:, None\]"):
            OfSamples(reduction="sum")(y[:1], p[:1])


def test_losses_that_cannot_be_derived():
    with pytest.raises(TypeError, match="loss 'text' returned str, so it has no gradient"):
        losses.LossFunctionWrapper(lambda y_true, y_pred: "no", name="text")(Y_TRUE, Y_PRED)
    with pytest.raises(TypeError, match="loss 'constant' returned an array that does not depend on its arguments"):
        losses.LossFunctionWrapper(lambda y_true, y_pred: y_true, name="constant")(Y_TRUE, Y_PRED)
    with pytest.raises(ValueError, match=r"loss 'odd' returned values of shape .* expected one for each sample"):
        losses.LossFunctionWrapper(lambda y_true, y_pred: y_pred[:1], name="odd")(Y_TRUE, Y_PRED)


def test_nothing_warns_where_a_target_is_zero():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        losses.MeanAbsolutePercentageError()(np.zeros((2, 2)), np.ones((2, 2)))
        losses.CosineSimilarity().forward(np.zeros((2, 2)), np.zeros((2, 2)))[1]()
        losses.Dice()(np.zeros((2, 2)), np.zeros((2, 2)))


def test_a_function_written_around_one_of_nnx_is_not_taken_for_it():
    @functools.wraps(nnx.losses.mse)
    def doubled(y_true, y_pred):
        values, pullback = nnx.functional.mean_squared_error(y_true, y_pred)
        return 2.0 * values, lambda dy: pullback(2.0 * dy)

    assert_close(losses.resolve(doubled)(Y_TRUE, Y_PRED), 2.0 * losses.resolve("mse")(Y_TRUE, Y_PRED), length=18)


def test_dtype(backend_float64):
    """The loss has its dtype and is computed in float64 if it is that; the gradient has that of the predictions."""
    for name in LOSSES:
        _check_dtypes(backend_float64, name)


def _check_dtypes(backend_float64, name):
    plain, y_true, y_pred = loss_case(name)
    y_true, y_pred = backend_float64.asarray(y_true, None), backend_float64.asarray(y_pred, "float32")
    exact = plain(y_true, backend_float64.asarray(y_pred, "float64"))
    _, pullback = plain.forward(y_true, y_pred)
    for dtype, rtol in (("float16", 1e-3), ("float32", 1e-5), ("float64", 1e-12)):
        if not hasattr(backend_float64.xp, dtype):
            continue
        loss = type(plain).from_config({**plain.get_config(), "dtype": dtype})
        value, pullback_own = loss.forward(y_true, y_pred)
        assert str(value.dtype).endswith(dtype)
        assert str(pullback_own().dtype).endswith("float32")
        assert_close(value, exact, rtol=rtol, atol=rtol / 10)
        assert_close(pullback_own(value * 0 + 1), pullback(), rtol=2e-5, atol=2e-6)


def test_dtype_of_numbers():
    exact = (1.0 - 1e-9) ** 2
    assert float(losses.MeanSquaredError(dtype="float64")([[1.0]], [[1e-9]])) == exact
    assert float(losses.MeanSquaredError()([[1.0]], [[1e-9]])) == 1.0
    with pytest.raises(ValueError, match="loss 'mean_squared_error': dtype must be"):
        losses.MeanSquaredError(dtype="bfloat16")


@pytest.mark.filterwarnings("error")
def test_labels_of_many_classes_in_float16_are_in_its_range():
    """exp(12) and the sum of 12,000 exponentials are not."""
    logits, labels = np.full((200, 12_000), 3.0, np.float16), np.zeros(200, np.int64)
    logits[:, 1] = 12.0
    values, pullback = functional.sparse_categorical_crossentropy(labels, logits, from_logits=True)
    exact = np.log(1.0 + np.exp(-9.0) * 11_999) + 9.0
    assert_close(values, np.full(200, exact, np.float16), rtol=1e-3)
    assert_close(pullback(np.ones(200, np.float16)).sum(axis=1, dtype=np.float64), np.zeros(200), atol=0.05)
