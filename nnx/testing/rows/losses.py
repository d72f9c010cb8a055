"""Rows of the losses: formula, data, examples, and whether Keras has them.

A new loss is a function in a file of `nnx/functional`, a class with its function of values in a file of `nnx/losses`,
and a row here; a new file of theirs has a line in `nnx/functional/__init__.py` or `nnx/losses/__init__.py`.
"""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable
from typing import Any

import numpy as np

from nnx import functional, losses
from nnx.losses.base import CLASSES, VALUES_FUNCTIONS, Loss
from nnx.testing.rows.completeness import file_of, public_classes, row_complaints
from nnx.testing.rows.example_data import draw

Options = dict[str, Any]

KerasExample = tuple[tuple[str, str], Options]
"""Kinds of targets and of predictions, and options to call ours and Keras's with."""

ONE_HOT = ("one_hot", "probabilities")
LOGITS = ("one_hot", "numbers")
LABELS = ("labels", "probabilities")
LABEL_LOGITS = ("labels", "numbers")
BITS = ("bits", "probabilities")
BIT_LOGITS = ("bits", "numbers")
NUMBERS = ("numbers", "numbers")
POSITIVE = ("positive", "positive")


@dataclasses.dataclass(frozen=True)
class LossRow:
    """A loss.

    formula : the values of the samples (..., n) -> (...) of float64 arrays in plain NumPy.
    data : kinds of targets and of predictions, of `example_data.draw`.
    options : keyword arguments to call it with, an example each; with `from_logits=True` too where it has that.
    keras : whether Keras has it with the same values and arguments in these examples, or others to compare.
    """

    formula: Callable[..., Any]
    data: tuple[str, str] = NUMBERS
    options: tuple[Options, ...] = ({},)
    keras: bool | tuple[KerasExample, ...] = True

    @property
    def keras_examples(self) -> tuple[KerasExample, ...]:
        """The examples that are compared with Keras."""
        if isinstance(self.keras, bool):
            return tuple((self.data, options) for options in self.options) if self.keras else ()
        return self.keras

    def draw(self, options: Options, shape: tuple[int, ...], seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
        """Targets and predictions of a shape to call the loss with these options with."""
        targets, predictions = self.data
        if options.get("from_logits"):
            predictions = "numbers"
        # the axis of other losses is that of a mean or a sum, and their targets have all axes
        axis = options.get("axis", -1) if targets in ("labels", "one_hot") else -1
        return draw(targets, predictions, shape, seed, axis=axis, ignore_class=options.get("ignore_class"))


def _softmax(z: Any, axis: int = -1) -> Any:
    e = np.exp(z - z.max(axis=axis, keepdims=True))
    return e / e.sum(axis=axis, keepdims=True)


def _sigmoid(z: Any) -> Any:
    return 1.0 / (1.0 + np.exp(-z))


def _mean(values: Any, axis: int = -1) -> Any:
    return values.mean(axis=axis)


def _binary(
    t: Any, p: Any, from_logits: bool = False, label_smoothing: float = 0.0, axis: int = -1, focal: Any = None
) -> Any:
    p = _sigmoid(p) if from_logits else p
    t = t * (1.0 - label_smoothing) + label_smoothing / 2.0
    values = -t * np.log(p) - (1.0 - t) * np.log(1.0 - p)
    return _mean(values if focal is None else focal(t, t * p + (1.0 - t) * (1.0 - p)) * values, axis)


def _binary_focal(
    t: Any, p: Any, apply_class_balancing: bool = False, alpha: float = 0.25, gamma: float = 2.0, **options: Any
) -> Any:
    def focal(t: Any, q: Any) -> Any:
        return (1.0 - q) ** gamma * (t * alpha + (1.0 - t) * (1.0 - alpha) if apply_class_balancing else 1.0)

    return _binary(t, p, focal=focal, **options)


def _categorical(
    t: Any,
    p: Any,
    from_logits: bool = False,
    label_smoothing: float = 0.0,
    axis: int = -1,
    focal: Callable[[Any], Any] = lambda p: 1.0,
) -> Any:
    p = _softmax(p, axis) if from_logits else p / p.sum(axis=axis, keepdims=True)
    t = t * (1.0 - label_smoothing) + label_smoothing / p.shape[axis]
    return -(focal(p) * t * np.log(p)).sum(axis=axis)


def _categorical_focal(t: Any, p: Any, alpha: float = 0.25, gamma: float = 2.0, **options: Any) -> Any:
    return _categorical(t, p, focal=lambda q: alpha * (1.0 - q) ** gamma, **options)


def _sparse(labels: Any, p: Any, from_logits: bool = False, ignore_class: int | None = None, axis: int = -1) -> Any:
    p = np.moveaxis(p, axis, -1)
    labels = labels.reshape(p.shape[:-1])
    values = _categorical(np.eye(p.shape[-1])[np.where(labels == ignore_class, 0, labels)], p, from_logits)
    return np.where(labels == ignore_class, 0.0, values)


def _cosine(t: Any, p: Any, axis: int = -1) -> Any:
    return -(t * p).sum(axis) / np.sqrt((t * t).sum(axis) * (p * p).sum(axis))


def _hinge(t: Any, p: Any, power: int = 1) -> Any:
    t = 2.0 * t - 1.0 if np.isin(t, (0.0, 1.0)).all() else t
    return _mean(np.maximum(1.0 - t * p, 0.0) ** power)


def _categorical_hinge(t: Any, p: Any) -> Any:
    return np.maximum(1.0 + ((1.0 - t) * p).max(axis=-1) - (t * p).sum(axis=-1), 0.0)


def _huber(t: Any, p: Any, delta: float = 1.0) -> Any:
    size = np.abs(p - t)
    return _mean(np.where(size <= delta, 0.5 * size**2, delta * size - 0.5 * delta**2))


def _dice(t: Any, p: Any, axis: Any = None) -> Any:
    return 1.0 - 2.0 * (t * p).sum(axis) / (t.sum(axis) + p.sum(axis))


def _tversky(t: Any, p: Any, alpha: float = 0.5, beta: float = 0.5, axis: Any = None) -> Any:
    overlap = (t * p).sum(axis)
    return 1.0 - overlap / (overlap + alpha * (t * (1 - p)).sum(axis) + beta * ((1 - t) * p).sum(axis))


LOSSES: dict[str, LossRow] = {
    "BinaryCrossentropy": LossRow(
        _binary,
        BITS,
        ({}, {"label_smoothing": 0.1}, {"axis": 0}),
        keras=(
            *((BITS, {}), (BITS, {"label_smoothing": 0.1}), (BITS, {"axis": 0}), (BIT_LOGITS, {"from_logits": True})),
            (BIT_LOGITS, {"from_logits": True, "label_smoothing": 0.2}),
        ),
    ),
    "BinaryFocalCrossentropy": LossRow(
        _binary_focal,
        BITS,
        ({}, {"apply_class_balancing": True, "alpha": 0.4}, {"gamma": 0.5}, {"gamma": 1.0, "axis": 0}),
        keras=(
            *((BITS, {}), (BITS, {"apply_class_balancing": True, "alpha": 0.4}), (BITS, {"gamma": 1.5})),
            (BIT_LOGITS, {"from_logits": True, "label_smoothing": 0.1, "apply_class_balancing": True}),
        ),
    ),
    "CategoricalCrossentropy": LossRow(
        _categorical,
        ONE_HOT,
        ({}, {"label_smoothing": 0.1}, {"axis": 0}),
        keras=(
            *((ONE_HOT, {}), (ONE_HOT, {"label_smoothing": 0.1}), (LOGITS, {"from_logits": True})),
            (LOGITS, {"from_logits": True, "label_smoothing": 0.2}),
        ),
    ),
    "CategoricalFocalCrossentropy": LossRow(
        _categorical_focal,
        ONE_HOT,
        ({}, {"alpha": 0.4, "label_smoothing": 0.1}, {"gamma": 0.5}, {"gamma": 1.0, "axis": 0}),
        keras=(
            *((ONE_HOT, {}), (ONE_HOT, {"alpha": 0.5, "gamma": 1.5, "label_smoothing": 0.1})),
            (LOGITS, {"from_logits": True}),
        ),
    ),
    "CategoricalGeneralizedCrossEntropy": LossRow(
        lambda t, p, q=0.5: (1.0 - np.take_along_axis(p, t.reshape(*p.shape[:-1], 1), -1)[..., 0] ** q) / q,
        LABELS,
        ({}, {"q": 0.8}),
    ),
    "CategoricalHinge": LossRow(_categorical_hinge, LOGITS),
    "CosineSimilarity": LossRow(_cosine, options=({}, {"axis": 0})),
    "Dice": LossRow(
        _dice,
        BITS,
        ({}, {"axis": 0}, {"axis": -1}, {"axis": (0, -1)}),
        keras=((BITS, {}), (BITS, {"axis": (0,)}), (BITS, {"axis": -1})),
    ),
    "Hinge": LossRow(_hinge, ("signs", "numbers"), keras=((("signs", "numbers"), {}), (BIT_LOGITS, {}))),
    "Huber": LossRow(_huber, options=({}, {"delta": 0.3})),
    "KLDivergence": LossRow(lambda t, p: (t * np.log(t / p)).sum(-1), ("probabilities", "probabilities")),
    "LogCosh": LossRow(lambda t, p: _mean(np.log(np.cosh(p - t)))),
    "MeanAbsoluteError": LossRow(lambda t, p: _mean(np.abs(p - t))),
    "MeanAbsolutePercentageError": LossRow(
        lambda t, p: 100.0 * _mean(np.abs((p - t) / t)), ("positive", "numbers"), keras=((POSITIVE, {}),)
    ),
    "MeanSquaredError": LossRow(lambda t, p: _mean((p - t) ** 2)),
    "MeanSquaredLogarithmicError": LossRow(lambda t, p: _mean((np.log(1.0 + p) - np.log(1.0 + t)) ** 2), POSITIVE),
    "Poisson": LossRow(lambda t, p: _mean(p - t * np.log(p)), POSITIVE),
    "SparseCategoricalCrossentropy": LossRow(
        _sparse,
        LABELS,
        ({}, {"ignore_class": 2}, {"ignore_class": -1}, {"axis": 0}),
        keras=(
            *((LABELS, {}), (LABEL_LOGITS, {"from_logits": True}), (LABELS, {"ignore_class": 2})),
            (LABEL_LOGITS, {"from_logits": True, "ignore_class": 2}),
        ),
    ),
    "SquaredHinge": LossRow(
        lambda t, p: _hinge(t, p, 2), ("signs", "numbers"), keras=((("signs", "numbers"), {}), (BIT_LOGITS, {}))
    ),
    "Tversky": LossRow(
        _tversky,
        BITS,
        ({}, {"axis": -1}, {"alpha": 0.3, "beta": 0.9, "axis": (0,)}),
        keras=((BITS, {}), (BITS, {"alpha": 0.3, "beta": 0.9, "axis": -1})),
    ),
}

OF_SEQUENCES = frozenset({"CTC", "Circle"})
"""Losses of sequences, or of all rows of a batch together, and not of each; their tests are in files of their own."""


def loss_case(name: str) -> tuple[Loss, np.ndarray, np.ndarray]:
    """A loss with its defaults, and float64 targets and outputs for it."""
    return (getattr(losses, name)(), *LOSSES[name].draw({}, (6, 4), seed=5))


def function_of(name: str) -> str:
    """The name of the function of `nnx.functional` that a class is a loss of."""
    found: str = getattr(losses, name)().fn.__name__
    return found


def examples(name: str) -> list[Options]:
    """The options to call a loss with, those for logits among them."""
    options = list(LOSSES[name].options)
    if "from_logits" in inspect.signature(getattr(losses, name)).parameters:
        options += [{**each, "from_logits": True} for each in options]
    return options


def arguments(name: str) -> Options:
    """Arguments of a loss's constructor that are not the defaults, one for each that an example has."""
    return {option: value for options in examples(name) for option, value in options.items()}


def complaints() -> list[str]:
    """What is missing for a loss, a sentence each: the file, and the line to add to it."""
    built_in = [function for name in functional.__all__ if _is_loss(function := getattr(functional, name))]
    registered = {name: cls for name, cls in losses.registry.objects.items() if name != "LossFunctionWrapper"}
    public = public_classes(losses, Loss, without=["LossFunctionWrapper"])
    of_classes = {cls().fn: cls for cls in registered.values()}
    lacking = [
        f"nnx/losses: write a class, and below it  {function.__name__} = loss_values(functional.{function.__name__}, "
        "<the class>),  into the file of its subject"
        for function in built_in
        if function not in of_classes
    ]
    for function, cls in of_classes.items():
        if function not in built_in:
            lacking.append(
                f"{file_of(inspect.unwrap(function))}: decorate {function.__name__} with @loss_function, and add it to "
                f"__all__"
            )
        if function not in CLASSES:
            call = f"loss_values(functional.{function.__name__}, {cls.__name__})"
            lacking.append(f"{file_of(cls)}: add  {function.__name__} = {call}  below the class {cls.__name__}")
        for name in (cls.__name__, function.__name__):
            if name not in losses.__all__:
                lacking.append(f"{file_of(cls)}: add {name!r} to __all__")
    for name in losses.__all__:
        original = getattr(getattr(losses, name), "original", None)
        if original in VALUES_FUNCTIONS and not _means(name, CLASSES[original]):
            cls = CLASSES[original]
            lacking.append(f"{file_of(cls)}: register {cls.__name__} under {name!r} too")
    return lacking + row_complaints(
        "nnx/testing/rows/losses.py",
        LOSSES,
        (public | set(registered)) - OF_SEQUENCES,
        '"{name}": LossRow(lambda t, p: <its formula in NumPy>),',
    )


def _is_loss(function: Any) -> bool:
    return getattr(function, "is_built_in", False)


def _means(name: str, cls: type[Loss]) -> bool:
    try:
        return losses.registry.find(name) is cls
    except ValueError:
        return False
