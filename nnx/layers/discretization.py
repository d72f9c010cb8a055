"""Numbers sorted into bins, whose boundaries are given or found in data."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from nnx.arguments import choice, fraction, non_negative_integer
from nnx.backends import Array, array_namespace, to_numpy
from nnx.functional import Pullback
from nnx.functional.category_encoding import MODES, encode_categories, encoded_shape
from nnx.layers.adapted_data import batches_for_adapting
from nnx.layers.index_lookup import refuse_sparse_output
from nnx.layers.layer import registry
from nnx.layers.layer_with_constants import LayerWithConstants
from nnx.shapes import Shape


@registry.register()
class Discretization(LayerWithConstants):
    """The bin of each number: how many boundaries are not above it.

    bin_boundaries : ascending numbers; a bin has its lower one and not its upper one.
    num_bins : in place of them, how many bins `adapt` makes, with about as many numbers in each.
    epsilon : the error that `adapt` may make, as a fraction of the data: batches are summed up in 1 / epsilon numbers.
    output_mode : "int"; "one_hot", a vector for each number; "multi_hot" and "count", one for the last axis.
    sparse : only False.

    Input: numbers of any shape; output int32 of that shape, or vectors in the layer's floating dtype. NaN is in the
    last bin. ValueError for both of bin_boundaries and num_bins, or none, and for a call before `adapt`.

    >>> Discretization([0.0, 10.0])([-1.0, 0.0, 3.0, 10.0])
    array([0, 1, 1, 2], dtype=int32)
    """

    takes_scalars = True
    learns = False

    def __init__(
        self,
        bin_boundaries: Sequence[float] | None = None,
        num_bins: int | None = None,
        epsilon: float = 0.01,
        output_mode: str = "int",
        sparse: bool = False,
        dtype: str | None = None,
        name: str | None = None,
    ) -> None:
        super().__init__(name=name, dtype=dtype)
        refuse_sparse_output(self.name, sparse)
        if (bin_boundaries is None) == (num_bins is None):
            raise ValueError(f"{self.name} takes either bin_boundaries or num_bins")
        self.num_bins = None if num_bins is None else non_negative_integer(f"{self.name}: num_bins", num_bins)
        self.epsilon = fraction(f"{self.name}: epsilon", epsilon)
        self.output_mode = choice(f"{self.name}: output_mode", output_mode, ("int", *MODES))
        self.sparse = False
        self.bin_boundaries: list[float] | None = None
        if bin_boundaries is not None:
            self._take(to_numpy(bin_boundaries))

    def _take(self, boundaries: np.ndarray) -> None:
        if boundaries.ndim != 1 or (boundaries != boundaries).any() or not np.all(boundaries[1:] >= boundaries[:-1]):
            raise ValueError(f"{self.name}: bin_boundaries must ascend, got {boundaries.tolist()}")
        self.bin_boundaries = [float(boundary) for boundary in boundaries]
        if self.built:
            self._place_constants()

    def adapt(self, data: Any, steps: int | None = None) -> None:
        """Find boundaries so that about as many numbers are in each bin. Call it before training.

        data : an array, or an iterable of batches x, (x, y) or (x, y, w); a list is an iterable too.
        steps : how many batches are taken; by default all.

        What was found before is forgotten. ValueError where the boundaries were given, or without data.

        >>> layer = Discretization(num_bins=2)
        >>> layer.adapt(np.asarray([1.0, 2.0, 3.0, 4.0]))
        >>> layer.bin_boundaries
        [2.0]
        """
        if self.num_bins is None:
            raise ValueError(f"{self.name}: bin_boundaries were given, so there is nothing to adapt; give num_bins")
        summary = np.zeros((2, 0), np.float32)
        batches = iter(data) if isinstance(data, list | tuple) else data
        for batch in batches_for_adapting(batches, steps, f"{self.name}.adapt"):
            numbers = to_numpy(batch)
            if numbers.dtype.kind == "f" and np.isnan(numbers).any():
                raise ValueError(f"{self.name}.adapt: the data have NaN, which is in no bin: leave these numbers out")
            merged = np.concatenate((_summary(numbers, self.epsilon), summary), axis=1)
            summary = _compressed(merged.take(np.argsort(merged[0]), axis=1), self.epsilon)
        if not summary.size:
            raise ValueError(f"{self.name}.adapt got no data: expected at least one number")
        self._take(_compressed(summary, 1.0 / max(self.num_bins, 1))[0, :-1])

    def constants(self) -> list[np.ndarray | float]:
        return [np.asarray(self.bin_boundaries or [], np.float64)]

    def forward(self, x: Array, *, training: bool = False) -> tuple[Array, Pullback]:
        if self.bin_boundaries is None:
            raise ValueError(f"{self.name} has no bin_boundaries: call adapt(data) first")
        xp = array_namespace(x)
        x = xp.astype(x, getattr(xp, self.wide_dtype), copy=False)
        places = xp.reshape(xp.searchsorted(self.placed[0], xp.reshape(x, (-1,)), side="right"), x.shape)
        if self.output_mode == "int":
            return xp.astype(places, xp.int32), lambda dy: None
        depth = len(self.bin_boundaries) + 1
        return encode_categories(places, self.output_mode, depth, self.dtype or self.placement.dtype), lambda dy: None

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        if self.output_mode == "int":
            return input_shape
        found = self.num_bins if self.bin_boundaries is None else len(self.bin_boundaries) + 1
        return encoded_shape(input_shape, self.output_mode, found)  # type: ignore[arg-type]  # one of them is given

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Discretization:
        boundaries = config.get("bin_boundaries")
        if boundaries is None or config.get("num_bins") is None:
            return cls(**config)
        layer = cls(**{**config, "bin_boundaries": None})  # that were found
        layer._take(np.asarray(boundaries))
        return layer


def _summary(values: np.ndarray, epsilon: float) -> np.ndarray:
    """Values of 1 / epsilon places in their order, and how many each stands for."""
    values = np.sort(values.astype(np.float32), axis=None)
    step = max(values.size / (1.0 / epsilon), 1)
    kept = values[int(step - 1) :: int(step)]
    return np.stack([kept, np.full_like(kept, step)])


def _compressed(summary: np.ndarray, epsilon: float) -> np.ndarray:
    """A summary of no more than 1 / epsilon values, between which it is interpolated, as Keras does."""
    if summary.shape[1] * epsilon < 1:
        return summary
    fractions = epsilon + np.arange(0.0, 1.0, epsilon)
    weights = summary[1].cumsum()
    shares = weights / weights[-1]
    values = np.interp(fractions, shares, summary[0])
    weights = np.interp(fractions, shares, weights)
    return np.stack((values, np.diff(weights, prepend=0))).astype(np.float32)
