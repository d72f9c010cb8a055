"""Cross-entropies of probabilities and logits, one value a sample, and those of labels in sequence."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import numpy as np

from nnx import functional
from nnx.autodiff.array import TrackedArray, constant, lower
from nnx.autodiff.primitive import primitive
from nnx.backends import Array, backend_of, to_numpy
from nnx.ops.operation import as_array, as_floats, name_of_dtype, namespace, operation, promote

__all__ = [
    "binary_crossentropy",
    "categorical_crossentropy",
    "ctc_decode",
    "ctc_loss",
    "sparse_categorical_crossentropy",
]

_EPSILON = 1e-7
_log_sigmoid, _log_softmax = primitive(functional.log_sigmoid), primitive(functional.log_softmax)


@operation
def binary_crossentropy(target: Any, output: Any, from_logits: bool = False) -> Array:
    """Binary cross-entropy of every element: -target * log(output) - (1 - target) * log(1 - output).

    target : the labels 0 and 1, or numbers between them. output : probabilities, clipped to [1e-7, 1 - 1e-7], of the
    same shape; logits with from_logits. The result has that shape.

    >>> binary_crossentropy([0.0, 1.0], [0.5, 0.25]).round(4)
    array([0.6931, 1.3863], dtype=float32)
    """
    y, p = promote(as_floats(target), as_floats(output))
    _check_same_shape("binary_crossentropy", y, p)
    if isinstance(y, TrackedArray):
        if from_logits:
            return -(y * _log_sigmoid(p) + (1.0 - y) * _log_sigmoid(-p))
        p = namespace(y, p).clip(p, _EPSILON, 1.0 - _EPSILON)
        return -(y * namespace(y, p).log(p) + (1.0 - y) * namespace(y, p).log(1.0 - p))

    def of_output(p: Array) -> Any:  # each element is a sample of one
        values, pullback = functional.binary_crossentropy(y[..., None], p[..., None], from_logits)
        return values, lambda dy: pullback(dy)[..., 0]

    return primitive(of_output)(p)


@operation
def categorical_crossentropy(target: Any, output: Any, from_logits: bool = False, axis: int = -1) -> Array:
    """Categorical cross-entropy: -sum(target * log(output / sum(output))) along an axis.

    target : the probability of each class. output : probabilities of the same shape, clipped to [1e-7, 1 - 1e-7];
    logits with from_logits. The result has their shape without the axis of the classes.

    >>> categorical_crossentropy([[0.0, 1.0]], [[0.25, 0.75]]).round(4)
    array([0.2877], dtype=float32)
    """
    y, p = promote(as_floats(target), as_floats(output))
    _check_same_shape("categorical_crossentropy", y, p)
    if isinstance(y, TrackedArray):
        xp = namespace(y)
        if from_logits:
            logarithm = _log_softmax(p, axis)
        else:
            logarithm = xp.log(xp.clip(p / xp.sum(p, axis=axis, keepdims=True), _EPSILON, 1.0 - _EPSILON))
        return -xp.sum(y * logarithm, axis=axis)
    return primitive(lambda p: functional.categorical_crossentropy(y, p, from_logits, axis=axis))(p)


@operation
def sparse_categorical_crossentropy(target: Any, output: Any, from_logits: bool = False, axis: int = -1) -> Array:
    """Categorical cross-entropy of integer labels: -log(output[label] / sum(output)).

    target : integers from 0 to C - 1, of the shape of output without the axis of the classes, or with length 1 there.
    output : probabilities (..., C), clipped to [1e-7, 1 - 1e-7]; logits with from_logits. The value of a label that is
    no class is NaN.

    >>> sparse_categorical_crossentropy([1], [[0.25, 0.75]]).round(4)
    array([0.2877], dtype=float32)
    """
    p, labels = as_floats(output), lower(as_array(target))
    if not name_of_dtype(labels).startswith(("int", "uint")):
        labels = as_array(labels, "int64")

    def of_output(p: Array) -> Any:
        return functional.sparse_categorical_crossentropy(_constant_beside(p, labels), p, from_logits, axis=axis)

    return primitive(of_output)(p)


def _constant_beside(like: Array, array: Array) -> Array:
    """A plain array as a constant, if what stands beside it is tracked by an outer tape."""
    return constant(array, type(like)) if isinstance(like, TrackedArray) else array


def _check_same_shape(name: str, target: Array, output: Array) -> None:
    if tuple(target.shape) != tuple(output.shape):
        raise ValueError(
            f"{name}: target and output must have the same shape, got {tuple(target.shape)} and {tuple(output.shape)}"
        )


@operation
def ctc_loss(target: Any, output: Any, target_length: Any, output_length: Any, mask_index: int = 0) -> Array:
    """Connectionist temporal classification: -log(probability of all paths along the labels).

    target : integers (batch, labels). output : logits (batch, time, classes). target_length, output_length : (batch,).
    mask_index : the class of the blank. The result is (batch,); see `nnx.functional.ctc`.

    >>> ctc_loss([[1]], [[[0.0, 0.0], [0.0, 0.0]]], [1], [2]).round(4)
    array([0.2877], dtype=float32)
    """
    labels, counts, steps = (lower(as_array(value)) for value in (target, target_length, output_length))

    def of_output(logits: Array) -> Any:
        targets = [_constant_beside(logits, array) for array in (labels, counts, steps)]
        return functional.ctc(targets[0], logits, *targets[1:], mask_index)

    return primitive(of_output)(as_floats(output))


@operation
def ctc_decode(
    inputs: Any,
    sequence_lengths: Any,
    strategy: str = "greedy",
    beam_width: int = 100,
    top_paths: int = 1,
    merge_repeated: bool = True,
    mask_index: int = 0,
) -> tuple[Array, Array]:
    """Labels that a network for connectionist temporal classification has read.

    inputs : logits (batch, time, classes). sequence_lengths : (batch,), the steps that count.
    strategy : "greedy", the best class of every step; or "beam_search", the best labels of all paths that are followed,
        which is computed on the host.
    beam_width, top_paths : how many labellings are kept at each step, and returned; for a beam search.
    merge_repeated : whether equal labels without a blank between are one; for "greedy".
    mask_index : the class of the blank.

    Returns labels (top_paths, batch, time), with -1 behind them, and scores: minus the sum of the best logits
    (batch, 1) for "greedy", else the logarithms of the probabilities (batch, top_paths).

    >>> paths, scores = ctc_decode([[[0.0, 9.0], [0.0, 9.0], [9.0, 0.0]]], [3])
    >>> paths.tolist()
    [[[1, -1, -1]]]
    """
    logits, lengths = as_floats(inputs), lower(as_array(sequence_lengths))
    if strategy == "greedy":
        return _decode_greedily(logits, lengths, merge_repeated, mask_index)
    if strategy == "beam_search":
        if isinstance(logits, TrackedArray):
            raise NotImplementedError("ctc_decode: a beam search has no derivative; write nnx.stop_gradient(inputs)")
        return _search_beams(logits, lengths, beam_width, top_paths, mask_index)
    raise ValueError(f"ctc_decode: strategy must be 'greedy' or 'beam_search', got {strategy!r}")


def _decode_greedily(logits: Array, lengths: Array, merge_repeated: bool, mask_index: int) -> tuple[Array, Array]:
    plain, time = lower(logits), logits.shape[1]
    xp = namespace(plain)
    step = xp.arange(time, device=backend_of(plain).device_of(plain))
    beyond = step >= lengths[:, None]
    labels = xp.where(beyond, mask_index, xp.argmax(plain, axis=-1))
    scores = namespace(logits).where(beyond, 0.0, namespace(logits).max(logits, axis=-1))
    blank = labels == mask_index
    if merge_repeated:
        repeated = xp.concat([xp.zeros_like(blank[:, :1]), labels[:, 1:] == labels[:, :-1]], axis=1)
        blank = xp.logical_or(blank, repeated)
    order = xp.argsort(xp.where(blank, time, step), axis=-1, stable=True)  # labels first, in their order
    paths = xp.take_along_axis(xp.where(blank, -1, labels), order, axis=-1)
    return paths[None, ...], -namespace(scores).sum(scores, axis=1, keepdims=True)


def _search_beams(
    logits: Array, lengths: Array, beam_width: int, top_paths: int, mask_index: int
) -> tuple[Array, Array]:
    logarithms = to_numpy(functional.log_softmax(logits)[0]).astype(np.float64)
    batch, time, _ = logarithms.shape
    paths = np.full((top_paths, batch, time), -1, dtype=np.int64)
    scores = np.full((batch, top_paths), -np.inf, dtype=str(to_numpy(logits).dtype))
    for sample, length in enumerate(to_numpy(lengths)):
        found = _best_labellings(logarithms[sample, :length], beam_width, mask_index)
        for rank, (labels, score) in enumerate(found[:top_paths]):
            paths[rank, sample, : len(labels)] = labels
            scores[sample, rank] = score
    backend = backend_of(logits)
    return backend.put_beside(logits, paths), backend.put_beside(logits, scores)


def _best_labellings(logarithms: np.ndarray, width: int, blank: int) -> list[tuple[tuple[int, ...], float]]:
    """Labels and the logarithm of their probability, the best first: for each prefix the paths that end in a blank, and
    those that end in its last label."""
    beams: dict[tuple[int, ...], tuple[float, float]] = {(): (0.0, -math.inf)}
    for step in logarithms:
        grown: dict[tuple[int, ...], list[float]] = defaultdict(lambda: [-math.inf, -math.inf])
        for labels, (at_blank, at_label) in beams.items():
            both = np.logaddexp(at_blank, at_label)
            grown[labels][0] = np.logaddexp(grown[labels][0], both + step[blank])
            for label in range(len(step)):
                if label == blank:
                    continue
                before = both
                if labels and labels[-1] == label:
                    grown[labels][1] = np.logaddexp(grown[labels][1], at_label + step[label])
                    before = at_blank
                longer = grown[(*labels, label)]
                longer[1] = np.logaddexp(longer[1], before + step[label])
        best: Sequence[Any] = sorted(grown.items(), key=lambda item: -np.logaddexp(*item[1]))[:width]
        beams = {labels: (at[0], at[1]) for labels, at in best}
    return [(labels, float(np.logaddexp(*at))) for labels, at in beams.items()]
