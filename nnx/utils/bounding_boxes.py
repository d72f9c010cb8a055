"""Boxes around objects in images: their formats, and how they overlap. In array code, so that it has derivatives.

Formats: "xyxy", left, top, right and bottom; "yxyx"; "xywh", left, top, width and height; "center_xywh" and
"center_yxhw", the middle and the sides; and, as parts of the sides of an image, "rel_xyxy", "rel_yxyx", "rel_xywh" and
"rel_center_xywh".
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from nnx import ops
from nnx.arguments import choice
from nnx.backends import Array
from nnx.lazy_loading import other_names

__all__ = [
    "clip_to_image_size",
    "compute_ciou",
    "compute_iou",
    "convert_format",
    "crop",
    "decode_deltas_to_boxes",
    "encode_box_to_deltas",
    "pad",
]

__getattr__ = other_names(__name__)

FORMATS = ("xyxy", "yxyx", "xywh", "center_xywh", "center_yxhw", "rel_xyxy", "rel_yxyx", "rel_xywh", "rel_center_xywh")
_EPSILON = 1e-7  # Keras' backend.epsilon()


def convert_format(
    boxes: Any,
    source: str,
    target: str,
    height: float | None = None,
    width: float | None = None,
    dtype: str = "float32",
) -> Any:
    """Boxes (..., 4) in another format, or a dict whose "boxes" are.

    source, target : see the module. height, width : of the image, from a relative format to another one or back.
    dtype : in which that is computed, and of the result.

    ValueError for other formats and shapes, and without the sides of the image where they are needed.

    >>> convert_format([[10.0, 20.0, 30.0, 50.0]], "xyxy", "center_xywh").tolist()
    [[20.0, 35.0, 20.0, 30.0]]
    """
    if isinstance(boxes, Mapping):
        return {**boxes, "boxes": convert_format(boxes["boxes"], source, target, height, width, dtype)}
    source, target = choice("source", source, FORMATS), choice("target", target, FORMATS)
    array = ops.cast(boxes, dtype)
    if array.shape[-1] != 4:
        raise ValueError(f"boxes have four numbers each, got shape {tuple(array.shape)}")
    if source.startswith("rel_") != target.startswith("rel_"):
        if height is None or width is None:
            raise ValueError(f"from {source} to {target} height and width of the image are needed")
        sides = (width, height) if source.startswith("rel_") else (1 / width, 1 / height)
    else:
        sides = (1, 1)
    left, top, right, bottom = _edges(array, source.removeprefix("rel_"))
    x1, y1, x2, y2 = left * sides[0], top * sides[1], right * sides[0], bottom * sides[1]
    form = target.removeprefix("rel_")
    if form == "xyxy":
        parts = [x1, y1, x2, y2]
    elif form == "yxyx":
        parts = [y1, x1, y2, x2]
    elif form == "xywh":
        parts = [x1, y1, x2 - x1, y2 - y1]
    else:
        parts = [(x1 + x2) / 2, (y1 + y2) / 2, x2 - x1, y2 - y1]
        parts = parts if form == "center_xywh" else [parts[1], parts[0], parts[3], parts[2]]
    return ops.concatenate(parts, axis=-1)


def _edges(boxes: Array, form: str) -> tuple[Array, Array, Array, Array]:
    """Left, top, right and bottom of boxes (..., 4), each (..., 1)."""
    a, b, c, d = (boxes[..., place : place + 1] for place in range(4))
    if form == "xyxy":
        return a, b, c, d
    if form == "yxyx":
        return b, a, d, c
    if form == "xywh":
        return a, b, a + c, b + d
    x, y, width, height = (a, b, c, d) if form == "center_xywh" else (b, a, d, c)
    return x - width / 2, y - height / 2, x + width / 2, y + height / 2


def _within(boxes: Array, height: Any, width: Any) -> Array:
    x1, y1, x2, y2 = _edges(boxes, "xyxy")
    parts = [ops.clip(x1, 0, width), ops.clip(y1, 0, height), ops.clip(x2, 0, width), ops.clip(y2, 0, height)]
    return ops.concatenate(parts, axis=-1)


def clip_to_image_size(
    bounding_boxes: Mapping[str, Any],
    height: float | None = None,
    width: float | None = None,
    bounding_box_format: str = "xyxy",
) -> dict[str, Any]:
    """A dict of "boxes" (..., n, 4) and "labels" (..., n) with the boxes cut off at the edges of the image.

    height, width : of the image; "rel_xyxy" needs none. bounding_box_format : "xyxy" or "rel_xyxy".

    The label of a box of which nothing is left becomes -1. ValueError for other formats.

    >>> clip_to_image_size({"boxes": [[-5.0, 0.0, 5.0, 20.0]], "labels": [2]}, 10, 10)["boxes"].tolist()
    [[0.0, 0.0, 5.0, 10.0]]
    """
    form = choice("bounding_box_format", bounding_box_format, ("xyxy", "rel_xyxy"))
    if form == "xyxy" and (height is None or width is None):
        raise ValueError('bounding_box_format="xyxy" needs height and width of the image')
    sides = (1.0, 1.0) if form == "rel_xyxy" else (height, width)
    boxes = _within(ops.cast(bounding_boxes["boxes"], "float32"), *sides)
    made = {**bounding_boxes, "boxes": boxes}
    if bounding_boxes.get("labels") is not None:
        x1, y1, x2, y2 = _edges(boxes, "xyxy")
        labels = ops.convert_to_tensor(bounding_boxes["labels"])
        made["labels"] = ops.where(((x2 - x1) * (y2 - y1))[..., 0] > 0, labels, -1)
    return made


def crop(boxes: Any, top: float, left: float, height: float, width: float, bounding_box_format: str = "xyxy") -> Array:
    """Boxes (..., 4) as they lie in a part of the image, cut off at its edges.

    top, left, height, width : of the part. bounding_box_format : only "xyxy".

    >>> crop([[10.0, 20.0, 50.0, 60.0]], top=10, left=20, height=40, width=20).tolist()
    [[0.0, 10.0, 20.0, 40.0]]
    """
    return _within(pad(boxes, -top, -left, bounding_box_format=bounding_box_format), height, width)


def pad(
    boxes: Any,
    top: float,
    left: float,
    height: float | None = None,
    width: float | None = None,
    bounding_box_format: str = "xyxy",
) -> Array:
    """Boxes (..., 4) of an image that has got so many more rows at its top, and columns to its left.

    height, width : of the image, on which nothing depends. bounding_box_format : only "xyxy".

    >>> pad([[1.0, 2.0, 3.0, 4.0]], top=10, left=20).tolist()
    [[21.0, 12.0, 23.0, 14.0]]
    """
    choice("bounding_box_format", bounding_box_format, ("xyxy",))
    x1, y1, x2, y2 = _edges(ops.cast(boxes, "float32"), "xyxy")
    return ops.concatenate([x1 + left, y1 + top, x2 + left, y2 + top], axis=-1)


# How boxes overlap


def compute_iou(
    boxes1: Any,
    boxes2: Any,
    bounding_box_format: str,
    use_masking: bool = False,
    mask_val: float = -1,
    image_shape: Sequence[int] | None = None,
) -> Array:
    """Intersection over union of each box with each other one: (..., n, 4) and (..., m, 4) give (..., n, m).

    use_masking, mask_val : whether pairs with a box whose numbers are all negative get that value.
    image_shape : (height, width, channels), for relative formats.

    >>> compute_iou([[0.0, 0.0, 2.0, 2.0]], [[0.0, 0.0, 2.0, 1.0], [5.0, 5.0, 6.0, 6.0]], "xyxy").round(3).tolist()
    [[0.5, 0.0]]
    """
    one, other = (_absolute(boxes, bounding_box_format, image_shape) for boxes in (boxes1, boxes2))
    x1, y1, x2, y2 = _edges(one, "xyxy")
    u1, v1, u2, v2 = (ops.swapaxes(edge, -1, -2) for edge in _edges(other, "xyxy"))
    common = ops.maximum(ops.minimum(x2, u2) - ops.maximum(x1, u1), 0)
    common = common * ops.maximum(ops.minimum(y2, v2) - ops.maximum(y1, v1), 0)
    found = common / ((x2 - x1) * (y2 - y1) + (u2 - u1) * (v2 - v1) - common + _EPSILON)
    if not use_masking:
        return found
    nothing = ops.max(one, axis=-1, keepdims=True) < 0
    other_nothing = ops.swapaxes(ops.max(other, axis=-1, keepdims=True), -1, -2) < 0
    return ops.where(ops.logical_or(nothing, other_nothing), mask_val, found)


def compute_ciou(boxes1: Any, boxes2: Any, bounding_box_format: str, image_shape: Sequence[int] | None = None) -> Array:
    """Complete intersection over union of pairs of boxes, (..., 4) and (..., 4): (...).

        iou - (distance of the middles / diagonal around both)² - v² / (v - iou + 1)
        v = 4 / pi² (atan(width2 / height2) - atan(width1 / height1))²

    image_shape : (height, width, channels), for relative formats. Zheng et al., arXiv:1911.08287.

    >>> compute_ciou([[0.0, 0.0, 2.0, 2.0]], [[0.0, 0.0, 2.0, 2.0]], "xyxy").round(3).tolist()
    [1.0]
    """
    one, other = (_absolute(boxes, bounding_box_format, image_shape) for boxes in (boxes1, boxes2))
    x1, y1, x2, y2 = (edge[..., 0] for edge in _edges(one, "xyxy"))
    u1, v1, u2, v2 = (edge[..., 0] for edge in _edges(other, "xyxy"))
    width, height, other_width, other_height = x2 - x1, y2 - y1 + _EPSILON, u2 - u1, v2 - v1 + _EPSILON
    common = ops.maximum(ops.minimum(x2, u2) - ops.maximum(x1, u1), 0)
    common = common * ops.maximum(ops.minimum(y2, v2) - ops.maximum(y1, v1), 0)
    iou = common / (width * height + other_width * other_height - common + 2 * _EPSILON)
    around = ops.maximum(x2, u2) - ops.minimum(x1, u1), ops.maximum(y2, v2) - ops.minimum(y1, v1)
    distance = ((x1 + x2 - u1 - u2) / 2) ** 2 + ((y1 + y2 - v1 - v2) / 2) ** 2
    v = 4 / math.pi**2 * (ops.arctan(other_width / other_height) - ops.arctan(width / height)) ** 2
    return iou - distance / (around[0] ** 2 + around[1] ** 2 + _EPSILON) - v * v / (v - iou + (1 + _EPSILON))


def _absolute(boxes: Any, form: str, image_shape: Sequence[int] | None) -> Array:
    height, width = (None, None) if image_shape is None else image_shape[:2]
    return convert_format(boxes, form, "xyxy", height, width)


# Boxes beside anchors, as detectors predict them


def encode_box_to_deltas(
    anchors: Any,
    boxes: Any,
    anchor_format: str,
    box_format: str,
    encoding_format: str = "center_yxhw",
    variance: Sequence[float] | None = None,
    image_shape: Sequence[int] | None = None,
) -> Array:
    """How boxes (..., n, 4) differ from anchors (n, 4): by parts of their sides, and logarithms of ratios of these.

    encoding_format : "center_yxhw" or "center_xywh", the order of the result. variance : four numbers that divide it.
    image_shape : (height, width, channels), for relative formats.

    >>> encode_box_to_deltas([[0.0, 0.0, 2.0, 2.0]], [[1.0, 0.0, 3.0, 2.0]], "xyxy", "xyxy").tolist()
    [[0.0, 0.5, 0.0, 0.0]]
    """
    of_anchors, of_boxes = _beside(encoding_format, image_shape, (anchors, anchor_format), (boxes, box_format))
    sides = ops.maximum(of_anchors[..., 2:], _EPSILON)
    moved = (of_boxes[..., :2] - of_anchors[..., :2]) / sides
    deltas = ops.concatenate([moved, ops.log(ops.maximum(of_boxes[..., 2:], _EPSILON) / sides)], axis=-1)
    return deltas if variance is None else deltas / ops.cast(_four(variance), "float32")


def decode_deltas_to_boxes(
    anchors: Any,
    boxes_delta: Any,
    anchor_format: str,
    box_format: str,
    encoded_format: str = "center_yxhw",
    variance: Sequence[float] | None = None,
    image_shape: Sequence[int] | None = None,
) -> Any:
    """The boxes that differ so from anchors: the inverse of `encode_box_to_deltas`. Dicts give a dict by their keys.

    >>> decode_deltas_to_boxes([[0.0, 0.0, 2.0, 2.0]], [[0.0, 0.5, 0.0, 0.0]], "xyxy", "xyxy").tolist()
    [[1.0, 0.0, 3.0, 2.0]]
    """
    rest = (anchor_format, box_format, encoded_format, variance, image_shape)
    if isinstance(anchors, Mapping):
        return {key: decode_deltas_to_boxes(one, boxes_delta[key], *rest) for key, one in anchors.items()}
    (of_anchors,) = _beside(encoded_format, image_shape, (anchors, anchor_format))
    deltas = ops.cast(boxes_delta, "float32")
    deltas = deltas if variance is None else deltas * ops.cast(_four(variance), "float32")
    moved = deltas[..., :2] * of_anchors[..., 2:] + of_anchors[..., :2]
    made = ops.concatenate([moved, ops.exp(deltas[..., 2:]) * of_anchors[..., 2:]], axis=-1)
    height, width = (None, None) if image_shape is None else image_shape[:2]
    return convert_format(made, encoded_format, box_format, height, width)


def _beside(form: str, image_shape: Sequence[int] | None, *given: tuple[Any, str]) -> list[Array]:
    form = choice("the format of differences", form, ("center_xywh", "center_yxhw"))
    height, width = (None, None) if image_shape is None else image_shape[:2]
    return [convert_format(boxes, source, form, height, width) for boxes, source in given]


def _four(variance: Sequence[float]) -> Sequence[float]:
    if len(variance) != 4:
        raise ValueError(f"variance must be four numbers, got {variance!r}")
    return variance
