"""Uploads to a CUDA device while it computes: copies through pinned memory, on a stream of their own.

CuPy copies on the stream that computes, behind all that is queued there. Training queues one step after the other and
waits for none of them, so a copy on a second stream is done while the device is still busy with earlier steps. Events
keep the two in order, and the host waits for neither:

- what is queued after an upload waits for its copy;
- memory is copied into again only after what was queued while an array lived in it.

For the latter, the memory of an array that died is retired first, with an event that tells when its user is done. When
others have died after it, later copies are made to wait for that event, and the memory goes back to CuPy's pool, which
gives it to no other stream. In a training loop, batch n - 1 dies when batch n is bound, before step n is queued: the
copy of batch n + 1 waits at most for step n - 1, never for step n. A pool of shuffled rows dies before the next one is
copied, and that is what memory is retired for: it goes into other memory, while the device is busy with the pool that
died.
"""

from __future__ import annotations

import collections
import sys
from collections.abc import Callable
from typing import Any

import numpy as np

from nnx.backends.base import Array
from nnx.locks import reentrant_lock

SMALLEST_BYTES = 1 << 18  # 10 µs at 25 GB/s, an estimate of what it costs the host to record events and wait for them
LARGEST_BYTES = 1 << 26  # larger ones are whole data sets, which come once: their memory is better left to computing
RETIRED_ARRAYS = 8  # so many are kept at most, enough for two batches of a few inputs each,
RETIRED_BYTES = LARGEST_BYTES  # and at most so much of their memory


def upload(array: np.ndarray) -> Array:
    """A host array as a CuPy array on the current device, as `cupy.asarray` makes it.

    As always with CuPy, it is for use on the stream that is current now: who uses it on another one has to order that
    stream after this one, and this one after that before the array dies.
    """
    import cupy

    user = cupy.cuda.get_current_stream()
    # Not for the default stream of a thread, which is another one where the array dies in another thread, nor for a
    # stream that CuPy does not keep alive.
    lasts = isinstance(user, cupy.cuda.Stream) and user.ptr != cupy.cuda.runtime.streamPerThread
    if lasts and SMALLEST_BYTES <= array.nbytes <= LARGEST_BYTES:
        return uploads_to(cupy.cuda.Device().id).copy(array, user)
    return cupy.asarray(array)


def uploads_to(device: int) -> Uploads:
    """The uploads to a device, which has to be the current one."""
    found = _UPLOADS.get(device)
    return _UPLOADS.setdefault(device, Uploads()) if found is None else found


class Uploads:
    """The stream that copies to a device, and the memory of arrays that died."""

    def __init__(self) -> None:
        import cupy

        self.stream = cupy.cuda.Stream(non_blocking=True)
        self._retired: collections.deque[tuple[Array, Any]] = collections.deque()
        self._retired_bytes = 0
        self._lock = reentrant_lock()  # an array may die, by garbage collection, in the middle of `retire`

    def copy(self, array: np.ndarray, user: Any) -> Array:
        """A host array as a CuPy array that the stream `user` is going to use."""
        import cupy

        self.stream.use()  # for the copy, and for the part of the pool that its memory is from
        try:
            memory = cupy.asarray(array)
            event = cupy.cuda.Event(disable_timing=True)
            event.record()
        finally:
            user.use()  # after a block with a stream, one that the user chose in this way would not be the current one
        user.wait_event(event)
        owner = Owner(memory, event, user, self)
        owned = cupy.cuda.UnownedMemory(memory.data.ptr, memory.nbytes, owner, memory.data.device_id)
        return cupy.ndarray(memory.shape, memory.dtype, cupy.cuda.MemoryPointer(owned, 0), memory.strides)

    def retire(self, memory: Array, event: Any) -> None:
        """Keep memory that is going to be free when `event` has happened, and give back what was kept for longest."""
        with self._lock:
            self._retired.append((memory, event))
            self._retired_bytes += memory.nbytes
            oldest = []
            while len(self._retired) > RETIRED_ARRAYS or self._retired_bytes > RETIRED_BYTES:
                oldest.append(self._retired.popleft())
                self._retired_bytes -= oldest[-1][0].nbytes
        for _, free in oldest:  # not under the lock, as the pool has one of its own
            self.stream.wait_event(free)


_UPLOADS: dict[int, Uploads] = {}  # by the number of the device


class Owner:
    """Owner of the memory of an uploaded array: lives as long as that or a view of it, and then retires the memory."""

    def __init__(self, memory: Array, event: Any, user: Any, uploads: Uploads) -> None:
        self._memory = memory
        self._event = event
        self._user = user
        self._uploads = uploads

    def __del__(self, ends: Callable[[], bool] = sys.is_finalizing) -> None:
        if not ends():
            with self._memory.device:  # another one may be current, whose null stream has the same name
                self._event.record(self._user)
                self._uploads.retire(self._memory, self._event)
