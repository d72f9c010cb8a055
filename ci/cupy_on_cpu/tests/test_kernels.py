"""User-written kernels: shared memory, barriers, atomics, warps, templates."""

import concurrent.futures
import ctypes
import subprocess

import cupy
import numpy as np
import pytest
from cupy.cuda import compiler, driver
from cupy_on_cpu import kernels, toolchain

RNG = np.random.default_rng(1)
X = RNG.standard_normal((5, 70)).astype("f4")


def test_elementwise_kernel():
    adam = cupy.ElementwiseKernel(
        "T g, T lr, T b1, T b2, T eps",
        "T p, T m, T v",
        "m = b1*m + (1-b1)*g; v = b2*v + (1-b2)*g*g; p -= lr*m/(sqrt(v)+eps);",
        "adam",
    )
    p, m, v = cupy.asarray(X), cupy.zeros_like(cupy.asarray(X)), cupy.zeros((5, 70), "f4")
    adam(cupy.asarray(X), 1e-3, 0.9, 0.999, 1e-8, p, m, v)
    expected = X - 1e-3 * (0.1 * X) / (np.sqrt(0.001 * X * X) + 1e-8)
    np.testing.assert_allclose(p.get(), expected, rtol=1e-4, atol=1e-6)


def test_elementwise_kernel_raw_and_strided():
    kernel = cupy.ElementwiseKernel("raw T x, S k", "T y", "y = x[k] + x[_ind.size() - 1]", "gather_test")
    index = cupy.asarray(np.array([3, 0, 2, 2]))
    x = cupy.arange(10, dtype="f8")[::2]
    np.testing.assert_array_equal(kernel(x, index).get(), np.array([6, 0, 4, 4.0]) + 6)


@pytest.mark.parametrize("axis", [None, 0, 1])
def test_reduction_kernel(axis):
    norm = cupy.ReductionKernel("T x", "T y", "x * x", "a + b", "y = sqrt(a)", "0", "l2norm")
    expected = np.sqrt((X * X).sum(axis=axis))
    np.testing.assert_allclose(norm(cupy.asarray(X), axis=axis).get(), expected, rtol=1e-5)


ROW_SUM = r"""
extern "C" __global__ void row_sum(const float* x, float* y, int n) {
    %s
    int t = threadIdx.x;
    float total = 0;
    for (int i = t; i < n; i += blockDim.x) total += x[blockIdx.x * n + i];
    s[t] = total;
    __syncthreads();
    for (int k = blockDim.x / 2; k > 0; k >>= 1) {
        if (t < k) s[t] += s[t + k];
        __syncthreads();
    }
    if (t == 0) y[blockIdx.x] = s[0];
}"""


@pytest.mark.parametrize("by_ucontext", [False, True], ids=["default", "ucontext"])
@pytest.mark.parametrize("threads", [1, 32, 256, 1024])
@pytest.mark.parametrize(
    ("declaration", "dynamic"),
    [
        ("__shared__ float s[1024];", 0),
        ("extern __shared__ float s[];", 4),
        ("extern __shared__ __align__(16) unsigned char raw[]; float* s = (float*)raw;", 4),
    ],
    ids=["static", "dynamic", "aligned bytes"],
)
def test_shared_memory(declaration, dynamic, threads, by_ucontext):
    switch = ctypes.c_bool.in_dll(kernels.launcher(), "cupy_on_cpu_by_ucontext")
    kernel = cupy.RawKernel(ROW_SUM % declaration, "row_sum")
    y = cupy.zeros(5, "f4")
    before, switch.value = switch.value, by_ucontext or switch.value
    try:
        kernel((5,), (threads,), (cupy.asarray(X), y, np.int32(70)), shared_mem=dynamic * threads)
    finally:
        switch.value = before
    np.testing.assert_allclose(y.get(), X.sum(axis=1), rtol=1e-4, atol=1e-5)


def test_two_dimensional_transpose_in_tiles():
    kernel = cupy.RawKernel(
        r"""extern "C" __global__ __launch_bounds__(64) void transpose(
                const double* x, double* y, int rows, int columns) {
            __shared__ double tile[8][9];
            int i = blockIdx.y * 8 + threadIdx.y, j = blockIdx.x * 8 + threadIdx.x;
            if (i < rows && j < columns) tile[threadIdx.y][threadIdx.x] = x[i * columns + j];
            __syncthreads();
            i = blockIdx.x * 8 + threadIdx.y; j = blockIdx.y * 8 + threadIdx.x;
            if (i < columns && j < rows) y[i * rows + j] = tile[threadIdx.x][threadIdx.y];
        }""",
        "transpose",
    )
    x = np.random.default_rng(1).standard_normal((19, 30))
    y = cupy.empty((30, 19))
    kernel((4, 3), (8, 8), (cupy.asarray(x), y, np.int32(19), np.int32(30)))
    np.testing.assert_array_equal(y.get(), x.T)


@pytest.mark.parametrize(
    ("dtype", "name"),
    [
        ("i4", "int"),
        ("u4", "unsigned"),
        ("u8", "unsigned long long"),
        ("f4", "float"),
        ("f8", "double"),
    ],
)
def test_atomic_add(dtype, name):
    kernel = cupy.RawKernel(
        f"""extern "C" __global__ void histogram(const int* x, {name}* bins, int n) {{
            int i = blockIdx.x * blockDim.x + threadIdx.x;
            if (i < n) atomicAdd(&bins[x[i]], ({name})1);
        }}""",
        "histogram",
    )
    values = np.random.default_rng(1).integers(0, 7, 1000).astype("i4")
    bins = cupy.zeros(7, dtype)
    kernel((8,), (128,), (cupy.asarray(values), bins, np.int32(1000)))
    np.testing.assert_array_equal(bins.get(), np.bincount(values, minlength=7))


def test_other_atomics():
    kernel = cupy.RawKernel(
        r"""extern "C" __global__ void f(int* x) {
            int t = threadIdx.x;
            atomicMax(&x[0], t); atomicMin(&x[1], -t); atomicOr(&x[2], 1 << (t % 8));
            atomicXor(&x[3], t); atomicSub(&x[4], 2); atomicExch(&x[5], 42);
            for (int old = x[6], seen;; old = seen)
                if ((seen = atomicCAS(&x[6], old, old + 3)) == old) break;
            atomicInc((unsigned*)&x[7], 9);
        }""",
        "f",
    )
    x = cupy.zeros(8, "i4")
    kernel((1,), (25,), (x,))
    xor = np.bitwise_xor.reduce(np.arange(25))
    assert x.get().tolist() == [24, -24, 255, xor, -50, 42, 75, 5]


def test_half_precision_atomic_add():
    target = cupy.zeros(3, "f2")
    cupy.add.at(target, cupy.asarray(np.array([0, 1, 1, 2, 2, 2])), cupy.float16(0.5))
    np.testing.assert_array_equal(target.get(), np.array([0.5, 1, 1.5], "f2"))


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("__shfl_sync(m, v, 3)", lambda i: i // 32 * 32 + 3),
        ("__shfl_sync(m, v, 3, 8)", lambda i: i // 8 * 8 + 3),
        ("__shfl_up_sync(m, v, 2)", lambda i: np.where(i % 32 < 2, i, i - 2)),
        ("__shfl_down_sync(m, v, 2)", lambda i: np.where(i % 32 >= 30, i, i + 2)),
        ("__shfl_down_sync(m, v, 4, 8)", lambda i: np.where(i % 8 >= 4, i, i + 4)),
        ("__shfl_xor_sync(m, v, 5)", lambda i: i ^ 5),
        ("__reduce_add_sync(m, v)", lambda i: i // 32 * 1024 + 496),
        ("__reduce_max_sync(m, v)", lambda i: i // 32 * 32 + 31),
        ("(int)__ballot_sync(m, v % 4 == 1)", lambda i: 0x22222222 + 0 * i),
        ("__any_sync(m, v == 40)", lambda i: i // 32 == 1),
        ("__all_sync(m, v < 64)", lambda i: i // 32 < 2),
        ("__syncthreads_count(v % 3 == 0)", lambda i: 32 + 0 * i),
        ("__syncthreads_or(v == 95)", lambda i: 1 + 0 * i),
        ("__syncthreads_and(v < 95)", lambda i: 0 * i),
    ],
)
def test_warp_and_block_functions(expression, expected):
    kernel = cupy.RawKernel(
        f"""extern "C" __global__ void f(int* y) {{
            int v = threadIdx.x; unsigned m = 0xffffffff;
            y[v] = {expression};
        }}""",
        "f",
    )
    y = cupy.zeros(96, "i4")
    kernel((1,), (96,), (y,))
    np.testing.assert_array_equal(y.get(), expected(np.arange(96)))


def test_block_sum_with_shuffles_in_one_warp_only():
    kernel = cupy.RawKernel(
        r"""__device__ double warp_sum(double v) {
            for (int d = 16; d > 0; d >>= 1) v += __shfl_down_sync(0xffffffff, v, d);
            return v;
        }
        extern "C" __global__ void block_sum(const double* x, double* y) {
            __shared__ double partial[32];
            double v = warp_sum(x[blockIdx.x * blockDim.x + threadIdx.x]);
            if (threadIdx.x % 32 == 0) partial[threadIdx.x / 32] = v;
            __syncthreads();
            if (threadIdx.x < 32) {
                v = warp_sum(threadIdx.x < blockDim.x / 32 ? partial[threadIdx.x] : 0);
                if (threadIdx.x == 0) y[blockIdx.x] = v;
            }
        }""",
        "block_sum",
    )
    x = np.random.default_rng(1).standard_normal((3, 256))
    y = cupy.zeros(3)
    kernel((3,), (256,), (cupy.asarray(x), y))
    np.testing.assert_allclose(y.get(), x.sum(axis=1), rtol=1e-12)


def test_high_products():
    kernel = cupy.RawKernel(
        r"""extern "C" __global__ void f(const unsigned long long* a, unsigned long long* y) {
            y[0] = __umul64hi(a[0], a[1]);
            y[1] = __umulhi((unsigned)a[0], (unsigned)a[1]);
            y[2] = (unsigned)__mulhi((int)a[0], (int)a[1]);
            y[3] = __mul64hi((long long)a[0], (long long)a[1]);
            y[4] = __brev((unsigned)a[0]); y[5] = __popcll(a[0]); y[6] = __clzll(a[1] >> 9);
        }""",
        "f",
    )
    a, b = 0xFEDCBA9876543210, 0x123456789ABCDEF1
    low = [v & 0xFFFFFFFF for v in (a, b)]
    signed = [v - (1 << 32) if v >> 31 else v for v in low]
    y = cupy.zeros(7, "u8")
    kernel((1,), (1,), (cupy.asarray(np.array([a, b], "u8")), y))
    assert [int(v) for v in y.get()] == [
        a * b >> 64,
        low[0] * low[1] >> 32,
        (signed[0] * signed[1] >> 32) & 0xFFFFFFFF,
        ((a - (1 << 64)) * b >> 64) & (2**64 - 1),
        int(f"{low[0]:032b}"[::-1], 2),
        bin(a).count("1"),
        64 - (b >> 9).bit_length(),
    ]


PHILOX = r"""
typedef unsigned long long u64;
extern "C" __global__ void philox(u64 k0, u64 k1, u64 first, u64* out, int blocks) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= blocks) return;
    u64 c0 = first + i, c1 = 0, c2 = 0, c3 = 0;
    for (int round = 0; round < 10; ++round) {
        u64 h0 = __umul64hi(0xD2E7470EE14C6C93ULL, c0), l0 = 0xD2E7470EE14C6C93ULL * c0;
        u64 h1 = __umul64hi(0xCA5A826395121157ULL, c2), l1 = 0xCA5A826395121157ULL * c2;
        c0 = h1 ^ c1 ^ k0; c1 = l1; c2 = h0 ^ c3 ^ k1; c3 = l0;
        k0 += 0x9E3779B97F4A7C15ULL; k1 += 0xBB67AE8584CAA73BULL;
    }
    out[4 * i] = c0; out[4 * i + 1] = c1; out[4 * i + 2] = c2; out[4 * i + 3] = c3;
}"""


@pytest.mark.parametrize("key", [(0, 0), (1, 2), (2**64 - 1, 0x0123456789ABCDEF)])
def test_philox_equals_numpy(key):
    expected = np.random.Philox(key=np.array(key, "u8")).random_raw(4 * 1000)
    out = cupy.zeros(4 * 1000, "u8")
    arguments = (np.uint64(key[0]), np.uint64(key[1]), np.uint64(1), out, np.int32(1000))
    cupy.RawKernel(PHILOX, "philox")((8,), (128,), arguments)
    np.testing.assert_array_equal(out.get(), expected)


def test_raw_module_with_templates_and_globals():
    module = cupy.RawModule(
        code=r"""
        __constant__ float factor;
        template <typename T, int N> __global__ void scale(T* x) {
            x[threadIdx.x] *= (T)factor + N;
        }
        extern "C" {
        __global__ void one(float* x) { x[0] = 1; }
        // __global__ void comment(float* x) {}
        __global__ void two(float* x) { if (true) { x[0] = 2; } }
        }""",
        options=("--std=c++17", "-DUNUSED=1"),
        name_expressions=["scale<float, 1>", "scale<double, 2>"],
    )
    pointer = module.get_global("factor")
    cupy.ndarray((1,), "f4", pointer).fill(3)
    x, y = cupy.ones(4, "f4"), cupy.ones(4, "f8")
    module.get_function("scale<float, 1>")((1,), (4,), (x,))
    module.get_function("scale<double, 2>")((1,), (4,), (y,))
    assert x.get().tolist() == [4] * 4
    assert y.get().tolist() == [5] * 4
    module.get_function("two")((1,), (1,), (x,))
    assert x.get().tolist() == [2, 4, 4, 4]


def test_defined_options_reach_the_compiler():
    kernel = cupy.RawKernel('extern "C" __global__ void f(int* x) { x[0] = VALUE; }', "f", options=("-DVALUE=17",))
    x = cupy.zeros(1, "i4")
    kernel((1,), (1,), (x,))
    assert int(x[0]) == 17


def test_kernel_may_be_named_like_a_library_function():
    kernel = cupy.RawKernel('extern "C" __global__ void getppid(int* x) { x[0] = 5; }', "getppid")
    x = cupy.zeros(1, "i4")
    kernel((1,), (1,), (x,))
    assert int(x[0]) == 5


@pytest.mark.filterwarnings("ignore:cupyx.jit.rawkernel is experimental")
def test_jit_kernel():
    from cupyx import jit

    @jit.rawkernel()
    def twice(x, y, n):
        i = jit.blockIdx.x * jit.blockDim.x + jit.threadIdx.x
        if i < n:
            y[i] = x[i] * 2

    y = cupy.zeros(350, "f4")
    twice((3,), (128,), (cupy.asarray(X.ravel()), y, cupy.uint32(350)))
    np.testing.assert_array_equal(y.get(), 2 * X.ravel())


def test_half_in_raw_kernel():
    kernel = cupy.RawKernel(
        r"""#include <cuda_fp16.h>
        extern "C" __global__ void f(const __half* x, __half* y) {
            int i = threadIdx.x;
            y[i] = __hadd(__hmul(x[i], __float2half(3.0f)), x[i]);
        }""",
        "f",
    )
    x = X[0].astype("f2")
    y = cupy.zeros(70, "f2")
    kernel((1,), (70,), (cupy.asarray(x), y))
    np.testing.assert_allclose(y.get(), x * np.float16(3) + x, rtol=2e-3)


def test_missing_kernel_is_an_error():
    kernel = cupy.RawKernel('extern "C" __global__ void f() {}', "g")
    with pytest.raises(driver.CUDADriverError, match="CUDA_ERROR_NOT_FOUND"):
        kernel((1,), (1,), ())


def test_kernel_without_c_linkage_is_not_found_as_on_a_gpu():
    kernel = cupy.RawKernel("__global__ void f() {}", "f")
    with pytest.raises(driver.CUDADriverError, match="CUDA_ERROR_NOT_FOUND"):
        kernel((1,), (1,), ())


@pytest.mark.parametrize(("grid", "block"), [((1,), (1025,)), ((1,), (32, 33)), ((1, 70000), (1,))])
def test_launch_outside_the_limits_is_an_error(grid, block):
    kernel = cupy.RawKernel('extern "C" __global__ void f() {}', "f")
    with pytest.raises(driver.CUDADriverError, match="CUDA_ERROR_INVALID_VALUE"):
        kernel(grid, block, ())


def test_compile_error_is_cupys():
    kernel = cupy.ElementwiseKernel("T x", "T y", "y = undefined_function(x)", "bad")
    with pytest.raises(compiler.CompileException, match="undefined_function"):
        kernel(cupy.zeros(3))


def test_threads_at_different_barriers_are_an_error():
    kernel = cupy.RawKernel(
        r"""extern "C" __global__ void f() {
            if (threadIdx.x < 7) __syncwarp(0xff); else __syncthreads();
        }""",
        "f",
    )
    with pytest.raises(RuntimeError, match="different barriers"):
        kernel((1,), (32,), ())
    # The emulation goes on after it.
    assert float(cupy.ones(1000).sum()) == 1000


def test_threads_that_ended_do_not_hold_up_a_barrier():
    kernel = cupy.RawKernel(
        r"""extern "C" __global__ void f(int* x) {
            if (threadIdx.x >= 20) return;
            x[threadIdx.x] = 1;
            __syncthreads();
            if (threadIdx.x == 0) for (int i = 1; i < 20; ++i) x[0] += x[i];
        }""",
        "f",
    )
    x = cupy.zeros(20, "i4")
    kernel((1,), (64,), (x,))
    assert int(x[0]) == 20


@pytest.mark.parametrize("barrier", ["", "__syncthreads();"], ids=["plain", "fibers"])
def test_order_of_blocks_and_threads(barrier, monkeypatch):
    kernel = cupy.RawKernel(
        f"""extern "C" __global__ void f(int* turns, int* n) {{
            {barrier}
            turns[atomicAdd(n, 1)] = 10 * blockIdx.x + threadIdx.x;
        }}""",
        "f",
    )

    def turns(order):
        monkeypatch.setenv("CUPY_ON_CPU_ORDER", order)
        found = cupy.zeros(15, "i4")
        kernel((3,), (5,), (found, cupy.zeros(1, "i4")))
        return found.get().tolist()

    def of(blocks, threads):
        return [10 * block + thread for block in blocks for thread in threads]

    assert turns("forward") == of((0, 1, 2), (0, 1, 2, 3, 4))
    assert turns("reverse") == of((2, 1, 0), (4, 3, 2, 1, 0))
    assert turns("alternating") == of((0, 2, 1), (0, 2, 4, 3, 1))
    assert turns("5") == turns("5") != turns("6")
    assert sorted(turns("5")) == turns("forward")
    assert [turn // 10 for turn in turns("5")[::5]] == [turn // 10 for turn in turns("5")[4::5]]  # block by block
    with pytest.raises(ValueError, match="CUPY_ON_CPU_ORDER is 'up'"):
        turns("up")


def test_what_is_compiled_is_found_again_wherever_its_headers_lie(tmp_path):
    """As in one virtual environment after the other."""
    libraries = []
    for name in ("one", "other"):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "answer.h").write_text("const int answer = 42;")
        header = toolchain.build_header("test", "#include <answer.h>\n", (), "1", (folder,))
        libraries.append(toolchain.build_library("test", "int f() { return answer; }\n", (), header, (folder,)))
    assert libraries[0] == libraries[1]


def test_threads_that_want_the_same_kernel_compile_it_once(tmp_path, monkeypatch):
    compiled = []
    compile_ = toolchain._compile
    monkeypatch.setattr(
        toolchain, "_compile", lambda arguments, output: (compiled.append(output), compile_(arguments, output))
    )
    monkeypatch.setenv("CUPY_ON_CPU_CACHE", str(tmp_path))
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        libraries = set(pool.map(lambda _: toolchain.build_library("test", "int g() { return 3; }\n"), range(4)))
    assert compiled == list(libraries)


def test_a_library_holds_its_kernels_alone():
    """Of what CuPy's headers define, and the emulation, what no kernel uses would be compiled with each of them."""
    source = """
        #include <cupy/complex.cuh>
        #include <cupy/carray.cuh>
        #include <cupy/atomics.cuh>
        extern "C" __global__ void alone(int* x) { x[threadIdx.x] = 7; }"""
    entry, options = "CUPY_ON_CPU_ENTRY(alone, alone)\n", ("-std=c++17", "-nostdlib")
    path = toolchain.build_library(
        "alone", f"{source}\n{entry}", options, kernels._prelude(), kernels._include_folders()
    )
    listing = subprocess.run(["nm", "-C", "--defined-only", path], capture_output=True, text=True, check=True).stdout
    functions = {line.split(maxsplit=2)[2] for line in listing.splitlines() if line.split()[1] in "TtWw"}
    own = {"alone", "cupy_on_cpu_call_alone", "void cupy_on_cpu::call<int*>(void (*)(int*), void**)"}
    assert functions - own <= {"_init", "_fini"}


def test_a_barrier_that_the_source_does_not_show_is_an_error(tmp_path):
    (tmp_path / "meet.h").write_text("inline __device__ void meet() { __syncthreads(); }")
    source = '#include <meet.h>\nextern "C" __global__ void f() { meet(); }'
    with pytest.raises(RuntimeError, match=r"f: its threads wait for one another in a header; write __syncthreads"):
        cupy.RawKernel(source, "f", options=(f"-I{tmp_path}",))((1,), (2,), ())
    source = "// that has __syncthreads\n" + source
    cupy.RawKernel(source, "f", options=(f"-I{tmp_path}",))((1,), (2,), ())
