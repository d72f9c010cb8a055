"""Anomalies in a series: a convolutional autoencoder reconstructs what is usual, and little else."""

import keras
import numpy as np
from keras import layers
from seeded import fill_weights

TIME_STEPS = 32

t = np.arange(400)
usual = (np.sin(2 * np.pi * t / 32) + 0.1 * np.cos(2 * np.pi * t / 5)).astype("float32")
unusual = usual.copy()
unusual[200:220] += 2.5

training_mean, training_std = usual.mean(), usual.std()


def create_sequences(values, time_steps=TIME_STEPS):
    output = []
    for i in range(len(values) - time_steps + 1):
        output.append(values[i : (i + time_steps)])
    return np.stack(output)[..., np.newaxis]


x_train = create_sequences((usual - training_mean) / training_std)

model = keras.Sequential(
    [
        layers.Input(shape=(x_train.shape[1], x_train.shape[2])),
        layers.Conv1D(filters=8, kernel_size=7, padding="same", strides=2, activation="relu"),
        layers.Dropout(rate=0.0),
        layers.Conv1D(filters=4, kernel_size=7, padding="same", strides=2, activation="relu"),
        layers.Conv1DTranspose(filters=4, kernel_size=7, padding="same", strides=2, activation="relu"),
        layers.Dropout(rate=0.0),
        layers.Conv1DTranspose(filters=8, kernel_size=7, padding="same", strides=2, activation="relu"),
        layers.Conv1DTranspose(filters=1, kernel_size=7, padding="same"),
    ]
)
fill_weights(model)
model.compile(optimizer=keras.optimizers.Adam(learning_rate=0.01), loss="mse")

history = model.fit(
    x_train[:320],
    x_train[:320],
    epochs=6,
    batch_size=64,
    shuffle=False,
    validation_data=(x_train[320:], x_train[320:]),
    callbacks=[keras.callbacks.EarlyStopping(monitor="val_loss", patience=5, mode="min")],
    verbose=0,
)

x_train_pred = model.predict(x_train, verbose=0)
train_mae_loss = np.mean(np.abs(x_train_pred - x_train), axis=1)
threshold = np.max(train_mae_loss)

x_test = create_sequences((unusual - training_mean) / training_std)
test_mae_loss = np.mean(np.abs(model.predict(x_test, verbose=0) - x_test), axis=1).reshape(-1)
anomalies = test_mae_loss > threshold

# A point is an anomaly if all windows with it are
anomalous_points = [
    i for i in range(TIME_STEPS - 1, len(unusual) - TIME_STEPS + 1) if np.all(anomalies[i - TIME_STEPS + 1 : i])
]
results = {
    "loss": history.history["loss"],
    "val_loss": history.history["val_loss"],
    "threshold": threshold,
    "anomalous windows": int(anomalies.sum()),
    "among them": bool(set(anomalous_points) <= set(range(195, 225))),
    "errors": test_mae_loss[180:200:5],
}
