"""Forecast a temperature from the hours before it: LSTM, GRU and Conv1D side by side."""

import keras
import numpy as np
from keras import layers
from seeded import fill_weights

# Two years of a made-up weather station: a season, days, and a pressure that goes before the temperature
hours = np.arange(600)
temperature = 10 + 8 * np.sin(2 * np.pi * hours / 300) + 3 * np.sin(2 * np.pi * hours / 24)
pressure = 1000 + 5 * np.cos(2 * np.pi * (hours + 6) / 24)
data = np.stack([temperature, pressure], axis=1).astype("float32")

train_split = 450
mean = data[:train_split].mean(axis=0)
std = data[:train_split].std(axis=0)
data = (data - mean) / std

past, future, step = 24, 6, 2


def windows(features):
    """Every `step`-th hour of the `past`, and the temperature `future` hours later."""
    starts = np.arange(0, len(features) - past - future)
    x = np.stack([features[start : start + past : step] for start in starts])
    y = features[starts + past + future - 1, :1]
    return x, y


x_train, y_train = windows(data[:train_split])
x_val, y_val = windows(data[train_split:])


def build(kind):
    inputs = keras.Input(shape=x_train.shape[1:])
    if kind == "lstm":
        x = layers.LSTM(8)(inputs)
    elif kind == "gru":
        x = layers.GRU(8, return_sequences=True)(inputs)
        x = layers.GRU(4)(x)
    else:
        x = layers.Conv1D(8, 3, activation="relu", padding="causal")(inputs)
        x = layers.MaxPooling1D(2)(x)
        x = layers.Conv1D(8, 3, activation="relu")(x)
        x = layers.GlobalAveragePooling1D()(x)
    return keras.Model(inputs, layers.Dense(1)(x), name=kind)


results = {}
for kind in ("lstm", "gru", "conv"):
    model = build(kind)
    fill_weights(model, seed=1)
    model.compile(optimizer=keras.optimizers.Adam(learning_rate=0.005), loss="mse", metrics=["mae"])
    history = model.fit(
        x_train,
        y_train,
        epochs=3,
        batch_size=64,
        shuffle=False,
        validation_data=(x_val, y_val),
        callbacks=[keras.callbacks.EarlyStopping(monitor="val_loss", patience=5)],
        verbose=0,
    )
    results[f"{kind} loss"] = history.history["loss"]
    results[f"{kind} val_mae"] = history.history["val_mae"]
    results[f"{kind} forecast"] = model.predict(x_val[:3], verbose=0)

baseline = np.mean(np.abs(x_val[:, -1, :1] - y_val))
results["baseline"] = baseline
