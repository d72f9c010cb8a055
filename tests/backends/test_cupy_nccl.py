"""Sums over GPUs by NCCL, for every dtype: of one rank where NCCL is there, else of two by a stand-in for it."""

from __future__ import annotations

import contextlib
import ctypes
import importlib
import types
from typing import Any

import numpy as np
import pytest

import nnx
from nnx.backends.nccl import Nccl

_problem = nnx.available_backends()["cupy"]
if _problem:
    pytest.skip(_problem, allow_module_level=True)
import cupy  # noqa: E402

_DTYPES = ["int8", "uint8", "int32", "uint32", "int64", "uint64", "float16", "float32", "float64"]  # those of NCCL
_ALONE = types.SimpleNamespace(Get_rank=lambda: 0, Get_size=lambda: 1, bcast=lambda value, root: value)


class TwoRanks:
    """What NCCL does for two ranks that have the same."""

    def __init__(self, *_: Any) -> None: ...

    def allReduce(self, source: int, target: int, count: int, dtype: str, how: str, stream: int) -> None:  # noqa: N802
        memory = (ctypes.c_char * (count * np.dtype(dtype).itemsize)).from_address(source)
        array = np.frombuffer(memory, dtype)
        array[:] = array + array if how == "sum" else array


@pytest.fixture
def ranks(monkeypatch: pytest.MonkeyPatch) -> int:
    """How many ranks there are."""
    with contextlib.suppress(ImportError):  # of the library, which CuPy's own module warns of
        importlib.import_module("cupy_backends.cuda.libs.nccl")
        return 1
    names = {f"NCCL_{name.upper()}": name for name in _DTYPES}
    given = {"NCCL_SUM": "sum", "NCCL_MAX": "max", "get_unique_id": lambda: 0, "NcclCommunicator": TwoRanks}
    monkeypatch.setitem(vars(cupy.cuda), "nccl", types.SimpleNamespace(**names, **given))
    return 2


@pytest.mark.parametrize("dtype", [*_DTYPES, "int16", "uint16"])
def test_sums(ranks: int, dtype: str) -> None:
    array = cupy.asarray([[0, 1, 100], [7, 255 % 128, 3]], dtype)
    Nccl(_ALONE).all_reduce(array)
    with np.errstate(over="ignore"):
        expected = ranks * np.asarray([[0, 1, 100], [7, 255 % 128, 3]], dtype)
    assert array.dtype == dtype
    assert cupy.asnumpy(array).tolist() == expected.astype(dtype).tolist()


@pytest.mark.usefixtures("ranks")
def test_of_bools_it_is_whether_one_is_true() -> None:
    array = cupy.asarray([True, False, True])
    Nccl(_ALONE).all_reduce(array)
    assert cupy.asnumpy(array).view(np.uint8).tolist() == [1, 0, 1]


@pytest.mark.usefixtures("ranks")
def test_what_nccl_lacks() -> None:
    with pytest.raises(TypeError, match="NCCL has no sums of complex64; convert the array to one of int8, uint8, "):
        Nccl(_ALONE).all_reduce(cupy.ones(2, "complex64"))
