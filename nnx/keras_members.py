"""Members of Keras' objects that are not there here, with what to write instead: one table, by the kind of object."""

from __future__ import annotations

import inspect
from typing import Any

from nnx.names import did_you_mean, nearest

_ADAPT = "layer.adapt(data) begins anew: give it all the data, or an iterable of batches"
_ARRAYS = "transform arrays with functions of nnx.ops, or write a layer with call(self, x)"
_ASSETS = "files of models have the layer's vocabulary; a class of one's own defines it, and saving and loading call it"
_BOXES = (
    "bounding boxes are converted by nnx.utils.bounding_boxes, and images transformed by layer(images, training=True)"
)
_COMPILE = "there is no function to make: compile(...) says how fit, evaluate and predict compute"
_CUDNN = "there is one way to compute, which the backend chooses: leave it out"
_DROPOUT = "each call draws its masks anew from layer.random: leave it out"
_GRADIENTS = "write `with nnx.GradientTape() as tape: loss = ...`, then tape.gradient(loss, variables)"
_HEADS = "its weights are parameters of the layer itself: see [weight.path for weight in layer.weights]"
_INNER = "what it does to an image are no layers: use such layers of nnx.layers beside it"
_KEPT_STATE = (
    "model.save(path) keeps its state beside the model's; [variable.numpy() for variable in optimizer.variables] "
    "has it, for set_weights"
)
_LORA = "nnx has no adapters of low rank: freeze layers with layer.trainable = False"
_NODES = "layer.input and layer.output are the symbols of its first call in a graph"
_NORMALIZED_STEP = "nothing is renormalised: use LayerNormalization or GroupNormalization where batches are small"
_OPTIONS = "layer.get_config() has its options"
_QUANTISED = "nnx does not quantise; compute in nnx.backend(..., dtype='float16')"
_RANDOM = "layer.random is the stream that it draws from, once it is built, and seed= of the constructor begins it"
_STATELESS = "code of nnx is run as it is written, and objects keep their state"
_SUBCLASS = "call the layer: layer(x); a layer of your own holds it, and calls it in its call(self, x)"
_TRANSFORM = "call it, as in layer(images, training=True), or {'images': ..., 'labels': ...} with labels or boxes"
_UPDATES = "a variable is changed where call() assigns to it, as in variable.assign(value): leave it out"

INSTEAD: dict[str, dict[str, str]] = {
    "Layer": {
        "add_metric": "write self.size = nnx.metrics.Mean() in __init__, and self.size.update_state(x) in call()",
        "add_update": _UPDATES,
        "apply": _SUBCLASS,
        "call": "a subclass defines call(self, x); a layer is called as layer(x)",
        "call_signature_parameters": "inspect.signature(type(layer).forward) has the arguments of a call",
        "dynamic": "all layers run as they are written: leave it out",
        "enable_lora": _LORA,
        "get_input_at": _NODES,
        "get_input_mask_at": _NODES,
        "get_input_shape_at": _NODES,
        "get_losses_for": "layer.losses has those of the last call",
        "get_output_at": _NODES,
        "get_output_mask_at": _NODES,
        "get_output_shape_at": _NODES,
        "get_updates_for": _UPDATES,
        "inbound_nodes": _NODES,
        "input_mask": "masks travel with what layers return: take `mask` in call(self, x, mask=None)",
        "input_shape": "layer.input.shape has it in a graph, layer.build_shape once the layer is built",
        "load_assets": _ASSETS,
        "lora_alpha": _LORA,
        "lora_enabled": _LORA,
        "lora_rank": _LORA,
        "metrics": "model.metrics has them; those in attributes of its layers are among them",
        "metrics_variables": "[v for metric in model.metrics for v in metric.variables] has them",
        "outbound_nodes": _NODES,
        "output_mask": "masks travel with what layers return: layer.compute_mask(x, mask) says what comes out",
        "output_shape": "layer.output.shape has it in a graph; layer.compute_output_shape(input_shape) always",
        "path": "{layer: path for path, layer in model.walk()} has the paths of layers, weight.path that of a weight",
        "quantization_config": _QUANTISED,
        "quantization_mode": _QUANTISED,
        "quantize": _QUANTISED,
        "quantized_build": _QUANTISED,
        "quantized_call": _QUANTISED,
        "rematerialized_call": (
            "nnx keeps what the backward pass needs; take smaller batches, with gradient_accumulation_steps"
        ),
        "save_assets": _ASSETS,
        "seed_generator": _RANDOM,
        "set_dtype_policy": "give the constructor its dtype, as in Dense(3, dtype='float32')",
        "stateful_metrics": "model.metrics has them",
        "stateless_call": f"{_STATELESS}: write layer(x)",
        "submodules": "[layer for _, layer in model.walk()] has the layers inside",
        "supports_jit": "compile(jit_compile='auto') finds that out: leave it out",
        "symbolic_call": "layer.compute_output_shape(shape) says what comes out, layer(symbol) goes on with a graph",
        "updates": _UPDATES,
        "variable_serialization_spec": "[(weight.path, weight.shape) for weight in layer.weights] is what is saved",
        # of kinds of layers
        "auto_contrast": _INNER,
        "backend": "arrays say where to compute: use nnx.ops, or nnx.array_namespace(x)",
        "bounding_box_format": "give 'bounding_box_format' beside the boxes",
        "cell": "it has no cell; RNN(LSTMCell(units)) has one, and layer.weights has the weights of both",
        "convert_weight": "layer.weights has parameters, and weight.numpy() a copy on the host",
        "convolution_op": "call the layer, or nnx.ops.conv(x, kernel, strides, padding)",
        "equalization": _INNER,
        "factor": _OPTIONS,
        "feature_dim": _OPTIONS,
        "finalize_state": _ADAPT,
        "generator": _RANDOM,
        "get_clipped_bbox": _BOXES,
        "get_dropout_mask": _DROPOUT,
        "get_elastic_transform_params": _TRANSFORM,
        "get_random_transformation": _TRANSFORM,
        "get_recurrent_dropout_mask": _DROPOUT,
        "get_shifted_bbox": _BOXES,
        "get_transformed_x_y": _TRANSFORM,
        "gptq_unpacked_column_size": _OPTIONS,
        "height_axis": _OPTIONS,
        "height_lower": _OPTIONS,
        "height_upper": _OPTIONS,
        "implementation": _CUDNN,
        "inner_loop": "override call(self, inputs, states) of a cell, and give it to RNN(cell)",
        "kernel_shape": "layer.layer.kernel.shape is it, once it is built",
        "key_dense": _HEADS,
        "linear_to_mel_weight_matrix": "layer(audio) applies it; write your own matrix with NumPy",
        "noise_shape": _OPTIONS,
        "normalized_weights": "layer(x, training=True) computes with layer.kernel divided by its norm",
        "num_repeats": _OPTIONS,
        "output_dense": _HEADS,
        "output_dtype": _OPTIONS,
        "partial_output_shape": _OPTIONS,
        "pool_mode": _OPTIONS,
        "query_dense": _HEADS,
        "ragged": "sequences of several lengths are padded: nnx.utils.pad_sequences",
        "random_brightness": _INNER,
        "random_color_degeneration": _INNER,
        "random_contrast": _INNER,
        "random_hue": _INNER,
        "random_posterization": _INNER,
        "random_rotation": _INNER,
        "random_saturation": _INNER,
        "random_sharpness": _INNER,
        "random_shear": _INNER,
        "random_translation": _INNER,
        "rank": _OPTIONS,
        "renorm": _NORMALIZED_STEP,
        "renorm_clipping": _NORMALIZED_STEP,
        "renorm_momentum": _NORMALIZED_STEP,
        "reset_dropout_mask": _DROPOUT,
        "reset_recurrent_dropout_mask": _DROPOUT,
        "reset_state": _ADAPT,
        "score_mode": _OPTIONS,
        "single_state": "len(layer.get_initial_state(batch_size)) is the number of states",
        "solarization": _INNER,
        "sparse": "arrays are dense: leave it out",
        "states": "layer.forward_layer.states and layer.backward_layer.states are there",
        "summary": "layer.bin_boundaries has what adapt() found",
        "transform_bounding_boxes": _TRANSFORM,
        "transform_images": _TRANSFORM,
        "transform_labels": _TRANSFORM,
        "transform_segmentation_masks": _TRANSFORM,
        "transform_single_bounding_box": _TRANSFORM,
        "transform_single_image": _TRANSFORM,
        "transform_single_label": _TRANSFORM,
        "transform_single_segmentation_mask": _TRANSFORM,
        "update_state": _ADAPT,
        "use_cudnn": _CUDNN,
        "value_dense": _HEADS,
        "width_axis": _OPTIONS,
        "width_lower": _OPTIONS,
        "width_upper": _OPTIONS,
    },
    "Model": {
        "call": "call the model, as in model(x); a subclass defines call(self, x), a graph is Model(inputs, outputs)",
        "compiled_loss": "model.compute_loss(x, y, y_pred, sample_weight) is the loss",
        "compiled_metrics": "model.compute_metrics(x, y, y_pred, sample_weight) updates them",
        "compute_loss_and_updates": "override train_step(self, data), or compute_loss",
        "distribute_strategy": "nnx trains in processes, one a device: nnx.distributed.initialize(), docs/processes.md",
        "get_quantization_layer_structure": _QUANTISED,
        "get_state_tree": "model.get_weights() has the weights, model.save_weights(file) keeps them",
        "jax_state_sync": f"{_STATELESS}: leave it out",
        "make_predict_function": f"{_COMPILE}; override predict_step(self, data)",
        "make_test_function": f"{_COMPILE}; override test_step(self, data)",
        "make_train_function": f"{_COMPILE}; override train_step(self, data)",
        "operations": "model.layers has them",
        "predict_function": f"{_COMPILE}; model.predict_on_batch(x) is a step",
        "sample_weight_mode": "weights of steps are sample_weight (batch, time) in fit: leave it out",
        "set_state_tree": "model.set_weights(weights) sets the weights, model.load_weights(file) reads them",
        "state_updates": _UPDATES,
        "steps_per_execution": "each step is one call: leave it out",
        "stateful": "model.reset_states() forgets the states of stateful layers",
        "stateless_compute_loss": "override compute_loss(self, x, y, y_pred, sample_weight)",
        "targets": "fit(x, y) takes them: leave it out",
        "test_function": f"{_COMPILE}; model.test_on_batch(x, y) is a step",
        "total_loss": "add_loss in call(), or compute_loss(self, x, y, y_pred, sample_weight), make a loss",
        "train_function": f"{_COMPILE}; model.train_on_batch(x, y) is a step",
        "uses_learning_phase": "call(self, x, training=False) is told: leave it out",
    },
    "Optimizer": {
        "add_slot": "in build, write self.add_variable_from_reference(variable, 'name')",
        "add_variable": "in build, write self.add_variable_from_reference(variable, 'name') for each variable",
        "finalize_variable_values": "optimizer.finalize(model.flat) replaces parameters by their moving averages",
        "aggregate_gradients": "gradients are added up over processes by fit: leave it out",
        "check_finite": "a step in float16 whose gradients are not finite is left out by itself",
        "dynamic_growth_steps": "optimizer.steps_to_grow is it",
        "get_gradients": _GRADIENTS,
        "get_slot": "optimizer.variables has the slots, each with its name",
        "get_slot_names": "[variable.name for variable in optimizer.variables] has them",
        "get_updates": "override update_step(self, gradient, variable, learning_rate)",
        "get_weights": "[variable.numpy() for variable in optimizer.variables] has them, for set_weights",
        "load_own_variables": _KEPT_STATE,
        "initial_scale": "optimizer.loss_scale has the scale, in float16, from the first step on",
        "inner_optimizer": "LossScaleOptimizer gives the optimizer itself, which scales the loss in float16",
        "lr_adjust": "override update_step(self, gradient, variable, learning_rate) of a subclass",
        "minimize": f"{_GRADIENTS}, and optimizer.apply(gradients, variables)",
        "save_own_variables": _KEPT_STATE,
        "stateless_apply": f"{_STATELESS}: write optimizer.apply(gradients, variables)",
        "transpose_last_axis": _ARRAYS,
        "zeropower_via_newtonschulz5": "nnx.optimizers.Muon applies it to matrices",
    },
    "Metric": {
        "axis": "metric.get_config() has its options",
        "value": "metric.get_config() has its options",
        "accumulator": "metric.variables has what is added up",
        "num_samples": "metric.variables has what is added up",
        "reset_states": "metric.reset_state() is it",
        "stateless_reset_state": f"{_STATELESS}: write metric.reset_state()",
        "stateless_result": f"{_STATELESS}: write metric.result()",
        "stateless_update_state": f"{_STATELESS}: write metric.update_state(y_true, y_pred)",
        "updates": "metric.update_state(y_true, y_pred) changes it at once: leave it out",
    },
    "Loss": {
        "fn": "call the loss: loss(y_true, y_pred)",
    },
    "Callback": {
        "append_header": "the file begins with it, unless append=True and there is one",
        "csv_file": "the file is written after each epoch: read callback.filename",
        "epochs": "callback.params['epochs'] is it",
        "keys": "the first line of the file has them",
        "progbar": "nnx.utils.Progbar draws a bar of your own",
        "seen": "nnx.utils.Progbar draws a bar of your own",
        "target": "callback.params['steps'] is it",
        "validation_data": "keep the data in your own callback: MyCallback(x, y) with self.x, self.y = x, y",
        "verbose": "callback.params['verbose'] is it",
        "writer": "the file is written after each epoch: read callback.filename",
    },
    "Parameter": {
        "aggregation": "a weight is the same in all processes: leave it out",
        "eval": "weight.numpy() is a copy on the host",
        "handle": "weight.value is the array",
        "overwrite_with_gradient": "a weight is trained by its gradient: leave it out",
        "read_value": "weight.value is the array, weight.numpy() a copy on the host",
        "synchronization": "a weight is the same in all processes: leave it out",
    },
    "DTypePolicy": {"convert_input": "nnx.ops.cast(x, policy.compute_dtype) is it"},
    "SeedGenerator": {"backend": "numbers are the same on each backend: leave it out"},
}
"""What to write instead of a member, by the names of the classes of nnx that objects without it are of."""

_STEPS = ("train_step", "test_step", "predict_step")
_NEVER_CALLED = {
    "compute_loss_and_updates",
    "get_updates",
    "make_predict_function",
    "make_test_function",
    "make_train_function",
    "quantized_build",
    "quantized_call",
    "rematerialized_call",
    "stateless_apply",
    "stateless_call",
    "stateless_compute_loss",
    "stateless_reset_state",
    "stateless_result",
    "stateless_update_state",
    "symbolic_call",
}
"""Methods that Keras calls, and nobody else: one that is overridden would be without effect."""


def _advice(kind: type, name: str) -> str | None:
    return next((INSTEAD[c.__name__][name] for c in kind.__mro__ if name in INSTEAD.get(c.__name__, ())), None)


def instead_of(thing: Any, name: str) -> str:
    """What an error says of a member that an object, or a class, does not have: a near one, or what to write instead.

    >>> from nnx.layers import Dense
    >>> instead_of(Dense(2), "quantize")
    "Dense has no 'quantize': nnx does not quantise; compute in nnx.backend(..., dtype='float16')"
    >>> instead_of(Dense(2), "unit")
    "Dense has no 'unit': did you mean 'units'?"
    """
    kind = thing if isinstance(thing, type) else type(thing)
    advice = _advice(kind, name) or did_you_mean(nearest(name, (one for one in dir(thing) if not one.startswith("_"))))
    return f"{kind.__name__} has no {name!r}: {advice or 'dir() of it has its members'}"


def refuse_uncalled(cls: type) -> None:
    """TypeError for a class that overrides what Keras calls and nnx does not, or a step in the form of Keras on JAX."""
    for name in sorted(_NEVER_CALLED & vars(cls).keys()):
        advice = _advice(cls, name)
        if advice is not None:
            raise TypeError(f"{cls.__name__}.{name} would never be called: {advice}")
    for name in _STEPS:
        step = vars(cls).get(name)
        if inspect.isfunction(step) and list(inspect.signature(step).parameters)[1:2] == ["state"]:
            raise TypeError(
                f"{cls.__name__}.{name} takes a state, as in Keras on JAX: write {name}(self, data), in which "
                f"variables are changed in place, as by self.optimizer.apply(gradients, self.trainable_variables)"
            )
