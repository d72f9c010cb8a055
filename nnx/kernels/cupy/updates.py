"""Update formulas of the optimisers for CuPy: one launch each, over the whole flat buffer.

In plain array code Adam is 14 launches. The formulas are those of `nnx.functional.updates`.
"""

from __future__ import annotations

from nnx.backends.base import Array
from nnx.kernels import backend_kernel
from nnx.kernels.cupy.cuda_kernels import ElementwiseKernel, is_floating
from nnx.kernels.cupy.table import KERNELS


def _accepts(*arguments: Array | float | None) -> bool:
    return is_floating(*[argument for argument in arguments if hasattr(argument, "dtype")])


_update = backend_kernel(KERNELS, accepts=_accepts)

_SGD = ElementwiseKernel("sgd", "T g, float64 rate", "T w", "w = (W)w - (W)rate * (W)g;")
_MOMENTUM = ElementwiseKernel(
    "momentum",
    "T g, float64 rate, float64 decay, bool nesterov",
    "T w, T m",
    """
    W next = (W)decay * (W)m - (W)rate * (W)g;
    m = next;
    w = (W)w + (nesterov ? (W)decay * next - (W)rate * (W)g : next);
    """,
)
_RMSPROP = """
    W slope = g, mean = (W)rho * (W)v + (W)(1.0 - rho) * slope * slope, variance = mean;
    v = mean;
"""
_CENTRED = """
    W centre = (W)rho * (W)a + (W)(1.0 - rho) * slope;
    a = centre;
    variance -= centre * centre;
"""
_STEP = """
    W step = (W)rate * slope / sqrt(variance + (W)epsilon);
"""
_WITH_MOMENTUM = """
    step += (W)decay * (W)m;
    m = step;
"""
_RMSPROPS = {
    (centred, momentum): ElementwiseKernel(
        "rmsprop" + "_centred" * centred + "_momentum" * momentum,
        "T g, float64 rate, float64 rho, float64 decay, float64 epsilon",
        "T w, T v" + ", T a" * centred + ", T m" * momentum,
        _RMSPROP + _CENTRED * centred + _STEP + _WITH_MOMENTUM * momentum + "w = (W)w - step;",
    )
    for centred in (False, True)
    for momentum in (False, True)
}
_ADAGRAD = ElementwiseKernel(
    "adagrad",
    "T g, float64 rate, float64 epsilon",
    "T w, T v",
    """
    W slope = g, sum = (W)v + slope * slope;
    v = sum;
    w = (W)w - (W)rate * slope / sqrt(sum + (W)epsilon);
    """,
)
_ADADELTA = ElementwiseKernel(
    "adadelta",
    "T g, float64 rate, float64 rho, float64 epsilon",
    "T w, T v, T u",
    """
    W slope = g, before = u, mean = (W)rho * (W)v + (W)(1.0 - rho) * slope * slope;
    W step = sqrt(before + (W)epsilon) * slope / sqrt(mean + (W)epsilon);
    v = mean;
    u = (W)rho * before + (W)(1.0 - rho) * step * step;
    w = (W)w - (W)rate * step;
    """,
)
MOMENTS = """
    W slope = g, first = m, second = v;
    first += (W)(1.0 - beta_1) * (slope - first);
    second += (W)(1.0 - beta_2) * (slope * slope - second);
    m = first;
    v = second;
"""
"""The running means of the gradient and of its square, in place and as the variables `first` and `second`."""
_LARGEST = """
    second = nnx_larger<W>(largest, second);
    largest = second;
"""
# As the array functions, and unlike fmax, a maximum with NaN is NaN.
LARGER = "template <class W> __device__ W nnx_larger(W a, W b) { return a != a || a > b ? a : b; }"
_ADAMS = {
    amsgrad: ElementwiseKernel(
        "adam" + "_amsgrad" * amsgrad,
        "T g, float64 rate, float64 beta_1, float64 beta_2, float64 epsilon",
        "T w, T m, T v" + ", T largest" * amsgrad,
        MOMENTS + _LARGEST * amsgrad + "w = (W)w - (W)rate * first / (sqrt(second) + (W)epsilon);",
        LARGER,
    )
    for amsgrad in (False, True)
}
_ADAMAX = ElementwiseKernel(
    "adamax",
    "T g, float64 rate, float64 beta_1, float64 beta_2, float64 epsilon",
    "T w, T m, T u",
    """
    W slope = g, first = m;
    first += (W)(1.0 - beta_1) * (slope - first);
    m = first;
    W norm = nnx_larger<W>((W)beta_2 * (W)u, slope < 0 ? -slope : slope);
    u = norm;
    w = (W)w - (W)rate * first / (norm + (W)epsilon);
    """,
    LARGER,
)
_NADAM = ElementwiseKernel(
    "nadam",
    "T g, float64 rate_m, float64 rate_g, float64 correction, float64 beta_1, float64 beta_2, float64 epsilon",
    "T w, T m, T v",
    MOMENTS + "w = (W)w - ((W)rate_m * first + (W)rate_g * slope) / (sqrt((W)correction * second) + (W)epsilon);",
)
_LION = ElementwiseKernel(
    "lion",
    "T g, float64 rate, float64 beta_1, float64 beta_2",
    "T w, T m",
    """
    W slope = g, before = m, c = (W)beta_1 * before + (W)(1.0 - beta_1) * slope;
    w = (W)w - (c > 0 ? (W)rate : c < 0 ? -(W)rate : c);
    m = (W)beta_2 * before + (W)(1.0 - beta_2) * slope;
    """,
)
_FTRL = ElementwiseKernel(
    "ftrl",
    "T g, float64 rate, float64 power, float64 l1, float64 l2, float64 shrinkage",
    "T w, T n, T z",
    """
    W slope = g, before = pow((W)n, (W)-power), sum = (W)n + slope * slope, after = pow(sum, (W)-power);
    W linear = (W)z + slope + (W)(2.0 * shrinkage) * (W)w - (after - before) / (W)rate * (W)w;
    W held = linear < (W)-l1 ? (W)-l1 : linear > (W)l1 ? (W)l1 : linear;
    n = sum;
    z = linear;
    w = (held - linear) / (after / (W)rate + (W)(2.0 * l2));
    """,
)
_DECAY = ElementwiseKernel("decay_weights", "float64 rate", "T w", "w = (W)w - (W)rate * (W)w;")
_MASKED_DECAY = ElementwiseKernel(
    "decay_masked_weights", "T mask, float64 rate", "T w", "w = (W)w - (W)rate * (W)mask * (W)w;"
)
_AVERAGE = ElementwiseKernel(
    "moving_average",
    "T w, float64 decay",
    "T average",
    "average = (W)decay * (W)average + (W)(1.0 - decay) * (W)w;",
)
_MOMENTS = ElementwiseKernel(
    "moving_moments",
    "T m, T v, float64 decay",
    "T mean, T variance",
    """
    mean = (W)decay * (W)mean + (W)(1.0 - decay) * (W)m;
    variance = (W)decay * (W)variance + (W)(1.0 - decay) * (W)v;
    """,
)


@_update
def sgd(w: Array, g: Array, rate: float) -> None:
    _SGD(g, rate, w)


@_update
def momentum(w: Array, g: Array, m: Array, rate: float, decay: float, nesterov: bool) -> None:
    _MOMENTUM(g, rate, decay, nesterov, w, m)


@_update
def rmsprop(
    w: Array,
    g: Array,
    v: Array,
    a: Array | None,
    m: Array | None,
    rate: float,
    rho: float,
    decay: float,
    epsilon: float,
) -> None:
    kept = [slot for slot in (a, m) if slot is not None]
    _RMSPROPS[a is not None, m is not None](g, rate, rho, decay, epsilon, w, v, *kept)


@_update
def adagrad(w: Array, g: Array, v: Array, rate: float, epsilon: float) -> None:
    _ADAGRAD(g, rate, epsilon, w, v)


@_update
def adadelta(w: Array, g: Array, v: Array, u: Array, rate: float, rho: float, epsilon: float) -> None:
    _ADADELTA(g, rate, rho, epsilon, w, v, u)


@_update
def adam(
    w: Array,
    g: Array,
    m: Array,
    v: Array,
    largest_v: Array | None,
    rate: float,
    beta_1: float,
    beta_2: float,
    epsilon: float,
) -> None:
    kept = [] if largest_v is None else [largest_v]
    _ADAMS[largest_v is not None](g, rate, beta_1, beta_2, epsilon, w, m, v, *kept)


@_update
def adamax(w: Array, g: Array, m: Array, u: Array, rate: float, beta_1: float, beta_2: float, epsilon: float) -> None:
    _ADAMAX(g, rate, beta_1, beta_2, epsilon, w, m, u)


@_update
def nadam(
    w: Array,
    g: Array,
    m: Array,
    v: Array,
    rate_m: float,
    rate_g: float,
    correction: float,
    beta_1: float,
    beta_2: float,
    epsilon: float,
) -> None:
    _NADAM(g, rate_m, rate_g, correction, beta_1, beta_2, epsilon, w, m, v)


@_update
def lion(w: Array, g: Array, m: Array, rate: float, beta_1: float, beta_2: float) -> None:
    _LION(g, rate, beta_1, beta_2, w, m)


@_update
def ftrl(
    w: Array,
    g: Array,
    n: Array,
    z: Array,
    rate: float,
    power: float,
    l1: float,
    l2: float,
    shrinkage: float,
) -> None:
    _FTRL(g, rate, power, l1, l2, shrinkage, w, n, z)


@_update
def decay_weights(w: Array, mask: Array | None, rate: float) -> None:
    if mask is None:
        _DECAY(rate, w)
    else:
        _MASKED_DECAY(mask, rate, w)


@_update
def moving_average(average: Array, w: Array, decay: float) -> None:
    _AVERAGE(w, decay, average)


@_update
def moving_moments(mean: Array, of_batch: Array, variance: Array, variance_of_batch: Array, decay: float) -> None:
    _MOMENTS(of_batch, variance_of_batch, decay, mean, variance)
