"""Which backends there are: names, reasons why one cannot be used, third parties, and whose an array is."""

from __future__ import annotations

import importlib.util
import os
import pathlib
import re
import subprocess
import sys
import types
import warnings
from typing import Any

import numpy as np
import pytest

import nnx
from nnx.backends import Placement, backend_of, base, is_array
from nnx.backends.base import find_backend, usable_backend
from nnx.backends.cupy import CupyBackend


@pytest.fixture
def known_backends(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a test registers is forgotten after it."""
    monkeypatch.setattr(base, "_LOADED", dict(base._LOADED))
    monkeypatch.setattr(base, "_OF_TYPE", {})


class TestNames:
    def test_auto_is_the_best_that_works(self) -> None:
        expected = "cupy" if find_backend("cupy").problem() is None else "numpy"
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # where CuPy is installed and does not work
            assert usable_backend("auto").name == expected
            with nnx.backend("auto"):
                assert nnx.get_backend().name == expected

    def test_auto_takes_cupy_where_a_device_works(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(CupyBackend, "problem", lambda self: None)
        assert usable_backend("auto").name == "cupy"

    @pytest.mark.parametrize(
        ("wrong", "right"),
        [
            ("numppy", "numpy"),
            ("CuPy", "cupy"),
            ("pytorch", "torch"),
            ("array_api_strict", "array-api-strict"),
            ("cuda", "cupy"),
            ("gpu", "cupy"),
            ("CPU", "numpy"),
        ],
    )
    def test_an_unknown_name_gets_a_suggestion(self, wrong: str, right: str) -> None:
        with pytest.raises(ValueError, match=f"unknown backend '{wrong}'.*numpy, cupy.*Did you mean '{right}'"):
            nnx.backend(wrong)

    @pytest.mark.parametrize(
        ("wrong", "right"),
        [
            ("cuda:1", '"cupy", device="cuda:1"'),
            ("cupy:1", '"cupy", device="cuda:1"'),
            ("cupy:cuda:1", '"cupy", device="cuda:1"'),
            ("/GPU:0", '"cupy", device="cuda:0"'),
            ("torch:cpu", '"torch", device="cpu"'),
            ("array-api-strict:CPU_DEVICE", '"array-api-strict", device="CPU_DEVICE"'),
            ("cpu:0", '"numpy"'),
        ],
    )
    def test_a_device_in_the_name_says_how_to_write_it(self, wrong: str, right: str) -> None:
        message = f"unknown backend '{wrong}'.* write nnx.backend({right}), or model.to({right})"
        pattern = re.escape(message).replace(r"\.\*", ".*")
        model = nnx.Sequential([nnx.layers.Dense(1, input_dim=2)])
        for call in (nnx.backend, nnx.set_backend, model.to):
            with pytest.raises(ValueError, match=pattern):
                call(wrong)

    def test_what_only_looks_like_a_device_gets_the_list(self) -> None:
        for name in ("tpu:0", "cuda:", ":1"):
            with pytest.raises(ValueError, match="unknown backend") as error:
                nnx.backend(name)
            assert "device" not in str(error.value)

    def test_a_name_like_no_other_gets_the_list(self) -> None:
        with pytest.raises(ValueError, match="expected 'auto' or one of numpy, cupy, torch, array-api-strict") as error:
            nnx.set_backend("qqq")
        assert "Did you mean" not in str(error.value)

    def test_available_backends_names_all_and_numpy_works(self) -> None:
        available = nnx.available_backends()
        assert list(available)[:4] == ["numpy", "cupy", "torch", "array-api-strict"]
        assert available["numpy"] is None
        for name in ("cupy", "torch"):
            if importlib.util.find_spec(name) is None:
                assert "is not installed" in (available[name] or "")


NO_DRIVER = "CuPy 14.0.0 is installed but no CUDA device works (no driver); check the driver with nvidia-smi"


class TestAutoWithoutCupy:
    """What "auto" says where it falls back to NumPy."""

    @pytest.fixture(autouse=True)
    def _nothing_told_yet(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(base, "_warned_of", set())

    @pytest.fixture
    def _broken(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(CupyBackend, "is_installed", lambda self: True)
        monkeypatch.setattr(CupyBackend, "problem", lambda self: NO_DRIVER)

    @pytest.mark.usefixtures("_broken")
    def test_the_first_warns_with_the_reason_and_points_to_the_line_of_the_user(self) -> None:
        with pytest.warns(UserWarning, match=r"'auto' is NumPy here.* because CuPy does not work: CuPy 14") as warned:
            placement = nnx.backend("auto")
        assert len(warned) == 1
        assert NO_DRIVER in str(warned[0].message)
        assert warned[0].filename == __file__
        with placement as place:
            assert place.name == "numpy"

    @pytest.mark.usefixtures("_broken")
    @pytest.mark.filterwarnings("error")
    def test_the_next_ones_are_silent(self) -> None:
        model = nnx.Sequential([nnx.layers.Dense(1, input_dim=2)])
        with pytest.warns(UserWarning, match="because CuPy does not work") as warned:
            model.to("auto")
        assert warned[0].filename == __file__
        nnx.backend("auto")
        model.to("auto")

    @pytest.mark.usefixtures("_broken")
    @pytest.mark.filterwarnings("error")
    def test_where_warnings_are_errors_it_is_one_each_time(self) -> None:
        for _ in range(2):
            with pytest.raises(UserWarning, match="because CuPy does not work"):
                nnx.backend("auto")

    @pytest.mark.usefixtures("_broken")
    @pytest.mark.filterwarnings("error")
    def test_numpy_by_its_name_is_silent(self) -> None:
        nnx.backend("numpy")

    def test_the_same_by_the_environment(self, tmp_path: pathlib.Path) -> None:
        (tmp_path / "cupy.py").write_text("raise ImportError('libcudart.so: cannot open shared object file')")
        code = "import nnx; print(nnx.get_backend(), nnx.get_backend())"
        root = pathlib.Path(nnx.__file__).parents[1]
        path = os.pathsep.join([str(tmp_path), str(root)])
        environment = {**os.environ, "PYTHONPATH": path, "NNX_BACKEND": "auto", "PYTHONWARNINGS": "always"}
        result = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
        assert result.stdout == "numpy numpy\n"
        assert result.stderr.count("because CuPy does not work: cupy is installed but cannot be imported (Imp") == 1

    @pytest.mark.filterwarnings("error")
    def test_a_cupy_that_is_not_installed_is_no_reason_to_warn(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "cupy", None)  # `import cupy` raises ModuleNotFoundError
        assert not find_backend("cupy").is_installed()
        assert usable_backend("auto").name == "numpy"

    @pytest.mark.usefixtures("_broken")
    @pytest.mark.filterwarnings("error")
    def test_processes_of_mpi_look_for_a_device_silently(self) -> None:
        assert base.best_backend().name == "numpy"


class TestUnusable:
    @pytest.mark.usefixtures("known_backends")
    def test_the_reason_is_in_the_error(self) -> None:
        class Broken(nnx.Backend):
            name, module, install = "broken", "broken_arrays", "pip install broken-arrays"

            def problem(self) -> str | None:
                return "its licence has expired; renew it"

        nnx.register_backend(Broken())
        assert nnx.available_backends()["broken"] == "its licence has expired; renew it"
        with pytest.raises(RuntimeError, match="backend 'broken' cannot be used: its licence has expired; renew it"):
            nnx.backend("broken")

    def test_not_installed(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "cupy", None)  # `import cupy` raises ModuleNotFoundError
        with pytest.raises(RuntimeError, match=r"cupy is not installed .*it with: pip install 'nnx-array\[cupy\]'"):
            nnx.backend("cupy")

    def test_installed_but_the_import_fails(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def fail(name: str) -> None:
            raise OSError("libtorch.so: cannot open shared object file")

        monkeypatch.setattr(base.importlib, "import_module", fail)
        problem = find_backend("torch").problem()
        assert problem == (
            "torch is installed but cannot be imported (OSError: libtorch.so: cannot open shared object file); "
            "repair it with: pip install torch"
        )

    def test_a_missing_dependency_is_not_called_not_installed(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def fail(name: str) -> None:
            raise ModuleNotFoundError("No module named 'sympy'", name="sympy")

        monkeypatch.setattr(base.importlib, "import_module", fail)
        problem = find_backend("torch").problem()
        assert problem is not None
        assert problem.startswith("torch is installed but cannot be imported (ModuleNotFoundError: No module named")

    def test_cupy_without_a_driver(self, monkeypatch: pytest.MonkeyPatch) -> None:
        class CUDARuntimeError(RuntimeError):
            pass

        def zeros(size: int) -> None:
            raise CUDARuntimeError("cudaErrorInsufficientDriver: CUDA driver version is insufficient\nand more")

        fake = types.ModuleType("cupy")
        fake.__version__ = "14.0.0"
        fake.zeros = zeros
        monkeypatch.setitem(sys.modules, "cupy", fake)
        assert CupyBackend().problem() == (
            "CuPy 14.0.0 is installed but no CUDA device works (CUDARuntimeError: cudaErrorInsufficientDriver: CUDA "
            "driver version is insufficient); check the driver with nvidia-smi"
        )

    @pytest.mark.parametrize(
        ("card", "runtime", "expected"),
        [
            (
                (7, 0),
                13000,
                "CUDA 13 does not serve cards of compute capability 7.0, whatever the driver says: pip uninstall "
                "cupy-cuda13x, then pip install 'nnx-array[cupy]'",
            ),
            ((7, 0), 12090, "check the driver with nvidia-smi"),
            ((7, 5), 13000, "check the driver with nvidia-smi"),
        ],
    )
    def test_cupy_for_another_card(
        self, monkeypatch: pytest.MonkeyPatch, card: tuple[int, int], runtime: int, expected: str
    ) -> None:
        def fail(size: int) -> None:
            raise RuntimeError("nvrtc: error: invalid value for --gpu-architecture")

        of_card = dict(zip(("major", "minor"), card, strict=True))
        given = {
            "getDevice": lambda: 0,
            "getDeviceProperties": lambda device: of_card,
            "runtimeGetVersion": lambda: runtime,
        }
        fake, cuda = types.ModuleType("cupy"), types.ModuleType("cupy.cuda")
        fake.__version__, fake.zeros, fake.cuda = "14.0.0", fail, cuda
        cuda.runtime = types.SimpleNamespace(**given)
        monkeypatch.setitem(sys.modules, "cupy", fake)
        monkeypatch.setitem(sys.modules, "cupy.cuda", cuda)
        assert str(CupyBackend().problem()).endswith(f"; {expected}")

    def test_cupy_asks_the_device_only_once(self, monkeypatch: pytest.MonkeyPatch) -> None:
        calls = []
        fake = types.ModuleType("cupy")
        fake.zeros = lambda size: calls.append(size) or np.zeros(size)
        monkeypatch.setitem(sys.modules, "cupy", fake)
        backend = CupyBackend()
        assert backend.problem() is None
        assert backend.problem() is None
        assert calls == [1]


class Celsius(np.ndarray):
    """Arrays of a third-party library that builds on NumPy."""

    __module__ = "celsius.arrays"


def celsius_module() -> types.ModuleType:
    module = types.ModuleType("celsius")
    module.__version__ = "1.0"
    module.asarray = lambda value, device=None: np.asarray(value).view(Celsius)
    module.reshape = np.reshape
    return module


class CelsiusBackend(nnx.Backend):
    name, module, install = "celsius", "celsius", "pip install celsius"

    def load(self) -> Any:
        import celsius

        return celsius

    def device_of(self, array: Any) -> Any:
        return "cpu"


@pytest.mark.usefixtures("known_backends")
class TestThirdParty:
    def test_is_selectable_by_name_and_owns_its_arrays(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "celsius", celsius_module())
        x = np.ones(2).view(Celsius)
        assert backend_of(x).name == "numpy"  # not registered yet: NumPy's
        nnx.register_backend(CelsiusBackend())
        assert nnx.available_backends()["celsius"] is None
        with nnx.backend("celsius"):
            x = nnx.asarray([20.0])
        assert type(x) is Celsius
        assert backend_of(x).name == "celsius"
        assert backend_of(np.ones(2)).name == "numpy"
        assert nnx.array_namespace(x) is sys.modules["celsius"]
        assert nnx.to_numpy(x).tolist() == [20.0]

    def test_not_installed(self) -> None:
        nnx.register_backend(CelsiusBackend())
        with pytest.raises(RuntimeError, match=r"celsius is not installed .*install it with: pip install celsius"):
            nnx.backend("celsius")

    def test_the_same_name_replaces(self) -> None:
        first, second = CelsiusBackend(), CelsiusBackend()
        nnx.register_backend(first)
        nnx.register_backend(second)
        assert find_backend("celsius") is second

    def test_what_is_refused(self) -> None:
        with pytest.raises(TypeError, match=r"expects an instance of nnx\.backends\.Backend, got <class"):
            nnx.register_backend(CelsiusBackend)  # type: ignore[arg-type]

        class Nameless(nnx.Backend):
            module, install = "nameless", "pip install nameless"

        with pytest.raises(TypeError, match="Nameless needs a class attribute 'name', a string"):
            nnx.register_backend(Nameless())

        class Hijacker(nnx.Backend):
            name, module, install = "hijacker", "torch", "pip install hijacker"

        with pytest.raises(ValueError, match="backend 'hijacker': the arrays of 'torch' belong to backend 'torch'"):
            nnx.register_backend(Hijacker())


class TestArrayNamespace:
    def test_namespace_and_backend(self, backend: Placement) -> None:
        x = backend.asarray([1.0])
        assert nnx.array_namespace(x) is backend.xp
        assert backend_of(x) is backend.backend
        assert is_array(x)

    def test_agrees_with_array_api_compat(self, backend: Placement) -> None:
        import array_api_compat

        assert nnx.array_namespace(backend.asarray([1.0])) is array_api_compat.array_namespace(backend.asarray([1.0]))

    @pytest.mark.usefixtures("known_backends")
    def test_a_type_is_identified_once(self, backend: Placement, monkeypatch: pytest.MonkeyPatch) -> None:
        calls = []
        identify = base._identify
        monkeypatch.setattr(base, "_identify", lambda kind, array: calls.append(kind) or identify(kind, array))
        x, y = backend.asarray([1.0]), backend.asarray([2.0])
        calls.clear()
        base._OF_TYPE.clear()
        for array in (x, y, x):
            nnx.array_namespace(array)
        assert calls == [type(x)]

    def test_a_library_that_nobody_selected_is_recognised(self) -> None:
        code = (
            "import array_api_strict as xp, nnx\n"
            "x = xp.ones(2)\n"
            "assert nnx.array_namespace(x) is xp\n"
            "assert nnx.to_numpy(x).tolist() == [1.0, 1.0]"
        )
        subprocess.run([sys.executable, "-c", code], check=True)

    @pytest.mark.parametrize("value", [1.0, [1.0], "text", None, (1,), {}], ids=repr)
    def test_what_is_no_array(self, value: Any) -> None:
        assert not is_array(value)
        with pytest.raises(
            TypeError, match=f"expected an array, got {type(value).__name__}; convert it with nnx.asarr"
        ):
            nnx.array_namespace(value)

    def test_arrays_of_an_unknown_library(self) -> None:
        class Series:
            dtype = "float64"
            __module__ = "pandas.core.series"

        assert not is_array(Series())
        with pytest.raises(
            TypeError, match=r"pandas.core.series.*Series is not an array of a known backend; see nnx\."
        ):
            backend_of(Series())
