"""Operations on arrays with the names, arguments and meanings of `keras.ops`.

They work on arrays of every backend, lists and numbers; on tracked arrays, where they are differentiated; on parameters
of layers; and on symbols of a graph, where each becomes a named operation of the model. Random numbers are in
`nnx.random`. The names of `keras.ops.numpy` and `keras.ops.nn` are all here; `nnx.ops.image` and `nnx.ops.linalg` are
modules too.
"""

import sys
from typing import TYPE_CHECKING, Any

from nnx.names import did_you_mean, nearest
from nnx.ops import (
    activations,
    arithmetic,
    attention,
    comparison,
    control_flow,
    conversion,
    convolution,
    creation,
    crossentropies,
    diagonals,
    differences,
    elementwise,
    encodings,
    fourier,
    image,
    indexing,
    joining,
    linalg,
    missing_values,
    normalization,
    order_statistics,
    pooling,
    products,
    ranking,
    reductions,
    segments,
    shapes,
    sorting,
    special_functions,
    statistics,
    unfolding,
    vectorizing,
    windows,
)
from nnx.ops.activations import *
from nnx.ops.arithmetic import *
from nnx.ops.attention import *
from nnx.ops.comparison import *
from nnx.ops.control_flow import *
from nnx.ops.conversion import *
from nnx.ops.convolution import *
from nnx.ops.creation import *
from nnx.ops.crossentropies import *
from nnx.ops.diagonals import *
from nnx.ops.differences import *
from nnx.ops.elementwise import *
from nnx.ops.encodings import *
from nnx.ops.fourier import *
from nnx.ops.indexing import *
from nnx.ops.joining import *
from nnx.ops.linalg import *
from nnx.ops.missing_values import *
from nnx.ops.normalization import *
from nnx.ops.order_statistics import *
from nnx.ops.pooling import *
from nnx.ops.products import *
from nnx.ops.ranking import *
from nnx.ops.reductions import *
from nnx.ops.segments import *
from nnx.ops.shapes import *
from nnx.ops.sorting import *
from nnx.ops.special_functions import *
from nnx.ops.statistics import *
from nnx.ops.unfolding import *
from nnx.ops.vectorizing import *
from nnx.ops.windows import *

# A file says in its own __all__ what is exported.
__all__ = [
    "image",
    "linalg",
    *activations.__all__,
    *arithmetic.__all__,
    *attention.__all__,
    *comparison.__all__,
    *control_flow.__all__,
    *conversion.__all__,
    *convolution.__all__,
    *creation.__all__,
    *crossentropies.__all__,
    *diagonals.__all__,
    *differences.__all__,
    *elementwise.__all__,
    *encodings.__all__,
    *fourier.__all__,
    *indexing.__all__,
    *joining.__all__,
    *linalg.__all__,
    *missing_values.__all__,
    *normalization.__all__,
    *order_statistics.__all__,
    *pooling.__all__,
    *products.__all__,
    *ranking.__all__,
    *reductions.__all__,
    *segments.__all__,
    *shapes.__all__,
    *sorting.__all__,
    *special_functions.__all__,
    *statistics.__all__,
    *unfolding.__all__,
    *vectorizing.__all__,
    *windows.__all__,
]

_ADVICE = {
    "eig": "nnx.ops.eigh takes symmetric matrices; the eigenvalues of others are complex, numpy.linalg.eig has them "
    "on the host, of nnx.to_numpy(x)",
    "rearrange": "write it with nnx.ops.reshape, transpose and einsum",
}
"""What to write instead of the operations of Keras that are not here."""

if not TYPE_CHECKING:

    def __getattr__(name: str) -> Any:
        if name in ("numpy", "nn"):  # keras.ops.numpy.exp is keras.ops.exp
            return sys.modules[__name__]
        if name.startswith("__"):
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        advice = (
            _ADVICE.get(name) or did_you_mean(nearest(name, __all__)) or "see the list of operations in its reference"
        )
        raise AttributeError(f"nnx.ops has no {name}: {advice}")
