"""How far means over many batches in float32 are off, beside what plain sums give.

python ci/benchmarks/running_means.py, with a number of values in place of 10**7 if need be: 10**7 take two minutes.
"""

from __future__ import annotations

import sys

import numpy as np
from machine import describe_machine

import nnx
from nnx.metrics import Mean
from nnx.training.objective import Objective

TENTH = np.float32(0.1)


def of_plain_sum(count: int) -> float:
    total = np.float32(0.0)
    for _ in range(count):
        total += TENTH
    return float(total) / count


def of_metric(count: int) -> float:
    mean = Mean()
    for _ in range(count):
        mean.update_state(TENTH)
    return float(mean.result())


def of_weighted_metric(count: int) -> float:
    mean, values, weights = Mean(), np.full(1, TENTH), np.full(1, np.float32(0.3))
    for _ in range(count):
        mean.update_state(values, weights)
    return float(mean.result())


def of_loss(count: int) -> float:
    """What the objective of a model keeps of batches of four rows."""
    objective, nothing = Objective("mse", None, None, None, ["y"]), [None]
    for _ in range(count):
        objective.update(TENTH, nothing, 4)
    return float(objective.read()["loss"])


def of_evaluation(count: int) -> float:
    """`evaluate` of so many rows, in batches of four, each with the loss 0.1."""
    model = nnx.Sequential([nnx.Input((1,)), nnx.layers.Activation("linear")])
    model.compile(None, "mae")
    return float(model.evaluate(np.zeros((count, 1), np.float32), np.full((count, 1), TENTH), 4, verbose=0))


def main(count: int = 10**6) -> None:
    print(describe_machine(nnx, np))
    print(f"mean of {count:,} times 0.1 in float32, relative error:")
    ways = {
        "a plain sum": of_plain_sum,
        "metrics.Mean             (at most 1e-6)": of_metric,
        "metrics.Mean, weighted   (at most 1e-6)": of_weighted_metric,
        "the loss of batches      (at most 1e-6)": of_loss,
        "evaluate, batches of 4   (at most 1e-6)": of_evaluation,
    }
    for name, way in ways.items():
        print(f"  {name:42s}{abs(way(count) / float(TENTH) - 1.0):10.1e}", flush=True)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:] or [10**7]))
