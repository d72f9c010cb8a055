"""Compile CUDA source for the host, and launch it as CuPy launches kernels."""

import ctypes
import functools
import itertools
import mmap
import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

from . import accesses, streams, toolchain
from .counters import record_launch
from .device import COMPUTE_CAPABILITY, current_device, is_elsewhere

INCLUDE_DIRECTORY = Path(__file__).parent / "include"

_MAX_THREADS = 1024
_MAX_SHARED_MEMORY = 166912  # with opt-in; launcher.cpp reserves as much
_STACK_SIZE = 128 << 10  # as launcher.cpp assumes
_ORDERS = ("forward", "reverse", "alternating")  # as launcher.cpp counts them
_COMMENT = re.compile(r"//[^\n]*|/\*.*?\*/", re.DOTALL)
_BOUNDS = r"(?:__launch_bounds__\s*\([^)]*\)\s*)?"
_KERNEL = re.compile(rf"__global__\s+{_BOUNDS}void\s+{_BOUNDS}(\w+)\s*\(")
_EXTERN_C = re.compile(r'extern\s+"C"\s*(\{|(?=[^;{]*?__global__))')
_EXTERN_SHARED = re.compile(
    r"extern\s+__shared__\s+(?:(?:__align__|alignas)\s*\(\d+\)\s*)?([\w:\s]+?)\s*(\w+)\s*\[\s*\]\s*;"
)
#: What only works where the threads of a block run as fibers, at some cost.
_BARRIERS = re.compile(r"__sync|__shfl|__ballot|__any_sync|__all_sync|__reduce_\w+_sync")
_EXPRESSION_PREFIX = "cupy_on_cpu_expression_"
_FAILURES = {  # as launcher.cpp counts them
    1: "the threads of a block wait at different barriers (on a GPU this hangs or is undefined)",
    2: "its threads wait for one another in a header; write __syncthreads, or what it is, in the kernel's source too",
}


@dataclass(frozen=True)
class Parameter:
    """A parameter of a kernel, as far as its source shows what it is.

    constant : whether the kernel only reads where it points.
    dimensions : of an array of CuPy's; None for anything else.
    """

    name: str
    constant: bool
    is_pointer: bool
    dimensions: int | None

    @classmethod
    def of(cls, text: str) -> "Parameter":
        """Return what a declaration says, under the name that the author of an ElementwiseKernel gave it."""
        array = re.search(r"\bCArray\s*<.*?,\s*(\d+)", text)
        target = text.partition("*")[0]
        name = re.findall(r"\w+", text)[-1].removeprefix("_raw_")
        return cls(name, bool(re.search(r"\bconst\b", target)), target != text, array and int(array[1]))

    def span(self, argument: int) -> streams.Span | None:
        """Return where an argument points: an array's elements, but of a pointer nobody knows how far it goes."""
        if self.dimensions is None:
            address = ctypes.c_size_t.from_address(argument).value if self.is_pointer else 0
            return (address, address + 1) if address else None
        n = self.dimensions
        first, size, *rest = (ctypes.c_ssize_t * (2 + 2 * n)).from_address(argument)
        last = first
        for length, stride in zip(rest[:n], rest[n:], strict=True):
            if stride > 0:
                last += (length - 1) * stride
            else:
                first += (length - 1) * stride
        return (first, last + 1) if size else None


_NOT_FOUND, _INVALID_VALUE, _INVALID_HANDLE, _ILLEGAL_ADDRESS = 500, 1, 400, 700
_handles = itertools.count(1)
_modules: dict[int, ctypes.PyDLL] = {}
_functions: dict[int, SimpleNamespace] = {}
#: By the path of a library, the parameters of each of its kernels, and whether their threads wait for one another.
_known: dict[str, tuple[dict[str, list[Parameter]], bool]] = {}


def driver_functions() -> dict[str, Callable]:
    """Return the replacements in cupy_backends.cuda.api.driver, by name."""
    from cupy_backends.cuda.api import driver, runtime

    def constant(value: object) -> Callable:
        return lambda *ignored: value

    def fail(status: int, message: str) -> None:
        # Not by the constructor, which asks the absent driver for the message.
        error = driver.CUDADriverError.__new__(driver.CUDADriverError, message)
        error.status = status
        raise error

    def module_load_data(image: bytes) -> int:
        handle = next(_handles)
        # PyDLL keeps the GIL: the emulation's thread indices are global.
        library = _modules[handle] = ctypes.PyDLL(os.fsdecode(image))
        library.parameters, library.waits = _known[library._name]
        library.device = current_device()
        dynamic = (launcher().cupy_on_cpu_dynamic_shared(), _MAX_SHARED_MEMORY)
        library.shared = accesses.SharedMemory(library, dynamic) if accesses.ON else None
        return handle

    def module_get_function(module: int, name: str) -> int:
        try:
            entry = getattr(_modules[module], f"cupy_on_cpu_call_{name}")
        except AttributeError:
            fail(_NOT_FOUND, f'CUDA_ERROR_NOT_FOUND: no extern "C" kernel {name!r}')
        handle = next(_handles)
        library = _modules[module]
        parameters = library.parameters.get(name, [])
        _functions[handle] = SimpleNamespace(
            name=name,
            entry=ctypes.cast(entry, ctypes.c_void_p).value,
            parameters=parameters,
            waits=library.waits,
            device=library.device,
            shared=library.shared,
        )
        return handle

    def module_get_global(module: int, name: str) -> int:
        try:
            return ctypes.addressof(ctypes.c_char.in_dll(_modules[module], name))
        except ValueError:
            fail(_NOT_FOUND, f"CUDA_ERROR_NOT_FOUND: no global variable {name!r}")

    def check_device(kernel: SimpleNamespace, words: list[int]) -> None:
        """Fail where a GPU would: CUDA launches on the current device, wherever the arrays are."""
        here = current_device()
        if kernel.device != here:
            fail(
                _INVALID_HANDLE,
                f"CUDA_ERROR_INVALID_HANDLE: {kernel.name} was loaded on device {kernel.device} and launched on {here}",
            )
        if any(map(is_elsewhere, words)):
            fail(
                _ILLEGAL_ADDRESS,
                f"CUDA_ERROR_ILLEGAL_ADDRESS: {kernel.name} was launched on device {here} with memory of another one",
            )

    def launch(function, gx, gy, gz, bx, by, bz, shared, stream, arguments, extra=0) -> None:
        kernel = _functions[function]
        if not (
            0 < bx * by * bz <= _MAX_THREADS
            and gx > 0
            and 0 < gy < 65536
            and 0 < gz < 65536
            and bz <= 64
            and shared <= _MAX_SHARED_MEMORY
        ):
            fail(
                _INVALID_VALUE,
                f"CUDA_ERROR_INVALID_VALUE: {kernel.name} launched with grid"
                f" {(gx, gy, gz)}, block {(bx, by, bz)} and {shared} bytes of shared memory",
            )
        pointers = (ctypes.c_void_p * len(kernel.parameters)).from_address(arguments)
        # The first eight bytes of each argument: if it is a pointer or an array, its address.
        words = [ctypes.c_size_t.from_address(pointer).value for pointer in pointers]
        check_device(kernel, words)
        record_launch(kernel.name)
        reads, writes = [], []
        for parameter, pointer in zip(kernel.parameters, pointers, strict=True):
            if span := parameter.span(pointer):
                (reads if parameter.constant else writes).append(span)
        streams.works(kernel.name, stream, reads, writes)
        if kernel.shared:
            kernel.shared.begin_launch(shared)
        outcome = launcher().cupy_on_cpu_launch(
            kernel.entry, arguments, gx, gy, gz, bx, by, bz, shared, _stacks(), current_order(), kernel.waits
        )
        if kernel.shared:
            named = [(parameter.name, word) for parameter, word in zip(kernel.parameters, words, strict=True)]
            accesses.Launch(kernel.name, kernel.shared, named, (gx, gy, gz), (bx, by, bz)).end()
        if outcome:
            raise RuntimeError(f"{kernel.name}: {_FAILURES[outcome]}")

    return {
        "get_build_version": constant(runtime._getCUDAMajorVersion() * 1000),
        "ctxGetCurrent": constant(1),
        "ctxSetCurrent": constant(None),
        "ctxGetDevice": current_device,
        "streamGetCtx": constant(1),
        "moduleLoadData": module_load_data,
        "moduleUnload": lambda module: _modules.pop(module, None) and None,
        "moduleGetFunction": module_get_function,
        "moduleGetGlobal": module_get_global,
        "launchKernel": launch,
        "launchCooperativeKernel": launch,
        "funcGetAttribute": lambda attribute, function: _MAX_THREADS if attribute == 0 else 0,
        "funcSetAttribute": constant(None),
        "occupancyMaxActiveBlocksPerMultiprocessor": constant(2),
        "occupancyMaxPotentialBlockSize": constant((108, 512)),
    }


@functools.cache
def launcher() -> ctypes.PyDLL:
    """Return the library that runs kernels; those that are loaded later find its names, and C++'s and C's, by it."""
    source = (Path(__file__).parent / "launcher.cpp").read_text()
    options = ("-std=c++17", *accesses.DEFINITION, "-Wl,--no-as-needed")
    path = toolchain.build_library("launcher", source, options, _prelude(), _include_folders())
    library = ctypes.PyDLL(str(path), mode=ctypes.RTLD_GLOBAL)
    library.cupy_on_cpu_dynamic_shared.restype = ctypes.c_size_t
    library.cupy_on_cpu_launch.argtypes = [
        *[ctypes.c_void_p] * 2, *[ctypes.c_uint] * 7, ctypes.c_void_p, ctypes.c_ulonglong, ctypes.c_bool
    ]  # fmt: skip
    return library


@functools.cache
def _stacks() -> int:
    """Return memory for the stacks of one block's threads, used when touched."""
    memory = mmap.mmap(-1, _MAX_THREADS * _STACK_SIZE, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    _stacks.keep = memory
    return ctypes.addressof(ctypes.c_char.from_buffer(memory))


def current_order() -> int:
    """Return the order of blocks and threads that CUPY_ON_CPU_ORDER names, as a number that kernels know it by."""
    name = os.environ.get("CUPY_ON_CPU_ORDER", "forward")
    if name in _ORDERS:
        return _ORDERS.index(name)
    if re.fullmatch(r"[0-9]{1,18}", name):
        return len(_ORDERS) + int(name)
    raise ValueError(f"CUPY_ON_CPU_ORDER is {name!r}: write {', '.join(_ORDERS)}, or a number, the seed of a shuffle")


def install_compiler() -> None:
    """Let CuPy compile its kernels with the host compiler."""
    from cupy.cuda import compiler

    compiler._compile_module_with_cache = _compile_module


def _compile_module(
    source: str,
    options: tuple[str, ...] = (),
    *,
    name_expressions: list[str] | None = None,
    **ignored,
) -> object:
    """Stand in for cupy.cuda.compiler._compile_module_with_cache."""
    from cupy.cuda import compiler, function

    names = dict.fromkeys(find_kernels(source))
    entries = {name: name for name in names}
    mapping = None
    if name_expressions:
        mapping = {e: f"{_EXPRESSION_PREFIX}{i}" for i, e in enumerate(name_expressions)}
        entries |= {entry: f"({expression})" for expression, entry in mapping.items()}
    host_source = translate(source) + "".join(
        f"\nCUPY_ON_CPU_ENTRY({entry}, {expression})" for entry, expression in entries.items()
    )
    host_options = _host_options(options)
    stem = next(iter(names), "module")[:40]
    try:
        launcher()  # has all that kernels need of libraries
        host_options += (*accesses.COMPILER_OPTIONS, "-nostdlib")
        library = toolchain.build_library(stem, host_source + "\n", host_options, _prelude(), _include_folders())
    except toolchain.CompilationError as error:
        raise compiler.CompileException(str(error), source, f"{stem}.cu", options, "cupy_on_cpu (g++)") from None
    _known[str(library)] = find_parameters(source), bool(_BARRIERS.search(source))
    module = function.Module()
    module.load(os.fsencode(library))
    module._set_mapping(mapping)
    return module


def find_kernels(source: str) -> list[str]:
    """Return the names of the kernels with C linkage; only those have plain names."""
    text = _COMMENT.sub(" ", source)
    names = []
    for match in _EXTERN_C.finditer(text):
        if match[1]:
            names += _KERNEL.findall(text[match.end() : _closing_brace(text, match.end())])
        elif kernel := _KERNEL.search(text, match.end()):
            names.append(kernel[1])
    return names


def find_parameters(source: str) -> dict[str, list[Parameter]]:
    """Return the parameters of each kernel, as far as the source shows them without its macros and templates."""
    text = _COMMENT.sub(" ", source)
    found = {}
    for match in _KERNEL.finditer(text):
        depth, start, parameters = 1, match.end(), []
        for end in range(start, len(text)):
            depth += (text[end] in "(<") - (text[end] in ")>")
            if depth == 0 or (text[end] == "," and depth == 1):
                parameters.append(text[start:end].strip())
                start = end + 1
            if depth == 0:
                break
        found[match[1]] = [] if parameters in ([""], ["void"]) else [Parameter.of(p) for p in parameters]
    return found


def _closing_brace(text: str, start: int) -> int:
    depth = 1
    for match in re.finditer(r"[{}]", text[start:]):
        depth += 1 if match[0] == "{" else -1
        if depth == 0:
            return start + match.start()
    return len(text)


def translate(source: str) -> str:
    """Rewrite what no header can: dynamic shared memory."""
    return _EXTERN_SHARED.sub(r"static \1* \2 = reinterpret_cast<\1*>(cupy_on_cpu::dynamic_shared);", source)


def _host_options(options: tuple[str, ...]) -> tuple[str, ...]:
    """Translate NVRTC's options; those about GPU code generation have no meaning."""
    searched = {f"-I{folder}" for folder in _include_folders()}
    kept = []
    for option in options:
        if option.startswith(("--std=", "--define-macro=", "--include-path=")):
            option = option.replace("--std", "-std").replace("--define-macro=", "-D")
            option = option.replace("--include-path=", "-I")
        if option.startswith(("-D", "-I", "-std=", "-U")) and option not in searched:
            kept.append(option)
    return tuple(kept)


@functools.cache
def _include_folders() -> tuple[Path, ...]:
    """Return where every kernel's includes are searched: this folder stands in for CUDA's, so it is the first."""
    from cupy._core import core

    options = core.assemble_cupy_compiler_options(())
    return (INCLUDE_DIRECTORY, *(Path(option[2:]) for option in options if option.startswith("-I")))


@functools.cache
def _include_version() -> str:
    """Return what stands for the content of these folders: this one's files, and the versions of CuPy and of CUDA."""
    from cupy import __version__

    files = sorted(path for path in INCLUDE_DIRECTORY.rglob("*") if path.is_file())
    cuda = [folder / "cuda_runtime_api.h" for folder in _include_folders()]
    versions = [re.findall(r"#define CUDART_VERSION.*", file.read_text()) for file in cuda if file.exists()]
    return toolchain.digest(__version__, versions, *(file.read_text() for file in files))


@functools.cache
def _prelude() -> Path:
    """Return the precompiled header that every kernel starts with."""
    from cupy._core import core

    headers = ("complex.cuh", "carray.cuh", "math_constants.h")
    text = (
        f"#define CUPY_ON_CPU_ARCH {COMPUTE_CAPABILITY[0]}{COMPUTE_CAPABILITY[1]}0\n"
        "#include <cuda_emulation.h>\n"
        + "".join(f"#include <cupy/{name}>\n" for name in headers)
        # They begin with a plain read, whose outcome atomicCAS then checks: that is no conflict.
        + '#undef __device__\n#define __device__ __attribute__((no_sanitize("thread")))\n'
        "#include <cupy/atomics.cuh>\n#undef __device__\n#define __device__\n"
    )
    options = _host_options(core.assemble_cupy_compiler_options(())) + accesses.COMPILER_OPTIONS
    return toolchain.build_header("prelude", text, options, _include_version(), _include_folders())
