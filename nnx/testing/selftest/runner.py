"""Running of the selftest: its plan, what it does now, the report, and the verdict in the last line."""

from __future__ import annotations

import importlib.metadata
import platform
import sys
import textwrap
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import TextIO

import nnx
from nnx.backends import Placement, to_numpy
from nnx.backends.base import usable_backend
from nnx.file_targets import target_of
from nnx.testing.selftest.check import Check, NotRunError, Part
from nnx.testing.selftest.checks import CHECKS

WIDTH = 79
INDENT = "    "
SILENCE = 3.0  # seconds after which is said what is being done
PASSED, FAILED, UNUSABLE, STOPPED = 0, 1, 2, 130
PACKAGES = ("numpy", "array-api-compat", "array-api-extra", "cupy-cuda12x", "cupy-cuda13x", "torch", "array-api-strict")


def selftest(name: str, device: str | None = None, report: str | None = None) -> int:
    """Prove a backend, print what is done and found, and write a report that is fit for an issue.

    name, device : the backend, "auto" for the best one, and one of its devices; by default its default device.
    report : the path of the report; by default nnx-selftest-NAME.txt in the current folder.

    Returns 0 if all that can run here passed, 1 if something failed, 2 if there is nothing to run, 130 after Ctrl-C.
    The last line is the verdict.
    """
    try:
        if not __debug__:
            raise RuntimeError("python -O leaves out what it would find; run it without -O")
        place = Placement(usable_backend(name), device)
        path = target_of(report or f"nnx-selftest-{place.name}.txt")
        file = path.open("w", encoding="utf-8")
    except (RuntimeError, ValueError, OSError) as error:
        print(f"selftest of {name}: {error}")
        return UNUSABLE
    with file, Output(file, path) as output:
        return Run(place, output).all()


class Output:
    """What is printed and written into the report; a thread says what is being done when nothing was printed for long.

    doing : what that is.
    """

    def __init__(self, file: TextIO, path: Path) -> None:
        self.path = path
        self.doing = ""
        self._file = file
        self._start = self._said = time.monotonic()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._break_silence, daemon=True)

    def __enter__(self) -> Output:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join()

    def say(self, text: str) -> None:
        """Print a line, and write it into the report."""
        self.show(text)
        self.note(text)

    def show(self, text: str) -> None:
        """Print a line."""
        self._said = time.monotonic()
        print(f"{text}\n", end="", flush=True)  # at once, as two threads print

    def note(self, text: str, end: str = "\n") -> None:
        """Write into the report alone, where it stays also if the process dies."""
        self._file.write(text + end)
        self._file.flush()

    def _break_silence(self) -> None:
        while not self._over.wait(SILENCE / 10):
            if time.monotonic() - self._said > SILENCE:
                self.show(f"{time.monotonic() - self._start:5.0f} s  {self.doing}"[:WIDTH])


class Run:
    """A run of all checks on a backend, and what became of them."""

    def __init__(self, place: Placement, output: Output) -> None:
        self._place, self._output = place, output
        self._passed: list[str] = []
        self._failed: list[str] = []
        self._not_run: list[str] = []
        self._lost: str | None = None  # the part after which the device answered no more

    def all(self) -> int:
        """Do everything. Returns the status of the process."""
        start, say = time.perf_counter(), self._output.say
        say(f"selftest of {self._place} {self._place.backend.version()}, nnx {nnx.__version__}")
        for line in _versions():
            self._output.note(line)
        plan = list(self._plan())
        runs = [seconds for _, parts, seconds in plan if isinstance(parts, list)]
        first = " the first time" if self._place.name == "cupy" else ""  # kernels are compiled then, and kept
        say(f"{len(runs)} of {len(plan)} checks can run here, in about {_duration(sum(runs))}{first}; the report is")
        say(f"{self._output.path}\n")
        try:
            for check, parts, _ in plan:
                self._run(check, parts)
        except KeyboardInterrupt:
            self._output.note("stopped")
            status, verdict, why = STOPPED, "STOPPED", f"in {self._output.doing}"
        else:
            status, verdict, why = self._verdict()
        counts = [
            f"{len(self._passed)} check{'s' * (len(self._passed) > 1)} passed" * bool(self._passed),
            f"{len(self._failed)} failed" * bool(self._failed),
            f"{len(self._not_run)} not run" * bool(self._not_run),
            f"in {time.perf_counter() - start:.0f} s",
        ]
        say("")
        if why:
            say(textwrap.fill(f"{verdict}: {why}", WIDTH))
        say(f"{verdict}: {self._place}, {', '.join(filter(None, counts))}")
        return status

    def _verdict(self) -> tuple[int, str, str]:
        """The status of the process, the verdict in a word, and what is to blame."""
        if self._failed:
            return FAILED, "FAILED", ", ".join(self._failed)
        return (PASSED, "PASSED", "") if self._passed else (UNUSABLE, "NOTHING RAN", "")

    def _plan(self) -> Iterator[tuple[Check, list[Part] | str, float]]:
        """Each check with its parts, or the reason why it cannot run, and its seconds."""
        for check in CHECKS:
            try:
                yield check, *check.planned(self._place)
            except NotRunError as error:
                yield check, str(error), 0.0

    def _run(self, check: Check, parts: list[Part] | str) -> None:
        if self._lost:
            parts = f"the device answers no more, since {self._lost}"
        if isinstance(parts, str):
            self._not_run.append(check.name)
            self._result(check.name, "not run", parts)
            return
        start, failures, skipped = time.perf_counter(), list[str](), dict[str, list[str]]()
        for number, (title, part) in enumerate(parts, 1):
            self._output.doing = f"{check.name}, {number} of {len(parts)}: {title}"
            self._output.note(f"{INDENT}{title}: ", end="")  # before it runs: it may take the process along
            try:
                with self._place.computing:
                    found = _emulated(part)
                    self._place.backend.synchronize(self._place.device)  # an error belongs to the part that made it
            except NotRunError as error:
                skipped.setdefault(str(error), []).append(title)
                self._output.note(f"not run, {error}")
            except Exception as error:  # whatever it is, the other parts still have to run
                failures.append(f"{title}: {type(error).__name__}: {error}")
                self._output.note(f"FAILED\n{textwrap.indent(traceback.format_exc().rstrip(), 2 * INDENT)}")
                if not self._answers():
                    self._lost = f"{check.name}: {title}"
                    break
            else:
                self._output.note(found or "passed")
                if check.shown:
                    self._output.show(f"{INDENT}{title}: {found}")
        ran = len(parts) - sum(map(len, skipped.values()))
        (self._failed if failures else self._passed if ran else self._not_run).append(check.name)
        word = "FAILED" if failures else "passed" if ran else "not run"
        what = f"{len(failures)} of {len(parts)} parts" if failures else f"{ran} part{'s' * (ran > 1)}" if ran else ""
        self._result(check.name, word, f"{what:17} {time.perf_counter() - start:6.1f} s".strip())
        reasons = [
            f"{len(titles)} not run{', as ' if len(titles) > 1 else ': '}{titles[0]}: {reason}"
            for reason, titles in skipped.items()
        ]
        for line in [*failures, *reasons]:
            self._output.say(
                textwrap.fill(textwrap.shorten(line, 4 * WIDTH), WIDTH, initial_indent=INDENT, subsequent_indent=INDENT)
            )

    def _result(self, name: str, word: str, rest: str) -> None:
        self._output.say(f"{name:40} {word:7}  {rest}")

    def _answers(self) -> bool:
        """Whether the device still computes: after an access out of bounds, CUDA refuses all that comes."""
        try:
            with self._place.computing:
                return float(to_numpy(self._place.asarray([1.0]) + 1.0)[0]) == 2.0
        except Exception:
            return False


def _emulated(part: Callable[[], str]) -> str:
    """What a part found; NotRunError for want of a library of CUDA that an emulation does not have."""
    try:
        return part()
    except ImportError as error:
        if "cupy_on_cpu does not emulate" not in str(error):  # on a card it is a fault
            raise
        raise NotRunError(str(error)) from error


def _versions() -> Iterator[str]:
    yield f"Python {platform.python_version()}, {platform.platform()}, {' '.join(sys.orig_argv)}"
    for package in PACKAGES:
        try:
            yield f"{package} {importlib.metadata.version(package)}"
        except importlib.metadata.PackageNotFoundError:
            continue


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} minutes"
