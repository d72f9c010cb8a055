"""The checks of the selftest, in their order: what the next ones rest on comes first."""

from __future__ import annotations

from nnx.testing.selftest import bandwidth, large_arrays, machine, parity, repeats, sanitizer, speed, streams
from nnx.testing.selftest.check import Check

CHECKS = [
    Check("versions and memory", machine.versions, 1, 0, shown=True),
    Check("a product and a sum", machine.product_and_sum, 10, 0),
    Check("kernels compile", parity.compiled, 60),
    Check("kernels agree with NumPy", parity.kernels, 10, 2),
    Check("random numbers agree with NumPy", parity.random_numbers, 1, 1),
    Check("layers agree with NumPy", parity.agreement("layers"), 10, 4),
    Check("activations agree with NumPy", parity.agreement("activations"), 1, 0),
    Check("losses agree with NumPy", parity.agreement("losses"), 1, 0),
    Check("metrics agree with NumPy", parity.agreement("metrics"), 1, 1),
    Check("optimisers and training agree with NumPy", parity.agreement("optimisers and training"), 5, 2),
    Check("the same without accelerators", parity.without_accelerators, 40),
    Check("the same again, 100 times", repeats.repeats, 15, 6),
    Check("two streams", streams.two_streams, 3),
    Check("read-ahead", streams.read_ahead, 3),
    Check("two devices", streams.two_devices, 3),
    Check("more than 2**31 elements", large_arrays.large_arrays, 10),
    Check("bandwidth of kernels", bandwidth.bandwidth, 5, shown=True),
    Check("speed of training", speed.speed, 20, 10, shown=True),
    Check("compute-sanitizer", sanitizer.sanitizer, 60),
]
