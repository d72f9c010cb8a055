"""Streams and devices in the selftest: what one stream or device makes is not used by another before it is there."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

import nnx
from nnx.backends import Placement
from nnx.layers import BatchNormalization, Conv2D, Dense, Dropout, Flatten, MaxPooling2D
from nnx.testing import assert_close
from nnx.testing.selftest.check import NotRunError, Part
from nnx.testing.selftest.parity import HOST, MANY_STEPS

ROWS, STEPS = 256, 6  # a batch of 1 MB: large enough to be copied on a stream of its own
LABELS = np.random.default_rng(0).integers(3, size=STEPS * ROWS)
IMAGES = np.random.default_rng(1).normal(size=(STEPS * ROWS, 16, 16, 4)).astype(np.float32)
IMAGES += LABELS[:, None, None, None].astype(np.float32)

Context = contextlib.AbstractContextManager[Any]


def two_streams(place: Placement) -> list[Part]:
    """Two models, trained step by step in turns on a stream each, beside their training on one stream."""

    def train(contexts: list[Context]) -> list[list[float]]:
        models = []
        for context in contexts:
            with context:
                models.append(_model(place))
        losses: list[list[float]] = [[] for _ in models]
        for start in range(0, len(IMAGES), ROWS):
            rows = slice(start, start + ROWS)
            for model, context, found in zip(models, contexts, losses, strict=True):
                with context:
                    found.append(model.train_on_batch(IMAGES[rows], LABELS[rows]))
        return losses

    def compare() -> str:
        one, two = (contextlib.nullcontext() for _ in "12")
        assert_close(train([_stream(place), _stream(place)]), train([one, two]), rtol=MANY_STEPS)
        return ""

    return [("two models in turns", compare)]


def read_ahead(place: Placement) -> list[Part]:
    """Batches of a generator, copied while the device computes: on CUDA's stream, and on one of the user's."""

    def batches(convert: Callable[[np.ndarray], Any]) -> Iterator[Any]:
        while True:
            for start in range(0, len(IMAGES), ROWS):
                yield convert(IMAGES[start : start + ROWS]), LABELS[start : start + ROWS]

    def train(where: Placement, there: bool, context: Context) -> list[float]:
        with context, nnx.backend(where.name, device=where.device):
            images = batches((lambda rows: nnx.asarray(rows) * 0.5) if there else (lambda rows: rows * np.float32(0.5)))
            return list(_model(where).fit(images, steps_per_epoch=STEPS, epochs=2, verbose=0).history["loss"])

    def compare(there: bool, context: Callable[[], Context]) -> str:
        expected = train(HOST, there, contextlib.nullcontext())
        assert_close(train(place, there, context()), expected, rtol=MANY_STEPS)
        return ""

    streams: dict[str, Callable[[], Context]] = {
        "CUDA's stream": contextlib.nullcontext,
        "a stream of the user": functools.partial(_stream, place),
    }
    return [
        (f"made on the {where}, on {name}", functools.partial(compare, there, context))
        for where, there in (("host", False), ("device", True))
        for name, context in streams.items()
    ]


def two_devices(place: Placement) -> list[Part]:
    """A model on another device than the current one, beside the same on this one."""
    devices = place.backend.devices()
    if len(devices) < 2:
        raise NotRunError(f"there is one device, {devices[0]}")

    def train(where: Placement) -> list[float]:
        return list(_model(where).fit(IMAGES, LABELS, batch_size=ROWS, epochs=2, verbose=0).history["loss"])

    def compare(device: str) -> str:
        assert_close(train(Placement(place.backend, device)), train(place), rtol=MANY_STEPS)
        return ""

    here = place.device or devices[0]
    others = [device for device in devices if device != here]
    return [(f"{device} beside {here}", functools.partial(compare, device)) for device in others]


def _stream(place: Placement) -> Context:
    """A stream that does not wait for CUDA's own."""
    import cupy

    with place.computing:
        stream: Context = cupy.cuda.Stream(non_blocking=True)
    return stream


def _model(place: Placement) -> nnx.Sequential:
    nnx.random.set_seed(3)
    with nnx.backend(place.name, device=place.device):
        seen = [Conv2D(4, 3, strides=2, activation="relu", input_shape=(16, 16, 4)), BatchNormalization()]
        model = nnx.Sequential([*seen, MaxPooling2D(2), Dropout(0.2), Flatten(), Dense(3, "softmax")])
    model.compile("adam", "sparse_categorical_crossentropy")
    return model
