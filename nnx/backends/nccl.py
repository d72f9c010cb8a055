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
        self._sum, self._largest = nccl.NCCL_SUM, nccl.NCCL_MAX
        self._dtypes = {name: getattr(nccl, f"NCCL_{name.upper()}") for name in _DTYPES} | {"bool": nccl.NCCL_UINT8}

    def all_reduce(self, array: Array) -> None:
        """Replace a contiguous array by its sum over the ranks, after what its stream does now; nothing waits.

        Of bools it is whether one of them is True. TypeError for a dtype that NCCL does not have.
        """
        from cupy.cuda import get_current_stream

        name = str(array.dtype)
        wide = array.astype("int32") if name in ("int16", "uint16") else array
        dtype = self._dtypes.get(str(wide.dtype))
        if dtype is None:
            raise TypeError(f"NCCL has no sums of {name}; convert the array to one of {', '.join(self._dtypes)}")
        place, how = wide.data.ptr, self._largest if name == "bool" else self._sum
        self._communicator.allReduce(place, place, wide.size, dtype, how, get_current_stream().ptr)
        if wide is not array:
            array[...] = wide


_DTYPES = ("int8", "uint8", "int32", "uint32", "int64", "uint64", "float16", "float32", "float64")


def serves(communicator: Any) -> bool:
    """Whether NCCL is there on all ranks, and each has a GPU of its own. Every rank has to ask."""
    from cupy.cuda import Device, nccl

    found = communicator.allgather((platform.node(), Device().pci_bus_id) if nccl.available else None)
    return None not in found and len(set(found)) == len(found)
