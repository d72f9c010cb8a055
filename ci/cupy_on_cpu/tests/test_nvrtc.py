"""Kernels compile with the real NVRTC, without a device."""

import cupy
import pytest
from cupy.cuda import compiler
from cupy_on_cpu.nvrtc import Scalar, compile_kernel

GELU = cupy.ElementwiseKernel("T x", "T y", "y = (T)0.5 * x * ((T)1 + erf(x * (T)0.70710678))", "gelu")
NORM = cupy.ReductionKernel("T x", "T y", "x * x", "a + b", "y = sqrt(a)", "0", "l2norm")


@pytest.mark.parametrize("contiguous", [True, False])
@pytest.mark.parametrize("dtype", ["f2", "f4", "f8"])
def test_elementwise_kernel(dtype, contiguous):
    cubins = compile_kernel(GELU, dtype, ndim=2, contiguous=contiguous)
    assert list(cubins) == ["75", "80", "90"]
    assert all(cubin.startswith(b"\x7fELF") for cubin in cubins.values())


def test_scalar_arguments_and_explicit_outputs():
    axpy = cupy.ElementwiseKernel("T a, T x", "U y", "y += (U)(a * x)", "axpy")
    assert compile_kernel(axpy, Scalar("f4"), "f4", "f8", architectures=["80"])


def test_raw_arguments_and_atomics():
    kernel = cupy.ElementwiseKernel("T g, S k", "raw T out", "atomicAdd(&out[k], g)", "scatter")
    assert compile_kernel(kernel, "f4", "i8", architectures=["80"])


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8"])
def test_reduction_kernel(dtype):
    assert compile_kernel(NORM, dtype, ndim=2, architectures=["80"])


def test_raw_kernel():
    code = 'extern "C" __global__ void f(float* x) { x[0] = __shfl_xor_sync(~0u, x[0], 1); }'
    assert compile_kernel(cupy.RawKernel(code, "f"), architectures=["90"])


def test_raw_module_with_templates():
    module = cupy.RawModule(
        code="template <class T> __global__ void f(T* x) { x[0] = 1; }",
        options=("--std=c++17",),
        name_expressions=["f<float>"],
    )
    assert compile_kernel(module, architectures=["80"])


def test_compile_error_has_the_log():
    bad = cupy.ElementwiseKernel("T x", "T y", "y = undefined_function(x)", "bad")
    with pytest.raises(compiler.CompileException, match='"undefined_function" is undefined'):
        compile_kernel(bad, "f4")


def test_host_only_code_is_rejected():
    code = '#include <vector>\nextern "C" __global__ void f() { std::vector<int> v; }'
    with pytest.raises(compiler.CompileException):
        compile_kernel(cupy.RawKernel(code, "f"), architectures=["80"])


@pytest.mark.parametrize("dtypes", [(), ("f4", "f8"), ("f4", "f4", "f4")])
def test_wrong_dtypes(dtypes):
    with pytest.raises(TypeError):
        compile_kernel(GELU, *dtypes)


def test_other_objects():
    with pytest.raises(TypeError, match="cannot compile"):
        compile_kernel(lambda x: x)
