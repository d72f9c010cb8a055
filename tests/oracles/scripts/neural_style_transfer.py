"""Style of one picture, content of another: gradients of features with respect to the picture."""

import keras
import numpy as np
from jax import value_and_grad
from keras import layers, ops
from seeded import fill_weights

size = 12
rows, columns = np.mgrid[:size, :size] / size
base = np.stack([rows, columns, rows * columns], axis=-1)[None].astype("float32")
style = np.stack([np.sin(9 * rows), np.cos(9 * columns), np.sin(9 * (rows + columns))], axis=-1)[None].astype("float32")

inputs = keras.Input((size, size, 3))
x = layers.Conv2D(6, 3, activation="relu", padding="same", name="block1_conv1")(inputs)
x = layers.Conv2D(6, 3, activation="relu", padding="same", name="block1_conv2")(x)
x = layers.MaxPooling2D(name="block1_pool")(x)
x = layers.Conv2D(8, 3, activation="relu", padding="same", name="block2_conv1")(x)
model = keras.Model(inputs, x, name="small_vgg")
fill_weights(model)
model.trainable = False

outputs_dict = {layer.name: layer.output for layer in model.layers}
feature_extractor = keras.Model(inputs=model.inputs, outputs=outputs_dict)
style_layer_names, content_layer_name = ["block1_conv1", "block2_conv1"], "block1_conv2"
content_weight, style_weight, total_variation_weight = 0.02, 1.0, 1e-3


def gram_matrix(x):
    x = ops.transpose(x, (2, 0, 1))
    features = ops.reshape(x, (ops.shape(x)[0], -1))
    return ops.matmul(features, ops.transpose(features))


def style_loss(style, combination):
    S, C = gram_matrix(style), gram_matrix(combination)
    return ops.sum(ops.square(S - C)) / (4.0 * 9 * (size * size) ** 2)


def total_variation_loss(x):
    a = ops.square(x[:, : size - 1, : size - 1, :] - x[:, 1:, : size - 1, :])
    b = ops.square(x[:, : size - 1, : size - 1, :] - x[:, : size - 1, 1:, :])
    return ops.sum(ops.power(a + b + 1e-6, 1.25))


def compute_loss(combination_image):
    input_tensor = ops.concatenate(
        [ops.convert_to_tensor(base), ops.convert_to_tensor(style), combination_image], axis=0
    )
    features = feature_extractor(input_tensor)
    layer_features = features[content_layer_name]
    loss = content_weight * ops.sum(ops.square(layer_features[2, :, :, :] - layer_features[0, :, :, :]))
    for layer_name in style_layer_names:
        layer_features = features[layer_name]
        sl = style_loss(layer_features[1, :, :, :], layer_features[2, :, :, :])
        loss = loss + (style_weight / len(style_layer_names)) * sl
    return loss + total_variation_weight * total_variation_loss(combination_image)


optimizer = keras.optimizers.SGD(
    keras.optimizers.schedules.ExponentialDecay(initial_learning_rate=0.5, decay_steps=2, decay_rate=0.96)
)
combination_image = keras.Variable(base)
losses = []
for i in range(4):
    loss, grads = value_and_grad(compute_loss)(combination_image.value)
    optimizer.apply_gradients([(grads, combination_image)])
    losses.append(float(loss))

results = {
    "losses": losses,
    "picture": ops.convert_to_numpy(combination_image)[0, :3, :3],
    "gram": np.asarray(gram_matrix(feature_extractor(style)["block1_conv1"][0])),
    "features": sorted(outputs_dict)[:4],
}
