"""Checkpoints that are damaged, of another training, or written while the power failed: there always is a good one."""

from __future__ import annotations

import itertools
import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import save_file

import nnx
from nnx import file_targets
from nnx.callbacks import BackupAndRestore, Callback, LambdaCallback
from nnx.layers import LSTM, Dense, Dropout
from nnx.random import Generator
from nnx.saving import files
from nnx.saving.model_file import contents, describe
from nnx.testing.rows.layers import LAYERS
from nnx.training.epochs import Epochs

X = np.float32(Generator(1).normal((23, 4)))
LABELS = np.arange(23) % 3
LATEST, PREVIOUS = "latest.safetensors", "previous.safetensors"


def make(optimizer: Any = "adam", *, units: int = 5, rate: float = 0.3, **compiled: Any) -> nnx.Sequential:
    nnx.random.set_seed(5)
    model = nnx.Sequential([Dense(units, "tanh", input_dim=4), Dropout(rate), Dense(3, "softmax")])
    model.compile(optimizer, **{"loss": "sparse_categorical_crossentropy", "metrics": ["acc"], **compiled})
    return model


def fit(model: nnx.Sequential, folder: Path | None, *callbacks: Callback, save_freq: Any = 1, **options: Any) -> None:
    x, y = options.pop("data", (X, LABELS))
    backup = [] if folder is None else [BackupAndRestore(folder, save_freq, options.pop("double", False))]
    model.fit(x, y, callbacks=[*callbacks, *backup], **{"batch_size": 8, "epochs": 2, "verbose": 0, **options})


def everything(model: nnx.Sequential) -> Any:
    arrays, texts = contents(model, describe(model))
    return {name: array.tobytes() for name, array in arrays.items()}, texts, nnx.random.default().state()


def learnt(model: nnx.Sequential) -> Any:
    """The same without the history, which a training that does not begin leaves empty where there was none."""
    arrays, texts, stream = everything(model)
    return arrays, texts["random"], model.optimizer.state(), stream


class Stop(BaseException):
    """The process is gone."""


def stopping(step: int) -> Callback:
    """Ends everything before the training step of that number."""
    left = [step]

    def act(batch: int, logs: Any = None) -> None:
        left[0] -= 1
        if left[0] < 0:
            raise Stop

    return LambdaCallback(on_train_batch_begin=act)


@pytest.fixture
def whole() -> Any:
    """What a model has after it was trained without an interruption."""
    model = make()
    fit(model, None)
    return everything(model)


def interrupted(folder: Path, step: int = 4, **options: Any) -> None:
    with pytest.raises(Stop):
        fit(make(), folder, stopping(step), **options)


# The power fails


class Computer:
    """Runs until the power fails before one of its calls to the disk, and knows what the disk has then.

    A file that was not flushed has half of its content. Of the changes to the folder since it was flushed, the first
    few are on the disk: `disks` are all the possibilities.
    """

    def __init__(self, folder: Path, calls: int, patch: pytest.MonkeyPatch) -> None:
        self.folder, self.calls = folder, calls
        self.flushed: dict[int, bytes] = {}
        self.disks: list[dict[str, bytes]] = [{}]
        self.complete = False  # whether there was a checkpoint that was flushed
        for owner, name in [
            (file_targets, "_flush"),
            *((os, f) for f in ("replace", "unlink", "chmod")),
        ]:
            patch.setattr(owner, name, self.watched(name, getattr(owner, name)))

    def watched(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> None:
            self.calls -= 1
            if self.calls < 0:
                raise Stop
            function(*arguments, **options)
            paths = [Path(argument) for argument in arguments if isinstance(argument, str | Path)]
            if name == "_flush" and paths[0] == self.folder:
                self.disks = self.disks[-1:]
                self.complete = self.complete or LATEST in self.disks[0]
            elif name == "_flush":
                self.flushed[paths[0].stat().st_ino] = paths[0].read_bytes()
            elif name == "unlink" and not any(self.folder.glob(".*")):
                self.complete = False  # training is complete, and no checkpoint is needed any more
            self.disks.append({path.name: self.content(path) for path in self.folder.iterdir() if path.is_file()})

        return call

    def content(self, path: Path) -> bytes:
        content = path.read_bytes()
        return content if self.flushed.get(path.stat().st_ino) == content else content[: len(content) // 2]


@pytest.mark.parametrize("double", [False, True])
def test_the_power_fails_before_any_call(
    double: bool, tmp_path: Path, whole: Any, monkeypatch: pytest.MonkeyPatch, recwarn: pytest.WarningsRecorder
):
    monkeypatch.setattr(file_targets, "_flush", lambda path: None)  # the disk of this computer is patient
    calls = tried = 0
    while True:
        folder = tmp_path / f"{calls}"
        folder.mkdir()
        with monkeypatch.context() as patch:
            computer = Computer(folder, calls, patch)
            try:
                fit(make(), folder, double=double, epochs=1)
                break
            except Stop:
                pass
        for disk in {tuple(sorted(disk.items())) for disk in computer.disks}:
            again = tmp_path / f"{calls} {tried}"
            again.mkdir()
            for name, content in disk:
                (again / name).write_bytes(content)
            if computer.complete:
                assert any(readable(again / name) for name in (LATEST, PREVIOUS))
            model = make()
            fit(model, again, double=double)
            assert everything(model) == whole
            assert not again.exists()
            tried += 1
        calls += 1
    assert calls >= (14 if double else 12)
    assert tried > calls
    assert not recwarn.list  # no checkpoint was damaged


Change = tuple[str, str | None, bytes]
"""A change to a folder: the name, the name that it goes on under or None, and the content, half where not flushed."""


class Recording:
    """What the system was asked to do with the files of a folder, call by call.

    steps : before each call, the files that certainly are on the disk, and the changes that may be, each or not, since
        a disk writes them in any order until the folder is flushed.
    """

    def __init__(self, folder: Path, patch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self.steps: list[tuple[dict[str, bytes], list[Change]]] = []
        self.certain: dict[str, bytes] = {}
        self.pending: list[Change] = []
        self.flushed: dict[int, bytes] = {}
        self.opened: dict[int, Path] = {}
        real_open, real_sync, real_replace, real_unlink = os.open, os.fsync, os.replace, os.unlink

        def opening(path: Any, *arguments: Any, **options: Any) -> int:
            number = real_open(path, *arguments, **options)
            if isinstance(path, str | Path):
                self.opened[number] = Path(path)
            return number

        def syncing(number: int) -> None:
            real_sync(number)
            path = self.opened[number]
            if path == folder:
                self.certain, self.pending = self.states()[-1], []
            elif path.is_file():
                self.flushed[path.stat().st_ino] = path.read_bytes()
            self.note()

        def replacing(source: Any, target: Any) -> None:
            content = self.content(Path(source))
            real_replace(source, target)
            if Path(source).parent == folder:
                self.pending.append((Path(source).name, None, content))
            self.pending.append((Path(target).name, Path(target).name, content))
            self.note()

        def unlinking(path: Any, **options: Any) -> None:
            real_unlink(path, **options)
            if not isinstance(path, int) and Path(path).parent == folder:
                self.pending.append((Path(path).name, None, b""))
            self.note()

        for name, call in (("open", opening), ("fsync", syncing), ("replace", replacing), ("unlink", unlinking)):
            patch.setattr(os, name, call)

    def content(self, path: Path) -> bytes:
        content = path.read_bytes()
        return content if self.flushed.get(path.stat().st_ino) == content else content[: len(content) // 2]

    def note(self) -> None:
        self.steps.append((dict(self.certain), list(self.pending)))

    def states(self) -> list[dict[str, bytes]]:
        """What the disk may have now; the last one has all changes."""
        return disks(self.certain, self.pending)


def disks(certain: dict[str, bytes], pending: list[Change]) -> list[dict[str, bytes]]:
    """What a disk may have: a move out of a name and into another is one change, and each may be on it or not."""
    moves = [pending[index : index + 2] for index in range(len(pending))]
    found = [certain]
    index = 0
    while index < len(pending):
        is_move = pending[index][1] is None and len(moves[index]) == 2 and moves[index][1][2] == pending[index][2]
        change = pending[index : index + 1 + is_move]
        found += [_changed(disk, change) for disk in found]
        index += len(change)
    return found


def _changed(disk: dict[str, bytes], change: list[Change]) -> dict[str, bytes]:
    disk = dict(disk)
    for name, under, content in change:
        if under is None:
            disk.pop(name, None)
        else:
            disk[under] = content
    return disk


@pytest.mark.skipif(os.name != "posix", reason="folders are flushed on POSIX")
@pytest.mark.parametrize("double", [False, True])
def test_in_whatever_order_the_disk_writes_a_checkpoint_is_whole(
    double: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """From the first checkpoint that is on the disk, before every call of the system, until the process is killed."""
    folder, again = tmp_path / "backup", tmp_path / "again"
    folder.mkdir()
    with monkeypatch.context() as patch:
        recording = Recording(folder, patch)
        with pytest.raises(Stop):
            fit(make(), folder, stopping(5), double=double)
    kept = [(certain, pending) for certain, pending in recording.steps if certain]
    assert len(kept) > 4 * (4 if double else 3)
    seen = set()
    for certain, pending in kept:
        for disk in disks(certain, pending):
            seen.add(tuple(sorted(disk.items())))
    assert len(seen) >= (2 if double else 1) * 5
    for disk in seen:
        again.mkdir()
        for name, content in disk:
            (again / name).write_bytes(content)
        assert any(readable(again / name) for name in (LATEST, PREVIOUS)), [name for name, _ in disk]
        assert all(readable(again / name) for name, _ in disk)  # none was there before it was whole
        shutil.rmtree(again)


def readable(path: Path) -> bool:
    try:
        files.read_file(path)
    except (FileNotFoundError, ValueError):
        return False
    return True


def test_what_killed_processes_left_is_removed(tmp_path: Path):
    left = [tmp_path / f".{LATEST}.{name}.partial" for name in ("abc", "[x]")]
    others = [tmp_path / name for name in ("mine", ".mine.partial", ".other.safetensors.abc.partial")]
    for path in left:
        path.mkdir()
        (path / LATEST).write_bytes(b"half of")
    for path in others:
        path.write_bytes(b"half of")
    interrupted(tmp_path)
    assert not any(path.exists() for path in left)
    fit(make(), tmp_path)
    assert sorted(tmp_path.iterdir()) == sorted(others)


def test_folders_are_made_and_flushed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    flushed: list[Path] = []
    monkeypatch.setattr(file_targets, "_flush", lambda path: flushed.append(Path(path)))
    interrupted(tmp_path / "a" / "b", step=0)
    assert flushed == [tmp_path, tmp_path / "a"]


# Damage


def damages(content: bytes) -> Iterator[bytes]:
    """Versions of a file in which something is wrong."""
    yield b""
    yield content[:-1]
    yield content[: len(content) // 2]
    yield bytes(len(content))
    for position in range(0, len(content), max(1, len(content) // 40)):
        changed = bytearray(content)
        changed[position] ^= 1 << position % 8
        if b'"nnx-checksum"' in changed:  # without its name there is none
            yield bytes(changed)


def test_one_that_is_damaged_is_refused(tmp_path: Path):
    interrupted(tmp_path)
    path = tmp_path / LATEST
    content = path.read_bytes()
    model = make("sgd")
    fit(model, None)
    before, history = everything(model), model.history
    for damaged in damages(content):
        path.write_bytes(damaged)
        with pytest.raises(ValueError, match=rf"cannot .*{LATEST}: .*\. Delete .* to train from the beginning"):
            fit(model, tmp_path)
        assert path.read_bytes() == damaged
    assert everything(model) == before
    assert model.history is history


def test_the_one_before_it_is_taken(tmp_path: Path, whole: Any):
    interrupted(tmp_path, double=True)
    content, previous = ((tmp_path / name).read_bytes() for name in (LATEST, PREVIOUS))
    for damaged in damages(content):
        (tmp_path / LATEST).write_bytes(damaged)
        (tmp_path / PREVIOUS).write_bytes(previous)
        with pytest.warns(UserWarning, match=rf"cannot read .*{LATEST}: .*; going on from the checkpoint before it"):
            interrupted(tmp_path, step=0)
        assert (tmp_path / LATEST).read_bytes() == previous
        assert not (tmp_path / PREVIOUS).exists()
    model = make()
    fit(model, tmp_path, double=True)
    assert everything(model) == whole


def test_a_file_of_another_kind(tmp_path: Path):
    make().save(tmp_path / LATEST)
    with pytest.raises(ValueError, match=r"cannot go on from .*: it does not say where a training was\. Delete"):
        fit(make(), tmp_path)


# What is in the file is wrong, although it is what was written


def places(value: Any, route: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield route
    for key, inner in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        yield from places(inner, (*route, key))


def replaced(value: Any, route: tuple[Any, ...], new: Any) -> Any:
    if not route:
        return new
    copied = dict(value) if isinstance(value, dict) else list(value)
    copied[route[0]] = replaced(value[route[0]], route[1:], new)
    return copied


@pytest.mark.parametrize("part", ["run", "random", "training"])
def test_wrong_types_in_the_description(part: str, tmp_path: Path):
    def layers() -> nnx.Sequential:
        nnx.random.set_seed(5)
        model = nnx.Sequential([LSTM(2, stateful=True, input_shape=(2, 2)), Dropout(0.5), Dense(3, "softmax")])
        model.compile("adam", "sparse_categorical_crossentropy", metrics=["acc"])
        return model

    data = (X[:20].reshape(20, 2, 2), LABELS[:20])
    with pytest.raises(Stop):
        fit(layers(), tmp_path, stopping(3), data=data, batch_size=10)
    path = tmp_path / LATEST
    with safe_open(path, framework="numpy") as file:
        arrays, metadata = {name: file.get_tensor(name) for name in file.keys()}, dict(file.metadata())  # noqa: SIM118
    del metadata["nnx-checksum"]
    description = json.loads(metadata[part])
    model, backup = layers(), BackupAndRestore(tmp_path, delete_checkpoint=False)
    before = learnt(model)
    tried, messages = 0, []
    for route in places(description):
        for wrong in (None, -1, 10**400, "x", ["x"], {"x": 1}):
            save_file(arrays, path, {**metadata, part: json.dumps(replaced(description, route, wrong))})
            tried += 1
            try:
                fit(model, None, stopping(0), backup, data=data, batch_size=10)
            except ValueError as error:
                messages.append(str(error))
                assert learnt(model) == before
                continue
            except Stop:
                pass
            model = layers()  # it went on from what the file has now
    assert tried / 2 < len(messages) <= tried
    assert [message for message in messages if not message.startswith(f"cannot go on from {path}: ")] == []


# Another training


class Counting(Callback):
    def state(self) -> Mapping[str, Any]:
        return {"batches": 3}


class Other(Counting):
    pass


MISMATCHES: dict[str, tuple[Callable[[], nnx.Sequential], dict[str, Any], str]] = {
    "units": (lambda: make(units=6), {}, r"model\.layers\[0\]\.units was 5, now it is 6"),
    "a rate": (lambda: make(rate=0.5), {}, r"model\.layers\[1\]\.rate was 0\.3, now it is 0\.5"),
    "an optimiser": (lambda: make("sgd"), {}, r"optimizer was Adam, now it is SGD"),
    "a setting": (lambda: make(nnx.optimizers.Adam(beta_1=0.8)), {}, r"optimizer\.beta_1 was 0\.9, now it is 0\.8"),
    "a schedule": (
        lambda: make(nnx.optimizers.Adam(nnx.schedules.CosineDecay(0.1, 9))),
        {},
        r"learning rate was 0\.001, now it is CosineDecay",
    ),
    "a loss": (lambda: make(loss="mse"), {"data": (X, X[:, :3])}, r"compile\.loss was 'sparse_.*', now it is 'mse'"),
    "metrics": (
        lambda: make(metrics=["acc", "ce"]),
        {},
        r"compile\.metrics was a list of 1, \['acc'\], now it is a list of 2",
    ),
    "frozen layers": (lambda: frozen(make()), {}, r"model\.layers\[0\]\.trainable was True, now it is False"),
    "callbacks": (
        make,
        {"callbacks": [Other()]},
        r"the callbacks that have a state were Counting, History, now .* Other, Hi",
    ),
    "fewer callbacks": (
        make,
        {"callbacks": []},
        r"the callbacks that have a state were Counting, History, now they are History",
    ),
    "a batch size": (make, {"batch_size": 6}, r"in the middle of other data: then they had batch_size 8, now 6"),
    "samples": (make, {"data": (X[:20], LABELS[:20])}, r"other data: then they had samples 23, now 20"),
    "no shuffling": (make, {"shuffle": False}, r"other data: then they had shuffle True, now False"),
    "steps": (make, {"steps_per_epoch": 3}, r"other data: then they had steps_per_epoch None, now 3"),
    "batches": (make, {"data": ([(X, LABELS)] * 3, None)}, r"other data: then they had batches None, now 3"),
}


def frozen(model: nnx.Sequential) -> nnx.Sequential:
    model.layers[0].trainable = False
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["acc"])
    return model


@pytest.mark.filterwarnings("ignore:metric 'acc'")  # of the continuous targets of another loss
@pytest.mark.parametrize("what", MISMATCHES)
def test_another_training_is_refused(what: str, tmp_path: Path):
    make_other, options, words = MISMATCHES[what]
    with pytest.raises(Stop):
        fit(make(), tmp_path, Counting(), stopping(4))
    content = (tmp_path / LATEST).read_bytes()
    model = make_other()
    before = learnt(model)
    callbacks = options.get("callbacks", [Counting()])
    with pytest.raises(
        ValueError, match=rf"cannot go on from .*{LATEST}: .*{words}.* Delete .* to train from the beginning"
    ):
        fit(model, tmp_path, *callbacks, **{key: value for key, value in options.items() if key != "callbacks"})
    assert learnt(model) == before
    assert model.history.epoch == []
    assert (tmp_path / LATEST).read_bytes() == content


def test_another_dtype_is_refused(tmp_path: Path):
    interrupted(tmp_path)
    with (
        nnx.backend("numpy", dtype="float64"),
        pytest.raises(ValueError, match=r"dtype was 'float32', now it is 'float64'"),
    ):
        fit(make(), tmp_path)


def test_a_generator_that_is_too_short(tmp_path: Path):
    def batches(count: int) -> Iterator[Any]:
        return iter([(X[:8], LABELS[:8])] * count)

    with pytest.raises(Stop):
        fit(make(), tmp_path, stopping(4), data=(batches(6), None), steps_per_epoch=3)
    with pytest.raises(ValueError, match=r"it was written after 4 batches of data that now are fewer"):
        fit(make(), tmp_path, data=(batches(3), None), steps_per_epoch=3)


def test_a_file_does_not_say_how_long_an_endless_generator_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def data() -> Any:
        return itertools.repeat((X[:8], LABELS[:8])), None

    state = Epochs.state
    monkeypatch.setattr(Epochs, "state", lambda self: {**state(self), "taken": 10**15})
    with pytest.raises(Stop):
        fit(make(), tmp_path, stopping(4), data=data(), steps_per_epoch=3)
    with pytest.raises(ValueError, match=rf"it was written after {10**15} batches, more than 2 epochs of 3 have"):
        fit(make(), tmp_path, data=data(), steps_per_epoch=3)


def test_other_data_from_an_epoch_on(tmp_path: Path):
    """Between epochs the data may become others, as with an optimiser that goes on."""
    interrupted(tmp_path, save_freq="epoch")
    model = make()
    fit(model, tmp_path, batch_size=4)
    assert model.history.epoch == [0, 1]
    assert model.optimizer.iterations == 3 + 6


def test_a_learning_rate_that_was_changed_goes_on(tmp_path: Path):
    model = make()
    change = LambdaCallback(on_train_batch_end=lambda batch, logs: setattr(model.optimizer, "learning_rate", 0.25))
    with pytest.raises(Stop):
        fit(model, tmp_path, change, stopping(4))
    model = make()
    fit(model, tmp_path)
    assert model.optimizer.learning_rate == 0.25


# Completeness


@pytest.mark.parametrize("name", LAYERS)
def test_nothing_else_changes_in_a_layer(name: str):
    """Parameters, random streams and states are saved; whatever else a layer remembered would be lost."""
    for case in LAYERS[name]:
        layer, data = case.make(), case.input(1)
        layer(data, training=True)
        before = {path: dict(vars(inner)) for path, inner in layer.walk()}
        layer(data, training=True)
        for path, inner in layer.walk():
            for attribute in vars(inner).keys() - {"own_weights", "random", "states"}:
                value, earlier = getattr(inner, attribute), before[path][attribute]
                assert value is earlier or value == earlier, f"{case}: {path}.{attribute}"
