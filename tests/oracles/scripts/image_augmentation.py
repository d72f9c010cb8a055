"""Augmentation: what it does to shapes and ranges in training, nothing at inference, and the layers that compute."""

import keras
import numpy as np
from keras import layers

rng = np.random.default_rng(8)
images = rng.uniform(0, 255, (4, 12, 10, 3)).astype("float32")

data_augmentation_layers = [
    layers.RandomFlip("horizontal"),
    layers.RandomRotation(0.1),
    layers.RandomZoom(0.2),
    layers.RandomTranslation(0.1, 0.1),
    layers.RandomContrast(0.2),
    layers.RandomBrightness(0.1),
]


def data_augmentation(images, training):
    for layer in data_augmentation_layers:
        images = layer(images, training=training)
    return images


resize_and_rescale = keras.Sequential(
    [layers.Resizing(6, 8), layers.Rescaling(1.0 / 127.5, offset=-1.0), layers.CenterCrop(4, 4)]
)
still = {
    "grayscale": layers.RandomGrayscale(1.0)(images, training=True),
    "mirrored": layers.RandomFlip("horizontal", seed=1)(images, training=False),
    "cropped": layers.Cropping2D(((1, 2), (3, 0)))(images),
    "padded": layers.ZeroPadding2D((1, 2))(images),
    "nearest": layers.Resizing(24, 5, interpolation="nearest")(images),
    "bicubic": layers.Resizing(9, 14, interpolation="bicubic")(images),
    "kept": layers.Resizing(8, 8, crop_to_aspect_ratio=True)(images),
    "boxed": layers.Resizing(8, 8, pad_to_aspect_ratio=True)(images),
    "upsampled": layers.UpSampling2D(2, interpolation="bilinear")(images),
}
augmented = np.array(data_augmentation(images, training=True))
same = np.array(data_augmentation(images, training=False))
flipped = np.array(layers.RandomFlip("horizontal")(images, training=True))
either = [bool((a == b).all() or (a[:, ::-1] == b).all()) for a, b in zip(images, flipped)]
rotated = keras.ops.image.affine_transform(images, np.array([[0.0, 1, 0, -1, 0, 10, 0, 0]] * 4), "bilinear")

inputs = keras.Input(shape=(12, 10, 3))
x = inputs
for layer in data_augmentation_layers:
    x = layer(x)
outputs = layers.GlobalAveragePooling2D()(resize_and_rescale(x))
model = keras.Model(inputs, outputs)

results = {
    "resized": np.array(resize_and_rescale(images)),
    **{name: np.array(image) for name, image in still.items()},
    "shape": augmented.shape,
    "range": bool(augmented.min() >= -1e-3 and augmented.max() <= 255.001),
    "changed": bool(np.abs(augmented - images).max() > 1),
    "same": same,
    "either": either,
    "rotated": np.array(rotated),
    "single": np.array(layers.Resizing(3, 3)(images[0])),
    "model": model.predict(images, verbose=0),
}
