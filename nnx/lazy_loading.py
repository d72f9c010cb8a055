"""Lazy loading: names of a package and optional packages, imported when somebody asks for them, or not there."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Mapping
from typing import Any, NoReturn


def on_demand(package: str, places: Mapping[str, str]) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """`__getattr__` and `__dir__` of a package whose names are imported when they are first asked for (PEP 562).

    places : for each name the module that has it, or that it is if their last words are equal. A name that has been
        asked for is the package's own from then on, so the second look costs nothing.

    >>> get, names = on_demand("here", {"sqrt": "math", "path": "os.path"})
    >>> get("sqrt")(4.0), get("path").__name__.endswith("path")
    (2.0, True)
    """
    own: dict[str, Any] = vars(sys.modules[package]) if package in sys.modules else {}

    def get(name: str) -> Any:
        place = places.get(name)
        if place is None:
            own[name] = _moved(package, name, names())
            return own[name]
        module = importlib.import_module(place)
        own[name] = module if place.rpartition(".")[2] == name else getattr(module, name)
        return own[name]

    def names() -> list[str]:
        return sorted({*own, *places})

    return get, names


def other_names(package: str) -> Callable[[str], Any]:
    """`__getattr__` of a package whose own names are there: for those of Keras that are elsewhere, or not there.

    >>> other_names("nnx.initializers")("Sine")
    Traceback (most recent call last):
    AttributeError: nnx.initializers has no 'Sine': give an array, or a function of (shape, dtype), as the initializer
    """
    return lambda name: _moved(package, name, list(vars(sys.modules.get(package, sys))))


def names_of(package: str) -> Callable[[str], Any]:
    """`__getattr__` of a module that has the name of one of Keras with more names: they are those of a package.

    >>> names_of("math")("sqrt")(4.0)
    2.0
    """

    def get(name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(f"the module has no attribute {name!r}")
        return attribute_of(package, name)

    return get


def _moved(package: str, name: str, known: list[str]) -> Any:
    """What Keras has under that name in a package, if it is elsewhere here; else AttributeError with what to write."""
    if name.startswith("__"):
        raise AttributeError(f"module {package!r} has no attribute {name!r}")
    keras_names = importlib.import_module("nnx.keras_names")
    place = keras_names.place_of(package, name)
    if place is not None:
        module = importlib.import_module(place)
        return module if place == f"{package}.{name}" else getattr(module, name)
    raise AttributeError(keras_names.instead_of(package, name, known))


class KerasModules:
    """Finder of modules that Keras, or an old script, has under nnx' name, and that no file has here.

    It is asked last, for what Python has not found: `from nnx.layers.core import Dense` gets it from `nnx.layers`, and
    `from nnx.applications import VGG16` is an ImportError that says what to write.
    """

    @staticmethod
    def find_spec(name: str, path: Any = None, target: Any = None) -> Any:
        """How to import it; None for what is not nnx'."""
        return importlib.import_module("nnx.keras_names").spec_of(name) if name.startswith("nnx.") else None


def attribute_of(module: str, name: str) -> Any:
    """A name of a module, which is imported by it. AttributeError if it has no such name.

    >>> attribute_of("math", "sqrt")(4.0)
    2.0
    """
    return getattr(importlib.import_module(module), name)


def not_there(module: str, advice: str) -> Callable[[str], NoReturn]:
    """A `__getattr__` for a module in which scripts for Keras look for what nnx does not have.

    advice : what the AttributeError says, with {name} for the name; Python's own names are simply not there.

    >>> not_there("here", "nnx has no {name}: write it")("exp")
    Traceback (most recent call last):
    AttributeError: nnx has no exp: write it
    """

    def refuse(name: str) -> NoReturn:
        own = name.startswith("__")
        raise AttributeError(f"module {module!r} has no attribute {name!r}" if own else advice.format(name=name))

    return refuse


def optional_import(module: str, purpose: str, extra: str = "examples") -> Any:
    """Import a module that comes with an extra of nnx; ImportError that says how to install it.

    purpose : what it is needed for; the error message begins with it.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        package = module.partition(".")[0]
        raise ImportError(
            f"{purpose} needs {package}, which cannot be imported ({error}); "
            f"install it with: pip install 'nnx-array[{extra}]'"
        ) from error
