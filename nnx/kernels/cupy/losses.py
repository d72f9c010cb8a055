"""Losses of the hot path for CuPy: one launch for the values, one for their pullback, one for their sum, and one to add
that to a running sum.

Softmax is not kept: the pullback goes over the logits again, which is less work than to write it and to read it.
"""

from __future__ import annotations

from typing import Any

from nnx.backends.base import Array
from nnx.kernels import backend_kernel
from nnx.kernels.cupy.cuda_kernels import CUPY, ElementwiseKernel
from nnx.kernels.cupy.row_kernels import RowKernel, has_rows, matrix_shape
from nnx.kernels.cupy.table import KERNELS
from nnx.pullbacks import Pullback

_MOST_FOR_A_TEAM = 65_536  # values that one block of threads sums up in good time

Kernels = tuple[RowKernel, RowKernel]
"""Of the values of a loss and of their pullback."""


def _loss(name: str, targets: str, parts: str, value: str, slope: str, slope_parts: str = "") -> Kernels:
    """Kernels of a loss, from its formulas.

    targets : the parameters that say what is expected. parts : what both kernels need to know of a row.
    value : the expression for its value. slope : that for the derivative by its element i; slope_parts : what that
        needs besides.
    """
    given = f"{targets}, const T* y_pred"
    return (
        RowKernel(name, f"{given}, T* values", f"{parts} const W value = {value}; if (first) values[row] = value;"),
        RowKernel(
            f"{name}_pullback",
            f"{given}, const T* dvalues, long long step, double number, T* dx",
            f"""{parts} {slope_parts}
            const W dy = dvalues ? (W)dvalues[row * step] : (W)number;
            dx += row * n;
            team_each(n, [&](int i) {{ dx[i] = dy * ({slope}); }});""",
        ),
    )


_ROW = "y_true += row * n; y_pred += row * n;"
_TARGET = "auto target = [&](int i) { return (W)y_true[i] * (W)keep + (W)shift; };"
_SOFTMAX = """
    const W largest = team_max(n, [&](int i) { return (W)y_pred[i]; });
    const W total = team_sum(n, [&](int i) { return exp((W)y_pred[i] - largest); }), logarithm = log(total);
"""
_SQUARES = _loss(
    "mean_squared_error",
    "const T* y_true",
    f"{_ROW} auto error = [&](int i) {{ return (W)y_pred[i] - (W)y_true[i]; }};",
    "team_sum(n, [&](int i) { return error(i) * error(i); }) / n",
    "error(i) * ((W)2 / n)",
)
_BINARY = _loss(
    "binary_crossentropy",
    "double keep, double shift, const T* y_true",
    f"""{_ROW} {_TARGET}
    auto decay = [&](int i) {{ return exp(-fabs((W)y_pred[i])); }};  // at most 1
    auto entropy = [&](int i) {{
        const W z = y_pred[i];
        return (z > 0 || z != z ? z : (W)0) - z * target(i) + log1p(decay(i));
    }};""",
    "team_sum(n, entropy) / n",
    "((y_pred[i] >= 0 ? (W)1 : decay(i)) / ((W)1 + decay(i)) - target(i)) / n",
)
_CATEGORICAL = _loss(
    "categorical_crossentropy",
    "double keep, double shift, const T* y_true",
    f"{_ROW} {_TARGET} {_SOFTMAX}",
    "-team_sum(n, [&](int i) { return target(i) * ((W)y_pred[i] - largest - logarithm); })",
    "exp((W)y_pred[i] - largest) * share - target(i)",
    "const W share = team_sum(n, target) / total;",
)
_SPARSE = _loss(
    "sparse_categorical_crossentropy",
    "bool ignores, long long ignored, const long long* y_true",
    f"""y_pred += row * n;
    const bool counts = !ignores || y_true[row] != ignored;
    const long long label = counts ? y_true[row] : 0;
    auto own = [&]() {{ return label >= 0 && label < n ? (W)y_pred[label] : (W)nanf(""); }};  // nobody checked it
    {_SOFTMAX}""",
    "counts ? logarithm - (own() - largest) : (W)0",
    "(exp((W)y_pred[i] - largest) / total - (i == label ? (W)1 : (W)0)) * (counts ? (W)1 : (W)0)",
)
_SCALED_SUM = RowKernel(
    "scaled_sum",
    "const T* x, double scale, T* y",
    "const W sum = team_sum(n, [&](int i) { return (W)x[i]; }); if (first) y[0] = sum * (W)scale;",
)

_ADD_TO_SUM = ElementwiseKernel(
    "add_to_sum",
    "T amount, float64 factor, T before, T rest",
    "T total, T left",
    """
    const double exact = (double)(W)amount * factor + ((double)(W)before + (double)(W)rest);  // holds both parts
    const W whole = (W)exact;
    total = whole;
    left = whole - whole == 0 ? (W)(exact - (double)whole) : (W)0;
    """,
)


def _evaluate(kernels: Kernels, y_true: Array, y_pred: Array, *options: Any) -> tuple[Array, Pullback]:
    xp, dtype, shape = CUPY.xp, y_pred.dtype, matrix_shape(y_pred)
    of_values, of_pullback = kernels
    given = (*options, xp.ascontiguousarray(y_true), xp.ascontiguousarray(y_pred))
    values = xp.empty(y_pred.shape[:-1], dtype=dtype)
    of_values.launch(dtype, shape, *given, values)

    def pullback(dvalues: Array | float) -> Array:
        dx = xp.empty(y_pred.shape, dtype=dtype)
        of_pullback.launch(dtype, shape, *given, *_cotangent(dvalues, dtype), dx)
        return dx

    return values, pullback


def _cotangent(dvalues: Array | float, dtype: Any) -> tuple[Any, int, float]:
    """Cotangent as the pullback's kernel takes it: an array or 0, the step from row to row, and a number."""
    if isinstance(dvalues, int | float):
        return 0, 0, float(dvalues)
    array = CUPY.xp.asarray(dvalues, dtype=dtype)
    if not any(array.strides):  # one for all, as `broadcast_to` leaves it
        return array, 0, 0.0
    return CUPY.xp.ascontiguousarray(array), 1, 0.0


def _accepts_pair(y_true: Array, y_pred: Array) -> bool:
    return has_rows(y_pred, y_true) and y_true.shape == y_pred.shape


@backend_kernel(KERNELS, accepts=_accepts_pair)
def mean_squared_error(y_true: Array, y_pred: Array) -> tuple[Array, Pullback]:
    return _evaluate(_SQUARES, y_true, y_pred)


def _accepts_logits(
    y_true: Array, y_pred: Array, from_logits: bool = False, label_smoothing: float = 0.0, axis: int = -1
) -> bool:
    return from_logits and _accepts_pair(y_true, y_pred) and axis in (-1, y_pred.ndim - 1)


@backend_kernel(KERNELS, accepts=_accepts_logits)
def binary_crossentropy(
    y_true: Array, y_pred: Array, from_logits: bool = True, label_smoothing: float = 0.0, axis: int = -1
) -> tuple[Array, Pullback]:
    return _evaluate(_BINARY, y_true, y_pred, 1.0 - label_smoothing, label_smoothing / 2)


@backend_kernel(KERNELS, accepts=_accepts_logits)
def categorical_crossentropy(
    y_true: Array, y_pred: Array, from_logits: bool = True, label_smoothing: float = 0.0, axis: int = -1
) -> tuple[Array, Pullback]:
    return _evaluate(_CATEGORICAL, y_true, y_pred, 1.0 - label_smoothing, label_smoothing / y_pred.shape[-1])


def _accepts_labels(
    y_true: Array, y_pred: Array, from_logits: bool = False, ignore_class: int | None = None, axis: int = -1
) -> bool:
    return (
        from_logits
        and has_rows(y_pred)
        and axis in (-1, y_pred.ndim - 1)
        and y_true.dtype.kind in "iu"
        and y_true.shape in (y_pred.shape[:-1], (*y_pred.shape[:-1], 1))
    )


@backend_kernel(KERNELS, accepts=_accepts_labels)
def sparse_categorical_crossentropy(
    y_true: Array, y_pred: Array, from_logits: bool = True, ignore_class: int | None = None, axis: int = -1
) -> tuple[Array, Pullback]:
    labels = y_true.astype("int64", copy=False)
    return _evaluate(_SPARSE, labels, y_pred, ignore_class is not None, ignore_class or 0)


def _accepts_few(values: Array, scale: float) -> bool:
    return has_rows(values) and values.size <= _MOST_FOR_A_TEAM


@backend_kernel(KERNELS, accepts=_accepts_few)
def scaled_sum(values: Array, scale: float) -> Array:
    total = CUPY.xp.empty((), dtype=values.dtype)
    _SCALED_SUM.launch(values.dtype, (1, values.size), CUPY.xp.ascontiguousarray(values), scale, total)
    return total


@backend_kernel(KERNELS)
def add_to_sum(amount: Array, factor: float = 1.0, sums: Array | None = None) -> Array:
    result = CUPY.xp.empty((2, *amount.shape), dtype=amount.dtype)
    before, rest = (0.0, 0.0) if sums is None else (sums[0], sums[1])
    _ADD_TO_SUM(amount, factor, before, rest, result[0], result[1])
    return result
