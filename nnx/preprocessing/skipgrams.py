"""Pairs of words that stand close to each other, for embeddings.

Mikolov et al., "Efficient Estimation of Word Representations in Vector Space", 2013.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import numpy as np

from nnx import random as nnx_random
from nnx.arguments import is_integer, non_negative_integer, non_negative_number

__all__ = ["make_sampling_table", "skipgrams"]


def make_sampling_table(size: int, sampling_factor: float = 1e-5) -> np.ndarray:
    """How likely the word of each rank is taken by `skipgrams`, the frequent ones less: float64 (size,).

    min(1, sqrt(sampling_factor / f)) with f = 1 / (rank (log(rank) + 0.577) + 1/2 - 1 / (12 rank)), the frequency by
    Zipf's law.

    >>> make_sampling_table(3).round(4)
    array([0.0032, 0.0032, 0.0055])
    """
    rank = np.maximum(np.arange(non_negative_integer("size", size)), 1)
    inverse_frequency = rank * (np.log(rank) + 0.577) + 0.5 - 1.0 / (12.0 * rank)
    return np.minimum(1.0, np.sqrt(non_negative_number("sampling_factor", sampling_factor) * inverse_frequency))


def skipgrams(
    sequence: Sequence[int],
    vocabulary_size: int,
    window_size: int = 4,
    negative_samples: float = 1.0,
    shuffle: bool = True,
    categorical: bool = False,
    sampling_table: Any = None,
    seed: int | None = None,
) -> tuple[list[list[int]], list[Any]]:
    """Pairs of a word and another one close to it, labelled 1, and of a word and any other, labelled 0.

    sequence : numbers of words, of which 0 is none. vocabulary_size : 1 more than the largest of them.
    window_size : how far apart the words of a pair may be. negative_samples : how many pairs with 0 for one with 1.
    shuffle : whether pairs are shuffled. categorical : whether labels are [0, 1] and [1, 0].
    sampling_table : for each number how likely a word with it is taken, see `make_sampling_table`.
    seed : of all of that, for Python's `random`; by default nnx' stream gives one.

    >>> skipgrams([3, 1, 2], 4, window_size=1, negative_samples=0, shuffle=False)
    ([[3, 1], [1, 3], [1, 2], [2, 1]], [1, 1, 1, 1])
    """
    if not is_integer(vocabulary_size, least=2):
        raise ValueError(f"vocabulary_size must be an integer of at least 2, got {vocabulary_size!r}")
    reach = non_negative_integer("window_size", window_size)
    wanted = non_negative_number("negative_samples", negative_samples)
    seed = int(nnx_random.default().integers(1)[0]) if seed is None else seed
    stream = random.Random(seed)
    couples: list[list[int]] = []
    for place, word in enumerate(sequence):
        if not word or (sampling_table is not None and sampling_table[word] < stream.random()):
            continue
        near = range(max(0, place - reach), min(len(sequence), place + reach + 1))
        couples += [[word, sequence[other]] for other in near if other != place and sequence[other]]
    labels: list[Any] = [[0, 1] if categorical else 1] * len(couples)
    count = int(len(couples) * wanted)
    words = [word for word, _ in couples]
    stream.shuffle(words)
    couples += [[words[number % len(words)], stream.randint(1, int(vocabulary_size) - 1)] for number in range(count)]
    labels += [[1, 0] if categorical else 0] * count
    if shuffle:
        for column in (couples, labels):
            random.Random(seed).shuffle(column)
    return couples, labels
