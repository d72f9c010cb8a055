#!/usr/bin/env bash
# Keras 3.15.1 with JAX 0.10.2: one would guess that base(x, training=False) in a functional model keeps the base at
# inference while the model is trained, as the guide to transfer learning says, and Dropout(0.5)(x, training=True)
# drops in predict too. When the model runs, it gives its own training, True in fit and False in predict, to every
# layer that takes the argument, in place of what the call said.
# Seen: fit moves the moving mean of a batch normalisation that is called with training=False; predict twice through a
# dropout that is called with training=True gives the input. In the file of the model both calls have their flag. With
# base.trainable = False the batch normalisation stays as it is, so that scripts of the guide do not show it.
# nnx does what the call says, also for a model out of a file of Keras.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check 'keras==3.15.1' 'jax==0.10.2' 'jaxlib==0.10.2'
KERAS_BACKEND=jax "$folder/venv/bin/python" - <<'PYTHON'
import keras
import numpy as np

inputs = keras.Input((2,))
normalization = keras.layers.BatchNormalization()
model = keras.Model(inputs, keras.layers.Dense(1)(normalization(inputs, training=False)))
model.compile("sgd", "mse")
x = np.full((8, 2), 5.0, "float32")
before = normalization.moving_mean.numpy().copy()
model.fit(x, np.zeros((8, 1), "float32"), verbose=0)
after = normalization.moving_mean.numpy()
print("moving mean before and after fit:", before, after)
assert not np.array_equal(before, after), "the call with training=False is kept in fit now"

always = keras.Model(inputs, keras.layers.Dropout(0.5)(inputs, training=True))
predicted = always.predict(x, verbose=0)
print("share of zeros in predict:", (predicted == 0).mean())
assert (predicted == x).all(), "the call with training=True is kept in predict now"

calls = [layer["inbound_nodes"] for made in (model, always) for layer in made.get_config()["layers"]]
flags = [node["kwargs"]["training"] for nodes in calls for node in nodes if "training" in node["kwargs"]]
print("flags in the configurations:", flags)
assert flags == [False, True]
PYTHON
