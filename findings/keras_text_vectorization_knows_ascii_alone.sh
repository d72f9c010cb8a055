#!/usr/bin/env bash
# Keras 3.15.1 on TensorFlow 2.21.0: one would guess that TextVectorization, whose texts are UTF-8, makes the letters of
# any alphabet small, and splits at any blank, as Python does. Only A to Z become small, only ASCII's punctuation goes, and
# only ASCII's blanks split: "Ärger" and "ärger" are two words, an ideographic full stop stays, and so does a no-break space.
# Seen: of "ÄRGER ärger" and "日本。 a\u00a0b" the vocabulary has "Ärger", "ärger", "日本。" and "a\u00a0b".
# nnx has the same vocabularies; for other languages give standardize a function of one's own.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check 'keras==3.15.1' 'tensorflow-cpu==2.21.0'
KERAS_BACKEND=tensorflow TF_CPP_MIN_LOG_LEVEL=3 "$folder/venv/bin/python" - <<'PYTHON'
import keras

layer = keras.layers.TextVectorization()
layer.adapt(["ÄRGER ärger", "日本。 a\u00a0b"])
words = [str(word) for word in layer.get_vocabulary(include_special_tokens=False)]
print(words)
assert sorted(words) == ["a\u00a0b", "Ärger", "ärger", "日本。"], "other alphabets are known now"
PYTHON
