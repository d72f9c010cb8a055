"""A Siamese network with a triplet loss: one encoder sees an anchor, what is like it, and what is not."""

import keras
import numpy as np
from keras import layers, ops
from seeded import fill_weights

size, margin = 8, 0.5
rng = np.random.default_rng(7)


def picture(kind, count):
    images = 0.1 * rng.standard_normal((count, size, size, 1))
    images[:, 2:6, 2 + kind : 4 + kind] += 1.0
    return images.astype("float32")


anchors, positives, negatives = picture(0, 32), picture(0, 32), picture(2, 32)

base = keras.Sequential(
    [
        keras.Input((size, size, 1)),
        layers.Conv2D(4, 3, activation="relu"),
        layers.MaxPooling2D(),
        layers.Flatten(),
        layers.BatchNormalization(),
        layers.Dense(6),
    ],
    name="Embedding",
)


class DistanceLayer(layers.Layer):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)

    def call(self, anchor, positive, negative):
        ap_distance = ops.sum(ops.square(anchor - positive), -1)
        an_distance = ops.sum(ops.square(anchor - negative), -1)
        return (ap_distance, an_distance)


anchor_input = layers.Input(name="anchor", shape=(size, size, 1))
positive_input = layers.Input(name="positive", shape=(size, size, 1))
negative_input = layers.Input(name="negative", shape=(size, size, 1))
distances = DistanceLayer()(base(anchor_input), base(positive_input), base(negative_input))
siamese_network = keras.Model(inputs=[anchor_input, positive_input, negative_input], outputs=distances)


class SiameseModel(keras.Model):
    def __init__(self, siamese_network, margin=0.5):
        super().__init__()
        self.siamese_network = siamese_network
        self.margin = margin

    def call(self, inputs, training=False):
        return self.siamese_network(inputs, training=training)

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        ap_distance, an_distance = y_pred
        return ops.mean(ops.maximum(ap_distance - an_distance + self.margin, 0.0))


fill_weights(siamese_network)
siamese_model = SiameseModel(siamese_network, margin)
siamese_model.compile(optimizer=keras.optimizers.Adam(0.001))
history = siamese_model.fit([anchors, positives, negatives], batch_size=16, epochs=3, shuffle=False, verbose=0)

cosine_similarity = keras.metrics.CosineSimilarity()
embedded = [base(images[:8]) for images in (anchors, positives, negatives)]
positive_similarity = cosine_similarity(embedded[0], embedded[1])
first = float(positive_similarity)
cosine_similarity.reset_state()
negative_similarity = cosine_similarity(embedded[0], embedded[2])
results = {
    "loss": history.history["loss"],
    "similarities": [first, float(negative_similarity)],
    "predicted": np.stack(siamese_model.predict([anchors[:4], positives[:4], negatives[:4]], verbose=0)),
    "evaluated": siamese_model.evaluate([anchors, positives, negatives], batch_size=16, verbose=0),
}
