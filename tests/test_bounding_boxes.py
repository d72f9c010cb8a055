"""Boxes around objects: there and back, on every backend, with derivatives; and what is refused."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

import nnx
from nnx.testing import assert_close
from nnx.utils import bounding_boxes

BOXES = np.asarray([[1.0, 2.0, 4.0, 8.0], [0.0, 0.0, 10.0, 5.0]])


def test_formats_there_and_back(backend) -> None:
    boxes = backend.asarray(BOXES)
    for form, other in itertools.permutations(bounding_boxes.FORMATS, 2):
        made = bounding_boxes.convert_format(boxes, form, other, height=20, width=10)
        assert_close(bounding_boxes.convert_format(made, other, form, 20, 10), BOXES, 1e-5, 1e-5, like=boxes)
    overlap = nnx.grad(lambda x: nnx.ops.sum(bounding_boxes.compute_iou(x, boxes, "xyxy")))(boxes)
    assert overlap.shape == boxes.shape
    deltas = bounding_boxes.encode_box_to_deltas(boxes, boxes + 1.0, "xyxy", "xyxy")
    assert_close(bounding_boxes.decode_deltas_to_boxes(boxes, deltas, "xyxy", "xyxy"), BOXES + 1.0, 1e-5, 1e-5)


def test_what_is_refused() -> None:
    for make, message in (
        (lambda: bounding_boxes.convert_format(BOXES, "xyxy", "rel_xyxy"), "height and width of the image are needed"),
        (lambda: bounding_boxes.convert_format(BOXES, "xyxy", "xy"), "target must be one of 'xyxy'"),
        (lambda: bounding_boxes.convert_format(BOXES[:, :3], "xyxy", "xywh"), "four numbers each"),
        (lambda: bounding_boxes.clip_to_image_size({"boxes": BOXES}), "needs height and width"),
        (lambda: bounding_boxes.encode_box_to_deltas(BOXES, BOXES, "xyxy", "xyxy", variance=[1.0]), "four numbers"),
    ):
        with pytest.raises(ValueError, match=message):
            make()
    with pytest.raises(AttributeError, match="images are turned by layers"):
        bounding_boxes.affine_transform  # noqa: B018
