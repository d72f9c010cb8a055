"""CUDA kernels as nnx writes them, which CuPy compiles when they are first used, for the dtypes that they are given.

`T` is the dtype of the arrays, and `W` what is computed in: float for float16, else T. Numbers come as double. An
`ElementwiseKernel`, whose parameters cannot name W, calls an array of that type `S`.
"""

from __future__ import annotations

import functools
import importlib
from typing import Any

from nnx.backends.base import Array, find_backend
from nnx.locks import cached_property

CUPY = find_backend("cupy")

CUDA_KERNELS: dict[str, ElementwiseKernel | RawKernel] = {}
"""Every kernel by name, for those who want to compile them all."""

_WIDE = """
template <class T> struct nnx_wide { typedef T type; };
template <> struct nnx_wide<float16> { typedef float type; };
"""


class ElementwiseKernel:
    """CUDA kernel that computes the same for each element of arrays, which may be strided and are broadcast.

    name : of the kernel. inputs, outputs : their types and names, as CuPy writes them; an output may also be read.
    operation : CUDA C++ with the names of inputs and outputs as variables.
    preamble : what stands before the kernel.
    """

    def __init__(self, name: str, inputs: str, outputs: str, operation: str, preamble: str = "") -> None:
        self.name, self.inputs, self.outputs = name, inputs, outputs
        typed = "T " in inputs + outputs
        self.operation = f"typedef nnx_wide<T>::type W;\n{operation}" if typed else operation
        self.preamble = _WIDE + preamble
        CUDA_KERNELS[name] = self

    @cached_property
    def kernel(self) -> Any:
        """CuPy's own kernel, which it compiles when it is first called."""
        cupy = importlib.import_module("cupy")
        return cupy.ElementwiseKernel(
            self.inputs, self.outputs, self.operation, f"nnx_{self.name}", preamble=self.preamble
        )

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        """Launch it for inputs, then outputs that are there already; others are made. options : such as `size`.

        Between GPUs that read each other's memory, CuPy would launch it where the arrays are not, behind other work.
        """
        expect_current_device(*arguments)
        return self.kernel(*arguments, **options)


class RawKernel:
    """CUDA kernel that says itself what each thread does, for contiguous arrays; one for each dtype.

    name : of the kernel, and of the function `nnx_name` in the code.
    code : CUDA C++ with T, W and `nnx_name`; the preamble defines the first two.
    """

    def __init__(self, name: str, code: str) -> None:
        self.name, self.code = name, code
        CUDA_KERNELS[name] = self

    @functools.cache  # noqa: B019, kernels live as long as their module
    def kernel(self, dtype: Any) -> Any:
        """CuPy's own kernel for arrays of that dtype, compiled when it is first called."""
        cupy = importlib.import_module("cupy")
        return cupy.RawKernel(self.source(dtype), f"nnx_{self.name}")

    def source(self, dtype: Any) -> str:
        name = str(dtype)
        storage = {"float16": "float16", "float32": "float", "float64": "double"}[name]
        header = "#include <cupy/float16.cuh>\n" if name == "float16" else ""
        wide = "double" if name == "float64" else "float"
        return f"{header}typedef {storage} T;\ntypedef {wide} W;\n{self.code}"

    def __call__(self, dtype: Any, grid: tuple[int, ...], block: tuple[int, ...], *arguments: Any) -> None:
        """Launch it. Arrays have to be contiguous, and numbers of the types that the code names."""
        expect_current_device(*arguments)
        self.kernel(dtype)(grid, block, arguments)


def expect_current_device(*arguments: Any) -> None:
    """ValueError if one of the arrays among these is not on CUDA's current device, on which CuPy computes.

    CuPy does not look where it launches raw kernels and products, and only warns where GPUs read each other's memory.
    """
    cupy = importlib.import_module("cupy")
    current = cupy.cuda.runtime.getDevice()
    for argument in arguments:
        if isinstance(argument, cupy.ndarray) and argument.data.device_id != current:
            own = f"cuda:{argument.data.device_id}"
            raise ValueError(
                f"an array is on {own}, but this computes on cuda:{current}, CUDA's current device: bring all to one "
                f'device, and write `with nnx.backend("cupy", device="{own}"):` around what computes there'
            )


def is_floating(*arrays: Array | None) -> bool:
    """Whether arrays have one floating dtype that kernels are made for."""
    given = [array for array in arrays if array is not None]
    return given[0].dtype.kind == "f" and all(array.dtype == given[0].dtype for array in given)


def contiguous(x: Array) -> Array:
    """The array, copied if its elements do not lie one after the other."""
    return x if x.flags.c_contiguous else importlib.import_module("cupy").ascontiguousarray(x)
