"""Objects that watch training, evaluation and prediction, and may act on them."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nnx.callbacks.backup_and_restore import BackupAndRestore
    from nnx.callbacks.callback import Callback
    from nnx.callbacks.callback_list import CallbackList
    from nnx.callbacks.csv_logger import CSVLogger
    from nnx.callbacks.early_stopping import EarlyStopping
    from nnx.callbacks.history import History
    from nnx.callbacks.lambda_callback import LambdaCallback
    from nnx.callbacks.learning_rate_scheduler import LearningRateScheduler
    from nnx.callbacks.logs import LazyLogs
    from nnx.callbacks.model_checkpoint import ModelCheckpoint
    from nnx.callbacks.progbar_logger import (
        ProgbarLogger,
        disable_interactive_logging,
        enable_interactive_logging,
        is_interactive_logging_enabled,
        verbosity,
    )
    from nnx.callbacks.reduce_lr_on_plateau import ReduceLROnPlateau
    from nnx.callbacks.remote_monitor import RemoteMonitor
    from nnx.callbacks.swap_ema_weights import SwapEMAWeights
    from nnx.callbacks.tensorboard import TensorBoard
    from nnx.callbacks.terminate_on_nan import TerminateOnNaN
else:
    from nnx.lazy_loading import on_demand

    __getattr__, __dir__ = on_demand(
        __name__,
        {
            "BackupAndRestore": "nnx.callbacks.backup_and_restore",
            "CSVLogger": "nnx.callbacks.csv_logger",
            "Callback": "nnx.callbacks.callback",
            "CallbackList": "nnx.callbacks.callback_list",
            "EarlyStopping": "nnx.callbacks.early_stopping",
            "History": "nnx.callbacks.history",
            "LambdaCallback": "nnx.callbacks.lambda_callback",
            "LazyLogs": "nnx.callbacks.logs",
            "LearningRateScheduler": "nnx.callbacks.learning_rate_scheduler",
            "ModelCheckpoint": "nnx.callbacks.model_checkpoint",
            "ProgbarLogger": "nnx.callbacks.progbar_logger",
            "ReduceLROnPlateau": "nnx.callbacks.reduce_lr_on_plateau",
            "RemoteMonitor": "nnx.callbacks.remote_monitor",
            "SwapEMAWeights": "nnx.callbacks.swap_ema_weights",
            "TensorBoard": "nnx.callbacks.tensorboard",
            "TerminateOnNaN": "nnx.callbacks.terminate_on_nan",
            "disable_interactive_logging": "nnx.callbacks.progbar_logger",
            "enable_interactive_logging": "nnx.callbacks.progbar_logger",
            "is_interactive_logging_enabled": "nnx.callbacks.progbar_logger",
            "verbosity": "nnx.callbacks.progbar_logger",
        },
    )

__all__ = [
    "BackupAndRestore",
    "CSVLogger",
    "Callback",
    "CallbackList",
    "EarlyStopping",
    "History",
    "LambdaCallback",
    "LazyLogs",
    "LearningRateScheduler",
    "ModelCheckpoint",
    "ProgbarLogger",
    "ReduceLROnPlateau",
    "RemoteMonitor",
    "SwapEMAWeights",
    "TensorBoard",
    "TerminateOnNaN",
    "disable_interactive_logging",
    "enable_interactive_logging",
    "is_interactive_logging_enabled",
    "verbosity",
]
