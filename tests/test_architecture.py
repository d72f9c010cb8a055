"""The house rules that a reader relies on: where things are, what they import, and what they never do.

Each rule is one test that lists all breaches.
"""

from __future__ import annotations

import ast
import graphlib
import pathlib
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator

import pytest

import nnx

PACKAGE = pathlib.Path(nnx.__file__).parent
FILES = sorted(PACKAGE.rglob("*.py"))

# A module imports only from its own floor and from lower ones; imports for annotations count.
FLOORS = [
    {"backends", "registry", "lazy_loading", "names", "shapes", "structure", "arguments", "tree"}
    | {"keras_names", "keras_members", "members", "user_warnings", "file_targets", "descriptions", "text", "locks"},
    {
        "epsilon",
        "in_place",
        "precision",
        "ranks",
        "random",
        "kernels",
        "onnx",
        "plans",
        "operators",
        "parameters",
        "pullbacks",
        "windows",
    },
    {"functional", "autodiff", "activations", "initializers", "regularizers", "constraints"},
    {"ops"},
    {"graph"},
    {"layers"},
    {"losses", "metrics", "schedules", "optimizers", "data"},
    {"saving", "utils", "plotting", "datasets", "distributed", "preprocessing"},
    {"callbacks"},
    {"debug"},
    {"training"},
    {"models"},
    {"sklearn", "wrappers"},
    {"__init__", "testing", "keras_backend", "__main__", "config", "mixed_precision"},
]

# What may be imported where it is needed, inside a function, because an installation may lack it.
OPTIONAL = {
    "cupy",
    "cupyx",
    "torch",
    "array_api_strict",
    "array_api_compat.cupy",
    "array_api_compat.numpy",  # imports all of NumPy: half of the time of `import nnx`
    "array_api_compat.torch",
    "matplotlib",
    "pooch",
    "sklearn",
    "IPython",
    "tensorboardX",
    "h5py",
    "mpi4py",
    "nnx.callbacks.rewritten_line",  # imports tqdm, which takes as long as all of nnx: when a bar is drawn
}

# Computing code: nothing here may make the host wait for a device.
COMPUTING = (
    *("arguments", "parameters", "precision", "pullbacks", "shapes"),
    *("functional", "graph", "layers", "losses", "metrics", "ops", "optimizers"),
)


def module_name(file: pathlib.Path) -> str:
    parts = file.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_name(file): file for file in FILES}
TREES = {name: ast.parse(file.read_text(encoding="utf-8"), str(file)) for name, file in MODULES.items()}


def room(module: str) -> str:
    """The part of the house that a module belongs to."""
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else "__init__"


def folder(module: str) -> str:
    """The package that a module is in; of a package, itself."""
    return module if MODULES[module].name == "__init__.py" else module.rpartition(".")[0]


def floor(module: str) -> int:
    found = [number for number, rooms in enumerate(FLOORS) if room(module) in rooms]
    assert found, f"{module}: give {room(module)!r} a floor in FLOORS of tests/test_architecture.py"
    return found[0]


def imported(node: ast.AST) -> list[str]:
    """The modules that an import statement names; `from nnx import layers` names nnx.layers."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        assert node.level == 0, f"line {node.lineno}: write the whole path of the import"
        source = node.module or ""
        inner = [f"{source}.{alias.name}" for alias in node.names if f"{source}.{alias.name}" in MODULES]
        outer = len(inner) < len(node.names)
        return [*inner, *([source] if outer else [])]
    return []


def imports_of(module: str) -> Iterator[tuple[int, str]]:
    """All modules that a module imports, with the lines; those inside functions and for annotations too."""
    for node in ast.walk(TREES[module]):
        for name in imported(node):
            yield getattr(node, "lineno", 0), name


def inner_imports(module: str) -> Iterator[tuple[int, str]]:
    return ((line, name) for line, name in imports_of(module) if name.split(".")[0] == "nnx")


def top_level(tree: ast.AST) -> Iterator[ast.AST]:
    """What runs when a module is imported, and what is imported for annotations: no functions."""
    for node in ast.iter_child_nodes(tree):
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            yield node
            yield from top_level(node)


def for_types(tree: ast.AST) -> set[ast.AST]:
    """What stands under `if TYPE_CHECKING`."""
    blocks = [node for node in ast.walk(tree) if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)]
    return {inner for block in blocks for inner in ast.walk(block)}


def assert_none(breaches: Iterable[str]) -> None:
    listing = list(breaches)
    assert not listing, "\n".join(["", *listing])


def assert_acyclic(graph: dict[str, set[str]]) -> None:
    try:
        graphlib.TopologicalSorter(graph).prepare()
    except graphlib.CycleError as error:
        pytest.fail(f"circular import: {' -> '.join(error.args[1])}")


class TestImports:
    def test_are_of_modules_that_exist(self) -> None:
        assert_none(
            f"{module}:{line} imports {name}, which does not exist"
            for module in MODULES
            for line, name in inner_imports(module)
            if name not in MODULES
        )

    def test_point_down(self) -> None:
        assert_none(
            f"{module}:{line} imports {name} from a floor above"
            for module in MODULES
            for line, name in inner_imports(module)
            if name in MODULES and room(name) != room(module) and floor(name) > floor(module)
        )

    def test_have_no_circle(self) -> None:
        assert_acyclic(
            {
                module: {
                    name for node in top_level(tree) for name in imported(node) if name in MODULES and name != module
                }
                for module, tree in TREES.items()
            }
        )

    def test_between_folders_have_no_circle(self) -> None:
        inside = [module for module in MODULES if room(module) not in ("__init__", "__main__")]
        part_of = {module: module if folder(module) == "nnx" else folder(module) for module in inside}
        graph: dict[str, set[str]] = {part: set() for part in part_of.values()}
        for module in inside:
            names = [name for node in top_level(TREES[module]) for name in imported(node) if name in part_of]
            graph[part_of[module]] |= {part_of[name] for name in names} - {part_of[module]}
        assert_acyclic(graph)

    def test_of_private_modules_stay_in_their_folder(self) -> None:
        assert_none(
            f"{module}:{line} imports {name}, which is private to {folder(name)}"
            for module in MODULES
            for line, name in inner_imports(module)
            if name in MODULES
            and any(part.startswith("_") and not part.startswith("__") for part in name.split("."))
            and folder(name) != folder(module)
        )

    def test_inside_a_function_are_of_optional_packages(self) -> None:
        # A command line may import a command when it is asked for.
        breaches = []
        for module in MODULES:
            for function in ast.walk(TREES[module]):
                if module == "nnx.__main__" or not isinstance(
                    function, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda
                ):
                    continue
                for node in ast.walk(function):
                    for name in imported(node):
                        parts = name.split(".")
                        if not OPTIONAL & {".".join(parts[:end]) for end in range(1, len(parts) + 1)}:
                            breaches.append(f"{module}:{node.lineno}: import {name} at the top of the file")
        assert_none(breaches)

    def test_at_the_top_of_a_file_are_of_packages_that_are_always_there(self) -> None:
        always = {"nnx", "numpy", "array_api_compat", "array_api_extra", "tqdm"}
        allowed = always | sys.stdlib_module_names
        breaches = []
        for module, tree in TREES.items():
            skipped = for_types(tree)
            for node in top_level(tree):
                for name in imported(node) if node not in skipped else ():
                    package = name.split(".")[0]
                    if package not in allowed or name in OPTIONAL:
                        breaches.append(f"{module}:{node.lineno} imports {name} at its top")
        assert_none(breaches)

    def test_of_nnx_are_cheap(self) -> None:
        heavy = ["torch", "cupy", "matplotlib", "sklearn", "pooch", "array_api_strict", "pytest", "IPython", "scipy"]
        code = f"import sys, nnx; print([name for name in {heavy} if name in sys.modules])"
        result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        assert result.stdout == "[]\n"


def libraries_known_to(module: str) -> Iterator[str]:
    """Where a module names an array library that only backends and kernels should know."""
    for node in ast.walk(TREES[module]):
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = imported(node)
        elif isinstance(node, ast.Name | ast.Attribute | ast.keyword | ast.arg):
            names = [getattr(node, "id", None) or getattr(node, "attr", None) or getattr(node, "arg", None) or ""]
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.lower() in ("cupy", "torch"):
            names = [node.value]
        else:
            continue
        for name in names:
            if set(re.split(r"[^a-z]+", name.lower())) & {"cupy", "torch"}:
                yield f"{module}:{node.lineno} knows {name}; that belongs into a backend"


class TestRooms:
    def test_only_backends_and_kernels_know_the_libraries(self) -> None:
        strangers = [module for module in MODULES if room(module) not in ("backends", "kernels", "testing", "__main__")]
        assert_none(breach for module in strangers for breach in libraries_known_to(module))

    def test_a_base_class_has_several_children_or_is_used_itself(self) -> None:
        classes = [
            (module, node)
            for module, tree in TREES.items()
            for node in ast.walk(tree)
            if isinstance(node, ast.ClassDef)
        ]
        children: dict[str, set[str]] = {node.name: set() for _, node in classes}
        for _, node in classes:
            for base in node.bases:
                name = ast.unparse(base).partition("[")[0].rpartition(".")[2]
                if name in children:
                    children[name].add(node.name)
        public = {name for module in MODULES for name in names_in_all(module)}
        nodes = [node for tree in TREES.values() for node in ast.walk(tree)]
        called = {ast.unparse(node.func) for node in nodes if isinstance(node, ast.Call)}
        called |= {ast.unparse(name) for node in nodes for name in getattr(node, "decorator_list", ())}
        assert_none(
            f"{module}:{node.lineno} {node.name} is the base of {next(iter(children[node.name]))} alone: make them one"
            for module, node in classes
            if len(children[node.name]) == 1 and node.name not in public | called
        )


def names_in_all(module: str) -> list[str]:
    """The strings in a module's `__all__`."""
    for node in TREES[module].body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            return [leaf.value for leaf in ast.walk(node.value) if isinstance(leaf, ast.Constant)]
    return []


class HostReads(ast.NodeVisitor):
    """Calls that read an array's value on the host, as far as they can be seen without running anything.

    Constructors are left out, whose arguments are configuration, and so are the conversions of constants.
    """

    def __init__(self, module: str) -> None:
        self.path = [module]
        self.found: list[tuple[str, str]] = []
        self.visit(TREES[module])

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        self.enter(node)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        if node.name != "__init__":
            self.enter(node)

    def enter(self, node: ast.ClassDef | ast.FunctionDef) -> None:
        self.path.append(node.name)
        self.generic_visit(node)
        self.path.pop()

    def visit_Call(self, node: ast.Call) -> None:
        function = node.func
        if isinstance(function, ast.Name):
            constant = all(isinstance(argument, ast.Constant) for argument in node.args)
            reads = function.id in ("float", "int", "bool", "complex", "to_numpy") and not constant
        else:
            reads = isinstance(function, ast.Attribute) and function.attr in ("item", "tolist", "to_numpy", "to_host")
        if reads:
            self.found.append((".".join(self.path), ast.unparse(node)))
        self.generic_visit(node)


# Functions (or whole modules) that read values on the host, and why no training step waits for them.
READS = {
    "nnx.arguments": "arguments of constructors",
    "nnx.graph.host_call.call_on_host": "whether it is training is a Python bool",
    "nnx.layers.discretization": "boundaries that are given, or found by `adapt`, once, before training",
    "nnx.layers.hashing": "computes on the host, where its inputs stay",
    "nnx.layers.index_lookup.refuse_fractions": "arrays that are on the host already",
    "nnx.functional.text_lookup": "texts are on the host, and numbers are read to become texts",
    "nnx.layers.index_lookup": "a vocabulary is given or learned once, before training",
    "nnx.layers.integer_lookup.IntegerLookup._indices": "hashes are made on the host, if asked for",
    "nnx.layers.integer_lookup.IntegerLookup.documents": "a vocabulary is learned once, before training",
    "nnx.layers.integer_lookup.IntegerLookup.entry_of": "a line of a file of words",
    "nnx.layers.integer_lookup.IntegerLookup.token": "a vocabulary is given once",
    "nnx.layers.string_lookup": "computes on the host, where its inputs stay",
    "nnx.layers.text_vectorization": "computes on the host, where its inputs stay",
    "nnx.layers.augmentation.Augmentation.draw_for_batch": "numbers that were drawn on the host",
    "nnx.layers.augmentation_policies.AugMix.draw_factors": "numbers that were drawn on the host",
    "nnx.layers.feature_moments._numbers": "tables and lists, which are on the host",
    "nnx.layers.feature_moments.blocks_of": "`adapt` goes through a data set once, before training",
    "nnx.layers.layer.Layer._adopt_variables": "variables of another place, when the layer is built",
    "nnx.layers.layer.Layer.__call__": "whether it is training is a Python bool, and lists of numbers on their way in",
    "nnx.layers.layer.Layer._describe": "whether it is training is a Python bool",
    "nnx.layers.operation._describe_operation": "a number that the user wrote",
    "nnx.layers.layer.Layer.get_weights": "the border: who asks for the host waits for it",
    "nnx.layers.layer.Layer.move": "from one device to another, when the user says so",
    "nnx.layers.layer.Layer.trainable": "a Python bool, set by the user",
    "nnx.layers.layer.Layer.set_weights": "weights from outside are checked on the host, once",
    "nnx.optimizers.optimizer.Optimizer.set_weights": "weights from outside are checked on the host, once",
    "nnx.precision.dtype_bytes": "a number in the name of a dtype",
    "nnx.parameters.Parameter.numpy": "the border: who asks for the host waits for it",
    "nnx.losses.arrays._is_floating": "the answer of isdtype is a Python bool",
    "nnx.metrics.base._is_floating": "the answer of isdtype is a Python bool",
    "nnx.optimizers.optimizer.Optimizer.start_scale": "an argument of the user",
    "nnx.losses.targets._first": "targets are checked before they travel",
    "nnx.metrics.accuracy._OfClasses.question_targets": "the first targets, on the host, before they travel",
    "nnx.metrics.auc.AUC.points": "the border: who asks for the curve on the host waits for it",
    "nnx.metrics.base.on_host": "several ranks read their logs together, once in a while",
    "nnx.metrics.displayed_results": "results that were read already, on the host",
    "nnx.metrics.variable.RunningValue.numpy": "the border: who asks for the host waits for it",
    "nnx.metrics.variable.Variable.move": "from one device to another, when its model is set up",
    "nnx.metrics.variable.Variable.numpy": "the border: who asks for the host waits for it",
    "nnx.ops.control_flow": "loops and choices run on the host, as they do in Python",
    "nnx.ops.conversion.saturate_cast": "limits of a dtype",
    "nnx.ops.conversion.convert_to_numpy": "the border: who asks for the host waits for it",
    "nnx.ops.conversion._block": "where a block begins decides its place, not its shape; numbers, as a rule",
    "nnx.ops.creation": "shapes, bounds and numbers that the user wrote",
    "nnx.ops.crossentropies._search_beams": "a search on the host, for predictions",
    "nnx.ops.crossentropies._best_labellings": "a search on the host, for predictions",
    "nnx.ops.elementwise.nan_to_num": "a limit of a dtype",
    "nnx.ops.fourier._transform_and_pullback": "a number of points",
    "nnx.ops.image": "sizes and limits of dtypes",
    "nnx.ops.joining._split": "places that the user wrote, on which the shapes of the parts depend",
    "nnx.ops.linalg": "a limit of a dtype",
    "nnx.ops.order_statistics._fractions": "fractions that the user wrote; those on a device stay there",
    "nnx.ops.segments._segments": "the number of segments, if it was not given: the shape depends on it",
    "nnx.ops.segments._extreme_and_pullback": "limits of a dtype",
    "nnx.ops.shapes.pad": "widths that the user wrote",
    "nnx.ops.shapes.view": "for a library that cannot look at bytes",
    "nnx.ops.sorting.unique": "the shape depends on the values",
    "nnx.ops.statistics._edges": "a range that the user wrote",
    "nnx.ops.statistics.bincount": "the shape depends on the values",
    "nnx.ops.windows": "numbers of points",
    "nnx.precision.is_half": "two dtypes are compared",
    "nnx.optimizers.arguments": "arguments of constructors",
    "nnx.optimizers.optimizer.Optimizer.set_state": "state from a file",
    "nnx.optimizers.loss_scaling.LossScale.numbers": "when a model is saved or moved",
    "nnx.optimizers.numbers": "what a user reads or sets",
    "nnx.optimizers.optimizer.Optimizer._rate": "schedules compute with Python numbers",
    "nnx.graph.recorded_call": "a flag, not an array",
    "nnx.graph.call_program.CallProgram.run": "options of a call",
    "nnx.layers.function_call._describe": "constants of a graph, once",
    "nnx.layers.layer.Layer.run_call": "a flag, not an array",
    "nnx.parameters.Parameter.__array__": "what a user asks NumPy for",
    "nnx.optimizers.slots.placed_like": "state from a file or of another device, once",
}


def reason(function: str) -> str | None:
    """The entry of READS that covers a function."""
    return next((known for known in READS if f"{function}.".startswith(f"{known}.")), None)


class TestSynchronisation:
    def test_computing_code_does_not_read_arrays_on_the_host(self) -> None:
        modules = [module for module in MODULES if room(module) in COMPUTING]
        assert_none(
            f"{function}: {call} may wait for the device; if it cannot, say why in READS"
            for module in modules
            for function, call in HostReads(module).found
            if not reason(function)
        )

    def test_the_list_of_exceptions_is_up_to_date(self) -> None:
        modules = [module for module in MODULES if room(module) in COMPUTING]
        assert set(READS) <= {reason(function) for module in modules for function, _ in HostReads(module).found}
