"""A backend needs arrays that can be written to: the check, and the error that says so when it is registered."""

from __future__ import annotations

import sys
import types
from typing import Any

import numpy as np
import pytest

import nnx
from nnx.backends import Placement, base
from nnx.backends.base import find_backend, register_backend

pytestmark = pytest.mark.usefixtures("known_backends")


@pytest.fixture
def known_backends(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a test registers is forgotten after it."""
    monkeypatch.setattr(base, "_LOADED", dict(base._LOADED))
    monkeypatch.setattr(base, "_OF_TYPE", {})


class Array:
    """An array of a small library, around one of NumPy; all that nnx's check asks for."""

    __module__ = "small_arrays"

    def __init__(self, data: np.ndarray) -> None:
        self.data = data

    def __getitem__(self, key: Any) -> Array:
        return type(self)(self.data[key])

    def __setitem__(self, key: Any, value: Any) -> None:
        self.data[key] = value.data if isinstance(value, Array) else value

    def __add__(self, other: Array) -> Array:
        return type(self)(self.data + other.data)


class Immutable(Array):
    """As JAX's: `x[...] = value` raises."""

    def __setitem__(self, key: Any, value: Any) -> None:
        raise TypeError("these arrays are immutable; use x.at[...].set(value)")


class SlicesCopy(Array):
    """Slices are arrays of their own."""

    def __getitem__(self, key: Any) -> Array:
        return type(self)(self.data[key].copy())


def small_library(array: type[Array], reshape: Any = lambda data, shape: data.reshape(shape)) -> types.ModuleType:
    library = types.ModuleType("small_arrays")
    library.asarray = lambda value, device=None: array(np.array(value))
    library.reshape = lambda x, shape: array(reshape(x.data, shape))
    return library


class SmallBackend(nnx.Backend):
    name, module, install = "small", "small_arrays", "pip install small-arrays"

    def load(self) -> Any:
        return sys.modules["small_arrays"]

    def to_host(self, array: Any) -> np.ndarray:
        host: np.ndarray = array.data
        return host


def install(monkeypatch: pytest.MonkeyPatch, library: types.ModuleType) -> None:
    monkeypatch.setitem(sys.modules, "small_arrays", library)


def test_arrays_that_can_be_written_to_are_accepted(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, small_library(Array))
    backend = SmallBackend()
    nnx.register_backend(backend)
    assert find_backend("small") is backend


def test_immutable_arrays_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, small_library(Immutable))
    with pytest.raises(TypeError) as caught:
        nnx.register_backend(SmallBackend())
    assert str(caught.value) == (
        "backend 'small' needs arrays that can be written to: nnx keeps a model's parameters as views of one "
        "flat array and trains them in place, so `view = reshape(array[2:6], (2, 2))` has to share the memory of "
        "`array`, and `view[...] = value` has to write to it. With arrays of 'small_arrays', writing raises "
        "TypeError: these arrays are immutable; use x.at[...].set(value)"
    )
    assert isinstance(caught.value.__cause__, TypeError)
    assert "small" not in nnx.available_backends()


@pytest.mark.parametrize(
    "library",
    [small_library(SlicesCopy), small_library(Array, lambda data, shape: data.copy().reshape(shape))],
    ids=["slices", "reshape"],
)
def test_copies_in_place_of_views_are_refused(library: types.ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, library)
    with pytest.raises(TypeError, match=r"backend 'small' needs arrays .* writing did not change the first array"):
        nnx.register_backend(SmallBackend())
    assert "small" not in nnx.available_backends()


def test_read_only_arrays_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    library = small_library(Array)

    def read_only(value: Any, device: Any = None) -> Array:
        array = np.array(value)
        array.flags.writeable = False
        return Array(array)

    library.asarray = read_only
    install(monkeypatch, library)
    with pytest.raises(TypeError, match="writing raises ValueError: assignment destination is read-only"):
        nnx.register_backend(SmallBackend())


def test_a_library_that_is_not_here_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "small_arrays", None)  # `import small_arrays` raises ModuleNotFoundError
    nnx.register_backend(SmallBackend())
    assert "small_arrays is not installed" in (nnx.available_backends()["small"] or "")


def test_a_backend_that_cannot_be_used_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, small_library(Immutable))
    monkeypatch.setattr(SmallBackend, "problem", lambda self: "no device")
    nnx.register_backend(SmallBackend())
    assert nnx.available_backends()["small"] == "no device"


@pytest.mark.parametrize("name", ["numpy", "cupy", "torch", "array-api-strict"])
def test_backends_of_nnx_are_registered_without_their_library(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    backend = find_backend(name)

    def fail(self: nnx.Backend) -> Any:
        raise AssertionError("the library was asked for")

    monkeypatch.setattr(type(backend), "problem", fail)
    monkeypatch.setattr(type(backend), "load", fail)
    register_backend(backend)
    assert find_backend(name) is backend


def test_every_backend_of_nnx_has_such_arrays(backend: Placement) -> None:
    base._check_writing(backend.backend)
