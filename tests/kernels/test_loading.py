"""Kernels are imported when they are first needed, all of them or none, and may be replaced before and after."""

from __future__ import annotations

import copy
import pathlib
import pickle
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator

import numpy as np
import pytest

import nnx
from nnx.backends.base import BackendKernel, find_backend
from nnx.backends.numpy import NumpyBackend
from nnx.kernels import backend_kernel

TABLE = """
from nnx.backends.base import BackendKernel
KERNELS: dict[str, BackendKernel] = {}
"""
KERNEL = """
import time
from nnx.kernels import backend_kernel
from {package}.table import KERNELS
time.sleep(0.02)  # other threads get their turn between two kernels

@backend_kernel(KERNELS)
def {name}(x):
    return "{name} of the package"
"""


class Mine(nnx.Backend):
    name, module, install = "mine", "my_arrays", "pip install my-arrays"


@pytest.fixture
def package(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., str]]:
    """A package of kernels, named by their files; each is made as those of nnx are."""
    name = f"kernels_of_{tmp_path.name}".replace("-", "_")
    monkeypatch.syspath_prepend(tmp_path)

    def make(*files: str) -> str:
        folder = tmp_path / name
        folder.mkdir()
        start = pathlib.Path(find_backend("numpy").kernels["relu"].function.__code__.co_filename).parent / "__init__.py"
        (folder / "__init__.py").write_text(start.read_text(encoding="utf-8").replace("nnx.kernels.numpy", name))
        (folder / "table.py").write_text(TABLE)
        for file in files:
            (folder / f"{file}.py").write_text(KERNEL.format(package=name, name=file))
        return name

    yield make
    for loaded in [module for module in sys.modules if module.partition(".")[0] == name]:
        del sys.modules[loaded]


def backend_with(package: str) -> Mine:
    backend = Mine()
    backend.kernel_package = package
    return backend


def result_of(kernel: BackendKernel) -> object:
    return kernel.function(np.ones(1))


def test_an_import_and_a_look_at_the_backends_load_no_kernels() -> None:
    code = (
        "import sys, numpy as np, nnx\n"
        "from nnx.__main__ import main\n"
        "nnx.available_backends()\n"
        "main(['info'])\n"
        "x = nnx.asarray([-1.0, 2.0])\n"
        "assert not [name for name in sys.modules if name.startswith('nnx.kernels.')], sys.modules\n"
        "y, pullback = nnx.functional.relu(x)\n"
        "assert y.tolist() == [0.0, 2.0]\n"
        "assert pullback.__module__ == 'nnx.kernels.numpy.activations', pullback\n"
        "assert 'nnx.kernels.cupy' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_numpy_arrays_that_no_context_made_get_their_kernels() -> None:
    code = (
        "import numpy as np\n"
        "from nnx.functional.activations import relu\n"
        "y, pullback = relu(np.asarray([-1.0, 2.0]))\n"
        "assert pullback.__module__ == 'nnx.kernels.numpy.activations', pullback\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_after_the_first_time_the_table_is_an_attribute() -> None:
    backend = find_backend("numpy")
    assert backend.kernels is backend.__dict__["kernels"]


def test_a_backend_without_a_package_has_what_is_added() -> None:
    backend = Mine()
    assert backend.kernels == {}

    @backend_kernel(backend.kernels)
    def relu(x: object) -> str:
        return "added"

    assert result_of(backend.kernels["relu"]) == "added"
    assert Mine().kernels == {}


def test_all_threads_get_one_whole_table(package: Callable[..., str]) -> None:
    names = [f"kernel_{number}" for number in range(5)]
    backend = backend_with(package(*names))
    barrier = threading.Barrier(8)
    tables: list[dict[str, BackendKernel]] = []
    seen: list[list[str]] = []

    def ask() -> None:
        barrier.wait()
        table = backend.kernels
        seen.append(list(table))
        tables.append(table)

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == [names] * 8
    assert all(table is backend.kernels for table in tables)


def test_what_somebody_adds_first_stays(package: Callable[..., str]) -> None:
    backend = backend_with(package("relu", "tanh"))

    @backend_kernel(backend.kernels)
    def relu(x: object) -> str:
        return "added"

    assert result_of(backend.kernels["relu"]) == "added"
    assert result_of(backend.kernels["tanh"]) == "tanh of the package"


def test_what_somebody_adds_later_replaces_and_is_not_the_package_s(package: Callable[..., str]) -> None:
    name = package("relu")
    backend, other = backend_with(name), backend_with(name)
    assert result_of(backend.kernels["relu"]) == "relu of the package"

    @backend_kernel(backend.kernels)
    def relu(x: object) -> str:
        return "added"

    assert result_of(backend.kernels["relu"]) == "added"
    assert result_of(other.kernels["relu"]) == "relu of the package"


def test_a_package_that_fails_is_no_empty_table(package: Callable[..., str]) -> None:
    backend = backend_with(package("relu", "not a name"))
    for _ in range(2):
        with pytest.raises(SyntaxError):
            _ = backend.kernels
    assert "kernels" not in backend.__dict__


def test_who_asks_in_the_middle_of_the_import_is_told(package: Callable[..., str]) -> None:
    name = package("relu", "tanh")
    folder = pathlib.Path(sys.path[0], name)
    (folder / "softmax.py").write_text(f"import importlib\nimportlib.import_module({name!r}).KERNELS\n")
    with pytest.raises(AttributeError, match="KERNELS"):
        _ = backend_with(name).kernels


def test_a_subclass_has_the_kernels_of_its_base() -> None:
    class Derived(NumpyBackend):
        name = "derived"

    kernels = Derived().kernels
    assert kernels["dense"] == find_backend("numpy").kernels["dense"]
    assert kernels is not find_backend("numpy").kernels


def test_copies_of_a_backend_are_the_backend() -> None:
    backend = find_backend("numpy")
    assert backend.kernels
    assert copy.deepcopy(backend) is backend
    assert pickle.loads(pickle.dumps(backend)) is backend
