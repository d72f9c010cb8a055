"""Customizing saving: own variables and files of layers, how they are built and compiled, and weights that move."""
# needs h5py

import os

import keras
import numpy as np
from keras import layers, ops
from seeded import fill_weights


@keras.saving.register_keras_serializable(package="my_custom_package")
class LayerWithCustomVariables(layers.Layer):
    def __init__(self, units, **kwargs):
        super().__init__(**kwargs)
        self.units = units
        self.stored_variables = keras.Variable(np.linspace(0.0, 1.0, units), name="special_arr", dtype="float32")

    def build(self, input_shape):
        self.seen = self.add_weight(shape=(), initializer="zeros", trainable=False, name="seen")
        self.kernel = self.add_weight(shape=(input_shape[-1], self.units), initializer="ones", name="kernel")

    def save_own_variables(self, store):
        super().save_own_variables(store)
        # Stores the value of the variable upon saving
        store["variables"] = self.stored_variables.numpy()

    def load_own_variables(self, store):
        # Assigns the value of the variable upon loading
        self.stored_variables.assign(store["variables"])
        # Load the remaining weights
        for i, v in enumerate(self.weights):
            v.assign(store[f"{i}"])

    def call(self, inputs):
        return ops.matmul(inputs, self.kernel) * self.stored_variables + self.seen

    def get_config(self):
        return {**super().get_config(), "units": self.units}


@keras.saving.register_keras_serializable(package="my_custom_package")
class LayerWithCustomAssets(layers.Dense):
    def __init__(self, vocab=None, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.vocab = vocab

    def save_assets(self, inner_path):
        # Writes the vocab (sentence) to text file at save time.
        with open(os.path.join(inner_path, "vocabulary.txt"), "w") as f:
            f.write(self.vocab)

    def load_assets(self, inner_path):
        # Reads the vocab (sentence) from text file at load time.
        with open(os.path.join(inner_path, "vocabulary.txt")) as f:
            text = f.read()
        self.vocab = text.replace("<unk>", "little")


@keras.saving.register_keras_serializable(package="my_custom_package")
class LayerWithCustomBuild(layers.Layer):
    def __init__(self, units=32, **kwargs):
        super().__init__(**kwargs)
        self.units = units

    def call(self, inputs):
        return ops.matmul(inputs, self.w) + self.b

    def get_config(self):
        return {**super().get_config(), "units": self.units}

    def build(self, input_shape, layer_init="zeros"):
        self.w = self.add_weight(shape=(input_shape[-1], self.units), initializer=layer_init, trainable=True)
        self.b = self.add_weight(shape=(self.units,), initializer=layer_init, trainable=True)
        self.layer_init = layer_init
        self.shape = input_shape

    def get_build_config(self):
        return {"input_shape": self.shape, "layer_init": self.layer_init}

    def build_from_config(self, config):
        # Calls `build()` with the parameters at loading time
        self.build(config["input_shape"], config["layer_init"])


@keras.saving.register_keras_serializable(package="my_custom_package")
def small_square_sum_loss(y_true, y_pred):
    return ops.sum(ops.square(y_pred - y_true) / 10.0, axis=1)


@keras.saving.register_keras_serializable(package="my_custom_package")
def mean_pred(y_true, y_pred):
    return ops.mean(y_pred)


@keras.saving.register_keras_serializable(package="my_custom_package")
class ModelWithCustomCompile(keras.Model):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.dense1 = layers.Dense(8, activation="relu")
        self.dense2 = [LayerWithCustomVariables(4), layers.Dense(4, activation="softmax")]
        self.epochs_seen = 0

    def call(self, inputs):
        x = self.dense1(inputs)
        for layer in self.dense2:
            x = layer(x)
        return x

    def compile(self, optimizer, loss_fn, metrics):
        super().compile(optimizer=optimizer, loss=loss_fn, metrics=metrics)
        self.model_optimizer = optimizer
        self.loss_fn = loss_fn
        self.loss_metrics = metrics

    def get_compile_config(self):
        # These parameters will be serialized at saving time.
        return {"model_optimizer": self.model_optimizer, "loss_fn": self.loss_fn, "metric": self.loss_metrics}

    def compile_from_config(self, config):
        # Deserializes the compile parameters (important, since many are custom)
        optimizer = keras.utils.deserialize_keras_object(config["model_optimizer"])
        loss_fn = keras.utils.deserialize_keras_object(config["loss_fn"])
        metrics = keras.utils.deserialize_keras_object(config["metric"])
        self.compile(optimizer=optimizer, loss_fn=loss_fn, metrics=metrics)

    def save_own_variables(self, store):
        store["epochs"] = self.epochs_seen

    def load_own_variables(self, store):
        self.epochs_seen = int(store["epochs"])


@keras.saving.register_keras_serializable(package="my_custom_package")
class Block(layers.Layer):
    """Layers inside of a layer, in its configuration too."""

    def __init__(self, sublayer, scale=1.0, **kwargs):
        super().__init__(**kwargs)
        self.sublayer = sublayer
        self.scale = scale

    def build(self, input_shape):
        if not self.sublayer.built:
            self.sublayer.build(input_shape)

    def call(self, inputs):
        return self.sublayer(inputs) * self.scale

    def get_config(self):
        sublayer = keras.saving.serialize_keras_object(self.sublayer)
        return {**super().get_config(), "sublayer": sublayer, "scale": self.scale}

    @classmethod
    def from_config(cls, config):
        sublayer = keras.saving.deserialize_keras_object(config.pop("sublayer"))
        return cls(sublayer, **config)


class Unregistered(LayerWithCustomVariables):
    pass


x = np.random.default_rng(3).random((8, 10)).astype("float32")
results = {}

# State saving customization
model = keras.Sequential([keras.Input((10,)), LayerWithCustomVariables(10)])
fill_weights(model)
model.compile(optimizer=keras.optimizers.SGD(0.01), loss="mean_squared_error")
model.fit(x, x, batch_size=8, verbose=0)
model.save("custom_vars_model.keras")
restored_model = keras.models.load_model("custom_vars_model.keras")
np.testing.assert_array_equal(
    model.layers[0].stored_variables.numpy(), restored_model.layers[0].stored_variables.numpy()
)
results["variables"] = [w.name for w in model.layers[0].weights], restored_model.predict(x, verbose=0)

model = keras.Sequential([LayerWithCustomAssets(vocab="Mary had a <unk> lamb.", units=5)])
model(x)
fill_weights(model)
model.save("custom_assets_model.keras")
restored_model = keras.models.load_model("custom_assets_model.keras")
results["assets"] = [restored_model.layers[0].vocab, restored_model.predict(x, verbose=0)]

# `build` and `compile` saving customization
custom_layer = LayerWithCustomBuild(units=16)
custom_layer.build(input_shape=(None, 10), layer_init="ones")
model = keras.Sequential([custom_layer, layers.Dense(1, activation="sigmoid")])
model(x)
fill_weights(model)
model.save("custom_build_model.keras")
restored_model = keras.models.load_model("custom_build_model.keras")
results["build"] = [restored_model.layers[0].layer_init, restored_model.built, restored_model.predict(x, verbose=0)]

model = ModelWithCustomCompile()
model(x)
fill_weights(model)
model.compile(optimizer="SGD", loss_fn=small_square_sum_loss, metrics=[mean_pred])
model.fit(x, x[:, :4], batch_size=8, verbose=0)
model.epochs_seen = 1
model.save("custom_compile_model.keras")
restored_model = keras.models.load_model("custom_compile_model.keras")
results["compile"] = [
    restored_model.model_optimizer,
    restored_model.loss_fn is small_square_sum_loss,
    restored_model.loss_metrics[0] is mean_pred,
    restored_model.epochs_seen,
    restored_model.evaluate(x, x[:, :4], verbose=0),
    keras.models.load_model("custom_compile_model.keras", compile=False).predict(x, verbose=0),
]

# Layers inside of others, and weights that go from one model to another
inputs = keras.Input((10,))
outputs = Block(Block(LayerWithCustomVariables(3, name="deep"), scale=0.5), name="outer")(inputs)
model = keras.Model(inputs, layers.Dense(2, name="head")(outputs))
fill_weights(model)
model.save_weights("transfer.weights.h5")
model.save("transfer.keras")
again = keras.models.load_model("transfer.keras")
twin = keras.models.clone_model(model)
twin.load_weights("transfer.weights.h5")
third = keras.Model.from_config(model.get_config())
third.get_layer("outer").set_weights(model.get_layer("outer").get_weights())
third.get_layer("head").set_weights(model.get_layer("head").get_weights())
results["transfer"] = [one.predict(x, verbose=0) for one in (model, again, twin, third)]

# Classes that are not registered
model = keras.Sequential([keras.Input((10,)), Unregistered(2)])
fill_weights(model)
model.save("unregistered.keras")
with keras.saving.custom_object_scope({"Unregistered": Unregistered}):
    in_scope = keras.models.load_model("unregistered.keras")
given = keras.models.load_model("unregistered.keras", custom_objects={"Unregistered": Unregistered})
results["custom objects"] = [one.predict(x, verbose=0) for one in (model, in_scope, given)]

results["files"] = sorted(os.listdir("."))
