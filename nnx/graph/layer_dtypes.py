"""Dtypes of layers in a graph: what each converts its floating inputs to, where they do not all compute in one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def dtypes_inside(layers: Sequence[Any]) -> set[str]:
    """The floating dtypes that layers, and those in them, compute in.

    >>> from nnx.layers import Activation
    >>> dtypes_inside([Activation("relu", dtype="float64")])
    {'float64'}
    """
    return {one.compute_dtype for one in _floating(layers)}


def input_dtypes(layers: Sequence[Any], owner: str) -> dict[Any, str | None]:
    """For each layer what its floating inputs are converted to, None for nothing; empty where all have one dtype.

    owner : the name of what they are in. ValueError for a wrapper that would hand another dtype to the layer in it.

    >>> from nnx.layers import Activation, Dense
    >>> body, head = Dense(2), Activation("softmax", dtype="float64")
    >>> list(input_dtypes([body, head], "mine").values()), input_dtypes([body], "mine")
    (['float32', 'float64'], {})
    """
    floating = _floating(layers)
    if len({one.compute_dtype for one in floating}) < 2:
        return {}
    for one in floating:
        inner = () if one.composition is not None or one.is_eager else one.sublayers()
        for layer in inner:
            if layer in floating and layer.compute_dtype != one.compute_dtype:
                raise ValueError(
                    f"{owner}: {one.name} computes in {one.compute_dtype}, and the layer in it, {layer.name}, in "
                    f"{layer.compute_dtype}: give both the same, as in {type(one).__name__}(..., "
                    f"dtype={layer.compute_dtype!r})"
                )
    converts = {one for one in floating if one.converts_inputs and one.autocast and not one.takes_integers}
    return {one: one.compute_dtype if one in converts else None for one in layers}


def _floating(layers: Sequence[Any]) -> dict[Any, None]:
    """The layers, and those in them, that compute in a floating dtype, each once, in their order."""
    inside = [one for layer in layers for _, one in layer.walk()]
    return dict.fromkeys(one for one in inside if one.compute_dtype.startswith("float"))
