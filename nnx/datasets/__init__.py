"""Data sets to learn with.

`mnist` and `fashion_mnist` are downloaded into a cache, with checksums, or read from files that you have; `digits` and
`breast_cancer` come with scikit-learn. Each has a `load_data` that gives `(x_train, y_train), (x_test, y_test)`.
"""

from typing import TYPE_CHECKING

from nnx.datasets import breast_cancer, digits, fashion_mnist, mnist
from nnx.lazy_loading import other_names

__all__ = ["breast_cancer", "digits", "fashion_mnist", "mnist"]

if not TYPE_CHECKING:
    __getattr__ = other_names(__name__)
