"""Objects that watch training, evaluation and prediction, and may act on them."""

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
from nnx.callbacks.progbar_logger import ProgbarLogger, verbosity
from nnx.callbacks.reduce_lr_on_plateau import ReduceLROnPlateau
from nnx.callbacks.tensorboard import TensorBoard
from nnx.callbacks.terminate_on_nan import TerminateOnNaN

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
    "TensorBoard",
    "TerminateOnNaN",
    "verbosity",
]
