"""Self-test of a backend, for the user of a GPU workstation: whether it computes what NumPy does, and how fast."""

from __future__ import annotations

import platform
import time

import numpy as np

import nnx
from nnx.backends import Placement
from nnx.backends.base import find_backend, usable_backend
from nnx.testing.selftest_checks import checks
from nnx.testing.selftest_networks import TIMED, WARM_UP, time_of_step


def selftest(name: str, device: str | None = None) -> int:
    """Compare a backend with NumPy, print a table, and return 0 if they agree, 1 if not, 2 if it cannot be used.

    The last line says on what, in which versions and with which result: what a bug report needs.
    """
    try:
        tested = Placement(usable_backend(name), device)
    except (RuntimeError, ValueError) as error:
        print(f"selftest of {name}: {error}")
        return 2
    host = Placement(find_backend("numpy"))
    start = time.perf_counter()
    where = f"{tested} {tested.backend.version()} on {tested.backend.hardware(device)}"
    print(f"{where}, against NumPy {np.__version__} on {host.backend.hardware(None)}")
    passed, failures = _compare(tested, host)
    _print_times(tested, host)
    verdict = f"; FAILED: {', '.join(failures)}" if failures else ""
    print(
        f"\nselftest of {where}; nnx {nnx.__version__}, NumPy {np.__version__}, Python {platform.python_version()}, "
        f"{platform.platform()}: {passed} of {passed + len(failures)} checks passed in "
        f"{time.perf_counter() - start:.0f} s{verdict}"
    )
    return 1 if failures else 0


def _compare(tested: Placement, host: Placement) -> tuple[int, list[str]]:
    """Print a line for each check; how many passed, and the names of the others."""
    print(f"{'check':44} {'deviation':>10} {'allowed':>10}")
    passed, failures = 0, []
    for title, measure, allowed in checks(tested.backend):
        try:
            with tested.computing:
                worst = measure(tested, host)
            good = worst <= allowed
            print(f"{title:44} {worst:10.1e} {allowed:10.1e}{'' if good else '  DIFFERS'}", flush=True)
        except Exception as error:  # whatever it is belongs into the table, and the other rows still have to run
            good = False
            print(f"{title:44} {type(error).__name__}: {' '.join(str(error).split())}", flush=True)
        if good:
            passed += 1
        else:
            failures.append(title)
    return passed, failures


def _print_times(tested: Placement, host: Placement) -> None:
    """Print how long a training step takes in both places."""
    print(
        f"\n{'train_on_batch, ms a step':44} {'NumPy':>10} {tested.name:>16}   {tested.backend.hardware(tested.device)}"
    )
    for title, network in TIMED.items():
        (on_host, _), (there, steps) = time_of_step(network, host), time_of_step(network, tested)
        print(f"{title:44} {on_host * 1e3:10.3f} {there * 1e3:16.3f}   median of {steps} steps", flush=True)
    print(
        f"The batch is in place; {WARM_UP} steps to warm up are not counted; each step reads its loss, and the clock "
        "is read when the device has done its work."
    )
