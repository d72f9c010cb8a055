"""There are two devices, one of them is current, and the memory of the other is out of its reach."""

import threading

import cupy
import numpy as np
import pytest

FIRST, SECOND = cupy.cuda.Device(0), cupy.cuda.Device(1)
COPY = cupy.RawKernel(
    'extern "C" __global__ void copy_one(const float* /* a, b */ x, int n, float* y) { y[threadIdx.x] = x[n]; }',
    "copy_one",
)


@pytest.fixture
def a():
    with SECOND:
        return cupy.arange(12, dtype="f4").reshape(3, 4)


def current() -> int:
    return cupy.cuda.runtime.getDevice()


def test_arrays_are_on_the_device_that_was_current(a):
    assert (a.device, cupy.ones(3).device, current()) == (SECOND, FIRST, 0)
    attributes = cupy.cuda.runtime.pointerGetAttributes(a.data.ptr)
    assert attributes.device == 1


def test_a_device_is_current_in_its_thread():
    seen = []
    with SECOND:
        thread = threading.Thread(target=lambda: seen.append(current()))
        thread.start()
        thread.join()
        assert current() == 1
    assert (seen, current()) == ([0], 0)


def test_there_are_no_more():
    with pytest.raises(cupy.cuda.runtime.CUDARuntimeError, match="InvalidDevice"):
        cupy.cuda.Device(2).use()
    assert current() == 0


def test_everything_works_on_the_second(a):
    with SECOND:
        assert float((a @ a.T).sum()) == float((a.get() @ a.get().T).sum())
        np.testing.assert_array_equal(cupy.sort(-a, axis=None).get(), np.sort(-a.get(), axis=None))
        y = cupy.empty(2, "f4")
        COPY((1,), (2,), (a, np.int32(5), y))
        assert y.get().tolist() == [5.0, 5.0]


@pytest.mark.parametrize(
    "compute",
    [
        lambda a: a + 1,
        lambda a: a.sum(),
        lambda a: cupy.concatenate([a, a]),
        lambda a: a @ a.T,
        lambda a: a.sort(),
        lambda a: COPY((1,), (2,), (cupy.ones(4, "f4"), np.int32(0), a)),
        lambda a: COPY((1,), (2,), (a, np.int32(0), cupy.ones(4, "f4"))),
    ],
    ids=["elementwise", "reduction", "concatenate", "gemm", "sort", "raw output", "raw input"],
)
def test_nothing_is_computed_with_memory_of_another_device(a, compute):
    with pytest.raises((ValueError, RuntimeError)):
        compute(a)
    assert a.get()[0].tolist() == [0.0, 1.0, 2.0, 3.0]


@pytest.mark.parametrize(
    "fill",
    [
        lambda a: a.data.memset_async(0, a.nbytes),
        lambda a: a.data.copy_from_host_async(cupy.cuda.alloc_pinned_memory(a.nbytes).ptr, a.nbytes),
        lambda a: a.data.copy_from_device_async(a.data, a.nbytes),
    ],
    ids=["memset", "from the host", "on the device"],
)
def test_nothing_is_done_on_a_stream_that_does_not_wait_for_its_device(a, fill):
    with pytest.raises(RuntimeError, match="memory of another device"):
        fill(a)


def test_a_kernel_is_launched_on_the_device_that_it_was_loaded_on():
    x = cupy.ones(2, "f4")
    module = cupy.RawModule(code=COPY.code)
    kernel = module.get_function("copy_one").kernel
    kernel((1,), (1,), (x, np.int32(0), x))
    with SECOND, pytest.raises(cupy.cuda.driver.CUDADriverError, match="copy_one was loaded on device 0"):
        kernel((1,), (1,), (x, np.int32(0), x))


def test_arrays_travel_between_them(a):
    there = cupy.asarray(a)
    assert there.device == FIRST
    np.testing.assert_array_equal((there + 1).get(), np.arange(1, 13).reshape(3, 4))
