"""What tables of examples lack: the file, and the line to add to it."""

from __future__ import annotations

import inspect
import pathlib
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import nnx


def file_of(thing: Any) -> str:
    """The file that a class, a function or a module stands in, from the top of the repository."""
    return pathlib.Path(inspect.getfile(thing)).relative_to(pathlib.Path(nnx.__file__).parent.parent).as_posix()


def row_complaints(file: str, rows: Collection[str], things: Collection[str], line: str) -> list[str]:
    """A sentence for each thing without a row, and for each row without a thing.

    line : what to add, where `{name}` stands for the thing.
    """
    lacking = [f"{file}: add the row  {line.format(name=name)}" for name in sorted(set(things) - set(rows))]
    surplus = [f"{file}: remove the row of {name!r}, or export it" for name in sorted(set(rows) - set(things))]
    return lacking + surplus


def assert_complete(complaints: Sequence[str]) -> None:
    """AssertionError that lists all complaints, if there are any."""
    if complaints:
        raise AssertionError("\n".join(["this is missing:", *complaints]))


def keras_complaints(file: str, module: Any, compared: Mapping[str, bool]) -> list[str]:
    """A sentence for each row that says the wrong thing of Keras.

    module : where Keras has such things.
    compared : for each thing whether its row says that it is compared with Keras.
    """
    return [
        f"{file}: Keras has {name}: compare it, by keras=... in its row"
        if hasattr(module, name)
        else f"{file}: Keras has no {name}: leave out keras=..., or write keras=False, in its row"
        for name, said in compared.items()
        if hasattr(module, name) is not said
    ]


def public_classes(module: Any, base: type[Any], without: Collection[str] = ()) -> set[str]:
    """The names of the subclasses of a class that a module exports, but for itself and some others."""
    kinds = [getattr(module, name) for name in module.__all__]
    names = {kind.__name__ for kind in kinds if isinstance(kind, type) and issubclass(kind, base)}
    return names - {base.__name__, *without}
