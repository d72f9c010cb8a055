"""Super-resolution by an efficient sub-pixel network: depth to space by reshape and transpose, and its PSNR."""

import math

import keras
import numpy as np
from keras import layers, ops
from seeded import fill_weights

upscale_factor, crop_size = 3, 18
input_size = crop_size // upscale_factor


class DepthToSpace(layers.Layer):
    def __init__(self, block_size):
        super().__init__()
        self.block_size = block_size

    def call(self, input):
        batch, height, width, depth = ops.shape(input)
        depth = depth // (self.block_size**2)
        x = ops.reshape(input, [batch, height, width, self.block_size, self.block_size, depth])
        x = ops.transpose(x, [0, 1, 3, 2, 4, 5])
        return ops.reshape(x, [batch, height * self.block_size, width * self.block_size, depth])


def get_model(upscale_factor=3, channels=1):
    conv_args = {"activation": "relu", "kernel_initializer": "orthogonal", "padding": "same"}
    inputs = keras.Input(shape=(None, None, channels))
    x = layers.Conv2D(8, 5, **conv_args)(inputs)
    x = layers.Conv2D(8, 3, **conv_args)(x)
    x = layers.Conv2D(channels * (upscale_factor**2), 3, **conv_args)(x)
    return keras.Model(inputs, DepthToSpace(upscale_factor)(x))


def get_transposed_model():
    inputs = keras.Input(shape=(None, None, 1))
    x = layers.Conv2D(8, 3, padding="same", activation="relu")(inputs)
    return keras.Model(inputs, layers.Conv2DTranspose(1, 5, strides=upscale_factor, padding="same")(x))


class PsnrCallback(keras.callbacks.Callback):
    def __init__(self):
        super().__init__()
        self.psnr, self.all = [], []

    def on_epoch_begin(self, epoch, logs=None):
        self.psnr = []

    def on_epoch_end(self, epoch, logs=None):
        self.all.append(float(np.mean(self.psnr)))

    def on_test_batch_end(self, batch, logs=None):
        self.psnr.append(10 * math.log10(1 / logs["loss"]))


rng = np.random.default_rng(6)
fine = rng.random((32, crop_size, crop_size, 1)).astype("float32")
fine = np.array(ops.average_pool(fine, 3, strides=1, padding="same"))
coarse = np.array(ops.image.resize(fine, (input_size, input_size), interpolation="bilinear", antialias=False))
results = {"coarse": coarse[:2]}
for make in (get_model, get_transposed_model):
    model = make()
    fill_weights(model)
    model.compile(optimizer=keras.optimizers.Adam(learning_rate=0.003), loss=keras.losses.MeanSquaredError())
    psnr = PsnrCallback()
    history = model.fit(
        coarse[:24],
        fine[:24],
        epochs=3,
        batch_size=8,
        shuffle=False,
        callbacks=[psnr],
        validation_data=(coarse[24:], fine[24:]),
        verbose=0,
    )
    wider = model.predict(np.ones((1, 4, 7, 1), "float32"), verbose=0)
    results[make.__name__] = [history.history, psnr.all, wider]
