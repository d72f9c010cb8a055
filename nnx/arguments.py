"""Checks of arguments: integers, numbers, words and names, with errors that say which argument is wrong.

A check takes what the error calls the argument, such as "units" or "dense_1: units", then the value, and returns the
value as plain Python has it: an int or a float, which never widens an array as one of NumPy's numbers would.
"""

from __future__ import annotations

import functools
import inspect
import math
import numbers
import operator
from collections.abc import Callable, Sequence
from typing import Any, ParamSpec, SupportsIndex, TypeGuard, TypeVar

import numpy as np

from nnx.backends import to_numpy
from nnx.backends.context import DTYPES
from nnx.names import did_you_mean, nearest

P = ParamSpec("P")
R = TypeVar("R")

__all__ = [
    "OF_PYTHON",
    "check_name",
    "choice",
    "dtype_name",
    "finite_numbers",
    "fraction",
    "integers",
    "is_integer",
    "is_number",
    "non_negative_integer",
    "non_negative_number",
    "number",
    "optional_integer",
    "positive_integer",
    "python_numbers",
    "with_hints",
]

# What NumPy computed


def python_numbers(value: Any) -> Any:
    """An argument with numbers of Python where it has NumPy's, or arrays of one number, also in a list, tuple or dict.

    What has none of these stays the object that it is.

    >>> import numpy as np
    >>> python_numbers(np.float64(0.5)), python_numbers((np.int64(1), "same")), python_numbers(np.asarray([1.0]))
    (0.5, (1, 'same'), array([1.]))
    """
    if type(value) in OF_PYTHON:
        return value
    if isinstance(value, np.generic):
        return value.item()
    if type(value) in (list, tuple):
        items = [python_numbers(item) for item in value]
        return value if all(map(operator.is_, items, value)) else type(value)(items)
    if type(value) is dict:
        return {key: python_numbers(item) for key, item in value.items()}
    if hasattr(value, "__dlpack__") and getattr(value, "shape", None) == ():
        return to_numpy(value).item()
    return value


OF_PYTHON = frozenset({bool, float, int, str, type(None)})
"""Types of arguments that `python_numbers` leaves as they are."""


# Integers


def is_integer(value: Any, least: float = -math.inf) -> TypeGuard[SupportsIndex]:
    """Whether a value is an integer of at least `least`: of Python, of NumPy or the like; a bool is none.

    >>> import numpy as np
    >>> is_integer(np.int64(3)), is_integer(3.0), is_integer(True), is_integer(3, least=4)
    (True, False, False, False)
    """
    if type(value) is int:
        return value >= least
    return not isinstance(value, bool) and hasattr(value, "__index__") and value.__index__() >= least


def positive_integer(what: str, value: Any) -> int:
    """An integer of at least 1; ValueError for anything else.

    >>> positive_integer("dense: units", 0)
    Traceback (most recent call last):
        ...
    ValueError: dense: units must be a positive integer, got 0
    """
    if not is_integer(value, 1):
        raise ValueError(f"{what} must be a positive integer, got {value!r}")
    return operator.index(value)


def non_negative_integer(what: str, value: Any) -> int:
    """An integer of at least 0; ValueError for anything else.

    >>> non_negative_integer("seed", -1)
    Traceback (most recent call last):
        ...
    ValueError: seed must be a non-negative integer, got -1
    """
    if not is_integer(value, 0):
        raise ValueError(f"{what} must be a non-negative integer, got {value!r}")
    return operator.index(value)


def optional_integer(what: str, value: Any, default: Any = None) -> Any:
    """An integer of at least 1, or the default in place of None; ValueError for anything else.

    >>> optional_integer("batch_size", None, 32)
    32
    """
    return default if value is None else positive_integer(what, value)


def integers(what: str, value: Any, count: int, least: int = 1) -> tuple[int, ...]:
    """`count` integers, from a sequence or from one that stands for all; ValueError for others, and for those below.

    least : 1 for positive ones, or 0.

    >>> integers("conv2d: strides", 2, 2), integers("conv2d: strides", [2, 1], 2)
    ((2, 2), (2, 1))
    """
    sequence = hasattr(value, "__iter__") and not isinstance(value, str)
    values = tuple(value) if sequence else (value,) * count
    if len(values) != count or not all(is_integer(one, least) for one in values):
        kind = "a positive integer" if least == 1 else "a non-negative integer"
        several = f", or {count} of them" if count > 1 else ""
        raise ValueError(f"{what} must be {kind}{several}, got {value!r}")
    return tuple(map(operator.index, values))


# Numbers


def is_number(value: Any) -> bool:
    """Whether a value is a real number: of Python, of NumPy or the like; a bool is none, and no array.

    >>> import numpy as np
    >>> is_number(1), is_number(np.float32(0.5)), is_number(True), is_number("1")
    (True, True, False, False)
    """
    return not isinstance(value, bool) and isinstance(value, numbers.Real)


def number(what: str, value: Any, *, least: float = -math.inf, most: float = math.inf) -> float:
    """A number from `least` to `most`; ValueError for anything else.

    >>> number("dropout: rate", 2, least=0.0, most=1.0)
    Traceback (most recent call last):
        ...
    ValueError: dropout: rate must be a number from 0 to 1, got 2
    """
    if not is_number(value) or not least <= float(value) <= most:
        limits = f" from {least:g} to {most:g}" if most < math.inf else ", not negative" if least == 0.0 else ""
        raise ValueError(f"{what} must be a number{limits}, got {value!r}")
    return float(value)


def non_negative_number(
    what: str, value: Any, *, zero: bool = True, below: float = math.inf, at_most: float = math.inf
) -> float:
    """A finite number that is not negative, and in the given range: an int if it came as an integer, else a float.

    zero : whether 0 is allowed. below, at_most : the upper bound, which is not allowed itself, or is.

    TypeError for what is no number, ValueError for one that is out of the range.

    >>> non_negative_number("learning_rate", -0.1)
    Traceback (most recent call last):
        ...
    ValueError: learning_rate must be at least 0 and finite, got -0.1
    """
    if not is_number(value):
        raise TypeError(f"{what} must be a number, got {value!r}")
    given = int(value) if isinstance(value, numbers.Integral) else float(value)
    if not 0 <= given < below or given > at_most or (given == 0 and not zero):
        end = f"below {below:g}" if below < math.inf else f"at most {at_most:g}" if at_most < math.inf else "finite"
        raise ValueError(f"{what} must be {'at least' if zero else 'greater than'} 0 and {end}, got {given}")
    return given


def fraction(what: str, value: Any, *, with_one: bool = False) -> float:
    """A number from [0, 1), or from [0, 1]; TypeError and ValueError as of `non_negative_number`.

    >>> fraction("beta_1", 0.9)
    0.9
    """
    below, at_most = (math.inf, 1.0) if with_one else (1.0, math.inf)
    return float(non_negative_number(what, value, below=below, at_most=at_most))


def finite_numbers(what: str, value: Any) -> np.ndarray | float:
    """A finite number as a float, an array of such as one of float64 on the host; ValueError for anything else.

    >>> finite_numbers("rescaling: scale", 2), finite_numbers("rescaling: scale", [1, 2])
    (2.0, array([1., 2.]))
    """
    host = to_numpy(value)
    if host.dtype.kind not in "fiu" or not np.isfinite(host).all():
        raise ValueError(f"{what} must be a finite number or an array of such, got {value!r}")
    return host.astype(np.float64) if host.shape else float(host)


# Words and names


def choice(what: str, value: Any, known: Sequence[str]) -> str:
    """One of several words, given in upper or lower case; ValueError for anything else.

    >>> choice("conv1d: padding", "SAME", ("valid", "same"))
    'same'
    """
    chosen = value.lower() if isinstance(value, str) else value
    if chosen not in known:
        raise ValueError(f"{what} must be one of {', '.join(map(repr, known))}, got {value!r}")
    return str(chosen)


OF_STORES, OF_ASSETS = "own_variables.", "assets."
"""What names in files begin with of arrays and of whole files that layers save in their own way."""

RESERVED_PREFIXES = ("optimizer.", "run.", "__metadata__", OF_STORES, OF_ASSETS)
"""What names in files begin with that are not those of layers and their parameters."""


def check_name(name: Any, of: str = "a layer") -> None:
    """ValueError for what cannot be the name of a layer or parameter, because it could not be a part of a path.

    of : what has the name, for the error.

    >>> check_name("encoder/dense")
    Traceback (most recent call last):
        ...
    ValueError: the name of a layer must be text without '/', got 'encoder/dense'
    >>> check_name("run.1")
    Traceback (most recent call last):
        ...
    ValueError: the name of a layer must not begin with 'run.', which names other things in files, got 'run.1'
    """
    if isinstance(name, str) and name.isidentifier() and name[0] != "_":
        return
    if not isinstance(name, str) or "/" in name:
        raise ValueError(f"the name of {of} must be text without '/', got {name!r}")
    if not name.isascii() and name.encode("utf-8", "ignore").decode() != name:
        raise ValueError(f"the name of {of} must be text that can be written (UTF-8), got {name!r}")
    if name.startswith(RESERVED_PREFIXES):
        prefix = next(prefix for prefix in RESERVED_PREFIXES if name.startswith(prefix))
        raise ValueError(
            f"the name of {of} must not begin with {prefix!r}, which names other things in files, got {name!r}"
        )


def dtype_name(layer: str, dtype: Any) -> str | None:
    """The name of a dtype that was given as "float32" or as NumPy's object; None stays None.

    layer : the name of the layer that takes it, for the ValueError.

    >>> import numpy as np
    >>> dtype_name("dense", np.float32)
    'float32'
    """
    if dtype is None:
        return None
    name: str | None = getattr(dtype, "__name__", None) or getattr(dtype, "name", dtype)
    name = name.removeprefix("mixed_") if isinstance(name, str) else name  # float16 is trained so anyway
    if name is not None and name not in DTYPES:
        raise ValueError(f"{layer}: dtype must be one of {', '.join(DTYPES)}, got {dtype!r}")
    return name


def floating_dtype(owner: str, dtype: Any) -> str | None:
    """The name of a floating dtype that was given as "float32", as NumPy's object or as a policy; None stays None.

    owner : what takes it, for the ValueError.

    >>> floating_dtype("loss 'mse'", "float64")
    'float64'
    """
    name = dtype_name(owner, dtype)
    if name is not None and not name.startswith("float"):
        raise ValueError(f"{owner}: dtype must be 'float16', 'float32' or 'float64', got {dtype!r}")
    return name


_ADVICE = {
    "lora_alpha": "nnx has no adapters of low rank: leave it out, and train the layer itself",
    "lora_rank": "nnx has no adapters of low rank: leave it out, and train the layer itself",
    "max_shard_size": "nnx writes one file: leave it out",
    "quantization_config": "nnx does not quantise: leave it out, or compute in nnx.backend(..., dtype='float16')",
    "ragged": "nnx has no ragged arrays: pad the rows with nnx.utils.pad_sequences, and mask them",
    "renorm": "nnx has no batch renormalisation: leave it out, or write GroupNormalization for small batches",
    "renorm_clipping": "nnx has no batch renormalisation: leave it out",
    "sparse": "nnx has no sparse arrays: give dense ones, or indices to an Embedding",
    "splines": "nnx draws edges in one way: leave it out",
    "tensor": "Input(tensor=...) takes a symbol; call the model on an array",
    "weights": "they are given by layer.set_weights(weights), once the layer is built",
}


def refuse(owner: str, **given: Any) -> None:
    """ValueError, which says what to write, for an argument of Keras of which nnx has only the value that does nothing.

    >>> refuse("dense", lora_rank=None)
    >>> refuse("dense", lora_rank=4)
    Traceback (most recent call last):
    ValueError: dense: lora_rank=4: nnx has no adapters of low rank: leave it out, and train the layer itself
    """
    for name, value in given.items():
        if value is not None and value is not False:
            raise ValueError(f"{owner}: {name}={value!r}: {_ADVICE[name]}")


def with_hints(function: Callable[P, R]) -> Callable[P, R]:
    """Decorator: a TypeError for an argument that the function does not have says which one may be meant.

    >>> @with_hints
    ... def fit(epochs=1): ...
    >>> fit(epoch=3)
    Traceback (most recent call last):
        ...
    TypeError: fit() has no argument 'epoch'; did you mean 'epochs'?
    """
    known = tuple(inspect.signature(function).parameters)

    @functools.wraps(function)
    def checked(*args: P.args, **kwargs: P.kwargs) -> R:
        for name in kwargs:
            if name not in known:
                hint = did_you_mean(nearest(name, known))
                end = f"; {hint}" if hint else f"; it has {', '.join(one for one in known if one != 'self')}"
                raise TypeError(f"{function.__name__}() has no argument {name!r}{end}")
        return function(*args, **kwargs)

    return checked
