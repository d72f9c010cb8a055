"""Benign or malignant? From a single neuron to a hidden layer, and from batch to mini-batch gradient descent.

Wisconsin diagnostic breast cancer data: 30 measures of cell nuclei, standardised, of 569 tumours; they come with
scikit-learn. A single neuron (logistic regression, 30 weights and a bias: 31 parameters), then 10 hidden sigmoid units
before it (321 parameters). Each is trained with the logistic loss by gradient descent over the whole batch and over
mini-batches of 64, 32 and 16, and reports the loss of training and of validation after each epoch. breast_cancer.png
shows the curves of the second network.

Expect, after 60 epochs, a validation accuracy of 0.956 to 0.982 for each of the eight (with eight seeds tried).

    python examples/reference/breast_cancer.py
    python examples/reference/breast_cancer.py --backend cupy --epochs 200 --seed 5
"""

import argparse

import nnx
from nnx import datasets, plotting
from nnx.layers import Dense


def make_model(hidden: int) -> nnx.Sequential:
    """A sigmoid neuron over 30 inputs, or over a layer of hidden ones."""
    model = nnx.Sequential([nnx.Input(shape=(30,))])
    if hidden:
        model.add(Dense(hidden, "sigmoid"))
    model.add(Dense(1, "sigmoid"))
    return model


def main() -> dict[str, float]:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--backend", default="numpy", help="numpy, cupy, torch, array-api-strict or auto")
    parser.add_argument("--epochs", type=int, default=60)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()

    train, validation = datasets.breast_cancer.load_data(standardize=True)
    batch_sizes = {"batch": len(train[0]), "mini-batch 64": 64, "mini-batch 32": 32, "mini-batch 16": 16}
    accuracies, curves = {}, {}
    for network, hidden in (("single neuron", 0), ("10 hidden units", 10)):
        for descent, batch_size in batch_sizes.items():
            nnx.random.set_seed(arguments.seed)  # all start from the same weights
            with nnx.backend(arguments.backend):
                model = make_model(hidden)
            print(f"\n{network}, {model.count_params()} parameters, {descent} gradient descent")
            model.compile(nnx.optimizers.SGD(0.5), loss="binary_crossentropy", metrics=["accuracy"])
            fitted = model.fit(
                *train, batch_size=batch_size, epochs=arguments.epochs, validation_data=validation, verbose=2
            )
            accuracies[f"{network}, {descent}"] = fitted.history["val_accuracy"][-1]
            curves[f"{descent} loss"] = fitted.history["loss"]
            curves[f"val_{descent} loss"] = fitted.history["val_loss"]

    print("\nvalidation accuracy")
    for name, accuracy in accuracies.items():
        print(f"{name:32} {accuracy:.3f}")
    plotting.learning_curves(curves, "breast_cancer.png")
    print("written: breast_cancer.png")
    return accuracies


if __name__ == "__main__":
    main()
