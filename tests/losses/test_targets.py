"""Checks of targets: what they look at, and how often a model makes them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import nnx
from nnx.layers import Dense, Input
from nnx.losses import LossFunctionWrapper, SparseCategoricalCrossentropy
from nnx.losses.targets import require_labels

X = np.random.default_rng(0).normal(size=(6, 3)).astype(np.float32)


@pytest.mark.parametrize("dtype", ["i1", "<i2", ">i2", "i4", "<i8", ">i8", "u1", "u8", "?", "f4"])
def test_labels_that_do_not_exist(dtype: str) -> None:
    fine = np.asarray([0, 1, 1, 0]).astype(dtype)
    require_labels("mine", fine, (None, 2))
    require_labels("mine", fine[::2], (None, 2))
    for wrong in ([-1] if np.dtype(dtype).kind in "if" else []) + ([2, 127] if dtype != "?" else []):
        labels = fine.copy()
        labels[2] = wrong
        with pytest.raises(ValueError, match=rf"got {wrong}\.?0? at index 2"):
            require_labels("mine", labels, (None, 2))
        require_labels("mine", labels, (None, 2), ignore_class=wrong)


def test_a_label_of_another_byte_order_is_not_taken_for_another():
    with pytest.raises(ValueError, match="got 256 at index 0"):
        require_labels("mine", np.asarray([256], ">i2"), (None, 2))


def model_of(loss: Any, units: int, **options: Any) -> nnx.Model:
    model = nnx.Sequential([Input((3,)), Dense(units)])
    model.compile("sgd", loss, **options)
    return model


def test_labels_are_checked_in_every_step():
    model = model_of(SparseCategoricalCrossentropy(from_logits=True), 2)
    for _ in range(4):
        model.train_on_batch(X, np.zeros(6, np.int64))
    with pytest.raises(ValueError, match="the model has 2 classes"):
        model.train_on_batch(X, np.full(6, 2))


class Checking(LossFunctionWrapper):
    """A loss that refuses negative targets."""

    def __init__(self) -> None:
        super().__init__(nnx.losses.mse)

    def check_targets(self, y_true: np.ndarray, output_shape: Any) -> None:
        super().check_targets(y_true, output_shape)
        if y_true.min() < 0.0:
            raise ValueError("a negative target")


class CheckingMetric(nnx.metrics.MeanAbsoluteError):
    """A metric that does."""

    def check_targets(self, y_true: np.ndarray, output_shape: Any) -> None:
        Checking.check_targets(Checking(), y_true, output_shape)


@pytest.mark.parametrize("options", [{"loss": Checking()}, {"loss": "mse", "metrics": [CheckingMetric()]}])
def test_a_check_of_ones_own_is_made_in_every_step(options: dict[str, Any]) -> None:
    model = model_of(units=1, **options)
    y = np.ones((6, 1), np.float32)
    for _ in range(4):
        model.train_on_batch(X, y)
    with pytest.raises(ValueError, match="a negative target"):
        model.train_on_batch(X, -y)


def test_other_shapes_are_checked_again():
    model = model_of("mse", 2)
    for _ in range(4):
        model.train_on_batch(X, np.ones((6, 2), np.float32))
    for shape in ((6, 3), (6,), (6, 2, 2)):
        with pytest.raises(ValueError, match="expects targets of the shape"):
            model.train_on_batch(X, np.ones(shape, np.float32))
    model.compile("sgd", nnx.losses.Hinge())
    for _ in range(2):
        model.train_on_batch(X, np.ones((6, 2), np.float32))
    with pytest.raises(ValueError, match="expects the labels"):
        model.train_on_batch(X, np.full((6, 2), 3.0, np.float32))
