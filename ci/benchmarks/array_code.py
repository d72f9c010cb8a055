"""Layers and losses of ordinary array code against the same written by hand with its pullback.

    python ci/benchmarks/array_code.py

A step of a network with a gated block in its middle, written as `call` and as `forward`; and with a cross-entropy of
one's own against the built-in one. The steps of a pair run in turn; the median of the ratios of neighbouring runs is
robust against a machine that is slower for a while.
"""

from __future__ import annotations

import dataclasses
import statistics
from collections.abc import Callable
from typing import Any

import numpy as np
from machine import describe_machine, seconds

import nnx
from nnx import ops
from nnx.layers import Dense


class Gate(nnx.layers.Layer):
    """x * sigmoid(x * weight), as array code."""

    def build(self, input_shape: Any) -> None:
        self.weight = self.add_weight((input_shape[-1],), "ones", name="weight")
        super().build(input_shape)

    def call(self, x: Any) -> Any:
        return x * ops.sigmoid(x * self.weight)


class GateByHand(nnx.layers.Layer):
    """The same with its pullback."""

    def build(self, input_shape: Any) -> None:
        self.weight = self.add_weight((input_shape[-1],), "ones", name="weight")
        super().build(input_shape)

    def forward(self, x: Any, *, training: bool = False) -> Any:
        weight, xp = self.weight.value, nnx.array_namespace(x)
        opened, pullback_opened = nnx.functional.sigmoid(x * weight)

        def pullback(dy: Any) -> Any:
            dz = pullback_opened(dy * x)
            return dy * opened + dz * weight, xp.sum(dz * x, axis=0)

        return x * opened, self.route(pullback, None, self.weight)


def crossentropy(y_true: Any, y_pred: Any) -> Any:
    """As nnx.losses.sparse_categorical_crossentropy, of probabilities, in functions of nnx.ops."""
    p = ops.take_along_axis(y_pred, y_true[:, None], axis=-1)[:, 0]
    return -ops.log(ops.clip(p, 1e-7, 1.0))


@dataclasses.dataclass(frozen=True)
class Case:
    """A pair of networks. `target` is the largest ratio of the first step's time to the second's that we accept."""

    name: str
    size: int
    batch: int
    gates: tuple[Callable[[], Any], Callable[[], Any]]
    losses: tuple[Any, Any]
    target: float


BUILT_IN = "sparse_categorical_crossentropy"
CASES = (
    Case("call against forward, 64 wide, batch 32", 64, 32, (Gate, GateByHand), (BUILT_IN, BUILT_IN), 1.10),
    Case("call against forward, 512 wide, batch 128", 512, 128, (Gate, GateByHand), (BUILT_IN, BUILT_IN), 1.05),
    Case("own loss against built in, 64, 32", 64, 32, (GateByHand, GateByHand), (crossentropy, BUILT_IN), 1.4),
    Case("own loss against built in, 512, 128", 512, 128, (GateByHand, GateByHand), (crossentropy, BUILT_IN), 1.15),
)


def step(case: Case, gate: Callable[[], Any], loss: Any) -> Callable[[], float]:
    """One call is one step of training."""
    nnx.random.set_seed(1)
    n = case.size
    layers = [nnx.Input((n,)), Dense(n, "relu"), gate(), Dense(n, "relu"), Dense(10, "softmax")]
    model = nnx.Sequential(layers)
    model.compile(nnx.optimizers.Adam(0.001), loss)
    generator = np.random.default_rng(0)
    x = generator.normal(size=(case.batch, n)).astype(np.float32)
    y = generator.integers(0, 10, case.batch)
    return lambda: model.train_on_batch(x, y)


def compare(case: Case, rounds: int = 25) -> tuple[float, float, float]:
    """Median seconds of a step of each, and the median of their ratios."""
    steps = [step(case, gate, loss) for gate, loss in zip(case.gates, case.losses, strict=True)]
    repeats = [max(3, int(0.02 / seconds(one, 5))) for one in steps]
    times = [[seconds(one, n) for one, n in zip(steps, repeats, strict=True)] for _ in range(rounds)]
    first, second = (statistics.median(column) for column in zip(*times, strict=True))
    return first, second, statistics.median(a / b for a, b in times)


def main() -> None:
    print(describe_machine(nnx, np))
    print(f"{'train_on_batch':44} {'array code':>11} {'by hand':>10} {'ratio':>7} {'target':>7}")
    for case in CASES:
        first, second, ratio = compare(case)
        mark = "" if ratio <= case.target else "  above target"
        print(f"{case.name:44} {first * 1e6:8.0f} us {second * 1e6:7.0f} us {ratio:7.2f} {case.target:7.2f}{mark}")


if __name__ == "__main__":
    main()
