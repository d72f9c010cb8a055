"""CUDA kernels that go row by row: a team of threads reduces each row, always in the same order.

A team has up to 32 threads, which exchange their numbers directly; for a long row it is a whole block. Each thread goes
over every so many elements of the row, then the team combines what its threads have found, in a tree.
"""

from __future__ import annotations

import math
from typing import Any

from nnx.backends.base import Array
from nnx.kernels.cupy.cuda_kernels import RawKernel, is_floating

_WARP, _BLOCK = 32, 256  # threads
_LONG = 512  # elements above which a row gets a whole block
_MOST = (1 << 31) - _BLOCK  # elements that an index of 32 bits can go over

_CODE = """
template <class F> __device__ W team_combine(W value, F combine) {
    unsigned lane = (threadIdx.y * blockDim.x + threadIdx.x) % 32, size = blockDim.x < 32 ? blockDim.x : 32;
    unsigned team = size == 32 ? ~0u : ((1u << size) - 1) << (lane - lane % size);
    for (unsigned step = size / 2; step > 0; step /= 2) value = combine(value, __shfl_xor_sync(team, value, step));
    if (blockDim.x <= 32) return value;
    __shared__ W parts[32];
    __syncthreads();  // what the last reduction left here has been read
    if (lane == 0) parts[threadIdx.x / 32] = value;
    __syncthreads();
    value = parts[0];
    for (unsigned part = 1; part < blockDim.x / 32; ++part) value = combine(value, parts[part]);
    return value;
}
// The sum of term(i) for i from 0 to n - 1, and the largest; NaN if one of them is.
template <class F> __device__ W team_sum(int n, F term) {
    W sum = 0;
    for (int i = threadIdx.x; i < n; i += blockDim.x) sum += term(i);
    return team_combine(sum, [](W a, W b) { return a + b; });
}
template <class F> __device__ W team_max(int n, F term) {
    auto larger = [](W a, W b) { return a > b || a != a ? a : b; };
    W largest = term(0);
    for (int i = threadIdx.x; i < n; i += blockDim.x) largest = larger(largest, term(i));
    return team_combine(largest, larger);
}
template <class F> __device__ void team_each(int n, F action) {
    for (int i = threadIdx.x; i < n; i += blockDim.x) action(i);
}
"""


class RowKernel(RawKernel):
    """CUDA kernel that goes over a matrix, or several of one shape, row by row.

    name : of the kernel. parameters : their types and names, as CUDA C++ writes them.
    body : CUDA C++ for one row, with the variables `row`, `rows` and its length `n`, run by each thread of a team:
        `team_sum(n, term)` and `team_max(n, term)` for functions of the index, `team_each(n, action)`, and `first`,
        which is true for one of the threads.
    preamble : what stands before the kernel.
    """

    def __init__(self, name: str, parameters: str, body: str, preamble: str = "") -> None:
        super().__init__(
            name,
            f"""{_CODE}{preamble}
extern "C" __global__ void nnx_{name}({parameters}, long long rows, long long length) {{
    const long long row = blockIdx.x * (long long)blockDim.y + threadIdx.y;
    const int n = length;
    const bool first = threadIdx.x == 0;
    if (row >= rows) return;
    {body}
}}
""",
        )

    def launch(self, dtype: Any, shape: tuple[int, int], *arguments: Any) -> None:
        """Go over the rows of matrices of that shape; see `RawKernel` for the arguments."""
        rows, columns = shape
        team = _BLOCK if columns > _LONG else min(1 << (columns - 1).bit_length(), _WARP)
        teams = _BLOCK // team
        self(dtype, (-(-rows // teams),), (team, teams), *arguments, rows, columns)


def has_rows(x: Array, *others: Array | None) -> bool:
    """Whether arrays have one floating dtype, and the first of them elements to go over."""
    return is_floating(x, *others) and x.ndim > 0 and 0 < x.size <= _MOST


def matrix_shape(x: Array) -> tuple[int, int]:
    """How many rows an array has along its last axis, and their length."""
    return math.prod(x.shape[:-1]), x.shape[-1]
