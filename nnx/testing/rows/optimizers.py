"""Examples of every optimiser. A public optimiser without one fails the suite."""

from __future__ import annotations

from collections.abc import Callable

from nnx import optimizers
from nnx.testing.rows.completeness import public_classes, row_complaints

OPTIMIZERS: dict[str, list[Callable[[], optimizers.Optimizer]]] = {
    "SGD": [
        lambda: optimizers.SGD(0.1),
        lambda: optimizers.SGD(0.1, momentum=0.9),
        lambda: optimizers.SGD(0.1, momentum=0.9, nesterov=True, clipvalue=0.5),
    ],
    "RMSprop": [
        lambda: optimizers.RMSprop(0.01),
        lambda: optimizers.RMSprop(0.01, momentum=0.5, centered=True, global_clipnorm=1.0),
    ],
    "Adagrad": [lambda: optimizers.Adagrad(0.1)],
    "Adadelta": [lambda: optimizers.Adadelta(1.0)],
    "Adam": [
        lambda: optimizers.Adam(0.01),
        lambda: optimizers.Adam(0.01, amsgrad=True, clipnorm=0.5, use_ema=True),
        lambda: optimizers.Adam(0.01, weight_decay=0.01, gradient_accumulation_steps=2),
    ],
    "AdamW": [lambda: optimizers.AdamW(0.01)],
    "Adamax": [lambda: optimizers.Adamax(0.01)],
    "Nadam": [lambda: optimizers.Nadam(0.01)],
    "Lion": [lambda: optimizers.Lion(0.001, weight_decay=0.01)],
    "ScheduleFreeAdamW": [lambda: optimizers.ScheduleFreeAdamW(0.01, warmup_steps=3)],
    "Adafactor": [lambda: optimizers.Adafactor(0.1)],
    "Ftrl": [
        lambda: optimizers.Ftrl(0.1),
        lambda: optimizers.Ftrl(0.1, -0.7, l1_regularization_strength=0.01, l2_regularization_strength=0.1, beta=0.1),
    ],
    "Lamb": [lambda: optimizers.Lamb(0.01)],
    "Muon": [
        lambda: optimizers.Muon(0.01),
        lambda: optimizers.Muon(0.01, exclude_layers=["dense_1"], adam_weight_decay=0.1, rms_rate=None),
    ],
    "MultiOptimizer": [
        lambda: optimizers.MultiOptimizer(
            optimizers.OptimizerMap(optimizers.SGD(0.1, momentum=0.9), {".*bias": optimizers.Adam(0.01, clipnorm=0.5)})
        )
    ],
}
"""For each optimiser, some configurations."""


def optimizer_cases() -> list[tuple[str, Callable[[], optimizers.Optimizer]]]:
    """All configurations of optimisers, with names."""
    return [
        (f"{name} {i}".removesuffix(" 0"), make) for name, makes in OPTIMIZERS.items() for i, make in enumerate(makes)
    ]


def complaints() -> list[str]:
    """What is missing for an optimiser, a sentence each: the file, and the line to add to it."""
    public = public_classes(optimizers, optimizers.Optimizer)
    line = '"{name}": [lambda: optimizers.{name}(0.01)],'
    return row_complaints("nnx/testing/rows/optimizers.py", OPTIMIZERS, public, line)
