"""The complementary error function, which the Array API standard lacks."""

from __future__ import annotations

from nnx.backends import Array, array_namespace
from nnx.kernels import accelerated

__all__ = ["erfc"]

# (1 + 2x) exp(x**2) erfc(x) is smooth on [0, inf) and has a short Chebyshev series in t = (x - 3.75) / (x + 3.75):
# Shepherd and Laframboise, "Chebyshev approximation of (1 + 2x) exp(x^2) erfc x in 0 <= x < inf", Mathematics of
# Computation 36 (1981). Here are the powers of t of the first 24 terms (float64) and the first 12 (float32).
_DOUBLE = (
    *(1.2375126308378275, -0.14024059858554697, 0.0035854154854790257, 0.0822767384901452),
    *(-0.10880393014244462, 0.09230432116037748, -0.05869339857664934, 0.028362277418956406),
    *(-0.009746579683265262, 0.0017556258528952954, 0.000293714378044958, -0.0002901540805408417),
    *(5.164652974177416e-05, 2.238423915508223e-05, -1.1438048033346894e-05, -9.73559896736775e-07),
    *(1.7419821586224816e-06, -5.7218230603224086e-08, -2.4857126248016745e-07, 2.3263508708859124e-08),
    *(3.197926671666804e-08, -3.744210080962018e-09, -2.623107347133476e-09, 3.1114333809799254e-10),
)
_SINGLE = (
    *(1.2375126192677, -0.1402406583213864, 0.003586270394024618, 0.08227841998347046),
    *(-0.10881427014905069, 0.09229076959130378, -0.05864685873554614, 0.02840925236412726),
    *(-0.009844494859674952, 0.001675912217981131, 0.0003963076129893627, -0.00022411674674416022),
)
_FAR = 30.0  # erfc underflows before, in every dtype


@accelerated
def erfc(x: Array) -> Array:
    """Complementary error function: 1 - erf(x) = 2 / sqrt(pi) * (the integral of exp(-t**2) over t from x to infinity).

    x : floating, of any shape.

    Returns the value alone, of x's shape and dtype. The relative error is below 1e-15 for float64, also where the value
    is tiny, and for float32 below 5e-7 up to x = 2, growing to 1e-5 where the value underflows; float16 is computed in
    float32.

    Shepherd and Laframboise, "Chebyshev approximation of (1 + 2x) exp(x^2) erfc x in 0 <= x < inf", 1981.

    >>> import numpy as np
    >>> erfc(np.asarray([-30.0, 0.0, 1.0])).round(4)
    array([2.    , 1.    , 0.1573])
    """
    xp = array_namespace(x)
    bits = xp.finfo(x.dtype).bits
    if bits == 16:
        return xp.astype(erfc(xp.astype(x, xp.float32)), x.dtype)
    size = xp.minimum(xp.abs(x), _FAR)
    t = (size - 3.75) / (size + 3.75)
    *lower, highest = _DOUBLE if bits == 64 else _SINGLE
    series = highest * t
    series += lower[-1]
    for coefficient in lower[-2::-1]:
        series *= t
        series += coefficient
    tail = series * _exp_of_minus_square(size, exact=bits == 64) / (1.0 + 2.0 * size)
    negative = xp.astype(x < 0.0, x.dtype)
    return tail + (2.0 - 2.0 * tail) * negative


def _exp_of_minus_square(x: Array, exact: bool) -> Array:
    xp = array_namespace(x)
    if not exact:
        return xp.exp(-x * x)
    # as a product: the square of a number with few digits has no rounding error, and the rest is small (Cody, 1969)
    short = xp.trunc(x * 16.0) * 0.0625
    return xp.exp((x - short) * -(x + short)) * xp.exp(-short * short)
