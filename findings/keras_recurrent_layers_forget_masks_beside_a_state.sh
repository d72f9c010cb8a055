#!/usr/bin/env bash
# Keras 3.15.1 with JAX 0.10.2: one would guess that LSTM()(x, initial_state=[h, c]) leaves out the steps that the mask
# of x leaves out, as LSTM()(x) does, in any decoder of sequences of several lengths behind Embedding(mask_zero=True).
# The mask is not used: a call with several arrays looks for arguments that are called after them, sequences_mask and
# initial_state_mask, and a recurrent layer has `mask`. Nothing says so.
# Seen: with states of zeros, which are the default, the outputs differ from those without a state; they are those of
# the same numbers without a mask. So it is for LSTM, GRU and SimpleRNN, eagerly and in a functional model; mask=...
# helps.
# nnx leaves the steps out.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check 'keras==3.15.1' 'jax==0.10.2' 'jaxlib==0.10.2'
KERAS_BACKEND=jax "$folder/venv/bin/python" - <<'PYTHON'
import keras
import numpy as np
from keras import layers

words = np.asarray([[1, 2, 0, 0], [3, 4, 5, 0]], "int32")

for kind, states in ((layers.LSTM, 2), (layers.GRU, 1), (layers.SimpleRNN, 1)):
    embedding, layer = layers.Embedding(9, 3, mask_zero=True), kind(4)
    inputs, given = keras.Input((4,), dtype="int32"), [keras.Input((4,)) for _ in range(states)]
    embedded, mask = embedding(inputs), keras.ops.not_equal(inputs, 0)
    zeros = [np.zeros((2, 4), "float32")] * states
    masked = keras.Model(inputs, layer(embedded)).predict(words, verbose=0)
    stated = keras.Model([inputs, *given], layer(embedded, initial_state=given))
    stated = stated.predict([words, *zeros], verbose=0)
    told = keras.Model([inputs, *given], layer(embedded, initial_state=given, mask=mask))
    told = told.predict([words, *zeros], verbose=0)
    eager = layer(embedding(words), initial_state=list(map(keras.ops.convert_to_tensor, zeros)))
    unmasked = layer(keras.ops.take(embedding.embeddings, words, axis=0))
    differs = np.abs(masked - stated).max()
    print(f"{kind.__name__}: with a state of zeros the outputs are others by {differs:.3f}")
    assert np.allclose(masked, told, atol=1e-6), "mask= no longer helps"
    assert differs > 1e-3, "the mask counts beside a state now"
    assert np.allclose(stated, unmasked, atol=1e-6) and np.allclose(eager, unmasked, atol=1e-6)
PYTHON
