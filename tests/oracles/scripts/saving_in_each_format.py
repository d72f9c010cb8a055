"""Saving and loading: whole models, weights, configurations, JSON, checkpoints, custom objects, weights of layers."""
# needs h5py

import os

import keras
import numpy as np
from keras import layers
from seeded import fill_weights


@keras.saving.register_keras_serializable(package="guide")
class Scale(layers.Layer):
    def __init__(self, factor=2.0, **kwargs):
        super().__init__(**kwargs)
        self.factor = factor

    def build(self, input_shape):
        self.scale = self.add_weight(shape=(input_shape[-1],), initializer="ones", name="scale")

    def call(self, inputs):
        return inputs * self.scale * self.factor

    def get_config(self):
        return {**super().get_config(), "factor": self.factor}


def get_model():
    inputs = keras.Input(shape=(6,), name="features")
    x = layers.Dense(5, activation="tanh", name="hidden")(inputs)
    x = Scale(0.5, name="scale")(x)
    x = layers.BatchNormalization(name="bn")(x)
    return keras.Model(inputs, layers.Dense(1, name="out")(x), name="saved")


rng = np.random.default_rng(5)
x, y = rng.random((64, 6)).astype("float32"), rng.random((64, 1)).astype("float32")
model = get_model()
fill_weights(model)
model.compile(optimizer=keras.optimizers.Adam(0.02), loss="mean_squared_error", metrics=["mae"])
model.fit(x, y, epochs=2, batch_size=16, shuffle=False, verbose=0)
wanted = model.predict(x, verbose=0)

model.save("my_model.keras")
reconstructed_model = keras.models.load_model("my_model.keras")
whole = reconstructed_model.predict(x, verbose=0)
goes_on = reconstructed_model.fit(x, y, epochs=2, batch_size=16, shuffle=False, verbose=0).history
goes_on_itself = model.fit(x, y, epochs=2, batch_size=16, shuffle=False, verbose=0).history

model.save_weights("path.weights.h5")
other = get_model()
other.load_weights("path.weights.h5")
from_config = keras.Model.from_config(model.get_config())
from_config.set_weights(model.get_weights())
from_json = keras.models.model_from_json(model.to_json())
clone = keras.models.clone_model(model)
clone.set_weights(model.get_weights())

layer = layers.Dense(3, activation="relu", kernel_regularizer="l2", name="one")
again = layers.Dense.from_config(layer.get_config())
serialized = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(Scale(3.0, name="three")))

checkpoint = keras.callbacks.ModelCheckpoint("check_{epoch:02d}_{loss:.3f}.keras", save_freq="epoch")
clone.compile("sgd", "mse")
clone.fit(x, y, epochs=2, batch_size=32, shuffle=False, verbose=0, callbacks=[checkpoint])

results = {
    "wanted": wanted,
    "whole": whole,
    "training goes on": goes_on,
    "as it would": goes_on_itself,
    "weights": other.predict(x, verbose=0),
    "config": from_config.predict(x, verbose=0),
    "json": [layer.name for layer in from_json.layers],
    "layer": [
        again.name,
        again.units,
        keras.activations.serialize(again.activation),
        float(again.kernel_regularizer.l2),
    ],
    "object": [serialized.name, serialized.factor],
    "files": sorted(os.listdir(".")),
}
