"""Averages of models and of weights: an ensemble as a graph, a mean of checkpoints, exponential moving averages."""

import keras
import numpy as np
from keras import layers
from seeded import fill_weights

rng = np.random.default_rng(11)
x = rng.standard_normal((64, 4)).astype("float32")
y = keras.utils.to_categorical(np.argmax(x[:, :3] ** 2, axis=1), 3)
x_val, y_val = x[48:], y[48:]


def make_model(seed, **options):
    model = keras.Sequential(
        [keras.Input((4,)), layers.Dense(10, activation="relu"), layers.Dense(3, activation="softmax")],
        name=f"model_{seed}",
    )
    fill_weights(model, seed=seed)
    model.compile(
        keras.optimizers.Adam(0.02, **options),
        keras.losses.CategoricalCrossentropy(label_smoothing=0.1),
        metrics=["acc"],
    )
    return model


class Snapshots(keras.callbacks.Callback):
    def __init__(self):
        super().__init__()
        self.weights = []

    def on_epoch_end(self, epoch, logs=None):
        self.weights.append(self.model.get_weights())


models, snapshots = [make_model(seed) for seed in range(3)], Snapshots()
for model in models:
    model.fit(x[:48], y[:48], batch_size=16, epochs=2, shuffle=False, callbacks=[snapshots], verbose=0)

ensemble_input = keras.Input((4,))
ensemble = keras.Model(ensemble_input, layers.Average()([model(ensemble_input) for model in models]), name="ensemble")
ensemble.compile(loss="categorical_crossentropy", metrics=["acc"])
apart = np.mean([model.predict(x_val, verbose=0) for model in models], axis=0)

soup = make_model(0)
soup.set_weights([np.mean(parts, axis=0) for parts in zip(*snapshots.weights[:2])])

# Averages while training goes on, with which validation is done
averaged = make_model(4, use_ema=True, ema_momentum=0.8)
history = averaged.fit(
    x[:48],
    y[:48],
    batch_size=16,
    epochs=3,
    shuffle=False,
    validation_data=(x_val, y_val),
    callbacks=[keras.callbacks.SwapEMAWeights(swap_on_epoch=False)],
    verbose=0,
)
overwritten = make_model(5, use_ema=True, ema_momentum=0.9, ema_overwrite_frequency=4)
overwritten.fit(x[:48], y[:48], batch_size=16, epochs=3, shuffle=False, verbose=0)

results = {
    "ensemble": ensemble.predict(x_val[:4], verbose=0),
    "is the mean": bool(np.allclose(ensemble.predict(x_val, verbose=0), apart, atol=1e-6)),
    "evaluated": ensemble.evaluate(x_val, y_val, verbose=0),
    "soup": soup.evaluate(x_val, y_val, verbose=0),
    "val_loss": history.history["val_loss"],
    "loss": history.history["loss"],
    "averaged": averaged.predict(x_val[:4], verbose=0),
    "overwritten": overwritten.predict(x_val[:4], verbose=0),
}
