"""Statistics of the columns of a matrix for CuPy, as normalisations and biases need them, always summed in one order.

A block goes over some columns of a chunk of rows, each of them with several threads. Where there are several chunks, a
second launch puts together what they found: few columns of many rows have as many blocks as a large GPU needs. W, in
which sums are kept, is float32 for float16.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

from nnx.backends.base import Array
from nnx.kernels.cupy.cuda_kernels import CUPY, RawKernel
from nnx.pullbacks import SKIP

_WIDTH = 32  # columns of a block, at most
_THREADS, _MOST_THREADS = 256, 1024  # of a block, and of one that puts chunks together
_ROWS = 32  # that a thread goes over at least, where a column has several chunks
_BLOCKS = 1024  # so many are enough for every GPU: more rows make the chunks longer
_FEW = 128  # chunks that each block of a launch which needs their results may put together for itself

INVERSE = """
// The power of two that brings numbers whose squares would leave the range of W into it: 2**-64, or 2**-512.
__device__ W tiny() { return sizeof(W) == 8 ? (W)7.458340731200207e-155 : (W)5.421010862427522e-20; }
// What a value's distance from the mean is multiplied by. A variance beyond the range is kept as that of the numbers
// times tiny(), with a minus sign.
__device__ W inverse_of(W variance, W epsilon) {
    return variance < 0 ? rsqrt(-variance) * tiny() : rsqrt(variance + epsilon);
}
"""
"""CUDA C++ for statistics of groups that may be very large."""

COLUMN = f"""
// The sum of what the threads of a column have, for each of them.
__device__ W column_sum(W value) {{
    __shared__ W parts[{_MOST_THREADS}];
    const unsigned place = threadIdx.y * blockDim.x + threadIdx.x;
    __syncthreads();  // what the last sum left here has been read
    parts[place] = value;
    __syncthreads();
    for (unsigned half = blockDim.y / 2; half > 0; half /= 2) {{
        if (threadIdx.y < half) parts[place] += parts[place + half * blockDim.x];
        __syncthreads();
    }}
    return parts[threadIdx.x];
}}
"""
PLACE = """
    const long long column = blockIdx.x * (long long)blockDim.x + threadIdx.x, cell = blockIdx.y * columns + column;
    const long long start = blockIdx.y * chunk, stop = start + chunk < rows ? start + chunk : rows;
    const bool inside = column < columns, writes = inside && threadIdx.y == 0;
"""
EACH_ROW = "if (inside) for (long long row = start + threadIdx.y; row < stop; row += blockDim.y)"
_PLACE_OF_CHUNKS = """
    const long long column = blockIdx.x * (long long)blockDim.x + threadIdx.x, chunks = (rows + chunk - 1) / chunk;
    const bool inside = column < columns, writes = inside && threadIdx.y == 0;
    auto length = [&](long long index) { return index + 1 < chunks ? chunk : rows - index * chunk; };
"""
_EACH_CHUNK = "if (inside) for (long long index = threadIdx.y; index < chunks; index += blockDim.y)"
SIZES = "long long rows, long long columns, long long chunk"

_MOMENTS = RawKernel(
    "moments",
    f"""{COLUMN}
extern "C" __global__ void nnx_moments(const T* x, W* mean, W* variance, {SIZES}) {{
    {PLACE}
    const W share = (W)1 / (stop - start);
    W sum = 0, squares = 0;
    {EACH_ROW} sum += (W)x[row * columns + column];
    const W centre = column_sum(sum) * share;
    {EACH_ROW} {{
        const W centred = (W)x[row * columns + column] - centre;
        squares += centred * centred;
    }}
    squares = column_sum(squares) * share;
    if (writes) {{ mean[cell] = centre; variance[cell] = squares; }}
}}
""",
)
_MOMENTS_OF_CHUNKS = RawKernel(
    "moments_of_chunks",
    f"""{COLUMN}
extern "C" __global__ void nnx_moments_of_chunks(
    const W* means, const W* variances, W* mean, W* variance, {SIZES}
) {{
    {_PLACE_OF_CHUNKS}
    W sum = 0, squares = 0;
    {_EACH_CHUNK} sum += means[index * columns + column] * length(index);
    const W centre = column_sum(sum) / rows;
    {_EACH_CHUNK} {{
        const W distance = means[index * columns + column] - centre;
        squares += (variances[index * columns + column] + distance * distance) * length(index);
    }}
    squares = column_sum(squares) / rows;
    if (writes) {{ mean[column] = centre; variance[column] = squares; }}
}}
""",
)
_PRODUCTS = RawKernel(
    "products_and_sums",
    f"""{COLUMN}{INVERSE}
extern "C" __global__ void nnx_products_and_sums(
    const T* x, const T* dy, const W* mean, const W* variance, double epsilon,
    long long positions, long long groups, long long width, const T* rectified, T* dz, W* dgamma, W* dbeta, {SIZES}
) {{
    {PLACE}
    W product = 0, total = 0;
    {EACH_ROW} {{
        const long long group = (int)row / (int)positions * groups + (int)column / (int)width;
        W slope = dy[row * columns + column];
        if (rectified) slope *= rectified[row * columns + column] > 0 ? (W)1 : (W)0;
        if (dz) dz[row * columns + column] = slope;
        product += slope * (((W)x[row * columns + column] - mean[group]) * inverse_of(variance[group], epsilon));
        total += slope;
    }}
    product = column_sum(product);
    total = column_sum(total);
    if (writes && dgamma) dgamma[cell] = product;
    if (writes && dbeta) dbeta[cell] = total;
}}
""",
)
_PRODUCTS_OF_CHUNKS = RawKernel(
    "products_and_sums_of_chunks",
    f"""{COLUMN}
extern "C" __global__ void nnx_products_and_sums_of_chunks(
    const W* products, const W* totals, W* dgamma, W* dbeta, {SIZES}
) {{
    {_PLACE_OF_CHUNKS}
    W product = 0, total = 0;
    {_EACH_CHUNK} {{ product += products[index * columns + column]; total += totals[index * columns + column]; }}
    product = column_sum(product);
    total = column_sum(total);
    if (writes && dgamma) dgamma[column] = product;
    if (writes && dbeta) dbeta[column] = total;
}}
""",
)

_SUM_PLACE = """
// Where the sum of a column is wanted: in one of four arrays, the first three of which are that wide; 0 for nowhere.
__device__ T* sum_place(long long column, T* first, T* second, T* third, T* fourth, long long width) {
    T* const place = column < width ? first : column < 2 * width ? second : column < 3 * width ? third : fourth;
    return place ? place + (column < 3 * width ? column % width : column - 3 * width) : place;
}
"""
_SUM_PLACES = "T* first, T* second, T* third, T* fourth, long long width"
_SUMS_OF_CHUNKS = RawKernel(
    "sums_of_chunks",
    f"""{COLUMN}{_SUM_PLACE}
extern "C" __global__ void nnx_sums_of_chunks(const W* parts, {_SUM_PLACES}, {SIZES}) {{
    {_PLACE_OF_CHUNKS}
    W total = 0;
    {_EACH_CHUNK} total += parts[index * columns + column];
    total = column_sum(total);
    if (T* const place = writes ? sum_place(column, first, second, third, fourth, width) : 0) *place = total;
}}
""",
)


class SummedKernel(RawKernel):
    """CUDA kernel that goes over the elements of a matrix, and has sums of its columns in the end.

    name : of the kernel. parameters : their types and names, as CUDA C++ writes them.
    body : CUDA C++ for one element, with the variables `row`, `rows`, `column` and `columns`; it adds to `total` what
        belongs to the sum.
    preamble : what stands before the kernel.
    """

    def __init__(self, name: str, parameters: str, body: str, preamble: str = "") -> None:
        super().__init__(
            name,
            f"""{COLUMN}{_SUM_PLACE}{preamble}
extern "C" __global__ void nnx_{name}({parameters}, W* parts, {_SUM_PLACES}, {SIZES}) {{
    {PLACE}
    W total = 0;
    {EACH_ROW} {{ {body} }}
    total = column_sum(total);
    if (writes && parts) parts[cell] = total;
    else if (T* const place = writes ? sum_place(column, first, second, third, fourth, width) : 0) *place = total;
}}
""",
        )

    def launch(
        self, dtype: Any, shape: tuple[int, int], given: Sequence[Any], sums: Sequence[Array | None], width: int
    ) -> None:
        """Go over a matrix of that shape, which has elements.

        sums : up to four arrays for the sums of the columns, of the dtype, None for what nobody wants. width : how many
            columns each of the first three is for; a fourth is for all that are left.
        """
        rows, columns = shape
        (across, chunks), (wide, height), sizes = _geometry(rows, columns)
        places = (*(0 if place is None else place for place in (*sums, *[None] * (4 - len(sums)))), width)
        divided = chunks > 1 and any(place is not None for place in sums)
        parts = CUPY.xp.empty((chunks, columns), dtype=wide_dtype(dtype)) if divided else 0
        self(dtype, (across, chunks), (wide, height), *given, parts, *places, *sizes)
        if divided:
            _SUMS_OF_CHUNKS(dtype, (across, 1), (wide, _MOST_THREADS // wide), parts, *places, *sizes)


@dataclasses.dataclass(frozen=True, slots=True)
class Statistics:
    """The means and variances by which the elements of a matrix are normalised.

    mean, variance : of each group, in W; see INVERSE. epsilon : what is added to the variance.
    positions, groups, width : element (row, column) is of the group row // positions * groups + column // width.
    """

    mean: Array
    variance: Array
    epsilon: float
    positions: int
    groups: int
    width: int


def wide_dtype(dtype: Any) -> str:
    """The dtype that W stands for."""
    return "float64" if dtype == "float64" else "float32"


def moments(x: Array) -> tuple[Array, Array]:
    """The mean and the biased variance of each column of a matrix, in W."""
    mean, variance = (CUPY.xp.empty(x.shape[1], dtype=wide_dtype(x.dtype)) for _ in range(2))
    _in_chunks(_MOMENTS, _MOMENTS_OF_CHUNKS, (x,), (mean, variance))
    return mean, variance


def places_of(out: Sequence[Any], *parameters: Array | None) -> list[Any]:
    """Where each parameter's cotangent is wanted; SKIP for one that is None, which `out` has no entry for."""
    entries = iter(out)
    return [SKIP if parameter is None else next(entries) for parameter in parameters]


def products_and_sums(x: Array, dy: Array, by: Statistics, places: Sequence[Any]) -> list[Array | None]:
    """Σ dy x̂ and Σ dy of each column of two matrices, in W, with x̂ = (x - mean) / sqrt(variance + epsilon).

    places : for each of the two SKIP, and then it is None; or an array, which is used if it is one of W; or None.
    """
    results = [None if place is SKIP else room_for_column(place, x) for place in places]
    if any(result is not None for result in results):
        given = (x, dy, by.mean, by.variance, by.epsilon, by.positions, by.groups, by.width, 0, 0)
        _in_chunks(_PRODUCTS, _PRODUCTS_OF_CHUNKS, given, results)
    return results


def deliver(sums: Sequence[Any], places: Sequence[Any], *parameters: Array | None) -> list[Array | None]:
    """The cotangents of the parameters that there are, from their sums: in an array, in their own, or nowhere."""
    return [
        None if place is SKIP else _put(each, place, parameter)
        for each, place, parameter in zip(sums, places, parameters, strict=True)
        if parameter is not None
    ]


def _put(sums: Array, place: Any, parameter: Array) -> Array:
    if sums is place:
        return sums
    sums = sums.reshape(parameter.shape)
    if place is None:
        return sums.astype(parameter.dtype, copy=False)
    place[...] = sums
    return place


def moments_of_parts(x: Array) -> tuple[Array, Array, int]:
    """The mean and the variance of each column in each of some chunks of rows, in W, and how many chunks there are."""
    room = (CUPY.xp.empty(x.shape[1], dtype=wide_dtype(x.dtype)) for _ in range(2))
    return _in_chunks(_MOMENTS, _MOMENTS_OF_CHUNKS, (x,), list(room), _FEW)


def products_and_sums_of_parts(
    x: Array, dy: Array, by: Statistics, rectified: Any, dz: Any, room: Sequence[Array], together: bool
) -> tuple[Array, Array, int]:
    """As `products_and_sums` for each of some chunks of rows, and how many chunks there are; one is in `room`.

    rectified : 0, or a matrix: where it is not positive, dy counts as 0. dz : 0, or a matrix for what dy counts as.
    together : whether there has to be one.
    """
    given = (x, dy, by.mean, by.variance, by.epsilon, by.positions, by.groups, by.width, rectified, dz)
    return _in_chunks(_PRODUCTS, _PRODUCTS_OF_CHUNKS, given, room, 1 if together else _FEW)


def room_for_column(place: Any, x: Array) -> Array:
    """Where a kernel can write a number of W for each column: in an array that is such a place, else in a new one."""
    dtype = wide_dtype(x.dtype)
    usable = place is not None and place is not SKIP
    fits = usable and place.dtype == dtype and place.flags.c_contiguous
    return place if fits else CUPY.xp.empty(x.shape[1], dtype=dtype)


def launch_over_columns(kernel: RawKernel, like: Array, *arguments: Any) -> None:
    """Launch a kernel for the columns of matrices like this one; it gets the sizes of PLACE after its arguments."""
    grid, block, sizes = _geometry(*like.shape)
    kernel(like.dtype, grid, block, *arguments, *sizes)


def _geometry(rows: int, columns: int) -> tuple[tuple[int, int], tuple[int, int], tuple[int, int, int]]:
    """Blocks of a launch, threads of a block, and rows, columns and the rows of a chunk."""
    width = min(_WIDTH, 1 << (columns - 1).bit_length())
    across, height = -(-columns // width), _THREADS // width
    chunk = max(_ROWS * height, -(-rows // max(1, _BLOCKS // across)))
    return (across, -(-rows // chunk)), (width, height), (rows, columns, chunk)


def _in_chunks(
    whole: RawKernel, of_chunks: RawKernel, given: tuple[Any, ...], results: Sequence[Array | None], few: int = 1
) -> tuple[Any, Any, int]:
    """Launch a kernel for the columns of `given[0]`, and if there are several chunks of rows, one for what it found.

    Up to `few` chunks are left to the caller. Returns the two results, and of how many chunks they are.
    """
    rows, columns = given[0].shape
    dtype = given[0].dtype
    (across, chunks), (width, height), sizes = _geometry(rows, columns)
    wanted = [0 if result is None else result for result in results]
    parts = wanted if chunks == 1 else CUPY.xp.empty((2, chunks * columns), dtype=wide_dtype(dtype))
    whole(dtype, (across, chunks), (width, height), *given, *parts, *sizes)
    if chunks <= few:
        return parts[0], parts[1], chunks
    of_chunks(dtype, (across, 1), (width, _MOST_THREADS // width), *parts, *wanted, *sizes)
    return wanted[0], wanted[1], 1
