"""Warnings point at the line of the user's that led to them."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import nnx
from nnx.callbacks import EarlyStopping, ModelCheckpoint, ReduceLROnPlateau

X, Y = np.ones((4, 3), dtype=np.float32), np.ones((4, 1), dtype=np.float32)


def fit(**options: Any) -> None:
    model = nnx.Sequential([nnx.layers.Dense(1, input_dim=3)])
    model.compile("sgd", "mse")
    model.fit(X, Y, verbose=0, **options)


@pytest.mark.parametrize(
    "cause",
    [
        lambda: EarlyStopping(mode="upwards"),
        lambda: ModelCheckpoint("a", mode="upwards"),
        lambda: fit(callbacks=[EarlyStopping("val_loss")]),
        lambda: fit(callbacks=[ReduceLROnPlateau("val_loss")]),
        lambda: fit(steps_per_epoch=3),
        lambda: nnx.losses.BinaryCrossentropy(from_logits=True).check_activation("sigmoid"),
    ],
)
def test_the_line_is_ours(cause: Callable[[], Any]) -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        cause()
    assert caught
    assert {warning.filename for warning in caught} == {__file__}


def test_the_category_is_kept() -> None:
    model = nnx.Sequential([nnx.layers.Dense(1, input_dim=3)])
    with pytest.warns(DeprecationWarning, match="predict_proba") as caught:
        model.predict_proba(X)
    assert caught[0].filename == __file__
