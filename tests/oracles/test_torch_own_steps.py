"""Steps of one's own against the same loops in PyTorch: two networks against each other, and a gradient penalty."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed: pip install 'nnx-array[oracle]'")

import nnx  # noqa: E402
from nnx.random import Generator  # noqa: E402
from nnx.testing import assert_close  # noqa: E402

REAL = np.float32(Generator(1).normal((16, 4)))
NOISE = np.float32(Generator(2).normal((12, 16, 3)))
SHARES = np.float32(Generator(3).uniform((12, 16, 1)))


def pair(inputs: int, outputs: int, seed: int) -> tuple[Any, Any]:
    """The same network in both libraries."""
    nnx.random.set_seed(seed)
    ours = nnx.Sequential(
        [nnx.Input((inputs,)), nnx.layers.Dense(8, activation="tanh"), nnx.layers.Dense(outputs, use_bias=False)]
    )
    theirs = torch.nn.Sequential(torch.nn.Linear(inputs, 8), torch.nn.Tanh(), torch.nn.Linear(8, outputs, bias=False))
    with torch.no_grad():
        weights = ours.get_weights()
        theirs[0].weight.copy_(torch.from_numpy(weights[0].T.copy()))
        theirs[0].bias.copy_(torch.from_numpy(weights[1]))
        theirs[2].weight.copy_(torch.from_numpy(weights[2].T.copy()))
    return ours, theirs


def compare(ours: Any, theirs: Any) -> None:
    kernel, bias, last = ours.get_weights()
    assert_close(kernel, theirs[0].weight.detach().numpy().T, rtol=2e-4, atol=2e-5)
    assert_close(bias, theirs[0].bias.detach().numpy(), rtol=2e-4, atol=2e-5)
    assert_close(last, theirs[2].weight.detach().numpy().T, rtol=2e-4, atol=2e-5)


def adam(parameters: Any, rate: float) -> Any:
    return torch.optim.Adam(parameters, lr=rate, eps=1e-7)


def test_two_networks_against_each_other():
    critic, torch_critic = pair(4, 1, 1)
    generator, torch_generator = pair(3, 4, 2)

    class Adversarial(nnx.Model):
        def __init__(self) -> None:
            super().__init__()
            self.critic, self.generator = critic, generator

        def train_step(self, data: Any) -> dict[str, Any]:
            real, noise = data
            xp, loss = nnx.array_namespace(real), nnx.losses.BinaryCrossentropy(from_logits=True)
            both = xp.concat([self.generator(noise), real], axis=0)
            ones, zeros = xp.ones_like(real[:, :1]), xp.zeros_like(real[:, :1])
            with nnx.GradientTape() as tape:
                of_critic = loss(xp.concat([zeros, ones], axis=0), self.critic(both, training=True))
            gradients = tape.gradient(of_critic, self.critic.trainable_weights)
            first.apply(gradients, self.critic.trainable_weights)
            with nnx.GradientTape() as tape:
                of_generator = loss(ones, self.critic(self.generator(noise, training=True)))
            gradients = tape.gradient(of_generator, self.generator.trainable_weights)
            second.apply_gradients(zip(gradients, self.generator.trainable_weights, strict=True))
            return {"critic": of_critic, "generator": of_generator}

    first, second = nnx.optimizers.SGD(0.05, momentum=0.9), nnx.optimizers.SGD(0.1, momentum=0.9)
    model = Adversarial()
    model.compile()
    their_first = torch.optim.SGD(torch_critic.parameters(), lr=0.05, momentum=0.9)
    their_second = torch.optim.SGD(torch_generator.parameters(), lr=0.1, momentum=0.9)
    loss, real = torch.nn.BCEWithLogitsLoss(), torch.from_numpy(REAL)
    for noise in NOISE:
        logs = model.train_on_batch(REAL, noise, return_dict=True)
        drawn = torch.from_numpy(noise)
        both = torch.cat([torch_generator(drawn).detach(), real])
        of_critic = loss(torch_critic(both), torch.cat([torch.zeros(16, 1), torch.ones(16, 1)]))
        their_first.zero_grad()
        of_critic.backward()
        their_first.step()
        of_generator = loss(torch_critic(torch_generator(drawn)), torch.ones(16, 1))
        their_second.zero_grad()
        of_generator.backward()
        their_second.step()
        assert_close(logs["critic"], of_critic.item(), rtol=1e-4)
        assert_close(logs["generator"], of_generator.item(), rtol=1e-4)
    compare(critic, torch_critic)
    compare(generator, torch_generator)


@pytest.mark.parametrize("way", ["backward", "apply"])
def test_a_gradient_penalty(way):
    critic, theirs = pair(4, 1, 3)
    optimizer, their_optimizer = nnx.optimizers.Adam(0.01), adam(theirs.parameters(), 0.01)
    for noise, share in zip(NOISE, SHARES, strict=True):
        fake = np.concatenate([noise, noise[:, :1]], axis=1)
        mixed = fake + share * (REAL - fake)
        with nnx.GradientTape() as tape:
            slope = nnx.grad(lambda z: nnx.array_namespace(z).sum(critic(z)))(nnx.asarray(mixed))
            xp = nnx.array_namespace(slope)
            norm = xp.sqrt(xp.sum(slope**2, axis=-1))
            loss = xp.mean(critic(fake)) - xp.mean(critic(REAL)) + 10.0 * xp.mean((norm - 1.0) ** 2)
        if way == "backward":
            tape.backward(loss, critic)
            optimizer.step(critic)
        else:
            optimizer.apply(tape.gradient(loss, critic.trainable_variables), critic.trainable_variables)
        z = torch.from_numpy(mixed).requires_grad_()
        (their_slope,) = torch.autograd.grad(theirs(z).sum(), z, create_graph=True)
        penalty = ((their_slope.norm(dim=-1) - 1.0) ** 2).mean()
        wanted = theirs(torch.from_numpy(fake)).mean() - theirs(torch.from_numpy(REAL)).mean() + 10.0 * penalty
        their_optimizer.zero_grad()
        wanted.backward()
        their_optimizer.step()
        assert_close(loss.value if hasattr(loss, "tape") else loss, wanted.item(), rtol=1e-4, atol=1e-5)
    compare(critic, theirs)
