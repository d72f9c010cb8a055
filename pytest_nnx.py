"""The pytest plugin of nnx: tests that run on every array library that works on this machine.

A test that asks for the fixture `backend` runs once for each row, inside `with nnx.backend(...)`:

    def test_mine(backend):
        x = backend.asarray([1.0, 2.0])

By default the rows are NumPy, array-api-strict on two of its pretended devices, PyTorch, CuPy on a CUDA device, and
every other registered backend, as far as they are usable; `--nnx-backend NAME[:device]` (repeatable) chooses others.
The report says which rows run, and which do not and why. Nothing is imported or printed for a run without such tests:
pytest loads this module in every project of an environment, so it stands outside the package, whose import it would be.
"""

from __future__ import annotations

from collections.abc import Iterator
from types import ModuleType
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from nnx.backends import Placement
    from nnx.testing.backend_rows import BackendRow

_ROW, _FLOAT64_ROW = "_nnx_backend_row", "_nnx_backend_float64_row"


class _NnxError(Exception):
    """nnx cannot be imported, and why."""


_ROWS = pytest.StashKey["list[BackendRow] | _NnxError"]()
_REPORT_OF_WORKERS = pytest.StashKey[list[str]]()
_REPORT = "nnx_backends"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.getgroup("nnx").addoption(
        "--nnx-backend",
        action="append",
        metavar="NAME[:DEVICE]",
        help="run tests with the fixture `backend` on this backend, for example numpy or cupy:cuda:1; may be given "
        "several times (default: every backend that is usable)",
    )


def pytest_configure(config: pytest.Config) -> None:
    chosen = config.getoption("nnx_backend")
    if chosen:
        try:
            _rows(config)  # a row that was asked for and cannot run is an error at once
        except _NnxError as error:
            raise pytest.UsageError(f"--nnx-backend {chosen[0]}: {error}") from error


def pytest_report_header(config: pytest.Config) -> list[str]:
    return _report(config) if config.getoption("nnx_backend") else []


def pytest_report_collectionfinish(config: pytest.Config, items: list[pytest.Item]) -> list[str]:
    return _report(config) if _wanted(config, items) else []


def pytest_collection_finish(session: pytest.Session) -> None:
    # With pytest-xdist, only its workers know which tests there are, and they cannot write: the main process does.
    output: dict[str, Any] | None = getattr(session.config, "workeroutput", None)
    if output is not None and _wanted(session.config, session.items):
        output[_REPORT] = _report(session.config)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    lines = getattr(node, "workeroutput", {}).get(_REPORT)  # a worker that crashed has none
    if lines:
        node.config.stash[_REPORT_OF_WORKERS] = lines


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    for line in config.stash.get(_REPORT_OF_WORKERS, []):
        terminalreporter.write_line(line)


def _wanted(config: pytest.Config, items: list[pytest.Item]) -> bool:
    """Whether the rows are reported after collection: some test uses them, and the header has not told of them."""
    used = any({_ROW, _FLOAT64_ROW} & set(getattr(item, "fixturenames", ())) for item in items)
    return used and not config.getoption("nnx_backend")


def _report(config: pytest.Config) -> list[str]:
    """Which rows run, and which do not and why."""
    try:
        lines = [f"nnx backends: {', '.join(map(str, _rows(config)))}"]
    except _NnxError as error:
        return [f"nnx backends: none, {error}"]
    if not config.getoption("nnx_backend"):
        rows = _table_of_rows().default_rows()
        lines += [f"nnx backend {row} does not run: {row.problem()}" for row in rows if row.problem()]
    return lines


def _rows(config: pytest.Config) -> list[BackendRow]:
    """The rows of this run. The first call imports nnx; _NnxError where that is not possible."""
    if _ROWS not in config.stash:
        try:
            config.stash[_ROWS] = _find_rows(config.getoption("nnx_backend"))
        except _NnxError as error:
            config.stash[_ROWS] = error  # for all tests the same: a second import would fail in another place
    rows = config.stash[_ROWS]
    if isinstance(rows, _NnxError):
        raise rows
    return rows


def _find_rows(chosen: list[str] | None) -> list[BackendRow]:
    table = _table_of_rows()
    if not chosen:
        return [row for row in table.default_rows() if row.problem() is None]
    rows = []
    for text in chosen:
        try:
            rows.append(table.chosen_row(text))
        except (ValueError, RuntimeError) as error:
            raise pytest.UsageError(f"--nnx-backend {text}: {error}") from error
    return list(dict.fromkeys(rows))


def _table_of_rows() -> ModuleType:
    """nnx.testing.backend_rows. Nothing else here imports nnx."""
    try:
        from nnx.testing import backend_rows
    except Exception as error:  # whatever is wrong with it must not stop the tests of others
        raise _NnxError(
            f"nnx cannot be imported: {type(error).__name__}: {error}; "
            f"python -c 'import nnx.testing.backend_rows' shows where"
        ) from error
    return backend_rows


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """The one place where tests are parametrised over backends."""
    wanted = [name for name in (_ROW, _FLOAT64_ROW) if name in metafunc.fixturenames]
    if not wanted:
        return
    try:
        rows = _rows(metafunc.config)
    except _NnxError as error:
        for name in wanted:
            metafunc.parametrize(name, [pytest.param(error, id="nnx-cannot-be-imported")], indirect=True)
        return
    if _ROW in wanted:
        metafunc.parametrize(_ROW, rows, indirect=True, ids=str)
    if _FLOAT64_ROW in wanted:
        with_float64 = [pytest.param(row, id=str(row)) for row in rows if row.has_float64()]
        none = pytest.param(None, marks=pytest.mark.skip(reason="no backend of this run has float64"), id="none")
        metafunc.parametrize(_FLOAT64_ROW, with_float64 or [none], indirect=True)


@pytest.fixture
def _nnx_backend_row(request: pytest.FixtureRequest) -> BackendRow:
    return _row_of(request)


@pytest.fixture
def _nnx_backend_float64_row(request: pytest.FixtureRequest) -> BackendRow:
    return _row_of(request)


def _row_of(request: pytest.FixtureRequest) -> BackendRow:
    row: BackendRow | _NnxError = request.param
    if isinstance(row, _NnxError):
        pytest.fail(str(row), pytrace=False)
    return row


@pytest.fixture
def backend(_nnx_backend_row: BackendRow) -> Iterator[Placement]:
    """The test runs on every usable backend; inside `with nnx.backend(...)`, float32. Yields the placement."""
    with _nnx_backend_row.entered("float32") as placement:
        yield placement


@pytest.fixture
def backend_float64(_nnx_backend_float64_row: BackendRow) -> Iterator[Placement]:
    """Like `backend`, with float64, on the rows that have it: for references and `check_gradients`."""
    with _nnx_backend_float64_row.entered("float64") as placement:
        yield placement
