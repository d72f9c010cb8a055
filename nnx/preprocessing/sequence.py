"""Sequences of different lengths, under the name that scripts know."""

from nnx.utils.sequences import pad_sequences

__all__ = ["pad_sequences"]
