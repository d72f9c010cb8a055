"""Noise taken out of images by a convolutional autoencoder."""

import numpy as np
from keras import layers
from keras.models import Model
from seeded import fill_weights


def preprocess(array):
    array = array.astype("float32") / 255.0
    return np.reshape(array, (len(array), 12, 12, 1))


def noise(array, rng):
    noisy_array = array + 0.4 * rng.normal(loc=0.0, scale=1.0, size=array.shape)
    return np.clip(noisy_array, 0.0, 1.0).astype("float32")


rng = np.random.default_rng(1)
data = np.zeros((64, 12, 12))
for image, (row, column) in zip(data, rng.integers(0, 8, (64, 2))):
    image[row : row + 4, column : column + 4] = 255
data = preprocess(data)
noisy = noise(data, rng)

inputs = layers.Input(shape=(12, 12, 1))
x = layers.Conv2D(8, (3, 3), activation="relu", padding="same")(inputs)
x = layers.MaxPooling2D((2, 2), padding="same")(x)
x = layers.Conv2D(8, (3, 3), activation="relu", padding="same")(x)
x = layers.MaxPooling2D((2, 2), padding="same")(x)
x = layers.Conv2DTranspose(8, (3, 3), strides=2, activation="relu", padding="same")(x)
x = layers.Conv2DTranspose(8, (3, 3), strides=2, activation="relu", padding="same")(x)
x = layers.Conv2D(1, (3, 3), activation="sigmoid", padding="same")(x)
autoencoder = Model(inputs, x)
fill_weights(autoencoder)
autoencoder.compile(optimizer="adam", loss="binary_crossentropy")
plain = autoencoder.fit(x=data, y=data, epochs=2, batch_size=16, shuffle=False, validation_data=(data, data), verbose=0)
denoising = autoencoder.fit(x=noisy, y=data, epochs=2, batch_size=16, shuffle=False, verbose=0)

results = {
    "plain": plain.history,
    "denoising": denoising.history,
    "predictions": autoencoder.predict(noisy[:8], verbose=0),
    "compressed": tuple(autoencoder.layers[4].output.shape),
}
