"""The members of Keras' objects, as the record has them that tests without Keras read."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

pytest.importorskip("jax", reason="the oracle JAX is not installed; pip install -e '.[oracle]' from a clone")
keras = pytest.importorskip("keras", reason="Keras is not installed; pip install -e '.[oracle]' from a clone")

import nnx  # noqa: E402
from tests.reference.members_of_keras import members, read_record  # noqa: E402


@pytest.mark.skipif(not keras.__version__.startswith("3.15"), reason="the record is of Keras 3.15")
def test_the_record_is_of_keras() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = members(keras)
    recorded = read_record()
    assert found.keys() == recorded.keys()
    different = {name: set(found[name]) ^ set(recorded[name]) for name in found}
    assert not {name: names for name, names in different.items() if names}


@pytest.mark.filterwarnings("ignore:Explicitly requested dtype")  # in AUC of Keras
def test_values_of_members() -> None:
    random = np.random.default_rng(0)
    labels, scores = random.integers(0, 2, (50, 3)).astype(np.int32), random.random((50, 3)).astype(np.float32)
    for options in ({}, {"multi_label": True}, {"multi_label": True, "label_weights": [1.0, 2.0, 3.0]}):
        areas = [package.metrics.AUC(curve="PR", **options) for package in (keras, nnx)]
        for area in areas:
            area.update_state(labels, scores)
        expected, given = (float(area.interpolate_pr_auc()) for area in areas)
        assert given == pytest.approx(expected, abs=1e-6)
    overlaps = [package.metrics.MeanIoU(3) for package in (keras, nnx)]
    for overlap in overlaps:
        overlap.update_state(np.arange(20, dtype=np.int32) % 3, np.arange(20, dtype=np.int32) % 2)
    assert np.array_equal(*(np.asarray(overlap.total_cm) for overlap in overlaps))
    for name in ("LSTM", "GRU", "SimpleRNN"):
        expected, given = (getattr(package.layers, name)(3) for package in (keras, nnx))
        assert given.state_size == expected.state_size
        shapes = [[tuple(state.shape) for state in one.get_initial_state(4)] for one in (expected, given)]
        assert shapes[0] == shapes[1]
    for mode in ("int", "one_hot", "multi_hot", "count"):
        layers = [package.layers.Discretization(num_bins=4, output_mode=mode) for package in (keras, nnx)]
        assert len({layer.compute_output_shape((None, 3)) for layer in layers}) == 1
    for monitor, mode in (("val_loss", "auto"), ("x", "min"), ("x", "max")):
        callback = nnx.callbacks.EarlyStopping(monitor, mode=mode)
        theirs = keras.callbacks.EarlyStopping(monitor, mode=mode)
        theirs._set_monitor_op()
        assert callback.monitor_op(1.0, 2.0) == bool(theirs.monitor_op(1.0, 2.0))


def test_symbols_as_inputs() -> None:
    x = {package: package.Input((4,)) for package in (keras, nnx)}
    for options in ({}, {"shape": (4,)}, {"batch_size": 3}, {"dtype": "int32"}, {"dtype": "float32"}, {"shape": (3,)}):
        kept = []
        for package, symbol in x.items():
            try:
                kept.append(package.Input(tensor=symbol, **options) is symbol)
            except ValueError:
                kept.append(False)
        assert kept[0] == kept[1], options
