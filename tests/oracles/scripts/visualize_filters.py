"""What filters look for: images that are changed along gradients of activations, and the activations themselves."""

import keras
import numpy as np
from jax import value_and_grad
from keras import layers, ops
from seeded import fill_weights

img_width = img_height = 14

model = keras.Sequential(
    [
        keras.Input((img_height, img_width, 3)),
        layers.Conv2D(4, 3, activation="relu", name="conv_1"),
        layers.MaxPooling2D(2, name="pool_1"),
        layers.Conv2D(6, 3, activation="elu", name="conv_2"),
        layers.Flatten(),
        layers.Dense(3),
    ]
)
fill_weights(model)
layer = model.get_layer(name="conv_2")
feature_extractor = keras.Model(inputs=model.inputs, outputs=layer.output)


def compute_loss(input_image, filter_index):
    activation = feature_extractor(input_image)
    filter_activation = activation[:, 1:-1, 1:-1, filter_index]
    return ops.mean(filter_activation)


def gradient_ascent_step(img, filter_index, learning_rate):
    loss, grads = value_and_grad(lambda image: compute_loss(image, filter_index))(img)
    grads = grads / (ops.sqrt(ops.sum(ops.square(grads))) + 1e-6)
    return loss, img + learning_rate * grads


def visualize_filter(filter_index):
    img = ops.convert_to_tensor(
        (np.random.default_rng(filter_index).random((1, img_height, img_width, 3)) * 0.25 - 0.125).astype("float32")
    )
    losses = []
    for _ in range(8):
        loss, img = gradient_ascent_step(img, filter_index, 2.0)
        losses.append(float(loss))
    return losses, deprocess_image(np.array(img[0]))


def deprocess_image(img):
    img = img - img.mean()
    img = img / (img.std() + 1e-5) * 0.15
    img = img[2:-2, 2:-2, :]
    return np.clip(img + 0.5, 0, 1) * 255


images = [visualize_filter(index) for index in range(3)]
activation_model = keras.Model(model.inputs, [one.output for one in model.layers[:3]])
activations = activation_model.predict(np.ones((1, img_height, img_width, 3)) * 0.5, verbose=0)

results = {
    "losses": [losses for losses, _ in images],
    "images": [image for _, image in images],
    "they grow": [losses[-1] > losses[0] for losses, _ in images],
    "activations": activations,
    "kernel": [tuple(weight.shape) for weight in layer.weights],
}
