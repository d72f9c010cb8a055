"""Random targets and predictions of the kinds that losses are made for."""

from __future__ import annotations

import numpy as np

from nnx.random import Generator


def draw(
    targets: str,
    predictions: str,
    shape: tuple[int, ...],
    seed: int = 0,
    *,
    axis: int = -1,
    ignore_class: int | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Targets and predictions, float64 (labels int64), away from the kinks of losses.

    targets, predictions : "numbers" of both signs, "positive" numbers, "probabilities" (each between 0 and 1),
        "bits" (0 and 1), "signs" (-1 and 1), "one_hot", or "labels" (the numbers of classes).
    shape : of the predictions.
    axis : that of the classes, for "one_hot" and "labels".
    ignore_class : every third label is this one.
    """
    random = Generator(seed)

    def array(kind: str) -> np.ndarray:
        if kind == "numbers":
            return 2.0 * random.normal(shape)
        if kind == "positive":
            return random.uniform(shape, 0.2, 3.0)
        if kind == "probabilities":
            return random.uniform(shape, 0.05, 0.95)
        if kind in ("bits", "signs"):
            bits: np.ndarray = np.floor(random.uniform(shape, 0.0, 2.0))
            return bits if kind == "bits" else 2.0 * bits - 1.0
        if kind not in ("labels", "one_hot"):
            raise ValueError(f"unknown kind of example data {kind!r}")
        axes = tuple(size for place, size in enumerate(shape) if place != axis % len(shape))
        labels: np.ndarray = np.floor(random.uniform(axes, 0.0, shape[axis])).astype(np.int64)
        if kind == "labels":
            if ignore_class is not None:
                labels.reshape(-1)[::3] = ignore_class
            return labels
        one_hot: np.ndarray = np.moveaxis(np.eye(shape[axis])[labels], -1, axis)
        return one_hot

    drawn = array(predictions)
    return array(targets), drawn


def draw_metric(kind: str, seed: int, rows: int) -> tuple[np.ndarray, np.ndarray]:
    """Targets and predictions, float32 or integers, of a kind that metrics are compared with Keras on.

    kind : what the targets are, and in which shape: "vector", "column", "labels" (four for each row), "steps",
        "one-hot", "classes", "maps" (of classes), "numbers"; "tenths" are predictions that meet thresholds exactly.
    """
    random = Generator(seed)
    shape = {"vector": (rows,), "column": (rows, 1), "steps": (rows, 3, 4), "tables": (rows, 3, 4)}
    words = kind.split(" of ")
    first = words[0] if len(words) == 1 or words[0] != "tenths" else words[1]
    size = shape.get(first, (rows,) if first in ("tenths", "logits", "beyond", "nothing", "classes") else (rows, 4))
    bits = np.floor(random.uniform(size, 0.0, 2.0))
    chance = np.clip(0.3 * bits + random.uniform(size, 0.0, 0.8), 0.0, 1.0)
    labels = np.floor(random.uniform((rows,), 0.0, 4.0)).astype(np.int64)
    shares = random.uniform((rows, 4), 0.0, 1.0) + 0.4 * np.eye(4)[labels]
    if kind == "vector and column":
        y_true, y_pred = bits[:, 0], chance[:, :1]
    elif kind == "column and vector":
        y_true, y_pred = bits[:, :1], chance[:, 0]
    elif kind.startswith("tenths"):
        y_true, y_pred = bits, np.round(chance * 10.0) / 10.0
    elif kind == "logits":
        y_true, y_pred = bits, 3.0 * (chance - 0.5)
    elif kind == "beyond":
        y_true, y_pred = bits, 2.0 * chance - 0.5
    elif kind == "nothing":
        y_true, y_pred = 0.0 * bits, chance
    elif kind == "one-hot":
        y_true, y_pred = np.eye(4)[labels], shares
    elif kind == "one-hot and classes":
        return np.eye(4, dtype=np.float32)[labels], np.argmax(shares, axis=-1)
    elif kind.endswith("numbers"):
        y_true = 5.0 + 2.0 * random.normal(size)
        y_pred = y_true + random.normal(size)
    elif kind == "classes":
        return labels, np.argmax(shares, axis=-1)
    elif kind == "maps":
        labels = np.floor(random.uniform((rows, 2, 3), 0.0, 4.0)).astype(np.int64)
        shares = (random.uniform((rows, 2, 3, 4), 0.0, 1.0) + 0.4 * np.eye(4)[labels]).astype(np.float32)
        return labels, shares
    else:
        y_true, y_pred = bits, chance
    return y_true.astype(np.float32), y_pred.astype(np.float32)
