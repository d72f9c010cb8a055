"""Fraud among transactions: few positives, weighted by `class_weight`, watched by counts of errors."""

import keras
import numpy as np
from keras import layers
from seeded import fill_weights

rng = np.random.default_rng(0)
features = rng.normal(size=(400, 10)).astype("float32")
targets = (features[:, :2].sum(axis=1) + 0.5 * rng.normal(size=400) > 2.3).astype("uint8")[:, None]

num_val = 100
train_features, val_features = features[:-num_val], features[-num_val:]
train_targets, val_targets = targets[:-num_val], targets[-num_val:]

mean = train_features.mean(axis=0)
std = train_features.std(axis=0)
train_features = (train_features - mean) / std
val_features = (val_features - mean) / std

counts = np.bincount(train_targets[:, 0])
weight_for_0 = 1.0 / counts[0]
weight_for_1 = 1.0 / counts[1]


def get_model():
    return keras.Sequential(
        [
            keras.Input(shape=train_features.shape[1:]),
            layers.Dense(32, activation="relu"),
            layers.Dense(16, activation="relu"),
            layers.Dense(1, activation="sigmoid"),
        ]
    )


model = get_model()
fill_weights(model)
metrics = [
    keras.metrics.FalseNegatives(name="fn"),
    keras.metrics.FalsePositives(name="fp"),
    keras.metrics.TrueNegatives(name="tn"),
    keras.metrics.TruePositives(name="tp"),
    keras.metrics.Precision(name="precision"),
    keras.metrics.Recall(name="recall"),
]
model.compile(optimizer=keras.optimizers.Adam(1e-2), loss="binary_crossentropy", metrics=metrics)
history = model.fit(
    train_features,
    train_targets,
    batch_size=64,
    epochs=6,
    shuffle=False,
    verbose=0,
    callbacks=[keras.callbacks.ModelCheckpoint("fraud_model_at_epoch_{epoch}.keras")],
    validation_data=(val_features, val_targets),
    class_weight={0: weight_for_0, 1: weight_for_1},
)
again = keras.models.load_model("fraud_model_at_epoch_6.keras")

results = {
    "counts": counts,
    **history.history,
    "evaluate": model.evaluate(val_features, val_targets, verbose=0, return_dict=True),
    "scores": again.predict(val_features, verbose=0),
}
