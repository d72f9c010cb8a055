"""Seeds: what a function that draws random numbers may be given, and the stream that it stands for."""

from __future__ import annotations

from typing import Any, Self

from nnx.members import Advising
from nnx.random.streams import Generator, default, host_words


class SeedGenerator(Generator, Advising):
    """A random stream of one's own: each draw from it gives new numbers.

    seed : a non-negative integer; None (default) takes a part of the default stream that nothing else draws from.
    name : accepted, and kept.

    >>> from nnx import random
    >>> seed = SeedGenerator(1)
    >>> first, second = random.normal((2,), seed=seed), random.normal((2,), seed=seed)
    >>> bool((first == second).any()), bool((first == random.normal((2,), seed=SeedGenerator(1))).all())
    (False, True)
    """

    def __init__(self, seed: int | None = None, name: str | None = None) -> None:
        super().__init__(0 if seed is None else seed)
        if seed is None:
            self.set_state(default().split().state())
        self.seed, self.name = seed, name

    def next(self, ordered: bool = True) -> int:
        """A new seed, a non-negative integer, to be given as `seed=`. ordered : of no effect.

        >>> SeedGenerator(1).next() == SeedGenerator(1).next()
        True
        """
        low, high = host_words(self.draw(2)).tolist()
        return int(low) | int(high) << 32

    def get_config(self) -> dict[str, Any]:
        """The arguments of the constructor, for a layer's `get_config`.

        >>> SeedGenerator(3).get_config()
        {'seed': 3}
        """
        return {"seed": self.seed}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        """One that begins as the one did whose `get_config` this is."""
        return cls(**config)


def stream_of(seed: int | Generator | None) -> Generator:
    """The stream to draw from: the default one for None, a given one, or one that starts from an integer.

    TypeError or ValueError for anything else.

    >>> int(stream_of(7).integers(1)[0]) == int(Generator(7).integers(1)[0])
    True
    """
    if seed is None:
        return default()
    return seed if isinstance(seed, Generator) else Generator(seed)
