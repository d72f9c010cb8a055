"""Rows of backends: the array libraries, each on one of its devices, that tests with the fixture `backend` run on."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator

from nnx.backends import Placement
from nnx.backends import backend as backend_context
from nnx.backends.base import backend_names, find_backend, usable_backend

_STRICT = "array-api-strict"


@dataclasses.dataclass(frozen=True)
class BackendRow:
    """A backend on one of its devices; its text is what stands in a test's name."""

    name: str
    device: str | None = None

    def __str__(self) -> str:
        return self.name if self.device is None else f"{self.name}-{self.device.replace(':', '')}"

    def problem(self) -> str | None:
        """Why the row cannot run on this machine; None if it can."""
        backend = find_backend(self.name)
        problem = backend.problem()
        if problem is None and self.device is not None and self.device not in backend.devices():
            return f"{self.name} {backend.version()} has no device {self.device!r}; update it with: {backend.install}"
        return problem

    def has_float64(self) -> bool:
        """Whether the device computes in float64."""
        return "float64" in find_backend(self.name).float_dtypes(self.device)

    @contextlib.contextmanager
    def entered(self, dtype: str) -> Iterator[Placement]:
        """A block inside `with nnx.backend(...)` of this row and dtype. Yields the placement."""
        with contextlib.ExitStack() as stack:
            if self.name == _STRICT:
                import array_api_strict

                # What a device cannot do without telling the host how many elements there will be.
                flags = array_api_strict.ArrayAPIStrictFlags(boolean_indexing=False, data_dependent_shapes=False)
                stack.enter_context(flags)
            yield stack.enter_context(backend_context(self.name, device=self.device, dtype=dtype))


_BUILT_IN = (
    BackendRow("numpy"),
    BackendRow(_STRICT, "device1"),
    BackendRow(_STRICT, "no_float64"),
    BackendRow("torch"),
    BackendRow("cupy"),
)


def default_rows() -> list[BackendRow]:
    """nnx's own rows and every other backend that is registered, usable or not."""
    built_in = {row.name for row in _BUILT_IN}
    return [*_BUILT_IN, *(BackendRow(name) for name in backend_names() if name not in built_in)]


def chosen_row(text: str) -> BackendRow:
    """The row of a text NAME[:DEVICE]; ValueError or RuntimeError for one that is unknown or cannot run here.

    >>> chosen_row("numpy")
    BackendRow(name='numpy', device=None)
    """
    name, _, device = text.partition(":")
    placement = Placement(usable_backend(name), device or None)
    return BackendRow(placement.name, placement.device)
