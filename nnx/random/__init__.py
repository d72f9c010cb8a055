"""Random numbers, equal on every backend: draws of one seeded stream, and the distributions of `keras.random`.

`normal`, `uniform` and their kin draw from the default stream, which `set_seed` starts, or from a seed of their own.
What they return lies on the device of the current backend, and is a constant where derivatives are taken. A layer or
a script that wants a stream of its own keeps a `SeedGenerator`.
"""

from typing import TYPE_CHECKING

from nnx.lazy_loading import not_there
from nnx.random.distributions import (
    beta,
    binomial,
    categorical,
    dropout,
    gamma,
    normal,
    randint,
    shuffle,
    truncated_normal,
    uniform,
)
from nnx.random.seed_generator import SeedGenerator
from nnx.random.streams import (
    Draw,
    Generator,
    bernoulli,
    default,
    set_seed,
    uniform_beside,
)
from nnx.random.streams import host_words as host_words

__all__ = [
    "Draw",
    "Generator",
    "SeedGenerator",
    "bernoulli",
    "beta",
    "binomial",
    "categorical",
    "default",
    "dropout",
    "gamma",
    "normal",
    "randint",
    "set_seed",
    "shuffle",
    "truncated_normal",
    "uniform",
    "uniform_beside",
]

if not TYPE_CHECKING:
    __getattr__ = not_there(
        __name__,
        "nnx.random has no {name!r}. Numbers on the host: nnx.random.default().normal(shape), or those of "
        "nnx.random.Generator(seed). Arrays of the current backend: nnx.random.normal(shape), uniform, randint, "
        "categorical, shuffle, dropout and others, as in keras.random",
    )
