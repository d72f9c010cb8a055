"""Grad-CAM, saliency and integrated gradients: what a trained network looks at, by gradients inside of it."""

import keras
import numpy as np
from jax import grad
from keras import layers, ops
from seeded import fill_weights

rng = np.random.default_rng(14)
labels = np.arange(40) % 2
images = rng.normal(0, 0.2, (40, 12, 12, 1)).astype("float32")
images[labels == 1, 2:5, 2:5] += 1.0

inputs = keras.Input((12, 12, 1))
x = layers.Conv2D(6, 3, activation="relu", name="first_conv")(inputs)
x = layers.MaxPooling2D()(x)
x = layers.Conv2D(8, 3, activation="relu", padding="same", name="last_conv")(x)
x = layers.GlobalAveragePooling2D()(x)
model = keras.Model(inputs, layers.Dense(2, name="logits")(x))
fill_weights(model)
model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
history = model.fit(images, labels, batch_size=10, epochs=6, shuffle=False, verbose=0)


def make_gradcam_heatmap(img_array, model, last_conv_layer_name, pred_index):
    last_conv_layer_model = keras.Model(model.inputs, model.get_layer(last_conv_layer_name).output)
    classifier_input = keras.Input(shape=last_conv_layer_model.output.shape[1:])
    x = classifier_input
    for layer in model.layers[-2:]:
        x = layer(x)
    classifier_model = keras.Model(classifier_input, x)

    last_conv_layer_output = last_conv_layer_model(img_array)
    grads = grad(lambda features: classifier_model(features)[0, pred_index])(last_conv_layer_output)
    pooled_grads = ops.mean(grads, axis=(0, 1, 2))
    heatmap = ops.matmul(last_conv_layer_output[0], ops.expand_dims(pooled_grads, -1))
    heatmap = ops.maximum(ops.squeeze(heatmap), 0)
    return np.array(heatmap / (ops.max(heatmap) + 1e-8)), np.array(pooled_grads)


def saliency(image):
    return np.abs(np.array(grad(lambda x: ops.max(model(x)))(image)))[0, ..., 0]


def integrated_gradients(image, steps=8):
    baseline = np.zeros_like(image)
    total = 0.0
    for alpha in (np.arange(steps) + 0.5) / steps:
        total = total + np.array(grad(lambda x: model(x)[0, 1])(baseline + np.float32(alpha) * (image - baseline)))
    return (image - baseline) * total / steps


img_array = ops.convert_to_tensor(images[1:2])
heatmap, pooled = make_gradcam_heatmap(img_array, model, "last_conv", 1)
integrated = integrated_gradients(images[1:2])

results = {
    "history": history.history,
    "heatmap": heatmap,
    "pooled": pooled,
    "saliency": saliency(img_array),
    "integrated": integrated[0, ..., 0],
    "logits": model.predict(images[:4], verbose=0),
}
