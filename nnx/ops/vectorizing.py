"""Functions of single elements as functions of arrays."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Collection
from typing import Any

from nnx.backends import Array
from nnx.ops.operation import as_array, namespace

__all__ = ["vectorize"]


def vectorize(
    pyfunc: Callable[..., Any], *, excluded: Collection[Any] | None = None, signature: str | None = None
) -> Callable[..., Any]:
    """A function of arrays from one of single elements, called for each; the arrays broadcast.

    excluded : positions and names of arguments that are handed on as they are. signature : what the function takes and
    returns instead of single elements, as in "(n),(n)->()".

    It calls the function as often as there are elements: what is written for arrays is faster.

    >>> vectorize(lambda a, b: a + b)([1.0, 2.0], 3.0)
    array([4., 5.], dtype=float32)
    """
    left_out = set(excluded or ())
    ranks = _ranks(signature) if signature is not None else None

    def vectorized(*args: Any, **options: Any) -> Any:
        places = [i for i in range(len(args)) if i not in left_out]
        names = [name for name in options if name not in left_out]
        arrays = [as_array(args[i]) for i in places] + [as_array(options[name]) for name in names]
        cores = [0] * len(arrays) if ranks is None else ranks
        if len(cores) != len(arrays):
            raise ValueError(f"vectorize: the signature {signature!r} is of {len(cores)} arrays, got {len(arrays)}")
        xp = namespace(*arrays)
        outer = _broadcast([one.shape[: len(one.shape) - core] for one, core in zip(arrays, cores, strict=True)])
        inner = [tuple(one.shape[len(one.shape) - core :]) for one, core in zip(arrays, cores, strict=True)]
        wide = [xp.broadcast_to(one, (*outer, *core)) for one, core in zip(arrays, inner, strict=True)]
        results = []
        for place in itertools.product(*map(range, outer)):
            parts = [one[(*place, ...)] for one in wide]
            filled = list(args)
            for i, part in zip(places, parts, strict=False):
                filled[i] = part
            named = dict(zip(names, parts[len(places) :], strict=True))
            results.append(pyfunc(*filled, **{**options, **named}))
        if not results:
            raise ValueError(f"vectorize: there are no elements in arrays of shape {outer}")
        if isinstance(results[0], tuple):
            return tuple(_stacked([one[i] for one in results], outer) for i in range(len(results[0])))
        return _stacked(results, outer)

    return vectorized


def _stacked(results: list[Any], outer: tuple[int, ...]) -> Array:
    arrays = [as_array(one) for one in results]
    xp = namespace(*arrays)
    return xp.reshape(xp.stack([xp.asarray(one) for one in arrays]), (*outer, *arrays[0].shape))


def _ranks(signature: str) -> list[int]:
    """How many axes each argument of the function has."""
    inputs, arrow, _ = signature.replace(" ", "").partition("->")
    if not arrow or not (inputs.startswith("(") and inputs.endswith(")")):
        raise ValueError(f'vectorize: a signature is like "(n),(n)->()", got {signature!r}')
    return [len([name for name in part.split(",") if name]) for part in inputs[1:-1].split("),(")]


def _broadcast(shapes: list[tuple[int, ...]]) -> tuple[int, ...]:
    rank = max(map(len, shapes), default=0)
    columns = zip(*((1,) * (rank - len(shape)) + tuple(shape) for shape in shapes), strict=True)
    sizes = []
    for column in columns:
        several = {n for n in column if n != 1}
        if len(several) > 1:
            raise ValueError(f"vectorize: shapes {', '.join(map(str, shapes))} do not broadcast")
        sizes.append(several.pop() if several else 1)
    return tuple(sizes)
