"""IMDB: 50,000 reviews of films, for or against (Maas et al., 2011)."""

from __future__ import annotations

import os

import numpy as np

from nnx.datasets._download import Source, file_of
from nnx.datasets._split import Pair
from nnx.datasets._words import Encoding, read_texts, read_word_index, shuffled

__all__ = ["get_word_index", "load_data"]

_MIRRORS = ("https://storage.googleapis.com/tensorflow/tf-keras-datasets/",)
SOURCE = Source(
    name="imdb",
    mirrors=_MIRRORS,
    checksums={"imdb.npz": "69664113be75683a8fe16e3ed0ab59fda8886cb3cd7ada244f7d9544e4676b9f"},
)
WORD_INDEX = Source(
    name="imdb",
    mirrors=_MIRRORS,
    checksums={"imdb_word_index.json": "md5:bfafd718b763782e994055a2d397834f"},
)


def load_data(
    path: str | os.PathLike[str] | None = None,
    num_words: int | None = None,
    skip_top: int = 0,
    maxlen: int | None = None,
    seed: int = 113,
    start_char: int | None = 1,
    oov_char: int | None = 2,
    index_from: int | None = 3,
) -> tuple[Pair, Pair]:
    """`(x_train, y_train), (x_test, y_test)`: 25,000 reviews each, as lists of numbers of words, with their labels.

    Reviews are arrays (n,) of lists of integers, the more frequent a word the smaller its number; labels are int64
    (n,), 1 for and 0 against. The order is that of Keras with the same seed.

    path : None (default) downloads imdb.npz once, with its checksum, into the user's cache (17 MB; needs pooch,
        `pip install 'nnx-array[examples]'`). Else that file, or a folder that has it.
    num_words : how many of the most frequent words are kept, those below index_from counted; None (default) keeps those
        below the largest number that occurs, so that the word with that number is left out, as in Keras.
    skip_top : how many of the most frequent words are left out, start_char and numbers below index_from counted;
        default 0.
    maxlen : texts of so many numbers or more are left out, their start counted; None (default) keeps all.
    seed : decides the order, default 113; the random stream of nnx is not touched.
    start_char : the number before each text, default 1; None for nothing.
    oov_char : the number in the place of each word that is left out, default 2; None drops those words.
    index_from : what is added to the number of each word, default 3: 0 is for padding.

    Raises FileNotFoundError for a file that is not there, OSError for a download that fails, ValueError for a maxlen
    that leaves nothing, and, naming the file, for one that is damaged or is something else.
    """
    file, random = file_of(SOURCE, path), np.random.RandomState(seed)
    parts = [shuffled(read_texts(file, f"x_{part}", f"y_{part}"), random) for part in ("train", "test")]
    train, test = Encoding(num_words, skip_top, maxlen, start_char, oov_char, index_from).of(parts)
    return train, test


def get_word_index(path: str | os.PathLike[str] | None = None) -> dict[str, int]:
    """The number of each word, 1 for the most frequent one; `load_data` adds its index_from to them.

    path : None (default) downloads imdb_word_index.json once, with its checksum (1.6 MB). Else that file, or a folder
        that has it.

    Raises what `load_data` does.
    """
    return read_word_index(WORD_INDEX, path)
