"""Batches are copied to the device on a stream of their own: beside the steps before, and without a race.

Checked where CuPy runs on the CPU, which does everything at once, but keeps account of what waits for what.
"""

from __future__ import annotations

import gc
import pathlib
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import nnx
from nnx.backends import array_namespace, cupy_uploads, get_backend
from nnx.callbacks import LambdaCallback
from nnx.layers import Dense, Flatten
from nnx.testing import assert_close
from nnx.training import pipeline

HOW = "run `PYTHONPATH=ci/cupy_on_cpu python -m pytest -p cupy_on_cpu.plugin`"
cupy_on_cpu = pytest.importorskip("cupy_on_cpu", reason=f"CuPy on the CPU is not on the path: {HOW}")
if not cupy_on_cpu.is_active():
    pytest.skip(f"CuPy does not run on the CPU: {HOW}", allow_module_level=True)

import cupy  # noqa: E402
from cupy_on_cpu import streams  # noqa: E402

ROWS, STEPS = 256, 12  # of 32 * 32 bytes: each batch is just large enough
LABELS = np.random.default_rng(0).integers(3, size=STEPS * ROWS)
IMAGES = np.random.default_rng(1).integers(100, size=(STEPS * ROWS, 32, 32)) + 70 * LABELS[:, None, None]
IMAGES = IMAGES.astype(np.uint8)


def batches(convert: Callable[[np.ndarray], Any]) -> Iterator[Any]:
    while True:
        for start in range(0, len(IMAGES), ROWS):
            yield convert(IMAGES[start : start + ROWS]), LABELS[start : start + ROWS]


def floats(folder: pathlib.Path) -> dict[str, Any]:
    """A generator of new arrays."""
    return {"x": batches(lambda images: images / np.float32(255)), "steps_per_epoch": STEPS}


def raw(folder: pathlib.Path) -> dict[str, Any]:
    """A generator that copies bytes, and converts them on the device."""

    def convert(images: np.ndarray) -> Any:
        there = get_backend().asarray(images, "uint8")
        xp = array_namespace(there)
        return xp.astype(there, xp.float32) / 255.0

    return {"x": batches(convert), "steps_per_epoch": STEPS}


def pools(folder: pathlib.Path) -> dict[str, Any]:
    """Shuffled rows on disk, a few batches in place at a time."""
    path = folder / "images.npy"
    if not path.exists():
        np.save(path, IMAGES / np.float32(255))
    return {"x": np.load(path, mmap_mode="r"), "y": LABELS, "batch_size": ROWS}


SOURCES = pytest.mark.parametrize("source", [floats, raw, pools])
Make = Callable[[pathlib.Path], dict[str, Any]]


@pytest.fixture(autouse=True)
def ordered(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What other tests did is done, also where it was a race."""
    monkeypatch.setattr(pipeline, "POOL_BYTES", 5 * ROWS * IMAGES[0].size * 4)
    cupy.cuda.Device().synchronize()
    yield
    gc.collect()
    cupy.cuda.Device().synchronize()


class Training:
    """A model that is trained on one of the sources, and what was noted of its copies.

    known, queued : before each copy, how much work on its arrays the copying stream waits for, and how much there is.
    begun : how much there was when the last step began.
    """

    def __init__(self, backend: str, source: Make, folder: pathlib.Path) -> None:
        self.known: list[int] = []
        self.queued: list[int] = []
        self.begun: list[int] = []
        nnx.random.set_seed(3)
        self._place = nnx.backend(backend)
        with self._place:
            self._model = nnx.Sequential([Flatten(input_shape=(32, 32)), Dense(8, "relu"), Dense(3, "softmax")])
        self._model.compile("sgd", "sparse_categorical_crossentropy")
        self._data = source(folder)
        self._last = 0

    def epochs(self, count: int) -> list[float]:
        begin = LambdaCallback(on_train_batch_begin=self._note_begin)
        with self._place:
            return self._model.fit(**self._data, epochs=count, verbose=0, callbacks=[begin]).history["loss"]

    def _note_begin(self, batch: int, logs: Any) -> None:
        self._last = streams.clock_of(streams.NULL).get(streams.NULL, 0)

    def note_copies(self, monkeypatch: pytest.MonkeyPatch) -> None:
        copy = cupy_uploads.Uploads.copy

        def noting(uploads: cupy_uploads.Uploads, array: np.ndarray, user: Any) -> Any:
            self.known.append(streams.clock_of(uploads.stream.ptr).get(streams.NULL, 0))
            self.queued.append(streams.clock_of(streams.NULL).get(streams.NULL, 0))
            self.begun.append(self._last)
            return copy(uploads, array, user)

        monkeypatch.setattr(cupy_uploads.Uploads, "copy", noting)


@SOURCES
def test_training(source: Make, tmp_path: pathlib.Path) -> None:
    training = Training("cupy", source, tmp_path)
    losses = training.epochs(3)
    with cupy_on_cpu.count() as counts:
        losses += training.epochs(2)
    assert counts.host_to_device_on_streams == 2 * (3 if source is pools else STEPS)
    assert counts.allocations == 0
    assert counts.synchronizations <= counts.device_to_host <= 4  # the losses of the epochs
    expected = Training("numpy", source, tmp_path)
    assert_close(losses, expected.epochs(3) + expected.epochs(2), rtol=1e-4, atol=1e-6)
    assert losses[-1] < losses[0]


@SOURCES
def test_copies_do_not_wait_for_the_step_before(
    source: Make, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    training = Training("cupy", source, tmp_path)
    training.epochs(3)
    training.note_copies(monkeypatch)
    training.epochs(1)
    assert len(training.known) == (3 if source is pools else STEPS)
    # but for the first one of an epoch, before which the host waits for the loss
    assert all(known < queued for known, queued in list(zip(training.known, training.queued, strict=True))[1:])


def test_copies_wait_for_the_step_before_the_last_at_most(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the memory of a batch is used again as soon as the batch is dead."""
    monkeypatch.setattr(cupy_uploads, "RETIRED_ARRAYS", 0)
    training = Training("cupy", floats, tmp_path)
    training.note_copies(monkeypatch)
    training.epochs(1)
    steps = list(zip(training.known, training.begun, training.queued, strict=True))[2:]
    assert len(steps) == STEPS - 2
    for known, begun, queued in steps:
        assert 0 < known <= begun < queued


@SOURCES
@pytest.mark.parametrize("kept", [0, 1])
@pytest.mark.parametrize(("blind", "words"), [("copies", "that is in use"), ("users", "that a copy fills")])
def test_without_one_of_the_waits_there_is_a_race(
    source: Make,
    kept: int,
    blind: str,
    words: str,
    tmp_path: pathlib.Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    wait_event = cupy.cuda.Stream.wait_event

    def wait(stream: Any, event: Any) -> None:
        if (stream.ptr == streams.NULL) is (blind == "copies"):
            wait_event(stream, event)

    monkeypatch.setattr(cupy_uploads, "RETIRED_ARRAYS", kept)
    monkeypatch.setattr(cupy.cuda.Stream, "wait_event", wait)
    with pytest.raises(RuntimeError) as error:
        Training("cupy", source, tmp_path).epochs(3)
    printed = capsys.readouterr().err  # where a matrix product found it, in a function that C called
    assert words in f"{error.value}{printed}"
