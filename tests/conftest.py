"""What every test of nnx has: the fixtures of nnx's own pytest plugin, and random numbers that repeat."""

from __future__ import annotations

import numpy as np
import pytest

import nnx.random
import pytest_nnx


def pytest_addoption(pluginmanager: pytest.PytestPluginManager) -> None:
    # Where nnx is installed, pytest has loaded the plugin already, by its entry point.
    if not pluginmanager.is_registered(pytest_nnx):
        pluginmanager.register(pytest_nnx, "nnx")


def pytest_configure(config: pytest.Config) -> None:
    config.option.nnx_static_shapes = True  # nothing in nnx waits for a device to say how many elements there are


@pytest.fixture(autouse=True)
def _seeds() -> None:
    nnx.random.set_seed(0)
    np.random.seed(0)  # noqa: NPY002, the global generator is the point
