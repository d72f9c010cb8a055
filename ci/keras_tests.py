"""Keras' own tests, run against nnx: python ci/keras_tests.py

A wheel of Keras has its tests in it. While they run, `keras` and all modules below it are nnx' (`KerasFromNnx`), but
for the tests themselves, Keras' own test case and the modules in `HELPERS`, which are read from Keras' files.
So many of them: python ci/keras_tests.py layers/core/dense_test.py metrics. --failures says what the others failed of.

The table says for each file how many tests that apply pass, and below it what does not apply, and why: `EXCLUDED`,
tests that skip themselves, those of packages that are not there, and those that use a private name of Keras. What
counts as the same: errors by their type, not by their words; float16 for bfloat16, which NumPy does not have, in
losses and metrics; a layer without weights that is built by its first call; in mixed precision, parameters in float16
that are trained in float32.

It needs what the oracles need, and absl-py. The tests of a folder have a process, each test a time limit.
"""

from __future__ import annotations

import argparse
import collections
import functools
import importlib
import json
import os
import re
import signal
import subprocess
import sys
import sysconfig
import tempfile
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from importlib.util import spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any

import ml_dtypes  # noqa: F401, NumPy knows the name bfloat16 by it
import pytest

import nnx
from nnx import keras_backend
from nnx.graph.symbol import Symbol
from nnx.parameters import Parameter

KERAS = Path(sysconfig.get_paths()["purelib"]) / "keras"
SECONDS_A_TEST = 90
SECONDS_A_FOLDER = 3000

EXCLUDED = {
    r"applications/|datasets/|models/.*for_functional_in_sequential": "data and weights to download",
    r"backend/|utils/(backend_utils|jax_layer|torch_utils)": "the inside of Keras' backends",
    r"distillation/|quantizers/": "no distillation, no quantisation",
    r"distribution/": "Keras' distribution over the devices of JAX",
    r"export/|legacy/|saving/file_editor": "other formats of files",
    r"callbacks/(orbax|tensorboard)": "Orbax, and files that TensorFlow reads",
    r"trainers/": "the inside of Keras' trainer",
    r"utils/(code_stats|dtype_utils|naming|python_utils|tracking|io_utils)|testing/|tree/": "Keras' own tools",
    r"ops/(node|symbolic_arguments|operation|operation_utils|ops|einops|function)_test": "the inside of Keras' graphs",
    r"layers/preprocessing/(data_layer|image_preprocessing/base_image)": "base classes of Keras",
    r"optimizers/optimizer_sparse": "no sparse arrays",
    r"losses/loss_test.*(mask|rank_adjustment|squeeze_or)|layers/merging/.*_with_mask": "masks as attributes of arrays",
    r".*(?i:quantiz|lora|int4|int8_|gptq|awq|float8)": "no quantisation, no adapters",
    r".*(?i:remat|flash|stateless|distribut|jit_compile|_fused_)": "transformations of JAX, kernels of PyTorch",
    r".*(?i:sparse_tensor|_sparse_[01]?$|_sparse$|ragged)": "no sparse and ragged arrays",
    r".*(?i:tf_data|tfdata|tf_dataset|torch_dataloader|_tf$|_grain$|_torch$)": "loaders of other packages",
    r".*bfloat16": "NumPy has no bfloat16",
}
"""Tests that do not apply, by patterns of their paths and names, and why."""

HELPERS = {"keras.src.backend.common.backend_utils"}
"""Modules of Keras by which tests compute what they expect."""

FOREIGN = ("grain", "pandas", "tensorflow", "tensorflow_io", "tf_keras")
"""Packages that tests import, and that need not be there."""

ROOMS = {
    "backend": ("nnx.ops", "nnx.keras_backend", "nnx.config", "nnx"),
    "dtype_policies": ("nnx.mixed_precision",),
    "layers": ("nnx.layers", "nnx.utils"),
    "legacy": ("nnx.utils",),
    "trainers": ("nnx.utils", "nnx.data"),
    "": ("nnx", "nnx.saving", "nnx.mixed_precision"),
}
"""Where the names of a folder of Keras are, if not in the package of nnx that has its name."""

RUNNING: list[str] = []
"""The test that runs, while one does."""


# What stands in Keras' place


class Instances(type):
    """A class of which `isinstance` finds nnx' objects, and which makes them."""

    def __instancecheck__(cls, value: Any) -> bool:
        return isinstance(value, cls.kind)

    def __call__(cls, *args: Any, **options: Any) -> Any:
        return cls.make(*args, **options)


class Variable(metaclass=Instances):
    kind, make = Parameter, staticmethod(nnx.Variable)


class KerasTensor(metaclass=Instances):
    """A symbol, made from a shape with the batch axis."""

    kind = Symbol

    @staticmethod
    def make(shape: Any, dtype: str = "float32", sparse: bool = False, ragged: bool = False, name: Any = None) -> Any:
        return nnx.Input(batch_shape=shape, dtype=dtype, name=name)


class OperationOf:
    """The class of an operation, which tests call beside its function: `Sum(axis=1)(x)` is `sum(x, axis=1)`."""

    function: Any = None

    def __init__(self, *args: Any, **options: Any) -> None:
        self.args, self.options = args, options

    def __call__(self, *args: Any, **options: Any) -> Any:
        first = type(self).__name__ in ("ForiLoop", "VectorizedMap", "WhileLoop")
        arguments = (*self.args, *args) if first else (*args, *self.args)
        return type(self).function(*arguments, **self.options, **options)

    call = symbolic_call = compute_output_spec = __call__


class Missing:
    """A name that nnx does not have: test files may name it, and a test that uses it fails."""

    def __init__(self, path: Any, *others: Any, **options: Any) -> None:
        vars(self)["path"] = path

    def use(self) -> Any:
        if RUNNING:
            raise AttributeError(f"nnx has no {self.path}")
        return self

    def __call__(self, *args: Any, **options: Any) -> Any:
        return self.use()

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return self.use()

    def __iter__(self) -> Any:
        return iter(())

    def __mro_entries__(self, bases: Any) -> Any:
        return ()


class Foreign(Missing):
    """A name of a package that is not there: a test that uses it does not apply."""

    def use(self) -> Any:
        return pytest.skip(f"needs {self.path}") if RUNNING else self


class ForeignModule(ModuleType):
    """A package that is not there, until a test uses it."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return Foreign(self.__name__.partition(".")[0]).use()


_FLOATS = ("bfloat16", "float16", "float32", "float64")
_INTEGERS = ("uint8", "uint16", "uint32", "int8", "int16", "int32", "int64")
_OF_BACKEND = {
    "ALLOWED_DTYPES": {*_FLOATS, *_INTEGERS, "bool", "string", "complex64", "complex128"},
    "FLOAT8_TYPES": (),
    "FLOAT_TYPES": _FLOATS,
    "INT_TYPES": _INTEGERS,
    "IS_THREAD_SAFE": True,
    "PYTHON_DTYPES_MAP": {bool: "bool", int: "int", float: "float", str: "string"},
    "SUPPORTS_COMPLEX_DTYPES": True,
    "SUPPORTS_RAGGED_TENSORS": False,
    "SUPPORTS_SPARSE_TENSORS": False,
    "backend": lambda: "nnx",
    "clear_session": lambda free_memory=True: keras_backend.clear_session(),
    "compute_output_spec": lambda function, *args, **options: function(*args, **options),
    "convert_to_numpy": nnx.ops.convert_to_numpy,
}
_OF_ALL = {
    "Functional": nnx.Model,
    "GroupedQueryAttention": nnx.layers.GroupQueryAttention,
    "KerasTensor": KerasTensor,
    "Variable": Variable,
    "is_traceback_filtering_enabled": lambda: False,
    "removeprefix": str.removeprefix,
    "removesuffix": str.removesuffix,
}


class KerasModule(ModuleType):
    """A module of Keras, whose names are nnx'."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
        try:
            value = self._find(name)
        except (AttributeError, ImportError) as error:
            if RUNNING:
                raise AttributeError(str(error)) from None
            value = Missing(f"{self.__name__}.{name}")
        setattr(self, name, value)
        return value

    def _find(self, name: str) -> Any:
        parts = [part for part in self.__name__.split(".")[1:] if part != "src"]
        room = parts[0] if parts else ""
        if room == "backend" and name in _OF_BACKEND:
            return _OF_BACKEND[name]
        if name in _OF_ALL:
            return _OF_ALL[name]
        if parts[-1:] == ["module_utils"]:
            return Foreign(name)
        if self.__name__ == "keras" and name == "src":
            return importlib.import_module("keras.src")
        if name == "random" and room == "ops":
            return importlib.import_module("keras.src.random")
        place = KERAS.joinpath("src", *parts, name)
        if place.is_dir() or place.with_suffix(".py").is_file():
            return importlib.import_module(".".join(["keras.src", *parts, name]))
        rooms = ROOMS.get(room, (f"nnx.{room}",))
        if room == "ops" and parts[1:] in (["image"], ["linalg"]):
            rooms = (f"nnx.ops.{parts[1]}", *rooms)
        if parts[:2] == ["backend", "random"]:
            rooms = ("nnx.random",)
        if parts[:2] == ["optimizers", "schedules"]:
            rooms = ("nnx.optimizers.schedules",)
        if room != "ops" or not name[:1].isupper():
            return _in_rooms(rooms, name)
        function = _in_rooms(rooms, re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower())
        return type(name, (OperationOf,), {"function": staticmethod(function)})


def _in_rooms(rooms: tuple[str, ...], name: str) -> Any:
    for room in rooms:
        try:
            return getattr(importlib.import_module(room), name)
        except (AttributeError, ImportError):
            pass
    raise AttributeError(f"nnx has no keras.src.{name}")


class Source(SourceFileLoader):
    """Tests, and Keras' test case, as they are written but for what the head of this file says."""

    def get_data(self, path: str) -> bytes:
        data = super().get_data(path)
        if "/losses/" in path or "/metrics/" in path:
            data = data.replace(b"bfloat16", b"float16").replace(b"._dtype", b".dtype")
        if path.endswith("testing/test_case.py"):
            data = data.replace(b"dtype = standardize_dtype(weight.dtype)", b"dtype = layer.variable_dtype")
            data = data.replace(
                b"def __call__(self, y_true, y_pred, sample_weight=None)", b"def call(self, y_true, y_pred)"
            )
        return data

    def path_stats(self, path: str) -> Any:
        raise OSError("nothing is cached")

    def exec_module(self, module: ModuleType) -> None:
        super().exec_module(module)
        if module.__name__ == "keras.src.testing.test_case":
            _adapt(module)


def _adapt(module: Any) -> None:
    """Keras' test case, for layers whose random numbers are no variables, and for errors in nnx' words."""
    case = module.TestCase
    layer_test, class_test = case.run_layer_test, case.run_class_serialization_test

    def run_layer_test(
        self: Any,
        *args: Any,
        expected_num_seed_generators: int = 0,
        assert_built_after_instantiation: bool = False,
        **options: Any,
    ) -> Any:
        if options.get("expected_num_non_trainable_variables") is not None:  # Keras counts the states of generators
            options["expected_num_non_trainable_variables"] -= expected_num_seed_generators or 0
        return layer_test(self, *args, **options)

    def run_class_serialization_test(self: Any, instance: Any, custom_objects: Any = None) -> Any:
        cls = type(instance)  # a file of nnx never says which module is imported
        own = {} if cls.__module__.startswith("nnx.") else {cls.__name__: cls}
        return class_test(self, instance, {**own, **(custom_objects or {})})

    def assert_dense(self: Any, x: Any, wanted: bool = True) -> None:
        if wanted:
            raise AssertionError("there are no sparse and no ragged arrays")

    def of_type(assertion: str) -> Any:
        def asserted(self: Any, kind: Any, expected_regex: Any = None, *args: Any, **options: Any) -> Any:
            return getattr(self, assertion)(kind, *args, **options)

        return asserted

    case.run_layer_test, case.run_class_serialization_test = run_layer_test, run_class_serialization_test
    case.assertRaisesRegex, case.assertWarnsRegex = of_type("assertRaises"), of_type("assertWarns")
    case.assertSparse = case.assertRagged = assert_dense
    module.get_seed_generators = lambda layer: []


class KerasFromNnx(MetaPathFinder, Loader):
    """Finder of `keras` and what is below: tests and what they compute with from files, everything else from nnx."""

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        package, *parts = name.split(".")
        if package in FOREIGN:
            there = RUNNING or PathFinder.find_spec(package) is not None
            return None if there else ModuleSpec(name, self, is_package=True)
        if name == "conftest":
            return ModuleSpec(name, self)
        if package != "keras":
            return None
        file = KERAS.joinpath("src", *(part for part in parts if part != "src"))
        if name.endswith("_test") or name in HELPERS or name.startswith("keras.src.testing"):
            source = file / "__init__.py" if file.is_dir() else file.with_suffix(".py")
            return spec_from_file_location(name, source, loader=Source(name, str(source)))
        return ModuleSpec(name, self, is_package=True) if file.is_dir() or file.with_suffix(".py").is_file() else None

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        if spec.name == "conftest":
            module = ModuleType(spec.name)
            module.skip_if_backend = lambda name, reason: pytest.mark.skipif(False, reason=reason)
            return module
        return (KerasModule if spec.name.startswith("keras") else ForeignModule)(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        """It is filled when names are asked for."""


# What pytest is told, in the process of a folder


class TestFile(pytest.Module):
    """A file of tests, as the module that it is in Keras."""

    def _getobj(self) -> Any:
        return importlib.import_module(".".join(self.path.relative_to(KERAS.parent).with_suffix("").parts))


def pytest_configure(config: Any) -> None:
    sys.meta_path.insert(0, KerasFromNnx())
    for mark in ("multi_device", "requires_trainable_backend"):
        config.addinivalue_line("markers", mark)


@pytest.hookimpl(tryfirst=True)
def pytest_pycollect_makemodule(module_path: Path, parent: Any) -> Any:
    return TestFile.from_parent(parent, path=module_path) if module_path.is_relative_to(KERAS) else None


def pytest_collection_modifyitems(items: list[Any]) -> None:
    for item in list(items):
        if (reason := excluded(item.nodeid)) is not None:
            items.remove(item)
            _note(item.nodeid, "excluded", reason)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: Any) -> Any:
    def late(number: int, frame: Any) -> None:
        raise TimeoutError(f"the test takes more than {SECONDS_A_TEST} s")

    RUNNING.append(item.nodeid)
    signal.signal(signal.SIGALRM, late)
    signal.alarm(SECONDS_A_TEST)
    try:
        return (yield)
    finally:
        signal.alarm(0)
        RUNNING.clear()


def pytest_runtest_logreport(report: Any) -> None:
    if report.outcome == "failed":
        crash = getattr(report.longrepr, "reprcrash", None)
        text = crash.message if crash else str(report.longrepr)
        private = _PRIVATE.search(text)
        name = next(filter(None, private.groups())) if private else ""
        if name and name not in _public_names():
            _note(report.nodeid, "excluded", "private names of Keras")
        else:
            _note(report.nodeid, "failed", text)
    elif report.skipped:
        _note(report.nodeid, "excluded", "skips itself, or needs a package that is not there")
    elif report.when == "call":
        _note(report.nodeid, "passed", "")


def pytest_collectreport(report: Any) -> None:
    if report.outcome == "failed" and excluded(report.nodeid) is None:
        _note(report.nodeid, "failed", str(report.longrepr)[-500:])


def _note(test: str, outcome: str, text: str) -> None:
    with open(os.environ["KERAS_TESTS"], "a", encoding="utf-8") as file:
        file.write(json.dumps([test.partition("keras/src/")[2], outcome, text]) + "\n")


_PRIVATE = re.compile(r"(?:object has no|not have the) attribute '(_\w+)'|nnx has no keras\.src\.[\w.]*?(\w+)$", re.M)


@functools.cache
def _public_names() -> set[str]:
    files = [file for file in KERAS.glob("**/__init__.py") if "src" not in file.parts]
    return {name for file in files for name in re.findall(r"\bas (\w+)", file.read_text())}


def excluded(test: str) -> str | None:
    """Why a test does not apply, by its name; None if it does."""
    name = test.partition("keras/src/")[2]
    return next((reason for pattern, reason in EXCLUDED.items() if re.match(pattern, name)), None)


# All folders, one after the other


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("files", nargs="*", help="files and folders below keras/src; by default all")
    parser.add_argument("--failures", action="store_true", help="say what tests failed of")
    arguments = parser.parse_args()
    roots = [KERAS / "src" / name for name in arguments.files or ("",)]
    tests = [file for root in roots for file in ([root] if root.is_file() else sorted(root.glob("**/*_test.py")))]
    folders: dict[str, list[Path]] = {}
    for file in tests:
        folders.setdefault(file.relative_to(KERAS / "src").parts[0], []).append(file)
    results: dict[str, tuple[str, str]] = {}
    for files in folders.values():
        results |= _run([file for file in files if re.match("|".join(EXCLUDED), _name(file)) is None])
    counts: dict[str, collections.Counter[str]] = {}
    for test, (outcome, text) in results.items():
        counts.setdefault(test.partition("::")[0], collections.Counter())[outcome] += 1
        if arguments.failures and outcome == "failed":
            print(f"{test}: {' '.join(text.split())[:300]}")
    print(f"{'passed':>7} {'failed':>7}")
    for file, count in (*sorted(counts.items()), ("in all", sum(counts.values(), collections.Counter()))):
        print(f"{count['passed']:7} {count['failed']:7}  {file}")
    for reason in dict.fromkeys(EXCLUDED.values()):
        files = [_name(file) for file in tests if excluded(f"keras/src/{_name(file)}") == reason]
        print(f"{len(files):5} files excluded: {reason}") if files else None
    reasons = collections.Counter(text for outcome, text in results.values() if outcome == "excluded")
    for reason, count in reasons.most_common():
        print(f"{count:5} tests excluded: {reason}")


def _name(file: Path) -> str:
    return file.relative_to(KERAS / "src").as_posix()


def _run(files: list[Path]) -> dict[str, tuple[str, str]]:
    """What came of the tests in files, of which the last word counts."""
    if not files:
        return {}
    options = [
        "-q",
        "--noconftest",
        "--continue-on-collection-errors",
        "-c",
        os.devnull,
        "--rootdir",
        str(KERAS.parent),
    ]
    plugins = [f"-p{name}" for name in ("keras_tests", "no:cacheprovider", "no:nnx")]
    command = [sys.executable, "-m", "pytest", *options, *plugins]
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "results"
        target.touch()
        path = os.pathsep.join([str(Path(__file__).parent), *sys.path])
        environment = {**os.environ, "KERAS_TESTS": str(target), "PYTHONPATH": path, "JAX_PLATFORMS": "cpu"}
        try:
            done = subprocess.run(
                [*command, *map(str, files)], env=environment, capture_output=True, timeout=SECONDS_A_FOLDER
            )
            if done.returncode not in (0, 1, 5):
                print(done.stdout.decode()[-2000:], done.stderr.decode()[-2000:])
        except subprocess.TimeoutExpired:
            print(f"{_name(files[0])} and {len(files) - 1} more take more than {SECONDS_A_FOLDER} s")
        results: dict[str, tuple[str, str]] = {}
        for line in target.read_text(encoding="utf-8").splitlines():
            test, outcome, text = json.loads(line)
            if results.get(test, ("",))[0] != "failed":
                results[test] = outcome, text
        return results


if __name__ == "__main__":
    main()
