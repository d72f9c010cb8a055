"""Examples of every initialiser. A public initialiser without one fails the suite."""

from __future__ import annotations

from typing import Any

from nnx import initializers
from nnx.testing.rows.completeness import public_classes, row_complaints

INITIALIZERS: dict[str, dict[str, Any]] = {
    "Constant": {"value": 0.3},
    "GlorotNormal": {},
    "GlorotUniform": {},
    "HeNormal": {},
    "HeUniform": {},
    "Identity": {"gain": 2.0},
    "LecunNormal": {},
    "LecunUniform": {},
    "Ones": {},
    "Orthogonal": {"gain": 1.5},
    "RandomNormal": {},
    "RandomUniform": {},
    "STFT": {"side": "imag", "window": "hamming", "scaling": "spectrum", "periodic": True},
    "TruncatedNormal": {},
    "VarianceScaling": {"scale": 2.0, "mode": "fan_avg", "distribution": "untruncated_normal"},
    "Zeros": {},
}
"""For each initialiser, arguments for an example."""


def complaints() -> list[str]:
    """What is missing for an initialiser, a sentence each: the file, and the line to add to it."""
    public = public_classes(initializers, initializers.Initializer)
    return row_complaints("nnx/testing/rows/initializers.py", INITIALIZERS, public, '"{name}": {{}},')
