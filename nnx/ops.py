"""`keras.ops` is not there: scripts that import it learn here what to write in place of each of its functions."""

from __future__ import annotations

from typing import NoReturn


def __getattr__(name: str) -> NoReturn:
    if name.startswith("__"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    raise AttributeError(
        f"nnx has no ops.{name}. In a call(), which is traced, compose layers, the functions of nnx.layers and of "
        f"nnx.activations, and the operators + - * / ** @ [...]; for anything else write a layer with forward(self, x, "
        f"*, training=False) that returns (y, pullback). Where there are arrays, in metrics, callbacks, and "
        f"losses (which return their values and a pullback), use the functions of their library: "
        f"xp = nnx.array_namespace(y_pred), then functions such as xp.exp(y_pred)"
    )
