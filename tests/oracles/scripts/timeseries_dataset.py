"""Weather forecasting from windows that `timeseries_dataset_from_array` cuts out of one long array."""
# nnx only

import keras
import numpy as np
from seeded import fill_weights

hours = np.arange(120)
raw = np.stack([np.sin(hours / 5), np.cos(hours / 7), hours / 120], axis=1).astype("float32")
sequence_length, sampling_rate, delay, batch_size = 6, 2, 12, 16

split = {"train": (0, 80), "val": (80, None)}
datasets = {
    part: keras.utils.timeseries_dataset_from_array(
        data=raw[:-delay],
        targets=raw[delay:, 0],
        sampling_rate=sampling_rate,
        sequence_length=sequence_length,
        shuffle=False,
        batch_size=batch_size,
        start_index=start,
        end_index=end,
    )
    for part, (start, end) in split.items()
}

for samples, targets in datasets["train"].take(1):
    first_samples, first_targets = np.asarray(samples), np.asarray(targets)

inputs = keras.Input(shape=(sequence_length, raw.shape[-1]))
x = keras.layers.LSTM(8, recurrent_dropout=0.0)(inputs)
outputs = keras.layers.Dense(1)(x)
model = keras.Model(inputs, outputs)
fill_weights(model)
model.compile(optimizer="rmsprop", loss="mse", metrics=["mae"])
history = model.fit(datasets["train"], epochs=2, validation_data=datasets["val"], verbose=0)

# Windows without targets, and those of a whole series predicted from the windows of the same series
unlabelled = keras.utils.timeseries_dataset_from_array(np.arange(10), None, sequence_length=4, sequence_stride=3)
numbers = [np.asarray(batch).tolist() for batch in unlabelled]

results = {
    "first samples": first_samples[:2],
    "first targets": first_targets[:4],
    "batches": [len(datasets["train"]), len(datasets["val"])],
    "numbers": numbers[0],
    "loss": history.history["loss"],
    "val_mae": history.history["val_mae"],
    "evaluated": model.evaluate(datasets["val"], verbose=0),
    "predicted": model.predict(datasets["val"], verbose=0)[:3, 0],
}
# Of Keras 3.15 on TensorFlow
expected = {
    "first samples": [
        [
            [0.0, 1.0, 0.0],
            [0.389418, 0.959461, 0.016667],
            [0.717356, 0.841129, 0.033333],
            [0.932039, 0.6546, 0.05],
            [0.999574, 0.414997, 0.066667],
            [0.909297, 0.141746, 0.083333],
        ],
        [
            [0.198669, 0.989813, 0.008333],
            [0.564642, 0.90956, 0.025],
            [0.841471, 0.755561, 0.041667],
            [0.98545, 0.540302, 0.058333],
            [0.973848, 0.281236, 0.075],
            [0.808496, -0.000632, 0.091667],
        ],
    ],
    "first targets": [0.675463, 0.515501, 0.334988, 0.14112],
    "batches": [5, 2],
    "numbers": [[0, 1, 2, 3], [3, 4, 5, 6], [6, 7, 8, 9]],
    "loss": [0.530102, 0.514301],
    "val_mae": [0.52951, 0.529586],
    "evaluated": [0.372545, 0.529586],
    "predicted": [0.055347, 0.042067, 0.029576],
}
