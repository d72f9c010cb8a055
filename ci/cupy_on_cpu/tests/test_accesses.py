"""With CUPY_ON_CPU_RACES=1, conflicting accesses of a kernel's threads are errors, and those outside of its arrays."""

import cupy
import cupy_on_cpu
import numpy as np
import pytest
from cupy_on_cpu import BoundsError, RaceError, accesses

if not accesses.ON:
    pytest.skip("accesses are watched with CUPY_ON_CPU_RACES=1", allow_module_level=True)

SHARED = "__shared__ float s[64]; s[i] = y[i];"
FINE = {
    "each its own": "x[i] = y[i];",
    "reads of one": "x[i] = y[0];",
    "barrier": SHARED + "__syncthreads(); x[i] = s[63 - i];",
    "barrier after some have ended": SHARED + "if (i > 40) return; __syncthreads(); x[i] = s[40 - i];",
    "barriers in a loop": SHARED
    + "for (int k = 0; k < 3; ++k) { __syncthreads(); x[i] = s[i ^ 1]; __syncthreads(); s[i] = k; }",
    "barrier of a warp": SHARED + "__syncwarp(); x[i] = s[i ^ 31];",
    "barrier of a part of it": SHARED + "__syncwarp(i % 32 < 16 ? 0xffff : 0xffff0000); x[i] = s[i ^ 15];",
    "order passed on": "__shared__ float s[64]; if (i == 0) s[0] = 5; __syncwarp(i % 32 < 2 ? 3 : ~3u);"
    "__syncwarp(); x[i] = s[i / 32];",
    "shuffle": "x[i] = __shfl_xor_sync(~0u, y[i], 5);",
    "atomics": "atomicAdd(&x[0], y[i]); atomicMax((int*)&x[1], i); atomicCAS((int*)&x[2], 0, i);",
    "float16 sums": "atomicAdd((float16*)x, (float16)1.0f);",
    "dynamic shared memory": "extern __shared__ float d[]; d[i] = y[i]; __syncthreads(); x[i] = d[63 - i];",
}
CONFLICTS = {
    "all write to one": ("x[0] = i;", "writes 4 bytes from byte 0 on of x, which thread .* writes"),
    "neighbours": ("x[i] = y[i]; x[(i + 1) % n] += 1;", "bytes from byte .* on of x, which"),
    "a sum without atomics": ("x[0] += y[i];", r"reads 4 bytes .* in `.*a_sum_without_atomics.*x\[0\] \+= y\[i\]"),
    "a plain read beside atomics": ("if (i) atomicAdd(&x[0], y[i]); else y[0] = x[0];", "of x, which"),
    "no barrier": (SHARED + "x[i] = s[63 - i];", "of s, which thread"),
    "no second barrier": (
        "__shared__ float s[64]; for (int k = 0; k < 2; ++k) { s[i] = k; __syncthreads(); x[i] = s[63 - i]; }",
        "of s, which thread",
    ),
    "barrier of a warp for a block": (SHARED + "__syncwarp(); x[i] = s[63 - i];", "of s, which thread"),
    "barrier of a part for a warp": (SHARED + "__syncwarp(i % 32 < 16 ? 0xffff : ~0xffff); x[i] = s[i ^ 31];", "of s"),
    "shuffle for a barrier": (SHARED + "__shfl_sync(~0u, i, 0); x[i] = s[i ^ 31];", "of s, which thread"),
    "a part of a number": ("((char*)x)[4 * i + 4 * n - 4 * n] = 1; if (i == 9) x[8] = 1;", "of x, which"),
}
OUTSIDE = {
    "behind an array": (
        "x[i] = y[i + 1];",
        "thread .63, 0, 0. of block .0, 0, 0. reads 4 bytes from byte 256 on of y, which has 256",
    ),
    "before an array": ("x[i - 1] = 1;", "writes 4 bytes from byte -4 on of x, which has 256 bytes"),
    "half outside": ("if (i == 0) *(double*)(x + 63) = 1;", "writes 8 bytes from byte 252 on of x"),
    "behind a shared variable": (
        "__shared__ float s[64]; __shared__ float t[64]; s[i + 1] = t[i] = y[i]; x[i] = s[i];",
        "of s, which has 256",
    ),
    "behind dynamic shared memory": (
        "extern __shared__ float d[]; d[i + 1] = y[i];",
        "of shared memory, which has 256",
    ),
}


def function(name):
    return name.replace(" ", "_")


@pytest.fixture(scope="module")
def launch():
    """All of these kernels, which are compiled together."""
    bodies = FINE | {name: body for name, (body, _) in (CONFLICTS | OUTSIDE).items()}
    code = "#include <cupy/float16.cuh>\n" + "\n".join(
        f'extern "C" __global__ void {function(name)}(float* x, float* y, int n) {{ int i = threadIdx.x; {body} }}'
        for name, body in bodies.items()
    )
    module = cupy.RawModule(code=code)

    def launch(name, blocks=1):
        x, y = cupy.zeros(64, "f4"), cupy.arange(64, dtype="f4")
        module.get_function(function(name))((blocks,), (64,), (x, y, np.int32(64)), shared_mem=256)

    return launch


@pytest.mark.parametrize("name", FINE)
def test_what_is_ordered(name, launch):
    with cupy_on_cpu.count() as counts:
        launch(name)
    assert counts.accesses >= 128


@pytest.mark.parametrize("name", CONFLICTS)
def test_conflict(name, launch):
    with pytest.raises(RaceError, match=f"{function(name)}: thread .*{CONFLICTS[name][1]}"):
        launch(name)


@pytest.mark.parametrize("name", OUTSIDE)
def test_access_outside(name, launch):
    with pytest.raises(BoundsError, match=f"{function(name)}: .*{OUTSIDE[name][1]}"):
        launch(name)


def test_blocks_conflict_whatever_barriers_they_have(launch):
    with pytest.raises(RaceError, match=r"of block \(1, 0, 0\) .* of block \(0, 0, 0\)"):
        launch("barrier", blocks=2)


@pytest.mark.parametrize("call", [lambda x: x.sum(), lambda x: x.argmax(axis=0), lambda x: x @ x.T, lambda x: x.T + 1])
def test_kernels_of_cupy(call):
    call(cupy.ones((30, 41)))
