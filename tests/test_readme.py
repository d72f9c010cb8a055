"""The README's commands are there, letter by letter, and its Python runs."""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from typing import Any

import pytest

import nnx
from nnx.backends import Placement

README = Path(__file__).parents[1] / "README.md"
COMMANDS = """
    python -m pip install -e '.[examples]' && python examples/quickstart.py
    python -m pip install -e '.[test]' && python -m pytest
"""


@pytest.fixture(scope="module")
def text() -> str:
    return README.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def blocks(text: str) -> list[str]:
    return re.findall(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def run(blocks: list[str]) -> dict[str, Any]:
    namespace: dict[str, Any] = {}
    for number, block in enumerate(blocks, start=1):
        exec(compile(block, f"README.md, block {number}", "exec"), namespace)
    return namespace


def test_its_first_lines_say_what_it_is_not(text: str) -> None:
    assert "`flax.nnx`" in "\n".join(text.splitlines()[:6])


def test_what_it_says_is_not_there_is_not_there(text: str) -> None:
    rows = {kind: re.findall(rf"^\| {kind} \| (.*)\|$", text, re.MULTILINE) for kind in ("layers", "callbacks")}
    for kind, (row,) in rows.items():
        names = [name for name in re.findall(r"`(\w+)`", row) if name[0].isupper()]
        assert names
        assert [name for name in names if hasattr(getattr(nnx, kind), name)] == []


KINDS = {
    "layers": nnx.layers.Layer,
    "optimizers": nnx.optimizers.Optimizer,
    "losses": nnx.losses.Loss,
    "metrics": nnx.metrics.Metric,
    "schedules": nnx.schedules.LearningRateSchedule,
    "initializers": nnx.initializers.Initializer,
    "callbacks": nnx.callbacks.Callback,
}
OF_THE_HOUSE = {"FunctionCall", "InputLayer", "Operation", "CallbackList", "LossFunctionWrapper", "MeanMetricWrapper"}


def test_what_it_says_is_there_is_all_that_is_there(text: str) -> None:
    """The lists are made of what the packages export; a failure shows the line as it has to be."""
    for kind, base in KINDS.items():
        package = getattr(nnx, kind)
        found = {name: getattr(package, name) for name in package.__all__}
        classes = {
            name: value
            for name, value in found.items()
            if inspect.isclass(value) and issubclass(value, base) and value is not base and value.__name__ == name
        }
        names = sorted(set(classes) - OF_THE_HOUSE, key=str.casefold)
        line = f"- {len(names)} {kind}: {', '.join(names)}"
        assert line in text.splitlines(), f"the README lacks the line\n{line}"


def test_the_two_commands(text: str) -> None:
    assert COMMANDS in text


def test_the_first_example(
    blocks: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert len([line for line in blocks[0].splitlines() if line]) <= 15
    model = run(blocks[:1])["model"]
    assert "Epoch 20/20" in capsys.readouterr().out
    assert model.history.history["val_accuracy"][-1] > 0.94
    assert sorted(path.name for path in tmp_path.iterdir()) == ["digits.safetensors", "learning_curve.png"]


def test_all_blocks_in_order(blocks: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    namespace = run(blocks)
    assert float(nnx.to_numpy(namespace["loss"])) < 0.2
    assert namespace["loaded"].history.epoch == [20]


def test_the_tests_that_it_shows(
    blocks: list[str], backend: Placement, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    shown = [block for block in blocks if "def test_" in block]
    namespace = run(["import nnx\nfrom nnx.layers import Dense\n", *shown])
    tests = [value for name, value in namespace.items() if name.startswith("test_")]
    assert len(tests) == 2
    for test in tests:
        if "backend" in inspect.signature(test).parameters:
            test(backend)


def test_the_gradient_check_that_it_shows(blocks: list[str], backend_float64: Placement) -> None:
    shown = [block for block in blocks if "def test_" in block]
    run(["import nnx\nfrom nnx.layers import Dense\n", *shown])["test_my_function"](backend_float64)


def test_the_files_and_folders_that_it_names_exist(text: str) -> None:
    names = re.findall(r"`((?:docs|examples|\.github)/[^`]*)`", text)
    assert len(names) >= 4
    for name in names:
        assert (README.parent / name).exists(), name
