"""Kernels of the short-time Fourier transform."""

from __future__ import annotations

from typing import Any

import numpy as np

from nnx.arguments import choice
from nnx.backends import is_array, to_numpy
from nnx.initializers.initializer import Initializer, registry
from nnx.random import Generator

_COSINES = {
    "boxcar": (1.0,),
    "hann": (0.5, 0.5),
    "hamming": (0.54, 0.46),
    "blackman": (0.42, 0.5, 0.08),
    "nuttall": (0.3635819, 0.4891775, 0.1365995, 0.0106411),
    "blackmanharris": (0.35875, 0.48829, 0.14128, 0.01168),
    "flattop": (0.21557895, 0.41663158, 0.277263158, 0.083578947, 0.006947368),
}
"""Windows as sums of cosines, by their weights."""


@registry.register("STFTInitializer")
class STFT(Initializer):
    """Waves in a window, for a convolution that is a short-time Fourier transform: see `STFTSpectrogram`.

        cos(-2 pi t f / n) * window[t] / scale, or with sin,    n = 2 (frequencies - 1)

    side : "real", cosines, or "imag", sines.
    window : "hann", "hamming", "blackman", "nuttall", "blackmanharris", "flattop", "bartlett", "boxcar"; an array
        (frame_length,); or None for no window.
    scaling : what is 1 in the end, "density", the sum of squares, or "spectrum", the sum of a window; None for neither.
    periodic : whether the window goes on with its first value; else it ends with that.

    The shape is (frame_length, 1, frequencies). ValueError for another one, and for other words.

    >>> STFT(window=None)((2, 1, 2))
    array([[[ 1.,  1.]],
    <BLANKLINE>
           [[ 1., -1.]]], dtype=float32)
    """

    def __init__(
        self, side: str = "real", window: Any = "hann", scaling: str | None = "density", periodic: bool = False
    ) -> None:
        self.side = choice("STFT: side", side, ("real", "imag"))
        self.window = to_numpy(window) if is_array(window) else window
        self.scaling = None if scaling is None else choice("STFT: scaling", scaling, ("density", "spectrum"))
        self.periodic = periodic
        if isinstance(window, str):
            choice("STFT: window", window, (*_COSINES, "bartlett"))

    def draw(self, shape: tuple[int, ...], generator: Generator) -> np.ndarray:
        if len(shape) != 3 or shape[1] != 1 or shape[2] < 2:
            raise ValueError(f"STFT makes kernels of a shape (frame_length, 1, frequencies), got {shape}")
        length, _, frequencies = shape
        turns = np.arange(length)[:, None, None] * np.arange(frequencies) / (2 * (frequencies - 1))
        kernel = (np.cos if self.side == "real" else np.sin)(-2.0 * np.pi * turns)
        if self.window is None:
            return np.asarray(kernel)
        window = self._window(length)
        scale = {None: 1.0, "density": np.sqrt(np.sum(window**2)), "spectrum": np.sum(np.abs(window))}[self.scaling]
        return np.asarray(kernel * window[:, None, None] / scale)

    def _window(self, length: int) -> np.ndarray:
        if not isinstance(self.window, str):
            window = np.asarray(self.window, np.float64)
            if window.shape != (length,):
                raise ValueError(f"STFT: window must have the shape ({length},) of a frame, got {window.shape}")
            return window
        points = length + 1 if self.periodic else length
        if self.window == "bartlett":
            return np.bartlett(points)[:length]
        if points == 1:
            return np.ones(1)
        waves = (
            weight * np.cos(order * np.linspace(-np.pi, np.pi, points))
            for order, weight in enumerate(_COSINES[self.window])
        )
        return np.asarray(sum(waves))[:length]
