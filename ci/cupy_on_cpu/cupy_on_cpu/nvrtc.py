"""Compile kernels with the real NVRTC, which needs no device and no driver.

Complements the emulation, which compiles kernels with the host's compiler and
so accepts, and rejects, slightly different code.  Works with or without
cupy_on_cpu.activate(); needs the wheels of NVRTC and of the CUDA headers (see
requirements.txt).
"""

import io
import re
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

ARCHITECTURES = ("75", "80", "90")
_HEADERS = "".join(
    f"#include <cupy/{name}>\n" for name in ("complex.cuh", "carray.cuh", "atomics.cuh", "math_constants.h")
)
_BLOCK_SIZE = 512  # of reductions, as CuPy chooses by default


class Scalar(NamedTuple):
    """In place of a dtype: the argument is a scalar of this dtype, not an array."""

    dtype: object


class Resources(NamedTuple):
    """What a kernel needs of a GPU, as NVIDIA's assembler counts it: registers of a thread, and bytes.

    ``stack`` is local memory, which is as far away as global memory is; ``spilled`` is what of it is stored and
    loaded because registers ran out; ``shared`` is the shared memory of a block.
    """

    registers: int
    stack: int
    spilled: int
    shared: int


def compile_kernel(
    kernel: object,
    *dtypes: object,
    architectures: Sequence[str] = ARCHITECTURES,
    ndim: int = 1,
    contiguous: bool = True,
) -> dict[str, bytes]:
    """Compile a CuPy kernel for each architecture; return the cubins.

    ``kernel`` is a cupy.ElementwiseKernel, ReductionKernel, RawKernel or
    RawModule.  For the first two, ``dtypes`` gives the dtype of each input, and
    of each output where the inputs do not decide it: a dtype stands for an array
    of ``ndim`` dimensions, Scalar(dtype) for a scalar.

    Raises cupy.cuda.compiler.CompileException, with NVRTC's log, on an error.
    """
    import cupy

    source = kernel_source(kernel, *dtypes, ndim=ndim, contiguous=contiguous)
    options = kernel.kwargs.get("options", ()) if isinstance(kernel, cupy.ElementwiseKernel) else kernel.options
    names = getattr(kernel, "name_expressions", None)
    return {architecture: compile_source(source, architecture, tuple(options), names) for architecture in architectures}


def kernel_source(kernel: object, *dtypes: object, ndim: int = 1, contiguous: bool = True) -> str:
    """Return the CUDA source that CuPy would compile for such arguments; see compile_kernel."""
    import cupy

    if isinstance(kernel, cupy.ElementwiseKernel):
        return _HEADERS + _elementwise_source(kernel, dtypes, ndim, contiguous)
    if isinstance(kernel, cupy.ReductionKernel):
        return _HEADERS + _reduction_source(kernel, dtypes, ndim, contiguous)
    if isinstance(kernel, (cupy.RawKernel, cupy.RawModule)):
        if dtypes:
            raise TypeError("raw kernels fix their types: give no dtypes")
        return kernel.code
    raise TypeError(f"cannot compile a {type(kernel).__name__}")


def compile_source(
    source: str,
    architecture: str,
    options: tuple[str, ...] = (),
    name_expressions: Sequence[str] | None = None,
) -> bytes:
    """Compile CUDA source with the options that CuPy gives NVRTC; return the cubin."""
    return _compile(source, architecture, options, name_expressions)[0]


def resources(source: str, architecture: str, options: tuple[str, ...] = ()) -> dict[str, Resources]:
    """Compile CUDA source like compile_source; return what each kernel in it needs, by its name."""
    _, log = _compile(source, architecture, (*options, "--ptxas-options=-v"))
    return {
        match["name"]: Resources(
            int(match["registers"]),
            int(match["stack"]),
            int(match["stores"]) + int(match["loads"]),
            int(match["shared"] or 0),
        )
        for match in _REPORT.finditer(log)
    }


_REPORT = re.compile(
    r"Compiling entry function '(?P<name>\w+)'.*?"
    r"(?P<stack>\d+) bytes stack frame, (?P<stores>\d+) bytes spill stores, (?P<loads>\d+) bytes spill loads.*?"
    r"Used (?P<registers>\d+) registers(?:[^\n]*?(?P<shared>\d+) bytes smem)?",
    re.DOTALL,
)


def _compile(
    source: str, architecture: str, options: tuple[str, ...], name_expressions: Sequence[str] | None = None
) -> tuple[bytes, str]:
    """Return the cubin and NVRTC's log."""
    from cupy._core import core
    from cupy.cuda import compiler

    options = (
        *core.assemble_cupy_compiler_options(tuple(options)),
        "-ftz=true",
        f"-arch=sm_{architecture}",
        "--device-as-default-execution-space",
    )
    program = compiler._NVRTCProgram(source, "kernel.cu", method="cubin", name_expressions=name_expressions)
    log = io.StringIO()
    return program.compile(options, log)[0], log.getvalue()


def _elementwise_source(kernel, dtypes, ndim: int, contiguous: bool) -> str:
    from cupy._core import _kernel

    types, pairs = _resolve(kernel, dtypes)
    infos = [*_argument_infos(kernel, dtypes, types, ndim, contiguous), _indexer(ndim)]
    return _kernel._get_elementwise_kernel_code(
        tuple(infos), _kernel._TypeMap(pairs), kernel.params, kernel.operation,
        kernel.name, kernel.preamble, **kernel.kwargs,
    )  # fmt: skip


def _reduction_source(kernel, dtypes, ndim: int, contiguous: bool) -> str:
    from cupy._core import _kernel, _reduction, _scalar

    types, pairs = _resolve(kernel, dtypes)
    block_stride = _kernel._ArgInfo(3, _scalar.CScalar, np.dtype("i4"), 0, True, True)
    infos = [
        *_argument_infos(kernel, dtypes, types, ndim, contiguous),
        _indexer(ndim),
        _indexer(ndim),
        block_stride,
    ]
    pairs = (("IndexT", np.dtype("i4")), *pairs)
    reduce_type = kernel.reduce_type
    if reduce_type is None:
        reduce_type = _scalar.get_typename(types[kernel.nin])
    return _reduction._ReductionKernel_get_cached_function_code(
        kernel.nin, kernel.nout, kernel._params, tuple(infos), _kernel._TypeMap(pairs),
        kernel.name, _BLOCK_SIZE, reduce_type, kernel.identity, kernel.map_expr,
        kernel.reduce_expr, kernel.post_map_expr, kernel.preamble, kernel.options,
    )  # fmt: skip


def _resolve(kernel, dtypes) -> tuple[list[np.dtype], tuple]:
    """Return every parameter's dtype, and what each type letter stands for."""
    parameters = (*kernel.in_params, *kernel.out_params)
    if not len(kernel.in_params) <= len(dtypes) <= len(parameters):
        raise TypeError(
            f"{kernel.name} has {kernel.nin} inputs and {kernel.nout} outputs, but {len(dtypes)} dtypes were given"
        )
    letters: dict[str, np.dtype] = {}
    types = []
    for index, parameter in enumerate(parameters):
        given = dtypes[index] if index < len(dtypes) else None
        given = given.dtype if isinstance(given, Scalar) else given
        if parameter.dtype is not None:
            expected = np.dtype(parameter.dtype)
        elif given is not None:
            expected = letters.setdefault(parameter.ctype, np.dtype(given))
        elif parameter.ctype in letters:
            expected = letters[parameter.ctype]
        else:
            raise TypeError(f"{kernel.name}: the dtype of {parameter.name} is not decided")
        if given is not None and np.dtype(given) != expected:
            raise TypeError(f"{kernel.name}: {parameter.name} is {np.dtype(given)}, not {expected}")
        types.append(expected)
    return types, tuple(sorted(letters.items()))


def _argument_infos(kernel, dtypes, types, ndim: int, contiguous: bool) -> list:
    import cupy
    from cupy._core import _kernel, _scalar

    infos = []
    for index, dtype in enumerate(types):
        if index < len(dtypes) and isinstance(dtypes[index], Scalar):
            infos.append(_kernel._ArgInfo(3, _scalar.CScalar, dtype, 0, True, True))
        else:
            infos.append(_kernel._ArgInfo(1, cupy.ndarray, dtype, ndim, contiguous, True))
    return infos


def _indexer(ndim: int) -> object:
    from cupy._core import _carray, _kernel

    return _kernel._ArgInfo(2, _carray.Indexer, None, ndim, True, True)
