"""Traced arguments: `training` and `mask` of a `call`, which are known only when the layer runs."""

from __future__ import annotations

from typing import Any, NoReturn


class TracedArgument:
    """An argument that is handed on to layers, and has no value while a call is traced.

    name : the argument's. advice : what to do instead of reading it.
    """

    __slots__ = ("_advice", "_name")

    def __init__(self, name: str, advice: str) -> None:
        self._name = name
        self._advice = advice

    def __repr__(self) -> str:
        return self._name

    def refuse(self, *arguments: Any) -> NoReturn:
        """TypeError, with what to do instead of reading the argument."""
        raise TypeError(f"call() looks at `{self._name}`, but it is traced once, before there is one: {self._advice}")

    __bool__ = __float__ = __int__ = __index__ = __len__ = __iter__ = refuse
    __eq__ = __ne__ = __lt__ = __le__ = __gt__ = __ge__ = refuse
    __getitem__ = __invert__ = __and__ = __rand__ = __or__ = __ror__ = refuse
    __hash__ = object.__hash__

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        self.refuse()


TRAINING = TracedArgument(
    "training",
    "hand `training` on to the layers that need it, or write forward(self, x, *, training=False), which returns "
    "(y, pullback)",
)

MASK = TracedArgument(
    "mask",
    "masks travel through the layers of a call by themselves; for anything else write forward(self, x, *, "
    "training=False, mask=None), which returns (y, pullback), and set `uses_mask = True`",
)
