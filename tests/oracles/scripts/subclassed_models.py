"""Layers and models as subclasses: blocks in blocks, weights by shape, `training`, losses that layers add."""

import keras
import numpy as np
from keras import layers, ops
from seeded import fill_weights


class Linear(layers.Layer):
    def __init__(self, units=32, **kwargs):
        super().__init__(**kwargs)
        self.units = units

    def build(self, input_shape):
        self.w = self.add_weight(shape=(input_shape[-1], self.units), initializer="random_normal", trainable=True)
        self.b = self.add_weight(shape=(self.units,), initializer="zeros", trainable=True)

    def call(self, inputs):
        return ops.matmul(inputs, self.w) + self.b

    def get_config(self):
        config = super().get_config()
        config.update({"units": self.units})
        return config


class ComputeSum(layers.Layer):
    def __init__(self, input_dim):
        super().__init__()
        self.total = self.add_weight(initializer="zeros", shape=(input_dim,), trainable=False)

    def call(self, inputs):
        self.total.assign_add(ops.sum(inputs, axis=0))
        return self.total


class MLPBlock(layers.Layer):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.linear_1 = Linear(16)
        self.linear_2 = Linear(8)

    def call(self, inputs):
        return ops.relu(self.linear_2(ops.relu(self.linear_1(inputs))))


class OnlyInTraining(layers.Layer):
    def call(self, inputs, training=None):
        return inputs * 0.5 if training else inputs


class ActivityRegularizationLayer(layers.Layer):
    def __init__(self, rate=1e-2, **kwargs):
        super().__init__(**kwargs)
        self.rate = rate

    def call(self, inputs):
        self.add_loss(self.rate * ops.mean(inputs))
        return inputs


class Classifier(keras.Model):
    def __init__(self, classes, **kwargs):
        super().__init__(**kwargs)
        self.block = MLPBlock()
        self.half = OnlyInTraining()
        self.regularize = ActivityRegularizationLayer(0.1)
        self.heads = [Linear(classes), Linear(classes)]

    def call(self, inputs, training=False):
        x = self.regularize(self.half(self.block(inputs), training=training))
        return ops.softmax(sum(head(x) for head in self.heads))


my_sum = ComputeSum(2)
first = np.array(my_sum(np.ones((2, 2), "float32")))
second = np.array(my_sum(np.ones((2, 2), "float32")))

rng = np.random.default_rng(7)
x = rng.normal(size=(90, 10)).astype("float32")
y = (x[:, 0] + x[:, 1] > 0).astype("int32")
model = Classifier(2)
before = len(model.weights)
model(x[:1])
fill_weights(model)
model.compile(optimizer=keras.optimizers.Adam(0.01), loss="sparse_categorical_crossentropy", metrics=["accuracy"])
history = model.fit(x, y, epochs=3, batch_size=30, shuffle=False, verbose=0)
loss_of_layer = ActivityRegularizationLayer(1.0)
loss_of_layer(np.full((2, 3), 4.0, "float32"))

results = {
    "sums": [first, second],
    "sum's weights": [len(my_sum.weights), len(my_sum.trainable_weights), len(my_sum.non_trainable_weights)],
    "weights": [before, len(model.weights), [tuple(w.shape) for w in model.trainable_weights]],
    "history": history.history,
    "predict": model.predict(x, verbose=0),
    "call": np.array(model(x[:5], training=True)),
    "losses": [float(loss) for loss in loss_of_layer.losses],
    "config": Linear.from_config(Linear(7, name="seven").get_config()).units,
    "layers": [type(layer).__name__ for layer in model.layers],
}
