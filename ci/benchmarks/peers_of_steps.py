"""One training step of a network, by nnx, PyTorch and JAX: forward, backward, optimizer, loss read."""

from __future__ import annotations

import dataclasses
import functools
import itertools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import keras
import numpy as np
import torch
from torch import nn

import nnx

Runs = dict[str, Callable[[], object]]


@dataclasses.dataclass(frozen=True)
class Network:
    """A network and a batch for it.

    build : makes it of the layers of nnx or of Keras, whose names are the same. module : makes PyTorch's.
    x, classes : the shape of the batch, and how many classes, or numbers, the output has.
    vocabulary : of a batch of indices. images : whether PyTorch's batch has its channels first, in channels_last form.
    sequence : whether PyTorch's has its features before its steps.
    """

    build: Callable[[Any], Any]
    module: Callable[[], nn.Module]
    x: tuple[int, ...]
    classes: int
    loss: str = "softmax"
    optimizer: str = "Adam"
    vocabulary: int = 0
    images: bool = False
    sequence: bool = False

    def batch(self) -> tuple[np.ndarray, np.ndarray]:
        generator = np.random.default_rng(0)
        x = generator.random(self.x, dtype=np.float32)
        if self.vocabulary:
            x = generator.integers(0, self.vocabulary, self.x).astype(np.int32)
        if self.loss == "mse":
            return x, generator.random((self.x[0], self.classes), dtype=np.float32)
        return x, generator.integers(0, self.classes, self.x[0])


def step_of_nnx(network: Network) -> Callable[[], object]:
    model = network.build(nnx)
    loss = "mse" if network.loss == "mse" else nnx.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(getattr(nnx.optimizers, network.optimizer)(1e-3), loss)
    x, y = network.batch()
    return lambda: model.train_on_batch(x, y)


def step_of_torch(network: Network, fused: bool) -> Callable[[], object]:
    """As its tutorials write it; or with the fused optimizer, and images in channels_last form."""
    form = {"memory_format": torch.channels_last} if fused and network.images else {}
    module = network.module().to(**form)
    x, y = map(torch.from_numpy, network.batch())
    if network.images:
        x = x.permute(0, 3, 1, 2).contiguous(**form)
    elif network.sequence:
        x = x.transpose(1, 2).contiguous()
    loss_function = nn.MSELoss() if network.loss == "mse" else nn.CrossEntropyLoss()
    optimizer = getattr(torch.optim, network.optimizer)(module.parameters(), lr=1e-3, fused=fused)

    def step() -> float:
        optimizer.zero_grad()
        loss = loss_function(module(x), y)
        loss.backward()
        optimizer.step()
        return loss.item()

    return step


def adam(values: Any, gradients: Any, m: Any, v: Any, count: Any) -> tuple[Any, Any, Any]:
    """New values and moments, as one writes them in JAX."""
    m = [0.9 * a + 0.1 * g for a, g in zip(m, gradients, strict=True)]
    v = [0.999 * a + 0.001 * g * g for a, g in zip(v, gradients, strict=True)]
    rate = 1e-3 * jnp.sqrt(1 - 0.999**count) / (1 - 0.9**count)
    return [p - rate * a / (jnp.sqrt(b) + 1e-7) for p, a, b in zip(values, m, v, strict=True)], m, v


def step_of_jax(network: Network) -> Callable[[], object]:
    """Value, gradient and optimizer in one jit, with donated memory; the layers are those of Keras."""
    model = network.build(keras)

    def loss_of(values: Any, states: Any, x: Any, y: Any) -> Any:
        output, states = model.stateless_call(values, states, x, training=True)
        if network.loss == "mse":
            return jnp.mean((output - y) ** 2), states
        return -jnp.mean(jnp.take_along_axis(jax.nn.log_softmax(output), y[:, None], 1)), states

    @functools.partial(jax.jit, donate_argnums=range(5))
    def step(values: Any, states: Any, m: Any, v: Any, count: Any, x: Any, y: Any) -> Any:
        (loss, states), gradients = jax.value_and_grad(loss_of, has_aux=True)(values, states, x, y)
        if network.optimizer == "SGD":
            return [p - 1e-3 * g for p, g in zip(values, gradients, strict=True)], states, m, v, count, loss
        values, m, v = adam(values, gradients, m, v, count + 1)
        return values, states, m, v, count + 1, loss

    values, states = (
        [jnp.array(variable.value) for variable in variables]
        for variables in (model.trainable_variables, model.non_trainable_variables)
    )
    held = [values, states, *([jnp.zeros_like(p) for p in values] for _ in range(2)), jnp.zeros(())]
    x, y = map(jnp.asarray, network.batch())

    def run() -> float:
        *held[:], loss = step(*held, x, y)
        return float(loss)

    return run


def runs_of(network: Network) -> Runs:
    return {
        "nnx": step_of_nnx(network),
        "torch": step_of_torch(network, fused=False),
        "fused": step_of_torch(network, fused=True),
        "jax": step_of_jax(network),
    }


def dense(*sizes: int, batch: int, **options: Any) -> Network:
    """Dense layers with relu between them."""

    def build(api: Any) -> Any:
        hidden = [api.layers.Dense(size, "relu") for size in sizes[1:-1]]
        return api.Sequential([api.layers.Input(sizes[:1]), *hidden, api.layers.Dense(sizes[-1])])

    def module() -> nn.Module:
        parts = [part for n, m in itertools.pairwise(sizes) for part in (nn.Linear(n, m), nn.ReLU())]
        return nn.Sequential(*parts[:-1])

    return Network(build, module, (batch, sizes[0]), sizes[-1], **options)


def convolutional() -> Network:
    def build(api: Any) -> Any:
        layers = api.layers
        first = layers.Conv2D(32, 3, activation="relu"), layers.Conv2D(64, 3, activation="relu"), layers.MaxPooling2D(2)
        end = layers.Flatten(), layers.Dense(128, "relu"), layers.Dense(10)
        return api.Sequential([layers.Input((28, 28, 1)), *first, *end])

    def module() -> nn.Module:
        convolutions = nn.Conv2d(1, 32, 3), nn.ReLU(), nn.Conv2d(32, 64, 3), nn.ReLU(), nn.MaxPool2d(2)
        return nn.Sequential(*convolutions, nn.Flatten(), nn.Linear(9216, 128), nn.ReLU(), nn.Linear(128, 10))

    return Network(build, module, (64, 28, 28, 1), 10, images=True)


def lenet() -> Network:
    def build(api: Any) -> Any:
        layers = api.layers
        first = layers.Conv2D(6, 5, padding="same", activation="tanh"), layers.AveragePooling2D(2)
        second = layers.Conv2D(16, 5, activation="tanh"), layers.AveragePooling2D(2)
        end = layers.Flatten(), layers.Dense(120, "tanh"), layers.Dense(84, "tanh"), layers.Dense(10)
        return api.Sequential([layers.Input((28, 28, 1)), *first, *second, *end])

    def module() -> nn.Module:
        first = nn.Conv2d(1, 6, 5, padding=2), nn.Tanh(), nn.AvgPool2d(2)
        second = nn.Conv2d(6, 16, 5), nn.Tanh(), nn.AvgPool2d(2)
        end = nn.Flatten(), nn.Linear(400, 120), nn.Tanh(), nn.Linear(120, 84), nn.Tanh(), nn.Linear(84, 10)
        return nn.Sequential(*first, *second, *end)

    return Network(build, module, (128, 28, 28, 1), 10, images=True)


BLOCKS = ((16, 16, 1), (16, 32, 2), (32, 64, 2))  # channels before and after, and the stride


class ResidualBlock(nn.Module):
    def __init__(self, before: int, after: int, stride: int) -> None:
        super().__init__()
        first = nn.Conv2d(before, after, 3, stride, 1, bias=False), nn.BatchNorm2d(after), nn.ReLU()
        self.body = nn.Sequential(*first, nn.Conv2d(after, after, 3, 1, 1, bias=False), nn.BatchNorm2d(after))
        self.short = nn.Identity() if stride == 1 else nn.Conv2d(before, after, 1, stride, bias=False)

    def forward(self, x: Any) -> Any:
        return torch.relu(self.body(x) + self.short(x))


def residual() -> Network:
    def build(api: Any) -> Any:
        layers = api.layers

        def normalised(x: Any, filters: int, stride: int = 1) -> Any:
            return layers.BatchNormalization()(layers.Conv2D(filters, 3, stride, "same", use_bias=False)(x))

        start = layers.Input((32, 32, 3))
        x = layers.Activation("relu")(normalised(start, 16))
        for _, filters, stride in BLOCKS:
            short = x if stride == 1 else layers.Conv2D(filters, 1, stride, use_bias=False)(x)
            body = normalised(layers.Activation("relu")(normalised(x, filters, stride)), filters)
            x = layers.Activation("relu")(layers.Add()([body, short]))
        return api.Model(start, layers.Dense(10)(layers.GlobalAveragePooling2D()(x)))

    def module() -> nn.Module:
        first = nn.Conv2d(3, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU()
        blocks = [ResidualBlock(*block) for block in BLOCKS]
        return nn.Sequential(*first, *blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10))

    return Network(build, module, (32, 32, 32, 3), 10, images=True)


class LastStep(nn.Module):
    def __init__(self, embed: nn.Module, recurrent: nn.Module, units: int) -> None:
        super().__init__()
        self.embed, self.recurrent, self.last = embed, recurrent, nn.Linear(units, 10)

    def forward(self, x: Any) -> Any:
        return self.last(self.recurrent(self.embed(x))[0][:, -1])


def recurrent(kind: str, batch: int, steps: int, features: int, units: int = 128, vocabulary: int = 0) -> Network:
    def build(api: Any) -> Any:
        layers = api.layers
        first = [layers.Input((steps, features))]
        if vocabulary:
            first = [layers.Input((steps,), dtype="int32"), layers.Embedding(vocabulary, features)]
        return api.Sequential([*first, getattr(layers, kind)(units), layers.Dense(10)])

    def module() -> nn.Module:
        embed = nn.Embedding(vocabulary, features) if vocabulary else nn.Identity()
        return LastStep(embed, getattr(nn, kind)(features, units, batch_first=True), units)

    shape = (batch, steps) if vocabulary else (batch, steps, features)
    return Network(build, module, shape, 10, vocabulary=vocabulary)


WIDTH, HEADS, STEPS, WORDS = 128, 4, 64, 1000  # of the transformer


class TransformerBlock(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.before, self.between = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
        self.heads, self.together = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, WIDTH)
        self.inner = nn.Sequential(nn.Linear(WIDTH, 4 * WIDTH), nn.ReLU(), nn.Linear(4 * WIDTH, WIDTH))

    def forward(self, x: Any) -> Any:
        parts = self.heads(self.before(x)).view(len(x), STEPS, 3, HEADS, WIDTH // HEADS).permute(2, 0, 3, 1, 4)
        found = nn.functional.scaled_dot_product_attention(*parts)
        x = x + self.together(found.transpose(1, 2).reshape(x.shape))
        return x + self.inner(self.between(x))


class MeanOfSteps(nn.Module):
    def forward(self, x: Any) -> Any:
        return x.mean(1)


def transformer() -> Network:
    def build(api: Any) -> Any:
        layers = api.layers
        start = layers.Input((STEPS,), dtype="int32")
        x = layers.Embedding(WORDS, WIDTH)(start)
        for _ in range(2):
            normal = layers.LayerNormalization(epsilon=1e-5)(x)
            x = layers.Add()([x, layers.MultiHeadAttention(HEADS, WIDTH // HEADS)(normal, normal)])
            inner = layers.Dense(4 * WIDTH, "relu")(layers.LayerNormalization(epsilon=1e-5)(x))
            x = layers.Add()([x, layers.Dense(WIDTH)(inner)])
        return api.Model(start, layers.Dense(10)(layers.GlobalAveragePooling1D()(x)))

    def module() -> nn.Module:
        blocks = TransformerBlock(), TransformerBlock()
        return nn.Sequential(nn.Embedding(WORDS, WIDTH), *blocks, MeanOfSteps(), nn.Linear(WIDTH, 10))

    return Network(build, module, (32, STEPS), 10, vocabulary=WORDS)


def convolution_of_sequences() -> Network:
    def build(api: Any) -> Any:
        layers = api.layers
        first = layers.Conv1D(64, 5, activation="relu"), layers.MaxPooling1D(2), layers.Conv1D(64, 5, activation="relu")
        return api.Sequential([layers.Input((128, 16)), *first, layers.GlobalAveragePooling1D(), layers.Dense(10)])

    def module() -> nn.Module:
        first = nn.Conv1d(16, 64, 5), nn.ReLU(), nn.MaxPool1d(2), nn.Conv1d(64, 64, 5), nn.ReLU()
        return nn.Sequential(*first, nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.Linear(64, 10))

    return Network(build, module, (32, 128, 16), 10, sequence=True)


NETWORKS: dict[str, tuple[float, Network]] = {
    # the largest ratio to the best peer that we accept, and the network
    "step XOR 2-32-1": (0.6, dense(2, 32, 1, batch=4, loss="mse", optimizer="SGD")),
    "step 30-64-64-2": (0.7, dense(30, 64, 64, 2, batch=32)),
    "step 784-512-10": (1.1, dense(784, 512, 10, batch=128)),
    "step autoencoder": (1.1, dense(784, 256, 64, 256, 784, batch=128, loss="mse")),
    "step CNN 32C3-64C3": (0.97, convolutional()),
    "step LeNet-5": (0.9, lenet()),
    "step ResNet blocks": (1.45, residual()),
    "step LSTM 128 x 28 steps": (1.1, recurrent("LSTM", 64, 28, 28)),
    "step LSTM 128 x 200 steps": (1.0, recurrent("LSTM", 32, 200, 32)),
    "step GRU 128 x 28 steps": (1.05, recurrent("GRU", 64, 28, 28)),
    "step Embedding(20,000) + LSTM": (1.3, recurrent("LSTM", 32, 100, 128, vocabulary=20_000)),
    "step transformer, 2 layers": (1.0, transformer()),
    "step Conv1D": (1.3, convolution_of_sequences()),
}

CASES: dict[str, tuple[float, Callable[[], Runs]]] = {
    name: (target, functools.partial(runs_of, network)) for name, (target, network) in NETWORKS.items()
}
