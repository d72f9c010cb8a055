"""Fourier transforms in pairs of real and imaginary parts, and sequences cut into frames.

All rest on the transform of complex numbers, whose adjoint is the transform of the other direction.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from nnx.arguments import positive_integer
from nnx.autodiff.array import TrackedArray, lower
from nnx.autodiff.primitive import primitive
from nnx.backends import Array, backend_of
from nnx.functional.fourier import fourier_transform
from nnx.ops.operation import (
    as_array,
    as_floats,
    is_float,
    name_of_dtype,
    namespace,
    operation,
    promote,
    refuse_derivative,
)
from nnx.ops.segments import segment_sum

__all__ = [
    "extract_sequences",
    "fft",
    "fft2",
    "ifft2",
    "irfft",
    "istft",
    "polar",
    "rfft",
    "stft",
    "view_as_complex",
    "view_as_real",
]

Pair = tuple[Array, Array]
_COMPLEX = {"float32": "complex64", "float64": "complex128"}


@operation
def fft(x: tuple[Any, Any]) -> Pair:
    """Discrete Fourier transform along the last axis, of a pair (real, imaginary), as such a pair.

    ValueError for anything else than a pair of floating arrays of one shape.

    >>> real, imaginary = fft(([1.0, 1.0], [0.0, 0.0]))
    >>> real
    array([2., 0.], dtype=float32)
    """
    return _transformed(_pair("fft", x), 1, False)


@operation
def fft2(x: tuple[Any, Any]) -> Pair:
    """Discrete Fourier transform along the last two axes, of a pair (real, imaginary), as such a pair.

    >>> real, imaginary = fft2(([[1.0, 1.0]], [[0.0, 0.0]]))
    >>> real
    array([[2., 0.]], dtype=float32)
    """
    return _transformed(_pair("fft2", x), 2, False)


@operation
def ifft2(x: tuple[Any, Any]) -> Pair:
    """Inverse of `fft2`.

    >>> real, imaginary = ifft2(([[2.0, 0.0]], [[0.0, 0.0]]))
    >>> real
    array([[1., 1.]], dtype=float32)
    """
    return _transformed(_pair("ifft2", x), 2, True)


@operation
def rfft(x: Any, fft_length: int | None = None) -> Pair:
    """Discrete Fourier transform of real numbers along the last axis: its first n // 2 + 1 numbers, as a pair.

    fft_length : n, to which x is cut or filled up with zeros; by default its length.

    >>> real, imaginary = rfft([1.0, 1.0, 1.0, 1.0])
    >>> real
    array([4., 0., 0.], dtype=float32)
    """
    array = as_floats(x)
    n = array.shape[-1] if fft_length is None else fft_length
    array = _fitted(array, n)
    real, imaginary = _transformed((array, namespace(array).zeros_like(array)), 1, False)
    return real[..., : n // 2 + 1], imaginary[..., : n // 2 + 1]


@operation
def irfft(x: tuple[Any, Any], fft_length: int | None = None) -> Array:
    """Inverse of `rfft`: real numbers (..., n) of a pair (..., n // 2 + 1).

    fft_length : n, by default the even one.

    >>> irfft(([4.0, 0.0, 0.0], [0.0, 0.0, 0.0]))
    array([1., 1., 1., 1.], dtype=float32)
    """
    real, imaginary = _pair("irfft", x)
    n = 2 * (real.shape[-1] - 1) if fft_length is None else fft_length
    bins = n // 2 + 1
    xp = namespace(real, imaginary)
    # every number counts twice, for itself and for its conjugate in the other half, but those that are alone
    alone = np.arange(bins) == 0
    if n % 2 == 0:
        alone |= np.arange(bins) == bins - 1
    weight = _beside(real, np.where(alone, 1.0, 2.0))
    parts = tuple(_fitted(_fitted(part, bins) * weight, n) for part in xp.broadcast_arrays(real, imaginary))
    return _transformed((parts[0], parts[1]), 1, True)[0]


def _pair(name: str, x: Any) -> Pair:
    if not isinstance(x, tuple | list) or len(x) != 2:
        raise ValueError(f"{name}: x is a pair of arrays, (real, imaginary), got {type(x).__name__}")
    real, imaginary = as_array(x[0]), as_array(x[1])
    if tuple(real.shape) != tuple(imaginary.shape) or not is_float(real) or not is_float(imaginary):
        raise ValueError(
            f"{name}: real and imaginary parts are floating arrays of one shape, got {tuple(real.shape)} of "
            f"{real.dtype} and {tuple(imaginary.shape)} of {imaginary.dtype}"
        )
    first, second = promote(real, imaginary)
    return first, second


def _transformed(pair: Pair, axes: int, inverse: bool) -> Pair:
    both = _transform(namespace(*pair).stack(list(pair), axis=0), axes, inverse)
    return both[0, ...], both[1, ...]


def _transform_and_pullback(x: Array, axes: int, inverse: bool) -> tuple[Array, Callable[[Array], Array]]:
    """The transform over the last axes of real and imaginary parts (2, ...)."""
    count = math.prod(x.shape[len(x.shape) - axes :])
    scale = 1.0 / count if inverse else float(count)

    def pullback(dy: Array) -> Array:
        return _transform(dy, axes, not inverse) * scale

    y = (_transform if isinstance(x, TrackedArray) else fourier_transform)(x, axes, inverse)
    return y, pullback


_transform = primitive(_transform_and_pullback)


def _fitted(x: Array, n: int) -> Array:
    """The last axis cut, or filled up with zeros, to a length."""
    size = x.shape[-1]
    if size >= n:
        return x[..., :n] if size > n else x
    xp = namespace(x)
    return xp.concat([x, xp.zeros_like(x[..., :1]) + _beside(x, np.zeros(n - size))], axis=-1)


def _beside(x: Array, host: np.ndarray) -> Array:
    plain = lower(x)
    return backend_of(plain).put_beside(plain, host.astype(name_of_dtype(plain) if host.dtype.kind == "f" else "int64"))


@operation
def extract_sequences(x: Any, sequence_length: int, sequence_stride: int) -> Array:
    """Frames of sequences: x (..., n) -> (..., frames, sequence_length), each sequence_stride behind the last.

    >>> extract_sequences([1.0, 2.0, 3.0, 4.0, 5.0], 3, 2)
    array([[1., 2., 3.],
           [3., 4., 5.]], dtype=float32)
    """
    array = as_array(x)
    xp = namespace(array)
    places = _places_of_frames(array.shape[-1], sequence_length, sequence_stride)
    taken = xp.take(array, _beside(array, places.reshape(-1)), axis=-1)
    return xp.reshape(taken, (*array.shape[:-1], *places.shape))


def _places_of_frames(size: int, length: int, stride: int) -> np.ndarray:
    stride = positive_integer("sequence_stride", stride)
    count = max((size - length) // stride + 1, 0)
    places: np.ndarray = (np.arange(count) * stride)[:, None] + np.arange(length)
    return places


@operation
def stft(
    x: Any,
    sequence_length: int,
    sequence_stride: int,
    fft_length: int,
    window: Any = "hann",
    center: bool = True,
) -> Pair:
    """Short-time Fourier transform: of each frame of x (..., n) the first fft_length // 2 + 1 numbers, as a pair.

    sequence_length, sequence_stride : of the frames. fft_length : of the transform, at least sequence_length; frames
        are filled up with zeros on both sides.
    window : "hann" or "hamming", periodic; an array (sequence_length,); or None for ones.
    center : whether x is first continued by its mirror image, by half the length of the transform on both sides.

    >>> real, imaginary = stft([1.0, 1.0, 1.0, 1.0], 2, 2, 2, window=None, center=False)
    >>> real
    array([[2., 0.],
           [2., 0.]], dtype=float32)
    """
    array = as_floats(x)
    if fft_length < sequence_length:
        raise ValueError(f"stft: fft_length must be at least sequence_length, got {fft_length} < {sequence_length}")
    xp = namespace(array)
    if center:
        places = np.pad(np.arange(array.shape[-1]), fft_length // 2, mode="reflect")
        array = xp.take(array, _beside(array, places), axis=-1)
    frames = extract_sequences(array, fft_length, sequence_stride)
    weight = _window("stft", window, sequence_length, fft_length, array)
    return rfft(namespace(frames, weight).multiply(frames, weight))  # type: ignore[no-any-return]


@operation
def istft(
    x: tuple[Any, Any],
    sequence_length: int,
    sequence_stride: int,
    fft_length: int,
    length: int | None = None,
    window: Any = "hann",
    center: bool = True,
) -> Array:
    """Inverse of `stft`, by the same arguments: frames, windowed once more, added up and divided by their weights.

    x : a pair (..., frames, fft_length // 2 + 1). length : of the result, by default that of all frames.

    >>> istft(([[2.0, 0.0], [2.0, 0.0]], [[0.0, 0.0], [0.0, 0.0]]), 2, 2, 2, window=None, center=False)
    array([1., 1., 1., 1.], dtype=float32)
    """
    frames = irfft(_pair("istft", x), fft_length)
    xp = namespace(frames)
    refuse_derivative("istft: window", window)
    weight = _window("istft", lower(window), sequence_length, fft_length, frames)
    count, size = frames.shape[-2], fft_length + sequence_stride * (frames.shape[-2] - 1)
    places = _places_of_frames(size, fft_length, sequence_stride).reshape(-1)
    ids = _beside(frames, places)
    flat = xp.reshape(frames * weight, (-1, count * fft_length))
    summed = xp.matrix_transpose(segment_sum(xp.matrix_transpose(flat), ids, size))
    summed = xp.reshape(summed, (*frames.shape[:-2], size))
    squares = namespace(weight).broadcast_to(weight * weight, (count, fft_length))
    total = segment_sum(namespace(weight).reshape(squares, (-1,)), ids, size)
    y = summed / namespace(total).where(total > 1e-10, total, 1.0)
    start = fft_length // 2 if center else 0
    stop = start + length if length is not None else size - start if center else size
    return y[..., start:stop]


def _window(name: str, window: Any, length: int, fft_length: int, like: Array) -> Array:
    """The window, in the middle of as many zeros as are needed."""
    if isinstance(window, str):
        if window not in ("hann", "hamming"):
            raise ValueError(f"{name}: window must be 'hann' or 'hamming', an array or None, got {window!r}")
        share = 0.5 if window == "hann" else 0.54
        host = share - (1.0 - share) * np.cos(2.0 * np.pi * np.arange(length) / length)
    elif window is None:
        before = fft_length - length  # ones also where frames are filled up, as if the sequence were that long
        return _beside(like, np.ones(length + before))
    else:
        own = as_array(window, name_of_dtype(like), like=like)
        if tuple(own.shape) != (length,):
            raise ValueError(f"{name}: a window has the shape ({length},), got {tuple(own.shape)}")
        left = (fft_length - length) // 2
        return _padded(own, left, fft_length - length - left)
    left = (fft_length - length) // 2
    return _beside(like, np.pad(host, (left, fft_length - length - left)))


def _padded(x: Array, before: int, after: int) -> Array:
    xp = namespace(x)
    return xp.concat([_beside(x, np.zeros(before)), x, _beside(x, np.zeros(after))])


@operation
def view_as_complex(x: Any) -> Array:
    """Complex numbers of an array (..., 2) of real and imaginary parts. They are not differentiated.

    >>> view_as_complex([[1.0, 2.0]])
    array([1.+2.j], dtype=complex64)
    """
    array = as_floats(x)
    _refuse_tracked("view_as_complex", array)
    if array.shape[-1:] != (2,):
        raise ValueError(f"view_as_complex: the last axis holds two numbers, got shape {tuple(array.shape)}")
    return _complex(array[..., 0], array[..., 1])


@operation
def view_as_real(x: Any) -> Array:
    """Real and imaginary parts of complex numbers: x (...) -> (..., 2).

    >>> import numpy as np
    >>> view_as_real(np.asarray([1.0 + 2.0j])).tolist()
    [[1.0, 2.0]]
    """
    xp = namespace(x)
    return xp.stack([xp.real(x), xp.imag(x)], axis=-1)


@operation
def polar(abs_: Any, angle: Any) -> Array:
    """Complex numbers of a size and an angle in radians. They are not differentiated.

    >>> polar([2.0], [0.0])
    array([2.+0.j], dtype=complex64)
    """
    size, turn = promote(as_floats(abs_), as_floats(angle))
    _refuse_tracked("polar", size, turn)
    xp = namespace(size)
    return _complex(size * xp.cos(turn), size * xp.sin(turn))


def _complex(real: Array, imaginary: Array) -> Array:
    xp = namespace(real)
    dtype = getattr(xp, _COMPLEX.get(name_of_dtype(real), "complex64"))
    return xp.astype(real, dtype) + xp.astype(imaginary, dtype) * 1j


def _refuse_tracked(name: str, *arrays: Sequence[Any] | Array) -> None:
    if any(isinstance(array, TrackedArray) for array in arrays):
        raise NotImplementedError(
            f"{name} makes complex numbers, which have no derivative in nnx: keep real and imaginary parts apart"
        )
