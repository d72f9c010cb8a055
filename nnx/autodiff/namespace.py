"""The namespace of tracked arrays of a library: every name of the Array API standard, as a function that records."""

from __future__ import annotations

import functools
import inspect
import math
import types
from typing import Any

from nnx.autodiff import binary, elementwise, linalg, picking, products, reductions, shapes
from nnx.autodiff.array import TrackedArray, constant, lower, top_tape
from nnx.autodiff.backend import TrackedBackend
from nnx.autodiff.constants import LOCALLY_CONSTANT
from nnx.autodiff.operators import operators
from nnx.autodiff.record import leaf, locally_constant, refused, sequence, several, unary
from nnx.autodiff.record import binary as record_binary
from nnx.autodiff.tape import open_tapes
from nnx.backends import Backend, backend_of
from nnx.functional.scatter import scatter_add
from nnx.parameters import Parameter

CREATES = ("zeros", "ones", "empty", "full", "eye", "zeros_like", "ones_like", "empty_like", "full_like")


@functools.cache
def namespace_of(backend: Backend) -> Any:
    """The namespace that records, of the arrays of a backend."""
    base = backend.xp
    xp: Any = types.ModuleType(f"tracked_{backend.module}")
    xp.kind = type(f"Tracked{backend.module.title()}", (TrackedArray,), {"__slots__": (), "xp": xp})
    xp.base, xp.backend, xp.device_of, xp.size_of = base, backend, functools.partial(_device_of, backend), _size_of
    xp.floating = {}
    for name in dir(base):
        if not name.startswith("__"):
            setattr(xp, name, getattr(base, name))
    xp.__array_namespace_info__ = base.__array_namespace_info__
    xp.__array_api_version__ = getattr(base, "__array_api_version__", "2024.12")
    _refuse_the_rest(xp, base)
    for name, rule in elementwise.RULES.items():
        setattr(xp, name, unary(xp, rule, getattr(base, name), name, by_elements=True))
    for name, rule in (*reductions.RULES.items(), *shapes.RULES.items()):
        setattr(xp, name, unary(xp, rule, getattr(base, name), name))
    for name, pulls in binary.RULES.items():
        setattr(xp, name, record_binary(xp, pulls, getattr(base, name), name))
    for name, rule in shapes.RULES_OF_SEQUENCES.items():
        setattr(xp, name, sequence(xp, rule, getattr(base, name), name))
    for name, rule in products.RULES.items():
        setattr(xp, name, several(xp, rule, getattr(base, name), 2, name))
    xp.where = several(xp, picking.where, base.where, 3, "where")
    xp.clip = several(xp, picking.clip, base.clip, 1, "clip")
    xp.take = several(xp, picking.take, base.take, 1, "take")
    xp.take_along_axis = several(xp, picking.take_along_axis, base.take_along_axis, 1, "take_along_axis")
    xp.sort = unary(xp, picking.sort, base.sort, "sort")
    for name in LOCALLY_CONSTANT:
        if hasattr(base, name):
            setattr(xp, name, locally_constant(getattr(base, name)))
    for name in CREATES:
        setattr(xp, name, _creating(xp, getattr(base, name)))
    _indexing(xp, base)
    _linear_algebra(xp, base.linalg)
    _composites(xp, base)
    _show_signatures(xp, base)
    operators(xp.kind)
    xp.kind.backend = TrackedBackend(backend, xp)
    return xp


def kind_of(array: Any) -> type[TrackedArray]:
    """The class that tracks arrays like this one."""
    if isinstance(array, TrackedArray):
        return type(array)
    kind = type(array)
    found = _KINDS.get(kind)
    if found is None:
        found = _KINDS[kind] = namespace_of(backend_of(array)).kind
    return found


_KINDS: dict[type, type[TrackedArray]] = {}


def recording_namespace(array: Any) -> Any:
    """The namespace that records, of an array: tracked or not."""
    return kind_of(array).xp


def is_floating(array: Any) -> bool:
    """Whether an array is of real floating numbers, and so can be tracked."""
    xp, dtype = kind_of(array).xp, array.dtype
    try:
        return xp.floating[dtype]  # type: ignore[no-any-return]
    except KeyError:
        found: bool = xp.base.isdtype(dtype, "real floating")
        xp.floating[dtype] = found
        return found


def _device_of(backend: Backend, array: Any) -> Any:
    return backend.device_of(lower(array))


def _size_of(array: Any) -> int:
    return math.prod(array.shape)


def _refuse_the_rest(xp: Any, base: Any) -> None:
    """What gets no rule below raises where an array is tracked."""
    for name, function in list(vars(xp).items()):
        if callable(function) and getattr(base, name, None) is function and not isinstance(function, type):
            setattr(xp, name, refused(function, name))
    for name in ("isdtype", "dtype", "__array_namespace_info__"):
        if hasattr(base, name):
            setattr(xp, name, getattr(base, name))


def _creating(xp: Any, create: Any) -> Any:
    """A function that makes an array: a constant among tracked ones, into which tracked values may be written."""
    kind = xp.kind

    def function(*args: Any, **options: Any) -> Any:
        made = create(*map(lower, args), **{name: lower(value) for name, value in options.items()})
        return constant(made, kind)

    function.__name__ = create.__name__
    return function


def _indexing(xp: Any, base: Any) -> None:
    device_of = xp.device_of

    def put(dy: Any, key: Any, shape: Any) -> Any:
        made = base.zeros(shape, dtype=dy.dtype, device=device_of(dy))
        parts = key if isinstance(key, tuple) else (key,)
        plain = tuple(part for part in parts if part is not None)
        if len(plain) < len(parts):
            dy = base.reshape(dy, made[plain].shape)
        made[plain if plain else ...] = dy
        return made

    def get_item(x: Any, key: Any) -> Any:
        return x[key]

    def set_item(x: Any, value: Any, key: Any) -> Any:
        made = base.asarray(x, copy=True)
        made[key] = value
        return made

    xp.get_item = unary(xp, picking.get_item, get_item, "get_item")
    xp.put = unary(xp, picking.put, put, "put")
    xp.scatter_add = several(xp, picking.scatter_add, scatter_add, 1, "scatter_add")
    record = several(xp, picking.set_item, set_item, 2, "set_item")

    def written(x: Any, key: Any, value: Any) -> Any:
        key = tuple(map(lower, key)) if isinstance(key, tuple) else lower(key)
        return constant(record(x, value, key), xp.kind)

    xp.set_item = written


def _linear_algebra(xp: Any, plain: Any) -> None:
    xp.linalg = types.SimpleNamespace()
    for name in dir(plain):
        function = getattr(plain, name)
        if not name.startswith("_") and callable(function):
            setattr(xp.linalg, name, refused(function, f"linalg.{name}"))
    for name, (rule, count) in linalg.RULES.items():
        if hasattr(plain, name):
            setattr(xp.linalg, name, several(xp, rule, getattr(plain, name), count, name))
    xp.linalg.matrix_rank = locally_constant(plain.matrix_rank)
    for name in ("matmul", "tensordot", "vecdot", "matrix_transpose"):
        setattr(xp.linalg, name, getattr(xp, name))


def _composites(xp: Any, base: Any) -> None:
    """Functions that are made of others, which record."""

    def broadcast_arrays(*arrays: Any) -> Any:
        shape = base.broadcast_arrays(*map(lower, arrays))[0].shape
        return tuple(xp.broadcast_to(a, shape) for a in arrays)

    def meshgrid(*arrays: Any, indexing: str = "xy") -> Any:
        if top_tape(arrays) is None:
            return base.meshgrid(*map(lower, arrays), indexing=indexing)
        grids = base.meshgrid(*map(lower, arrays), indexing=indexing)
        made = []
        for position, a in enumerate(arrays):
            axis = 1 - position if indexing == "xy" and len(arrays) > 1 and position < 2 else position
            column = xp.reshape(a, tuple(-1 if i == axis else 1 for i in range(len(arrays))))
            made.append(xp.broadcast_to(column, grids[position].shape))
        return tuple(made)

    def unstack(x: Any, /, *, axis: int = 0) -> Any:
        before = [slice(None)] * (axis % len(x.shape))
        return tuple(x[(*before, i, ...)] for i in range(x.shape[axis]))

    def asarray(obj: Any, /, *, dtype: Any = None, device: Any = None, copy: bool | None = None) -> Any:
        if isinstance(obj, TrackedArray):
            return obj if dtype is None or dtype == obj.dtype else xp.astype(obj, dtype)
        return base.asarray(obj, dtype=dtype, device=device, copy=copy)

    def astype(x: Any, dtype: Any, /, *, copy: bool = True, device: Any = None) -> Any:
        if not isinstance(x, TrackedArray):
            return base.astype(lower(x), dtype, copy=copy)
        if not base.isdtype(dtype, "real floating"):
            return base.astype(lower(x), dtype, copy=copy)
        return record_astype(x, dtype)

    def cast(f: Any, xp: Any, x: Any, dtype: Any) -> Any:
        return f(x, dtype), lambda dy: xp.astype(dy, x.dtype)

    def diff(x: Any, /, *, axis: int = -1, n: int = 1, prepend: Any = None, append: Any = None) -> Any:
        if prepend is not None or append is not None:
            x = xp.concat([part for part in (prepend, x, append) if part is not None], axis=axis)
        before = [slice(None)] * (axis % len(x.shape))
        for _ in range(n):
            x = x[(*before, slice(1, None), ...)] - x[(*before, slice(None, -1), ...)]
        return x

    record_astype = unary(xp, cast, base.astype, "astype")
    xp.broadcast_arrays, xp.meshgrid, xp.unstack, xp.asarray, xp.astype = (
        broadcast_arrays,
        meshgrid,
        unstack,
        asarray,
        astype,
    )
    xp.diff = diff
    xp.finfo, xp.iinfo = lambda kind: base.finfo(_dtype(kind)), lambda kind: base.iinfo(_dtype(kind))
    for name in ("can_cast", "result_type"):
        setattr(xp, name, locally_constant(getattr(base, name)))


def _dtype(kind: Any) -> Any:
    return kind.dtype if isinstance(kind, TrackedArray) else kind


def _show_signatures(xp: Any, base: Any) -> None:
    for space, plain in ((xp, base), (xp.linalg, base.linalg)):
        for name, function in vars(space).items():
            original = getattr(plain, name, None)
            if callable(function) and callable(original) and function is not original:
                try:
                    function.__signature__ = inspect.signature(original)
                except (TypeError, ValueError, AttributeError):
                    continue


def _in_expression(parameter: Parameter) -> Any:
    return leaf(parameter, kind_of(parameter.value)) if open_tapes() else parameter.value


Parameter.in_expression = staticmethod(_in_expression)
