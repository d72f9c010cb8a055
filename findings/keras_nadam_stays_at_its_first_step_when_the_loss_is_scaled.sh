#!/usr/bin/env bash
# Keras 3.15.1 on JAX: one would guess that LossScaleOptimizer changes the size of gradients on their way, and nothing of
# the optimizer inside. Its scale is a power of two, so in float32 training goes the same way with it and without.
# For Adam it does. Nadam multiplies up its momenta in a variable that LossScaleOptimizer does not count among its own,
# so each step forgets it: all are corrected like a first one, and 1 - product, by which they divide, never comes near
# to 1. mixed_float16 wraps the optimizer by itself, so that Nadam takes larger steps there.
# Seen after 16 steps: the product is 0.000135 without the wrapper, and 1.0 in it, with run_eagerly=True too; weights
# differ by 0.105, those of Adam by nothing.
# nnx computes the product from the number of steps, so scaling the loss does not change it.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check 'keras==3.15.1' 'jax==0.10.2' 'jaxlib==0.10.2'
KERAS_BACKEND=jax "$folder/venv/bin/python" - <<'PYTHON'
import keras
import numpy as np

x = np.random.default_rng(0).normal(size=(64, 2)).astype(np.float32)
y = x.sum(axis=1, keepdims=True)


def trained(optimizer, eagerly=False):
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1, kernel_initializer="ones")])
    model.compile(optimizer, "mse", run_eagerly=eagerly)
    model.fit(x, 2 * y, batch_size=4, verbose=0, shuffle=False)
    return model.get_weights()[0]


def difference(make, eagerly=False):
    plain, wrapped = make(), make()
    scaling = keras.optimizers.LossScaleOptimizer(wrapped, initial_scale=2.0**10)
    weights = trained(plain, eagerly), trained(scaling, eagerly)
    return float(np.abs(weights[0] - weights[1]).max()), [float(getattr(one, "_u_product", 0)) for one in (plain, wrapped)]


adam, _ = difference(lambda: keras.optimizers.Adam(0.01))
nadam, products = difference(lambda: keras.optimizers.Nadam(0.01))
eager, products_eager = difference(lambda: keras.optimizers.Nadam(0.01), eagerly=True)
print("Adam:", adam, "Nadam:", nadam, products, "Nadam, eager:", eager, products_eager)
assert adam < 1e-6, "Adam depends on the wrapper now"
assert nadam > 1e-2, "Nadam is the same with the wrapper now"
assert products[0] < 0.001 and products[1] == 1.0, "the product is kept in the wrapper now"
assert eager > 1e-2 and products_eager[1] == 1.0, "eager steps keep the product now"
PYTHON
