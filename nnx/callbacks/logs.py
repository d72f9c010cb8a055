"""Logs of the batch hooks: numbers that are read from the device only if somebody looks."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping


class LazyLogs(Mapping[str, float]):
    """A read-only mapping from names to Python floats that are fetched together, once, when the first one is read.

    A metric that has several values, such as F1Score, has a NumPy array of them.

    read : returns the dictionary of floats; fetching them may wait for the device.

    >>> logs = LazyLogs(lambda: {"loss": 0.5})
    >>> logs["loss"]
    0.5
    """

    __slots__ = ("_read", "_values")

    def __init__(self, read: Callable[[], dict[str, float]]) -> None:
        self._read: Callable[[], dict[str, float]] | None = read
        self._values: dict[str, float] | None = None

    def _fetched(self) -> dict[str, float]:
        if self._values is None:
            if self._read is None:
                raise RuntimeError(
                    "the logs of a batch were read after its hook had returned, when their numbers were gone; "
                    "inside the hook keep a copy of them, dict(logs)"
                )
            self._values, self._read = self._read(), None
        return self._values

    def expire(self) -> None:
        """The batch is over: what nobody has read can no longer be read, what was read stays."""
        self._read = None

    def copy(self) -> dict[str, float]:
        """The numbers as a plain dictionary."""
        return dict(self._fetched())

    def __getitem__(self, name: str) -> float:
        return self._fetched()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._fetched())

    def __len__(self) -> int:
        return len(self._fetched())

    def __bool__(self) -> bool:
        return True  # without a look at the device: many callbacks start with `logs = logs or {}`

    def __repr__(self) -> str:
        if self._values is None:
            return "LazyLogs(not read)"
        return f"LazyLogs({self._values!r})"
