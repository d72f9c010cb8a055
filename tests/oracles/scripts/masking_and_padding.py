"""Masking: by Embedding and Masking, passed on in models, computed by hand, used and made by layers of one's own."""

import keras
import numpy as np
from keras import layers, ops
from seeded import fill_weights

raw_inputs = [[711, 632, 71], [73, 8, 55, 927], [83, 91, 1, 645, 55, 927]]
padded_inputs = keras.utils.pad_sequences(raw_inputs, padding="post", maxlen=6)

embedding = layers.Embedding(input_dim=1000, output_dim=6, mask_zero=True)
fill_weights(keras.Sequential([keras.Input((None,)), embedding]))
mask = np.array(embedding.compute_mask(padded_inputs))
masked_output = np.array(embedding(padded_inputs))
masking_layer = layers.Masking()
by_masking = np.array(masking_layer.compute_mask(np.array([[[1.0, 0.0], [0.0, 0.0]]], "float32")))


class TemporalSplit(layers.Layer):
    """Split the input in two along time, and the mask with it."""

    def call(self, inputs):
        return ops.split(inputs, 2, axis=1)

    def compute_mask(self, inputs, mask=None):
        if mask is None:
            return None
        return ops.split(mask, 2, axis=1)


class TemporalSoftmax(layers.Layer):
    """Softmax over the steps that count."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.supports_masking = True

    def call(self, inputs, mask=None):
        if mask is None:
            raise ValueError("`TemporalSoftmax` layer requires a previous layer to support masking.")
        broadcast_float_mask = ops.expand_dims(ops.cast(mask, "float32"), -1)
        inputs_exp = ops.exp(inputs) * broadcast_float_mask
        inputs_sum = ops.sum(inputs_exp * broadcast_float_mask, axis=1, keepdims=True)
        return inputs_exp / inputs_sum


class MyActivation(layers.Layer):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.supports_masking = True

    def call(self, inputs):
        return ops.relu(inputs)


inputs = keras.Input(shape=(None,), dtype="int32")
x = layers.Embedding(input_dim=1000, output_dim=8, mask_zero=True)(inputs)
x = MyActivation()(x)
x = layers.Dense(1)(x)
weights = TemporalSoftmax()(x)
model = keras.Model(inputs, weights)
fill_weights(model)

lstm_inputs = keras.Input(shape=(6,), dtype="int32")
x = layers.Embedding(1000, 8, mask_zero=True)(lstm_inputs)
first, second = TemporalSplit()(x)
outputs = layers.Dense(2)(layers.concatenate([layers.LSTM(4)(first), layers.GRU(4)(second)]))
split_model = keras.Model(lstm_inputs, outputs)
fill_weights(split_model)
split_model.compile("adam", "mse")
history = split_model.fit(padded_inputs, np.eye(3, 2), epochs=2, shuffle=False, verbose=0)

by_hand = layers.LSTM(3)
steps = np.random.default_rng(15).normal(size=(3, 6, 6)).astype("float32")
sequential = keras.Sequential([keras.Input((6, 6)), layers.Masking(0.0), by_hand])
fill_weights(sequential)
zeros = steps * mask[..., None]

results = {
    "padded": padded_inputs,
    "mask": mask,
    "embedded": masked_output,
    "by masking": by_masking,
    "softmax": model.predict(padded_inputs, verbose=0),
    "split": split_model.predict(padded_inputs, verbose=0),
    "history": history.history,
    "given": np.array(by_hand(steps, mask=mask)),
    "masked": sequential.predict(zeros, verbose=0),
}
