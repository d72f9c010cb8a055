"""A callback made of functions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from nnx.callbacks.callback import HOOKS, Callback
from nnx.names import nearest

Function = Callable[..., Any]


class LambdaCallback(Callback):
    """Call functions at the hooks of a callback.

    Each argument is the function for the hook of that name: `f(epoch, logs)` for those of an epoch, `f(batch, logs)`
    for those of a batch, `f(logs)` for the others. `hooks` takes those that are not in the signature, such as
    `on_test_end=`. Raises TypeError for a hook that does not exist and for what is not a function.

    >>> printer = LambdaCallback(on_epoch_end=lambda epoch, logs: print(epoch, logs["loss"]))
    >>> printer.on_epoch_end(0, {"loss": 0.5})
    0 0.5
    """

    def __init__(
        self,
        on_epoch_begin: Function | None = None,
        on_epoch_end: Function | None = None,
        on_train_begin: Function | None = None,
        on_train_end: Function | None = None,
        on_train_batch_begin: Function | None = None,
        on_train_batch_end: Function | None = None,
        **hooks: Function | None,
    ) -> None:
        hooks |= {
            "on_epoch_begin": on_epoch_begin,
            "on_epoch_end": on_epoch_end,
            "on_train_begin": on_train_begin,
            "on_train_end": on_train_end,
            "on_train_batch_begin": on_train_batch_begin,
            "on_train_batch_end": on_train_batch_end,
        }
        for name, function in hooks.items():
            if name not in HOOKS:
                near = nearest(name, HOOKS, n=3) or HOOKS
                raise TypeError(f"LambdaCallback: there is no hook {name!r}; did you mean {' or '.join(near)}?")
            if function is None:
                continue
            if not callable(function):
                raise TypeError(f"LambdaCallback: {name} must be a function, got {function!r}")
            setattr(self, name, function)
