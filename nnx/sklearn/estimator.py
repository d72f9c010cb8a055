"""What classifiers and regressors share: parameters, the making of a model, its training and its outputs."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Iterable
from typing import Any, Self

import numpy as np

from nnx.layers.layer import Layer
from nnx.lazy_loading import optional_import
from nnx.models import Model
from nnx.random.streams import Generator, default_stream
from nnx.sklearn.inputs import as_samples, as_weights
from nnx.sklearn.samples import Columns, counted, merged, normalized
from nnx.training.host_data import three

BaseEstimator: Any = optional_import("sklearn.base", "nnx.sklearn", "sklearn").BaseEstimator
sklearn_utils = optional_import("sklearn.utils", "nnx.sklearn", "sklearn")
sklearn_validation = optional_import("sklearn.utils.validation", "nnx.sklearn", "sklearn")

ONE_EPOCH = (0, 1)
_OF_MODEL = "model__"


class NetworkEstimator(BaseEstimator):  # type: ignore[misc]
    """Estimator that makes a model for the data, trains it, and predicts.

    A subclass says what targets become, and what outputs mean.

    offered : what a function that makes models may ask for beside X and y, by the names of attributes without "_".
    """

    offered: tuple[str, ...] = ()

    def __init__(
        self,
        model: Callable[..., Any] | None = None,
        *,
        model_kwargs: dict[str, Any] | None = None,
        epochs: int = 100,
        batch_size: int | None = 32,
        verbose: int | str = 0,
        callbacks: Any = None,
        validation_split: float = 0.0,
        validation_data: Any = None,
        shuffle: bool = True,
        initial_epoch: int = 0,
        steps_per_epoch: int | None = None,
        validation_steps: int | None = None,
        validation_batch_size: int | None = None,
        validation_freq: Any = 1,
        random_state: Any = None,
    ) -> None:
        self.model = model
        self.model_kwargs = model_kwargs
        self.epochs = epochs
        self.batch_size = batch_size
        self.verbose = verbose
        self.callbacks = callbacks
        self.validation_split = validation_split
        self.validation_data = validation_data
        self.shuffle = shuffle
        self.initial_epoch = initial_epoch
        self.steps_per_epoch = steps_per_epoch
        self.validation_steps = validation_steps
        self.validation_batch_size = validation_batch_size
        self.validation_freq = validation_freq
        self.random_state = random_state

    # Parameters: those of the constructor, and those of the function that makes the model, as model__NAME

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """The parameters by name, as scikit-learn asks for them.

        deep : with the arguments of the function that makes the model, as `model__NAME`: what is in `model_kwargs`,
            else the function's defaults.
        """
        found: dict[str, Any] = super().get_params(deep)
        if deep:
            given = self.model_kwargs if isinstance(self.model_kwargs, dict) else {}
            found |= {f"{_OF_MODEL}{name}": value for name, value in (self._defaults() | given).items()}
        return found

    def set_params(self, **params: Any) -> Self:
        """Set parameters by name; `model__NAME` is put into `model_kwargs`.

        ValueError, as scikit-learn words it, for a name that there is not.
        """
        of_model = {name: value for name, value in params.items() if name.startswith(_OF_MODEL)}
        super().set_params(**{name: value for name, value in params.items() if name not in of_model})
        if of_model:
            given = {name.removeprefix(_OF_MODEL): value for name, value in of_model.items()}
            self._require_arguments(given)
            self.model_kwargs = {**(self.model_kwargs or {}), **given}
        return self

    def _function(self) -> Callable[..., Any]:
        return self._default_function() if self.model is None else self.model

    def _defaults(self) -> dict[str, Any]:
        """The arguments with defaults of the function, after X and y."""
        named = [one for one in _arguments_of(self._function())[2:] if one.name not in self.offered]
        return {one.name: one.default for one in named if one.default is not one.empty}

    def _require_arguments(self, given: Iterable[str]) -> None:
        """ValueError for an argument that the function does not take."""
        arguments = _arguments_of(self._function())
        if any(one.kind is one.VAR_KEYWORD for one in arguments):
            return
        takes = [one.name for one in arguments[2:]]
        for name in given:
            if name not in takes:
                valid = sorted({*self.get_params(deep=False), *(f"{_OF_MODEL}{name}" for name in takes)})
                raise ValueError(
                    f"Invalid parameter '{_OF_MODEL}{name}' for estimator {self}. Valid parameters are: {valid!r}."
                )

    # Training

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Make a model for samples X and targets y, and train it from the beginning.

        X : (n, features), or (n, ..., channels): arrays, lists, data frames. y : a target, or several, for each.
        sample_weight : how often each sample counts; 2 is as good as a second one that is equal.
        """
        return self._begin(X, y, sample_weight, (self.initial_epoch, self.epochs))

    def _begin(self, X: Any, y: Any, sample_weight: Any, epochs: tuple[int, int], classes: Any = None) -> Self:
        """Learn what the data are like, make a model for them and train it.

        epochs : the first one, counted from 0, and the one before which it ends. classes : all of them; None for those
            of y.
        """
        samples = as_samples(self, X, reset=True)
        self._learn_targets(y, classes)
        self._stream = self._new_stream()
        columns = self._columns(samples, y, sample_weight)
        with default_stream(self._stream):
            self.model_ = self._new_model(*columns[:2])
            self.history_: dict[str, list[float]] = {}
            return self._train(*columns, epochs)

    def _go_on(self, X: Any, y: Any, sample_weight: Any) -> Self:
        """Train the model for one more epoch, with these data."""
        columns = self._columns(as_samples(self, X, reset=False), y, sample_weight)
        with default_stream(self._stream):
            return self._train(*columns, ONE_EPOCH)

    def _columns(self, samples: np.ndarray, y: Any, sample_weight: Any) -> Columns:
        """Samples, targets and weights as they are trained."""
        targets = self._read_targets(y)
        sklearn_validation.check_consistent_length(samples, targets)
        weights = self._weigh(targets, as_weights(self, sample_weight, samples))
        columns = counted(samples, targets, weights)
        if self.shuffle and not self.validation_split and len(columns[0]) <= (self.batch_size or 32):
            return merged(*columns)  # each batch is of all samples: their order plays no part
        return columns

    def _new_stream(self) -> Generator | None:
        if self.random_state is None:
            return None
        return Generator(int(sklearn_utils.check_random_state(self.random_state).randint(np.iinfo(np.int32).max)))

    def _train(self, X: np.ndarray, y: np.ndarray, weights: np.ndarray | None, epochs: tuple[int, int]) -> Self:
        history = self.model_.fit(
            X,
            self._targets(y),
            sample_weight=normalized(weights),
            batch_size=self.batch_size,
            verbose=self.verbose,
            callbacks=copy.deepcopy(self.callbacks),
            validation_split=self.validation_split,
            validation_data=self._validation_data(),
            shuffle=self.shuffle,
            steps_per_epoch=self.steps_per_epoch,
            validation_steps=self.validation_steps,
            validation_batch_size=self.validation_batch_size,
            validation_freq=self.validation_freq,
            initial_epoch=epochs[0],
            epochs=epochs[1],
        )
        for name, values in history.history.items():
            self.history_.setdefault(name, []).extend(values)
        return self

    def _validation_data(self) -> Any:
        if self.validation_data is None:
            return None
        X, y, sample_weight = three(self.validation_data)
        samples = as_samples(self, X, reset=False)
        weights = as_weights(self, sample_weight, samples)
        return (samples, self._targets(self._read_targets(y)), *(() if weights is None else (weights,)))

    # The model

    def _new_model(self, X: np.ndarray, y: np.ndarray) -> Model:
        function = self._function()
        if isinstance(function, Layer) or not callable(function):
            raise TypeError(
                f"model must be a function (X, y) that returns a compiled model, or None, got {self.model!r}; for a "
                f"model that is there already, there is nnx.wrappers.{type(self).__name__.replace('NNX', 'SKLearn')}"
            )
        given = dict(self.model_kwargs or {})
        self._require_arguments(given)
        names = [one.name for one in _arguments_of(function)]
        asked = {name: getattr(self, f"{name}_") for name in self.offered if name in names}
        model = function(X, y, **asked | given)
        called = getattr(function, "__name__", repr(function))
        if not isinstance(model, Model) or model.objective is None or model.optimizer is None:
            what = "a model without an optimizer" if isinstance(model, Model) else repr(model)
            raise TypeError(
                f"the function {called} returned {what}, expected a compiled model: end it with "
                f"model.compile('adam', loss) and return model"
            )
        if not model.built:
            model.build((None, *X.shape[1:]))
        expected = self._output_counts()
        if tuple(model.output_shape[1:]) not in [(count,) for count in expected]:
            raise ValueError(
                f"the model of {called} has outputs of shape {model.output_shape}, expected (None, {expected[0]}) for "
                f"{self._needs()}: end it in Dense({expected[0]})"
            )
        return model

    def _outputs(self, X: Any) -> np.ndarray:
        """What the model says for samples as they were given, (n, outputs)."""
        sklearn_validation.check_is_fitted(self)
        samples = as_samples(self, X, reset=False)
        outputs: np.ndarray = self.model_.predict(samples, batch_size=self.batch_size, verbose=0)
        return outputs

    # What a subclass says

    def _default_function(self) -> Callable[..., Any]:
        """The function that makes a model where none is given."""
        raise NotImplementedError

    def _learn_targets(self, y: Any, classes: Any) -> None:
        """What targets there are, from those of the first data."""
        raise NotImplementedError

    def _read_targets(self, y: Any) -> np.ndarray:
        """Targets as they were given, in numbers."""
        raise NotImplementedError

    def _weigh(self, targets: np.ndarray, weights: np.ndarray | None) -> np.ndarray | None:
        """The weights of samples, with those that their targets give them."""
        return weights

    def _targets(self, y: np.ndarray) -> np.ndarray:
        """Targets as the model's loss takes them."""
        return y

    def _output_counts(self) -> list[int]:
        """How many outputs the model may have, the usual number first."""
        raise NotImplementedError

    def _needs(self) -> str:
        """What needs that many outputs, for an error."""
        raise NotImplementedError


def _arguments_of(function: Any) -> list[inspect.Parameter]:
    """The arguments of a function, those that `functools.partial` has given are left out."""
    try:
        return list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):  # a function in C, or none at all
        return []
