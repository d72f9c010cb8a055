"""A variational autoencoder as a subclass of Model, whose `train_step` takes gradients from a tape."""

import keras
import numpy as np
import tensorflow as tf
from keras import layers, ops
from seeded import fill_weights

latent_dim, features = 2, 12
NOISE = np.random.default_rng(1).standard_normal((16, latent_dim)).astype("float32")


class Sampling(layers.Layer):
    """Uses (z_mean, z_log_var) to sample z; the noise is fixed, so that numbers can be compared."""

    def call(self, inputs):
        z_mean, z_log_var = inputs
        epsilon = ops.convert_to_tensor(NOISE)[: ops.shape(z_mean)[0]]
        return z_mean + ops.exp(0.5 * z_log_var) * epsilon


encoder_inputs = keras.Input(shape=(features,))
x = layers.Dense(8, activation="relu")(encoder_inputs)
z_mean = layers.Dense(latent_dim, name="z_mean")(x)
z_log_var = layers.Dense(latent_dim, name="z_log_var")(x)
encoder = keras.Model(encoder_inputs, [z_mean, z_log_var, Sampling()([z_mean, z_log_var])], name="encoder")
latent_inputs = keras.Input(shape=(latent_dim,))
x = layers.Dense(8, activation="relu")(latent_inputs)
decoder = keras.Model(latent_inputs, layers.Dense(features, activation="sigmoid")(x), name="decoder")
fill_weights(encoder, seed=1)
fill_weights(decoder, seed=2)


class VAE(keras.Model):
    def __init__(self, encoder, decoder, **kwargs):
        super().__init__(**kwargs)
        self.encoder = encoder
        self.decoder = decoder
        self.total_loss_tracker = keras.metrics.Mean(name="total_loss")
        self.reconstruction_loss_tracker = keras.metrics.Mean(name="reconstruction_loss")
        self.kl_loss_tracker = keras.metrics.Mean(name="kl_loss")

    @property
    def metrics(self):
        return [self.total_loss_tracker, self.reconstruction_loss_tracker, self.kl_loss_tracker]

    def train_step(self, data):
        with tf.GradientTape() as tape:
            z_mean, z_log_var, z = self.encoder(data)
            reconstruction = self.decoder(z)
            reconstruction_loss = ops.mean(ops.sum(ops.square(data - reconstruction), axis=1))
            kl_loss = -0.5 * (1 + z_log_var - ops.square(z_mean) - ops.exp(z_log_var))
            kl_loss = ops.mean(ops.sum(kl_loss, axis=1))
            total_loss = reconstruction_loss + kl_loss
        grads = tape.gradient(total_loss, self.trainable_weights)
        self.optimizer.apply_gradients(zip(grads, self.trainable_weights))
        self.total_loss_tracker.update_state(total_loss)
        self.reconstruction_loss_tracker.update_state(reconstruction_loss)
        self.kl_loss_tracker.update_state(kl_loss)
        return {
            "loss": self.total_loss_tracker.result(),
            "reconstruction_loss": self.reconstruction_loss_tracker.result(),
            "kl_loss": self.kl_loss_tracker.result(),
        }


data = (np.arange(48)[:, None] % features == np.arange(features)).astype("float32")
vae = VAE(encoder, decoder)
vae.compile(optimizer=keras.optimizers.Adam(0.01))
history = vae.fit(data, epochs=3, batch_size=16, shuffle=False, verbose=0)
results = {
    **history.history,
    "latent": vae.encoder.predict(data[:2], verbose=0)[0],
    "decoded": vae.decoder.predict(np.array([[0.0, 1.0]]), verbose=0),
    "metrics": [metric.name for metric in vae.metrics],
}
# Of Keras 3.15 on TensorFlow
expected = {
    "kl_loss": [0.026727, 0.026291, 0.027348],
    "loss": [3.061348, 2.840922, 2.644219],
    "reconstruction_loss": [3.034621, 2.814631, 2.616872],
    "latent": [[0.24789, -0.11447], [0.142756, -0.074311]],
    "decoded": [
        [
            0.338855,
            0.491598,
            0.498101,
            0.358618,
            0.403874,
            0.481119,
            0.473996,
            0.529251,
            0.582678,
            0.55199,
            0.45382,
            0.41631,
        ]
    ],
    "metrics": ["total_loss", "reconstruction_loss", "kl_loss"],
}
