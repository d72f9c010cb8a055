#!/usr/bin/env bash
# Keras 3.15.1 on JAX 0.10.2: one would guess from its code, which assigns the normalised kernel in training, that after
# `fit` the kernel of a layer in SpectralNormalization is a normalised one. On JAX the trained weights come from the
# optimizer, and what is assigned to a trained weight inside of a step is gone after it: the kernel stays as large as it
# is, training divides it by its singular value, and `predict` uses it undivided. A call outside of `fit` with
# training=True does change it.
# Seen: after a step of `fit`, predict(x) is x @ kernel for a kernel whose largest singular value is far from 1.
# nnx divides in training and leaves the kernel alone, so its numbers are those of Keras on JAX.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check 'keras==3.15.1' 'jax==0.10.2' 'jaxlib==0.10.2'
KERAS_BACKEND=jax "$folder/venv/bin/python" - <<'PYTHON'
import keras
import numpy as np

x = np.float32([[1.0, 2.0], [0.5, -1.0]])
layer = keras.layers.SpectralNormalization(keras.layers.Dense(2, use_bias=False), power_iterations=50)
model = keras.Sequential([keras.Input((2,)), layer])
layer.kernel.assign([[3.0, 0.0], [0.0, 1.0]])
model.compile(keras.optimizers.SGD(1e-3), "mse")
in_training = model.train_on_batch(x, np.zeros((2, 2), "float32"))
kernel = np.asarray(layer.kernel)
largest = np.linalg.svd(kernel)[1][0]
print(f"the largest singular value after a step: {largest:.3f}")
print(f"loss in training {in_training:.3f}, of the undivided kernel {np.mean((x @ [[3, 0], [0, 1]]) ** 2):.3f}")
assert largest > 2.9, "the kernel is normalised after a step now"
assert np.allclose(model.predict(x, verbose=0), x @ kernel, atol=1e-6)
layer(x, training=True)
assert np.linalg.svd(np.asarray(layer.kernel))[1][0] < 1.1, "a call by itself no longer changes the kernel"
PYTHON
