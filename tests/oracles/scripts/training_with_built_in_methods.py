"""Training with the built-in methods: losses in layers, weights of samples and classes, data sets, schedules."""

import keras
import numpy as np
from keras import layers, ops
from seeded import fill_weights

rng = np.random.default_rng(13)
x_train = rng.random((160, 20)).astype("float32")
y_train = x_train[:, :4].argmax(axis=1).astype("float32")
x_val, y_val = x_train[-40:], y_train[-40:]
x_train, y_train = x_train[:-40], y_train[:-40]


def get_uncompiled_model():
    inputs = keras.Input(shape=(20,), name="digits")
    x = layers.Dense(16, activation="relu", name="dense_1")(inputs)
    x = layers.Dense(16, activation="relu", name="dense_2")(x)
    outputs = layers.Dense(4, activation="softmax", name="predictions")(x)
    model = keras.Model(inputs=inputs, outputs=outputs)
    fill_weights(model)
    return model


def get_compiled_model():
    model = get_uncompiled_model()
    model.compile(optimizer="rmsprop", loss="sparse_categorical_crossentropy", metrics=["sparse_categorical_accuracy"])
    return model


def custom_mean_squared_error(y_true, y_pred):
    return ops.mean(ops.square(y_true - y_pred), axis=-1)


class LogisticEndpoint(layers.Layer):
    def __init__(self, name=None):
        super().__init__(name=name)
        self.loss_fn = keras.losses.BinaryCrossentropy(from_logits=True)

    def call(self, targets, logits, sample_weights=None):
        loss = self.loss_fn(targets, logits, sample_weights)
        self.add_loss(loss)
        return ops.softmax(logits)


class ExamplePyDataset(keras.utils.PyDataset):
    def __init__(self, x, y, batch_size, **kwargs):
        super().__init__(**kwargs)
        self.x, self.y, self.batch_size = x, y, batch_size

    def __len__(self):
        return int(np.ceil(len(self.x) / self.batch_size))

    def __getitem__(self, index):
        part = slice(index * self.batch_size, (index + 1) * self.batch_size)
        return self.x[part], self.y[part]


options = {"batch_size": 40, "shuffle": False, "verbose": 0}
model = get_compiled_model()
history = model.fit(x_train, y_train, epochs=2, validation_data=(x_val, y_val), **options)

one_hot = get_uncompiled_model()
one_hot.compile(optimizer=keras.optimizers.Adam(), loss=custom_mean_squared_error)
custom = one_hot.fit(x_train, ops.one_hot(y_train, 4), epochs=1, **options)

sample_weight = np.ones(len(y_train))
sample_weight[y_train == 2] = 2.0
weighted = get_compiled_model().fit(x_train, y_train, sample_weight=sample_weight, epochs=1, **options)
class_weight = {0: 1.0, 1: 1.0, 2: 2.0, 3: 0.5}
classes = get_compiled_model().fit(x_train, y_train, class_weight=class_weight, epochs=1, **options)

from_dataset = get_compiled_model()
dataset = from_dataset.fit(ExamplePyDataset(x_train, y_train, 32), epochs=2, shuffle=False, verbose=0)
evaluated = from_dataset.evaluate(ExamplePyDataset(x_val, y_val, 32), verbose=0)
part = get_compiled_model().fit(x_train, y_train, epochs=3, steps_per_epoch=1, **options)

scheduled = get_uncompiled_model()
lr_schedule = keras.optimizers.schedules.ExponentialDecay(0.01, decay_steps=2, decay_rate=0.96, staircase=True)
scheduled.compile(optimizer=keras.optimizers.RMSprop(learning_rate=lr_schedule), loss="sparse_categorical_crossentropy")
schedule = scheduled.fit(x_train, y_train, epochs=2, **options)

logits = np.array([[2.0, -1.0], [0.5, 0.5]], "float32")
endpoint = LogisticEndpoint(name="endpoint")
endpoint(np.array([[1.0, 0.0], [0.0, 1.0]], "float32"), logits)

results = {
    "history": history.history,
    "evaluate": model.evaluate(x_val, y_val, batch_size=16, verbose=0),
    "predict": model.predict(x_val[:3], verbose=0),
    "on batch": [float(np.ravel(model.test_on_batch(x_val, y_val))[0]), model.predict_on_batch(x_val[:2])],
    "custom": custom.history,
    "weighted": weighted.history,
    "classes": classes.history,
    "dataset": [dataset.history, evaluated],
    "part": part.history,
    "schedule": [schedule.history, float(lr_schedule(5)), float(scheduled.optimizer.learning_rate)],
    "endpoint": [float(loss) for loss in endpoint.losses],
}
