"""The arrays that an optimiser keeps for its parameters."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from nnx.backends import Array, array_namespace, backend_of, to_numpy
from nnx.parameters import FlatParameters, Parameter
from nnx.precision import wide

Pieces = Mapping[str, Array]
"""The pieces of the slots that belong to one parameter."""

Starts = Mapping[str, float | None]
"""For each slot what a fresh piece is filled with: a number, or None for a copy of the parameter."""


class Slots(dict[str, Array]):
    """Arrays by name, laid out like the flat buffer `flat`: one element for every element of its parameters.

    They follow their parameters: `bind` lays them out again for another buffer, on its device. The pieces of a
    parameter that is not in that buffer, because it was frozen, are kept until it is back. For float16 parameters they
    are float32.
    """

    def __init__(self) -> None:
        super().__init__()
        self.flat: FlatParameters | None = None
        self._parked: dict[Parameter, Pieces] = {}

    def bind(self, flat: FlatParameters, starts: Starts) -> bool:
        """Lay the slots out for a buffer. False if they all belonged to other parameters, and so are lost."""
        known = {**self._parked, **self._pieces()}
        related = not self or any(parameter in known for parameter in flat.parameters)
        if not related:
            known = {}
        flat.gather()
        xp, values = array_namespace(flat.values), wide(flat.values)
        self.clear()
        for name, start in starts.items():
            self[name] = xp.asarray(values, copy=True) if start is None else xp.full_like(values, start)
        self.flat = flat
        for parameter, pieces in self._pieces().items():
            for name, piece in known.pop(parameter, {}).items():
                pieces[name][...] = placed_like(piece, values)
        self._parked = {
            parameter: {name: array_namespace(piece).asarray(piece, copy=True) for name, piece in pieces.items()}
            for parameter, pieces in known.items()
        }
        return related

    def knows(self, flat: FlatParameters) -> bool:
        """Whether there is something of the parameters of a buffer, or nothing of any."""
        known = {**self._parked, **dict.fromkeys([] if self.flat is None else self.flat.parameters)}
        return not known or any(parameter in known for parameter in flat.parameters)

    def reset(self, flat: FlatParameters) -> None:
        """Forget the pieces of a buffer's parameters; those of others, which are frozen now, are kept."""
        known = {**self._parked, **self._pieces()}
        self._parked = {parameter: known[parameter] for parameter in known.keys() - set(flat.parameters)}
        self.clear()
        self.flat = None

    def views(self) -> dict[str, Array]:
        """The pieces in the shapes of their parameters, under "slot/path of the parameter"."""
        return {
            f"{name}/{parameter.path}": array_namespace(piece).reshape(piece, parameter.shape)
            for parameter, pieces in self._pieces().items()
            for name, piece in pieces.items()
        }

    def check(self, flat: FlatParameters, starts: Starts, arrays: Mapping[str, Array], owner: str) -> None:
        """ValueError unless the arrays are what `views` would return for this buffer."""
        shapes = {f"{name}/{parameter.path}": parameter.shape for name in starts for parameter in flat.parameters}
        for key in sorted(shapes.keys() ^ arrays.keys()):
            problem = "is missing" if key in shapes else "is not one of its arrays"
            raise ValueError(f"the saved state does not fit the optimizer {owner}: {key!r} {problem}")
        for key, shape in shapes.items():
            if tuple(arrays[key].shape) != shape:
                raise ValueError(
                    f"the saved state does not fit the optimizer {owner}: {key!r} has shape "
                    f"{tuple(arrays[key].shape)}, expected {shape}"
                )

    def fill(self, arrays: Mapping[str, Array]) -> None:
        """Take over the values of what `views` returned."""
        for key, view in self.views().items():
            view[...] = placed_like(arrays[key], view)

    def _pieces(self) -> dict[Parameter, Pieces]:
        if self.flat is None:
            return {}
        return {
            parameter: {name: slot[start:stop] for name, slot in self.items()}
            for parameter, (start, stop) in zip(self.flat.parameters, self.flat.slices, strict=True)
        }


def placed_like(array: Array | np.ndarray, like: Array) -> Array:
    """An array of any backend on the device and with the dtype of `like`."""
    home = backend_of(like)
    if backend_of(array) is not home or home.device_of(array) != home.device_of(like):
        array = home.put_beside(like, to_numpy(array))
    return home.xp.astype(array, like.dtype, copy=False)
