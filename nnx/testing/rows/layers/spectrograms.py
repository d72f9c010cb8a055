"""Examples of layers: spectrograms of signals."""

from __future__ import annotations

from nnx.layers.spectrograms import MelSpectrogram, STFTSpectrogram
from nnx.testing.rows.layer_case import LayerRows

LAYERS = LayerRows()
_layer = LAYERS.one_input


_layer("STFTSpectrogram", lambda: STFTSpectrogram(frame_length=6, frame_step=2), 2, 11, 2)
_layer("STFTSpectrogram real", lambda: STFTSpectrogram("real", 4, scaling=None, padding="same"), 2, 7, 1)
_layer(
    "STFTSpectrogram stft channels first",
    lambda: STFTSpectrogram("stft", 4, 3, 8, "hamming", True, "spectrum", data_format="channels_first"),
    *(2, 3, 11),
)
_layer("STFTSpectrogram psd expanded", lambda: STFTSpectrogram("psd", 4, window="bartlett", expand_dims=True), 2, 9, 2)
_layer("STFTSpectrogram magnitude", lambda: STFTSpectrogram("magnitude", 5, 5, window=[1, 2, 3, 2, 1]), 3, 17, 1)
_layer("STFTSpectrogram angle", lambda: STFTSpectrogram("angle", 4, window=None, expand_dims=True), 2, 9, 2)
_layer(
    "MelSpectrogram",
    lambda: MelSpectrogram(16, 5, 12, sampling_rate=400, num_mel_bins=5, max_freq=180.0, ref_power=2.0),
    *(3, 40),
)
_layer(
    "MelSpectrogram of magnitudes",
    lambda: MelSpectrogram(8, 4, window="hamming", sampling_rate=100, num_mel_bins=3, power_to_db=False, mag_exp=1.0),
    *(2, 21),
)
