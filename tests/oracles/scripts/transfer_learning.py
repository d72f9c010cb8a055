"""Transfer learning: a base that is frozen, a new head, then fine-tuning."""

import keras
import numpy as np
from keras import layers
from seeded import fill_weights

rng = np.random.default_rng(6)
images = rng.uniform(0, 255, (60, 8, 8, 3)).astype("float32")
labels = (images[:, :4].mean(axis=(1, 2, 3)) > images[:, 4:].mean(axis=(1, 2, 3))).astype("float32")[:, None]


def small_base():
    inputs = keras.Input((8, 8, 3))
    x = layers.Conv2D(6, 3, padding="same", use_bias=False)(inputs)
    x = layers.BatchNormalization()(x)
    x = layers.Activation("relu")(x)
    x = layers.MaxPooling2D()(x)
    x = layers.Conv2D(8, 3, activation="relu")(x)
    return keras.Model(inputs, x, name="base")


base_model = small_base()
fill_weights(base_model, seed=1)
base_model.trainable = False

inputs = keras.Input(shape=(8, 8, 3))
x = layers.Rescaling(scale=1 / 127.5, offset=-1)(inputs)
x = base_model(x, training=False)
x = layers.GlobalAveragePooling2D()(x)
x = layers.Dropout(0.0)(x)
outputs = layers.Dense(1)(x)
model = keras.Model(inputs, outputs)
fill_weights(model, seed=2)
counts = [len(model.weights), len(model.trainable_weights), len(model.non_trainable_weights)]

model.compile(
    optimizer=keras.optimizers.Adam(0.05),
    loss=keras.losses.BinaryCrossentropy(from_logits=True),
    metrics=[keras.metrics.BinaryAccuracy()],
)
before = [weight.copy() for weight in base_model.get_weights()]
head = model.fit(images, labels, epochs=3, batch_size=20, shuffle=False, verbose=0)
frozen = all((a == b).all() for a, b in zip(before, base_model.get_weights()))

base_model.trainable = True
for layer in base_model.layers[:3]:  # batch normalisation stays in inference mode
    layer.trainable = False
model.compile(
    optimizer=keras.optimizers.Adam(1e-3),
    loss=keras.losses.BinaryCrossentropy(from_logits=True),
    metrics=[keras.metrics.BinaryAccuracy()],
)
tuned = model.fit(images, labels, epochs=2, batch_size=20, shuffle=False, verbose=0)
moved = [bool((a != b).any()) for a, b in zip(before, base_model.get_weights())]

features = keras.Model(model.inputs, model.layers[-3].output)
results = {
    "counts": counts,
    "head": head.history,
    "frozen": frozen,
    "tuned": tuned.history,
    "moved": moved,
    "trainable": [layer.trainable for layer in base_model.layers],
    "features": features.predict(images[:4], verbose=0),
    "scores": model.predict(images, verbose=0),
}
