"""K-fold validation on few data, and hyper-parameters that are searched by hand."""

import itertools

import keras
import numpy as np
from keras import Sequential, layers, regularizers
from seeded import fill_weights

rng = np.random.default_rng(2)
train_data = rng.normal(size=(96, 6))
train_targets = train_data @ rng.normal(size=6) + 0.3 * np.sin(3 * train_data[:, 0])

mean = train_data.mean(axis=0)
train_data = (train_data - mean) / train_data.std(axis=0)


def build_model(units=16, optimizer="rmsprop", l2=0.0):
    model = Sequential(
        [
            layers.Input((train_data.shape[1],)),
            layers.Dense(units, activation="relu", kernel_regularizer=regularizers.L2(l2)),
            layers.Dense(units, activation="relu"),
            layers.Dense(1),
        ]
    )
    fill_weights(model)
    model.compile(optimizer=optimizer, loss="mse", metrics=["mae"])
    return model


k = 4
num_val_samples = len(train_data) // k
all_mae_histories = []
for i in range(k):
    val_data = train_data[i * num_val_samples : (i + 1) * num_val_samples]
    val_targets = train_targets[i * num_val_samples : (i + 1) * num_val_samples]
    partial_train_data = np.concatenate(
        [train_data[: i * num_val_samples], train_data[(i + 1) * num_val_samples :]], axis=0
    )
    partial_train_targets = np.concatenate(
        [train_targets[: i * num_val_samples], train_targets[(i + 1) * num_val_samples :]], axis=0
    )
    model = build_model()
    history = model.fit(
        partial_train_data,
        partial_train_targets,
        validation_data=(val_data, val_targets),
        epochs=3,
        batch_size=8,
        shuffle=False,
        verbose=0,
    )
    all_mae_histories.append(history.history["val_mae"])
average_mae_history = [np.mean([x[i] for x in all_mae_histories]) for i in range(3)]

scores = {}
for units, optimizer, l2 in itertools.product((4, 16), ("adam", "sgd"), (0.0, 0.01)):
    keras.utils.set_random_seed(0)
    model = build_model(units, optimizer, l2)
    model.fit(train_data[:72], train_targets[:72], epochs=2, batch_size=24, shuffle=False, verbose=0)
    scores[f"{units} {optimizer} {l2}"] = model.evaluate(train_data[72:], train_targets[72:], verbose=0)[1]

results = {"average": average_mae_history, "scores": scores, "best": min(scores, key=scores.get)}
