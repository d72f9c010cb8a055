"""The class CTC: its reductions, its names, and mistakes that are found on the host."""

from __future__ import annotations

import numpy as np
import pytest

from nnx.functional.ctc import ctc
from nnx.losses.base import Loss
from nnx.losses.base import registry as losses
from nnx.losses.ctc import CTC
from nnx.random import Generator
from nnx.testing import assert_close

LABELS = np.asarray([[1, 2, 2], [3, 0, 0], [1, 1, 0]])
LOGITS = Generator(0).normal((3, 5, 4))


def test_it_is_found_by_its_names() -> None:
    for name in ("ctc", "CTC"):
        assert losses.find(name) is CTC
    assert CTC.from_config(CTC(reduction="sum").get_config()).reduction == "sum"


@pytest.mark.parametrize("reduction", ["sum_over_batch_size", "sum", "none"])
def test_it_reduces_the_values_of_the_samples(reduction: str) -> None:
    weight = np.asarray([0.5, 2.0, 0.0])
    values, pullback_values = ctc(LABELS, LOGITS)
    scale = {"sum_over_batch_size": 1.0 / 3.0}.get(reduction, 1.0)
    loss, pullback = CTC(reduction=reduction).forward(LABELS, LOGITS, weight)
    expected = values * weight if reduction == "none" else np.sum(values * weight) * scale
    assert_close(loss, expected)
    assert_close(pullback(), pullback_values(weight * scale))
    _, pullback = CTC(reduction="sum").forward(LABELS, LOGITS)
    assert_close(pullback(), pullback_values(1.0))


def test_it_takes_integer_labels_and_logits() -> None:
    loss = CTC()
    assert isinstance(loss, Loss)
    assert loss.integer_targets
    assert loss.fuses_with is None
    assert loss.name == "ctc"
    assert_close(loss(LABELS.tolist(), LOGITS), ctc(LABELS, LOGITS)[0].mean())


MISTAKES = {
    "no sequences": (np.asarray([1, 2]), r"labels \(batch, length\).* got labels of shape \(None,\)"),
    "negative": (np.asarray([[1, -1]]), r"got the label -1; labels are whole numbers from 1 to 4 - 1"),
    "too large": (np.asarray([[1, 4]]), r"got the label 4"),
    "broken": (np.asarray([[1.5, 2.0]]), r"got the label 1.5"),
    "blank between": (np.asarray([[1, 2], [0, 3]]), r"0, the blank, before a label in row 1: \[0 3\]"),
    "too long": (
        np.asarray([[1, 2, 3, 0], [1, 1, 1, 1]]),
        r"the labels of row 1 need 7 time steps, .* but the outputs have 5",
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_targets_are_checked_on_the_host(mistake: str) -> None:
    labels, words = MISTAKES[mistake]
    with pytest.raises(ValueError, match=words):
        CTC().check_targets(labels, (None, 5, 4))


def test_good_targets_pass() -> None:
    CTC().check_targets(LABELS, (None, 5, 4))
    CTC().check_targets(np.asarray([[1, 1, 1, 0], [0, 0, 0, 0]]), (None, 5, 4))
    CTC().check_targets(np.asarray([[1, 1, 1, 9]]), (None, None, None))  # nothing is known of the output
    with pytest.raises(ValueError, match=r"outputs of shape \(None, 4\)"):
        CTC().check_targets(LABELS, (None, 4))
