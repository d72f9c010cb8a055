"""Reuters: 11,228 newswires of 1987 on 46 topics, from the Reuters-21578 collection (Lewis, 1997)."""

from __future__ import annotations

import os

import numpy as np

from nnx.datasets._download import Source, file_of
from nnx.datasets._split import Pair, check_test_split
from nnx.datasets._words import Encoding, read_texts, read_word_index, shuffled

__all__ = ["get_label_names", "get_word_index", "load_data"]

_MIRRORS = ("https://storage.googleapis.com/tensorflow/tf-keras-datasets/",)
SOURCE = Source(
    name="reuters",
    mirrors=_MIRRORS,
    checksums={"reuters.npz": "d6586e694ee56d7a4e65172e12b3e987c03096cb01eab99753921ef915959916"},
)
WORD_INDEX = Source(
    name="reuters",
    mirrors=_MIRRORS,
    checksums={"reuters_word_index.json": "md5:4d44cc38712099c9e383dc6e5f11a921"},
)
_LABEL_NAMES = """
cocoa grain veg-oil earn acq wheat copper housing money-supply coffee sugar trade reserves ship cotton carcass crude
nat-gas cpi money-fx interest gnp meal-feed alum oilseed gold tin strategic-metal livestock retail ipi iron-steel
rubber heat jobs lei bop zinc orange pet-chem dlr gas silver wpi hog lead
"""


def load_data(
    path: str | os.PathLike[str] | None = None,
    num_words: int | None = None,
    skip_top: int = 0,
    maxlen: int | None = None,
    test_split: float = 0.2,
    seed: int = 113,
    start_char: int | None = 1,
    oov_char: int | None = 2,
    index_from: int | None = 3,
) -> tuple[Pair, Pair]:
    """`(x_train, y_train), (x_test, y_test)`: newswires as lists of numbers of words, with their topics.

    Newswires are arrays (n,) of lists of integers, the more frequent a word the smaller its number; labels are int64
    (n,), 0 to 45: see `get_label_names`. The order is that of Keras with the same seed.

    path : None (default) downloads reuters.npz once, with its checksum, into the user's cache (2 MB; needs pooch,
        `pip install 'nnx-array[examples]'`). Else that file, or a folder that has it.
    num_words : how many of the most frequent words are kept, those below index_from counted; None (default) keeps those
        below the largest number that occurs, so that the word with that number is left out, as in Keras.
    skip_top : how many of the most frequent words are left out, start_char and numbers below index_from counted;
        default 0.
    maxlen : texts of so many numbers or more are left out, their start counted; None (default) keeps all.
    test_split : the fraction of the newswires that is for testing, default 0.2.
    seed : decides the order, default 113; the random stream of nnx is not touched.
    start_char : the number before each text, default 1; None for nothing.
    oov_char : the number in the place of each word that is left out, default 2; None drops those words.
    index_from : what is added to the number of each word, default 3: 0 is for padding.

    Raises FileNotFoundError for a file that is not there, OSError for a download that fails, ValueError for a
    test_split outside [0, 1), for a maxlen that leaves nothing, and, naming the file, for one that is damaged or is
    something else.
    """
    check_test_split(test_split)
    texts = shuffled(read_texts(file_of(SOURCE, path), "x", "y"), np.random.RandomState(seed))
    ((words, labels),) = Encoding(num_words, skip_top, maxlen, start_char, oov_char, index_from).of([texts])
    end = int(len(words) * (1 - test_split))
    return (words[:end], labels[:end]), (words[end:], labels[end:])


def get_word_index(path: str | os.PathLike[str] | None = None) -> dict[str, int]:
    """The number of each word, 1 for the most frequent one; `load_data` adds its index_from to them.

    path : None (default) downloads reuters_word_index.json once, with its checksum (0.5 MB). Else that file, or a
        folder that has it.

    Raises what `load_data` does.
    """
    return read_word_index(WORD_INDEX, path)


def get_label_names() -> tuple[str, ...]:
    """The names of the 46 topics, in the order of the labels."""
    return tuple(_LABEL_NAMES.split())
