"""The mathematics: pure functions of arrays, each with its derivative beside it.

Every function returns `(y, pullback)`. `pullback(dy)` maps the cotangent of y to the cotangents of the function's
array arguments: one array for a function of one array, else a tuple in the order of the arguments. It is the true
vector-Jacobian product. What the backward pass needs lives in the closure and dies with it.

The pullback of a function of parameters also takes `out`, a tuple with an entry for each array argument: an array to
write that cotangent to, None to allocate it, or `SKIP` where the caller does not need it (then None is returned).
Writing to `out` is an optimisation that a pullback may ignore; the caller looks at what is returned.
"""

from nnx.functional.activations import (
    elu,
    exponential,
    gelu,
    leaky_relu,
    linear,
    log_sigmoid,
    log_softmax,
    relu,
    selu,
    sigmoid,
    silu,
    softmax,
    softplus,
    tanh,
)
from nnx.functional.activations_more import (
    celu,
    hard_shrink,
    hard_sigmoid,
    hard_silu,
    hard_tanh,
    mish,
    prelu,
    relu6,
    soft_shrink,
    softsign,
    sparse_plus,
    sparse_sigmoid,
    sparsemax,
    squareplus,
    step,
    tanh_shrink,
    threshold,
)
from nnx.functional.affine import dense
from nnx.functional.classification_losses import (
    categorical_hinge,
    dice,
    hinge,
    kl_divergence,
    squared_hinge,
    tversky,
)
from nnx.functional.crossentropies import (
    binary_crossentropy,
    binary_focal_crossentropy,
    categorical_crossentropy,
    categorical_focal_crossentropy,
    sparse_categorical_crossentropy,
)
from nnx.functional.dropout import dropout
from nnx.functional.erf import erfc
from nnx.functional.regression_losses import (
    cosine_similarity,
    huber,
    log_cosh,
    mean_absolute_error,
    mean_absolute_percentage_error,
    mean_squared_error,
    mean_squared_logarithmic_error,
    poisson,
)
from nnx.functional.shaping import flatten, reshape
from nnx.protocol import SKIP, Pullback, values_only

__all__ = [
    "SKIP",
    "Pullback",
    "binary_crossentropy",
    "binary_focal_crossentropy",
    "categorical_crossentropy",
    "categorical_focal_crossentropy",
    "categorical_hinge",
    "celu",
    "cosine_similarity",
    "dense",
    "dice",
    "dropout",
    "elu",
    "erfc",
    "exponential",
    "flatten",
    "gelu",
    "hard_shrink",
    "hard_sigmoid",
    "hard_silu",
    "hard_tanh",
    "hinge",
    "huber",
    "kl_divergence",
    "leaky_relu",
    "linear",
    "log_cosh",
    "log_sigmoid",
    "log_softmax",
    "mean_absolute_error",
    "mean_absolute_percentage_error",
    "mean_squared_error",
    "mean_squared_logarithmic_error",
    "mish",
    "poisson",
    "prelu",
    "relu",
    "relu6",
    "reshape",
    "selu",
    "sigmoid",
    "silu",
    "soft_shrink",
    "softmax",
    "softplus",
    "softsign",
    "sparse_categorical_crossentropy",
    "sparse_plus",
    "sparse_sigmoid",
    "sparsemax",
    "squared_hinge",
    "squareplus",
    "step",
    "tanh",
    "tanh_shrink",
    "threshold",
    "tversky",
    "values_only",
]
