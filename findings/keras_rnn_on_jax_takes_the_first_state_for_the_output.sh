#!/usr/bin/env bash
# Keras 3.15.1 on JAX 0.10.2: one would guess that where a mask leaves a step out, RNN repeats the output before, as it
# says. Without unroll=True, on JAX it takes the cell's first state for that output: of a cell whose output is something
# else it returns numbers that the cell never gave, and unroll=True changes the result.
# Seen: a cell that returns 10 times its state gives 10, then 1 at the step left out; unrolled, 10 and 10.
# nnx repeats the output before, with and without unroll.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check 'keras==3.15.1' 'jax==0.10.2' 'jaxlib==0.10.2'
KERAS_BACKEND=jax "$folder/venv/bin/python" - <<'PYTHON'
import keras
import numpy as np


class Sum(keras.layers.Layer):
    state_size = 1

    def call(self, inputs, states):
        total = states[0] + inputs
        return 10.0 * total, [total]


def outputs(unroll):
    layer = keras.layers.RNN(Sum(), return_sequences=True, unroll=unroll)
    return np.asarray(layer(np.ones((1, 2, 1), "float32"), mask=np.asarray([[True, False]]))).ravel().tolist()


print("in a loop:", outputs(False), "unrolled:", outputs(True))
assert outputs(False) == [10.0, 1.0], "the loop repeats the output now"
assert outputs(True) == [10.0, 10.0]
PYTHON
