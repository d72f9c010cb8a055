"""Metrics that are more than a mean: in steps, in results, in the history, and where they do not fit the data."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest

import nnx
from nnx import metrics, plotting
from nnx.layers import Dense
from nnx.random import Generator
from nnx.testing import assert_close, no_synchronization

X = Generator(1).normal((40, 4))
LABELS = np.arange(40) % 3
ONE_HOT = np.eye(3)[LABELS]
SEVERAL = ["auc", "precision", "f1_score", "confusion_matrix", "true_positives", "acc"]


def make(*watched: Any, loss: str = "categorical_crossentropy", **options: Any) -> nnx.Sequential:
    nnx.random.set_seed(5)
    model = nnx.Sequential([Dense(3, "softmax", input_dim=4)])
    model.compile(nnx.optimizers.SGD(0.5), loss, metrics=list(watched), **options)
    return model


def test_results_are_those_of_all_batches(backend):
    model = make(*SEVERAL)
    results = model.evaluate(X, ONE_HOT, batch_size=7, verbose=0, return_dict=True)
    outputs = model.predict(X, verbose=0)
    table = np.zeros((3, 3), np.int64)
    np.add.at(table, (LABELS, outputs.argmax(axis=-1)), 1)
    assert list(results) == sorted(["loss", *SEVERAL])
    assert type(results["confusion_matrix"]) is np.ndarray
    assert np.array_equal(results["confusion_matrix"], table)
    assert results["acc"] == pytest.approx(np.trace(table) / 40)
    assert_close(results["f1_score"], np.asarray(metrics.F1Score()(ONE_HOT, outputs)), rtol=1e-5)
    assert results["true_positives"] == ((outputs > 0.5) & (ONE_HOT == 1.0)).sum()
    assert results["auc"] == pytest.approx(float(metrics.AUC()(ONE_HOT, outputs)), abs=1e-5)
    numbers = {name for name, value in results.items() if isinstance(value, float)}
    assert numbers == {"loss", "auc", "precision", "true_positives", "acc"}
    assert len(model.evaluate(X, ONE_HOT, verbose=0)) == 7
    assert np.array_equal(model.test_on_batch(X, ONE_HOT)[4], table)


class ErrorOfEach(metrics.Metric):
    """The mean absolute error of each output value, by name: a result that is a dict."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.total = self.add_weight(shape=(3,), name="total")
        self.count = self.add_weight(name="count")

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        self.total.assign_add(nnx.ops.sum(nnx.ops.abs(y_true - y_pred), axis=0))
        self.count.assign_add(float(y_pred.shape[0]))

    def result(self) -> Any:
        first, _, last = nnx.ops.unstack(self.total.value / self.count.value)
        return {"first": first, "last": last, "rows": self.count}


def test_a_result_may_be_a_dict(backend):
    model = make(ErrorOfEach(), "acc")
    history = model.fit(X, ONE_HOT, epochs=2, validation_data=(X, ONE_HOT), verbose=0).history
    names = {"loss", "first", "last", "rows", "acc"}
    assert set(history) == names | {f"val_{name}" for name in names}
    results = model.evaluate(X, ONE_HOT, batch_size=7, verbose=0, return_dict=True)
    assert list(results) == ["acc", "first", "last", "loss", "rows"]
    assert results["rows"] == 40.0
    errors = np.abs(model.predict(X, verbose=0) - ONE_HOT).mean(axis=0)
    assert [results["first"], results["last"]] == pytest.approx([errors[0], errors[2]], rel=1e-5)
    listed = ["loss", "acc", "first", "last", "rows"]  # what a metric names itself is the last
    assert model.evaluate(X, ONE_HOT, batch_size=7, verbose=0) == [results[name] for name in listed]


def test_a_step_does_not_wait_for_them(backend):
    model = make(
        *SEVERAL, metrics.R2Score(), metrics.OneHotMeanIoU(3), weighted_metrics=["auc", metrics.Recall(top_k=2)]
    )
    weights = np.linspace(0.5, 1.5, 40)
    model.train_on_batch(X, ONE_HOT, weights)
    batch = model.trainer.pipeline.batch(X, ONE_HOT, weights)
    with no_synchronization():
        model.trainer.step.train(*batch)
        model.trainer.step.test(*batch)
    assert all(np.all(np.isfinite(value)) for value in model.objective.read().values())


def test_the_history_has_arrays(tmp_path, capsys):
    model = make(*SEVERAL)
    history = model.fit(X, ONE_HOT, epochs=3, verbose=2, validation_split=0.25)
    matrices = history.history["confusion_matrix"]
    assert [matrix.sum() for matrix in matrices] == [30, 30, 30]
    assert [matrix.sum() for matrix in history.history["val_confusion_matrix"]] == [10, 10, 10]
    assert np.shape(history.history["f1_score"]) == (3, 3)
    shown = capsys.readouterr().out.splitlines()[-1]
    mean = history.history["f1_score"][-1].mean()
    assert f"- f1_score: {mean:.4f} - loss:" in shown  # of several values the mean, as in Keras
    assert "confusion_matrix" not in shown
    assert "f1_score" in repr(history)
    assert "confusion_matrix" not in repr(history) + history._repr_html_()
    pytest.importorskip("matplotlib", reason="matplotlib is not installed; pip install 'nnx-array[examples]'")
    assert "f1_score" in {line.get_label() for line in plotting.learning_curves(history).axes[1].lines}
    model.save(tmp_path / "model.safetensors")
    loaded = nnx.models.load_model(tmp_path / "model.safetensors").history.history
    for name, values in history.history.items():
        for mine, theirs in zip(loaded[name], values, strict=True):
            assert np.array_equal(mine, theirs)
            assert type(mine) is type(theirs)
    assert all(np.array_equal(a, b) for a, b in zip(copy.deepcopy(loaded)["f1_score"], loaded["f1_score"], strict=True))


def test_weights_are_for_weighted_metrics():
    weights = np.linspace(0.0, 2.0, 40)
    model = make(
        "true_positives", "auc", weighted_metrics=[metrics.TruePositives(name="heavy"), metrics.AUC(name="heavy_auc")]
    )
    results = model.evaluate(X, ONE_HOT, sample_weight=weights, verbose=0, return_dict=True)
    outputs = model.predict(X, verbose=0)
    for name, metric, weight in [
        ("true_positives", metrics.TruePositives(), None),
        ("heavy", metrics.TruePositives(), weights),
        ("auc", metrics.AUC(), None),
        ("heavy_auc", metrics.AUC(), weights),
    ]:
        assert results[name] == pytest.approx(float(metric(ONE_HOT, outputs, weight)), rel=1e-5)


def test_binary_models():
    nnx.random.set_seed(5)
    model = nnx.Sequential([Dense(1, "sigmoid", input_dim=4)])
    model.compile("sgd", "binary_crossentropy", metrics=["auc", "recall", "confusion_matrix", metrics.BinaryIoU()])
    coins = (X[:, 0] > 0.0).astype(np.int64)
    results = model.fit(X, coins, epochs=2, verbose=0).history
    assert results["confusion_matrix"][-1].shape == (2, 2)
    matrix = model.evaluate(X, coins, verbose=0, return_dict=True)
    table = matrix["confusion_matrix"]
    assert matrix["recall"] == pytest.approx(table[1, 1] / table[1].sum())


@pytest.mark.parametrize(
    ("metric", "message"),
    [
        ("auc", r"metric 'auc' expects targets of .*\(any, 3\).*to_categorical\(y, num_classes=3\)"),
        ("precision", r"metric 'precision' expects targets of the shape of the predictions"),
        ("f1_score", r"metric 'f1_score' expects targets of the shape of the predictions"),
        ("r2_score", r"metric 'r2_score' expects targets of the shape of the predictions"),
        ("categorical_accuracy", r"for class labels there is 'sparse_categorical_accuracy'"),
        ("pearson_correlation", r"metric 'pearson_correlation' expects targets of the shape"),
        (metrics.MeanIoU(3), r"metric 'mean_io_u' expects class numbers as predictions.*sparse_y_pred=False"),
        (metrics.OneHotMeanIoU(3), r"metric 'one_hot_mean_io_u' expects targets of the shape"),
        (metrics.ConfusionMatrix(5), r"metric 'confusion_matrix' expects a number for each of 5 classes"),
    ],
)
def test_labels_that_do_not_fit_are_found_before_anything_is_learned(metric: Any, message: str):
    model = make(metric, loss="sparse_categorical_crossentropy")
    before = model.get_weights()
    for train in (
        lambda: model.fit(X, LABELS, verbose=0),
        lambda: model.train_on_batch(X, LABELS),
        lambda: model.fit([(X, LABELS)], verbose=0),
    ):
        with pytest.raises(ValueError, match=message):
            train()
    assert all(np.array_equal(*pair) for pair in zip(model.get_weights(), before, strict=True))
    assert model.optimizer.iterations == 0


def test_targets_that_fit_are_let_through():
    sparse = ["acc", "confusion_matrix", metrics.MeanIoU(3, sparse_y_pred=False), "sparse_top_k_categorical_accuracy"]
    model = make(*sparse, loss="sparse_categorical_crossentropy")
    model.fit(X, LABELS, verbose=0)
    model.fit(X, LABELS[:, None], verbose=0)


def test_one_output_with_an_f_score_is_worth_a_warning():
    nnx.random.set_seed(5)
    model = nnx.Sequential([Dense(1, "sigmoid", input_dim=4)])
    model.compile("sgd", "binary_crossentropy", metrics=["f1_score"])
    with pytest.warns(UserWarning, match="use threshold=0.5"):
        model.fit(X, LABELS % 2, verbose=0)
