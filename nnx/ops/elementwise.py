"""Operations on one array, element by element, whose results are floating numbers."""

from __future__ import annotations

import math
from typing import Any

from nnx.autodiff.primitive import primitive
from nnx.backends import Array
from nnx.functional import Pullback
from nnx.ops.operation import as_array, as_floats, floats, is_float, name_of_dtype, namespace, operation

__all__ = [
    "angle",
    "arccos",
    "arccosh",
    "arcsin",
    "arcsinh",
    "arctan",
    "arctanh",
    "cbrt",
    "ceil",
    "conj",
    "conjugate",
    "cos",
    "cosh",
    "deg2rad",
    "exp",
    "exp2",
    "expm1",
    "fabs",
    "floor",
    "i0",
    "imag",
    "log",
    "log1p",
    "log2",
    "log10",
    "nan_to_num",
    "rad2deg",
    "real",
    "reciprocal",
    "sin",
    "sinc",
    "sinh",
    "sqrt",
    "tan",
    "tanh",
]


@operation
def exp(x: Any) -> Array:
    """Exponential function of each element.

    >>> exp([0.0, float("-inf")])
    array([1., 0.], dtype=float32)
    """
    xp, x = floats(x)
    return xp.exp(x)


@operation
def exp2(x: Any) -> Array:
    """Two to the power of each element.

    >>> exp2([0.0, 3.0])
    array([1., 8.], dtype=float32)
    """
    xp, x = floats(x)
    return xp.pow(2.0, x)


@operation
def expm1(x: Any) -> Array:
    """Exponential function minus 1, exact for small elements too.

    >>> expm1([0.0, float("-inf")])
    array([ 0., -1.], dtype=float32)
    """
    xp, x = floats(x)
    return xp.expm1(x)


@operation
def log(x: Any) -> Array:
    """Natural logarithm of each element: -inf of 0, NaN of what is negative.

    >>> log([1.0, 10.0])
    array([0.       , 2.3025851], dtype=float32)
    """
    xp, x = floats(x)
    return xp.log(x)


@operation
def log10(x: Any) -> Array:
    """Logarithm of each element to the base 10.

    >>> log10([1.0, 10.0])
    array([0., 1.], dtype=float32)
    """
    xp, x = floats(x)
    return xp.log10(x)


@operation
def log1p(x: Any) -> Array:
    """Natural logarithm of 1 + x, exact for small elements too.

    >>> log1p([0.0, 1.0])
    array([0.       , 0.6931472], dtype=float32)
    """
    xp, x = floats(x)
    return xp.log1p(x)


@operation
def log2(x: Any) -> Array:
    """Logarithm of each element to the base 2.

    >>> log2([1.0, 8.0])
    array([0., 3.], dtype=float32)
    """
    xp, x = floats(x)
    return xp.log2(x)


@operation
def sqrt(x: Any) -> Array:
    """Square root of each element; NaN of what is negative.

    >>> sqrt([4.0, 9.0])
    array([2., 3.], dtype=float32)
    """
    xp, x = floats(x)
    return xp.sqrt(x)


@operation
def cbrt(x: Any) -> Array:
    """Cube root of each element, which has its sign.

    >>> cbrt([-8.0, 1.0])
    array([-2.,  1.], dtype=float32)
    """
    return _cube_root(as_floats(x))


@primitive
def _cube_root(x: Array) -> tuple[Array, Pullback]:
    xp = namespace(x)
    y = xp.pow(xp.abs(x), 1.0 / 3.0) * xp.sign(x)
    y = y - xp.where((x == 0) | xp.isinf(x), 0.0, (y * y * y - x) / (3.0 * xp.where(x == 0, 1.0, y * y)))
    return y, lambda dy: dy / (3.0 * y * y)


@operation
def reciprocal(x: Any) -> Array:
    """One divided by each element.

    >>> reciprocal([2.0, 4.0])
    array([0.5 , 0.25], dtype=float32)
    """
    xp, x = floats(x)
    return xp.reciprocal(x)


@operation
def sin(x: Any) -> Array:
    """Sine of each element, in radians.

    >>> sin([0.0])
    array([0.], dtype=float32)
    """
    xp, x = floats(x)
    return xp.sin(x)


@operation
def cos(x: Any) -> Array:
    """Cosine of each element, in radians.

    >>> cos([0.0])
    array([1.], dtype=float32)
    """
    xp, x = floats(x)
    return xp.cos(x)


@operation
def tan(x: Any) -> Array:
    """Tangent of each element, in radians.

    >>> tan([0.0])
    array([0.], dtype=float32)
    """
    xp, x = floats(x)
    return xp.tan(x)


@operation
def sinh(x: Any) -> Array:
    """Hyperbolic sine of each element.

    >>> sinh([0.0])
    array([0.], dtype=float32)
    """
    xp, x = floats(x)
    return xp.sinh(x)


@operation
def cosh(x: Any) -> Array:
    """Hyperbolic cosine of each element.

    >>> cosh([0.0])
    array([1.], dtype=float32)
    """
    xp, x = floats(x)
    return xp.cosh(x)


@operation
def tanh(x: Any) -> Array:
    """Hyperbolic tangent of each element.

    >>> tanh([0.0])
    array([0.], dtype=float32)
    """
    xp, x = floats(x)
    return xp.tanh(x)


@operation
def arcsin(x: Any) -> Array:
    """Inverse sine of each element, from -pi/2 to pi/2; NaN outside [-1, 1].

    >>> arcsin([0.0])
    array([0.], dtype=float32)
    """
    xp, x = floats(x)
    return xp.asin(x)


@operation
def arccos(x: Any) -> Array:
    """Inverse cosine of each element, from 0 to pi; NaN outside [-1, 1].

    >>> arccos([1.0])
    array([0.], dtype=float32)
    """
    xp, x = floats(x)
    return xp.acos(x)


@operation
def arctan(x: Any) -> Array:
    """Inverse tangent of each element, from -pi/2 to pi/2.

    >>> arctan([0.0])
    array([0.], dtype=float32)
    """
    xp, x = floats(x)
    return xp.atan(x)


@operation
def arcsinh(x: Any) -> Array:
    """Inverse hyperbolic sine of each element.

    >>> arcsinh([0.0])
    array([0.], dtype=float32)
    """
    xp, x = floats(x)
    return xp.asinh(x)


@operation
def arccosh(x: Any) -> Array:
    """Inverse hyperbolic cosine of each element; NaN below 1.

    >>> arccosh([1.0])
    array([0.], dtype=float32)
    """
    xp, x = floats(x)
    return xp.acosh(x)


@operation
def arctanh(x: Any) -> Array:
    """Inverse hyperbolic tangent of each element; NaN outside [-1, 1].

    >>> arctanh([0.0])
    array([0.], dtype=float32)
    """
    xp, x = floats(x)
    return xp.atanh(x)


@operation
def deg2rad(x: Any) -> Array:
    """Degrees as radians.

    >>> deg2rad([180.0])
    array([3.1415927], dtype=float32)
    """
    return as_floats(x) * (math.pi / 180.0)


@operation
def rad2deg(x: Any) -> Array:
    """Radians as degrees.

    >>> rad2deg([3.1415927])
    array([180.], dtype=float32)
    """
    return as_floats(x) * (180.0 / math.pi)


@operation
def sinc(x: Any) -> Array:
    """Normalised sinc of each element, sin(pi x) / (pi x), which is 1 at 0.

    >>> sinc([0.0])
    array([1.], dtype=float32)
    """
    xp, x = floats(x)
    angle = x * math.pi
    small = xp.abs(angle) < 0.01  # a series of four terms is exact there, with its derivatives
    square = xp.where(small, angle * angle, 0.0)
    series = 1.0 - square / 6.0 * (1.0 - square / 20.0 * (1.0 - square / 42.0))
    divisor = xp.where(small, 1.0, angle)
    return xp.where(small, series, xp.sin(divisor) / divisor)


# Chebyshev coefficients of exp(-x) I0(x) for 0 <= x <= 8, and of exp(-x) sqrt(x) I0(x) beyond: Cephes, i0.c
_I0_NEAR = (
    *(-4.41534164647933937950e-18, 3.33079451882223809783e-17, -2.43127984654795469359e-16, 1.71539128555513303061e-15),
    *(-1.16853328779934516808e-14, 7.67618549860493561688e-14, -4.85644678311192946090e-13, 2.95505266312963983461e-12),
    *(-1.72682629144155570723e-11, 9.67580903537323691224e-11, -5.18979560163526290666e-10, 2.65982372468238665035e-9),
    *(-1.30002500998624804212e-8, 6.04699502254191894932e-8, -2.67079385394061173391e-7, 1.11738753912010371815e-6),
    *(-4.41673835845875056359e-6, 1.64484480707288970893e-5, -5.75419501008210370398e-5, 1.88502885095841655729e-4),
    *(-5.76375574538582365885e-4, 1.63947561694133579842e-3, -4.32430999505057594430e-3, 1.05464603945949983183e-2),
    *(-2.37374148058994688156e-2, 4.93052842396707084878e-2, -9.49010970480476444210e-2, 1.71620901522208775349e-1),
    *(-3.04682672343198398683e-1, 6.76795274409476084995e-1),
)
_I0_FAR = (
    *(-7.23318048787475395456e-18, -4.83050448594418207126e-18, 4.46562142029675999901e-17, 3.46122286769746109310e-17),
    *(-2.82762398051658348494e-16, -3.42548561967721913462e-16, 1.77256013305652638360e-15, 3.81168066935262242075e-15),
    *(-9.55484669882830764870e-15, -4.15056934728722208663e-14, 1.54008621752140982691e-14, 3.85277838274214270114e-13),
    *(
        7.18012445138366623367e-13,
        -1.79417853150680611778e-12,
        -1.32158118404477131188e-11,
        -3.14991652796324136454e-11,
    ),
    *(1.18891471078464383424e-11, 4.94060238822496958910e-10, 3.39623202570838634515e-9, 2.26666899049817806459e-8),
    *(2.04891858946906374183e-7, 2.89137052083475648297e-6, 6.88975834691682398426e-5, 3.36911647825569408990e-3),
    *(8.04490411014108831608e-1,),
)


@operation
def i0(x: Any) -> Array:
    """Modified Bessel function of the first kind and order 0 of each element.

    >>> round(float(i0(1.0)), 3)
    1.266
    """
    xp, x = floats(x)
    size = xp.where(x < 0, -x, x)
    far = xp.where(size > 8.0, size, 8.0)
    near = xp.where(size > 8.0, 8.0, size)
    inner = _chebyshev(near / 2.0 - 2.0, _I0_NEAR)
    outer = _chebyshev(32.0 / far - 2.0, _I0_FAR) / xp.sqrt(far)
    return xp.exp(size) * xp.where(size > 8.0, outer, inner)


def _chebyshev(x: Array, coefficients: tuple[float, ...]) -> Array:
    first: Any = x * 0.0 + coefficients[0]
    second: Any = 0.0
    third: Any = 0.0
    for coefficient in coefficients[1:]:
        third, second = second, first
        first = x * second - third + coefficient
    return 0.5 * (first - third)


@operation
def fabs(x: Any) -> Array:
    """Absolute value of each element, as floating numbers.

    >>> fabs([-2, 3])
    array([2., 3.], dtype=float32)
    """
    xp, x = floats(x)
    return xp.abs(x)


@operation
def floor(x: Any) -> Array:
    """Largest whole number that is not above each element, as floating numbers.

    >>> floor([-1.5, 2.5])
    array([-2.,  2.], dtype=float32)
    """
    xp, x = floats(x)
    return xp.floor(x)


@operation
def ceil(x: Any) -> Array:
    """Smallest whole number that is not below each element, as floating numbers.

    >>> ceil([-1.5, 2.5])
    array([-1.,  3.], dtype=float32)
    """
    xp, x = floats(x)
    return xp.ceil(x)


def _is_complex(x: Array) -> bool:
    return name_of_dtype(x).startswith("complex")


@operation
def real(x: Any) -> Array:
    """Real part of each element: a real array as it is.

    >>> real([1.0, 2.0])
    array([1., 2.], dtype=float32)
    """
    x = as_array(x)
    return namespace(x).real(x) if _is_complex(x) else x


@operation
def imag(x: Any) -> Array:
    """Imaginary part of each element: zeros for a real array.

    >>> imag([1.0, 2.0])
    array([0., 0.], dtype=float32)
    """
    x = as_array(x)
    xp = namespace(x)
    return xp.imag(x) if _is_complex(x) else xp.zeros_like(x)


@operation
def conj(x: Any) -> Array:
    """Complex conjugate of each element: a real array as it is.

    >>> conj([1.0, 2.0])
    array([1., 2.], dtype=float32)
    """
    x = as_array(x)
    return namespace(x).conj(x) if _is_complex(x) else x


@operation
def conjugate(x: Any) -> Array:
    """Complex conjugate of each element; another name of `conj`.

    >>> conjugate([1.0, 2.0])
    array([1., 2.], dtype=float32)
    """
    x = as_array(x)
    return namespace(x).conj(x) if _is_complex(x) else x


@operation
def angle(x: Any) -> Array:
    """Angle of each element in the complex plane: for reals 0, or pi where they are negative.

    >>> angle([1.0, -1.0])
    array([0.       , 3.1415927], dtype=float32)
    """
    x = as_array(x)
    xp = namespace(x)
    if _is_complex(x):
        return xp.atan2(xp.imag(x), xp.real(x))
    x = as_floats(x)
    return xp.where(xp.isnan(x), x, xp.where(x < 0, math.pi, xp.zeros_like(x)))


@operation
def nan_to_num(x: Any, nan: Any = 0.0, posinf: Any = None, neginf: Any = None) -> Array:
    """Numbers in place of what is none.

    nan : in place of NaN. posinf, neginf : in place of infinities; by default the largest finite number of the dtype,
        and the smallest.

    >>> nan_to_num([1.0, float("nan"), float("inf")], posinf=9.0)
    array([1., 0., 9.], dtype=float32)
    """
    x = as_array(x)
    if not is_float(x):
        return x
    xp = namespace(x)
    largest = float(xp.finfo(x.dtype).max)
    x = xp.where(xp.isnan(x), nan, x)
    x = xp.where(x == math.inf, largest if posinf is None else posinf, x)
    return xp.where(x == -math.inf, -largest if neginf is None else neginf, x)
