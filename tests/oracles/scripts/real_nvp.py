"""Density estimation by Real NVP: invertible coupling layers, trained on the log-likelihood."""

import keras
import numpy as np
from keras import layers, ops, regularizers
from seeded import fill_weights

output_dim, reg = 8, 0.01


def Coupling(input_shape):
    input = layers.Input(shape=(input_shape,))
    t = input
    s = input
    for _ in range(2):
        t = layers.Dense(output_dim, activation="relu", kernel_regularizer=regularizers.l2(reg))(t)
        s = layers.Dense(output_dim, activation="relu", kernel_regularizer=regularizers.l2(reg))(s)
    t = layers.Dense(input_shape, activation="linear", kernel_regularizer=regularizers.l2(reg))(t)
    s = layers.Dense(input_shape, activation="tanh", kernel_regularizer=regularizers.l2(reg))(s)
    return keras.Model(inputs=input, outputs=[s, t])


class RealNVP(keras.Model):
    def __init__(self, num_coupling_layers):
        super().__init__()
        self.num_coupling_layers = num_coupling_layers
        self.masks = np.array([[0, 1], [1, 0]] * (num_coupling_layers // 2), dtype="float32")
        self.layers_list = [Coupling(2) for i in range(num_coupling_layers)]

    def log_prob(self, z):
        return -0.5 * ops.sum(ops.square(z), axis=-1) - np.log(2 * np.pi)

    def call(self, x, training=True):
        log_det_inv = 0
        direction = 1
        if training:
            direction = -1
        for i in range(self.num_coupling_layers)[::direction]:
            x_masked = x * self.masks[i]
            reversed_mask = 1 - self.masks[i]
            s, t = self.layers_list[i](x_masked)
            s *= reversed_mask
            t *= reversed_mask
            gate = (direction - 1) / 2
            x = reversed_mask * (x * ops.exp(direction * s) + direction * t * ops.exp(gate * s)) + x_masked
            log_det_inv += gate * ops.sum(s, axis=1)
        return x, log_det_inv

    def log_loss(self, x):
        y, logdet = self(x)
        log_likelihood = self.log_prob(y) + logdet
        return -ops.mean(log_likelihood)

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        z, logdet = y_pred
        return -ops.mean(self.log_prob(z) + logdet) + sum(self.losses)


rng = np.random.default_rng(0)
angle = np.pi * rng.random(96)
half = np.arange(96) % 2
data = np.stack([np.cos(angle) + half, np.sin(angle) * (1 - 2 * half) + 0.5 * half], axis=1)
normalization = layers.Normalization()
normalization.adapt(data)
normalized_data = np.asarray(normalization(data))

model = RealNVP(num_coupling_layers=4)
model(normalized_data[:2])
fill_weights(model)
model.compile(optimizer=keras.optimizers.Adam(learning_rate=0.01))
history = model.fit(normalized_data, normalized_data, batch_size=32, epochs=3, shuffle=False, verbose=0)

z, _ = model(normalized_data[:8])
back, _ = model(z, training=False)
results = {
    "loss": history.history["loss"],
    "log loss": np.asarray(model.log_loss(normalized_data)),
    "z": np.asarray(z),
    "invertible": bool(np.allclose(np.asarray(back), normalized_data[:8], atol=1e-4)),
    "penalties": len(model.losses),
}
