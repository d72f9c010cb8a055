"""The pytest plugin: tests that run on every array library that works on this machine.

A test that asks for the fixture `backend` runs once for each row, inside `with nnx.backend(...)`:

    def test_mine(backend):
        x = backend.asarray([1.0, 2.0])

By default the rows are NumPy, array-api-strict on two of its pretended devices, PyTorch, CuPy on a CUDA device, and
every other registered backend, as far as they are usable; `--nnx-backend NAME[:device]` (repeatable) chooses others.
The report says which rows run, and which do not and why. Nothing is imported or printed for a run without such tests.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator

import pytest

from nnx.backends import Placement
from nnx.backends import backend as backend_context
from nnx.backends.base import backend_names, find_backend, usable_backend

_STRICT = "array-api-strict"
_ROW, _FLOAT64_ROW = "_nnx_backend_row", "_nnx_backend_float64_row"


@dataclasses.dataclass(frozen=True)
class Row:
    """A backend on one of its devices; its text is what stands in a test's name."""

    name: str
    device: str | None = None

    def __str__(self) -> str:
        return self.name if self.device is None else f"{self.name}-{self.device.replace(':', '')}"

    def problem(self) -> str | None:
        backend = find_backend(self.name)
        problem = backend.problem()
        if problem is None and self.device is not None and self.device not in backend.devices():
            return f"{self.name} {backend.version()} has no device {self.device!r}; update it with: {backend.install}"
        return problem

    def has_float64(self) -> bool:
        return "float64" in find_backend(self.name).float_dtypes(self.device)


_BUILT_IN = (Row("numpy"), Row(_STRICT, "device1"), Row(_STRICT, "no_float64"), Row("torch"), Row("cupy"))
_ROWS = pytest.StashKey[list[Row]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.getgroup("nnx").addoption(
        "--nnx-backend",
        action="append",
        metavar="NAME[:DEVICE]",
        help="run tests with the fixture `backend` on this backend, for example numpy or cupy:cuda:1; may be given "
        "several times (default: every backend that is usable)",
    )


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("nnx_backend"):
        _rows(config)  # a row that was asked for and cannot run is an error at once


def pytest_report_header(config: pytest.Config) -> list[str]:
    # With pytest-xdist, nobody in this process will know which tests there are.
    known = config.getoption("nnx_backend") or config.getoption("numprocesses", None)
    return _report(config) if known else []


def pytest_report_collectionfinish(config: pytest.Config, items: list[pytest.Item]) -> list[str]:
    used = any({_ROW, _FLOAT64_ROW} & set(getattr(item, "fixturenames", ())) for item in items)
    return _report(config) if used and not config.getoption("nnx_backend") else []


def _report(config: pytest.Config) -> list[str]:
    """Which rows run, and which do not and why."""
    lines = [f"nnx backends: {', '.join(map(str, _rows(config)))}"]
    if not config.getoption("nnx_backend"):
        lines += [f"nnx backend {row} does not run: {row.problem()}" for row in _default_rows() if row.problem()]
    return lines


def _rows(config: pytest.Config) -> list[Row]:
    """The rows of this run."""
    rows = config.stash.get(_ROWS, None)
    if rows is None:
        chosen = config.getoption("nnx_backend")
        if chosen:
            rows = list(dict.fromkeys(_chosen_row(text) for text in chosen))
        else:
            rows = [row for row in _default_rows() if row.problem() is None]
        config.stash[_ROWS] = rows
    return rows


def _default_rows() -> list[Row]:
    built_in = {row.name for row in _BUILT_IN}
    return [*_BUILT_IN, *(Row(name) for name in backend_names() if name not in built_in)]


def _chosen_row(text: str) -> Row:
    name, _, device = text.partition(":")
    try:
        placement = Placement(usable_backend(name), device or None)
    except (ValueError, RuntimeError) as error:
        raise pytest.UsageError(f"--nnx-backend {text}: {error}") from error
    return Row(placement.name, placement.device)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """The one place where tests are parametrised over backends."""
    if _ROW in metafunc.fixturenames:
        metafunc.parametrize(_ROW, _rows(metafunc.config), indirect=True, ids=str)
    if _FLOAT64_ROW in metafunc.fixturenames:
        rows = [pytest.param(row, id=str(row)) for row in _rows(metafunc.config) if row.has_float64()]
        none = pytest.param(None, marks=pytest.mark.skip(reason="no backend of this run has float64"), id="none")
        metafunc.parametrize(_FLOAT64_ROW, rows or [none], indirect=True)


@pytest.fixture
def _nnx_backend_row(request: pytest.FixtureRequest) -> Row:
    row: Row = request.param
    return row


@pytest.fixture
def _nnx_backend_float64_row(request: pytest.FixtureRequest) -> Row:
    row: Row = request.param
    return row


@pytest.fixture
def backend(_nnx_backend_row: Row) -> Iterator[Placement]:
    """The test runs on every usable backend; inside `with nnx.backend(...)`, float32. Yields the placement."""
    with _entered(_nnx_backend_row, "float32") as placement:
        yield placement


@pytest.fixture
def backend_float64(_nnx_backend_float64_row: Row) -> Iterator[Placement]:
    """Like `backend`, with float64, on the rows that have it: for references and `check_gradients`."""
    with _entered(_nnx_backend_float64_row, "float64") as placement:
        yield placement


@contextlib.contextmanager
def _entered(row: Row, dtype: str) -> Iterator[Placement]:
    with contextlib.ExitStack() as stack:
        if row.name == _STRICT:
            import array_api_strict

            # What a device cannot do without telling the host how many elements there will be.
            flags = array_api_strict.ArrayAPIStrictFlags(boolean_indexing=False, data_dependent_shapes=False)
            stack.enter_context(flags)
        yield stack.enter_context(backend_context(row.name, device=row.device, dtype=dtype))
