"""A small WaveNet: causal, dilated convolutions with gates, residual and skip connections, over quantised sound."""

import keras
import numpy as np
from keras import layers
from seeded import fill_weights

levels = 16


def mu_law(audio, mu=levels - 1):
    magnitude = np.sign(audio) * np.log1p(mu * np.abs(audio)) / np.log1p(mu)
    return ((magnitude + 1) / 2 * mu + 0.5).astype("int32")


t = np.arange(640) / 40
audio = 0.6 * np.sin(2 * np.pi * t) + 0.3 * np.sin(2 * np.pi * 3.1 * t)
codes = mu_law(audio)
x = keras.utils.to_categorical(codes[:-1], levels)[:608].reshape(-1, 32, levels)
y = codes[1:609].reshape(-1, 32, 1)


def residual_block(x, filters, dilation):
    name = f"dilated_{dilation}"
    tanh = layers.Conv1D(filters, 2, dilation_rate=dilation, padding="causal", activation="tanh", name=f"{name}_tanh")(
        x
    )
    gate = layers.Conv1D(
        filters, 2, dilation_rate=dilation, padding="causal", activation="sigmoid", name=f"{name}_gate"
    )(x)
    z = layers.Multiply(name=f"{name}_gated")([tanh, gate])
    skip = layers.Conv1D(filters, 1, name=f"{name}_skip")(z)
    return layers.Add(name=f"{name}_residual")([x, skip]), skip


inputs = keras.Input(shape=(None, levels))
h = layers.Conv1D(6, 2, padding="causal")(inputs)
skips = []
for dilation in (1, 2, 4, 8):
    h, skip = residual_block(h, 6, dilation)
    skips.append(skip)
h = layers.Activation("relu")(layers.Add()(skips))
h = layers.Conv1D(8, 1, activation="relu")(h)
outputs = layers.Conv1D(levels, 1, activation="softmax")(h)
model = keras.Model(inputs, outputs, name="wavenet")
fill_weights(model)
model.compile(
    keras.optimizers.Adam(learning_rate=0.01, clipnorm=1.0),
    loss="sparse_categorical_crossentropy",
    metrics=["sparse_categorical_accuracy", keras.metrics.SparseTopKCategoricalAccuracy(3, name="top3")],
)
history = model.fit(x, y, batch_size=10, epochs=2, shuffle=False, verbose=0)

# What comes later changes nothing before; what is further away than the receptive field changes nothing at all
later = x[:1].copy()
later[0, 20:] = 0
receptive_field = 1 + 1 + sum((1, 2, 4, 8))
earlier = x[:1].copy()
earlier[0, 0] = 0
before, after = model.predict(x[:1], verbose=0), model.predict(later, verbose=0)
results = {
    **history.history,
    "is causal": bool(np.allclose(before[0, :20], after[0, :20], atol=1e-6)),
    "receptive field": bool(
        np.allclose(before[0, receptive_field:], model.predict(earlier, verbose=0)[0, receptive_field:], atol=1e-6)
    ),
    "next": before[0, -1],
    "names": [layer.name for layer in model.layers if layer.name.startswith("dilated_8")],
}
