"""A mistake in a CUDA kernel is found by what watches its accesses to memory: each of these, made on purpose.

Where CuPy runs on the CPU with CUPY_ON_CPU_RACES=1.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import pytest

from nnx import functional
from nnx.backends.base import find_backend
from nnx.kernels.cupy.cuda_kernels import CUDA_KERNELS, ElementwiseKernel, RawKernel
from nnx.random import Draw
from nnx.testing.kernel_examples import Values
from nnx.windows import windows_of

HOW = "run `CUPY_ON_CPU_RACES=1 PYTHONPATH=ci/cupy_on_cpu python -m pytest -p cupy_on_cpu.plugin`"
cupy_on_cpu = pytest.importorskip("cupy_on_cpu", reason=f"CuPy on the CPU is not on the path: {HOW}")
if not cupy_on_cpu.is_active() or os.environ.get("CUPY_ON_CPU_RACES") != "1":
    pytest.skip(f"accesses to memory are not watched: {HOW}", allow_module_level=True)

CUPY = find_backend("cupy")
CUPY.problem()  # its kernels are loaded
CONFLICT, OUTSIDE = cupy_on_cpu.RaceError, cupy_on_cpu.BoundsError
V = Values(CUPY, "float32", "contiguous", 1)
BARRIER = "__syncthreads();"

CALLS: dict[str, tuple[Any, ...]] = {
    "softmax": (V.normal(2, 700),),  # a block of threads for each row
    "log_softmax": (V.normal(13, 20),),  # several rows for a block
    "layer_normalization": (V.normal(2, 700),),
    "batch_normalization": (V.normal(300, 47), V.normal(47), V.normal(47)),  # two chunks of rows
    "batch_normalization of channels": (V.normal(2, 47, 150), V.normal(47), V.normal(47), 1),
    "attend": (V.normal(1, 2, 3, 4), V.normal(1, 2, 700, 4), V.normal(1, 2, 700, 4), V.mask(1, 1, 3, 700)),
    "self_attention": (  # two chunks of rows, and features for two blocks of columns
        *(V.normal(3, 100, 4), None, *(V.normal(*shape) for _ in range(3) for shape in ((4, 2, 5), (2, 5)))),
        *(V.normal(2, 5, 7), V.normal(7)),
    ),
    "bias_activation": (V.normal(300, 47), V.normal(47), functional.gelu),
    "affine_transform": (V.normal(2, 4, 5, 3), V.constant(2, 6)),
    "embedding": (V.labels(40, classes=6), V.normal(5, 3)),  # some of which do not exist
    "correlate_kernel": (
        V.normal(2, 5, 6, 4),
        V.normal(2, 5, 6, 5),
        windows_of("mutants", (5, 6), (3, 3), (1, 1), "same"),
    ),
    "sum_of_windows": (V.normal(2, 5, 5, 3), windows_of("mutants", (5, 5), (2, 2), (2, 2), "same")),
    "gaussian_noise": (V.normal(5, 5), 0.3, Draw(7, 2**64, 26)),
}
"""Arguments of kernels, by their names, and perhaps what is special about them."""


def call(name: str) -> None:
    """A kernel, and its pullback if it has one."""
    result = CUPY.kernels[name.partition(" ")[0]].function(*CALLS[name])
    if isinstance(result, tuple):
        value, pullback = result
        dy = CUPY.xp.ones_like(value[0] if isinstance(value, tuple) else value)
        pullback((dy, None) if name in ("attend", "self_attention") else dy)


def without(what: str, position: int = 0) -> Callable[[str], str]:
    """Code without one of the places where that stands."""

    def mutate(code: str) -> str:
        parts = code.split(what)
        return what.join(parts[: position + 1]) + what.join(parts[position + 1 :])

    return mutate


def instead(old: str, new: str) -> Callable[[str], str]:
    """Code with something else there."""
    return lambda code: code.replace(old, new)


MUTANTS = [
    ("softmax", "softmax", without(BARRIER, 1), CONFLICT),
    ("softmax", "softmax_pullback", without(BARRIER, 1), CONFLICT),
    ("softmax", "softmax", instead("i < n; i +=", "i <= n; i +="), OUTSIDE),
    ("log_softmax", "log_softmax", without("if (row >= rows) return;"), OUTSIDE),
    ("log_softmax", "log_softmax_pullback", instead("if (row >= rows)", "if (row > rows)"), OUTSIDE),
    ("layer_normalization", "normalization", without(BARRIER, 1), CONFLICT),
    ("layer_normalization", "normalization_pullback", without(BARRIER, 1), CONFLICT),
    ("batch_normalization", "moments", without(BARRIER, 0), CONFLICT),
    ("batch_normalization", "moments", without(BARRIER, 1), CONFLICT),
    ("batch_normalization", "moments", without(BARRIER, 2), CONFLICT),
    ("batch_normalization", "moments", instead("row < stop", "row <= stop"), OUTSIDE),
    ("batch_normalization", "moments", instead("column < columns", "column <= columns"), OUTSIDE),
    ("batch_normalization", "moments", without("&& threadIdx.y == 0"), CONFLICT),
    ("batch_normalization of channels", "moments_of_chunks", instead("index < chunks", "index <= chunks"), OUTSIDE),
    ("batch_normalization", "products_and_sums", without(BARRIER, 0), CONFLICT),
    ("batch_normalization", "products_and_sums", without(BARRIER, 1), CONFLICT),
    ("batch_normalization", "products_and_sums", without(BARRIER, 2), CONFLICT),
    ("batch_normalization", "normalize_columns", without(BARRIER, 0), CONFLICT),
    ("batch_normalization", "normalize_columns", without(BARRIER, 1), CONFLICT),
    ("batch_normalization", "normalize_columns", without(BARRIER, 2), CONFLICT),
    ("batch_normalization", "normalize_columns", instead("index < parts", "index <= parts"), OUTSIDE),
    ("batch_normalization", "normalize_columns", without("&& blockIdx.y == 0"), CONFLICT),
    ("batch_normalization", "normalize_columns_pullback", without(BARRIER, 0), CONFLICT),
    ("batch_normalization", "normalize_columns_pullback", without(BARRIER, 1), CONFLICT),
    ("batch_normalization", "normalize_columns_pullback", without(BARRIER, 2), CONFLICT),
    ("batch_normalization", "normalize_columns_pullback", without("&& blockIdx.y == 0"), CONFLICT),
    ("attend", "attention_scores", without(BARRIER, 1), CONFLICT),
    ("attend", "attention_scores", instead("target * of_target", "(target + inner) * of_target"), OUTSIDE),
    ("self_attention", "side_by_side", without(BARRIER, 1), CONFLICT),
    ("self_attention", "side_by_side", instead("positions + row)", "positions + row + 1)"), OUTSIDE),
    ("self_attention", "side_by_side", instead("row < features &&", "row < features + rows &&"), OUTSIDE),
    ("self_attention", "side_by_side", instead("writes && parts", "inside && parts"), CONFLICT),
    ("bias_activation", "gelu_pullback_and_sums", without(BARRIER, 2), CONFLICT),
    ("bias_activation", "gelu_pullback_and_sums", instead("row < stop", "row <= stop"), OUTSIDE),
    ("bias_activation", "sums_of_chunks", instead("writes ?", "inside ?"), CONFLICT),
    ("bias_activation", "sums_of_chunks", instead("index < chunks", "index <= chunks"), OUTSIDE),
    ("affine_transform", "affine_transform", instead("+ rows[a])", "+ rows[a] + height)"), OUTSIDE),
    ("affine_transform", "affine_transform_pullback", instead("atomicAdd(&dx[place],", "(dx[place] +="), CONFLICT),
    ("embedding", "look_up_int64", instead("row < rows", "row <= rows"), OUTSIDE),
    ("embedding", "scatter_add_int64", instead("row < rows", "row <= rows"), OUTSIDE),
    (
        "embedding",
        "scatter_add_int64",
        instead("atomicAdd(&sums[row * size + i % size],", "(sums[row * size + i % size] +="),
        CONFLICT,
    ),
    ("correlate_kernel", "unfold", instead("row < h", "row <= h"), OUTSIDE),
    ("sum_of_windows", "sum_of_windows", instead("row >= h", "row > h"), OUTSIDE),
    ("gaussian_noise", "gaussian_noise", instead("pair + j < half", "pair + j <= half"), CONFLICT),
]
"""What is called, the CUDA kernel in it that is changed, and what that has to lead to.

The first barrier of a sum over a row is not here: without it, only a kernel that repeats a sum goes wrong.
"""


def forget(kernel: ElementwiseKernel | RawKernel) -> None:
    """Let a kernel be compiled when it is called again."""
    kernel.__dict__.pop("kernel", None)
    RawKernel.kernel.cache_clear()


@pytest.mark.parametrize("name", CALLS)
def test_without_a_mistake_nothing_is_found(name: str) -> None:
    with cupy_on_cpu.count() as counts:
        call(name)
    assert counts.accesses


@pytest.mark.parametrize(("name", "changed", "mutate", "error"), MUTANTS)
def test_mistake_is_found(
    name: str, changed: str, mutate: Callable[[str], str], error: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    kernel = CUDA_KERNELS[changed]
    part = "code" if isinstance(kernel, RawKernel) else "operation"
    code = getattr(kernel, part)
    assert mutate(code) != code
    monkeypatch.setattr(kernel, part, mutate(code))
    forget(kernel)
    try:
        with pytest.raises(error, match=rf"nnx_{changed}: thread \("):
            call(name)
    finally:
        forget(kernel)
