"""Calls of operations that mean the same in Keras and nnx: a row is a name with its arguments."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np


@dataclasses.dataclass(frozen=True)
class Case:
    """A call of `keras.ops` and of `nnx.ops`, whose results have to agree in values, shapes and kinds of dtype.

    symbolic : whether it may be called on symbols, of whose arguments the first one is one; not what makes arrays,
        returns Python values, or has a shape that depends on data.
    raises : the error that nnx raises; Keras raises one too, which may be of another type.
    only_shapes : whether the values are nobody's promise, as those of `empty`.
    """

    name: str
    args: tuple[Any, ...] = ()
    options: dict[str, Any] = dataclasses.field(default_factory=dict)
    symbolic: bool = True
    raises: type[Exception] | None = None
    only_shapes: bool = False

    def __str__(self) -> str:
        return (
            f"{self.name}({', '.join([*map(_text, self.args), *(f'{k}={_text(v)}' for k, v in self.options.items())])})"
        )


def _text(value: Any) -> str:
    return f"{value.dtype}{list(value.shape)}".replace(" ", "") if isinstance(value, np.ndarray) else repr(value)


def call(name: str, *args: Any, **options: Any) -> Case:
    return Case(name, args, options)


def eager(name: str, *args: Any, **options: Any) -> Case:
    """A call that symbols have no part in."""
    return Case(name, args, options, symbolic=False)


def refused(error: type[Exception], name: str, *args: Any, **options: Any) -> Case:
    return Case(name, args, options, symbolic=False, raises=error)


def shapes_of(name: str, *args: Any, **options: Any) -> Case:
    return Case(name, args, options, symbolic=False, only_shapes=True)


def _normal(*shape: int) -> np.ndarray:
    count = math.prod(shape)
    return np.sin(np.arange(1, count + 1) * 1.7).reshape(shape).astype("float32") * 2.0


NAN, INF = math.nan, math.inf
V = np.asarray([0.5, -1.5, 2.0, 0.0], "float32")
SMALL = np.asarray([0.1, -0.3, 0.9, 0.0], "float32")
ABOVE = np.asarray([1.0, 1.5, 9.0], "float32")
POSITIVE = np.asarray([0.5, 1.0, 3.0, 100.0], "float32")
M = _normal(3, 4)
N = _normal(4, 3)
SQUARE = _normal(3, 3)
T = _normal(2, 3, 4)
VECTOR = _normal(4)
HALF = np.asarray([0.5, -1.5, 2.0], "float16")
DOUBLE = np.asarray([0.5, -1.5, 2.0])
INTS = np.asarray([3, -7, 0, 5], "int32")
COUNTS = np.asarray([[3, 1, 2], [0, 5, 4]], "int32")
LONG = np.asarray([3, 1, 2, 1], "int64")
BYTES = np.asarray([3, 200, 0, 100], "uint8")
SHORT = np.asarray([3, -100, 100, 5], "int8")
BOOLS = np.asarray([True, False, True, True])
OTHER = np.asarray([True, True, False, False])
MISSING = np.asarray([[1.0, NAN, 3.0, 2.0], [NAN, NAN, 0.5, -1.0], [4.0, 2.0, 1.0, 7.0]], "float32")
NOTHING = np.asarray([[NAN, 1.0], [NAN, 2.0]], "float32")
ODD = np.asarray([1.0, NAN, INF, -INF, 0.0, -2.5], "float32")
TIES = np.asarray([[2.0, 1.0, 2.0], [0.0, 0.0, -1.0]], "float32")
EMPTY = np.zeros((0, 3), "float32")

UNARY = [
    *("exp", "exp2", "expm1", "sin", "cos", "tan", "sinh", "cosh", "tanh", "arctan", "arcsinh", "cbrt", "sinc", "i0"),
    *("abs", "absolute", "fabs", "negative", "sign", "square", "floor", "ceil", "trunc", "round", "deg2rad", "rad2deg"),
    *("real", "imag", "conj", "conjugate", "angle", "isfinite", "isinf", "isnan", "isneginf", "isposinf", "isreal"),
    *("signbit", "logical_not", "nan_to_num", "copy", "ravel", "flip"),
]
OF_POSITIVE = ["log", "log10", "log1p", "log2", "sqrt", "reciprocal"]
OF_SMALL = ["arcsin", "arccos", "arctanh"]
FLOATS_OF_INTEGERS = [
    "exp",
    "sqrt",
    "log1p",
    "sin",
    "floor",
    "ceil",
    "reciprocal",
    "mean",
    "std",
    "var",
    "median",
    "cbrt",
]

ROWS = [
    *(call(name, M) for name in UNARY),
    *(call(name, V.tolist()) for name in UNARY[:14]),
    *(call(name, POSITIVE) for name in (*OF_POSITIVE, "exp", "square", "i0")),
    *(call(name, SMALL) for name in OF_SMALL),
    call("arccosh", ABOVE),
    *(call(name, np.asarray([3, 1, 2, 5], "int32")) for name in FLOATS_OF_INTEGERS),
    *(call(name, INTS) for name in ("abs", "negative", "sign", "square", "trunc", "round", "fabs", "signbit", "angle")),
    *(call(name, INTS) for name in ("isnan", "isfinite", "isinf", "logical_not", "real", "imag", "conj", "nan_to_num")),
    *(call(name, HALF) for name in ("exp", "abs", "square", "floor", "negative", "sign", "mean", "sum", "sort")),
    *(call(name, DOUBLE) for name in ("exp", "abs", "square", "mean", "sum", "sort", "argsort", "cumsum")),
    *(
        call(name, BOOLS)
        for name in ("abs", "square", "sum", "mean", "any", "all", "cumsum", "logical_not", "prod", "exp")
    ),
    *(call(name, BOOLS) for name in ("max", "min", "argmax", "argmin", "sort", "argsort", "trace")[:6]),
    *(
        call(name, ODD)
        for name in ("isnan", "isinf", "isfinite", "isposinf", "isneginf", "nan_to_num", "signbit", "sign")
    ),
    call("nan_to_num", ODD, nan=7.0, posinf=9.0, neginf=-9.0),
    call("nan_to_num", HALF),
    call("angle", ODD),
    call("sinc", np.asarray([0.0, 1e-3, 1.0, -2.5, 9e-3, 2e-2], "float32")),
    call("i0", np.asarray([0.0, -7.9, 8.1, 30.0], "float32")),
    call("cbrt", np.asarray([-27.0, 0.0, 8.0, INF, 1e-30], "float32")),
    call("round", np.asarray([0.5, 1.5, -2.5, 2.345], "float32")),
    call("round", np.asarray([1.2345, -2.5678], "float32"), 2),
    call("round", np.asarray([1234.5, 15.0, 25.0], "float32"), decimals=-1),
    call("round", np.asarray([35, 45, 44, -25], "int32"), decimals=-1),
    call("round", INTS, decimals=2),
    call("clip", M, -0.5, 0.5),
    call("clip", INTS, -1, 4),
    call("clip", INTS, 0.5, 2.5),
    call("clip", V, 2.0, 1.0),
    call("clip", M, np.float32(-1.0), VECTOR),
    call("clip", ODD, -1.0, 1.0),
    call("clip", ODD, np.zeros(6, "float32"), np.ones(6, "float32")),
    call("clip", V, np.asarray([NAN, 0.0, NAN, 0.0], "float32"), 3.0),
    call("clip", V, NAN, 1.0),
    call("clip", V, x_min=0.0, x_max=1.0),
    refused(TypeError, "negative", BOOLS),
    refused(TypeError, "subtract", BOOLS, OTHER),
    refused(TypeError, "ptp", BOOLS),
]

BINARY = [
    *("add", "subtract", "multiply", "maximum", "minimum", "equal", "not_equal", "greater", "greater_equal"),
    *("less", "less_equal", "fmax", "fmin", "arctan2", "hypot", "logaddexp", "logaddexp2", "logical_and"),
    *("logical_or", "logical_xor", "heaviside", "isclose", "nextafter"),
]
DIVISION = ["divide", "true_divide", "mod", "fmod", "floor_divide", "divide_no_nan", "power"]
W = np.asarray([0.5, 3.0, -1.25, 2.0], "float32")

ROWS += [
    *(call(name, M, VECTOR) for name in BINARY),
    *(call(name, M, 0.5) for name in BINARY),
    *(call(name, 2.0, V) for name in BINARY),
    *(call(name, np.abs(M) + 0.1, W) for name in DIVISION),
    *(call(name, np.abs(M) + 0.1, 2.0) for name in DIVISION),
    *(call(name, M[:, None], N.T[None]) for name in ("add", "multiply", "maximum", "power")[:3]),
    *(call(name, INTS, np.asarray([2, 3, 4, -5], "int32")) for name in (*BINARY[:13], *DIVISION[:6])),
    *(call(name, INTS, 2) for name in ("add", "multiply", "subtract", "maximum", "power", "divide", "mod", "fmod")),
    *(call(name, INTS, 0.5) for name in ("add", "multiply", "subtract", "maximum", "divide")),
    *(call(name, INTS, W) for name in ("add", "multiply", "subtract", "maximum", "divide", "hypot", "where")[:6]),
    *(call(name, HALF, 0.5) for name in ("add", "multiply", "divide", "power", "maximum")),
    *(call(name, DOUBLE, 0.5) for name in ("add", "multiply", "divide", "power", "maximum")),
    *(call(name, DOUBLE, HALF) for name in ("add", "multiply", "subtract")),
    *(call(name, BOOLS, OTHER) for name in ("add", "multiply", "maximum", "minimum", "logical_and", "logical_or")),
    *(call(name, BOOLS, OTHER) for name in ("logical_xor", "equal", "not_equal", "greater", "less_equal", "divide")),
    *(call(name, BOOLS, INTS) for name in ("add", "multiply", "subtract", "equal")),
    *(call(name, BOOLS, W) for name in ("add", "multiply", "subtract", "equal")),
    *(call(name, [1.0, 2.0, 3.0, 4.0], W) for name in ("add", "multiply", "subtract", "divide")),
    *(call(name, BYTES, BYTES) for name in ("add", "multiply", "maximum", "equal")),
    *(call(name, ODD, 1.0) for name in ("maximum", "minimum", "fmax", "fmin", "equal", "heaviside", "isclose")),
    call("divide_no_nan", V, np.asarray([0.0, 2.0, 0.0, 1.0], "float32")),
    call("divide_no_nan", INTS, np.asarray([0, 2, 0, 1], "int32")),
    call("logaddexp", np.asarray([1000.0, -1000.0], "float32"), np.asarray([1000.0, 0.0], "float32")),
    call("isclose", ODD, ODD),
    call("isclose", ODD, ODD, equal_nan=True),
    call("isclose", V, V + 0.01, rtol=0.0, atol=0.1),
    call("isclose", INTS, INTS),
    call("allclose", V, V),
    call("allclose", ODD, ODD),
    call("allclose", ODD, ODD, equal_nan=True),
    call("ldexp", V, INTS),
    refused(TypeError, "ldexp", V, V),
    call("gcd", np.asarray([12, -18, 0, 17], "int32"), np.asarray([18, 12, 5, 51], "int32")),
    call("gcd", np.asarray([12, 18], "int32"), 8),
    call("lcm", np.asarray([4, -6, 0, 7], "int32"), np.asarray([6, 4, 5, 3], "int32")),
    refused(TypeError, "gcd", V, V),
    refused(TypeError, "lcm", V, V),
    *(call(f"bitwise_{name}", INTS, np.asarray([1, 2, 3, 4], "int32")) for name in ("and", "or", "xor")),
    *(call(f"bitwise_{name}", BOOLS, OTHER) for name in ("and", "or", "xor")),
    *(call(name, INTS) for name in ("bitwise_invert", "bitwise_not")),
    *(call(name, BOOLS) for name in ("bitwise_invert", "bitwise_not")),
    *(call(name, INTS, 1) for name in ("left_shift", "right_shift", "bitwise_left_shift", "bitwise_right_shift")),
    *(call(name, BYTES, 1) for name in ("right_shift", "bitwise_right_shift")),
    call("left_shift", np.asarray([1, 3], "int32"), 40),
    call("right_shift", np.asarray([-8, 300], "int32"), 2),
    refused(TypeError, "bitwise_and", V, V),
    refused(TypeError, "left_shift", V, 1),
    call("where", M > 0, M, 0.0),
    call("where", M > 0, 1.0, 0.0),
    call("where", BOOLS, INTS, W),
    call("where", BOOLS, INTS, 2),
    call("where", BOOLS, INTS, 0.5),
    call("where", INTS, V, W),
    call("where", BOOLS, M, VECTOR),
    eager("where", M > 0),
    refused(ValueError, "where", BOOLS, V),
    eager("nonzero", M > 0),
    eager("nonzero", INTS),
    eager("select", [V > 1, V > 0], [V, V * 2], 7.0),
    eager("select", [V > 1, V > 0], [V, V * 2]),
    eager("select", [INTS > 1], [INTS]),
    call("isin", COUNTS, np.asarray([1, 5], "int32")),
    call("isin", COUNTS, [1, 5], invert=True),
    call("isin", V, V[:2], assume_unique=True),
]

REDUCTIONS = ["sum", "mean", "prod", "max", "min", "amax", "amin", "std", "var", "any", "all", "ptp", "median"]
NAN_REDUCTIONS = ["nansum", "nanmean", "nanprod", "nanmax", "nanmin", "nanstd", "nanvar", "nanmedian"]

ROWS += [
    *(call(name, T) for name in REDUCTIONS),
    *(call(name, T, axis=1) for name in REDUCTIONS),
    *(call(name, T, axis=(0, 2)) for name in REDUCTIONS),
    *(call(name, T, axis=-1, keepdims=True) for name in REDUCTIONS),
    *(call(name, T, keepdims=True) for name in ("sum", "mean", "max", "median")),
    *(call(name, COUNTS, axis=1) for name in REDUCTIONS),
    *(call(name, TIES, axis=-1) for name in ("max", "min", "median", "argmax", "argmin", "argsort", "sort")),
    *(call(name, MISSING) for name in NAN_REDUCTIONS),
    *(call(name, MISSING, axis=1) for name in NAN_REDUCTIONS),
    *(call(name, MISSING, axis=0, keepdims=True) for name in NAN_REDUCTIONS),
    *(call(name, NOTHING, axis=0) for name in NAN_REDUCTIONS),
    *(call(name, COUNTS, axis=1) for name in NAN_REDUCTIONS),
    *(call(name, MISSING, axis=1) for name in ("max", "min", "sum", "mean", "median", "argmax", "argmin", "sort")),
    *(call(name, MISSING) for name in ("nanargmax", "nanargmin", "nancumsum", "nancumprod")),
    *(call(name, MISSING, axis=1) for name in ("nanargmax", "nanargmin", "nancumsum", "nancumprod")),
    *(call(name, NOTHING, axis=0) for name in ("nanargmax", "nanargmin")),
    *(call(name, COUNTS, axis=1) for name in ("nanargmax", "nanargmin", "nancumsum", "nancumprod")),
    call("nanargmax", MISSING, axis=1, keepdims=True),
    *(call(name, M) for name in ("argmax", "argmin", "cumsum", "cumprod", "count_nonzero")),
    *(call(name, T, axis=1) for name in ("argmax", "argmin", "cumsum", "cumprod", "count_nonzero")),
    *(call(name, T, axis=-1, keepdims=True) for name in ("argmax", "argmin")),
    *(call(name, T, keepdims=True) for name in ("argmax", "argmin")),
    *(call(name, BYTES) for name in ("sum", "prod", "cumsum", "cumprod", "mean", "max")),
    *(call(name, SHORT) for name in ("sum", "cumsum", "argmax")),
    call("cumsum", M, axis=0, dtype="float16"),
    call("cumsum", INTS, dtype="float32"),
    call("cumprod", INTS, axis=0, dtype="int32"),
    call("prod", INTS, dtype="float32"),
    call("prod", M, axis=0, dtype="int32"),
    call("count_nonzero", INTS),
    call("count_nonzero", T, axis=(0, 1)),
    call("max", M, axis=0, initial=0.5),
    call("min", M, initial=-9.0),
    call("max", EMPTY, axis=0, initial=1.0),
    call("min", EMPTY, initial=1.0),
    refused(ValueError, "max", EMPTY),
    refused(ValueError, "min", EMPTY, axis=0),
    *(call(name, EMPTY) for name in ("sum", "prod", "any", "all")),
    *(call(name, EMPTY, axis=1) for name in ("sum", "prod", "any", "all", "max", "mean")),
    *(call(name, np.float32(2.5)) for name in ("sum", "mean", "max", "exp", "square", "std", "argmax")),
    call("average", M),
    call("average", M, axis=0, weights=np.asarray([1.0, 2.0, 3.0], "float32")),
    call("average", M, weights=np.abs(M)),
    call("average", COUNTS, axis=1),
    call("average", INTS, weights=np.asarray([1, 2, 3, 4], "int32")),
    refused(ValueError, "average", M, weights=W),
    *(call("quantile", T, q) for q in (0.0, 0.3, 0.5, 1.0)),
    *(call("quantile", T, [0.1, 0.75], axis=1, method=m) for m in ("linear", "lower", "higher", "midpoint", "nearest")),
    *(
        call("quantile", np.arange(4, dtype="float32"), 0.5, method=m)
        for m in ("lower", "higher", "midpoint", "nearest")
    ),
    call("quantile", T, 0.4, axis=(0, 2), keepdims=True),
    call("quantile", T, [0.2, 0.4], keepdims=True),
    call("quantile", COUNTS, 0.5),
    call("quantile", MISSING, 0.5, axis=1),
    call("percentile", T, 30.0, axis=0),
    call("percentile", T, [10, 90], axis=-1, method="nearest"),
    call("percentile", T, 50, keepdims=True),
    call("nanquantile", MISSING, 0.3),
    call("nanquantile", MISSING, [0.3, 0.9], axis=1),
    call("nanquantile", MISSING, 0.5, axis=0, method="lower", keepdims=True),
    call("nanquantile", NOTHING, 0.5, axis=0),
    call("nanpercentile", MISSING, 30.0, axis=1),
    call("nanpercentile", MISSING, [10, 90]),
    call("nanmedian", MISSING, axis=(0, 1)),
    refused(ValueError, "quantile", T, 0.5, method="best"),
    call("median", MISSING, axis=0),
    call("median", np.asarray([1.0, 2.0, 3.0, 4.0], "float32")),
    call("median", ODD[2:]),
]

ROWS += [
    *(call("reshape", T, shape) for shape in ((6, 4), (-1,), (4, -1), (2, 3, 2, 2))),
    call("reshape", V, -1),
    call("reshape", V, (2, 2)),
    refused(Exception, "reshape", V, (3, 2)),
    call("transpose", T),
    call("transpose", T, (1, 0, 2)),
    call("transpose", T, axes=(-1, 0, 1)),
    call("transpose", COUNTS),
    refused(ValueError, "transpose", T, (0, 0, 1)),
    call("swapaxes", T, 0, 2),
    call("swapaxes", T, -1, -2),
    call("moveaxis", T, 0, -1),
    call("moveaxis", T, (0, 1), (2, 0)),
    call("expand_dims", M, 0),
    call("expand_dims", M, -1),
    call("expand_dims", M, (0, 2)),
    call("expand_dims", INTS, axis=1),
    call("squeeze", M[None]),
    call("squeeze", M[None, :, None], axis=0),
    call("squeeze", M[None, :, None], axis=(0, 2)),
    refused(ValueError, "squeeze", M, axis=0),
    call("broadcast_to", VECTOR, (3, 4)),
    call("broadcast_to", M[:1], (2, 3, 4)),
    refused(Exception, "broadcast_to", VECTOR, (3, 3)),
    call("flip", T, axis=1),
    call("flip", T, axis=(0, 2)),
    call("fliplr", T),
    call("flipud", T),
    call("flipud", VECTOR),
    refused(ValueError, "fliplr", VECTOR),
    call("roll", T, 2),
    call("roll", T, 1, axis=1),
    call("roll", T, (1, -2), axis=(0, 2)),
    *(call("rot90", T, k) for k in (0, 1, 2, 3, -1)),
    call("rot90", T, 1, axes=(2, 0)),
    refused(ValueError, "rot90", VECTOR),
    refused(ValueError, "rot90", M, axes=(0, 0)),
    call("repeat", M, 2),
    call("repeat", M, 2, axis=1),
    call("repeat", M, np.asarray([1, 0, 2]), axis=0),
    call("repeat", INTS, np.asarray([1, 2, 0, 1])),
    call("tile", M, 2),
    call("tile", M, (2, 1)),
    call("tile", VECTOR, (2, 3)),
    call("tile", M, (2, 1, 2)),
    call("pad", M, 1),
    call("pad", M, (1, 2)),
    call("pad", M, ((1, 0), (0, 2))),
    call("pad", M, [[1, 0], [0, 2]], constant_values=5.0),
    *(call("pad", M, ((1, 2), (2, 1)), mode=mode) for mode in ("reflect", "symmetric", "edge", "wrap")),
    call("pad", VECTOR, (6, 5), mode="reflect"),
    call("pad", INTS, 1, constant_values=7),
    call("pad", BOOLS, 1),
    refused(ValueError, "pad", M, 1, mode="reflect", constant_values=1.0),
    refused(Exception, "pad", M, 1, mode="best"),
    eager("meshgrid", V, W[:3]),
    eager("meshgrid", V, W[:3], indexing="ij"),
    eager("meshgrid", V, W[:3], V[:2]),
    eager("meshgrid", V),
    *(eager("ndim", x) for x in (T, 3.0)),
    *(eager("size", x) for x in (T, 3.0)),
    call("view", V),
    call("view", V, "int32"),
    call("view", INTS, dtype="float32"),
    call("view", V, dtype="uint8"),
    eager("concatenate", [M, M * 2]),
    eager("concatenate", [M, M * 2], axis=1),
    eager("concatenate", [M, M[:, :1]], axis=-1),
    eager("concatenate", [INTS, V]),
    eager("concatenate", [INTS, LONG]),
    eager("concatenate", [BOOLS, INTS]),
    eager("concatenate", ([1.0, 2.0], [3.0])),
    refused(Exception, "concatenate", [M, T]),
    eager("append", M, M),
    eager("append", M, M, axis=0),
    eager("append", V, [1, 2]),
    eager("append", INTS, 0.5),
    eager("stack", [V, W]),
    eager("stack", [V, W], axis=1),
    eager("stack", [M, M], axis=-1),
    eager("stack", [1.0, 2.0]),
    eager("stack", [INTS, V]),
    refused(Exception, "stack", [V, M]),
    *(eager(name, [V, W]) for name in ("hstack", "vstack", "dstack")),
    *(eager(name, [M, M]) for name in ("hstack", "vstack", "dstack")),
    *(eager(name, [T, T]) for name in ("hstack", "vstack", "dstack")),
    *(eager(name, [1.0, 2.0]) for name in ("hstack", "vstack")),
    call("split", T, 2),
    call("split", T, 2, axis=2),
    call("split", T, [1, 3], axis=-1),
    call("split", VECTOR, (1, 1, 3)),
    refused(ValueError, "split", T, 2, axis=1),
    call("array_split", T, 2, axis=1),
    call("array_split", VECTOR, 3),
    call("array_split", VECTOR, 6),
    call("hsplit", M, 2),
    call("hsplit", VECTOR, 2),
    call("vsplit", T, 2),
    call("dsplit", T, 2),
    call("dsplit", T, [1, 2]),
    call("vsplit", VECTOR, 2),
    refused(ValueError, "dsplit", M, 2),
]

ROWS += [
    call("take", M, [2, 0], axis=0),
    call("take", M, [[2, 0], [1, -1]], axis=1),
    call("take", M, np.asarray([5, -1, 0])),
    call("take", M, 1, axis=-1),
    call("take", INTS, np.asarray([1, 2], "int32")),
    call("take", M, np.zeros((0,), "int32"), axis=0),
    refused(TypeError, "take", M, [0.5]),
    call("take_along_axis", M, np.asarray([[0], [2], [-1]]), axis=1),
    call("take_along_axis", M, np.asarray([[0, 1, 1, 2]]), axis=0),
    call("take_along_axis", M, np.asarray([3, 5, -1])),
    call("take_along_axis", T, np.zeros((1, 1, 4), "int32"), axis=1),
    refused(ValueError, "take_along_axis", M, np.asarray([0]), axis=1),
    call("get_item", M, 1),
    call("get_item", M, (slice(None), -1)),
    call("get_item", M, (slice(0, 2), slice(None, None, 2))),
    call("get_item", M, (Ellipsis, None, 0)),
    call("get_item", M, slice(1, None)),
    eager("get_item", M, M > 0),
    eager("get_item", M, np.asarray([2, 0])),
    refused(IndexError, "get_item", V, (0, 0)),
    eager("unravel_index", np.asarray([4, 1, 5]), (2, 3)),
    eager("unravel_index", np.asarray([[30, -1]]), (2, 5)),
    eager("unravel_index", 4, (2, 3)),
    call("sort", M),
    call("sort", M, axis=0),
    call("sort", ODD),
    call("sort", COUNTS),
    call("argsort", M),
    call("argsort", M, axis=0),
    call("argsort", M, axis=None),
    call("argsort", np.asarray([2, 1, 2, 1], "int32")),
    call("argsort", ODD),
    shapes_of("argpartition", M, 1),
    shapes_of("argpartition", M, 1, axis=0),
    refused(ValueError, "argpartition", VECTOR, 9),
    call("searchsorted", np.asarray([1.0, 2.0, 2.0, 3.0], "float32"), np.asarray([2.0, 0.0, 9.0], "float32")),
    call(
        "searchsorted", np.asarray([1.0, 2.0, 2.0, 3.0], "float32"), np.asarray([[2.0], [2.5]], "float32"), side="right"
    ),
    call("searchsorted", np.asarray([1, 2, 3], "int32"), 2),
    refused(ValueError, "searchsorted", M, 2.0),
    call("digitize", M, np.asarray([-1.0, 0.0, 1.0], "float32")),
    call("digitize", INTS, [0, 3, 5]),
    call("digitize", V, np.asarray([1.0, 0.0, -1.0], "float32")),
    eager("unique", np.asarray([3, 1, 3, 2], "int32")),
    eager("unique", TIES),
    eager("unique", TIES, return_index=True, return_inverse=True, return_counts=True),
    eager("unique", np.asarray([[1, 2], [1, 2], [0, 5]], "int32"), axis=0, return_counts=True),
    eager("unique", np.asarray([3, 1, 3, 2], "int32"), size=2),
    eager("unique", np.asarray([3, 1, 3, 2], "int32"), size=5, return_counts=True, return_index=True),
    eager("unique", np.asarray([3, 1, 3, 2], "int32"), size=5, fill_value=-1),
    eager("histogram", M.ravel()),
    eager("histogram", M.ravel(), bins=4),
    eager("histogram", M.ravel(), bins=4, range=(-1.0, 1.0)),
    eager("histogram", np.asarray([1, 2, 2, 5], "int32"), bins=3),
    eager("histogram", np.ones(3, "float32"), bins=3),
    eager("bincount", np.asarray([0, 2, 2, 5], "int32")),
    eager("bincount", np.asarray([0, 2, 2], "int32"), minlength=6),
    eager("bincount", np.asarray([0, 2, 2], "int32"), weights=np.asarray([0.5, 1.0, 2.0], "float32")),
    eager("bincount", np.asarray([[0, 2], [1, 1]], "int32"), minlength=3),
    call("corrcoef", M),
    call("corrcoef", VECTOR),
    call("corrcoef", COUNTS),
    *(call("correlate", V, W[:2], mode=mode) for mode in ("valid", "same", "full")),
    *(call("correlate", V, W[:3], mode=mode) for mode in ("valid", "same", "full")),
    *(call("correlate", W[:2], V, mode=mode) for mode in ("valid", "same", "full")),
    *(call("correlate", W[:3], V, mode=mode) for mode in ("valid", "same", "full")),
    call("correlate", INTS, INTS[:2]),
    call("diff", M),
    call("diff", M, n=2, axis=0),
    call("diff", INTS),
    call("diff", BOOLS),
    call("diff", VECTOR, n=9),
    call("trapezoid", M),
    call("trapezoid", M, x=np.asarray([0.0, 1.0, 4.0, 5.0], "float32")),
    call("trapezoid", M, dx=0.5, axis=0),
    call("trapezoid", INTS),
    call("trapezoid", M, x=M * M, axis=0),
]

ROWS += [
    call("matmul", M, N),
    call("matmul", T, N),
    call("matmul", T, _normal(2, 4, 2)),
    call("matmul", M, VECTOR),
    call("matmul", VECTOR, N),
    call("matmul", VECTOR, VECTOR),
    call("matmul", COUNTS, COUNTS.T),
    call("matmul", SHORT[None], SHORT[:, None]),
    call("matmul", BOOLS[None], OTHER[:, None]),
    call("matmul", COUNTS, SQUARE),
    refused(Exception, "matmul", M, M),
    refused(Exception, "matmul", 2.0, M),
    *(call("dot", a, b) for a, b in ((M, N), (M, VECTOR), (VECTOR, VECTOR), (T, N), (T, _normal(5, 4, 2)), (M, 2.0))),
    call("dot", BOOLS, OTHER),
    call("dot", INTS, INTS),
    refused(Exception, "dot", M, M),
    *(call("inner", a, b) for a, b in ((M, M), (M, VECTOR), (VECTOR, VECTOR), (T, M), (M, 3.0), (INTS, INTS))),
    *(call("vdot", a, b) for a, b in ((VECTOR, VECTOR), (M, M), (M, N), (INTS, INTS))),
    *(call("outer", a, b) for a, b in ((V, W), (M, V), (INTS, INTS), (BOOLS, OTHER), (2.0, V))),
    call("tensordot", M, N, axes=1),
    call("tensordot", T, _normal(3, 4, 5)),
    call("tensordot", T, N, axes=([2], [0])),
    call("tensordot", T, _normal(3, 4, 5), axes=((1, 2), (0, 1))),
    call("tensordot", T, N, axes=(2, 0)),
    call("tensordot", V, W, axes=0),
    refused(Exception, "tensordot", M, M, axes=1),
    call("kron", V, W),
    call("kron", M, SQUARE),
    call("kron", M, V),
    call("kron", INTS, INTS),
    call("cross", SQUARE, N.T[:3, :3]),
    call("cross", SQUARE, np.asarray([1.0, 2.0, 3.0], "float32")),
    call("cross", SQUARE[:, :2], SQUARE[:, 1:]),
    call("cross", SQUARE[:, :2], SQUARE),
    call("cross", SQUARE, SQUARE[:, :2]),
    call("cross", SQUARE, N[:3], axis=0),
    call("cross", N[:3], SQUARE, axisa=0, axisb=0, axisc=0),
    refused(Exception, "cross", M, M),
    eager("einsum", "ij,jk->ik", M, N),
    eager("einsum", "ij,jk", M, N),
    eager("einsum", "ij->ji", M),
    eager("einsum", "ij->", M),
    eager("einsum", "ij->j", M),
    eager("einsum", "ii->i", SQUARE),
    eager("einsum", "ii", SQUARE),
    eager("einsum", "iij->ij", _normal(3, 3, 2)),
    eager("einsum", "i,j->ij", V, W),
    eager("einsum", "i,i->", V, W),
    eager("einsum", "i,i->i", V, W),
    eager("einsum", "bij,bjk->bik", T, _normal(2, 4, 5)),
    eager("einsum", "bij,bjk->kb", T, _normal(2, 4, 5)),
    eager("einsum", "...ij,jk->...ik", T, N),
    eager("einsum", "...i,...i->...", T, T),
    eager("einsum", "...i->i...", T),
    eager("einsum", "bqhd,bkhd->bhqk", _normal(2, 3, 2, 4), _normal(2, 5, 2, 4)),
    eager("einsum", "ij,jk,kl->il", M, N, M),
    eager("einsum", "ij,j,i->", M, W, V[:3]),
    eager("einsum", "i,i,i->i", V, V, V),
    eager("einsum", "abc,cd,b->ad", T, N, V[:3]),
    eager("einsum", "ij,ij->ij", COUNTS, COUNTS),
    eager("einsum", "i,i", BOOLS, OTHER),
    eager("einsum", "i,i->", INTS, V),
    eager("einsum", "a...,b...->ab...", T, _normal(5, 3, 4)),
    refused(Exception, "einsum", "ij,jk->ik", M, M),
    refused(Exception, "einsum", "ij->ik", M),
    refused(Exception, "einsum", "ij", V),
    call("diag", V),
    call("diag", V, k=1),
    call("diag", V, k=-2),
    call("diag", M),
    call("diag", M, k=1),
    call("diag", INTS),
    call("diagflat", M),
    call("diagflat", V, k=-1),
    call("diagonal", M),
    call("diagonal", T, offset=1, axis1=1, axis2=2),
    call("diagonal", T, axis1=2, axis2=0),
    call("diagonal", COUNTS, offset=-1),
    call("trace", M),
    call("trace", T, offset=1, axis1=2, axis2=1),
    call("trace", COUNTS),
    *(call(name, M, k=k) for name in ("tril", "triu") for k in (0, 1, -1)),
    *(call(name, T) for name in ("tril", "triu")),
    call("vander", V),
    call("vander", V, N=2),
    call("vander", INTS, N=3, increasing=True),
    call("slogdet", SQUARE - 2.0 * np.eye(3, dtype="float32")),
    call("slogdet", _normal(2, 2, 2) + np.eye(2, dtype="float32")),
]

ROWS += [
    *(eager(name, shape) for name in ("zeros", "ones") for shape in ((2, 3), 2, (), [2, 1])),
    *(eager(name, (2,), dtype=dtype) for name in ("zeros", "ones") for dtype in ("int32", "bool", "float16")),
    *(eager(name, M) for name in ("zeros_like", "ones_like")),
    *(eager(name, INTS) for name in ("zeros_like", "ones_like")),
    *(eager(name, M, dtype="int32") for name in ("zeros_like", "ones_like")),
    *(eager(name, BOOLS) for name in ("zeros_like", "ones_like")),
    shapes_of("empty", (2, 3)),
    shapes_of("empty", (2,), dtype="int32"),
    shapes_of("empty_like", M),
    shapes_of("empty_like", INTS, dtype="float32"),
    eager("full", (3,), 7),
    eager("full", 3, 7.5),
    eager("full", (2, 2), 7.9, dtype="int32"),
    eager("full", (2, 2), True, dtype="bool"),
    eager("full", (2, 4), VECTOR),
    eager("full_like", M, 2.5),
    eager("full_like", INTS, 7.9),
    eager("full_like", INTS, 7.9, dtype="float32"),
    eager("full_like", M, VECTOR),
    eager("eye", 3),
    eager("eye", 3, 4, k=1),
    eager("eye", 2, dtype="int32"),
    eager("identity", 3),
    eager("identity", 2, dtype="bool"),
    eager("tri", 3),
    eager("tri", 3, 4, k=-1),
    eager("tri", 2, dtype="int32"),
    *(eager("arange", *args) for args in ((4,), (4.0,), (1, 5), (1, 5, 2), (0.0, 1.0, 0.25), (5, 0, -2), (0, 3, 0.5))),
    eager("arange", 4, dtype="float32"),
    eager("arange", 0.0, 3.0, dtype="int32"),
    eager("array", [1.0, 2.0]),
    eager("array", [1, 2]),
    eager("array", [True, False]),
    eager("array", M, dtype="int32"),
    eager("array", INTS),
    eager("array", [[1, 2], [3, 4]], dtype="float32"),
    eager("linspace", 0.0, 1.0),
    eager("linspace", 0, 10, num=5),
    eager("linspace", 0.0, 1.0, num=5, endpoint=False),
    eager("linspace", 0.0, 1.0, num=5, retstep=True),
    eager("linspace", 0.0, 10.0, num=4, dtype="int32"),
    eager("linspace", V, W, num=3),
    eager("linspace", V, W, num=3, axis=1),
    eager("linspace", V, 0.0, num=3, axis=-1),
    eager("linspace", 3.0, 4.0, num=1),
    eager("logspace", 0.0, 2.0, num=4),
    eager("logspace", 0.0, 3.0, num=4, base=2.0, endpoint=False),
    eager("logspace", SMALL, 1.0, num=3, axis=1),
    eager("logspace", 0.0, 2.0, num=3, dtype="int32"),
    eager("geomspace", 1.0, 1000.0, num=4),
    eager("geomspace", -1.0, -16.0, num=5),
    eager("geomspace", POSITIVE, 2.0, num=3),
    eager("geomspace", 1.0, 16.0, num=4, endpoint=False),
    *(eager(name, n) for name in ("bartlett", "blackman", "hamming", "hanning") for n in (1, 2, 5, 8)),
    *(eager("kaiser", n, beta) for n in (1, 5, 8) for beta in (0.0, 8.6)),
]
