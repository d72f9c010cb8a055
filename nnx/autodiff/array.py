"""Tracked arrays: arrays whose use is recorded on a tape."""

from __future__ import annotations

import opcode
import operator
import sys
import types
from collections.abc import Callable, Iterator, Sequence
from typing import Any, ClassVar, Final, NoReturn

import numpy as np

from nnx.autodiff.tape import CONSTANT, CONSTANTS, Entry, Tape, open_tapes
from nnx.in_place import IN_PLACE
from nnx.parameters import Parameter
from nnx.user_warnings import warn_user

_LOST = (
    "a tracked array does not become one of NumPy, which would lose its derivative in silence: compute with nnx.ops or "
    "nnx.array_namespace(x); nnx.stop_gradient(x) gives the plain array"
)


_STORES = opcode.opmap["STORE_SUBSCR"]
_OPERATES = opcode.opmap["BINARY_OP"]


class TrackedArray:
    """A floating array whose use in array code is recorded on a tape.

    It has the attributes and operators of the Array API standard, and a namespace with all its functions. The functions
    of NumPy that have a name there may be called on it too. Looking at its value, as in `if x > 0`, is allowed, and
    waits for the device; `float(x)` and `int(x)` warn while its tape is open, since what is computed from them has no
    derivative.

    `x[key] = value` and `x += y` make `x` a new value, and never write into other arrays; so does `z += x` of a plain
    array `z`, which only CuPy refuses. Where NumPy would write into what a tracked `x` is a part of, and into `x` under
    another name, they cannot be used any more: TypeError. What was taken from `x` before keeps its values.

    value : the array, which may be a tracked one of an outer tape.
    tape, index : where it is recorded. mask : of a sequence's steps, if layers made or read one.
    maker : the layer whose call returned it, else None. logits : what the softmax or sigmoid at that layer's end made
        it from, a tracked array, where the tape wants it. whole : the tracked array that NumPy would make it a view of.
    lost : of an array that cannot be used any more what took its place, and its value.

    >>> import numpy as np
    >>> import nnx
    >>> nnx.grad(lambda x: nnx.array_namespace(x).sum(x * x))(np.asarray([1.0, 2.0]))
    array([2., 4.])
    """

    __slots__ = ("__dict__", "index", "tape", "value")

    __array_priority__ = 1000
    __hash__ = None  # type: ignore[assignment]

    index: int
    tape: Tape
    value: Any
    _mask: Any = None  # few arrays have any of these
    maker: Any = None
    logits: Any = None
    whole: Any = None
    lost: Any = None

    xp: ClassVar[Any]
    """The namespace of functions that record, of the library that the arrays are of."""

    def __array_namespace__(self, *, api_version: str | None = None) -> Any:
        return self.xp

    def __repr__(self) -> str:
        return f"tracked {lower(self)!r}"

    @property
    def mask(self) -> Any:
        """The mask of a sequence's steps; None without."""
        return self._mask

    @mask.setter
    def mask(self, mask: Any) -> None:
        self._mask = mask
        if mask is not None:
            self.tape.masked = True

    @property
    def shape(self) -> tuple[int, ...]:
        """The sizes of the axes."""
        return self.value.shape  # type: ignore[no-any-return]

    @property
    def dtype(self) -> Any:
        """The dtype, as the library has it."""
        return self.value.dtype

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return len(self.value.shape)

    @property
    def size(self) -> int:
        """The number of elements."""
        return self.xp.size_of(self.value)  # type: ignore[no-any-return]

    @property
    def device(self) -> Any:
        """The device, as the library has it."""
        return self.xp.device_of(lower(self))

    def to_device(self, device: Any, /, *, stream: Any = None) -> TrackedArray:
        """Itself, if it is there; ValueError for another device."""
        if device != self.device:
            raise ValueError(f"a tracked array stays on its device, {self.device}; bring the array that it is made of")
        return self

    @property
    def T(self) -> Any:  # noqa: N802, the standard's name
        """The transpose of a matrix."""
        if self.ndim != 2:
            raise ValueError(f"T is of a matrix, got {self.ndim} axes; write .mT, or permute_dims(x, axes)")
        return self.xp.matrix_transpose(self)

    @property
    def mT(self) -> Any:  # noqa: N802, the standard's name
        """The transpose of the last two axes."""
        return self.xp.matrix_transpose(self)

    def numpy(self) -> Any:
        """A copy on the host, once no tape records it any more; TypeError before, as of `np.asarray`."""
        return np.array(self.__array__())

    def __len__(self) -> int:
        if not self.value.shape:
            raise TypeError("a tracked array without axes has no length")
        return self.value.shape[0]  # type: ignore[no-any-return]

    def __bool__(self) -> bool:
        self._refuse_storing(sys._getframe(1))
        return bool(lower(self))

    def __float__(self) -> float:
        self._refuse_storing(sys._getframe(1))
        number = float(lower(self))
        self._warn_of_number("float")
        return number

    def __int__(self) -> int:
        self._refuse_storing(sys._getframe(1))
        number = int(lower(self))
        self._warn_of_number("int")
        return number

    def _refuse_storing(self, caller: types.FrameType) -> None:
        """NumPy takes the number, of the dtype of z, for z[0] = x where z is plain."""
        if caller.f_code.co_code[caller.f_lasti] == _STORES and self.tape.level != CONSTANT:
            raise TypeError(
                "z[key] = x of a plain array z and a tracked x would lose the derivative in silence: make z with "
                "zeros_like(x) or zeros(...) of nnx.ops or nnx.array_namespace(x), of a floating dtype, or write "
                "nnx.stop_gradient(x) for a constant"
            )

    def _warn_of_number(self, to: str) -> None:
        if self.tape in open_tapes():
            warn_user(
                f"{to}(x) of a tracked array is a constant: what comes of it, also by functions of math, has no "
                f"derivative. Compute with x and nnx.ops; to look at the number write {to}(nnx.stop_gradient(x))"
            )

    def __complex__(self) -> complex:
        self._refuse_storing(sys._getframe(1))
        return complex(lower(self))

    def __index__(self) -> int:
        return operator.index(lower(self))

    def __format__(self, form: str) -> str:
        return format(float(lower(self)), form) if form else str(self)

    def __iter__(self) -> Iterator[Any]:
        return (self[position] for position in range(len(self)))

    def __contains__(self, value: Any) -> bool:
        return bool(self.xp.any(self == value))

    def __getitem__(self, key: Any) -> Any:
        return self.xp.get_item(self, key)

    def __setitem__(self, key: Any, value: Any) -> None:
        if self.lost is not None and self.lost[0] is value:  # x[key] += y
            self.value, self.lost = self.lost[1], None
        made = self.xp.set_item(self, key, value)
        self._lose_wholes(made)
        self.value, self.tape, self.index = made.value, made.tape, made.index
        self.mask = self._mask  # which its tape has to know of
        self.maker = self.logits = None

    def changed_to(self, made: Any) -> Any:
        """The array that an operator such as `+=` makes of this one, which then is not used any more.

        It has the dtype of this one. Arrays without axes are as NumPy's scalars, which do not change.
        """
        if made.dtype != self.dtype:
            made = self.xp.astype(made, self.dtype)
        if self.shape:
            self._lose_wholes(made)
            self._lose(made)
        return made

    def _lose_wholes(self, made: Any) -> None:
        """Lose the arrays that this one is a part of: in NumPy they change with it. made : what it becomes."""
        whole, self.whole = self.whole, None
        while whole is not None:
            following = whole.whole
            whole._lose(made)
            whole = following

    def _lose(self, made: Any) -> None:
        if self.lost is None:
            self.lost, self.whole = (made, self.value), None
            self.value = LOST_VALUE

    # NumPy's protocols

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **options: Any) -> Any:
        out = options.pop("out", None)
        if out is not None and method == "__call__" and not options and out[0] is inputs[0]:
            caller = sys._getframe(1)
            code, place = caller.f_code.co_code, caller.f_lasti
            if code[place] == _OPERATES and code[place + 1] in IN_PLACE:  # z += x, of a plain z
                return self._in_place_of(inputs[0], self._function(ufunc.__name__)(*inputs), ufunc.__name__)
        if out is not None or method == "at":
            raise TypeError(
                f"numpy.{ufunc.__name__}{'.at' if method == 'at' else ''} would write into an array, of which a tape "
                f"keeps values for the derivative; write z = numpy.{ufunc.__name__}(...) without out=, z = z + x in "
                f"place of z += x, or x[key] = value on a tracked x, which makes a new value"
            )
        if method != "__call__" or any(value is not None for value in options.values()):
            raise TypeError(
                f"numpy.{ufunc.__name__} of a tracked array takes no out=, where= or dtype= and has no .{method}: use "
                f"the functions of nnx.ops, or of nnx.array_namespace(x)"
            )
        return self._function(ufunc.__name__)(*inputs)

    def _in_place_of(self, plain: Any, made: Any, name: str) -> Any:
        """What the name of a plain array stands for after an operator such as `+=`: a new array, of its dtype."""
        if made.dtype == plain.dtype:
            return made
        if plain.dtype.kind != "f":
            raise TypeError(
                f"numpy.{name} would make an array of {made.dtype} of one of {plain.dtype}: write z = z + x in place "
                f"of z += x, or make z with a floating dtype"
            )
        return self.xp.astype(made, plain.dtype)

    def __array_function__(self, function: Any, kinds: Any, arguments: Any, options: Any) -> Any:
        name = function.__name__
        if name in _WRITERS or options.get("out") is not None:
            raise TypeError(
                f"numpy.{name} would write into an array, of which a tape keeps values for the derivative; write "
                f"x[key] = value on a tracked x, which makes a new value, or take nnx.ops.where"
            )
        return self._function(name)(*arguments, **options)

    def _function(self, name: str) -> Any:
        name = _NAMES_OF_NUMPY.get(name, name)
        for space in (self.xp, self.xp.linalg, getattr(self.xp, "fft", None)):
            found = getattr(space, name, None)
            if callable(found):
                return found
        raise TypeError(f"numpy.{name} has no derivative in nnx: see nnx.ops for what there is")

    def __array__(self, *arguments: Any, **options: Any) -> Any:
        if self.tape.level == CONSTANT:
            return np.asarray(lower(self), *arguments, **options)
        raise TypeError(_LOST)

    def __dlpack__(
        self, *, stream: Any = None, max_version: Any = None, dl_device: Any = None, copy: bool | None = None
    ) -> Any:
        self.__array__()
        options = {"stream": stream, "max_version": max_version, "dl_device": dl_device, "copy": copy}
        return lower(self).__dlpack__(**{name: value for name, value in options.items() if value is not None})

    def __dlpack_device__(self) -> Any:
        return lower(self).__dlpack_device__()


_WRITERS = ("copyto", "fill_diagonal", "place", "put", "put_along_axis", "putmask")
"""Functions of NumPy that write into their first argument."""

_NAMES_OF_NUMPY = {
    "power": "pow",
    "arctan2": "atan2",
    "arcsin": "asin",
    "arccos": "acos",
    "arctan": "atan",
    "arcsinh": "asinh",
    "arccosh": "acosh",
    "arctanh": "atanh",
    "absolute": "abs",
    "true_divide": "divide",
    "mod": "remainder",
    "concatenate": "concat",
    "transpose": "permute_dims",
    "amax": "max",
    "amin": "min",
    "cumsum": "cumulative_sum",
    "cumprod": "cumulative_prod",
}


class MissingMethod:
    """In place of a method or attribute that arrays of a library have: AttributeError that says what to write.

    A class with `__getattr__` would say so too, but Python then takes a slower way to each of its attributes.
    """

    def __init__(self, name: str) -> None:
        self._name = name

    def __get__(self, owner: Any, kind: type) -> NoReturn:
        raise AttributeError(
            f"a tracked array has no {self._name!r}: it has the attributes and operators of the Array API standard, "
            f"and functions are those of nnx.ops or nnx.array_namespace(x), as in nnx.ops.{self._name}(x)"
        )


class LostValue:
    """Value of a tracked array that cannot be used any more: whatever asks it for something gets the error."""

    def __getattr__(self, name: str) -> NoReturn:
        if name.startswith("__"):  # a protocol of Python's, which is asked for whatever there is
            raise AttributeError(name)
        refuse_lost()

    def __repr__(self) -> str:
        return "a value that was changed through another name"


def refuse_lost(*_: Any, **__: Any) -> NoReturn:
    """The error of an array that cannot be used any more, as whichever method of it."""
    raise TypeError(
        "this array was changed by an operator such as += through another name, or through a part of it: with plain "
        "arrays it would have changed too. Write y = y + x in place of y += x, or x[key] = value on the whole array"
    )


_OPERATORS = ("add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "matmul", "and", "or", "xor")
for _name in (
    *(f"__{side}{name}__" for name in _OPERATORS for side in ("", "r", "i")),
    *(f"__{name}__" for name in ("lt", "le", "gt", "ge", "eq", "ne", "neg", "pos", "abs", "invert", "bool", "float")),
    *(f"__{name}__" for name in ("int", "index", "complex", "len", "iter", "contains", "getitem", "setitem", "format")),
    *("__array__", "__array_ufunc__", "__array_function__", "__torch_function__", "__array_namespace__"),
):
    setattr(LostValue, _name, refuse_lost)

LOST_VALUE: Final = LostValue()


def track(kind: type[TrackedArray], value: Any, tape: Tape, index: int) -> Any:
    """A tracked array of an entry that its tape has already. A constructor in Python would take twice the time."""
    made = kind()
    made.value = value
    made.tape = tape
    made.index = index
    return made


def recorded(kind: type[TrackedArray], value: Any, tape: Tape, entry: Entry) -> Any:
    """A tracked array, and the new entry of its tape that says how its value came to be."""
    made = kind()
    made.value = value
    made.tape = tape
    entries = tape.entries
    made.index = len(entries)
    entries.append(entry)
    return made


def lower(value: Any) -> Any:
    """The plain array below all tapes, of a tracked array or a parameter; anything else as it is."""
    while isinstance(value, TrackedArray):
        value = value.value
    if value is LOST_VALUE:
        refuse_lost()
    return value.value if type(value) is Parameter else value


def strip(value: Any) -> Any:
    """A tracked array that no tape records any more as what is in it; anything else as it is."""
    while isinstance(value, TrackedArray) and value.tape.level == CONSTANT:
        value = value.value
    return value


def bared(value: Any) -> Any:
    """What an outer tape records of a tracked array that its own tape does not record any more; else the value itself.

    Arrays that meet have to be so: what is on the outside says which tape records what is made of them.
    """
    while isinstance(value, TrackedArray) and value.tape.level == CONSTANT and isinstance(value.value, TrackedArray):
        if value._mask is not None and value.value.mask is None:
            value.value.mask = value._mask
        value = value.value
    return value


def on_tape(tape: Tape, value: Any) -> Any:
    """What a tape records of a value: a tracked array of it, also inside those of closed tapes; None if nothing."""
    tapes = None
    while isinstance(value, TrackedArray) and value.tape is not tape:
        if tapes is None:
            tapes = open_tapes()
        if value.tape in tapes:
            return None
        value = value.value
    return value if isinstance(value, TrackedArray) else None


def constant(value: Any, kind: type[TrackedArray]) -> Any:
    """A plain array as a constant among tracked ones, for code that asks its arrays for their namespace."""
    return value if isinstance(value, TrackedArray) or not hasattr(value, "dtype") else track(kind, value, CONSTANTS, 0)


def top_tape(values: Any) -> Tape | None:
    """The tape of the highest level among those of tracked arrays; None where none is tracked."""
    top = None
    for value in values:
        if isinstance(value, TrackedArray) and (top is None or value.tape.level > top.level):
            top = value.tape
    return top


def is_recorded(value: Any) -> bool:
    """Whether a tape records what is made of a value: an array, or a list or tuple of such."""
    if isinstance(value, list | tuple):
        return any(map(is_recorded, value))
    while isinstance(value, TrackedArray):
        if value.tape.level != CONSTANT:
            return True
        value = value.value
    return False


def all_lower(value: Any) -> Any:
    """`lower` of an array, or of each in a list or tuple."""
    return type(value)(map(all_lower, value)) if type(value) in (list, tuple) else lower(value)


def all_constant(value: Any, kind: type[TrackedArray]) -> Any:
    """`constant` of an array, or of each in a list or tuple."""
    if type(value) in (list, tuple):
        return type(value)(all_constant(part, kind) for part in value)
    return constant(value, kind)


def for_any_cotangent(
    function: Callable[..., tuple[Any, ...]],
    args: Sequence[Any],
    options: dict[str, Any],
    pullback: Callable[..., Any],
    kind: type[TrackedArray],
) -> Callable[..., Any]:
    """The pullback of a function of plain arrays, as one for cotangents that a tape records too.

    Kernels cannot compute with these: the function's own pullback is taken then, among constants.

    function : returns its value, and what `pullback` is.
    """

    def pull(dy: Any, *places: Any, **named: Any) -> Any:
        if not is_recorded(dy):
            return pullback(all_lower(dy), *places, **named)
        constants = {name: all_constant(value, kind) for name, value in options.items()}
        _, again = function(*(all_constant(value, kind) for value in args), **constants)
        return again(all_constant(dy, kind), *places, **named)

    return pull
