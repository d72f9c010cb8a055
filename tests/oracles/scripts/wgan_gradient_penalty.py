"""WGAN-GP: a critic whose slope is held at one by a penalty, that is by a derivative inside of its loss."""

import keras
import numpy as np
from jax import grad
from keras import layers, ops
from seeded import fill_weights

latent_dim, features, gp_weight = 3, 4, 10.0

network = keras.Sequential(
    [keras.Input((features,)), layers.Dense(8, activation="tanh"), layers.Dense(1)], name="network"
)
generator = keras.Sequential(
    [keras.Input((latent_dim,)), layers.Dense(8, activation="tanh"), layers.Dense(features)], name="generator"
)
fill_weights(network, seed=1)
fill_weights(generator, seed=2)


class Critic(keras.Model):
    def __init__(self, network):
        super().__init__()
        self.network = network

    def call(self, inputs):
        return {"real": self.network(inputs["real"]), "fake": self.network(inputs["fake"])}

    def gradient_penalty(self, real, fake, alpha):
        interpolated = real + alpha * (fake - real)
        grads = grad(lambda z: ops.sum(self.network(z)))(interpolated)
        norm = ops.sqrt(ops.sum(ops.square(grads), axis=1))
        return ops.mean((norm - 1.0) ** 2)

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        cost = ops.mean(y_pred["fake"]) - ops.mean(y_pred["real"])
        return cost + gp_weight * self.gradient_penalty(x["real"], x["fake"], x["alpha"])


def generator_loss(y_true, y_pred):
    return -ops.mean(y_pred)


critic = Critic(network)
critic.compile(optimizer=keras.optimizers.Adam(learning_rate=0.01, beta_1=0.5, beta_2=0.9))

frozen = keras.models.clone_model(network)
frozen.trainable = False
adversarial = keras.Sequential([generator, frozen], name="adversarial")
adversarial.compile(optimizer=keras.optimizers.Adam(learning_rate=0.01, beta_1=0.5, beta_2=0.9), loss=generator_loss)

rng = np.random.default_rng(3)
real_data = (rng.standard_normal((48, features)) * 0.2 + [1.0, -1.0, 0.5, 0.0]).astype("float32")
critic_losses, generator_losses = [], []
for step in range(3):
    latent = rng.standard_normal((48, latent_dim)).astype("float32")
    x = {
        "real": real_data,
        "fake": generator.predict(latent, verbose=0),
        "alpha": rng.random((48, 1)).astype("float32"),
    }
    history = critic.fit(x, np.zeros((48, 1)), batch_size=16, epochs=1, shuffle=False, verbose=0)
    critic_losses.append(history.history["loss"][0])
    frozen.set_weights(network.get_weights())
    history = adversarial.fit(latent[:16], np.zeros((16, 1)), batch_size=16, epochs=1, shuffle=False, verbose=0)
    generator_losses.append(history.history["loss"][0])

results = {
    "critic": critic_losses,
    "generator": generator_losses,
    "generated": generator.predict(np.ones((1, latent_dim)), verbose=0),
    "weights": [float(np.abs(w).sum()) for w in network.get_weights()],
}
