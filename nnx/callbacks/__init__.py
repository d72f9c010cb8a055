"""Objects that watch training, evaluation and prediction, and may act on them."""

from nnx.callbacks.base import Callback
from nnx.callbacks.history import History
from nnx.callbacks.lambda_callback import LambdaCallback
from nnx.callbacks.list import CallbackList
from nnx.callbacks.logs import LazyLogs
from nnx.callbacks.progress import ProgbarLogger, verbosity

__all__ = ["Callback", "CallbackList", "History", "LambdaCallback", "LazyLogs", "ProgbarLogger", "verbosity"]
