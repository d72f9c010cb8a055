"""Federated averaging by hand: clients train copies of a model on data of their own, a server averages weights."""

import keras
import numpy as np
from keras import layers
from seeded import fill_weights

clients, rounds = 3, 2
rng = np.random.default_rng(9)
x = rng.standard_normal((clients, 32, 5)).astype("float32") + np.array([0.0, 0.5, -0.5], "float32")[:, None, None]
y = (x[..., :1] + x[..., 1:2] > 0).astype("float32")
sizes = [32, 24, 16]


def create_keras_model():
    model = keras.models.Sequential(
        [
            keras.Input((5,)),
            layers.Dense(8, activation="relu"),
            layers.BatchNormalization(),
            layers.Dense(1, activation="sigmoid"),
        ]
    )
    return model


def compile_model(model):
    model.compile(keras.optimizers.SGD(0.1, momentum=0.9), "binary_crossentropy", metrics=["accuracy"])
    return model


def scale_model_weights(weights, scalar):
    return [scalar * layer_weights for layer_weights in weights]


def sum_scaled_weights(scaled_weight_list):
    return [np.sum(parts, axis=0) for parts in zip(*scaled_weight_list)]


global_model = compile_model(create_keras_model())
fill_weights(global_model)
local_model = keras.models.clone_model(global_model)
evaluations, distances = [], []
for comm_round in range(rounds):
    global_weights = global_model.get_weights()
    scaled = []
    for client in range(clients):
        compile_model(local_model)
        local_model.set_weights(global_weights)
        n = sizes[client]
        local_model.fit(x[client, :n], y[client, :n], batch_size=8, epochs=2, shuffle=False, verbose=0)
        scaled.append(scale_model_weights(local_model.get_weights(), n / sum(sizes)))
    average = sum_scaled_weights(scaled)
    distances.append(float(sum(np.abs(a - b).sum() for a, b in zip(average, global_weights))))
    global_model.set_weights(average)
    evaluations.append(global_model.evaluate(x.reshape(-1, 5), y.reshape(-1, 1), verbose=0))

results = {
    "evaluations": evaluations,
    "distances": distances,
    "moving mean": global_model.layers[1].get_weights()[2],
    "names": [len(layer.get_weights()) for layer in global_model.layers],
}
