"""Summary of a model: the table of its layers as Keras 3 draws it, and the same as HTML for notebooks."""

from __future__ import annotations

import dataclasses
import html
import itertools
import math
import shutil
import sys
import textwrap
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from nnx import ranks
from nnx.callbacks.console import can_encode, encodable, format_bytes
from nnx.graph.program import Program
from nnx.graph.symbol import Node, Symbol
from nnx.names import kind_of, names_apart
from nnx.precision import dtype_bytes
from nnx.shapes import Shape, format_shape

_MARGINS = 3  # of a cell: a space on either side and the line
_NARROWEST = 4  # characters of text in a cell


@dataclasses.dataclass(frozen=True)
class SummaryRow:
    """A layer in the table.

    name, kind : such as "dense" and "Dense".
    output_shape : with None for the batch; a tuple of shapes for several outputs; None where it is not known.
    parameters : how many numbers it has, trained or not.
    trainable : whether they are trained.
    connected_to : the layers whose outputs it takes, for models that are not a chain.
    depth : 0 for a layer of the model, 1 for a layer of a model in it, and so on.
    """

    name: str
    kind: str
    output_shape: tuple[Any, ...] | None
    parameters: int
    trainable: bool = True
    connected_to: str = ""
    depth: int = 0


@dataclasses.dataclass(frozen=True)
class SummaryTotals:
    """What stands below the table: numbers of parameters, and their bytes.

    optimizer : how many numbers the optimiser keeps; None where it has not been built.
    """

    trainable: int
    trainable_bytes: int
    non_trainable: int
    non_trainable_bytes: int
    optimizer: int | None = None
    optimizer_bytes: int = 0

    def lines(self) -> list[tuple[str, int, int]]:
        """(what, how many, bytes); the total includes the optimiser's, as in Keras 3."""
        total = self.trainable + self.non_trainable + (self.optimizer or 0)
        lines = [
            ("Total params", total, self.trainable_bytes + self.non_trainable_bytes + self.optimizer_bytes),
            ("Trainable params", self.trainable, self.trainable_bytes),
            ("Non-trainable params", self.non_trainable, self.non_trainable_bytes),
        ]
        if self.optimizer is not None:
            lines.append(("Optimizer params", self.optimizer, self.optimizer_bytes))
        return lines


@dataclasses.dataclass(frozen=True)
class _Lines:
    """How a table is drawn: (left, filling, between, right) of each horizontal line, and the uprights."""

    top: str
    below_head: str
    between: str
    bottom: str
    head_upright: str
    upright: str
    branch: str  # in front of a layer of an inner model


@dataclasses.dataclass(frozen=True)
class _Column:
    head: str
    alignment: str = "<"


_BOX = _Lines("┏━┳┓", "┡━╇┩", "├─┼┤", "└─┴┘", "┃", "│", "└ ")
_ASCII = _Lines("+-++", "+=++", "+-++", "+-++", "|", "|", "- ")


def format_summary(
    name: str,
    rows: Sequence[SummaryRow],
    totals: SummaryTotals,
    *,
    line_length: int | None = None,
    positions: Sequence[float] | None = None,
    connected_to: bool = False,
    show_trainable: bool = False,
    stream: Any = None,
) -> str:
    """The summary of a model as text, without a newline at the end.

    line_length : width of the table; by default 88 characters, more with the optional columns, less in a narrow
        terminal.
    positions : where the columns end, as fractions of the width or in characters.
    connected_to : with a column of the layers that each layer is connected to.
    show_trainable : with a column that says whether a layer is trained.
    stream : where the text is going to be written; where that cannot take box-drawing characters, the table is drawn
        in ASCII.

    Raises ValueError for columns that are too narrow or positions that do not fit.
    """
    drawing = _BOX if can_encode("".join(dataclasses.astuple(_BOX)), stream) else _ASCII
    columns = _columns(connected_to, show_trainable)
    head, table = [column.head for column in columns], [_cells(row, columns, drawing.branch) for row in rows]
    widths = _widths(columns, line_length, positions, table)
    lines = [f'Model: "{name}"', _rule(drawing.top, widths), *_row(head, columns, widths, drawing.head_upright)]
    lines.append(_rule(drawing.below_head, widths))
    for index, cells in enumerate(table):
        if index:
            lines.append(_rule(drawing.between, widths))
        lines += _row(cells, columns, widths, drawing.upright)
    lines.append(_rule(drawing.bottom, widths))
    lines += [f" {what}: {count:,} ({format_bytes(size)})" for what, count, size in totals.lines()]
    return encodable("\n".join(lines), stream)


def summary_html(name: str, rows: Sequence[SummaryRow], totals: SummaryTotals) -> str:
    """The summary of a model as an HTML table."""
    columns = _columns(connected_to=any(row.connected_to for row in rows), show_trainable=False)
    styles = [f'style="text-align:{"right" if column.alignment == ">" else "left"}"' for column in columns]
    head = "".join(f"<th {style}>{column.head}</th>" for column, style in zip(columns, styles, strict=True))
    body = ""
    for row in rows:
        cells = zip(_cells(row, columns, _BOX.branch), styles, strict=True)
        body += f"<tr>{''.join(f'<td {style}>{html.escape(cell)}</td>' for cell, style in cells)}</tr>"
    sums = "<br>".join(f"{what}: {count:,} ({format_bytes(size)})" for what, count, size in totals.lines())
    return (
        f"<div><b>Model: {html.escape(name)}</b><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
        f"<small>{sums}</small></div>"
    )


def _columns(connected_to: bool, show_trainable: bool) -> list[_Column]:
    columns = [_Column("Layer (type)"), _Column("Output Shape"), _Column("Param #", ">")]
    return columns + [_Column("Connected to")] * connected_to + [_Column("Trainable", "^")] * show_trainable


def _cells(row: SummaryRow, columns: list[_Column], branch: str) -> list[str]:
    unbuilt = " (unbuilt)" if row.output_shape is None and not row.parameters else ""
    trainable = "Y" if row.trainable else "N"
    cells = {
        "Layer (type)": f"{'   ' * row.depth}{branch * bool(row.depth)}{row.name} ({row.kind})",
        "Output Shape": format_shape(row.output_shape),
        "Param #": f"{row.parameters:,}{unbuilt}",
        "Connected to": row.connected_to or "-",
        "Trainable": trainable if row.parameters else "-",
    }
    return [cells[column.head] for column in columns]


def _widths(
    columns: list[_Column], line_length: int | None, positions: Sequence[float] | None, table: list[list[str]]
) -> list[int]:
    """The characters of text in each column."""
    positions = _usual_positions(columns) if positions is None else list(positions)
    if len(positions) != len(columns) or positions != sorted(positions) or positions[0] <= 0:
        raise ValueError(
            f"positions must be {len(columns)} increasing numbers, where the columns "
            f"{', '.join(repr(column.head) for column in columns)} end; got {positions}"
        )
    length = _usual_length(columns) if line_length is None else line_length
    ends = [int(position * length) if positions[-1] <= 1 else int(position) for position in positions]
    widths = [end - start for start, end in itertools.pairwise([0, *ends])]
    excess = _MARGINS * len(widths) + 1  # what margins and lines take, evenly from all
    for index in range(len(widths)):
        part = round(excess / (len(widths) - index))
        widths[index] -= part
        excess -= part
    widths = _with_room_for_numbers(widths, columns, table)
    if min(widths) < _NARROWEST:
        raise ValueError(
            f"line_length={line_length} with positions={positions} leaves a column fewer than {_NARROWEST} "
            f"characters; give a longer line_length, or leave out both"
        )
    return widths


def _usual_positions(columns: list[_Column]) -> list[float]:
    if columns[-1].head == "Trainable":
        return [position * 0.9 for position in _usual_positions(columns[:-1])] + [1.0]
    return [0.45, 0.80, 1.0] if len(columns) == 3 else [0.3, 0.56, 0.74, 1.0]


def _usual_length(columns: list[_Column]) -> int:
    heads = [column.head for column in columns]
    length = 88 + 20 * ("Connected to" in heads) + 12 * ("Trainable" in heads)
    readable = 36 + 20 * (len(columns) - 3)  # in a terminal narrower than this the lines wrap
    return max(readable, min(length, shutil.get_terminal_size().columns - 4))


def _with_room_for_numbers(widths: list[int], columns: list[_Column], table: list[list[str]]) -> list[int]:
    """Widen the columns of numbers and marks, which should not be broken, at the cost of the widest one."""
    widths = list(widths)
    for index, column in enumerate(columns):
        wanted = max(len(cell) for cell in (column.head, *(row[index] for row in table)))
        while column.alignment != "<" and widths[index] < wanted:
            widest = max((other for other in range(len(widths)) if other != index), key=widths.__getitem__)
            if widths[widest] <= 3 * _NARROWEST:
                break
            widths[widest] -= 1
            widths[index] += 1
    return widths


def _row(cells: list[str], columns: list[_Column], widths: list[int], upright: str) -> list[str]:
    """A row of the table, as many lines high as its longest cell needs."""
    wrapped = [textwrap.wrap(cell, width, break_on_hyphens=False) for cell, width in zip(cells, widths, strict=True)]
    lines = []
    for parts in itertools.zip_longest(*wrapped, fillvalue=""):
        aligned = [f" {t:{c.alignment}{width}} " for t, c, width in zip(parts, columns, widths, strict=True)]
        lines.append(upright + upright.join(aligned) + upright)
    return lines


def _rule(characters: str, widths: list[int]) -> str:
    left, filling, between, right = tuple(characters)
    return left + between.join(filling * (width + 2) for width in widths) + right


# Rows of a model


class SummarisedModel(Protocol):
    """What a summary needs of a model."""

    name: str
    build_shape: Any

    @property
    def layers(self) -> list[Any]: ...

    @property
    def is_graph(self) -> bool: ...

    def summary_rows(self, expand_nested: bool) -> list[SummaryRow]: ...


def print_summary(
    model: SummarisedModel,
    *,
    line_length: int | None,
    positions: list[float] | None,
    print_fn: Callable[[str], None] | None,
    expand_nested: bool,
    show_trainable: bool,
) -> None:
    """Print the table, on one rank; the arguments are those of `Model.summary`."""
    if print_fn is None and not ranks.is_main():
        return
    text = format_summary(
        model.name,
        model.summary_rows(expand_nested),
        totals_of(model),
        line_length=line_length,
        positions=positions,
        show_trainable=show_trainable,
        connected_to=model.is_graph,
        stream=None if print_fn else sys.stdout,
    )
    (print_fn or print)(text)


def row_of(layer: Any, name: str, shape: tuple[Any, ...] | None, depth: int = 0) -> SummaryRow:
    """The row of a layer under the name that it has in its model."""
    parameters = layer.count_params() if layer.built else 0
    return SummaryRow(name, kind_of(layer), shape, parameters, layer.trainable, depth=depth)


def rows_of_stack(model: SummarisedModel, expand_nested: bool) -> list[SummaryRow]:
    """The rows of layers in a stack, or of those that an unbuilt model has."""
    rows: list[SummaryRow] = []

    def add(model: SummarisedModel, shape: Shape | None, depth: int) -> None:
        for layer in model.layers:
            shape = layer.compute_output_shape(shape) if shape is not None and layer.built else None
            rows.append(row_of(layer, layer.name, shape, depth))
            if expand_nested and hasattr(layer, "summary_rows"):
                add(layer, layer.build_shape, depth + 1)

    add(model, model.build_shape, 0)
    return rows


def rows_of_graph(model: Any, program: Program, expand_nested: bool) -> list[SummaryRow]:
    """The rows of layers in a graph, with what each is connected to."""
    inputs: list[Symbol] = model.inputs
    names = {layer: name for name, layer in names_apart(model.layers)}
    calls: dict[Any, list[Node]] = {layer: [] for layer in model.layers}
    sources = {s.key: f"{names[layer]}[0][0]" for s, layer in zip(inputs, model.input_layers, strict=False)}
    for node in program.nodes:
        for symbol in node.outputs:  # as Keras writes it: which call of the layer, and which of its outputs
            sources[symbol.key] = f"{names[node.layer]}[{len(calls[node.layer])}][{symbol.index}]"
        calls[node.layer].append(node)
    rows = []
    for layer, nodes in calls.items():
        shapes = tuple(nodes[0].shapes) if nodes else (layer.batch_input_shape,)
        row = row_of(layer, names[layer], shapes if len(shapes) > 1 else shapes[0])
        if layer in model.input_layers and layer.optional:
            row = dataclasses.replace(row, kind=f"{row.kind}, optional")
        connected = [sources[symbol.key] for node in nodes for symbol in node.reads if symbol.key in sources]
        rows.append(dataclasses.replace(row, connected_to=", ".join(connected)))
        if expand_nested and hasattr(layer, "summary_rows"):
            rows += [dataclasses.replace(row, depth=row.depth + 1) for row in layer.summary_rows(True)]
    return rows


def totals_of(model: Any) -> SummaryTotals:
    """The sums below the table."""
    trained, frozen = model.trainable_weights, model.non_trainable_weights
    totals = SummaryTotals(
        trainable=sum(p.size for p in trained),
        trainable_bytes=sum(p.nbytes for p in trained),
        non_trainable=sum(p.size for p in frozen),
        non_trainable_bytes=sum(p.nbytes for p in frozen),
    )
    slots = model.optimizer.slots.values() if model.optimizer else ()
    if not slots:
        return totals
    kept = sum(math.prod(slot.shape) for slot in slots)
    return dataclasses.replace(totals, optimizer=kept, optimizer_bytes=kept * dtype_bytes(model.placement.dtype))
