"""The pytest plugin, as a user's project sees it: pytest runs in a process of its own."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import pathlib
import subprocess
import sys

import pytest

import nnx

ROOT = pathlib.Path(nnx.__file__).parents[1]
TESTS = """
import nnx

def test_row(backend):
    placement = nnx.get_backend()
    assert placement is backend
    x = nnx.asarray([1.0])
    assert x.dtype == backend.xp.float32
    print("ROW", backend.name, backend.device)

def test_float64_row(backend_float64):
    assert nnx.asarray([1.0]).dtype == backend_float64.xp.float64
    print("ROW64", backend_float64.name, backend_float64.device)

def test_after():
    assert nnx.get_backend().name == "numpy"
"""


@pytest.fixture
def project(tmp_path: pathlib.Path) -> pathlib.Path:
    (tmp_path / "pytest.ini").write_text("[pytest]\nfilterwarnings = error\n")
    (tmp_path / "test_it.py").write_text(TESTS)
    return tmp_path


def run(project: pathlib.Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    installed = any(point.name == "nnx" for point in importlib.metadata.entry_points(group="pytest11"))
    plugin = [] if installed else ["-p", "nnx.testing.plugin"]
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-rA", *plugin, *arguments]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTEST_ADDOPTS": ""}
    return subprocess.run(command, cwd=project, env=environment, capture_output=True, text=True)


def test_by_default_every_usable_row_runs_and_the_others_say_why(project: pathlib.Path) -> None:
    (project / "conftest.py").write_text(
        "import array_api_compat.numpy\n"
        "import nnx\n"
        "class Mine(nnx.Backend):\n"
        "    name, module, install = 'mine', 'json', ''\n"
        "    def load(self): return array_api_compat.numpy\n"
        "    def from_host(self, array, *, device=None): return array\n"
        "nnx.register_backend(Mine())\n"
    )
    result = run(project)
    assert result.returncode == 0, result.stdout
    for row in ("numpy None", "array-api-strict device1", "array-api-strict no_float64", "mine None"):
        assert f"ROW {row}\n" in result.stdout
    assert "test_it.py::test_row[numpy]" in result.stdout
    assert "test_it.py::test_row[array-api-strict-device1]" in result.stdout
    assert "ROW64 array-api-strict device1\n" in result.stdout
    assert "test_float64_row[array-api-strict-no_float64]" not in result.stdout
    assert "nnx backends: numpy, array-api-strict-device1, array-api-strict-no_float64" in result.stdout
    for name in ("torch", "cupy"):
        reason = f"nnx backend {name} does not run: "
        assert (f"ROW {name} " in result.stdout) != (reason in result.stdout)
        if importlib.util.find_spec(name) is None:
            assert f"{reason}{name} is not installed" in result.stdout


def test_the_option_chooses_rows(project: pathlib.Path) -> None:
    result = run(project, "--nnx-backend", "array-api-strict:device2", "--nnx-backend=numpy", "--nnx-backend=numpy")
    assert result.returncode == 0, result.stdout
    assert "nnx backends: array-api-strict-device2, numpy\n" in result.stdout
    assert "does not run" not in result.stdout
    assert result.stdout.count("ROW ") == 2
    assert "ROW array-api-strict device2\n" in result.stdout


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("nunpy", "--nnx-backend nunpy: unknown backend 'nunpy'"),
        ("numpy:cuda:0", "--nnx-backend numpy:cuda:0: backend 'numpy' has no device 'cuda:0'; it has cpu"),
        ("broken", "--nnx-backend broken: backend 'broken' cannot be used: no driver"),
    ],
)
def test_a_row_that_cannot_run_is_an_error_when_asked_for(project: pathlib.Path, row: str, message: str) -> None:
    (project / "conftest.py").write_text(
        "import nnx\n"
        "class Broken(nnx.Backend):\n"
        "    name, module, install = 'broken', 'broken', ''\n"
        "    def problem(self): return 'no driver'\n"
        "nnx.register_backend(Broken())\n"
    )
    result = run(project, "--nnx-backend", row)
    assert result.returncode == pytest.ExitCode.USAGE_ERROR
    assert message in result.stderr


def test_rows_without_float64_skip_with_the_reason(project: pathlib.Path) -> None:
    result = run(project, "--nnx-backend", "array-api-strict:no_float64")
    assert result.returncode == 0, result.stdout
    assert "1 skipped" in result.stdout
    assert "no backend of this run has float64" in result.stdout


def test_flags_of_array_api_strict_hold_during_the_test_only(project: pathlib.Path) -> None:
    (project / "test_it.py").write_text(
        "import array_api_strict as xp\n"
        "import pytest\n"
        "def flags():\n"
        "    flags = xp.get_array_api_strict_flags()\n"
        "    return flags['boolean_indexing'], flags['data_dependent_shapes']\n"
        "@pytest.mark.parametrize('time', [1, 2])\n"
        "def test_flags(backend, time): assert flags() == (False, False)\n"
        "def test_after(): assert flags() == (True, True)\n"
    )
    result = run(project, "--nnx-backend", "array-api-strict:device1")
    assert result.returncode == 0, result.stdout


def test_a_fixture_of_the_same_name_in_a_project_is_left_alone(project: pathlib.Path) -> None:
    (project / "test_it.py").write_text(
        "import pytest\n"
        "@pytest.fixture\n"
        "def backend(): return 'the project\\'s own'\n"
        "def test_own(backend): assert backend.startswith('the project')\n"
    )
    result = run(project)
    assert result.returncode == 0, result.stdout
    assert "1 passed" in result.stdout
    assert "nnx backend" not in result.stdout


def test_a_project_without_such_tests_pays_nothing(project: pathlib.Path) -> None:
    (project / "test_it.py").write_text(
        "import sys\n"
        "def test_imports(): assert not {'torch', 'cupy', 'array_api_strict', 'matplotlib'} & set(sys.modules)\n"
    )
    result = run(project)
    assert result.returncode == 0, result.stdout
    assert "nnx backend" not in result.stdout
