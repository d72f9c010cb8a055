"""Training against PyTorch: equal weights at the start, in float64, so that only formulas can differ."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed: pip install 'nnx-array[oracle]'")

import nnx  # noqa: E402
from nnx.random import Generator  # noqa: E402
from nnx.testing import assert_close  # noqa: E402

X = Generator(1).normal((20, 6))
LABELS = np.asarray(Generator(2).uniform((20,)) * 3.0, dtype=np.int64)
COINS = (LABELS > 0).astype(np.float64)[:, None]
NUMBERS = Generator(3).normal((20, 3))

OPTIMIZERS: dict[str, tuple[Callable[[], Any], Callable[[Any], Any]]] = {
    "SGD": (lambda: nnx.optimizers.SGD(0.1), lambda p: torch.optim.SGD(p, 0.1)),
    "momentum": (lambda: nnx.optimizers.SGD(0.1, momentum=0.9), lambda p: torch.optim.SGD(p, 0.1, momentum=0.9)),
    "Nesterov": (
        lambda: nnx.optimizers.SGD(0.1, momentum=0.9, nesterov=True),
        lambda p: torch.optim.SGD(p, 0.1, momentum=0.9, nesterov=True),
    ),
    # where PyTorch adds epsilon does not matter when it is tiny
    "Adam": (lambda: nnx.optimizers.Adam(0.05, epsilon=1e-14), lambda p: torch.optim.Adam(p, 0.05, eps=1e-14)),
    "AdamW": (
        lambda: nnx.optimizers.AdamW(0.05, weight_decay=0.1, epsilon=1e-14),
        lambda p: torch.optim.AdamW(p, 0.05, weight_decay=0.1, eps=1e-14),
    ),
    "Adamax": (lambda: nnx.optimizers.Adamax(0.05, epsilon=1e-14), lambda p: torch.optim.Adamax(p, 0.05, eps=1e-14)),
}


def poisson(outputs: Any, targets: Any) -> Any:
    return torch.mean(outputs - targets * torch.log(outputs + 1e-7))


def unchanged(outputs: Any) -> Any:
    """PyTorch's cross-entropies take logits."""
    return outputs


Case = tuple[int, Any, Callable[[Any], Any], Any, Any, np.ndarray]
CASES: dict[str, Case] = {
    "regression": (3, None, unchanged, "mse", torch.nn.MSELoss(), NUMBERS),
    "absolute": (3, None, unchanged, "mae", torch.nn.L1Loss(), NUMBERS),
    "Huber": (3, None, unchanged, nnx.losses.Huber(0.5), torch.nn.HuberLoss(delta=0.5), NUMBERS),
    "classes": (3, "softmax", unchanged, "sparse_categorical_crossentropy", torch.nn.CrossEntropyLoss(), LABELS),
    "smoothed": (
        3,
        "softmax",
        unchanged,
        nnx.losses.CategoricalCrossentropy(label_smoothing=0.1),
        torch.nn.CrossEntropyLoss(label_smoothing=0.1),
        np.eye(3)[LABELS],
    ),
    "coins": (1, "sigmoid", unchanged, "binary_crossentropy", torch.nn.BCEWithLogitsLoss(), COINS),
    "counts": (1, "softplus", torch.nn.functional.softplus, "poisson", poisson, COINS),
}
ACTIVATIONS: dict[str, Any] = {
    "tanh": torch.tanh,
    "relu": torch.relu,
    "gelu": torch.nn.functional.gelu,
    "selu": torch.selu,
    "silu": torch.nn.functional.silu,
    "mish": torch.nn.functional.mish,
}


def train_theirs(weights: list[np.ndarray], activation: Any, last: Any, loss: Any, y: np.ndarray, make: Any) -> Any:
    """Two epochs in batches of 8, the last one smaller: the losses and the final parameters."""
    parameters = [torch.tensor(weight, requires_grad=True) for weight in weights]
    first, first_bias, second, second_bias = parameters
    optimizer, x, targets = make(parameters), torch.tensor(X), torch.tensor(y)
    losses = []
    for start in [0, 8, 16] * 2:
        rows = slice(start, start + 8)
        value = loss(last(activation(x[rows] @ first + first_bias) @ second + second_bias), targets[rows])
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
        losses.append(value.item())
    return losses, [parameter.detach().numpy() for parameter in parameters]


def compare(backend: str, activation: str, case: str, optimizer: str) -> None:
    units, last, their_last, loss, their_loss, y = CASES[case]
    ours, theirs = OPTIMIZERS[optimizer]
    nnx.random.set_seed(4)
    with nnx.backend(backend, dtype="float64"):
        model = nnx.Sequential([nnx.layers.Dense(5, activation, input_dim=6), nnx.layers.Dense(units, last)])
    weights = [w + 0.05 * Generator(5).normal(w.shape) for w in model.get_weights()]
    model.set_weights(weights)
    model.compile(ours(), loss)
    losses, parameters = train_theirs(weights, ACTIVATIONS[activation], their_last, their_loss, y, theirs)
    found = [model.train_on_batch(X[start : start + 8], y[start : start + 8]) for start in [0, 8, 16] * 2]
    assert found == pytest.approx(losses, rel=1e-9)
    for mine, expected in zip(model.get_weights(), parameters, strict=True):
        assert_close(mine, expected, 1e-8, 1e-10)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("backend", ["numpy", "torch"])
def test_optimizers(backend: str, optimizer: str):
    compare(backend, "tanh", "classes", optimizer)


@pytest.mark.parametrize("case", CASES)
def test_losses(case: str):
    compare("numpy", "tanh", case, "momentum")


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_activations(activation: str):
    compare("numpy", activation, "regression", "SGD")
