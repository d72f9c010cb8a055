"""Rows of the functions that tracked arrays have derivatives of: examples of each, for first and second derivatives.

A new rule of `nnx.autodiff` needs an example here, the name of the function first. All are smooth where they are taken.
"""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from nnx.autodiff.array import lower
from nnx.backends import Array, Namespace


@dataclasses.dataclass(frozen=True)
class TrackedRow:
    """A function of arrays at a point.

    name : of the function in its namespace, and what is special about the example.
    function : (namespace, *arrays) -> array.
    arguments : float64 arrays on the host.
    second : whether its gradient is differentiated too. standard : whether the standard has it, and its shapes do not
        depend on values, so that every library can; NumPy can do all rows.
    """

    name: str
    function: Callable[..., Any]
    arguments: tuple[np.ndarray, ...]
    second: bool = True
    standard: bool = True

    @property
    def path(self) -> str:
        """The name of the function alone."""
        return self.name.partition(" ")[0]


def _at(path: str) -> Callable[..., Any]:
    """The function of that path, as one of a namespace and arrays."""

    def function(xp: Namespace, *arrays: Array, **options: Any) -> Any:
        space = xp.linalg if path.startswith("linalg.") else xp
        return getattr(space, path.rpartition(".")[2])(*arrays, **options)

    return function


def _beside(xp: Namespace, like: Array, host: Any) -> Array:
    """Integers and masks on the device of an array."""
    return xp.backend.put_beside(lower(like), np.asarray(host))


@functools.cache
def tracked_rows() -> tuple[TrackedRow, ...]:
    """All rows."""
    rows: list[TrackedRow] = []
    random = np.random.default_rng(0)

    def normal(*shape: int) -> np.ndarray:
        return random.normal(size=shape)

    def positive(*shape: int) -> np.ndarray:
        return random.uniform(0.5, 2.0, shape)

    def add(name: str, *arguments: Any, call: Callable[..., Any] | None = None, **options: Any) -> None:
        fields = {key: options.pop(key) for key in ("second", "standard") if key in options}
        function = call or functools.partial(_at(name.partition(" ")[0]), **options)
        rows.append(TrackedRow(name, function, tuple(np.asarray(a, np.float64) for a in arguments), **fields))

    _add_elementwise(add, normal, positive)
    _add_reductions(add, normal, positive)
    _add_shapes(add, normal)
    _add_picking(add, normal)
    _add_products(add, normal)
    _add_linear_algebra(add, normal)
    return tuple(rows)


Add = Callable[..., None]
Draw = Callable[..., np.ndarray]


def _add_elementwise(add: Add, normal: Draw, positive: Draw) -> None:
    for name in ("exp", "expm1", "sin", "cos", "tan", "sinh", "cosh", "tanh", "atan", "asinh", "square"):
        add(name, normal(3, 4))
    for name in ("negative", "positive", "abs"):
        add(name, normal(3, 4))
    for name in ("log", "log1p", "log2", "log10", "sqrt", "reciprocal"):
        add(name, positive(3, 4))
    for name in ("asin", "acos", "atanh"):
        add(name, 0.4 * positive(3, 4) - 0.2)
    add("acosh", positive(3, 4) + 1.0)
    for name in ("exp", "log", "sqrt", "tanh"):
        add(f"{name} 0-d", positive())
        add(f"{name} empty", np.zeros((0, 3)))
    for name in ("cbrt", "exp2", "fabs", "deg2rad", "degrees", "rad2deg", "radians", "sinc", "nan_to_num"):
        add(name, positive(3, 4), standard=False)
    add("sinc series", [-0.29, -0.01, 0.0, 0.1, 0.299], standard=False)
    for name in ("conj", "real"):
        add(name, normal(3, 4), standard=False)  # of real arrays
    pairs = ("add", "subtract", "multiply", "divide", "maximum", "minimum", "atan2", "hypot", "logaddexp", "copysign")
    for name in pairs:
        add(name, positive(3, 4), positive(3, 4) + 0.1)
        add(f"{name} broadcast", positive(3, 1), positive(2, 1, 4))
        add(f"{name} 0-d", positive(), positive(2, 3))
        add(f"{name} empty", positive(0, 1), positive(1, 3))
        add(f"{name} number", positive(3), call=lambda xp, x, name=name: getattr(xp, name)(x, 0.7))
        add(f"{name} of a number", positive(3), call=lambda xp, x, name=name: getattr(xp, name)(0.7, x))
    for name in ("fmax", "fmin"):
        add(name, positive(3, 4), positive(4), standard=False)
    add("remainder", positive(3, 4), positive(3, 4))
    add("remainder number", positive(5), call=lambda xp, x: x % 0.7)
    add("remainder of a number", positive(5), call=lambda xp, x: 3.1 % x)
    add("pow", positive(3, 4), normal(3, 4))
    add("pow broadcast", positive(4), normal(3, 1))
    for power in (-1.5, 0, 1, 2, 3, 0.7, -1):
        add(f"pow {power}", positive(3), call=lambda xp, x, power=power: x**power)
    add("pow of a number", normal(3), call=lambda xp, x: 2.0**x)
    add("pow of zero", positive(3), call=lambda xp, x: 0.0**x)
    add("subtract and divide, numbers left", positive(3), call=lambda xp, x: 3.0 - 2.0 / x)
    add("nextafter", normal(3), normal(3), second=False, call=_nextafter)


def _nextafter(xp: Namespace, a: Array, b: Array) -> Array:
    return a * a * xp.nextafter(a, b) + 0.0 * b


def _add_reductions(add: Add, normal: Draw, positive: Draw) -> None:
    options: tuple[dict[str, Any], ...] = ({}, {"axis": 0}, {"axis": (0, -1)}, {"axis": 1, "keepdims": True})
    for name in ("sum", "mean", "var", "std", "max", "min", "prod"):
        for option in options:
            add(" ".join([name, *(f"{key}={value}" for key, value in option.items())]), normal(3, 4, 2), **option)
        if name not in ("var", "std"):
            add(f"{name} 0-d", normal())
    for name in ("sum", "prod", "mean"):
        add(f"{name} empty", np.zeros((0, 3)), axis=1)
    add("var correction", normal(5, 2), axis=0, correction=1)
    add("std correction", normal(5, 2), axis=0, correction=1)
    add("prod zero", [[1.0, 2.0, 0.0, 3.0], [1.0, 0.5, 2.0, 3.0]], axis=1)
    add("sum float64", normal(2, 3), call=lambda xp, x: xp.sum(x, axis=0, dtype=xp.float64), standard=False)
    add("cumulative_sum", normal(3, 4), axis=1)
    add("cumulative_sum initial", normal(3, 4), axis=0, include_initial=True)
    add("cumulative_sum flat", normal(4))
    add("cumulative_prod", positive(3, 4), axis=1)
    add("cumulative_prod initial", positive(3, 5), axis=-1, include_initial=True)
    add("cumulative_prod zero", [2.0, 0.0, 3.0, -1.0, 2.0])
    add("cumulative_prod zeros", [[2.0, 0.0, 3.0], [0.0, 1.0, 2.0], [0.0, 0.0, 2.0]], axis=0)
    add("cumulative_prod one", [[2.0]], axis=1)
    for name in ("cumulative_sum", "cumulative_prod"):
        add(f"{name} empty", np.zeros((2, 0)), axis=1)
        add(f"{name} empty, initial", np.zeros((2, 0)), axis=1, include_initial=True)
    add("diff", normal(3, 6), n=2)
    add("diff prepend", normal(3, 4), normal(3, 1), call=lambda xp, x, p: xp.diff(x, prepend=p, append=2.0 * p, axis=1))


def _add_shapes(add: Add, normal: Draw) -> None:
    add("reshape", normal(3, 4), call=lambda xp, x: xp.reshape(x, (6, 2)))
    add("permute_dims", normal(2, 3, 4), call=lambda xp, x: xp.permute_dims(x, (2, 0, -2)))
    add("matrix_transpose", normal(2, 3, 4))
    add("matrix_transpose .T", normal(3, 4), call=lambda xp, x: x.T)
    add("matrix_transpose .mT", normal(2, 3, 4), call=lambda xp, x: x.mT)
    add("expand_dims", normal(3, 4), axis=1)
    add("squeeze", normal(1, 3, 1), axis=(0, 2))
    add("flip", normal(3, 4), axis=1)
    add("flip all", normal(3, 4))
    add("roll", normal(3, 4), call=lambda xp, x: xp.roll(x, (1, -2), axis=(0, 1)))
    for name in ("fftshift", "ifftshift"):
        add(f"fft.{name}", normal(3, 4), call=lambda xp, x, name=name: getattr(xp.fft, name)(x))
        add(f"fft.{name} axis", normal(3, 5), call=lambda xp, x, name=name: getattr(xp.fft, name)(x, axes=1))
    add("roll flat", normal(3, 4), call=lambda xp, x: xp.roll(x, 5))
    add("moveaxis", normal(2, 3, 4), call=lambda xp, x: xp.moveaxis(x, 0, -1))
    add("broadcast_to", normal(3, 1), call=lambda xp, x: xp.broadcast_to(x, (2, 3, 4)))
    add("tril", normal(2, 4, 4), k=1)
    add("triu", normal(4, 4))
    add("tile", normal(2, 3), call=lambda xp, x: xp.tile(x, (2, 1, 3)))
    add("tile fewer", normal(2, 3), call=lambda xp, x: xp.tile(x, (2,)))
    add("repeat", normal(2, 3), call=lambda xp, x: xp.repeat(x, 2, axis=1))
    add("repeat flat", normal(2, 3), call=lambda xp, x: xp.repeat(x, 3))
    add("repeat counts", normal(2, 3), call=_repeat_counts, standard=False)
    add("astype", normal(3), call=lambda xp, x: xp.astype(x, xp.float64), standard=False)
    add("asarray", normal(3), call=lambda xp, x: xp.asarray(x, copy=True) * xp.asarray(x))
    add("asarray list", normal(), normal(), call=lambda xp, a, b: xp.asarray([[a, b], [b * a, a]]), standard=False)
    add("full", normal(), call=lambda xp, a: xp.full((2, 3), a), standard=False)
    add("full_like", normal(), normal(2, 3), call=lambda xp, a, b: b * xp.full_like(b, a), standard=False)
    add("concat", normal(2, 3), normal(2, 1), call=lambda xp, a, b: xp.concat([a, b], axis=1))
    add("concat flat", normal(2, 3), normal(2), call=lambda xp, a, b: xp.concat([a, b], axis=None))
    add("concat constant", normal(2, 3), call=lambda xp, a: xp.concat([a, lower(a) * 0.0 + 1.0], axis=-1))
    add("concat empty", normal(0, 3), normal(2, 3), call=lambda xp, a, b: xp.concat([a, b]))
    add("stack", normal(2, 3), normal(2, 3), call=lambda xp, a, b: xp.stack([a, b], axis=1))
    add("unstack", normal(2, 3), call=lambda xp, a: xp.unstack(a)[0] * xp.unstack(a, axis=1)[1][0])
    add("broadcast_arrays", normal(2, 1), normal(3), call=lambda xp, a, b: math.prod(xp.broadcast_arrays(a, b)))
    add("meshgrid", normal(2), normal(3), call=lambda xp, a, b: math.prod(xp.meshgrid(a, b)))
    add("meshgrid ij", normal(2), normal(3), call=lambda xp, a, b: math.prod(xp.meshgrid(a, b, indexing="ij")))


def _repeat_counts(xp: Namespace, x: Array) -> Array:
    return xp.repeat(x, _beside(xp, x, [1, 0, 2]), axis=1)


def _add_picking(add: Add, normal: Draw) -> None:
    mask = normal(3, 4) > 0
    add("where", normal(3, 4), normal(3, 4), call=lambda xp, a, b: xp.where(_beside(xp, a, mask), a, b))
    add("where broadcast", normal(4), normal(3, 1), call=lambda xp, a, b: xp.where(_beside(xp, a, mask), a, b))
    add("where number", normal(3, 4), call=lambda xp, a: xp.where(_beside(xp, a, mask), a, 0.0))
    add("where tracked condition", normal(3, 4), call=lambda xp, a: xp.where(a > 0, a * a, a))
    add("clip", normal(3, 4), call=lambda xp, x: xp.clip(x, -0.5, 0.5))
    add("clip above", normal(3, 4), call=lambda xp, x: xp.clip(x, max=0.5))
    add("clip below", normal(3, 4), call=lambda xp, x: xp.clip(x, -0.5))
    add("clip bounds", normal(3, 4), [-0.6] * 4, [0.7], call=lambda xp, x, low, high: xp.clip(x, low, high))
    add(
        "clip crossed bounds",
        normal(4),
        [0.7],
        [-0.6],
        call=lambda xp, x, low, high: xp.clip(x, min=low, max=high),
        standard=False,
    )
    basic: dict[str, Any] = {"int": (1, ...), "last": (-1, ...), "slice": (slice(0, 2), ...)}
    basic |= {"step": (slice(None, None, -2), ...), "tuple": (slice(None), 1), "ellipsis": (..., 0)}
    basic |= {"new axis": (slice(None), None, 1), "empty": (slice(0, 0), ...), "element": (2, 1)}
    for name, key in basic.items():
        add(f"get_item {name}", normal(3, 4), call=lambda xp, x, key=key: x[key])
    for name, key in {"row": 1, "rows by slice": slice(0, 2), "ints": [2, 0, 2, 1]}.items():
        add(f"get_item {name}", normal(3, 4), call=lambda xp, x, key=key: x[_key(xp, x, key)], standard=False)
    pairs = ([2, 0, 2, 1], [0, 1, 1, 0])
    add("get_item pairs of ints", normal(3, 4), call=lambda xp, x: x[_key(xp, x, pairs)])
    beyond = {"slice and ints": (slice(0, 2), [0, 1, 1]), "new axis and ints": (None, [2, 0, 2])}
    for name, key in beyond.items():
        add(f"get_item {name}", normal(3, 4), call=lambda xp, x, key=key: x[_key(xp, x, key)], standard=False)
    add("get_item mask", normal(3, 4), call=lambda xp, x: x[_beside(xp, x, mask)], standard=False)
    add("get_item own mask", normal(3, 4), call=lambda xp, x: x[x > 0], standard=False)
    add("get_item index without axes", normal(3, 4), call=lambda xp, x: x[_beside(xp, x, 2), _beside(xp, x, 1)])
    add("get_item ints and an index", normal(3, 4), call=lambda xp, x: x[1, _beside(xp, x, 3)])
    add("get_item index and slice", normal(3, 4), call=lambda xp, x: x[_beside(xp, x, 2), 1:], standard=False)
    add("get_item mask without axes", normal(3), call=lambda xp, x: x[_beside(xp, x, True)], standard=False)
    add("get_item iterated", normal(3, 4), call=lambda xp, x: sum((row * row for row in x), 0.0), standard=False)
    add("take", normal(3, 4), call=lambda xp, x: xp.take(x, _beside(xp, x, [2, 0, 2, 1]), axis=0))
    add("take last axis", normal(2, 3), call=lambda xp, x: xp.take(x, _beside(xp, x, [2, 0, 2, 1]), axis=-1))
    add("take flat", normal(4), call=lambda xp, x: xp.take(x, _beside(xp, x, [2, 0, 2])))
    add("take_along_axis", normal(3, 4), call=_take_along_axis)
    add("take_along_axis broadcast", normal(3, 4), call=_take_along_axis_broadcast)
    add("take_along_axis of argsort", normal(3, 4), call=_largest_two)
    add("unique_values", normal(3, 2), standard=False)
    for name in ("unique_all", "unique_counts", "unique_inverse"):
        add(name, normal(3, 2), call=lambda xp, x, name=name: getattr(xp, name)(x).values, standard=False)
    add("sort", normal(4, 3), axis=0)
    add("sort descending", normal(4, 3), descending=True)
    add("set_item column", normal(3, 4), normal(3), call=functools.partial(_written, key=(slice(None), 1)))
    add("set_item number", normal(3, 4), call=lambda xp, x: _written(xp, x, 2.0, key=(1, ...)))
    add("set_item broadcast", normal(3, 4), normal(4), call=functools.partial(_written, key=(slice(0, 2), ...)))
    add("set_item mask", normal(3), normal(), call=_written_mask, standard=False)
    add("set_item duplicates", normal(3), normal(4), call=_written_duplicates, standard=False)
    add("set_item into zeros", normal(2), call=_written_into_zeros)
    add("scatter_add", normal(4, 2), call=lambda xp, v: xp.scatter_add(v, _beside(xp, v, [2, 0, 2, 4]), 5))
    add("scatter_add empty", normal(0, 2), call=lambda xp, v: xp.scatter_add(v, _beside(xp, v, np.zeros(0, int)), 5))


def _key(xp: Namespace, x: Array, key: Any) -> Any:
    if isinstance(key, tuple):
        return tuple(_key(xp, x, part) for part in key)
    return _beside(xp, x, key) if isinstance(key, list) else key


def _take_along_axis(xp: Namespace, x: Array) -> Array:
    return xp.take_along_axis(x, _beside(xp, x, [[0, 0], [3, -1], [2, 2]]), axis=1)


def _take_along_axis_broadcast(xp: Namespace, x: Array) -> Array:
    return xp.take_along_axis(x, _beside(xp, x, [[0, 1, 1, 2]]), axis=0)


def _largest_two(xp: Namespace, x: Array) -> Array:
    return xp.take_along_axis(x, xp.argsort(x, axis=-1)[:, -2:], axis=-1)


def _written(xp: Namespace, x: Array, value: Any, key: Any) -> Array:
    z = x * 1.0
    z[key] = value
    return z * z


def _written_mask(xp: Namespace, x: Array, value: Array) -> Array:
    return _written(xp, x, value, _beside(xp, x, [True, False, True]))


def _written_duplicates(xp: Namespace, x: Array, value: Array) -> Array:
    return _written(xp, x, value, _beside(xp, x, [2, 0, 2, 2]))


def _written_into_zeros(xp: Namespace, x: Array) -> Array:
    made = xp.zeros((3, 2), dtype=x.dtype, device=xp.device_of(x))
    for row in range(3):
        made[row, :] = x * (row + 1.0)
    return made * made


def _add_products(add: Add, normal: Draw) -> None:
    shapes: dict[str, tuple[tuple[int, ...], tuple[int, ...]]] = {
        "2 2": ((3, 4), (4, 2)),
        "1 1": ((4,), (4,)),
        "1 2": ((4,), (4, 2)),
        "2 1": ((3, 4), (4,)),
        "3 2": ((2, 3, 4), (4, 2)),
        "3 3 broadcast": ((2, 1, 3, 4), (5, 4, 2)),
        "1 3": ((4,), (2, 4, 3)),
        "3 1": ((2, 3, 4), (4,)),
        "empty": ((3, 0), (0, 2)),
    }
    for name, (a, b) in shapes.items():
        add(f"matmul {name}", normal(*a), normal(*b))
    add("matmul operator", normal(3, 4), normal(4, 2), call=lambda xp, a, b: a @ b)
    add("vecdot", normal(3, 4), normal(3, 4))
    add("vecdot broadcast", normal(2, 3, 4), normal(4), axis=-1)
    add("tensordot 1", normal(2, 3), normal(3, 4), axes=1)
    add("tensordot axes", normal(2, 5, 3), normal(4, 3, 2), axes=((2, 0), (1, 2)))
    add("tensordot 0", normal(2, 3), normal(2), axes=0)
    add("linalg.outer", normal(3), normal(4))


def _add_linear_algebra(add: Add, normal: Draw) -> None:
    invertible = normal(3, 3) + 3.0 * np.eye(3)
    add("linalg.inv", invertible)
    add("linalg.inv stack", normal(2, 3, 3) + 3.0 * np.eye(3))
    add("linalg.det", normal(2, 3, 3))
    add("linalg.det identity", np.eye(3))
    add("linalg.det of rank 2", np.outer([1.0, 2.0, 3.0], [1.0, 0.5, 2.0]) + np.diag([1.0, 0.0, 0.0]), second=False)
    add("linalg.slogdet", normal(2, 3, 3) + 2.0 * np.eye(3), call=lambda xp, x: xp.linalg.slogdet(x).logabsdet)
    add("linalg.slogdet tied", 2.0 * np.eye(3), call=lambda xp, x: xp.linalg.slogdet(x)[1])
    add("linalg.solve", invertible, normal(3, 2))
    add("linalg.solve vector", invertible, normal(3))
    add("linalg.solve stack", normal(2, 3, 3) + 3.0 * np.eye(3), normal(3, 2))
    add("linalg.solve stack vector", normal(2, 3, 3) + 3.0 * np.eye(3), normal(3))
    add("linalg.cholesky", normal(4, 4), call=lambda xp, x: xp.linalg.cholesky(_definite(xp, x)))
    add("linalg.cholesky upper", normal(3, 3), call=lambda xp, x: xp.linalg.cholesky(_definite(xp, x), upper=True))
    add("linalg.trace", normal(2, 3, 3))
    add("linalg.trace offset", normal(3, 4), offset=1)
    for offset in (-1, 0, 2):
        add(f"linalg.diagonal {offset}", normal(2, 4, 3), offset=offset)
    add("linalg.vector_norm", normal(3, 4), axis=-1)
    for order in (0.5, 1, 2, 3, math.inf, -math.inf):
        add(f"linalg.vector_norm {order}", normal(3, 4), axis=(0, 1), ord=order, keepdims=True)
    for order_of_matrix in ("fro", "nuc", 1, 2, math.inf, -1, -2, -math.inf):
        add(f"linalg.matrix_norm {order_of_matrix}", normal(2, 3, 4), ord=order_of_matrix)
    add("linalg.matrix_norm keepdims", normal(3, 4), ord="nuc", keepdims=True)
    for power in (0, 1, 2, 3, 5, -2):
        matrix = normal(2, 3, 3) + 3.0 * np.eye(3)
        add(f"linalg.matrix_power {power}", matrix, call=lambda xp, x, n=power: xp.linalg.matrix_power(x, n) * x)
    add("linalg.eigvalsh", normal(4, 4), call=lambda xp, x: xp.linalg.eigvalsh(x + x.mT))
    add("linalg.eigvalsh stack", normal(2, 3, 3), call=lambda xp, x: xp.linalg.eigvalsh(x + x.mT))
    add("linalg.eigh", normal(4, 4), call=_powered)
    add("linalg.eigh vectors", normal(4, 4), call=lambda xp, x: xp.linalg.eigh(x + x.mT)[1] ** 2)
    for name, shape in {"square": (3, 3), "high": (4, 3), "wide": (3, 4), "stack": (2, 3, 2)}.items():
        add(f"linalg.svdvals {name}", normal(*shape))
        add(f"linalg.svd {name}", normal(*shape), call=_rebuilt)
        add(f"linalg.svd {name} vectors", normal(*shape), call=_singular_vectors)
        add(f"linalg.qr {name}", normal(*shape), call=lambda xp, x: _joined(xp, xp.linalg.qr(x)))
        add(f"linalg.pinv {name}", normal(*shape))
    add("linalg.svd full values", normal(2, 3), call=lambda xp, x: xp.linalg.svd(x).S)
    add("linalg.pinv of rank 1", normal(3), normal(4), call=lambda xp, a, b: xp.linalg.pinv(xp.linalg.outer(a, b)))
    add("linalg.cross", normal(2, 3), normal(2, 3))
    add("linalg.cross broadcast", normal(3), normal(2, 3))


def _definite(xp: Namespace, x: Array) -> Array:
    dtype = str(x.dtype).rpartition(".")[2]
    return x @ x.mT + 4.0 * _beside(xp, x, np.eye(x.shape[-1], dtype=dtype))


def _powered(xp: Namespace, x: Array) -> Array:
    values, vectors = xp.linalg.eigh(x + x.mT)
    return (vectors * xp.exp(0.3 * values)) @ vectors.mT


def _rebuilt(xp: Namespace, x: Array) -> Array:
    u, s, vh = xp.linalg.svd(x, full_matrices=False)
    return (u * (s * s)[..., None, :]) @ vh


def _singular_vectors(xp: Namespace, x: Array) -> Array:
    u, _, vh = xp.linalg.svd(x, full_matrices=False)
    return _joined(xp, (u * u, vh * vh))


def _joined(xp: Namespace, parts: Any) -> Array:
    return xp.concat([xp.reshape(part, (-1,)) for part in parts])
