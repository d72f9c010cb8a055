"""Methods that older Keras scripts call. Each says what today's form is."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np


class LegacyMethods:
    """Old names of a model's methods, forwarded to today's with a warning."""

    fit: Any
    evaluate: Any
    name: str
    predict: Any
    output_shape: Any
    walk: Any

    def fit_generator(self, generator: Any, steps_per_epoch: int | None = None, epochs: int = 1, **kwargs: Any) -> Any:
        """`fit` takes generators."""
        _warn("fit_generator(generator, ...)", "fit(generator, ...)")
        return self.fit(generator, steps_per_epoch=steps_per_epoch, epochs=epochs, **kwargs)

    def evaluate_generator(self, generator: Any, steps: int | None = None, **kwargs: Any) -> Any:
        """`evaluate` takes generators."""
        _warn("evaluate_generator(generator, ...)", "evaluate(generator, ...)")
        return self.evaluate(generator, steps=steps, **kwargs)

    def predict_generator(self, generator: Any, steps: int | None = None, **kwargs: Any) -> Any:
        """`predict` takes generators."""
        _warn("predict_generator(generator, ...)", "predict(generator, ...)")
        return self.predict(generator, steps=steps, **kwargs)

    def predict_classes(self, x: Any, batch_size: int | None = None, verbose: Any = 0) -> np.ndarray:
        """The class of each sample: the largest output, or for a single output whether it is above 0.5."""
        if self.output_shape[-1] == 1:
            _warn("predict_classes(x)", "(predict(x) > 0.5).astype('int32')")
            return np.asarray(self.predict(x, batch_size=batch_size, verbose=verbose) > 0.5).astype("int32")
        _warn("predict_classes(x)", "predict(x).argmax(axis=-1)")
        outputs: np.ndarray = np.asarray(self.predict(x, batch_size=batch_size, verbose=verbose))
        classes: np.ndarray = outputs.argmax(axis=-1)
        return classes

    def predict_proba(self, x: Any, batch_size: int | None = None, verbose: Any = 0) -> Any:
        """`predict` gives probabilities where the model ends in softmax or sigmoid."""
        _warn("predict_proba(x)", "predict(x)")
        return self.predict(x, batch_size=batch_size, verbose=verbose)

    def reset_states(self) -> None:
        """Recurrent layers that are stateful forget what they remember."""
        _warn("model.reset_states()", "layer.reset_states() for each stateful layer")
        for _, layer in self.walk():
            if getattr(layer, "stateful", False):
                layer.reset_states()

    def refuse_own_steps(self) -> None:
        """TypeError for methods with which Keras lets a subclass train: without gradients they could not."""
        for method in ("train_step", "test_step", "predict_step", "compute_loss"):
            if hasattr(self, method):
                raise TypeError(
                    f"{self.name}: nnx does not call {method}(), whose values would have no gradients here: "
                    f"write the loop with model.forward, whose pullback gives them"
                )


def _warn(old: str, today: str) -> None:
    warnings.warn(f"{old} is an old form; write {today}", DeprecationWarning, stacklevel=3)
