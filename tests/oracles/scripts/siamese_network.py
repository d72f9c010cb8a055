"""Siamese network: pairs of digits, one tower for both, a distance, contrastive loss; then triplets as one layer."""

import keras
import numpy as np
from keras import layers, ops
from seeded import fill_weights

rng = np.random.default_rng(13)
y = np.arange(40) % 4
x = rng.normal(0, 0.3, (40, 8, 8)).astype("float32")
for image, label in zip(x, y):
    image[2 * label : 2 * label + 2] += 1.0


def make_pairs(x, y):
    digit_indices = [np.where(y == i)[0] for i in range(max(y) + 1)]
    pairs, labels = [], []
    for idx1 in range(len(x)):
        x1, label1 = x[idx1], y[idx1]
        idx2 = rng.choice(digit_indices[label1])
        pairs += [[x1, x[idx2]]]
        labels += [0]
        label2 = (label1 + rng.integers(1, 4)) % 4
        idx2 = rng.choice(digit_indices[label2])
        pairs += [[x1, x[idx2]]]
        labels += [1]
    return np.array(pairs), np.array(labels).astype("float32")


def euclidean_distance(vects):
    x, y = vects
    sum_square = ops.sum(ops.square(x - y), axis=1, keepdims=True)
    return ops.sqrt(ops.maximum(sum_square, keras.backend.epsilon()))


def loss(margin=1):
    def contrastive_loss(y_true, y_pred):
        square_pred = ops.square(y_pred)
        margin_square = ops.square(ops.maximum(margin - (y_pred), 0))
        return ops.mean((1 - y_true) * square_pred + (y_true) * margin_square)

    return contrastive_loss


pairs, labels = make_pairs(x, y)
x_1, x_2 = pairs[:, 0], pairs[:, 1]

input = keras.layers.Input((8, 8, 1))
z = keras.layers.BatchNormalization()(input)
z = keras.layers.Conv2D(4, (5, 5), activation="tanh")(z)
z = keras.layers.AveragePooling2D(pool_size=(2, 2))(z)
z = keras.layers.Flatten()(z)
z = keras.layers.BatchNormalization()(z)
embedding_network = keras.Model(input, keras.layers.Dense(6, activation="tanh")(z))
input_1, input_2 = keras.layers.Input((8, 8, 1)), keras.layers.Input((8, 8, 1))
tower_1, tower_2 = embedding_network(input_1), embedding_network(input_2)
merge_layer = keras.layers.Lambda(euclidean_distance, output_shape=(1,))([tower_1, tower_2])
normal_layer = keras.layers.BatchNormalization()(merge_layer)
siamese = keras.Model(inputs=[input_1, input_2], outputs=keras.layers.Dense(1, activation="sigmoid")(normal_layer))
fill_weights(siamese)
siamese.compile(loss=loss(margin=1), optimizer=keras.optimizers.RMSprop(0.003), metrics=["accuracy"])
history = siamese.fit([x_1, x_2], labels, batch_size=16, epochs=2, shuffle=False, verbose=0)


class DistanceLayer(layers.Layer):
    def call(self, anchor, positive, negative):
        ap_distance = ops.sum(ops.square(anchor - positive), -1)
        an_distance = ops.sum(ops.square(anchor - negative), -1)
        return ops.stack([ap_distance, an_distance], axis=-1)


tower = keras.Sequential([keras.Input((8, 8)), layers.Flatten(), layers.Dense(5)])
anchor, positive, negative = (keras.Input((8, 8), name=name) for name in ("anchor", "positive", "negative"))
triplets = keras.Model([anchor, positive, negative], DistanceLayer()(tower(anchor), tower(positive), tower(negative)))
fill_weights(triplets)
triplets.compile("adam", lambda y_true, d: ops.maximum(d[:, 0] - d[:, 1] + 0.5, 0.0))
order = [y.argsort(kind="stable"), (y + 4).argsort(kind="stable"), ((y + 1) % 4).argsort(kind="stable")]
triplet = triplets.fit([x[one] for one in order], np.zeros((40, 2)), batch_size=20, epochs=2, shuffle=False, verbose=0)

results = {
    "pairs": pairs.shape,
    "history": history.history,
    "evaluate": siamese.evaluate([x_1, x_2], labels, verbose=0),
    "predictions": siamese.predict([x_1, x_2], verbose=0),
    "triplets": [triplet.history, triplets.predict([x[one] for one in order], verbose=0)],
    "tower's weights": len(siamese.trainable_weights),
}
