"""Data sets to learn with.

`digits` and `breast_cancer` come with scikit-learn. The others are downloaded into a cache, with checksums, or read
from files that you have: images, `mnist`, `fashion_mnist`, `cifar10` and `cifar100`; texts as numbers of words, `imdb`
and `reuters`; tables, `boston_housing` and `california_housing`. Each has a `load_data` that gives
`(x_train, y_train), (x_test, y_test)`, and those that Keras has give them in the order of Keras.
"""

from typing import TYPE_CHECKING

from nnx.datasets import (
    boston_housing,
    breast_cancer,
    california_housing,
    cifar10,
    cifar100,
    digits,
    fashion_mnist,
    imdb,
    mnist,
    reuters,
)
from nnx.lazy_loading import other_names

if not TYPE_CHECKING:
    __getattr__ = other_names(__name__)
__all__ = [
    "boston_housing",
    "breast_cancer",
    "california_housing",
    "cifar10",
    "cifar100",
    "digits",
    "fashion_mnist",
    "imdb",
    "mnist",
    "reuters",
]
