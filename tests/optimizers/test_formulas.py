"""Every optimiser, on every backend, against its formula for one number in Python floats."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import nnx
from nnx.testing import assert_close, no_synchronization

State = defaultdict[str, float]


def sgd(s: State, t: int, w: float, g: float, lr: float = 0.01, momentum: float = 0.0, nesterov: bool = False) -> float:
    s["m"] = momentum * s["m"] - lr * g
    return w + (momentum * s["m"] - lr * g if nesterov else s["m"])


def rmsprop(
    s: State,
    t: int,
    w: float,
    g: float,
    lr: float = 0.001,
    rho: float = 0.9,
    momentum: float = 0.0,
    epsilon: float = 1e-7,
    centered: bool = False,
) -> float:
    s["v"] = rho * s["v"] + (1 - rho) * g**2
    s["a"] = rho * s["a"] + (1 - rho) * g
    variance = s["v"] - s["a"] ** 2 if centered else s["v"]
    s["m"] = momentum * s["m"] + lr * g / math.sqrt(variance + epsilon)
    return w - s["m"]


def adagrad(
    s: State,
    t: int,
    w: float,
    g: float,
    lr: float = 0.001,
    initial_accumulator_value: float = 0.1,
    epsilon: float = 1e-7,
) -> float:
    s["v"] += g**2
    return w - lr * g / math.sqrt(initial_accumulator_value + s["v"] + epsilon)


def adadelta(
    s: State, t: int, w: float, g: float, lr: float = 0.001, rho: float = 0.95, epsilon: float = 1e-7
) -> float:
    s["v"] = rho * s["v"] + (1 - rho) * g**2
    d = math.sqrt(s["u"] + epsilon) / math.sqrt(s["v"] + epsilon) * g
    s["u"] = rho * s["u"] + (1 - rho) * d**2
    return w - lr * d


def adam(
    s: State,
    t: int,
    w: float,
    g: float,
    lr: float = 0.001,
    beta_1: float = 0.9,
    beta_2: float = 0.999,
    epsilon: float = 1e-7,
    amsgrad: bool = False,
) -> float:
    s["m"] = beta_1 * s["m"] + (1 - beta_1) * g
    s["v"] = beta_2 * s["v"] + (1 - beta_2) * g**2
    s["largest"] = max(s["largest"], s["v"])
    alpha = lr * math.sqrt(1 - beta_2**t) / (1 - beta_1**t)
    return w - alpha * s["m"] / (math.sqrt(s["largest" if amsgrad else "v"]) + epsilon)


def adamw(
    s: State, t: int, w: float, g: float, lr: float = 0.001, weight_decay: float = 0.004, **options: Any
) -> float:
    return adam(s, t, w - lr * weight_decay * w, g, lr, **options)


def adamax(
    s: State,
    t: int,
    w: float,
    g: float,
    lr: float = 0.001,
    beta_1: float = 0.9,
    beta_2: float = 0.999,
    epsilon: float = 1e-7,
) -> float:
    s["m"] = beta_1 * s["m"] + (1 - beta_1) * g
    s["u"] = max(beta_2 * s["u"], abs(g))
    return w - lr * s["m"] / ((1 - beta_1**t) * (s["u"] + epsilon))


def nadam(
    s: State,
    t: int,
    w: float,
    g: float,
    lr: float = 0.001,
    beta_1: float = 0.9,
    beta_2: float = 0.999,
    epsilon: float = 1e-7,
) -> float:
    decays = [beta_1 * (1 - 0.5 * 0.96**i) for i in range(1, t + 2)]
    s["m"] = beta_1 * s["m"] + (1 - beta_1) * g
    s["v"] = beta_2 * s["v"] + (1 - beta_2) * g**2
    m_hat = decays[-1] * s["m"] / (1 - math.prod(decays)) + (1 - decays[-2]) * g / (1 - math.prod(decays[:-1]))
    return w - lr * m_hat / (math.sqrt(s["v"] / (1 - beta_2**t)) + epsilon)


def lion(s: State, t: int, w: float, g: float, lr: float = 0.001, beta_1: float = 0.9, beta_2: float = 0.99) -> float:
    c = beta_1 * s["m"] + (1 - beta_1) * g
    s["m"] = beta_2 * s["m"] + (1 - beta_2) * g
    return w - lr * ((c > 0) - (c < 0))


def ftrl(
    s: State,
    t: int,
    w: float,
    g: float,
    lr: float = 0.001,
    learning_rate_power: float = -0.5,
    initial_accumulator_value: float = 0.1,
    l1_regularization_strength: float = 0.0,
    l2_regularization_strength: float = 0.0,
    l2_shrinkage_regularization_strength: float = 0.0,
    beta: float = 0.0,
) -> float:
    l1, p, n = l1_regularization_strength, -learning_rate_power, initial_accumulator_value + s["n"]
    s["n"] += g**2
    after = initial_accumulator_value + s["n"]
    s["z"] += g + 2 * l2_shrinkage_regularization_strength * w - (after**p - n**p) / lr * w
    curvature = after**p / lr + 2 * (l2_regularization_strength + beta / (2 * lr))
    return 0.0 if abs(s["z"]) <= l1 else -(s["z"] - math.copysign(l1, s["z"])) / curvature


def schedule_free_adamw(
    s: State,
    t: int,
    w: float,
    g: float,
    lr: float = 0.0025,
    beta_1: float = 0.9,
    beta_2: float = 0.999,
    epsilon: float = 1e-8,
    warmup_steps: int = 0,
) -> float:
    z, x = (w, w) if t == 1 else (s["z"], s["x"])
    s["v"] = beta_2 * s["v"] + (1 - beta_2) * g**2
    z -= lr * min(t / max(warmup_steps, 1), 1) * g / (math.sqrt(s["v"] / (1 - beta_2**t)) + epsilon)
    x += (z - x) / t
    s["z"], s["x"] = z, x
    return (1 - beta_1) * z + beta_1 * x


ROWS: dict[str, tuple[Callable[..., float], list[dict[str, Any]]]] = {
    "SGD": (sgd, [{}, {"momentum": 0.9}, {"momentum": 0.8, "nesterov": True, "lr": 0.1}]),
    "RMSprop": (
        rmsprop,
        [{}, {"rho": 0.5}, {"momentum": 0.9}, {"centered": True, "epsilon": 1e-2}, {"momentum": 0.5, "centered": True}],
    ),
    "Adagrad": (adagrad, [{}, {"initial_accumulator_value": 0.5, "epsilon": 0.1}]),
    "Adadelta": (adadelta, [{"lr": 1.0}, {"rho": 0.5, "epsilon": 1e-2}]),
    "Adam": (adam, [{}, {"amsgrad": True}, {"beta_1": 0.5, "beta_2": 0.6, "epsilon": 0.1, "amsgrad": True}]),
    "AdamW": (adamw, [{}, {"weight_decay": 0.5, "amsgrad": True}]),
    "Adamax": (adamax, [{}, {"beta_1": 0.5, "beta_2": 0.6, "epsilon": 0.1}]),
    "Nadam": (nadam, [{}, {"beta_1": 0.5, "beta_2": 0.6, "epsilon": 0.1}]),
    "Lion": (lion, [{}, {"beta_1": 0.2, "beta_2": 0.3}]),
    "ScheduleFreeAdamW": (
        schedule_free_adamw,
        [{}, {"lr": 0.1, "warmup_steps": 5}, {"beta_1": 0.5, "beta_2": 0.6, "epsilon": 0.1}],
    ),
    "Ftrl": (
        ftrl,
        [
            {"lr": 0.1},
            {"lr": 0.1, "learning_rate_power": -0.7, "initial_accumulator_value": 0.5, "beta": 0.2},
            {"lr": 0.1, "l1_regularization_strength": 1.0, "l2_regularization_strength": 0.1},
            {"lr": 0.1, "l2_shrinkage_regularization_strength": 0.1},
        ],
    ),
}
CASES = [
    pytest.param(name, options, id=f"{name}-{i}") for name, row in ROWS.items() for i, options in enumerate(row[1])
]
STEPS = 12


def reference(name: str, options: dict[str, Any], starts: np.ndarray, gradients: np.ndarray) -> list[float]:
    ends = []
    for w, series in zip(starts.tolist(), gradients.T.tolist(), strict=True):
        state: State = defaultdict(float)
        for t, g in enumerate(series, 1):
            w = ROWS[name][0](state, t, w, g, **options)
        ends.append(w)
    return ends


def train(flat, name: str, options: dict[str, Any]) -> tuple[np.ndarray, np.ndarray]:
    """Train for some steps; the values at the start, and all gradients."""
    starts = nnx.to_numpy(flat.values).copy()
    gradients = np.random.default_rng(2).normal(size=(STEPS, starts.size)).astype(starts.dtype)
    optimizer = getattr(nnx.optimizers, name)(**options)
    for row in gradients:
        flat.grads[...] = flat.placement.asarray(row)
        with no_synchronization():
            optimizer.apply(flat)
    return starts, gradients


def test_every_optimizer_has_a_row():
    elsewhere = {"Adafactor", "Lamb", "Muon", "MultiOptimizer"}  # test_layerwise.py, test_multi_optimizer.py
    assert set(ROWS) == set(nnx.optimizers.optimizers.objects) - elsewhere


@pytest.mark.parametrize(("name", "options"), CASES)
def test_formula_in_float32(name: str, options: dict[str, Any], backend, make_flat):
    flat = make_flat(backend)
    before = flat.values
    starts, gradients = train(flat, name, options)
    assert flat.values is before
    assert_close(flat.values, reference(name, options, starts, gradients), rtol=1e-5, like=before)


@pytest.mark.parametrize(("name", "options"), CASES)
def test_formula_in_float64(name: str, options: dict[str, Any], backend_float64, make_flat):
    flat = make_flat(backend_float64)
    starts, gradients = train(flat, name, options)
    assert_close(flat.values, reference(name, options, starts, gradients), rtol=1e-13)


@pytest.mark.parametrize("steps", [1000, 100_000, 10**15])
@pytest.mark.parametrize("beta_1", [0.9, 1.0 - 1e-12])
def test_nadam_goes_on_after_any_number_of_steps(backend, make_flat, steps: int, beta_1: float):
    """The product of its decays is a function of the step, however large that is, which takes no loop of so many."""
    optimizer = nnx.optimizers.Nadam(beta_1=beta_1)
    for t in (3, 4, 2, 10, 1000):
        expected = math.prod(beta_1 * (1 - 0.5 * 0.96**i) for i in range(1, t + 1))
        assert optimizer.product_until(t) == pytest.approx(expected, rel=1e-12)
    optimizer.iterations = steps
    flat = make_flat(backend)
    flat.grads[...] = 1.0
    before = nnx.to_numpy(flat.values).copy()
    optimizer.apply(flat)
    after = nnx.to_numpy(flat.values)
    assert np.isfinite(after).all()
    assert beta_1 != 0.9 or (after < before).all()  # one gradient hardly moves the other average
