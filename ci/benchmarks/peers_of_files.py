"""Building a model of many layers, saving and loading one of 6 million parameters with Adam, by nnx and PyTorch."""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from peers_of_steps import Runs
from torch import nn

import nnx
from nnx.layers import Dense

SIZES = (1024, 2048, 2048, 10)


def building() -> Runs:
    def of_nnx() -> object:
        model = nnx.Sequential([nnx.Input((64,)), *[Dense(64, "relu") for _ in range(49)], Dense(10, "softmax")])
        model.compile("adam", "sparse_categorical_crossentropy")
        return model

    def of_torch() -> object:
        parts = [part for _ in range(49) for part in (nn.Linear(64, 64), nn.ReLU())]
        model = nn.Sequential(*parts, nn.Linear(64, 10))
        return model, torch.optim.Adam(model.parameters())

    return {"nnx": of_nnx, "torch": of_torch}


def files(loading: bool) -> Runs:
    folder = Path(tempfile.mkdtemp())
    mine, theirs = folder / "model.safetensors", folder / "model.pt"
    model = nnx.Sequential([nnx.Input(SIZES[:1]), *[Dense(size, "relu") for size in SIZES[1:]]])
    model.compile("adam", "mse")
    model.train_on_batch(np.ones((2, SIZES[0]), np.float32), np.ones((2, SIZES[-1]), np.float32))
    model.save(mine)

    def module() -> nn.Sequential:
        return nn.Sequential(*[nn.Linear(n, m) for n, m in itertools.pairwise(SIZES)])

    net = module()
    optimizer = torch.optim.Adam(net.parameters())
    net(torch.ones(2, SIZES[0])).sum().backward()
    optimizer.step()
    states = {"model": net.state_dict(), "optimizer": optimizer.state_dict()}
    torch.save(states, theirs)

    def load_with_torch() -> object:
        found, new = torch.load(theirs, weights_only=True), module()
        new.load_state_dict(found["model"])
        torch.optim.Adam(new.parameters()).load_state_dict(found["optimizer"])
        return new

    if loading:
        return {"nnx": lambda: nnx.models.load_model(mine), "torch": load_with_torch}
    return {"nnx": lambda: model.save(mine), "torch": lambda: torch.save(states, theirs)}


CASES: dict[str, tuple[float, Callable[[], Runs]]] = {
    "build, 50 layers": (1.5, building),
    "save, 6 million parameters": (2.0, lambda: files(loading=False)),
    "load, 6 million parameters": (2.0, lambda: files(loading=True)),
}
