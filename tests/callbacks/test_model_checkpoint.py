"""Files that are written while a model is trained. When they are is compared with Keras in tests/oracles."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nnx
from nnx.backends import Placement
from nnx.callbacks import LambdaCallback, ModelCheckpoint
from nnx.layers import Dense
from nnx.random import Generator
from nnx.testing import assert_close

X = np.float32(Generator(1).normal((24, 3)))
Y = np.float32(Generator(2).normal((24, 2)))


def make() -> nnx.Sequential:
    nnx.random.set_seed(4)
    model = nnx.Sequential([Dense(8, "tanh", input_dim=3), Dense(2)])
    model.compile(nnx.optimizers.Adam(0.05), "mse")
    return model


def names(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_a_model_of_every_epoch_that_training_goes_on_from(backend: Placement, tmp_path: Path):
    model = make()
    options: dict[str, Any] = {"batch_size": 8, "verbose": 0}
    model.fit(X, Y, epochs=3, callbacks=[ModelCheckpoint(tmp_path / "deep" / "{epoch:02d}.safetensors")], **options)
    assert names(tmp_path) == ["deep/01.safetensors", "deep/02.safetensors", "deep/03.safetensors"]
    second = nnx.models.load_model(tmp_path / "deep" / "02.safetensors")
    assert second.optimizer.iterations == 6
    second.fit(X, Y, epochs=3, initial_epoch=2, **options)
    assert_close(second.flat.values, model.flat.values, 0.0, 0.0)


def test_weights_of_the_best_epoch(tmp_path: Path):
    path = tmp_path / "best.safetensors"
    model = make()
    checkpoint = ModelCheckpoint(path, save_best_only=True, save_weights_only=True)
    history = model.fit(X, Y, epochs=12, validation_split=0.5, verbose=0, callbacks=[checkpoint]).history["val_loss"]
    assert min(history) == checkpoint.best < history[-1]
    model.load_weights(path)
    assert model.evaluate(X[12:], Y[12:], verbose=0) == pytest.approx(min(history), rel=1e-5)
    with pytest.raises(ValueError, match="it has only weights"):
        nnx.models.load_model(path)


def test_the_best_of_several_trainings(tmp_path: Path):
    model, path = make(), tmp_path / "best"
    checkpoint = ModelCheckpoint(path, "loss", save_best_only=True)
    model.fit(X, Y, epochs=3, verbose=0, callbacks=[checkpoint])
    path.unlink()
    model.set_weights([100.0 + w for w in model.get_weights()])
    model.fit(X, Y, epochs=3, verbose=0, callbacks=[checkpoint])
    assert not path.exists()


def test_every_so_many_batches_over_epochs(tmp_path: Path):
    path = tmp_path / "{epoch}-{batch}-{loss:.0f}"
    model = make()
    model.fit(X, Y * 0, batch_size=8, epochs=3, verbose=0, callbacks=[ModelCheckpoint(path, save_freq=2)])
    assert [name[:3] for name in names(tmp_path)] == ["1-2", "2-1", "2-3", "3-2"]


def test_going_on_within_an_epoch(tmp_path: Path):
    """Its beginning is not told again, and the name still has the number of the epoch."""
    first, second = (ModelCheckpoint(tmp_path / "{epoch}-{batch}", save_freq=2) for _ in range(2))
    first.on_epoch_begin(6)
    first.on_train_batch_end(0, {})
    second.set_model(make())
    second.on_train_begin()
    second.set_state(first.state())
    second.on_train_batch_end(1, {})
    assert names(tmp_path) == ["7-2"]


def test_period_of_old_scripts(tmp_path: Path):
    with pytest.warns(DeprecationWarning, match=r"write save_freq=2 \* batches of an epoch"):
        checkpoint = ModelCheckpoint(tmp_path / "{epoch}", period=2)
    make().fit(X, Y, epochs=5, verbose=0, callbacks=[checkpoint])
    assert names(tmp_path) == ["2", "4"]


def test_names_of_old_scripts_are_taken_with_one_warning(tmp_path: Path):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("default")
        make().fit(X, Y, epochs=3, verbose=0, callbacks=[ModelCheckpoint(tmp_path / "model.h5")])
    (warning,) = caught
    assert "model.h5 is a safetensors file, which nnx reads and Keras does not: call it .keras" in str(warning.message)
    assert names(tmp_path) == ["model.h5"]


@pytest.mark.parametrize("save_freq", ["batch", 0, -1, 1.5, None, True])
def test_unknown_save_freq(save_freq: Any):
    with pytest.raises(ValueError, match=r"Unrecognized save_freq: .* Expected 'epoch' or the number of batches"):
        ModelCheckpoint("x", save_freq=save_freq)


@pytest.mark.parametrize("filepath", ["{epoch", "{}", "{0}", "a}b", "{epoch:x.2}", "{val_loss:02d}"])
def test_what_is_no_template_is_refused_at_once(filepath: str):
    with pytest.raises(ValueError, match="ModelCheckpoint cannot fill in filepath="):
        ModelCheckpoint(filepath)


def test_braces_of_a_name(tmp_path: Path):
    make().fit(X, Y, verbose=0, callbacks=[ModelCheckpoint(tmp_path / "a{{{epoch}}}b")])
    assert names(tmp_path) == ["a{1}b"]


def test_a_field_that_the_logs_lack_is_named_with_those_they_have(tmp_path: Path):
    model = make()
    with pytest.raises(KeyError, match=r"There is no 'val_loss'; there are epoch, loss"):
        model.fit(X, Y, epochs=3, verbose=0, callbacks=[ModelCheckpoint(tmp_path / "{epoch}-{val_loss:.2f}")])
    assert model.optimizer.iterations == 1
    assert np.isfinite(model.predict(X, verbose=0)).all()


def test_a_folder_of_that_name(tmp_path: Path):
    with pytest.raises(IsADirectoryError, match="it is a folder; give the name of a file in it"):
        make().fit(X, Y, verbose=0, callbacks=[ModelCheckpoint(tmp_path)])


def test_files_are_whole_after_ctrl_c(tmp_path: Path):
    def interrupt(batch: int, logs: Any = None) -> None:
        if batch == 1 and model.optimizer.iterations > 3:
            raise KeyboardInterrupt

    model, path = make(), tmp_path / "model"
    callbacks = [ModelCheckpoint(path, save_freq=1), LambdaCallback(on_train_batch_end=interrupt)]
    with pytest.raises(KeyboardInterrupt):
        model.fit(X, Y, batch_size=8, epochs=3, verbose=0, callbacks=callbacks)
    assert names(tmp_path) == ["model"]
    assert nnx.models.load_model(path).optimizer.iterations == model.optimizer.iterations == 5


def test_what_it_says(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    model = make()
    model.compile(nnx.optimizers.SGD(0.0), "mse")
    checkpoint = ModelCheckpoint("m", "loss", verbose=1, save_best_only=True)
    model.fit(X, Y, epochs=2, shuffle=False, verbose=0, callbacks=[checkpoint])
    loss = f"{checkpoint.best:.5f}"
    assert capsys.readouterr().out.splitlines() == [
        f"Epoch 1: loss improved from None to {loss}, saving model to m",
        "Epoch 1: finished saving model to m",
        f"Epoch 2: loss did not improve from {loss}",
    ]
