"""Planned arrays: arrays of NumPy that note what is computed with them; see `nnx.plans.plan`."""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable, Iterator, Sequence
from typing import Any, ClassVar, NoReturn, TypeGuard

import numpy as np

from nnx.kernels.numpy.choice import where
from nnx.plans.plan import Plan
from nnx.structure import leaves


def _of_numpy(*names: str) -> set[Any]:
    """Functions of NumPy by their names; older versions lack some."""
    return {getattr(np, name) for name in names if hasattr(np, name)}


_KNOWN_BY_SHAPE = _of_numpy("shape", "ndim", "size", "result_type", "can_cast", "isrealobj", "iscomplexobj")
"""Functions whose results follow from shapes and dtypes."""

_OF_OPEN_SIZE = {
    *_of_numpy("nonzero", "flatnonzero", "argwhere", "compress", "extract", "delete", "trim_zeros", "bincount"),
    *_of_numpy("unique", "unique_all", "unique_counts", "unique_inverse", "unique_values"),
    *_of_numpy("union1d", "intersect1d", "setdiff1d", "setxor1d"),
}
"""Functions whose results have as many elements as the values say."""

_OF_VIEWS = {
    *_of_numpy("reshape", "ravel", "transpose", "permute_dims", "matrix_transpose", "swapaxes", "moveaxis", "rollaxis"),
    *_of_numpy("expand_dims", "squeeze", "broadcast_to", "broadcast_arrays", "flip", "split", "array_split", "unstack"),
    *_of_numpy("diagonal", "real", "imag", "atleast_1d", "atleast_2d", "astype"),
    *(getattr(np.ndarray, name) for name in ("reshape", "ravel", "transpose", "swapaxes", "squeeze", "astype", "view")),
    *(operator.getitem, np.lib.stride_tricks.sliding_window_view),
}
"""Functions that may return another look at the memory of an argument, and never write to it."""

_WITH_OUT = _of_numpy("dot", "take", "concatenate", "stack", "clip", "cumsum", "argmax", "argmin", "einsum")
"""Functions that write into the memory of a keyword `out`; ufuncs and their reductions do anyway."""

_REDUCTIONS: dict[Any, Any] = {
    np.sum: np.add.reduce,
    np.prod: np.multiply.reduce,
    np.max: np.maximum.reduce,
    np.min: np.minimum.reduce,
    np.all: np.logical_and.reduce,
    np.any: np.logical_or.reduce,
}
"""What functions of NumPy do once they have looked at their arguments."""

_REDUCERS = set(_REDUCTIONS.values())

_OF_AXIS_AND_OUT = {np.ndarray.argmax: 1, np.ndarray.argmin: 1, np.ndarray.take: 2}
"""Functions that take an axis after so many arrays, and then `out`."""

_BY_NAME = {np.maximum, np.minimum}  # where a third argument is deprecated
_COPIES = {np.ndarray.copy, np.copy}
_CONVERSIONS = {np.ndarray.astype, *_of_numpy("astype")}
_FILLS = {np.zeros_like, np.ones_like}


class PlannedArray:
    """An array of NumPy whose every use is noted in a plan.

    value : the array, in memory that stays the plan's. plan : where the calls are noted.

    It has the attributes and operators of an array, and NumPy's functions and ufuncs compute with it. NotPlannable for
    what takes its value out of the plan: `float(x)`, `x.tolist()`, `np.asarray(x)`.
    """

    __slots__ = ("plan", "value")

    backend: ClassVar[Any]
    """The backend of these arrays; see `nnx.plans.backend`."""

    __hash__ = object.__hash__

    def __init__(self, value: np.ndarray, plan: Plan) -> None:
        self.value = value
        self.plan = plan

    def __repr__(self) -> str:
        return f"<PlannedArray, shape {self.shape}, {self.dtype}>"

    # What NumPy asks

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **options: Any) -> Any:
        function = ufunc if method == "__call__" else getattr(ufunc, method)
        if method == "at":
            return self._written(function, inputs, options)
        return self._computed(function, inputs, options, writes=True)

    def __array_function__(self, function: Callable[..., Any], types: Any, args: Any, options: Any) -> Any:
        if function in _OF_OPEN_SIZE or (function is np.where and len(args) == 1):
            self.plan.refuse(f"the values decide the shape of what {function.__name__} returns")
        if function in _KNOWN_BY_SHAPE:
            return function(*unplanned(args), **unplanned(options))
        if function is np.copyto or _writes_arguments(function):
            return self._written(function, args, options)
        if function in _REDUCTIONS and 0 < len(args) < 3 and type(args[0]) is PlannedArray:
            options = {"axis": args[1] if len(args) == 2 else None, **options}
            return self._computed(_REDUCTIONS[function], args[:1], options, writes=True)
        return self._computed(function, args, options, writes=function in _WITH_OUT)

    def __array__(self, *_: Any, **__: Any) -> NoReturn:
        self.plan.refuse(
            "the values go into an ordinary array, or into a function that notes nothing: compute with nnx.ops or "
            "functions of NumPy"
        )

    def __array_namespace__(self, *, api_version: str | None = None) -> Any:
        return self.backend.xp

    # Noting

    def _computed(self, function: Callable[..., Any], args: Any, options: dict[str, Any], writes: bool) -> Any:
        """What a function returns, its call noted; a view is one again and again, without a call.

        writes : whether the function takes the memory for its result as `out`.
        """
        given = options.pop("out", None)
        given = given[0] if isinstance(given, tuple) and len(given) == 1 else given
        plain, named = unplanned(args), unplanned(options)
        if given is not None:
            if type(given) is not PlannedArray:
                self.plan.refuse("the values are written into an ordinary array")
            self.plan.will_write(given.value)
            function(*plain, out=given.value, **named)
            self._note_writing(given.value, function, plain, named)
            return given
        return self._noted(function(*plain, **named), function, plain, named, writes)

    def _noted(self, made: Any, function: Any, plain: Any, named: Any, writes: bool) -> Any:
        sources = [*_arrays_in(plain), *_arrays_in(named)]
        if isinstance(made, tuple | list):
            return type(made)(self._noted_part(made, i, function, plain, named, sources) for i in range(len(made)))
        if not isinstance(made, np.ndarray | np.generic):
            self.plan.refuse(f"{_name(function)} returns {type(made).__name__}, which follows from the values")
        if _is_view(made, function, sources, self.plan):
            return PlannedArray(made, self.plan)
        memory = self._memory(made)
        if writes:
            self._note_writing(memory, function, plain, named)
        elif function in _COPIES and not named and len(plain) == 1:
            self.plan.note(np.copyto, memory, plain[0])
        elif function in _CONVERSIONS:
            self.plan.note(np.copyto, memory, plain[0], "unsafe")
        elif function in _FILLS or (function is np.full_like and type(plain[-1]) in (int, float)):
            self.plan.note(memory.fill, memory.flat[0] if memory.size else 0)
        elif function is np.take_along_axis and isinstance(named.get("axis"), int) and len(plain) == 2:
            self.plan.note(_copy_into, memory, operator.getitem, _places_along(*plain, **named), {})
        elif function is np.where and not named:
            self.plan.note(_copy_into, memory, where, plain, named)
        elif function is not np.empty_like:
            self.plan.note(_copy_into, memory, function, plain, named)
        return PlannedArray(memory, self.plan)

    def _note_writing(self, memory: np.ndarray, function: Any, plain: Any, named: Any) -> None:
        """Note a call that takes `out`, in the form that takes NumPy the least time."""
        if isinstance(function, np.ufunc):
            plain = _with_arrays_of_numbers(plain)
        by_position = isinstance(function, np.ufunc) and function not in _BY_NAME
        if not named and (by_position or function is np.dot):
            self.plan.note(function, *plain, memory)
        elif function in _REDUCERS and len(plain) == 1 and named.keys() <= {"axis", "dtype", "keepdims"}:
            self._note_reduction(memory, function, plain[0], **named)
        elif function in _OF_AXIS_AND_OUT and len(plain) == _OF_AXIS_AND_OUT[function] and named.keys() <= {"axis"}:
            self.plan.note(function, *plain, named.get("axis"), memory)
        else:
            self.plan.note(function, *plain, out=memory, **named)

    def _note_reduction(
        self, memory: np.ndarray, reduce: Any, x: Any, axis: Any = 0, dtype: Any = None, keepdims: bool = False
    ) -> None:
        """Note a reduction; the larger of two rows as that of two arrays, which takes a third of the time."""
        if reduce.__self__ in _BY_NAME and axis == 0 and x.ndim > 1 and len(x) == 2:
            self.plan.note(functools.partial(reduce.__self__, out=memory.reshape(x.shape[1:])), *x)
        else:
            self.plan.note(reduce, x, axis, dtype, memory, keepdims)

    def _noted_part(self, made: Any, index: int, function: Any, plain: Any, named: Any, sources: list[Any]) -> Any:
        part = made[index]
        if not isinstance(part, np.ndarray | np.generic):
            self.plan.refuse(f"{_name(function)} returns a part that is no array")
        if _is_view(part, function, sources, self.plan):
            return PlannedArray(part, self.plan)
        memory = self._memory(part)
        self.plan.note(_copy_part_into, memory, index, function, plain, named)
        return PlannedArray(memory, self.plan)

    def _memory(self, made: Any) -> np.ndarray:
        """The memory of a result, also where NumPy made a scalar."""
        memory = np.asarray(made)
        self.plan.take_room(memory.nbytes)
        return memory if memory.flags.writeable else memory.copy()

    def _written(self, function: Callable[..., Any], args: Any, options: Any) -> None:
        if type(args[0]) is not PlannedArray:
            self.plan.refuse("the values are written into an ordinary array")
        plain, named = unplanned(args), unplanned(options)
        for array in plain if _writes_arguments(function) else plain[:1]:
            if isinstance(array, np.ndarray):
                self.plan.will_write(array)
        function(*plain, **named)
        self.plan.note(function, *plain, **named)

    def __pow__(self, other: Any) -> PlannedArray:  # which NumPy computes as a square, a root, or a power
        return self._computed(operator.pow, (self, other), {}, writes=False)  # type: ignore[no-any-return]

    def __rpow__(self, other: Any) -> Any:
        return np.power(other, self)

    # Items

    def __getitem__(self, key: Any) -> PlannedArray:
        _check_key(key, self.plan)
        return self._computed(operator.getitem, (self, key), {}, writes=False)  # type: ignore[no-any-return]

    def __setitem__(self, key: Any, value: Any) -> None:
        _check_key(key, self.plan)
        if key is Ellipsis:
            self._written(np.copyto, (self, value), {"casting": "unsafe"})
        else:
            self._written(operator.setitem, (self, key, value), {})

    def __len__(self) -> int:
        return len(self.value)

    def __iter__(self) -> Iterator[PlannedArray]:
        return (self[i] for i in range(len(self)))

    # Looks at the value

    def _refuse(self, *_: Any) -> NoReturn:
        self.plan.refuse(
            "its values become numbers of Python, which the plan would keep: leave them arrays, as in "
            "nnx.ops.take(x, i) for x[int(i)]"
        )

    def __bool__(self) -> bool:
        return self.plan.note_branch(self.value)

    __int__ = __float__ = __complex__ = __index__ = item = tolist = __contains__ = _refuse

    def __getattr__(self, name: str) -> NoReturn:
        if hasattr(np.ndarray, name) and not name.startswith("__"):
            self.plan.refuse(f"code asks for {name} of an array")
        raise AttributeError(f"PlannedArray has no attribute {name!r}")

    # What does not follow from values

    shape = property(lambda self: self.value.shape)
    ndim = property(lambda self: self.value.ndim)
    size = property(lambda self: self.value.size)
    dtype = property(lambda self: self.value.dtype)
    itemsize = property(lambda self: self.value.itemsize)
    nbytes = property(lambda self: self.value.nbytes)
    strides = property(lambda self: self.value.strides)
    flags = property(lambda self: self.value.flags)
    device = property(lambda self: "cpu")
    T = property(lambda self: PlannedArray(self.value.T, self.plan))
    mT = property(lambda self: PlannedArray(np.matrix_transpose(self.value), self.plan))  # noqa: N815, the standard's


def _method(name: str, writes: bool) -> Any:
    """A method of NumPy's arrays, noted."""
    function = getattr(np.ndarray, name)

    def method(self: Any, *args: Any, **options: Any) -> Any:
        return self._computed(function, (self, *args), options, writes)

    return method


_VIEWED = ("reshape", "transpose", "swapaxes", "squeeze", "ravel", "view")
for _name_of_method in (*_VIEWED, "astype", "copy", "repeat", "mean"):  # a mean into float16 is added up in float16
    setattr(PlannedArray, _name_of_method, _method(_name_of_method, writes=False))
for _name_of_method in ("sum", "max", "min", "prod", "all", "any", "take", "dot", "clip", "argmax", "argmin"):
    setattr(PlannedArray, _name_of_method, _method(_name_of_method, writes=True))


def _binary(ufunc: np.ufunc) -> tuple[Any, Any, Any]:
    """The operator of a ufunc, the reflected one, and the one in place."""

    def forward(self: Any, other: Any) -> Any:
        return ufunc(self, other) if _is_operand(other) else NotImplemented

    def reflected(self: Any, other: Any) -> Any:
        return ufunc(other, self) if _is_operand(other) else NotImplemented

    def in_place(self: Any, other: Any) -> Any:
        return ufunc(self, other, out=self) if _is_operand(other) else NotImplemented

    return forward, reflected, in_place


def _is_operand(value: Any) -> bool:
    return isinstance(value, PlannedArray | np.ndarray | np.generic | bool | int | float)


_ARITHMETIC = {
    "add": np.add,
    "sub": np.subtract,
    "mul": np.multiply,
    "truediv": np.divide,
    "floordiv": np.floor_divide,
    "mod": np.remainder,
    "matmul": np.matmul,
    "and": np.bitwise_and,
    "or": np.bitwise_or,
    "xor": np.bitwise_xor,
    "lshift": np.left_shift,
    "rshift": np.right_shift,
}
_COMPARISONS = {
    "lt": np.less,
    "le": np.less_equal,
    "gt": np.greater,
    "ge": np.greater_equal,
    "eq": np.equal,
    "ne": np.not_equal,
}

for _name_of_operator, _ufunc in _ARITHMETIC.items():
    for _prefix, _method_of in zip(("", "r", "i"), _binary(_ufunc), strict=True):
        setattr(PlannedArray, f"__{_prefix}{_name_of_operator}__", _method_of)
for _name_of_operator, _ufunc in _COMPARISONS.items():
    setattr(PlannedArray, f"__{_name_of_operator}__", _binary(_ufunc)[0])
for _name_of_operator, _ufunc in {"neg": np.negative, "pos": np.positive, "abs": np.abs, "invert": np.invert}.items():
    setattr(PlannedArray, f"__{_name_of_operator}__", lambda self, ufunc=_ufunc: ufunc(self))


def unplanned(value: Any) -> Any:
    """Arguments with the arrays that are behind planned ones."""
    kind = type(value)
    if kind is PlannedArray:
        return value.value
    if kind is tuple or kind is list:
        return kind(unplanned(part) for part in value)
    if kind is dict:
        return {name: unplanned(part) for name, part in value.items()}
    return value


def _arrays_in(value: Any) -> Iterator[np.ndarray]:
    return (part for part in leaves(value) if isinstance(part, np.ndarray))


def _is_view(made: Any, function: Any, sources: list[np.ndarray], plan: Plan) -> TypeGuard[np.ndarray]:
    """Whether a result is in the memory of an argument; NotPlannable where the function may have written to it."""
    if not isinstance(made, np.ndarray) or not any(np.may_share_memory(made, source) for source in sources):
        return False
    if function not in _OF_VIEWS:
        plan.refuse(f"{_name(function)} returns the memory of an argument")
    return True


def _check_key(key: Any, plan: Plan) -> None:
    for part in key if isinstance(key, tuple) else (key,):
        if hasattr(part, "dtype") and part.dtype.kind == "b":
            plan.refuse("the values decide how many elements x[mask] has")


def _places_along(x: np.ndarray, indices: np.ndarray, axis: int) -> tuple[np.ndarray, tuple[np.ndarray, ...]]:
    """The array and the key by which `take_along_axis` looks into it."""
    places = np.ix_(*map(np.arange, x.shape))
    return x, tuple(indices if i == axis % x.ndim else every for i, every in enumerate(places))


def _copy_into(memory: np.ndarray, function: Callable[..., Any], args: Any, options: Any) -> None:
    memory[...] = function(*args, **options)


def _copy_part_into(memory: np.ndarray, index: int, function: Callable[..., Any], args: Any, options: Any) -> None:
    memory[...] = function(*args, **options)[index]


def _with_arrays_of_numbers(operands: Any) -> Any:
    """Operands of a ufunc, numbers of Python as the arrays that NumPy makes of them, which takes it a microsecond."""
    dtypes = {operand.dtype for operand in operands if isinstance(operand, np.ndarray | np.generic)}
    kind = {"f": float, "i": int}.get(next(iter(dtypes)).kind) if len(dtypes) == 1 else None
    if kind is None:
        return operands
    dtype = next(iter(dtypes))
    whole = [operand for operand in operands if type(operand) is int] if kind is int else []
    if not all(np.iinfo(dtype).min <= number <= np.iinfo(dtype).max for number in whole):
        return operands  # which are compared
    return tuple(np.asarray(operand, dtype) if type(operand) is kind else operand for operand in operands)


def _writes_arguments(function: Any) -> bool:
    """Whether a function is a compiled loop, which writes into any of its arguments and returns nothing."""
    return getattr(function, "writes_arguments", False)


def _name(function: Any) -> str:
    return getattr(function, "__name__", str(function))


def reader(result: Any, given: list[Any]) -> Callable[[Sequence[Any]], Any]:
    """How a result leaves the plan: what was given as it was, else a copy, since the next step writes over it.

    given : the planned arrays of the batch, in whose place the arrays stand.
    """
    if type(result) is PlannedArray:
        value = result.value
        for index, planned in enumerate(given):
            if result is planned:
                return operator.itemgetter(index)
        return (lambda _: value.copy()) if value.shape else (lambda _: value[()])
    if isinstance(result, tuple | list):
        kind, readers = type(result), [reader(part, given) for part in result]
        return lambda arrays: kind([read(arrays) for read in readers])
    if isinstance(result, dict):
        named = {name: reader(part, given) for name, part in result.items()}
        return lambda arrays: {name: read(arrays) for name, read in named.items()}
    return lambda _: result
