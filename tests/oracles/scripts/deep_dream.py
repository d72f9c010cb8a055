"""A deep dream in small: gradient ascent on what layers see in a picture, from a coarse size to a fine one."""

import keras
import numpy as np
from jax import value_and_grad
from keras import layers, ops
from seeded import fill_weights

layer_settings = {"mixed1": 1.0, "mixed2": 1.5}
step, num_octave, octave_scale, iterations, max_loss = 0.05, 2, 1.4, 3, 15.0

inputs = keras.Input((None, None, 3))
x = layers.SeparableConv2D(6, 3, padding="same")(inputs)
x = layers.BatchNormalization()(x)
x = layers.Activation("elu", name="mixed1")(x)
x = layers.AveragePooling2D(2, padding="same")(x)
x = layers.Conv2D(8, 3, activation="softplus", name="mixed2")(x)
model = keras.Model(inputs, x)
fill_weights(model)

outputs_dict = {name: model.get_layer(name).output for name in layer_settings}
feature_extractor = keras.Model(inputs=model.inputs, outputs=outputs_dict)


def compute_loss(input_image):
    features = feature_extractor(input_image, training=False)
    loss = 0.0
    for name in features.keys():
        coeff = layer_settings[name]
        activation = features[name]
        scaling = ops.prod(ops.cast(ops.shape(activation), "float32"))
        loss += coeff * ops.sum(ops.square(activation[:, 2:-2, 2:-2, :])) / scaling
    return loss


def gradient_ascent_step(image, learning_rate):
    loss, grads = value_and_grad(compute_loss)(image)
    grads = grads / ops.maximum(ops.mean(ops.abs(grads)), 1e-6)
    return loss, image + learning_rate * grads


rows, columns = np.mgrid[:20, :24]
original_img = np.stack([np.sin(rows / 3), np.cos(columns / 4), (rows - columns) / 24], axis=-1)[None].astype("float32")
successive_shapes = [tuple(int(d / octave_scale**i) for d in original_img.shape[1:3]) for i in range(num_octave)][::-1]

shrunk_original_img = ops.image.resize(original_img, successive_shapes[0])
img = ops.copy(ops.convert_to_tensor(original_img))
losses = []
for shape in successive_shapes:
    img = ops.image.resize(img, shape)
    for i in range(iterations):
        loss, img = gradient_ascent_step(img, step)
        losses.append(float(loss))
        if losses[-1] > max_loss:
            break
    upscaled_shrunk_original_img = ops.image.resize(shrunk_original_img, shape)
    same_size_original = ops.image.resize(original_img, shape)
    img = img + (same_size_original - upscaled_shrunk_original_img)
    shrunk_original_img = ops.image.resize(original_img, shape)

results = {"shapes": successive_shapes, "losses": losses, "dream": ops.convert_to_numpy(img)[0, 5:9, 5:9]}
