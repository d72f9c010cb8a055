"""Scripts in the style of Keras' guides: with their import lines changed they run on nnx, to equal numbers.

Each leaves a dict `results`. It is compared with that of Keras on JAX, and with the dict `expected`, where a script has
one: it says what is known by hand, or was found with TensorFlow, which text, lookups and tapes need in Keras. A script
may say in a comment of its own line that it is for "nnx only", or what it "needs" beside NumPy.
"""

from __future__ import annotations

import importlib
import importlib.util
import re
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nnx

SCRIPTS = Path(__file__).parent / "scripts"
NAMES = sorted(path.stem for path in SCRIPTS.glob("*.py") if path.stem != "seeded")

# What README says of a script for Keras: these lines change, and nothing else.
IMPORT_LINES = (
    (r"^import keras$", "import nnx as keras"),
    (r"^import keras( as \w+)$", r"import nnx\1"),
    (r"^import tensorflow( as \w+)$", r"import nnx\1"),
    (r"^from tensorflow import keras$", "import nnx as keras"),
    (r"^from (?:tensorflow\.)?keras\b", "from nnx"),
    (r"^from jax import ((?:value_and_)?grad)$", r"from nnx import \1"),
)


def source(name: str) -> str:
    return (SCRIPTS / f"{name}.py").read_text(encoding="utf-8")


def for_nnx(script: str) -> str:
    """The script with its import lines changed."""
    for pattern, line in IMPORT_LINES:
        script = re.sub(pattern, line, script, flags=re.MULTILINE)
    return script


def runs_on_keras(name: str) -> bool:
    return re.search(r"^(# nnx only|(import|from) tensorflow)\b", source(name), re.MULTILINE) is None


@pytest.fixture(autouse=True)
def _beside_the_scripts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """An empty folder to write into, and the scripts' own modules; what they register is forgotten."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(SCRIPTS)
    registered = nnx.saving.get_custom_objects()
    before = dict(registered)
    yield
    registered.clear()
    registered.update(before)


def run(name: str, script: str) -> dict[str, Any]:
    """The names that a script has made."""
    for needed in re.findall(r"^# needs (\w+)$", script, re.MULTILINE):
        pytest.importorskip(needed)
    module: dict[str, Any] = {"__name__": "__main__", "__file__": str(SCRIPTS / f"{name}.py")}
    np.random.seed(0)  # noqa: NPY002, scripts use the global generator
    exec(compile(script, module["__file__"], "exec"), module)
    return module


def run_on_nnx(name: str) -> dict[str, Any]:
    nnx.utils.clear_session()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # forms of Keras 2, whose tests are elsewhere
        try:
            return run(name, for_nnx(source(name)))
        finally:
            nnx.mixed_precision.set_global_policy("float32")


def compare(found: Any, expected: Any, where: str) -> None:
    """Equal structures, texts and integers; numbers that are equal within 2e-4 of the largest of them."""
    if isinstance(expected, dict):
        assert sorted(found) == sorted(expected), where
        for name, value in expected.items():
            compare(found[name], value, f"{where}[{name!r}]")
    elif isinstance(expected, list | tuple) and not all(isinstance(part, int | float) for part in expected):
        assert len(found) == len(expected), where
        for index, value in enumerate(expected):
            compare(found[index], value, f"{where}[{index}]")
    elif isinstance(expected, str | None):
        assert found == expected, where
    else:
        found, expected = np.asarray(found), np.asarray(expected)
        assert found.shape == expected.shape, where
        if expected.dtype.kind == "f":
            scale = np.abs(expected).max(initial=0.0, where=np.isfinite(expected))
            np.testing.assert_allclose(found, expected, 2e-4, 2e-4 * scale, err_msg=where)
        else:
            np.testing.assert_array_equal(found, expected, where)


@pytest.mark.parametrize("name", NAMES)
def test_script_runs_with_its_import_lines_changed(name: str):
    module = run_on_nnx(name)
    assert module["results"]
    if not runs_on_keras(name):
        assert module["expected"], "say what Keras cannot"
    for key, value in module.get("expected", {}).items():
        compare(module["results"][key], value, key)


@pytest.mark.skipif(importlib.util.find_spec("keras") is None, reason="Keras is not installed: 'nnx-array[oracle]'")
@pytest.mark.parametrize("name", [name for name in NAMES if runs_on_keras(name)])
def test_script_has_the_numbers_of_keras(name: str):
    keras = importlib.import_module("keras")
    keras.utils.clear_session()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what Keras says of its libraries
        try:
            theirs = run(name, source(name))["results"]
        finally:
            keras.config.set_dtype_policy("float32")
    compare(run_on_nnx(name)["results"], theirs, "results")
