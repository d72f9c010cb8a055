"""What is said about installing nnx names this project: `nnx` on PyPI is another one. ci/installation.py asks PyPI."""

from __future__ import annotations

import re
import runpy
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
INSTALLATION = runpy.run_path(str(ROOT / "ci" / "installation.py"))
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
FOLDERS = ("nnx", "tests", "ci", "examples", "docs", ".ci", ".github")


def texts() -> Iterator[tuple[str, str]]:
    """Every line that somebody wrote, with its place."""
    files = [*ROOT.glob("*.*"), *(file for folder in FOLDERS for file in sorted((ROOT / folder).rglob("*")))]
    for file in files:
        if file.is_file() and (file.suffix in (".py", ".md", ".toml", ".sh", ".txt") or file.name == "run"):
            for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), start=1):
                yield f"{file.relative_to(ROOT)}:{number}", line


def test_the_distribution_has_a_name_of_its_own() -> None:
    assert PROJECT["name"] == INSTALLATION["DISTRIBUTION"] == "nnx-array"


def test_extras_refer_to_extras_of_the_same_distribution() -> None:
    for name, requirements in PROJECT["optional-dependencies"].items():
        for requirement in requirements:
            assert re.split(r"[^\w-]", requirement)[0] != "nnx", f"extra {name}: {requirement}"


def test_no_text_installs_the_other_nnx() -> None:
    wrong = [place for place, line in texts() if re.search(r"(?<![\w.-])nnx\\?\[[a-z{$]", line)]
    for place, line in texts():
        for arguments in re.findall(r"pip3? install ([^`\n#&;|)]+)", line):
            wrong += [place] * ("nnx" in re.findall(r"[\w./-]+", arguments))
    assert wrong == []


def test_every_extra_that_is_named_is_there() -> None:
    extras = set(INSTALLATION["extras"]())
    for place, line in texts():
        for named in re.findall(r"nnx-array\\?\[([a-z0-9,]+)\\?\]|'\.\[([a-z0-9,]+)\]'", line):
            assert set("".join(named).split(",")) <= extras, place


def test_the_commands_that_ci_asks_the_index_about() -> None:
    asked = INSTALLATION["asked"]()
    for arguments in [("-e", ".[examples]"), ("-e", ".[cupy]"), ("nnx-array[cupy13]",), ("nnx-array[oracle]",)]:
        assert arguments in asked
    assert all(folder.is_dir() for _, folder in asked.values())
    text = "`pip install torch`, `pip install 'a[b]'` (12) or `'a[c]'`\n    pip install -e '.[test]' && x  # or e"
    assert INSTALLATION["commands"](text) == [["torch"], ["a[b]"], ["a[c]"], ["-e", ".[test]"]]


@pytest.mark.parametrize(
    ("name", "url", "wrong"),
    [
        ("nnx", "https://index/nnx-0.0.8.whl", True),
        ("NNX_Array", "https://index/nnx_array-9.whl", True),
        ("nnx-array", ROOT.resolve().as_uri(), False),
        ("numpy", "https://index/numpy-2.whl", False),
        ("nnx-other", "https://index/nnx_other-2.whl", False),
    ],
)
def test_what_is_wrong_with_an_answer_of_pip(name: str, url: str, wrong: bool) -> None:
    report = {"install": [{"metadata": {"name": name, "version": "1"}, "download_info": {"url": url}}]}
    assert INSTALLATION["problem"](report) == (f"would install {name} 1 from {url}" if wrong else None)
