#!/usr/bin/env bash
# NumPy 2.4.6: one would guess that np.where(mask, x, 0.0) takes about the time of x * mask, which does the same for
# finite numbers, since NumPy's loops over contiguous arrays are vectorised. That of `where` is not: it looks at one
# element of the mask after the other, so its time depends on the order of the mask, and where there is none, as in the
# derivative of a relu, the processor guesses every other branch wrong.
# Seen on an Intel Xeon (Sapphire Rapids), one million float32: 17.2 ms where the mask has no order, 3.0 ms for the same
# numbers of True and False in order, and 2.1 ms for the product, in any order.
# Bits take no guess either: those of x beside a mask of integers are right for NaN and infinity too, as nnx does.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check 'numpy==2.4.6'
"$folder/venv/bin/python" - <<'PYTHON'
import timeit

import numpy as np

x = np.random.default_rng(0).normal(size=1_000_000).astype(np.float32)
unordered = x > 0.0
ordered = np.sort(unordered)


def milliseconds(function: object) -> float:
    return min(timeit.repeat(function, number=5, repeat=7)) / 5 * 1e3


of_unordered = milliseconds(lambda: np.where(unordered, x, 0.0))
of_ordered = milliseconds(lambda: np.where(ordered, x, 0.0))
of_product = milliseconds(lambda: x * unordered)
np.testing.assert_array_equal(np.where(unordered, x, 0.0), x * unordered)
print(f"np.where, a mask without order: {of_unordered:5.1f} ms")
print(f"np.where, an ordered mask:      {of_ordered:5.1f} ms")
print(f"x * mask, without order:        {of_product:5.1f} ms")
assert of_unordered > 2.5 * of_ordered, "the order of the mask no longer matters"
assert of_unordered > 2.5 * of_product, "np.where is as fast as a product"
PYTHON
