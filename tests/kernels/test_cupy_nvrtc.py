"""Every CUDA kernel compiles with NVIDIA's compiler, for each dtype and from Turing to Blackwell, and into registers.

No GPU is needed. `python ci/kernel_resources.py` prints what each kernel needs, for more architectures.
"""

from __future__ import annotations

import importlib
import pathlib
from typing import Any

import pytest

from nnx.kernels.cupy.cuda_kernels import CUDA_KERNELS, RawKernel

CI = pathlib.Path(__file__).parents[2] / "ci"


@pytest.fixture
def resources(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The command that compiles all kernels, as a module; it does not need the emulation."""
    try:
        importlib.import_module("cupy")
        importlib.import_module("cupy_backends.cuda.libs.nvrtc").getVersion()
    except Exception as error:  # ModuleNotFoundError for CuPy; what CuPy raises for a missing library varies
        pytest.skip(f"needs CuPy and NVRTC, as nvidia-cuda-nvrtc-cu12 has it: {type(error).__name__}: {error}")
    monkeypatch.syspath_prepend(CI)
    return importlib.import_module("kernel_resources")


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize("architecture", ["75", "90", "120"])
def test_every_kernel_compiles_into_registers(resources: Any, architecture: str, dtype: str) -> None:
    found = resources.nvrtc.resources(resources.unit(dtype), architecture)
    assert len(found) == len(CUDA_KERNELS) > 100
    assert resources.problems(found, dtype) == []


# An array whose elements are asked for by indices that are not known before.
WRONG = """extern "C" __global__ void nnx_wrong(T* x, int n) {
    T y[32];
    for (int i = 0; i < 32; ++i) y[i] = x[i];
    for (int i = 0; i < n; ++i) y[(int)x[i]] += x[n];
    for (int i = 0; i < 32; ++i) x[i] = y[i];
}"""


def test_what_is_wrong_is_found(resources: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    kernel = RawKernel.__new__(RawKernel)  # not registered among the others
    kernel.name, kernel.code = "wrong", WRONG
    monkeypatch.setattr(resources, "CUDA_KERNELS", {"wrong": kernel, "absent": kernel})
    found = resources.nvrtc.resources(resources.source(kernel, "float32"), "80")
    assert found["nnx_wrong"].registers > 0
    assert resources.problems(found, "float32") == [
        "nnx_absent was not compiled",
        "nnx_wrong has 128 bytes of stack and spills 0",
    ]
    kernel.code = WRONG.replace("x[n]", "undefined")
    with pytest.raises(Exception, match='identifier "undefined" is undefined'):
        resources.nvrtc.resources(resources.source(kernel, "float16"), "80")
