"""``python -m cupy_on_cpu script.py [arguments]``: run a script, or with ``-m`` a module, on the emulated CuPy."""

import runpy
import sys
from pathlib import Path

from .activation import ActivationError, activate

USAGE = "usage: python -m cupy_on_cpu (SCRIPT | -m MODULE) [ARGUMENT ...]"


def main() -> None:
    """Do what ``python SCRIPT`` or ``python -m MODULE`` does, on the emulated CuPy."""
    del sys.argv[0]
    is_module = sys.argv[:1] == ["-m"]
    del sys.argv[:is_module]
    if not sys.argv:
        sys.exit(USAGE)
    try:
        activate()
    except ActivationError as error:
        sys.exit(f"cupy_on_cpu: {error}")
    if is_module:
        runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
    else:
        sys.path[0] = str(Path(sys.argv[0]).resolve().parent)
        runpy.run_path(sys.argv[0], run_name="__main__")


if __name__ == "__main__":
    main()
