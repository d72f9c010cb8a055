"""Every CUDA kernel compiles with NVIDIA's compiler, for each dtype and for Turing to Hopper. No GPU is needed."""

from __future__ import annotations

import importlib
import pathlib
from typing import Any

import pytest

from nnx.kernels.cupy.cuda_kernels import CUDA_KERNELS, ElementwiseKernel, RawKernel

HARNESS = pathlib.Path(__file__).parents[2] / "ci" / "cupy_on_cpu"
HEADERS = ("complex.cuh", "carray.cuh", "atomics.cuh", "float16.cuh", "bfloat16.cuh")
WIDE = {"float16": "float32", "float32": "float32", "float64": "float64"}


@pytest.fixture
def nvrtc(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The part of cupy_on_cpu that compiles; it does not need the emulation."""
    try:
        importlib.import_module("cupy")
        importlib.import_module("cupy_backends.cuda.libs.nvrtc").getVersion()
    except Exception as error:  # ModuleNotFoundError for CuPy; what CuPy raises for a missing library varies
        pytest.skip(f"needs CuPy and NVRTC, as nvidia-cuda-nvrtc-cu12 has it: {type(error).__name__}: {error}")
    monkeypatch.syspath_prepend(HARNESS)
    return importlib.import_module("cupy_on_cpu.nvrtc")


def source(nvrtc: Any, kernel: ElementwiseKernel | RawKernel, dtype: str) -> str:
    """The kernel's CUDA source: T stands for the dtype, and S for that of W, in which it computes."""
    if isinstance(kernel, RawKernel):
        return kernel.source(dtype)
    letters = {"T": dtype, "S": WIDE[dtype]}
    inputs = [letters.get(p.ctype) or (p.dtype if p.raw else nvrtc.Scalar(p.dtype)) for p in kernel.kernel.in_params]
    outputs = [letters.get(p.ctype) or p.dtype for p in kernel.kernel.out_params]
    return nvrtc.kernel_source(kernel.kernel, *inputs, *outputs)


def unit(nvrtc: Any, dtype: str) -> str:
    """All kernels in one source, each in a namespace of its own: headers take most of the time to compile."""
    headers = "".join(f"#include <cupy/{header}>\n" for header in HEADERS)
    kernels = (
        f"namespace unit_{name} {{\n{source(nvrtc, kernel, dtype)}\n}}\n" for name, kernel in CUDA_KERNELS.items()
    )
    return headers + "".join(kernels)


@pytest.mark.parametrize("architecture", ["75", "80", "90"])
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_every_kernel_compiles(nvrtc: Any, dtype: str, architecture: str) -> None:
    cubin = nvrtc.compile_source(unit(nvrtc, dtype), architecture)
    missing = [name for name in CUDA_KERNELS if f".text.nnx_{name}\0".encode() not in cubin]
    assert CUDA_KERNELS
    assert not missing


def test_what_does_not_compile_is_found(nvrtc: Any) -> None:
    kernel = RawKernel.__new__(RawKernel)  # not registered among the others
    kernel.name, kernel.code = "wrong", 'extern "C" __global__ void nnx_wrong(T* x) { x[0] = undefined; }'
    with pytest.raises(Exception, match='identifier "undefined" is undefined'):
        nvrtc.compile_source(source(nvrtc, kernel, "float16"), "80")
