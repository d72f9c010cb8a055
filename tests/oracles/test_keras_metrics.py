"""Metrics that are more than the mean of a loss against Keras 3: batch after batch, the same results."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("jax", reason="the oracle JAX is not installed; pip install 'nnx-array[oracle]'")
keras = pytest.importorskip("keras", reason="the oracle Keras is not installed; pip install 'nnx-array[oracle]'")

import nnx  # noqa: E402
from nnx import metrics  # noqa: E402
from nnx.random import Generator  # noqa: E402
from nnx.testing import assert_close  # noqa: E402
from nnx.testing.rows.completeness import assert_complete, keras_complaints  # noqa: E402
from nnx.testing.rows.example_data import draw_metric  # noqa: E402
from nnx.testing.rows.metrics import METRICS  # noqa: E402

RTOL, ATOL = 2e-5, 2e-6
ROWS = (40, 40, 17)

# class, what goes in, options, weights
CASES = [
    (name, example.data, example.options, example.weights)
    for name, row in METRICS.items()
    for example in row.keras
    if isinstance(example.data, str)  # the means of losses: test_keras_losses.py
]

IDS = [f"{name} of {kind}, {', '.join(f'{k}={v}' for k, v in options.items())}" for name, kind, options, _ in CASES]


def weights(kind, y_pred, seed):
    shape = {"samples": y_pred.shape[:1], "elements": y_pred.shape}.get(kind)
    return None if shape is None else Generator(seed).uniform(shape, 0.1, 2.0).astype(np.float32)


def test_enough_is_compared():
    assert len(CASES) >= 75


def test_every_metric_of_both_has_a_row():
    compared = {name: bool(row.keras) for name, row in METRICS.items()}
    assert_complete(keras_complaints("nnx/testing/rows/metrics.py", keras.metrics, compared))


def test_every_name_of_keras_is_there():
    assert {name for name in dir(keras.metrics) if not name.startswith("_")} <= set(metrics.__all__)


@pytest.mark.filterwarnings("ignore:Explicitly requested dtype:UserWarning")  # Keras's casts to int64 on JAX
@pytest.mark.parametrize(("name", "kind", "options", "weighted"), CASES, ids=IDS)
def test_results_after_every_batch(name, kind, options, weighted):
    for weight in weighted:
        more = {"dtype": "float32"} if weight != "none" and "IoU" in name else {}  # else Keras cuts weights off
        ours, theirs = getattr(metrics, name)(**options), getattr(keras.metrics, name)(**options, **more)
        for batch, rows in enumerate(ROWS):
            y_true, y_pred = draw_metric(kind, batch, rows)
            sample_weight = weights(weight, y_pred, batch)
            ours.update_state(y_true, y_pred, sample_weight)
            theirs.update_state(y_true, y_pred, sample_weight)
            assert_close(ours.result(), np.asarray(theirs.result()).astype(np.float32), rtol=RTOL, atol=ATOL)


@pytest.mark.parametrize(("name", "kind", "options", "weighted"), CASES, ids=IDS)
def test_configurations(name, kind, options, weighted):
    theirs = getattr(keras.metrics, name)(**options).get_config()
    ours = getattr(metrics, name)(**options)
    config = ours.get_config()
    plain = {key: list(value) if isinstance(value, tuple) else value for key, value in theirs.items()}
    if plain.get("label_weights") is not None:
        plain["label_weights"] = np.asarray(plain["label_weights"]).tolist()
    numbered = plain["name"].rstrip("0123456789").rstrip("_")
    assert config["name"] in (plain["name"], numbered)
    for key in set(plain) - {"name", "dtype", "thresholds"}:
        assert config[key] == plain[key], key
    assert np.array_equal(config.get("thresholds"), plain.get("thresholds"))
    assert type(metrics.deserialize(metrics.serialize(ours))) is type(ours)


def test_the_attributes_of_auc():
    for options in ({}, {"thresholds": [0.2, 0.7]}, {"multi_label": True}):
        ours, theirs = metrics.AUC(**options), keras.metrics.AUC(**options)
        y_true, y_pred = draw_metric("labels", 3, 50)
        ours.update_state(y_true, y_pred)
        theirs.update_state(y_true, y_pred)
        assert np.allclose(ours.thresholds, theirs.thresholds)
        for name in ("true_positives", "false_positives", "true_negatives", "false_negatives"):
            assert np.array_equal(getattr(ours, name), np.asarray(getattr(theirs, name))), name


def test_in_the_history_of_fit():
    names = ["f1_score", "precision", "AUC", "Recall", "top_k_categorical_accuracy", "true_negatives"]
    x, y = Generator(1).normal((60, 4)).astype(np.float32), np.eye(3, dtype=np.float32)[np.arange(60) % 3]
    kernel = Generator(2).normal((4, 3)).astype(np.float32)
    results = []
    for library in (keras, nnx):
        model = library.Sequential([library.Input((4,)), library.layers.Dense(3, "softmax", use_bias=False)])
        model.compile(library.optimizers.SGD(0.1), "categorical_crossentropy", metrics=names)
        model.set_weights([kernel])
        history = model.fit(x, y, epochs=2, batch_size=20, shuffle=False, verbose=0, validation_data=(x, y)).history
        results.append((history, model.evaluate(x, y, verbose=0)))
    (theirs, expected), (ours, found) = results
    assert len(found) == len(expected) == 7
    assert sorted(theirs) == sorted(ours)
    for key in theirs:
        assert_close(np.asarray(ours[key]), np.asarray(theirs[key]), rtol=1e-4, atol=1e-5)
    for mine, reference in zip(found, expected, strict=True):
        assert_close(np.asarray(mine), np.asarray(reference), rtol=1e-4, atol=1e-5)
