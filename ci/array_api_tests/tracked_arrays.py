"""The namespace of tracked arrays as a module, for data-apis/array-api-tests: see README.md beside it.

What its functions create of real floating numbers are watched arrays of an open tape, so that whatever the suite calls
is recorded. The library below is the one that NNX_TRACKED names, array_api_compat.numpy by default.
"""

from __future__ import annotations

import functools
import importlib
import os
from collections.abc import Callable
from typing import Any

from nnx.autodiff.array import TrackedArray, track
from nnx.autodiff.namespace import is_floating, recording_namespace
from nnx.autodiff.tape import CONSTANT, Tape, open_tape

CREATE = (
    *("arange", "asarray", "empty", "empty_like", "eye", "from_dlpack", "full", "full_like", "linspace"),
    *("ones", "ones_like", "zeros", "zeros_like"),
)
KEPT = 100_000
"""After so many entries, of which nobody asks for a derivative, the tape begins anew."""

_library = importlib.import_module(os.environ.get("NNX_TRACKED", "array_api_compat.numpy"))
_xp = recording_namespace(_library.ones((1,)))
_tape = Tape(0)
open_tape(_tape)


def _watched(value: Any) -> Any:
    tracked = isinstance(value, TrackedArray)
    if not is_floating(value) or (tracked and value.tape.level != CONSTANT):
        return value
    if len(_tape.entries) > KEPT:
        _tape.entries.clear()
    return track(_xp.kind, value.value if tracked else value, _tape, _tape.watch())


def _creating(create: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(create)
    def function(*arguments: Any, **options: Any) -> Any:
        return _watched(create(*arguments, **options))

    return function


globals().update({name: value for name, value in vars(_xp).items() if name not in globals()})
globals().update({name: _creating(getattr(_xp, name)) for name in CREATE})
