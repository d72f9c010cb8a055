"""Gates: what one unit can learn, and what it cannot.

First a perceptron with a step function, trained by Rosenblatt's rule (the step has no slope, so there is no gradient
to go down): it learns OR, AND and NAND in a few passes, and never XOR, which no line separates. Then one linear unit
with the mean squared error, as Keras has it: same outcome.

Expect of the linear unit, after 500 epochs, accuracy 1.0 for OR, AND and NAND at losses between 0.0625, the smallest
that is possible, and 0.1; and for XOR a loss between 0.25, again the smallest, and 0.27. Of 30 seeds one was not there
yet for OR (0.75): there the weights had started at the most negative values of all.

    python examples/reference/perceptron_gates.py
    python examples/reference/perceptron_gates.py --backend cupy --epochs 1000 --seed 5

keras_scripts/perceptron_gates_keras.py is the second part as a script for Keras with only its import lines changed.
"""

import argparse

import numpy as np

import nnx
from nnx.layers import Dense
from nnx.losses import mse
from nnx.optimizers import SGD

X = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], dtype="float32")
GATES = {
    "OR": [[0], [1], [1], [1]],
    "AND": [[0], [0], [0], [1]],
    "NAND": [[1], [1], [1], [0]],
    "XOR": [[0], [1], [1], [0]],
}


def perceptron(x: np.ndarray, y: np.ndarray, passes: int) -> tuple[int | None, np.ndarray]:
    """Rosenblatt's rule: after each row, w += (y - step(x @ w)) * x. Bias by a third input of 1.

    Returns the pass without a mistake, None if there was none, and what the perceptron answers at the end.
    """
    rows = nnx.asarray(np.concatenate([x, np.ones((4, 1))], axis=1))
    answers = nnx.asarray(y)
    weights = nnx.asarray(np.zeros((3, 1)))
    xp = nnx.array_namespace(rows)
    passes_needed = None
    for number in range(1, passes + 1):
        mistakes = 0.0
        for row in range(4):
            inputs = rows[row : row + 1, ...]
            error = answers[row : row + 1, ...] - nnx.activations.step(inputs @ weights)
            weights = weights + xp.matrix_transpose(inputs) @ error
            mistakes += float(nnx.to_numpy(xp.sum(xp.abs(error))))
        if mistakes == 0.0:
            passes_needed = number
            break
    return passes_needed, nnx.to_numpy(nnx.activations.step(rows @ weights))


def linear_unit(x: np.ndarray, y: np.ndarray, epochs: int) -> tuple[float, float]:
    """Loss and accuracy of one linear unit after training."""
    model = nnx.Sequential()
    model.add(Dense(1, input_shape=(2,), activation="linear"))
    model.compile(optimizer=SGD(), loss=mse, metrics=["acc"])
    history = model.fit(x, y, epochs=epochs, verbose=0)
    return history.history["loss"][-1], history.history["acc"][-1]


def main() -> dict[str, tuple[float, float]]:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--backend", default="numpy", help="numpy, cupy, torch, array-api-strict or auto")
    parser.add_argument("--epochs", type=int, default=500)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()

    results = {}
    with nnx.backend(arguments.backend):
        print("perceptron with a step function")
        for gate, answers in GATES.items():
            passes, found = perceptron(X, np.array(answers, dtype="float32"), passes=20)
            outcome = f"right after {passes} passes" if passes else "never right in 20 passes"
            print(f"{gate:4}: {outcome}, answers {found[:, 0].astype(int)}")

        print(f"\none linear unit, {arguments.epochs} epochs")
        for gate, answers in GATES.items():
            nnx.random.set_seed(arguments.seed)  # all start from the same weights
            results[gate] = linear_unit(X, np.array(answers, dtype="float32"), arguments.epochs)
            print(f"{gate:4}: loss {results[gate][0]:.4f}, acc {results[gate][1]:.2f}")
    return results


if __name__ == "__main__":
    main()
