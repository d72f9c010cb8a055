"""The text of progress lines; every expected string was written by Keras 3's own Progbar, without its colours."""

from __future__ import annotations

import math

import pytest

from nnx.callbacks.progress_line import (
    brief_line,
    finished_line,
    format_logs,
    format_step_time,
    format_value,
    running_line,
)

LOGS = {"loss": 1.8678, "acc": 0.3237}


def test_finished_line() -> None:
    logs = {"val_loss": 1.1854, "loss": 1.8678, "val_acc": 0.35, "acc": 0.3237}
    assert finished_line(25, 25, 2.4, 0.032, logs, ascii_only=False) == (
        "25/25 ━━━━━━━━━━━━━━━━━━━━ 2s 32ms/step - acc: 0.3237 - loss: 1.8678 - val_acc: 0.3500 - val_loss: 1.1854"
    )


def test_brief_line() -> None:
    logs = {"acc": 0.3613, "loss": 1.5999, "val_acc": 0.38, "val_loss": 1.1622}
    assert brief_line(25, 25, 0.1, 0.001, logs) == (
        "25/25 - 0s - 1ms/step - acc: 0.3613 - loss: 1.5999 - val_acc: 0.3800 - val_loss: 1.1622"
    )
    assert brief_line(4, None, 0.35, 0.088, {}) == "4/4 - 0s - 88ms/step"


def test_running_line() -> None:
    assert running_line(12, 25, 0.4, 0.1, LOGS, ascii_only=False) == (
        "12/25 ━━━━━━━━━─────────── 1s 100ms/step - acc: 0.3237 - loss: 1.8678"
    )
    assert running_line(7, 1000, 0.4, 0.002, {}, ascii_only=True) == "   7/1000 .................... 1s 2ms/step"


def test_running_line_of_unknown_length() -> None:
    assert running_line(12, None, 3.2, 0.25, LOGS, ascii_only=False) == (
        "     12/Unknown 3s 250ms/step - acc: 0.3237 - loss: 1.8678"
    )


@pytest.mark.parametrize(
    ("step_seconds", "left"),
    [(0.1, "2s"), (2.9, "58s"), (3.0, "60s"), (3.01, "1:00"), (100.0, "33:20"), (500.0, "2:46:40")],
)
def test_time_left(step_seconds: float, left: str) -> None:
    line = running_line(5, 25, 0.0, step_seconds, {}, ascii_only=True)
    assert line.startswith(f" 5/25 ====................ {left} ")


def test_an_epoch_cut_short_has_a_bar_that_is_not_full() -> None:
    assert finished_line(5, 10, 1.0, 0.2, {}, ascii_only=True) == " 5/10 ==========.......... 1s 200ms/step"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.0, "0s/step"),
        (2e-6, "2us/step"),
        (9.99e-4, "999us/step"),
        (1e-3, "1ms/step"),
        (0.9996, "1000ms/step"),
        (3.4, "3s/step"),
    ],
)
def test_step_time(seconds: float, text: str) -> None:
    assert format_step_time(seconds) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.32371, "0.3237"),
        (-2.0, "-2.0000"),
        (0.001, "1.0000e-03"),
        (0.00101, "0.0010"),
        (1.23454e-5, "1.2345e-05"),
        (-1.23454e-5, "-1.2345e-05"),
        (0.0, "0.0000e+00"),
        (12345.6789, "12345.6789"),
        (math.nan, "nan"),
        (math.inf, "inf"),
        (3, "3.0000"),
        ("text", "text"),
    ],
)
def test_value(value: object, text: str) -> None:
    assert format_value(value) == text


def test_metrics_are_in_the_order_of_keras() -> None:
    logs = {"loss": 1.0, "val_zeta": 1.0, "learning_rate": 1.0, "val_loss": 1.0, "zeta": 1.0, "acc": 1.0}
    names = [part.split(":")[0] for part in format_logs(logs).split(" - ")[1:]]
    assert names == ["acc", "loss", "zeta", "val_loss", "val_zeta", "learning_rate"]


def test_the_loss_stands_first_in_a_line_that_will_be_cut() -> None:
    logs = {"accuracy": 0.5, "loss": 0.25, "val_loss": 0.3}
    assert format_logs(logs) == " - accuracy: 0.5000 - loss: 0.2500 - val_loss: 0.3000"
    assert format_logs(logs, loss_first=True) == " - loss: 0.2500 - accuracy: 0.5000 - val_loss: 0.3000"
