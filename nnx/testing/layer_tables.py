"""Every table of examples of layers as one."""

from __future__ import annotations

from nnx.testing import (
    cases,
    cases_convolution,
    cases_embedding,
    cases_merging,
    cases_noise,
    cases_normalization,
    cases_preprocessing,
    cases_recurrent,
)
from nnx.testing.cases import LayerCase

ALL_LAYERS: dict[str, list[LayerCase]] = {
    name: list(rows)
    for table in (
        cases,
        cases_convolution,
        cases_embedding,
        cases_merging,
        cases_noise,
        cases_normalization,
        cases_preprocessing,
        cases_recurrent,
    )
    for name, rows in table.LAYERS.items()
}
"""For each layer, its configurations. A public layer without a row fails the suite."""
