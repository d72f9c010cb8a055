from __future__ import annotations

import contextlib
import io
import re
import sys
import types
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import nnx
from nnx.callbacks import CallbackList, LambdaCallback, LazyLogs, ProgbarLogger, verbosity

FULL = "━" * 20


class Training:
    """A training whose steps take a given time on a clock, and which counts how often its logs are read."""

    def __init__(
        self, clock: Any, stream: Any = None, verbose: Any = 1, epochs: int = 1, steps: int | None = 4
    ) -> None:
        self.clock, self.reads = clock, 0
        progress = ProgbarLogger(stream=stream, clock=clock)
        self.callbacks = CallbackList(progress, verbose=verbose, epochs=epochs, steps=steps)

    def logs(self) -> dict[str, float]:
        self.reads += 1
        return {"loss": 0.5, "acc": 0.25}

    def batches(self, number: int, seconds: float, mode: str = "train") -> None:
        for batch in range(number):
            self.clock.advance(seconds)
            getattr(self.callbacks, f"on_{mode}_batch_end")(batch, LazyLogs(self.logs))

    def fit(self, epochs: int = 1, steps: int = 4, seconds: float = 0.1, validation: int = 0) -> None:
        with self.callbacks.running("train"):
            for epoch in range(epochs):
                self.callbacks.on_epoch_begin(epoch)
                self.batches(steps, seconds)
                logs = {"loss": 0.5, "acc": 0.25}
                if validation:
                    with self.callbacks.running("test"):
                        self.batches(validation, seconds, "test")
                    logs |= {"val_loss": 0.75, "val_acc": 0.125}
                self.callbacks.on_epoch_end(epoch, logs)


def test_a_file_gets_one_line_for_an_epoch_and_nothing_is_read(clock: Any) -> None:
    stream = io.StringIO()
    training = Training(clock, stream, epochs=2)
    training.fit(epochs=2, validation=3)
    assert stream.getvalue() == (
        f"Epoch 1/2\n4/4 {FULL} 1s 200ms/step - acc: 0.2500 - loss: 0.5000 - val_acc: 0.1250 - val_loss: 0.7500\n"
        f"Epoch 2/2\n4/4 {FULL} 1s 200ms/step - acc: 0.2500 - loss: 0.5000 - val_acc: 0.1250 - val_loss: 0.7500\n"
    )
    assert training.reads == 0


def test_one_epoch_needs_no_heading(clock: Any) -> None:
    stream = io.StringIO()
    Training(clock, stream).fit()
    assert stream.getvalue() == f"4/4 {FULL} 0s 100ms/step - acc: 0.2500 - loss: 0.5000\n"


def test_brief(clock: Any, fake_terminal: Any) -> None:
    training = Training(clock, fake_terminal, verbose=2, epochs=2)
    training.fit(epochs=2)
    assert fake_terminal.getvalue() == (
        "Epoch 1/2\n4/4 - 0s - 100ms/step - acc: 0.2500 - loss: 0.5000\n"
        "Epoch 2/2\n4/4 - 0s - 100ms/step - acc: 0.2500 - loss: 0.5000\n"
    )
    assert training.reads == 0


def test_silent(clock: Any, fake_terminal: Any) -> None:
    training = Training(clock, fake_terminal, verbose=0, epochs=2)
    training.fit(epochs=2, validation=2)
    assert fake_terminal.getvalue() == ""
    assert training.reads == 0


def test_a_terminal_sees_the_bar_grow(clock: Any, pseudo_terminal: Callable[..., Any]) -> None:
    terminal = pseudo_terminal(120)
    Training(clock, terminal.stream).fit(seconds=0.25)
    drawn = [line.rstrip() for line in terminal.written().replace("\n", "\r").split("\r") if line.strip()]
    assert drawn == [
        "1/4 ━━━━━─────────────── 0s 250ms/step - acc: 0.2500 - loss: 0.5000",
        "2/4 ━━━━━━━━━━────────── 0s 250ms/step - acc: 0.2500 - loss: 0.5000",
        "3/4 ━━━━━━━━━━━━━━━───── 0s 250ms/step - acc: 0.2500 - loss: 0.5000",
        f"4/4 {FULL} 0s 250ms/step - acc: 0.2500 - loss: 0.5000",
        f"4/4 {FULL} 1s 250ms/step - acc: 0.2500 - loss: 0.5000",
    ]
    assert terminal.screen() == [drawn[-1], ""]


def test_a_narrow_terminal_sees_the_loss(clock: Any, pseudo_terminal: Callable[..., Any]) -> None:
    terminal = pseudo_terminal(60)
    Training(clock, terminal.stream).fit(seconds=0.25)
    first = terminal.written().replace("\n", "\r").split("\r")
    drawn = [line.rstrip() for line in first if line.strip()]
    assert drawn[0].startswith("1/4 ━━━━━─────────────── 0s 250ms/step - loss: 0.5000 - acc")
    assert drawn[-1].endswith("250ms/step - acc: 0.2500 - loss: 0.5000")  # what stays is whole, as in Keras


@pytest.mark.parametrize("columns", [20, 60, 80, 200])
def test_what_stays_on_a_terminal(clock: Any, rendered: Any, pseudo_terminal: Callable[..., Any], columns: int) -> None:
    terminal = pseudo_terminal(columns)
    Training(clock, terminal.stream, epochs=2).fit(epochs=2, validation=5)
    text = "\n".join(
        f"Epoch {epoch}/2\n4/4 {FULL} 1s 267ms/step - acc: 0.2500 - loss: 0.5000 - val_acc: 0.1250 - val_loss: 0.7500"
        for epoch in (1, 2)
    )
    assert terminal.screen() == [*rendered(text, columns), ""]


def test_reads_are_bounded_by_time_and_not_by_batches(clock: Any, fake_terminal: Any) -> None:
    training = Training(clock, fake_terminal, epochs=100, steps=50)
    training.fit(epochs=100, steps=50, seconds=0.0005)  # 5000 batches in 2.5 seconds
    assert 20 <= training.reads <= 25
    assert fake_terminal.getvalue().count("\n") == 200


def test_a_slow_terminal_does_not_take_all_the_time(clock: Any, fake_terminal: Any) -> None:
    training = Training(clock, fake_terminal, steps=100)
    write = fake_terminal.write

    def slow_write(text: str) -> int:
        clock.advance(0.3)
        return int(write(text))

    fake_terminal.write = slow_write
    training.fit(steps=100, seconds=0.01)
    assert training.reads == 10  # 0.1 seconds of training between two drawings, however long a drawing takes


def test_validation_is_silent_but_says_that_the_epoch_is_done(clock: Any, fake_terminal: Any) -> None:
    training = Training(clock, fake_terminal)
    with training.callbacks.running("train"):
        training.callbacks.on_epoch_begin(0)
        training.batches(4, 0.01)
        assert training.reads == 1
        before = len(fake_terminal.getvalue())
        with training.callbacks.running("test"):
            during = fake_terminal.getvalue()[before:]
            training.batches(20, 0.2, "test")
        assert during.strip() == f"4/4 {FULL} 0s 10ms/step - acc: 0.2500 - loss: 0.5000"
        assert fake_terminal.getvalue()[before:] == during
        assert training.reads == 1
        training.callbacks.on_epoch_end(0, {})


def test_unknown_length(clock: Any, fake_terminal: Any, rendered: Any) -> None:
    training = Training(clock, fake_terminal, epochs=2, steps=None)
    training.fit(epochs=2, steps=3, seconds=0.5)
    written = fake_terminal.getvalue()
    assert "      1/Unknown 0s 500ms/step - acc: 0.2500 - loss: 0.5000" in written
    assert "      3/Unknown 2s 500ms/step" in written
    second = written[written.index("Epoch 2/2") :]
    assert "Unknown" not in second  # the first epoch has shown how long they are
    assert "2/3 ━━━━━━━━━━━━━─────── 0s 500ms/step" in second
    finished = f"3/3 {FULL} 2s 500ms/step - acc: 0.2500 - loss: 0.5000"
    assert rendered(written, 200) == ["Epoch 1/2", finished, "Epoch 2/2", finished, ""]


def test_an_epoch_longer_than_the_one_before(clock: Any, fake_terminal: Any) -> None:
    training = Training(clock, fake_terminal, steps=None)
    training.fit(steps=2, seconds=0.5)
    training.fit(steps=3, seconds=0.5)
    assert f"3/3 {FULL} 0s 500ms/step" in fake_terminal.getvalue()


def test_training_that_stops_within_an_epoch(clock: Any) -> None:
    stream = io.StringIO()
    Training(clock, stream, steps=10).fit(steps=5, seconds=1.0)
    assert stream.getvalue() == " 5/10 ━━━━━━━━━━────────── 5s 1s/step - acc: 0.2500 - loss: 0.5000\n"


def test_the_first_step_counts_only_if_it_is_alone(clock: Any) -> None:
    stream = io.StringIO()
    training = Training(clock, stream, steps=3)
    with training.callbacks.running("train"):
        training.callbacks.on_epoch_begin(0)
        for batch, seconds in enumerate([9.0, 0.5, 0.5]):
            clock.advance(seconds)
            training.callbacks.on_train_batch_end(batch, {})
        training.callbacks.on_epoch_end(0, {"loss": 1.0})
    assert stream.getvalue() == f"3/3 {FULL} 10s 500ms/step - loss: 1.0000\n"


def test_evaluation_and_prediction_after_training_with_the_same_logger(clock: Any) -> None:
    stream = io.StringIO()
    training = Training(clock, stream)
    training.fit()
    with training.callbacks.running("test") as results:
        training.batches(4, 0.2, "test")
        results["loss"] = 1.5
    with training.callbacks.running("predict"):
        training.batches(4, 2.0, "predict")
    assert stream.getvalue().splitlines()[1:] == [
        f"4/4 {FULL} 1s 200ms/step - loss: 1.5000",
        f"4/4 {FULL} 8s 2s/step",
    ]


@pytest.mark.parametrize("error", [KeyboardInterrupt, ZeroDivisionError])
def test_an_error_leaves_the_line_and_goes_on_below(
    clock: Any, pseudo_terminal: Callable[..., Any], error: type[BaseException]
) -> None:
    terminal = pseudo_terminal(80)
    training = Training(clock, terminal.stream, epochs=2)
    with contextlib.suppress(error), training.callbacks.running("train"):
        training.callbacks.on_epoch_begin(0)
        training.batches(2, 0.25)
        raise error
    terminal.stream.write("Traceback")
    running = "2/4 ━━━━━━━━━━────────── 0s 250ms/step - acc: 0.2500 - loss: 0.5000"
    assert terminal.screen() == ["Epoch 1/2", running, "Traceback"]


@pytest.mark.parametrize("verbose", [1, 2])
@pytest.mark.parametrize("mode", ["test", "predict"])
def test_an_error_in_the_first_batch_shows_no_bar(clock: Any, verbose: int, mode: Any) -> None:
    stream = io.StringIO()
    training = Training(clock, stream, verbose=verbose)
    with contextlib.suppress(ZeroDivisionError), training.callbacks.running(mode):
        raise ZeroDivisionError
    assert stream.getvalue() == ""


def test_an_evaluation_inside_training(clock: Any, pseudo_terminal: Callable[..., Any]) -> None:
    terminal = pseudo_terminal(80)
    training, inner = Training(clock, terminal.stream), Training(clock, terminal.stream, steps=2)

    def evaluate(epoch: int, logs: Any) -> None:
        with inner.callbacks.running("test") as results:
            inner.batches(2, 0.25, "test")
            results["loss"] = 2.0

    training.callbacks.callbacks.insert(0, LambdaCallback(on_epoch_end=evaluate))
    training.callbacks._connect()
    training.fit(seconds=0.25)
    assert [line for line in terminal.screen() if line] == [
        f"2/2 {FULL} 0s 250ms/step - loss: 2.0000",
        f"4/4 {FULL} 2s 417ms/step - acc: 0.2500 - loss: 0.5000",
    ]


@pytest.mark.parametrize("encoding", ["cp1252", "ascii", "latin-1", "cp932"])
@pytest.mark.parametrize("terminal", [False, True])
def test_streams_that_cannot_encode_the_bar(clock: Any, encoded: Any, encoding: str, terminal: bool) -> None:
    stream = encoded(encoding, terminal)
    bar, left = (FULL, "─") if encoding == "cp932" else ("=" * 20, ".")  # Japanese consoles know these lines
    training = Training(clock, stream)
    training.logs = lambda: {"Δ": 1.0}  # type: ignore[method-assign]
    training.fit()
    written = stream.getvalue()
    assert (
        written.replace("\r", "\n").rstrip().splitlines()[-1] == f"4/4 {bar} 0s 100ms/step - acc: 0.2500 - loss: 0.5000"
    )
    assert (f"2/4 {bar[:10]}{left * 10} 0s 100ms/step - " in written) == terminal
    assert ("- ?: 1.0000" in written) == (terminal and encoding != "cp932")


class NotebookStream(io.StringIO):
    __module__ = "ipykernel.iostream"


def test_a_notebook_without_displays_shows_the_bar(clock: Any, rendered: Any) -> None:
    stream = NotebookStream()
    Training(clock, stream).fit()
    assert stream.getvalue().count("\r") > 4
    assert rendered(stream.getvalue(), 500) == [f"4/4 {FULL} 0s 100ms/step - acc: 0.2500 - loss: 0.5000", ""]


class Displays:
    """The displays of a cell, as IPython makes them: each has the texts that it ever had."""

    def __init__(self) -> None:
        self.texts: list[list[str]] = []

    def display(self, data: dict[str, str], *, raw: bool, display_id: bool) -> Any:
        assert raw
        assert display_id
        texts = [data["text/plain"]]
        self.texts.append(texts)
        return types.SimpleNamespace(update=lambda data, *, raw: texts.append(data["text/plain"]))


@pytest.fixture
def displays(monkeypatch: pytest.MonkeyPatch) -> Displays:
    displays = Displays()
    monkeypatch.setitem(sys.modules, "IPython", types.SimpleNamespace())
    monkeypatch.setitem(sys.modules, "IPython.display", displays)
    return displays


def test_a_notebook_has_one_display_for_an_epoch(clock: Any, displays: Displays) -> None:
    stream = NotebookStream()
    Training(clock, stream, epochs=2).fit(epochs=2, validation=3, seconds=0.25)
    numbers = "acc: 0.2500 - loss: 0.5000"
    assert [texts[-1] for texts in displays.texts] == [
        f"Epoch {epoch}/2 - 4/4 {FULL} 2s 500ms/step - {numbers} - val_acc: 0.1250 - val_loss: 0.7500"
        for epoch in (1, 2)
    ]
    assert displays.texts[0][0] == f"Epoch 1/2 - 1/4 ━━━━━─────────────── 0s 250ms/step - {numbers}"
    assert stream.getvalue() == ""  # what a cell prints lies between displays, and would divide them


def test_a_display_of_an_epoch_that_is_never_drawn_or_never_ends(clock: Any, displays: Displays) -> None:
    training = Training(clock, NotebookStream())
    training.fit(seconds=0.0)
    training.fit(seconds=0.0)  # over before another drawing is due
    with training.callbacks.running("train"):
        training.callbacks.on_epoch_begin(0)
        training.batches(2, 0.25)
    last = [texts[-1] for texts in displays.texts]
    assert last[1] == f"4/4 {FULL} 0s 0s/step - acc: 0.2500 - loss: 0.5000"
    assert len(displays.texts[1]) == 1
    assert last[2] == "2/4 ━━━━━━━━━━────────── 0s 250ms/step - acc: 0.2500 - loss: 0.5000"
    assert len(last) == 3


def test_a_line_an_epoch_needs_no_display(clock: Any, displays: Displays) -> None:
    stream = NotebookStream()
    Training(clock, stream, verbose=2, epochs=2).fit(epochs=2)
    assert stream.getvalue().count("\n") == 4
    assert displays.texts == []


def test_standard_output_is_looked_up_when_an_epoch_begins(clock: Any, capsys: pytest.CaptureFixture[str]) -> None:
    training = Training(clock)
    elsewhere = io.StringIO()
    with contextlib.redirect_stdout(elsewhere):
        training.fit()
    training.fit()
    assert capsys.readouterr().out == elsewhere.getvalue() == f"4/4 {FULL} 0s 100ms/step - acc: 0.2500 - loss: 0.5000\n"


def _closed() -> io.StringIO:
    stream = io.StringIO()
    stream.close()
    return stream


@pytest.mark.parametrize("stdout", [None, _closed()])
def test_no_standard_output(clock: Any, monkeypatch: pytest.MonkeyPatch, stdout: Any) -> None:
    monkeypatch.setattr(sys, "stdout", stdout)
    training = Training(clock, epochs=2)
    training.fit(epochs=2, validation=2)
    assert training.reads == 0


@pytest.fixture
def hung_up(fake_terminal: Any) -> Iterator[Any]:
    def refuse(text: str) -> int:
        raise OSError(5, "Input/output error")

    write = fake_terminal.write
    fake_terminal.hang_up = lambda: setattr(fake_terminal, "write", refuse)
    yield fake_terminal
    fake_terminal.write = write


def test_a_terminal_that_goes_away_does_not_end_training(clock: Any, hung_up: Any) -> None:
    training = Training(clock, hung_up, epochs=3)
    with training.callbacks.running("train"):
        for epoch in range(3):
            training.callbacks.on_epoch_begin(epoch)
            training.batches(2, 0.25)
            hung_up.hang_up()
            training.batches(2, 0.25)
            training.callbacks.on_epoch_end(epoch, {"loss": 1.0})


@pytest.mark.parametrize(("given", "meant"), [(0, 0), (1, 1), (2, 2), (True, 1), (False, 0), ("auto", 1)])
def test_verbosity(given: Any, meant: int) -> None:
    assert verbosity(given) == meant
    assert type(verbosity(given)) is int


@pytest.mark.parametrize("wrong", [3, -1, "yes", None, 1.5, "1"])
def test_verbosity_refuses_other_values(wrong: Any) -> None:
    with pytest.raises(ValueError, match=rf"verbose must be 0 .*'auto', got {wrong!r}"):
        verbosity(wrong)
    with pytest.raises(ValueError, match="verbose must be"):
        CallbackList(ProgbarLogger(), verbose=wrong)


class Model:
    """A model whose device holds so many bytes, or does not say it."""

    built = True

    def __init__(self, held: int | None) -> None:
        self.placement = self.backend = self
        self.device = None
        self.held_bytes = lambda device: held


@pytest.mark.parametrize(("held", "shown"), [(3 << 20, " - 3.00 MB"), (None, "")])
def test_memory_is_shown_while_the_bar_grows_and_not_in_the_line_that_stays(
    clock: Any, pseudo_terminal: Callable[..., Any], held: int | None, shown: str
) -> None:
    terminal = pseudo_terminal(120)
    training = Training(clock, terminal.stream)
    training.callbacks.find(ProgbarLogger).set_model(Model(held))
    training.fit(seconds=0.25)
    drawn = [line.rstrip() for line in terminal.written().replace("\n", "\r").split("\r") if line.strip()]
    assert [line.partition("loss: 0.5000")[2] for line in drawn] == [shown] * 4 + [""]


@pytest.mark.parametrize("verbose", [1, 2])
def test_a_log_file_has_no_memory(clock: Any, verbose: int) -> None:
    stream = io.StringIO()
    training = Training(clock, stream, verbose=verbose)
    training.callbacks.find(ProgbarLogger).set_model(Model(3 << 20))
    training.fit()
    assert "MB" not in stream.getvalue()


def test_memory_of_a_real_training(fake_terminal: Any) -> None:
    model = nnx.Sequential([nnx.layers.Dense(1, input_dim=2)])
    model.compile("sgd", "mse")
    model.fit([[1.0, 2.0]], [[1.0]], callbacks=[ProgbarLogger(stream=fake_terminal)])
    first, last = fake_terminal.getvalue().strip().split("\r")[0], fake_terminal.getvalue().split("\r")[-1]
    known = model.placement.backend.held_bytes(None) is not None
    assert bool(re.search(r" - \d+\.\d\d [MG]B\s*$", first)) == known
    assert last.startswith("1/1")
    assert "B" not in last
