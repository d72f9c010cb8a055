"""Stores: what a file has of layers whose classes say it themselves, by `save_own_variables`."""

from __future__ import annotations

import collections
import contextlib
import copy
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from nnx.autodiff.array import lower
from nnx.backends import is_array, to_numpy
from nnx.layers.layer import Layer
from nnx.names import shortened
from nnx.parameters import Parameter

__all__ = ["Store", "each_once", "kept_by_path", "load_stores", "put_back_if_it_fails", "stored"]


class Store(collections.UserDict[str, np.ndarray]):
    """What a layer puts into a file: arrays on the host, by their names.

    of : what the layer is called in errors. host : a weight as it is stored.

    ValueError for a name that is none, TypeError for what is not made of numbers.

    >>> store = Store("scale")
    >>> store["calls"] = 3
    >>> store["calls"]
    array(3)
    """

    def __init__(self, of: str, host: Callable[[Parameter], np.ndarray] | None = None) -> None:
        super().__init__()
        self._of, self._host = of, host or _value

    def __setitem__(self, name: str, value: Any) -> None:
        label = f"{self._of}: save_own_variables stores {shortened(repr(name))}"
        if not isinstance(name, str) or name in ("", ".") or set(name) & set("/\0"):
            raise ValueError(f"{label}, expected a name without '/'")
        if isinstance(value, Parameter):
            array = self._host(value)
        else:
            array = to_numpy(lower(value)) if is_array(value) else _host_array(value)
        if array.dtype.kind not in "biuf" or array.dtype.itemsize > 8:
            given = array.dtype if is_array(value) else type(value).__name__
            raise TypeError(
                f"{label}, of {given}, expected numbers: arrays, lists and numbers; texts go to files that a "
                f"save_assets(folder) writes"
            )
        self.data[name] = array


def _host_array(value: Any) -> np.ndarray:
    try:
        return np.asarray(value)
    except ValueError:  # lists of several lengths
        return np.asarray(value, object)


def _value(parameter: Parameter) -> np.ndarray:
    return to_numpy(parameter.value)


def stored(layer: Layer, of: str, host: Callable[[Parameter], np.ndarray] | None = None) -> dict[str, np.ndarray]:
    """What a layer stores. of : what it is called in errors. host : a weight as it is stored."""
    store = Store(of, host)
    try:
        layer.save_own_variables(store)
    except Exception as error:  # of a class of the user's
        error.add_note(f"in save_own_variables of {of}")
        raise
    return store.data


def each_once(layers: Mapping[str, Layer]) -> dict[str, Layer]:
    """Layers by their first paths."""
    paths: dict[Layer, str] = {}
    for path, layer in layers.items():
        paths.setdefault(layer, path)
    return {path: layer for layer, path in paths.items()}


def kept_by_path(layers: Mapping[str, Layer], storing: Collection[Layer]) -> set[Parameter]:
    """The weights that are not left to what some of the layers store.

    A shared one is not, where another of its layers does not store itself.
    """
    found: set[Parameter] = set()
    for layer in layers.values():
        left = set(layer.own_variables if layer in storing else ())
        found.update(parameter for parameter in layer.own_weights if parameter not in left)
    return found


def load_stores(
    stores: Iterable[tuple[str, Layer, Mapping[str, np.ndarray]]], skip_mismatch: bool = False, source: str = ""
) -> list[str]:
    """Give layers what they have stored: all of them or none, those inside of others after these.

    stores : what each layer is called in errors, the layer, and the arrays by their names.
    source : what errors begin with.
    skip_mismatch : leave a layer as it is where that fails, and say so in the texts that are returned.

    ValueError that names the layer.
    """
    stores, problems = list(stores), []
    with put_back_if_it_fails(layer for _, layer, _ in stores):
        for label, layer, store in stores:
            alone = put_back_if_it_fails([layer]) if skip_mismatch else contextlib.nullcontext()
            try:
                with alone, layer.placement.computing:
                    layer.load_own_variables(dict(store))
            except Exception as error:  # of a class of the user's, of any kind
                what = f"{source}load_own_variables of {label} failed with {type(error).__name__}: {error}"
                if not skip_mismatch:
                    raise ValueError(what) from error
                problems.append(what)
    return problems


@contextlib.contextmanager
def put_back_if_it_fails(layers: Iterable[Layer]) -> Iterator[None]:
    """A block after whose failure these layers and those inside have the attributes and weights that they had.

    Lists, dicts, sets and arrays of NumPy in attributes have in them what they had, but for what is nested deeper.
    """
    inside = list(dict.fromkeys(one for layer in layers for _, one in layer.walk()))
    attributes = {one: dict(vars(one)) for one in inside}
    values = [value for one in inside for value in attributes[one].values()]
    contents = [(value, copy.copy(value)) for value in values if isinstance(value, list | dict | set | np.ndarray)]
    variables = [value for value in values if isinstance(value, Parameter)]
    weights = {
        parameter: (one, parameter.value, to_numpy(parameter.value).copy())
        for one in inside
        for parameter in (*one.own_weights, *variables)
    }
    try:
        yield
    except BaseException:
        for one, before in attributes.items():
            for name in vars(one).keys() - before.keys():
                del vars(one)[name]
            vars(one).update(before)
        for value, content in contents:
            _refill(value, content)
        for parameter, (one, array, host) in weights.items():
            if parameter.shape != host.shape:
                parameter.memory = array
            with one.placement.computing:
                parameter.assign(host)
        raise


def _refill(value: Any, content: Any) -> None:
    """Let a list, dict, set or array have this in it."""
    if isinstance(value, list):
        value[:] = content
    elif isinstance(value, np.ndarray):
        if value.flags.writeable:
            value[...] = content
    else:
        value.clear()
        value.update(content)
