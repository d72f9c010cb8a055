"""Names of a package that are imported when somebody asks for them, so that `import nnx` stays quick."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from typing import Any


def on_demand(package: str, places: Mapping[str, str]) -> Callable[[str], Any]:
    """A `__getattr__` for a package: for each name the module that has it, or that it is if their last words are equal.

    >>> get = on_demand("here", {"sqrt": "math", "path": "os.path"})
    >>> get("sqrt")(4.0), get("path").__name__.endswith("path")
    (2.0, True)
    """

    def get(name: str) -> Any:
        place = places.get(name)
        if place is None:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        module = importlib.import_module(place)
        return module if place.rpartition(".")[2] == name else getattr(module, name)

    return get
