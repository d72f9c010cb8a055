from __future__ import annotations

import pytest

from nnx.callbacks import LazyLogs


class Reader:
    def __init__(self) -> None:
        self.reads = 0

    def __call__(self) -> dict[str, float]:
        self.reads += 1
        return {"acc": 0.25, "loss": 1.5}


@pytest.fixture
def reader() -> Reader:
    return Reader()


def test_nothing_is_read_until_a_value_is(reader: Reader) -> None:
    logs = LazyLogs(reader)
    assert (logs or {}) is logs
    assert repr(logs) == "LazyLogs(not read)"
    assert reader.reads == 0


def test_everything_is_read_at_once(reader: Reader) -> None:
    logs = LazyLogs(reader)
    assert logs["loss"] == 1.5
    assert logs.get("acc") == 0.25
    assert logs.get("mae") is None
    assert "loss" in logs
    assert list(logs) == ["acc", "loss"]
    assert len(logs) == 2
    assert dict(logs) == logs.copy() == {"acc": 0.25, "loss": 1.5}
    assert {**logs, "epoch": 3} == {"acc": 0.25, "loss": 1.5, "epoch": 3}
    assert repr(logs) == "LazyLogs({'acc': 0.25, 'loss': 1.5})"
    assert reader.reads == 1


def test_it_cannot_be_changed(reader: Reader) -> None:
    with pytest.raises(TypeError, match="does not support item assignment"):
        LazyLogs(reader)["loss"] = 0.0  # type: ignore[index]


def test_a_missing_name_is_a_key_error(reader: Reader) -> None:
    with pytest.raises(KeyError, match="mae"):
        LazyLogs(reader)["mae"]


def test_after_its_batch_only_what_was_read_is_there(reader: Reader) -> None:
    read, unread = LazyLogs(reader), LazyLogs(reader)
    assert read["loss"] == 1.5
    read.expire()
    unread.expire()
    assert read["acc"] == 0.25
    with pytest.raises(RuntimeError, match=r"keep a copy of them, dict\(logs\)"):
        unread["loss"]
    assert reader.reads == 1


def test_a_failed_read_is_tried_again() -> None:
    results = iter([ZeroDivisionError(), {"loss": 2.0}])

    def read() -> dict[str, float]:
        result = next(results)
        if isinstance(result, Exception):
            raise result
        return result

    logs = LazyLogs(read)
    with pytest.raises(ZeroDivisionError):
        logs["loss"]
    assert logs["loss"] == 2.0
