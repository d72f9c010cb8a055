"""F-scores, the coefficient of determination, correlations, relative errors: against plain NumPy and scikit-learn."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from nnx import metrics
from nnx.random import Generator
from nnx.testing import assert_close, no_synchronization

SKLEARN = pytest.importorskip("sklearn.metrics", reason="scikit-learn is missing; pip install 'nnx-array[test]'")


def over_batches(backend, metric, y_true, y_pred, weight=None):
    for part in (slice(0, 30), slice(30, None)):
        given = None if weight is None else backend.asarray(weight[part])
        with no_synchronization():
            metric.update_state(backend.asarray(y_true[part]), backend.asarray(y_pred[part]), given)
            result = metric.result()
    return result


# F-scores


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("average", [None, "micro", "macro", "weighted"])
@pytest.mark.parametrize("beta", [0.5, 1.0, 2.0])
def test_f_scores(backend, beta, average, weighted):
    random = Generator(1)
    y_true = np.floor(random.uniform((50, 4), 0.0, 2.0))
    y_pred = np.clip(0.3 * y_true + random.uniform((50, 4), 0.0, 0.7), 0.0, 1.0)
    weight = random.uniform((50,), 0.1, 2.0) if weighted else None
    metric = metrics.FBetaScore(average, beta, threshold=0.5)
    options = {"beta": beta, "average": average, "sample_weight": weight}
    expected = SKLEARN.fbeta_score(y_true, y_pred > 0.5, **options)
    found = over_batches(backend, metric, y_true, y_pred, weight)
    assert_close(found, expected, rtol=1e-5, like=backend.zeros(()))
    if beta == 1.0:
        found = over_batches(backend, metrics.F1Score(average, threshold=0.5), y_true, y_pred, weight)
        assert_close(found, expected, rtol=1e-5)


def test_the_largest_of_a_row(backend):
    labels = Generator(1).integers(50).astype(np.int64) % 3
    shares = Generator(2).uniform((50, 3), 0.01, 1.0) + 0.3 * np.eye(3)[labels]
    expected = SKLEARN.f1_score(labels, shares.argmax(axis=-1), average=None)
    assert_close(over_batches(backend, metrics.F1Score(), np.eye(3)[labels], shares), expected, rtol=1e-5)
    assert_close(metrics.F1Score("micro")([[1.0, 0.0]], [[0.0, 0.0]]), np.float32(0.0))  # a row of zeros has none


def test_a_vector_is_a_column():
    y_true, y_pred = [1, 0, 1, 1], [0.9, 0.8, 0.3, 0.7]
    expected = SKLEARN.f1_score(y_true, np.asarray(y_pred) > 0.5)
    column = np.asarray(y_pred, np.float32)[:, None]
    assert_close(metrics.F1Score("macro", threshold=0.5)(y_true, column), expected, rtol=1e-5)


def test_one_output_without_a_threshold_is_worth_a_warning():
    with pytest.warns(UserWarning, match=r"'f1_score' takes the largest .* use threshold=0.5"):
        metrics.F1Score().check_targets(np.zeros((4, 1)), (None, 1))
    metrics.F1Score(threshold=0.5).check_targets(np.zeros((4, 1)), (None, 1))


# Determination


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(
    ("ours", "theirs"),
    [(None, "raw_values"), ("uniform_average", "uniform_average"), ("variance_weighted_average", "variance_weighted")],
)
def test_determination(backend, ours, theirs, weighted):
    random = Generator(1)
    y_true = random.normal((50, 3)) * np.asarray([1.0, 5.0, 0.2]) + 10.0
    y_pred = y_true + random.normal((50, 3))
    weight = random.uniform((50,), 0.1, 2.0) if weighted else None
    expected = SKLEARN.r2_score(y_true, y_pred, sample_weight=weight, multioutput=theirs)
    found = over_batches(backend, metrics.R2Score(ours), y_true, y_pred, weight)
    assert_close(found, expected, rtol=1e-4, atol=1e-5, like=backend.zeros(()))


def test_determination_far_from_zero(backend):
    y_true = 1000.0 + Generator(1).normal((200,))
    y_pred = y_true + 0.1 * Generator(2).normal((200,))
    expected = SKLEARN.r2_score(y_true, y_pred)
    found = over_batches(backend, metrics.R2Score(), y_true, y_pred)
    assert_close(found, expected, rtol=1e-4)  # sums of squares around 0 would leave no digit of float32


def test_constant_targets_have_the_score_of_scikit_learn(backend):
    y_true, y_pred = np.full((40, 2), 0.1), np.full((40, 2), 0.1)
    y_pred[:, 1] = 0.2
    assert_close(over_batches(backend, metrics.R2Score(None), y_true, y_pred), np.float32([1.0, 0.0]))
    found = over_batches(backend, metrics.R2Score("variance_weighted_average"), y_true, y_pred)
    assert_close(found, np.float32(0.0))


def test_adjusted_determination():
    y_true, y_pred = Generator(1).normal((20,)), Generator(2).normal((20,))
    plain = SKLEARN.r2_score(y_true, y_pred)
    adjusted = 1.0 - (1.0 - plain) * 19.0 / 16.0
    assert_close(metrics.R2Score(num_regressors=3)(y_true, y_pred), adjusted, rtol=1e-5)
    with pytest.warns(UserWarning, match=r"adjusted R2 of 19 regressors needs more than 20 numbers, got 20"):
        assert_close(metrics.R2Score(num_regressors=19)(y_true, y_pred), plain, rtol=1e-5)


# Correlation


@pytest.mark.parametrize("axis", [-1, 0, (0, 1)], ids=str)
def test_correlations(backend, axis):
    y_true = Generator(1).normal((30, 6)) + 2.0
    y_pred = 0.5 * y_true + Generator(2).normal((30, 6))
    true, predicted = ((y.reshape(1, -1) if axis == (0, 1) else y.T if axis == 0 else y) for y in (y_true, y_pred))
    pearson = np.asarray([np.corrcoef(*pair)[0, 1] for pair in zip(true, predicted, strict=True)])
    between = (true.mean(axis=1) - predicted.mean(axis=1)) ** 2
    covariance = np.asarray([np.cov(*pair, ddof=0)[0, 1] for pair in zip(true, predicted, strict=True)])
    concordance = 2.0 * covariance / (true.var(axis=1) + predicted.var(axis=1) + between)
    for function, cls, expected in [
        (metrics.pearson_correlation, metrics.PearsonCorrelation, pearson),
        (metrics.concordance_correlation, metrics.ConcordanceCorrelation, concordance),
    ]:
        with no_synchronization():
            values = function(backend.asarray(y_true), backend.asarray(y_pred), axis=axis)
            mean = cls(axis=axis)(backend.asarray(y_true), backend.asarray(y_pred))
        assert_close(values, expected[0] if axis == (0, 1) else expected, rtol=1e-4, like=backend.zeros(()))
        assert_close(mean, expected.mean(), rtol=1e-4)


def test_what_is_constant_has_no_correlation():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert_close(metrics.pearson_correlation([[1.0, 2.0, 3.0]], [[2.0, 2.0, 2.0]]), np.float32([0.0]))
        assert_close(metrics.concordance_correlation([[1.0, 2.0, 3.0]], [[2.0, 2.0, 2.0]]), np.float32([0.0]))


# Relative errors


def test_relative_errors(backend):
    y_true, y_pred = Generator(1).normal((40, 3)), Generator(2).normal((40, 3))
    normalizer = np.asarray([0.5, 0.0, 3.0])
    expected = np.abs(y_pred - y_true) * np.asarray([2.0, 0.0, 1.0 / 3.0])
    weight = Generator(3).uniform((40,), 0.1, 2.0)
    metric = metrics.MeanRelativeError(normalizer)
    assert_close(over_batches(backend, metric, y_true, y_pred), expected.mean(), rtol=1e-5)
    metric.reset_state()
    expected = np.average(expected.mean(axis=-1), weights=weight)
    assert_close(over_batches(backend, metric, y_true, y_pred, weight), expected, rtol=1e-5)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: metrics.F1Score("mean"), "average must be one of None, 'micro', 'macro', 'weighted'; got 'mean'"),
        (lambda: metrics.FBetaScore(beta=0.0), "beta must be positive, got 0.0"),
        (lambda: metrics.FBetaScore(beta="1"), "beta must be positive, got '1'"),
        (lambda: metrics.F1Score(threshold="0.5"), "threshold must be above 0 and at most 1, .* got '0.5'"),
        (lambda: metrics.F1Score(threshold=0.0), "threshold must be above 0 and at most 1, or None"),
        (lambda: metrics.F1Score()([0, 1], [0.1, 0.9]), r"'f1_score' expects predictions \(n, classes\).*\(2,\)"),
        (lambda: metrics.F1Score()([0, 1], [[0.1, 0.9]] * 2), r"to_categorical\(y, num_classes=2\)"),
        (lambda: metrics.R2Score("mean"), "class_aggregation must be one of None, 'uniform_average'"),
        (lambda: metrics.R2Score(num_regressors=-1), "num_regressors must not be negative, got -1"),
        (
            lambda: metrics.R2Score()([[[0.0]]], [[[0.0]]]),
            r"predictions \(n, outputs\) or \(n,\), got \(1, 1, 1\)",
        ),
        (lambda: metrics.pearson_correlation([[1.0], [2.0]], [[1.0], [2.0]]), r"have one number; use axis=0 to correl"),
        (lambda: metrics.concordance_correlation([1.0], [1.0], axis=2), r"predictions of shape \(1,\) have no axis 2"),
    ],
)
def test_mistakes(make, message):
    with pytest.raises(ValueError, match=message):
        make()
