"""The results of a training as a CSV file. Its text is compared with Keras in tests/oracles."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nnx
from nnx.callbacks import CSVLogger, LambdaCallback
from nnx.layers import Dense
from nnx.random import Generator

X = np.float32(Generator(1).normal((12, 3)))
Y = np.float32(Generator(2).normal((12, 2)))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "log.csv"


def fit(callbacks: list[Any], **options: Any) -> nnx.callbacks.History:
    model = nnx.Sequential([Dense(2, input_dim=3)])
    model.compile("sgd", "mse", metrics=["mae"])
    return model.fit(X, Y, verbose=0, callbacks=callbacks, **options)


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_the_file_is_the_history(path: Path):
    history = fit([CSVLogger(path)], epochs=4, validation_split=0.5, validation_freq=2).history
    found = rows(path)
    assert path.read_bytes().startswith(b"epoch,loss,mae,val_loss,val_mae\r\n")
    assert [row["epoch"] for row in found] == ["0", "1", "2", "3"]
    assert [float(row["loss"]) for row in found] == history["loss"]
    assert [row["val_mae"] for row in found] == ["NA", str(history["val_mae"][0]), "NA", str(history["val_mae"][1])]


def test_columns_of_a_validation_are_there_only_if_there_is_one(path: Path):
    fit([CSVLogger(path)])
    assert path.read_text().splitlines()[0] == "epoch,loss,mae"
    fit([CSVLogger(path)], validation_split=0.5, validation_freq=3)
    assert path.read_text().splitlines()[0] == "epoch,loss,mae,val_loss,val_mae"


def test_every_line_is_there_at_once_and_after_ctrl_c(path: Path):
    seen: list[int] = []

    def look(epoch: int, logs: Any = None) -> None:
        seen.append(len(rows(path)))
        if epoch == 2:
            raise KeyboardInterrupt

    logger = CSVLogger(path)
    with pytest.raises(KeyboardInterrupt):
        fit([logger, LambdaCallback(on_epoch_end=look)], epochs=9)
    assert seen == [1, 2, 3]
    assert len(rows(path)) == 3
    path.rename(path.with_name("other"))  # also where an open file cannot be renamed
    fit([logger], epochs=1)
    assert len(rows(path)) == 1


def test_going_on_in_a_file(path: Path):
    fit([CSVLogger(path, append=True)], epochs=2, validation_split=0.5, validation_freq=3)
    fit([CSVLogger(path, append=True)], epochs=4, initial_epoch=2, validation_split=0.5)
    found = rows(path)
    assert [row["epoch"] for row in found] == ["0", "1", "2", "3"]
    assert [row["val_loss"] == "NA" for row in found] == [True, True, False, False]


def test_going_on_with_values_that_the_file_has_no_column_for(path: Path):
    path.write_text("epoch;loss;old\r\n0;1.0;2.0\r\n")
    with pytest.warns(UserWarning, match=r"log.csv, which has no column for mae; to log everything, give it another f"):
        history = fit([CSVLogger(path, ";", append=True)], epochs=2)
    losses = history.history["loss"]
    lines = path.read_text().splitlines()
    assert lines == ["epoch;loss;old", "0;1.0;2.0", f"0;{losses[0]};NA", f"1;{losses[1]};NA"]


@pytest.mark.parametrize("text", ["epoch;loss\n", "a poem\n", "\n"])
def test_a_file_of_another_kind_is_left_alone(path: Path, text: str):
    path.write_text(text)
    with pytest.raises(ValueError, match=r"cannot go on in .*log.csv: its first line, '.*', does not begin with 'epo"):
        fit([CSVLogger(path, append=True)])
    assert path.read_text() == text


def test_what_was_there_stays_until_there_is_something_new(path: Path):
    path.write_text("epoch,loss\n0,1.0\n")

    def fail(epoch: int, logs: Any = None) -> None:
        raise RuntimeError("before the first epoch has ended")

    with pytest.raises(RuntimeError, match="before the first epoch"):
        fit([CSVLogger(path), LambdaCallback(on_epoch_begin=fail)])
    assert path.read_text() == "epoch,loss\n0,1.0\n"
    fit([CSVLogger(path)])
    assert len(rows(path)) == 1


def test_a_file_that_cannot_be_written_is_said_before_training(tmp_path: Path):
    seen: list[int] = []
    with pytest.raises(FileNotFoundError, match="nowhere"):
        fit(
            [CSVLogger(tmp_path / "nowhere" / "log.csv"), LambdaCallback(on_epoch_begin=lambda e, logs: seen.append(e))]
        )
    assert seen == []


# Lines that were cut short, and files that are no CSV


CUT = {
    "in a row": ("epoch,loss,mae\r\n0,0.25,0.5\r\n1,0.12", "1,0.12\r\n"),
    "between the end of a line": ("epoch,loss,mae\r\n0,0.25,0.5\r", "0,0.25,0.5\r\n"),
    "before the end of a line": ("epoch,loss,mae\r\n0,0.25,0.5", "0,0.25,0.5\r\n"),
    "not at all": ("epoch,loss,mae\r\n0,0.25,0.5\r\n", "0,0.25,0.5\r\n"),
    "in the first line": ("epoch,lo", "epoch,loss,mae\r\n"),
    "in the first word": ("epo", "epoch,loss,mae\r\n"),
    "before the end of the first line": ("epoch,loss,mae", "epoch,loss,mae\r\n"),
    "before the end of another first line": ("epoch,mae,loss", "epoch,mae,loss\r\n"),
}


@pytest.mark.parametrize("where", CUT)
def test_a_line_that_was_cut_short(path: Path, where: str):
    """By a full disk or a power failure: what is there stays, and the next line begins behind it."""
    before, last = CUT[where]
    path.write_bytes(before.encode())
    history = fit([CSVLogger(path, append=True)], epochs=2).history
    lines = path.read_bytes().decode().splitlines(keepends=True)
    joined = "".join(lines[:-2])
    assert joined.endswith(last)
    assert joined.startswith(before)
    names = lines[0].rstrip().split(",")
    for epoch, line in enumerate(lines[-2:]):
        cells = dict(zip(names, line.rstrip("\r\n").split(","), strict=True))
        assert cells == {"epoch": f"{epoch}", "loss": f"{history['loss'][epoch]}", "mae": f"{history['mae'][epoch]}"}


def test_a_character_that_was_cut_short(path: Path):
    path.write_bytes("epoch,loss,mae\r\n0,1,K\u00f6ln".encode()[:-3])
    fit([CSVLogger(path, append=True)])
    lines = path.read_bytes().split(b"\r\n")
    assert lines[1] == b"0,1,K\xc3"
    assert lines[2].startswith(b"0,")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"\xff\xfee\x00p\x00", "it is no text in UTF-8"),
        (b"epoch,l\xc3\n0,1\n", "it is no text in UTF-8"),
        (b'epoch,"' + b"x" * 200_000 + b'"\n', "its first line is no CSV .*field larger than field limit"),
        (bytes(5_000_000), "does not begin with 'epoch'|is no CSV"),
    ],
)
def test_files_that_are_no_csv_are_named(path: Path, content: bytes, words: str):
    path.write_bytes(content)
    with pytest.raises(ValueError, match=rf"CSVLogger cannot go on in .*log.csv: .*({words})") as caught:
        fit([CSVLogger(path, append=True)])
    assert len(str(caught.value)) < 1000
    assert path.read_bytes() == content


@pytest.mark.parametrize("separator", ["", ";;", "\n", '"', None, 3])
def test_separators_that_no_file_can_have(separator: Any):
    with pytest.raises(ValueError, match="CSVLogger: separator must be one character"):
        CSVLogger("log.csv", separator)


def test_values_that_cannot_be_written(path: Path):
    """Half of a character, as in a name of a metric, loses no epoch."""
    logger = CSVLogger(path)
    fit([LambdaCallback(on_epoch_end=lambda epoch, logs: logs.update({"\ud83d": "\ud83d"})), logger])
    lines = path.read_bytes().splitlines()
    assert lines[0] == b"epoch,loss,mae,\\ud83d"
    assert lines[1].endswith(b",\\ud83d")
