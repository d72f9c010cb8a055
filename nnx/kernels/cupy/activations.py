"""Activations for CuPy: one launch for the value, also of a biased argument, and one for the pullback, also of both."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from nnx.backends.base import Array
from nnx.kernels import backend_kernel
from nnx.kernels.cupy.column_statistics import SummedKernel
from nnx.kernels.cupy.cuda_kernels import CUPY, ElementwiseKernel, contiguous, is_floating
from nnx.kernels.cupy.matrix_products import column_sums
from nnx.kernels.cupy.table import KERNELS
from nnx.pullbacks import SKIP, Ending, Pullback

DEVICE_FUNCTIONS = """
template <class W> __device__ W logistic(W x) {
    W e = exp(x < 0 ? x : -x);  // never above 1, so that no digit is lost
    return (x < 0 ? e : (W)1) / ((W)1 + e);
}
template <class W> __device__ W softened(W x) { return (x > 0 || x != x ? x : 0) + log1p(exp(x < 0 ? x : -x)); }
"""


class Activation:
    """An activation's kernels, made from its formulas: for the value, also of a biased argument, and the pullback.

    name : of the kernels.
    value : the expression for y in x_, and in the option if there is one.
    pullback : that for dx, in dy_, x_, y_ and the option.
    start : statements before both, which may use x_.
    option, default : the name of a number that the formulas use, and what it is if nobody says so.
    """

    def __init__(
        self, name: str, value: str, pullback: str, start: str = "", option: str = "", default: float = 0.0
    ) -> None:
        self.name = name
        number = f", float64 {option}" if option else ""
        self.defaults = (default,) if option else ()
        self.reads_x, self.reads_y = "x_" in start + pullback, "y_" in pullback
        self.forward = ElementwiseKernel(
            name, f"T x{number}", "T y", f"W x_ = x; {start} y = {value};", DEVICE_FUNCTIONS
        )
        self.backward = ElementwiseKernel(
            f"{name}_pullback",
            f"T dy, T x, T y{number}",
            "T dx",
            f"W dy_ = dy, x_ = x, y_ = y; {start} dx = {pullback};",
            DEVICE_FUNCTIONS,
        )
        self.biased = ElementwiseKernel(
            f"biased_{name}",
            f"T z, T bias{number}",
            "T x, T y" if self.reads_x else "T y",
            f"T sum = (W)z + (W)bias; {'x = sum;' if self.reads_x else ''} W x_ = sum; {start} y = {value};",
            DEVICE_FUNCTIONS,
        )
        self.summed = SummedKernel(
            f"{name}_pullback_and_sums",
            f"const T* dy, const T* x, const T* y{', double ' if option else ''}{option}, T* dx",
            f"""
            const long long i = row * columns + column;
            W dy_ = dy[i], x_ = x[i], y_ = y[i]; {start}
            const T slope = {pullback};
            dx[i] = slope; total += (W)slope;""",
            DEVICE_FUNCTIONS,
        )

    def __call__(self, x: Array, *options: float) -> tuple[Array, Pullback]:
        options = options or self.defaults
        return self._pulled_back(x, self.forward(x, *options), options)

    def of_biased(self, z: Array, bias: Array) -> tuple[Array, Pullback]:
        """The activation of z + bias. In the memory of z is then that value, or z + bias if the pullback reads it.

        The pullback is that of `bias_activation`.
        """
        y = CUPY.xp.empty_like(z) if self.reads_x else z
        self.biased(z, bias, *self.defaults, *([z, y] if self.reads_x else [y]))
        return y, lambda dy, out=(None, None): self.pull_biased(dy, z, y, out)

    def pull_biased(self, dy: Array, x: Array, y: Array, out: Sequence[Any]) -> tuple[Array | None, ...]:
        """The cotangents of z and of the bias, for the value y of x, the sum of both."""
        x, y = self._read(x, y)
        if out[1] is SKIP or not dy.size or not x.flags.c_contiguous:
            return with_sums(self.backward(dy, x, y, *self.defaults), out)
        dz, place, columns = CUPY.xp.empty_like(x), out[1], x.shape[-1]
        sums = CUPY.xp.empty(columns, dtype=x.dtype) if place is None or not place.flags.c_contiguous else place
        shape = (x.size // columns, columns)
        self.summed.launch(x.dtype, shape, (contiguous(dy), x, y, *self.defaults, dz), (sums,), columns)
        return None if out[0] is SKIP else dz, sums

    def _pulled_back(self, x: Array, y: Array, options: tuple[float, ...]) -> tuple[Array, Pullback]:
        x, read = self._read(x, y)
        return y, lambda dy: self.backward(dy, x, read, *options)

    def _read(self, x: Array, y: Array) -> tuple[Array, Array]:
        """What stands for x and for y in the pullback: what is not read is not kept."""
        return x if self.reads_x else y, y if self.reads_y else x


def with_sums(dz: Array, out: Sequence[Any]) -> tuple[Array | None, ...]:
    """The cotangents of z and of a bias, from that of z + bias."""
    matrix = math.prod(dz.shape[:-1]), dz.shape[-1]
    return None if out[0] is SKIP else dz, None if out[1] is SKIP else column_sums(dz.reshape(matrix), out[1])


_SELU = "(W)1.0507009873554805 * (x_ > 0 ? x_ : (W)1.6732632423543772 * expm1(x_))"

# Far from zero the value of gelu is x or 0, and the squares and cubes of x would overflow.
_NEAR = "W near_ = x_ > (W)25 ? (W)25 : x_ < (W)-25 ? (W)-25 : x_;"

BIASED_ACTIVATIONS = {
    activation.name: activation
    for activation in (
        Activation("relu", "x_ > 0 || x_ != x_ ? x_ : (W)0", "dy_ * (y_ > 0 ? (W)1 : (W)0)"),
        Activation("sigmoid", "logistic<W>(x_)", "dy_ * (y_ - y_ * y_)"),
        Activation("tanh", "tanh(x_)", "dy_ - dy_ * (y_ * y_)"),
        Activation("silu", "x_ * logistic<W>(x_)", "dy_ * (logistic<W>(x_) + y_ * ((W)1 - logistic<W>(x_)))"),
        Activation("softplus", "softened<W>(x_)", "dy_ * logistic<W>(x_)"),
        Activation("log_sigmoid", "-softened<W>(-x_)", "dy_ * logistic<W>(-x_)"),
        Activation(
            "leaky_relu",
            "x_ > 0 ? x_ : (W)negative_slope * x_",
            "dy_ * (x_ > 0 ? (W)1 : (W)negative_slope)",
            option="negative_slope",
            default=0.2,
        ),
        Activation(
            "elu",
            "x_ > 0 ? x_ : (W)alpha * expm1(x_)",
            "dy_ * (x_ > 0 ? (W)1 : y_ + (W)alpha)",
            option="alpha",
            default=1.0,
        ),
        Activation("selu", _SELU, "dy_ * (x_ > 0 ? (W)1.0507009873554805 : (W)1.7580993408473766 * exp(x_))"),
        Activation(
            "gelu",
            "x_ * p",
            "dy_ * (p + x_ * (exp(near_ * near_ * (W)-0.5) * (W)0.3989422804014327))",
            start=f"{_NEAR} W p = (W)0.5 * erfc(x_ * (W)-0.7071067811865476);",
        ),
        Activation(
            "mish",
            "x_ * t",
            "dy_ * (t - x_ * ((W)1 - t * t) * expm1(-s))",
            start="W s = softened<W>(x_), t = tanh(s);",
        ),
    )
}
"""By their names, the activations that can be computed together with the addition of a bias."""


def _ending(name: str, value: str) -> Callable[[Array, Array, Ending], tuple[Array, Pullback]]:
    """Bias, residual and activation of z in one launch, in the memory of z; the pullback as in `bias_activation`."""
    kernel = ElementwiseKernel(
        f"ended_{name}", "T z, T bias, T residual", "T y", f"W x_ = (W)z + (W)bias + (W)residual; y = {value};"
    )

    def function(z: Array, bias: Array, end: Ending) -> tuple[Array, Pullback]:
        kernel(z, bias, end.residual, z)

        def pullback(dy: Array, out: Sequence[Any] = (None, None)) -> tuple[Array | None, ...]:
            if name == "linear":
                return with_sums(end.hand_over(dy), out)
            dz, dbias = BIASED_ACTIVATIONS[name].pull_biased(dy, z, z, (None, out[1]))
            return None if out[0] is SKIP else end.hand_over(dz), dbias

        return z, pullback

    return function


ENDINGS = {"linear": _ending("linear", "x_"), "relu": _ending("relu", "x_ > 0 || x_ != x_ ? x_ : (W)0")}
"""By the names of the activations, the ends of layers that are computed together with the addition of a bias."""

# 0.5 * (1 + tanh(u)) is logistic(2 u); the factor is sqrt(8 / pi).
_GELU_TANH = Activation(
    "gelu_tanh",
    "x_ * p",
    "dy_ * p + dy_ * x_ * (p - p * p) * (scale + scale * (W)0.134145 * square)",
    start=f"{_NEAR} W square = near_ * near_, scale = (W)1.5957691216057308;"
    "W p = logistic<W>(near_ * (scale + scale * (W)0.044715 * square));",
)
_ERFC = ElementwiseKernel("erfc", "T x", "T y", "y = erfc((W)x);")
_PRELU = ElementwiseKernel(
    "prelu", "T x, T alpha", "T y", "W x_ = x; y = x_ >= 0 ? x_ + (W)alpha * (W)0 : (W)alpha * x_;"
)
_PRELU_PULLBACK = ElementwiseKernel(
    "prelu_pullback",
    "T dy, T x, T alpha",
    "T dx, T slope",
    """
    W dy_ = dy, x_ = x;
    dx = dy_ * (x_ > 0 ? (W)1 + (W)alpha * (W)0 : (W)alpha);
    slope = dy_ * (x_ >= 0 ? (W)0 : x_);
    """,
)


def _register(activation: Activation) -> None:
    """Enter the kernel of an activation that has no more than a number for an option."""

    def accepts(x: Array, *options: Any, **named: Any) -> bool:
        return is_floating(x) and not named and len(options) <= len(activation.defaults)

    def function(x: Array, *options: float) -> tuple[Array, Pullback]:
        return activation(x, *options)

    function.__name__ = activation.name
    backend_kernel(KERNELS, accepts=accepts)(function)


for _activation in BIASED_ACTIVATIONS.values():
    if _activation.name != "gelu":  # whose option chooses between two formulas
        _register(_activation)


@backend_kernel(KERNELS, accepts=is_floating)
def erfc(x: Array) -> Array:
    return _ERFC(x)


@backend_kernel(KERNELS, accepts=lambda x, approximate=False: is_floating(x))
def gelu(x: Array, approximate: bool = False) -> tuple[Array, Pullback]:
    return _GELU_TANH(x) if approximate else BIASED_ACTIVATIONS["gelu"](x)


@backend_kernel(KERNELS, accepts=is_floating)
def prelu(x: Array, alpha: Array) -> tuple[Array, Pullback]:
    shape = (1,) * (x.ndim - alpha.ndim) + alpha.shape
    shared = tuple(axis for axis, (size, full) in enumerate(zip(shape, x.shape, strict=True)) if size != full)
    leading = shared == tuple(range(len(shared)))

    def pullback(dy: Array) -> tuple[Array, Array]:
        dx, slope = _PRELU_PULLBACK(dy, x, alpha)
        if shared and leading:
            slope = column_sums(slope.reshape(math.prod(x.shape[: len(shared)]), alpha.size))
        elif shared:
            slope = slope.sum(axis=shared)
        return dx, slope.reshape(alpha.shape)

    return _PRELU(x, alpha), pullback
