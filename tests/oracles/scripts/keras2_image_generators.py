"""Cats and dogs as in the time of Keras 2: ImageDataGenerator, flow_from_directory, fit_generator."""
# nnx only: these names are of Keras 2
# needs PIL

import os

import numpy as np
from keras.layers import Activation, Conv2D, Dense, Dropout, Flatten, MaxPooling2D
from keras.models import Sequential
from keras.optimizers import Adam
from keras.preprocessing.image import ImageDataGenerator, array_to_img, img_to_array, load_img
from seeded import fill_weights

img_width, img_height = 12, 12
rng = np.random.default_rng(10)
for part, count in (("train", 16), ("validation", 8)):
    for number in range(count):
        label = ("cats", "dogs")[number % 2]
        os.makedirs(f"data/{part}/{label}", exist_ok=True)
        picture = rng.integers(0, 100, (14, 13, 3)) + 150 * (number % 2)
        array_to_img(picture, scale=False).save(f"data/{part}/{label}/{label}.{number}.jpg", quality=95)

model = Sequential()
model.add(Conv2D(4, (3, 3), input_shape=(img_width, img_height, 3)))
model.add(Activation("relu"))
model.add(MaxPooling2D(pool_size=(2, 2)))
model.add(Flatten())
model.add(Dense(8))
model.add(Activation("relu"))
model.add(Dropout(0.0))
model.add(Dense(1))
model.add(Activation("sigmoid"))
fill_weights(model)
model.compile(loss="binary_crossentropy", optimizer=Adam(lr=0.01), metrics=["accuracy"])

train_datagen = ImageDataGenerator(rescale=1.0 / 255, shear_range=0.2, zoom_range=0.2, horizontal_flip=True)
test_datagen = ImageDataGenerator(rescale=1.0 / 255)
options = {"target_size": (img_width, img_height), "batch_size": 4, "class_mode": "binary"}
train_generator = train_datagen.flow_from_directory("data/train", **options)
validation_generator = test_datagen.flow_from_directory("data/validation", shuffle=False, **options)
history = model.fit_generator(
    train_generator,
    steps_per_epoch=16 // 4,
    epochs=12,
    validation_data=validation_generator,
    validation_steps=8 // 4,
    verbose=0,
)

x = img_to_array(load_img("data/train/cats/cats.0.jpg"))
datagen = ImageDataGenerator(rotation_range=40, width_shift_range=0.2, height_shift_range=0.2, fill_mode="nearest")
batches = []
for batch in datagen.flow(x.reshape((1,) + x.shape), batch_size=1):
    batches.append(batch)
    if len(batches) == 5:
        break
centered = ImageDataGenerator(featurewise_center=True, featurewise_std_normalization=True)
faces = rng.uniform(0, 255, (10, 6, 6, 1))
centered.fit(faces)
flow = next(centered.flow(faces, np.arange(10), batch_size=10, shuffle=False))

results = {
    "classes": train_generator.class_indices,
    "labels": validation_generator.classes,
    "keys": sorted(history.history),
    "accuracy": history.history["val_accuracy"][-1],
    "shapes": [batch.shape for batch in batches],
    "they differ": bool(np.abs(batches[0] - batches[1]).max() > 1),
    "centered": [float(abs(flow[0].mean()) < 1e-3), float(np.round(flow[0].std(), 3)), flow[1].tolist()],
}
expected = {
    "classes": {"cats": 0, "dogs": 1},
    "labels": [0, 0, 0, 0, 1, 1, 1, 1],
    "keys": ["accuracy", "loss", "val_accuracy", "val_loss"],
    "accuracy": 1.0,
    "shapes": [(1, 14, 13, 3)] * 5,
    "they differ": True,
    "centered": [1.0, 1.0, list(range(10))],
}
