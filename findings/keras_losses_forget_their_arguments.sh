#!/usr/bin/env bash
# Keras 3.15.1: one would guess that a loss in a file is the loss that the model was compiled with.
# get_config() of Huber leaves out delta, that of CosineSimilarity and of SparseCategoricalCrossentropy the axis, so the
# loaded model trains on with the defaults, without a word.
# Seen: Huber(0.1) of a difference of 2 is 0.195, after saving and loading 1.5; CosineSimilarity(axis=1) and
# SparseCategoricalCrossentropy(axis=1) have the axis -1. Tversky, which has arguments too, keeps them.
# nnx keeps the arguments of all losses in its configurations, and in the .keras files that it writes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check 'keras==3.15.1' 'jax==0.10.2' 'jaxlib==0.10.2'
KERAS_BACKEND=jax "$folder/venv/bin/python" - "$folder/model.keras" <<'PYTHON'
import sys

import keras
import numpy as np


def loaded(loss):
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    model.compile("sgd", loss)
    model.save(sys.argv[1])
    return keras.models.load_model(sys.argv[1]).loss


y_true, y_pred = np.zeros((1, 1), np.float32), np.full((1, 1), 2.0, np.float32)
huber = keras.losses.Huber(0.1)
values = [float(loss(y_true, y_pred)) for loss in (huber, loaded(huber))]
print("Huber(0.1) before and after:", values)
losses = (keras.losses.Huber, keras.losses.CosineSimilarity, keras.losses.SparseCategoricalCrossentropy)
kept = {one.__name__: sorted({"axis", "delta"} & set(one().get_config())) for one in losses}
print("kept:", kept)
tversky = loaded(keras.losses.Tversky(alpha=0.2, axis=1))
print("Tversky:", tversky.alpha, tversky.axis)
assert abs(values[0] - 0.195) < 1e-6, "Huber is another function now"
assert abs(values[1] - 1.5) < 1e-6, "Huber keeps its delta now"
assert not any(kept.values()), "more of the arguments are kept now"
assert (tversky.alpha, tversky.axis) == (0.2, 1), "Tversky forgets its arguments too now"
PYTHON
