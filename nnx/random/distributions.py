"""Arrays of random numbers with the names, arguments and meanings of `keras.random`.

Common arguments:

shape : of the result.
dtype : the name of its dtype; by default the floating dtype of the current backend.
seed : None (default), the default stream; a non-negative integer, the same numbers at every call; or a
    `SeedGenerator` or `Generator`, the next numbers of its stream.

The result lies on the device of the current backend; the same stream gives the same numbers on every one.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from nnx.backends import Array, array_namespace, backend_of, get_backend, is_array, to_numpy
from nnx.random.seed_generator import stream_of
from nnx.random.streams import Generator, bernoulli, uniform_beside

__all__ = [
    "beta",
    "binomial",
    "categorical",
    "dropout",
    "gamma",
    "normal",
    "randint",
    "shuffle",
    "truncated_normal",
    "uniform",
]

Seed = int | Generator | None


def normal(
    shape: Sequence[int], mean: Any = 0.0, stddev: Any = 1.0, dtype: str | None = None, seed: Seed = None
) -> Array:
    """Random numbers of a normal distribution.

    mean, stddev : numbers, or arrays that broadcast with the shape, which may be tracked.
    shape, dtype, seed : see the module.

    They are made on the host in float64, and rounded.

    >>> x = normal((10000,), mean=1.0, stddev=2.0, seed=1)
    >>> round(float(x.mean()), 1), round(float(x.std()), 1)
    (1.0, 2.0)
    """
    return _scaled(get_backend().asarray(stream_of(seed).normal(_sizes(shape)), _dtype(dtype)), mean, stddev)


def truncated_normal(
    shape: Sequence[int], mean: Any = 0.0, stddev: Any = 1.0, dtype: str | None = None, seed: Seed = None
) -> Array:
    """Random numbers of a normal distribution, drawn again where they lie beyond two standard deviations.

    mean, stddev : of the distribution before; numbers, or arrays that broadcast with the shape.
    shape, dtype, seed : see the module.

    >>> x = truncated_normal((10000,), stddev=2.0, seed=1)
    >>> bool((abs(x) <= 4.0).all())
    True
    """
    numbers = stream_of(seed).truncated_normal(_sizes(shape))
    return _scaled(get_backend().asarray(numbers, _dtype(dtype)), mean, stddev)


def _scaled(numbers: Array, mean: Any, stddev: Any) -> Array:
    """mean + stddev * numbers, of which a tape may track mean and stddev."""
    given = [array_namespace(value) for value in (stddev, mean) if is_array(value)]
    xp = next((one for one in given if one is not get_backend().xp), get_backend().xp)
    if is_array(stddev):
        numbers = xp.multiply(stddev, numbers)
    elif stddev != 1.0:
        numbers = numbers * stddev
    if is_array(mean):
        return xp.add(mean, numbers)
    return numbers + mean if mean != 0.0 else numbers


def _sizes(shape: Sequence[int]) -> tuple[int, ...]:
    if isinstance(shape, int):
        raise TypeError(f"a shape is a tuple, got {shape!r}; write ({shape},)")
    return tuple(int(size) for size in shape)


def _dtype(dtype: Any) -> str:
    return get_backend().dtype if dtype is None else dtype if isinstance(dtype, str) else str(np.dtype(dtype))


def uniform(
    shape: Sequence[int], minval: Any = 0.0, maxval: Any = 1.0, dtype: str | None = None, seed: Seed = None
) -> Array:
    """Random numbers from [minval, maxval), each as likely; they are made on the device.

    minval, maxval : numbers, or arrays that broadcast with the shape.
    shape, dtype, seed : see the module. ValueError for a dtype that is not floating: `randint` makes integers.

    >>> x = uniform((10000,), minval=-1.0, maxval=3.0, seed=1)
    >>> bool((x >= -1.0).all() and (x < 3.0).all()), round(float(x.mean()), 1)
    (True, 1.0)
    """
    wanted = _dtype(dtype)
    if not wanted.startswith("float"):
        raise ValueError(f"uniform: dtype must be floating, got {wanted!r}; for integers write nnx.random.randint")
    unit = _unit(stream_of(seed), _sizes(shape), wanted)
    if not is_array(minval) and not is_array(maxval) and (minval, maxval) == (0.0, 1.0):
        return unit
    numbers = minval + (maxval - minval) * unit
    return array_namespace(numbers).where(numbers < maxval, numbers, minval)  # a sum may be rounded up to its end


def _unit(stream: Generator, shape: tuple[int, ...], dtype: str) -> Array:
    """Numbers from [0, 1) on a grid of 2**-24, or 2**-11 in float16, which has no finer one below 1."""
    placement = get_backend()
    wide = placement.zeros(shape, "float32" if dtype == "float16" else dtype)
    with placement.computing:
        unit = uniform_beside(wide, stream.draw(math.prod(shape)))
        if dtype != "float16":
            return unit
        xp = placement.xp
        return xp.astype(xp.floor(unit * 2048.0) * 2.0**-11, xp.float16)


def randint(shape: Sequence[int], minval: int, maxval: int, dtype: str | None = "int32", seed: Seed = None) -> Array:
    """Random integers from minval to maxval - 1, each as likely to 2**-32.

    shape, dtype, seed : see the module; the dtype is int32 by default. ValueError if there is no integer between, and
    for another dtype.

    >>> sorted(set(randint((100,), 2, 5, seed=1).tolist()))
    [2, 3, 4]
    """
    low, high = int(minval), int(maxval)
    if high <= low:
        raise ValueError(f"randint: maxval must be above minval, got minval={low} and maxval={high}")
    if high - low > 1 << 32:
        raise ValueError(f"randint: at most 2**32 integers can be chosen from, got minval={low} and maxval={high}")
    name = "int32" if dtype is None else _dtype(dtype)
    if not name.startswith(("int", "uint")):
        raise ValueError(f"randint: dtype must be that of integers, got {dtype!r}")
    sizes = _sizes(shape)
    words = stream_of(seed).integers(math.prod(sizes)).astype(np.uint64)
    numbers = (words * np.uint64(high - low) >> np.uint64(32)).astype(np.int64) + low
    return get_backend().asarray(numbers.reshape(sizes), name)


def categorical(logits: Any, num_samples: int, dtype: str | None = "int32", seed: Seed = None) -> Array:
    """Random classes (batch, num_samples), with the probabilities softmax(logits) of each row (batch, classes).

    dtype, seed : see the module; the dtype is int32 by default. It is computed where the logits are.

    >>> categorical([[-100.0, 0.0], [0.0, -100.0]], 3, seed=1).tolist()
    [[1, 1, 1], [0, 0, 0]]
    """
    scores = _as_array(logits)
    xp = array_namespace(scores)
    if len(scores.shape) != 2:
        raise ValueError(f"categorical: logits are (batch, classes), got shape {tuple(scores.shape)}")
    weights = xp.exp(scores - xp.max(scores, axis=-1, keepdims=True))
    bounds = xp.cumulative_sum(weights, axis=-1)
    device = backend_of(scores).device_of(scores)
    like = xp.zeros((scores.shape[0], num_samples), dtype=weights.dtype, device=device)
    places = uniform_beside(like, stream_of(seed).draw(math.prod(like.shape))) * bounds[:, -1:]
    chosen = xp.count_nonzero(bounds[:, None, :-1] <= places[:, :, None], axis=-1)
    return xp.astype(chosen, getattr(xp, dtype or "int32"))


def _as_array(value: Any) -> Array:
    return value if is_array(value) and not isinstance(value, np.generic) else get_backend().asarray(value)


def dropout(inputs: Any, rate: float, noise_shape: Sequence[int | None] | None = None, seed: Seed = None) -> Array:
    """Array with elements set to 0 at random, and the others divided by 1 - rate, so that the mean stays.

    rate : the probability of 0, in [0, 1]. noise_shape : 1 along axes that share a decision; None, or x's size, along
        others. seed : see the module.

    Differentiable; what is dropped is a constant. ValueError for another rate.

    >>> sorted(set(dropout([1.0] * 100, 0.5, seed=1).tolist()))
    [0.0, 2.0]
    """
    if not 0.0 <= rate <= 1.0:
        raise ValueError(f"dropout: rate must be between 0 and 1, got {rate}")
    x = _as_array(inputs)
    if rate == 0.0:
        return x
    xp, backend = array_namespace(x), backend_of(x)
    sizes = (
        tuple(x.shape)
        if noise_shape is None
        else tuple(n if wanted is None else wanted for wanted, n in zip(noise_shape, x.shape, strict=True))
    )
    like = xp.zeros(sizes, dtype=x.dtype, device=backend.device_of(x))
    kept = xp.logical_not(bernoulli(like, stream_of(seed).draw(math.prod(sizes)), rate))
    return x * (xp.astype(kept, x.dtype) * (1.0 / (1.0 - rate) if rate < 1.0 else 0.0))


def shuffle(x: Any, axis: int = 0, seed: Seed = None) -> Array:
    """Array whose slices along an axis stand in random order.

    axis : by default the first. seed : see the module.

    >>> sorted(shuffle([1, 2, 3, 4], seed=1).tolist())
    [1, 2, 3, 4]
    """
    array = _as_array(x)
    order = stream_of(seed).permutation(array.shape[axis])
    return array_namespace(array).take(array, backend_of(array).put_beside(array, order), axis=axis)


# The numbers below are made by NumPy on the host.


def _host(value: Any) -> Any:
    return to_numpy(value) if is_array(value) else value


def gamma(shape: Sequence[int], alpha: Any, dtype: str | None = None, seed: Seed = None) -> Array:
    """Random numbers of a gamma distribution with scale 1.

    alpha : its shape parameter, a number or an array that broadcasts; one on a device is waited for.
    shape, dtype, seed : see the module. The numbers may change with the version of NumPy.

    >>> round(float(gamma((10000,), 3.0, seed=1).mean()), 1)
    3.0
    """
    numbers = stream_of(seed).numpy_generator().standard_gamma(_host(alpha), size=_sizes(shape))
    return get_backend().asarray(numbers, _dtype(dtype))


def beta(shape: Sequence[int], alpha: Any, beta: Any, dtype: str | None = None, seed: Seed = None) -> Array:
    """Random numbers of a beta distribution, from 0 to 1.

    alpha, beta : its parameters, numbers or arrays that broadcast; those on a device are waited for.
    shape, dtype, seed : see the module. The numbers may change with the version of NumPy.

    >>> round(float(beta((10000,), 1.0, 3.0, seed=1).mean()), 2)
    0.25
    """
    numbers = stream_of(seed).numpy_generator().beta(_host(alpha), _host(beta), size=_sizes(shape))
    return get_backend().asarray(numbers, _dtype(dtype))


def binomial(
    shape: Sequence[int], counts: Any, probabilities: Any, dtype: str | None = None, seed: Seed = None
) -> Array:
    """Random numbers of successes in so many trials, as floats.

    counts, probabilities : numbers, or arrays that broadcast; those on a device are waited for.
    shape, dtype, seed : see the module. The numbers may change with the version of NumPy.

    >>> round(float(binomial((10000,), 10, 0.3, seed=1).mean()), 1)
    3.0
    """
    trials = np.asarray(_host(counts)).astype(np.int64)
    numbers = stream_of(seed).numpy_generator().binomial(trials, _host(probabilities), size=_sizes(shape))
    return get_backend().asarray(numbers, _dtype(dtype))
