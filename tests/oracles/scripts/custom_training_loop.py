"""A training loop written from scratch: a tape, an optimizer, metrics that are updated and reset by hand."""

import keras
import numpy as np
import tensorflow as tf
from keras import layers, ops
from seeded import fill_weights


class ActivityRegularizationLayer(layers.Layer):
    def call(self, inputs):
        self.add_loss(1e-2 * ops.sum(ops.square(inputs)) / 32)
        return inputs


inputs = keras.Input(shape=(6,), name="digits")
x = layers.Dense(16, activation="relu", name="dense_1")(inputs)
x = ActivityRegularizationLayer()(x)
x = layers.Dense(8, activation="relu", name="dense_2")(x)
outputs = layers.Dense(3, name="predictions")(x)
model = keras.Model(inputs=inputs, outputs=outputs)
fill_weights(model)

rng = np.random.default_rng(0)
x_all = rng.standard_normal((128, 6)).astype("float32")
y_all = np.argmax(x_all[:, :3] + 0.5 * x_all[:, 3:], axis=1)
batches = [(x_all[i : i + 32], y_all[i : i + 32]) for i in range(0, 96, 32)]
x_val, y_val = x_all[96:], y_all[96:]

optimizer = keras.optimizers.Adam(learning_rate=keras.optimizers.schedules.PolynomialDecay(0.02, 6, 0.005))
loss_fn = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
train_acc_metric = keras.metrics.SparseCategoricalAccuracy()
val_acc_metric = keras.metrics.SparseCategoricalAccuracy()


def train_step(x, y):
    with tf.GradientTape() as tape:
        logits = model(x, training=True)
        loss_value = loss_fn(y, logits)
        loss_value += sum(model.losses)
    grads = tape.gradient(loss_value, model.trainable_weights)
    grads = [ops.clip(g, -0.05, 0.05) for g in grads]
    optimizer.apply(grads, model.trainable_weights)
    train_acc_metric.update_state(y, logits)
    return loss_value


def test_step(x, y):
    val_logits = model(x, training=False)
    val_acc_metric.update_state(y, val_logits)


losses, accuracies = [], []
for epoch in range(2):
    for step, (x_batch_train, y_batch_train) in enumerate(batches):
        loss_value = train_step(x_batch_train, y_batch_train)
        losses.append(float(loss_value))
    train_acc = train_acc_metric.result()
    accuracies.append(float(train_acc))
    train_acc_metric.reset_state()
    for start in (0, 16):
        test_step(x_val[start : start + 16], y_val[start : start + 16])
    val_acc = val_acc_metric.result()
    val_acc_metric.reset_state()
    accuracies.append(float(val_acc))

results = {
    "losses": losses,
    "accuracies": accuracies,
    "logits": np.asarray(model(x_val[:2])),
    "iterations": int(optimizer.iterations),
    "rate": float(optimizer.learning_rate),
}
# Of Keras 3.15 on TensorFlow
expected = {
    "losses": [1.299555, 1.191495, 1.124363, 1.008873, 1.071201, 1.006174],
    "accuracies": [0.354167, 0.53125, 0.552083, 0.6875],
    "logits": [[-0.453112, 0.957114, 0.767972], [-0.154838, -0.139378, -0.10862]],
    "iterations": 6,
    "rate": 0.005,
}
