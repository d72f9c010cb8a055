#!/usr/bin/env bash
# Keras 3.15.1 on JAX 0.10.2: one would guess that zero_output_for_mask changes nothing without return_sequences, for its
# documentation says that only sequences use it, and that unroll=True changes no result. Where a mask leaves out the step
# that is computed last, the only output of SimpleRNN, LSTM and GRU is 0 in a loop, and the last state unrolled.
# Seen: of ones that are added up, the third of which is masked, the output is 0 in a loop and 2 unrolled; the state is 2.
# nnx gives 0, as the loop does, which is what scripts get that say nothing of unroll.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check 'keras==3.15.1' 'jax==0.10.2' 'jaxlib==0.10.2'
KERAS_BACKEND=jax "$folder/venv/bin/python" - <<'PYTHON'
import keras
import numpy as np


def output_and_state(unroll):
    layer = keras.layers.SimpleRNN(
        1,
        activation=None,
        kernel_initializer="ones",
        recurrent_initializer="ones",
        return_state=True,
        zero_output_for_mask=True,
        unroll=unroll,
    )
    y, state = layer(np.ones((1, 3, 1), "float32"), mask=np.asarray([[True, True, False]]))
    return float(y[0, 0]), float(state[0, 0])


print("in a loop:", output_and_state(False), "unrolled:", output_and_state(True))
assert output_and_state(False) == (0.0, 2.0), "the loop gives the state now"
assert output_and_state(True) == (2.0, 2.0), "what is unrolled is 0 now"
PYTHON
