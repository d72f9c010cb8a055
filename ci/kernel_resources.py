"""What every CUDA kernel needs of a GPU: registers, stack, spills, for each dtype and architecture. No GPU is needed.

    pip install nvidia-cuda-nvrtc-cu12 nvidia-cuda-runtime-cu12 cupy-cuda12x
    python ci/kernel_resources.py                   # all that the installed NVRTC compiles for
    python ci/kernel_resources.py 80 90 --kernels   # these, and a line for each kernel

NVIDIA's compiler, which CuPy has in its wheels, makes the code that a GPU would run, and counts. A kernel that does not
compile, that has to spill registers, or keeps arrays in memory because it cannot say beforehand which of their elements
it wants, is named, and then the exit status is 1.
"""

from __future__ import annotations

import argparse
import importlib
import pathlib
import sys
import time
from typing import Any

ROOT = pathlib.Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "ci" / "cupy_on_cpu")]

from cupy_on_cpu import nvrtc  # noqa: E402

import nnx.kernels.cupy  # noqa: E402, F401, which enters all kernels into the table
from nnx.kernels.cupy.cuda_kernels import CUDA_KERNELS, ElementwiseKernel, RawKernel  # noqa: E402

ARCHITECTURES = ("60", "75", "80", "86", "89", "90", "100", "120")  # 60 by CUDA 12 alone
WIDE = {"float16": "float32", "float32": "float32", "float64": "float64"}
TRIGONOMETRY = 40  # bytes of stack that CUDA's sine and cosine of doubles have, for arguments that no kernel here gives
_HEADERS = ("complex.cuh", "carray.cuh", "atomics.cuh", "float16.cuh", "bfloat16.cuh")


def source(kernel: ElementwiseKernel | RawKernel, dtype: str) -> str:
    """The kernel's CUDA source: T stands for the dtype, and S for that of W, in which it computes."""
    if isinstance(kernel, RawKernel):
        return kernel.source(dtype)
    letters = {"T": dtype, "S": WIDE[dtype]}
    inputs = [letters.get(p.ctype) or (p.dtype if p.raw else nvrtc.Scalar(p.dtype)) for p in kernel.kernel.in_params]
    outputs = [letters.get(p.ctype) or p.dtype for p in kernel.kernel.out_params]
    return nvrtc.kernel_source(kernel.kernel, *inputs, *outputs)


def unit(dtype: str) -> str:
    """All kernels in one source, each in a namespace of its own: headers take most of the time to compile."""
    headers = "".join(f"#include <cupy/{header}>\n" for header in _HEADERS)
    return headers + "".join(
        f"namespace unit_{name} {{\n{source(kernel, dtype)}\n}}\n" for name, kernel in CUDA_KERNELS.items()
    )


def problems(found: dict[str, nvrtc.Resources], dtype: str) -> list[str]:
    """What is wrong with the kernels for a dtype, where NVIDIA's compiler found this out about them."""
    usual = TRIGONOMETRY if dtype == "float64" else 0
    missing = [f"nnx_{name} was not compiled" for name in CUDA_KERNELS if f"nnx_{name}" not in found]
    return missing + [
        f"{name} has {of.stack} bytes of stack and spills {of.spilled}"
        for name, of in found.items()
        if of.stack > usual or of.spilled
    ]


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("architectures", nargs="*", help="such as 80 for compute capability 8.0")
    arguments.add_argument("--kernels", action="store_true", help="print a line for each kernel")
    options = arguments.parse_args()
    compiler: Any = importlib.import_module("cupy_backends.cuda.libs.nvrtc")
    version = ".".join(map(str, compiler.getVersion()))
    served = {str(number) for number in compiler.getSupportedArchs()}
    chosen = options.architectures or [name for name in ARCHITECTURES if name in served]
    print(f"NVRTC {version}\n\n| sm | dtype | kernels | most registers | of | stack | spilled | seconds |")
    print("|---|---|---|---|---|---|---|---|")
    wrong = []
    for architecture in chosen:
        for dtype in WIDE:
            start = time.perf_counter()
            found = nvrtc.resources(unit(dtype), architecture)
            most = max(found, key=lambda name: found[name].registers)
            stack, spilled = (sum(getattr(of, what) for of in found.values()) for what in ("stack", "spilled"))
            print(
                f"| {architecture} | {dtype} | {len(found)} | {found[most].registers} | {most.removeprefix('nnx_')} "
                f"| {stack} | {spilled} | {time.perf_counter() - start:.0f} |",
                flush=True,
            )
            if options.kernels:
                for name, of in sorted(found.items()):
                    print(f"    {name}: {', '.join(f'{what} {count}' for what, count in of._asdict().items())}")
            wrong += [f"sm_{architecture}, {dtype}: {problem}" for problem in problems(found, dtype)]
    verdict = f"{len(wrong)} problems" if wrong else "all kernels compile, and none spills registers"
    print("\n".join(["", *wrong, verdict]))
    return min(1, len(wrong))


if __name__ == "__main__":
    sys.exit(main())
