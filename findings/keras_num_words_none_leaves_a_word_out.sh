#!/usr/bin/env bash
# Keras 3.15.1: one would guess that imdb.load_data() and reuters.load_data() keep all words with num_words=None, as their
# documentation says, and that maxlen truncates longer texts, as it says too. None means "below the largest number that
# occurs": the word with that number becomes oov_char. A text of maxlen numbers or more is left out, with its label.
# Seen: of the texts (5, 1, 300), (7, 2), (3,) the word 300 becomes 2; with maxlen=3 only (3,) is left, as [1, 6].
# nnx gives the same rows, since the order and the numbers are Keras', and says so in its documentation.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check 'keras==3.15.1' 'jax==0.10.2' 'jaxlib==0.10.2'
KERAS_BACKEND=jax "$folder/venv/bin/python" - "$folder/texts.npz" <<'PYTHON'
import sys

import numpy as np
from keras.src.datasets import reuters

texts = np.empty(3, object)
texts[:] = [[5, 1, 300], [7, 2], [3]]
np.savez(sys.argv[1], x=texts, y=np.arange(3))
reuters.get_file = lambda **_: sys.argv[1]  # which would download the file, or compare its checksum


def rows(**arguments):
    (x, y), _ = reuters.load_data(test_split=0.0, **arguments)
    return {int(label): list(row) for label, row in zip(y, x)}


everything, short = rows(), rows(maxlen=3, num_words=1000)
print("num_words=None:", everything)
print("maxlen=3:      ", short)
assert everything[0] == [1, 8, 4, 2], "the word with the largest number is kept now"
assert short == {2: [1, 6]}, "texts of three numbers are kept now, or truncated"
PYTHON
