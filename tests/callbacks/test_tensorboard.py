"""What is written for TensorBoard, read back from its files."""

from __future__ import annotations

import struct
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("tensorboardX", reason="tensorboardX is not installed: pip install 'nnx-array[tensorboard]'")

from tensorboardX.proto.event_pb2 import Event

import nnx
from nnx.backends import Placement
from nnx.callbacks import LambdaCallback, LearningRateScheduler, TensorBoard
from nnx.layers import Dense
from nnx.random import Generator

X = np.float32(Generator(1).normal((24, 3)))
Y = np.float32(Generator(2).normal((24, 2)))


def make(**options: Any) -> nnx.Sequential:
    model = nnx.Sequential([Dense(4, "tanh", name="hidden", **options), Dense(2, name="out")])
    model.compile("sgd", "mse", metrics=["mae"])
    return model


def values(folder: Path) -> list[tuple[str, int, Any]]:
    """(tag, step, value) of all event files of a folder, in their order."""
    found = []
    for path in sorted(folder.glob("events.out.tfevents.*")):
        data = path.read_bytes()
        position = 0
        while position < len(data):  # records: length, checksum, event, checksum
            (length,) = struct.unpack("<Q", data[position : position + 8])
            event = Event.FromString(data[position + 12 : position + 12 + length])
            position += 16 + length
            found += [(value.tag, event.step, value) for value in event.summary.value]
    return found


def scalars(folder: Path) -> dict[str, dict[int, float]]:
    found: dict[str, dict[int, float]] = {}
    for tag, step, value in values(folder):
        if value.WhichOneof("value") == "simple_value":
            found.setdefault(tag, {})[step] = value.simple_value
    return found


def close(found: dict[int, float], expected: list[float]) -> bool:
    """Scalars of steps from 0 on; the files have them in float32."""
    return list(found) == list(range(len(expected))) and list(found.values()) == pytest.approx(expected, rel=1e-6)


def test_scalars_of_epochs(tmp_path: Path):
    model = make()
    callbacks = [LearningRateScheduler(lambda epoch: 0.1 / (1 + epoch)), TensorBoard(tmp_path)]
    history = model.fit(X, Y, epochs=3, batch_size=8, validation_split=0.5, verbose=0, callbacks=callbacks).history
    training, validation = scalars(tmp_path / "train"), scalars(tmp_path / "validation")
    assert sorted(training) == ["epoch_learning_rate", "epoch_loss", "epoch_mae"]
    for name in ("loss", "mae", "learning_rate"):
        assert close(training[f"epoch_{name}"], history[name])
    for name in ("loss", "mae"):
        assert close(validation.pop(f"epoch_{name}"), history[f"val_{name}"])
        by_updates = validation.pop(f"evaluation_{name}_vs_iterations")
        assert list(by_updates) == [2, 4, 6]
        assert list(by_updates.values()) == pytest.approx(history[f"val_{name}"], rel=1e-6)
    assert validation == {}


@pytest.mark.parametrize(("update_freq", "steps"), [("batch", [1, 2, 3, 4, 5, 6]), (2, [2, 4, 6]), (4, [4]), (7, [])])
def test_scalars_of_batches(update_freq: int | str, steps: list[int], tmp_path: Path):
    model, seen = make(), []
    watch = LambdaCallback(on_train_batch_end=lambda batch, logs: seen.append(logs["loss"]))
    board = TensorBoard(tmp_path, update_freq=update_freq, write_steps_per_second=True)
    model.fit(X, Y, epochs=2, batch_size=8, verbose=0, callbacks=[board, watch])
    found = scalars(tmp_path / "train")
    assert list(found.get("batch_loss", {})) == steps
    assert list(found.get("batch_loss", {}).values()) == pytest.approx([seen[step - 1] for step in steps], rel=1e-6)
    assert list(found.get("batch_steps_per_second", {})) == steps
    assert all(speed > 0 for speed in found["epoch_steps_per_second"].values())
    assert list(found["epoch_steps_per_second"]) == [0, 1]


def test_histograms_of_weights(backend: Placement, tmp_path: Path):
    model = make()
    board = TensorBoard(tmp_path, histogram_freq=2)
    model.fit(X, Y, epochs=3, verbose=0, callbacks=[board])
    found = {(tag, step): value.histo for tag, step, value in values(tmp_path / "train") if tag.endswith("histogram")}
    names = ["hidden/kernel", "hidden/bias", "out/kernel", "out/bias"]
    assert list(found) == [(f"{name}/histogram", step) for step in (0, 2) for name in names]
    for name, weight in zip(names, model.get_weights(), strict=True):
        histogram = found[f"{name}/histogram", 2]
        assert (histogram.num, sum(histogram.bucket)) == (weight.size, weight.size)
        assert (histogram.min, histogram.max) == (float(weight.min()), float(weight.max()))


def test_weights_that_are_not_numbers_do_not_end_training(tmp_path: Path):
    model = make(input_dim=3)
    kernel, *rest = model.get_weights()
    kernel[0, 0] = np.inf
    model.set_weights([kernel, *(np.full_like(weight, np.nan) for weight in rest)])
    board = TensorBoard(tmp_path, histogram_freq=1)
    board.set_model(model)
    board.on_epoch_end(0, {"loss": np.nan})
    board.on_train_end()
    found = [(tag, value.histo.num) for tag, _, value in values(tmp_path / "train") if tag.endswith("histogram")]
    assert found == [("hidden/kernel/histogram", 11)]


@pytest.mark.parametrize("options", [{}, {"input_dim": 3}], ids=["built by fit", "built before"])
def test_the_model_as_text(options: dict[str, Any], tmp_path: Path):
    model = make(**options)
    model.fit(X, Y, epochs=2, verbose=0, callbacks=[TensorBoard(tmp_path)])
    texts = [value.tensor.string_val[0].decode() for tag, _, value in values(tmp_path / "train") if "model" in tag]
    assert len(texts) == 1
    lines: list[str] = []
    model.summary(print_fn=lines.append)
    assert "hidden (Dense)" in texts[0]
    assert texts[0].splitlines()[3:] == [*"\n".join(lines).splitlines()[2:], "```"]


def test_without_the_model(tmp_path: Path):
    make().fit(X, Y, verbose=0, callbacks=[TensorBoard(tmp_path, write_graph=False)])
    assert {tag for tag, _, _ in values(tmp_path / "train")} == {"epoch_loss", "epoch_mae", "epoch_learning_rate"}


def test_trainings_and_evaluations_in_a_row_keep_what_was_written(tmp_path: Path):
    """tensorboardX names its files by the second, and writes over one of the same name."""
    model, board = make(), TensorBoard(tmp_path, update_freq="batch")
    for epoch in range(3):
        model.fit(X, Y, initial_epoch=epoch, epochs=epoch + 1, verbose=0, callbacks=[board])
        model.evaluate(X, Y, verbose=0, callbacks=[board])
    training, validation = scalars(tmp_path / "train"), scalars(tmp_path / "validation")
    assert list(training["epoch_loss"]) == [0, 1, 2]
    assert list(validation["evaluation_loss_vs_iterations"]) == [1, 2, 3]
    assert len(list((tmp_path / "train").iterdir())) == 3


def test_files_are_whole_after_ctrl_c(tmp_path: Path):
    def interrupt(epoch: int, logs: Any = None) -> None:
        if epoch == 2:
            raise KeyboardInterrupt

    callbacks = [TensorBoard(tmp_path), LambdaCallback(on_epoch_begin=interrupt)]
    with pytest.raises(KeyboardInterrupt):
        make().fit(X, Y, epochs=9, verbose=0, callbacks=callbacks)
    assert list(scalars(tmp_path / "train")["epoch_loss"]) == [0, 1]


def test_batches_go_on_counting(tmp_path: Path):
    model, board = make(input_dim=3), TensorBoard(tmp_path, update_freq="batch")
    model.fit(X, Y, epochs=2, batch_size=8, verbose=0, callbacks=[board])
    assert board.state() == {"trained_batches": 6}
    again = TensorBoard(tmp_path, update_freq="batch")
    again.set_model(model)
    again.on_train_begin()
    again.set_state(board.state())
    again.on_train_batch_end(0, {"loss": 0.5})
    again.on_train_end()
    assert scalars(tmp_path / "train")["batch_loss"][7] == 0.5


def test_what_is_not_written_is_said(tmp_path: Path):
    for name, value in {"write_images": True, "profile_batch": "500,520", "batch_size": 32, "write_grads": 1}.items():
        with pytest.warns(UserWarning, match=rf"TensorBoard: nnx does not write .*; leave out {name}"):
            TensorBoard(tmp_path, **{name: value})
    TensorBoard(tmp_path, write_images=False, profile_batch=0, embeddings_freq=0, embeddings_metadata=None)
    with pytest.raises(TypeError, match="TensorBoard has no argument 'histograms'"):
        TensorBoard(tmp_path, histograms=1)
    for update_freq in ("step", 0, -1):
        with pytest.raises(ValueError, match="update_freq must be 'epoch', 'batch' or a number of batches"):
            TensorBoard(tmp_path, update_freq=update_freq)


def test_without_tensorboardx(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "tensorboardX", None)
    with pytest.raises(
        ImportError, match=r"callback TensorBoard needs tensorboardX.* pip install 'nnx-array\[tensorboard\]'"
    ):
        TensorBoard(tmp_path)
