"""Across the border and back: placements, devices, dtypes, and what is no number."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import nnx
from nnx.backends import Placement, is_array, placement_of
from nnx.backends.base import find_backend


class TestPlacement:
    def test_unknown_device(self) -> None:
        with pytest.raises(ValueError, match="backend 'numpy' has no device 'cuda:0'; it has cpu"):
            nnx.backend("numpy", device="cuda:0")
        with pytest.raises(ValueError, match="'array-api-strict' has no device 'device9'; it has CPU_DEVICE, device1"):
            nnx.backend("array-api-strict", device="device9")

    @pytest.mark.parametrize("dtype", ["int32", "float8", "double", ""])
    def test_unknown_dtype(self, dtype: str) -> None:
        with pytest.raises(ValueError, match="dtype must be one of float16, float32, float64"):
            Placement(find_backend("numpy"), None, dtype)

    def test_a_dtype_that_the_device_lacks(self) -> None:
        with pytest.raises(ValueError, match=r"array-api-strict \(no_float64\) has no float64; choose dtype='float32'"):
            nnx.backend("array-api-strict", device="no_float64", dtype="float64")
        with pytest.raises(ValueError, match="array-api-strict has no float16; choose dtype='float32' or 'float64'"):
            nnx.backend("array-api-strict", dtype="float16")

    def test_text(self) -> None:
        assert str(Placement(find_backend("array-api-strict"), "device1")) == "array-api-strict (device1)"
        assert str(Placement(find_backend("numpy"))) == "numpy"

    def test_holds(self, backend: Placement) -> None:
        strict = Placement(find_backend("array-api-strict"), "device2")
        elsewhere = strict.asarray([1.0])
        assert backend.holds(backend.asarray([1.0]))
        assert not backend.holds(elsewhere)
        assert not strict.holds(backend.asarray([1.0]))
        assert strict.holds(elsewhere)
        with pytest.raises(TypeError, match="expected an array, got list"):
            backend.holds([1.0])

    def test_placement_of_finds_the_device(self, backend: Placement) -> None:
        x = backend.asarray([1.0])
        found = placement_of(x, "float32")
        assert found.backend is backend.backend
        assert found.holds(x)

    def test_placement_of_an_unknown_device(self) -> None:
        xp = find_backend("array-api-strict").xp
        x = xp.ones(1, dtype=xp.float32, device=xp.Device("no_x64"))
        with pytest.raises(ValueError, match="the array is on an unknown device of backend 'array-api-strict'"):
            placement_of(x, "float64")

    def test_zeros(self, backend: Placement) -> None:
        x = backend.zeros((2, 3))
        assert backend.holds(x)
        assert x.dtype == backend.xp.float32
        assert backend.zeros((1,), "int64").dtype == backend.xp.int64
        np.testing.assert_array_equal(nnx.to_numpy(x), np.zeros((2, 3)))


class TestAsarray:
    @pytest.mark.parametrize(
        ("value", "dtype"),
        [
            (1.5, "float32"),
            (2, "int64"),
            (True, "float32"),
            ([], "float32"),
            ([[1.0, 2.0], [3.0, 4.0]], "float32"),
            ([1, 2], "int64"),
            ([True, False], "float32"),
            ((1, 2.5), "float32"),
            (np.float64(0.5), "float32"),
            (np.int8(3), "int8"),
            (np.arange(3, dtype=np.float16), "float32"),
            (np.arange(3, dtype=np.uint8), "uint8"),
            (np.arange(3, dtype=np.uint16), "int64"),
            (np.arange(3, dtype=np.uint64), "int64"),
            (np.arange(3, dtype=np.int32), "int32"),
            (np.arange(3, dtype=">i4"), "int32"),
            (np.arange(3, dtype=">f8"), "float32"),
            (np.zeros((0, 4)), "float32"),
            (np.arange(6.0)[::-2], "float32"),
            (np.arange(6.0, dtype=np.float32).reshape(2, 3).T, "float32"),
        ],
        ids=repr,
    )
    def test_default_dtypes_and_values(self, backend: Placement, value: Any, dtype: str) -> None:
        x = nnx.asarray(value)
        assert backend.holds(x)
        assert x.dtype == getattr(backend.xp, dtype)
        assert x.shape == np.shape(value)
        np.testing.assert_array_equal(nnx.to_numpy(x), np.asarray(value).astype(dtype))

    def test_read_only_data(self, backend: Placement) -> None:
        data = np.arange(4, dtype=np.float32)
        data.flags.writeable = False
        np.testing.assert_array_equal(nnx.to_numpy(backend.asarray(data)), data)

    @pytest.mark.parametrize("dtype", ["float32", "int64", "int32", "uint8", "bool"])
    def test_given_dtype(self, backend: Placement, dtype: str) -> None:
        for value in ([0.0, 1.0], np.asarray([0, 1]), backend.asarray([0.0, 1.0])):
            x = nnx.asarray(value, dtype)
            assert x.dtype == getattr(backend.xp, dtype)
            np.testing.assert_array_equal(nnx.to_numpy(x), np.asarray([0, 1]).astype(dtype))

    def test_the_floating_dtype_is_that_of_the_placement(self, backend_float64: Placement) -> None:
        assert nnx.asarray([1.0]).dtype == backend_float64.xp.float64
        assert nnx.asarray(np.float32(1.0)).dtype == backend_float64.xp.float64
        single = backend_float64.asarray([1.0], "float32")
        assert backend_float64.asarray(single).dtype == backend_float64.xp.float64
        assert backend_float64.asarray(backend_float64.asarray([True])).dtype == backend_float64.xp.float64

    @pytest.mark.parametrize("dtype", [None, "float32"])
    @pytest.mark.parametrize(
        "value",
        ["1", ["1.5"], [None], [b"1"], 1j, np.datetime64("2020-01-01"), [object()], {"a": 1}],
        ids=["text", "texts", "nothing", "bytes", "complex", "a date", "objects", "a dict"],
    )
    def test_what_is_no_number_is_refused(self, backend: Placement, value: Any, dtype: str | None) -> None:
        with pytest.raises(TypeError, match="expected real numbers, got data of dtype"):
            backend.asarray(value, dtype)

    def test_complex_arrays_are_refused(self, backend: Placement) -> None:
        x = backend.xp.ones(2, dtype=backend.xp.complex64)
        with pytest.raises(TypeError, match=r"expected real numbers, got data of dtype .*complex64"):
            nnx.asarray(x)

    def test_an_unknown_dtype_is_refused(self, backend: Placement) -> None:
        for value in ([1.0], backend.asarray([1.0])):
            with pytest.raises(ValueError, match=r"dtype must be one of bool, uint8.*float64, got 'float33'"):
                backend.asarray(value, "float33")

    def test_an_array_that_is_here_already_is_not_copied(self, backend: Placement) -> None:
        x = backend.asarray(np.arange(3.0))
        assert backend.asarray(x) is x
        assert nnx.asarray(x, "float32") is x

    @pytest.mark.parametrize("source", ["numpy", "torch", "array-api-strict"])
    def test_arrays_of_other_backends_travel(self, backend: Placement, source: str) -> None:
        if nnx.available_backends()[source]:
            pytest.skip(f"{source}: {nnx.available_backends()[source]}")
        for values in (np.asarray([[0.5, -1.0]]), np.asarray([1, 2])):
            x = Placement(find_backend(source), dtype="float64").asarray(values)
            y = nnx.asarray(x)
            assert backend.holds(y)
            assert y.dtype == (backend.xp.int64 if values.dtype.kind == "i" else backend.xp.float32)
            np.testing.assert_array_equal(nnx.to_numpy(y), values)

    def test_objects_that_convert_themselves(self, backend: Placement) -> None:
        class Column:
            def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
                return np.asarray([1.0, 2.0], dtype)

        np.testing.assert_array_equal(nnx.to_numpy(backend.asarray(Column())), [1.0, 2.0])


class TestToNumpy:
    def test_values_dtypes_and_shapes(self, backend: Placement) -> None:
        for host in (
            np.float32(1.5),
            np.arange(3),
            np.ones((0, 2), np.float32),
            np.arange(6.0, dtype="f4").reshape(2, 3),
        ):
            there = nnx.to_numpy(backend.asarray(host))
            assert type(there) is np.ndarray
            assert there.dtype == host.dtype
            np.testing.assert_array_equal(there, host)

    def test_host_data(self) -> None:
        np.testing.assert_array_equal(nnx.to_numpy([[1, 2]]), [[1, 2]])
        assert nnx.to_numpy("text").dtype.kind == "U"

    def test_a_float_of_numpy_is_an_array(self) -> None:
        assert is_array(np.float32(1.0))
        assert nnx.to_numpy(np.float32(1.0)).shape == ()


class TestBackendMethods:
    """What others build on: data beside an array, rows of an array."""

    def test_put_beside(self, backend: Placement) -> None:
        like = backend.asarray([1.0])
        for host in (np.arange(4)[::-1], np.asarray([[True, False]]), np.arange(3, dtype=np.uint32), np.float32(2.0)):
            x = backend.backend.put_beside(like, np.asarray(host))
            assert backend.holds(x)
            np.testing.assert_array_equal(nnx.to_numpy(x), host)

    def test_gather_rows(self, backend: Placement) -> None:
        host = np.arange(12.0, dtype=np.float32).reshape(4, 3)
        rows = np.asarray([3, 0, 3])
        x = backend.backend.gather_rows(backend.asarray(host), rows)
        assert backend.holds(x)
        np.testing.assert_array_equal(nnx.to_numpy(x), host[rows])

    def test_every_device_in_the_list_can_be_used(self, backend: Placement) -> None:
        for device in backend.backend.devices():
            placement = Placement(backend.backend, device)
            assert placement.holds(placement.asarray([1.0]))
        assert Placement(backend.backend, backend.backend.devices()[0]).holds(Placement(backend.backend).asarray([1.0]))

    def test_version(self, backend: Placement) -> None:
        assert backend.backend.version()[0].isdigit()
