"""Metric learning: a model whose step compares anchors with positives of all classes; nearest neighbours, circles."""

import keras
import numpy as np
from keras import layers, ops
from seeded import fill_weights

num_classes, size = 5, 10
rng = np.random.default_rng(16)
y_train = np.arange(60) % num_classes
x_train = rng.normal(0, 0.4, (60, size, size, 1)).astype("float32")
for image, label in zip(x_train, y_train):
    image[:, 2 * label : 2 * label + 2] += 1.0


class AnchorPositivePairs(keras.utils.PyDataset):
    """Batches of a picture of each class, and another one of each."""

    def __init__(self, count, **kwargs):
        super().__init__(**kwargs)
        generator = np.random.default_rng(0)
        self.batches = []
        for _ in range(count):
            x = np.empty((2, num_classes, size, size, 1), dtype=np.float32)
            for class_idx in range(num_classes):
                first, second = generator.choice(np.where(y_train == class_idx)[0], 2, replace=False)
                x[0, class_idx], x[1, class_idx] = x_train[first], x_train[second]
            self.batches.append(x)

    def __len__(self):
        return len(self.batches)

    def __getitem__(self, idx):
        anchors, positives = self.batches[idx]
        return (anchors, positives), np.arange(num_classes)


class EmbeddingModel(keras.Model):
    def __init__(self, encoder, **kwargs):
        super().__init__(**kwargs)
        self.encoder = encoder

    def call(self, x):
        anchors, positives = x
        return ops.einsum("ae,pe->ap", self.encoder(anchors), self.encoder(positives))

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        similarities = y_pred / 0.2
        return ops.mean(keras.losses.sparse_categorical_crossentropy(y, similarities, from_logits=True))


def build_encoder():
    inputs = layers.Input(shape=(size, size, 1))
    x = layers.Conv2D(filters=6, kernel_size=3, strides=2, activation="relu")(inputs)
    x = layers.Conv2D(filters=8, kernel_size=3, activation="relu")(x)
    x = layers.Flatten()(x)
    embeddings = layers.Dense(units=4, activation=None)(x)
    return keras.Model(inputs, layers.UnitNormalization()(embeddings))


encoder = build_encoder()
fill_weights(encoder)
model = EmbeddingModel(encoder)
model.compile(optimizer=keras.optimizers.Adam(learning_rate=3e-3), metrics=["accuracy"])
history = model.fit(AnchorPositivePairs(6), epochs=3, shuffle=False, verbose=0)

embeddings = encoder.predict(x_train, verbose=0)
gram = np.einsum("ae,be->ab", embeddings, embeddings)
neighbours = np.argsort(gram, axis=1)[:, -4:-1]
same = float(np.mean(y_train[neighbours] == y_train[:, None]))
circle = keras.losses.Circle(gamma=16, margin=0.3)(y_train, embeddings)

results = {
    "history": history.history,
    "embeddings": embeddings,
    "norms": np.linalg.norm(embeddings, axis=1),
    "same": same,
    "circle": float(circle),
}
