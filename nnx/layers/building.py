"""Building of layers: by one thread at a time, and undone if it fails."""

from __future__ import annotations

import contextvars
import functools
from collections.abc import Callable
from typing import Any

from nnx.locks import reentrant_lock

BUILDING = reentrant_lock()
"""Held while a layer is built: several threads may meet one for the first time."""

_built: contextvars.ContextVar[list[Any] | None] = contextvars.ContextVar("nnx_built_layers", default=None)


class undone_if_it_fails:  # noqa: N801, a block as those of contextlib, without the generator that these take time for
    """Around the building of a layer: after an error it, and all layers built meanwhile, are as if never built."""

    def __init__(self, layer: Any) -> None:
        self._layer = layer

    def __enter__(self) -> None:
        self._layer._adopt_variables()  # those of the constructor are no part of what is undone
        self._before, self._outer, self._inner = list(self._layer.own_weights), _built.get(), []  # type: ignore[var-annotated]
        self._token = _built.set(self._inner)

    def __exit__(self, kind: Any, *_: object) -> None:
        _built.reset(self._token)
        built = (*self._inner, (self._layer, self._before))
        if kind is not None:
            for one, weights in built:
                one.forget_build(weights)
        elif self._outer is not None:
            self._outer.extend(built)


def marking_as_built(build: Callable[..., None]) -> Callable[..., None]:
    """A `build`, after which the layer is built, whether it says so itself or not."""

    @functools.wraps(build)
    def marked(self: Any, *shapes: Any, **named: Any) -> None:
        build(self, *shapes, **named)
        if not self.built:
            given = [one for one in (*shapes, *named.values()) if isinstance(one, list | tuple | dict)]
            self.finish_build(given[0] if len(given) == 1 else given or None)

    return marked
