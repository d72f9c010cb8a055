#!/usr/bin/env bash
# Keras 3.15.1 on JAX: one would guess that the loss of a model is that of its data and all penalties of its layers. Where
# several layers have an activity_regularizer, or call add_loss, some are left out of some compilations, as chance wants:
# each call of a layer first takes losses out that have the id of one that it had in an earlier trace, and Python gives the
# ids of objects that are gone to new ones, which are other layers' losses.
# Seen: a model whose loss is 0.6 has 0.57, 0.54 or 0.51 for a third of the batch sizes, other ones in each run.
# nnx adds all of them; tests against Keras give one layer of a model such a loss, and no more.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check 'keras==3.15.1' 'jax==0.10.2' 'jaxlib==0.10.2'
KERAS_BACKEND=jax "$folder/venv/bin/python" - <<'PYTHON'
import collections

import keras
import numpy as np

layers = [keras.layers.Dense(3, kernel_initializer="identity", activity_regularizer="l2") for _ in range(20)]
model = keras.Sequential([keras.Input((3,)), *layers])
model.compile("sgd", "mse")
found = collections.Counter()
for rows in range(1, 61):  # each number of rows is compiled anew
    ones = np.ones((rows, 3), np.float32)
    found[round(model.evaluate(ones, ones, batch_size=rows, verbose=0), 4)] += 1
print("losses of one and the same model:", dict(found))
assert max(found) == 0.6, "the loss is another one now: twenty penalties of 0.01 * 3"
assert len(found) > 1, "all losses are counted now"
PYTHON
