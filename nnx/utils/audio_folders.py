"""Folders of sounds."""

from __future__ import annotations

import os
import wave
from collections.abc import Sequence
from typing import Any

import numpy as np

from nnx.arguments import optional_integer
from nnx.utils.folders import FolderOptions, datasets_of_files


def audio_dataset_from_directory(
    directory: str | os.PathLike[str],
    labels: Any = "inferred",
    label_mode: str | None = "int",
    class_names: Sequence[str] | None = None,
    batch_size: int | None = 32,
    sampling_rate: int | None = None,
    output_sequence_length: int | None = None,
    ragged: bool = False,
    shuffle: bool = True,
    seed: int | None = None,
    validation_split: float | None = None,
    subset: str | None = None,
    follow_links: bool = False,
    verbose: bool = True,
) -> Any:
    """The sounds in the .wav files of a folder, of 16 bits, with the folders in it as classes.

    sampling_rate : that all files must have, in samples a second; by default they may have any.
    output_sequence_length : how many samples of each there are, cut or filled up with zeros; by default as many as the
        longest in the batch has.
    ragged : sounds of their own lengths, a list of arrays.
    Other arguments are those of `text_dataset_from_directory`.

    Batches are float32 (batch, samples, channels) from -1 to 1, or (sounds, labels); with "both" a tuple. ValueError
    for options that contradict each other, where there are no files, and for a file that is no such sound.
    """
    if ragged and output_sequence_length is not None:
        raise ValueError("ragged=True and output_sequence_length contradict each other")
    optional_integer("sampling_rate", sampling_rate)
    optional_integer("output_sequence_length", output_sequence_length)
    options = FolderOptions(
        *(labels, label_mode, class_names, batch_size, shuffle, seed, validation_split, subset, follow_links, verbose)
    )

    def read(path: str) -> np.ndarray:
        sound = _samples(path, sampling_rate)
        return sound if output_sequence_length is None else _of_length(sound, output_sequence_length)

    def joined(sounds: list[np.ndarray]) -> Any:
        if ragged:
            return sounds
        longest = max(map(len, sounds))
        return np.stack([_of_length(sound, longest) for sound in sounds])

    made = datasets_of_files(directory, options, (".wav",), read, joined)
    return tuple(made) if isinstance(made, list) else made


def _samples(path: str, sampling_rate: int | None) -> np.ndarray:
    try:
        with wave.open(path, "rb") as sound:
            form, frames = sound.getparams(), sound.readframes(sound.getnframes())
    except (wave.Error, EOFError) as error:
        raise ValueError(f"{path} is no sound that can be read: {error or 'it ends too early'}") from error
    if form.sampwidth != 2:
        raise ValueError(f"{path} has samples of {8 * form.sampwidth} bits, expected 16")
    if sampling_rate not in (None, form.framerate):
        raise ValueError(f"{path} has {form.framerate} samples a second, expected {sampling_rate}")
    whole = len(frames) // (2 * form.nchannels) * 2 * form.nchannels
    return (np.frombuffer(frames[:whole], "<i2") / np.float32(32768)).reshape(-1, form.nchannels)


def _of_length(sound: np.ndarray, length: int) -> np.ndarray:
    filled = np.zeros((length, sound.shape[1]), np.float32)
    filled[: len(sound)] = sound[:length]
    return filled
