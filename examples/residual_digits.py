"""A residual network (He, Zhang, Ren and Sun, 2015) reads small digits, as a graph of layers.

A layer that is called on a symbol gives a symbol, and symbols can be added: that is all a skip connection takes. Three
blocks of two convolutions with batch normalization, the second and third at half the resolution, then global average
pooling: 78,426 parameters, for the 1,797 digits of 8 x 8 pixels that ship with scikit-learn. After 20 epochs, half a
minute on a laptop, 98.6 to 100 % of the 360 test digits were right with five seeds; the dense network of quickstart.py
reads 97 to 98 %. Written are confusion_matrix.png and model.png, a drawing of the graph.

    python examples/residual_digits.py
    python examples/residual_digits.py --backend cupy --epochs 50
"""

import argparse
from typing import Any

import nnx
from nnx.layers import Activation, BatchNormalization, Conv2D, Dense, GlobalAveragePooling2D, Input

BATCH_SIZE = 32


def convolution(x: Any, filters: int, size: int = 3, strides: int = 1) -> Any:
    """A convolution, normalized; its bias would go away again with the mean of the batch."""
    y = Conv2D(filters, size, strides, padding="same", use_bias=False, kernel_initializer="he_normal")(x)
    return BatchNormalization(momentum=0.9)(y)


def block(x: Any, filters: int, strides: int = 1) -> Any:
    """relu(x + f(x)), where x passes a convolution of 1 x 1 if f changes its shape."""
    y = Activation("relu")(convolution(x, filters, strides=strides))
    y = convolution(y, filters)
    skipped = x if x.shape == y.shape else convolution(x, filters, 1, strides)
    return Activation("relu")(y + skipped)


def make_model() -> nnx.Model:
    image = Input((8, 8, 1))
    x = Activation("relu")(convolution(image, 16))
    x = block(x, 16)
    x = block(x, 32, strides=2)
    x = block(x, 64, strides=2)
    digit = Dense(10, "softmax")(GlobalAveragePooling2D()(x))
    return nnx.Model(image, digit, name="residual")


def main() -> float:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--backend", default="auto", help="numpy, cupy, torch, array-api-strict or auto")
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()

    (x_train, y_train), (x_test, y_test) = nnx.datasets.digits.load_data()
    x_train, x_test = x_train[..., None], x_test[..., None]  # one channel

    nnx.random.set_seed(arguments.seed)
    with nnx.backend(arguments.backend) as backend:
        model = make_model()
    model.summary()
    steps = arguments.epochs * -(-len(x_train) // BATCH_SIZE)
    optimizer = nnx.optimizers.Adam(nnx.schedules.CosineDecay(0.005, steps))
    model.compile(optimizer, loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(
        x_train, y_train, batch_size=BATCH_SIZE, epochs=arguments.epochs, validation_data=(x_test, y_test), verbose=2
    )

    answers = model.predict(x_test, verbose=0).argmax(axis=-1)
    accuracy = float((answers == y_test).mean())
    print(f"\ntest accuracy on {backend}: {accuracy:.1%} ({(answers != y_test).sum()} of {len(y_test)} digits misread)")
    nnx.plotting.confusion_matrix(y_test, answers, path="confusion_matrix.png")
    nnx.plotting.plot_model(model, "model.png", show_shapes=True)
    print("written: confusion_matrix.png, model.png")
    return accuracy


if __name__ == "__main__":
    main()
