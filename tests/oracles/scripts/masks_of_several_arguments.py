"""The masks that a call gets: of its only argument, of a list, of a dict, and of several arguments by their names."""

import keras
import numpy as np
from keras import layers, ops
from seeded import fill_weights

seen = {}


def note(name, value):
    seen[name] = (
        "none"
        if value is None
        else "list"
        if isinstance(value, (list, tuple))
        else "dict"
        if isinstance(value, dict)
        else "array"
    )


class Decoder(layers.Layer):
    def __init__(self, **k):
        super().__init__(**k)
        self.d = layers.Dense(4)

    def call(self, inputs, encoder_outputs, mask=None, inputs_mask=None, encoder_outputs_mask=None):
        note("mask", mask)
        note("inputs_mask", inputs_mask)
        note("encoder_outputs_mask", encoder_outputs_mask)
        y = self.d(inputs) + ops.mean(encoder_outputs, axis=1, keepdims=True)
        if inputs_mask is not None:
            y = y * ops.cast(inputs_mask, "float32")[..., None]
        if encoder_outputs_mask is not None:
            w = ops.cast(encoder_outputs_mask, "float32")[..., None]
            y = y + ops.sum(encoder_outputs * w, axis=1, keepdims=True)
        return y


class Pair(layers.Layer):
    def call(self, inputs, mask=None):
        a, b = inputs
        note("pair", mask)
        m, n = mask
        if m is not None:
            a = a * ops.cast(m, "float32")[..., None]
        if n is not None:
            b = b * ops.cast(n, "float32")[..., None]
        return a + b


class Keyed(layers.Layer):
    def call(self, inputs, mask=None):
        note("keyed", mask)
        x = inputs["a"]
        if mask is not None and mask["a"] is not None:
            x = x * ops.cast(mask["a"], "float32")[..., None]
        return x + inputs["b"]


a = keras.Input((5,), dtype="int32", name="a")
b = keras.Input((5,), dtype="int32", name="b")
e = layers.Embedding(9, 4, mask_zero=True)
plain = layers.Embedding(9, 4)
ea, eb, pa = e(a), e(b), plain(a)
x = Decoder()(ea, eb)
y = Pair()([eb, pa])
z = Keyed()({"a": ea, "b": pa})
w = Pair()([pa, plain(b)])
out = layers.Dense(1)(layers.Flatten()(layers.Concatenate()([x, y, z, w])))
model = keras.Model([a, b], out)
fill_weights(model)
model.compile("sgd", "mse")
rng = np.random.default_rng(0)
A, B = rng.integers(0, 9, (2, 16, 5))
h = model.fit([A, B], A.sum(1) / 10.0, epochs=2, batch_size=8, shuffle=False, verbose=0)
m = np.array([[True, False, True]])
d = Decoder()
q = np.ones((1, 3, 4), "float32")
d(q, q)
fill_weights(d)
results = {"seen": dict(seen), "h": h.history, "p": model.predict([A, B], verbose=0), "given": d(q, q, inputs_mask=m)}
