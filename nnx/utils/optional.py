"""Packages that an install of nnx may lack."""

from __future__ import annotations

import importlib
from typing import Any


def optional_import(module: str, purpose: str, extra: str = "examples") -> Any:
    """Import a module that comes with an extra of nnx; ImportError that says how to install it.

    purpose : what it is needed for; the error message begins with it.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        package = module.partition(".")[0]
        raise ImportError(
            f"{purpose} needs {package}, which cannot be imported ({error}); "
            f"install it with: pip install 'nnx[{extra}]'"
        ) from error
