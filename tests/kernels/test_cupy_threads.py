"""CUDA kernels do the same in whatever order their threads run, where CuPy runs on the CPU.

With CUPY_ON_CPU_RACES=1, which takes longer, every access to memory is watched as well: what two threads do to one
place without a barrier between, and what lies outside of an array, is an error then.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest

from nnx.backends import to_numpy
from nnx.backends.base import find_backend
from nnx.testing.kernel_comparison import Outcome, assert_equal_outcomes, described
from nnx.testing.kernel_examples import Example, Values
from nnx.testing.kernel_rows import ROWS

HOW = "run `PYTHONPATH=ci/cupy_on_cpu python -m pytest -p cupy_on_cpu.plugin`"
cupy_on_cpu = pytest.importorskip("cupy_on_cpu", reason=f"CuPy on the CPU is not on the path: {HOW}")
if not cupy_on_cpu.is_active():
    pytest.skip(f"CuPy does not run on the CPU: {HOW}", allow_module_level=True)

CUPY = find_backend("cupy")
CUPY.problem()  # its kernels are loaded
WATCHED = os.environ.get("CUPY_ON_CPU_RACES") == "1"
ORDERS = ("reverse",) if WATCHED else ("reverse", "alternating", "1", "2", "3", "4")
EXAMPLES = [
    pytest.param(name, example, id=f"{name}-{position}")
    for name in CUPY.kernels
    for position, example in enumerate(ROWS.get(name, ()))
    if example.only in (None, "cupy")
]


def results(outcome: Outcome) -> Iterator[bytes]:
    """What a kernel and its pullback computed, and what became of the arguments, bit for bit."""
    cotangents = (each for several in outcome.cotangents.values() for each in several)
    for array in (outcome.value, *outcome.other_values, *outcome.after, *cotangents):
        if array is not None:
            yield to_numpy(array).tobytes()


@pytest.mark.parametrize("layout", ["contiguous", "strided"])
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize(("name", "example"), EXAMPLES)
def test_the_order_of_threads_changes_nothing(
    name: str, example: Example, dtype: str, layout: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    kernel = CUPY.kernels[name]

    def outcome(order: str, *place: Any) -> Outcome:
        monkeypatch.setenv("CUPY_ON_CPU_ORDER", order)
        return Outcome(kernel.function, Values(CUPY, *place), example)

    for n in example.sizes:
        place = (dtype, layout, n)
        if kernel.accepts and not kernel.accepts(*example.make(Values(CUPY, *place)), **example.options):
            continue  # the generic form runs
        expected = outcome("forward", *place)
        for order in ORDERS:
            with described(f"size {n}, order {order}"):
                found = outcome(order, *place)
                if kernel.deterministic:
                    assert list(results(found)) == list(results(expected))
                else:  # atomic additions, whose order changes the last digit
                    assert_equal_outcomes(found, expected, example)
