#!/usr/bin/env bash
# Keras 3.15.1 on JAX 0.10.2: one would guess that a loss with a value for each output, (batch, outputs), multiplies each
# sample's values by its weight, as metrics and built-in losses do. The weights (batch,) meet the values by NumPy's
# broadcasting, from the last axis on: they multiply the outputs. Where there are as many outputs as samples in the batch,
# the loss is another number without a word; else it is an error of shapes.
# Seen: weights (1, 2, 0.5) for values of 3 samples with 3 outputs count for the outputs; 4 samples raise ValueError.
# nnx gives a weight to each sample; in Keras, weights of shape (batch, 1) do.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check 'keras==3.15.1' 'jax==0.10.2' 'jaxlib==0.10.2'
KERAS_BACKEND=jax "$folder/venv/bin/python" - <<'PYTHON'
import keras
import numpy as np


class PerOutput(keras.losses.Loss):
    def call(self, y_true, y_pred):
        return keras.ops.abs(y_true - y_pred) ** 1.5


def loss(samples, weights):
    values = np.arange(1.0, 3.0 * samples + 1.0, dtype="float32").reshape(samples, 3)
    return float(PerOutput()(np.zeros_like(values), values, sample_weight=np.float32(weights))), values**1.5


found, values = loss(3, [1.0, 2.0, 0.5])
by_samples = (values * np.float32([[1.0], [2.0], [0.5]])).mean()
by_outputs = (values * np.float32([1.0, 2.0, 0.5])).mean()
print(f"loss {found:.4f}; weights of samples would give {by_samples:.4f}, weights of outputs {by_outputs:.4f}")
assert abs(found - by_outputs) < 1e-3 < abs(found - by_samples), "the weights count for samples now"
try:
    loss(4, [1.0, 2.0, 0.5, 1.0])
except ValueError as error:
    print("4 samples:", str(error).splitlines()[0])
else:
    raise AssertionError("weights of four samples with three outputs are taken now")
found, _ = loss(3, [[1.0], [2.0], [0.5]])
print(f"weights (batch, 1): {found:.4f}")
assert abs(found - by_samples) < 1e-3
PYTHON
