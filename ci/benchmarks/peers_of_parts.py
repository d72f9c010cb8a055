"""Parts of a training step by nnx, PyTorch and JAX: layer normalisation, a loss of many classes, Adam."""

from __future__ import annotations

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
import torch
from peers_of_steps import Runs, adam

import nnx


def normal(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).normal(size=shape).astype(np.float32)


def layer_normalization() -> Runs:
    x, dy, ones, zeros = normal(4096, 512), normal(4096, 512), np.ones(512, np.float32), np.zeros(512, np.float32)
    layer = nnx.layers.LayerNormalization(epsilon=1e-5)
    layer(x)
    module, tx, tdy = torch.nn.LayerNorm(512), torch.from_numpy(x).requires_grad_(), torch.from_numpy(dy)

    def of_torch() -> None:
        tx.grad = module.weight.grad = module.bias.grad = None
        module(tx).backward(tdy)

    def formula(x: jax.Array, gamma: jax.Array, beta: jax.Array) -> jax.Array:
        centred = x - x.mean(1, keepdims=True)
        return centred * jax.lax.rsqrt((centred * centred).mean(1, keepdims=True) + 1e-5) * gamma + beta

    @jax.jit
    def both(x: jax.Array, gamma: jax.Array, beta: jax.Array, dy: jax.Array) -> object:
        y, pullback = jax.vjp(formula, x, gamma, beta)
        return y, pullback(dy)

    arrays = [jnp.asarray(array) for array in (x, ones, zeros, dy)]
    return {
        "nnx": lambda: layer.forward(x, training=True)[1](dy),
        "torch": of_torch,
        "jax": lambda: jax.block_until_ready(both(*arrays)),
    }


def crossentropy() -> Runs:
    x, y = normal(256, 10_000), np.random.default_rng(1).integers(0, 10_000, 256)
    loss = nnx.losses.SparseCategoricalCrossentropy(from_logits=True)
    tx, ty, module = torch.from_numpy(x).requires_grad_(), torch.from_numpy(y), torch.nn.CrossEntropyLoss()

    def of_torch() -> None:
        tx.grad = None
        module(tx, ty).backward()

    def formula(x: jax.Array, y: jax.Array) -> jax.Array:
        return -jnp.mean(jnp.take_along_axis(jax.nn.log_softmax(x), y[:, None], 1))

    both, arrays = jax.jit(jax.value_and_grad(formula)), (jnp.asarray(x), jnp.asarray(y))
    return {
        "nnx": lambda: loss.forward(y, x)[1](),
        "torch": of_torch,
        "jax": lambda: jax.block_until_ready(both(*arrays)),
    }


def adam_step() -> Runs:
    size = 3162
    gradient = normal(size, size)
    model = nnx.Sequential([nnx.Input((size,)), nnx.layers.Dense(size, use_bias=False)])
    optimizer = nnx.optimizers.Adam(1e-3)
    model.flat.grads[...] = gradient.reshape(-1)
    parameters = [torch.nn.Parameter(torch.zeros(size, size)) for _ in range(2)]
    for parameter in parameters:
        parameter.grad = torch.from_numpy(gradient.copy())
    eager, fused = (
        torch.optim.Adam([parameter], lr=1e-3, fused=fused)
        for parameter, fused in zip(parameters, (False, True), strict=True)
    )
    step = functools.partial(jax.jit, donate_argnums=(0, 2, 3))(adam)
    held, gradients = [[jnp.zeros((size, size))] for _ in range(3)], [jnp.asarray(gradient)]

    def of_jax() -> None:
        held[:] = step(held[0], gradients, held[1], held[2], 5.0)
        jax.block_until_ready(held)

    # not `step`, which would write zeros into gradients that no pullback has reached
    return {"nnx": lambda: optimizer.train(model.flat), "torch": eager.step, "fused": fused.step, "jax": of_jax}


CASES: dict[str, tuple[float, Callable[[], Runs]]] = {
    "layer normalisation 4096 x 512": (3.0, layer_normalization),
    "softmax cross-entropy 256 x 10,000": (0.8, crossentropy),
    "Adam, 10 million parameters": (2.4, adam_step),
}
