"""Names and signatures of Keras against those that are here, and those that the README says are not."""

from __future__ import annotations

import functools
import inspect
import re
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("jax", reason="the oracle JAX is not installed; pip install -e '.[oracle]' from a clone")
keras = pytest.importorskip("keras", reason="Keras is not installed; pip install -e '.[oracle]' from a clone")

import nnx  # noqa: E402

README = Path(__file__).parents[2] / "README.md"
PAIRS = {
    "layers": (keras.layers, nnx.layers),
    "optimizers": (keras.optimizers, nnx.optimizers),
    "losses": (keras.losses, nnx.losses),
    "metrics": (keras.metrics, nnx.metrics),
    "schedules": (keras.optimizers.schedules, nnx.schedules),
    "initializers": (keras.initializers, nnx.initializers),
    "callbacks": (keras.callbacks, nnx.callbacks),
}


def missing_by_the_readme(kind: str) -> set[str]:
    """The names in the README's table in the row of a kind."""
    (row,) = [line for line in README.read_text(encoding="utf-8").splitlines() if re.match(rf"\| [\w, ]*{kind}", line)]
    names = set(re.findall(r"`(\w+)`", re.sub(r"`(\w+?)1D`, `2D` and `3D`", r"`\g<1>1D`, `\g<1>2D`, `\g<1>3D`", row)))
    return {name for name in names if name[0].isupper()}


@pytest.mark.skipif(not keras.__version__.startswith("3.15"), reason="the README's table is about Keras 3.15")
@pytest.mark.parametrize("kind", PAIRS)
def test_what_is_not_there_is_what_the_readme_says(kind: str) -> None:
    theirs, ours = PAIRS[kind]
    # other names of what is there, and a class that Keras exports by accident
    aside = {"IdentityInitializer", "OrthogonalInitializer", "STFTInitializer"}
    classes = {name for name, _ in inspect.getmembers(theirs, inspect.isclass) if name[0].isupper()} - aside
    assert {name for name in classes if not hasattr(ours, name)} == missing_by_the_readme(kind)


def names_of(module: types.ModuleType, path: str = "") -> Iterator[tuple[str, Any]]:
    """The public names of Keras, each with what it is."""
    for name in sorted(dir(module)):
        if name.startswith("_") or name == "legacy":
            continue
        thing = getattr(module, name, None)
        full = f"{path}.{name}" if path else name
        if not isinstance(thing, types.ModuleType):
            yield full, thing
        elif thing.__name__.startswith("keras.") and "src" not in thing.__name__ and full.count(".") < 4:
            yield from names_of(thing, full)


def arguments_of(thing: Any) -> list[str] | None:
    try:
        parameters = inspect.signature(thing).parameters.values()
    except (TypeError, ValueError):
        return None
    return [p.name for p in parameters if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]


def test_signatures() -> None:
    """Arguments by name and order; docs/departures.md says where and why they differ."""
    both, different = 0, []
    for path, theirs in names_of(keras):
        try:
            ours = functools.reduce(getattr, path.split("."), nnx)
        except AttributeError:
            continue
        both += 1
        expected, given = arguments_of(theirs), arguments_of(ours)
        if None not in (expected, given) and expected != given:
            different.append(f"{path}: {expected}, here {given}")
    assert both >= 1000
    assert len(different) <= 0.03 * both, different
