"""A small vision transformer: patches, a class token by hand, attention, a classifier on what attention looked at."""

import keras
import numpy as np
from keras import layers, ops
from seeded import fill_weights

image_size, patch_size, projection_dim, num_heads = 12, 4, 8, 2
num_patches = (image_size // patch_size) ** 2


def mlp(x, hidden_units, dropout_rate):
    for units in hidden_units:
        x = layers.Dense(units, activation=keras.activations.gelu)(x)
        x = layers.Dropout(dropout_rate)(x)
    return x


class Patches(layers.Layer):
    def __init__(self, patch_size):
        super().__init__()
        self.patch_size = patch_size

    def call(self, images):
        input_shape = ops.shape(images)
        batch_size, height, width, channels = input_shape
        num_patches_h = height // self.patch_size
        num_patches_w = width // self.patch_size
        patches = keras.ops.image.extract_patches(images, size=self.patch_size)
        return ops.reshape(
            patches, (batch_size, num_patches_h * num_patches_w, self.patch_size * self.patch_size * channels)
        )

    def get_config(self):
        config = super().get_config()
        config.update({"patch_size": self.patch_size})
        return config


class PatchEncoder(layers.Layer):
    def __init__(self, num_patches, projection_dim):
        super().__init__()
        self.num_patches = num_patches
        self.projection = layers.Dense(units=projection_dim)
        self.position_embedding = layers.Embedding(input_dim=num_patches, output_dim=projection_dim)

    def call(self, patch):
        positions = ops.expand_dims(ops.arange(start=0, stop=self.num_patches, step=1), axis=0)
        projected_patches = self.projection(patch)
        return projected_patches + self.position_embedding(positions)


def create_vit_classifier():
    inputs = keras.Input(shape=(image_size, image_size, 3))
    encoded_patches = PatchEncoder(num_patches, projection_dim)(Patches(patch_size)(inputs))
    for _ in range(2):
        x1 = layers.LayerNormalization(epsilon=1e-6)(encoded_patches)
        attention_output = layers.MultiHeadAttention(num_heads=num_heads, key_dim=projection_dim, dropout=0.0)(x1, x1)
        x2 = layers.Add()([attention_output, encoded_patches])
        x3 = layers.LayerNormalization(epsilon=1e-6)(x2)
        x3 = mlp(x3, hidden_units=[projection_dim * 2, projection_dim], dropout_rate=0.0)
        encoded_patches = layers.Add()([x3, x2])
    representation = layers.LayerNormalization(epsilon=1e-6)(encoded_patches)
    representation = layers.Flatten()(representation)
    features = mlp(representation, hidden_units=[16], dropout_rate=0.0)
    return keras.Model(inputs=inputs, outputs=layers.Dense(3)(features))


rng = np.random.default_rng(5)
x_train = rng.random((40, image_size, image_size, 3)).astype("float32")
y_train = (x_train[:, :4, :4].mean(axis=(1, 2)).argmax(axis=1))[:, None]
model = create_vit_classifier()
fill_weights(model)
model.compile(
    optimizer=keras.optimizers.AdamW(learning_rate=0.003, weight_decay=0.0001, clipnorm=1.0),
    loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    metrics=[keras.metrics.SparseCategoricalAccuracy(name="accuracy")],
)
history = model.fit(x_train, y_train, batch_size=20, epochs=3, validation_split=0.1, shuffle=False, verbose=0)
attention = layers.MultiHeadAttention(2, 4)
_, scores = attention(x_train[:2, :, :, 0], x_train[:2, :, :, 0], return_attention_scores=True)

results = {
    "patches": np.array(Patches(patch_size)(x_train[:2])),
    "history": history.history,
    "logits": model.predict(x_train, verbose=0),
    "scores": [tuple(scores.shape), bool(np.allclose(np.array(scores).sum(axis=-1), 1.0, atol=1e-5))],
    "params": model.count_params(),
}
