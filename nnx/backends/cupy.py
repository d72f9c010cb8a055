"""Backend for CuPy: CUDA GPUs. The module imports without one; whether a device really works is asked here, once."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from nnx.backends.base import Array, Backend, Namespace, all_reduce_on_host, register_backend
from nnx.backends.cupy_uploads import upload
from nnx.backends.nccl import Nccl, serves
from nnx.locks import cached_property


class CupyBackend(Backend):
    """CuPy on CUDA devices; its default one is CUDA's current device, or that of the rank."""

    name = "cupy"
    module = "cupy"
    install = (
        "pip install 'nnx-array[cupy]' (a driver for CUDA 12, or a card below compute capability 7.5) or "
        "'nnx-array[cupy13]' (a driver for CUDA 13)"
    )
    kernel_package = "nnx.kernels.cupy"

    def __init__(self) -> None:
        super().__init__()
        self._own_device: Any = None  # the default one, where it is not CUDA's
        self._nccl: Any = None  # how ranks sum: not yet known, by NCCL, or (False) on the host

    def load(self) -> Namespace:
        import array_api_compat.cupy as xp

        return xp

    @cached_property
    def _device_problem(self) -> str | None:
        import cupy

        try:
            cupy.zeros(1).sum()
        except Exception as error:  # CUDARuntimeError, a missing NVRTC or driver library: all mean "not here"
            return (
                f"CuPy {cupy.__version__} is installed but no CUDA device works "
                f"({type(error).__name__}: {str(error).splitlines()[0]}); {_remedy()}"
            )
        return None

    def problem(self) -> str | None:
        return super().problem() or self._device_problem

    def devices(self) -> list[str]:
        import cupy

        return [f"cuda:{index}" for index in range(cupy.cuda.runtime.getDeviceCount())]

    def hardware(self, device: str | None) -> str:
        from cupy.cuda import runtime

        card = runtime.getDeviceProperties(self.device(device).id)
        driver, library = (
            f"{v // 1000}.{v % 1000 // 10}" for v in (runtime.driverGetVersion(), runtime.runtimeGetVersion())
        )
        return f"{card['name'].decode()} ({card['major']}.{card['minor']}), driver for CUDA {driver}, runtime {library}"

    def device(self, name: str | None) -> Any:
        import cupy

        super().device(name)
        if name is None:
            return cupy.cuda.Device() if self._own_device is None else self._own_device
        return cupy.cuda.Device(int(name.partition(":")[2]))

    def computing_on(self, device: Any) -> contextlib.AbstractContextManager[Any]:
        current: contextlib.AbstractContextManager[Any] = device  # CUDA's current device, while it is entered
        return current

    def following(self) -> contextlib.AbstractContextManager[Any]:
        import cupy

        if self.problem():
            return super().following()
        device = cupy.cuda.Device()
        streams = [cupy.cuda.get_current_stream(index) for index in range(cupy.cuda.runtime.getDeviceCount())]
        return _on(device, [_shared(stream) for stream in streams])

    def use_device(self, number: int) -> None:
        import cupy

        self._own_device = cupy.cuda.Device(number % cupy.cuda.runtime.getDeviceCount())
        self._own_device.use()

    def all_reduce(self, array: Array, communicator: Any) -> None:
        import cupyx

        with array.device:
            if self._nccl is None:
                self._nccl = Nccl(communicator) if serves(communicator) else False
            if self._nccl:
                self._nccl.all_reduce(array)
                return
            host = cupyx.empty_pinned(array.shape, array.dtype)
            array.get(out=host)
            all_reduce_on_host(host, communicator)
            array.set(host)

    def free_bytes(self, device: str | None) -> float:
        import cupy

        with self.device(device):
            pool = cupy.get_default_memory_pool()
            return float(cupy.cuda.runtime.memGetInfo()[0] + pool.free_bytes())

    def held_bytes(self, device: str | None) -> int | None:
        import cupy

        with self.device(device):
            return int(cupy.get_default_memory_pool().total_bytes())

    def synchronize(self, device: str | None) -> None:
        import cupy

        with self.device(device):
            cupy.cuda.get_current_stream().synchronize()

    def range(self, name: str) -> contextlib.AbstractContextManager[Any]:
        from cupyx.profiler import time_range

        marked: contextlib.AbstractContextManager[Any] = time_range(name)
        return marked

    def from_host(self, array: np.ndarray, *, device: str | None = None) -> Array:
        with self.device(device):
            return upload(array)

    def put_beside(self, like: Array, array: np.ndarray) -> Array:
        with like.device:
            return upload(array)

    def keep(self, like: Array, make: Callable[[], Array]) -> Array:
        import cupy

        # Not from the pool, which could give the memory away when it is no longer kept, while a stream reads it that
        # did not make it: the device takes memory back when all streams are done.
        with like.device, cupy.cuda.using_allocator(None):
            array = make()
            cupy.cuda.get_current_stream().synchronize()  # once, and whoever reads it needs not wait
        return array

    def to_host(self, array: Array) -> np.ndarray:
        import cupy

        host: np.ndarray = cupy.asnumpy(array)
        return host


_OLDEST_OF_CUDA_13 = (7, 5)  # the compute capability of Turing; CUDA 12 is the last one for the cards before


def _remedy() -> str:
    """What to do where no device works."""
    try:
        from cupy.cuda import runtime

        card = runtime.getDeviceProperties(runtime.getDevice())
        capability = card["major"], card["minor"]
        if capability < _OLDEST_OF_CUDA_13 and runtime.runtimeGetVersion() >= 13000:
            return (
                f"CUDA 13 does not serve cards of compute capability {capability[0]}.{capability[1]}, whatever the "
                "driver says: pip uninstall cupy-cuda13x, then pip install 'nnx-array[cupy]'"
            )
    except Exception:  # there is no card, or no driver
        pass
    return "check the driver with nvidia-smi"


@contextlib.contextmanager
def _on(device: Any, streams: Sequence[Any]) -> Iterator[None]:
    """A block in which these are the current streams of all devices, in their order, and one of these the current."""
    import cupy

    with contextlib.ExitStack() as stack:
        for index, stream in enumerate(streams):
            with cupy.cuda.Device(index):
                stack.enter_context(stream)
        stack.enter_context(device)
        yield


def _shared(stream: Any) -> Any:
    """The stream in which another thread is in order with this one, where that is current."""
    import cupy

    # The default stream of a thread is another one in another thread. The null stream waits for those of all threads,
    # and they wait for it.
    return cupy.cuda.Stream.null if stream.ptr == cupy.cuda.runtime.streamPerThread else stream


register_backend(CupyBackend())
