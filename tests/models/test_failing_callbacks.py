"""A callback that raises, in any hook: training ends, all others are told, and nothing that was learnt is lost."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import nnx
from nnx.backends import Placement
from nnx.callbacks import Callback, CSVLogger, EarlyStopping, LambdaCallback, ModelCheckpoint
from nnx.callbacks.callback import HOOKS
from nnx.layers import BatchNormalization, Dense, Dropout
from nnx.random import Generator

X = np.float32(Generator(1).normal((20, 3)))
Y = np.float32(Generator(2).normal((20, 2)))
OF_FIT = [hook for hook in HOOKS if "predict" not in hook]
OF_EVALUATE = [hook for hook in HOOKS if "test" in hook]
OF_PREDICT = [hook for hook in HOOKS if "predict" in hook]


def make() -> nnx.Sequential:
    layers = [Dense(4, "tanh", input_dim=3, kernel_regularizer="l2"), BatchNormalization(), Dropout(0.2), Dense(2)]
    model = nnx.Sequential(layers)
    model.compile(nnx.optimizers.Adam(0.01), "mse", metrics=["mae"])
    return model


class Told(Callback):
    """Keeps which beginnings and ends it was told of."""

    def __init__(self) -> None:
        self.begun: list[str] = []
        self.ended: list[str] = []

    def on_train_begin(self, logs: Any = None) -> None:
        self.begun.append("train")

    def on_test_begin(self, logs: Any = None) -> None:
        self.begun.append("test")

    def on_predict_begin(self, logs: Any = None) -> None:
        self.begun.append("predict")

    def on_train_end(self, logs: Any = None) -> None:
        self.ended.append("train")

    def on_test_end(self, logs: Any = None) -> None:
        self.ended.append("test")

    def on_predict_end(self, logs: Any = None) -> None:
        self.ended.append("predict")


def failing(hook: str, call: int = 0) -> Callback:
    """Raises when its hook is called for the so-manieth time."""
    calls: list[tuple[Any, ...]] = []

    def fail(*arguments: Any) -> None:
        calls.append(arguments)
        if len(calls) == call + 1:
            raise RuntimeError(f"in {hook}")

    return LambdaCallback(**{hook: fail})


def check_that_it_works(model: nnx.Sequential) -> None:
    assert np.isfinite(model.predict(X, verbose=0)).all()
    before = model.evaluate(X, Y, verbose=0)[0]
    model.fit(X, Y, epochs=20, verbose=0)
    assert model.evaluate(X, Y, verbose=0)[0] < before


@pytest.mark.parametrize("hook", OF_FIT)
def test_in_fit(hook: str, backend: Placement):
    model, before, behind = make(), Told(), Told()
    call = 0 if hook in ("on_train_begin", "on_train_end") else 5 if "batch" in hook and "test" not in hook else 2
    options: dict[str, Any] = {"batch_size": 10, "epochs": 4, "validation_data": (X[:5], Y[:5]), "verbose": 0}
    with pytest.raises(RuntimeError, match=f"in {hook}"):
        model.fit(X, Y, callbacks=[before, failing(hook, call), behind], **options)
    assert before.begun.count("train") == before.ended.count("train") == 1
    assert before.ended.count("test") == before.begun.count("test")
    assert sorted(behind.begun) == sorted(behind.ended)  # nothing at all where the beginning before its own failed
    done = {"on_train_begin": 0, "on_train_end": 4}.get(hook, 2)
    assert model.history.epoch == list(range(done))
    assert [len(values) for values in model.history.history.values()] == [done] * 4 * bool(done)
    assert model.optimizer.iterations >= 2 * done
    check_that_it_works(model)


@pytest.mark.parametrize("hook", OF_EVALUATE)
def test_in_evaluate(hook: str):
    model, before, behind = make(), Told(), Told()
    with pytest.raises(RuntimeError, match=f"in {hook}"):
        model.evaluate(X, Y, batch_size=10, verbose=0, callbacks=[before, failing(hook), behind])
    assert before.begun == before.ended == ["test"]
    assert behind.begun == behind.ended
    check_that_it_works(model)


@pytest.mark.parametrize("hook", OF_PREDICT)
def test_in_predict(hook: str):
    model, before, behind = make(), Told(), Told()
    with pytest.raises(RuntimeError, match=f"in {hook}"):
        model.predict(X, batch_size=10, verbose=0, callbacks=[before, failing(hook), behind])
    assert before.begun == before.ended == ["predict"]
    assert behind.begun == behind.ended
    check_that_it_works(model)


@pytest.mark.parametrize("hook", ["set_model", "set_params"])
def test_before_training(hook: str):
    model, failed = make(), Callback()

    def fail(*arguments: Any) -> None:
        raise RuntimeError("not mine")

    setattr(failed, hook, fail)
    told = Told()
    with pytest.raises(RuntimeError, match="not mine"):
        model.fit(X, Y, verbose=0, callbacks=[told, failed])
    assert told.begun == told.ended == []
    check_that_it_works(model)


@pytest.mark.parametrize("first", [True, False], ids=["before the others", "behind the others"])
def test_the_callbacks_of_the_library_keep_what_they_have(first: bool, tmp_path: Any):
    """The best weights are restored, files are closed and whole, when another callback fails in the third epoch."""
    model, seen = make(), []
    watch = LambdaCallback(on_epoch_end=lambda epoch, logs: seen.append((logs["loss"], model.get_weights())))
    others = [
        watch,
        EarlyStopping("loss", patience=9, restore_best_weights=True),
        CSVLogger(tmp_path / "log.csv"),
        ModelCheckpoint(tmp_path / "{epoch}"),
    ]
    bad = failing("on_epoch_end", 2)
    with pytest.raises(RuntimeError, match="in on_epoch_end"):
        model.fit(X, Y, epochs=9, verbose=0, callbacks=[bad, *others] if first else [*others, bad])
    told = 2 if first else 3
    best = min(seen, key=lambda pair: pair[0])[1]
    assert len(seen) == told
    assert all((mine == kept).all() for mine, kept in zip(model.get_weights(), best, strict=True))
    assert len((tmp_path / "log.csv").read_text().splitlines()) == told + 1
    assert sorted(path.name for path in tmp_path.iterdir()) == [*map(str, range(1, told + 1)), "log.csv"]
    assert nnx.models.load_model(tmp_path / "2").optimizer.iterations == 2
    assert model.history.epoch == [0, 1]
    check_that_it_works(model)


def test_errors_at_the_end_do_not_hide_the_first():
    ends = [failing("on_train_end"), Told(), failing("on_train_end")]
    with pytest.raises(RuntimeError, match="in on_epoch_begin") as caught:
        make().fit(X, Y, verbose=0, callbacks=[failing("on_epoch_begin"), *ends])
    assert caught.value.__notes__ == ["and then a callback failed in on_train_end: RuntimeError: in on_train_end"] * 2
    assert ends[1].ended == ["train"]
