"""NumPy arrays out of pickle files, without running what a pickle file may contain.

A pickle file is a program for a stack machine, and Python's own machine calls whatever function the program names.
This one knows only what is needed to describe arrays of numbers, in tuples, lists and dicts: no function named in the
file is ever looked up. The number of steps that a program may have is bounded, and memory by the size of the file. All
protocols, as written by Python 2 and 3 and by NumPy before and after 2.0, are understood.
"""

from __future__ import annotations

import codecs
import enum
import math
import pickle
import pickletools
import re
import struct
from array import array
from pathlib import Path
from typing import IO, Any

import numpy as np

from nnx.datasets._files import decoding, filled, length_of_rest, opened

FEW_STEPS = 1000  # three pairs of arrays take about 250
MANY_STEPS = 500_000  # 50,000 names of files, or 25,000 lists of words, take about 200,000
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
_DTYPES = {"O4", "O8", "f4", "f8", *(f"{kind}{size}" for kind in "iu" for size in (1, 2, 4, 8))}


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
_INTEGERS_APPENDED = re.compile(rb"(?:K.|M..|J....){8,}e", re.DOTALL)
"""What follows a MARK where integers are appended to a list, up to a thousand at a time."""

_AHEAD = 1 << 13  # bytes: a thousand integers of five
_BLOCK = 1 << 18


class Described:
    """An array that the file describes, empty until BUILD fills it.

    value : an array of numbers. objects : instead, what an array of objects has in it, in one dimension.
    """

    value: np.ndarray | None = None
    objects: list[Any] | None = None


class _Dtype:
    """A dtype that the file describes; BUILD gives it a byte order."""

    def __init__(self, code: str) -> None:
        self.value: np.dtype[Any] = np.dtype(code)


def read_pickle(path: Path) -> list[tuple[np.ndarray, np.ndarray]]:
    """The pairs of arrays in a pickle file, plain or gzip: a tuple or list of tuples or lists of two arrays of numbers.

    Raises ValueError, naming the file, for anything else.
    """
    with decoding(path, "a pickle file of NumPy arrays"):
        with opened(path) as stream:
            size = length_of_rest(stream, SPARE_BYTES + MOST_TIMES * path.stat().st_size)
        with opened(path) as stream:
            pairs = unpickled(stream, size, FEW_STEPS)
        if not isinstance(pairs, tuple | list) or not all(map(_is_pair, pairs)):
            raise ValueError("expected pairs of two arrays, (images, labels), for training and for testing")
        return [(first.value, second.value) for first, second in pairs]


def _is_pair(value: Any) -> bool:
    return (
        isinstance(value, tuple | list)
        and len(value) == 2
        and all(isinstance(item, Described) and item.value is not None for item in value)
    )


def unpickled(stream: IO[bytes], size: int, most_steps: int) -> Any:
    """What a pickled program of at most that many bytes and steps describes: arrays are `Described`, texts of Python 2
    are texts, and integers in a list may be an `array` of them, which stands for its items.

    Raises whatever a damaged program leads to, ValueError as a rule: see `decoding`.
    """
    return _Machine(_Program(stream, size), most_steps).run()


def integers_in(value: Any) -> array[int] | None:
    """The integers of 32 bits in a list, or in an array of one dimension; None for anything else."""
    if isinstance(value, Described) and value.value is not None:
        numbers = value.value
        if numbers.ndim != 1 or numbers.dtype.kind not in "iu" or (np.int32(numbers) != numbers).any():
            return None
        return array("i", np.int32(numbers).tobytes())
    if not isinstance(value, list):
        return None
    found = array("i")
    for item in value:
        if isinstance(item, array):
            found.extend(item)
        elif type(item) is int and -(1 << 31) <= item < 1 << 31:
            found.append(item)
        else:
            return None
    return found


class _Program:
    """The content of a file of at most that size: nobody is given room for more than is left of it."""

    def __init__(self, stream: IO[bytes], size: int) -> None:
        self.stream = stream
        self.unread = size
        self.block, self.place = b"", 0  # what has been read ahead, and where in it the next instruction is

    def look(self, count: int) -> None:
        """Have so many bytes at hand, if there are as many."""
        while len(self.block) - self.place < count and self.unread:
            more = self.stream.read(min(_BLOCK, self.unread))
            self.unread -= len(more) or self.unread
            self.block, self.place = self.block[self.place :] + more, 0

    def read(self, count: int) -> bytes | bytearray:
        at_hand = len(self.block) - self.place
        if count > max(at_hand, _AHEAD):
            return self.read_large(min(count, at_hand + self.unread))
        self.look(count)
        found = self.block[self.place : self.place + count]
        self.place += len(found)
        return found

    def read_large(self, count: int) -> bytearray:
        """Data, in memory once."""
        found, start = bytearray(count), self.block[self.place :]
        self.block, self.place = b"", 0
        found[: len(start)] = start
        filled(self.stream, np.frombuffer(found, np.uint8)[len(start) :])
        self.unread -= count - len(start)
        return found

    def readline(self) -> bytes:
        pieces = []
        while True:
            end = self.block.find(b"\n", self.place) + 1
            pieces.append(self.block[self.place : end or None])
            self.place += len(pieces[-1])
            if end or not self.unread:
                return b"".join(pieces)
            self.look(1)

    def integers(self) -> array[int] | None:
        """The integers that are appended to a list here; None where anything else comes.

        A text is a list of some hundred numbers, and there are millions of them. Python's own machine is faster, and
        can do no harm with instructions that are nothing but integers.
        """
        self.look(_AHEAD)
        found = _INTEGERS_APPENDED.match(self.block, self.place, self.place + _AHEAD)
        if found is None:
            return None
        self.place = found.end()
        return array("i", pickle.loads(b"](" + found[0] + b"."))


class _Machine:
    def __init__(self, program: _Program, most_steps: int) -> None:
        self.program: Any = program
        self.most_steps = most_steps
        self.stack: list[Any] = []
        self.marks: list[int] = []  # how long the stack was
        self.memo: dict[int, Any] = {}
        self.encodable = program.unread  # each byte of text in the file becomes a byte at most once

    def run(self) -> Any:
        for _ in range(self.most_steps):
            code = self.program.read(1)
            opcode = _OPCODES.get(code)
            if opcode is None:
                raise ValueError(f"byte {code.hex()} is no instruction" if code else "it ends too early")
            if opcode.name == "STOP":
                return self.pop(1)[0]
            self.step(opcode.name, self.argument(opcode))
        raise ValueError(f"it takes more than {self.most_steps} steps, far more than such arrays need")

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
                integers = self.program.integers()
                if integers is None:
                    self.marks.append(len(self.stack))
                else:
                    self.append([integers])
            case "EMPTY_LIST":
                self.stack.append([])
            case "EMPTY_DICT":
                self.stack.append({})
            case "LIST":
                self.stack.append(self.pop_to_mark())
            case "DICT":
                items = self.pop_to_mark()
                self.stack.append({})
                self.put(items)
            case "TUPLE":
                self.stack.append(tuple(self.pop_to_mark()))
            case "APPEND" | "APPENDS":
                self.append(self.pop(1) if name == "APPEND" else self.pop_to_mark())
            case "SETITEM" | "SETITEMS":
                self.put(self.pop(2) if name == "SETITEM" else self.pop_to_mark())
            case _:
                raise ValueError(f"it has the instruction {name}, which arrays of numbers do not need")

    def append(self, items: list[Any]) -> None:
        if not self.stack or not isinstance(self.stack[-1], list):
            raise ValueError("it appends to what is no list")
        self.stack[-1].extend(items)

    def put(self, items: list[Any]) -> None:
        """Keys, which are texts, and values into a dict."""
        keys = [str(key, "latin-1") if isinstance(key, bytes) else key for key in items[::2]]
        if not self.stack or not isinstance(self.stack[-1], dict) or not all(isinstance(key, str) for key in keys):
            raise ValueError("it puts something into what is no dict of texts")
        self.stack[-1].update(zip(keys, items[1::2], strict=True))

    def pop(self, count: int) -> list[Any]:
        if len(self.stack) - count < (self.marks[-1] if self.marks else 0):
            raise ValueError("it takes more from the stack than is there")
        items = self.stack[-count:]
        del self.stack[-count:]
        return items

    def pop_to_mark(self) -> list[Any]:
        mark = self.marks.pop()
        items = self.stack[mark:]
        del self.stack[mark:]
        return items

    def reduce(self, function: Any, arguments: Any) -> Any:
        match function, arguments:
            case _Name.RECONSTRUCT, (_Name.NDARRAY, *_):
                return Described()
            case _Name.FROM_BUFFER, ((bytes() | bytearray()) as data, _Dtype() as dtype, tuple() as shape, order):
                return _filled(Described(), data, dtype.value, shape, order == "F")
            case _Name.DTYPE, (str() as code, *_) if code in _DTYPES:
                return _Dtype(code)
            case _Name.ENCODE, (str() as text, "latin1"):
                return self.encode(text)
        raise ValueError("it does more than describe arrays of numbers")

    def build(self, target: Any, state: Any) -> Any:
        match target, state:
            case _Dtype(), (int(), "<" | ">" | "|" as byte_order, *_):
                target.value = target.value.newbyteorder(byte_order)
                return target
            case Described(), (int(), tuple() as shape, _Dtype() as dtype, bool() | 0 | 1 as is_fortran, data):
                data = self.encode(data) if isinstance(data, str) else data
                return _filled(target, data, dtype.value, shape, bool(is_fortran))
        raise ValueError("it does more than describe arrays of numbers")

    def encode(self, text: str) -> bytes:
        self.encodable -= len(text)
        if self.encodable < 0:
            raise ValueError("it uses a text more than once")
        return text.encode("latin-1")


def _named(name: str) -> _Name:
    if name not in _NAMES:
        raise ValueError(f"it refers to {name.replace(' ', '.')!r}, which arrays of numbers do not need")
    return _NAMES[name]


def _filled(target: Described, data: Any, dtype: np.dtype[Any], shape: tuple[Any, ...], is_fortran: bool) -> Described:
    if not all(isinstance(size, int) and size >= 0 for size in shape):
        raise ValueError("an array has no valid shape")
    if dtype.kind == "O":
        if not isinstance(data, list) or shape != (len(data),):
            raise ValueError(f"an array of objects has the shape {shape}, expected one dimension and a list as long")
        target.objects = data
        return target
    if not isinstance(data, bytes | bytearray):
        raise ValueError("an array of numbers has no bytes")
    if math.prod(shape) * dtype.itemsize != len(data):
        raise ValueError(f"an array of shape {shape} and dtype {dtype} has {len(data)} bytes of data")
    target.value = np.frombuffer(data, dtype=dtype).reshape(shape, order="F" if is_fortran else "C")
    return target
