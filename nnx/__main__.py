"""python -m nnx info | selftest"""

from __future__ import annotations

import argparse
import importlib.metadata
import platform
import sys

import nnx
from nnx.backends.base import Backend, backend_names, find_backend
from nnx.backends.compiler import compiler_problem
from nnx.backends.onednn import onednn_problem, onednn_version


def info() -> int:
    """Print versions, backends, their devices, and why one is missing."""
    print(f"nnx {nnx.__version__} on Python {platform.python_version()}, {platform.platform()}")
    for package in ("numpy", "array-api-compat", "array-api-extra", "tqdm"):
        print(f"  {package} {importlib.metadata.version(package)}")
    print("backends:")
    for name in backend_names():
        backend = find_backend(name)
        print(f"  {name}: {backend.problem() or _usable(backend)}")
    print(f"current backend: {nnx.get_backend()}")
    print("compiled kernels for large arrays of NumPy:")
    print(f"  {compiler_problem() or 'used, numba ' + importlib.metadata.version('numba')}")
    print(f"  {onednn_problem() or 'used, oneDNN ' + onednn_version()}")
    return 0


def _usable(backend: Backend) -> str:
    return f"usable, version {backend.version()}, devices {', '.join(backend.devices())}; {backend.hardware(None)}"


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m nnx", description="Look at an installation of nnx, and prove it.")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("info", help="versions, backends, devices, and why a backend is missing")
    selftest = commands.add_parser("selftest", help="prove a backend: a report, a verdict, and an exit status")
    selftest.add_argument("--backend", default="auto", help="cupy, torch, array-api-strict, numpy or auto (default)")
    selftest.add_argument("--device", default=None, help="one of the backend's devices, such as cuda:1")
    selftest.add_argument("--report", default=None, help="the path of the report; default nnx-selftest-BACKEND.txt")
    chosen = parser.parse_args(arguments)
    if chosen.command == "info":
        return info()
    from nnx.testing.selftest.runner import selftest as run_selftest  # tests are not imported for `info`

    return run_selftest(chosen.backend, chosen.device, chosen.report)


if __name__ == "__main__":
    sys.exit(main())
