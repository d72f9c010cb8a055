"""`keras.ops` is not there: scripts that import it learn here what to write in place of each of its functions."""

from __future__ import annotations

from nnx.lazy_loading import not_there

__getattr__ = not_there(
    __name__,
    "nnx has no ops.{name}. In a call(), which is traced, compose layers, the functions of nnx.layers and of "
    "nnx.activations, and the operators + - * / ** @ [...]; for anything else write a layer with forward(self, x, "
    "*, training=False) that returns (y, pullback). Where there are arrays, in metrics, callbacks, and "
    "losses (which return their values and a pullback), use the functions of their library: "
    "xp = nnx.array_namespace(y_pred), then functions such as xp.exp(y_pred)",
)
