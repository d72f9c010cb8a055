"""Update formulas of the optimisers, element by element.

Each function changes `w`, a 1-D array of parameters, and its slots (1-D arrays of the same size and dtype, also views)
in place, element by element; `g` is the gradient and stays as it is. Hyper-parameters are Python floats. Factors that
depend on the number of the step, such as Adam's correction of its bias, are computed by the caller, once for all
elements. Formulas are those of Keras 3.
"""

from __future__ import annotations

from nnx.backends import Array, array_namespace
from nnx.kernels import accelerated

__all__ = [
    "adadelta",
    "adagrad",
    "adam",
    "adamax",
    "decay_weights",
    "ftrl",
    "lion",
    "momentum",
    "moving_average",
    "moving_moments",
    "nadam",
    "rmsprop",
    "schedule_free_adamw",
    "sgd",
]


@accelerated
def sgd(w: Array, g: Array, rate: float) -> None:
    """Gradient descent: w -= rate * g

    >>> import numpy as np
    >>> w = np.asarray([1.0, -1.0])
    >>> sgd(w, np.asarray([2.0, 0.0]), rate=0.25)
    >>> w
    array([ 0.5, -1. ])
    """
    w -= rate * g


@accelerated
def momentum(w: Array, g: Array, m: Array, rate: float, decay: float, nesterov: bool) -> None:
    """Gradient descent with momentum (Polyak, 1964), or with Nesterov's look-ahead (Sutskever et al., 2013).

    m <- decay * m - rate * g;  w += m, or with Nesterov  w += decay * m - rate * g

    >>> import numpy as np
    >>> w, m = np.asarray([1.0]), np.asarray([-0.5])
    >>> momentum(w, np.asarray([2.0]), m, rate=0.25, decay=0.5, nesterov=False)
    >>> w, m
    (array([0.25]), array([-0.75]))
    """
    m *= decay
    m -= rate * g
    w += decay * m - rate * g if nesterov else m


@accelerated
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
    """RMSprop (Tieleman and Hinton, 2012).

    v <- rho * v + (1 - rho) * g**2; with a, the centred form: a <- rho * a + (1 - rho) * g
    d = rate * g / sqrt(v - a**2 + epsilon);  w -= d, or with momentum m: m <- decay * m + d, w -= m

    >>> import numpy as np
    >>> w, v = np.asarray([1.0]), np.asarray([0.0])
    >>> rmsprop(w, np.asarray([2.0]), v, None, None, rate=0.25, rho=0.75, decay=0.0, epsilon=0.0)
    >>> w, v
    (array([0.5]), array([1.]))
    """
    xp = array_namespace(w)
    v *= rho
    v += (1.0 - rho) * (g * g)
    variance = v
    if a is not None:
        a *= rho
        a += (1.0 - rho) * g
        variance = v - a * a
    d = rate * g / xp.sqrt(variance + epsilon)
    if m is not None:
        m *= decay
        m += d
        d = m
    w -= d


@accelerated
def adagrad(w: Array, g: Array, v: Array, rate: float, epsilon: float) -> None:
    """Adagrad (Duchi et al., 2011): v += g**2;  w -= rate * g / sqrt(v + epsilon)

    >>> import numpy as np
    >>> w, v = np.asarray([1.0]), np.asarray([12.0])
    >>> adagrad(w, np.asarray([2.0]), v, rate=1.0, epsilon=0.0)
    >>> w, v
    (array([0.5]), array([16.]))
    """
    xp = array_namespace(w)
    v += g * g
    w -= rate * g / xp.sqrt(v + epsilon)


@accelerated
def adadelta(w: Array, g: Array, v: Array, u: Array, rate: float, rho: float, epsilon: float) -> None:
    """Adadelta (Zeiler, 2012).

    v <- rho * v + (1 - rho) * g**2;  d = sqrt(u + epsilon) / sqrt(v + epsilon) * g
    u <- rho * u + (1 - rho) * d**2;  w -= rate * d

    >>> import numpy as np
    >>> w, v, u = np.asarray([1.0]), np.asarray([4.0]), np.asarray([1.0])
    >>> adadelta(w, np.asarray([2.0]), v, u, rate=0.5, rho=0.5, epsilon=0.0)
    >>> w, v, u
    (array([0.5]), array([4.]), array([1.]))
    """
    xp = array_namespace(w)
    v *= rho
    v += (1.0 - rho) * (g * g)
    d = xp.sqrt(u + epsilon) * g / xp.sqrt(v + epsilon)
    u *= rho
    u += (1.0 - rho) * (d * d)
    w -= rate * d


@accelerated
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
    """Adam (Kingma and Ba, 2014), in the form before its section 2.1; with largest_v, AMSGrad (Reddi et al., 2018).

    m += (1 - beta_1) * (g - m);  v += (1 - beta_2) * (g**2 - v);  w -= rate * m / (sqrt(v) + epsilon)
    where rate is the learning rate * sqrt(1 - beta_2**t) / (1 - beta_1**t) at step t = 1, 2, ...
    AMSGrad: largest_v <- max(largest_v, v), and w moves by largest_v in place of v.

    >>> import numpy as np
    >>> w, m, v = np.asarray([1.0]), np.asarray([0.0]), np.asarray([0.0])
    >>> adam(w, np.asarray([2.0]), m, v, None, rate=0.25, beta_1=0.5, beta_2=0.75, epsilon=0.0)
    >>> w, m, v
    (array([0.75]), array([1.]), array([1.]))
    """
    xp = array_namespace(w)
    m += (1.0 - beta_1) * (g - m)
    v += (1.0 - beta_2) * (g * g - v)
    if largest_v is not None:
        largest_v[...] = xp.maximum(largest_v, v)
        v = largest_v
    w -= rate * m / (xp.sqrt(v) + epsilon)


@accelerated
def adamax(w: Array, g: Array, m: Array, u: Array, rate: float, beta_1: float, beta_2: float, epsilon: float) -> None:
    """Adamax (Kingma and Ba, 2014, section 7.1), Adam with the maximum norm.

    m += (1 - beta_1) * (g - m);  u <- max(beta_2 * u, |g|);  w -= rate * m / (u + epsilon)
    where rate is the learning rate / (1 - beta_1**t) at step t = 1, 2, ...

    >>> import numpy as np
    >>> w, m, u = np.asarray([1.0]), np.asarray([0.0]), np.asarray([8.0])
    >>> adamax(w, np.asarray([2.0]), m, u, rate=1.0, beta_1=0.5, beta_2=0.5, epsilon=0.0)
    >>> w, m, u
    (array([0.75]), array([1.]), array([4.]))
    """
    xp = array_namespace(w)
    m += (1.0 - beta_1) * (g - m)
    u[...] = xp.maximum(beta_2 * u, xp.abs(g))
    w -= rate * m / (u + epsilon)


@accelerated
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
    """Nadam (Dozat, 2016), Adam with Nesterov's look-ahead.

    m += (1 - beta_1) * (g - m);  v += (1 - beta_2) * (g**2 - v)
    w -= (rate_m * m + rate_g * g) / (sqrt(correction * v) + epsilon), where correction is 1 / (1 - beta_2**t) at step
    t = 1, 2, ... and the rates follow the schedule of the momentum: see `nnx.optimizers.Nadam`.

    >>> import numpy as np
    >>> w, m, v = np.asarray([1.0]), np.asarray([0.0]), np.asarray([0.0])
    >>> nadam(w, np.asarray([2.0]), m, v, 0.25, 0.125, correction=4.0, beta_1=0.5, beta_2=0.75, epsilon=0.0)
    >>> w, m, v
    (array([0.75]), array([1.]), array([1.]))
    """
    xp = array_namespace(w)
    m += (1.0 - beta_1) * (g - m)
    v += (1.0 - beta_2) * (g * g - v)
    w -= (rate_m * m + rate_g * g) / (xp.sqrt(correction * v) + epsilon)


@accelerated
def lion(w: Array, g: Array, m: Array, rate: float, beta_1: float, beta_2: float) -> None:
    """Lion (Chen et al., 2023): w -= rate * sign(beta_1 * m + (1 - beta_1) * g);  m <- beta_2 * m + (1 - beta_2) * g

    >>> import numpy as np
    >>> w, m = np.asarray([1.0]), np.asarray([0.0])
    >>> lion(w, np.asarray([2.0]), m, rate=0.25, beta_1=0.5, beta_2=0.75)
    >>> w, m
    (array([0.75]), array([0.5]))
    """
    xp = array_namespace(w)
    c = beta_1 * m + (1.0 - beta_1) * g
    step = xp.full_like(c, rate)
    w -= xp.where(c > 0.0, step, xp.where(c < 0.0, -step, c))  # c itself where it is 0 or NaN
    m *= beta_2
    m += (1.0 - beta_2) * g


@accelerated
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
    """FTRL-proximal (McMahan et al., 2013).

    n' = n + g**2;  z += g + 2 * shrinkage * w - (n'**p - n**p) / rate * w, where p is -power;  n <- n'
    w <- (clip(z, -l1, l1) - z) / (n**p / rate + 2 * l2)

    >>> import numpy as np
    >>> w, n, z = np.asarray([0.0]), np.asarray([0.0]), np.asarray([0.0])
    >>> ftrl(w, np.asarray([2.0]), n, z, rate=0.5, power=-0.5, l1=1.0, l2=0.0, shrinkage=0.0)
    >>> w, n, z
    (array([-0.25]), array([4.]), array([2.]))
    """
    xp = array_namespace(w)
    before = n**-power
    n += g * g
    after = n**-power
    z += g + (2.0 * shrinkage) * w - (after - before) / rate * w
    w[...] = (xp.minimum(xp.maximum(z, -l1), l1) - z) / (after / rate + 2.0 * l2)


@accelerated
def decay_weights(w: Array, mask: Array | None, rate: float) -> None:
    """Weight decay apart from the gradient (Loshchilov and Hutter, 2017): w -= rate * w, or rate * mask * w

    >>> import numpy as np
    >>> w = np.asarray([1.0, 2.0])
    >>> decay_weights(w, np.asarray([1.0, 0.0]), rate=0.25)
    >>> w
    array([0.75, 2.  ])
    """
    w -= rate * w if mask is None else rate * mask * w


@accelerated
def moving_average(average: Array, w: Array, decay: float) -> None:
    """Exponential moving average: average <- decay * average + (1 - decay) * w

    >>> import numpy as np
    >>> average = np.asarray([1.0])
    >>> moving_average(average, np.asarray([2.0]), decay=0.75)
    >>> average
    array([1.25])
    """
    average[...] = decay * average + (1.0 - decay) * w


@accelerated
def moving_moments(mean: Array, of_batch: Array, variance: Array, variance_of_batch: Array, decay: float) -> None:
    """Moving averages of a mean and of a variance, of which a batch has `of_batch` and `variance_of_batch`.

    Both as `moving_average`; what is of the batch may have another dtype.

    >>> import numpy as np
    >>> mean, variance = np.asarray([1.0]), np.asarray([4.0])
    >>> moving_moments(mean, np.asarray([2.0]), variance, np.asarray([8.0]), decay=0.75)
    >>> mean, variance
    (array([1.25]), array([5.]))
    """
    for average, value in ((mean, of_batch), (variance, variance_of_batch)):
        moving_average(average, array_namespace(value).astype(value, average.dtype, copy=False), decay)


def schedule_free_adamw(
    w: Array,
    g: Array,
    z: Array,
    v: Array,
    rate: float,
    correction: float,
    weight: float,
    beta_1: float,
    beta_2: float,
    epsilon: float,
) -> None:
    """Adam without a schedule (Defazio et al., 2024): steps of z, an average x of z, and gradients taken between both.

    v += (1 - beta_2) * (g**2 - v);  x = (w - (1 - beta_1) * z) / beta_1, with z as it was
    z -= rate * g / (sqrt(correction * v) + epsilon);  x += weight * (z - x);  w = (1 - beta_1) * z + beta_1 * x
    where correction is 1 / (1 - beta_2**t) and weight 1 / t at step t = 1, 2, ..., and z starts as w.

    >>> import numpy as np
    >>> w, z, v = np.asarray([1.0]), np.asarray([1.0]), np.asarray([0.0])
    >>> schedule_free_adamw(w, np.asarray([2.0]), z, v, 0.5, 4.0, 1.0, beta_1=0.5, beta_2=0.75, epsilon=0.0)
    >>> w, z, v
    (array([0.5]), array([0.5]), array([1.]))
    """
    xp = array_namespace(w)
    v += (1.0 - beta_2) * (g * g - v)
    x = (w - (1.0 - beta_1) * z) / beta_1
    z -= rate * g / (xp.sqrt(correction * v) + epsilon)
    x += weight * (z - x)
    w[...] = (1.0 - beta_1) * z + beta_1 * x
