#!/usr/bin/env bash
# Keras 3.15.1 on JAX 0.10.2: one would guess that a function of keras.ops that works on arrays works in a functional
# model, and that a model that works can be saved and loaded. Some operations keep an axis as a list, or get one from the
# JSON of the file, where tuples are lists, and functions of JAX take no list there.
# Seen: ops.norm(x, axis=1) and ops.quantile(x, 0.3, axis=1) work on arrays, and fail in every model; ops.nansum(x,
# axis=(1, 2)) works in a model until it has been saved and loaded. ops.sum(x, axis=(1, 2)) works everywhere.
# nnx computes and saves all of them; in a file for Keras it refuses, by name, those that Keras could not compute.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check 'keras==3.15.1' 'jax==0.10.2' 'jaxlib==0.10.2'
KERAS_BACKEND=jax "$folder/venv/bin/python" - "$folder/m.keras" <<'PYTHON'
import sys

import keras
import numpy as np
from keras import ops

X = np.ones((3, 4, 5), "float32")


def works(act):
    try:
        act()
    except Exception as error:
        assert "unhashable" in str(error) or "Non-hashable" in str(error), error
        return False
    return True


def seen(function):
    x = keras.Input((4, 5), batch_size=3)
    model = keras.Model(x, function(x))
    model.save(sys.argv[1])
    loaded = keras.saving.load_model
    return works(lambda: function(X)), works(lambda: model(X)), works(lambda: loaded(sys.argv[1])(X))


rows = {
    "norm(x, axis=1)": (lambda x: ops.norm(x, axis=1), (True, False, False)),
    "quantile(x, 0.3, axis=1)": (lambda x: ops.quantile(x, 0.3, axis=1), (True, False, False)),
    "nansum(x, axis=(1, 2))": (lambda x: ops.nansum(x, axis=(1, 2)), (True, True, False)),
    "sum(x, axis=(1, 2))": (lambda x: ops.sum(x, axis=(1, 2)), (True, True, True)),
}
for name, (function, expected) in rows.items():
    found = seen(function)
    print(f"{name:26} arrays {found[0]}, model {found[1]}, loaded model {found[2]}")
    assert found == expected, f"{name}: {found}, it was {expected}"
PYTHON
