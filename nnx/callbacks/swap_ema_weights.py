"""Evaluation with the moving averages of the weights."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nnx.callbacks.callback import Callback


class SwapEMAWeights(Callback):
    """The moving averages of an optimiser with `use_ema=True` in the model's place while it is evaluated.

    swap_on_epoch : between epochs too, so that a `ModelCheckpoint` behind it in the list saves them.

    ValueError for an optimiser without averages.

    >>> import nnx
    >>> model = nnx.Sequential([nnx.layers.Dense(1, input_shape=(2,))])
    >>> model.compile(nnx.optimizers.SGD(0.1, use_ema=True), "mse")
    >>> history = model.fit([[0.0, 1.0]], [[1.0]], validation_split=0.0, callbacks=[SwapEMAWeights()], verbose=0)
    """

    def __init__(self, swap_on_epoch: bool = False) -> None:
        self.swap_on_epoch = swap_on_epoch

    def set_model(self, model: Any) -> None:
        super().set_model(model)
        if model.optimizer is None or not model.optimizer.use_ema:
            raise ValueError("SwapEMAWeights needs an optimizer with averages: write use_ema=True in it")

    def _show_averages(self, shown: bool) -> None:
        if self.model.optimizer.shows_average is not shown:
            self.model.optimizer.swap_average()

    def on_epoch_begin(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        self._show_averages(False)

    def on_epoch_end(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        if self.swap_on_epoch:
            self._show_averages(True)

    def on_test_begin(self, logs: Mapping[str, float] | None = None) -> None:
        self._show_averages(True)

    def on_test_end(self, logs: Mapping[str, float] | None = None) -> None:
        self._show_averages(False)

    def on_predict_begin(self, logs: Mapping[str, float] | None = None) -> None:
        self._show_averages(True)

    def on_predict_end(self, logs: Mapping[str, float] | None = None) -> None:
        self._show_averages(False)
