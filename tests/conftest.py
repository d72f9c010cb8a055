"""What every test of nnx has: the fixtures of nnx's own pytest plugin, and random numbers that repeat."""

from __future__ import annotations

import collections
import gc

import numpy as np
import pytest

import nnx.random
import pytest_nnx


def pytest_addoption(parser: pytest.Parser, pluginmanager: pytest.PytestPluginManager) -> None:
    # Where nnx is installed, pytest has loaded the plugin already, by its entry point.
    if not pluginmanager.is_registered(pytest_nnx):
        pluginmanager.register(pytest_nnx, "nnx")
    parser.addoption(
        "--every",
        type=int,
        default=1,
        metavar="N",
        help="of the rows of each table every Nth, where all would take too long",
    )
    parser.addoption(
        "--from",
        dest="first",
        type=int,
        default=0,
        metavar="K",
        help="with --every: the row to begin with, counted round; another number each time runs all rows in the end",
    )


def pytest_configure(config: pytest.Config) -> None:
    config.option.nnx_static_shapes = True  # nothing in nnx waits for a device to say how many elements there are
    gc.disable()  # until all tests are collected: they are some millions of objects, and none of them dies


@pytest.hookimpl(trylast=True)  # of what -k has left
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    tables = [item.nodeid.partition("[")[0] for item in items]
    rows, seen = collections.Counter(tables), collections.Counter[str]()
    kept: list[pytest.Item] = []
    left: list[pytest.Item] = []
    for item, table in zip(items, tables, strict=True):
        step = min(config.getoption("--every"), rows[table])  # at least one row of each
        (left if (seen[table] - config.getoption("first")) % step else kept).append(item)
        seen[table] += 1
    items[:] = kept
    config.hook.pytest_deselected(items=left)


def pytest_collection_finish() -> None:
    gc.freeze()  # a collection while a test runs looks at what the tests have made
    gc.enable()


@pytest.fixture(autouse=True)
def _seeds() -> None:
    nnx.random.set_seed(0)
    np.random.seed(0)  # noqa: NPY002, the global generator is the point
