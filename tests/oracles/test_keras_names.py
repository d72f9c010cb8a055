"""Names of Keras that the README says are not there, against Keras itself."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import pytest

pytest.importorskip("jax", reason="the oracle JAX is not installed; pip install -e '.[oracle]' from a clone")
keras = pytest.importorskip("keras", reason="Keras is not installed; pip install -e '.[oracle]' from a clone")

import nnx  # noqa: E402

README = Path(__file__).parents[2] / "README.md"
PAIRS = {
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
    names = set(re.findall(r"`(\w+)`", row))
    return {name for name in names if name[0].isupper()}


@pytest.mark.skipif(not keras.__version__.startswith("3.15"), reason="the README's table is about Keras 3.15")
@pytest.mark.parametrize("kind", PAIRS)
def test_what_is_not_there_is_what_the_readme_says(kind: str) -> None:
    theirs, ours = PAIRS[kind]
    # other names of what is there, and a class that Keras exports by accident
    aside = {"IdentityInitializer", "OrthogonalInitializer", "STFTInitializer", "OptimizerMap"}
    classes = {name for name, _ in inspect.getmembers(theirs, inspect.isclass) if name[0].isupper()} - aside
    assert {name for name in classes if not hasattr(ours, name)} == missing_by_the_readme(kind)
