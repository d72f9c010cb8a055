"""Training that is interrupted and started again ends as if it had not been, to the last bit."""

from __future__ import annotations

import dataclasses
import itertools
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nnx
from nnx import file_targets
from nnx.backends import Placement
from nnx.callbacks import (
    BackupAndRestore,
    Callback,
    CSVLogger,
    EarlyStopping,
    History,
    LambdaCallback,
    LearningRateScheduler,
    ModelCheckpoint,
    ReduceLROnPlateau,
)
from nnx.data import DataLoader
from nnx.layers import LSTM, BatchNormalization, Dense, Dropout, GaussianNoise, Input
from nnx.random import Generator
from nnx.saving import files
from nnx.saving.model_file import contents, describe
from nnx.testing import assert_close

X = np.float32(Generator(1).normal((23, 4)))
LABELS = np.arange(23) % 3
ROOT = Path(__file__).parents[2]
SEQUENCES = np.float32(Generator(2).normal((20, 3, 2)))


class Killed(BaseException):
    """The process is gone."""


class Kill(Callback):
    """Ends everything before the training step of that number, counted over all epochs."""

    def __init__(self, step: int) -> None:
        self.left = step

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        if self.left == 0:
            raise Killed
        self.left -= 1


class Waning(Callback):
    """A learning rate that shrinks, from an epoch to the next and after each batch that is not better than all before.

    What it counts is lost unless it is saved, and an epoch that began twice would shrink it twice.
    """

    def __init__(self) -> None:
        self.on_train_begin()

    def on_train_begin(self, logs: Any = None) -> None:
        self.best, self.waited = np.float32(np.inf), 0
        self.seen: dict[str, list[np.ndarray]] = {"losses": []}

    def state(self) -> dict[str, Any]:
        return {"best": self.best, "waited": self.waited, "seen": self.seen}

    def set_state(self, state: Mapping[str, Any]) -> None:
        self.best, self.waited, self.seen = state["best"], state["waited"], state["seen"]

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self.model.optimizer.learning_rate *= 0.7

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        loss = np.float32(logs["loss"])
        self.seen["losses"].append(np.array([batch, loss]))
        self.waited = 0 if loss < self.best else self.waited + 1
        self.best = min(loss, self.best)
        if self.waited:
            self.model.optimizer.learning_rate *= 0.95

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        logs["waited"] = self.waited
        logs["mean"] = float(np.mean(self.seen["losses"]))


class Jitter(Callback):
    """Changes the learning rate by chance, from the stream that is everybody's."""

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self.model.optimizer.learning_rate *= float(nnx.random.default().uniform((), 0.8, 1.2))


@dataclasses.dataclass
class Script:
    """What somebody runs: a model, data, and how to train.

    data : gives the first arguments of `fit`, anew for each run.
    """

    layers: Callable[[], list[Any]]
    data: Callable[[], tuple[Any, ...]] = lambda: (X, LABELS)
    optimizer: Callable[[], Any] = lambda: nnx.optimizers.Adam(0.01)
    loss: str = "sparse_categorical_crossentropy"
    metrics: tuple[str, ...] = ("acc",)
    options: dict[str, Any] = dataclasses.field(default_factory=dict)
    validation: Callable[[], Any] = lambda: None
    callbacks: Callable[[], list[Any]] = list

    def model(self) -> Any:
        nnx.random.set_seed(5)
        model = nnx.Sequential(self.layers())
        model.compile(self.optimizer(), self.loss, metrics=list(self.metrics))
        return model

    def run(self, *more: Callback, **options: Any) -> Any:
        model = self.model()
        options = {
            "epochs": 3,
            "batch_size": 5,
            "verbose": 0,
            "validation_data": self.validation(),
            **self.options,
        } | options
        self.train(model, [*more, *self.callbacks()], options)
        return model

    def train(self, model: Any, callbacks: list[Any], options: dict[str, Any]) -> None:
        model.fit(*self.data(), callbacks=callbacks, **options)


def simple() -> list[Any]:
    return [Dense(6, "tanh", input_dim=4), Dense(3, "softmax")]


def noisy() -> list[Any]:
    return [
        Input((4,)),
        GaussianNoise(0.1),
        Dense(6, "relu", kernel_regularizer="l2"),
        BatchNormalization(),
        Dropout(0.3),
        nnx.Sequential([Dense(5, activity_regularizer="l1", kernel_constraint="max_norm"), Dropout(0.2, seed=4)]),
        Dense(3, "softmax"),
    ]


def recurrent() -> list[Any]:
    return [Input((3, 2)), LSTM(4, stateful=True, dropout=0.2, recurrent_dropout=0.1), Dense(1)]


def batches() -> Iterator[tuple[np.ndarray, np.ndarray]]:
    for start in range(0, 23, 5):
        yield X[start : start + 5], LABELS[start : start + 5]


class Loader:
    """Gives batches in an order of its own, anew for each pass."""

    def __init__(self) -> None:
        self.random = Generator(3)

    def __iter__(self) -> Iterator[Any]:
        order = self.random.permutation(23)
        return iter([(X[order[i : i + 5]], LABELS[order[i : i + 5]]) for i in range(0, 23, 5)])


class Sequence:
    """Batches by their number."""

    def __len__(self) -> int:
        return 5

    def __getitem__(self, index: int) -> Any:
        return list(batches())[index]


SCRIPTS = {
    "dropout, noise and batch normalisation": Script(noisy, validation=lambda: (X[:9], LABELS[:9])),
    "schedule and clipping": Script(
        noisy, optimizer=lambda: nnx.optimizers.Adam(nnx.schedules.CosineDecay(0.05, 12), clipnorm=0.5, amsgrad=True)
    ),
    "momentum and moving averages": Script(
        simple,
        optimizer=lambda: nnx.optimizers.SGD(
            0.1, momentum=0.9, use_ema=True, ema_momentum=0.8, ema_overwrite_frequency=4
        ),
    ),
    "accumulated gradients": Script(
        noisy, optimizer=lambda: nnx.optimizers.AdamW(0.02, gradient_accumulation_steps=3, use_ema=True, decay=0.1)
    ),
    "weights": Script(
        simple,
        options={
            "class_weight": {1: 2.0},
            "sample_weight": np.linspace(0.5, 1.5, 23),
            "validation_split": 0.2,
            "validation_freq": 2,
        },
    ),
    "a callback with state": Script(simple, callbacks=lambda: [Waning()]),
    "a callback that draws": Script(simple, callbacks=lambda: [Jitter()]),
    "stateful": Script(
        recurrent,
        data=lambda: (SEQUENCES, SEQUENCES[:, 0, :1]),
        loss="mse",
        metrics=("mae", "mse"),
        options={"shuffle": False},
    ),
    "steps that end with the data": Script(noisy, options={"steps_per_epoch": 4, "epochs": 4}),
    "a list of batches": Script(noisy, data=lambda: (list(batches()),)),
    "a sequence of batches": Script(noisy, data=lambda: (Sequence(),), validation=lambda: Sequence()),
    "loaders with random streams": Script(noisy, data=lambda: (Loader(),), validation=Loader),
    "loaders and steps": Script(
        noisy,
        data=lambda: (Loader(),),
        validation=Loader,
        options={"steps_per_epoch": 4, "validation_steps": 2, "epochs": 4},
    ),
    "a loader with a thread": Script(
        noisy, data=lambda: (DataLoader(X, LABELS, batch_size=5, shuffle=True, prefetch=2, seed=3),)
    ),
    "a loader with a buffer": Script(
        noisy,
        data=lambda: (DataLoader(batches, batch_size=None, shuffle=True, buffer_size=3, seed=3),),
        options={"steps_per_epoch": 4, "epochs": 4},
    ),
    "generators": Script(
        noisy,
        data=lambda: (itertools.chain(batches(), batches(), batches()),),
        validation=lambda: itertools.cycle(batches()),
        options={"steps_per_epoch": 4, "validation_steps": 3},
    ),
}


def everything(model: Any) -> tuple[dict[str, bytes], dict[str, str]]:
    """All that a file of the model has: parameters, slots, steps, history, random streams."""
    arrays, texts = contents(model, describe(model))
    return {name: array.tobytes() for name, array in arrays.items()}, texts


def run_with_kills(script: Script, folder: Path, kills: Iterator[int], **options: Any) -> tuple[Any, int]:
    """Run a script again and again until it comes to its end: the model, and how often it was started."""
    starts = 0
    while True:
        starts += 1
        try:
            return script.run(BackupAndRestore(folder, **options), Kill(next(kills, -1))), starts
        except Killed:
            assert [file.name for file in folder.iterdir()] in ([], ["latest.safetensors"])


@pytest.mark.filterwarnings("ignore:epoch .. the data ended after . batches, expected 4")
@pytest.mark.parametrize("name", SCRIPTS)
def test_as_if_it_had_not_been_interrupted(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(file_targets, "_flush", lambda path: None)  # the disk is not what this is about
    script = SCRIPTS[name]
    whole = script.run()
    steps = whole.optimizer._steps
    expected = everything(whole)
    assert len(whole.history.epoch) == script.options.get("epochs", 3)
    for save_freq, kill in [*((1, step) for step in range(1, steps, 3)), (2, 8), (3, 5), ("epoch", 6), ("epoch", 9)]:
        folder = tmp_path / f"{save_freq} {kill}"
        model, starts = run_with_kills(script, folder, iter([kill]), save_freq=save_freq)
        assert starts == 2
        assert everything(model) == expected
        assert not folder.exists()
    for save_freq in (1, 3):
        model, starts = run_with_kills(
            script, tmp_path, itertools.repeat(3 if save_freq == 1 else 4), save_freq=save_freq
        )
        assert starts > steps / 5
        assert everything(model) == expected


class Losses(Callback):
    """Notes all hooks of training, with what the batch hooks are told."""

    def __init__(self, calls: list[Any]) -> None:
        self.calls = calls

    def on_train_begin(self, logs: Any = None) -> None:
        self.calls.append("train")

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self.calls.append(f"epoch {epoch}")

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self.calls.append((batch, dict(logs)))

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self.calls.append(f"epoch {epoch} ends")

    def on_train_end(self, logs: Any = None) -> None:
        self.calls.append(("end", dict(logs)))


def test_hooks_go_on_where_they_were(tmp_path: Path):
    script = Script(simple)
    whole: list[Any] = []
    script.run(Losses(whole))
    first, second = [], []
    with pytest.raises(Killed):
        script.run(Losses(first), BackupAndRestore(tmp_path, save_freq=1), Kill(7))
    script.run(BackupAndRestore(tmp_path, save_freq=1), Losses(second))
    assert first[:-1] + second[1:] == whole  # without that end, and this beginning
    assert first[-1] == ("end", {"acc": whole[-1][1]["acc"], "loss": whole[-1][1]["loss"]} | dict(first[-1][1]))
    assert second[1][0] == 2  # the third batch of the second epoch, which does not begin again


def test_all_kinds_of_callbacks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """They decide the same, and what they write to files is the same."""
    monkeypatch.chdir(tmp_path)
    script = Script(
        noisy,
        validation=lambda: (X[:9], LABELS[:9]),
        options={"epochs": 9},
        callbacks=lambda: [
            EarlyStopping("val_acc", patience=3, restore_best_weights=True),
            ReduceLROnPlateau("loss", factor=0.5, patience=1, min_delta=0.1),
            LearningRateScheduler(lambda epoch, rate: rate * 0.97),
            ModelCheckpoint("best.safetensors", "val_loss", save_best_only=True),
            ModelCheckpoint("{epoch}-{batch}.safetensors", save_freq=4, save_weights_only=True),
            CSVLogger("log.csv"),
        ],
    )

    def written() -> dict[str, Any]:
        found: dict[str, Any] = {}
        for path in sorted(tmp_path.glob("*.*")):
            arrays = files.read_file(path)[0] if path.suffix == ".safetensors" else {}
            found[path.name] = {k: a.tobytes() for k, a in arrays.items()} or path.read_text()
            path.unlink()
        return found

    whole = script.run()
    expected, expected_files = everything(whole), written()
    assert 3 < len(whole.history.epoch) < 9
    assert len(expected_files) > 4
    for save_freq, kill in ((1, 1), (1, 7), (2, 9), (3, 13), (4, 18), ("epoch", 6), ("epoch", 17)):
        model, starts = run_with_kills(script, tmp_path / "backup", iter([kill]), save_freq=save_freq)
        assert starts == 2
        assert everything(model) == expected
        assert written() == expected_files


def test_mixed_precision(tmp_path: Path):
    script = Script(simple)
    with nnx.backend("numpy", dtype="float16"):
        expected = everything(script.run())
        for kill in (3, 8):
            model, _ = run_with_kills(script, tmp_path, iter([kill]), save_freq=1)
            assert everything(model) == expected
    assert json.loads(expected[1]["training"])["optimizer_state"]["loss_scale"] is not None


def test_two_outputs(tmp_path: Path):
    class Graph(Script):
        def model(self) -> Any:
            nnx.random.set_seed(5)
            x = Input((4,))
            hidden = Dropout(0.2)(Dense(5, "relu")(x))
            model = nnx.Model(x, [Dense(3, "softmax", name="kind")(hidden), Dense(1, name="size")(hidden)])
            losses = {"kind": "sparse_categorical_crossentropy", "size": "mse"}
            metrics = {"kind": ["acc"], "size": ["mae", "cosine_similarity"]}
            model.compile("adam", losses, metrics=metrics, loss_weights={"kind": 0.5, "size": 2.0})
            return model

    script = Graph(list, data=lambda: (X, {"kind": LABELS, "size": X[:, 0]}))
    expected = everything(script.run())
    for kill in (3, 6):
        model, _ = run_with_kills(script, tmp_path, iter([kill]), save_freq=2)
        assert everything(model) == expected


def test_data_that_do_not_fit_on_the_device(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    script = SCRIPTS["weights"]
    expected = everything(script.run())
    with monkeypatch.context() as patch:  # where there is no room, and then where there is
        patch.setattr(type(nnx.get_backend().backend), "free_bytes", lambda self, device: 0)
        with pytest.raises(Killed):
            script.run(BackupAndRestore(tmp_path, save_freq=1), Kill(5))
    assert everything(script.run(BackupAndRestore(tmp_path))) == expected


def test_data_on_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("nnx.data.row_pools.BLOCK_BYTES", 2 * 24)
    monkeypatch.setattr("nnx.training.pipeline.POOL_BYTES", 10 * 24)  # with labels, 10 rows of 23
    np.save(tmp_path / "x.npy", X)
    script = Script(noisy, data=lambda: (np.load(tmp_path / "x.npy", mmap_mode="r"), LABELS))
    expected = everything(script.run())
    for kill in range(1, 15, 3):
        folder = tmp_path / str(kill)
        with pytest.raises(Killed):
            script.run(BackupAndRestore(folder, save_freq=1), Kill(kill))
        assert everything(script.run(BackupAndRestore(folder, save_freq=1))) == expected


def test_layers_that_are_frozen_in_between(tmp_path: Path):
    """What the optimiser remembers of them is still there when they are trained again."""

    class Stages(Script):
        def train(self, model: Any, callbacks: list[Any], options: dict[str, Any]) -> None:
            model.fit(X, LABELS, **{**options, "epochs": 1})
            for trainable in (False, True):
                model.layers[0].trainable = trainable
                model.compile(model.optimizer, self.loss, metrics=["acc"])
                model.fit(X, LABELS, **options, callbacks=[] if trainable else callbacks)

    script = Stages(simple, optimizer=lambda: nnx.optimizers.SGD(0.1, momentum=0.9))
    expected = everything(script.run())
    model, _ = run_with_kills(script, tmp_path, iter([4]), save_freq=1)
    assert everything(model) == expected


def test_anonymous_functions(tmp_path: Path):
    class Anonymous(Script):
        def model(self) -> Any:
            model = super().model()
            model.add(nnx.layers.Lambda(lambda x: (x * 2.0, lambda dy: dy * 2.0)))
            loss = nnx.losses.MeanSquaredError()
            model.compile("adam", lambda y, z: loss.call(y, z), metrics=[lambda y, z: abs(y - z)])
            return model

    script = Anonymous(lambda: [Dense(3, input_dim=4)], data=lambda: (X, X[:, :3]))
    expected = script.run().get_weights()
    model, _ = run_with_kills(script, tmp_path, iter([4]), save_freq=1)
    for ours, theirs in zip(model.get_weights(), expected, strict=True):
        assert_close(ours, theirs, 0.0, 0.0)


@pytest.mark.skipif(os.name != "posix", reason="SIGKILL is of POSIX systems")
def test_processes_that_are_killed():
    """A part of what ci/kill_and_resume.py does by default: a real process, at moments that chance chooses."""
    command = [sys.executable, str(ROOT / "ci" / "kill_and_resume.py"), "--kills", "2", "--units", "30"]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "the models at the end are equal, bit for bit" in result.stdout


# One backend after another


def test_another_backend_goes_on(backend: Placement, tmp_path: Path):
    script = dataclasses.replace(
        SCRIPTS["accumulated gradients"], callbacks=lambda: [Waning()], optimizer=lambda: "nadam"
    )
    with nnx.backend("numpy"):
        whole = script.run()
    for first, second in ((backend, nnx.backend("numpy")), (nnx.backend("numpy"), backend)):
        with first if first is not backend else nnx.backend(backend.name, device=backend.device), pytest.raises(Killed):
            script.run(BackupAndRestore(tmp_path, save_freq=1), Kill(7))
        with second if second is not backend else nnx.backend(backend.name, device=backend.device):
            model = script.run(BackupAndRestore(tmp_path, save_freq=1))
        assert_close(model.predict(X, verbose=0), whole.predict(X, verbose=0), 1e-4)
        assert model.history.epoch == [0, 1, 2]
        for name, values in whole.history.history.items():
            assert_close(model.history.history[name], values, 1e-4)
        assert nnx.saving.model_file.generators(model)[""].state() == whole.random.state()


# When training ends


def test_checkpoints_are_deleted_when_training_is_complete(tmp_path: Path):
    script, folder = Script(simple), tmp_path / "a" / "b"
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "other").write_text("of somebody else")
    with pytest.raises(KeyboardInterrupt):  # not when it is interrupted
        script.run(BackupAndRestore(folder, double_checkpoint=True), interrupt(2))
    assert sorted(file.name for file in folder.iterdir()) == ["latest.safetensors", "previous.safetensors"]
    model = script.run(BackupAndRestore(folder, double_checkpoint=True))
    assert model.history.epoch == [0, 1, 2]
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["other"]
    script.run(BackupAndRestore(tmp_path / "a"))
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["other"]


def interrupt(epoch: int) -> Callback:
    def act(number: int, logs: Any = None) -> None:
        if number == epoch:
            raise KeyboardInterrupt

    return LambdaCallback(on_epoch_begin=act)


def trained(folder: Path, *callbacks: Any, epochs: int = 2) -> nnx.Sequential:
    model = nnx.Sequential([Dense(2, input_dim=4)])
    model.compile("sgd", "mse")
    model.fit(X, X[:, :2], epochs=epochs, verbose=0, callbacks=[*callbacks, BackupAndRestore(folder)])
    return model


@pytest.mark.parametrize("error", [OSError(16, "Device or resource busy"), PermissionError(13, "Permission denied")])
def test_a_folder_that_cannot_be_removed_stays(error: OSError, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A mount point, or one in a folder that the user may not write to: the training is complete all the same."""

    def refuse(path: Path) -> None:
        raise type(error)(*error.args, str(path))

    monkeypatch.setattr(Path, "rmdir", refuse)
    with pytest.warns(UserWarning, match=rf"cannot remove .*{tmp_path.name}/b, which stays: {error.strerror}"):
        model = trained(tmp_path / "b")
    assert model.history.epoch == [0, 1]
    assert list((tmp_path / "b").iterdir()) == []
    monkeypatch.undo()
    assert trained(tmp_path / "b").history.epoch == [0, 1]  # from the beginning, and now it goes
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(os.name != "posix", reason="links as on POSIX")
def test_a_link_to_the_folder_stays(tmp_path: Path):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    with pytest.warns(UserWarning, match="cannot remove .*link, which stays: Not a directory"):
        trained(tmp_path / "link")
    assert (tmp_path / "link").is_symlink()
    assert list((tmp_path / "real").iterdir()) == []


def test_a_checkpoint_that_cannot_be_removed_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def refuse(path: Path, missing_ok: bool = False) -> None:
        raise PermissionError(1, "Operation not permitted", str(path))

    monkeypatch.setattr(Path, "unlink", refuse)
    words = r"cannot remove .*latest.safetensors, which stays: Operation not permitted. .* needs another backup_dir"
    with pytest.warns(UserWarning, match=words):
        model = trained(tmp_path / "b")
    assert model.history.epoch == [0, 1]
    assert (tmp_path / "b" / "latest.safetensors").exists()


def test_a_folder_that_somebody_has_removed(tmp_path: Path):
    def remove(logs: Any = None) -> None:
        shutil.rmtree(tmp_path / "b")

    assert trained(tmp_path / "b", LambdaCallback(on_train_end=remove)).history.epoch == [0, 1]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_a_training_whose_end_fails_is_not_lost(error: BaseException, tmp_path: Path):
    """The next start has the model at once, and removes the checkpoint when all have ended well."""

    def fail(logs: Any = None) -> None:
        raise error

    with pytest.raises(type(error)):
        trained(tmp_path / "b", LambdaCallback(on_train_end=fail))
    steps: list[int] = []
    again = trained(tmp_path / "b", LambdaCallback(on_train_batch_end=lambda batch, logs: steps.append(batch)))
    assert again.history.epoch == [0, 1]
    assert steps == []
    assert list(tmp_path.iterdir()) == []


def test_checkpoints_that_are_kept_make_the_training_longer(tmp_path: Path):
    script = Script(noisy)
    first = script.run(BackupAndRestore(tmp_path, delete_checkpoint=False), epochs=2)
    again = script.run(BackupAndRestore(tmp_path, delete_checkpoint=False), Kill(0), epochs=2)  # has nothing to do
    assert everything(again) == everything(first)
    more = script.run(BackupAndRestore(tmp_path, delete_checkpoint=False))
    assert everything(more) == everything(script.run())


def test_the_same_model_goes_on_after_ctrl_c(tmp_path: Path):
    script = SCRIPTS["momentum and moving averages"]
    model, backup = script.model(), BackupAndRestore(tmp_path, save_freq=1)
    with pytest.raises(KeyboardInterrupt):
        model.fit(X, LABELS, batch_size=5, epochs=3, verbose=0, callbacks=[backup, interrupt(1)])
    assert model.history.epoch == [0]
    model.fit(X, LABELS, batch_size=5, epochs=3, verbose=0, callbacks=[backup])
    assert everything(model) == everything(script.run())
    assert model.training_run is None


@pytest.mark.parametrize("hook", ["on_epoch_end", "on_train_batch_end"])
def test_a_training_that_a_callback_ended_is_over(hook: str, tmp_path: Path):
    def stop(number: int, logs: Any = None) -> None:
        calls.append(number)
        model.stop_training = number == 1

    calls: list[int] = []
    script = Script(simple, callbacks=lambda: [LambdaCallback(**{hook: stop})])
    for save_freq in ("epoch", 1):
        model = script.model()
        backup = BackupAndRestore(tmp_path / hook / str(save_freq), save_freq, delete_checkpoint=False)
        script.train(model, [backup, *script.callbacks()], {"epochs": 9, "batch_size": 5, "verbose": 0})
        first, calls = (everything(model), list(calls)), []
        model = script.model()
        script.train(model, [backup, *script.callbacks()], {"epochs": 9, "batch_size": 5, "verbose": 0})
        assert everything(model) == first[0]
        assert calls == ([] if save_freq == "epoch" else first[1][-1:])


# Around


def test_it_runs_last_wherever_it_is_in_the_list(tmp_path: Path):
    order: list[str] = []
    listeners = nnx.callbacks.CallbackList([BackupAndRestore(tmp_path), Losses([])], add_history=True)
    assert [type(callback) for callback in listeners.callbacks] == [Losses, History, BackupAndRestore]
    listeners.append(LambdaCallback(on_epoch_end=lambda epoch, logs: order.append("appended")))
    assert type(listeners.callbacks[-1]) is BackupAndRestore


def test_the_progress_bar_says_which_epoch_goes_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    script = Script(simple)
    with pytest.raises(Killed):
        script.run(BackupAndRestore(tmp_path, save_freq=1), Kill(7))
    script.run(BackupAndRestore(tmp_path, save_freq=1), verbose=2)
    lines = capsys.readouterr().out.splitlines()
    assert [line for line in lines if line.startswith("Epoch")] == ["Epoch 2/3", "Epoch 3/3"]
    assert lines[1].startswith("5/5 - ")


def test_a_checkpoint_is_a_model_too(tmp_path: Path):
    script = SCRIPTS["dropout, noise and batch normalisation"]
    model = script.run(BackupAndRestore(tmp_path, delete_checkpoint=False))
    assert everything(nnx.models.load_model(tmp_path / "latest.safetensors")) == everything(model)
    other = script.model()
    other.load_weights(tmp_path / "latest.safetensors")
    assert_close(other.flat.values, model.flat.values, 0.0, 0.0)


def test_arguments(tmp_path: Path):
    with pytest.raises(ValueError, match="backup_dir is empty: give the path of a folder"):
        BackupAndRestore("")
    for save_freq in (0, -1, True, False, 1.5, "batch", None):
        with pytest.raises(ValueError, match=r"save_freq must be 'epoch' or a positive number of batches, got"):
            BackupAndRestore(tmp_path, save_freq)
    model = nnx.Sequential([Dense(3)])
    model.compile("sgd", "mse")
    with pytest.raises(
        ValueError, match="is not built, so it has no state to back up and restore: give the first layer"
    ):
        model.fit(([x, x] for x in [X[:, :3]]), verbose=0, callbacks=[BackupAndRestore(tmp_path)])


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (object(), r"\['callbacks'\]\[0\]\['Waning'\]\['best'\] is <object .* of type object, which cannot be saved"),
        ({1: 2}, r"\['best'\] has keys that are not text, which cannot be saved: \[1\]"),
        (np.array(["a"]), r"\['best'\] is array\(.* which cannot be saved: expected numbers, texts, None, arrays"),
        ([np.complex64(1j)], r"\['best'\]\[0\] is .* which cannot be saved"),
    ],
)
def test_states_that_cannot_be_saved(value: Any, words: str, tmp_path: Path):
    waning = Waning()
    waning.state = lambda: {"best": value}  # type: ignore[method-assign]
    with pytest.raises(TypeError, match=r"the state of the training.*" + words):
        Script(simple).run(BackupAndRestore(tmp_path), waning)
    assert list(tmp_path.iterdir()) == []
