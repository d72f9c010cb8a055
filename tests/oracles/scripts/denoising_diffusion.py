"""Denoising diffusion in small: a network learns the noise in images; then noise becomes an image, step by step."""

import math

import keras
import numpy as np
from keras import layers, ops
from seeded import fill_weights

size, steps, width = 8, 6, 8

beta = np.linspace(1e-3, 0.3, steps, dtype="float32")
alpha = 1.0 - beta
alpha_bar = np.cumprod(alpha)


@keras.saving.register_keras_serializable()
def sinusoidal_embedding(x):
    frequencies = ops.exp(ops.linspace(ops.log(1.0), ops.log(100.0), 4))
    angular_speeds = ops.cast(2.0 * math.pi * frequencies, "float32")
    return ops.concatenate([ops.sin(angular_speeds * x), ops.cos(angular_speeds * x)], axis=3)


def ResidualBlock(width):
    def apply(x):
        input_width = x.shape[3]
        residual = x if input_width == width else layers.Conv2D(width, kernel_size=1)(x)
        x = layers.GroupNormalization(groups=2)(x)
        x = layers.Conv2D(width, kernel_size=3, padding="same", activation="swish")(x)
        x = layers.Conv2D(width, kernel_size=3, padding="same")(x)
        return layers.Add()([x, residual])

    return apply


def get_network():
    noisy_images = keras.Input(shape=(size, size, 1))
    noise_variances = keras.Input(shape=(1, 1, 1))
    e = layers.Lambda(sinusoidal_embedding, output_shape=(1, 1, 8))(noise_variances)
    e = layers.UpSampling2D(size=size, interpolation="nearest")(e)
    x = layers.Conv2D(width, kernel_size=1)(noisy_images)
    x = layers.Concatenate()([x, e])
    skip = ResidualBlock(width)(x)
    x = layers.AveragePooling2D(pool_size=2)(skip)
    x = ResidualBlock(width)(x)
    x = layers.UpSampling2D(size=2, interpolation="bilinear")(x)
    x = layers.Concatenate()([x, skip])
    x = ResidualBlock(width)(x)
    x = layers.Conv2D(1, kernel_size=1, kernel_initializer="zeros")(x)
    return keras.Model([noisy_images, noise_variances], x, name="residual_unet")


rng = np.random.default_rng(0)
images = np.full((32, size, size, 1), -1.0, "float32")
for i in range(32):
    images[i, i % 6 : i % 6 + 2, :] = 1.0
t = rng.integers(0, steps, 32)
noise = rng.standard_normal(images.shape).astype("float32")
signal_rate, noise_rate = np.sqrt(alpha_bar)[t], np.sqrt(1 - alpha_bar)[t]
noisy = signal_rate[:, None, None, None] * images + noise_rate[:, None, None, None] * noise

network = get_network()
fill_weights(network)
network.compile(
    optimizer=keras.optimizers.AdamW(learning_rate=0.005, weight_decay=1e-4, use_ema=True, ema_momentum=0.9),
    loss=keras.losses.mean_absolute_error,
)
variances = (noise_rate**2)[:, None, None, None]
history = network.fit([noisy, variances], noise, batch_size=16, epochs=2, shuffle=False, verbose=0)

x = ops.convert_to_tensor(rng.standard_normal((2, size, size, 1)).astype("float32"))
norms = []
for step in reversed(range(steps)):
    variance = ops.full((2, 1, 1, 1), 1 - alpha_bar[step])
    pred_noise = network([x, variance], training=False)
    pred_image = (x - math.sqrt(1 - alpha_bar[step]) * pred_noise) / math.sqrt(alpha_bar[step])
    pred_image = ops.clip(pred_image, -1.0, 1.0)
    if step:
        x = math.sqrt(alpha_bar[step - 1]) * pred_image + math.sqrt(1 - alpha_bar[step - 1]) * pred_noise
    norms.append(float(ops.mean(ops.square(x))))

results = {
    "loss": history.history["loss"],
    "norms": norms,
    "image": ops.convert_to_numpy(pred_image)[0, :3, :3, 0],
    "parameters": network.count_params(),
}
