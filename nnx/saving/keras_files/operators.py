"""Operators in graphs of Keras, such as `a + b` and `keras.ops.mean(x)`, by those of nnx.

In Keras, an operation is a class: the arguments that are arrays, or numbers in the place of arrays, belong to its call,
all others to its configuration. Which is which is written down here, since a file does not name the arguments of calls.
"""

from __future__ import annotations

import inspect
import operator
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from nnx.graph.symbol import Symbol
from nnx.layers.function_call import FunctionCall
from nnx.names import shortened, snake_case
from nnx.operators import describe_function
from nnx.ops.operation import OPERATIONS
from nnx.saving.keras_files.objects import class_name_of, leftover, plain
from nnx.structure import leaves

__all__ = ["Operator", "class_of_operation", "is_operator", "names_in_call", "written_call"]

_ARITHMETIC: dict[str, Callable[..., Any]] = {
    "Add": operator.add,
    "Subtract": operator.sub,
    "Multiply": operator.mul,
    "Divide": operator.truediv,
    "TrueDivide": operator.truediv,
    "Power": operator.pow,
    "Matmul": operator.matmul,
    "Negative": operator.neg,
    "GetItem": operator.getitem,
}

_MODULES = {
    "nn": """
    adaptive_average_pool adaptive_max_pool average_pool batch_normalization binary_crossentropy
    categorical_crossentropy celu conv conv_transpose ctc_decode ctc_loss depth_to_space depthwise_conv
    dot_product_attention elu fold gelu glu hard_shrink hard_sigmoid hard_silu hard_tanh layer_normalization leaky_relu
    log_sigmoid log_softmax max_pool moments multi_hot normalize one_hot polar psnr relu relu6 rms_normalization selu
    separable_conv sigmoid silu soft_shrink softmax softplus softsign space_to_depth sparse_categorical_crossentropy
    sparse_plus sparse_sigmoid sparsemax squareplus tanh_shrink threshold unfold
    """,
    "image": """
    affine_transform crop_images elastic_transform extract_patches gaussian_blur hsv_to_rgb map_coordinates pad_images
    perspective_transform resize rgb_to_grayscale rgb_to_hsv scale_and_translate sobel_edges ssim
    """,
    "core": "cast convert_to_tensor saturate_cast scatter scatter_update slice slice_update stop_gradient unstack",
    "linalg": """
    cholesky cholesky_inverse det eig eigh inv lstsq lu_factor matrix_rank norm pinv qr solve solve_triangular svd
    """,
    "math": """
    cdist erf erfc erfinv extract_sequences fft fft2 ifft2 in_top_k irfft istft logdet logsumexp rfft rsqrt segment_max
    segment_min segment_prod segment_sum stft top_k view_as_complex view_as_real
    """,
}
"""Where Keras has the classes of operations; those not named here are in "numpy"."""

_MODULE_OF = {name: module for module, names in _MODULES.items() for name in names.split()}

_ABBREVIATED = {
    "batch_normalization": "BatchNorm",
    "cdist": "CDist",
    "ctc_decode": "CTCDecode",
    "ctc_loss": "CTCLoss",
    "fft": "FFT",
    "fft2": "FFT2",
    "hsv_to_rgb": "HSVToRGB",
    "ifft2": "IFFT2",
    "irfft": "IRFFT",
    "isin": "IsIn",
    "istft": "ISTFT",
    "layer_normalization": "LayerNorm",
    "psnr": "PSNR",
    "rfft": "RFFT",
    "rgb_to_grayscale": "RGBToGrayscale",
    "rgb_to_hsv": "RGBToHSV",
    "rms_normalization": "RMSNorm",
    "searchsorted": "SearchSorted",
    "ssim": "SSIM",
    "stft": "STFT",
    "svd": "SVD",
}
"""The classes whose names are not those of their functions in capitals."""

_FUNCTION_OF = {name: function for function, name in _ABBREVIATED.items()}

_IN_CALL = {
    2: """
    get_item add affine_transform append arctan2 binary_crossentropy bitwise_and bitwise_left_shift bitwise_or
    bitwise_right_shift bitwise_xor categorical_crossentropy cdist conv conv_transpose correlate cross ctc_decode
    depthwise_conv digitize divide divide_no_nan dot equal floor_divide fmax fmin fmod full_like gcd geomspace greater
    greater_equal heaviside hypot in_top_k inner isin kron lcm ldexp left_shift less less_equal linspace logaddexp
    logaddexp2 logical_and logical_or logical_xor logspace lstsq map_coordinates matmul maximum minimum mod multiply
    nanpercentile nanquantile nextafter not_equal outer percentile polar power psnr quantile right_shift
    rms_normalization scatter searchsorted segment_max segment_min segment_prod segment_sum slice solve solve_triangular
    sparse_categorical_crossentropy ssim subtract take take_along_axis tensordot true_divide vdot
    """,
    3: "arange batch_normalization layer_normalization perspective_transform scatter_update select separable_conv "
    "slice_update where",
    4: "ctc_loss isclose scale_and_translate",
    6: "dot_product_attention",
}
"""How many of a function's arguments, from the first one on, belong to the call; of those not named here it is one."""

_COUNT_IN_CALL = {name: count for count, names in _IN_CALL.items() for name in names.split()}

_ALSO_IN_CALL = {"average": ["weights"], "batch_normalization": ["offset", "scale"], "pad": ["constant_values"]}

_OF_ONE_AXIS = """
    count_nonzero log_softmax nanmax nanmean nanmedian nanmin nanpercentile nanprod nanquantile nanstd nansum nanvar
    percentile rot90
    """
_OF_ALL_AXES = "norm quantile"
"""Operations that Keras cannot compute on JAX with a list of axes, which files have for tuples, or with any axis."""

_NOT_IN_KERAS = {
    **dict.fromkeys(
        ("allclose", "bartlett", "blackman", "extract_patches_3d", "hamming", "hanning", "kaiser"),
        "has no class for it",
    ),
    **dict.fromkeys(("empty", "eye", "full", "identity", "ones", "tri", "zeros"), "takes no symbols there"),
}

# What Keras 2 calls them, in layers named TFOpLambda.
_OF_TENSORFLOW = {
    "__operators__.add": "Add",
    "math.add": "Add",
    "math.subtract": "Subtract",
    "math.multiply": "Multiply",
    "math.truediv": "TrueDivide",
    "math.pow": "Power",
    "math.negative": "Negative",
    "linalg.matmul": "Matmul",
}


def is_operator(config: dict[str, Any]) -> bool:
    """Whether what stands among the layers of a graph is an operator.

    In .h5 there are no modules: there an operator has a name alone, and a layer has a dtype too.
    """
    module = config.get("module")
    if isinstance(module, str):
        return module.startswith(("keras.src.ops.", "keras.ops."))
    settings = config.get("config")
    in_legacy = "module" not in config and isinstance(settings, dict) and settings.keys() == {"name"}
    in_legacy = in_legacy and any(isinstance(node, dict) for node in config.get("inbound_nodes") or ())
    return in_legacy or config.get("class_name") == "TFOpLambda"


class Operator:
    """An operator of a graph, which is called with the arguments of a call.

    kind : what Keras calls it, such as "Add".
    """

    def __init__(self, config: dict[str, Any]) -> None:
        kind = class_name_of(config)
        settings = config.get("config")
        settings = dict(settings) if isinstance(settings, dict) else {}
        self._name = shortened(str(settings.pop("name", None) or kind))
        if kind == "TFOpLambda":
            kind = _OF_TENSORFLOW.get(str(settings.pop("function", "")), kind)
        self.kind = kind
        self._options = {key: plain(value, self._name) for key, value in settings.items()}

    def __call__(self, args: list[Any], kwargs: dict[str, Any]) -> Any:
        """The symbol of the result. ValueError for an operation that nnx does not have."""
        if not any(isinstance(part, Symbol) for part in leaves([args, kwargs])):
            raise ValueError(f"{self._name!r} is called on nothing")
        kwargs = {key: value for key, value in kwargs.items() if key != "name"}
        if self.kind == "GetItem" and len(args) == 2 and isinstance(args[1], list):
            return args[0][tuple(args[1])]
        if self.kind in _ARITHMETIC:
            return _ARITHMETIC[self.kind](*args, *kwargs.values())
        name = _FUNCTION_OF.get(self.kind) or snake_case(self.kind)
        if name not in OPERATIONS:
            raise ValueError(f"nnx has no operation {shortened(self.kind)} ({self._name!r} in the graph)")
        if name in _OF_ANY_NUMBER:
            first = [self._options.pop(key) for key in _OF_ANY_NUMBER[name] if key in self._options]
            return describe_function(name, (*first, *args), {**self._options, **kwargs})
        known = names_in_call(name)
        if len(args) > len(known):
            raise ValueError(f"{self._name!r} is called with {len(args)} arguments, ops.{name} takes {len(known)}")
        for key in self._options.keys() - inspect.signature(OPERATIONS[name]).parameters.keys():
            leftover(name, key, self._options.pop(key), f"{self._name!r}", {"dtype": ()})
        given = dict(zip(known, args, strict=False))
        return describe_function(name, (), {**given, **self._options, **kwargs})


_OF_ANY_NUMBER: dict[str, list[str]] = {"einsum": ["subscripts"], "meshgrid": []}
"""The functions that take any number of arrays, with the arguments that come before these."""


def names_in_call(function: str) -> list[str]:
    """The arguments of an operation that belong to its call."""
    names = list(inspect.signature(OPERATIONS[function]).parameters)
    return [*names[: _COUNT_IN_CALL.get(function, 1)], *_ALSO_IN_CALL.get(function, [])]


def class_of_operation(function: str) -> tuple[str, str]:
    """The module and the name of the class that Keras has for an operation. ValueError where it has none."""
    if function in _NOT_IN_KERAS:
        raise ValueError(f"ops.{function} cannot be in a file of Keras, which {_NOT_IN_KERAS[function]}")
    name = _ABBREVIATED.get(function) or "".join(part.capitalize() for part in function.split("_"))
    return f"keras.src.ops.{_MODULE_OF.get(function, 'numpy')}", name


def written_call(layer: FunctionCall, refs: Sequence[Any]) -> tuple[dict[str, Any], list[Any]]:
    """What the configuration of an operation says, and the arguments of its call.

    refs : the inputs of the call, as they are written.
    """

    def plain_of(value: Any) -> Any:
        if isinstance(value, list):
            return [plain_of(part) for part in value]
        if not isinstance(value, dict):
            return value
        if "input" in value:
            return refs[value["input"]]
        if "constant" in value:
            array = np.asarray(layer.own_weights[value["constant"]].numpy())
            return {"class_name": "__numpy__", "config": {"value": array.tolist(), "dtype": value["dtype"]}}
        if "tuple" in value:
            return [plain_of(part) for part in value["tuple"]]
        if "dict" in value:
            return {key: plain_of(part) for key, part in value["dict"].items()}
        if "slice" in value:
            config = dict(zip(("start", "stop", "step"), value["slice"], strict=True))
            return {"class_name": "__slice__", "config": config}
        return {"class_name": "__ellipsis__", "config": {}}

    arguments = [plain_of(value) for value in layer.arguments]
    options = {key: plain_of(value) for key, value in layer.options.items()}
    if layer.function in _OF_ANY_NUMBER:
        first = _OF_ANY_NUMBER[layer.function]
        config = {**dict(zip(first, arguments, strict=False)), **options}
        return config, arguments[len(first) :]
    signature = inspect.signature(OPERATIONS[layer.function])
    config, names = signature.bind(*arguments, **options).arguments, names_in_call(layer.function)
    args = [config.pop(name, signature.parameters[name].default) for name in names]  # Keras wants them all
    for key in ("axis", "axes"):
        of_one = layer.function in _OF_ONE_AXIS.split() and isinstance(config.get(key), list)
        if of_one or (layer.function in _OF_ALL_AXES.split() and config.get(key) is not None):
            raise ValueError(
                f"ops.{layer.function} with {key}={config[key]} cannot be in a file of Keras, which fails on JAX then"
            )
    return config, args
