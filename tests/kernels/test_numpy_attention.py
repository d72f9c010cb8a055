"""NumPy's self-attention in models: the numbers of the generic form, and no products that nobody asks for."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import nnx
from nnx.backends.base import find_backend
from nnx.kernels.numpy import attention
from nnx.layers import Dense, LayerNormalization, MultiHeadAttention
from nnx.testing import assert_close
from nnx.testing.kernel_comparison import without_kernels

STEPS, WIDTH = 6, 8
X, Y = np.random.default_rng(3).normal(size=(2, 5, 16, STEPS, WIDTH)).astype(np.float32)


def model_of(**options: Any) -> tuple[nnx.Model, MultiHeadAttention]:
    nnx.random.set_seed(7)
    layer = MultiHeadAttention(2, 4, **options)
    x = start = nnx.Input((STEPS, WIDTH))
    normal = LayerNormalization()(Dense(WIDTH)(x))
    x = x + layer(normal, normal, use_causal_mask=True)
    model = nnx.Model(start, Dense(WIDTH)(x))
    model.compile(nnx.optimizers.Adam(1e-2), "mse")
    return model, layer


@pytest.mark.parametrize("options", [{}, {"use_bias": False}, {"dropout": 0.3}], ids=str)
def test_a_model_trains_to_the_numbers_of_the_generic_form(options: dict[str, Any]) -> None:
    results = []
    for generic in (False, True):
        model, _ = model_of(**options)
        assert "self_attention" in find_backend("numpy").kernels
        losses = [_trained(model, x, y, generic) for x, y in zip(X, Y, strict=True)]
        results.append([np.asarray(losses), *model.get_weights()])
    for mine, theirs in zip(*results, strict=True):
        assert_close(mine, theirs, rtol=1e-5, atol=1e-5)


def _trained(model: nnx.Model, x: np.ndarray, y: np.ndarray, generic: bool) -> Any:
    if not generic:
        return model.train_on_batch(x, y)
    with without_kernels(find_backend("numpy")):
        return model.train_on_batch(x, y)


def test_parameters_that_are_not_trained_cost_no_product(monkeypatch: pytest.MonkeyPatch) -> None:
    made = []

    def product(a: Any, b: Any, out: Any = None) -> Any:
        made.append((a.shape, b.shape))
        return multiplied(a, b, out)

    multiplied = attention.product
    monkeypatch.setattr(attention, "product", product)
    for trainable, count in ((True, 3), (False, 2)):
        model, layer = model_of()
        layer.trainable = trainable
        model.compile("sgd", "mse", jit_compile=False)
        made.clear()
        model.train_on_batch(X[0], Y[0])
        assert len(made) == count, made
