"""A function call inside of a pickle, which readers of data have to refuse."""

from __future__ import annotations

from typing import Any


class Call:
    """Pickled as a call of a function."""

    def __init__(self, *call: Any) -> None:
        self.call = call

    def __reduce__(self) -> Any:
        return self.call[0], tuple(self.call[1:])
