"""Data sets of one's own: a loop over them ends."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np

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
