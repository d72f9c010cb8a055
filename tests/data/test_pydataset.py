"""Data sets of one's own: a loop over them ends."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

import nnx
from nnx.layers import Normalization
from nnx.utils import PyDataset


class Squares(PyDataset):
    def __len__(self) -> int:
        return 3

    def __getitem__(self, index: int) -> Any:
        x = np.full((2, 1), float(index), dtype=np.float32)
        return x, x**2


def test_a_loop_gives_each_batch_once_and_can_begin_again() -> None:
    data = Squares()
    for _ in range(2):
        assert [float(x[0, 0]) for x, _ in itertools.islice(data, 5)] == [0.0, 1.0, 2.0]


def test_a_number_of_batches_that_is_not_known_has_no_end() -> None:
    class Endless(Squares):
        num_batches = None

    assert len(list(itertools.islice(Endless(), 7))) == 7


def test_a_layer_adapts_to_one() -> None:
    layer = Normalization()
    layer.adapt(Squares())
    assert float(layer.mean[0, 0]) == 1.0


def test_fit_shuffles_it_and_predict_goes_through_it() -> None:
    model = nnx.Sequential([nnx.layers.Dense(1, input_dim=1)])
    model.compile("sgd", "mse")
    model.fit(Squares(), epochs=2, verbose=0)
    assert model.predict(Squares(), verbose=0).shape == (6, 1)


class Counted(PyDataset):
    """Its number of batches is a property."""

    count: int | None = 3

    @property
    def num_batches(self) -> int | None:
        return self.count

    def __getitem__(self, index: int) -> Any:
        x = np.full((2, 1), float(index), dtype=np.float32)
        return x, x**2


class Endless(Counted):
    count = None


def test_the_number_of_batches_may_be_a_property() -> None:
    assert len(Counted()) == 3
    losses = {}
    for kind, options in ((Squares, {}), (Counted, {}), (Endless, {"steps_per_epoch": 3})):
        model = nnx.Sequential([nnx.layers.Dense(1, input_dim=1, kernel_initializer="ones")])
        model.compile("sgd", "mse")
        losses[kind] = model.fit(kind(), epochs=2, shuffle=False, verbose=0, **options).history["loss"]
        assert model.predict(kind(), steps=2, verbose=0).shape == (4, 1)
    assert losses[Counted] == losses[Squares]
    assert losses[Endless][0] == losses[Squares][0]
    assert losses[Endless][1] > 10 * losses[Squares][1]  # it goes on with batches 3, 4 and 5
    with pytest.raises(TypeError, match="Endless has no length"):
        len(Endless())
    with pytest.raises(NotImplementedError, match="has to define __len__"):
        len(PyDataset())
