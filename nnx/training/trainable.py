"""Protocol of a model: what training needs of it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Any, Protocol

from nnx.backends import Array, Placement
from nnx.callbacks import History
from nnx.metrics import Metric
from nnx.optimizers import Optimizer
from nnx.parameters import FlatParameters, Parameter
from nnx.pullbacks import Pullback
from nnx.random import Generator
from nnx.training.objective import Objective
from nnx.training.ports import Ports
from nnx.training.training_run import TrainingRun


class TrainableModel(Protocol):
    """What training needs of a model.

    optimizer, loss, objective, compile_arguments : what `compile` was given; None before it.
    history, stop_training, stop_evaluating, stop_predicting : as Keras names them.
    training_run : what `fit` is doing; None at other times.
    random : the stream that shuffles come from.
    decided_at : the count of `Freezing` when it was last seen that `trainable` is as it was when that was decided.
    """

    name: str
    built: bool
    optimizer: Optimizer | None
    loss: Any
    objective: Objective | None
    compile_arguments: dict[str, Any] | None
    history: History | None
    stop_training: bool
    stop_evaluating: bool
    stop_predicting: bool
    training_run: TrainingRun | None
    random: Generator | None
    decided_at: int

    # Where it is, and what it is made of

    @property
    def placement(self) -> Placement: ...

    @property
    def computing(self) -> contextlib.AbstractContextManager[Any]: ...

    @property
    def flat(self) -> FlatParameters: ...

    @property
    def weights(self) -> list[Parameter]: ...

    def walk(self) -> Iterator[tuple[str, Any]]: ...

    # Its inputs and outputs

    @property
    def ports(self) -> Ports: ...

    @property
    def input_names(self) -> list[str] | None: ...

    @property
    def output_names(self) -> list[str] | None: ...

    @property
    def input_template(self) -> Any:
        """How the inputs are nested: lists, tuples and dicts; None where there is nothing to nest."""

    @property
    def output_structure(self) -> Any:
        """How the outputs are nested."""

    @property
    def output_shape(self) -> Any: ...

    @property
    def fusible_activations(self) -> list[str | None]:
        """For each output, the activation at its end that a loss may contain."""

    def build_for_first_call(self, placement: Placement, inputs: tuple[Any, ...], shapes: list[Any]) -> None: ...

    def compute_output_shape(self, input_shape: Any) -> Any: ...

    def shapes_of(self, inputs: Sequence[Any]) -> list[Any]: ...

    # Computation

    @property
    def makes_mask(self) -> bool:
        """Whether there is a layer that makes a mask where its input has none."""

    @property
    def keeps_rows_apart(self) -> bool:
        """Whether at inference what comes of a row depends on that row alone."""

    @property
    def widest_row(self) -> int | None:
        """How many numbers the largest of the values has that layers pass on, for one row; None where that is open."""

    def chain(
        self, arrays: Sequence[Array], *, training: bool, logits: Collection[int] = (), masks: Sequence[Any] = ()
    ) -> tuple[list[Array], list[Any], Pullback]:
        """The outputs, their masks, and the pullback of a list of cotangents."""

    def run(self, *inputs: Any, **options: Any) -> tuple[Any, Pullback]:
        """The outputs in their structure, and their pullback."""

    def activate(self, z: Array, output: int = 0) -> tuple[Array, Pullback]:
        """The last activation of an output, for its logits."""

    def regularization(self) -> tuple[Array, Callable[..., None]]:
        """The penalties on the parameters, and their pullback."""

    # Steps of its own

    def overrides(self, *methods: str) -> bool:
        """Whether its class defines one of these steps itself."""

    def settle(self) -> None:
        """Be where the layers inside are."""

    def train_step(self, data: Any) -> dict[str, Any]: ...

    def test_step(self, data: Any) -> dict[str, Any]: ...

    def predict_step(self, data: Any) -> Any: ...

    def reset_metrics(self) -> None: ...

    def own_metrics(self) -> list[Metric]:
        """The metrics that it and its layers keep in attributes, and update themselves."""

    def in_order_of_metrics(self, logs: dict[str, Any]) -> dict[str, Any]:
        """Logs in the order of the metrics that they are of."""

    # What training decides

    def require_compiled(self) -> Objective:
        """The objective; ValueError before `compile`."""

    def forget_training(self) -> None:
        """Take back what `compile` and the first batch decided from the layers."""

    def train_in(self, flat: FlatParameters) -> None:
        """Let the parameters of this buffer, which the model has, be those that are trained."""

    def choose_trained(self) -> list[Parameter]:
        """Decide which parameters are trained: those that are trainable now."""

    def as_decided(self) -> contextlib.AbstractContextManager[None]:
        """The time in which every layer is trainable or not as was decided, for those that look at it themselves."""
