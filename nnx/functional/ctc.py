"""Connectionist temporal classification, a loss for labels in sequence whose places in the input are not known.

Graves et al., "Connectionist temporal classification: labelling unsegmented sequence data with recurrent neural
networks", 2006. A path is, at each step, either at one of the labels or at one of the blanks before, between and after
them. All probabilities are logarithms; that of the impossible is a large negative number, so that nothing becomes NaN.
"""

from __future__ import annotations

import dataclasses
import math

from nnx.backends import Array, array_namespace, backend_of
from nnx.functional.activations import log_softmax
from nnx.functional.loss_functions import mark_built_in, over_axis, require_same_backend
from nnx.pullbacks import Pullback

__all__ = ["ctc"]

IMPOSSIBLE = 1e5
"""The loss where the labels do not fit into the input; in float16, which ends before, 6e4."""

_NEVER = -1e30  # the logarithm of no probability


@mark_built_in
def ctc(
    y_true: Array,
    y_pred: Array,
    label_length: Array | None = None,
    input_length: Array | None = None,
    mask_index: int = 0,
) -> tuple[Array, Pullback]:
    """Connectionist temporal classification: -log(probability of all paths along the labels), by softmax of logits

    y_true : (batch, labels), integers.
    y_pred : (batch, time, classes), logits. float16 is computed in float32.
    label_length, input_length : (batch,), how many labels and steps of each sample count; by default as many labels as
        are not blank, and all steps. What stands behind the labels can be any class.
    mask_index : the class of the blank, by default 0.

    A path has a class at each step; without repetitions, and then without blanks, it is the labels. The probability of
    a path is the product of those of its classes. Labels need a step each, and one more between two that are equal.
    Those that do not fit into the input have the value 1e5 (6e4 in float16) and no gradient; where a label is no class,
    the value is NaN.

    Returns the values (batch,), and pullback(dvalues) -> dy_pred = (softmax(y_pred) - the probability, among the paths
    along the labels, to be at each class) * dvalues, for the steps that count; dvalues is (batch,), or one float for
    all. `nnx.losses.ctc` returns the values alone. ValueError for other shapes, and for inputs without labels or steps.

    Graves et al., "Connectionist temporal classification", 2006.

    >>> import numpy as np
    >>> from nnx import functional
    >>> values, pullback = functional.ctc(np.asarray([[1]]), np.zeros((1, 2, 2)))  # three of four paths: 11, 10, 01
    >>> np.exp(-values).round(4), pullback(1.0).round(4)
    (array([0.75]), array([[[ 0.1667, -0.1667],
            [ 0.1667, -0.1667]]]))
    """
    require_same_backend(y_true, y_pred)
    shape = tuple(y_pred.shape)
    if len(y_true.shape) != 2 or len(shape) != 3 or y_true.shape[0] != shape[0] or 0 in (y_true.shape[1], shape[1]):
        raise ValueError(
            f"ctc expects labels (batch, length) and logits (batch, time, classes), got shapes {tuple(y_true.shape)} "
            f"and {shape}"
        )
    xp = array_namespace(y_pred)
    dtype = y_pred.dtype
    half = xp.finfo(dtype).bits < 32
    logits = xp.astype(y_pred, xp.float32) if half else y_pred
    labels = xp.astype(y_true, xp.int64, copy=False)
    if label_length is None:
        label_length = xp.sum(xp.astype(labels != mask_index, xp.int64), axis=1)
    if input_length is None:
        input_length = xp.full_like(label_length, shape[1])
    logarithms, pullback_logarithms = log_softmax(logits)
    paths = _Paths.along(labels, logarithms, label_length, input_length, mask_index)
    blank, emit = paths.until()
    last = xp.logaddexp(_picked(blank[-1, ...], paths.last_blank), _picked(emit[-1, ...], paths.last_label))
    values = xp.where(paths.possible, -last, 6e4 if half else IMPOSSIBLE)
    values = xp.where(paths.known, values, math.nan)

    def pullback(dvalues: Array | float) -> Array:
        blank_after, emit_after = paths.after()
        total = last[None, :, None]
        at_blank = xp.sum(xp.exp(blank + blank_after - total), axis=2)  # the probability to be there at each step
        at_label = xp.exp(emit + emit_after - total)
        classes = xp.arange(shape[2], dtype=xp.int64, device=backend_of(logits).device_of(logits))
        one_hot = xp.astype(labels[:, :, None] == classes, logits.dtype)
        of_class = xp.permute_dims(at_label, (1, 0, 2)) @ one_hot
        is_blank = xp.astype(classes == mask_index, logits.dtype)
        of_class = of_class + xp.permute_dims(at_blank, (1, 0))[:, :, None] * is_blank
        counts = xp.permute_dims(paths.counts, (1, 0, 2))
        slope = xp.where(xp.logical_and(counts, paths.possible[:, None, None]), -of_class, 0.0)
        if not isinstance(dvalues, int | float):
            dvalues = over_axis(over_axis(xp.astype(dvalues, logits.dtype, copy=False)))
        return xp.astype(pullback_logarithms(slope * dvalues), dtype, copy=False)

    return xp.astype(values, dtype, copy=False), pullback


@dataclasses.dataclass(frozen=True)
class _Paths:
    """What is needed to go along the labels, forwards and backwards.

    blank (time, batch, 1), emit (time, batch, n) : the logarithms of the blank and of each label, at each step
    step_over (batch, n) : 0 where the label can follow the one before without a blank between, else _NEVER
    counts (time, batch, 1), possible (batch,) : whether a step counts, and whether the labels fit into the input
    known (batch,) : whether the labels, without what stands behind them, are classes
    last_blank (batch, n + 1), last_label (batch, n) : where a path may end
    """

    blank: Array
    emit: Array
    step_over: Array
    counts: Array
    possible: Array
    known: Array
    last_blank: Array
    last_label: Array

    @classmethod
    def along(
        cls, labels: Array, logarithms: Array, label_length: Array, input_length: Array, mask_index: int
    ) -> _Paths:
        """labels (batch, n), logarithms (batch, time, classes), lengths (batch,)"""
        xp, device = array_namespace(logarithms), backend_of(logarithms).device_of(logarithms)
        batch, time, classes = logarithms.shape
        n = labels.shape[1]

        def count(stop: int) -> Array:
            return xp.arange(stop, dtype=xp.int64, device=device)

        length = xp.astype(label_length, xp.int64, copy=False)[:, None]
        steps = xp.astype(input_length, xp.int64, copy=False)[:, None]
        repeated = xp.concat([xp.zeros_like(labels[:, :1]) != 0, labels[:, 1:] == labels[:, :-1]], axis=1)
        needed = length[:, 0] + xp.sum(
            xp.astype(xp.logical_and(repeated, count(n)[None, :] < length), xp.int64), axis=1
        )
        inside = xp.logical_and(labels >= 0, labels < classes)
        places = (count(time)[:, None, None] + count(batch)[:, None] * time) * classes + xp.where(inside, labels, 0)
        emit = xp.take(xp.reshape(logarithms, (-1,)), xp.reshape(places, (-1,)))
        return cls(
            blank=xp.permute_dims(logarithms[:, :, mask_index], (1, 0))[:, :, None],
            emit=xp.reshape(emit, (time, batch, n)),
            step_over=xp.where(repeated, _NEVER, xp.zeros_like(emit[0])),
            counts=count(time)[:, None, None] < steps,
            possible=needed <= steps[:, 0],
            known=xp.all(xp.logical_or(inside, count(n)[None, :] >= length), axis=1),
            last_blank=count(n + 1)[None, :] == length,
            last_label=count(n)[None, :] == length - 1,
        )

    def until(self) -> tuple[Array, Array]:
        """For each step the logarithm of the probability of all ways up to each blank and each label."""
        xp = array_namespace(self.emit)
        never = xp.full_like(self.blank[0, ...], _NEVER)
        emit = xp.full_like(self.emit[0, ...], _NEVER)
        blank = xp.concat([xp.zeros_like(never), emit], axis=1)  # before the first step a path is at the first blank
        blanks, emits = [], []
        for t in range(self.emit.shape[0]):
            before = xp.concat([never, emit], axis=1)
            moved = xp.logaddexp(xp.logaddexp(emit, blank[:, :-1]), before[:, :-1] + self.step_over)
            counts = self.counts[t, ...]
            emit = xp.where(counts, moved + self.emit[t, ...], emit)
            blank = xp.where(counts, xp.logaddexp(blank, before) + self.blank[t, ...], blank)
            blanks.append(blank)
            emits.append(emit)
        return xp.stack(blanks), xp.stack(emits)

    def after(self) -> tuple[Array, Array]:
        """For each step the logarithm of the probability of all ways from each blank and each label to the end."""
        xp = array_namespace(self.emit)
        never = xp.full_like(self.blank[0, ...], _NEVER)
        emit = xp.where(self.last_label, xp.zeros_like(self.emit[0, ...]), _NEVER)
        blank = xp.where(self.last_blank, xp.concat([xp.zeros_like(never), xp.zeros_like(emit)], axis=1), _NEVER)
        blanks, emits = [blank], [emit]
        for t in range(self.emit.shape[0] - 1, 0, -1):
            to_emit, to_blank = emit + self.emit[t, ...], blank + self.blank[t, ...]
            over = xp.concat([(to_emit + self.step_over)[:, 1:], never], axis=1)
            counts = self.counts[t, ...]
            emit = xp.where(counts, xp.logaddexp(xp.logaddexp(to_emit, to_blank[:, 1:]), over), emit)
            blank = xp.where(counts, xp.logaddexp(to_blank, xp.concat([to_emit, never], axis=1)), blank)
            blanks.append(blank)
            emits.append(emit)
        return xp.stack(blanks[::-1]), xp.stack(emits[::-1])


def _picked(logarithms: Array, where: Array) -> Array:
    """The one number of each row, or _NEVER."""
    xp = array_namespace(logarithms)
    return xp.max(xp.where(where, logarithms, _NEVER), axis=1)
