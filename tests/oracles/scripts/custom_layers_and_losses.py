"""Parts of one's own, each with a configuration: layer, activation, initializer, regularizer, constraint, loss."""

import keras
import numpy as np
from keras import layers, ops
from seeded import fill_weights


class Antirectifier(layers.Layer):
    def __init__(self, initializer="he_normal", **kwargs):
        super().__init__(**kwargs)
        self.initializer = keras.initializers.get(initializer)

    def build(self, input_shape):
        output_dim = input_shape[-1]
        self.kernel = self.add_weight(
            shape=(output_dim * 2, output_dim), initializer=self.initializer, name="kernel", trainable=True
        )

    def call(self, inputs):
        inputs -= ops.mean(inputs, axis=-1, keepdims=True)
        pos = ops.relu(inputs)
        neg = ops.relu(-inputs)
        concatenated = ops.concatenate([pos, neg], axis=-1)
        return ops.matmul(concatenated, self.kernel)

    def get_config(self):
        base_config = super().get_config()
        config = {"initializer": keras.initializers.serialize(self.initializer)}
        return dict(list(base_config.items()) + list(config.items()))


class L2Once(keras.regularizers.Regularizer):
    def __init__(self, strength):
        self.strength = strength

    def __call__(self, x):
        return self.strength * ops.sum(ops.square(x))

    def get_config(self):
        return {"strength": self.strength}


class CenterAround(keras.constraints.Constraint):
    def __init__(self, ref_value):
        self.ref_value = ref_value

    def __call__(self, w):
        return w - ops.mean(w) + self.ref_value

    def get_config(self):
        return {"ref_value": self.ref_value}


class CustomMSE(keras.losses.Loss):
    def __init__(self, regularization_factor=0.1, name="custom_mse"):
        super().__init__(name=name)
        self.regularization_factor = regularization_factor

    def call(self, y_true, y_pred):
        mse = ops.mean(ops.square(y_true - y_pred), axis=-1)
        reg = ops.mean(ops.square(0.5 - y_pred), axis=-1)
        return mse + reg * self.regularization_factor

    def get_config(self):
        return {"regularization_factor": self.regularization_factor, "name": self.name}


def swish2(x):
    return x * ops.sigmoid(2.0 * x)


model = keras.Sequential(
    [
        keras.Input(shape=(9,)),
        layers.Dense(12, activation=swish2, kernel_regularizer=L2Once(1e-3)),
        Antirectifier(),
        layers.Dense(6, activity_regularizer=keras.regularizers.L1(0.01), kernel_constraint=CenterAround(0.0)),
        layers.ActivityRegularization(l2=0.02),
        layers.Dense(2, bias_constraint="non_neg", kernel_constraint=keras.constraints.MaxNorm(1.0)),
    ]
)
fill_weights(model)
model.compile(loss=CustomMSE(0.2), optimizer=keras.optimizers.Nadam(0.01), metrics=[keras.metrics.MeanSquaredError()])
rng = np.random.default_rng(8)
x, y = rng.normal(size=(80, 9)).astype("float32"), rng.normal(size=(80, 2)).astype("float32")
history = model.fit(x, y, batch_size=20, epochs=3, shuffle=False, verbose=0, validation_split=0.25)

custom_objects = {
    "Antirectifier": Antirectifier,
    "L2Once": L2Once,
    "CenterAround": CenterAround,
    "CustomMSE": CustomMSE,
    "swish2": swish2,
}
with keras.utils.custom_object_scope(custom_objects):
    twin = keras.Sequential.from_config(model.get_config())
twin.set_weights(model.get_weights())

results = {
    "history": history.history,
    "mean of the kernel": float(np.abs(np.mean(model.layers[2].get_weights()[0]))) < 1e-6,
    "norms": float(np.linalg.norm(model.layers[-1].get_weights()[0], axis=0).max()) <= 1.0001,
    "predictions": model.predict(x, verbose=0),
    "twin": twin.predict(x, verbose=0),
    "loss": float(CustomMSE(0.5)(y[:4], y[4:8])),
    "evaluate": model.evaluate(x, y, verbose=0),
}
