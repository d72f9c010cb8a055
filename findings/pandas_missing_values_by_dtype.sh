#!/usr/bin/env bash
# pandas 3.1.1 with NumPy 2.4.6: one would guess that np.asarray of a data frame of numbers is an array of numbers, and that
# pd.NA in it is always the same thing: NaN, or an object, or an error.
# Seen: NA becomes NaN in a column Int64 or Float64, and stays an object in a column boolean; a frame of Int64 and Float64
# is an array of objects where one of Int64 alone is of floats; truth values beside floats, as get_dummies makes them, are
# objects; and categories that are numbers are these numbers, without a word that the column is of categories.
# So nnx looks at each column's own dtype, and not at what the conversion of the table gave.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check 'pandas==3.1.1' 'numpy==2.4.6'
"$folder/venv/bin/python" - <<'PYTHON'
import numpy as np
import pandas as pd

whole, real = pd.array([1, None], dtype="Int64"), pd.array([0.5, None], dtype="Float64")
rows = {
    "Int64": (pd.DataFrame({"a": whole}), "float64"),
    "Float64": (pd.DataFrame({"a": real}), "float64"),
    "boolean": (pd.DataFrame({"a": pd.array([True, None], dtype="boolean")}), "object"),
    "Int64 beside Float64": (pd.DataFrame({"a": whole, "b": real}), "object"),
    "bool beside float": (pd.get_dummies(pd.DataFrame({"a": [0.5, 1.5], "town": ["x", "y"]})), "object"),
    "categories 7 and 9": (pd.DataFrame({"a": pd.Categorical([7, 9])}), "int64"),
}
for name, (frame, expected) in rows.items():
    host = np.asarray(frame)
    print(f"{name:21} {host.dtype!s:8} {host[-1].tolist()}")
    assert host.dtype == expected, f"{name}: {host.dtype}, it was {expected}"
assert np.isnan(np.asarray(rows["Int64"][0])[1, 0])
assert np.asarray(rows["boolean"][0])[1, 0] is pd.NA
PYTHON
