"""Examples of every layer, one file a subject. A public layer without one fails the suite.

Every file of this package is found by itself: its `LAYERS` are part of those here.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Mapping, Sequence

from nnx import layers
from nnx.testing.rows.completeness import file_of, row_complaints
from nnx.testing.rows.layer_case import LayerCase, LayerRows

LAYERS = LayerRows()
"""For each layer, by the name of its class, its configurations with inputs."""

for _file in pkgutil.iter_modules(__path__):
    for _name, _cases in importlib.import_module(f"{__name__}.{_file.name}").LAYERS.items():
        LAYERS.setdefault(_name, []).extend(_cases)


def complaints(rows: Mapping[str, Sequence[LayerCase]]) -> list[str]:
    """What is missing for a layer, a sentence each: the file, and the line to add to it."""
    kinds = {kind for kind in vars(layers).values() if isinstance(kind, type) and issubclass(kind, layers.Layer)}
    public, registered = {kind.__name__ for kind in kinds}, layers.registry.objects
    # models, what operators and functions of symbols make (tests/ops/test_symbols.py), and bases, get no input here
    also = {name for name, kind in registered.items() if issubclass(kind, layers.Layer)}
    known = (public | also) - {"Layer", "Model", "Sequential", "Operation", "FunctionCall", "Wrapper"}
    proven = {name for name, cases in rows.items() if any(type(case.make()).__name__ == name for case in cases)}
    line = '_layer("{name}", lambda: {name}(), <the shape of an input>)'
    unregistered = {kind for kind in kinds - {layers.Layer} if registered.get(kind.__name__) is not kind}
    return [
        *sorted(f"{file_of(kind)}: put @registry.register() above the class {kind.__name__}" for kind in unregistered),
        *row_complaints("a file of nnx/testing/rows/layers", proven, known, line),
    ]
