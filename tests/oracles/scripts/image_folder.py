"""Images of a folder: `image_dataset_from_directory`, validation splits, training from files, single images by name."""
# nnx only: in Keras the images of a folder need TensorFlow
# needs PIL

import os

import keras
import numpy as np
from keras import layers
from seeded import fill_weights

rng = np.random.default_rng(9)
for number in range(20):
    label = ("cats", "dogs")[number % 2]
    os.makedirs(f"pets/{label}", exist_ok=True)
    picture = np.clip(rng.integers(0, 120, (10, 8, 3)) + 130 * (label == "dogs"), 0, 255)
    keras.utils.save_img(f"pets/{label}/{number}.png", picture, scale=False)

options = {"image_size": (8, 8), "batch_size": 4, "seed": 1337}
train_ds, val_ds = keras.utils.image_dataset_from_directory("pets", validation_split=0.2, subset="both", **options)
gray = keras.utils.image_dataset_from_directory(
    "pets", label_mode="categorical", color_mode="grayscale", shuffle=False, **options
)
shapes = [(tuple(images.shape), tuple(labels.shape)) for images, labels in gray]

model = keras.Sequential(
    [
        keras.Input((8, 8, 3)),
        layers.Rescaling(1 / 255),
        layers.Conv2D(4, 3, activation="relu"),
        layers.GlobalAveragePooling2D(),
        layers.Dense(1, activation="sigmoid"),
    ]
)
fill_weights(model)
model.compile(optimizer=keras.optimizers.Adam(0.05), loss="binary_crossentropy", metrics=["accuracy"])
history = model.fit(train_ds, epochs=12, validation_data=val_ds, verbose=0)

img = keras.utils.load_img("pets/dogs/1.png", target_size=(8, 8))
img_array = np.expand_dims(keras.utils.img_to_array(img), 0)
score = float(model.predict(img_array, verbose=0)[0][0])
first = next(iter(gray))

results = {
    "classes": train_ds.class_names,
    "batches": [len(train_ds), len(val_ds), len(gray)],
    "shapes": shapes,
    "labels": np.array(first[1]),
    "img": [img.size, img.mode, tuple(img_array.shape), str(img_array.dtype)],
    "files": [os.path.basename(path) for path in gray.file_paths[:3]],
    "accuracy": history.history["val_accuracy"][-1],
    "dog": score > 0.5,
    "back": keras.utils.array_to_img(img_array[0]).size,
}
expected = {
    "classes": ["cats", "dogs"],
    "batches": [4, 1, 5],
    "shapes": [((4, 8, 8, 1), (4, 2))] * 5,
    "labels": np.array([[1.0, 0.0]] * 4),
    "img": [(8, 8), "RGB", (1, 8, 8, 3), "float32"],
    "files": ["0.png", "10.png", "12.png"],
    "accuracy": 1.0,
    "dog": True,
    "back": (8, 8),
}
