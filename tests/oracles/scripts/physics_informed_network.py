"""A physics-informed network: it solves u'' + u = 0, and finds the stiffness of a spring from what is observed."""

import keras
import numpy as np
from jax import grad
from keras import layers, ops
from seeded import fill_weights

network = keras.Sequential(
    [keras.Input((1,)), layers.Dense(12, activation="tanh"), layers.Dense(12, activation="tanh"), layers.Dense(1)]
)
fill_weights(network)


def first(t):
    return grad(lambda s: ops.sum(network(s)))(t)


def second(t):
    return grad(lambda s: ops.sum(first(s)))(t)


class Oscillator(keras.Model):
    def __init__(self, network):
        super().__init__()
        self.network = network
        self.physics_tracker = keras.metrics.Mean(name="physics")

    def build(self, input_shape):
        self.stiffness = self.add_weight(shape=(), initializer=keras.initializers.Constant(0.5), name="stiffness")
        super().build(input_shape)

    def call(self, t):
        return self.network(t)

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        residual = second(x) + self.stiffness * y_pred
        physics = ops.mean(ops.square(residual))
        data = ops.mean(ops.square(y_pred - y))
        start = ops.zeros((1, 1))
        boundary = ops.sum(ops.square(self.network(start) - 1.0)) + ops.sum(ops.square(first(start)))
        self.physics_tracker.update_state(physics)
        return physics + data + boundary


t = np.linspace(0, 3, 48, dtype="float32")[:, None]
u = np.cos(1.2 * t)
model = Oscillator(network)
model.build((None, 1))
model.compile(optimizer=keras.optimizers.Adam(0.01))
history = model.fit(t, u, batch_size=24, epochs=4, shuffle=False, verbose=0)
results = {
    "loss": history.history["loss"],
    "physics": history.history["physics"],
    "stiffness": float(ops.convert_to_numpy(model.stiffness)),
    "u": model.predict(t[::12], verbose=0)[:, 0],
    "slope": np.asarray(first(t[::12]))[:, 0],
    "curvature": np.asarray(second(t[::12]))[:, 0],
}
