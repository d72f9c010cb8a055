"""Subclasses of built-in layers with a call of their own, of a convolution with its operation, and of an optimizer."""

import keras
import numpy as np
from keras import layers, ops
from seeded import fill_weights


class StandardizedConv2DWithOverride(layers.Conv2D):
    def convolution_op(self, inputs, kernel):
        mean, var = ops.moments(ops.convert_to_tensor(kernel), axes=[0, 1, 2], keepdims=True)
        return ops.conv(
            inputs,
            (ops.convert_to_tensor(kernel) - mean) / ops.sqrt(var + 1e-10),
            padding="valid",
            strides=list(self.strides),
            data_format=self.data_format,
        )


class StandardizedConv2DWithCall(layers.Conv2D):
    def call(self, inputs):
        mean, var = ops.moments(ops.convert_to_tensor(self.kernel), axes=[0, 1, 2], keepdims=True)
        result = self.convolution_op(inputs, (ops.convert_to_tensor(self.kernel) - mean) / ops.sqrt(var + 1e-10))
        if self.use_bias:
            result = result + self.bias
        return result


class Scaled(layers.Dense):
    def __init__(self, units, scale=2.0, **kw):
        super().__init__(units, **kw)
        self.scale = scale

    def build(self, s):
        super().build(s)
        self.gain = self.add_weight(shape=(self.units,), initializer="ones", name="gain")

    def call(self, inputs):
        return super().call(inputs) * self.scale * self.gain


class NoisyBN(layers.BatchNormalization):
    def call(self, inputs, training=None):
        y = super().call(inputs, training=training)
        return y * 0.5 if training else y


m = keras.Sequential(
    [
        layers.Input((8, 8, 2)),
        StandardizedConv2DWithOverride(4, 3, activation="relu"),
        layers.MaxPooling2D(),
        NoisyBN(),
        StandardizedConv2DWithCall(5, 2),
        layers.Flatten(),
        Scaled(6, activation="tanh"),
        layers.Dense(3, activation="softmax"),
    ]
)
fill_weights(m)
m.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
rng = np.random.default_rng(0)
x = rng.normal(size=(16, 8, 8, 2)).astype("float32")
h = m.fit(x, np.arange(16) % 3, epochs=2, batch_size=8, shuffle=False, verbose=0, validation_split=0.25)


class P(layers.LSTM):
    def call(self, sequences, mask=None, training=False, initial_state=None):
        return super().call(sequences * 2.0, mask=mask, training=training, initial_state=initial_state)


i = layers.Input((4,), dtype="int32")
r = keras.Model(i, P(3)(layers.Embedding(5, 2, mask_zero=True)(i)))
fill_weights(r)


class WarmSGD(keras.optimizers.SGD):
    def apply(self, grads, trainable_variables=None):
        grads = [ops.sign(g) * ops.mean(ops.abs(g)) for g in grads]
        return super().apply(grads, trainable_variables)


r.compile(WarmSGD(0.1, momentum=0.9), "mse")
ix = np.array([[1, 2, 0, 0], [3, 4, 1, 2]] * 4)
h2 = r.fit(ix, np.ones((8, 3)), epochs=3, batch_size=4, shuffle=False, verbose=0)
results = {
    "h": h.history,
    "p": m.predict(x[:2], verbose=0),
    "w": [list(w.shape) for w in m.weights],
    "r": h2.history,
    "rp": r.predict(ix[:2], verbose=0),
}
