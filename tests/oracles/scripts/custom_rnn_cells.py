"""Recurrent cells of one's own: a minimal one, one with nested states, and stacks of cells."""

import keras
import numpy as np
from keras import layers, ops
from seeded import fill_weights


class MinimalRNNCell(layers.Layer):
    def __init__(self, units, **kwargs):
        super().__init__(**kwargs)
        self.units = units
        self.state_size = units

    def build(self, input_shape):
        self.kernel = self.add_weight(shape=(input_shape[-1], self.units), initializer="uniform", name="kernel")
        self.recurrent_kernel = self.add_weight(
            shape=(self.units, self.units), initializer="uniform", name="recurrent_kernel"
        )

    def call(self, inputs, states):
        prev_output = states[0]
        h = ops.matmul(inputs, self.kernel)
        output = h + ops.matmul(prev_output, self.recurrent_kernel)
        return output, [output]


class MemoryCell(layers.Layer):
    """Two states of different sizes: what was said last, and a slow average of it."""

    def __init__(self, units, decay=0.9, **kwargs):
        super().__init__(**kwargs)
        self.units, self.decay = units, decay
        self.state_size = [units, 2 * units]
        self.output_size = units

    def build(self, input_shape):
        self.inner = layers.Dense(self.units, activation="tanh")
        self.inner.build((input_shape[0], input_shape[-1] + 3 * self.units))

    def call(self, inputs, states):
        last, slow = states
        output = self.inner(ops.concatenate([inputs, last, slow], axis=-1))
        slow = self.decay * slow + (1 - self.decay) * ops.concatenate([output, -output], axis=-1)
        return output, [output, slow]

    def get_config(self):
        return {**super().get_config(), "units": self.units, "decay": self.decay}


rng = np.random.default_rng(2)
x = rng.standard_normal((32, 5, 3)).astype("float32")
y = np.tanh(x.cumsum(axis=1)[:, -1, :1])


def train(make):
    inputs = keras.Input((None, 3))
    model = keras.Model(inputs, layers.Dense(1)(make()(inputs)))
    fill_weights(model)
    model.compile(keras.optimizers.Adam(0.01), "mse")
    losses = model.fit(x, y, batch_size=16, epochs=2, shuffle=False, verbose=0).history["loss"]
    return np.array([*losses, *model.predict(x[:2, :3], verbose=0)[:, 0]])


results = {
    "minimal": train(lambda: layers.RNN(MinimalRNNCell(4))),
    "list of cells": train(lambda: layers.RNN([MinimalRNNCell(4), MinimalRNNCell(3)])),
    "memory": train(lambda: layers.RNN(MemoryCell(3))),
    "stacked": train(
        lambda: layers.RNN(layers.StackedRNNCells([layers.LSTMCell(3), layers.GRUCell(2), MemoryCell(2)]))
    ),
    "backwards": train(lambda: layers.Bidirectional(layers.RNN(layers.SimpleRNNCell(3)), merge_mode="sum")),
}

rnn = layers.RNN(MemoryCell(2), return_sequences=True, return_state=True)
inputs = keras.Input((None, 3))
model = keras.Model(inputs, rnn(inputs))
fill_weights(model)
whole, last, slow = model.predict(x[:2], verbose=0)
first, *states = rnn(x[:2, :2])
rest, last_again, _ = rnn(x[:2, 2:], initial_state=states)
results["sequence"] = whole
results["goes on from its states"] = bool(np.allclose(np.asarray(rest), whole[:, 2:], atol=1e-6))
results["states"] = np.concatenate([last, slow], axis=-1)
results["state size"] = [2, 4] if list(rnn.state_size) == [2, 4] else list(rnn.state_size)
