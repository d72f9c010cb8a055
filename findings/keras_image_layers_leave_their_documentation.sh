#!/usr/bin/env bash
# Keras 3.15.1 on JAX 0.10.2: one would guess that image layers do what their documentation says. Four do something else:
# RandomContrast(0.2) draws factors from 1 to 1.2, documented are 0.8 to 1.2; RandomCrop leaves images as they are at
# inference, documented is that they are resized and cropped to its size; RandomPosterization(4) leaves 1 to 3 bits,
# documented are 4; RandomSaturation cuts saturation off at the end of value_range, which for (0, 255) lets colours leave it.
# Seen: no contrast below 1; a model with RandomCrop that trains on 4 x 4 predicts from 6 x 6; at most 8 values of a channel;
# a blue of -50800.
# nnx does what is documented.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check 'keras==3.15.1' 'jax==0.10.2' 'jaxlib==0.10.2'
KERAS_BACKEND=jax "$folder/venv/bin/python" - <<'PYTHON'
import keras
import numpy as np

layers = keras.layers
two = np.float32([[[100.0], [150.0]]])  # of contrast 50
contrasts = [float(np.ptp(layers.RandomContrast(0.2, seed=seed)(two, training=True))) / 50.0 for seed in range(20)]
print(f"RandomContrast(0.2): {min(contrasts):.2f} to {max(contrasts):.2f}")
assert min(contrasts) >= 1.0 - 1e-5, "contrast is lowered now"

images = np.zeros((2, 6, 6, 3), "float32")
crop = layers.RandomCrop(4, 4)
print("RandomCrop(4, 4):", crop(images, training=True).shape, "in training,", crop(images, training=False).shape, "else")
assert crop(images, training=False).shape == (2, 6, 6, 3), "images are cropped at inference now"

ramp = np.arange(256, dtype="float32").reshape(1, 16, 16, 1)
levels = [len(np.unique(layers.RandomPosterization(4, seed=seed)(ramp, training=True))) for seed in range(20)]
print("RandomPosterization(4):", sorted(set(levels)), "values")
assert max(levels) < 16, "4 bits are left now"

colour = np.float32([[[[200.0, 160.0, 120.0]]]])
blue = float(layers.RandomSaturation((1.0, 1.0))(colour, training=True)[0, 0, 0, 2])
print(f"RandomSaturation((1, 1)): blue {blue:.0f}")
assert blue < 0.0, "colours stay in their range now"
PYTHON
