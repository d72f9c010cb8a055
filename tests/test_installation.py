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
CUDA_WHEEL = runpy.run_path(str(ROOT / "ci" / "cuda_wheel.py"))
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


class Driver:
    """A stand-in for libcuda: which CUDA it is for, and the compute capabilities of its cards."""

    def __init__(self, version: int, *cards: tuple[int, int], problem: int = 0) -> None:
        self.version, self.cards, self.problem = version, cards, problem

    def cuInit(self, flags: int) -> int:  # noqa: N802, as CUDA names them
        return self.problem

    def cuDriverGetVersion(self, found: Any) -> None:  # noqa: N802
        found._obj.value = self.version

    def cuDeviceGetCount(self, found: Any) -> None:  # noqa: N802
        found._obj.value = len(self.cards)

    def cuDeviceGet(self, found: Any, index: int) -> None:  # noqa: N802
        found._obj.value = 10 * index

    def cuDeviceGetAttribute(self, found: Any, attribute: int, device: int) -> None:  # noqa: N802
        found._obj.value = self.cards[device // 10][attribute - 75]


@pytest.mark.parametrize(
    ("driver", "expected"),
    [
        (Driver(12040, (9, 0)), ("cupy", "cupy-cuda12x")),
        (Driver(13000, (9, 0)), ("cupy13", "cupy-cuda13x")),
        (Driver(14010, (7, 5), (12, 0)), ("cupy13", "cupy-cuda13x")),
        (Driver(13000, (7, 0)), ("cupy", "cupy-cuda12x")),
        (Driver(13000, (9, 0), (6, 1)), ("cupy", "cupy-cuda12x")),
        (Driver(11080, (8, 0)), "driver is for CUDA 11, but CuPy 14 needs CUDA 12"),
        (Driver(13000), "finds no device"),
        (Driver(13000, (9, 0), problem=100), "CUDA error 100"),
    ],
    ids=lambda value: str(value)[:30] if not isinstance(value, Driver) else f"{value.version} {value.cards}",
)
def test_the_wheel_of_cupy_is_that_for_the_driver_and_the_oldest_card(driver: Driver, expected: Any) -> None:
    if isinstance(expected, tuple):
        chosen = CUDA_WHEEL["choose"](*CUDA_WHEEL["ask"](driver))
        assert chosen == expected
        assert any(requirement.startswith(chosen[1]) for requirement in PROJECT["optional-dependencies"][chosen[0]])
        return
    with pytest.raises(ValueError, match=expected):
        CUDA_WHEEL["choose"](*CUDA_WHEEL["ask"](driver))
