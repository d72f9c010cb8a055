"""CTC: against the sum over all paths, by differences, on every backend, and against PyTorch where it is installed."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

import nnx
from nnx.backends import Placement
from nnx.backends.base import find_backend
from nnx.functional.ctc import IMPOSSIBLE, ctc
from nnx.random import Generator
from nnx.testing import assert_close, check_gradients, no_synchronization

TIME, CLASSES = 5, 3
LABELS = np.asarray([[1, 2, 1], [1, 1, 0], [2, 0, 0], [0, 0, 0], [2, 2, 2], [1, 2, 2]])
LENGTHS = np.asarray([3, 2, 1, 0, 3, 3])
INPUT_LENGTHS = np.asarray([5, 4, 1, 2, 5, 4])
LOGITS = 1.5 * Generator(0).normal((len(LABELS), TIME, CLASSES))


def read(path: tuple[int, ...], blank: int) -> list[int]:
    """What a path means: without repetitions, then without blanks."""
    return [label for label, _ in itertools.groupby(path) if label != blank]


def by_enumeration(labels: np.ndarray, logits: np.ndarray, time: int, blank: int = 0) -> float:
    """-log of the sum of the probabilities of all paths; one sample."""
    p = np.exp(logits) / np.exp(logits).sum(axis=-1, keepdims=True)
    paths = itertools.product(range(logits.shape[1]), repeat=time)
    total = sum(
        np.prod([p[t, label] for t, label in enumerate(path)]) for path in paths if read(path, blank) == list(labels)
    )
    return float(-np.log(total)) if total else IMPOSSIBLE


@pytest.mark.parametrize("input_length", [None, INPUT_LENGTHS], ids=["all steps", "some steps"])
def test_value_is_the_sum_over_all_paths(backend: Placement, input_length: np.ndarray | None) -> None:
    logits, labels = backend.asarray(LOGITS), backend.asarray(LABELS)
    given = None if input_length is None else backend.asarray(input_length)
    dvalues = Generator(1).normal((len(LABELS),))
    with no_synchronization():
        values, pullback = ctc(labels, logits, None, given)
        slope = pullback(backend.asarray(dvalues))
    steps = [TIME] * len(LABELS) if input_length is None else input_length
    expected = [by_enumeration(row[:n], z, t) for row, n, z, t in zip(LABELS, LENGTHS, LOGITS, steps, strict=True)]
    assert_close(values, expected, rtol=1e-5, like=logits)
    _, reference = ctc(LABELS, LOGITS, None, input_length)
    assert_close(slope, reference(dvalues), rtol=2e-5, like=logits)


@pytest.mark.parametrize("input_length", [None, INPUT_LENGTHS], ids=["all steps", "some steps"])
def test_gradient(input_length: np.ndarray | None) -> None:
    check_gradients(lambda logits: ctc(LABELS, logits, None, input_length), LOGITS)


def test_one_number_for_all_cotangents() -> None:
    _, pullback = ctc(LABELS, LOGITS)
    assert_close(pullback(0.5), pullback(np.full(len(LABELS), 0.5)))


def test_another_blank_and_given_lengths() -> None:
    labels, lengths = np.asarray([[0, 1, 1], [1, 0, 2], [0, 0, 0]]), np.asarray([3, 2, 2])
    values, _ = ctc(labels, LOGITS[:3], lengths, mask_index=2)
    expected = [by_enumeration(row[:n], z, TIME, blank=2) for row, n, z in zip(labels, lengths, LOGITS, strict=False)]
    assert_close(values, expected)
    check_gradients(lambda logits: ctc(labels, logits, lengths, mask_index=2), LOGITS[:3])


def test_steps_that_do_not_count_have_no_gradient() -> None:
    _, pullback = ctc(LABELS, LOGITS, None, INPUT_LENGTHS)
    slope = pullback(1.0)
    for row, length in zip(slope, INPUT_LENGTHS, strict=True):
        assert not row[length:].any()
    assert slope[0].any()


def test_labels_that_do_not_fit_are_impossible_and_without_gradient(backend: Placement) -> None:
    labels = backend.asarray(np.asarray([[1, 1, 1, 2], [1, 2, 1, 2]]))  # six steps are needed, and four
    values, pullback = ctc(labels, backend.asarray(LOGITS[:2]))
    assert nnx.to_numpy(values)[0] == IMPOSSIBLE
    assert nnx.to_numpy(values)[1] < 100.0
    slope = nnx.to_numpy(pullback(1.0))
    assert not slope[0].any()
    assert slope[1].any()


def test_extreme_logits_and_long_sequences_stay_finite_in_every_dtype(backend: Placement) -> None:
    logits = np.concatenate([1e3 * LOGITS[:1], -1e3 * LOGITS[:1], 0.0 * LOGITS[:1]]).repeat(20, axis=1)
    for dtype in find_backend(backend.name).float_dtypes(backend.device):
        array = backend.asarray(logits, dtype)
        values, pullback = ctc(backend.asarray(LABELS[:3]), array)
        slope = pullback(backend.asarray(np.ones(3), dtype))
        assert values.dtype == slope.dtype == array.dtype
        assert np.isfinite(nnx.to_numpy(slope)).all()
        if dtype != "float16":  # a loss of 1e5 is beyond its range
            assert np.isfinite(nnx.to_numpy(values)).all()


def test_half_precision_is_computed_in_float32() -> None:
    logits = LOGITS.astype(np.float16)
    values, _ = ctc(LABELS, logits)
    assert_close(values.astype(np.float64), ctc(LABELS, logits.astype(np.float64))[0], rtol=1e-3)
    assert ctc(np.asarray([[1, 1, 1, 1]]), logits[:1])[0] == np.float16(6e4)


@pytest.mark.parametrize("input_length", [None, "some"])
def test_against_pytorch(input_length: Any) -> None:
    torch = pytest.importorskip("torch", reason="the oracle PyTorch is not installed; pip install 'nnx-array[oracle]'")
    generator = Generator(2)
    labels = 1 + (generator.integers(8 * 6).astype(np.int64) % 9).reshape(8, 6)
    lengths = np.asarray([6, 5, 4, 3, 2, 1, 0, 6])
    labels[np.arange(6) >= lengths[:, None]] = 0
    logits = 2.0 * generator.normal((8, 20, 10))
    steps = np.full(8, 20) if input_length is None else np.asarray([20, 19, 15, 11, 7, 3, 2, 13])
    tensor = torch.tensor(logits, requires_grad=True)
    expected = torch.nn.CTCLoss(reduction="none")(
        torch.log_softmax(tensor, dim=-1).permute(1, 0, 2),
        torch.tensor(labels),
        torch.tensor(steps),
        torch.tensor(lengths),
    )
    dvalues = generator.normal((8,))
    expected.backward(torch.tensor(dvalues))
    values, pullback = ctc(labels, logits, lengths, None if input_length is None else steps)
    assert_close(values, expected.detach().numpy(), rtol=1e-10)
    assert_close(pullback(dvalues), tensor.grad.numpy(), rtol=1e-10)


def test_shapes_that_do_not_fit() -> None:
    for labels, logits in [(LABELS[:2], LOGITS), (LABELS[0], LOGITS), (LABELS, LOGITS[0]), (LABELS[:, :0], LOGITS)]:
        with pytest.raises(
            ValueError, match=r"ctc expects labels \(batch, length\) and logits \(batch, time, classes\)"
        ):
            ctc(labels, logits)
    with pytest.raises(ValueError, match="ctc expects labels"):
        ctc(LABELS, LOGITS[:, :0])


@pytest.mark.parametrize("wrong", [-1, CLASSES, -CLASSES, CLASSES + 4])
def test_a_label_that_is_no_class_is_nan_and_touches_no_other_sample(backend: Placement, wrong: int) -> None:
    logits, labels = backend.asarray(LOGITS), LABELS.copy()
    labels[1, 0] = wrong
    with no_synchronization():
        values, pullback = ctc(backend.asarray(labels), logits)
        slope = pullback(1.0)
        expected, reference = ctc(backend.asarray(LABELS), logits)
        expected_slope = reference(1.0)
    others = [0, 2, 3, 4, 5]
    assert np.isnan(nnx.to_numpy(values)[1])
    assert_close(nnx.to_numpy(values)[others], nnx.to_numpy(expected)[others])
    assert_close(nnx.to_numpy(slope)[others], nnx.to_numpy(expected_slope)[others])
    # behind the labels anything can stand
    labels = np.where(np.arange(3) < LENGTHS[:, None], LABELS, wrong)
    assert_close(ctc(backend.asarray(labels), logits, backend.asarray(LENGTHS))[0], nnx.to_numpy(expected))
