"""A forest of neural decision trees: paths are products of decisions, and outputs are added up by +=."""

import keras
import numpy as np
from keras import layers, ops
from seeded import fill_weights


class NeuralDecisionTree(keras.Model):
    def __init__(self, depth, num_features, used_features_rate, num_classes, chosen):
        super().__init__()
        self.depth = depth
        self.num_leaves = 2**depth
        self.num_classes = num_classes
        num_used_features = int(num_features * used_features_rate)
        one_hot = np.eye(num_features)
        sampled_feature_indices = chosen[:num_used_features]
        self.used_features_mask = ops.convert_to_tensor(one_hot[sampled_feature_indices], dtype="float32")
        self.pi = self.add_weight(
            initializer="random_normal", shape=[self.num_leaves, self.num_classes], dtype="float32", trainable=True
        )
        self.decision_fn = layers.Dense(units=self.num_leaves, activation="sigmoid", name="decision")

    def call(self, features):
        batch_size = ops.shape(features)[0]
        features = ops.matmul(features, ops.transpose(self.used_features_mask))
        decisions = ops.expand_dims(self.decision_fn(features), axis=2)
        decisions = layers.concatenate([decisions, 1 - decisions], axis=2)
        mu = ops.ones([batch_size, 1, 1])
        begin_idx, end_idx = 1, 2
        for level in range(self.depth):
            mu = ops.reshape(mu, [batch_size, -1, 1])
            mu = ops.tile(mu, (1, 1, 2))
            level_decisions = decisions[:, begin_idx:end_idx, :]
            mu = mu * level_decisions
            begin_idx = end_idx
            end_idx = begin_idx + 2 ** (level + 1)
        mu = ops.reshape(mu, [batch_size, self.num_leaves])
        probabilities = keras.activations.softmax(self.pi)
        return ops.matmul(mu, probabilities)


class NeuralDecisionForest(keras.Model):
    def __init__(self, num_trees, depth, num_features, used_features_rate, num_classes):
        super().__init__()
        self.ensemble = []
        r = np.random.default_rng(3)
        for _ in range(num_trees):
            self.ensemble.append(
                NeuralDecisionTree(depth, num_features, used_features_rate, num_classes, r.permutation(num_features))
            )
        self.num_classes = num_classes

    def call(self, inputs):
        batch_size = ops.shape(inputs)[0]
        outputs = ops.zeros([batch_size, self.num_classes])
        for tree in self.ensemble:
            outputs += tree(inputs)
        outputs /= len(self.ensemble)
        return outputs


inputs = keras.Input(shape=(8,))
features = layers.BatchNormalization()(inputs)
forest = NeuralDecisionForest(3, 3, 8, 0.5, 2)
outputs = forest(features)
model = keras.Model(inputs, outputs)
fill_weights(model)
rng = np.random.default_rng(0)
x = rng.standard_normal((60, 8)).astype("float32")
y = (x[:, 0] * x[:, 1] > 0).astype("int32")
model.compile(
    optimizer=keras.optimizers.Adam(0.01),
    loss=keras.losses.SparseCategoricalCrossentropy(),
    metrics=[keras.metrics.SparseCategoricalAccuracy()],
)
h = model.fit(x, y, epochs=3, batch_size=20, shuffle=False, verbose=0)
results = {
    "h": h.history,
    "p": model.predict(x[:5], verbose=0),
    "n": len(model.trainable_weights),
    "summary": model.count_params(),
}
