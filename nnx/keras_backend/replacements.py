"""What stands in place of functions that Keras 2's backend has and `nnx.backend` has not."""

from __future__ import annotations

from nnx import ops

_TRAINING = "a layer's call(self, x, training=None) is told whether it is training"
_TAPE = "nnx.grad(function) or nnx.GradientTape() give gradients"
_SESSION = "there are no sessions: values are computed at once"
_ADVICE = {
    **dict.fromkeys(("learning_phase", "set_learning_phase", "in_train_phase", "in_test_phase"), _TRAINING),
    "learning_phase_scope": _TRAINING,
    "gradients": _TAPE,
    **dict.fromkeys(("get_session", "set_session", "tensorflow_backend", "tf", "get_graph"), _SESSION),
    "manual_variable_initialization": _SESSION,
    "placeholder": "nnx.Input(shape) is the input of a graph",
    "print_tensor": "print(x) shows an array",
    "rnn": "nnx.layers.RNN(cell), or nnx.ops.scan(f, init, xs), runs over steps",
    "moving_average_update": "x.assign(momentum * x.value + (1 - momentum) * value)",
    "batch_normalization": "nnx.ops.batch_normalization(x, mean, variance, axis)",
    "normalize_batch_in_training": "nnx.layers.BatchNormalization() does it",
    "temporal_padding": "nnx.layers.ZeroPadding1D() does it, or nnx.ops.pad(x, pad_width)",
    "spatial_2d_padding": "nnx.layers.ZeroPadding2D() does it, or nnx.ops.pad(x, pad_width)",
    "spatial_3d_padding": "nnx.layers.ZeroPadding3D() does it, or nnx.ops.pad(x, pad_width)",
    "resize_volumes": "nnx.layers.UpSampling3D() does it, or nnx.ops.repeat(x, repeats, axis)",
    "binary_focal_crossentropy": "nnx.losses.binary_focal_crossentropy(y_true, y_pred)",
    "categorical_focal_crossentropy": "nnx.losses.categorical_focal_crossentropy(y_true, y_pred)",
    "conv3d": "nnx.ops.conv(x, kernel, strides, padding)",
    **dict.fromkeys(("conv2d_transpose", "conv3d_transpose"), "nnx.ops.conv_transpose(x, kernel, strides, padding)"),
    "depthwise_conv2d": "nnx.ops.depthwise_conv(x, kernel, strides, padding)",
    **dict.fromkeys(
        ("separable_conv1d", "separable_conv2d"), "nnx.ops.separable_conv(x, depthwise_kernel, pointwise_kernel)"
    ),
    "pool3d": "nnx.ops.max_pool(x, pool_size) or nnx.ops.average_pool(x, pool_size)",
    **dict.fromkeys(("foldl", "foldr"), "nnx.ops.scan(f, init, xs), with reverse=True from the end"),
    "count_params": "weight.size is the number of its elements, model.count_params() that of all",
    **dict.fromkeys(("is_sparse", "to_dense"), "there are no sparse arrays: all are dense"),
    "ctc_label_dense_to_sparse": "nnx.ops.ctc_loss(target, output, target_length, output_length) takes dense labels",
    "set_image_dim_ordering": "data_format= in each layer",
    "image_dim_ordering": "K.image_data_format()",
}


def replacement_of(name: str) -> str:
    """What to write in place of a function of Keras 2's backend.

    >>> replacement_of("placeholder"), replacement_of("einsum")
    ('nnx.Input(shape) is the input of a graph', 'nnx.ops.einsum')
    """
    if name in _ADVICE:
        return _ADVICE[name]
    return f"nnx.ops.{name}" if hasattr(ops, name) else "see nnx.ops for the functions of arrays"
