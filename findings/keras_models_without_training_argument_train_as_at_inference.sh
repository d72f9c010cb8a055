#!/usr/bin/env bash
# Keras 3.15.1 on JAX 0.10.2: one would guess that `fit` trains the layers of any model, as its documentation of
# `training` says that `fit` sets it, and as Keras 2 did. A model written as a class whose `call` has no argument
# `training` runs its layers as at inference in `fit`: dropout drops nothing and batch normalisation normalises by its
# initial moments and learns none. Nothing says so, and the same layers in a Sequential are trained.
# Seen: moving mean after an epoch on data with mean 5: 0.0 without the argument, 4.6 with it and in a Sequential.
# nnx trains them in all three.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check 'keras==3.15.1' 'jax==0.10.2' 'jaxlib==0.10.2'
KERAS_BACKEND=jax "$folder/venv/bin/python" - <<'PYTHON'
import keras
import numpy as np


class Without(keras.Model):
    def __init__(self):
        super().__init__()
        self.normalization = keras.layers.BatchNormalization(momentum=0.5)
        self.dense = keras.layers.Dense(1)

    def call(self, x):
        return self.dense(self.normalization(x))


class With(Without):
    def call(self, x, training=None):
        return self.dense(self.normalization(x, training=training))


def moving_mean(model, normalization):
    x = np.random.default_rng(0).normal(5.0, 1.0, (1024, 1)).astype("float32")
    model.compile("sgd", "mse")
    model.fit(x, 0.0 * x, batch_size=256, epochs=1, shuffle=False, verbose=0)
    return round(float(np.asarray(normalization.moving_mean)[0]), 1)


without, given = Without(), With()
layers = [keras.layers.BatchNormalization(momentum=0.5), keras.layers.Dense(1)]
found = [
    moving_mean(without, without.normalization),
    moving_mean(given, given.normalization),
    moving_mean(keras.Sequential(layers), layers[0]),
]
print("moving mean: without the argument", found[0], "with it", found[1], "in a Sequential", found[2])
assert found[0] == 0.0, "a model without the argument is trained now"
assert min(found[1:]) > 4.0
PYTHON
