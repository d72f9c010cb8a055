"""Work on several streams that is not ordered by events, streams or the host is found."""

import cupy
import numpy as np
import pytest
from cupy_on_cpu import RaceError, count
from cupy_on_cpu.kernels import count_parameters

HOST = np.arange(12, dtype="f4").reshape(3, 4)

scale = cupy.RawKernel('extern "C" __global__ void scale(float* x, float a) { x[threadIdx.x] *= a; }', "scale")

USES = {
    "elementwise": lambda x: x + 1,
    "of a view": lambda x: x[1:, 1:] * 2,
    "reduction": lambda x: x.sum(),
    "raw kernel": lambda x: scale((1,), (12,), (x, np.float32(2))),
    "matrix product": lambda x: x @ cupy.ones((4, 2), "f4"),
    "copy to the host": lambda x: x.get(),
    "copy on the device": lambda x: cupy.empty((3, 4), "f4").data.copy_from_device_async(x.data, x.nbytes),
    "memset": lambda x: x.data.memset_async(0, x.nbytes),
}

ORDERS = {
    "event": lambda stream: cupy.cuda.get_current_stream().wait_event(stream.record()),
    "stream": lambda stream: stream.synchronize(),
    "event on the host": lambda stream: stream.record().synchronize(),
    "device": lambda stream: cupy.cuda.Device().synchronize(),
}


@pytest.fixture
def stream():
    return cupy.cuda.Stream(non_blocking=True)


@pytest.fixture
def x(stream):
    with stream:
        return cupy.asarray(HOST)


@pytest.mark.parametrize("use", USES.values(), ids=USES)
def test_use_that_does_not_wait_for_a_copy(use, x, stream):
    # That of a matrix product is raised in a callback from C, which can only fail.
    with pytest.raises(Exception, match="CUBLAS" if use is USES["matrix product"] else "does not wait"):
        use(x)
    cupy.cuda.get_current_stream().wait_event(stream.record())
    use(x)


@pytest.mark.parametrize("order", ORDERS.values(), ids=ORDERS)
def test_use_that_waits_for_a_copy(order, x, stream):
    order(stream)
    assert float((x + x).sum()) == 2 * HOST.sum()


def test_use_on_the_same_stream(x, stream):
    with stream:
        x += 1
    with pytest.raises(RaceError, match=r"cupy_add.* on stream 0 uses memory that a copy fills on stream"):
        x + 1


def test_streams_that_block_wait_for_the_null_stream_and_it_for_them():
    blocking = cupy.cuda.Stream()
    with blocking:
        x = cupy.asarray(HOST)
    x + 1
    with blocking:
        x.set(HOST)


def test_an_event_stands_for_what_was_before_it(stream):
    early = stream.record()
    with stream:
        x = cupy.asarray(HOST)
    cupy.cuda.get_current_stream().wait_event(early)
    with pytest.raises(RaceError):
        x + 1


def test_order_is_passed_on(x, stream):
    third = cupy.cuda.Stream(non_blocking=True)
    third.wait_event(stream.record())
    cupy.cuda.get_current_stream().wait_event(third.record())
    x + 1


class TestReuse:
    def test_copy_that_does_not_wait_for_a_use(self, stream):
        with stream:
            x = cupy.asarray(HOST)
        cupy.cuda.get_current_stream().wait_event(stream.record())
        x + 1
        address = x.data.ptr
        del x  # its memory is at once used again on the stream where it was allocated
        with stream, pytest.raises(RaceError, match="fills memory that is in use on stream 0"):
            cupy.asarray(HOST)
        stream.wait_event(cupy.cuda.get_current_stream().record())
        with stream:
            assert cupy.asarray(HOST).data.ptr == address

    def test_copy_into_a_part(self, x, stream):
        cupy.cuda.get_current_stream().wait_event(stream.record())
        with stream:
            x[1].set(HOST[1])
        x[0] + x[2]
        with pytest.raises(RaceError):
            x[1] + 1

    def test_copy_that_does_not_wait_for_a_copy(self, x):
        with cupy.cuda.Stream(non_blocking=True), pytest.raises(RaceError, match="that another one fills"):
            x.set(HOST)

    def test_two_streams_may_read(self, x, stream):
        cupy.cuda.get_current_stream().wait_event(stream.record())
        x + 1
        with stream:
            x + 1

    def test_memory_that_the_device_took_back(self, stream):
        other = cupy.cuda.Stream(non_blocking=True)
        previous = cupy.cuda.get_allocator()
        cupy.cuda.set_allocator(None)  # cudaFree waits for the device
        try:
            for _ in range(3):
                with stream:
                    x = cupy.asarray(HOST)
                other.wait_event(stream.record())
                with other:
                    x + 1
                del x
        finally:
            cupy.cuda.set_allocator(previous)


def test_what_raised_was_not_done(x, stream):
    with cupy.cuda.Stream(non_blocking=True), pytest.raises(RaceError):
        x.set(-HOST)
    stream.synchronize()
    assert cupy.asnumpy(x).tolist() == HOST.tolist()


def test_copies_on_streams_are_counted(stream):
    with count() as counts:
        cupy.asarray(HOST)
        with stream:
            cupy.asarray(HOST)
    assert (counts.host_to_device, counts.host_to_device_on_streams) == (2, 1)


def test_parameters_are_counted():
    source = """
    extern "C" __global__ void none() {}
    extern "C" __global__ void also_none(void) {}
    extern "C" __global__ void two(const CArray<float, 2, 1, 1> x /* a, b */, CIndexer<1, 1> _ind) { f(1, 2, 3); }
    template <class T> __global__ void __launch_bounds__(256, 2) three(T* x, int n, float (*f)(int, int)) {}
    """
    assert count_parameters(source) == {"none": 0, "also_none": 0, "two": 2, "three": 3}
