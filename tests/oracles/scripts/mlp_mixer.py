"""Three ways to mix patches without convolutions: an MLP-Mixer, Fourier mixing, a gated MLP; layers of one's own."""

import keras
import numpy as np
from keras import layers, ops
from seeded import fill_weights

image_size, patch_size, embedding_dim, num_classes = 12, 4, 8, 3
num_patches = (image_size // patch_size) ** 2


class Patches(layers.Layer):
    def __init__(self, patch_size, **kwargs):
        super().__init__(**kwargs)
        self.patch_size = patch_size

    def call(self, x):
        patches = ops.image.extract_patches(x, self.patch_size)
        batch_size = ops.shape(patches)[0]
        num_patches = ops.shape(patches)[1] * ops.shape(patches)[2]
        patch_dim = ops.shape(patches)[3]
        return ops.reshape(patches, (batch_size, num_patches, patch_dim))


class PositionEmbedding(layers.Layer):
    def build(self, input_shape):
        self.position = self.add_weight(shape=input_shape[1:], initializer="glorot_uniform", name="position")

    def call(self, inputs):
        return inputs + self.position


class MLPMixerLayer(layers.Layer):
    def __init__(self, num_patches, hidden_units, **kwargs):
        super().__init__(**kwargs)
        self.mlp1 = keras.Sequential([layers.Dense(units=num_patches, activation="gelu"), layers.Dense(num_patches)])
        self.mlp2 = keras.Sequential([layers.Dense(units=num_patches, activation="gelu"), layers.Dense(hidden_units)])
        self.normalize = layers.LayerNormalization(epsilon=1e-6)

    def build(self, input_shape):
        return super().build(input_shape)

    def call(self, inputs):
        x = self.normalize(inputs)
        x_channels = ops.transpose(x, axes=(0, 2, 1))
        mlp1_outputs = ops.transpose(self.mlp1(x_channels), axes=(0, 2, 1))
        x = mlp1_outputs + inputs
        return x + self.mlp2(self.normalize(x))


class FNetLayer(layers.Layer):
    def __init__(self, embedding_dim, **kwargs):
        super().__init__(**kwargs)
        self.ffn = keras.Sequential([layers.Dense(embedding_dim, activation="gelu"), layers.Dense(embedding_dim)])
        self.normalize1 = layers.LayerNormalization(epsilon=1e-6)
        self.normalize2 = layers.LayerNormalization(epsilon=1e-6)

    def call(self, inputs):
        real_part = ops.real(ops.fft2((inputs, ops.zeros_like(inputs)))[0])
        x = self.normalize1(inputs + real_part)
        return self.normalize2(x + self.ffn(x))


class gMLPLayer(layers.Layer):
    def __init__(self, num_patches, embedding_dim, **kwargs):
        super().__init__(**kwargs)
        self.channel_projection1 = layers.Dense(units=embedding_dim * 2, activation="gelu")
        self.channel_projection2 = layers.Dense(units=embedding_dim)
        self.spatial_projection = layers.Dense(units=num_patches, bias_initializer="Ones")
        self.normalize1 = layers.LayerNormalization(epsilon=1e-6)
        self.normalize2 = layers.LayerNormalization(epsilon=1e-6)

    def call(self, inputs):
        u, v = ops.split(self.channel_projection1(self.normalize1(inputs)), 2, axis=-1)
        v_channels = ops.transpose(self.normalize2(v), axes=(0, 2, 1))
        v_projected = ops.transpose(self.spatial_projection(v_channels), axes=(0, 2, 1))
        return inputs + self.channel_projection2(u * v_projected)


def build_classifier(blocks):
    inputs = layers.Input(shape=(image_size, image_size, 3))
    x = layers.Dense(units=embedding_dim)(Patches(patch_size)(inputs))
    x = blocks(PositionEmbedding()(x))
    representation = layers.Dropout(rate=0.0)(layers.GlobalAveragePooling1D()(x))
    return keras.Model(inputs=inputs, outputs=layers.Dense(num_classes)(representation))


rng = np.random.default_rng(4)
x_train = rng.random((36, image_size, image_size, 3)).astype("float32")
y_train = np.arange(36) % num_classes
results = {}
for name, make in {
    "mixer": lambda: MLPMixerLayer(num_patches, embedding_dim),
    "fnet": lambda: FNetLayer(embedding_dim),
    "gmlp": lambda: gMLPLayer(num_patches, embedding_dim),
}.items():
    model = build_classifier(keras.Sequential([make() for _ in range(2)]))
    fill_weights(model)
    model.compile(
        optimizer=keras.optimizers.AdamW(learning_rate=0.01, weight_decay=0.001),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy", keras.metrics.SparseTopKCategoricalAccuracy(2, name="top2")],
    )
    history = model.fit(x_train, y_train, batch_size=12, epochs=2, shuffle=False, verbose=0)
    results[name] = [history.history, model.predict(x_train[:4], verbose=0), model.count_params()]
