"""The pytest plugin, as a user's project sees it: pytest runs in a process of its own."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import pathlib
import re
import subprocess
import sys

import pytest

import nnx
import pytest_nnx

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
    for name in ("CI", "BUILD_NUMBER"):  # where these are set, pytest's summary repeats whole messages
        environment.pop(name, None)
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


FLAGS = """
import array_api_strict as xp
import pytest

def flags():
    flags = xp.get_array_api_strict_flags()
    return flags['boolean_indexing'], flags['data_dependent_shapes']

def test_plain(backend): assert flags() == EXPECTED
def test_plain64(backend_float64): assert flags() == EXPECTED
def test_module(module_backend): assert flags() == EXPECTED

@pytest.mark.nnx_static_shapes
@pytest.mark.parametrize('time', [1, 2])
def test_on(backend, time): assert flags() == (False, False)

@pytest.mark.nnx_static_shapes(False)
class TestOff:
    def test_off(self, backend): assert flags() == (True, True)

def test_after(): assert flags() == (True, True)
"""


@pytest.mark.parametrize("by", ["nothing", "the option", "the configuration"])
def test_static_shapes_are_a_choice_that_the_report_tells(project: pathlib.Path, by: str) -> None:
    on = by != "nothing"
    (project / "test_it.py").write_text(FLAGS.replace("EXPECTED", f"({not on}, {not on})"))
    if by == "the configuration":
        (project / "pytest.ini").write_text("[pytest]\nfilterwarnings = error\nnnx_static_shapes = true\n")
    arguments = ["--nnx-static-shapes"] if by == "the option" else []
    result = run(project, "--nnx-backend", "array-api-strict:device1", *arguments)
    assert result.returncode == 0, result.stdout
    text = "on, array-api-strict refuses boolean indexing and shapes that depend on data\n"
    expected = text if on else "off, array-api-strict has its flags as they are\n"
    assert result.stdout.count(f"nnx static shapes: {expected}") == 1


def test_static_shapes_are_not_spoken_of_without_array_api_strict(project: pathlib.Path) -> None:
    result = run(project, "--nnx-backend", "numpy")
    assert "static shapes" not in result.stdout


def test_flags_that_somebody_has_set_stay(project: pathlib.Path) -> None:
    (project / "conftest.py").write_text(
        "import array_api_strict as xp\nxp.set_array_api_strict_flags(boolean_indexing=False)"
    )
    (project / "test_it.py").write_text(
        "import array_api_strict as xp\n"
        "def test_it(backend): assert not xp.get_array_api_strict_flags()['boolean_indexing']\n"
    )
    result = run(project, "--nnx-backend", "array-api-strict")
    assert result.returncode == 0, result.stdout


MARKS = """
import pytest
import nnx

@pytest.mark.nnx_backends(only="numpy", reason="files of the host")
def test_only(backend): print("ROW only", backend)

@pytest.mark.nnx_backends(skip=["numpy", "array-api-strict:no_float64"])
def test_skip(backend, backend_float64): print("ROW skip", backend)

@pytest.mark.nnx_backends(only=("mine", "array-api-strict"))
class TestOfAClass:
    @pytest.mark.nnx_backends(skip="array-api-strict-device1", reason="no such thing there")
    def test_both(self, backend): print("ROW both", backend)

@pytest.mark.nnx_backends(only="mine")
def test_for_a_library_that_is_not_here(backend): print("ROW mine", backend)

@pytest.mark.nnx_backends(only="numpy")
def test_float64(backend_float64): print("ROW float64", backend_float64)
"""
MINE = """
import nnx
class Mine(nnx.Backend):
    name, module, install = "mine", "mine_that_nobody_has", "pip install mine"
nnx.register_backend(Mine())
"""
STRICT_ROWS = ("array-api-strict:device1", "array-api-strict:no_float64")
ROWS = [f"--nnx-backend={row}" for row in ("numpy", *STRICT_ROWS)]


def test_marks_choose_rows_and_the_others_are_skipped_with_the_reason(project: pathlib.Path) -> None:
    (project / "conftest.py").write_text(MINE)
    (project / "test_it.py").write_text(MARKS)
    result = run(project, "--strict-markers", *ROWS)
    assert result.returncode == 0, result.stdout
    ran = {line.removeprefix("ROW ") for line in result.stdout.splitlines() if line.startswith("ROW ")}
    device1, no_float64 = "array-api-strict (device1)", "array-api-strict (no_float64)"
    assert ran == {"only numpy", f"skip {device1}", f"both {no_float64}", "float64 numpy"}
    assert re.search(r"SKIPPED \[2\] test_it.py:\d+: nnx_backends only=numpy: files of the host\n", result.stdout)
    assert ": nnx_backends skip=array-api-strict-device1: no such thing there\n" in result.stdout
    assert ": nnx_backends only=mine array-api-strict\n" in result.stdout
    assert re.search(r"SKIPPED \[3\] test_it.py:\d+: nnx_backends only=mine\n", result.stdout)


def test_a_row_that_only_names_and_that_cannot_run_is_skipped_with_what_it_lacks(project: pathlib.Path) -> None:
    (project / "conftest.py").write_text(MINE)
    (project / "test_it.py").write_text(MARKS)
    result = run(project, "-v", "-k", "not_here")
    assert result.returncode == 0, result.stdout
    assert "test_for_a_library_that_is_not_here[mine] SKIPPED" in result.stdout
    assert ": nnx backend mine does not run: mine_that_nobody_has is not installed" in result.stdout


MISTAKES = {  # what is between the parentheses of a mark, and what is wrong with it
    "only='nunpy'": "unknown backend 'nunpy': expected 'auto' or one of numpy, cupy, ",
    "skip=['torch', 'cuda']": "unknown backend 'cuda': expected 'auto' or one of numpy, cupy, ",
    "onyl='numpy'": "_choice() got an unexpected keyword argument 'onyl'; ",
    "'numpy'": "_choice() takes 0 positional arguments but 1 was given; ",
    "": "it has to name backends; ",
    "reason='it is late'": "it has to name backends; ",
}


def test_a_mistake_in_a_mark_is_an_error(project: pathlib.Path) -> None:
    for number, mark in enumerate(MISTAKES):
        text = f"import pytest\n@pytest.mark.nnx_backends({mark})\ndef test_row(backend): pass\n"
        (project / f"test_{number}.py").write_text(text)
    result = run(project, "--nnx-backend", "numpy")
    assert result.returncode == pytest.ExitCode.INTERRUPTED
    for number, (mark, message) in enumerate(MISTAKES.items()):
        assert f"test_{number}.py::test_row: mark nnx_backends({mark}): {message}" in result.stdout
    assert result.stdout.count("write nnx_backends(only=..., skip=..., reason='...')") == len(MISTAKES)


def test_a_missing_backend_is_a_skipped_test_with_the_reason(project: pathlib.Path) -> None:
    (project / "conftest.py").write_text(MINE)
    for arguments in ([], ["-n", "2"], ["-k", "test_row"]):
        result = run(project, *arguments, f"--junitxml={project}/report.xml")
        assert result.returncode == 0, result.stdout
        reason = "nnx backend mine does not run: mine_that_nobody_has is not installed"
        assert result.stdout.count(f"SKIPPED [1] nnx-backends: {reason}") == 1
        assert f'classname="nnx-backends" name="mine" time="0.000"><skipped type="pytest.skip" message="{reason}' in (
            project / "report.xml"
        ).read_text().replace("0.001", "0.000")
    for arguments in (["--nnx-backend", "numpy"], ["-k", "test_after"]):  # it was not asked for, or nobody uses rows
        result = run(project, *arguments)
        assert result.returncode == 0, result.stdout
        assert "nnx-backends" not in result.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["mine"], "--nnx-require mine: backend 'mine' cannot be used: mine_that_nobody_has is not installed"),
        (["numpy", "nunpy"], "--nnx-require nunpy: unknown backend 'nunpy'"),
        (["numpy:cuda:0"], "--nnx-require numpy:cuda:0: backend 'numpy' has no device 'cuda:0'; it has cpu"),
        (
            ["array-api-strict:device2"],
            "--nnx-require array-api-strict:device2: tests run on numpy, array-api-strict-device1, "
            "array-api-strict-no_float64; add it with --nnx-backend array-api-strict:device2",
        ),
    ],
)
def test_a_backend_that_is_required_and_missing_is_an_error(
    project: pathlib.Path, arguments: list[str], message: str
) -> None:
    (project / "conftest.py").write_text(MINE)
    result = run(project, *ROWS, *(f"--nnx-require={name}" for name in arguments))
    assert result.returncode == pytest.ExitCode.USAGE_ERROR
    assert message in result.stderr


def test_backends_that_are_required_and_there(project: pathlib.Path) -> None:
    for arguments in (["numpy", "array-api-strict:no_float64"], ["array-api-strict-device1", "array-api-strict"]):
        result = run(project, *(f"--nnx-require={name}" for name in arguments))
        assert result.returncode == 0, result.stdout


MODULE = """
import nnx
import pytest

made = []

@pytest.fixture(scope="module")
def model(module_backend):
    made.append(module_backend.name)
    print("MADE on", nnx.get_backend())
    return nnx.Sequential([nnx.layers.Dense(1, input_dim=2)])

def test_first(model, module_backend):
    assert model.placement == module_backend == nnx.get_backend()
    print("ROW first", module_backend)

def test_between():
    assert nnx.get_backend() == nnx.backends.Placement(nnx.get_backend().backend)
    assert nnx.get_backend().name == "numpy"
    print("ROW between")

def test_between_float64(backend_float64):
    assert nnx.get_backend() is backend_float64

def test_second(model, backend):
    assert model.placement == nnx.get_backend() == backend
    print("ROW second", backend)

def test_inside(model, module_backend, backend_float64):
    assert nnx.get_backend() is backend_float64

def test_float64(module_backend_float64):
    assert nnx.get_backend() == module_backend_float64
    assert nnx.asarray([1.0]).dtype == module_backend_float64.xp.float64

def test_all():
    assert made == EXPECTED
"""


def test_a_fixture_of_a_module_is_made_once_for_each_row(project: pathlib.Path) -> None:
    names = ["numpy", "array-api-strict", "array-api-strict"]
    (project / "test_it.py").write_text(MODULE.replace("EXPECTED", repr(names)))
    (project / "test_later.py").write_text(
        "import nnx\ndef test_later(): assert nnx.get_backend().device is None and nnx.get_backend().name == 'numpy'\n"
    )
    result = run(project, *ROWS)
    assert result.returncode == 0, result.stdout
    assert result.stdout.count("MADE on ") == 3
    for row in ("numpy", "array-api-strict (device1)", "array-api-strict (no_float64)"):
        for test in ("first", "second"):
            assert result.stdout.count(f"ROW {test} {row}\n") == 1
    assert result.stdout.count("ROW between\n") == 1


def test_tests_without_a_fixture_of_a_module_stay_in_their_order(project: pathlib.Path) -> None:
    (project / "test_it.py").write_text("def test_b(backend): pass\ndef test_a(backend): pass\n")
    result = run(project, "-v", "--nnx-backend=numpy", "--nnx-backend=array-api-strict")
    order = [line.split()[0] for line in result.stdout.splitlines() if "PASSED  " in line]
    assert [name.partition("::")[2] for name in order] == [
        "test_b[numpy]",
        "test_b[array-api-strict]",
        "test_a[numpy]",
        "test_a[array-api-strict]",
    ]


LEAKS = """
import pytest

def test_sets():
    import nnx  # for the first time
    nnx.set_backend("array-api-strict", dtype="float64")
    assert nnx.get_backend().name == "array-api-strict"

def test_is_not_set():
    import nnx
    assert str(nnx.get_backend()) == "numpy"

def test_sets_and_fails():
    import nnx
    nnx.set_backend("array-api-strict")
    pytest.xfail("and is left in the middle")

@pytest.fixture
def chosen():
    import nnx
    nnx.set_backend("array-api-strict", device="device2")

def test_a_fixture_sets(chosen):
    import nnx
    assert str(nnx.get_backend()) == "array-api-strict (device2)"
    nnx.set_backend("numpy", dtype="float64")

def test_is_not_set_by_it(backend):
    import nnx
    from nnx.backends.context import backend_of_process
    assert backend_of_process() is None
"""


def test_what_a_test_sets_for_the_process_ends_with_it(project: pathlib.Path) -> None:
    (project / "test_it.py").write_text(LEAKS)
    result = run(project, "--nnx-backend=numpy")
    assert result.returncode == 0, result.stdout
    (project / "conftest.py").write_text("")
    (project / "test_it.py").write_text(LEAKS.partition("def test_is_not_set_by_it")[0])
    result = run(project)  # and where the plugin has not imported nnx before
    assert result.returncode == 0, result.stdout


def test_what_a_fixture_sets_for_the_process_ends_with_the_fixture(project: pathlib.Path) -> None:
    (project / "conftest.py").write_text(
        "import nnx\nimport pytest\n"
        "@pytest.fixture(scope='session', autouse=True)\n"
        "def of_session(): nnx.set_backend('array-api-strict')\n"
    )
    (project / "test_a.py").write_text(
        "import nnx\nimport pytest\n"
        "@pytest.fixture(scope='module', autouse=True)\n"
        "def of_module(): nnx.set_backend('array-api-strict', device='device2')\n"
        "def test_1(): assert nnx.get_backend().device == 'device2'; nnx.set_backend('numpy')\n"
        "def test_2(): assert nnx.get_backend().device == 'device2'\n"
    )
    (project / "test_it.py").write_text(
        "import nnx\n"
        "def test_1(): assert str(nnx.get_backend()) == 'array-api-strict'\n"
        "def test_2(): assert str(nnx.get_backend()) == 'array-api-strict'\n"
    )
    result = run(project)
    assert result.returncode == 0, result.stdout


def test_rows_to_parametrise_with(project: pathlib.Path) -> None:
    (project / "conftest.py").write_text(MINE)
    (project / "test_it.py").write_text(
        "import nnx\nimport pytest\nfrom nnx.testing import BackendRow, usable_rows\n"
        "@pytest.mark.parametrize('row', usable_rows(), ids=str)\n"
        "def test_row(row):\n"
        "    assert isinstance(row, BackendRow)\n"
        "    with row.entered() as placement: print('ROW', placement)\n"
        "    with row.entered('float32', static_shapes=True) as placement: pass\n"
    )
    result = run(project)
    assert result.returncode == 0, result.stdout
    for row in ("numpy", "array-api-strict (device1)", "array-api-strict (no_float64)"):
        assert f"ROW {row}\n" in result.stdout
    assert "nnx backends: numpy, array-api-strict-device1" in result.stdout
    assert "SKIPPED [1] nnx-backends: nnx backend mine does not run" in result.stdout
    result = run(project, "--nnx-backend=array-api-strict:device2")
    assert result.returncode == 0, result.stdout
    assert result.stdout.count("ROW ") == 1
    assert "test_row[array-api-strict-device2]" in result.stdout


def test_the_examples_of_the_documentation_run(project: pathlib.Path) -> None:
    page = (ROOT / "docs" / "testing.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```python\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    assert len(blocks) >= 5
    (project / "test_it.py").write_text("\n\n".join(blocks))
    result = run(project, "--strict-markers")
    assert result.returncode == 0, result.stdout
    for test in ("test_softmax_sums_to_one[numpy]", "test_it_predicts[array-api-strict-device1]", "test_that_counts["):
        assert f"PASSED test_it.py::{test}" in result.stdout


def test_the_documentation_names_every_fixture_mark_and_option() -> None:
    page = (ROOT / "docs" / "testing.md").read_text(encoding="utf-8")
    source = (ROOT / "pytest_nnx.py").read_text(encoding="utf-8")
    fixtures = re.findall(r"^@pytest\.fixture.*\ndef ([a-z]\w+)", source, re.MULTILINE)
    options = re.findall(r'"(--nnx-[a-z-]+)"', source)
    assert len(fixtures) == 4
    assert len(options) == 3
    for name in (*fixtures, *options, *(mark.partition("(")[0] for mark in pytest_nnx._MARKS)):
        assert f"`{name}" in page or f"mark.{name}" in page, name


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
    result = run(project, "--nnx-require", "numpy", first_on_path=broken)
    assert result.returncode == pytest.ExitCode.USAGE_ERROR
    assert "--nnx-require numpy: nnx cannot be imported: " in result.stderr


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
