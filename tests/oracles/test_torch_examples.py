"""The examples of derivatives against PyTorch: equal weights, data and noise, in float64; losses and gradients."""

from __future__ import annotations

import runpy
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed: pip install 'nnx-array[oracle]'")

import nnx  # noqa: E402
from nnx.random import Generator  # noqa: E402
from nnx.testing import assert_close  # noqa: E402

EXAMPLES = Path(__file__).parents[2] / "examples"
TOLERANCE = {"rtol": 1e-9, "atol": 1e-11}


@pytest.fixture(autouse=True)
def float64() -> Any:
    with nnx.backend("numpy", dtype="float64"):
        yield


def example(name: str) -> dict[str, Any]:
    """What an example defines, without running it."""
    return runpy.run_path(str(EXAMPLES / f"{name}.py"))


def tensors(parameters: Sequence[Any]) -> list[Any]:
    """Copies of parameters that PyTorch trains."""
    return [torch.tensor(parameter.numpy(), requires_grad=True) for parameter in parameters]


def dense(x: Any, kernel: Any, bias: Any, activation: Callable[[Any], Any] = lambda z: z) -> Any:
    return activation(x @ kernel + bias)


def compare(parameters: Sequence[Any], found: Sequence[Any], theirs: Sequence[Any]) -> None:
    """Gradients of nnx against those of PyTorch."""
    assert len(parameters) == len(theirs)
    for parameter, gradient, tensor in zip(parameters, found, theirs, strict=True):
        assert gradient.shape == parameter.shape
        assert_close(gradient, tensor.grad.numpy(), **TOLERANCE)


def test_variational_autoencoder(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two steps of fit: the loss with what the encoder adds, and the weights."""
    scope = example("variational_autoencoder")
    generator = Generator(1)
    x, noise = np.abs(generator.normal((6, 10))).clip(0.0, 1.0), generator.normal((6, 3))
    monkeypatch.setattr(nnx.random, "normal", lambda shape: nnx.asarray(noise[: shape[0]]))
    model = scope["model_of"](10, 3, hidden=7)
    model.compile(nnx.optimizers.SGD(0.1), loss=scope["pixels"])
    named = model.named_weights()
    parameters = list(named.values())
    theirs = tensors(parameters)
    of = dict(zip(named, theirs, strict=True))

    def layer(name: str, value: Any, activation: Callable[[Any], Any] = lambda z: z) -> Any:
        return dense(value, of[f"{name}/kernel"], of[f"{name}/bias"], activation)

    names = list(dict.fromkeys(path.rpartition("/")[0] for path in named))
    features_of, mean_of, variance_of, hidden_of, logits_of = names
    optimizer = torch.optim.SGD(theirs, 0.1)
    for _ in range(2):
        data = torch.tensor(x)
        features = layer(features_of, data, torch.relu)
        mean, log_variance = layer(mean_of, features), layer(variance_of, features)
        nats = 0.5 * (log_variance.exp() + mean**2 - 1.0 - log_variance).sum(-1)
        sample = mean + (0.5 * log_variance).exp() * torch.tensor(noise)
        logits = layer(logits_of, layer(hidden_of, sample, torch.relu))
        loss = (torch.nn.functional.softplus(logits) - data * logits).sum(-1).mean() + nats.mean()
        optimizer.zero_grad()
        loss.backward()
        assert_close(model.train_on_batch(x, x), loss.item(), **TOLERANCE)
        optimizer.step()
        for parameter, tensor in zip(parameters, theirs, strict=True):
            assert_close(parameter.value, tensor.detach().numpy(), **TOLERANCE)


def test_wasserstein_gan() -> None:
    """The critic's loss, whose penalty is a derivative itself."""
    scope = example("wasserstein_gan")
    model = scope["WassersteinGAN"](noise=4, hidden=9)
    generator = Generator(2)
    real, made, share = generator.normal((5, 2)), generator.normal((5, 2)), generator.uniform((5, 1))
    between = made + share * (real - made)
    with nnx.GradientTape() as tape:
        distance = nnx.ops.mean(model.critic(real)) - nnx.ops.mean(model.critic(made))
        loss = -distance + 1.0 * scope["penalty_of"](model.critic, nnx.asarray(between))
    parameters = model.critic.trainable_variables
    found = tape.gradient(loss, parameters)

    theirs = tensors(parameters)

    def critic(x: Any) -> Any:
        hidden = dense(dense(x, *theirs[:2], torch.relu), *theirs[2:4], torch.relu)
        return dense(hidden, *theirs[4:])

    points = torch.tensor(between, requires_grad=True)
    (slope,) = torch.autograd.grad(critic(points).sum(), points, create_graph=True)
    expected = -(critic(torch.tensor(real)).mean() - critic(torch.tensor(made)).mean())
    expected = expected + ((slope.norm(dim=-1) - 1.0) ** 2).mean()
    expected.backward()
    assert_close(float(loss), expected.item(), **TOLERANCE)
    compare(parameters[:-1], found[:-1], theirs[:-1])
    assert_close(found[-1], theirs[-1].grad.numpy(), rtol=0.0, atol=1e-12)  # the last bias cancels


def test_physics_informed_network() -> None:
    """A derivative of a second derivative."""
    scope = example("physics_informed")
    u = scope["network"](hidden=8)
    times = np.linspace(0.0, 3.0, 7)[:, None]
    with nnx.GradientTape() as tape:
        loss = scope["loss_of"](u, nnx.asarray(times), nnx.asarray([[0.0]]))
    parameters = u.trainable_variables
    found = tape.gradient(loss, parameters)

    theirs = tensors(parameters)

    def network(t: Any) -> Any:
        return dense(dense(dense(t, *theirs[:2], torch.tanh), *theirs[2:4], torch.tanh), *theirs[4:])

    def slope(function: Callable[[Any], Any], t: Any) -> Any:
        return torch.autograd.grad(function(t).sum(), t, create_graph=True)[0]

    t, start = torch.tensor(times, requires_grad=True), torch.zeros((1, 1), dtype=torch.float64, requires_grad=True)
    residual = slope(lambda s: slope(network, s), t) + network(t)
    expected = (residual**2).mean() + ((network(start) - 1.0) ** 2).sum() + (slope(network, start) ** 2).sum()
    expected.backward()
    assert_close(float(loss), expected.item(), **TOLERANCE)
    compare(parameters, found, theirs)


def test_siamese_network() -> None:
    """A network that is used twice, array code in the graph, and a loss of one's own: two steps."""
    scope = example("siamese_network")
    model = scope["model_of"](6, code=3, hidden=5)
    model.compile(nnx.optimizers.SGD(0.1), loss=scope["contrastive"])
    generator = Generator(3)
    first, second = generator.normal((8, 6)), generator.normal((8, 6))
    same = np.float64(np.arange(8) % 2)[:, None]
    parameters = model.trainable_variables
    theirs = tensors(parameters)
    optimizer = torch.optim.SGD(theirs, 0.1)
    for _ in range(2):
        codes = [dense(dense(torch.tensor(x), *theirs[:2], torch.relu), *theirs[2:]) for x in (first, second)]
        distance = torch.sqrt(((codes[0] - codes[1]) ** 2).sum(-1, keepdim=True) + 1e-8)
        y = torch.tensor(same)
        missing = torch.clamp(scope["MARGIN"] - distance, min=0.0)
        loss = (0.5 * (y * distance**2 + (1.0 - y) * missing**2)).mean()
        optimizer.zero_grad()
        loss.backward()
        assert_close(model.train_on_batch([first, second], same), loss.item(), **TOLERANCE)
        optimizer.step()
        for parameter, tensor in zip(parameters, theirs, strict=True):
            assert_close(parameter.value, tensor.detach().numpy(), **TOLERANCE)


def test_saliency() -> None:
    """The derivative with respect to images, through convolutions."""
    scope = example("saliency")
    model = scope["model_of"]()
    x = np.abs(Generator(4).normal((3, 8, 8, 1)))
    found = scope["saliency_of"](model, nnx.asarray(x))
    kernels = [torch.tensor(weight) for weight in model.get_weights()]
    images = torch.tensor(x, requires_grad=True)
    z = images.permute(0, 3, 1, 2)
    z = torch.relu(torch.nn.functional.conv2d(z, kernels[0].permute(3, 2, 0, 1), kernels[1], padding="same"))
    z = torch.nn.functional.max_pool2d(z, 2)
    z = torch.relu(torch.nn.functional.conv2d(z, kernels[2].permute(3, 2, 0, 1), kernels[3], padding="same"))
    logits = z.permute(0, 2, 3, 1).reshape(3, -1) @ kernels[4] + kernels[5]
    logits.max(dim=-1).values.sum().backward()
    assert_close(found, x * images.grad.numpy(), **TOLERANCE)
