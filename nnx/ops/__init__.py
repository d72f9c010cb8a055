"""Operations on arrays with the names, arguments and meanings of `keras.ops`.

They work on arrays of every backend, lists and numbers; on tracked arrays, where they are differentiated; on parameters
of layers; and on symbols of a graph, where each becomes a named operation of the model. Random numbers are in
`nnx.random`.
"""

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
from nnx.ops.fourier import *
from nnx.ops.image import *
from nnx.ops.indexing import *
from nnx.ops.joining import *
from nnx.ops.linalg import *
from nnx.ops.missing_values import *
from nnx.ops.normalization import *
from nnx.ops.one_hot import *
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
