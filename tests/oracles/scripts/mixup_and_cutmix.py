"""MixUp and CutMix: by hand, with shares that are given, and by the layers; both train a small network."""

import keras
import numpy as np
from keras import layers, ops
from seeded import fill_weights

rng = np.random.default_rng(11)
x_train = rng.random((40, 8, 8, 1)).astype("float32")
y_train = keras.utils.to_categorical(rng.integers(0, 4, 40), 4).astype("float32")


def mix_up(ds_one, ds_two, share):
    images_one, labels_one = ds_one
    images_two, labels_two = ds_two
    x_l = ops.reshape(share, (-1, 1, 1, 1))
    y_l = ops.reshape(share, (-1, 1))
    return images_one * x_l + images_two * (1 - x_l), labels_one * y_l + labels_two * (1 - y_l)


def get_box(lambda_value, center, size):
    cut = int(size * np.sqrt(1.0 - lambda_value))
    y1, x1 = (int(np.clip(c - cut // 2, 0, size)) for c in center)
    y2, x2 = (int(np.clip(c + cut // 2, 0, size)) for c in center)
    return y1, x1, max(y2 - y1, 1), max(x2 - x1, 1)


def cutmix(image1, label1, image2, label2, lambda_value, center):
    size = image1.shape[1]
    y, x, height, width = get_box(lambda_value, center, size)
    crop2 = image2[:, y : y + height, x : x + width]
    padding = ((0, 0), (y, size - y - height), (x, size - x - width), (0, 0))
    image2 = ops.pad(crop2, padding)
    image1 = image1 - ops.pad(image1[:, y : y + height, x : x + width], padding)
    share = 1 - height * width / size**2
    return image1 + image2, share * label1 + (1 - share) * label2


share = rng.beta(0.4, 0.4, 20).astype("float32")
mixed_images, mixed_labels = mix_up((x_train[:20], y_train[:20]), (x_train[20:], y_train[20:]), share)
cut_images, cut_labels = cutmix(x_train[:20], y_train[:20], x_train[20:], y_train[20:], 0.7, (2, 5))

model = keras.Sequential(
    [
        keras.Input((8, 8, 1)),
        layers.Conv2D(6, 3, activation="relu"),
        layers.MaxPooling2D(),
        layers.Flatten(),
        layers.Dense(4, activation="softmax"),
    ]
)
fill_weights(model)
model.compile(loss="categorical_crossentropy", optimizer="adam", metrics=["accuracy"])
options = {"batch_size": 10, "epochs": 2, "shuffle": False, "verbose": 0}
mixed = model.fit(mixed_images, mixed_labels, **options)
cut = model.fit(cut_images, cut_labels, **options)

by_layer = layers.MixUp(alpha=0.4, seed=1)({"images": x_train, "labels": y_train}, training=True)
by_cut = layers.CutMix(factor=0.5, seed=1)({"images": x_train, "labels": y_train}, training=True)

results = {
    "mixed": np.array(mixed_images),
    "labels": np.array(mixed_labels),
    "cut": [np.array(cut_images), np.array(cut_labels)],
    "histories": [mixed.history, cut.history],
    "sums": [np.array(one["labels"]).sum(axis=1) for one in (by_layer, by_cut)],
    "shapes": [tuple(one["images"].shape) for one in (by_layer, by_cut)],
    "range": [bool(0 <= np.min(one["images"]) and np.max(one["images"]) <= 1) for one in (by_layer, by_cut)],
}
