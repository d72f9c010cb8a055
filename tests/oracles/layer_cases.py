"""Configurations of layers of one input, or of several of one shape, for the comparison with Keras.

Each is the name of a layer, its arguments, and the shape of what it takes. They are those that no other file compares
over steps of training: dense and activation layers, normalisation, reshaping and padding, recurrent layers, merging.
"""

from __future__ import annotations

from typing import Any

Case = tuple[str, dict[str, Any], tuple[int, ...]]

CASES: list[Case] = []


def add(kind: str, shape: tuple[int, ...], *variants: dict[str, Any]) -> None:
    CASES.extend((kind, options, shape) for options in variants or ({},))


ACTIVATIONS = (
    *("linear", "relu", "relu6", "leaky_relu", "elu", "selu", "celu", "gelu", "silu", "swish", "mish", "exponential"),
    *("sigmoid", "hard_sigmoid", "log_sigmoid", "tanh", "hard_tanh", "hard_silu", "hard_swish", "softmax"),
    *("log_softmax", "softplus", "softsign", "tanh_shrink", "soft_shrink", "hard_shrink", "squareplus", "sparse_plus"),
    "sparse_sigmoid",
)
ONE_D, TWO_D, THREE_D = (2, 6, 4), (2, 5, 6, 4), (2, 4, 3, 4, 2)
FIRST: dict[str, Any] = {"data_format": "channels_first"}

add("Dense", (3, 5), *({"units": 4, "activation": name} for name in ACTIVATIONS))
add("Dense", ONE_D, {"units": 3}, {"units": 3, "use_bias": False, "activation": "tanh"})
add("Activation", ONE_D, *({"activation": name} for name in ("gelu", "softmax", "hard_sigmoid", "mish", "softplus")))
add(
    "ReLU", ONE_D, {}, {"max_value": 0.5}, {"negative_slope": 0.1, "threshold": 0.3}, {"max_value": 1, "threshold": 0.2}
)
add("LeakyReLU", ONE_D, {}, {"negative_slope": 0.1})
add("ELU", ONE_D, {}, {"alpha": 0.5})
add("PReLU", TWO_D, {}, {"shared_axes": [1, 2]}, {"shared_axes": [3]})
add("Softmax", TWO_D, {}, {"axis": 1}, {"axis": (1, 2)})

add("BatchNormalization", (6, 5), {}, {"center": False}, {"scale": False}, {"center": False, "scale": False})
add("BatchNormalization", TWO_D, {}, {"axis": 1}, {"epsilon": 0.1, "momentum": 0.5}, {"axis": 2, "scale": False})
add("BatchNormalization", ONE_D, {}, {"axis": 1, "momentum": 0.9})
add("LayerNormalization", ONE_D, {}, {"axis": 1}, {"axis": [1, 2]}, {"center": False}, {"scale": False})
add("LayerNormalization", TWO_D, {"axis": [2, 3]}, {"epsilon": 0.1}, {"axis": -2, "center": False, "scale": False})
add("GroupNormalization", TWO_D, *({"groups": groups} for groups in (1, 2, 4, -1)))
add(
    "GroupNormalization", ONE_D, {"groups": 2, "center": False}, {"groups": 3, "axis": 1}, {"groups": 2, "epsilon": 0.1}
)
add("RMSNormalization", ONE_D, {}, {"axis": [1, 2]}, {"epsilon": 0.1})
add("UnitNormalization", TWO_D, {}, {"axis": 1}, {"axis": (1, 2)})
add("Normalization", (4, 3), {"mean": [1.0, 2.0, 3.0], "variance": [1.0, 4.0, 0.5]})
add("Normalization", (4, 3), {"mean": 0.5, "variance": 2.0, "axis": None, "invert": True})
add("Rescaling", TWO_D, {"scale": 0.5}, {"scale": 2.0, "offset": -1.0})
add("ActivityRegularization", ONE_D, {"l1": 0.1})
add("Identity", ONE_D)

add("Flatten", TWO_D, {}, FIRST)
add("Reshape", ONE_D, {"target_shape": (8, 3)}, {"target_shape": (2, -1)}, {"target_shape": (2, 3, 4)})
add("Permute", TWO_D, {"dims": (2, 1, 3)}, {"dims": (3, 1, 2)})
add("RepeatVector", (3, 5), {"n": 4})
add("ZeroPadding1D", ONE_D, {}, {"padding": (2, 1)}, {"padding": 2, **FIRST})
add("ZeroPadding2D", TWO_D, {}, {"padding": (1, 2)}, {"padding": ((0, 1), (2, 0))}, FIRST)
add("ZeroPadding3D", THREE_D, {}, {"padding": ((0, 1), (1, 0), (2, 2))}, FIRST)
add("Cropping1D", ONE_D, {}, {"cropping": (0, 2)})
add("Cropping2D", TWO_D, {"cropping": 1}, {"cropping": ((0, 1), (2, 0))}, {"cropping": (1, 1), **FIRST})
add("Cropping3D", THREE_D, {"cropping": 1}, {"cropping": ((1, 0), (0, 1), (1, 1))})
add("UpSampling1D", ONE_D, {}, {"size": 3})
add("UpSampling2D", TWO_D, {}, {"size": (3, 1)}, {"interpolation": "bilinear"}, {"size": (1, 2), **FIRST})
add("UpSampling3D", THREE_D, {}, {"size": (1, 2, 3)}, FIRST)
for number, shape in enumerate((ONE_D, TWO_D, THREE_D), start=1):
    sizes = tuple(range(1, number + 1))
    for kind in ("Average", "Max"):
        add(f"Adaptive{kind}Pooling{number}D", shape, {"output_size": 2}, {"output_size": sizes})
        add(f"Global{kind}Pooling{number}D", shape, {}, {"keepdims": True}, FIRST)
        add(f"{kind}Pooling{number}D", shape, {"pool_size": 2}, {"pool_size": 3, "strides": 1, "padding": "same"})

RECURRENT: tuple[dict[str, Any], ...] = (
    {},
    {"return_sequences": True},
    {"go_backwards": True, "return_sequences": True},
    {"use_bias": False, "activation": "relu"},
    {"return_state": True, "activation": "sigmoid"},
    {"unroll": True},
)
for kind in ("SimpleRNN", "LSTM", "GRU"):
    add(kind, (2, 4, 3), *({"units": 3, **options} for options in RECURRENT))
add("LSTM", (2, 4, 3), {"units": 3, "recurrent_activation": "hard_sigmoid"}, {"units": 2, "unit_forget_bias": False})
add("GRU", (2, 4, 3), {"units": 3, "recurrent_activation": "hard_sigmoid"}, {"units": 2, "reset_after": False})
for kind, number in (("Conv1D", 1), ("Conv2D", 2), ("Conv3D", 3)):
    shape, cases = (ONE_D, TWO_D, THREE_D)[number - 1], ("gelu", "softplus", "hard_swish")
    add(kind, shape, *({"filters": 3, "kernel_size": 2, "activation": name, "padding": "same"} for name in cases))
    add(f"{kind}Transpose", shape, *({"filters": 2, "kernel_size": 2, "activation": name} for name in cases[:2]))

# Layers of several inputs of one shape

MERGED: list[tuple[str, dict[str, Any], tuple[int, ...], int]] = [
    *((kind, {}, ONE_D, 2) for kind in ("Add", "Subtract", "Multiply", "Average", "Maximum", "Minimum", "Concatenate")),
    *((kind, {}, (3, 5), 3) for kind in ("Add", "Multiply", "Average", "Maximum", "Minimum")),
    ("Concatenate", {"axis": 1}, TWO_D, 3),
    ("Concatenate", {"axis": -2}, ONE_D, 2),
    *(("Dot", {"axes": axes}, (2, 4, 4), 2) for axes in (1, 2, (1, 2), -1)),
    *(("Dot", {"axes": axes, "normalize": True}, (2, 4, 4), 2) for axes in (1, (2, 1))),
    ("Dot", {"axes": 1}, (3, 5), 2),
]
