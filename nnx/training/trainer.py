"""Training, evaluation and prediction: compile, fit and their relatives."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

from nnx import debug, optimizers, ranks
from nnx import random as nnx_random
from nnx.backends import Array, array_namespace, to_numpy
from nnx.callbacks import CallbackList, History, LazyLogs, ProgbarLogger, verbosity
from nnx.layers.weights import in_its_place
from nnx.models.deprecated_methods import LegacyMethods
from nnx.models.files import Files
from nnx.models.summary import SummaryTotals
from nnx.precision import dtype_bytes
from nnx.structure import rebuild
from nnx.training import rank_agreement
from nnx.training.batches import Epochs
from nnx.training.host_data import positive
from nnx.training.objective import Objective
from nnx.training.steps import Steps, as_returned, is_host
from nnx.training.training_run import TrainingRun


class Trainer(LegacyMethods, Files, Steps):
    """A model that can be compiled and trained.

    optimizer, history, stop_training : as Keras names them.
    random : the stream that shuffles come from; split from the default stream at `compile`.
    training_run : what `fit` is doing, for callbacks; None at other times.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.history: History | None = None
        self.stop_training = False
        self.compile_arguments: dict[str, Any] | None = None
        self.training_run: TrainingRun | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {**super().__getstate__(), "training_run": None}  # a copy made by a callback is not in training

    def compile(
        self,
        optimizer: Any = "rmsprop",
        loss: Any = None,
        loss_weights: Any = None,
        metrics: Any = None,
        weighted_metrics: Any = None,
        run_eagerly: bool = False,
        steps_per_execution: int = 1,
        jit_compile: bool | str = "auto",
    ) -> None:
        """Say how to train. Which layers are trainable is decided here.

        optimizer : a name or an object of `nnx.optimizers`.
        loss : a name, function or object of `nnx.losses`.
        loss_weights : a factor for the loss.
        metrics, weighted_metrics : names or objects of `nnx.metrics`; only the latter use sample weights.
        run_eagerly, steps_per_execution, jit_compile : accepted for scripts written for Keras; nnx compiles nothing.

        Raises ValueError, with the names that come nearest, for an unknown one.
        """
        self.refuse_own_steps()
        optimizer = optimizers.resolve(optimizer)
        names = None if self.output_names is None else list(self.output_names)
        objective = Objective(loss, metrics, weighted_metrics, loss_weights, names)
        self.optimizer, self.objective = optimizer, objective
        self.compile_arguments = {
            "loss": loss,
            "loss_weights": loss_weights,
            "metrics": metrics,
            "weighted_metrics": weighted_metrics,
        }
        self.random = self.random or nnx_random.default().split()
        self.forget_training()
        if self.built:
            self._decide_what_is_trained()

    @property
    def metrics_names(self) -> list[str]:
        """The names of what evaluate returns."""
        return self._compiled().names

    # Whole data sets

    @in_its_place
    def fit(
        self,
        x: Any = None,
        y: Any = None,
        batch_size: int | None = None,
        epochs: int = 1,
        verbose: int | str = "auto",
        callbacks: Any = None,
        validation_split: float = 0.0,
        validation_data: Any = None,
        shuffle: bool = True,
        class_weight: dict[int, float] | None = None,
        sample_weight: Any = None,
        initial_epoch: int = 0,
        steps_per_epoch: int | None = None,
        validation_steps: int | None = None,
        validation_batch_size: int | None = None,
        validation_freq: int | Sequence[int] = 1,
    ) -> History:
        """Train for some epochs.

        x, y : samples and targets: arrays, lists, data frames; memory-mapped arrays and data sets of h5py or zarr,
            which are read as they are needed, see `nnx.data.row_pools`; for several inputs or outputs, lists or dicts
            of these. Or x alone: batches (x, y) or (x, y, weights) from a loader (of nnx or PyTorch), a sequence as
            Keras has it, a generator or another iterable.
        batch_size : 32 by default.
        epochs, initial_epoch : train from initial_epoch up to epochs, counted from 0.
        verbose : 0 silent, 1 or "auto" a progress bar, 2 a line for each epoch.
        callbacks : a list of `nnx.callbacks.Callback`.
        validation_split : the last part of the arrays that is used for validation only, before any shuffling.
        validation_data : (x, y), (x, y, weights), or an iterable of batches.
        shuffle : whether arrays, and the batches of a sequence, are shuffled for every epoch.
        class_weight : a factor for the loss of each class. sample_weight : one for each sample.
        steps_per_epoch, validation_steps : how many batches make an epoch, or a validation.
        validation_batch_size : by default the batch size.
        validation_freq : validate after every so many epochs, or after those in the list, counted from 1.

        Returns the history; its `history` has a list of values for each name. It is also kept as `model.history`: when
        training is interrupted, by Ctrl-C or by an error, that has all completed epochs, and the model is usable.
        An error of a batch names it.
        """
        self._compiled()
        verbose = ranks.agreed(verbose)
        batch_size = positive(batch_size, "batch_size", 32)
        epochs, initial_epoch = positive(epochs, "epochs", 1), positive(initial_epoch, "initial_epoch", 0, least=0)
        if not isinstance(validation_freq, list | tuple | set):
            validation_freq = positive(validation_freq, "validation_freq", 1)
        if validation_split and validation_data is None:
            x, y, sample_weight, validation_data = self._split(x, y, sample_weight, validation_split)
        generator = self.random if shuffle else None
        source = self._batches(x, y, sample_weight, class_weight, batch_size, generator)
        batches = Epochs(source, positive(steps_per_epoch, "steps_per_epoch", None))
        validation = self._validation_batches(
            validation_data, positive(validation_batch_size, "validation_batch_size", batch_size), validation_steps
        )
        listeners = CallbackList(
            callbacks,
            self,
            {"verbose": verbose, "epochs": epochs, "steps": batches.steps},
            defaults=(History, *((ProgbarLogger,) if verbosity(verbose) else ())),
        )
        run = TrainingRun(self, listeners, batches, validation, initial_epoch)
        rank_agreement.begin(self, listeners, batches, epochs=(initial_epoch, epochs), batch_size=batch_size)
        with run.under_way(), listeners.running("train") as final_logs, run.finishing():
            run.begun = True
            final_logs.update(run.logs)
            while run.epoch < epochs and not run.is_over:
                logs = self._train_epoch(run)
                if not logs:  # not a single batch was left
                    if run.epoch == initial_epoch:
                        raise ValueError("fit got no data: expected at least one batch")
                    break
                if validation is not None and _is_due(run.epoch, validation_freq):
                    validation.name = f"the validation after epoch {run.epoch + 1}"
                    results = self._evaluate(validation, listeners)
                    logs.update({f"val_{name}": results[name] for name in sorted(results)})
                run.end_epoch(logs)
                listeners.on_epoch_end(run.epoch - 1, logs)
                final_logs.clear()
                final_logs.update(logs)
                run.decide_whether_over()
            run.complete = True
        return self.history  # type: ignore[return-value]

    @in_its_place
    def evaluate(
        self,
        x: Any = None,
        y: Any = None,
        batch_size: int | None = None,
        verbose: int | str = "auto",
        sample_weight: Any = None,
        steps: int | None = None,
        callbacks: Any = None,
        return_dict: bool = False,
    ) -> Any:
        """The loss, or [loss, *metrics], or a dict of them by name, over a data set. Arguments as for `fit`."""
        self._compiled()
        source = self._batches(x, y, sample_weight, None, positive(batch_size, "batch_size", 32), None)
        batches = Epochs(source, positive(steps, "steps", None), once=True, name="evaluate")
        listeners = self._listeners(callbacks, ranks.agreed(verbose), batches.steps)
        rank_agreement.begin(self, listeners, batches)
        return as_returned(self._evaluate(batches, listeners), return_dict)

    @in_its_place
    def predict(
        self,
        x: Any,
        batch_size: int | None = None,
        verbose: int | str = "auto",
        steps: int | None = None,
        callbacks: Any = None,
    ) -> Any:
        """The outputs for all samples, on the host for host data, else on the device of x.

        x : an array, list or iterable of batches.
        """
        source = self._input_batches(x, positive(batch_size, "batch_size", 32))
        batches = Epochs(source, positive(steps, "steps", None), once=True, name="predict")
        listeners = self._listeners(callbacks, verbose, batches.steps)
        outputs: list[list[Array]] = []
        with listeners.running("predict"):
            for step, (xs, _, _) in enumerate(batches):
                listeners.on_predict_batch_begin(step, {})
                outputs.append(self._predict_step(xs))
                listeners.on_predict_batch_end(step, {"outputs": rebuild(self.output_structure, outputs[-1])})
        if not outputs:
            raise ValueError("predict got no data: expected at least one batch")
        whole = [
            column[0] if len(column) == 1 else array_namespace(column[0]).concat(column, axis=0)
            for column in zip(*outputs, strict=True)
        ]
        return rebuild(self.output_structure, [to_numpy(y) for y in whole] if is_host(x) else whole)

    def _summary_totals(self) -> SummaryTotals:
        totals = super()._summary_totals()
        slots = self.optimizer.slots.values() if self.optimizer else ()
        if not slots:
            return totals
        kept = sum(math.prod(slot.shape) for slot in slots)
        return dataclasses.replace(totals, optimizer=kept, optimizer_bytes=kept * dtype_bytes(self.placement.dtype))

    def restore_history(self, history: dict[str, list[float]], epochs: list[int]) -> None:
        """Take over the history of an earlier training."""
        self.history = History()
        self.history.set_model(self)
        self.history.history, self.history.epoch = history, epochs

    # Epochs

    def _train_epoch(self, run: TrainingRun) -> dict[str, float]:
        objective, listeners, batches = self._compiled(), run.listeners, run.batches
        if not run.in_epoch:  # else it was begun before training was interrupted
            objective.reset()
            listeners.on_epoch_begin(run.epoch, {})
        batches.name = f"epoch {run.epoch + 1}"
        watched = listeners.listens("on_train_batch_end")
        with run.errors_naming_the_batch():
            for batch in batches:
                step = batches.done - 1
                listeners.on_train_batch_begin(step, {})
                self._train_step(*batch)
                if watched:
                    listeners.on_train_batch_end(step, LazyLogs(objective.read))
                if self.stop_training:
                    break
        logs = objective.read()
        return {name: logs[name] for name in sorted(logs)}

    def _evaluate(self, batches: Epochs, listeners: CallbackList) -> dict[str, float]:
        objective = self._compiled()
        objective.reset()
        batches.restart()  # every validation is of the same samples
        watched = listeners.listens("on_test_batch_end")
        step = 0
        try:
            with listeners.running("test") as final_logs:
                for step, batch in enumerate(batches):
                    listeners.on_test_batch_begin(step, {})
                    self._test_step(*batch)
                    if watched:
                        listeners.on_test_batch_end(step, LazyLogs(objective.read))
                final_logs.update(objective.read())
        except debug.NotFiniteError as error:
            error.batch = step + 1
            raise
        if not final_logs:
            raise ValueError(
                f"{batches.name} got no data: expected at least one batch; a generator gives its batches only once"
            )
        return final_logs

    # Helpers

    def _listeners(self, callbacks: Any, verbose: int | str, steps: int | None) -> CallbackList:
        if isinstance(callbacks, CallbackList):
            return callbacks
        parameters = {"verbose": verbose, "epochs": 1, "steps": steps}
        return CallbackList(callbacks, self, parameters, defaults=(ProgbarLogger,) if verbosity(verbose) else ())


def _is_due(epoch: int, frequency: int | Sequence[int]) -> bool:
    return (epoch + 1) % frequency == 0 if isinstance(frequency, int) else (epoch + 1) in frequency
