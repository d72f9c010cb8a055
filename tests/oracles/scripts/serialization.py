"""Serialization: configurations of models and layers, registered names, objects inside of others."""

import json

import keras
import numpy as np
from keras import layers, ops
from seeded import fill_weights


@keras.saving.register_keras_serializable(package="my_package", name="custom_fn")
def custom_fn(x):
    return x**2


@keras.saving.register_keras_serializable(package="my_custom_package")
class CustomBlock(layers.Layer):
    """A layer that holds another one, which is serialized by hand."""

    def __init__(self, sublayer, scale=1.0, **kwargs):
        super().__init__(**kwargs)
        self.sublayer = sublayer
        self.scale = scale

    def call(self, x):
        return self.sublayer(x) * self.scale

    def get_config(self):
        base_config = super().get_config()
        config = {"sublayer": keras.saving.serialize_keras_object(self.sublayer), "scale": self.scale}
        return {**base_config, **config}

    @classmethod
    def from_config(cls, config):
        sublayer = keras.saving.deserialize_keras_object(config.pop("sublayer"))
        return cls(sublayer, **config)


class CustomModel(keras.Model):
    def __init__(self, hidden_units, **kwargs):
        super().__init__(**kwargs)
        self.hidden_units = hidden_units
        self.dense_layers = [layers.Dense(u, name=f"hidden_{u}") for u in hidden_units]

    def call(self, inputs):
        x = inputs
        for layer in self.dense_layers:
            x = layer(x)
        return ops.tanh(x)

    def get_config(self):
        return {"hidden_units": self.hidden_units}


inputs = keras.Input((4,), name="in")
x = layers.Dense(4, activation=custom_fn, name="square")(inputs)
x = CustomBlock(layers.Dense(3, activation="relu", name="inside"), scale=0.5, name="block")(x)
x = layers.add([x, layers.Dense(3, name="side")(inputs)])
model = keras.Model(inputs, x * 2.0 - 1.0, name="serial")
fill_weights(model)
data = np.random.default_rng(10).normal(size=(12, 4)).astype("float32")

config = model.get_config()
json.dumps(config)
classes = {layer["config"]["name"]: layer["class_name"] for layer in config["layers"]}
by_config = keras.Model.from_config(config)
by_config.set_weights(model.get_weights())
by_json = keras.models.model_from_json(model.to_json())
by_json.set_weights(model.get_weights())

subclassed = CustomModel([8, 2])
subclassed(data)
fill_weights(subclassed)
twin = CustomModel.from_config(subclassed.get_config())
twin(data)
twin.set_weights(subclassed.get_weights())

optimizer = keras.optimizers.Adam(keras.optimizers.schedules.ExponentialDecay(0.01, 100, 0.9), beta_1=0.8)
same_optimizer = keras.optimizers.deserialize(keras.optimizers.serialize(optimizer))
loss = keras.losses.deserialize(keras.losses.serialize(keras.losses.Huber()))
conv = keras.layers.deserialize(keras.layers.serialize(layers.Conv2D(3, 2)))
initializer = keras.initializers.get("he_normal")

results = {
    "classes": [classes["square"], classes["block"], classes["side"]],
    "model": model.predict(data, verbose=0),
    "by config": by_config.predict(data, verbose=0),
    "by json": by_json.predict(data, verbose=0),
    "subclassed": [subclassed.predict(data, verbose=0), twin.predict(data, verbose=0)],
    "registered": keras.saving.get_registered_name(CustomBlock),
    "object": keras.saving.get_registered_object("my_package>custom_fn") is custom_fn,
    "optimizer": [float(same_optimizer.beta_1), same_optimizer.get_config()["learning_rate"]["config"]["decay_rate"]],
    "loss": [loss.name, float(loss(np.zeros((2, 1)), np.array([[0.5], [2.0]])))],
    "conv": [conv.filters, tuple(conv.kernel_size)],
    "initializer": sorted(initializer.get_config()),
}
