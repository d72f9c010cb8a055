"""A conditional GAN in the classic form: two compiled models, of which one freezes a part of the other."""

import keras
import numpy as np
from keras.layers import Concatenate, Dense, Embedding, Flatten, Input, LeakyReLU, Reshape
from keras.models import Model
from seeded import fill_weights

num_classes, latent_dim, image_shape = 3, 4, (4, 4, 1)


def build_generator():
    noise = Input(shape=(latent_dim,))
    label = Input(shape=(1,), dtype="int32")
    label_embedding = Flatten()(Embedding(num_classes, latent_dim)(label))
    x = keras.layers.multiply([noise, label_embedding])
    x = LeakyReLU(0.2)(Dense(12)(x))
    x = Dense(int(np.prod(image_shape)), activation="tanh")(x)
    return Model([noise, label], Reshape(image_shape)(x), name="generator")


def build_discriminator():
    img = Input(shape=image_shape)
    label = Input(shape=(1,), dtype="int32")
    label_embedding = Flatten()(Embedding(num_classes, int(np.prod(image_shape)))(label))
    x = Concatenate()([Flatten()(img), label_embedding])
    x = LeakyReLU(0.2)(Dense(12)(x))
    return Model([img, label], Dense(1, activation="sigmoid")(x), name="discriminator")


discriminator = build_discriminator()
discriminator.compile(loss="binary_crossentropy", optimizer=keras.optimizers.Adam(0.01, 0.5), metrics=["accuracy"])
generator = build_generator()
fill_weights(discriminator, seed=1)
fill_weights(generator, seed=2)

# In the combined model only the generator is trained: its discriminator is a frozen twin
twin = keras.models.clone_model(discriminator)
twin.trainable = False
noise, label = Input(shape=(latent_dim,)), Input(shape=(1,), dtype="int32")
combined = Model([noise, label], twin([generator([noise, label]), label]))
combined.compile(loss="binary_crossentropy", optimizer=keras.optimizers.Adam(0.01, 0.5))

rng = np.random.default_rng(0)
labels = (np.arange(32) % num_classes)[:, None]
images = np.zeros((32, *image_shape), "float32") - 1.0
images[np.arange(32), labels[:, 0]] = 1.0

d_losses, g_losses = [], []
for epoch in range(2):
    for start in (0, 16):
        real, real_labels = images[start : start + 16], labels[start : start + 16]
        z = rng.standard_normal((16, latent_dim)).astype("float32")
        fake = generator.predict([z, real_labels], verbose=0)
        discriminator.reset_metrics()
        d_loss_real = discriminator.train_on_batch([real, real_labels], np.ones((16, 1)))
        discriminator.reset_metrics()
        d_loss_fake = discriminator.train_on_batch([fake, real_labels], np.zeros((16, 1)))
        d_losses.append(0.5 * np.add(d_loss_real, d_loss_fake))
        twin.set_weights(discriminator.get_weights())
        combined.reset_metrics()
        g_losses.append(combined.train_on_batch([z, real_labels], np.ones((16, 1))))

results = {
    "discriminator": np.array(d_losses),
    "generator": np.array(g_losses),
    "generated": generator.predict([np.ones((3, latent_dim)), np.arange(3)[:, None]], verbose=0)[..., 0, 0],
    "frozen": [len(twin.trainable_weights), len(combined.trainable_weights)],
}
