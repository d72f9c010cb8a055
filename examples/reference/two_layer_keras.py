"""The two-layer network once more, in the way of Keras: 3-4-1, sigmoid, mean squared error, SGD with learning rate 1.

Unlike the one written by hand it has biases, 16 + 5 = 21 parameters, and it goes down the mean of the squared errors,
in steps that are a quarter as long. Expect outputs of about 0.06, 0.94, 0.93 and 0.06 with the default seed. With 30
seeds all learned: the first and last output ended below 0.1, the other two above 0.88.

    python examples/reference/two_layer_keras.py
    python examples/reference/two_layer_keras.py --backend cupy --epochs 3000 --seed 5

keras_scripts/two_layer_keras.py is the same as a script for Keras with nothing but its import lines changed.
"""

import argparse

import numpy as np

import nnx
from nnx.layers import Dense

X = np.array([[0, 0, 1], [0, 1, 1], [1, 0, 1], [1, 1, 1]])
Y = np.array([[0], [1], [1], [0]])


def main() -> np.ndarray:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--backend", default="numpy", help="numpy, cupy, torch, array-api-strict or auto")
    parser.add_argument("--epochs", type=int, default=1500)
    parser.add_argument("--seed", type=int, default=9)
    arguments = parser.parse_args()

    nnx.random.set_seed(arguments.seed)
    with nnx.backend(arguments.backend):
        model = nnx.Sequential()
        model.add(Dense(units=4, activation="sigmoid", input_dim=3))
        model.add(Dense(units=1, activation="sigmoid"))
    model.summary()
    model.compile(loss="mean_squared_error", optimizer=nnx.optimizers.SGD(learning_rate=1.0))
    history = model.fit(X, Y, epochs=arguments.epochs, verbose=0)
    losses = history.history["loss"]
    print(f"mean squared error: {losses[0]:.4f} in the first epoch, {losses[-1]:.4f} in epoch {len(losses)}")

    output: np.ndarray = model.predict(X, verbose=0)
    for row, expected, found in zip(X, Y, output, strict=True):
        print(f"{row} -> {found[0]:.3f}   (expected {expected[0]})")
    return output


if __name__ == "__main__":
    main()
