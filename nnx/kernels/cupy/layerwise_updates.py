"""Updates for CuPy that look at a parameter as a whole: few launches, and sums by products with ones."""

from __future__ import annotations

from nnx.backends.base import Array
from nnx.kernels import backend_kernel
from nnx.kernels.cupy.cuda_kernels import CUPY, ElementwiseKernel, is_floating
from nnx.kernels.cupy.matrix_products import column_sums, product
from nnx.kernels.cupy.table import KERNELS
from nnx.kernels.cupy.updates import LARGER, MOMENTS, sgd

_LAMB = ElementwiseKernel(
    "lamb_direction",
    "T g, float64 beta_1, float64 beta_2, float64 correction_1, float64 correction_2, float64 epsilon",
    "T m, T v, T d",
    MOMENTS + "d = (W)correction_1 * first / (sqrt((W)correction_2 * second) + (W)epsilon);",
)
_LAMB_STEP = ElementwiseKernel(
    "lamb_step",
    "T d, T squares_of_w, T squares_of_d, float64 rate",
    "T w",
    """
    W length = sqrt((W)squares_of_w), norm = sqrt((W)squares_of_d);
    w = (W)w - (length > 0 && norm > 0 ? (W)rate * length / norm : (W)rate) * (W)d;
    """,
)
_SQUARE = ElementwiseKernel("adafactor_square", "T g, float64 epsilon", "T y", "y = (W)g * (W)g + (W)epsilon;")
_MEANS = ElementwiseKernel(
    "adafactor_means",
    "T sums_of_rows, T sums_of_columns, float64 decay, float64 in_row, float64 in_column",
    "T rows, T columns",
    """
    rows = (W)decay * (W)rows + (W)(1.0 - decay) * ((W)sums_of_rows / (W)in_row);
    columns = (W)decay * (W)columns + (W)(1.0 - decay) * ((W)sums_of_columns / (W)in_column);
    """,
)
_FACTORED = ElementwiseKernel(
    "adafactor_direction",
    "T g, T rows, T columns, T sum_of_rows, float64 count",
    "T d",
    "d = (W)g / sqrt((W)rows / ((W)sum_of_rows / (W)count) * (W)columns);",
)
_WHOLE = ElementwiseKernel(
    "adafactor_direction_of_vector",
    "T g, float64 decay, float64 epsilon",
    "T v, T d",
    "W next = (W)decay * (W)v + (W)(1.0 - decay) * ((W)g * (W)g + (W)epsilon); v = next; d = (W)g / sqrt(next);",
)
_ADAFACTOR_STEP = ElementwiseKernel(
    "adafactor_step",
    "T d, T squares_of_w, T squares_of_d, float64 count, float64 rate, float64 least, float64 threshold",
    "T w",
    """
    W size = nnx_larger<W>(sqrt((W)squares_of_w / (W)count), (W)least);
    W excess = nnx_larger<W>(sqrt((W)squares_of_d / (W)count) / (W)threshold, (W)1);
    w = (W)w - (W)rate * size * (W)d / excess;
    """,
    LARGER,
)
_MUON = ElementwiseKernel(
    "muon_direction",
    "T g, float64 decay, bool nesterov",
    "T m, T x",
    "W next = (W)decay * (W)m + (W)g; m = next; x = nesterov ? (W)g + (W)decay * next : next;",
)
_NORMALIZED = ElementwiseKernel("muon_normalized", "T x, T squares", "T y", "y = (W)x / (sqrt((W)squares) + (W)1e-7);")
_MIXED = ElementwiseKernel("mixed", "T p, T q, float64 a, float64 b", "T y", "y = (W)a * (W)p + (W)b * (W)q;")


def _accepts(w: Array, *arguments: Array | object) -> bool:
    arrays = [argument for argument in arguments if hasattr(argument, "dtype")]
    return is_floating(w, *arrays) and w.dtype.itemsize > 2 and w.size > 0  # sums of squares leave float16


def _accepts_matrix(w: Array, *arguments: Array | object) -> bool:
    return w.ndim < 3 and _accepts(w, *arguments)


@backend_kernel(KERNELS, accepts=_accepts)
def lamb(
    w: Array,
    g: Array,
    m: Array,
    v: Array,
    rate: float,
    beta_1: float,
    beta_2: float,
    correction_1: float,
    correction_2: float,
    epsilon: float,
) -> None:
    d = CUPY.xp.empty_like(w)
    _LAMB(g, beta_1, beta_2, correction_1, correction_2, epsilon, m, v, d)
    _LAMB_STEP(d, _sum_of_squares(w), _sum_of_squares(d), rate, w)


@backend_kernel(KERNELS, accepts=_accepts_matrix)
def adafactor(
    w: Array,
    g: Array,
    rows: Array,
    columns: Array,
    rate: float,
    decay: float,
    epsilon_1: float,
    epsilon_2: float,
    clip_threshold: float,
) -> None:
    d = CUPY.xp.empty_like(w)
    if w.ndim < 2:
        _WHOLE(g, decay, epsilon_1, rows, d)
    else:
        height, width = w.shape
        square = _SQUARE(g, epsilon_1)
        sums_of_rows = column_sums(square.T).reshape(height, 1)
        _MEANS(sums_of_rows, column_sums(square), decay, width, height, rows, columns)
        _FACTORED(g, rows, columns, column_sums(rows), height, d)
    _ADAFACTOR_STEP(d, _sum_of_squares(w), _sum_of_squares(d), w.size, rate, epsilon_2, clip_threshold, w)


@backend_kernel(KERNELS, accepts=_accepts)
def muon(
    w: Array,
    g: Array,
    m: Array,
    rate: float,
    decay: float,
    nesterov: bool,
    steps: int,
    coefficients: tuple[float, float, float],
) -> None:
    x = CUPY.xp.empty_like(w)
    _MUON(g, decay, nesterov, m, x)
    sgd(w, orthogonalized(x, steps, coefficients), rate)


@backend_kernel(KERNELS, accepts=_accepts)
def orthogonalized(x: Array, steps: int, coefficients: tuple[float, float, float]) -> Array:
    a, b, c = coefficients
    y = _NORMALIZED(x, _sum_of_squares(x))
    tall = x.shape[0] > x.shape[1]
    y = y.T if tall else y
    for _ in range(steps):
        square = product(y, y.T)
        y = _MIXED(y, product(_MIXED(square, product(square, square), b, c), y), a, 1.0)
    return y.T if tall else y


def _sum_of_squares(x: Array) -> Array:
    return product(x.reshape(1, -1), x.reshape(-1, 1)).reshape(())
