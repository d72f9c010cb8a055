"""`compute_loss` and `compute_metrics` of one's own: a mixture of losses, counted by metrics that the model keeps."""

import keras
import numpy as np
from keras import layers, ops
from seeded import fill_weights


class RegularizedRegressor(keras.Model):
    """Minimises a squared error, weighted by sample, a smoothness of the outputs, and what its layers add."""

    def __init__(self, *args, smoothness=0.1, **kwargs):
        super().__init__(*args, **kwargs)
        self.smoothness = smoothness
        self.error_tracker = keras.metrics.Mean(name="error")
        self.smoothness_tracker = keras.metrics.Mean(name="smoothness")
        self.mae_metric = keras.metrics.MeanAbsoluteError(name="mae")

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        error = ops.mean(ops.square(y_pred - y), axis=-1)
        if sample_weight is not None:
            error = error * sample_weight
        error = ops.mean(error)
        smoothness = ops.mean(ops.square(y_pred[:, 1:] - y_pred[:, :-1]))
        self.error_tracker.update_state(error)
        self.smoothness_tracker.update_state(smoothness)
        return error + self.smoothness * smoothness + sum(self.losses)

    def compute_metrics(self, x, y, y_pred, sample_weight=None):
        self.mae_metric.update_state(y, y_pred, sample_weight=sample_weight)
        return self.get_metrics_result()


class LogisticEndpoint(layers.Layer):
    """An endpoint layer: it has the targets, adds the loss, and returns probabilities."""

    def __init__(self, name=None):
        super().__init__(name=name)
        self.loss_fn = keras.losses.BinaryCrossentropy(from_logits=True)

    def call(self, targets, logits, sample_weights=None):
        self.add_loss(self.loss_fn(targets, logits, sample_weights))
        return ops.sigmoid(logits)


rng = np.random.default_rng(1)
x = rng.standard_normal((48, 5)).astype("float32")
y = np.stack([np.sin(x[:, 0]), np.sin(x[:, 0] + 0.3), x[:, 1]], axis=1)
weights = rng.random(48).astype("float32")

inputs = keras.Input((5,))
h = layers.Dense(8, activation="tanh", kernel_regularizer=keras.regularizers.L2(1e-3))(inputs)
model = RegularizedRegressor(inputs, layers.Dense(3)(h))
fill_weights(model)
model.compile(optimizer=keras.optimizers.RMSprop(0.01))
history = model.fit(
    x, y, sample_weight=weights, batch_size=16, epochs=2, shuffle=False, validation_data=(x[:16], y[:16]), verbose=0
)
evaluated = model.evaluate(x, y, batch_size=16, return_dict=True, verbose=0)

features, targets = keras.Input((5,), name="inputs"), keras.Input((1,), name="targets")
logits = layers.Dense(1)(features)
predictions = LogisticEndpoint(name="predictions")(targets, logits)
endpoint = keras.Model(inputs=[features, targets], outputs=predictions)
fill_weights(endpoint)
endpoint.compile(optimizer="adam")
endpoint_history = endpoint.fit(
    {"inputs": x, "targets": (y[:, :1] > 0).astype("float32")}, batch_size=16, epochs=2, shuffle=False, verbose=0
)
results = {
    "history": history.history,
    "evaluated": evaluated,
    "endpoint": endpoint_history.history["loss"],
}
