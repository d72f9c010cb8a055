"""Building that leaves nothing behind where it fails."""

from __future__ import annotations

import contextlib
import contextvars
from collections.abc import Iterator
from typing import Any

_built: contextvars.ContextVar[list[Any] | None] = contextvars.ContextVar("nnx_built_layers", default=None)


@contextlib.contextmanager
def undone_if_it_fails(layer: Any) -> Iterator[None]:
    """Around the building of a layer: after an error it, and all layers built meanwhile, are as if never built."""
    outer, inner = _built.get(), []  # type: ignore[var-annotated]
    before = list(layer.own_weights)
    token = _built.set(inner)
    try:
        yield
    except BaseException:
        for one, weights in (*inner, (layer, before)):
            one.forget_build(weights)
        raise
    finally:
        _built.reset(token)
    if outer is not None:
        outer.extend((*inner, (layer, before)))
