#!/usr/bin/env bash
# Keras 3.15.1 with JAX 0.10.2: one would guess that layers behind LSTM(go_backwards=True, return_sequences=True) leave
# out the steps that the mask leaves out. The outputs come in the order in which the steps were read, the last one
# first, and the mask stays in that of the input: behind padding at the end, what follows reads the steps of the
# padding and leaves out those of the words. Nothing says so. Bidirectional is not concerned, it turns the outputs
# back.
# Seen: of [1, 2, 0, 0] a second LSTM reads the two steps of the padding, which are the initial state, and returns
# zeros; with the mask turned too it returns other numbers. So it is for GRU and SimpleRNN.
# nnx turns the mask with the outputs.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check 'keras==3.15.1' 'jax==0.10.2' 'jaxlib==0.10.2'
KERAS_BACKEND=jax "$folder/venv/bin/python" - <<'PYTHON'
import keras
import numpy as np
from keras import layers

words = np.asarray([[1, 2, 0, 0]], "int32")

for kind in (layers.LSTM, layers.GRU, layers.SimpleRNN):
    inputs = keras.Input((4,), dtype="int32")
    embedded = layers.Embedding(9, 3, mask_zero=True)(inputs)
    backwards, last = kind(4, go_backwards=True, return_sequences=True), kind(4)
    steps = backwards(embedded)
    read = keras.Model(inputs, last(steps)).predict(words, verbose=0)
    turned = keras.ops.flip(keras.ops.not_equal(inputs, 0), axis=1)
    expected = keras.Model(inputs, last(steps, mask=turned)).predict(words, verbose=0)
    print(f"{kind.__name__}: {read.tolist()}, with the mask turned {expected.tolist()}")
    assert not read.any(), "the mask is turned now"
    assert expected.any()
PYTHON
