"""Callbacks of one's own: what is called when, logs of batches, early stopping at the least loss, a schedule."""

import keras
import numpy as np
from keras import layers
from seeded import fill_weights

rng = np.random.default_rng(14)
x, y = rng.random((100, 8)).astype("float32"), rng.integers(0, 2, (100, 1))


def get_model():
    model = keras.Sequential([keras.Input((8,)), layers.Dense(6, activation="relu"), layers.Dense(1)])
    fill_weights(model)
    model.compile(
        optimizer=keras.optimizers.RMSprop(learning_rate=0.1),
        loss="mean_squared_error",
        metrics=["mean_absolute_error"],
    )
    return model


class CustomCallback(keras.callbacks.Callback):
    def __init__(self):
        super().__init__()
        self.said = []

    def note(self, what, logs):
        self.said.append((what, sorted(logs or {})))

    def on_train_begin(self, logs=None):
        self.note("train begins", logs)

    def on_train_end(self, logs=None):
        self.note("train ends", logs)

    def on_epoch_begin(self, epoch, logs=None):
        self.note(f"epoch {epoch} begins", logs)

    def on_epoch_end(self, epoch, logs=None):
        self.note(f"epoch {epoch} ends", logs)

    def on_test_begin(self, logs=None):
        self.note("test begins", logs)

    def on_test_end(self, logs=None):
        self.note("test ends", logs)

    def on_predict_begin(self, logs=None):
        self.note("predict begins", logs)

    def on_predict_end(self, logs=None):
        self.note("predict ends", logs)

    def on_train_batch_begin(self, batch, logs=None):
        self.note(f"batch {batch} begins", logs)

    def on_train_batch_end(self, batch, logs=None):
        self.note(f"batch {batch} ends", logs)

    def on_test_batch_end(self, batch, logs=None):
        self.note(f"test batch {batch} ends", logs)

    def on_predict_batch_end(self, batch, logs=None):
        self.note(f"predict batch {batch} ends", logs)


class LossAndErrorPrintingCallback(keras.callbacks.Callback):
    losses = []

    def on_train_batch_end(self, batch, logs=None):
        self.losses.append(f"Up to batch {batch}, the average loss is {logs['loss']:7.2f}.")


class EarlyStoppingAtMinLoss(keras.callbacks.Callback):
    def __init__(self, patience=0):
        super().__init__()
        self.patience = patience
        self.best_weights = None

    def on_train_begin(self, logs=None):
        self.wait = 0
        self.stopped_epoch = 0
        self.best = np.inf

    def on_epoch_end(self, epoch, logs=None):
        current = logs.get("loss")
        if np.less(current, self.best):
            self.best = current
            self.wait = 0
            self.best_weights = self.model.get_weights()
        else:
            self.wait += 1
            if self.wait >= self.patience:
                self.stopped_epoch = epoch
                self.model.stop_training = True
                self.model.set_weights(self.best_weights)


class CustomLearningRateScheduler(keras.callbacks.Callback):
    def __init__(self, schedule):
        super().__init__()
        self.schedule = schedule
        self.rates = []

    def on_epoch_begin(self, epoch, logs=None):
        if not hasattr(self.model.optimizer, "learning_rate"):
            raise ValueError('Optimizer must have a "learning_rate" attribute.')
        lr = float(self.model.optimizer.learning_rate)
        self.rates.append(lr)
        self.model.optimizer.learning_rate = self.schedule(epoch, lr)


model = get_model()
custom = CustomCallback()
model.fit(x, y, batch_size=40, epochs=1, verbose=0, validation_split=0.5, callbacks=[custom], shuffle=False)
model.evaluate(x, y, batch_size=60, verbose=0, callbacks=[custom])
model.predict(x, batch_size=60, verbose=0, callbacks=[custom])

stopping = EarlyStoppingAtMinLoss()
model = get_model()
printing = LossAndErrorPrintingCallback()
options = {"batch_size": 50, "verbose": 0, "shuffle": False}
stopped = model.fit(x, y, epochs=30, callbacks=[printing, stopping], **options)
scheduler = CustomLearningRateScheduler(lambda epoch, lr: lr * 0.5)
model = get_model()
scheduled = model.fit(x, y, epochs=4, callbacks=[scheduler], **options)

results = {
    "said": custom.said,
    "lines": printing.losses[0][:35],
    "stopped": [stopping.stopped_epoch, float(stopping.best), stopped.history],
    "rates": scheduler.rates,
    "scheduled": scheduled.history,
    "params": sorted(stopped.params),
}
