"""The text of a progress line, as Keras 3 writes it."""

from __future__ import annotations

from collections.abc import Mapping

from nnx.metrics.displayed_results import as_number

WIDTH = 20
DONE, LEFT = "━", "─"
ASCII_DONE, ASCII_LEFT = "=", "."


def running_line(
    seen: int,
    target: int | None,
    elapsed: float,
    step_seconds: float,
    logs: Mapping[str, float],
    *,
    ascii_only: bool,
    loss_first: bool = False,
) -> str:
    """An epoch on its way: with the time left, or the time spent where the number of steps is not known.

    loss_first : the loss stands before the metrics, for a line that is going to be cut.

    >>> running_line(12, 25, 0.4, 0.1, {"loss": 0.5}, ascii_only=True)
    '12/25 =========........... 1s 100ms/step - loss: 0.5000'
    """
    if not target:
        head = f"{seen:7d}/Unknown {elapsed:.0f}s"
    else:
        head = f"{_count(seen, target)} {_bar(seen, target, ascii_only)} {_remaining(step_seconds * (target - seen))}"
    return f"{head} {format_step_time(step_seconds)}{format_logs(logs, loss_first)}"


def finished_line(
    seen: int, target: int | None, elapsed: float, step_seconds: float, logs: Mapping[str, float], *, ascii_only: bool
) -> str:
    """An epoch that is over, with the time it took.

    >>> finished_line(25, 25, 2.0, 0.032, {"loss": 0.5}, ascii_only=True)
    '25/25 ==================== 2s 32ms/step - loss: 0.5000'
    """
    target = target or seen  # a training may end before the epoch does; then the bar is not full
    head = f"{_count(seen, target)} {_bar(seen, target, ascii_only)} {elapsed:.0f}s"
    return f"{head} {format_step_time(step_seconds)}{format_logs(logs)}"


def brief_line(seen: int, target: int | None, elapsed: float, step_seconds: float, logs: Mapping[str, float]) -> str:
    """An epoch that is over, without a bar (verbose=2).

    >>> brief_line(25, 25, 0.2, 0.001, {"loss": 0.5})
    '25/25 - 0s - 1ms/step - loss: 0.5000'
    """
    return f"{_count(seen, target or seen)} - {elapsed:.0f}s - {format_step_time(step_seconds)}{format_logs(logs)}"


def format_logs(logs: Mapping[str, float], loss_first: bool = False) -> str:
    """The metrics, those of validation behind those of training, each group by name; then the learning rate.

    Of several values it is the mean, of tables nothing.
    """
    first = "loss" if loss_first else None
    names = sorted(logs, key=lambda name: (name != first, name == "learning_rate", name.startswith("val_"), name))
    numbers = ((name, as_number(logs[name])) for name in names)
    return "".join(f" - {name}: {format_value(number)}" for name, number in numbers if number is not None)


def format_value(value: object) -> str:
    """Four decimals; small numbers in scientific notation.

    >>> format_value(0.32371), format_value(1.23454e-5), format_value(0.0)
    ('0.3237', '1.2345e-05', '0.0000e+00')
    """
    if not isinstance(value, float | int):
        return str(value)
    return f"{value:.4f}" if abs(value) > 1e-3 else f"{value:.4e}"


def format_step_time(seconds: float) -> str:
    """The time for a step, in the unit that suits it."""
    if seconds >= 1 or seconds == 0:
        return f"{seconds:.0f}s/step"
    return f"{seconds * 1e3:.0f}ms/step" if seconds >= 1e-3 else f"{seconds * 1e6:.0f}us/step"


def _count(seen: int, target: int) -> str:
    return f"{seen:{len(str(target))}d}/{target}"


def _bar(seen: int, target: int, ascii_only: bool) -> str:
    done, left = (ASCII_DONE, ASCII_LEFT) if ascii_only else (DONE, LEFT)
    width = WIDTH if target == 0 else min(WIDTH, WIDTH * seen // target)
    return done * width + left * (WIDTH - width)


def _remaining(seconds: float) -> str:
    whole = int(seconds)
    if seconds > 3600:
        return f"{whole // 3600}:{whole % 3600 // 60:02d}:{whole % 60:02d}"
    return f"{whole // 60}:{whole % 60:02d}" if seconds > 60 else f"{whole}s"
