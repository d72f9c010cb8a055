"""Learning rates that change: all schedules, one of one's own, and callbacks."""

import keras
import numpy as np
from keras import layers, ops
from keras.optimizers import schedules
from seeded import fill_weights

rng = np.random.default_rng(3)
x = rng.standard_normal((64, 4)).astype("float32")
y = np.tanh(x @ [[0.5], [-1.0], [0.3], [0.0]]).astype("float32")


class WarmUpCosine(schedules.LearningRateSchedule):
    def __init__(self, learning_rate_base, total_steps, warmup_steps):
        self.learning_rate_base = learning_rate_base
        self.total_steps = total_steps
        self.warmup_steps = warmup_steps
        self.pi = ops.array(np.pi)

    def __call__(self, step):
        step = ops.cast(step, "float32")
        cos_annealed_lr = ops.cos(self.pi * (step - self.warmup_steps) / (self.total_steps - self.warmup_steps))
        learning_rate = 0.5 * self.learning_rate_base * (1 + cos_annealed_lr)
        warmup_rate = self.learning_rate_base / self.warmup_steps * step
        return ops.where(step < self.warmup_steps, warmup_rate, learning_rate)

    def get_config(self):
        return {"learning_rate_base": self.learning_rate_base, "total_steps": self.total_steps}


def train(optimizer, callbacks=()):
    model = keras.Sequential([keras.Input((4,)), layers.Dense(6, activation="tanh"), layers.Dense(1)])
    fill_weights(model)
    model.compile(optimizer, "mse")
    model.fit(x, y, batch_size=16, epochs=3, shuffle=False, callbacks=list(callbacks), verbose=0)
    return np.array([*model.predict(x[:4], verbose=0)[:, 0], float(model.optimizer.learning_rate)])


rates = {
    "exponential": schedules.ExponentialDecay(0.05, decay_steps=4, decay_rate=0.9, staircase=True),
    "piecewise": schedules.PiecewiseConstantDecay(boundaries=[3, 8], values=[0.05, 0.02, 0.01]),
    "polynomial": schedules.PolynomialDecay(0.05, decay_steps=5, end_learning_rate=0.01, power=2.0, cycle=True),
    "inverse time": schedules.InverseTimeDecay(0.05, decay_steps=3, decay_rate=0.5),
    "cosine": schedules.CosineDecay(0.01, decay_steps=10, alpha=0.1, warmup_target=0.05, warmup_steps=3),
    "restarts": schedules.CosineDecayRestarts(0.05, first_decay_steps=4, t_mul=2.0, m_mul=0.8),
    "warm up": WarmUpCosine(0.05, total_steps=14, warmup_steps=4),
}
results = {}
for name, schedule in rates.items():
    results[name] = [float(schedule(step)) for step in range(0, 12, 2)]
    results[f"{name}, trained"] = train(keras.optimizers.SGD(schedule, momentum=0.5))
results["by epoch"] = train(
    keras.optimizers.Adam(0.02), [keras.callbacks.LearningRateScheduler(lambda epoch, lr: lr * 0.5 if epoch else lr)]
)
results["plateau"] = train(
    keras.optimizers.Adam(0.5),
    [keras.callbacks.ReduceLROnPlateau(monitor="loss", factor=0.5, patience=0, min_delta=1.0)],
)
