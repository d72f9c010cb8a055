"""What a backend knows about memory and time: bytes that are held, waiting, ranges for a profiler."""

from __future__ import annotations

import contextlib
import sys

import numpy as np
import pytest

from nnx.backends.base import Backend, find_backend
from nnx.backends.memory import resident_bytes


def test_every_backend_waits_and_marks_and_may_know_its_memory(backend):
    x = backend.zeros((4, 4))
    with backend.backend.range("a range"):
        x = x + 1.0
        backend.backend.synchronize(backend.device)
    held = backend.backend.held_bytes(backend.device)
    assert held is None or held >= 64
    with pytest.raises(ZeroDivisionError), backend.backend.range("an error inside"):
        raise ZeroDivisionError


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux says how much memory is resident now")
def test_resident_memory_grows_and_shrinks():
    before = resident_bytes()
    block = np.ones(64 << 20, np.uint8)
    during = resident_bytes()
    assert before is not None
    assert during is not None
    assert 48 << 20 < during - before < 80 << 20
    del block
    assert resident_bytes() < during - (48 << 20)


def test_a_backend_of_ones_own_need_not_know_any_of_it():
    class Mine(Backend):
        name, module, install = "mine", "mine", "nothing"

    assert isinstance(Mine().range("x"), contextlib.nullcontext)
    Mine().synchronize(None)
    assert Mine().held_bytes(None) == pytest.approx(resident_bytes(), rel=0.2)


def test_cupy_marks_ranges_for_nvidia_s_profilers():
    pytest.importorskip("cupy", reason="CuPy is not installed; pip install 'nnx-array[cupy]'")
    entered = find_backend("cupy").range("dense forward")
    assert type(entered).__module__.startswith("cupyx.profiler")
    with entered:  # needs no device
        pass
