"""Work on several CUDA streams is in order: copies of batches, what threads prepare, and arrays that are kept.

CuPy on the CPU does everything at once, but keeps account of what waits for what, and raises RaceError. A GPU shows by
wrong results what is out of order, where what has to be waited for is late: see `be_late`.
"""

from __future__ import annotations

import contextlib
import gc
import math
import pathlib
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import nnx
from nnx.backends import array_namespace, cupy_uploads, get_backend
from nnx.backends.base import find_backend
from nnx.callbacks import LambdaCallback
from nnx.data import DataLoader
from nnx.functional.unfolding import unfold
from nnx.kernels.cupy.matrix_products import column_sums
from nnx.layers import Dense, Flatten
from nnx.testing import assert_close
from nnx.training import pipeline
from nnx.windows import windows_of

_problem = nnx.available_backends()["cupy"]
if _problem:
    pytest.skip(_problem, allow_module_level=True)
import cupy  # noqa: E402

try:
    import cupy_on_cpu
    from cupy_on_cpu import streams
except ModuleNotFoundError:
    cupy_on_cpu = None
EMULATED = cupy_on_cpu is not None and cupy_on_cpu.is_active()
emulated = pytest.mark.skipif(
    not EMULATED, reason="needs CuPy on the CPU: PYTHONPATH=ci/cupy_on_cpu python -m pytest -p cupy_on_cpu.plugin"
)

TURNS = 1 if EMULATED else 10_000_000  # of a loop that takes about 20 ms on a GPU, which is late enough
_WAIT = cupy.RawKernel(
    """extern "C" __global__ void nnx_test_wait(float* x, long long turns) {
        float y = x[0];
        for (long long turn = 0; turn < turns; ++turn) y = y * 0.5f + 1.0f;
        x[0] = y;
    }""",
    "nnx_test_wait",
)


def be_late() -> None:
    """Keep the current stream busy, so that what it gets next is done late."""
    _WAIT((1,), (1,), (cupy.ones(1, np.float32), np.int64(TURNS)))


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
    steps_are_late : whether the stream that computes is kept busy before each step.
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
        self.steps_are_late = False

    def epochs(self, count: int) -> list[float]:
        begin = LambdaCallback(on_train_batch_begin=self._note_begin)
        with self._place:
            return self._model.fit(**self._data, epochs=count, verbose=0, callbacks=[begin]).history["loss"]

    def _note_begin(self, batch: int, logs: Any) -> None:
        if EMULATED:
            self._last = streams.clock_of(streams.NULL).get(streams.NULL, 0)
        if self.steps_are_late:
            be_late()

    def note_copies(self, monkeypatch: pytest.MonkeyPatch) -> None:
        copy = cupy_uploads.Uploads.copy

        def noting(uploads: cupy_uploads.Uploads, array: np.ndarray, user: Any) -> Any:
            self.known.append(streams.clock_of(uploads.stream.ptr).get(streams.NULL, 0))
            self.queued.append(streams.clock_of(streams.NULL).get(streams.NULL, 0))
            self.begun.append(self._last)
            return copy(uploads, array, user)

        monkeypatch.setattr(cupy_uploads.Uploads, "copy", noting)


@SOURCES
@pytest.mark.parametrize("late", ["copies", "steps"])
def test_training(source: Make, late: str, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    training = Training("cupy", source, tmp_path)
    if late == "steps":
        training.steps_are_late = True
    else:
        copy_late(monkeypatch)
    losses = training.epochs(5)
    expected = Training("numpy", source, tmp_path)
    assert_close(losses, expected.epochs(5), rtol=1e-4, atol=1e-6)
    assert losses[-1] < losses[0]


def copy_late(monkeypatch: pytest.MonkeyPatch) -> None:
    copy = cupy_uploads.Uploads.copy

    def late(uploads: cupy_uploads.Uploads, array: np.ndarray, user: Any) -> Any:
        with uploads.stream:
            be_late()
        return copy(uploads, array, user)

    monkeypatch.setattr(cupy_uploads.Uploads, "copy", late)


@emulated
@SOURCES
def test_training_waits_for_nothing(source: Make, tmp_path: pathlib.Path) -> None:
    training = Training("cupy", source, tmp_path)
    training.epochs(3)
    with cupy_on_cpu.count() as counts:
        training.epochs(2)
    assert counts.host_to_device_on_streams == 2 * (3 if source is pools else STEPS)
    assert counts.allocations == 0
    assert counts.synchronizations <= counts.device_to_host <= 4  # the losses of the epochs


@emulated
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


@emulated
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


@emulated
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


NULL, BLOCKING, NON_BLOCKING = cupy.cuda.Stream.null, cupy.cuda.Stream(), cupy.cuda.Stream(non_blocking=True)
USERS = pytest.mark.parametrize("user", [NULL, BLOCKING, NON_BLOCKING, cupy.cuda.Stream.ptds], ids=str)


def brought_late(images: np.ndarray, labels: np.ndarray) -> Any:
    """A batch, converted on the device, but late."""
    be_late()
    there = cupy.asarray(images) if images.nbytes < cupy_uploads.SMALLEST_BYTES else cupy_uploads.upload(images)
    return there.astype(np.float32) / 255.0, labels


class TestThreadOfALoader:
    @USERS
    @pytest.mark.parametrize("rows", [16, ROWS])
    def test_computes_on_the_stream_of_its_user(self, user: Any, rows: int) -> None:
        expected = [IMAGES[start : start + rows].sum(dtype=np.float64) / 255 for start in range(0, 8 * rows, rows)]
        loader = DataLoader(IMAGES[: 8 * rows], LABELS[: 8 * rows], batch_size=rows, map=brought_late, prefetch=2)
        with user:
            sums = [x.sum(dtype=np.float64) for x, _ in loader]
            assert_close([float(each) for each in sums], expected, rtol=1e-6, atol=0.0)

    @USERS
    def test_trains_a_model_on_the_stream_of_its_user(self, user: Any) -> None:
        def losses(backend: str, convert: Callable[..., Any]) -> list[float]:
            nnx.random.set_seed(3)
            with nnx.backend(backend):
                model = nnx.Sequential([Flatten(input_shape=(32, 32)), Dense(3, "softmax")])
            model.compile("sgd", "sparse_categorical_crossentropy")
            loader = DataLoader(IMAGES, LABELS, batch_size=ROWS, map=convert, prefetch=2)
            return model.fit(loader, epochs=2, verbose=0).history["loss"]

        with user:
            found = losses("cupy", brought_late)
        assert_close(found, losses("numpy", lambda x, y: (x / np.float32(255), y)), rtol=1e-4, atol=1e-6)

    def test_computes_on_the_stream_that_its_user_chose_for_good(self) -> None:
        before = cupy.cuda.get_current_stream()
        NON_BLOCKING.use()
        try:
            for x, _ in DataLoader(IMAGES, LABELS, batch_size=ROWS, map=brought_late, prefetch=1):
                brought = brought_late(IMAGES[:ROWS], None)[0]
                assert cupy.cuda.get_current_stream() is NON_BLOCKING
                assert 0.0 < float(x.mean()) < 1.0
                assert_close(cupy.asnumpy(brought), IMAGES[:ROWS] / np.float32(255), rtol=1e-6)
        finally:
            before.use()

    def test_computes_on_the_device_of_its_user(self) -> None:
        seen = []
        with cupy.cuda.Device(cupy.cuda.runtime.getDeviceCount() - 1) as device:
            for _ in DataLoader(LABELS[:4], map=lambda x: seen.append(cupy.cuda.Device()) or x, prefetch=1):
                pass
        assert seen == [device]

    @pytest.mark.parametrize("mixed", [False, True])
    def test_has_the_streams_of_all_devices(self, mixed: bool) -> None:
        seen: list[int] = []
        expected = [NON_BLOCKING.ptr]
        with contextlib.ExitStack() as stack:
            stack.enter_context(NON_BLOCKING)
            if mixed and cupy.cuda.runtime.getDeviceCount() > 1:
                stack.enter_context(cupy.cuda.Device(1))
                expected.append(stack.enter_context(cupy.cuda.Stream(non_blocking=True)).ptr)
                stack.enter_context(cupy.cuda.Device(0))  # which ends first: a stream is left on the current device

            def see(x: Any) -> Any:
                seen.extend(cupy.cuda.get_current_stream(index).ptr for index in range(len(expected)))
                return x

            list(DataLoader(LABELS[:1], map=see, prefetch=1))
        assert seen == expected


def kept_table(x: Any) -> Any:
    return unfold(x, windows_of("test", x.shape[1:3], (3, 3), (1, 1), "valid"))


KEPT = pytest.mark.parametrize("use", [kept_table, column_sums], ids=["table", "ones"])


class TestArraysThatAreKept:
    """Of sizes that no other test has."""

    @KEPT
    def test_are_made_on_one_stream_and_used_on_another(self, use: Callable[[Any], Any]) -> None:
        shape = (2, 37, 41, 3) if use is kept_table else (3 << 18, 2)
        x = cupy.arange(math.prod(shape), dtype=np.float64).reshape(shape)
        cupy.cuda.Device().synchronize()
        with cupy.cuda.Stream(non_blocking=True):
            be_late()
            use(x)
        with cupy.cuda.Stream(non_blocking=True) as stream:
            found = use(x)
            stream.synchronize()
            host = cupy.asnumpy(found)
        assert_close(host, kept_table(cupy.asnumpy(x)) if use is kept_table else cupy.asnumpy(x).sum(0), rtol=1e-12)

    def test_are_not_given_away_while_a_stream_reads_them(self, monkeypatch: pytest.MonkeyPatch) -> None:
        backend, host = find_backend("cupy"), np.arange(5000.0)
        maker, reader = (cupy.cuda.Stream(non_blocking=True) for _ in range(2))
        like = cupy.zeros(1)
        with maker:
            kept = backend.keep(like, lambda: cupy.asarray(host))
        with reader:
            be_late()
            found = kept + 1.0
        del kept
        with maker:
            cupy.asarray(-host)
            maker.synchronize()
        reader.synchronize()
        assert_close(cupy.asnumpy(found), host + 1.0)
