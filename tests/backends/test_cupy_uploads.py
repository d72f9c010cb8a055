"""Arrays that were copied to the device on a stream of their own are as good as those of `cupy.asarray`."""

from __future__ import annotations

import gc
import subprocess
import sys
import threading
from typing import Any

import numpy as np
import pytest

from nnx.backends import cupy_uploads
from nnx.backends.base import find_backend

problem = find_backend("cupy").problem()
if problem:
    pytest.skip(f"CuPy: {problem}", allow_module_level=True)

import cupy  # noqa: E402

ROWS = np.arange(3 << 16, dtype=np.float32).reshape(256, 768)


@pytest.fixture
def uploads() -> cupy_uploads.Uploads:
    return cupy_uploads.uploads_to(cupy.cuda.Device().id)


def is_uploaded(array: Any) -> bool:
    return isinstance(array.data.mem, cupy.cuda.UnownedMemory)


@pytest.mark.parametrize("dtype", ["bool", "uint8", "int32", "int64", "float16", "float32", "float64", ">f4"])
def test_dtypes(dtype: str) -> None:
    host = (np.arange(1 << 18) % 200).astype(dtype).reshape(512, 512)
    array = cupy_uploads.upload(host)
    assert is_uploaded(array)
    assert array.dtype == host.dtype.newbyteorder("=")
    assert np.array_equal(cupy.asnumpy(array), host)


@pytest.mark.parametrize(
    "host",
    [ROWS, ROWS.T, np.repeat(ROWS, 2, axis=0)[::2], ROWS[::-1, ::-1], ROWS.reshape(4, 64, -1).transpose(1, 2, 0)],
    ids=["C", "F", "steps", "backwards", "three axes"],
)
def test_layouts(host: np.ndarray) -> None:
    array, expected = cupy_uploads.upload(host), cupy.asarray(host)
    assert is_uploaded(array)
    assert not is_uploaded(expected)
    assert (array.shape, array.strides, array.device) == (expected.shape, expected.strides, expected.device)
    for flag in ("c_contiguous", "f_contiguous"):
        assert getattr(array.flags, flag) == getattr(expected.flags, flag)
    assert np.array_equal(cupy.asnumpy(array), host)


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        (0, False),
        (1, False),
        (cupy_uploads.SMALLEST_BYTES - 1, False),
        (cupy_uploads.SMALLEST_BYTES, True),
        (cupy_uploads.LARGEST_BYTES, True),
        (cupy_uploads.LARGEST_BYTES + 1, False),
    ],
)
def test_sizes(size: int, expected: bool) -> None:
    array = cupy_uploads.upload(np.ones(size, np.uint8))
    assert is_uploaded(array) is expected
    assert int(array.sum()) == size


def test_both_ways_of_the_backend() -> None:
    backend = find_backend("cupy")
    assert is_uploaded(backend.from_host(ROWS))
    assert is_uploaded(backend.put_beside(cupy.zeros(1), ROWS))


def test_views_keep_the_memory_and_writing_is_allowed(uploads: cupy_uploads.Uploads) -> None:
    array = cupy_uploads.upload(ROWS)
    view = array[3:5]
    del array
    for _ in range(2 * cupy_uploads.RETIRED_ARRAYS):
        cupy_uploads.upload(-ROWS)
    assert np.array_equal(cupy.asnumpy(view), ROWS[3:5])
    view *= 2.0
    assert np.array_equal(cupy.asnumpy(view), 2.0 * ROWS[3:5])
    other = cupy.from_dlpack(view)
    del view
    for _ in range(2 * cupy_uploads.RETIRED_ARRAYS):
        cupy_uploads.upload(-ROWS)
    assert np.array_equal(cupy.asnumpy(other), 2.0 * ROWS[3:5])


def test_host_memory_may_be_written_to_at_once() -> None:
    host = ROWS.copy()
    array = cupy_uploads.upload(host)
    host[:] = 0.0
    assert np.array_equal(cupy.asnumpy(array), ROWS)


@pytest.mark.parametrize("user", [cupy.cuda.Stream(), cupy.cuda.Stream(non_blocking=True)], ids=["blocking", "not"])
def test_other_streams(user: Any) -> None:
    with user:
        for factor in range(2 * cupy_uploads.RETIRED_ARRAYS):
            array = cupy_uploads.upload(factor * ROWS)
            assert is_uploaded(array)
            assert cupy.cuda.get_current_stream() is user
            assert float(array[-1, -1] / ROWS[-1, -1]) == factor


def test_streams_that_may_not_last_are_copied_on() -> None:
    with cupy.cuda.Stream.ptds:
        assert not is_uploaded(cupy_uploads.upload(ROWS))
    kept = cupy.cuda.Stream()
    with pytest.warns(DeprecationWarning, match="ExternalStream"):
        foreign = cupy.cuda.ExternalStream(kept.ptr)
    with foreign:
        assert not is_uploaded(cupy_uploads.upload(ROWS))


@pytest.mark.parametrize(
    "allocator", [None, cupy.cuda.MemoryPool(cupy.cuda.malloc_managed).malloc], ids=["no", "managed"]
)
def test_other_allocators(allocator: Any) -> None:
    previous = cupy.cuda.get_allocator()
    cupy.cuda.set_allocator(allocator)
    try:
        for factor in range(2 * cupy_uploads.RETIRED_ARRAYS):
            array = cupy_uploads.upload(factor * ROWS)
            assert np.array_equal(cupy.asnumpy(array + 1.0), factor * ROWS + 1.0)
    finally:
        cupy.cuda.set_allocator(previous)


def test_what_is_kept_of_the_dead_is_bounded(uploads: cupy_uploads.Uploads) -> None:
    for size in [1 << 20] * 20 + [1 << 25] * 4:
        cupy_uploads.upload(np.ones(size, np.uint8))
        assert len(uploads._retired) <= cupy_uploads.RETIRED_ARRAYS
        kept = sum(memory.nbytes for memory, _ in uploads._retired)
        assert kept == uploads._retired_bytes <= cupy_uploads.RETIRED_BYTES


def test_a_failed_copy_leaves_nothing_behind(monkeypatch: pytest.MonkeyPatch, uploads: cupy_uploads.Uploads) -> None:
    before, stream = len(uploads._retired), cupy.cuda.get_current_stream()

    def fail(array: Any) -> None:
        raise MemoryError("no room")

    monkeypatch.setattr(cupy, "asarray", fail)
    with pytest.raises(MemoryError, match="no room"):
        cupy_uploads.upload(ROWS)
    monkeypatch.undo()
    assert (len(uploads._retired), cupy.cuda.get_current_stream()) == (before, stream)
    assert np.array_equal(cupy.asnumpy(cupy_uploads.upload(ROWS)), ROWS)


def test_threads_and_reference_cycles() -> None:
    """Arrays that die in other threads, and by garbage collection in the middle of anything."""
    wrong: list[int] = []

    def work(number: int) -> None:
        for turn in range(30):
            factor = 100 * number + turn
            cycle: list[Any] = [cupy_uploads.upload(factor * ROWS)]
            cycle.append(cycle)
            if not np.array_equal(cupy.asnumpy(cycle[0][7]), factor * ROWS[7]):
                wrong.append(factor)

    frequency = gc.get_threshold()
    gc.set_threshold(20)
    threads = [threading.Thread(target=work, args=(number,)) for number in range(3)]
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        gc.set_threshold(*frequency)
    assert wrong == []


def test_the_end_of_a_process_is_silent() -> None:
    """Arrays that live, and arrays that died, when the interpreter ends."""
    code = (
        "import numpy as np\n"
        "from nnx.backends.cupy_uploads import upload\n"
        "host = np.ones(1 << 20, np.uint8)\n"
        "kept = [upload(host) for _ in range(3)]\n"
        "cycle = [upload(host)]\n"
        "cycle.append(cycle)\n"
        "del cycle\n"
        "upload(host)\n"
    )
    emulated = "cupy_on_cpu" in sys.modules
    start = "import cupy_on_cpu; cupy_on_cpu.activate()\n" if emulated else ""
    done = subprocess.run([sys.executable, "-c", start + code], capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stderr) == (0, "")
