"""pytest runs with the plugin, and reports and ends as without it."""

import pytest

from ci.cupy_on_cpu.tests.test_activation import run

TESTS = """
import cupy

x = cupy.ones(3)  # lives on until the process ends

def test_passes(cupy_counts):
    assert float((x + x).sum()) == 6
    assert cupy_counts.launches == 2
"""
HEADER = "CuPy 14.2.0 on the CPU (emulated; no GPU code path is timed or proven)"


def run_pytest(tmp_path, text, *arguments, **environment):
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    (tmp_path / "test_it.py").write_text(text)
    return run(None, "-m", "pytest", "-p", "cupy_on_cpu.plugin", str(tmp_path), *arguments, **environment)


@pytest.mark.parametrize(
    ("text", "status", "line"),
    [
        (TESTS, 0, "1 passed"),
        (TESTS + "def test_fails(): assert float(x.sum()) == 4", 1, "1 failed, 1 passed"),
        (TESTS + "def test_of_cufft(): cupy.fft.rfft(x)", 0, "1 passed, 1 skipped"),
        ("", 5, "no tests ran"),
        ("import no_such_module", 2, "1 error"),
    ],
    ids=["passing", "failing", "without a library", "none", "broken"],
)
def test_exit_status_and_output(tmp_path, text, status, line):
    done = run_pytest(tmp_path, text)
    assert done.returncode == status, done.stdout + done.stderr
    assert HEADER in done.stdout.splitlines()
    assert line in done.stdout.splitlines()[-1]
    assert done.stderr == ""


def test_conftest_may_import_cupy(tmp_path):
    (tmp_path / "conftest.py").write_text("import cupy")
    assert run_pytest(tmp_path, TESTS).returncode == 0


def test_refusal_is_one_line_and_usage_error(tmp_path):
    done = run_pytest(tmp_path, TESTS, CUPY_ON_CPU_CXX="no-such-compiler")
    assert done.returncode == 4
    assert "cupy_on_cpu: no C++ compiler" in done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr


@pytest.mark.parametrize("failing", [False, True])
def test_with_xdist(tmp_path, failing):
    pytest.importorskip("xdist")
    text = TESTS + "def test_more(): assert float(x.sum()) == " + ("4" if failing else "3")
    done = run_pytest(tmp_path, text, "-n", "2")
    assert done.returncode == int(failing), done.stdout + done.stderr
    assert ("1 failed, 1 passed" if failing else "2 passed") in done.stdout
    assert "crashed" not in done.stdout
