from __future__ import annotations

import types
from typing import Any

import pytest

from nnx.callbacks import Callback, CallbackList, History, LambdaCallback, LazyLogs
from nnx.callbacks.callback import HOOKS


class Recorder(Callback):
    """Notes every hook but the older names of the batch hooks."""

    def __init__(self, name: str, calls: list[tuple[Any, ...]]) -> None:
        self.name, self.calls = name, calls

    def set_model(self, model: Any) -> None:
        super().set_model(model)
        self.calls.append((self.name, "set_model"))

    def set_params(self, params: Any) -> None:
        super().set_params(params)
        self.calls.append((self.name, "set_params"))


def _recording(hook: str) -> Any:
    def method(self: Recorder, *args: Any) -> None:
        self.calls.append((self.name, hook, *args))

    return method


for _hook in HOOKS:
    if _hook not in ("on_batch_begin", "on_batch_end"):
        setattr(Recorder, _hook, _recording(_hook))


class Failing(Callback):
    def __init__(self, hook: str, error: BaseException) -> None:
        def fail(*args: Any) -> None:
            raise error

        setattr(self, hook, fail)


def test_everybody_learns_of_model_and_parameters_then_hooks_come_in_order() -> None:
    calls: list[tuple[Any, ...]] = []
    model = types.SimpleNamespace()
    first, second = Recorder("a", calls), Recorder("b", calls)
    callbacks = CallbackList([first, [second]], model=model, epochs=2)
    assert calls == [("a", "set_model"), ("a", "set_params"), ("b", "set_model"), ("b", "set_params")]
    assert first.model is model
    assert second.params == {"epochs": 2}
    calls.clear()
    callbacks.on_epoch_begin(0)
    callbacks.on_train_batch_begin(3)
    callbacks.on_train_batch_end(3, {"loss": 1.0})
    callbacks.on_epoch_end(0, {"loss": 0.5})
    assert calls == [
        ("a", "on_epoch_begin", 0),
        ("b", "on_epoch_begin", 0),
        ("a", "on_train_batch_begin", 3),
        ("b", "on_train_batch_begin", 3),
        ("a", "on_train_batch_end", 3, {"loss": 1.0}),
        ("b", "on_train_batch_end", 3, {"loss": 1.0}),
        ("a", "on_epoch_end", 0, {"loss": 0.5}),
        ("b", "on_epoch_end", 0, {"loss": 0.5}),
    ]


def test_hooks_that_nobody_overrides_do_nothing_and_say_so() -> None:
    callbacks = CallbackList([Callback(), History()])
    for hook in HOOKS:
        listened = hook in ("on_train_begin", "on_epoch_end")
        assert callbacks.listens(hook) == listened
        if not listened and hook not in ("on_batch_begin", "on_batch_end"):
            assert getattr(callbacks, hook) is CallbackList().on_epoch_begin


def test_an_inherited_hook_counts_as_overridden() -> None:
    class Derived(Recorder):
        pass

    assert CallbackList(Derived("a", [])).listens("on_test_end")


def test_the_older_batch_hooks_are_called_where_the_newer_are_missing() -> None:
    seen: list[tuple[Any, ...]] = []

    class Old(Callback):
        def on_batch_begin(self, batch: int, logs: Any = None) -> None:
            seen.append(("begin", batch))

        def on_batch_end(self, batch: int, logs: Any = None) -> None:
            seen.append(("end", batch, dict(logs)))

    class Both(Old):
        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            seen.append(("newer", batch))

    callbacks = CallbackList([Old(), Both()])
    callbacks.on_train_batch_begin(0)
    callbacks.on_train_batch_end(0, {"loss": 1.0})
    assert seen == [("begin", 0), ("begin", 0), ("end", 0, {"loss": 1.0}), ("newer", 0)]


def test_lazy_logs_are_for_the_time_of_the_hook() -> None:
    kept: list[LazyLogs] = []
    reads: list[int] = []

    def read() -> dict[str, float]:
        reads.append(1)
        return {"loss": 1.0}

    callbacks = CallbackList(LambdaCallback(on_train_batch_end=lambda batch, logs: kept.append(logs)))
    callbacks.on_train_batch_end(0, LazyLogs(read))
    with pytest.raises(RuntimeError, match="after its hook had returned"):
        kept[0]["loss"]
    assert reads == []


def test_running_begins_and_ends_with_the_logs_of_the_block() -> None:
    calls: list[tuple[Any, ...]] = []
    callbacks = CallbackList(Recorder("a", calls))
    calls.clear()
    with callbacks.running("test") as logs:
        logs["loss"] = 0.25
    assert calls == [("a", "on_test_begin", {}), ("a", "on_test_end", {"loss": 0.25})]


@pytest.mark.parametrize("error", [ZeroDivisionError("x"), KeyboardInterrupt()])
def test_an_error_in_a_callback_ends_training_for_all_of_them(error: BaseException) -> None:
    calls: list[tuple[Any, ...]] = []
    callbacks = CallbackList([Recorder("a", calls), Failing("on_epoch_end", error), Recorder("b", calls)])
    calls.clear()

    def train() -> None:
        with callbacks.running("train") as logs:
            logs["loss"] = 1.0
            callbacks.on_epoch_end(0, {})

    with pytest.raises(type(error)) as raised:
        train()
    assert raised.value is error
    assert calls == [
        ("a", "on_train_begin", {}),
        ("b", "on_train_begin", {}),
        ("a", "on_epoch_end", 0, {}),
        ("a", "on_train_end", {"loss": 1.0}),
        ("b", "on_train_end", {"loss": 1.0}),
    ]


def test_only_callbacks_that_have_begun_are_ended() -> None:
    calls: list[tuple[Any, ...]] = []
    failing = Failing("on_train_begin", ValueError("no"))
    callbacks = CallbackList([Recorder("a", calls), failing, Recorder("b", calls)])
    calls.clear()
    with pytest.raises(ValueError, match="no"), callbacks.running("train"):
        pytest.fail("the block must not be entered")
    assert calls == [("a", "on_train_begin", {}), ("a", "on_train_end", {})]


def test_an_error_at_the_end_does_not_keep_the_others_from_ending() -> None:
    calls: list[tuple[Any, ...]] = []
    first, second = Failing("on_train_end", OSError("disk full")), Failing("on_train_end", ValueError("second"))
    callbacks = CallbackList([first, Recorder("a", calls), second])
    calls.clear()
    with pytest.raises(OSError, match="disk full") as raised:
        callbacks.on_train_end({"loss": 1.0})
    assert calls == [("a", "on_train_end", {"loss": 1.0})]
    assert raised.value.__notes__ == ["and then another callback failed: ValueError: second"]


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit, GeneratorExit])
@pytest.mark.parametrize("mode", ["train", "test", "predict"])
def test_ctrl_c_at_the_end_waits_until_all_are_told(kind: type[BaseException], mode: Any) -> None:
    hook = f"on_{mode}_end"
    for block_fails in (False, True):
        error = kind()
        calls: list[tuple[Any, ...]] = []
        broken = ZeroDivisionError("broken")
        callbacks = CallbackList([Failing(hook, broken), Failing(hook, error), Recorder("last", calls)])

        def run(callbacks: CallbackList = callbacks, block_fails: bool = block_fails) -> None:
            with callbacks.running(mode):
                if block_fails:
                    raise RuntimeError("in the middle")

        with pytest.raises(kind) as caught:
            run()
        assert caught.value is error
        assert calls[-1][:2] == ("last", hook)
        assert any("ZeroDivisionError: broken" in note for note in error.__notes__)
        assert callbacks.errors == [broken, error]
        assert any("RuntimeError: in the middle" in note for note in error.__notes__) == block_fails


def test_an_error_at_the_end_is_noted_on_the_one_that_ended_training() -> None:
    callbacks = CallbackList(Failing("on_train_end", OSError("disk full")))
    with pytest.raises(ZeroDivisionError) as raised, callbacks.running("train"):
        raise ZeroDivisionError
    assert raised.value.__notes__ == ["and then a callback failed in on_train_end: OSError: disk full"]


def test_defaults_are_added_unless_there_is_one() -> None:
    mine = History()
    assert CallbackList([mine], add_history=True).callbacks == [mine]
    callbacks = CallbackList(Callback(), add_history=True)
    assert [type(callback) for callback in callbacks.callbacks] == [Callback, History]
    assert callbacks.find(History) is callbacks.callbacks[1]
    assert callbacks.find(LambdaCallback) is None


def test_append_connects_the_new_one() -> None:
    calls: list[tuple[Any, ...]] = []
    callbacks = CallbackList(model=types.SimpleNamespace(), epochs=1)
    assert not callbacks.listens("on_epoch_end")
    callbacks.append(Recorder("a", calls))
    callbacks.on_epoch_end(0, {})
    assert calls == [("a", "set_model"), ("a", "set_params"), ("a", "on_epoch_end", 0, {})]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (History, r"got the class History; write History\(\)"),
        ([Callback(), print], "Callback objects or a list of them, got <built-in function print>"),
        ("history", "got 'history' of type builtins.str"),
        ({"a": Callback()}, "of type builtins.dict"),
    ],
)
def test_what_is_not_a_callback_is_refused(wrong: Any, message: str) -> None:
    with pytest.raises(TypeError, match=message):
        CallbackList(wrong)


def test_a_subclass_need_not_call_super_init() -> None:
    class Mine(Callback):
        def __init__(self) -> None:
            self.mine = 1

    callback = Mine()
    assert callback.model is None
    assert callback.params is None
    CallbackList(callback, model=types.SimpleNamespace(name="m"), epochs=3)
    assert callback.model.name == "m"
    assert callback.params == {"epochs": 3}
    assert Callback.model is None


def test_lambda_callback_calls_its_functions_only() -> None:
    calls: list[tuple[Any, ...]] = []
    callback = LambdaCallback(
        on_epoch_end=lambda epoch, logs: calls.append((epoch, logs)), on_test_end=lambda logs: calls.append((logs,))
    )
    callbacks = CallbackList(callback)
    assert [hook for hook in HOOKS if callbacks.listens(hook)] == ["on_test_end", "on_epoch_end"]
    callbacks.on_epoch_end(1, {"loss": 2.0})
    callbacks.on_test_end({"loss": 3.0})
    assert calls == [(1, {"loss": 2.0}), ({"loss": 3.0},)]


def test_lambda_callback_refuses_unknown_hooks_and_values() -> None:
    with pytest.raises(TypeError, match="no hook 'on_epoch_ends'; did you mean on_epoch_end or"):
        LambdaCallback(on_epoch_ends=print)
    with pytest.raises(TypeError, match="on_train_end must be a function, got 3"):
        LambdaCallback(on_train_end=3)  # type: ignore[arg-type]
