"""Formats of bounding boxes, how they overlap and how they differ from anchors, against Keras 3 on JAX."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

keras = pytest.importorskip("keras", reason="the oracle Keras is not installed; pip install 'nnx-array[oracle]'")
theirs = pytest.importorskip("keras.utils", reason="this Keras has no boxes").bounding_boxes

from nnx.random import Generator  # noqa: E402
from nnx.testing import assert_close  # noqa: E402
from nnx.utils import bounding_boxes as ours  # noqa: E402

CORNERS = Generator(1).uniform((2, 5, 2), 0.0, 20.0)
BOXES = np.float32(np.concatenate([CORNERS, CORNERS + Generator(2).uniform((2, 5, 2), 1.0, 9.0)], axis=-1))
OTHERS = np.float32(BOXES[:, ::-1] + Generator(3).uniform((2, 5, 4), 0.0, 0.9))


def test_formats() -> None:
    for source, target in itertools.product(ours.FORMATS, repeat=2):
        given = (source, target, 40, 30)
        assert_close(ours.convert_format(BOXES, *given), np.asarray(theirs.convert_format(BOXES, *given)), 2e-6, 1e-5)
    given = {"boxes": BOXES - 6.0, "labels": np.arange(10).reshape(2, 5)}
    found, expected = (lib.clip_to_image_size(dict(given), 12, 9) for lib in (ours, theirs))
    for key in given:
        assert_close(found[key], np.asarray(expected[key]), 0.0, 0.0)
    for function, arguments in (("crop", (3, 4, 8, 9)), ("pad", (3, 4))):
        found, expected = (getattr(lib, function)(BOXES, *arguments) for lib in (ours, theirs))
        assert_close(found, np.asarray(expected), 0.0, 0.0)


@pytest.mark.parametrize("form", ["xyxy", "center_xywh"])
def test_overlaps_and_differences(form: str) -> None:
    found, expected = (lib.compute_iou(BOXES, OTHERS, form) for lib in (ours, theirs))
    assert_close(found, np.asarray(expected), 2e-5, 1e-6)
    found, expected = (lib.compute_iou(BOXES, OTHERS - 24.0, "xyxy", use_masking=True) for lib in (ours, theirs))
    assert_close(found, np.asarray(expected), 2e-5, 1e-6)
    found, expected = (lib.compute_ciou(BOXES, OTHERS, form) for lib in (ours, theirs))
    assert_close(found, np.asarray(expected), 2e-5, 1e-5)
    options: dict[str, Any] = {"variance": [0.1, 0.1, 0.2, 0.2]}
    found, expected = (lib.encode_box_to_deltas(BOXES[0], OTHERS, form, form, **options) for lib in (ours, theirs))
    assert_close(found, np.asarray(expected), 2e-5, 1e-5)
    back, expected = (lib.decode_deltas_to_boxes(BOXES[0], found, form, "xywh", **options) for lib in (ours, theirs))
    assert_close(back, np.asarray(expected), 2e-5, 1e-4)
