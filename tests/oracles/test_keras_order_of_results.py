"""The order of results of models with several outputs, or with own metrics, against Keras 3 on JAX."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

keras = pytest.importorskip("keras", reason="Keras is not installed: pip install 'nnx-array[oracle]'")

import nnx  # noqa: E402
from nnx.random import Generator  # noqa: E402

# Keras's variables do not know NumPy 2's `copy` yet
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy:DeprecationWarning")

X = np.float32(Generator(1).normal((6, 4)))
TARGETS = {name: np.float32(Generator(2 + i).normal((6, 1 + i))) for i, name in enumerate(["zeta", "mid", "alpha"])}
MSE = dict.fromkeys(TARGETS, "mse")
METRICS: dict[str, Any] = {"zeta": "mae", "mid": ["mse", "mae"], "alpha": ["mse"]}

CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "a list": ("list", {"loss": "mse", "metrics": METRICS}),
    "a list, by position": ("list", {"loss": ["mse", "mae", "mse"], "metrics": ["mse", None, ["mse", "mae"]]}),
    "a list, losses by name": ("list", {"loss": dict(reversed(MSE.items())), "metrics": METRICS}),
    "a list, weighted": (
        "list",
        {"loss": "mse", "metrics": METRICS, "weighted_metrics": {"mid": "mse", "zeta": "mse"}},
    ),
    "a dict": ("dict", {"loss": "mse", "metrics": METRICS}),
    "a dict, losses by name": ("dict", {"loss": MSE, "metrics": METRICS, "weighted_metrics": {"zeta": "mse"}}),
    "a dict, losses in a list": ("dict", {"loss": ["mse", "mae", "mse"], "metrics": METRICS}),
    "a dict, with weights": ("dict", {"loss": MSE, "loss_weights": {"alpha": 2.0, "mid": 0.5, "zeta": 1.0}}),
    "a dict, some": ("dict", {"loss": {"zeta": "mse", "alpha": "mse"}, "metrics": {"mid": "mae", "alpha": "mae"}}),
    "one": ("one", {"loss": "mse", "metrics": ["mse", "mae"], "weighted_metrics": ["mape"]}),
    "one, by name": ("one", {"loss": {"zeta": "mse"}, "metrics": {"zeta": ["mse", "mae"]}}),
}


@pytest.mark.parametrize("case", CASES)
def test_results_are_in_the_order_of_keras(case: str) -> None:
    form, compiled = CASES[case]
    targets: Any = {"list": list(TARGETS.values()), "dict": TARGETS, "one": TARGETS["zeta"]}[form]
    models = []
    for library in (nnx, keras):
        x = library.Input((4,))
        ends = {name: library.layers.Dense(y.shape[1], name=name)(x) for name, y in TARGETS.items()}
        model = library.Model(x, {"list": list(ends.values()), "dict": ends, "one": ends["zeta"]}[form])
        model.compile(library.optimizers.SGD(0.0), **compiled)
        models.append(model)
    weights: dict[str, Any] = {layer.name: layer.get_weights() for layer in models[0].layers}
    for layer in models[1].layers:
        layer.set_weights(weights.get(layer.name, []))
    ours, theirs = models
    assert ours.evaluate(X, targets, verbose=0) == pytest.approx(theirs.evaluate(X, targets, verbose=0), rel=1e-5)
    for method in ("test_on_batch", "train_on_batch"):
        theirs.reset_metrics()
        found, expected = (getattr(model, method)(X, targets) for model in models)
        assert found == pytest.approx([float(value) for value in expected], rel=1e-5)
    theirs.reset_metrics()
    named = [model.evaluate(X, targets, verbose=0, return_dict=True) for model in models]
    assert list(named[0]) == list(named[1])
    histories = [model.fit(X, targets, validation_data=(X, targets), verbose=0).history for model in models]
    assert list(histories[0]) == list(histories[1])
