from __future__ import annotations

import copy
import gc
import pickle
from pathlib import Path

import pytest

from nnx.callbacks import CallbackList, History


class Model:
    history: History


@pytest.fixture
def history() -> History:
    history = History()
    history.on_train_begin()
    history.on_epoch_end(0, {"acc": 0.25, "loss": 2.0})
    history.on_epoch_end(1, {"acc": 0.75, "loss": 1.0, "val_<b>": 1e-5})
    history.on_epoch_end(2, {"acc": 0.5, "loss": 1.5})
    return history


def test_it_records_epochs(history: History) -> None:
    assert history.epoch == [0, 1, 2]
    assert history.history == {"acc": [0.25, 0.75, 0.5], "loss": [2.0, 1.0, 1.5], "val_<b>": [1e-5]}


def test_it_goes_on_when_it_is_used_again(history: History) -> None:
    history.on_train_begin()
    history.on_epoch_end(3, {"loss": 0.5})
    assert history.epoch == [0, 1, 2, 3]
    assert history.history["loss"] == [2.0, 1.0, 1.5, 0.5]


def test_the_model_keeps_its_history_and_the_history_does_not_keep_the_model() -> None:
    model = Model()
    callbacks = CallbackList([History()], model=model, epochs=1)
    callbacks.on_train_begin()
    history = model.history
    assert history is callbacks.callbacks[0]
    assert history.model is model
    gc.disable()
    try:
        del model, callbacks
        assert history.model is None
    finally:
        gc.enable()


def test_copies_have_the_numbers(history: History) -> None:
    model = Model()
    history.set_model(model)
    for other in (copy.deepcopy(history), pickle.loads(pickle.dumps(history))):
        assert other.history == history.history
        assert other.epoch == history.epoch
        assert other.model is None
    assert history.model is model


def test_it_says_what_it_holds(history: History) -> None:
    assert repr(History()) == "<History: 0 epochs>"
    assert repr(history) == (
        "<History: 3 epochs, acc 0.2500 -> 0.5000, loss 2.0000 -> 1.5000, val_<b> 1.0000e-05 -> 1.0000e-05>"
    )


def test_it_is_a_table_in_a_notebook(history: History) -> None:
    shown = history._repr_html_()
    assert "<b>History</b> of 3 epochs" in shown
    assert "<th>loss</th><td>2.0000</td><td>1.5000</td><td>1.0000</td><td>2.0000</td>" in shown
    assert "val_&lt;b&gt;" in shown
    assert "<b>>" not in shown


def test_plot_draws_and_saves_the_curves(history: History, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="matplotlib draws the curves")
    figure = history.plot(tmp_path / "curves.png")
    assert len(figure.axes) == 2  # the losses, and the metrics
    assert (tmp_path / "curves.png").read_bytes().startswith(b"\x89PNG")
