"""Metrics of one's own: functions, classes with state, metrics of layers, and beside a loss of one's own."""

import keras
import numpy as np
from keras import layers, ops
from seeded import fill_weights

rng = np.random.default_rng(3)
x = rng.normal(size=(120, 8)).astype("float32")
labels = (x[:, 0] > 0).astype("int32") + (x[:, 1] > 0.5)
weights = rng.uniform(0.5, 2.0, 120).astype("float32")


class CategoricalTruePositives(keras.metrics.Metric):
    def __init__(self, name="categorical_true_positives", **kwargs):
        super().__init__(name=name, **kwargs)
        self.true_positives = self.add_weight(shape=(), initializer="zeros", name="ctp")

    def update_state(self, y_true, y_pred, sample_weight=None):
        y_pred = ops.reshape(ops.argmax(y_pred, axis=1), (-1, 1))
        values = ops.equal(ops.cast(y_true, "int32"), ops.cast(y_pred, "int32"))
        values = ops.cast(values, "float32")
        if sample_weight is not None:
            sample_weight = ops.cast(sample_weight, "float32")
            values = ops.multiply(values, ops.reshape(sample_weight, (-1, 1)))
        self.true_positives.assign_add(ops.sum(values))

    def result(self):
        return self.true_positives.value

    def reset_state(self):
        self.true_positives.assign(0.0)


class Confidence(keras.metrics.MeanMetricWrapper):
    def __init__(self, threshold=0.5, name="confidence", **kwargs):
        super().__init__(self.confidence, name=name, **kwargs)
        self.threshold = threshold

    def confidence(self, y_true, y_pred):
        return ops.cast(ops.max(y_pred, axis=-1) > self.threshold, "float32")

    def get_config(self):
        return {"threshold": self.threshold, "name": self.name}


def margin(y_true, y_pred):
    top = ops.top_k(y_pred, 2)[0]
    return top[:, 0] - top[:, 1]


def smooth_loss(y_true, y_pred):
    one_hot = ops.one_hot(ops.reshape(y_true, (-1,)), 3) * 0.9 + 0.1 / 3
    return -ops.sum(one_hot * ops.log(y_pred + 1e-7), axis=-1)


model = keras.Sequential(
    [keras.Input((8,)), layers.Dense(12, activation="relu"), layers.Dense(3, activation="softmax", name="predictions")]
)
fill_weights(model)
model.compile(
    optimizer=keras.optimizers.SGD(0.2, momentum=0.9),
    loss=smooth_loss,
    metrics=[CategoricalTruePositives(), margin, "accuracy", keras.metrics.SparseTopKCategoricalAccuracy(k=2)],
    weighted_metrics=[Confidence(0.6)],
)
history = model.fit(x, labels[:, None], sample_weight=weights, batch_size=40, epochs=3, shuffle=False, verbose=0)

standalone = CategoricalTruePositives()
for start in range(0, 120, 50):
    batch = slice(start, start + 50)
    standalone.update_state(labels[batch, None], model.predict(x[batch], verbose=0), weights[batch])
after = float(standalone.result())
standalone.reset_state()
mean = keras.metrics.Mean(name="mean_of_losses")
mean.update_state([1.0, 3.0], sample_weight=[1, 3])

results = {
    **history.history,
    "standalone": [after, float(standalone.result())],
    "mean": [mean.name, float(mean.result())],
    "config": Confidence.from_config(Confidence(0.7).get_config()).threshold,
    "called": float(Confidence(0.6)(labels[:, None], model.predict(x, verbose=0))),
}
