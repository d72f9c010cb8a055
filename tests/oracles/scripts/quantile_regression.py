"""Quantiles of a demand: one network with an output for each, its pinball loss, and how often they hold."""

import functools

import keras
import numpy as np
from keras import layers, ops
from seeded import fill_weights

quantiles = [0.1, 0.5, 0.9]
rng = np.random.default_rng(8)
x = rng.uniform(-1, 1, (96, 2)).astype("float32")
y = (x[:, 0] ** 2 + (0.1 + 0.3 * np.abs(x[:, 1])) * rng.standard_normal(96)).astype("float32")


def tilted_loss(q, y, f):
    e = y - f
    return ops.mean(ops.maximum(q * e, (q - 1) * e), axis=-1)


class Coverage(keras.metrics.Metric):
    """How many of the targets lie below the predictions."""

    def __init__(self, name="coverage", **kwargs):
        super().__init__(name=name, **kwargs)
        self.below = self.add_weight(name="below", initializer="zeros")
        self.count = self.add_weight(name="count", initializer="zeros")

    def update_state(self, y_true, y_pred, sample_weight=None):
        self.below.assign_add(ops.sum(ops.cast(ops.less_equal(y_true, y_pred), "float32")))
        self.count.assign_add(ops.cast(ops.size(y_pred), "float32"))

    def result(self):
        return self.below / self.count


inputs = keras.Input((2,))
h = layers.Dense(12, activation="selu", kernel_initializer="lecun_normal")(inputs)
h = layers.Dense(8, activation="softplus")(h)
outputs = {f"q{int(100 * q)}": layers.Dense(1, name=f"q{int(100 * q)}")(h) for q in quantiles}
model = keras.Model(inputs, outputs)
fill_weights(model)
model.compile(
    optimizer=keras.optimizers.Nadam(0.01),
    loss={f"q{int(100 * q)}": functools.partial(tilted_loss, q) for q in quantiles},
    loss_weights={"q10": 1.0, "q50": 2.0, "q90": 1.0},
    metrics={f"q{int(100 * q)}": Coverage() for q in quantiles},
)
targets = dict.fromkeys(outputs, y[:, None])
history = model.fit(x, targets, batch_size=32, epochs=4, shuffle=False, verbose=0)
predicted = model.predict(x[:4], verbose=0)

# The same without a network for each: one output of three numbers, and one loss of them all
together = keras.Sequential([keras.Input((2,)), layers.Dense(12, activation="selu"), layers.Dense(3)])
fill_weights(together)
together.compile(
    "adam", lambda y, f: ops.mean(ops.maximum(np.float32(quantiles) * (y - f), (np.float32(quantiles) - 1) * (y - f)))
)
together_history = together.fit(x, y[:, None], batch_size=32, epochs=2, shuffle=False, verbose=0)
results = {
    "history": history.history,
    "predicted": {name: values[:, 0] for name, values in predicted.items()},
    "together": together_history.history["loss"],
}
