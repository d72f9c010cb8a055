"""Activations, convolutions, losses and other parts of neural networks by the names of Keras 2's backend."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nnx import ops, random
from nnx.backends import Array
from nnx.epsilon import epsilon
from nnx.keras_backend.shapes import number_of_elements
from nnx.ops import (
    binary_crossentropy,
    categorical_crossentropy,
    sigmoid,
    softmax,
    softplus,
    softsign,
    sparse_categorical_crossentropy,
)

__all__ = [
    "binary_crossentropy",
    "categorical_crossentropy",
    "conv1d",
    "conv2d",
    "ctc_batch_cost",
    "ctc_decode",
    "dropout",
    "elu",
    "hard_sigmoid",
    "pool2d",
    "relu",
    "resize_images",
    "sigmoid",
    "softmax",
    "softplus",
    "softsign",
    "sparse_categorical_crossentropy",
]


def relu(x: Any, alpha: float = 0.0, max_value: float | None = None, threshold: float = 0.0) -> Array:
    """Rectified linear unit with a slope below, a bound above and a threshold; see `nnx.functional.relu`.

    >>> relu([-1.0, 9.0], alpha=0.5, max_value=6.0).tolist()
    [-0.5, 6.0]
    """
    above = ops.subtract(x, threshold)
    y = ops.where(ops.greater_equal(x, threshold), x, ops.multiply(above, alpha)) if threshold else x
    if not threshold:
        y = ops.leaky_relu(x, alpha) if alpha else ops.relu(x)
    return y if max_value is None else ops.minimum(y, max_value)


def elu(x: Any, alpha: float = 1.0) -> Array:
    """Exponential linear unit: x, or alpha * (exp(x) - 1) below 0.

    >>> elu([1.0]).tolist()
    [1.0]
    """
    return ops.elu(x, alpha)


def hard_sigmoid(x: Any) -> Array:
    """Straight line in place of the logistic function, as it was in Keras 2: 0.2 x + 0.5 between 0 and 1.

    >>> hard_sigmoid([0.0, 1.0, 3.0]).round(1).tolist()
    [0.5, 0.699999988079071, 1.0]
    """
    return ops.clip(ops.add(ops.multiply(x, 0.2), 0.5), 0.0, 1.0)


def conv1d(
    x: Any,
    kernel: Any,
    strides: int = 1,
    padding: str = "valid",
    data_format: str | None = None,
    dilation_rate: int = 1,
) -> Array:
    """Convolution of sequences; see `nnx.ops.conv`.

    >>> conv1d(ops.ones((1, 4, 2)), ops.ones((3, 2, 5))).shape
    (1, 2, 5)
    """
    return ops.conv(x, kernel, strides, padding, data_format, dilation_rate)


def conv2d(
    x: Any,
    kernel: Any,
    strides: int | tuple[int, ...] = (1, 1),
    padding: str = "valid",
    data_format: str | None = None,
    dilation_rate: int | tuple[int, ...] = (1, 1),
) -> Array:
    """Convolution of images; see `nnx.ops.conv`.

    >>> conv2d(ops.ones((1, 4, 4, 2)), ops.ones((3, 3, 2, 5))).shape
    (1, 2, 2, 5)
    """
    return ops.conv(x, kernel, strides, padding, data_format, dilation_rate)


def pool2d(
    x: Any,
    pool_size: int | tuple[int, ...],
    strides: int | tuple[int, ...] = (1, 1),
    padding: str = "valid",
    data_format: str | None = None,
    pool_mode: str = "max",
) -> Array:
    """Largest element, or for pool_mode "avg" the mean, of windows of images.

    >>> pool2d(ops.ones((1, 4, 4, 2)), (2, 2), strides=(2, 2)).shape
    (1, 2, 2, 2)
    """
    modes = {"max": ops.max_pool, "avg": ops.average_pool}
    if pool_mode not in modes:
        raise ValueError(f"K.pool2d: pool_mode must be 'max' or 'avg', got {pool_mode!r}")
    return modes[pool_mode](x, pool_size, strides, padding, data_format)


def resize_images(
    x: Any, height_factor: int, width_factor: int, data_format: str | None = None, interpolation: str = "nearest"
) -> Array:
    """Images (batch, rows, columns, channels) with so many times the rows and columns.

    >>> resize_images(ops.ones((1, 2, 3, 1)), 2, 2).shape
    (1, 4, 6, 1)
    """
    first = 2 if data_format == "channels_first" else 1
    height, width = ops.shape(x)[first : first + 2]
    size = (
        number_of_elements("resize_images", (height,)) * height_factor,
        number_of_elements("resize_images", (width,)) * width_factor,
    )
    return ops.image.resize(x, size, interpolation=interpolation, data_format=data_format)


def dropout(x: Any, level: float, noise_shape: Sequence[int | None] | None = None, seed: int | None = None) -> Array:
    """Array with a share of its elements set to 0, and the others divided by 1 - level; see `nnx.random.dropout`.

    >>> dropout([1.0, 2.0], 0.0).tolist()
    [1.0, 2.0]
    """
    return random.dropout(x, level, noise_shape, seed)


def ctc_batch_cost(y_true: Any, y_pred: Any, input_length: Any, label_length: Any) -> Array:
    """Connectionist temporal classification of each sample, (batch, 1); the last class is the blank.

    y_true : labels (batch, n). y_pred : probabilities (batch, time, classes). input_length, label_length : (batch, 1).

    >>> y_pred = ops.full((1, 2, 2), 0.5)
    >>> f"{float(ctc_batch_cost([[0]], y_pred, [[2]], [[1]])[0, 0]):.4f}"
    '0.2877'
    """
    logits = ops.log(ops.add(y_pred, epsilon()))
    steps, counts = (ops.reshape(value, (-1,)) for value in (input_length, label_length))
    labels = ops.cast(y_true, "int32")
    values = ops.ctc_loss(
        labels, logits, counts, steps, mask_index=number_of_elements("ctc", ops.shape(y_pred)[-1:]) - 1
    )
    return ops.expand_dims(values, -1)


def ctc_decode(
    y_pred: Any, input_length: Any, greedy: bool = True, beam_width: int = 100, top_paths: int = 1
) -> tuple[list[Array], Array]:
    """Labels that probabilities (batch, time, classes) stand for, with -1 behind them; the last class is the blank.

    Returns a list of the top paths, each (batch, time), and their scores; see `nnx.ops.ctc_decode`.

    >>> paths, scores = ctc_decode([[[0.9, 0.1], [0.9, 0.1], [0.1, 0.9]]], [3])
    >>> paths[0].tolist()
    [[0, -1, -1]]
    """
    paths, scores = ops.ctc_decode(
        ops.log(ops.add(y_pred, epsilon())),
        ops.reshape(input_length, (-1,)),
        strategy="greedy" if greedy else "beam_search",
        beam_width=beam_width,
        top_paths=top_paths,
        mask_index=number_of_elements("ctc", ops.shape(y_pred)[-1:]) - 1,
    )
    return ops.unstack(paths), scores
