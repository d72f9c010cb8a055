"""Docstrings of public names: each has one, whose first line can be read alone, and formulas have an example.

The reference is made of these docstrings, and of the same list of names: ci/documentation/.
"""

from __future__ import annotations

import inspect
import runpy
from pathlib import Path
from typing import Any

import pytest

import nnx

PUBLIC = runpy.run_path(str(Path(__file__).parents[1] / "ci" / "documentation" / "public_names.py"))
ALL = [name for name in PUBLIC["names"](nnx) if name.of is None and name.kind != "module"]
NAMES = [name for name in ALL if name.kind in ("class", "function")]
DESCRIBED = {id(name.value): name for name in NAMES}

# Modules whose names compute something: their docstrings show it, with shapes and an example that runs.
WITH_EXAMPLES = (
    "nnx.activations",
    "nnx.constraints",
    "nnx.functional",
    "nnx.initializers",
    "nnx.layers",
    "nnx.losses",
    "nnx.metrics",
    "nnx.ops",
    "nnx.optimizers",
    "nnx.regularizers",
    "nnx.schedules",
)
LONGEST_FIRST_LINE = 116  # a first line is one line of the source


def documented() -> dict[str, str]:
    """The text of everything that a page describes, by where it is in the source."""
    found = {name.path: name.text for name in ALL if name.kind == "data"}
    for name in NAMES:
        found[source(name.value)] = name.text
        if name.kind == "class":
            for key in PUBLIC["members"](name, DESCRIBED)[0]:
                holder = PUBLIC["describing"](name.value, key)
                found[f"{source(holder)}.{key}"] = inspect.cleandoc(vars(holder)[key].__doc__ or "")
    return found


def source(value: Any) -> str:
    """Where a class or function is defined."""
    return f"{value.__module__}.{value.__qualname__}"


def report(problem: str, paths: list[str]) -> None:
    if paths:
        listing = "\n".join(f"    {path}" for path in sorted(paths))
        pytest.fail(f"{len(paths)} public names {problem}:\n{listing}", pytrace=False)


def test_every_public_name_has_a_docstring() -> None:
    report("have no docstring", [path for path, text in documented().items() if not text])


def test_the_first_line_can_be_read_alone() -> None:
    broken = []
    for path, text in documented().items():
        first, _, rest = text.partition("\n")
        goes_on = rest != "" and not rest.startswith("\n")
        if text and (goes_on or len(first) > LONGEST_FIRST_LINE or first.rstrip().endswith((",", ";", ":"))):
            broken.append(f"{path}: {first}")
    report("have a first line that goes on in the next one", broken)


def test_what_computes_shows_an_example() -> None:
    computing = [name for name in NAMES if name.module in WITH_EXAMPLES]
    report("have no example (>>>)", [source(name.value) for name in computing if ">>> " not in name.text])
