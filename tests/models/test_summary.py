"""Tables are compared with what Keras 3 prints for the same models, except where Keras cuts something off."""

from __future__ import annotations

import io
from typing import Any

import pytest

from nnx.models.summary import SummaryRow, SummaryTotals, format_bytes, format_summary, summary_html
from nnx.shapes import format_shape

ROWS = [
    SummaryRow("dense", "Dense", (None, 64), 1344),
    SummaryRow("dropout", "Dropout", (None, 64), 0),
    SummaryRow("batch_normalization", "BatchNormalization", (None, 64), 256),
    SummaryRow("dense_1", "Dense", (None, 10), 650, trainable=False),
]
TOTALS = SummaryTotals(trainable=2122, trainable_bytes=8488, non_trainable=128, non_trainable_bytes=512)
NONE = SummaryTotals(0, 0, 0, 0)
GRAPH = [
    SummaryRow("input_layer_3", "InputLayer", (None, 20), 0),
    SummaryRow("a", "Dense", (None, 8), 168, connected_to="input_layer_3[0][0]"),
    SummaryRow("concatenate", "Concatenate", (None, 24), 0, connected_to="add[0][0], a[0][0], b[0][0]"),
]


@pytest.fixture(autouse=True)
def columns(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    monkeypatch.setenv("COLUMNS", str(getattr(request, "param", 100)))


def as_lines(table: str) -> list[str]:
    return [line.strip("\n") for line in table.strip("\n").split("\n")]


def test_wide_terminal() -> None:
    assert format_summary("sequential", ROWS, TOTALS).split("\n") == as_lines(
        """
Model: "sequential"
┏━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━┳━━━━━━━━━━━━━━━━━━━━━━━━━━━━━┳━━━━━━━━━━━━━━━━━┓
┃ Layer (type)                         ┃ Output Shape                ┃         Param # ┃
┡━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━╇━━━━━━━━━━━━━━━━━━━━━━━━━━━━━╇━━━━━━━━━━━━━━━━━┩
│ dense (Dense)                        │ (None, 64)                  │           1,344 │
├──────────────────────────────────────┼─────────────────────────────┼─────────────────┤
│ dropout (Dropout)                    │ (None, 64)                  │               0 │
├──────────────────────────────────────┼─────────────────────────────┼─────────────────┤
│ batch_normalization                  │ (None, 64)                  │             256 │
│ (BatchNormalization)                 │                             │                 │
├──────────────────────────────────────┼─────────────────────────────┼─────────────────┤
│ dense_1 (Dense)                      │ (None, 10)                  │             650 │
└──────────────────────────────────────┴─────────────────────────────┴─────────────────┘
 Total params: 2,250 (8.79 KB)
 Trainable params: 2,122 (8.29 KB)
 Non-trainable params: 128 (512.00 B)
"""
    )


@pytest.mark.parametrize("columns", [80], indirect=True)
def test_usual_terminal_and_optimizer() -> None:
    totals = SummaryTotals(2122, 8488, 128, 512, optimizer=4246, optimizer_bytes=16988)
    assert format_summary("sequential", ROWS[:1], totals).split("\n") == as_lines(
        """
Model: "sequential"
┏━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━┳━━━━━━━━━━━━━━━━━━━━━━━━┳━━━━━━━━━━━━━━━┓
┃ Layer (type)                    ┃ Output Shape           ┃       Param # ┃
┡━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━╇━━━━━━━━━━━━━━━━━━━━━━━━╇━━━━━━━━━━━━━━━┩
│ dense (Dense)                   │ (None, 64)             │         1,344 │
└─────────────────────────────────┴────────────────────────┴───────────────┘
 Total params: 6,496 (25.38 KB)
 Trainable params: 2,122 (8.29 KB)
 Non-trainable params: 128 (512.00 B)
 Optimizer params: 4,246 (16.59 KB)
"""
    )


def test_line_length_and_positions() -> None:
    lines = format_summary("sequential", ROWS, TOTALS, line_length=70).split("\n")
    assert lines[1] == "┏━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━┳━━━━━━━━━━━━━━━━━━━━━━━┳━━━━━━━━━━━━━┓"
    lines = format_summary("sequential", ROWS, TOTALS, positions=[0.3, 0.6, 1.0]).split("\n")
    expected = "┏━━━━━━━━━━━━━━━━━━━━━━━━━┳━━━━━━━━━━━━━━━━━━━━━━━━┳━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━┓"
    assert lines[1] == expected
    assert format_summary("sequential", ROWS, TOTALS, positions=[26, 52, 88]).split("\n")[1] == expected


@pytest.mark.parametrize("columns", [120], indirect=True)
def test_connected_to_and_trainable() -> None:
    table = format_summary("functional_3", GRAPH, NONE, connected_to=True, show_trainable=True)
    assert table.split("\n")[:10] == as_lines(
        """
Model: "functional_3"
┏━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━┳━━━━━━━━━━━━━━━━━━━━━━━━━━┳━━━━━━━━━━━━━━━━━━┳━━━━━━━━━━━━━━━━━━━━━━━━━┳━━━━━━━━━━━┓
┃ Layer (type)                 ┃ Output Shape             ┃          Param # ┃ Connected to            ┃ Trainable ┃
┡━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━╇━━━━━━━━━━━━━━━━━━━━━━━━━━╇━━━━━━━━━━━━━━━━━━╇━━━━━━━━━━━━━━━━━━━━━━━━━╇━━━━━━━━━━━┩
│ input_layer_3 (InputLayer)   │ (None, 20)               │                0 │ -                       │     -     │
├──────────────────────────────┼──────────────────────────┼──────────────────┼─────────────────────────┼───────────┤
│ a (Dense)                    │ (None, 8)                │              168 │ input_layer_3[0][0]     │     Y     │
├──────────────────────────────┼──────────────────────────┼──────────────────┼─────────────────────────┼───────────┤
│ concatenate (Concatenate)    │ (None, 24)               │                0 │ add[0][0], a[0][0],     │     -     │
│                              │                          │                  │ b[0][0]                 │           │
"""
    )


def test_a_frozen_layer_is_marked() -> None:
    table = format_summary("sequential", ROWS, TOTALS, show_trainable=True)
    assert "│           650 │     N     │" in table
    assert "┃ Trainable ┃" in table  # Keras writes Traina…


def test_layers_of_inner_models_and_long_names() -> None:
    long = "a_rather_long_name_for_a_layer_that_must_wrap_somewhere"
    rows = [
        SummaryRow("inner", "Sequential", (None, 8), 240),
        SummaryRow("dense_3", "Dense", (None, 8), 168, depth=1),
        SummaryRow(long, "Dense", (None, 8), 72, depth=1),
    ]
    table = format_summary("outer", rows, NONE)
    assert "│    └ dense_3 (Dense)                 │ (None, 8)                   │             168 │" in table
    cells = [line.split("│")[1].strip() for line in table.split("\n") if line.startswith("│")]
    assert long in "".join(cells)  # wrapped, with nothing cut off
    assert {len(line) for line in table.split("\n")[1:-3]} == {88}


@pytest.mark.parametrize("columns", [50], indirect=True)
def test_numbers_are_not_broken_in_a_narrow_terminal() -> None:
    table = format_summary("big", [SummaryRow("d", "Dense", (None, 100000), 100100000)], NONE)
    assert table.split("\n")[:7] == as_lines(
        """
Model: "big"
┏━━━━━━━━━━━━━━━┳━━━━━━━━━━━━━━┳━━━━━━━━━━━━━┓
┃ Layer (type)  ┃ Output Shape ┃     Param # ┃
┡━━━━━━━━━━━━━━━╇━━━━━━━━━━━━━━╇━━━━━━━━━━━━━┩
│ d (Dense)     │ (None,       │ 100,100,000 │
│               │ 100000)      │             │
└───────────────┴──────────────┴─────────────┘
"""
    )


@pytest.mark.parametrize("columns", [1, 10, 30], indirect=True)
@pytest.mark.parametrize("connected_to", [False, True])
@pytest.mark.parametrize("show_trainable", [False, True])
def test_no_terminal_is_too_narrow(connected_to: bool, show_trainable: bool) -> None:
    table = format_summary("m", GRAPH, NONE, connected_to=connected_to, show_trainable=show_trainable)
    assert len({len(line) for line in table.split("\n")[1:-3]}) == 1
    assert "168" in table


def test_a_layer_that_is_not_built() -> None:
    table = format_summary("u", [SummaryRow("dense_2", "Dense", None, 0)], NONE)
    assert "│ dense_2 (Dense)                      │ ?                           │     0 (unbuilt) │" in table


def test_a_model_without_layers() -> None:
    assert format_summary("empty", [], NONE).split("\n")[3:] == as_lines(
        """
┡━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━╇━━━━━━━━━━━━━━━━━━━━━━━━━━━━━╇━━━━━━━━━━━━━━━━━┩
└──────────────────────────────────────┴─────────────────────────────┴─────────────────┘
 Total params: 0 (0.00 B)
 Trainable params: 0 (0.00 B)
 Non-trainable params: 0 (0.00 B)
"""
    )


class Stream(io.StringIO):
    def __init__(self, encoding: str) -> None:
        super().__init__()
        self._encoding = encoding

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return self._encoding


@pytest.mark.parametrize("encoding", ["cp1252", "ascii"])
def test_a_stream_that_cannot_draw_boxes(encoding: str) -> None:
    rows = [SummaryRow("dense_Δ", "Dense", (None, 8), 168, depth=1), ROWS[1]]
    table = format_summary("m", rows, NONE, line_length=60, stream=Stream(encoding))
    assert table.split("\n")[:8] == as_lines(
        """
Model: "m"
+--------------------------+-------------------+-----------+
| Layer (type)             | Output Shape      |   Param # |
+==========================+===================+===========+
|    - dense_? (Dense)     | (None, 8)         |       168 |
+--------------------------+-------------------+-----------+
| dropout (Dropout)        | (None, 64)        |         0 |
+--------------------------+-------------------+-----------+
"""
    )
    table.encode(encoding)


def test_a_stream_that_can() -> None:
    assert format_summary("m", ROWS, TOTALS, stream=Stream("utf-8")) == format_summary("m", ROWS, TOTALS)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"line_length": 10}, "line_length=10 with positions=.* fewer than 4 characters"),
        ({"positions": [0.5, 1.0]}, "positions must be 3 increasing numbers, where the columns 'Layer"),
        ({"positions": [0.5, 0.4, 1.0]}, "positions must be 3 increasing"),
        ({"positions": [0.0, 0.4, 1.0]}, "positions must be 3 increasing"),
        ({"positions": [0.98, 0.99, 1.0], "line_length": 40}, "fewer than 4 characters"),
    ],
)
def test_what_does_not_fit_is_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        format_summary("m", ROWS, TOTALS, **arguments)


@pytest.mark.parametrize(
    ("shape", "text"),
    [
        ((None, 64), "(None, 64)"),
        ((None,), "(None)"),
        ((), "()"),
        (None, "?"),
        (((None, 4), (None, 4)), "[(None, 4), (None, 4)]"),
    ],
)
def test_shapes(shape: tuple[Any, ...] | None, text: str) -> None:
    assert format_shape(shape) == text


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, "0.00 B"), (1023, "1023.00 B"), (1024, "1.00 KB"), (800404000, "763.32 MB"), (2**60, "1024.00 PB")],
)
def test_sizes(size: int, text: str) -> None:
    assert format_bytes(size) == text


def test_html() -> None:
    shown = summary_html("<m>", [SummaryRow("a<b", "Dense", (None, 2), 1234)], TOTALS)
    assert "<b>Model: &lt;m&gt;</b>" in shown
    assert ">a&lt;b (Dense)</td>" in shown
    assert ">1,234</td>" in shown
    assert "Total params: 2,250 (8.79 KB)<br>" in shown
    assert "Connected to" not in shown
    assert "Connected to" in summary_html("m", GRAPH, NONE)
