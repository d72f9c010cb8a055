"""Several callbacks as one: the training loop calls a hook once, and only those that have it are called."""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Literal

from nnx.callbacks.callback import HOOKS, Callback, overrides
from nnx.callbacks.history import History
from nnx.callbacks.logs import LazyLogs
from nnx.callbacks.progbar_logger import ProgbarLogger
from nnx.members import Advising

Hook = Callable[..., None]

# what a callback without the newer hook may have instead
_OLDER_NAMES = {"on_train_batch_begin": "on_batch_begin", "on_train_batch_end": "on_batch_end"}


class CallbackList(Advising):
    """The callbacks of one run of `fit`, `evaluate` or `predict`.

    callbacks : a callback, a list of them, nested lists, or None.
    add_history, add_progbar : whether a `History`, and a `ProgbarLogger`, is added at the end, unless there is one.
    model : given to `set_model` of each, if there is one.
    params : given to `set_params` of each, as one dict.

    errors : what the hooks at the end of the run have raised so far, for those that are called after them.

    Every hook, such as `on_train_batch_end(batch, logs)`, is an attribute that calls the callbacks that override it,
    in their order, with those at the end that say `runs_last`. Which those are is found out once: a hook that nobody
    overrides does nothing, and `listens(hook)` says so. Raises TypeError for what is not a callback.

    >>> callbacks = CallbackList([Callback()])
    >>> callbacks.listens("on_epoch_end")
    False
    """

    on_train_begin: Hook
    on_test_begin: Hook
    on_predict_begin: Hook
    on_epoch_begin: Hook
    on_epoch_end: Hook
    on_train_batch_begin: Hook
    on_train_batch_end: Hook
    on_test_batch_begin: Hook
    on_test_batch_end: Hook
    on_predict_batch_begin: Hook
    on_predict_batch_end: Hook
    # of these, each callback's is called even if another's raises, Ctrl-C too, and the first error is raised at the end
    on_train_end: Hook
    on_test_end: Hook
    on_predict_end: Hook

    def __init__(
        self,
        callbacks: Callback | Iterable[Any] | None = None,
        add_history: bool = False,
        add_progbar: bool = False,
        model: Any = None,
        **params: Any,
    ) -> None:
        self.callbacks = list(_flatten(callbacks))
        wanted = [kind for kind, add in ((History, add_history), (ProgbarLogger, add_progbar)) if add]
        self.callbacks += [kind() for kind in wanted if self.find(kind) is None]
        self.callbacks.sort(key=_runs_last)
        self.model = model
        self.params = params
        self.errors: list[BaseException] = []
        for callback in self.callbacks:
            self._introduce(callback)
        self._connect()

    def append(self, callback: Callback) -> None:
        """Add a callback at the end."""
        added = list(_flatten(callback))
        for each in added:
            self._introduce(each)
        self.callbacks += added
        self.callbacks.sort(key=_runs_last)
        self._connect()

    def set_model(self, model: Any) -> None:
        """Give each callback the model."""
        self.model = model
        for callback in self.callbacks:
            callback.set_model(model)

    def set_params(self, params: Mapping[str, Any]) -> None:
        """Give each callback the parameters of the run."""
        self.params = dict(params)
        for callback in self.callbacks:
            callback.set_params(params)

    def on_batch_begin(self, batch: int, logs: Mapping[str, float] | None = None) -> None:
        """The older name of `on_train_batch_begin`."""
        self.on_train_batch_begin(batch, logs)

    def on_batch_end(self, batch: int, logs: Mapping[str, float] | None = None) -> None:
        """The older name of `on_train_batch_end`."""
        self.on_train_batch_end(batch, logs)

    def find(self, kind: type[Callback]) -> Any:
        """The first callback of a class, or None."""
        return next((callback for callback in self.callbacks if isinstance(callback, kind)), None)

    def listens(self, hook: str) -> bool:
        """Whether any callback overrides a hook, such as "on_train_batch_end"."""
        return bool(self._hooks[hook])

    def listens_to_batches(self, mode: Literal["train", "test", "predict"]) -> bool:
        """Whether any callback is told of the batches of a mode."""
        return self.listens(f"on_{mode}_batch_begin") or self.listens(f"on_{mode}_batch_end")

    @contextlib.contextmanager
    def running(self, mode: Literal["train", "test", "predict"]) -> Iterator[dict[str, float]]:
        """A block between the begin hook and the end hook of a mode.

        Gives a dictionary: what is in it at the end becomes the end hook's `logs`. When the block raises, or is
        interrupted, every callback that was begun is ended too before the error goes on; an error of an end hook
        is then only noted on the first one, but for Ctrl-C and the like, which goes on in its place.
        """
        logs: dict[str, float] = {}
        begun: list[Callback] = []
        try:
            for callback in self.callbacks:
                if overrides(callback, f"on_{mode}_begin"):
                    getattr(callback, f"on_{mode}_begin")({})
                begun.append(callback)
            yield logs
        except BaseException as error:
            ends = [getattr(callback, f"on_{mode}_end") for callback in begun]
            first = _first([error, *self._call_each(ends, logs)], f"a callback failed in on_{mode}_end")
            if first is error:
                raise
            raise first from error
        getattr(self, f"on_{mode}_end")(logs)

    def _introduce(self, callback: Callback) -> None:
        if self.model is not None:
            callback.set_model(self.model)
        callback.set_params(self.params)

    def _connect(self) -> None:
        vars(self).update(_SILENT)
        self._hooks = {hook: self._methods(hook) for hook in HOOKS} if self.callbacks else _NO_METHODS
        for hook, methods in self._hooks.items():
            if hook in _OLDER_NAMES.values() or not methods:
                continue
            if hook in ("on_train_end", "on_test_end", "on_predict_end"):
                connect = self._call_all
            else:
                connect = _call_in_order_then_expire if hook.endswith("_batch_end") else _call_in_order
            setattr(self, hook, connect(methods))

    def _call_all(self, methods: list[Hook]) -> Hook:
        def call(logs: Mapping[str, float] | None = None) -> None:
            errors = self._call_each(methods, logs)
            if errors:
                raise _first(errors, "another callback failed")

        return call

    def _call_each(self, methods: list[Hook], logs: Mapping[str, float] | None) -> list[BaseException]:
        """Call all, whatever one of them raises; Ctrl-C and `sys.exit` too wait until the others were told."""
        self.errors = []
        for method in methods:
            try:
                method(logs)
            except BaseException as error:
                self.errors.append(error)
        return self.errors

    def _methods(self, hook: str) -> list[Hook]:
        names = (hook, *([_OLDER_NAMES[hook]] if hook in _OLDER_NAMES else []))
        owned = [next((name for name in names if overrides(callback, name)), None) for callback in self.callbacks]
        return [getattr(callback, name) for callback, name in zip(self.callbacks, owned, strict=True) if name]


def _runs_last(callback: Callback) -> bool:
    return callback.runs_last


def _nothing(*args: object, **kwargs: object) -> None:
    """A hook that nobody has overridden."""


_SILENT: dict[str, Hook] = {hook: _nothing for hook in HOOKS if hook not in _OLDER_NAMES.values()}
_NO_METHODS: dict[str, list[Hook]] = {hook: [] for hook in HOOKS}


def _call_in_order(methods: list[Hook]) -> Hook:
    if len(methods) == 1:
        return methods[0]

    def call(*args: Any) -> None:
        for method in methods:
            method(*args)

    return call


def _call_in_order_then_expire(methods: list[Hook]) -> Hook:
    def call(batch: int, logs: Mapping[str, float] | None = None) -> None:
        for method in methods:
            method(batch, logs)
        if isinstance(logs, LazyLogs):
            logs.expire()

    return call


def _first(errors: list[BaseException], what: str) -> BaseException:
    """The first of several errors, or the first that is to end the program; with a note of the others."""
    first = next((error for error in errors if not isinstance(error, Exception)), errors[0])
    for another in errors:
        if another is not first:
            first.add_note(f"and then {what}: {type(another).__name__}: {another}")
    return first


def _flatten(callbacks: Any) -> Iterator[Callback]:
    if callbacks is None:
        return
    if isinstance(callbacks, Callback):
        yield callbacks
    elif inspect.isclass(callbacks) and issubclass(callbacks, Callback):
        raise TypeError(f"callbacks must be objects, got the class {callbacks.__name__}; write {callbacks.__name__}()")
    elif isinstance(callbacks, Iterable) and not isinstance(callbacks, str | bytes | Mapping):
        for callback in callbacks:
            yield from _flatten(callback)
    else:
        raise TypeError(
            f"callbacks must be nnx.callbacks.Callback objects or a list of them, got {callbacks!r} "
            f"of type {type(callbacks).__module__}.{type(callbacks).__qualname__}"
        )
