"""What a model shows of itself: the summary, in a terminal and in a notebook."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from nnx import ranks
from nnx.layers.layer import Layer
from nnx.models.summary import SummaryRow, SummaryTotals, format_summary, summary_html
from nnx.names import kind_of
from nnx.parameters import Parameter
from nnx.shapes import Shape


def summary_row(layer: Any, name: str, shape: tuple[Any, ...] | None, depth: int = 0) -> SummaryRow:
    parameters = layer.count_params() if layer.built else 0
    return SummaryRow(name, kind_of(layer), shape, parameters, layer.trainable, depth=depth)


class HasSummary:
    """The part of a model that describes it."""

    name: str
    build_shape: Any
    trainable_weights: list[Parameter]
    non_trainable_weights: list[Parameter]

    @property
    def layers(self) -> list[Layer]:
        """The layers, in the order in which they are shown."""
        return []

    def summary(
        self,
        line_length: int | None = None,
        positions: list[float] | None = None,
        print_fn: Callable[[str], None] | None = None,
        expand_nested: bool = False,
        show_trainable: bool = False,
    ) -> None:
        """Print the table of layers with their output shapes and parameters.

        line_length : width of the table.
        positions : relative or absolute ends of the columns.
        print_fn : called with the text instead of print.
        expand_nested : show the layers of inner models too.
        show_trainable : add a column that says whether a layer is trained.
        """
        if print_fn is None and not ranks.is_main():
            return
        text = format_summary(
            self.name,
            self._summary_rows(expand_nested),
            self._summary_totals(),
            line_length=line_length,
            positions=positions,
            show_trainable=show_trainable,
            connected_to=self.is_graph,
            stream=None if print_fn else sys.stdout,
        )
        (print_fn or print)(text)

    def _repr_html_(self) -> str:
        return summary_html(self.name, self._summary_rows(False), self._summary_totals())

    @property
    def is_graph(self) -> bool:
        """Whether the summary has to say what each layer is connected to."""
        return False

    def _summary_rows(self, expand_nested: bool) -> list[SummaryRow]:
        rows: list[SummaryRow] = []

        def add(model: HasSummary, shape: Shape | None, depth: int) -> None:
            for layer in model.layers:
                shape = layer.compute_output_shape(shape) if shape is not None and layer.built else None
                rows.append(summary_row(layer, layer.name, shape, depth))
                if expand_nested and isinstance(layer, HasSummary):
                    add(layer, layer.build_shape, depth + 1)

        add(self, self.build_shape, 0)
        return rows

    def _summary_totals(self) -> SummaryTotals:
        trained, frozen = self.trainable_weights, self.non_trainable_weights
        return SummaryTotals(
            trainable=sum(p.size for p in trained),
            trainable_bytes=sum(p.nbytes for p in trained),
            non_trainable=sum(p.size for p in frozen),
            non_trainable_bytes=sum(p.nbytes for p in frozen),
        )
