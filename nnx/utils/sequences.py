"""Sequences of different lengths as one array."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Literal

import numpy as np

Side = Literal["pre", "post"]


def pad_sequences(
    sequences: Iterable[Sequence[Any]],
    maxlen: int | None = None,
    dtype: str = "int32",
    padding: Side = "pre",
    truncating: Side = "pre",
    value: Any = 0.0,
) -> np.ndarray:
    """Sequences as rows of one array (samples, maxlen, ...), shorter ones filled up, longer ones cut.

    sequences : lists of numbers, or of equally shaped steps.
    maxlen : by default the length of the longest one.
    dtype : of the result.
    padding, truncating : where to fill, and where to cut: "pre", at the beginning, or "post".
    value : what to fill with.

    ValueError for steps of different shapes, or another word for a side.

    >>> pad_sequences([[1], [2, 3], [4, 5, 6]], maxlen=2)
    array([[0, 1],
           [2, 3],
           [5, 6]], dtype=int32)
    """
    for name, side in (("padding", padding), ("truncating", truncating)):
        if side not in ("pre", "post"):
            raise ValueError(f"{name} must be 'pre' or 'post', got {side!r}")
    rows = [np.asarray(sequence) for sequence in sequences]
    for number, row in enumerate(rows):
        if not row.shape:
            raise ValueError(f"pad_sequences expects a list of sequences, got {row.item()!r} as number {number}")
    length = max((len(row) for row in rows), default=0) if maxlen is None else maxlen
    step = next((row.shape[1:] for row in rows if len(row)), ())
    padded = np.full((len(rows), length, *step), value, dtype=dtype)
    for number, row in enumerate(rows):
        if not len(row) or not length:
            continue
        if row.shape[1:] != step:
            raise ValueError(f"sequence {number} has steps of shape {row.shape[1:]}, the first one of {step}")
        kept = row[-length:] if truncating == "pre" else row[:length]
        place = slice(length - len(kept), length) if padding == "pre" else slice(0, len(kept))
        padded[number, place] = kept
    return padded
