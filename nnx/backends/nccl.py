"""Sums over GPUs by NCCL, NVIDIA's library for it, through CuPy."""

from __future__ import annotations

import platform
from typing import Any

from nnx.backends.base import Array


class Nccl:
    """The GPUs of all ranks of an MPI communicator, on each the current one. Every rank has to make one."""

    def __init__(self, communicator: Any) -> None:
        from cupy.cuda import nccl

        identity = communicator.bcast(nccl.get_unique_id() if communicator.Get_rank() == 0 else None, root=0)
        self._communicator = nccl.NcclCommunicator(communicator.Get_size(), identity, communicator.Get_rank())
        self._sum = nccl.NCCL_SUM
        self._dtypes = {
            "float16": nccl.NCCL_FLOAT16,
            "float32": nccl.NCCL_FLOAT32,
            "float64": nccl.NCCL_FLOAT64,
            "int32": nccl.NCCL_INT32,
            "int64": nccl.NCCL_INT64,
        }

    def all_reduce(self, array: Array) -> None:
        """Replace a contiguous array by its sum over the ranks, after what its stream does now; nothing waits."""
        from cupy.cuda import get_current_stream

        place, dtype = array.data.ptr, self._dtypes[str(array.dtype)]
        self._communicator.allReduce(place, place, array.size, dtype, self._sum, get_current_stream().ptr)


def serves(communicator: Any) -> bool:
    """Whether NCCL is there on all ranks, and each has a GPU of its own. Every rank has to ask."""
    from cupy.cuda import Device, nccl

    found = communicator.allgather((platform.node(), Device().pci_bus_id) if nccl.available else None)
    return None not in found and len(set(found)) == len(found)
