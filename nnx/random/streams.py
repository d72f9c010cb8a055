"""One seeded stream of random numbers, the same on every backend.

The generator is Philox4x64-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", 2011): block `c` of the
stream is a pure function of the key and of `c`. So a piece of the stream can be described by a `Draw`, which costs
nothing, and computed where and when it is needed, also a second time. Integers, uniforms and Bernoulli masks are
equal to the last bit on every backend; normals are made on the host.
"""

from __future__ import annotations

import contextlib
import contextvars
import dataclasses
import hashlib
import math
from collections.abc import Callable, Iterator
from typing import Any, NoReturn

import numpy as np

from nnx import ranks
from nnx.arguments import non_negative_integer
from nnx.backends import Array, array_namespace, backend_of
from nnx.kernels import accelerated
from nnx.locks import lock

__all__ = ["Draw", "Generator", "bernoulli", "default", "set_seed", "uniform_beside"]

_WORDS_PER_BLOCK = 8  # a Philox block is four 64-bit words; each gives two 32-bit words, the low half first
_COUNTERS = 1 << 256


@dataclasses.dataclass(frozen=True, slots=True)
class Draw:
    """A piece of a random stream: `size` 32-bit words, from block `counter` of the stream with that `key`.

    >>> generator = Generator(1)
    >>> first, second = generator.draw(8), generator.draw(4)
    >>> second.counter - first.counter, second.size
    (1, 4)
    """

    key: int
    counter: int
    size: int

    def words(self) -> np.ndarray:
        """The words, uint32 (size,), on the host."""
        try:
            bits, place = _IDLE.pop()  # one that no other thread has
        except IndexError:
            bits, place = np.random.Philox(key=0), None
        if place != (self.key, self.counter):  # else it stands where this draw begins, behind the one before
            bits.state = {
                "bit_generator": "Philox",
                # NumPy's Philox increments its counter before each block: start one block earlier
                "state": {"counter": _as_uint64((self.counter - 1) % _COUNTERS, 4), "key": _as_uint64(self.key, 2)},
                "buffer": _EMPTY,
                "buffer_pos": len(_EMPTY),
                "has_uint32": 0,
                "uinteger": 0,
            }
        count = -(-self.size // 2)
        words = bits.random_raw(count)
        blocks, rest = divmod(count, len(_EMPTY))
        _IDLE.append((bits, None if rest else (self.key, self.counter + blocks)))
        return words.astype("<u8", copy=False).view("<u4")[: self.size]


_drawing: contextvars.ContextVar[Callable[[Generator, int, bool], Draw] | None] = contextvars.ContextVar(
    "nnx_drawing", default=None
)


@contextlib.contextmanager
def drawing_by(function: Callable[[Generator, int, bool], Any] | None) -> Iterator[None]:
    """A block in which this thread or task gets its draws from a function, in place of the generator that it asks.

    function : None for the generator, as ever.
    """
    token = _drawing.set(function)
    try:
        yield
    finally:
        _drawing.reset(token)


def refusing_draws(reason: str) -> contextlib.AbstractContextManager[None]:
    """A block in which this thread or task can draw from no stream: TypeError, with that reason."""

    def refuse(*_: Any) -> NoReturn:
        raise TypeError(reason)

    return drawing_by(refuse)


class Generator:
    """A random stream that starts from a seed.

    seed : a non-negative integer, any size; the same seed gives the same stream, everywhere.

    >>> Generator(7).uniform((2,)) == Generator(7).uniform((2,))
    array([ True,  True])
    """

    def __init__(self, seed: int) -> None:
        seed = non_negative_integer("seed", seed)
        self._key = int.from_bytes(hashlib.sha256(b"nnx" + str(seed).encode()).digest()[:16], "little")
        self._counter = 0
        self._lock = lock()

    def __repr__(self) -> str:
        return f"<nnx random generator, key {self._key:032x}, block {self._counter}>"

    def __reduce__(self) -> tuple[Any, ...]:  # copies start where this generator is; its lock cannot be copied
        return type(self).from_state, (self.state(),)

    def draw(self, size: int, *, by_rows: bool = False) -> Draw:
        """Reservation of the next `size` 32-bit words of the stream, which are not computed yet.

        Threads get different ones.

        by_rows : whether the rows of a batch get words of their own; then so do the ranks that train on it together.

        ValueError for a negative size.

        >>> generator = Generator(1)
        >>> first, second = generator.draw(8), generator.draw(8)
        >>> second.counter - first.counter  # a block has eight words
        1
        """
        if size < 0:
            raise ValueError(f"the size of a draw must not be negative, got {size}")
        drawing = _drawing.get()
        if drawing is not None:
            return drawing(self, size, by_rows)
        start, stop = ranks.words_of_rows(size) if by_rows else (0, size)
        with self._lock:
            counter = self._counter
            self._counter = (counter + -(-stop // _WORDS_PER_BLOCK)) % _COUNTERS
        return Draw(self._key, (counter + start // _WORDS_PER_BLOCK) % _COUNTERS, size)

    def split(self) -> Generator:
        """A new generator whose stream is independent of this one; this one moves on by one block.

        >>> parent = Generator(1)
        >>> child = parent.split()
        >>> bool((child.integers(4) == parent.integers(4)).any())
        False
        """
        child = Generator(0)
        child._key = int.from_bytes(host_words(self.draw(4)).tobytes(), "little")
        return child

    def state(self) -> dict[str, str]:
        """The key and the counter, as text that fits into JSON.

        >>> generator = Generator(1)
        >>> _ = generator.integers(8)
        >>> generator.state()["counter"]
        '1'
        """
        with self._lock:
            return {"key": f"{self._key:x}", "counter": f"{self._counter:x}"}

    def set_state(self, state: dict[str, str]) -> None:
        """Continuation of the stream from where `state()` was called. ValueError for anything else than such a state.

        >>> generator = Generator(1)
        >>> state = generator.state()
        >>> numbers = generator.integers(4)
        >>> generator.set_state(state)
        >>> bool((generator.integers(4) == numbers).all())
        True
        """
        try:
            key, counter = int(state["key"], 16), int(state["counter"], 16)
        except (TypeError, KeyError, ValueError):
            key = counter = -1
        if not (0 <= key < 1 << 128 and 0 <= counter < _COUNTERS):
            raise ValueError(f"not a state of a random generator: {state!r}")
        with self._lock:
            self._key, self._counter = key, counter

    @classmethod
    def from_state(cls, state: dict[str, str]) -> Generator:
        """A generator that goes on where `state()` was called. ValueError for anything else than such a state.

        >>> generator = Generator(1)
        >>> copy = Generator.from_state(generator.state())
        >>> bool((copy.integers(4) == generator.integers(4)).all())
        True
        """
        generator = cls(0)
        generator.set_state(state)
        return generator

    # Numbers on the host. What is needed on a device is drawn there: see `uniform_beside`, `bernoulli`.

    def integers(self, size: int) -> np.ndarray:
        """`size` uniform 32-bit unsigned integers, uint32 (size,).

        >>> Generator(1).integers(3).shape
        (3,)
        """
        return host_words(self.draw(size))

    def uniform(self, shape: tuple[int, ...], low: float = 0.0, high: float = 1.0) -> np.ndarray:
        """float64 numbers from [low, high), by default [0, 1), on a grid of 2**-53.

        >>> numbers = Generator(1).uniform((2, 3), low=-1.0)
        >>> numbers.shape, bool((-1.0 <= numbers).all() and (numbers < 1.0).all())
        ((2, 3), True)
        """
        words = host_words(self.draw(2 * math.prod(shape))).view("<u8")
        words >>= np.uint64(11)
        numbers = words.astype(np.float64).reshape(shape)
        del words  # weights may be large
        numbers *= 2.0**-53 * (high - low)  # to the last bit what two products are
        numbers += low
        return numbers

    def normal(self, shape: tuple[int, ...], mean: float = 0.0, stddev: float = 1.0) -> np.ndarray:
        """float64 numbers of a normal distribution, by default mean 0 and stddev 1, by the method of Box and Muller.

        >>> numbers = Generator(1).normal((10000,), stddev=2.0)
        >>> round(float(numbers.std()), 1)
        2.0
        """
        size = math.prod(shape)
        radius, angle = self.uniform((2, -(-size // 2)))
        radius = np.sqrt(-2.0 * np.log1p(-radius))
        pairs = np.stack([radius * np.cos(2.0 * np.pi * angle), radius * np.sin(2.0 * np.pi * angle)])
        return mean + stddev * pairs.reshape(-1)[:size].reshape(shape)

    def truncated_normal(self, shape: tuple[int, ...], mean: float = 0.0, stddev: float = 1.0) -> np.ndarray:
        """float64 normal numbers; those beyond two standard deviations are drawn again.

        mean, stddev : of the distribution before, by default 0 and 1; that of what is left is 0.88 of `stddev`.

        >>> numbers = Generator(1).truncated_normal((10000,))
        >>> bool((abs(numbers) <= 2.0).all()), round(float(numbers.std()), 1)
        (True, 0.9)
        """
        values = self.normal(shape)
        while (outside := np.abs(values) > 2.0).any():
            values[outside] = self.normal((int(outside.sum()),))
        return mean + stddev * values

    def numpy_generator(self) -> np.random.Generator:
        """NumPy's generator, for the distributions that are not here; it begins where this stream is, which moves on.

        Its numbers may change with the version of NumPy.

        >>> Generator(1).numpy_generator().beta(2.0, 2.0, size=3).shape
        (3,)
        """
        return np.random.Generator(np.random.Philox(np.random.SeedSequence(self.integers(8).tolist())))

    def permutation(self, size: int) -> np.ndarray:
        """The numbers 0 to size - 1 in random order, int64 (size,).

        >>> sorted(Generator(1).permutation(4).tolist())
        [0, 1, 2, 3]
        """
        keys = host_words(self.draw(2 * size)).view("<u8")
        order = np.argsort(keys)  # five times as fast as a stable sort, and the same one unless two are equal
        ordered = keys[order]
        return order if np.all(ordered[1:] > ordered[:-1]) else np.argsort(keys, kind="stable")


def host_words(draw: Draw) -> np.ndarray:
    """The 32-bit words of a draw, uint32 (draw.size,), on the host."""
    return draw.words()


_IDLE: list[tuple[np.random.Philox, tuple[int, int] | None]] = []
"""One is used again and again, as a new one asks the system for a seed that nobody needs; and where it stands."""
_EMPTY = np.zeros(4, np.uint64)


def _as_uint64(number: int, size: int) -> np.ndarray:
    return np.frombuffer(number.to_bytes(8 * size, "little"), "<u8")


@accelerated
def words_below(like: Array, draw: Draw, threshold: int) -> Array:
    """Boolean array of the shape and device of `like`: whether each word of the draw is below the threshold."""
    return backend_of(like).put_beside(like, (host_words(draw) < threshold).reshape(like.shape))


@accelerated
def uniform_beside(like: Array, draw: Draw) -> Array:
    """Numbers from [0, 1) on a grid of 2**-24, of the shape, dtype and device of `like`.

    draw : of as many words as the array has elements.

    >>> numbers = uniform_beside(np.zeros((2, 3), "float32"), Generator(1).draw(6))
    >>> numbers.shape, numbers.dtype, bool((0.0 <= numbers).all() and (numbers < 1.0).all())
    ((2, 3), dtype('float32'), True)
    """
    xp = array_namespace(like)
    unit = ((host_words(draw) >> np.uint32(8)).astype(np.float32) * np.float32(2.0**-24)).reshape(like.shape)
    return xp.astype(backend_of(like).put_beside(like, unit), like.dtype, copy=False)


def bernoulli(like: Array, draw: Draw, probability: float) -> Array:
    """Boolean array of the shape and device of `like`, true with that probability.

    draw : of as many words as the array has elements.
    probability : from 0 to 1. The comparison is of integers, with round(probability * 2**32), and so exact on every
        backend.

    >>> bernoulli(np.zeros((2, 3)), Generator(1).draw(6), 1.0).tolist()
    [[True, True, True], [True, True, True]]
    """
    return words_below(like, draw, round(probability * 2.0**32))


_default: Generator | None = None
_default_lock = lock()
_inside: contextvars.ContextVar[Generator | None] = contextvars.ContextVar("nnx_random", default=None)


def default() -> Generator:
    """The generator that everything without a seed of its own draws from.

    Before `set_seed` its seed follows NumPy's global generator, without drawing from it: chance, unless the script
    called `np.random.seed`, as many do.

    >>> set_seed(1)
    >>> default().permutation(3).shape
    (3,)
    """
    global _default
    inside = _inside.get()
    if inside is not None:
        return inside
    if _default is None:
        with _default_lock:  # one stream, also when two threads ask for it first
            if _default is None:
                _default = Generator(_numpy_seed())
    return _default


def _numpy_seed() -> int:
    state: Any = np.random.get_state(legacy=True)  # noqa: NPY002, the global generator is the point
    _, words, position, *_ = state
    return int.from_bytes(hashlib.sha256(words.tobytes() + b"%d" % position).digest(), "big")


def set_seed(seed: int) -> None:
    """Start of the default stream anew, from a seed. Call it before the model is built.

    seed : a non-negative integer, any size; TypeError or ValueError for anything else.

    >>> set_seed(1); a = default().uniform((3,)); set_seed(1)
    >>> bool((default().uniform((3,)) == a).all())
    True
    """
    global _default
    if _inside.get() is not None:
        _inside.set(Generator(seed))
    else:
        _default = Generator(seed)


@contextlib.contextmanager
def default_stream(generator: Generator | None) -> Iterator[None]:
    """A block in which a generator is the default stream, in this thread and task alone; None changes nothing.

    What `set_seed` starts inside ends with the block.

    >>> with default_stream(Generator(1)):
    ...     a = default().uniform((3,))
    >>> bool((Generator(1).uniform((3,)) == a).all())
    True
    """
    token = _inside.set(generator or _inside.get())
    try:
        yield
    finally:
        _inside.reset(token)
