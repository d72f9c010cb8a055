"""Prices of houses: normalisation adapted to the data, and callbacks that stop, slow down, log and keep the best."""

import csv

import keras
import numpy as np
from keras import layers
from keras.callbacks import CSVLogger, EarlyStopping, LambdaCallback, LearningRateScheduler, ModelCheckpoint
from keras.callbacks import ReduceLROnPlateau, TerminateOnNaN
from seeded import fill_weights

rng = np.random.default_rng(1)
x = rng.uniform(0, 100, (260, 5)).astype("float32")
y = (0.3 * x[:, 0] - 0.1 * x[:, 1] + 0.002 * x[:, 2] * x[:, 3] + rng.normal(size=260)).astype("float32")
x_train, y_train, x_test, y_test = x[:200], y[:200], x[200:], y[200:]

normalizer = layers.Normalization(axis=-1)
normalizer.adapt(x_train)


def build_and_compile_model(norm):
    model = keras.Sequential([norm, layers.Dense(24, activation="relu"), layers.Dense(1)])
    model.build((None, 5))
    fill_weights(model)
    model.compile(loss="mean_absolute_error", optimizer=keras.optimizers.RMSprop(0.02), metrics=["mse", "mape"])
    return model


def scheduler(epoch, lr):
    return lr if epoch < 4 else lr * 0.9


said = []
callbacks = [
    LearningRateScheduler(scheduler),
    ReduceLROnPlateau(monitor="val_loss", factor=0.5, patience=1, min_delta=0.05, cooldown=1),
    EarlyStopping(monitor="val_loss", patience=3, min_delta=0.01, restore_best_weights=True),
    ModelCheckpoint("best.weights.h5", monitor="val_loss", save_best_only=True, save_weights_only=True),
    CSVLogger("training.log", separator=";"),
    LambdaCallback(on_epoch_end=lambda epoch, logs: said.append((epoch, sorted(logs)))),
    TerminateOnNaN(),
]
model = build_and_compile_model(normalizer)
history = model.fit(
    x_train, y_train, epochs=25, validation_split=0.2, shuffle=False, batch_size=40, verbose=0, callbacks=callbacks
)
after = model.evaluate(x_test, y_test, verbose=0)
model.load_weights("best.weights.h5")

with open("training.log", newline="") as file:
    rows = list(csv.DictReader(file, delimiter=";"))

results = {
    "mean": np.array(normalizer.mean),
    "variance": np.array(normalizer.variance),
    "history": history.history,
    "epochs": history.epoch,
    "restored": after,
    "best": model.evaluate(x_test, y_test, verbose=0),
    "predictions": model.predict(x_test, verbose=0).flatten(),
    "columns": sorted(rows[0]),
    "logged": [float(row["loss"]) for row in rows],
    "said": said,
}
