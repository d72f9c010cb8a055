"""Does this image show an eight? Matching with a template: the weights are the mean image of all training eights.

Nothing is trained: `sigmoid(W . x + b)` is large for an image that has ink where eights have it, and b = -45 makes it a
yes or no at the threshold 0.5. The mean image is drawn as average_eight.png. For comparison the same neuron is trained
afterwards, from zero, to find weights and a bias of its own.

Expect 68.2 % of the training images, 66.9 % of the test images and 81.9 % of the test eights: too many other digits
have ink in the same places. The trained neuron reaches about 95 % after two epochs.

    python examples/reference/template_matching.py
    python examples/reference/template_matching.py --data folder/with/the/idx/files --backend cupy

Without --data MNIST is downloaded once (11 MB).
"""

import argparse
from typing import Any

import numpy as np

import nnx
from nnx import datasets, functional, plotting
from nnx.layers import Dense


def average_digit(images: np.ndarray, labels: np.ndarray, digit: int) -> np.ndarray:
    """The mean (784,) of all images (n, 784) that show a digit."""
    return np.asarray(images[labels == digit].mean(axis=0))


def predict(x: Any, template: Any, bias: float) -> Any:
    """How much each image (n, 784) matches the template (784,): numbers (n,) from 0 to 1."""
    xp = nnx.array_namespace(x)
    score, _ = functional.sigmoid(x @ template + bias)
    return xp.reshape(score, (x.shape[0],))


def evaluate(images: np.ndarray, labels: np.ndarray, digit: int, threshold: float, template: Any, bias: float) -> float:
    """The share of images that are rightly taken, or not taken, for that digit."""
    taken = nnx.to_numpy(predict(nnx.asarray(images), template, bias)) >= threshold
    return float((taken == (labels == digit)).mean())


def train_neuron(train: tuple[np.ndarray, np.ndarray], test: tuple[np.ndarray, np.ndarray], epochs: int) -> float:
    """The test accuracy of sigmoid(W . x + b) with weights that were learnt."""
    model = nnx.Sequential([Dense(1, "sigmoid", kernel_initializer="zeros", input_dim=784)])
    model.compile("adam", loss="binary_crossentropy", metrics=["accuracy"])
    model.fit(*train, epochs=epochs, verbose=0)
    return float(model.evaluate(*test, verbose=0)[1])


def main() -> dict[str, float]:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--backend", default="numpy", help="numpy, cupy, torch, array-api-strict or auto")
    parser.add_argument("--data", default=None, help="folder with the IDX files of MNIST; default: download them")
    parser.add_argument("--epochs", type=int, default=2, help="of the neuron that is trained for comparison")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()

    (x_train, y_train), (x_test, y_test) = datasets.mnist.load_data(arguments.data)
    x_train, x_test = (images.reshape(-1, 784).astype("float32") / 255.0 for images in (x_train, x_test))
    nnx.random.set_seed(arguments.seed)

    digit, bias, threshold = 8, -45.0, 0.5
    average = average_digit(x_train, y_train, digit)
    plotting.images(average.reshape(1, 28, 28), ["the average eight"], path="average_eight.png")
    eights = y_test == digit
    with nnx.backend(arguments.backend):
        template = nnx.asarray(average)
        for index in (2, 17):  # a four and an eight
            score = nnx.to_numpy(predict(nnx.asarray(x_train[index : index + 1]), template, bias))[0]
            print(f"training image {index} shows a {y_train[index]}: W . x + b gives {score:.3g}")
        accuracies = {
            name: evaluate(images, labels, digit, threshold, template, bias)
            for name, images, labels in (
                ("training images", x_train, y_train),
                ("test images", x_test, y_test),
                ("test eights", x_test[eights], y_test[eights]),
            )
        }
        accuracies["test images, the same neuron trained"] = train_neuron(
            (x_train, y_train == digit), (x_test, y_test == digit), arguments.epochs
        )
    for name, accuracy in accuracies.items():
        print(f"{name}: {accuracy:.1%} right")
    print("written: average_eight.png")
    return accuracies


if __name__ == "__main__":
    main()
