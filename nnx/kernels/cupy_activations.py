"""Activations for CuPy: one launch for the value and one for the pullback."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from nnx.backends.base import Array
from nnx.kernels import kernel
from nnx.kernels.cupy_code import CUPY, Elementwise, is_floating
from nnx.protocol import Pullback

FUNCTIONS = """
template <class W> __device__ W logistic(W x) {
    W e = exp(x < 0 ? x : -x);  // never above 1, so that no digit is lost
    return (x < 0 ? e : (W)1) / ((W)1 + e);
}
template <class W> __device__ W softened(W x) { return (x > 0 || x != x ? x : 0) + log1p(exp(x < 0 ? x : -x)); }
"""


def _function(name: str, value: str, pullback: str, option: str = "", default: float = 0.0) -> Callable[..., Any]:
    """Register an activation.

    value : the expression for y in x, and in the option if there is one.
    pullback : that for dx, in dy, x, y and the option.
    """
    number = f", float64 {option}" if option else ""
    forward = Elementwise(name, f"T x{number}", "T y", _body("W x_ = x;", "y", value), FUNCTIONS)
    body = _body("W dy_ = dy, x_ = x, y_ = y;", "dx", pullback)
    backward = Elementwise(f"{name}_pullback", f"T dy, T x, T y{number}", "T dx", body, FUNCTIONS)

    def activation(x: Array, option_value: float = default) -> tuple[Array, Pullback]:
        options = [option_value] if option else []
        y = forward(x, *options)
        return y, lambda dy: backward(dy, x, y, *options)

    def plain(x: Array) -> tuple[Array, Pullback]:
        return activation(x)

    function = activation if option else plain
    function.__name__ = name
    return kernel(CUPY, accepts=lambda x, *options, **named: is_floating(x) and not named and _few(options, option))(
        function
    )


def _few(options: tuple[Any, ...], option: str) -> bool:
    """Whether there are no more options than the kernel takes."""
    return len(options) <= bool(option)


def _body(load: str, target: str, expression: str) -> str:
    return f"{load} {target} = {expression};"


_function("relu", "x_ > 0 || x_ != x_ ? x_ : (W)0", "dy_ * (y_ > 0 ? (W)1 : (W)0)")
_function("sigmoid", "logistic<W>(x_)", "dy_ * (y_ - y_ * y_)")
_function("tanh", "tanh(x_)", "dy_ - dy_ * (y_ * y_)")
_function("silu", "x_ * logistic<W>(x_)", "dy_ * (logistic<W>(x_) + y_ * ((W)1 - logistic<W>(x_)))")
_function("softplus", "softened<W>(x_)", "dy_ * logistic<W>(x_)")
_function("log_sigmoid", "-softened<W>(-x_)", "dy_ * logistic<W>(-x_)")
_function(
    "leaky_relu",
    "x_ >= 0 ? x_ : (W)negative_slope * x_",
    "dy_ * (x_ >= 0 ? (W)1 : (W)negative_slope)",
    option="negative_slope",
    default=0.2,
)
_function(
    "elu",
    "x_ > 0 ? x_ : (W)alpha * expm1(x_)",
    "dy_ * (x_ > 0 ? (W)1 : y_ + (W)alpha)",
    option="alpha",
    default=1.0,
)
_SELU = "(W)1.0507009873554805 * (x_ > 0 ? x_ : (W)1.6732632423543772 * expm1(x_))"
_function("selu", _SELU, "dy_ * (x_ > 0 ? (W)1.0507009873554805 : (W)1.7580993408473766 * exp(x_))")
