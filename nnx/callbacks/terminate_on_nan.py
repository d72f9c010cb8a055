"""The end of training at a loss that is not finite."""

from __future__ import annotations

import math
from collections.abc import Mapping

from nnx.callbacks.callback import Callback
from nnx.callbacks.console import say


class TerminateOnNaN(Callback):
    """Stop training as soon as the loss is NaN or infinite.

    raise_error : end it with a RuntimeError.

    The loss is looked at after every batch, for which a GPU has to be waited for.

    >>> import nnx
    >>> model = nnx.Sequential([nnx.layers.Dense(1, input_shape=(2,))])
    >>> model.compile("sgd", "mse")
    >>> history = model.fit([[0.0, float("nan")]], [[1.0]], epochs=9, callbacks=[TerminateOnNaN()], verbose=0)
    Batch 0: Invalid loss, terminating training
    >>> len(history.epoch)
    1
    """

    def __init__(self, raise_error: bool = False) -> None:
        self.raise_error = raise_error

    def on_batch_end(self, batch: int, logs: Mapping[str, float] | None = None) -> None:
        loss = (logs or {}).get("loss")
        if loss is None or math.isfinite(loss):
            return
        if self.raise_error:
            raise RuntimeError(
                f"NaN or Inf loss encountered at batch {batch}. Loss value: {loss}. Terminating training immediately."
            )
        say(f"Batch {batch}: Invalid loss, terminating training")
        self.model.stop_training = True
