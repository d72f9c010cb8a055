"""Trainer of a model: compile, and the loop over epochs."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any, cast

import numpy as np

from nnx import debug, optimizers, ranks
from nnx import random as nnx_random
from nnx.arguments import non_negative_integer, optional_integer
from nnx.backends import array_namespace
from nnx.callbacks import CallbackList, History, LazyLogs, verbosity
from nnx.structure import leaves, rebuild
from nnx.training import rank_agreement
from nnx.training.epochs import Epochs
from nnx.training.host_data import warn_of_missing_values
from nnx.training.objective import Objective
from nnx.training.own_steps import OwnSteps, joined
from nnx.training.pipeline import InputPipeline
from nnx.training.step import BatchStep, as_given, as_returned, require_optimizer
from nnx.training.trainable import TrainableModel
from nnx.training.training_run import TrainingRun

_JOINED_NUMBERS = 1 << 18
_MOST_ROWS = 1 << 12


class Trainer:
    """Trains, evaluates and predicts for a model; its methods are those of the model, which document them.

    model : gives the model. It is a weak reference, so that a model and its arrays go as soon as nobody uses it.
    pipeline : brings data into the place of the model. step : what is done with one batch.
    own_steps : what is done with one where the model says so itself, with a `train_step` or the like, and where it was
        compiled without a loss.
    for_training, for_testing, for_predicting : which of the two it is.
    """

    def __init__(self, model: Callable[[], TrainableModel]) -> None:
        self.model = model
        self.pipeline = InputPipeline(model)
        self.step = BatchStep(model, self.pipeline)
        self.own_steps = OwnSteps(model, self.pipeline)
        self._choose_steps()

    def _choose_steps(self) -> None:
        """Let a model's own steps do what it defines itself, and what there is no compiled loss for."""
        own, compiled = self.own_steps.defined, self.model().compile_arguments
        if compiled is not None and compiled["loss"] is None:
            own = own | {"training", "testing"}
        self.for_training: BatchStep | OwnSteps = self.own_steps if "training" in own else self.step
        self.for_testing: BatchStep | OwnSteps = self.own_steps if "testing" in own else self.step
        self.for_predicting: BatchStep | OwnSteps = self.own_steps if "predicting" in own else self.step

    def forget(self) -> None:
        """Take back what the first batch decided from the layers."""
        self.pipeline.forget()
        self.step.forget_plans()

    def compile(
        self, optimizer: Any, loss: Any, loss_weights: Any, metrics: Any, weighted_metrics: Any, jit_compile: bool | str
    ) -> None:
        model = self.model()
        self.step.require_alone("compile")
        optimizer = None if optimizer is None else optimizers.resolve(optimizer)
        names = None if model.output_names is None else list(model.output_names)
        structure = None if names is None else model.output_structure  # one that only holds layers has none
        objective = Objective(loss, metrics, weighted_metrics, loss_weights, names, structure)
        model.optimizer, model.objective = optimizer, objective
        if loss is not None:  # else a subclass may have something of that name
            model.loss = loss
        model.compile_arguments = {
            "loss": loss,
            "loss_weights": loss_weights,
            "metrics": metrics,
            "weighted_metrics": weighted_metrics,
            "jit_compile": jit_compile,
        }
        self._choose_steps()
        model.random = model.random or nnx_random.default().split()
        model.forget_training()
        if model.built:
            model.choose_trained()

    # Whole data sets

    def fit(
        self,
        x: Any,
        y: Any,
        *,
        batch_size: int | None,
        epochs: int,
        verbose: int | str,
        callbacks: Any,
        validation_split: float,
        validation_data: Any,
        shuffle: bool,
        class_weight: dict[int, float] | None,
        sample_weight: Any,
        initial_epoch: int,
        steps_per_epoch: int | None,
        validation_steps: int | None,
        validation_batch_size: int | None,
        validation_freq: int | Sequence[int],
    ) -> History:
        model = self.model()
        with model.computing, self.step.fit_alone(), self._running_values():
            model.require_compiled()
            own = self.for_training is self.own_steps
            if not model.overrides("train_step"):
                require_optimizer(model)
            if own:
                self.own_steps.get_ready()
            verbose = ranks.agreed(verbose)
            batch_size = optional_integer("batch_size", batch_size, 32)
            epochs = 1 if epochs is None else non_negative_integer("epochs", epochs)
            initial_epoch = 0 if initial_epoch is None else non_negative_integer("initial_epoch", initial_epoch)
            if not isinstance(validation_freq, list | tuple | set):
                validation_freq = optional_integer("validation_freq", validation_freq, 1)
            if validation_split and validation_data is None:
                split = self.pipeline.structured_split if own else self.pipeline.split
                x, y, sample_weight, validation_data = split(x, y, sample_weight, validation_split)
            generator = model.random if shuffle else None
            if own:
                source = self.pipeline.structured_batches(x, y, sample_weight, class_weight, batch_size, generator)
            else:
                source = self.pipeline.batches(x, y, sample_weight, class_weight, batch_size, generator)
            batches = Epochs(source, optional_integer("steps_per_epoch", steps_per_epoch))
            validation_batch_size = optional_integer("validation_batch_size", validation_batch_size, batch_size)
            prepare = (
                self.pipeline.structured_validation if self.for_testing is self.own_steps else self.pipeline.validation
            )
            validation = prepare(validation_data, validation_batch_size, validation_steps)
            drawn, steps = bool(verbosity(verbose)), batches.steps
            listeners = CallbackList(callbacks, True, drawn, model, verbose=verbose, epochs=epochs, steps=steps)
            if validation is not None:
                self._join_tests(validation, listeners)
            run = TrainingRun(model, listeners, batches, validation, initial_epoch)
            rank_agreement.begin(model, listeners, batches, epochs=(initial_epoch, epochs), batch_size=batch_size)
            with run.under_way(), listeners.running("train") as final_logs, run.finishing():
                run.begun = True
                final_logs.update(run.logs)
                while run.epoch < epochs and not run.is_over:
                    logs = self._train_epoch(run)
                    if logs is None:  # not a single batch was left
                        if run.epoch == initial_epoch:
                            raise ValueError("fit got no data: expected at least one batch")
                        break
                    if validation is not None and _is_due(run.epoch, validation_freq):
                        validation.name = f"the validation after epoch {run.epoch + 1}"
                        results = self._evaluate(validation, listeners, model.require_compiled())
                        logs |= {f"val_{name}": result for name, result in results.items()}
                        logs = {name: logs[name] for name in sorted(logs)}
                    if run.epoch == initial_epoch and np.isnan(logs.get("loss", 0.0)).any():
                        warn_of_missing_values(x=x, y=y, sample_weight=sample_weight)
                    run.end_epoch(logs)
                    listeners.on_epoch_end(run.epoch - 1, logs)
                    final_logs.clear()
                    final_logs.update(logs)
                    run.decide_whether_over()
                run.complete = True
        return cast("History", listeners.find(History))

    def evaluate(
        self,
        x: Any,
        y: Any,
        *,
        batch_size: int | None,
        verbose: int | str,
        sample_weight: Any,
        steps: int | None,
        callbacks: Any,
        return_dict: bool,
    ) -> Any:
        model = self.model()
        with model.computing:
            model.require_compiled()
            own, batch_size = self.for_testing is self.own_steps, optional_integer("batch_size", batch_size, 32)
            if own:
                self.own_steps.get_ready()
                source = self.pipeline.structured_batches(x, y, sample_weight, None, batch_size, None)
            else:
                source = self.pipeline.batches(x, y, sample_weight, None, batch_size, generator=None)
            batches = Epochs(source, optional_integer("steps", steps), once=True, name="evaluate")
            listeners = self._listeners(callbacks, ranks.agreed(verbose), batches.steps)
            rank_agreement.begin(model, listeners, batches)
            self._join_tests(batches, listeners)
            logs = self._evaluate(batches, listeners)
            return as_returned(logs if return_dict or not own else model.in_order_of_metrics(logs), return_dict)

    def predict(self, x: Any, *, batch_size: int | None, verbose: int | str, steps: int | None, callbacks: Any) -> Any:
        model = self.model()
        with model.computing:
            own, batch_size = self.for_predicting is self.own_steps, optional_integer("batch_size", batch_size, 32)
            if model.stop_predicting:  # not set in vain: plans look at all attributes where one was set
                model.stop_predicting = False
            watched = callbacks is not None or steps is not None or verbosity(verbose)
            if not (own or watched) and self.pipeline.takes_as_it_is(x) and self._is_one_batch(x, batch_size):
                return self.step.predict_on_batch(x)
            if own:
                self.own_steps.get_ready()
                source = self.pipeline.structured_batches(x, None, None, None, batch_size, None)
            else:
                source = self.pipeline.input_batches(x, batch_size)
            batches = Epochs(source, optional_integer("steps", steps), once=True, name="predict")
            listeners = self._listeners(callbacks, verbose, batches.steps)
            if not (own or batches.steps == 1 or listeners.listens_to_batches("predict")):
                batches.join(self._rows_together())
            outputs: list[Any] = []  # lists of arrays; structures of them where the model has a step of its own
            with listeners.running("predict"):
                for step, batch in enumerate(batches):
                    listeners.on_predict_batch_begin(step, {})
                    outputs.append(self.own_steps.predict(*batch) if own else self.step.predict(batch[0]))
                    made = outputs[-1] if own else rebuild(model.output_structure, outputs[-1])
                    listeners.on_predict_batch_end(step, {"outputs": made})
                    if model.stop_predicting:
                        break
            if not outputs:
                raise ValueError("predict got no data: expected at least one batch")
            if own:
                made = joined(outputs)
                return as_given(x, leaves(made), made)
            whole = [
                column[0] if len(column) == 1 else array_namespace(column[0]).concat(column, axis=0)
                for column in zip(*outputs, strict=True)
            ]
            return as_given(x, whole, model.output_structure)

    # Epochs

    def _train_epoch(self, run: TrainingRun) -> dict[str, float] | None:
        """The logs of an epoch; None where not a single batch was left."""
        steps: Any = self.for_training
        model, listeners, batches, done = self.model(), run.listeners, run.batches, run.in_epoch
        if not run.in_epoch:  # else it was begun before training was interrupted
            steps.begin()
            listeners.on_epoch_begin(run.epoch, {})
        batches.name = f"epoch {run.epoch + 1}"
        watched = listeners.listens("on_train_batch_end")
        with run.errors_naming_the_batch():
            for batch in batches:
                step = batches.done - 1
                listeners.on_train_batch_begin(step, {})
                steps.train(*batch)
                done = True
                if watched:
                    listeners.on_train_batch_end(step, LazyLogs(steps.read))
                if model.stop_training:
                    break
        logs = steps.read()
        return {name: logs[name] for name in sorted(logs)} if done else None

    def _evaluate(
        self, batches: Epochs, listeners: CallbackList, objective: Objective | None = None
    ) -> dict[str, float]:
        """The results for a data set.

        objective : whose running values to use; None for some that nobody else uses. Steps of the model's own have
            their own.
        """
        model, steps = self.model(), cast("Any", self.for_testing)
        own, model.stop_evaluating = steps is self.own_steps, False
        if own:
            steps.begin()
        elif objective is not None:
            objective.reset()
        batches.restart()  # every validation is of the same samples
        watched = listeners.listens("on_test_batch_end")
        step, done = 0, False
        try:
            with contextlib.ExitStack() as stack, listeners.running("test") as final_logs:
                for step, batch in enumerate(batches):
                    if objective is None and not own:  # the first batch decides what metrics there are
                        objective = stack.enter_context(model.require_compiled().alone())
                        if objective is not model.objective:
                            steps = BatchStep(self.model, self.pipeline, objective)
                    read = steps.read if own or objective is None else objective.read
                    listeners.on_test_batch_begin(step, {})
                    steps.test(*batch)
                    done = True
                    if watched:
                        listeners.on_test_batch_end(step, LazyLogs(read))
                    if model.stop_evaluating:
                        break
                final_logs.update(read() if done else {})
        except debug.NotFiniteError as error:
            error.batch = step + 1
            raise
        if not done:
            raise ValueError(
                f"{batches.name} got no data: expected at least one batch; a generator gives its batches only once"
            )
        return final_logs

    # Helpers

    def _rows_together(self) -> int:
        """How many rows may go through the model at once in place of several batches: 0 where that makes a difference.

        Of float32, the widest values of so many rows have a megabyte, which caches hold.
        """
        widest = self.step.inference.widest_row
        if widest is None or debug.is_checking() or not self.step.inference.keeps_rows_apart:
            return 0
        return min(_MOST_ROWS, _JOINED_NUMBERS // max(1, widest))

    def _is_one_batch(self, x: Any, batch_size: int) -> bool:
        """Whether all rows of an input go through the model at once."""
        return len(x) <= batch_size or len(x) <= self._rows_together()

    def _join_tests(self, batches: Epochs, listeners: CallbackList) -> None:
        """Let evaluation take several batches as one, where nobody looks at them and no result depends on it."""
        model = self.model()
        alone = self.pipeline.setup is not None and not self.step.penalised and not model.makes_mask
        if alone and not listeners.listens_to_batches("test") and model.require_compiled().adds_up_rows:
            batches.join(self._rows_together())

    @contextlib.contextmanager
    def _running_values(self) -> Iterator[None]:
        """The time in which nobody else uses the running values of the model: who does already keeps them."""
        model = self.model()
        objective = before = model.require_compiled()
        try:
            before.free.pop()
        except IndexError:
            model.objective = objective = before.copy()
            objective.free.pop()
        try:
            yield
        finally:
            objective.free.append(True)
            if model.objective is objective:
                model.objective = before

    def _listeners(self, callbacks: Any, verbose: int | str, steps: int | None) -> CallbackList:
        if isinstance(callbacks, CallbackList):
            return callbacks
        drawn = bool(verbosity(verbose))
        return CallbackList(callbacks, False, drawn, self.model(), verbose=verbose, epochs=1, steps=steps)


def _is_due(epoch: int, frequency: int | Sequence[int]) -> bool:
    return (epoch + 1) % frequency == 0 if isinstance(frequency, int) else (epoch + 1) in frequency
