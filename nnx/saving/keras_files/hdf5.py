"""HDF5 files as arrays by their paths: found without reading one, checked before anything is allocated, and written."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import math
import struct
from collections.abc import Iterator, Mapping
from typing import IO, Any

import numpy as np

from nnx.names import shortened

__all__ = ["Arrays", "DamagedError", "Stored", "opened", "require_h5py", "written"]

_DEEPEST = 64  # groups in groups
_SMALLEST_OBJECT = 60  # bytes that a group or an array takes in a file, at least
_MOST_TIMES = 100  # that an array may be larger than what is stored of it
_SPARE_BYTES = 1 << 16
_LONGEST_TEXT = 64 << 20
_FILTERS = (1, 2)  # gzip, shuffle
_BLOCK = 1 << 20
_MOST_BLOCKS, _LONGEST_BLOCK = 1000, 1 << 20  # of a header; a message of it has less than 64 KiB
_GLOBAL_HEAP, _LOCAL_HEAP = b"GCOL\1\0\0\0", b"HEAP\0\0\0\0"
_OFFSET, _HEAP_OBJECT, _LOCAL_HEAP_HEADER = struct.Struct("<Q"), struct.Struct("<HHIQ"), struct.Struct("<QQQ")
_OBJECT_HEADER, _MESSAGE, _REFERENCE = struct.Struct("<BxHII4x"), struct.Struct("<HH4x"), struct.Struct("<IQI")
_ATTRIBUTE, _TEXT_TYPE, _PLACE = struct.Struct("<BxHHH"), struct.Struct("<BBBBIII"), struct.Struct("<QQ")
_ATTRIBUTE_MESSAGE, _CONTINUATION = 12, 16  # kinds of messages in a header
_OF_ANY_LENGTH = 9  # class of types
_FAILURES = (OSError, KeyError, IndexError, ValueError, TypeError, AttributeError, RuntimeError, SystemError)
_MORE_FAILURES = (*_FAILURES, ArithmeticError, MemoryError, EOFError, struct.error)


_Heaps = dict[int, dict[int, int]]
"""The lengths of the texts in each heap, by the places of the heaps and the numbers of the texts."""


class DamagedError(ValueError):
    """What is in a file is not what its format says, or more than nnx reads."""


def require_h5py(purpose: str) -> Any:
    """The package h5py. ImportError, for that purpose, where it is not installed."""
    try:
        import h5py
    except ImportError:
        raise ImportError(f"to {purpose}: pip install 'nnx-array[keras-files]'") from None
    return h5py


@dataclasses.dataclass(frozen=True)
class Stored:
    """An array in a file, not read yet. dtype : that it has once it is read; bfloat16 becomes float32."""

    dataset: Any
    shape: tuple[int, ...]
    dtype: np.dtype[Any]

    def read(self) -> np.ndarray:
        """The array. DamagedError where the file has not all of it."""
        with damage():
            if self.dataset.dtype.kind == "V":
                bits = self.dataset[()].view(np.uint16).astype(np.uint32) << np.uint32(16)
                return np.asarray(bits, np.uint32).view(np.float32).reshape(self.shape)
            array = np.empty(self.shape, self.dtype)
            if not array.size:
                return array
            if self.shape:
                self.dataset.read_direct(array)
            else:
                array[...] = self.dataset[()]
            return array


class Arrays(dict[str, Stored]):
    """The arrays of an open file by their paths, such as "layers/dense/vars/0".

    names : what the groups say their objects are called, by the paths of the groups, without their "vars".
    groups : the paths of all groups.
    """

    def __init__(self, file: Any, source: IO[bytes], heaps: _Heaps) -> None:
        super().__init__()
        self.file = file
        self._source, self._heaps = source, heaps
        self.names: dict[str, str] = {}
        self.groups: set[str] = set()

    def text(self, group: str, attribute: str) -> str | None:
        """A text among the attributes of a group; None if there is none."""
        with damage():
            attributes = self._attributes(group)
            if attribute not in attributes:
                return None
            value = self._attribute(attributes, attribute)
        if isinstance(value, bytes):
            value = str(value, "utf-8", "replace")
        if not isinstance(value, str):
            raise DamagedError(f"its attribute {attribute} is no text")
        return value

    def texts(self, group: str, attribute: str) -> list[str] | None:
        """A list of texts among the attributes of a group, which may be in pieces; None if there is none."""
        with damage():
            attributes = self._attributes(group)
            if attribute in attributes:
                parts = [self._attribute(attributes, attribute)]
            else:
                parts = []
                while f"{attribute}{len(parts)}" in attributes:
                    parts.append(self._attribute(attributes, f"{attribute}{len(parts)}"))
                if not parts:
                    return None
            found = [item for part in parts for item in np.asarray(part).ravel().tolist()]
        texts = [str(item, "utf-8", "replace") if isinstance(item, bytes) else item for item in found]
        if not all(isinstance(text, str) for text in texts):
            raise DamagedError(f"its attribute {attribute} is no list of texts")
        return texts

    def _attributes(self, group: str) -> Any:
        found = self.file[group]
        _check_attributes(self._source, require_h5py("read HDF5 files").h5o.get_info(found.id).addr, self._heaps)
        return found.attrs

    @staticmethod
    def _attribute(attributes: Any, name: str) -> Any:
        identity = attributes.get_id(name)
        if math.prod(identity.shape) * max(identity.dtype.itemsize, 1) > _LONGEST_TEXT:
            raise DamagedError(f"its attribute {shortened(name)} is too large")
        return attributes[name]


@contextlib.contextmanager
def damage() -> Iterator[None]:
    """A block in which every failure of the HDF5 library is a DamagedError."""
    try:
        yield
    except DamagedError:
        raise
    except _MORE_FAILURES as error:
        words = " ".join(str(error).split())
        raise DamagedError(f"is truncated or damaged (HDF5: {shortened(words, 200)})") from None


@contextlib.contextmanager
def opened(source: IO[bytes], size: int) -> Iterator[Arrays]:
    """The arrays of an HDF5 file of that size, as long as the block lasts.

    DamagedError for a file that is cut short or changed, for links that lead out of it, for arrays that are kept
    elsewhere or are larger than what is stored of them, and for what is no array of numbers.
    """
    h5py = require_h5py("read HDF5 files")
    heaps = _checked_heaps(source, size)
    with damage():
        file = h5py.File(source, "r")
    try:
        arrays = Arrays(file, source, heaps)
        with damage():
            _walk(h5py, arrays, size)
        yield arrays
    finally:
        with contextlib.suppress(*_MORE_FAILURES):
            file.close()


def _checked_heaps(source: IO[bytes], size: int) -> _Heaps:
    """What the heaps of texts hold.

    DamagedError for a heap whose pieces do not follow each other: in one, the HDF5 library would search for ever.
    """
    heaps: _Heaps = {}
    place, rest = 0, b""
    source.seek(0)
    while block := source.read(_BLOCK):
        text = rest + block
        start = place - len(rest)
        for address in _places(text, _GLOBAL_HEAP):
            heaps[start + address] = _checked_global_heap(source, start + address, size)
        for address in _places(text, _LOCAL_HEAP):
            _check_local_heap(source, start + address, size)
        place += len(block)
        rest = text[-len(_GLOBAL_HEAP) + 1 :]
        source.seek(place)
    source.seek(0)
    return heaps


def _places(text: bytes, part: bytes) -> Iterator[int]:
    """Where in a text a part of it is."""
    found = text.find(part)
    while found >= 0:
        yield found
        found = text.find(part, found + 1)


def _numbers(source: IO[bytes], place: int, form: struct.Struct) -> tuple[Any, ...]:
    source.seek(place)
    data = source.read(form.size)
    if len(data) < form.size:
        raise DamagedError("is truncated or damaged (HDF5: a heap is cut short)")
    return form.unpack(data)


def _checked_global_heap(source: IO[bytes], start: int, size: int) -> dict[int, int]:
    (length,) = _numbers(source, start + 8, _OFFSET)
    if start + length > size:
        raise DamagedError("is truncated or damaged (HDF5: a heap is cut short)")
    texts: dict[int, int] = {}
    place = 16
    while place + 16 <= length:
        index, _, _, taken = _numbers(source, start + place, _HEAP_OBJECT)
        texts[index] = taken
        taken = taken if index == 0 else 16 + -(-taken // 8) * 8
        if taken < 16 or place + taken > length:
            raise DamagedError("is truncated or damaged (HDF5: a heap has something of a wrong size)")
        place += taken
    return texts


def _check_attributes(source: IO[bytes], address: int, heaps: _Heaps) -> None:
    """DamagedError for an attribute of a group or array that is no text, or whose text is not in its heap.

    The HDF5 library looks at neither before it reads, and would crash.
    """
    for message in _attribute_messages(source, address):
        version, name, dtype, space = _ATTRIBUTE.unpack_from(message)
        pad = 8 if version == 1 else 1
        at_dtype = (9 if version == 3 else 8) + -(-name // pad) * pad
        at_value = at_dtype + -(-dtype // pad) * pad + -(-space // pad) * pad
        kind, form, _, _, _, _, size = _TEXT_TYPE.unpack_from(message, at_dtype)
        if version not in (1, 2, 3) or (version > 1 and message[1]):
            raise DamagedError("has an attribute in a form of HDF5 that Keras does not write")
        if kind & 15 != _OF_ANY_LENGTH:
            continue
        if form & 15 > 1:
            raise DamagedError("is truncated or damaged (HDF5: an attribute is neither a text nor a list)")
        for place in range(at_value, len(message) - _REFERENCE.size + 1, _REFERENCE.size):
            length, heap, index = _REFERENCE.unpack_from(message, place)
            if length and heaps.get(heap, {}).get(index) != length * size:
                raise DamagedError("is truncated or damaged (HDF5: an attribute is not where it should be)")


def _attribute_messages(source: IO[bytes], address: int) -> Iterator[bytes]:
    """The attributes in the header of a group or array, as they are written in version 1, which Keras has."""
    version, _, _, length = _numbers(source, address, _OBJECT_HEADER)
    if version != 1:
        raise DamagedError("has a group in a form of HDF5 that Keras does not write")
    blocks, left = [(address + _OBJECT_HEADER.size, length)], _MOST_BLOCKS
    while blocks:
        start, length = blocks.pop()
        left -= 1
        if length > _LONGEST_BLOCK or left < 0:
            raise DamagedError("is truncated or damaged (HDF5: a header is far too long)")
        source.seek(start)
        block, place = source.read(length), 0
        while place + _MESSAGE.size <= len(block):
            kind, size = _MESSAGE.unpack_from(block, place)
            place += _MESSAGE.size
            if kind == _CONTINUATION:
                blocks.append(_PLACE.unpack_from(block, place))
            elif kind == _ATTRIBUTE_MESSAGE:
                yield block[place : place + size]
            place += size


def _check_local_heap(source: IO[bytes], start: int, size: int) -> None:
    length, free, data = _numbers(source, start + 8, _LOCAL_HEAP_HEADER)
    if data + length > size:
        raise DamagedError("is truncated or damaged (HDF5: a heap is cut short)")
    left = length // 16 + 1
    while free not in (1, (1 << 64) - 1):  # the ends of a list
        left -= 1
        if left < 0 or free + 16 > length:
            raise DamagedError("is truncated or damaged (HDF5: the free places of a heap are a circle)")
        (free,) = _numbers(source, data + free, _OFFSET)


def _walk(h5py: Any, arrays: Arrays, size: int) -> None:
    """Find all arrays, by hard links only, none of them twice inside of itself."""
    left, total = size // _SMALLEST_OBJECT + 1000, 0
    open_groups: list[tuple[str, Any, frozenset[int]]] = [("", arrays.file["/"], frozenset())]
    while open_groups:
        path, group, above = open_groups.pop()
        address = h5py.h5o.get_info(group.id).addr
        if address in above or len(above) > _DEEPEST:
            raise DamagedError("is damaged: a group in it is inside of itself, or too deep")
        arrays.groups.add(path)
        if (path == "vars" or path.endswith("/vars")) and "name" in group.attrs:
            name = arrays.text(path, "name")
            if name is not None:
                arrays.names[path[: -len("vars")].rstrip("/")] = name
        for key in group:
            left -= 1
            if left < 0:
                raise DamagedError("has more groups and arrays than a file of its size can")
            if not isinstance(group.get(key, getlink=True), h5py.HardLink):
                raise DamagedError(f"has a link to somewhere else, which nnx does not follow: {shortened(key)}")
            found, inner = group[key], f"{path}/{key}".lstrip("/")
            if isinstance(found, h5py.Group):
                open_groups.append((inner, found, above | {address}))
            elif isinstance(found, h5py.Dataset):
                stored = _checked(inner, found, size)
                total += math.prod(stored.shape) * stored.dtype.itemsize
                if total > _MOST_TIMES * size + _SPARE_BYTES:
                    raise DamagedError("has arrays that are far larger than the file")
                arrays[inner] = stored
            else:
                raise DamagedError(f"has something at {shortened(inner)} that is neither a group nor an array")


def _checked(path: str, dataset: Any, size: int) -> Stored:
    """An array whose description can be true; nothing of it is read."""
    label, dtype = shortened(path), dataset.dtype
    if dataset.external or dataset.is_virtual:
        raise DamagedError(f"{label} is kept in another file, which nnx does not read")
    if dataset.shape is None:
        raise DamagedError(f"{label} has no shape")
    if dtype.kind == "V" and dtype.itemsize == 2 and dtype.names is None and dtype.subdtype is None:
        read_as: np.dtype[Any] = np.dtype(np.float32)
    elif dtype.kind in "biuf" and dtype.itemsize <= 8:
        read_as = dtype.newbyteorder("=")
    else:
        raise DamagedError(f"{label} is of {shortened(str(dtype))}, expected numbers")
    nbytes = math.prod(dataset.shape) * dtype.itemsize
    if nbytes > _MOST_TIMES * min(dataset.id.get_storage_size(), size) + _SPARE_BYTES:
        raise DamagedError(f"{label} of shape {dataset.shape} is far larger than what the file has of it")
    properties = dataset.id.get_create_plist()
    filters = [properties.get_filter(index)[0] for index in range(properties.get_nfilters())]
    if any(one not in _FILTERS for one in filters):
        raise DamagedError(f"{label} is compressed in a way that nnx does not read; gzip is read")
    if dataset.chunks and math.prod(dataset.chunks) * dtype.itemsize > 2 * nbytes + _SPARE_BYTES:
        raise DamagedError(f"{label} is stored in pieces that are larger than itself")
    return Stored(dataset, tuple(dataset.shape), read_as)


def written(file: IO[bytes], arrays: Mapping[str, np.ndarray], names: Mapping[str, str]) -> None:
    """Write arrays under their paths to an empty file.

    names : for the groups of objects what these are called, which goes to the attribute "name" of their "vars".
    """
    h5py = require_h5py("write HDF5 files")
    with h5py.File(file, "w", libver="earliest", track_order=False) as out:
        for group, name in names.items():
            out.require_group(f"{group}/vars".lstrip("/")).attrs["name"] = name
        for path, array in arrays.items():
            out.create_dataset(path, data=np.asarray(array, order="C"), track_times=False)


class Window(io.RawIOBase):
    """A part of a file as a file of its own, to read from."""

    def __init__(self, file: IO[bytes], start: int, size: int) -> None:
        super().__init__()
        self._file, self._start, self._size, self._place = file, start, size, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._place

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._place, io.SEEK_END: self._size}[whence]
        self._place = start + offset
        return self._place

    def readinto(self, buffer: Any) -> int:
        room = memoryview(buffer).cast("B")
        room = room[: max(0, min(len(room), self._size - self._place))]
        self._file.seek(self._start + self._place)
        done = 0
        while done < len(room):
            count = self._file.readinto(room[done:])  # type: ignore[attr-defined]
            if not count:
                raise EOFError("the file became shorter while it was read")
            done += count
        self._place += done
        return done
