"""The pytest plugin of nnx: tests that run on every array library that works on this machine.

A test that asks for the fixture `backend` runs once for each row, inside `with nnx.backend(...)`:

    def test_mine(backend):
        x = backend.asarray([1.0, 2.0])

By default the rows are NumPy, array-api-strict on two of its pretended devices, PyTorch, CuPy on a CUDA device, and
every other registered backend, as far as they are usable; `--nnx-backend NAME[:device]` (repeatable) chooses others,
and `--nnx-require NAME` makes a row that is missing an error. The report says which rows run; each that does not is a
skipped test with the reason. Marks choose rows for a test, a class or a module: `nnx_backends`, `nnx_static_shapes`.
docs/testing.md describes all of it.

Nothing is imported or printed for a run without such tests: pytest loads this module in every project of an
environment, so it stands outside the package, whose import it would be.
"""

from __future__ import annotations

import contextlib
import dataclasses
import sys
from collections.abc import Generator, Iterable, Iterator
from types import ModuleType
from typing import TYPE_CHECKING, Any, Literal

import pytest

if TYPE_CHECKING:
    from nnx.backends import Placement
    from nnx.testing.backend_rows import BackendRow

_ROW, _FLOAT64_ROW = "_nnx_backend_row", "_nnx_backend_float64_row"
_OF_MODULE = {_ROW: "module_backend", _FLOAT64_ROW: "module_backend_float64"}
_STATIC_SHAPES = "nnx_static_shapes"
_MARKS = (
    "nnx_backends(only=None, skip=None, reason=''): the backends that the fixture `backend` gives to a test; each is "
    "one name or several, such as 'numpy', 'cupy:cuda:1' or 'array-api-strict-no_float64'; the others are skipped",
    "nnx_static_shapes(on=True): array-api-strict refuses boolean indexing and shapes that depend on data; "
    "on=False for one test that needs them where the option is set",
)


class _NnxError(Exception):
    """nnx cannot be imported, and why."""


@dataclasses.dataclass
class _Rows:
    """The rows of a run, and those that would run if something were there, with what that is."""

    usable: list[BackendRow]
    missing: dict[BackendRow, str]


_ROWS = pytest.StashKey["_Rows | _NnxError"]()
_REPORT_OF_WORKERS = pytest.StashKey[list[str]]()
_REPORT = "nnx_backends"


# Options and marks


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("nnx")
    group.addoption(
        "--nnx-backend",
        action="append",
        metavar="NAME[:DEVICE]",
        help="run tests with the fixture `backend` on this backend, for example numpy or cupy:cuda:1; may be given "
        "several times (default: every backend that is usable)",
    )
    group.addoption(
        "--nnx-require",
        action="append",
        metavar="NAME[:DEVICE]",
        help="fail at once if this backend is not among those that tests run on, for example cupy on a machine that "
        "has a GPU to test it; may be given several times",
    )
    help_of_static = "array-api-strict refuses boolean indexing and shapes that depend on data in tests with `backend`"
    group.addoption("--nnx-static-shapes", action="store_true", default=None, help=help_of_static)
    parser.addini(_STATIC_SHAPES, f"{help_of_static} (default: its flags stay as they are)", type="bool", default=False)


def pytest_configure(config: pytest.Config) -> None:
    for mark in _MARKS:
        config.addinivalue_line("markers", mark)
    chosen = config.getoption("nnx_backend")
    if chosen:  # a row that was asked for and cannot run is an error at once
        try:
            _table_of_rows().choose_rows(_rows(config).usable)
        except _NnxError as error:
            raise pytest.UsageError(f"--nnx-backend {chosen[0]}: {error}") from error
    for text in config.getoption("nnx_require") or ():
        try:
            _require(text, _rows(config))
        except (ValueError, RuntimeError, _NnxError) as error:
            raise pytest.UsageError(f"--nnx-require {text}: {error}") from error


def pytest_unconfigure(config: pytest.Config) -> None:
    if config.getoption("nnx_backend") and isinstance(config.stash.get(_ROWS, None), _Rows):
        _table_of_rows().choose_rows([])


def _require(text: str, rows: _Rows) -> None:
    if not any(row.is_called(text) for row in rows.usable):
        _table_of_rows().chosen_row(text)  # which says what is wrong with it
        raise ValueError(f"tests run on {', '.join(map(str, rows.usable))}; add it with --nnx-backend {text}")


def _static_shapes(config: pytest.Config) -> bool:
    return bool(config.getoption(_STATIC_SHAPES) or config.getini(_STATIC_SHAPES))


# The report


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
    return not config.getoption("nnx_backend") and any(map(_uses_rows, items))


def _uses_rows(item: pytest.Item) -> bool:
    """Whether a test has one of the fixtures, or is parametrised over rows by itself."""
    callspec = getattr(item, "callspec", None)
    return not {_ROW, _FLOAT64_ROW}.isdisjoint(getattr(item, "fixturenames", ())) or (
        callspec is not None
        and any(type(value).__module__ == "nnx.testing.backend_rows" for value in callspec.params.values())
    )


def _report(config: pytest.Config) -> list[str]:
    """Which rows run, and which do not and why."""
    try:
        rows = _rows(config)
    except _NnxError as error:
        return [f"nnx backends: none, {error}"]
    lines = [f"nnx backends: {', '.join(map(str, rows.usable))}"]
    if any(row.name == _table_of_rows().STRICT for row in rows.usable):
        on = _static_shapes(config)
        lines += [
            f"nnx static shapes: {'on' if on else 'off'}, array-api-strict "
            + ("refuses boolean indexing and shapes that depend on data" if on else "has its flags as they are")
        ]
    return lines + [_why_missing(row, reason) for row, reason in rows.missing.items()]


def _why_missing(row: BackendRow, reason: str) -> str:
    return f"nnx backend {row} does not run: {reason}"


@pytest.hookimpl(trylast=True)  # after -k and -m, which are about tests
def pytest_collection_modifyitems(session: pytest.Session, config: pytest.Config, items: list[pytest.Item]) -> None:
    """Add a skipped test for each missing row, so that the summary (-ra) and files for CI have it with the reason."""
    if _wanted(config, items):
        with contextlib.suppress(_NnxError):
            items += [MissingBackend.of(session, row, reason) for row, reason in _rows(config).missing.items()]


class MissingBackend(pytest.Item):
    """What stands for all tests on a row that does not run."""

    @classmethod
    def of(cls, session: pytest.Session, row: BackendRow, reason: str) -> MissingBackend:
        item: MissingBackend = cls.from_parent(session, name=str(row), nodeid=f"nnx-backends::{row}")
        item.add_marker(pytest.mark.skip(reason=_why_missing(row, reason)))
        return item

    def runtest(self) -> None:
        """Never called."""

    def reportinfo(self) -> tuple[str, int, str]:
        return "nnx-backends", 0, self.name


# Which rows a test has


def _rows(config: pytest.Config) -> _Rows:
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


def _find_rows(chosen: list[str] | None) -> _Rows:
    table = _table_of_rows()
    if not chosen:
        problems = {row: row.problem() for row in table.default_rows()}
        usable = [row for row, problem in problems.items() if problem is None]
        return _Rows(usable, {row: problem for row, problem in problems.items() if problem is not None})
    rows = []
    for text in chosen:
        try:
            rows.append(table.chosen_row(text))
        except (ValueError, RuntimeError) as error:
            raise pytest.UsageError(f"--nnx-backend {text}: {error}") from error
    return _Rows(list(dict.fromkeys(rows)), {})


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
    choices = list(_choices(metafunc.definition))
    for name in wanted:
        usable = [row for row in rows.usable if name == _ROW or row.has_float64()]
        parameters = [pytest.param(row, id=str(row), marks=_skip(_left_out(row, choices))) for row in usable]
        parameters += [
            pytest.param(None, id=str(row), marks=_skip(_why_missing(row, reason)))
            for row, reason in rows.missing.items()
            if choices and _left_out(row, choices) is None and any(choice.names_only(row) for choice in choices)
        ]
        none = pytest.param(None, id="none", marks=_skip("no backend of this run has float64"))
        # Tests stay in their order, except where a module is done with one row before it begins with the next.
        scope: Literal["module", "function"] = "module" if _OF_MODULE[name] in metafunc.fixturenames else "function"
        metafunc.parametrize(name, parameters or [none], indirect=True, scope=scope)


@dataclasses.dataclass
class _Choice:
    """What a mark `nnx_backends` says."""

    only: tuple[str, ...]
    skip: tuple[str, ...]
    reason: str

    def names_only(self, row: BackendRow) -> bool:
        return any(map(row.is_called, self.only))

    def left_out(self, row: BackendRow) -> str | None:
        """Why a row is not for the test; None if it is."""
        if any(map(row.is_called, self.skip)):
            said = f"skip={' '.join(self.skip)}"
        elif self.only and not self.names_only(row):
            said = f"only={' '.join(self.only)}"
        else:
            return None
        return f"nnx_backends {said}" + (f": {self.reason}" if self.reason else "")


def _left_out(row: BackendRow, choices: list[_Choice]) -> str | None:
    return next((reason for choice in choices if (reason := choice.left_out(row)) is not None), None)


def _skip(reason: str | None) -> list[pytest.MarkDecorator]:
    return [] if reason is None else [pytest.mark.skip(reason=reason)]


def _choices(definition: pytest.Item) -> Iterator[_Choice]:
    """The marks of a test, its class and its module; a mistake in one is an error of the collection."""
    for mark in definition.iter_markers("nnx_backends"):
        try:
            yield _choice(*mark.args, **mark.kwargs)
        except (TypeError, ValueError) as error:
            text = ", ".join([*map(repr, mark.args), *(f"{key}={value!r}" for key, value in mark.kwargs.items())])
            hint = "write nnx_backends(only=..., skip=..., reason='...')"
            pytest.fail(f"{definition.nodeid}: mark nnx_backends({text}): {error}; {hint}", pytrace=False)


def _choice(*, only: Iterable[str] | None = None, skip: Iterable[str] | None = None, reason: str = "") -> _Choice:
    only, skip = (
        () if value is None else (value,) if isinstance(value, str) else tuple(value) for value in (only, skip)
    )
    if not only and not skip:
        raise ValueError("it has to name backends")
    for name in (*only, *skip):
        _table_of_rows().check_is_known(name)
    return _Choice(only, skip, reason)


# The fixtures


@pytest.fixture(scope="module")  # or "function": as `pytest_generate_tests` says
def _nnx_backend_row(request: pytest.FixtureRequest) -> BackendRow:
    return _row_of(request)


@pytest.fixture(scope="module")
def _nnx_backend_float64_row(request: pytest.FixtureRequest) -> BackendRow:
    return _row_of(request)


def _row_of(request: pytest.FixtureRequest) -> BackendRow:
    row: BackendRow | _NnxError = request.param
    if isinstance(row, _NnxError):
        pytest.fail(str(row), pytrace=False)
    return row


@pytest.fixture
def backend(request: pytest.FixtureRequest, _nnx_backend_row: BackendRow) -> Iterator[Placement]:
    """The test runs on every usable backend; inside `with nnx.backend(...)`, float32. Yields the placement."""
    with _entered(request, _nnx_backend_row, "float32") as placement:
        yield placement


@pytest.fixture
def backend_float64(request: pytest.FixtureRequest, _nnx_backend_float64_row: BackendRow) -> Iterator[Placement]:
    """Like `backend`, with float64, on the rows that have it: for references and `check_gradients`."""
    with _entered(request, _nnx_backend_float64_row, "float64") as placement:
        yield placement


@pytest.fixture(scope="module")
def module_backend(_nnx_backend_row: BackendRow) -> Placement:
    """Like `backend`, for fixtures that are made once for a module: all its tests run on a row, then on the next."""
    with _nnx_backend_row.entered("float32") as placement:
        return placement


@pytest.fixture(scope="module")
def module_backend_float64(_nnx_backend_float64_row: BackendRow) -> Placement:
    """Like `module_backend`, with float64, on the rows that have it."""
    with _nnx_backend_float64_row.entered("float64") as placement:
        return placement


def pytest_itemcollected(item: pytest.Item) -> None:
    names: list[str] = getattr(item, "fixturenames", [])
    if any(fixture in names for fixture in _OF_MODULE.values()):
        names.insert(0, "_nnx_module_block")  # before the module's fixtures, which are made inside of it


@pytest.fixture
def _nnx_module_block(request: pytest.FixtureRequest) -> Iterator[None]:
    """The block of a test with `module_backend`. It is the test's, so that the module's other tests are outside."""
    with contextlib.ExitStack() as stack:
        for row, dtype in ((_ROW, "float32"), (_FLOAT64_ROW, "float64")):
            if _OF_MODULE[row] in request.fixturenames:
                stack.enter_context(_entered(request, request.getfixturevalue(row), dtype))
        yield


def _entered(
    request: pytest.FixtureRequest, row: BackendRow, dtype: str
) -> contextlib.AbstractContextManager[Placement]:
    mark = request.node.get_closest_marker(_STATIC_SHAPES)
    static = _static_shapes(request.config) if mark is None else _is_on(*mark.args, **mark.kwargs)
    return row.entered(dtype, static_shapes=static)


def _is_on(on: bool = True) -> bool:
    return on


# What a test may leave behind


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call() -> Generator[None, object, object]:
    """What a test chooses with `nnx.set_backend` ends with it."""
    before = _backend_of_process()
    try:
        return (yield)
    finally:
        _put_back(before)


@pytest.hookimpl(wrapper=True)
def pytest_fixture_setup(request: pytest.FixtureRequest) -> Generator[None, object, object]:
    """What a fixture chooses with `nnx.set_backend` holds as long as the fixture."""
    before = _backend_of_process()
    try:
        return (yield)
    finally:
        if _backend_of_process() != before:
            request.addfinalizer(lambda: _put_back(before))


def _backend_of_process() -> tuple[ModuleType | None, object]:
    """nnx's module that knows what `nnx.set_backend` chose, if somebody has imported it, and what that was."""
    context = sys.modules.get("nnx.backends.context")
    return context, context and context.backend_of_process()


def _put_back(before: tuple[ModuleType | None, object]) -> None:
    context = sys.modules.get("nnx.backends.context")
    if context is not None:
        context.put_back_backend(before[1] if context is before[0] else None)
