"""Activation refuses, with a reason, where it would fail or mislead."""

import os
import subprocess
import sys
from pathlib import Path

import cupy
import cupy_on_cpu
import pytest

ROOT = Path(__file__).parent.parent


def run(code, *arguments, **environment):
    """Run Python in a process of its own."""
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    environment = {**os.environ, "PYTHONPATH": path, "PYTEST_ADDOPTS": "", **environment}
    command = [sys.executable, *(["-c", code] if code else []), *arguments]
    return subprocess.run(command, capture_output=True, text=True, env=environment)


def test_active_here():
    assert cupy_on_cpu.is_active()
    cupy_on_cpu.activate()  # again: nothing


@pytest.mark.parametrize(
    ("before", "environment", "message"),
    [
        ("import cupy", {}, "already imported"),
        ("", {"CUPY_ON_CPU_CXX": "no-such-compiler"}, "install g++"),
        ("", {"CUPY_ON_CPU_ORDER": "backwards"}, "write forward, reverse, alternating, or a number"),
        ("cupy_on_cpu.activation.count_gpus = lambda: 1", {}, "run on the GPU"),
        (
            "cupy_on_cpu.activation.installed_cupy_version = lambda: '13.6.0'",
            {},
            "CuPy 13.6.0 is installed, but the emulation is written for CuPy 14.2.0 exactly",
        ),
        (
            "cupy_on_cpu.activation.installed_cupy_version = lambda: None",
            {},
            "pip install cupy-cuda12x==14.2.0",
        ),
    ],
    ids=["cupy imported", "no compiler", "no order", "GPU", "other version", "no CuPy"],
)
def test_refusal(before, environment, message):
    done = run(f"import cupy_on_cpu\n{before}\ncupy_on_cpu.activate()", **environment)
    assert done.returncode == 1
    assert "ActivationError: " in done.stderr
    assert message in done.stderr


def test_real_gpu_is_found(tmp_path):
    """A driver that offers two devices is taken for two."""
    source = tmp_path / "driver.cpp"
    source.write_text(
        'extern "C" int cuInit(unsigned) { return 0; }\nextern "C" int cuDeviceGetCount(int* n) { *n = 2; return 0; }\n'
    )
    library = tmp_path / "libcuda.so.1"
    subprocess.run(["g++", "-shared", "-fPIC", "-o", library, source], check=True)
    code = "import cupy_on_cpu; print(cupy_on_cpu.activation.count_gpus())"
    assert run(code, LD_LIBRARY_PATH=str(tmp_path)).stdout == "2\n"


def test_process_ends_cleanly_with_live_objects():
    code = (
        "import cupy_on_cpu; cupy_on_cpu.activate(); import cupy, sys\n"
        "x = cupy.ones(3); y = x @ x; s = cupy.cuda.Stream(); e = cupy.cuda.Event()\n"
        "k = cupy.RawKernel('extern \"C\" __global__ void f() {}', 'f'); k.compile()\n"
        "sys.cycle = [x, s, e, k]; sys.cycle.append(sys.cycle)\n"
        "print('last words'); sys.exit(7)"
    )
    done = run(code)
    assert (done.returncode, done.stdout, done.stderr) == (7, "last words\n", "")


@pytest.mark.parametrize(
    ("call", "library"),
    [
        (lambda: cupy.random.rand(3), "cuRAND"),
        (lambda: cupy.random.seed(0), "cuRAND"),
        (lambda: cupy.random.default_rng(0).random(3), "cuRAND"),
        (lambda: cupy.linalg.solve(cupy.eye(2), cupy.ones(2)), "cuSOLVER"),
        (lambda: cupy.fft.fft(cupy.ones(4)), "cuFFT"),
    ],
)
def test_missing_library_is_named(call, library):
    with pytest.raises(ImportError, match=f"does not emulate {library}"):
        call()


def test_cub_is_an_error_rather_than_a_wrong_result():
    from cupy import _core

    before = _core.get_routine_accelerators()
    _core.set_routine_accelerators(["cub"])
    try:
        with pytest.raises(NotImplementedError, match="does not emulate CUB"):
            cupy.ones(1000, "f4").sum()
    finally:
        _core.set_routine_accelerators(before)


def test_unsupported_cublas_function_is_an_error():
    from cupy import cublas

    with pytest.raises(Exception, match="NOT_SUPPORTED"):
        cublas.nrm2(cupy.ones(4))


def test_accesses_are_not_watched_unless_asked_for():
    code = """import cupy_on_cpu; cupy_on_cpu.activate(); import cupy
with cupy_on_cpu.count() as counts:
    cupy.RawKernel('extern "C" __global__ void f(int* x) { x[0] = 1; }', 'f')((1,), (5,), (cupy.zeros(1, 'i4'),))
print(counts.accesses, counts.launches)"""
    assert run(code, CUPY_ON_CPU_RACES="0").stdout == "0 1\n"
