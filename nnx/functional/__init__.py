"""Functions of arrays: the mathematics, each function with its derivative beside it.

Every function returns `(y, pullback)`. `pullback(dy)` maps the cotangent of y to the cotangents of the function's
array arguments: one array for a function of one array, else a tuple in the order of the arguments. It is the true
vector-Jacobian product. What the backward pass needs lives in the closure and dies with it.

The pullback of a function of parameters also takes `out`, a tuple with an entry for each array argument: an array to
write that cotangent to, None to allocate it, or `SKIP` where the caller does not need it (then None is returned).
Writing to `out` is an optimisation that a pullback may ignore; the caller looks at what is returned.
"""

from nnx.functional import (
    activations,
    affine,
    attention,
    axes,
    classification_losses,
    convolution,
    crossentropies,
    erf,
    images,
    inner_product,
    masking,
    merging,
    noise,
    normalization,
    padding,
    pooling,
    recurrent,
    regression_losses,
    reshaping,
    standardization,
    upsampling,
)
from nnx.functional.activations import *
from nnx.functional.affine import *
from nnx.functional.attention import *
from nnx.functional.axes import *
from nnx.functional.batch_normalization import batch_normalization, batch_normalization_inference
from nnx.functional.classification_losses import *
from nnx.functional.convolution import *
from nnx.functional.crossentropies import *
from nnx.functional.ctc import ctc
from nnx.functional.dropout import dropout
from nnx.functional.embedding import embedding
from nnx.functional.embedding_losses import circle
from nnx.functional.erf import *
from nnx.functional.gru import gru
from nnx.functional.images import *
from nnx.functional.inner_product import *
from nnx.functional.lstm import lstm
from nnx.functional.masking import *
from nnx.functional.merging import *
from nnx.functional.noise import *
from nnx.functional.normalization import *
from nnx.functional.padding import *
from nnx.functional.pooling import *
from nnx.functional.recurrent import *
from nnx.functional.regression_losses import *
from nnx.functional.reshaping import *
from nnx.functional.standardization import *
from nnx.functional.upsampling import *
from nnx.pullbacks import SKIP, Pullback, linear, values_only

# A file says in its own __all__ what is exported. Those whose name is also that of a function cannot be named below.
__all__ = [
    "SKIP",
    "Pullback",
    "batch_normalization",
    "batch_normalization_inference",
    "circle",
    "ctc",
    "dropout",
    "embedding",
    "gru",
    "linear",
    "lstm",
    "values_only",
    *activations.__all__,
    *affine.__all__,
    *attention.__all__,
    *axes.__all__,
    *classification_losses.__all__,
    *convolution.__all__,
    *crossentropies.__all__,
    *erf.__all__,
    *images.__all__,
    *inner_product.__all__,
    *masking.__all__,
    *merging.__all__,
    *noise.__all__,
    *normalization.__all__,
    *padding.__all__,
    *pooling.__all__,
    *recurrent.__all__,
    *regression_losses.__all__,
    *reshaping.__all__,
    *standardization.__all__,
    *upsampling.__all__,
]
