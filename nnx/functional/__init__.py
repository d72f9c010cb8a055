"""The mathematics: pure functions of arrays, each with its derivative beside it.

Every function returns `(y, pullback)`. `pullback(dy)` maps the cotangent of y to the cotangents of the function's
array arguments: one array for a function of one array, else a tuple in the order of the arguments. It is the true
vector-Jacobian product. What the backward pass needs lives in the closure and dies with it.

The pullback of a function of parameters also takes `out`, a tuple with an entry for each array argument: an array to
write that cotangent to, None to allocate it, or `SKIP` where the caller does not need it (then None is returned).
Writing to `out` is an optimisation that a pullback may ignore; the caller looks at what is returned.
"""

from nnx.functional.activations import (
    celu,
    elu,
    exponential,
    gelu,
    hard_shrink,
    hard_sigmoid,
    hard_silu,
    hard_tanh,
    leaky_relu,
    log_sigmoid,
    log_softmax,
    mish,
    prelu,
    relu,
    relu6,
    selu,
    sigmoid,
    silu,
    soft_shrink,
    softmax,
    softplus,
    softsign,
    sparse_plus,
    sparse_sigmoid,
    sparsemax,
    squareplus,
    step,
    tanh,
    tanh_shrink,
    threshold,
)
from nnx.functional.affine import dense
from nnx.functional.attention import dot_product_attention
from nnx.functional.axes import permute, repeat_vector
from nnx.functional.batch_normalization import batch_normalization, batch_normalization_inference
from nnx.functional.classification_losses import (
    categorical_hinge,
    dice,
    hinge,
    kl_divergence,
    squared_hinge,
    tversky,
)
from nnx.functional.convolution import conv, conv_transpose, depthwise_conv, separable_conv
from nnx.functional.crossentropies import (
    binary_crossentropy,
    binary_focal_crossentropy,
    categorical_crossentropy,
    categorical_focal_crossentropy,
    sparse_categorical_crossentropy,
)
from nnx.functional.ctc import ctc
from nnx.functional.dropout import dropout
from nnx.functional.embedding import embedding
from nnx.functional.erf import erfc
from nnx.functional.gru import gru
from nnx.functional.images import affine_transform
from nnx.functional.inner_product import dot
from nnx.functional.lstm import lstm
from nnx.functional.masking import mask_steps
from nnx.functional.merging import add, average, concatenate, maximum, minimum, multiply, subtract
from nnx.functional.noise import alpha_dropout, gaussian_dropout, gaussian_noise
from nnx.functional.normalization import (
    deviation_normalization,
    group_normalization,
    layer_normalization,
    rms_normalization,
    unit_normalization,
)
from nnx.functional.padding import crop, zero_pad
from nnx.functional.pooling import average_pool, global_average_pool, global_max_pool, max_pool
from nnx.functional.recurrent import simple_rnn
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
from nnx.functional.reshaping import flatten, reshape
from nnx.functional.standardization import rescale, standardize
from nnx.functional.upsampling import upsample
from nnx.pullbacks import SKIP, Pullback, linear, values_only

__all__ = [
    "SKIP",
    "Pullback",
    "add",
    "affine_transform",
    "alpha_dropout",
    "average",
    "average_pool",
    "batch_normalization",
    "batch_normalization_inference",
    "binary_crossentropy",
    "binary_focal_crossentropy",
    "categorical_crossentropy",
    "categorical_focal_crossentropy",
    "categorical_hinge",
    "celu",
    "concatenate",
    "conv",
    "conv_transpose",
    "cosine_similarity",
    "crop",
    "ctc",
    "dense",
    "depthwise_conv",
    "deviation_normalization",
    "dice",
    "dot",
    "dot_product_attention",
    "dropout",
    "elu",
    "embedding",
    "erfc",
    "exponential",
    "flatten",
    "gaussian_dropout",
    "gaussian_noise",
    "gelu",
    "global_average_pool",
    "global_max_pool",
    "group_normalization",
    "gru",
    "hard_shrink",
    "hard_sigmoid",
    "hard_silu",
    "hard_tanh",
    "hinge",
    "huber",
    "kl_divergence",
    "layer_normalization",
    "leaky_relu",
    "linear",
    "log_cosh",
    "log_sigmoid",
    "log_softmax",
    "lstm",
    "mask_steps",
    "max_pool",
    "maximum",
    "mean_absolute_error",
    "mean_absolute_percentage_error",
    "mean_squared_error",
    "mean_squared_logarithmic_error",
    "minimum",
    "mish",
    "multiply",
    "permute",
    "poisson",
    "prelu",
    "relu",
    "relu6",
    "repeat_vector",
    "rescale",
    "reshape",
    "rms_normalization",
    "selu",
    "separable_conv",
    "sigmoid",
    "silu",
    "simple_rnn",
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
    "standardize",
    "step",
    "subtract",
    "tanh",
    "tanh_shrink",
    "threshold",
    "tversky",
    "unit_normalization",
    "upsample",
    "values_only",
    "zero_pad",
]
