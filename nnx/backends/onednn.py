"""oneDNN: matrix products and convolutions in float32, compiled for the processor that there is. It is optional.

Called through ctypes by the C interface of version 3, https://uxlfoundation.github.io/oneDNN. It is loaded when the
first large product or convolution comes, from the wheel that `pip install 'nnx-array[fast]'` brings.
"""

from __future__ import annotations

import ctypes
import functools
import importlib
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from nnx.backends import compiler
from nnx.backends.compiler import unobserved
from nnx.backends.routines import Routine
from nnx.backends.threads import are_sharing
from nnx.locks import LOADING

_PACKAGES = "onednn-cpu-gomp", "onednn-cpu-iomp"  # wheels, by the OpenMP that they take
_FILE = "libdnnl.so.3"
_INSTALL = "on Linux on x86-64 it comes with: pip install 'nnx-array[fast]'"
_MOST = 512  # convolutions that a thread keeps, each for one shape; to make one takes milliseconds
_MANY = 64  # filters, for which oneDNN's gradient of kernels without AVX-512 takes 1.1 to 1.3 times as long as products
_LONG = 8192  # uses of others after which one of them may go for a new one

# Numbers of the C interface, by dnnl_types.h.
_F32, _ANY, _CPU, _IN_ORDER = 3, 1, 1, 1
_FORWARD, _DIRECT = 64, 1
_SOURCE, _TARGET = 1, 17  # arguments of a primitive
_ARGUMENTS = {"forward": (1, 33, 17), "backward_data": (129, 33, 145), "backward_weights": (1, 161, 145)}
_WEIGHTS_OF, _GRADIENT_OF, _NAME_OF = 131, 132, 8  # questions to a description of a primitive
_AVX512 = 0x20  # a bit of the instructions that it uses
_OPENMP = 2  # as what runs its threads

_FLOAT32 = np.dtype(np.float32)


class _Version(ctypes.Structure):
    _fields_ = (
        ("major", ctypes.c_int),
        ("minor", ctypes.c_int),
        ("patch", ctypes.c_int),
        ("hash", ctypes.c_char_p),
        ("cpu_runtime", ctypes.c_uint),
        ("gpu_runtime", ctypes.c_uint),
    )


class _Argument(ctypes.Structure):
    _fields_ = ("argument", ctypes.c_int), ("memory", ctypes.c_void_p)


def is_onednn_used() -> bool:
    """Whether large products and convolutions in float32 are oneDNN's. Loads it."""
    return compiler.are_compiled_kernels_enabled() and _library() is not None


def onednn_problem() -> str | None:
    """Why oneDNN is not there, with what to do about it; None if it is. Loads it."""
    found = _find()
    return found if isinstance(found, str) else None


def onednn_version() -> str:
    """The version of the library that is loaded."""
    version = _library().dnnl_version().contents
    return f"{version.major}.{version.minor}.{version.patch}"


@functools.cache
def has_wide_vectors() -> bool:
    """Whether it computes with vectors of 512 bits, those of AVX-512."""
    return bool(_library().dnnl_get_effective_cpu_isa() & _AVX512)


@functools.cache
def _library() -> Any:
    """The library, None if there is none."""
    found = _find()
    return None if isinstance(found, str) else found


@functools.cache
def _find() -> Any:
    """The library, or why there is none."""
    problem = f"oneDNN is not installed; {_INSTALL}"
    with LOADING, unobserved():
        for path in _paths():
            try:
                library = ctypes.CDLL(path)
                library.dnnl_version.restype = ctypes.POINTER(_Version)
                version = library.dnnl_version().contents
                if version.major == 3 and version.cpu_runtime == _OPENMP and library.omp_get_max_threads() > 0:
                    return _declared(library)
            except (OSError, AttributeError) as error:
                problem = f"oneDNN is there but cannot be loaded ({error})"
            else:
                problem = f"oneDNN {version.major}.{version.minor} at {path} is not one of version 3 with OpenMP"
    return problem


def _paths() -> Iterator[str]:
    """Where the library lies."""
    metadata = importlib.import_module("importlib.metadata")
    for package in _PACKAGES:
        try:
            files = metadata.files(package) or ()
        except metadata.PackageNotFoundError:
            continue
        yield from (os.path.abspath(file.locate()) for file in files if file.name == _FILE)


def _declared(library: Any) -> Any:
    """The library, its functions with the types that they take and return."""
    pointer, number = ctypes.c_void_p, ctypes.c_int
    library.dnnl_memory_set_data_handle.argtypes = pointer, pointer
    library.dnnl_primitive_execute.argtypes = pointer, pointer, number, pointer
    library.dnnl_primitive_desc_query_md.argtypes = pointer, number, number
    library.dnnl_primitive_desc_query_md.restype = pointer
    library.dnnl_memory_desc_get_size.argtypes = (pointer,)
    library.dnnl_memory_desc_get_size.restype = ctypes.c_size_t
    library.dnnl_memory_desc_equal.argtypes = pointer, pointer
    for kind in ("memory", "memory_desc", "primitive", "primitive_desc", "stream"):
        getattr(library, f"dnnl_{kind}_destroy").argtypes = (pointer,)
    return library


def is_plain(array: Any) -> bool:
    """Whether an array is one of float32, and of no subclass of NumPy's.

    >>> is_plain(np.zeros(2, np.float32)), is_plain(np.zeros(2))
    (True, False)
    """
    kind = type(array)
    return array.dtype == _FLOAT32 and (kind is np.ndarray or not issubclass(kind, np.ndarray))


_from_buffer: Callable[[Any], Any] = ctypes.c_char.from_buffer


def address(array: np.ndarray) -> int:
    """Where the memory of an array begins."""
    try:
        return ctypes.addressof(_from_buffer(array))  # half the time of `array.ctypes.data`
    except (TypeError, ValueError, BufferError):  # of what is read only or not contiguous
        return array.ctypes.data


# Matrix products


@Routine
def multiply(out: np.ndarray, a: np.ndarray, b: np.ndarray) -> None:
    """Matrix product out = a @ b of float32; `can_multiply` says of which matrices."""
    _thread.adapt()
    call = _product(out.shape, out.strides, a.shape, a.strides, b.shape, b.strides)
    if call is None:
        raise ValueError(f"oneDNN cannot multiply {a.shape} by {b.shape} into {out.shape} as they lie in memory")
    swapped, letters_and_sizes, width_first, width_second, width = call
    first, second = (b, a) if swapped else (a, b)
    places = [ctypes.c_void_p(address(array)) for array in (first, second, out)]
    _check(
        _library().dnnl_sgemm(
            *(*letters_and_sizes, _ONE, places[0], width_first, places[1], width_second, _ZERO, places[2], width)
        )
    )


def can_multiply(a: Any, b: Any, out: Any = None) -> bool:
    """Whether oneDNN multiplies these matrices of float32 into `out`, or into a new array: columns or rows of each are
    contiguous, and all fit.

    >>> a = np.zeros((2, 3), np.float32)
    >>> can_multiply(a, a.T), can_multiply(a, a), can_multiply(a[:, ::2], a[:, :2])
    (True, False, False)
    """
    shape, strides = ((a.shape[0], b.shape[1]), (4 * b.shape[1], 4)) if out is None else (out.shape, out.strides)
    return _product(shape, strides, a.shape, a.strides, b.shape, b.strides) is not None


@functools.lru_cache(maxsize=4096)
def _product(
    out: tuple[int, ...], of_out: Any, a: tuple[int, ...], of_a: Any, b: tuple[int, ...], of_b: Any
) -> tuple[Any, ...] | None:
    """From shapes and strides: whether the operands are swapped, and what `dnnl_sgemm` takes; None if it cannot."""
    result, first, second = _layout(out, of_out), _layout(a, of_a), _layout(b, of_b)
    if a[1] != b[0] or out != (a[0], b[1]) or result is None or first is None or second is None:
        return None
    swapped, width = result
    if swapped:  # out.T = b.T @ a.T
        first, second = ((not transposed, width) for transposed, width in (second, first))
    letters = [ctypes.c_char(b"T" if transposed else b"N") for transposed, _ in (first, second)]
    sizes = map(ctypes.c_int64, (*(out[::-1] if swapped else out), a[1]))
    return swapped, (*letters, *sizes), *map(ctypes.c_int64, (first[1], second[1], width))


def _layout(shape: tuple[int, ...], strides: tuple[int, ...]) -> tuple[bool, int] | None:
    """Whether a matrix of float32 is one of contiguous columns, and from where to where they go; None for others."""
    (rows, columns), (down, across) = shape, strides
    if across == 4 and down >= 4 * columns and down % 4 == 0:
        return False, down // 4
    if down == 4 and across >= 4 * rows and across % 4 == 0:
        return True, across // 4
    return None


_ONE, _ZERO = ctypes.c_float(1.0), ctypes.c_float(0.0)


# Convolutions


class Convolution:
    """A convolution of images (n, rows, columns, c) in float32 for one shape, or one of its two derivatives.

    kind : "forward", "backward_data" or "backward_weights".
    images, kernel, result : shapes, of the kernel (groups, rows, columns, c / groups, f / groups).
    steps, gaps, before, after : for rows and columns the stride, dilation - 1, and the padding.

    It belongs to the thread that made it. ValueError where oneDNN has only a slow form.
    """

    def __init__(
        self,
        kind: str,
        images: tuple[int, ...],
        kernel: tuple[int, ...],
        result: tuple[int, ...],
        steps: tuple[int, int],
        gaps: tuple[int, int],
        before: tuple[int, int],
        after: tuple[int, int],
    ) -> None:
        library = _library()
        geometry = [_dims(numbers) for numbers in (steps, gaps, before, after)]
        of_images, of_result = _of_images(images), _of_images(result)
        of_kernel, any_kernel = _of_kernel(kernel), _of_kernel(kernel, any_order=True)
        create = library.dnnl_convolution_forward_primitive_desc_create
        ends: tuple[Any, ...] = of_images, any_kernel, None, of_result
        description = forward = _made("primitive_desc", create, _engine(), _FORWARD, _DIRECT, *ends, *geometry, None)
        if kind != "forward":
            create = getattr(library, f"dnnl_convolution_{kind}_primitive_desc_create")
            ends = ends if kind == "backward_weights" else (of_images, any_kernel, of_result)
            description = _made("primitive_desc", create, _engine(), _DIRECT, *ends, *geometry, forward, None)
        name = ctypes.c_char_p()
        _check(library.dnnl_primitive_desc_query(description, _NAME_OF, 0, ctypes.byref(name)))
        many = kind == "backward_weights" and kernel[4] >= _MANY
        if (name.value or b"ref").startswith((b"ref", b"jit:avx2") if many else b"ref"):
            raise ValueError(f"oneDNN has no fast {kind} convolution of {images} with {kernel}")
        self._memories = _memory(of_images), _memory(of_kernel), _memory(of_result)
        into_kernel = kind == "backward_weights"
        question = _GRADIENT_OF if into_kernel else _WEIGHTS_OF
        fast = ctypes.c_void_p(library.dnnl_primitive_desc_query_md(description, question, 0))
        memories, self._calls = list(self._memories), []
        if not library.dnnl_memory_desc_equal(fast, of_kernel):  # another order of numbers
            self._room = np.empty(library.dnnl_memory_desc_get_size(fast), np.uint8)
            memories[1] = _memory(fast, address(self._room))
            ways = (of_kernel, self._memories[1]), (fast, memories[1])
            self._calls.append(_conversion(*(ways[::-1] if into_kernel else ways)))
        convolve = _Primitive(description, list(zip(_ARGUMENTS[kind], memories, strict=True)))
        self._calls.insert(0 if into_kernel else len(self._calls), convolve)

    def __call__(self, images: np.ndarray, kernel: np.ndarray, result: np.ndarray) -> None:
        """Compute from two of three contiguous arrays the one that the kind is of."""
        place = _library().dnnl_memory_set_data_handle
        for memory, array in zip(self._memories, (images, kernel, result), strict=True):
            place(memory, address(array))
        for call in self._calls:
            call.run(_thread.stream)


def has_convolution(*geometry: Any) -> bool:
    """Whether there is a fast `Convolution` of that geometry: oneDNN has one, and there is room for another shape.

    Where data have more shapes than are kept, those that come on are left to others: to make one in each step, and to
    forget another, would take several times as long as the convolution.
    """
    return _convolution(geometry, False) is not None


def convolve(images: np.ndarray, kernel: np.ndarray, result: np.ndarray, *geometry: Any) -> None:
    """Call the `Convolution` of that geometry; ValueError where there is no fast one."""
    found = _convolution(geometry, True)
    if found is None:
        raise ValueError(f"oneDNN has no fast convolution of {geometry}")
    found(images, kernel, result)


def _convolution(geometry: tuple[Any, ...], needed: bool) -> Convolution | None:
    """This thread's, which takes as many threads of OpenMP as there were when it was made; None if there is none.

    needed : whether it takes the place of the one that was used least recently, whenever that was.
    """
    kept, key = _thread.convolutions, (_thread.adapt(), geometry)
    _thread.uses += 1
    known = kept.pop(key, None)
    found = None if known is None else known[0]
    if known is None:
        if len(kept) >= _MOST:
            oldest = next(iter(kept))
            if not needed and _thread.uses - kept[oldest][1] < _LONG:
                return None
            del kept[oldest]
        with unobserved():
            try:
                found = Convolution(*geometry)
            except ValueError:
                found = None
    kept[key] = found, _thread.uses  # at the end: the first is the one that was used least recently
    return found


# What the C interface deals with


class _Handle(ctypes.c_void_p):
    """A thing of oneDNN's, which is given back when nobody refers to it."""

    kind = ""

    def __del__(self) -> None:
        if self.value and _library is not None:  # which it is when the interpreter ends
            getattr(_library(), f"dnnl_{self.kind}_destroy")(self)


class _Primitive:
    """A primitive with its arguments."""

    def __init__(self, description: Any, arguments: Sequence[tuple[int, Any]]) -> None:
        self._made = _made("primitive", _library().dnnl_primitive_create, description)
        self._memories = [memory for _, memory in arguments]
        self._count = len(arguments)
        self._arguments = (_Argument * self._count)(*(_Argument(*pair) for pair in arguments))

    def run(self, stream: Any) -> None:
        _check(_library().dnnl_primitive_execute(self._made, stream, self._count, self._arguments))


def _made(kind: str, create: Callable[..., int], *arguments: Any) -> Any:
    """What a function creates in the memory of its first argument."""
    handle = _KINDS[kind]()
    _check(create(ctypes.byref(handle), *arguments))
    return handle


_KINDS: dict[str, Any] = {
    kind: type(f"_{kind}", (_Handle,), {"kind": kind})
    for kind in ("engine", "memory", "memory_desc", "primitive", "primitive_desc", "stream")
}


def _check(status: int) -> None:
    """ValueError where a function says that it did nothing."""
    if status:
        raise ValueError(f"oneDNN refused the call, with status {status}")


@functools.cache
def _engine() -> Any:
    return _made("engine", _library().dnnl_engine_create, _CPU, ctypes.c_size_t(0))


def _dims(numbers: Sequence[int]) -> Any:
    return (ctypes.c_int64 * 12)(*numbers)


def _described(shape: Sequence[int], strides: Sequence[int] | None) -> Any:
    """A description of float32 with these strides, in numbers; with those that a primitive likes best if None."""
    library = _library()
    if strides is None:
        create, order = library.dnnl_memory_desc_create_with_tag, _ANY
    else:
        create, order = library.dnnl_memory_desc_create_with_strides, _dims(strides)
    return _made("memory_desc", create, len(shape), _dims(shape), _F32, order)


def _of_images(shape: tuple[int, ...]) -> Any:
    n, rows, columns, c = shape
    return _described((n, c, rows, columns), (rows * columns * c, 1, columns * c, c))


def _of_kernel(shape: tuple[int, ...], any_order: bool = False) -> Any:
    groups, rows, columns, c, f = shape
    across = groups * f
    if groups == 1:
        return _described((f, c, rows, columns), None if any_order else (1, f, columns * c * f, c * f))
    strides = f, 1, across, columns * c * across, c * across
    return _described((groups, f, c, rows, columns), None if any_order else strides)


def _memory(description: Any, place: int = 2**64 - 1) -> Any:  # which stands for no place yet
    return _made("memory", _library().dnnl_memory_create, description, _engine(), ctypes.c_void_p(place))


def _conversion(source: tuple[Any, Any], target: tuple[Any, Any]) -> _Primitive:
    (of_source, from_memory), (of_target, to_memory) = source, target
    create, engine = _library().dnnl_reorder_primitive_desc_create, _engine()
    description = _made("primitive_desc", create, of_source, engine, of_target, engine, None)
    return _Primitive(description, ((_SOURCE, from_memory), (_TARGET, to_memory)))


class _Thread(threading.local):
    """What belongs to one thread: streams and primitives may not be used by two at the same time."""

    def __init__(self) -> None:
        self.convolutions: dict[tuple[int, tuple[Any, ...]], tuple[Convolution | None, int]] = {}
        self.uses = 0
        self._alone, self._before = False, 1  # whether OpenMP was told to take one thread, and how many it took

    @functools.cached_property
    def stream(self) -> Any:
        return _made("stream", _library().dnnl_stream_create, _engine(), _IN_ORDER)

    def adapt(self) -> int:
        """The number of threads of OpenMP: one beside other threads of ours, and in a child of a process.

        In a child those of the parent are gone, and OpenMP would wait for them.
        """
        library, alone = _library(), _forked or are_sharing()
        count: int = library.omp_get_max_threads()  # which is found in what oneDNN is linked with
        if alone != self._alone:
            self._before, count = count, 1 if alone else self._before
            library.omp_set_num_threads(count)
            self._alone = alone
        return count


_thread = _Thread()
_forked = False


def _after_fork() -> None:
    global _forked
    _forked = True


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
