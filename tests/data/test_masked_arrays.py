"""Masked arrays of NumPy: nnx does not know their masks, and says so before it computes with what they hide."""

import numpy as np
import pytest

import nnx
from nnx.layers import Dense, Input, Normalization

X, Y = np.ones((4, 3), "float32"), np.ones((4, 1), "float32")
HIDDEN = np.ma.masked_array(X, mask=X * [0, 1, 0])
HIDDEN_Y = np.ma.masked_array(Y, mask=[[0], [0], [1], [0]])


def model():
    made = nnx.Sequential([Input((3,)), Dense(1)])
    made.compile("sgd", "mse")
    return made


CALLS = {
    "fit x": ("x", lambda: model().fit(HIDDEN, Y, verbose=0)),
    "fit y": ("y", lambda: model().fit(X, HIDDEN_Y, verbose=0)),
    "fit sample_weight": ("sample_weight", lambda: model().fit(X, Y, sample_weight=HIDDEN_Y[:, 0], verbose=0)),
    "validation": ("x", lambda: model().fit(X, Y, validation_data=(HIDDEN, Y), verbose=0)),
    "evaluate": ("x", lambda: model().evaluate(HIDDEN, Y, verbose=0)),
    "predict": ("x", lambda: model().predict(HIDDEN, verbose=0)),
    "predict rows": ("x", lambda: model().predict(list(HIDDEN), verbose=0)),
    "train_on_batch": ("y", lambda: model().train_on_batch(X, HIDDEN_Y)),
    "batches": ("y", lambda: model().fit(iter([(X, HIDDEN_Y)]), verbose=0)),
    "loader": ("x", lambda: nnx.data.DataLoader(HIDDEN, Y)),
    "call": ("data", lambda: Dense(1)(HIDDEN)),
    "adapt": ("data", lambda: Normalization().adapt(HIDDEN)),
    "asarray": ("data", lambda: nnx.asarray(HIDDEN)),
    "loss": ("y_pred", lambda: nnx.losses.MeanSquaredError()(Y, HIDDEN_Y)),
    "weights of a loss": ("sample_weight", lambda: nnx.losses.MeanSquaredError()(Y, Y, HIDDEN_Y)),
    "metric": ("y_true", lambda: nnx.metrics.MeanSquaredError()(HIDDEN_Y, Y)),
}


@pytest.mark.parametrize(("what", "call"), CALLS.values(), ids=CALLS)
def test_what_is_masked_is_refused(what, call):
    with pytest.raises(ValueError, match=rf"{what}.*: a masked array of NumPy.*\.filled\(0\.0\).*sample_weight"):
        call()


def test_nothing_masked_is_an_array(backend):
    """As readers of scientific files give them."""
    whole = np.ma.masked_array(X, mask=np.zeros_like(X))
    same = model()
    assert same.predict(whole, verbose=0).tolist() == same.predict(X, verbose=0).tolist()
    assert nnx.to_numpy(nnx.asarray(whole)).tolist() == X.tolist()
