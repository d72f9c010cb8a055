"""Saliency: which pixels a classifier looks at, from the derivative of its answer with respect to the image.

A small convolutional network learns digits; then `nnx.grad` takes the derivative of the logit of the class that it
chose with respect to the pixels (Simonyan, Vedaldi and Zisserman, "Deep inside convolutional networks", 2013). Removing
the pixels with the largest products of value and derivative changes far more answers than removing as many at random.
Written is saliency.png: digits above what counted in them.

    python examples/saliency.py
    python examples/saliency.py --epochs 5 --backend cupy
"""

import argparse
from typing import Any

import numpy as np

import nnx
from nnx import ops
from nnx.layers import Conv2D, Dense, Flatten, Input, MaxPooling2D


def model_of() -> nnx.Sequential:
    """Images (batch, 8, 8, 1) -> logits of ten classes."""
    return nnx.Sequential(
        [
            Input((8, 8, 1)),
            Conv2D(16, 3, padding="same", activation="relu"),
            MaxPooling2D(),
            Conv2D(32, 3, padding="same", activation="relu"),
            Flatten(),
            Dense(10),
        ]
    )


def saliency_of(model: Any, x: Any) -> Any:
    """The product of each pixel and the derivative of the largest logit of its image with respect to it."""
    return x * nnx.grad(lambda images: ops.sum(ops.max(model(images), axis=-1)))(x)


def without(x: np.ndarray, order: np.ndarray, count: int) -> np.ndarray:
    """The images with their first pixels in an order (n, 64) made white."""
    flat = x.reshape(len(x), -1).copy()
    np.put_along_axis(flat, order[:, :count], 0.0, axis=1)
    return flat.reshape(x.shape)


def main() -> tuple[float, float]:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--backend", default="auto", help="numpy, cupy, torch, array-api-strict or auto")
    parser.add_argument("--epochs", type=int, default=15)
    parser.add_argument("--pixels", type=int, default=6, help="how many are removed")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()

    (x, y), (unseen, labels) = nnx.datasets.digits.load_data()
    x, unseen = np.float32(x[..., None]), np.float32(unseen[..., None])
    nnx.random.set_seed(arguments.seed)
    with nnx.backend(arguments.backend):
        model = model_of()
        images = nnx.asarray(unseen)
    model.compile("adam", nnx.losses.SparseCategoricalCrossentropy(from_logits=True), metrics=["accuracy"])
    model.fit(x, y, batch_size=32, epochs=arguments.epochs, validation_data=(unseen, labels))

    saliency = nnx.to_numpy(saliency_of(model, images))[..., 0]
    answers = model.predict(unseen, verbose=0).argmax(axis=-1)
    ink = unseen.reshape(len(unseen), -1) > 0.0
    by_saliency = np.argsort(-saliency.reshape(len(unseen), -1), axis=1)
    by_chance = np.argsort(-np.random.default_rng(arguments.seed).random(ink.shape) * ink, axis=1)
    changed = []
    print()
    for name, order in (("the most salient", by_saliency), ("random ones with ink", by_chance)):
        found = model.predict(without(unseen, order, arguments.pixels), verbose=0).argmax(axis=-1)
        changed.append(float(np.mean(found != answers)))
        print(f"{changed[-1]:6.1%} of the answers change without {arguments.pixels} pixels, {name}")
    maps = np.abs(saliency[:12]) / np.abs(saliency[:12]).max(axis=(1, 2), keepdims=True)
    nnx.plotting.images(np.concatenate([unseen[:12, :, :, 0], maps]), columns=12, path="saliency.png")
    print("written: saliency.png, digits above what counted in them")
    return changed[0], changed[1]


if __name__ == "__main__":
    main()
