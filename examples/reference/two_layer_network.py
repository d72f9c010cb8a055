"""A network of two layers written by hand, from nothing but arrays and pure functions.

3-4-1, sigmoid, no biases, weights that start uniform in [0, 1). The answer is the exclusive or of the first two bits;
the third is always 1. Each of 1500 steps goes down the gradient of the sum of squared errors over all four rows, with
step size 1. There is no layer, model or optimiser in here: every function of `nnx.functional` returns its value and its
pullback, `feedforward` keeps the pullbacks, and `backprop` calls them in reverse order.

Expect outputs of about 0.012, 0.974, 0.974 and 0.030 with the default seed. With 30 seeds all learned; the first and
last output ended between 0.009 and 0.041, the other two between 0.965 and 0.985.

    python examples/reference/two_layer_network.py
    python examples/reference/two_layer_network.py --backend cupy --epochs 3000 --seed 5
"""

import argparse

import numpy as np

import nnx
from nnx import functional

X = np.array([[0, 0, 1], [0, 1, 1], [1, 0, 1], [1, 1, 1]], dtype="float32")
Y = np.array([[0], [1], [1], [0]], dtype="float32")
STEP_SIZE = 1.0


class NeuralNetwork:
    """x (n, 3) -> hidden (n, 4) -> output (n, 1), each sigmoid(input @ weights)."""

    def __init__(self, x: np.ndarray, y: np.ndarray) -> None:
        random = nnx.random.default()
        self.x, self.y = nnx.asarray(x), nnx.asarray(y)
        self.weights1 = nnx.asarray(random.uniform((3, 4)))
        self.weights2 = nnx.asarray(random.uniform((4, 1)))
        self.sum_of_squares = nnx.losses.MeanSquaredError(reduction="sum")  # the mean is over one output: itself

    def feedforward(self) -> None:
        z1, self.pullback_z1 = functional.dense(self.x, self.weights1)
        self.hidden, self.pullback_hidden = functional.sigmoid(z1)
        z2, self.pullback_z2 = functional.dense(self.hidden, self.weights2)
        self.output, self.pullback_output = functional.sigmoid(z2)
        self.loss, self.pullback_loss = self.sum_of_squares.forward(self.y, self.output)

    def backprop(self) -> None:
        dhidden, dweights2 = self.pullback_z2(self.pullback_output(self.pullback_loss()))
        _, dweights1 = self.pullback_z1(self.pullback_hidden(dhidden))
        self.weights1 = self.weights1 - STEP_SIZE * dweights1
        self.weights2 = self.weights2 - STEP_SIZE * dweights2


def main() -> np.ndarray:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--backend", default="numpy", help="numpy, cupy, torch, array-api-strict or auto")
    parser.add_argument("--epochs", type=int, default=1500)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()

    nnx.random.set_seed(arguments.seed)
    with nnx.backend(arguments.backend):
        network = NeuralNetwork(X, Y)
    for epoch in range(arguments.epochs):
        network.feedforward()
        if epoch % max(1, arguments.epochs // 5) == 0:
            print(f"iteration {epoch:4d}: sum of squared errors {nnx.to_numpy(network.loss):.5f}")
        network.backprop()
    network.feedforward()
    print(f"after {arguments.epochs} iterations: sum of squared errors {nnx.to_numpy(network.loss):.5f}")

    output = nnx.to_numpy(network.output)
    for row, expected, found in zip(X, Y, output, strict=True):
        print(f"{row.astype(int)} -> {found[0]:.3f}   (expected {expected[0]:.0f})")
    return output


if __name__ == "__main__":
    main()
