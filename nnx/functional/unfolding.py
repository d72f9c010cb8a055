"""Unfolding of images into the elements of all windows, and back; tables, made from sizes, that stay on the device."""

from __future__ import annotations

from collections.abc import Callable, Hashable

import numpy as np

from nnx.backends import Array, array_namespace, backend_of
from nnx.locks import lock
from nnx.windows import Windows, any_element, is_there, positions_of_windows, windows_of_positions

__all__ = ["fold", "table", "tiles", "unfold"]

_TABLES: dict[tuple[object, ...], Array] = {}
_LOCK = lock()
_MOST_TABLES = 256


def table(make: Callable[..., np.ndarray], sizes: Hashable, like: Array, *options: str) -> Array:
    """Table that `make` computes from windows or other sizes, on the device of `like`, and kept for the next time."""
    backend = backend_of(like)
    key = (make, sizes, options, backend.name, str(backend.device_of(like)))
    found = _TABLES.get(key)
    if found is None:
        made = make(sizes, *options)
        found = backend.keep(like, lambda: backend.put_beside(like, made))
        with _LOCK:
            if len(_TABLES) >= _MOST_TABLES:
                del _TABLES[next(iter(_TABLES))]  # the oldest
            _TABLES[key] = found
    return found


def unfold(x: Array, windows: Windows, outside: float = 0.0) -> Array:
    """Elements of all windows, those of padding `outside`: x (n, rows, columns, c) -> (n, windows, taps, c)

    >>> import numpy as np
    >>> from nnx.windows import windows_of
    >>> windows = windows_of("unfold", (3, 1), (2, 1), (1, 1), "valid")
    >>> unfold(np.asarray([1.0, 2.0, 4.0]).reshape(1, 3, 1, 1), windows)[..., 0].tolist()
    [[[1.0, 2.0], [2.0, 4.0]]]
    """
    xp = array_namespace(x)
    n, height, width, c = x.shape
    (down, across), taps = windows.counts, windows.taps
    if windows.tiled:
        return xp.reshape(xp.permute_dims(tiles(x, windows), (0, 1, 3, 2, 4, 5)), (n, down * across, taps, c))
    flat = xp.reshape(x, (n, height * width, c))
    if windows.padded:
        border = xp.full((n, 1, c), outside, dtype=x.dtype, device=backend_of(x).device_of(x))
        flat = xp.concat([flat, border], axis=1)
    elements = xp.take(flat, table(positions_of_windows, windows, x), axis=1)
    return xp.reshape(elements, (n, down * across, taps, c))


def tiles(x: Array, windows: Windows) -> Array:
    """Windows that lie side by side, without a copy: x (n, rows, columns, c) -> (n, down, kh, across, kw, c)"""
    (down, across), tall, wide = windows.counts, windows.rows.window, windows.columns.window
    covered = x[:, : down * tall, : across * wide, :]
    return array_namespace(x).reshape(covered, (x.shape[0], down, tall, across, wide, x.shape[3]))


def fold(elements: Array, windows: Windows) -> Array:
    """Adjoint of `unfold`: the sums, for each position of the images, of the elements of windows that lie there.

    >>> import numpy as np
    >>> from nnx.windows import windows_of
    >>> windows = windows_of("fold", (3, 1), (2, 1), (1, 1), "valid")
    >>> fold(np.ones((1, 2, 2, 1)), windows).ravel()
    array([1., 2., 1.])
    """
    xp = array_namespace(elements)
    n, c = elements.shape[0], elements.shape[3]
    height, width = windows.rows.size, windows.columns.size
    places = windows_of_positions(windows)
    most = places.shape[1]
    flat = xp.reshape(elements, (n, windows.counts[0] * windows.counts[1] * windows.taps, c))
    found = xp.take(flat, table(any_element, windows, elements), axis=1)
    if (places < 0).any():
        found = xp.where(table(is_there, windows, elements), found, 0.0)
    if most > 1:
        found = xp.sum(xp.reshape(found, (n, height * width, most, c)), axis=2)
    return xp.reshape(found, (n, height, width, c))
