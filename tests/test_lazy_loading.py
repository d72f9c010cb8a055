"""What is imported when it is asked for: the tables of names are complete, and asking for any of them first works."""

from __future__ import annotations

import ast
import importlib
import pathlib
import subprocess
import sys
from types import ModuleType
from typing import Any

import pytest

import nnx
from nnx.lazy_loading import on_demand

PACKAGE = pathlib.Path(nnx.__file__).parent
NOT_STARRED = {"nnx": {"testing"}, "nnx.utils": {"np_utils"}}
"""Names that a package has and `import *` leaves out."""


def module_names() -> list[str]:
    """The packages that have a table of names on demand."""
    files = [file for file in PACKAGE.rglob("__init__.py") if "on_demand(" in file.read_text(encoding="utf-8")]
    return sorted(".".join(file.parent.relative_to(PACKAGE.parent).parts) for file in files)


by_package = pytest.mark.parametrize("package", module_names())


def tree_of(module: ModuleType) -> ast.Module:
    return ast.parse(pathlib.Path(str(module.__file__)).read_text(encoding="utf-8"))


def for_type_checkers(tree: ast.Module) -> dict[str, str]:
    """The imports under `if TYPE_CHECKING` as a table: for each name the module that has it, or that it is."""
    block = next(node for node in tree.body if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING")
    found = {}
    for node in block.body:
        assert isinstance(node, ast.ImportFrom)
        for alias in node.names:
            whole = f"{node.module}.{alias.name}"
            is_module = any((PACKAGE.parent / whole.replace(".", "/")).with_suffix(end).exists() for end in ("", ".py"))
            found[alias.asname or alias.name] = whole if is_module else str(node.module)
    return found


def table_of(tree: ast.Module) -> dict[str, str]:
    """The table that `on_demand` is given."""
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and ast.unparse(node.func) == "on_demand"]
    table: dict[str, str] = ast.literal_eval(calls[0].args[1])
    return table


@by_package
def test_type_checkers_see_what_the_table_says(package: str) -> None:
    tree = tree_of(importlib.import_module(package))
    assert for_type_checkers(tree) == table_of(tree)


@by_package
def test_the_public_names_are_there_and_none_is_missing(package: str) -> None:
    module: Any = importlib.import_module(package)
    tree = tree_of(module)
    assert len(set(module.__all__)) == len(module.__all__)
    assert set(table_of(tree)) - set(module.__all__) == NOT_STARRED.get(package, set())
    eager = {
        alias.asname or alias.name
        for node in tree.body
        if isinstance(node, ast.ImportFrom) and node.module != "typing"
        for alias in node.names
    }
    assigned = {
        name.id
        for node in tree.body
        if isinstance(node, ast.Assign)
        for name in node.targets
        if isinstance(name, ast.Name)
    }
    public = {name for name in eager | assigned | set(table_of(tree)) if not name.startswith("_")}
    assert public - NOT_STARRED.get(package, set()) == set(module.__all__)
    for name in [*module.__all__, *table_of(tree)]:
        assert name in dir(module)
        assert getattr(module, name) is vars(module)[name]


def test_a_name_that_is_not_there() -> None:
    assert not hasattr(nnx, "nonsense")
    with pytest.raises(AttributeError, match=r"^nnx has no 'Sequentail': did you mean 'Sequential'\?$"):
        nnx.Sequentail  # noqa: B018
    with pytest.raises(ImportError, match=r"^nnx has no 'Sequentail': did you mean 'Sequential'"):
        from nnx import Sequentail  # noqa: F401
    result = python("import nnx; nnx.Sequentail")
    assert "did you mean 'Sequential'?" in result.stderr


def test_a_module_and_a_name_in_one() -> None:
    get, names = on_demand("not.imported", {"sqrt": "math", "path": "os.path"})
    assert get("sqrt")(9.0) == 3.0
    assert get("path") is importlib.import_module("os.path")
    assert names() == ["path", "sqrt"]


def python(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code], cwd=PACKAGE.parent, capture_output=True, text=True)


def test_what_nnx_imports_at_once() -> None:
    later = ["callbacks", "datasets", "debug", "layers", "losses", "metrics", "models", "optimizers", "plotting"]
    code = f"import sys, nnx; print([name for name in {later} if f'nnx.{{name}}' in sys.modules])"
    result = python(code)
    assert result.stdout == "[]\n", result.stderr


def test_what_no_model_needs_before_it_is_used() -> None:
    code = (
        "import sys, numpy, nnx\n"
        "model = nnx.Sequential([nnx.layers.Dense(1, input_shape=(2,))])\n"
        "model.compile('adam', loss='mse')\n"
        "model.fit(numpy.ones((4, 2)), numpy.ones(4), verbose=2)\n"
        "later = ('tqdm', 'nnx.callbacks.csv_logger', 'nnx.plotting._curves')\n"
        "print([name for name in later if name in sys.modules])\n"
    )
    result = python(code)
    assert result.stdout.endswith("[]\n"), result.stdout + result.stderr


FIRST = {
    "an optimizer by name": "assert isinstance(nnx.optimizers.resolve('adam'), nnx.optimizers.Adam)",
    "a loss and metrics by name": (
        "nnx.Sequential([nnx.Input((1,)), nnx.layers.Dense(1)]).compile('lamb', loss='huber', metrics=['auc', 'mae'])"
    ),
    "a layer by name": "assert nnx.layers.registry.find('gru') is nnx.layers.GRU",
    "an activation by name": "nnx.layers.Dense(1, activation='sparsemax', kernel_initializer='he_normal')",
    "a regularizer by name": "nnx.layers.Dense(1, kernel_regularizer='l1', kernel_constraint='unit_norm')",
    "a schedule in a configuration": (
        "config = {'class_name': 'ExponentialDecay', 'config': {'initial_learning_rate': 0.1, 'decay_steps': 1, "
        "'decay_rate': 0.5}}; nnx.optimizers.resolve({'class_name': 'SGD', 'config': {'learning_rate': config}})"
    ),
    "another backend": "nnx.register_backend; nnx.set_backend('numpy'); nnx.available_backends()",
    "everything": "from nnx import *; Sequential, layers.Dense, datasets.mnist, profile",
    "a module": "import nnx.layers as L; L.Dense(1)",
    "deep inside": "from nnx.layers.merging import Add; from nnx.metrics.auc import AUC",
    "a function of a name that a module had": "nnx.debug.statistics.__call__; nnx.profile.__call__",
}


@pytest.mark.parametrize("code", FIRST.values(), ids=FIRST)
def test_the_first_thing_that_a_script_does(code: str) -> None:
    assert python(f"import nnx\n{code}").stderr == ""


def test_a_file_names_what_has_not_been_imported(tmp_path: pathlib.Path) -> None:
    file = str(tmp_path / "model.safetensors")
    x = nnx.Input((4, 4, 1))
    y = nnx.layers.Conv2D(2, 2, kernel_initializer="he_normal", kernel_regularizer="l2", activation="gelu")(x)
    y = nnx.layers.Rescaling(2.0)(y) + nnx.layers.GaussianNoise(0.1)(y)
    model = nnx.Model(x, nnx.layers.GlobalMaxPooling2D()(y))
    schedule = nnx.schedules.CosineDecay(0.1, 10)
    model.compile(nnx.optimizers.Lion(schedule), loss="huber", metrics=["mae", nnx.metrics.RootMeanSquaredError()])
    model.save(file)
    parameters = model.count_params()
    for code in ("import nnx; load = nnx.models.load_model", "from nnx.saving import load_model as load"):
        assert python(f"{code}; assert load({file!r}).count_params() == {parameters}").stderr == ""


def test_any_name_may_be_asked_for_first() -> None:
    names = list({module: name for name, module in table_of(tree_of(nnx)).items()}.values())
    code = (
        "import sys, importlib, numpy\n"
        f"for name in {names}:\n"
        "    for module in [module for module in sys.modules if module.split('.')[0] == 'nnx']:\n"
        "        del sys.modules[module]\n"
        "    getattr(importlib.import_module('nnx'), name)\n"
    )
    assert python(code).stderr == ""
