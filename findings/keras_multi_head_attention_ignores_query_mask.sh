#!/usr/bin/env bash
# Keras 3.15.1 on JAX 0.10.2: one would guess that MultiHeadAttention takes its argument query_mask as it takes value_mask,
# and as GroupQueryAttention takes both. It replaces the argument by the mask that the query itself carries, which is none
# for an array: the argument changes nothing, and no warning says so.
# Seen: query_mask=[[True, False]] gives the outputs without a mask; attention_mask with the same rows gives others, the
# mean of all values for the second row. GroupQueryAttention gives the same for both.
# nnx takes the argument: the two are equal in it.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check 'keras==3.15.1' 'jax==0.10.2' 'jaxlib==0.10.2'
KERAS_BACKEND=jax "$folder/venv/bin/python" - <<'PYTHON'
import keras
import numpy as np

keras.utils.set_random_seed(0)
X = np.random.default_rng(0).normal(size=(1, 2, 4)).astype("float32")
ROWS = np.asarray([[True, False]])


def differs(layer, **masks):
    return float(np.abs(np.asarray(layer(X, X, **masks)) - np.asarray(layer(X, X))).max()) > 1e-3


several, groups = keras.layers.MultiHeadAttention(2, 4), keras.layers.GroupQueryAttention(4, 2, 1)
matrix = np.repeat(ROWS[:, :, None], 2, axis=2)
seen = {
    "MultiHeadAttention, query_mask": differs(several, query_mask=ROWS),
    "MultiHeadAttention, attention_mask": differs(several, attention_mask=matrix),
    "GroupQueryAttention, query_mask": differs(groups, query_mask=ROWS),
}
print("changes the outputs:", seen)
assert list(seen.values()) == [False, True, True], "that has changed"
PYTHON
