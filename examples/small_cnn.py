"""A small convolutional network of today reads MNIST.

Three blocks of convolution, batch normalization and ReLU, max-pooling and dropout between them, and global average
pooling in place of wide dense layers: 33,626 parameters, and nothing is done to the images. The learning rate of Adam
rises for a tenth of the steps and then falls along half a cosine. With seeds 1 and 2, 97 % of the test digits are
right after the first epoch and 99.29 % and 99.28 % after the fourth; an epoch takes about a minute on a processor.
Written is learning_curves.png.

    python examples/small_cnn.py --data folder/with/the/idx/files
    python examples/small_cnn.py --backend cupy --epochs 10

Without --data MNIST is downloaded once (11 MB).
"""

import argparse

import nnx
from nnx.layers import (
    Activation,
    BatchNormalization,
    Conv2D,
    Dense,
    Dropout,
    GlobalAveragePooling2D,
    Input,
    Layer,
    MaxPooling2D,
)

BATCH_SIZE = 128


def convolution(filters: int) -> list[Layer]:
    """3 x 3 convolution, normalized. Its bias would be taken away again with the mean of the batch."""
    return [Conv2D(filters, 3, padding="same", use_bias=False), BatchNormalization(momentum=0.9), Activation("relu")]


def make_model() -> nnx.Sequential:
    return nnx.Sequential(
        [
            Input((28, 28, 1)),
            *convolution(16),
            MaxPooling2D(),
            *convolution(32),
            *convolution(32),
            MaxPooling2D(),
            Dropout(0.2),
            *convolution(64),
            GlobalAveragePooling2D(),
            Dropout(0.2),
            Dense(10, "softmax"),
        ],
        name="small_cnn",
    )


def main() -> float:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--backend", default="auto", help="numpy, cupy, torch, array-api-strict or auto")
    parser.add_argument("--data", help="folder with the IDX files of MNIST; default: download them")
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()

    (x_train, y_train), (x_test, y_test) = nnx.datasets.mnist.load_data(arguments.data)
    x_train, x_test = (images[..., None].astype("float32") / 255.0 for images in (x_train, x_test))  # one channel

    nnx.random.set_seed(arguments.seed)
    with nnx.backend(arguments.backend) as backend:
        model = make_model()
    model.summary()
    steps = arguments.epochs * -(-len(x_train) // BATCH_SIZE)
    schedule = nnx.schedules.CosineDecay(0.0005, steps - steps // 10, warmup_target=0.005, warmup_steps=steps // 10)
    model.compile(nnx.optimizers.Adam(schedule), loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    history = model.fit(
        x_train, y_train, batch_size=BATCH_SIZE, epochs=arguments.epochs, validation_data=(x_test, y_test)
    )
    history.plot("learning_curves.png")
    accuracy: float = history.history["val_accuracy"][-1]
    print(f"\ntest accuracy on {backend}: {accuracy:.2%}")
    print("written: learning_curves.png")
    return accuracy


if __name__ == "__main__":
    main()
