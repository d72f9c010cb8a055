#!/usr/bin/env bash
# Keras 3.15.1: one would guess that a loss has its dtype again when a model is loaded, as metrics and layers have theirs.
# get_config() of every loss leaves it out, so the loaded model computes its loss in the default dtype, and another value.
# Seen: MeanAbsoluteError(dtype="float64") is float32 after saving and loading, and so is one in bfloat16; the loss of a
# difference of 1.001 is 1.0 before and 1.0010000467300415 after, in bfloat16. A metric keeps its dtype.
# nnx keeps the dtype of a loss in its configuration, and in the .keras files that it writes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check 'keras==3.15.1' 'jax==0.10.2' 'jaxlib==0.10.2'
KERAS_BACKEND=jax "$folder/venv/bin/python" - "$folder/model.keras" <<'PYTHON'
import sys

import keras
import numpy as np


def loaded(dtype):
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    model.compile("sgd", keras.losses.MeanAbsoluteError(dtype=dtype), [keras.metrics.MeanAbsoluteError(dtype=dtype)])
    model.save(sys.argv[1])
    return model.loss, keras.models.load_model(sys.argv[1]).loss


dtypes = {dtype: loaded(dtype)[1].dtype for dtype in ("float64", "bfloat16")}
print("after loading:", dtypes)
y_true, y_pred = np.zeros((1, 1), np.float32), np.full((1, 1), 1.001, np.float32)
values = [float(loss(y_true, y_pred)) for loss in loaded("bfloat16")]
print("values before and after:", values)
metric = keras.metrics.deserialize(keras.metrics.serialize(keras.metrics.MeanAbsoluteError(dtype="bfloat16")))
print("a metric:", metric.dtype)
assert dtypes == {"float64": "float32", "bfloat16": "float32"}, "losses keep their dtype now"
assert values[0] == 1.0, "the loss is not computed in bfloat16 now"
assert abs(values[1] - 1.001) < 1e-6, "the loaded loss is computed in bfloat16 now"
assert metric.dtype == "bfloat16", "metrics forget their dtype too now"
PYTHON
