"""Small buffers of parameters to train."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from nnx.backends import Placement
from nnx.parameters import FlatParameters, Parameter

SHAPES = {"dense/kernel": (3, 2), "dense/bias": (2,), "scale/gamma": ()}


@pytest.fixture
def make_flat() -> Callable[..., FlatParameters]:
    """A function of a placement that makes a buffer with parameters of random values."""

    def make(placement: Placement, shapes: dict[str, tuple[int, ...]] | None = None) -> FlatParameters:
        generator = np.random.default_rng(1)
        parameters = []
        for path, shape in (SHAPES if shapes is None else shapes).items():
            parameter = Parameter(placement.asarray(generator.normal(size=shape)), path.rpartition("/")[2])
            parameter.path = path
            parameters.append(parameter)
        return FlatParameters(parameters, placement)

    return make
