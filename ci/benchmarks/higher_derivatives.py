"""Steps with derivatives of derivatives, as examples/ has them, against PyTorch: a critic's penalty, an equation.

    python ci/benchmarks/higher_derivatives.py

Each step computes the loss and the gradients of all parameters, in float32, and PyTorch the same numbers from the same
parameters, in turn; each after a step of its own that is not timed. `target` is the largest ratio that we accept.
"""

from __future__ import annotations

import runpy
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from machine import describe_machine

import nnx
from nnx import ops

EXAMPLES = Path(__file__).parents[2] / "examples"
TARGET = 1.5
Step = Callable[[], tuple[Any, list[Any]]]


def tensors(model: Any) -> list[Any]:
    return [torch.tensor(parameter.numpy(), requires_grad=True) for parameter in model.trainable_variables]


def network(values: list[Any], activation: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Two hidden layers and a linear one, of PyTorch's tensors."""

    def forward(x: Any) -> Any:
        x = activation(x @ values[0] + values[1])
        x = activation(x @ values[2] + values[3])
        return x @ values[4] + values[5]

    return forward


def slope(function: Callable[[Any], Any], x: Any) -> Any:
    return torch.autograd.grad(function(x).sum(), x, create_graph=True)[0]


def penalised_critic() -> tuple[Step, Step]:
    """256 points: the scores of real and made ones, and the penalty on the slope between them."""
    scope = runpy.run_path(str(EXAMPLES / "wasserstein_gan.py"))
    critic, penalty_of = scope["WassersteinGAN"]().critic, scope["penalty_of"]
    random = np.random.default_rng(0)
    real, made, between = (random.normal(size=(256, 2)).astype(np.float32) for _ in range(3))
    values = tensors(critic)
    of_torch = network(values, torch.relu)
    real_t, made_t, between_t = map(torch.tensor, (real, made, between))
    between_t.requires_grad_()

    def with_nnx() -> tuple[Any, list[Any]]:
        with nnx.GradientTape() as tape:
            distance = ops.mean(critic(real)) - ops.mean(critic(made))
            loss = -distance + penalty_of(critic, between)
        return loss, tape.gradient(loss, critic.trainable_variables)

    def with_torch() -> tuple[Any, list[Any]]:
        distance = of_torch(real_t).mean() - of_torch(made_t).mean()
        loss = -distance + ((slope(of_torch, between_t).norm(dim=-1) - 1.0) ** 2).mean()
        return loss, list(torch.autograd.grad(loss, values, allow_unused=True))

    return with_nnx, with_torch


def equation() -> tuple[Step, Step]:
    """64 times: the residual of u'' + u = 0 for a network u, and its errors at the start."""
    scope = runpy.run_path(str(EXAMPLES / "physics_informed.py"))
    u, loss_of = scope["network"](), scope["loss_of"]
    t, start = np.linspace(0.0, 6.0, 64, dtype=np.float32)[:, None], np.zeros((1, 1), np.float32)
    values = tensors(u)
    of_torch = network(values, torch.tanh)
    t_t, start_t = torch.tensor(t, requires_grad=True), torch.tensor(start, requires_grad=True)

    def with_nnx() -> tuple[Any, list[Any]]:
        with nnx.GradientTape() as tape:
            loss = loss_of(u, t, start)
        return loss, tape.gradient(loss, u.trainable_variables)

    def with_torch() -> tuple[Any, list[Any]]:
        residual = slope(lambda s: slope(of_torch, s), t_t) + of_torch(t_t)
        at_start = ((of_torch(start_t) - 1.0) ** 2).sum() + (slope(of_torch, start_t) ** 2).sum()
        loss = (residual**2).mean() + at_start
        return loss, list(torch.autograd.grad(loss, values))

    return with_nnx, with_torch


CASES = {"critic with gradient penalty, 256 points": penalised_critic, "equation, 64 times": equation}


def main() -> None:
    print(describe_machine(nnx, np, torch))
    torch.set_num_threads(1)
    for name, make in CASES.items():
        steps = make()
        (loss, gradients), (loss_t, gradients_t) = (step() for step in steps)
        np.testing.assert_allclose(float(loss), loss_t.item(), rtol=1e-4)
        for found, expected in zip(gradients, gradients_t, strict=True):
            if expected is not None:
                np.testing.assert_allclose(np.asarray(found), expected.numpy(), rtol=1e-2, atol=1e-4)
        rounds: list[list[float]] = []
        for _ in range(300):
            rounds.append([])
            for step in steps:
                step()
                begin = time.thread_time()
                step()
                rounds[-1].append(time.thread_time() - begin)
        ours, theirs = (statistics.median(column) for column in zip(*rounds, strict=True))
        ratio = statistics.median(one / other for one, other in rounds)
        mark = "" if ratio <= TARGET else "  above target"
        print(f"{name:42} {ours * 1e6:6.0f} us  PyTorch {theirs * 1e6:6.0f} us  ratio {ratio:5.2f}  {TARGET}{mark}")


if __name__ == "__main__":
    main()
