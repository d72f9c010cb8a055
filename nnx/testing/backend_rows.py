"""Rows of backends: the array libraries, each on one of its devices, that tests with the fixture `backend` run on."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterable, Iterator

from nnx.backends import Placement
from nnx.backends import backend as backend_context
from nnx.backends.base import backend_names, find_backend, usable_backend

STRICT = "array-api-strict"


@dataclasses.dataclass(frozen=True)
class BackendRow:
    """A backend on one of its devices, on which a test runs; its text is what stands in the test's name.

    name : the name of the backend.
    device : one of its devices, such as "cuda:1"; None (default) for its default device.

    >>> str(BackendRow("cupy", "cuda:1"))
    'cupy-cuda1'
    """

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

    def is_called(self, text: str) -> bool:
        """Whether a text means this row: the backend's name, NAME:DEVICE, or the row as it stands in a test's name.

        >>> [BackendRow("cupy", "cuda:1").is_called(text) for text in ("cupy", "cupy:cuda:1", "cupy-cuda1", "numpy")]
        [True, True, True, False]
        """
        return text in (self.name, str(self), f"{self.name}:{self.device}")

    @contextlib.contextmanager
    def entered(self, dtype: str = "float32", *, static_shapes: bool = False) -> Iterator[Placement]:
        """A block inside `with nnx.backend(...)` of this row and dtype. Yields the placement.

        static_shapes : whether array-api-strict refuses what a device cannot do without telling the host how many
            elements there will be: boolean indexing, and functions whose shapes depend on data. By default its flags
            stay as they are.

        >>> with BackendRow("numpy").entered("float64") as placement:
        ...     placement.dtype
        'float64'
        """
        with contextlib.ExitStack() as stack:
            if self.name == STRICT and static_shapes:
                import array_api_strict

                flags = array_api_strict.ArrayAPIStrictFlags(boolean_indexing=False, data_dependent_shapes=False)
                stack.enter_context(flags)
            yield stack.enter_context(backend_context(self.name, device=self.device, dtype=dtype))


_BUILT_IN = (
    BackendRow("numpy"),
    BackendRow(STRICT, "device1"),
    BackendRow(STRICT, "no_float64"),
    BackendRow("torch"),
    BackendRow("cupy"),
)
_chosen: tuple[BackendRow, ...] = ()


def default_rows() -> list[BackendRow]:
    """nnx's own rows and every other backend that is registered, usable or not."""
    built_in = {row.name for row in _BUILT_IN}
    return [*_BUILT_IN, *(BackendRow(name) for name in backend_names() if name not in built_in)]


def usable_rows() -> list[BackendRow]:
    """The rows that tests run on: those that `--nnx-backend` chose for this run of pytest, else all that are usable.

    A list to parametrise tests and fixtures with: `@pytest.mark.parametrize("row", usable_rows(), ids=str)`.

    >>> all(row.problem() is None for row in usable_rows())
    True
    """
    return list(_chosen) or [row for row in default_rows() if row.problem() is None]


def choose_rows(rows: Iterable[BackendRow]) -> None:
    """Let `usable_rows` be these, in place of all that are usable; none of them is the end of that."""
    global _chosen
    _chosen = tuple(rows)


def chosen_row(text: str) -> BackendRow:
    """The row of a text NAME[:DEVICE]; ValueError or RuntimeError for one that is unknown or cannot run here.

    >>> chosen_row("numpy")
    BackendRow(name='numpy', device=None)
    """
    name, _, device = text.partition(":")
    placement = Placement(usable_backend(name), device or None)
    return BackendRow(placement.name, placement.device)


def check_is_known(text: str) -> None:
    """ValueError for a text that means no row, as far as names go: a device may be one of another machine."""
    if not any(row.is_called(text) for row in default_rows()):
        find_backend(text.partition(":")[0])
