"""NumPy arrays out of pickle files, without running what a pickle file may contain.

A pickle file is a program for a stack machine, and Python's own machine calls whatever function the program names.
This one knows only what is needed to describe arrays of numbers, in tuples and lists: no function named in the file is
ever looked up. The program may have a thousand steps, and memory is bounded by the size of the file. All protocols,
as written by Python 2 and 3 and by NumPy before and after 2.0, are understood.
"""

from __future__ import annotations

import codecs
import enum
import math
import pickletools
import struct
from pathlib import Path
from typing import IO, Any

import numpy as np

from nnx.datasets._files import decoding, length_of_rest, opened

_MOST_STEPS = 1000  # three pairs of arrays take about 250
SPARE_BYTES = 24 << 20  # that a file may unfold to, however small it is, and beside that
MOST_TIMES = 24  # as many as it has; 14 for MNIST
_LONGEST_TEXT = 100  # what is longer is data


class _Name(enum.Enum):
    """What a file may name. Nothing of it is called: the machine acts out what it would do."""

    RECONSTRUCT = "an empty array, to be filled by BUILD"
    FROM_BUFFER = "an array from its bytes"
    NDARRAY = "the type of arrays"
    DTYPE = "a dtype from its code"
    ENCODE = "bytes from text"


_NAMES = {
    "numpy.core.multiarray _reconstruct": _Name.RECONSTRUCT,
    "numpy._core.multiarray _reconstruct": _Name.RECONSTRUCT,
    "numpy.core.numeric _frombuffer": _Name.FROM_BUFFER,
    "numpy._core.numeric _frombuffer": _Name.FROM_BUFFER,
    "numpy ndarray": _Name.NDARRAY,
    "numpy dtype": _Name.DTYPE,
    "_codecs encode": _Name.ENCODE,
}
_DTYPES = {"f4", "f8", *(f"{kind}{size}" for kind in "iu" for size in (1, 2, 4, 8))}


_OPCODES = {opcode.code.encode("latin-1"): opcode for opcode in pickletools.opcodes}
_COUNTED = {
    "BINSTRING": "<i",
    "SHORT_BINSTRING": "<B",
    "BINBYTES": "<I",
    "SHORT_BINBYTES": "<B",
    "BINBYTES8": "<Q",
    "BYTEARRAY8": "<Q",
}
"""Instructions with bytes behind their number, which texts of Python 2 are too."""

_INTEGERS = {"INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1"}
_TEXTS = {"STRING", "BINSTRING", "SHORT_BINSTRING", "UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8"}
_BYTES = {"BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8"}
_LITERALS = _INTEGERS | _TEXTS | _BYTES
_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False, "EMPTY_TUPLE": ()}
_TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}
_MARK = object()


class _Array:
    """An array that the file describes, empty until BUILD fills it."""

    value: np.ndarray | None = None


def read_pickle(path: Path) -> list[tuple[np.ndarray, np.ndarray]]:
    """The pairs of arrays in a pickle file, plain or gzip: a tuple or list of tuples or lists of two arrays of numbers.

    Raises ValueError, naming the file, for anything else.
    """
    with decoding(path, "a pickle file of NumPy arrays"):
        with opened(path) as stream:
            size = length_of_rest(stream, SPARE_BYTES + MOST_TIMES * path.stat().st_size)
        with opened(path) as stream:
            pairs = _Machine(_Program(stream, size)).run()
        if not isinstance(pairs, tuple | list) or not all(map(_is_pair, pairs)):
            raise ValueError("expected pairs of two arrays, (images, labels), for training and for testing")
        return [(first.value, second.value) for first, second in pairs]


def _is_pair(value: Any) -> bool:
    return (
        isinstance(value, tuple | list)
        and len(value) == 2
        and all(isinstance(item, _Array) and item.value is not None for item in value)
    )


class _Program:
    """The content of a file of that size: nobody is given room for more than is left of it."""

    def __init__(self, stream: IO[bytes], size: int) -> None:
        self.stream = stream
        self.size = self.left = size

    def read(self, count: int) -> bytes:
        found = self.stream.read(min(count, self.left))
        self.left -= len(found)
        return found

    def readline(self) -> bytes:
        found = self.stream.readline(self.left)
        self.left -= len(found)
        return found


class _Machine:
    def __init__(self, program: _Program) -> None:
        self.program: Any = program
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}
        self.encodable = program.size  # each byte of text in the file becomes a byte at most once

    def run(self) -> Any:
        for _ in range(_MOST_STEPS):
            code = self.program.read(1)
            opcode = _OPCODES.get(code)
            if opcode is None:
                raise ValueError(f"byte {code.hex()} is no instruction" if code else "it ends too early")
            if opcode.name == "STOP":
                return self.pop(1)[0]
            self.step(opcode.name, self.argument(opcode))
        raise ValueError(f"it takes more than {_MOST_STEPS} steps, far more than a few arrays need")

    def argument(self, opcode: pickletools.OpcodeInfo) -> Any:
        if opcode.name in _COUNTED:  # the readers in pickletools make copies
            form = _COUNTED[opcode.name]
            (count,) = struct.unpack(form, self.program.read(struct.calcsize(form)))
            data = self.program.read(count)
            if len(data) != count:
                raise ValueError(f"{count} bytes are announced, {len(data)} are there")
            is_text = opcode.name in _TEXTS and count <= _LONGEST_TEXT
            return data.decode("latin-1") if is_text else data
        if opcode.name == "STRING":  # its reader in pickletools takes only ASCII
            quoted = self.program.readline().rstrip()
            return codecs.escape_decode(quoted[1:-1])[0].decode("latin-1")
        return None if opcode.arg is None else opcode.arg.reader(self.program)

    def step(self, name: str, argument: Any) -> None:
        if name in _LITERALS:
            self.stack.append(argument)
        elif name in _CONSTANTS:
            self.stack.append(_CONSTANTS[name])
        elif name in _TUPLES:
            self.stack.append(tuple(self.pop(_TUPLES[name])))
        elif name in ("PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE"):
            self.memo[len(self.memo) if name == "MEMOIZE" else argument] = self.stack[-1]
        elif name in ("GET", "BINGET", "LONG_BINGET"):
            self.stack.append(self.memo[argument])
        elif name == "GLOBAL":
            self.stack.append(_named(argument))
        elif name == "STACK_GLOBAL":
            self.stack.append(_named(" ".join(self.pop(2))))
        elif name == "REDUCE":
            self.stack.append(self.reduce(*self.pop(2)))
        elif name == "BUILD":
            self.stack.append(self.build(*self.pop(2)))
        elif name not in ("PROTO", "FRAME"):
            self.sequence(name)

    def sequence(self, name: str) -> None:
        match name:
            case "MARK":
                self.stack.append(_MARK)
            case "EMPTY_LIST":
                self.stack.append([])
            case "LIST":
                self.stack.append(self.pop_to_mark())
            case "TUPLE":
                self.stack.append(tuple(self.pop_to_mark()))
            case "APPEND" | "APPENDS":
                items = self.pop(1) if name == "APPEND" else self.pop_to_mark()
                if not isinstance(self.stack[-1], list):
                    raise ValueError("it appends to what is no list")
                self.stack[-1].extend(items)
            case _:
                raise ValueError(f"it has the instruction {name}, which arrays of numbers do not need")

    def pop(self, count: int) -> list[Any]:
        if len(self.stack) < count:
            raise ValueError("it takes more from the stack than is there")
        items = self.stack[-count:]
        del self.stack[-count:]
        return items

    def pop_to_mark(self) -> list[Any]:
        mark = max(i for i, item in enumerate(self.stack) if item is _MARK)
        items = self.stack[mark + 1 :]
        del self.stack[mark:]
        return items

    def reduce(self, function: Any, arguments: Any) -> Any:
        match function, arguments:
            case _Name.RECONSTRUCT, (_Name.NDARRAY, *_):
                return _Array()
            case _Name.FROM_BUFFER, ((bytes() | bytearray()) as data, np.dtype() as dtype, tuple() as shape, order):
                return _filled(_Array(), data, dtype, shape, order == "F")
            case _Name.DTYPE, (str() as code, *_) if code in _DTYPES:
                return np.dtype(code)
            case _Name.ENCODE, (str() as text, "latin1"):
                return self.encode(text)
        raise ValueError("it does more than describe arrays of numbers")

    def build(self, target: Any, state: Any) -> Any:
        match target, state:
            case np.dtype(), (int(), "<" | ">" | "|" as byte_order, *_):
                return self.replace(target, target.newbyteorder(byte_order))
            case _Array(), (int(), tuple() as shape, np.dtype() as dtype, bool() | 0 | 1 as is_fortran, data):
                data = self.encode(data) if isinstance(data, str) else data
                return _filled(target, data, dtype, shape, bool(is_fortran))
        raise ValueError("it does more than describe arrays of numbers")

    def replace(self, old: np.dtype[Any], new: np.dtype[Any]) -> np.dtype[Any]:
        """BUILD changes an object in place: the memo, too, has to have the dtype of the right byte order."""
        self.memo.update({key: new for key, value in self.memo.items() if value is old})
        return new

    def encode(self, text: str) -> bytes:
        self.encodable -= len(text)
        if self.encodable < 0:
            raise ValueError("it uses a text more than once")
        return text.encode("latin-1")


def _named(name: str) -> _Name:
    if name not in _NAMES:
        raise ValueError(f"it refers to {name.replace(' ', '.')!r}, which arrays of numbers do not need")
    return _NAMES[name]


def _filled(
    array: _Array, data: bytes | bytearray, dtype: np.dtype[Any], shape: tuple[Any, ...], is_fortran: bool
) -> _Array:
    if not all(isinstance(size, int) and size >= 0 for size in shape):
        raise ValueError("an array has no valid shape")
    if math.prod(shape) * dtype.itemsize != len(data):
        raise ValueError(f"an array of shape {shape} and dtype {dtype} has {len(data)} bytes of data")
    array.value = np.frombuffer(data, dtype=dtype).reshape(shape, order="F" if is_fortran else "C")
    return array
