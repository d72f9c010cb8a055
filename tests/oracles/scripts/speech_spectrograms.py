"""Tones told apart by their spectrograms: raw sound in, STFTSpectrogram and MelSpectrogram as layers of the model."""

import keras
import numpy as np
from keras import layers
from seeded import fill_weights

rate, length = 1000, 400
rng = np.random.default_rng(4)
classes = np.arange(24) % 3
pitch = np.array([60.0, 150.0, 320.0])[classes] * (1 + 0.05 * rng.standard_normal(24))
time = np.arange(length) / rate
sound = np.sin(2 * np.pi * pitch[:, None] * time) + 0.1 * rng.standard_normal((24, length))
sound = sound.astype("float32")


def stft_model():
    inputs = keras.Input((length, 1))
    x = layers.STFTSpectrogram(
        mode="log", frame_length=64, frame_step=32, fft_length=64, padding="valid", trainable=False, expand_dims=True
    )(inputs)
    x = layers.Normalization(mean=-1.0, variance=4.0)(x)
    x = layers.Conv2D(4, 3, strides=2, activation="relu")(x)
    x = layers.GlobalMaxPooling2D()(x)
    return keras.Model(inputs, layers.Dense(3, activation="softmax")(x))


def mel_model():
    inputs = keras.Input((length,))
    x = layers.MelSpectrogram(
        fft_length=64, sequence_stride=32, sampling_rate=rate, num_mel_bins=12, min_freq=20, max_freq=450
    )(inputs)
    x = layers.Permute((2, 1))(x)
    x = layers.Rescaling(0.05)(x)
    x = layers.LSTM(4)(x)
    return keras.Model(inputs, layers.Dense(3, activation="softmax")(x))


results = {}
for name, model, x in (("stft", stft_model(), sound[..., None]), ("mel", mel_model(), sound)):
    fill_weights(model)  # the kernels of the transform itself stay what they are
    model.compile(keras.optimizers.Adam(0.01), "sparse_categorical_crossentropy", metrics=["accuracy"])
    history = model.fit(x, classes, batch_size=12, epochs=2, shuffle=False, verbose=0)
    results[f"{name} loss"] = history.history["loss"]
    results[f"{name} accuracy"] = history.history["accuracy"]
    spectrogram = keras.Model(model.inputs, model.layers[1].output).predict(x[:2], verbose=0)
    results[f"{name} shape"] = spectrogram.shape
    results[f"{name} loudest"] = spectrogram[0].reshape(*spectrogram.shape[1:3]).argmax(axis=0 if name == "mel" else 1)
    results[f"{name} values"] = spectrogram[0].ravel()[:40]
    results[f"{name} weights"] = [len(model.weights), len(model.trainable_weights)]
