#!/usr/bin/env bash
# NumPy 2.4.6: one would guess that np.dot and np.matmul of two float32 matrices take the same time, since both pass
# them to the same routine of BLAS, with the same result. np.dot first fills the memory of the result with zeros, which
# BLAS then overwrites: where sums are short, as in gradients of kernels and for few features, that is much of the time.
# Seen on one core of an Intel Xeon (Sapphire Rapids), the time of np.matmul by that of np.dot, equal bits: 0.55 to 0.8
# for (512, 16) @ (16, 2048), 0.87 for (512, 8) @ (8, 1024), 0.81 for (1792, 28) @ (28, 512), 0.95 for
# (784, 128) @ (128, 512). Of small matrices np.dot is the faster one, as its call costs half as much.
# nnx makes large products by np.matmul.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check 'numpy==2.4.6'
OPENBLAS_NUM_THREADS=1 "$folder/venv/bin/python" - <<'PYTHON'
import timeit

import numpy as np

generator = np.random.default_rng(0)


ratios = {}
for rows, terms, columns in ((512, 16, 2048), (512, 8, 1024), (1792, 28, 512), (784, 128, 512)):
    a = generator.random((rows, terms), np.float32)
    b = generator.random((terms, columns), np.float32)
    results = {function: np.empty((rows, columns), np.float32) for function in (np.dot, np.matmul)}
    least = dict.fromkeys(results, float("inf"))
    for _ in range(300):  # in turn, so that what else runs meets both
        for function, result in results.items():
            least[function] = min(least[function], timeit.timeit(lambda: function(a, b, result), number=1))
    assert np.array_equal(*results.values()), "the results differ"
    ratios[terms] = least[np.matmul] / least[np.dot]
    print(f"({rows}, {terms}) @ ({terms}, {columns}): matmul takes {ratios[terms]:.2f} of the time of dot")
assert min(ratios[8], ratios[16]) < 0.95, "np.dot no longer takes longer than np.matmul"
PYTHON
