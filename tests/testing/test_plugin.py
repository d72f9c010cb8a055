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


def run(project: pathlib.Path, *arguments: str, first_on_path: str = "") -> subprocess.CompletedProcess[str]:
    installed = any(point.name == "nnx" for point in importlib.metadata.entry_points(group="pytest11"))
    plugin = [] if installed else ["-p", "pytest_nnx"]
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-rA", *plugin, *arguments]
    path = os.pathsep.join(filter(None, (first_on_path, str(ROOT))))
    environment = {**os.environ, "PYTHONPATH": path, "PYTEST_ADDOPTS": ""}
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


NO_NNX = """
import sys

def test_imports():
    assert "pytest_nnx" in sys.modules
    modules = {"torch", "cupy", "array_api_strict", "matplotlib", "array_api_compat", "numpy"}
    assert not [name for name in sys.modules if name.split(".")[0] in modules or name.startswith("nnx")]
"""
BROKEN = {  # the source of an nnx, and what is wrong with it
    "import a_module_that_nobody_has": "ModuleNotFoundError: No module named 'a_module_that_nobody_has'",
    "def (:": "SyntaxError: invalid syntax (__init__.py, line 1)",
    "raise RuntimeError('no driver')": "RuntimeError: no driver",
    "'Another package of that name.'": "ImportError: cannot import name 'backend_rows' from 'nnx.testing'",
}
by_broken = pytest.mark.parametrize("source", BROKEN)


@pytest.fixture
def broken(tmp_path: pathlib.Path, source: str) -> str:
    """A folder with an nnx in it that cannot be used."""
    (tmp_path / "broken" / "nnx").mkdir(parents=True)
    (tmp_path / "broken" / "nnx" / "__init__.py").write_text(source)
    (tmp_path / "broken" / "nnx" / "testing.py").write_text("")
    return str(tmp_path / "broken")


@pytest.mark.parametrize("arguments", [[], ["-n", "1"]], ids=["alone", "with xdist"])
def test_a_project_without_such_tests_pays_nothing(project: pathlib.Path, arguments: list[str]) -> None:
    (project / "test_it.py").write_text(NO_NNX)
    result = run(project, *arguments)
    assert result.returncode == 0, result.stdout
    assert "1 passed" in result.stdout
    assert "nnx backend" not in result.stdout


@by_broken
def test_an_nnx_that_cannot_be_imported_does_not_stop_other_tests(project: pathlib.Path, broken: str) -> None:
    (project / "test_it.py").write_text(NO_NNX)
    result = run(project, first_on_path=broken)
    assert result.returncode == 0, result.stdout
    assert "1 passed" in result.stdout
    assert "nnx backend" not in result.stdout


@by_broken
def test_an_nnx_that_cannot_be_imported_is_an_error_of_the_tests_that_need_it(
    project: pathlib.Path, broken: str, source: str
) -> None:
    (project / "test_it.py").write_text(
        "def test_row(backend): pass\ndef test_both(backend, backend_float64): pass\ndef test_other(): print('RAN')\n"
    )
    result = run(project, first_on_path=broken)
    assert result.returncode == pytest.ExitCode.TESTS_FAILED
    assert "1 passed, 2 errors" in result.stdout
    assert "RAN\n" in result.stdout
    assert "nnx backends: none, nnx cannot be imported: " in result.stdout
    assert "ERROR at setup of test_row[nnx-cannot-be-imported]" in result.stdout
    assert f"\nnnx cannot be imported: {BROKEN[source]}" in result.stdout


@by_broken
def test_an_nnx_that_cannot_be_imported_is_an_error_where_the_option_is_given(
    project: pathlib.Path, broken: str
) -> None:
    result = run(project, "--nnx-backend", "numpy", first_on_path=broken)
    assert result.returncode == pytest.ExitCode.USAGE_ERROR
    assert "--nnx-backend numpy: nnx cannot be imported: " in result.stderr


def test_with_xdist_the_report_says_which_rows_ran(project: pathlib.Path) -> None:
    result = run(project, "-n", "2")
    assert result.returncode == 0, result.stdout
    assert result.stdout.count("nnx backends: numpy, array-api-strict-device1, array-api-strict-no_float64") == 1
    result = run(project, "-n", "2", "--nnx-backend", "numpy")
    assert result.returncode == 0, result.stdout
    assert result.stdout.count("nnx backends: numpy\n") == 1


def test_it_is_one_module_over_pytest() -> None:
    code = "import sys, pytest; before = set(sys.modules); import pytest_nnx; print(sorted(set(sys.modules) - before))"
    result = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert result.stdout == "['pytest_nnx']\n"


def test_nnx_for_tests_does_not_import_pytest() -> None:
    code = "import sys, nnx.testing, nnx.testing.backend_rows; print('pytest' in sys.modules)"
    result = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert result.stdout == "False\n"
