#!/usr/bin/env bash
# Keras 3.15.1 on JAX 0.10.2: one would guess that a weight of a layer may be an argument of every function of keras.ops,
# as it is of matmul, multiply and add. `outer` hands its arguments to jax.numpy as they are, and JAX no longer converts
# such objects while it traces, as its functions do inside.
# Seen: in `call`, ops.outer(self.w, self.w) raises "Triggering __jax_array__() during abstractification is no longer
# supported", and so does ops.outer of two variables anywhere else; with `self.w + 0.0` it works.
# In nnx a parameter is an operand of every function of nnx.ops; rows of its comparison with Keras write `w + 0.0`.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check 'keras==3.15.1' 'jax==0.10.2' 'jaxlib==0.10.2'
KERAS_BACKEND=jax "$folder/venv/bin/python" - <<'PYTHON'
import keras
import numpy as np
from keras import ops


def layer_of(expression):
    class Mine(keras.layers.Layer):
        def build(self, input_shape):
            self.w = self.add_weight(shape=(4,), initializer="ones", name="w")

        def call(self, x):
            return expression(x, self.w)

    return Mine()


def outcome(expression):
    try:
        keras.Sequential([keras.Input((4,)), layer_of(expression)])
    except Exception as error:
        return "refused" if "__jax_array__" in str(error) else f"another error: {error}"
    return "works"


rows = {
    "multiply(x, w)": (lambda x, w: ops.multiply(x, w), "works"),
    "matmul(x, outer(w + 0.0, w + 0.0))": (lambda x, w: ops.matmul(x, ops.outer(w + 0.0, w + 0.0)), "works"),
    "matmul(x, outer(w, w))": (lambda x, w: ops.matmul(x, ops.outer(w, w)), "refused"),
}
for name, (expression, expected) in rows.items():
    found = outcome(expression)
    print(f"{name:36} {found}")
    assert found == expected, f"{name}: {found}, it was {expected}"
variable = keras.Variable(np.ones(4, "float32"))
try:
    ops.outer(variable, variable)
except ValueError as error:
    print("outer of two variables:             ", str(error)[:60], "...")
else:
    raise AssertionError("outer takes variables now")
PYTHON
