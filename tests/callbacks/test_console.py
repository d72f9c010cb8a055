from __future__ import annotations

import io
import sys
import threading
from collections.abc import Callable
from typing import Any

import pytest
from tqdm import tqdm

from nnx.callbacks.console import can_encode, encodable, is_interactive, is_notebook, standard_output, write_line
from nnx.callbacks.rewritten_line import RewrittenLine


def test_encodings(encoded: Any) -> None:
    assert can_encode("━", io.StringIO())
    assert can_encode("━", None)
    assert can_encode("━", encoded("utf-8"))
    assert not can_encode("━", encoded("cp1252"))
    assert not can_encode("━", encoded("ascii"))
    assert encodable("Δ-loss é", encoded("cp1252")) == "?-loss é"
    assert encodable("Δ-loss é", encoded("utf-8")) == "Δ-loss é"


def test_who_is_interactive(fake_terminal: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    assert is_interactive(fake_terminal)
    assert not is_interactive(io.StringIO())
    assert not is_interactive(object())  # not even the method is there

    class NotebookStream(io.StringIO):
        __module__ = "ipykernel.iostream"

    class IdleShell(type(fake_terminal)):  # type: ignore[misc]
        __module__ = "idlelib.run"

    assert is_interactive(NotebookStream())
    monkeypatch.delitem(sys.modules, "IPython", raising=False)
    assert not is_notebook(NotebookStream())
    monkeypatch.setitem(sys.modules, "IPython", None)  # type: ignore[arg-type]
    assert is_notebook(NotebookStream())
    assert not is_notebook(fake_terminal)
    assert not is_interactive(IdleShell())
    monkeypatch.setenv("PYCHARM_HOSTED", "1")
    assert not is_interactive(io.StringIO())
    monkeypatch.setattr(sys, "__stdout__", io.StringIO())
    assert is_interactive(sys.__stdout__)


def test_standard_output_may_be_missing_or_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stdout", stream)
    assert standard_output() is stream
    stream.close()
    assert standard_output() is None
    monkeypatch.setattr(sys, "stdout", None)
    assert standard_output() is None


def test_write_line_works_on_anything_that_can_be_written_to() -> None:
    class Minimal:
        text = ""

        def write(self, text: str) -> None:
            self.text += text

    stream = Minimal()
    write_line("Epoch 1/2", stream)
    assert stream.text == "Epoch 1/2\n"


def test_a_line_is_rewritten_in_place(pseudo_terminal: Callable[..., Any]) -> None:
    terminal = pseudo_terminal(40)
    line = RewrittenLine("1/2 a rather long text", terminal.stream)
    line.show("2/2 short")
    line.finish("done")
    write_line("next", terminal.stream)
    assert terminal.screen() == ["done", "next", ""]


def test_a_line_is_cut_while_it_runs_and_whole_at_the_end(pseudo_terminal: Callable[..., Any]) -> None:
    terminal = pseudo_terminal(10)
    line = RewrittenLine("0123456789abc", terminal.stream)
    line.show("9876543210abc")
    line.show("漢字漢字漢字漢字")  # of two columns each
    line.finish("0123456789abc")
    written = terminal.written()
    assert "\r012345678\r987654321\r漢字漢字 " in written
    assert terminal.screen() == ["0123456789", "abc", ""]


def test_without_a_last_text_the_line_stays(pseudo_terminal: Callable[..., Any]) -> None:
    terminal = pseudo_terminal(40)
    RewrittenLine("3/25 interrupted", terminal.stream).finish()
    assert terminal.screen() == ["3/25 interrupted", ""]


def test_a_terminal_that_does_not_know_its_size(pseudo_terminal: Callable[..., Any], rendered: Any) -> None:
    terminal = pseudo_terminal(0, lines=0)
    line = RewrittenLine("x" * 100, terminal.stream)
    assert str(line) == "x" * 79
    line.finish("done")
    assert rendered(terminal.written(), 80) == ["done", ""]


def test_it_stands_below_a_progress_bar_of_the_user(pseudo_terminal: Callable[..., Any]) -> None:
    terminal = pseudo_terminal(60)
    with tqdm(total=2, file=terminal.stream, bar_format="fold {n}/{total}", ncols=50, mininterval=0) as folds:
        for fold in range(2):
            write_line(f"Epoch 1/{fold}", terminal.stream)
            line = RewrittenLine("running", terminal.stream)
            line.show("still running")
            line.finish(f"finished {fold}")
            folds.update()
    lines = terminal.screen()
    assert [text for text in lines if text] == ["Epoch 1/0", "finished 0", "Epoch 1/1", "finished 1", "fold 2/2"]


def test_no_thread_and_no_lock_between_processes_is_left(fake_terminal: Any) -> None:
    before = threading.active_count()
    line = RewrittenLine("text", fake_terminal)
    assert threading.active_count() == before
    assert isinstance(RewrittenLine.get_lock(), type(threading.RLock()))
    line.finish()
    assert line not in RewrittenLine._instances
