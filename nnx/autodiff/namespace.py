"""The namespace of tracked arrays of a library: every name of the Array API standard, as a function that records."""

from __future__ import annotations

import functools
import inspect
import math
import types
from typing import Any, Final

import numpy as np

from nnx.autodiff import binary, elementwise, linalg, picking, products, reductions, shapes
from nnx.autodiff.array import MissingMethod, TrackedArray, constant, lower, top_tape
from nnx.autodiff.backend import TrackedBackend
from nnx.autodiff.constants import LOCALLY_CONSTANT
from nnx.autodiff.operators import operators
from nnx.autodiff.record import binary as record_binary
from nnx.autodiff.record import (
    by_elements,
    composite,
    is_real_floating,
    leaf,
    locally_constant,
    parts,
    refused,
    sequence,
    several,
    unary,
)
from nnx.autodiff.tape import CONSTANT, open_tapes
from nnx.backends import Backend, backend_of, is_array
from nnx.functional import choice, guards, spreading  # noqa: F401, have generic forms
from nnx.functional.scatter import scatter_add
from nnx.kernels import GENERIC, RECORDING
from nnx.parameters import Parameter, let_track
from nnx.structure import leaves

_CREATES: Final = ("zeros", "ones", "empty", "eye", "zeros_like", "ones_like", "empty_like")
_COMPLEX: Final = ", whose arrays are real, while its values are complex"
_REFUSED: Final = {
    **dict.fromkeys(("linalg.eig", "linalg.eigvals"), _COMPLEX),
}
"""Names of the standard without a rule, each with the reason."""


@functools.cache
def namespace_of(backend: Backend) -> Any:
    """The namespace that records, of the arrays of a backend."""
    base = backend.xp
    xp: Any = types.ModuleType(f"tracked_{backend.module}")
    xp.kind = type(f"Tracked{backend.module.title()}", (TrackedArray,), {"__slots__": (), "xp": xp})
    xp.base, xp.backend, xp.device_of, xp.size_of = base, backend, functools.partial(_device_of, backend), _size_of
    for name in ("where_zero", "spread"):  # found once, not by every call
        kernel = backend.kernels.get(name)
        setattr(xp, name, GENERIC[name] if kernel is None else kernel.function)
    xp.refuses_others = _refuses_others(base)
    xp.floating_dtypes = {}  # dtypes of other libraries may be equal to these, and do not mean the same
    for name in dir(base):
        if not name.startswith("__"):
            setattr(xp, name, getattr(base, name))
    xp.__array_namespace_info__ = base.__array_namespace_info__
    xp.__array_api_version__ = getattr(base, "__array_api_version__", "2024.12")
    _refuse_the_rest(xp, base)
    _give_rules(xp, base)
    for name in LOCALLY_CONSTANT:
        if hasattr(base, name):
            setattr(xp, name, locally_constant(getattr(base, name)))
    for name in _CREATES:
        setattr(xp, name, _creating(xp, getattr(base, name)))
    _indexing(xp, base)
    _linear_algebra(xp, base)
    _transforms(xp, base)
    _composites(xp, base)
    _sets(xp, base)
    _show_signatures(xp, base)
    operators(xp.kind)
    for name in {*dir(np.ndarray), *dir(base)}:
        if not (name.startswith("_") or hasattr(xp.kind, name)):
            setattr(xp.kind, name, MissingMethod(name))
    RECORDING[xp.kind] = xp.kind.backend = TrackedBackend(backend, xp)
    return xp


def _give_rules(xp: Any, base: Any) -> None:
    beyond = {name: rule for name, rule in elementwise.RULES_BEYOND.items() if hasattr(base, name)}
    for name, rule in (*elementwise.RULES.items(), *beyond.items()):
        setattr(xp, name, by_elements(xp, rule, getattr(base, name), name))
    for name, rule_of_one in (*reductions.RULES.items(), *shapes.RULES.items(), ("sort", picking.sort)):
        plain = reductions.sum_of(base) if name == "sum" else getattr(base, name)
        setattr(xp, name, unary(xp, rule_of_one, plain, name, views=name in shapes.VIEWS))
    if hasattr(base, "nan_to_num"):
        xp.nan_to_num = unary(xp, picking.nan_to_num, base.nan_to_num, "nan_to_num", by_elements=True)
    for name, makers in (*binary.RULES.items(), *binary.RULES_BEYOND.items()):
        if hasattr(base, name):
            setattr(xp, name, record_binary(xp, makers, getattr(base, name), name))
    for name, rule_of_several in shapes.RULES_OF_SEQUENCES.items():
        setattr(xp, name, sequence(xp, rule_of_several, getattr(base, name), name))
    for name, rule_of_two in products.RULES.items():
        setattr(xp, name, several(xp, rule_of_two, getattr(base, name), 2, name))
    xp.matmul = products.matrix_product(xp, base.matmul)
    choice_kernel = xp.backend.kernels.get("where")
    plain_where = base.where if choice_kernel is None else choice_kernel.function
    xp.where = several(xp, picking.where, plain_where, 3, "where")
    xp.take = several(xp, picking.take, base.take, 1, "take")
    xp.take_along_axis = several(xp, picking.take_along_axis, base.take_along_axis, 1, "take_along_axis")


def _refuses_others(base: Any) -> bool:
    """Whether operators of the library raise where the right operand is of a class that it does not know.

    So array-api-strict; others leave the operator to that class.
    """

    class Other:
        def __radd__(self, other: Any) -> bool:
            return False

        __array_ufunc__ = None

    try:
        return bool(base.ones((1,)) + Other())
    except TypeError:
        return True


def kind_of(array: Any) -> type[TrackedArray]:
    """The class that tracks arrays like this one, which is the class of a tracked one itself."""
    found = _KINDS.get(type(array))
    if found is None:
        xp = type(array).xp if isinstance(array, TrackedArray) else namespace_of(backend_of(array))
        found = _KINDS[type(array)] = xp.kind
    return found


_KINDS: dict[type, type[TrackedArray]] = {}


def floating_kind(value: Any) -> type[TrackedArray] | None:
    """The class that tracks an array; None for what has no derivative: integers, and what is no array."""
    kind = _KINDS.get(type(value))
    if kind is None:
        if not is_array(value):
            return None
        kind = kind_of(value)
    floating = kind.xp.floating_dtypes.get(value.dtype)
    return kind if floating or (floating is None and is_floating(value)) else None


def recording_namespace(array: Any) -> Any:
    """The namespace that records, of an array: tracked or not."""
    return kind_of(array).xp


def is_floating(array: Any) -> bool:
    """Whether an array is of real floating numbers, and so can be tracked."""
    return is_real_floating(kind_of(array).xp, array.dtype)


def _device_of(backend: Backend, array: Any) -> Any:
    return backend.device_of(lower(array))


def _size_of(array: Any) -> int:
    return math.prod(array.shape)


def _refuse_the_rest(xp: Any, base: Any) -> None:
    """What gets no rule below raises where an array is tracked."""
    for name, function in list(vars(xp).items()):
        if callable(function) and getattr(base, name, None) is function and not isinstance(function, type):
            setattr(xp, name, refused(getattr(base, name), name, _REFUSED.get(name, "")))
    for name in ("isdtype", "dtype", "__array_namespace_info__"):
        if hasattr(base, name):
            setattr(xp, name, getattr(base, name))


def _writable(xp: Any, made: Any) -> Any:
    """A new array: of floating numbers as a constant among tracked ones, into which tracked values may be written."""
    return constant(made, xp.kind) if is_floating(made) else made


def _creating(xp: Any, create: Any) -> Any:
    """A function that makes an array."""

    def function(*args: Any, **options: Any) -> Any:
        made = create(*map(lower, args), **{name: lower(value) for name, value in options.items()})
        return _writable(xp, made)

    function.__name__ = create.__name__
    return function


def _indexing(xp: Any, base: Any) -> None:
    device_of = xp.device_of

    def put_into_zeros(dy: Any, key: Any, shape: Any) -> Any:
        made = base.zeros(shape, dtype=dy.dtype, device=device_of(dy))
        axes = key if isinstance(key, tuple) else (key,)
        plain = tuple(part for part in axes if part is not None)
        if len(plain) < len(axes):
            dy = base.reshape(dy, made[plain].shape)
        made[plain if plain else ...] = dy
        return made

    def get_item(x: Any, key: Any) -> Any:
        return x[key]

    def set_item(x: Any, value: Any, key: Any) -> Any:
        made = base.asarray(x, copy=True)
        if hasattr(value, "dtype") and value.shape and picking.has_arrays(key):
            value = picking.last_of_each_place(base, value, key, made)
        made[key] = value
        return made

    record_get = unary(xp, picking.get_item, get_item, "get_item")
    record_view = unary(xp, picking.get_item, get_item, "get_item", views=True)
    record_set = several(xp, picking.set_item, set_item, 2, "set_item")

    def read(x: Any, key: Any) -> Any:
        key = picking.plain_key(key)
        if picking.has_places(key):
            return record_get(x, key)
        key = key if isinstance(key, tuple) else (key,)
        return record_view(x, key if Ellipsis in key else (*key, ...))  # the standard wants an index for every axis

    def written(x: Any, key: Any, value: Any) -> Any:
        if isinstance(value, TrackedArray) and value.tape.level != CONSTANT and not is_floating(x):
            raise TypeError(
                f"x[key] = value: {x.dtype} cannot hold a tracked {value.dtype}, which would lose its derivative in "
                f"silence; make x of that dtype"
            )
        return constant(record_set(x, value, picking.plain_key(key)), xp.kind)

    xp.get_item, xp.set_item = read, written
    xp.put_into_zeros = unary(xp, picking.put_into_zeros, put_into_zeros, "put_into_zeros")
    xp.scatter_add = several(xp, picking.scatter_add, scatter_add, 1, "scatter_add")


def _linear_algebra(xp: Any, base: Any) -> None:
    plain = base.linalg
    xp.linalg = types.SimpleNamespace()
    for name in dir(plain):
        function = getattr(plain, name)
        if not name.startswith("_") and callable(function):
            path = f"linalg.{name}"
            setattr(xp.linalg, name, refused(function, path, _REFUSED.get(path, "")))
    for name, (rule, count) in linalg.RULES.items():
        setattr(xp.linalg, name, several(xp, rule, getattr(plain, name), count, name))
    for name, rule_of_parts in linalg.RULES_OF_PARTS.items():
        setattr(xp.linalg, name, parts(xp, rule_of_parts, getattr(plain, name), name))
    xp.cofactors = several(xp, linalg.cofactors, functools.partial(linalg.plain_cofactors, base), 1, "cofactors")

    def matrix_norm(x: Any, /, *, keepdims: bool = False, ord: Any = "fro") -> Any:
        return linalg.matrix_norm(xp, x, keepdims, ord)

    def matrix_power(x: Any, n: int, /) -> Any:
        return linalg.matrix_power(xp, x, n)

    record_pinv = xp.linalg.pinv

    def pinv(x: Any, /, **options: Any) -> Any:
        return record_pinv(x, **{name: lower(value) for name, value in options.items()})  # rtol decides on a rank

    xp.linalg.pinv = pinv
    xp.linalg.matrix_norm = composite(xp, matrix_norm, plain.matrix_norm, "matrix_norm")
    xp.linalg.matrix_power = composite(xp, matrix_power, plain.matrix_power, "matrix_power")
    xp.linalg.matrix_rank = locally_constant(plain.matrix_rank)
    for name, rule_of_two in products.RULES.items():
        setattr(xp.linalg, name, several(xp, rule_of_two, getattr(plain, name), 2, name))
    xp.linalg.matmul = products.matrix_product(xp, plain.matmul)
    xp.linalg.matrix_transpose = unary(xp, shapes.RULES["matrix_transpose"], plain.matrix_transpose, "matrix_transpose")


def _transforms(xp: Any, base: Any) -> None:
    """Fourier transforms, which speak complex numbers."""
    if not hasattr(base, "fft"):
        return
    xp.fft = types.SimpleNamespace()
    for name in dir(base.fft):
        function = getattr(base.fft, name)
        if not name.startswith("_") and callable(function):
            setattr(xp.fft, name, refused(function, f"fft.{name}", _COMPLEX))

    def shifted(x: Any, axes: Any, upwards: bool) -> Any:
        axes = tuple(range(x.ndim)) if axes is None else (axes,) if isinstance(axes, int) else tuple(axes)
        halves = [x.shape[axis] // 2 for axis in axes]
        return xp.roll(x, tuple(halves) if upwards else tuple(-half for half in halves), axis=axes)

    def fftshift(x: Any, /, *, axes: Any = None) -> Any:
        return shifted(x, axes, True)

    def ifftshift(x: Any, /, *, axes: Any = None) -> Any:
        return shifted(x, axes, False)

    for made in (fftshift, ifftshift):
        setattr(xp.fft, made.__name__, composite(xp, made, getattr(base.fft, made.__name__), f"fft.{made.__name__}"))


def _composites(xp: Any, base: Any) -> None:
    """Functions that are made of others, which record."""

    def broadcast_arrays(*arrays: Any) -> Any:
        shape = base.broadcast_arrays(*map(lower, arrays))[0].shape
        return tuple(xp.broadcast_to(a, shape) for a in arrays)

    def meshgrid(*arrays: Any, indexing: str = "xy") -> Any:
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
        if isinstance(obj, list | tuple) and top_tape(leaves(list(obj))) is not None:
            obj = xp.stack([asarray(part, device=device) for part in obj])
        if isinstance(obj, TrackedArray):
            made = obj if dtype is None or dtype == obj.dtype else xp.astype(obj, dtype)
            return xp.positive(made) if copy and made is obj else made
        return base.asarray(obj, dtype=dtype, device=device, copy=copy)

    def astype(x: Any, dtype: Any, /, *, copy: bool = True, device: Any = None) -> Any:
        if type(x) is Parameter:
            x = leaf(x, xp.kind)
        if isinstance(x, TrackedArray) and base.isdtype(dtype, "real floating"):
            return record_astype(x, dtype)
        if isinstance(x, TrackedArray) and x.tape.level != CONSTANT and base.isdtype(dtype, "complex floating"):
            raise NotImplementedError(f"astype: a tracked array is of real numbers, and not of {dtype}")
        return base.astype(lower(x), dtype, copy=copy)

    def diff(x: Any, /, *, axis: int = -1, n: int = 1, prepend: Any = None, append: Any = None) -> Any:
        if prepend is not None or append is not None:
            x = xp.concat([part for part in (prepend, x, append) if part is not None], axis=axis)
        before = [slice(None)] * (axis % len(x.shape))
        for _ in range(n):
            x = x[(*before, slice(1, None), ...)] - x[(*before, slice(None, -1), ...)]
        return x

    def clip(x: Any, /, min: Any = None, max: Any = None) -> Any:
        return record_clip(x, min, max)

    def full(shape: Any, fill_value: Any, *, dtype: Any = None, device: Any = None) -> Any:
        return xp.broadcast_to(fill_value if dtype is None else xp.astype(fill_value, dtype), shape)

    def full_like(x: Any, /, fill_value: Any, *, dtype: Any = None, device: Any = None) -> Any:
        if not isinstance(fill_value, TrackedArray):
            return _writable(xp, base.full_like(lower(x), fill_value, dtype=dtype, device=device))
        return xp.broadcast_to(xp.astype(fill_value, x.dtype if dtype is None else dtype), x.shape)

    def swapaxes(x: Any, axis1: int, axis2: int, /) -> Any:
        order = list(range(len(x.shape)))
        order[axis1], order[axis2] = order[axis2], order[axis1]
        return xp.permute_dims(x, tuple(order))

    if hasattr(base, "swapaxes"):
        xp.swapaxes = composite(xp, swapaxes, base.swapaxes, "swapaxes")
    record_astype = unary(xp, shapes.astype, base.astype, "astype")
    record_clip = several(xp, picking.clip, base.clip, 3, "clip")
    for made in (broadcast_arrays, meshgrid, unstack, diff, full_like):
        setattr(xp, made.__name__, composite(xp, made, getattr(base, made.__name__), made.__name__))
    plain_full = _creating(xp, base.full)
    xp.full = composite(xp, full, plain_full, "full")
    xp.asarray, xp.astype, xp.clip = asarray, astype, clip
    xp.finfo, xp.iinfo = lambda kind: base.finfo(_dtype(kind)), lambda kind: base.iinfo(_dtype(kind))


def _sets(xp: Any, base: Any) -> None:
    """The different values of an array, which are elements of it: of equal ones the first has the cotangent."""

    def picked(x: Any, values: Any) -> Any:
        """These values, all that x has, from x."""
        flat = base.reshape(base.unique_inverse(lower(x)).inverse_indices, (-1,))
        order = base.argsort(flat, stable=True)
        every = base.arange(values.shape[0], dtype=flat.dtype, device=xp.device_of(x))
        firsts = base.take(order, base.searchsorted(base.take(flat, order, axis=0), every), axis=0)
        places = base.argsort(base.argsort(values))  # a library need not sort them
        return xp.take(xp.reshape(x, (-1,)), base.take(firsts, places, axis=0), axis=0)

    def several_of(name: str) -> Any:
        find = getattr(base, name)

        def unique(x: Any, /) -> Any:
            found = find(lower(x))
            return found._replace(values=picked(x, found.values))

        return unique

    def unique_values(x: Any, /) -> Any:
        return picked(x, base.unique_values(lower(x)))

    for name in ("unique_all", "unique_counts", "unique_inverse"):
        setattr(xp, name, composite(xp, several_of(name), getattr(base, name), name))
    xp.unique_values = composite(xp, unique_values, base.unique_values, "unique_values")


def _dtype(kind: Any) -> Any:
    return kind.dtype if isinstance(kind, TrackedArray) else kind


def _show_signatures(xp: Any, base: Any) -> None:
    spaces = [(xp, base), (xp.linalg, base.linalg), *([(xp.fft, base.fft)] if hasattr(base, "fft") else [])]
    for space, plain in spaces:
        for name, function in vars(space).items():
            original = getattr(plain, name, None)
            if callable(function) and callable(original) and function is not original:
                try:
                    function.__signature__ = inspect.signature(original)
                except (TypeError, ValueError, AttributeError):
                    continue


def _in_expression(parameter: Parameter) -> Any:
    return leaf(parameter, kind_of(parameter.value)) if open_tapes() else parameter.value


let_track(_in_expression)
