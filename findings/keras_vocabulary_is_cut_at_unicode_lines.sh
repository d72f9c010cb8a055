#!/usr/bin/env bash
# Keras 3.15.1 on TensorFlow 2.21.0: one would guess that a model is loaded with the vocabulary that it was saved with. A
# vocabulary that was adapted is a text file with a token in each line, which is read by str.splitlines: that also cuts at
# U+0085, U+2028 and others, at which TextVectorization does not split. Such a token becomes two, and all behind it have
# another number, without a word.
# Seen: of ["b\u2028c", "a"] the second is number 3 when it is saved, and number 4 when it is loaded.
# nnx reads one token of each line, in files of Keras too.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check 'keras==3.15.1' 'tensorflow-cpu==2.21.0'
KERAS_BACKEND=tensorflow TF_CPP_MIN_LOG_LEVEL=3 "$folder/venv/bin/python" - "$folder/model.keras" <<'PYTHON'
import sys

import keras
import tensorflow as tf

layer = keras.layers.TextVectorization()
layer.adapt(["b\u2028c b\u2028c", "a"])
x = keras.Input((1,), dtype="string")
model = keras.Model(x, layer(x))
before = model(tf.constant([["a"]])).numpy().tolist()
model.save(sys.argv[1])
after = keras.models.load_model(sys.argv[1])(tf.constant([["a"]])).numpy().tolist()
print(f"saved {before}, loaded {after}")
assert before == [[3]], "the numbers are others now"
assert after == [[4]], "the vocabulary is whole now"
PYTHON
