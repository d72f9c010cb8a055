"""Masks of outputs, and metrics: what does not count for the loss does not count for them either."""

import numpy as np
import pytest

import nnx
from nnx.layers import Dense, Embedding, Input, Masking
from nnx.testing import assert_close

X = np.asarray([[[1.0], [2.0], [0.0]], [[3.0], [0.0], [0.0]], [[1.0], [1.0], [2.0]], [[0.0], [4.0], [1.0]]], "float32")
Y = np.asarray([[[1.5], [1.0], [9.0]], [[5.0], [8.0], [-9.0]], [[1.0], [0.0], [4.0]], [[7.0], [4.5], [0.0]]], "float32")
COUNTS = X[..., 0] != 0
WEIGHTS = np.asarray([1.0, 3.0, 0.5, 2.0], "float32")


def passing(**options):
    """A model that returns its input, with a mask."""
    model = nnx.Sequential([Input((3, 1)), Masking(), Dense(1, kernel_initializer="ones")])
    model.compile(nnx.optimizers.SGD(0.0), "mse", **options)
    return model


def test_the_smallest_example(backend):
    model = nnx.Sequential([Input((2, 1)), Masking(0.0), Dense(1, kernel_initializer="ones")])
    model.compile("sgd", "mse", metrics=["mse"])
    assert model.evaluate(np.asarray([[[1.0], [0.0]]]), np.asarray([[[1.0], [9.0]]]), verbose=0) == [0.0, 0.0]


def test_metrics_count_the_steps_that_the_mask_keeps(backend):
    """Over batches of other numbers of steps too: metrics divide by all the steps that count."""
    model = passing(metrics=["mse", nnx.metrics.MeanAbsoluteError(name="plain")], weighted_metrics=["mae"])
    errors, weight = np.abs(X - Y)[..., 0], np.where(COUNTS, WEIGHTS[:, None], 0.0)
    plain = [(errors**2)[COUNTS].mean(), errors[COUNTS].mean()]
    weighted = (errors * weight).sum() / weight.sum()
    for result in (
        model.evaluate(X, Y, sample_weight=WEIGHTS, verbose=0),
        model.evaluate(X, Y, sample_weight=WEIGHTS, batch_size=2, verbose=0),
        model.test_on_batch(X, Y, sample_weight=WEIGHTS),
        model.train_on_batch(X, Y, WEIGHTS),
    ):
        assert_close(np.asarray(result[1:]), [*plain, weighted], rtol=1e-5)
    data = {"validation_data": (X, Y, WEIGHTS), "sample_weight": WEIGHTS, "batch_size": 3, "verbose": 0}
    history = model.fit(X, Y, **data).history
    for before in ("", "val_"):
        assert_close(np.asarray([history[f"{before}{name}"][0] for name in ("mse", "plain")]), plain, rtol=1e-5)
        assert_close(history[f"{before}mae"][0], weighted, rtol=1e-5)


def test_weighted_metrics_without_weights_have_the_mask(backend):
    error = np.abs(X - Y)[..., 0][COUNTS].mean()
    assert_close(passing(weighted_metrics=["mae"]).evaluate(X, Y, verbose=0)[1], error, rtol=1e-5)


@pytest.mark.parametrize("weights", [WEIGHTS, WEIGHTS[:, None], WEIGHTS[:, None] * np.asarray([1.0, 2.0, 3.0])])
def test_weights_of_samples_and_of_steps(weights, backend):
    each = np.broadcast_to(weights if weights.ndim > 1 else weights[:, None], COUNTS.shape) * COUNTS
    errors = np.abs(X - Y)[..., 0]
    loss, metric = passing(weighted_metrics=["mae"]).evaluate(X, Y, sample_weight=weights, verbose=0)
    assert_close(loss, (errors**2 * each).sum() / COUNTS.sum(), rtol=1e-5)
    assert_close(metric, (errors * each).sum() / each.sum(), rtol=1e-5)


def test_every_output_has_its_own_mask(backend):
    words, numbers = Input((3,), dtype="int64", name="words"), Input((3, 1), name="numbers")
    outputs = [Dense(1, name="a")(Embedding(4, 2, mask_zero=True)(words)), Dense(1, name="b")(numbers)]
    model = nnx.Model([words, numbers], outputs)
    model.compile("sgd", "mse", metrics=[["mae"], ["mae"]])
    x = [np.asarray([[1, 2, 0], [3, 0, 0], [1, 1, 1], [2, 0, 1]]), X]
    predictions, logs = model.predict(x, verbose=0), model.evaluate(x, [Y, Y], return_dict=True, verbose=0)
    assert_close(logs["a_mae"], np.abs(predictions[0] - Y)[x[0] != 0].mean(), rtol=1e-5)
    assert_close(logs["b_mae"], np.abs(predictions[1] - Y).mean(), rtol=1e-5)


@pytest.mark.parametrize(
    "make",
    [
        lambda: "accuracy",
        lambda: nnx.metrics.SparseTopKCategoricalAccuracy(k=2),
        lambda: "sparse_categorical_crossentropy",
    ],
)
def test_metrics_of_labels(make, backend):
    """The same as if only the steps that count had been given."""
    words = np.asarray([[1, 2, 0], [3, 0, 0], [1, 1, 1], [2, 0, 1]])
    labels = np.asarray([[0, 2, 1], [1, 1, 0], [2, 2, 0], [0, 1, 2]])
    model = nnx.Sequential([Input((3,), dtype="int64"), Embedding(4, 5, mask_zero=True), Dense(3, "softmax")])
    model.compile("sgd", "sparse_categorical_crossentropy", metrics=[make()])
    found = model.evaluate(words, labels, verbose=0)[1]
    picked = nnx.Sequential([Input((5,)), *model.layers[1:]])
    picked.compile("sgd", "sparse_categorical_crossentropy", metrics=[make()])
    rows = nnx.to_numpy(model.layers[0](nnx.asarray(words)))[words != 0]
    assert_close(found, picked.evaluate(rows, labels[words != 0], verbose=0)[1], rtol=1e-5)


@pytest.mark.parametrize("make", [nnx.metrics.AUC, nnx.metrics.Precision, nnx.metrics.TruePositives])
def test_curves_and_counts_have_the_mask(make, backend):
    labels, metric = (Y > 2.0).astype("float32"), make()
    metric.update_state(labels[COUNTS], X[COUNTS] / 10.0 + 0.6)
    model = passing(metrics=[make(name="found")])
    model.set_weights([np.asarray([[0.1]]), np.asarray([0.6])])  # all are above one half
    assert_close(model.evaluate(X, labels, verbose=0)[1], float(metric.result()), rtol=1e-5)


def by_sample(y_true, y_pred):
    return ((y_pred - y_true) ** 2)[..., 0].mean(axis=-1)


def one_value(y_true, y_pred):
    return abs(y_pred - y_true).mean()


@pytest.mark.parametrize("function", [by_sample, one_value])
def test_a_function_without_values_of_steps_says_so(function):
    """A mask cannot reach into what the function has reduced; it goes on, as it would in Keras."""
    model = passing(metrics=[function])
    with pytest.warns(UserWarning, match=f"metric '{function.__name__}' gives .*mean.*axis=-1") as found:
        result = model.evaluate(X, Y, batch_size=2, verbose=0)[1]
    assert len(found) == 1
    assert found[0].filename == __file__
    assert_close(result, function(Y, X * COUNTS[..., None]).mean(), rtol=1e-5)


def per_step(y_true, y_pred):
    return ((y_pred - y_true) ** 2).mean(axis=-1)


def test_a_function_with_values_of_steps_has_the_mask():
    expected = ((X - Y) ** 2)[COUNTS].mean()
    assert_close(passing(metrics=[per_step]).evaluate(X, Y, verbose=0)[1], expected, rtol=1e-5)


@pytest.mark.parametrize("weights", [None, WEIGHTS, WEIGHTS[:, None] * np.asarray([1.0, 2.0, 3.0])])
def test_targets_without_the_last_axis(weights, backend):
    """(n, time) for an output (n, time, 1), as they are without a mask."""
    options = {"metrics": ["mse"], "weighted_metrics": ["mae"]}
    found = passing(**options).evaluate(X, Y[..., 0], sample_weight=weights, verbose=0)
    assert_close(np.asarray(found), passing(**options).evaluate(X, Y, sample_weight=weights, verbose=0), rtol=1e-6)


def test_weights_of_steps_for_targets_without_the_last_axis(backend):
    weights = WEIGHTS[:, None] * np.asarray([1.0, 2.0, 3.0])
    model = nnx.Sequential([Input((3, 1)), Dense(1, kernel_initializer="ones")])
    model.compile(nnx.optimizers.SGD(0.0), "mae", weighted_metrics=["mae"])
    errors = np.abs(X - Y)[..., 0] * weights
    expected = [errors.mean(), errors.sum() / weights.sum()]
    assert_close(np.asarray(model.evaluate(X, Y[..., 0], sample_weight=weights, verbose=0)), expected, rtol=1e-5)


@pytest.mark.parametrize("last", [lambda x: x[..., 0], nnx.layers.Lambda(lambda x: (x, lambda dy: dy))])
def test_a_mask_that_does_not_fit_the_output(last):
    x = Input((3, 1))
    model = nnx.Model(x, last(Dense(1)(Masking()(x))))
    model.compile("sgd", "mse")
    if len(model.output_shape) == 3:
        model.layers[-1].compute_mask = lambda x, mask: mask[:, 1:]
    message = "the mask of an output must .* a mask of shape|weights of steps, as a mask makes them too, need a value"
    with pytest.raises(ValueError, match=message):
        model.evaluate(X, Y if len(model.output_shape) == 3 else Y[..., 0], verbose=0)
