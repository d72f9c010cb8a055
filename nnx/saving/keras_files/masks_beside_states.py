"""Masks of sequences in calls with a state: recurrent layers of nnx use them, those of Keras 3 do not."""

from __future__ import annotations

from typing import Any

from nnx.graph.symbol import Symbol
from nnx.layers import RNN, Bidirectional
from nnx.layers.recurrent import Recurrent
from nnx.user_warnings import warn_user

__all__ = ["is_recurrent", "warn_of_mask_beside_state"]


def is_recurrent(layer: Any) -> bool:
    """Whether a call of the layer takes states beside a sequence."""
    return isinstance(layer, Recurrent | RNN | Bidirectional)


def warn_of_mask_beside_state(layer: Any, sequence: Any) -> None:
    """Warn if a mask comes with the sequence of a call with states, which has no `mask=`."""
    if isinstance(sequence, Symbol) and _may_have_mask(sequence):
        warn_user(
            f"{layer.name} is called with initial_state= on a sequence with a mask. nnx leaves out the steps that the "
            f"mask leaves out, Keras 3 does not there: where there are such steps, their results differ"
        )


def _may_have_mask(sequence: Symbol) -> bool:
    """Whether a sequence comes from an Embedding or Masking that makes a mask of its steps."""
    stack, seen = [sequence], set()
    while stack:
        node = stack.pop().node
        if node is None or node in seen:
            continue
        seen.add(node)
        if getattr(node.layer, "makes_mask", False):
            return True
        stack += [symbol for symbol in node.inputs if len(symbol.shape) > 2]
    return False
