"""A variational autoencoder that is trained by `fit`: both parts of its loss are added by layers."""

import keras
import numpy as np
from keras import layers, ops
from seeded import fill_weights

latent_dim, size = 2, 8


class Sampling(layers.Layer):
    """Uses (z_mean, z_log_var) and noise to sample z, and adds the divergence from the prior."""

    def call(self, inputs):
        z_mean, z_log_var, epsilon = inputs
        kl_loss = -0.5 * ops.sum(1 + z_log_var - ops.square(z_mean) - ops.exp(z_log_var), axis=1)
        self.add_loss(ops.mean(kl_loss))
        return z_mean + ops.exp(0.5 * z_log_var) * epsilon


class Reconstruction(layers.Layer):
    def call(self, inputs):
        images, reconstruction = inputs
        loss = keras.losses.binary_crossentropy(images, reconstruction)
        self.add_loss(ops.mean(ops.sum(loss, axis=(1, 2))))
        return reconstruction


images = keras.Input((size, size, 1))
epsilon = keras.Input((latent_dim,))
x = layers.Conv2D(4, 3, activation="relu", strides=2, padding="same")(images)
x = layers.Conv2D(8, 3, activation="relu", strides=2, padding="same")(x)
x = layers.Flatten()(x)
x = layers.Dense(8, activation="relu")(x)
z_mean = layers.Dense(latent_dim, name="z_mean")(x)
z_log_var = layers.Dense(latent_dim, name="z_log_var")(x)
z = Sampling()([z_mean, z_log_var, epsilon])
encoder = keras.Model([images, epsilon], [z_mean, z_log_var, z], name="encoder")

latent_inputs = keras.Input(shape=(latent_dim,))
x = layers.Dense(2 * 2 * 8, activation="relu")(latent_inputs)
x = layers.Reshape((2, 2, 8))(x)
x = layers.Conv2DTranspose(8, 3, activation="relu", strides=2, padding="same")(x)
x = layers.Conv2DTranspose(4, 3, activation="relu", strides=2, padding="same")(x)
decoder_outputs = layers.Conv2DTranspose(1, 3, activation="sigmoid", padding="same")(x)
decoder = keras.Model(latent_inputs, decoder_outputs, name="decoder")

outputs = Reconstruction()([images, decoder(encoder([images, epsilon])[2])])
vae = keras.Model([images, epsilon], outputs, name="vae")
fill_weights(vae)
vae.compile(optimizer=keras.optimizers.Adam(0.01), loss=None)

rng = np.random.default_rng(0)
rows = np.arange(32) % size
data = np.zeros((32, size, size, 1), "float32")
data[np.arange(32), rows] = 1.0
noise = rng.standard_normal((32, latent_dim)).astype("float32")
history = vae.fit([data, noise], batch_size=16, epochs=3, shuffle=False, verbose=0)

grid = [[a, b] for a in (-1.0, 1.0) for b in (-1.0, 1.0)]
results = {
    "loss": history.history["loss"],
    "evaluated": vae.evaluate([data, noise], verbose=0),
    "latent": encoder.predict([data[:3], noise[:3]], verbose=0)[0],
    "decoded": decoder.predict(np.array(grid), verbose=0)[:, 3, 3, 0],
}
