"""The page on threads says of every public method of a model what may run beside what."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import nnx

PAGE = Path(__file__).parents[1] / "docs" / "threads.md"

# What layers, training and files need of a model; users call the methods that use them.
INSIDE = {
    *(
        "activate",
        "add_loss",
        "add_variable",
        "add_weight",
        "add_weight_with_options",
        "admit",
        "arguments_of",
        "arrange",
    ),
    *("as_decided", "build_for_first_call", "build_on", "chain", "choose_trained", "compute_mask", "forget_build"),
    *(
        "check_given",
        "finish_build",
        "forget_training",
        "from_config",
        "in_order",
        "in_order_of_metrics",
        "overrides",
        "settle",
        "lost_mask",
        "move",
        "own_metrics",
        "preactivation",
        "propagate",
        "read_mask",
    ),
    *("readers", "reads_integers", "reads_on_host", "remember_call", "require_built", "require_compiled"),
    *("require_here", "restore_trainable", "shapes_of", "takes_none"),
    *("restore_trained", "route", "run", "run_call", "run_masked", "set_weight_options", "sizes_of_mask", "sublayers"),
    *("run_ended", "run_without_pullback", "summary_rows", "train_in"),
}


def test_every_method_is_in_the_table() -> None:
    cells = [line.split("|")[1] for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("|")]
    named = {name for cell in cells for name in re.findall(r"`(\w+)`", cell)}
    methods = {
        name
        for cls in (nnx.Model, nnx.Sequential)
        for name in dir(cls)
        if not name.startswith("_") and inspect.isroutine(inspect.getattr_static(cls, name))
    }
    assert methods - INSIDE <= named, f"docs/threads.md lacks {sorted(methods - INSIDE - named)}"
    assert not INSIDE - methods, "they are no methods any more"
    assert not named - {"trainable"} - methods - {"stateful"}, sorted(named - methods)
