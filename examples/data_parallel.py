"""Train one network in several processes, each on a GPU of its own or on some cores, as if they were one.

The same script is one process or several; what makes it so is the first line of `main`.
Each process computes its share of every batch; losses, weights and what is printed are those of one process.

    python examples/data_parallel.py
    mpirun -n 4 python examples/data_parallel.py --backend cupy

Needs an MPI, such as Debian's package openmpi-bin, and mpi4py: pip install 'nnx-array[mpi]'. The digest of the weights
at the end is that of every process. Between different numbers of processes weights differ by rounding, as sums in
another order do, and in float32 that grows while training goes on.
"""

import argparse
import hashlib

import numpy as np

import nnx
from nnx.layers import BatchNormalization, Conv2D, Dense, GlobalAveragePooling2D, Input


def main() -> float:
    nnx.distributed.initialize()  # before anything else: it decides which GPU is used, and shares random numbers
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--backend", default="auto", help="numpy, cupy, torch, array-api-strict or auto")
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--batch-size", type=int, default=64, help="of all processes together")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()

    (x_train, y_train), (x_test, y_test) = nnx.datasets.digits.load_data()
    nnx.random.set_seed(arguments.seed)
    with nnx.backend(arguments.backend) as backend:
        model = nnx.Sequential(
            [
                Input(shape=(8, 8, 1)),
                Conv2D(16, 3, activation="relu"),
                BatchNormalization(momentum=0.9),
                Conv2D(32, 3, activation="relu"),
                BatchNormalization(momentum=0.9),
                GlobalAveragePooling2D(),
                Dense(10, activation="softmax"),
            ]
        )
    model.compile(nnx.optimizers.Adam(0.01), loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(
        x_train[..., None],
        y_train,
        batch_size=arguments.batch_size,
        epochs=arguments.epochs,
        validation_data=(x_test[..., None], y_test),
    )
    accuracy: float = model.evaluate(x_test[..., None], y_test, verbose=0)[1]
    weights = np.concatenate([weight.ravel() for weight in model.get_weights()])
    if nnx.distributed.rank() == 0:
        digest, size = hashlib.sha256(weights.tobytes()).hexdigest()[:12], nnx.distributed.size()
        processes = "1 process" if size == 1 else f"{size} processes"
        print(f"\ntest accuracy on {backend}, {processes}: {accuracy:.1%}, weights {digest}")
    return accuracy


if __name__ == "__main__":
    main()
