"""Optimisers that look at parameters as a whole, on every backend, against their formulas in NumPy's float64."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import numpy as np
import pytest

import nnx
from nnx.functional.layerwise_updates import NEWTON_SCHULZ, orthogonalized
from nnx.testing import assert_close, no_synchronization

SHAPES = {
    "dense/kernel": (3, 2),
    "dense/bias": (2,),
    "scale/gamma": (),
    "conv/kernel": (2, 3, 4),
    "embedding/embeddings": (5, 2),
    "wide/kernel": (2, 6),
}
STEPS = 8


def rms(x: np.ndarray) -> float:
    return float(np.sqrt(np.mean(x**2)))


def lamb(s: Any, t: int, w: Any, g: Any, path: str, lr=0.001, beta_1=0.9, beta_2=0.999, epsilon=1e-7) -> Any:
    s["m"] = beta_1 * s["m"] + (1 - beta_1) * g
    s["v"] = beta_2 * s["v"] + (1 - beta_2) * g**2
    d = s["m"] / (1 - beta_1**t) / (np.sqrt(s["v"] / (1 - beta_2**t)) + epsilon)
    lengths = np.sqrt((w**2).sum()), np.sqrt((d**2).sum())
    return w - lr * (lengths[0] / lengths[1] if min(lengths) > 0 else 1.0) * d


def adafactor(
    s: Any,
    t: int,
    w: Any,
    g: Any,
    path: str,
    lr=0.001,
    beta_2_decay=-0.8,
    epsilon_1=1e-30,
    epsilon_2=1e-3,
    clip_threshold=1.0,
) -> Any:
    decay, square = 1 - t**beta_2_decay, g**2 + epsilon_1
    if w.ndim < 2:
        v = s["v"] = decay * s["v"] + (1 - decay) * square
    else:
        r = s["r"] = decay * s["r"] + (1 - decay) * square.mean(axis=-1)
        c = s["c"] = decay * s["c"] + (1 - decay) * square.mean(axis=-2)
        v = (r / r.mean(axis=-1, keepdims=True))[..., None] * c[..., None, :]
    d = g / np.sqrt(v)
    rate = max(epsilon_2, rms(w)) * min(lr, t**-0.5)
    return w - rate * d / max(1.0, rms(d) / clip_threshold)


def muon(
    s: Any,
    t: int,
    w: Any,
    g: Any,
    path: str,
    lr=0.001,
    momentum=0.95,
    nesterov=True,
    ns_steps=5,
    rms_rate=0.2,
    weight_decay=0.004,
    adam_weight_decay=0.004,
    adam_lr_ratio=1.0,
    exclude_layers=(),
) -> Any:
    if w.ndim != 2 or "embedding" in path or any(name in path for name in exclude_layers):
        w = w - lr * adam_weight_decay * w
        s["m"] = 0.9 * s["m"] + 0.1 * g
        s["v"] = 0.999 * s["v"] + 0.001 * g**2
        alpha = lr * adam_lr_ratio * np.sqrt(1 - 0.999**t) / (1 - 0.9**t)
        return w - alpha * s["m"] / (np.sqrt(s["v"]) + 1e-7)
    w = w - lr * weight_decay * w
    s["m"] = momentum * s["m"] + g
    direction = g + momentum * s["m"] if nesterov else s["m"]
    u, values, v = np.linalg.svd(direction, full_matrices=False)
    values = values / np.sqrt((values**2).sum())  # the iteration changes the singular values alone
    for _ in range(ns_steps):
        values = 3.4445 * values - 4.7750 * values**3 + 2.0315 * values**5
    longer = 1.0 if rms_rate is None else np.sqrt(max(w.shape)) * rms_rate
    return w - lr * longer * (u * values) @ v


CASES = [
    ("Lamb", lamb, {}),
    ("Lamb", lamb, {"lr": 0.1, "beta_1": 0.5, "beta_2": 0.6, "epsilon": 0.1}),
    ("Adafactor", adafactor, {}),
    ("Adafactor", adafactor, {"lr": 1.0, "beta_2_decay": -0.5, "epsilon_1": 0.1, "epsilon_2": 2.0}),
    ("Adafactor", adafactor, {"lr": 0.5, "clip_threshold": 0.4}),
    ("Muon", muon, {}),
    ("Muon", muon, {"lr": 0.1, "momentum": 0.5, "nesterov": False, "ns_steps": 2, "rms_rate": None}),
    ("Muon", muon, {"lr": 0.1, "weight_decay": 0.3, "adam_weight_decay": 0.1, "adam_lr_ratio": 0.5}),
    ("Muon", muon, {"lr": 0.1, "exclude_layers": ["dense", "wide"]}),
]


def train(flat: Any, name: str, reference: Any, options: dict[str, Any]) -> list[np.ndarray]:
    """Train for some steps; what the parameters should be then."""
    generator, optimizer = np.random.default_rng(2), getattr(nnx.optimizers, name)(**options)
    expected = [nnx.to_numpy(parameter.value).astype(np.float64) for parameter in flat.parameters]
    states: list[Any] = [defaultdict(float) for _ in expected]
    for t in range(1, STEPS + 1):
        for i, parameter in enumerate(flat.parameters):
            g = np.asarray(generator.normal(size=parameter.shape)).astype(nnx.to_numpy(flat.values).dtype)
            parameter.grad[...] = flat.placement.asarray(g)
            expected[i] = reference(states[i], t, expected[i], g.astype(np.float64), parameter.path, **options)
        with no_synchronization():
            optimizer.apply(flat)
    return expected


@pytest.mark.parametrize(("name", "reference", "options"), CASES)
def test_formula_in_float32(name, reference, options, backend, make_flat):
    flat = make_flat(backend, SHAPES)
    expected = train(flat, name, reference, options)
    for parameter, values in zip(flat.parameters, expected, strict=True):
        assert_close(parameter.value, values, rtol=1e-4, atol=1e-5, like=flat.values)


@pytest.mark.parametrize(("name", "reference", "options"), CASES)
def test_formula_in_float64(name, reference, options, backend_float64, make_flat):
    flat = make_flat(backend_float64, SHAPES)
    expected = train(flat, name, reference, options)
    for parameter, values in zip(flat.parameters, expected, strict=True):
        assert_close(parameter.value, values, rtol=1e-6, atol=1e-7 if name == "Muon" else 1e-12)  # |x| + 1e-7


@pytest.mark.parametrize("shape", [(4, 4), (3, 7), (8, 2), (1, 5)], ids=str)
def test_matrices_become_almost_orthogonal(backend, shape):
    matrix = np.random.default_rng(1).normal(size=shape)
    found = nnx.to_numpy(orthogonalized(backend.asarray(matrix), 5, NEWTON_SCHULZ))
    values = np.linalg.svd(found, compute_uv=False)
    assert (values > 0.6).all()
    assert (values < 1.3).all()


def test_a_parameter_or_a_step_of_zeros_is_not_a_division_by_zero(backend, make_flat):
    for name in ("Lamb", "Adafactor", "Muon", "Ftrl"):
        flat = make_flat(backend)
        flat.values[...] = 0.0
        flat.grads[...] = 0.0
        getattr(nnx.optimizers, name)().apply(flat)
        assert np.all(nnx.to_numpy(flat.values) == 0.0)
        flat.grads[...] = 1.0
        getattr(nnx.optimizers, name)().apply(flat)
        assert np.all(nnx.to_numpy(flat.values) < 0.0)


def test_a_learning_rate_of_zero_changes_nothing(make_flat):
    for name in ("Lamb", "Adafactor", "Muon", "Ftrl"):
        flat = make_flat(nnx.get_backend())
        flat.grads[...] = 1.0
        before = flat.values.copy()
        getattr(nnx.optimizers, name)(0.0).apply(flat)
        assert np.array_equal(flat.values, before)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: nnx.optimizers.Ftrl(learning_rate_power=0.5), "learning_rate_power must not be positive, got 0.5"),
        (lambda: nnx.optimizers.Ftrl(beta=-1.0), "beta must be at least 0 and finite, got -1.0"),
        (lambda: nnx.optimizers.Adafactor(beta_2_decay=0.8), "beta_2_decay must be negative, got 0.8"),
        (lambda: nnx.optimizers.Adafactor(clip_threshold=0.0), "clip_threshold must be greater than 0"),
        (lambda: nnx.optimizers.Lamb(beta_1=1.0), "beta_1 must be at least 0 and below 1"),
        (lambda: nnx.optimizers.Muon(ns_steps=10**9), "ns_steps must be from 1 to 100, got 1000000000"),
        (lambda: nnx.optimizers.Muon(ns_steps=0), "ns_steps must be from 1 to 100, got 0"),
    ],
)
def test_mistakes(make, message):
    with pytest.raises(ValueError, match=message):
        make()
