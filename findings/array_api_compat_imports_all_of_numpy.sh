#!/usr/bin/env bash
# array-api-compat 1.16.0 with NumPy 2.4.6: one would guess that a thin wrapper of NumPy's functions costs next to nothing
# to import. Importing it imports also what NumPy loads only when it is asked for: numpy.testing with unittest,
# numpy.f2py, numpy.polynomial and numpy.ctypeslib.
# Seen: `import numpy` loads none of these five, `import array_api_compat.numpy` all of them.
# A library that wants to import in a blink imports the wrapper where the first array comes, as nnx does.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check 'array-api-compat==1.16.0' 'numpy==2.4.6'
"$folder/venv/bin/python" - <<'PYTHON'
import subprocess
import sys

WATCHED = ["numpy.testing", "numpy.f2py", "numpy.polynomial", "numpy.ctypeslib", "unittest"]


def loaded(module: str) -> list[str]:
    code = f"import sys, {module}; print([name for name in {WATCHED} if name in sys.modules])"
    return eval(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout)


alone, wrapped = loaded("numpy"), loaded("array_api_compat.numpy")
print("import numpy:                  ", alone)
print("import array_api_compat.numpy: ", wrapped)
assert alone == [], "NumPy loads them by itself now"
assert wrapped == WATCHED, "array-api-compat no longer loads all of them"
PYTHON
