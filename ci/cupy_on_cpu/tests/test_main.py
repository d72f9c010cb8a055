"""`python -m cupy_on_cpu` runs what `python` would run, on the emulated CuPy."""

import os

import pytest

from ci.cupy_on_cpu.tests.test_activation import ROOT, run

SCRIPT = """
import sys
import cupy
import beside

def total(): return float(cupy.ones(3).sum())

print(__name__, sys.argv[1:], beside.NAME, total())
raise SystemExit(int(sys.argv[2])) if len(sys.argv) > 2 else KeyError("lost")
"""


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "script.py").write_text(SCRIPT)
    (tmp_path / "beside.py").write_text("NAME = 'beside'")
    return tmp_path


def test_script(folder):
    done = run(None, "-m", "cupy_on_cpu", str(folder / "script.py"), "-x", "7")
    assert (done.returncode, done.stdout, done.stderr) == (7, "__main__ ['-x', '7'] beside 3.0\n", "")


def test_module_and_its_traceback(folder):
    done = run(None, "-m", "cupy_on_cpu", "-m", "script", "one", PYTHONPATH=f"{ROOT}{os.pathsep}{folder}")
    assert (done.returncode, done.stdout) == (1, "__main__ ['one'] beside 3.0\n")
    where, line, *_, error = done.stderr.splitlines()[-3:]
    assert where == f'  File "{folder / "script.py"}", line 9, in <module>'
    assert line.strip() == SCRIPT.splitlines()[-1]
    assert error == "KeyError: 'lost'"


def test_what_cannot_run():
    assert "usage: python -m cupy_on_cpu" in run(None, "-m", "cupy_on_cpu").stderr
    done = run(None, "-m", "cupy_on_cpu", "script.py", CUPY_ON_CPU_CXX="no-such-compiler")
    assert done.returncode == 1
    assert done.stderr.startswith("cupy_on_cpu: no C++ compiler")
