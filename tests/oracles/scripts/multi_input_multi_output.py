"""Tickets of customers: three inputs, two outputs, losses with weights by name, and data in every form."""

import keras
import numpy as np
from keras import layers
from seeded import fill_weights

num_tags, num_words, num_departments = 12, 50, 4

title_input = keras.Input(shape=(None,), name="title", dtype="int32")
body_input = keras.Input(shape=(None,), name="body", dtype="int32")
tags_input = keras.Input(shape=(num_tags,), name="tags")
title_features = layers.Embedding(num_words, 8)(title_input)
body_features = layers.Embedding(num_words, 8)(body_input)
title_features = layers.LSTM(6)(title_features)
body_features = layers.GlobalAveragePooling1D()(layers.Conv1D(6, 3, activation="relu")(body_features))
x = layers.concatenate([title_features, body_features, tags_input])
priority_pred = layers.Dense(1, name="priority")(x)
department_pred = layers.Dense(num_departments, name="department")(x)
model = keras.Model(
    inputs=[title_input, body_input, tags_input], outputs={"priority": priority_pred, "department": department_pred}
)
fill_weights(model)
model.compile(
    optimizer=keras.optimizers.RMSprop(1e-2),
    loss={
        "priority": keras.losses.BinaryCrossentropy(from_logits=True),
        "department": keras.losses.CategoricalCrossentropy(from_logits=True),
    },
    loss_weights={"priority": 1.0, "department": 0.2},
    metrics={"department": ["accuracy", keras.metrics.TopKCategoricalAccuracy(2, name="top2")]},
)

rng = np.random.default_rng(4)
title_data = rng.integers(num_words, size=(96, 7))
body_data = rng.integers(num_words, size=(96, 15))
tags_data = rng.integers(2, size=(96, num_tags)).astype("float32")
priority_targets = (tags_data[:, :1] + tags_data[:, 1:2] > 1).astype("float32")
dept_targets = np.eye(num_departments)[title_data[:, 0] % num_departments]

by_name = {"title": title_data, "body": body_data, "tags": tags_data}
targets = {"priority": priority_targets, "department": dept_targets}
history = model.fit(by_name, targets, epochs=2, batch_size=32, shuffle=False, verbose=0)
as_list = model.fit([title_data, body_data, tags_data], targets, epochs=1, batch_size=32, shuffle=False, verbose=0)
weights = {"priority": np.linspace(0, 1, 96), "department": np.ones(96)}
weighted = model.evaluate(by_name, targets, sample_weight=weights, verbose=0, return_dict=True)
predictions = model.predict(by_name, verbose=0)


def batches():
    for start in range(0, 96, 32):
        part = slice(start, start + 32)
        yield {name: values[part] for name, values in by_name.items()}, {n: v[part] for n, v in targets.items()}


generated = model.evaluate(batches(), verbose=0, return_dict=True)
single = keras.Model(model.inputs, model.get_layer("department").output)

results = {
    "history": history.history,
    "list": as_list.history,
    "weighted": weighted,
    "generated": generated,
    "predictions": predictions,
    "single": single.predict(by_name, verbose=0)[:3],
    "shapes": [list(tensor.shape) for tensor in model.inputs],
    "names": sorted(model.output_names),
}
