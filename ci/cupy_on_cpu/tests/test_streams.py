"""Work on several streams that is not ordered by events, streams or the host is found."""

import cupy
import numpy as np
import pytest
from cupy_on_cpu import RaceError, count
from cupy_on_cpu.kernels import Parameter, find_parameters

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


@pytest.fixture(autouse=True)
def _ordered():
    """What other tests did is done, also where it was a race."""
    cupy.cuda.Device().synchronize()
    yield
    cupy.cuda.Device().synchronize()


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
    with pytest.raises(RaceError, match=r"cupy_add.* on stream 0 uses memory that cupy_add.* fills on stream"):
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
        with (
            cupy.cuda.Stream(non_blocking=True),
            pytest.raises(RaceError, match=r"that is in use on stream .*, by a copy"),
        ):
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


WRITES = {
    "elementwise": lambda x: cupy.add(x, 1, out=x),
    "reduction": lambda x: cupy.sum(cupy.ones((3, 3, 4), "f4"), axis=0, out=x),
    "raw kernel": lambda x: scale((1,), (12,), (x, np.float32(2))),
    "matrix product": lambda x: cupy.matmul(cupy.ones((3, 2), "f4"), cupy.ones((2, 4), "f4"), out=x),
    "copy": lambda x: x.data.copy_from_device_async(cupy.ones((3, 4), "f4").data, x.nbytes),
    "memset": lambda x: x.data.memset_async(0, x.nbytes),
    "sort": lambda x: x.sort(),
}


@pytest.mark.parametrize("on_null", [False, True], ids=["other stream", "null stream"])
@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)
def test_memory_that_is_not_copied_into(write, on_null, stream):
    """What one stream writes to, another one has to wait for, to read it or to write to it; and for who reads it."""
    null = cupy.cuda.Stream.null
    first, second = (null, stream) if on_null else (stream, null)
    x, y, z = (cupy.zeros((3, 4), "f4") for _ in range(3))
    cupy.cuda.Device().synchronize()
    with first:
        write(x)
    with second:
        for use in (lambda: cupy.add(x, 1, out=y), lambda: cupy.add(y, 1, out=x)):
            with pytest.raises(RaceError, match=rf"on stream {second.ptr} .* on stream {first.ptr}"):
                use()
        second.wait_event(first.record())
        cupy.add(x, 1, out=y)
    with first:
        cupy.add(x, 1, out=z)  # both only read
        # That of a matrix product is raised in a callback from C, which can only fail.
        with pytest.raises(Exception, match="CUBLAS" if write is WRITES["matrix product"] else "that is in use"):
            write(x)


def test_parts_of_an_array(stream):
    x = cupy.zeros(12, "f4")
    cupy.cuda.Device().synchronize()
    cupy.add(x[:6], 1, out=x[:6])
    with stream:
        x[6:] + 1
        x[7:9] *= 2
        for part in (x[5:7], x[::11], x[::-1]):
            with pytest.raises(RaceError):
                part + 1
    x[:7] + 1
    with pytest.raises(RaceError):
        x[:8] + 1


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


def test_parameters_are_found():
    source = """
    extern "C" __global__ void none() {}
    extern "C" __global__ void also_none(void) {}
    extern "C" __global__ void two(const CArray<float16, 2, 1, 1> x /* a, b */, CIndexer<1, 1> _ind) { f(1, 2, 3); }
    template <class T> __global__ void __launch_bounds__(256, 2) three(T* x, int n, Pair<int, float> f) {}
    """
    assert find_parameters(source) == {
        "none": [],
        "also_none": [],
        "two": [Parameter("x", True, False, 2), Parameter("_ind", False, False, None)],
        "three": [Parameter("x", False, True, None), *(Parameter(name, False, False, None) for name in "nf")],
    }
