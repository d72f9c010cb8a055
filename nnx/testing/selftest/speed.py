"""Speed of training in the selftest: steps per second of usual networks, beside PyTorch on the same device."""

from __future__ import annotations

import functools
import importlib
import statistics
import time
from collections.abc import Callable
from typing import Any

import nnx
from nnx.backends import Placement
from nnx.testing.selftest.check import NotRunError, Part
from nnx.testing.selftest.networks import TIMED, Network

WARM_UP = 3
MOST_STEPS = 30
SECONDS = 1.0


def speed(place: Placement) -> list[Part]:
    """Steps of training with a batch that is in place; each reads its loss."""
    parts: list[Part] = []
    for title, network in TIMED.items():
        parts.append((title, functools.partial(_steps_of_nnx, place, network)))
        parts.append((f"{title}, PyTorch", functools.partial(_steps_of_torch, place, network)))
    return parts


def _steps_of_nnx(place: Placement, network: Network) -> str:
    with nnx.backend(place.name, device=place.device):
        model = network.model(nnx.optimizers.Adam())
        x, y = (nnx.asarray(array) for array in network.data(1))
    return _rate(lambda: model.train_on_batch(x, y))


def _steps_of_torch(place: Placement, network: Network) -> str:
    """PyTorch as its tutorials have it, on the GPU of CuPy, or the processor."""
    try:
        torch: Any = importlib.import_module("torch")
    except ImportError as error:
        raise NotRunError(f"PyTorch is not there ({error})") from None
    device = "cpu"
    if place.name == "cupy":
        if not torch.cuda.is_available():
            raise NotRunError(f"PyTorch {torch.__version__} has no CUDA device")
        device = f"cuda:{place.backend.device(place.device).id}"
    model = torch.nn.Sequential(*network.in_torch(torch)).to(device)
    x, y = (torch.asarray(array, device=device) for array in network.data(1))
    x = x.float().movedim(-1, 1).contiguous() if x.ndim == 4 else x.float()
    loss_function, optimizer = torch.nn.CrossEntropyLoss(), torch.optim.Adam(model.parameters(), lr=0.001)

    def step() -> None:
        optimizer.zero_grad()
        loss = loss_function(model(x), y)
        loss.backward()
        optimizer.step()
        loss.item()

    return _rate(step)


def _rate(step: Callable[[], object]) -> str:
    """Steps per second, by the median; the first ones, which compile kernels and set memory aside, are not counted."""
    times: list[float] = []
    for number in range(WARM_UP + MOST_STEPS):
        start = time.perf_counter()
        step()  # it reads its loss, so the device has done its work
        if number >= WARM_UP:
            times.append(time.perf_counter() - start)
        if len(times) >= 3 and sum(times) > SECONDS:
            break
    return f"{1.0 / statistics.median(times):9.4g} steps per second"
