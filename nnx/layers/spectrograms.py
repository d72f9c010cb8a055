"""Spectrograms: which frequencies a signal has, and when."""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np

from nnx.arguments import choice, non_negative_number, positive_integer
from nnx.autodiff.transforms import derive
from nnx.backends import Array, array_namespace
from nnx.functional import Pullback
from nnx.functional.layout import CHANNELS_FIRST
from nnx.initializers.stft import STFT
from nnx.layers.layer import Layer, registry
from nnx.layers.spatial import Spatial
from nnx.ops.convolution import conv
from nnx.ops.fourier import stft
from nnx.ops.operation import beside, name_of_dtype
from nnx.parameters import Parameter
from nnx.precision import wide
from nnx.shapes import Shape

MODES = ("log", "magnitude", "psd", "real", "imag", "angle", "stft")
_EPSILON = 1e-7  # Keras' backend.epsilon(), below which powers and magnitudes do not go


@registry.register()
class STFTSpectrogram(Spatial):
    """Spectrogram by a short-time Fourier transform whose waves are learned: convolutions that begin as one.

        real[t, f] + i imag[t, f] = sum of x[t frame_step + k] exp(-2 pi i k f / fft_length) window[k] / scale over k

    mode : "log", the default, of the magnitude; "magnitude", sqrt(real² + imag²); "psd", the squares, those between
        the first and the last frequency twice; "real"; "imag"; "angle"; "stft", the real numbers and then the imaginary
        ones.
    frame_length : of a window, 256 by default. frame_step : how far apart they are, by default half of that.
    fft_length : by default the next power of two from frame_length on; there are fft_length // 2 + 1 frequencies.
    window, periodic, scaling : see `nnx.initializers.STFT`.
    padding : "valid", or "same", with zeros around the signal.
    expand_dims : whether frequencies have an axis of their own.
    data_format : "channels_last", for signals (batch, time, channels), or "channels_first".

    Output (batch, frames, channels * frequencies), with expand_dims (batch, frames, frequencies, channels); for
    "channels_first" (batch, channels * frequencies, frames) and (batch, channels, frames, frequencies). Weights
    real_kernel and imag_kernel (frame_length, 1, frequencies), as far as the mode needs them. ValueError for numbers
    that do not go together.

    >>> layer = STFTSpectrogram("magnitude", frame_length=4, window=None)
    >>> layer(np.ones((1, 4, 1))).round(3)
    array([[[4., 0., 0.]]], dtype=float32)
    """

    spatial_ndim = 1

    def __init__(
        self,
        mode: str = "log",
        frame_length: int = 256,
        frame_step: int | None = None,
        fft_length: int | None = None,
        window: Any = "hann",
        periodic: bool = False,
        scaling: str | None = "density",
        padding: str = "valid",
        expand_dims: bool = False,
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.mode = choice(f"{self.name}: mode", mode, MODES)
        self.frame_length = positive_integer(f"{self.name}: frame_length", frame_length)
        self.frame_step, self.fft_length = frame_step, fft_length
        self._step = positive_integer(f"{self.name}: frame_step", frame_step or max(self.frame_length // 2, 1))
        if self._step > self.frame_length:
            raise ValueError(
                f"{self.name}: frame_step must not be above frame_length, got {frame_step} and {frame_length}"
            )
        transform = fft_length or 2 ** math.ceil(math.log2(self.frame_length))
        if positive_integer(f"{self.name}: fft_length", transform) < max(self.frame_length, 2):
            raise ValueError(
                f"{self.name}: fft_length must be at least frame_length, and 2, got {transform} and {frame_length}"
            )
        self._frequencies = transform // 2 + 1
        self.window, self.periodic, self.scaling = window, periodic, scaling
        self._initial = {side: STFT(side, window, scaling, periodic) for side in ("real", "imag")}
        self.padding = self.check_padding(padding, "valid", "same")
        self.expand_dims = expand_dims
        self.set_data_format(data_format)

    def build(self, input_shape: Shape) -> None:
        for side, other in (("real", "imag"), ("imag", "real")):
            if self.mode != other:
                shape = (self.frame_length, 1, self._frequencies)
                setattr(self, f"{side}_kernel", self.add_weight(shape, self._initial[side], name=f"{side}_kernel"))
        super().build(input_shape)

    def forward(self, x: Array, *, training: bool = False) -> tuple[Array, Pullback]:
        kernels: list[Parameter] = self.own_weights
        y, pullback, _ = derive(self._spectrum, (x, *(kernel.value for kernel in kernels)), {})
        return y, self.route(pullback, None, *kernels)

    def _spectrum(self, x: Array, *kernels: Array) -> Array:
        xp = array_namespace(x)
        first = self.data_format == CHANNELS_FIRST
        by_channel = x if first else xp.permute_dims(x, (0, 2, 1))
        channels, time = by_channel.shape[1:]
        signals = xp.reshape(by_channel, (-1, time, 1))
        parts = [conv(signals, kernel, strides=self._step, padding=self.padding) for kernel in kernels]
        made = parts[0] if len(parts) == 1 else self._of_both(xp, *parts)
        made = xp.reshape(made, (-1, channels, *made.shape[1:]))  # batch, channels, frames, frequencies
        if self.expand_dims:
            return made if first else xp.permute_dims(made, (0, 2, 3, 1))
        made = xp.permute_dims(made, (0, 1, 3, 2) if first else (0, 2, 1, 3))
        if first:
            return xp.reshape(made, (-1, channels * made.shape[2], made.shape[3]))
        return xp.reshape(made, (-1, made.shape[1], channels * made.shape[3]))

    def _of_both(self, xp: Any, real: Array, imaginary: Array) -> Array:
        """What the mode makes of real and imaginary parts (signals, frames, frequencies)."""
        if self.mode == "stft":
            return xp.concat([real, imaginary], axis=-1)
        if self.mode == "angle":
            return xp.atan2(imaginary, real)
        power = real * real + imaginary * imaginary
        if self.mode == "psd":
            inner = power[..., 1:-1]
            edge = xp.zeros_like(power[..., :1])
            return power + xp.concat([edge, inner, edge], axis=-1)
        magnitude = xp.sqrt(xp.maximum(power, xp.full_like(power, _EPSILON)))
        if self.mode == "magnitude":
            return magnitude
        return xp.log(xp.maximum(magnitude, xp.full_like(magnitude, _EPSILON)))

    def compute_mask(self, x: Any, mask: Any = None) -> Any:
        """Of a signal, whether one of the samples of a frame counts."""
        return self.mask_of_windows(x, mask, (self.frame_length,), (self._step,), self.padding)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        self.check_channels(input_shape)
        channels, count = self.channels_of(input_shape), self._frequencies * (2 if self.mode == "stft" else 1)
        window = (self.frame_length,), (self._step,), self.padding
        shape = self.output_shape(input_shape, lambda sizes: self.windows(sizes, *window).counts, channels * count)
        if not self.expand_dims:
            return shape
        frames = shape[3 - self.channel_axis]
        last = (channels, frames, count) if self.data_format == CHANNELS_FIRST else (frames, count, channels)
        return (shape[0], *last)


@registry.register()
class MelSpectrogram(Layer):
    """Spectrogram on the mel scale, on which equal steps of pitch sound equal, in decibels.

        S = |short-time Fourier transform| ** mag_exp @ triangles;  y = 10 log10(max(S, min_power) / ref_power)

    fft_length, sequence_stride, sequence_length, window : of the transform, see `nnx.ops.stft`, with mirrored ends;
        sequence_length is fft_length by default.
    sampling_rate : samples a second. num_mel_bins : how many triangles there are, from min_freq to max_freq, in hertz;
        by default sampling_rate // 2.
    power_to_db : whether the result is in decibels, of which none is more than top_db below the largest of its signal.
    mag_exp : 1 for magnitudes, 2 for powers. min_power : what counts as nothing. ref_power : 0 decibels.

    Input (batch, samples), or one signal (samples,), output (batch, num_mel_bins, 1 + samples // sequence_stride), or
    without the batch. mel(f) = 1127 log(1 + f / 700). ValueError for numbers that do not go together.

    >>> MelSpectrogram(512, 256, num_mel_bins=8, sampling_rate=8000)(np.ones((2, 1000))).shape
    (2, 8, 4)
    """

    def __init__(
        self,
        fft_length: int = 2048,
        sequence_stride: int = 512,
        sequence_length: int | None = None,
        window: Any = "hann",
        sampling_rate: int = 16000,
        num_mel_bins: int = 128,
        min_freq: float = 20.0,
        max_freq: float | None = None,
        power_to_db: bool = True,
        top_db: float = 80.0,
        mag_exp: float = 2.0,
        min_power: float = 1e-10,
        ref_power: float = 1.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.fft_length = positive_integer(f"{self.name}: fft_length", fft_length)
        self.sequence_stride = positive_integer(f"{self.name}: sequence_stride", sequence_stride)
        self.sequence_length = positive_integer(f"{self.name}: sequence_length", sequence_length or fft_length)
        if self.sequence_length > self.fft_length:
            raise ValueError(
                f"{self.name}: fft_length must not be below sequence_length, got {fft_length} and {sequence_length}"
            )
        self.window = window
        self.sampling_rate = sampling_rate
        self.num_mel_bins = positive_integer(f"{self.name}: num_mel_bins", num_mel_bins)
        self.min_freq, self.max_freq = min_freq, max_freq or sampling_rate // 2
        if not 0 <= self.min_freq < self.max_freq:
            raise ValueError(f"{self.name}: min_freq must be from 0 and below max_freq, got {min_freq} and {max_freq}")
        self.power_to_db = power_to_db
        self.top_db = non_negative_number(f"{self.name}: top_db", top_db)
        self.mag_exp = non_negative_number(f"{self.name}: mag_exp", mag_exp, zero=False)
        self.min_power = non_negative_number(f"{self.name}: min_power", min_power, zero=False)
        self.ref_power = ref_power

    def forward(self, x: Array, *, training: bool = False) -> tuple[Array, Pullback]:
        y, pullback, _ = derive(self._spectrum, (x,), {})
        return y, pullback

    def _spectrum(self, x: Array) -> Array:
        xp = array_namespace(x)
        signal = wide(x)
        transform = (self.sequence_length, self.sequence_stride, self.fft_length)
        real, imaginary = stft(signal, *transform, window=self.window, center=True)
        power = real * real + imaginary * imaginary
        power = power if self.mag_exp == 2 else power ** (self.mag_exp / 2)
        scale = (self.fft_length, self.num_mel_bins, self.sampling_rate, self.min_freq, self.max_freq)
        made = xp.matmul(power, beside(signal, _triangles(*scale).astype(name_of_dtype(signal))))
        if self.power_to_db:
            least = xp.full_like(made, self.min_power)
            made = 10.0 * (xp.log10(xp.maximum(made, least)) - math.log10(max(abs(self.ref_power), self.min_power)))
            made = xp.maximum(made, xp.max(made, axis=(-2, -1), keepdims=True) - self.top_db)
        return xp.astype(xp.matrix_transpose(made), x.dtype, copy=False)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        if len(input_shape) not in (1, 2):
            raise ValueError(f"{self.name}: expected (batch, samples) or (samples,), got shape {input_shape}")
        *batch, samples = input_shape
        odd = self.fft_length % 2  # of which the padding leaves one out
        return (*batch, self.num_mel_bins, None if samples is None else 1 + (samples - odd) // self.sequence_stride)


@functools.lru_cache(maxsize=8)
def _triangles(fft_length: int, bins: int, sampling_rate: float, low: float, high: float) -> np.ndarray:
    """How much each frequency counts for each bin, (fft_length // 2 + 1, bins); that of 0 hertz for none."""

    def mel(frequency: Any) -> Any:
        return 1127.0 * np.log(1.0 + frequency / 700.0)

    pitches = mel(np.linspace(0.0, sampling_rate / 2.0, fft_length // 2 + 1))[1:, None]
    edges = np.linspace(mel(low), mel(high), bins + 2)
    rising = (pitches - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - pitches) / (edges[2:] - edges[1:-1])
    weights = np.maximum(0.0, np.minimum(rising, falling))
    return np.concatenate([np.zeros((1, bins)), weights])
