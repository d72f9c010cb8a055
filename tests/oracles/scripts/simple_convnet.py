"""Digits by a small convolutional network, as in the first example of every tutorial."""

import keras
import numpy as np
from keras import layers
from seeded import fill_weights

num_classes = 10
input_shape = (14, 14, 1)

# Bars of ten lengths in place of MNIST, which would have to be downloaded
rng = np.random.default_rng(0)
y_train = rng.integers(0, num_classes, 160)
x_train = rng.integers(0, 60, (160, 14, 14))
for image, label in zip(x_train, y_train):
    image[label + 2 : label + 4, 2:12] += 190
x_train, x_test = x_train[:128].astype("float32") / 255, x_train[128:].astype("float32") / 255
x_train, x_test = np.expand_dims(x_train, -1), np.expand_dims(x_test, -1)
y_train = keras.utils.to_categorical(y_train, num_classes)
y_train, y_test = y_train[:128], y_train[128:]

model = keras.Sequential(
    [
        keras.Input(shape=input_shape),
        layers.Conv2D(8, kernel_size=(3, 3), activation="relu"),
        layers.MaxPooling2D(pool_size=(2, 2)),
        layers.Conv2D(16, kernel_size=(3, 3), activation="relu"),
        layers.MaxPooling2D(pool_size=(2, 2)),
        layers.Flatten(),
        layers.Dropout(0.0),
        layers.Dense(num_classes, activation="softmax"),
    ]
)
fill_weights(model)
model.compile(loss="categorical_crossentropy", optimizer="adam", metrics=["accuracy"])
history = model.fit(x_train, y_train, batch_size=32, epochs=3, validation_split=0.1, shuffle=False, verbose=0)
score = model.evaluate(x_test, y_test, verbose=0)

results = {
    "history": history.history,
    "score": score,
    "shapes": [tuple(layer.output.shape) for layer in model.layers],
    "params": model.count_params(),
    "probabilities": model.predict(x_test, verbose=0),
}
